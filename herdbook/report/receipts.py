"""The receipts of a run as data for the page: each rule, note and finding once, however many datasets share it."""

from collections.abc import Hashable, Mapping
from typing import Any

from herdbook.lineage import NOT_BRED
from herdbook.records import DATASETS, Generation
from herdbook.report.run import Run


def rule_name(rule: Mapping[str, Any]) -> str:
    """A rule as `column: rule`."""
    return f"{rule['column']}: {rule['rule']}" if rule["column"] else rule["rule"]


class _Interned:
    """Values in the order in which they were first met, each once."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def number(self, *value: Hashable) -> int:
        """The place of a value among all, from 0."""
        return self._numbers.setdefault(value, len(self._numbers))

    @property
    def values(self) -> list[Any]:
        """All values."""
        return list(self._numbers)


def receipts(run: Run) -> dict[str, Any]:
    """All receipts, of the human rows too.

    rules: [suite, name, severity, note]; policies: [file, sha256]; lines: [number of its rule, status, observed,
    allowed, error], texts or None; datasets: regime -> seed -> generation -> dataset -> receipt, which is {verdict, data:
    role -> sha256, policies: numbers, lines: numbers} or, where nothing was bred, {verdict, why}; human: a receipt."""
    rules, policies, lines = _Interned(), _Interned(), _Interned()

    def told(receipt: Mapping[str, Any], verdict: str) -> dict[str, Any]:
        return {
            "verdict": verdict,
            "data": receipt["data"],
            "policies": [policies.number(*pair) for pair in sorted(receipt["policies"].items())],
            "lines": [
                lines.number(
                    rules.number(rule["suite"], rule_name(rule), rule["severity"], rule["notes"] or ""),
                    rule["status"], *(_text(rule[key]) for key in ("observed", "allowed", "error")),
                )
                for rule in receipt["rules"]
            ],
        }  # fmt: skip

    datasets: dict[str, Any] = {}
    for generation in run.generations:
        place = generation.place
        datasets.setdefault(place.regime, {}).setdefault(place.seed, {})[place.generation] = {
            dataset: told(generation.receipts[dataset], verdict) if verdict != NOT_BRED else {"verdict": verdict, "why": why(generation)}
            for dataset in DATASETS
            for verdict in [generation.verdict(dataset)]
        }
    human = told(run.human_receipt, run.human_receipt["status"])
    return {"rules": rules.values, "policies": policies.values, "lines": lines.values, "datasets": datasets, "human": human}


def why(generation: Generation) -> str:
    """What ended the lineage of a generation that was not bred."""
    return f"the {generation.stopped_at} broke {'; '.join(generation.stopped_by)}"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
