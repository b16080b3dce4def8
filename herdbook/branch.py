"""Trees for a terminal, drawn in time proportional to their lines; rich draws a branch of its Tree anew in each ancestor."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text


@dataclass
class Branch:
    """A label of one line, and what stems from it."""

    label: "Text"
    stems: "list[Branch]" = field(default_factory=list)

    def add(self, label: "Text") -> "Branch":
        """A new stem, after those that there are."""
        self.stems.append(Branch(label))
        return self.stems[-1]

    def drawn(self) -> "Text":
        """All of it, a label a line, with guides."""
        from rich.text import Text

        return Text("\n").join([self.label, *self._lines("")])

    def _lines(self, lead: str) -> "Iterator[Text]":
        from rich.text import Text

        for number, stem in enumerate(self.stems, start=1):
            is_last = number == len(self.stems)
            yield Text(lead + ("└── " if is_last else "├── ")).append_text(stem.label)
            yield from stem._lines(lead + ("    " if is_last else "│   "))
