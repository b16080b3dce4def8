"""Receipts: the recorded verdict of one inspection, bound to the bytes inspected and to the policy used.

A failed inspection is a result and is recorded; data without a receipt for exactly its bytes under the
present policy is refused. Whoever reads inspected data calls read_inspected first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from herdbook.errors import FileError, InspectionError
from herdbook.files import digest, read_json
from herdbook.layout import EXPECTATIONS, HUMAN_RECEIPT, HUMAN_TRAIN, MAKING, Place
from herdbook.lineage import NOT_BRED


def policy_paths(kind: str) -> tuple[Path, Path]:
    """The row contract and the profile policy of a kind of dataset: human, training or offspring."""
    return EXPECTATIONS / f"{kind}_rows.yaml", EXPECTATIONS / f"{kind}_profile.yaml"


def make_receipt(
    kind: str, data: Mapping[str, Path], rules: Sequence[Mapping[str, Any]], parameters: Mapping[str, float]
) -> dict[str, Any]:
    """The receipt of `data` (role -> file) as it lies there now; `rules` and `parameters` as gate.evaluate returns them."""
    return {
        "kind": kind,
        "status": _status(rules),
        "data": _digests(data),
        "policies": _policy_digests(kind),
        "parameters": dict(parameters),
        "rules": [dict(rule) for rule in rules],
    }


def not_bred_receipt(kind: str, stop: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in place of a receipt, and of a profile, where the lineage ended before: the reason."""
    return {**stop, "kind": kind, "status": NOT_BRED}


def read_inspected(data: Mapping[str, Path], receipt: Path, kind: str) -> dict[str, Any]:
    """The receipt of `data`, whatever its verdict; InspectionError unless it is for exactly these bytes and this policy."""
    found = _read(receipt, kind)
    for role, path in data.items():
        try:
            now = digest(path)
        except FileError as error:
            raise InspectionError(f"{path}: not found, but {receipt} is about it; run dvc repro") from error
        _demand_same(found["data"].get(role), now, path, receipt, "was not inspected with these bytes")
    for name, now in _policy_digests(kind).items():
        _demand_same(found["policies"].get(name), now, EXPECTATIONS / name, receipt, "is not the policy it was inspected under")
    return found


def read_passed_human() -> Path:
    """The human training rows, inspected and passed: their gate always blocks. InspectionError otherwise."""
    receipt = read_inspected({"rows": HUMAN_TRAIN}, HUMAN_RECEIPT, "human")
    if stop := stop_of(receipt, "block", "g0"):
        raise InspectionError(
            f"{HUMAN_TRAIN} breaks {len(stop['rules'])} of {len(receipt['rules'])} rules ({'; '.join(stop['rules'])}); "
            f"see {HUMAN_RECEIPT}, then mend the corpus or the policy"
        )
    return HUMAN_TRAIN


def training_data(place: Place) -> dict[str, Path]:
    """What a receipt of a training set is about: its rows, the pool they were drawn from, and the making with its waivers."""
    return {name: place.training / file for name, file in (("rows", "rows.parquet"), ("pool", "pool.parquet"), ("making", MAKING))}


def stop_of(receipt: Mapping[str, Any], gate: str, generation: str) -> dict[str, Any] | None:
    """Why a lineage under `gate` (block or waive) ends at this dataset of `generation`; None where it goes on."""
    if receipt["status"] == "passed" or gate == "waive":
        return None
    return {"generation": generation, "dataset": receipt["kind"], "inspection": receipt["status"], "rules": waived_rules(receipt)}


def waived_rules(receipt: Mapping[str, Any]) -> list[str]:
    """The critical rules that the dataset did not pass, as "column: rule": what goes on record when a regime waives them."""
    broken = [rule for rule in receipt["rules"] if rule["severity"] == "critical" and rule["status"] != "passed"]
    return sorted({f"{rule['column']}: {rule['rule']}" if rule["column"] else rule["rule"] for rule in broken})


def _status(rules: Sequence[Mapping[str, Any]]) -> str:
    critical = {rule["status"] for rule in rules if rule["severity"] == "critical"}
    return next((status for status in ("errored", "failed") if status in critical), "passed")


def _digests(data: Mapping[str, Path]) -> dict[str, str]:
    return {role: digest(path) for role, path in data.items()}


def _policy_digests(kind: str) -> dict[str, str]:
    return {path.name: digest(path) for path in policy_paths(kind)}


def _read(path: Path, kind: str) -> dict[str, Any]:
    """A whole receipt of a dataset of `kind`, whose status is what its rules say."""
    if not path.exists():
        raise InspectionError(f"{path}: not found, so its data was never inspected and may not be used; run dvc repro")
    try:
        receipt = read_json(path)
    except (FileError, OSError, RecursionError) as error:
        raise InspectionError(f"{path}: cannot be read as a receipt, so its data may not be used; remove it and run dvc repro") from error
    fault = fault_of(receipt, kind)
    if fault:
        raise InspectionError(f"{path}: {fault}, so its data may not be used; remove it and run dvc repro")
    return receipt


def fault_of(receipt: Any, kind: str) -> str | None:
    """Why a value is no whole receipt of a dataset of `kind`, whose status is what its rules say; None where it is one."""
    if not isinstance(receipt, dict) or receipt.get("kind") != kind:
        return f"not a receipt of {kind} data"
    if receipt.get("status") == NOT_BRED:
        return "says that this generation was not bred"
    if not all(isinstance(receipt.get(key), dict) for key in ("data", "policies", "parameters")):
        return "lacks data, policies or parameters"
    rules = receipt.get("rules")
    if not isinstance(rules, list) or not all(map(_is_rule, rules)):
        return "has no readable rules"
    if {rule["suite"] for rule in rules} != {path.stem for path in policy_paths(kind)}:
        return "does not hold the rules of both policies"
    if receipt.get("status") != _status(rules):
        return f"says {receipt.get('status')!r} where its rules say {_status(rules)!r}"
    return None


def _is_rule(rule: Any) -> bool:
    if not isinstance(rule, dict) or not all(isinstance(rule.get(field), str) for field in ("suite", "rule", "severity")):
        return False
    return isinstance(rule.get("column"), str | None) and rule.get("status") in ("passed", "failed", "errored")


def _demand_same(recorded: object, now: str, path: Path, receipt: Path, what: str) -> None:
    if recorded != now:
        found = f"sha256 {now[:12]}, the receipt says {str(recorded)[:12] if recorded else 'nothing of it'}"
        raise InspectionError(f"{path}: {what} ({found} in {receipt}), so it may not be used; run dvc repro to inspect it anew")
