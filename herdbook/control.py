"""What a claim and its controls are made of: contrasts of generations, bounds, and the controls themselves."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_serializer, model_validator

from herdbook.files import canonical_json, digest_bytes


def _plain(text: str) -> str:
    words = " ".join(text.split())
    if not words or not words.isprintable():
        raise ValueError("must be text without control characters, and not empty; write it")
    return words


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] < 0 < bounds[1]:
        raise ValueError("must be [LOW, HIGH] with LOW below 0 and HIGH above it; correct them")
    return bounds


def _distinct(seeds: tuple[str, ...]) -> tuple[str, ...]:
    if repeated := [seed for seed in seeds if seeds.count(seed) > 1]:
        raise ValueError(f"name {repeated[0]} twice, and one seed is one pair; name each once")
    return seeds


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Words = Annotated[str, AfterValidator(_plain)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
Metric = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Bounds = Annotated[tuple[Number, Number], AfterValidator(_in_order)]
Seed = Annotated[str, StringConstraints(pattern="^s[0-9]+$")]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=2), AfterValidator(_distinct)]


class Part(BaseModel):
    """A frozen part of hypotheses.yaml, in which every key is known and every number finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cell(Part):
    """A generation of a regime over all seeds, written "REGIME GENERATION", such as replace g3."""

    regime: str
    generation: Annotated[int, Field(ge=0)]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        found = re.fullmatch(r"([a-z][a-z0-9_]*) g(0|[1-9]\d{0,5})", value) if isinstance(value, str) else None
        if found is None:
            raise ValueError('must be "REGIME GENERATION", such as replace g3; correct it')
        return {"regime": found[1], "generation": int(found[2])}

    @model_serializer
    def __str__(self) -> str:
        return f"{self.regime} g{self.generation}"


class Contrast(Part):
    """What is subtracted from what, seed by seed: treatment minus control."""

    treatment: Cell
    control: Cell

    @model_validator(mode="after")
    def _differ(self) -> "Contrast":
        if self.treatment == self.control:
            raise ValueError(f"treatment and control are both {self.treatment}, which compares nothing; name two")
        return self


class Must(Part):
    """What the mean difference of a control has to be; exactly one of the three is given."""

    above: Annotated[Number, Field(ge=0)] | None = None
    below: Annotated[Number, Field(le=0)] | None = None
    within: Bounds | None = None

    @model_validator(mode="after")
    def _one(self) -> "Must":
        if len(self.given()) != 1:
            raise ValueError("must hold one of above, below, within; keep one")
        return self

    @model_serializer
    def given(self) -> dict[str, Any]:
        """What is given, by its name."""
        bounds = {"above": self.above, "below": self.below, "within": self.within and list(self.within)}
        return {name: bound for name, bound in bounds.items() if bound is not None}

    def holds(self, mean: float) -> bool:
        """Whether a mean difference is as it must be."""
        low, high = self.within or (self.above, self.below)
        return (low is None or mean > low) and (high is None or mean < high)


class Control(Part):
    """A check of the instrument on the claim's own kind of data: something known must show, or must not.

    It is judged on the mean difference over its seeds alone and is no test: an instrument that shows what is known only in a
    significant number of cases is not one to draw conclusions with."""

    id: Id
    kind: Literal["positive", "negative"]
    sentence: Words
    contrast: Contrast
    metric: Metric
    must: Must
    seeds: Seeds

    @model_validator(mode="after")
    def _can_fail(self) -> "Control":
        if (self.kind == "negative") != (self.must.within is not None):
            raise ValueError("must is {above: x} or {below: x} where kind is positive, {within: [a, b]} where it is negative; correct one")
        return self

    @property
    def document(self) -> dict[str, Any]:
        """All of it as plain values, in the one form that is hashed."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """sha256 of the document's canonical JSON, in hex."""
        return digest_bytes(canonical_json(self.document).encode())
