"""What each regime does, and what came of it."""

from typing import Any

from herdbook.narrative import outcome, policy, stops
from herdbook.report.run import Run
from herdbook.report.section import Section


def section(run: Run) -> Section:
    """The section of the regimes."""
    return Section(name="regimes", link="Regimes", context={"regimes": [regime_of(name, run) for name in run.params.regimes]})


def regime_of(name: str, run: Run) -> dict[str, Any]:
    """What the page tells of one regime."""
    own = [generation for generation in run.generations if generation.place.regime == name]
    entries = {generation: run.metrics[name][generation] for generation in run.params.generations}
    return {
        "name": name,
        "policy": policy(run.params.regimes[name]),
        "outcome": outcome(entries, run.human.get("distinct_2")),
        "stops": stops(own),
    }
