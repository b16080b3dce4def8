"""What the gate said of each dataset, and every receipt on demand."""

from collections.abc import Sequence
from typing import Any

from herdbook.lineage import NOT_BRED
from herdbook.policy import SEVERITIES
from herdbook.records import DATASETS, Generation
from herdbook.report.receipts import receipts, rule_name
from herdbook.report.run import Run
from herdbook.report.section import Section


def section(run: Run) -> Section:
    """The section of the verdicts of the gate, with all receipts as data for its dialog."""
    own = {regime: [found for found in run.generations if found.place.regime == regime] for regime in run.params.regimes}
    context = {
        "lineages": {regime: [run.lineage(regime, seed) for seed in run.params.seeds] for regime in own},
        "broken": {regime: broken(generations) for regime, generations in own.items()},
    }
    return Section(name="gate", link="Gate", context=context, data={"receipts": receipts(run)})


def broken(generations: Sequence[Generation]) -> list[dict[str, Any]]:
    """The rules that some dataset did not pass, sorted: how many of how many datasets did not, and the first that did not."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    inspected = [(dataset, generation) for dataset in DATASETS for generation in generations if generation.verdict(dataset) != NOT_BRED]
    for dataset, generation in inspected:
        for rule in generation.receipts[dataset]["rules"]:
            if rule["status"] != "passed":
                one = found.setdefault(
                    (dataset, rule_name(rule), rule["severity"]),
                    {**rule, "dataset": dataset, "name": rule_name(rule), "num_broken": 0, "place": generation.place},
                )
                one["num_broken"] += 1
    num_inspected = {dataset: sum(one == dataset for one, _ in inspected) for dataset in DATASETS}
    order = sorted(found, key=lambda key: (SEVERITIES.index(key[2]), DATASETS.index(key[0]), key))  # what stops a lineage first
    return [{**found[key], "num_inspected": num_inspected[key[0]]} for key in order]
