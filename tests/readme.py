"""What the documents say of committed results: `python -m tests.readme` writes it between their marks."""

import json
from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from pathlib import Path

from herdbook.calibration.check import results
from herdbook.calibration.table import table as calibration_table
from herdbook.summary import HEADER, spread, table, verdicts

ROOT = Path(__file__).parents[1]
SHOWN = {  # figures of each experiment: column and decimals
    "verified": {"held_out_accuracy": 3, "offspring_answer_accuracy": 3, "offspring_problem_coverage": 3},
    "curated-vs-indiscriminate": {"held_out_loss_nats": 3, "offspring_distinct_2": 3, "offspring_tail_coverage": 3},
    "shumailov-2024": {"held_out_loss_nats": 3, "offspring_repetition": 3, "offspring_nll_distance_nats": 3},
    "gerstgrasser-2024": {"held_out_loss_nats": 3, "offspring_distinct_2": 3, "offspring_tail_coverage": 3},
    "kazdan-2024": {"held_out_loss_nats": 3, "offspring_distinct_2": 3, "offspring_tail_coverage": 3},
    "drayson-2025": {"held_out_loss_nats": 3, "offspring_repetition": 3, "offspring_tail_coverage": 3},
}


def lines_of(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, ["---"] * len(header), *rows])


def closing(folder: Path) -> str:
    """The closing table of a run."""
    rows = [HEADER, *table(json.loads((folder / "reports/metrics.json").read_text()))]
    cells = [[cell.replace("\n", " ") for cell in astuple(row)] for row in rows]
    return lines_of(cells[0], cells[1:])


def root(folder: Path) -> str:
    """The root of the book of a run."""
    return f"`{json.loads((folder / 'reports/book.json').read_text())['root']}`\n"


def judged(folder: Path) -> str:
    """Each claim of a run with its verdict, each control with what it showed."""
    found = json.loads((folder / "reports/verdicts.json").read_text())
    claims = [f"- *{claim['document']['sentence']}* **{_capital(claim['in_words'])}.**\n" for claim in found["claims"]]
    return "".join([*claims, *(f"- Control `{control['id']}` {control['in_words']}.\n" for control in found["controls"])])


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def experiment(name: str) -> str:
    """What an experiment showed: figures by regime and generation, then its verdicts."""
    folder = ROOT / "experiments" / name
    metrics = json.loads((folder / "reports/metrics.json").read_text())
    header = ["regime", "gen", *(column.replace("_", " ") for column in SHOWN[name]), "training", "offspring"]
    rows = [
        [
            regime,
            generation,
            *(spread(entry[column], decimals) for column, decimals in SHOWN[name].items()),
            *(verdicts(entry[f"{dataset}_verdicts"]) for dataset in ("training", "offspring")),
        ]
        for regime, generations in metrics.items()
        for generation, entry in sorted(generations.items())
    ]
    return f"\n{lines_of(header, rows)}\n{judged(folder)}\n"


def break_even() -> str:
    """The measured break-even of verifiers beside Feng's."""
    found = json.loads((ROOT / "bench/verifiers.json").read_text())["kinds"]
    rows = [
        [kind, psi.removeprefix("psi "), str(one["break_even_feng"]), str(one["break_even_measured"])]
        for kind, by_psi in found.items()
        for psi, one in sorted(by_psi.items(), reverse=True)
    ]
    return lines_of(["wrong answers", "psi", "p* = 1/(1 + psi)", "measured"], rows)


def calibrations() -> str:
    """All checks of all calibrations."""
    return calibration_table(results(ROOT / "reports/calibration"))


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"metrics": partial(closing, ROOT), "verdicts": partial(judged, ROOT), "root": partial(root, ROOT)},
    "docs/calibration.md": {"calibrations": calibrations},
    "docs/curation.md": {
        "break-even": break_even,
        **{name: partial(experiment, name) for name in ("verified", "curated-vs-indiscriminate")},
    },
    "docs/protocols.md": {name: partial(experiment, name) for name in SHOWN if name.endswith(("2024", "2025"))},
}


def with_results(document: str) -> str:
    """A document with what its marks stand for between them."""
    text = (ROOT / document).read_text()
    for name, content in BLOCKS[document].items():
        begin, end = f"<!-- {name}: from committed results, held to them by tests/test_readme.py -->\n", f"<!-- end of {name} -->"
        assert begin in text, f"{document} has no mark {begin}"
        assert end in text, f"{document} has no mark {end}"
        head, _, rest = text.partition(begin)
        text = head + begin + content() + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    for name in BLOCKS:
        (ROOT / name).write_text(with_results(name))
