"""The calibrations as Markdown, from their results."""

from collections.abc import Mapping, Sequence
from typing import Any

from herdbook.calibration.check import allowed, results


def table(found: Sequence[Mapping[str, Any]] | None = None) -> str:
    """A line a check, calibration by calibration: what, what is known, what was found, what is allowed, whether it passed.

    Without results, those under reports/calibration are read; FileError where one is missing."""
    lines = ["| calibration | check | known | found | allowed | |", "|---|---|---|---|---|---|"]
    for one in results() if found is None else found:
        for check in one["checks"]:
            verdict = "passed" if check["passed"] else "**failed**"
            cells = (one["name"], check["what"], _cell(check["expected"]), _cell(check["found"]), allowed(*check["interval"]), verdict)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
