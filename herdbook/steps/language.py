"""The step that keeps rows of one language."""

from functools import cache
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
from pydantic import StringConstraints

from herdbook.errors import ParamsError
from herdbook.params import PositiveShare
from herdbook.steps.heuristics import texts
from herdbook.steps.step import Filter, Material, flagged

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier


class Language(Filter):
    """Rejects rows that are in `language` with a lower probability; in text without letters all languages are alike.

    By langid (Lui and Baldwin 2012, "langid.py: An off-the-shelf language identification tool"), in the version and with
    the weights of the pinned py3langid. Short rows, foreign names and cited words make human rows fail too: of 2,000
    blocks of 64 tokens of English Wikipedia 1.4 % fail at 0.5, and 25 % at 0.99. ParamsError where it does not know the language."""

    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] = "en"  # ISO 639
    min_probability: PositiveShare

    def faults(self, rows: pa.Table, material: Material) -> list[str | None]:
        """See Filter."""
        identifier = _identifier()
        if self.language not in identifier.labels:
            known = ", ".join(sorted(identifier.labels))
            raise ParamsError(f"step language: language is {self.language!r}, must be one of {known}; correct it in params.yaml")
        lines = (" ".join(text.split()) for text in texts(rows))  # it knows words by the blanks around them, not by line breaks
        return flagged([dict(identifier.rank(line))[self.language] < self.min_probability for line in lines])


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
