"""What is bred, what is stale, and what the gate said: the state of a project, or of an experiment, as it lies here."""

import csv
import fcntl
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from herdbook.claimed import claimed
from herdbook.corpus import dvc_digest, recorded_digest
from herdbook.errors import FileError
from herdbook.files import read_json
from herdbook.layout import BOOK_ROOT, CORPUS, FOUNDER, GENERATIONS, PARAMS, RECORDS, RUNS, Place
from herdbook.lineage import NOT_BRED
from herdbook.params import Params, read_params
from herdbook.phases import Begin, unseen
from herdbook.records import DATASETS, lineage_places, read_object
from herdbook.staleness import StageState, stage_states

_RUN = Path(".dvc", "tmp", "herdbook-run.json")  # held by a run, as long as it lasts (flows/turn.py)

CorpusState = Literal["as recorded", "not recorded", "differs", "missing"]
State = Literal["bred", "not bred", "stale", "may change", "begun", "never run"]  # may change: only what it descends from is stale
STATES: tuple[State, ...] = ("bred", "not bred", "stale", "may change", "begun", "never run")


@dataclass(frozen=True)
class Bred:
    """One generation of one lineage: whether it stands, and what is recorded of it; None for what is not."""

    regime: str
    seed: str
    generation: str
    state: State
    training: str | None  # verdicts of the gate
    offspring: str | None
    human_share: float | None  # of the tokens of its training set
    depth: float | None  # mean, of its training set


@dataclass(frozen=True)
class Status:
    """The state of what lies in the working directory."""

    corpus: CorpusState
    stages: tuple[StageState, ...]
    lineages: tuple[Bred, ...]
    claims: tuple[Mapping[str, Any], ...]
    book: Mapping[str, Any] | None  # root and num_entries; None before there is a book
    is_running: bool  # whether a run is under way here

    @property
    def stale(self) -> list[StageState]:
        """The stages of which something differs from dvc.lock."""
        return [stage for stage in self.stages if stage.is_stale]

    @property
    def following(self) -> list[StageState]:
        """The stages that only descend from stale ones: they run where those come out otherwise."""
        return [stage for stage in self.stages if stage.follows]

    @property
    def is_up_to_date(self) -> bool:
        """Whether a run would find nothing to do."""
        return not self.stale and self.corpus not in ("differs", "missing")


def status(begin: Begin = unseen) -> Status:
    """The state of the project in the working directory; nothing is run or written.

    Raises HerdbookError where parameters, claims, dvc.yaml or dvc.lock cannot be read."""
    params = read_params(PARAMS)
    stages = stage_states(Path(), begin)
    return Status(
        corpus=_corpus(),
        stages=tuple(stages),
        lineages=tuple(_lineages(params, stages)),
        claims=tuple(claimed()),
        book=_book(),
        is_running=_is_running(),
    )


def _book() -> Mapping[str, Any] | None:
    if not BOOK_ROOT.is_file():
        return None
    found = read_object(BOOK_ROOT)
    if not found.keys() >= {"root", "num_entries"}:
        raise FileError(f"{BOOK_ROOT}: names no root; write it anew: dvc repro book")
    return found


def _corpus() -> CorpusState:
    recorded = recorded_digest(CORPUS.with_suffix(".dvc"))
    if not (CORPUS / "manifest.json").is_file():
        return "missing"
    if recorded is None:
        return "not recorded"
    return "as recorded" if dvc_digest(CORPUS) == recorded else "differs"


def _is_running() -> bool:
    """Whether a process holds the turn of this checkout."""
    with suppress(OSError), _RUN.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lineages(params: Params, stages: Sequence[StageState]) -> list[Bred]:
    compared, states = _compared(), _states(stages)
    gates = {name: regime.gate for name, regime in params.regimes.items()}
    return [
        _bred(place, gates[place.regime], states, compared.get((place.regime, place.seed, str(place.number)), {}))
        for place in lineage_places(list(params.regimes), params.seeds, params.generations)
    ]


def _states(stages: Sequence[StageState]) -> dict[tuple[str, ...], list[StageState]]:
    """The stages that write into each (regime, seed, generation)."""
    found: dict[tuple[str, ...], list[StageState]] = {}
    for stage in stages:
        for place in {out.parts[1:4] for out in stage.outs if out.parts[0] in (RUNS.name, RECORDS.name)}:
            found.setdefault(place, []).append(stage)
    return found


def _compared() -> dict[tuple[str, str, str], Mapping[str, str]]:
    """The lines of reports/generations.csv, which git carries where records/ was not pulled."""
    if not GENERATIONS.is_file():
        return {}
    with GENERATIONS.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, restval=""))
    if not {"regime", "seed", "generation"} <= set(lines[0] if lines else ()):
        raise FileError(f"{GENERATIONS}: no table of generations; write it anew: dvc repro compare")
    return {(line["regime"], line["seed"], line["generation"]): line for line in lines}


def _bred(place: Place, gate: str, states: Mapping[tuple[str, ...], list[StageState]], line: Mapping[str, str]) -> Bred:
    own = [*states.get((place.regime, place.seed, place.generation), ())]
    if place.number == 0:
        own += states.get((FOUNDER, place.seed, "g0"), ())
    verdicts = {dataset: _verdict(place.receipt(dataset), gate) or line.get(f"{dataset}_verdict") or None for dataset in DATASETS}
    profile = _object(place.profile("training"))
    return Bred(
        regime=place.regime,
        seed=place.seed,
        generation=place.generation,
        state=_state(own, verdicts),
        training=verdicts["training"],
        offspring=verdicts["offspring"],
        human_share=_figure(profile, line, "human_token_share"),
        depth=_figure(profile, line, "depth_mean"),
    )


def _state(stages: Sequence[StageState], verdicts: Mapping[str, str | None]) -> State:
    stale = [stage for stage in stages if stage.is_stale]
    if stale and all(reason.kind == "never run" for stage in stale for reason in stage.reasons):
        return "never run" if len(stale) == len(stages) else "begun"
    if stale:
        return "stale"
    if any(stage.follows for stage in stages):
        return "may change"
    return "not bred" if NOT_BRED in verdicts.values() else "bred"


def _verdict(receipt: Path, gate: str) -> str | None:
    verdict = _object(receipt).get("status")
    return "waived" if verdict in ("failed", "errored") and gate == "waive" else verdict


def _figure(profile: Mapping[str, Any], line: Mapping[str, str], name: str) -> float | None:
    if isinstance(found := profile.get(name), (int, float)):
        return float(found)
    with suppress(ValueError):
        return float(line.get(f"training_{name}", ""))
    return None


def _object(path: Path) -> Mapping[str, Any]:
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def as_json(found: Status) -> dict[str, Any]:
    """A status as plain values."""
    return {
        "up_to_date": found.is_up_to_date,
        "running": found.is_running,
        "corpus": found.corpus,
        "num_stages": len(found.stages),
        "stale": [{"name": stage.name, "reasons": [asdict(reason) for reason in stage.reasons]} for stage in found.stale],
        "following": [stage.name for stage in found.following],
        "lineages": [asdict(each) for each in found.lineages],
        "claims": list(found.claims),
        "book": found.book,
    }


def families(stages: Sequence[StageState]) -> dict[str, int]:
    """How many of each stage, whatever its lineage: {train: 36}."""
    return dict(Counter(stage.name.partition("@")[0] for stage in stages))
