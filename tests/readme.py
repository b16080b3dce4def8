"""The table of README.md, made from the committed metrics. `python -m tests.readme` writes it."""

import json
from dataclasses import astuple
from pathlib import Path

from herdbook.summary import HEADER, table

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- metrics: from reports/metrics.json, held to it by tests/test_readme.py -->\n", "<!-- end of metrics -->"


def rendered() -> str:
    """The table as Markdown."""
    rows = [HEADER, *table(json.loads((ROOT / "reports/metrics.json").read_text()))]
    lines = ["| " + " | ".join(astuple(row)).replace("\n", " ") + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(astuple(HEADER)), *lines[1:]]) + "\n"


def with_table(text: str) -> str:
    """`text` with the table between its marks."""
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + rendered() + END + rest.partition(END)[2]


if __name__ == "__main__":
    (ROOT / "README.md").write_text(with_table((ROOT / "README.md").read_text()))
