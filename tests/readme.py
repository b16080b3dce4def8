"""What README.md says of the committed run: its table and the root of its book. `python -m tests.readme` writes both."""

import json
from dataclasses import astuple
from pathlib import Path

from herdbook.summary import HEADER, table

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- metrics: from reports/metrics.json, held to it by tests/test_readme.py -->\n", "<!-- end of metrics -->"
ROOT_MARK = "<!-- root: from reports/book.json, held to it by tests/test_readme.py -->\n"


def rendered() -> str:
    """The table as Markdown."""
    rows = [HEADER, *table(json.loads((ROOT / "reports/metrics.json").read_text()))]
    lines = ["| " + " | ".join(astuple(row)).replace("\n", " ") + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(astuple(HEADER)), *lines[1:]]) + "\n"


def with_figures(text: str) -> str:
    """`text` with the table between its marks, and the root after its own."""
    head, _, rest = text.partition(BEGIN)
    text = head + BEGIN + rendered() + END + rest.partition(END)[2]
    head, _, rest = text.partition(ROOT_MARK)
    root = json.loads((ROOT / "reports/book.json").read_text())["root"]
    return f"{head}{ROOT_MARK}`{root}`\n{rest.partition(chr(10))[2]}"


if __name__ == "__main__":
    (ROOT / "README.md").write_text(with_figures((ROOT / "README.md").read_text()))
