"""Whether the gate held: receipts against data, policies and profiles; stops and waivers against receipts and params.yaml.

What must be on record is worked out anew along each lineage from receipts and gates alone, as blend and
train do it. A model's making names its receipt by digest: so the graph, not a clock, says that the
inspection came first."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from herdbook.amounts import rows_at
from herdbook.artefacts import Artefact, Inspection
from herdbook.audit.evidence import Evidence
from herdbook.audit.finding import Finding, finding, guarded, short
from herdbook.audit.verdicts import faults, rules_of
from herdbook.book import entry_path
from herdbook.entry import Entry
from herdbook.errors import FileError
from herdbook.files import strict_yaml
from herdbook.layout import FOUNDER, HUMAN_PROFILE, HUMAN_RECEIPT, MAKING, Place
from herdbook.lineage import NOT_BRED
from herdbook.params import Params, Regime
from herdbook.policy import Rule
from herdbook.receipt import fault_of, not_bred_receipt, policy_paths, stop_of, waived_rules

Receipt = Mapping[str, Any]
ReceiptOf = Callable[[Path, str], Receipt | None]

_DATA = {  # what a receipt is about: role -> file of the dataset
    "training": {"rows": "rows.parquet", "pool": "pool.parquet", "making": MAKING},
    "offspring": {"rows": "rows.parquet"},
    "human": {"rows": "train.parquet"},
}
_TOLERANCE = 1e-9  # of a depth, a mean of means
_OF_A_FIGURE = ("expect_column_min_to_be_between", "expect_column_max_to_be_between")


@dataclass(frozen=True)
class Owed:
    """What must be on record of an artefact."""

    stop: Mapping[str, Any] | None  # why it is not bred; None: it is
    waivers: list[dict[str, Any]] = field(default_factory=list)
    receipt: Path | None = None  # which its making names


def receipts(made: Iterable[Artefact], entries: Mapping[str, Entry], evidence: Evidence, params: Params) -> Iterator[list[Finding]]:
    """What is wrong with each receipt: of other data, under another policy, of another form, or with a verdict of its own."""
    policies: dict[str, dict[str, list[Rule]]] = {}
    for artefact in made:
        if artefact.inspection and artefact.name in entries:
            entry = entries[artefact.name]
            check = (
                _stands_for_nothing if entry["status"] == NOT_BRED else partial(_inspected, partial(_judged, artefact, policies, params))
            )
            yield guarded(artefact.inspection.receipt, partial(check, artefact.inspection, entry, evidence))


def _stands_for_nothing(inspection: Inspection, entry: Entry, evidence: Evidence) -> Iterator[Finding]:
    wanted = not_bred_receipt(inspection.dataset, entry["stopped_by"])
    for path in (inspection.receipt, inspection.profile):
        if evidence.json(path) != wanted:
            yield finding(path, f"is not what stands for data that was not bred, as {entry['path']} says it was")


def _judged(
    artefact: Artefact, policies: dict[str, dict[str, list[Rule]]], params: Params, receipt: Receipt, figures: Receipt, evidence: Evidence
) -> Iterator[Finding]:
    """Whether the verdicts of a receipt follow from its policies and from the profiles."""
    assert artefact.inspection
    kind, place = artefact.inspection.dataset, artefact.place
    if kind not in policies:
        policies[kind] = {path.stem: rules_of(path.stem, strict_yaml(evidence.read(path).decode())) for path in policy_paths(kind)}
    references: dict[str, Any] = {}
    if kind == "training":
        references = {f"human_{name}": value for name, value in evidence.json(HUMAN_PROFILE).items()}
    if kind == "offspring" and place:
        references = {f"parent_{name}": value for name, value in evidence.json(place.profile("training")).items()}
        references["target_rows"] = rows_at(params.regimes[place.regime].recipe.num_rows, place.number)
    for fault in faults(receipt, figures, policies[kind], references):
        yield finding(artefact.inspection.receipt, fault)


def _inspected(judged: Callable[..., Iterator[Finding]], inspection: Inspection, entry: Entry, evidence: Evidence) -> Iterator[Finding]:
    kind, path = inspection.dataset, inspection.receipt
    receipt = evidence.json(path)
    if fault := fault_of(receipt, kind):
        yield finding(path, f"{fault}, so its data may not be used; run dvc repro")
        return
    data = {role: entry["files"].get(file, {}).get("sha256") for role, file in _DATA[kind].items()}
    for role in sorted({*data, *receipt["data"]}):
        if (said := receipt["data"].get(role)) != data.get(role):
            yield finding(path, f"is of {role} of {short(said)}, {entry['path']} has {short(data.get(role))}: not a receipt of these bytes")
    policies = {policy.name: policy for policy in policy_paths(kind)}
    for name in sorted({*policies, *receipt["policies"]}):
        now = evidence.sha256(policies[name]) if name in policies else None
        if (said := receipt["policies"].get(name)) != now:
            yield finding(policies.get(name, path), f"is {short(now)}, {path} was given under {short(said)}", "policy")
    figures = evidence.json(inspection.profile)
    if not isinstance(figures, dict):
        yield finding(inspection.profile, "not of the form that a profile has")
        return
    for rule in receipt["rules"]:
        seen = rule["suite"] == f"{kind}_profile" and rule["rule"] in _OF_A_FIGURE
        if seen and rule["observed"] != figures.get(rule["column"]):
            yield finding(path, f"observed {rule['column']} {rule['observed']}, {inspection.profile} has {figures.get(rule['column'])}")
    yield from judged(receipt, figures, evidence)


def gates(params: Params, entries: Mapping[str, Entry], evidence: Evidence) -> Iterator[list[Finding]]:
    """Of each dataset and model behind a gate: whether it may be there, what was waived, and which receipt it names."""
    for name, owes in owed(params, partial(_whole, evidence), entries).items():
        if name in entries:
            yield guarded(entry_path(name), partial(_kept, name, owes, entries[name], evidence))
    for entry in entries.values():
        if entry["kind"] == "model" and entry["status"] != NOT_BRED:
            yield guarded(Path(entry["path"]) / MAKING, partial(_trained, entry, entries, params))


def _trained(entry: Entry, entries: Mapping[str, Entry], params: Params) -> Iterator[Finding]:
    """Whether a model is as deep as the rows that trained it, and started from what its regime says."""
    path = Path(entry["path"]) / MAKING
    parents = {parent["role"]: entries[parent["name"]] for parent in entry["parents"] if parent["name"] in entries}
    if (training := parents.get("training")) and (contents := training["contents"]):
        depth, wanted = entry["contents"]["depth"], contents["depth"] or 0.0
        if abs(depth - wanted) > _TOLERANCE * max(1.0, wanted):
            yield finding(path, f"depth is {depth}, that of its training set {wanted}", "composition")
    if base := parents.get("start"):
        is_trained = any(name.endswith(".safetensors") for name in base["files"])
        own = "pretrained" if is_trained else "fresh"
        start = own if entry["regime"] == FOUNDER else params.regimes[entry["regime"]].start
        if entry["contents"]["start"] != start:
            yield finding(path, f"started from {entry['contents']['start']} weights, must be {start}", "params")


def owed(params: Params, receipt_of: ReceiptOf, entries: Mapping[str, Entry]) -> dict[str, Owed]:
    """What each artefact owes to the receipts before it and to its regime's gate; a lineage ends here where a receipt is broken."""
    found: dict[str, Owed] = {}
    human = receipt_of(HUMAN_RECEIPT, "human")
    for seed in params.seeds:
        found[f"{FOUNDER}/{seed}/g0/model"] = Owed(stop_of(human, "block", "g0") if human else None, [], HUMAN_RECEIPT)
    for name, regime in params.regimes.items():
        for seed in params.seeds:
            found |= _lineage([Place(name, seed, generation) for generation in params.generations], regime, receipt_of, entries)
    return found


def _lineage(places: list[Place], regime: Regime, receipt_of: ReceiptOf, entries: Mapping[str, Entry]) -> dict[str, Owed]:
    found: dict[str, Owed] = {}
    stop: Mapping[str, Any] | None = None
    waivers: list[dict[str, Any]] = []  # of the training set
    for place in places:
        own = f"{place.regime}/{place.seed}/{place.generation}"
        found[f"{own}/training"] = Owed(stop, waivers)
        training = receipt_of(place.receipt("training"), "training") if stop is None else None
        if stop is None and training is None:
            break
        if training is not None and place.number:
            is_empty = (entries.get(f"{own}/training", {}).get("contents") or {}).get("num_rows") == 0
            stop = stop_of(training, "block" if is_empty else regime.gate, place.generation)
            waivers = [*waivers, *_waiver(training, place)] if stop is None else []
        if place.number:
            found[f"{own}/model"] = Owed(stop, waivers, place.receipt("training"))
        found |= {f"{own}/{dataset}": Owed(stop) for dataset in ("offspring", "curated")}
        if training is not None and stop is None:
            if (offspring := receipt_of(place.receipt("offspring"), "offspring")) is None:
                break
            stops = (stop_of(receipt, regime.gate, place.generation) for receipt in (offspring, training))
            stop = next((found for found in stops if found), None)
            kept = found[f"{own}/training"].waivers + _waiver(training, place) if regime.weights.previous else []
            waivers = [*kept, *_waiver(offspring, place)] if regime.weights.offspring else kept
    return found


def _waiver(receipt: Receipt, place: Place) -> list[dict[str, Any]]:
    rules = waived_rules(receipt)
    return [{"dataset": receipt["kind"], "generation": place.generation, "rules": rules}] if rules else []


def _whole(evidence: Evidence, path: Path, dataset: str) -> Receipt | None:
    """A receipt; None where it is not a whole one, which is told with the receipts."""
    try:
        receipt: Receipt = evidence.json(path)
    except FileError:
        return None
    return receipt if fault_of(receipt, dataset) is None else None


def _kept(name: str, owes: Owed, entry: Entry, evidence: Evidence) -> Iterator[Finding]:
    if entry["stopped_by"] != owes.stop:
        yield Finding(entry["path"], "receipt", _other_stop(entry["stopped_by"], owes.stop))
    if entry["status"] == NOT_BRED or owes.stop:
        return
    path = Path(entry["path"]) / MAKING
    making = evidence.json(path)
    if owes.receipt and making["receipt"] != (now := evidence.sha256(owes.receipt)):
        yield finding(path, f"was trained under the receipt of {short(making['receipt'])}, {owes.receipt} is {short(now)}", "receipt")
    for where, said in ((entry_path(name), entry["waivers"]), (path, making.get("waivers", []))):
        for waiver in said:
            if waiver not in owes.waivers:
                yield finding(where, f"waives {_told(waiver)}, which no receipt and no gate of params.yaml knows: forged", "waiver")
        for waiver in owes.waivers:
            if waiver not in said:
                yield finding(where, f"does not record the waiver of {_told(waiver)}", "waiver")


def _other_stop(said: Mapping[str, Any] | None, stop: Mapping[str, Any] | None) -> str:
    if stop is None:
        return "is said not to be bred, but no receipt stops it under its regime's gate"
    if said is None:
        broken = f"{stop['inspection']} its inspection ({'; '.join(stop['rules'])})"
        return f"was made although the {stop['dataset']} data of {stop['generation']} {broken} and params.yaml waives nothing"
    return "gives another reason for not being bred than the receipts do"


def _told(waiver: Mapping[str, Any]) -> str:
    return f"the {waiver['dataset']} of {waiver['generation']} ({'; '.join(waiver['rules'])})"
