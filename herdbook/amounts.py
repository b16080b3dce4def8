"""Amounts that params.yaml gives in one of two forms: plain, or as a mapping that says more."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Count = Annotated[int, Field(ge=1, le=10**9, strict=True)]
FORMS = ("Plain", "Mapping")  # pydantic puts the form into the place of an error; no key is spelt so


class _Amount(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Growing(_Amount):
    """A number of rows that grows: `first` of the founder, and `added` with each generation."""

    first: Count
    added: Count


class Epochs(_Amount):
    """Passes over a generation's own training set."""

    epochs: Count


def _form(value: Any) -> str:
    return FORMS[isinstance(value, dict | BaseModel)]


NumRows = Annotated[Annotated[Count, Tag("Plain")] | Annotated[Growing, Tag("Mapping")], Discriminator(_form)]
# As many optimiser steps as the founder; train.epochs over the generation's own set; or epochs of the regime's own.
Compute = Annotated[Annotated[Literal["steps", "epochs"], Tag("Plain")] | Annotated[Epochs, Tag("Mapping")], Discriminator(_form)]


def rows_at(amount: int | Growing, generation: int) -> int:
    """How many rows this is in a generation; 0 is the founder's."""
    return amount if isinstance(amount, int) else amount.first + generation * amount.added
