"""Claims and the controls they rest on, read strictly from hypotheses.yaml.

A claim says beforehand what is compared, on which seeds, by which estimator, and from which size on an effect would
matter. Its document is all of that in one form, with its controls, the level of the family and the version of the
analysis; its digest therefore changes with any of them. docs/claims.md has the format and the reasons."""

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from herdbook.collapse import COLLAPSE
from herdbook.control import Bounds, Contrast, Control, Id, Metric, Number, Part, Seeds, Words
from herdbook.errors import ClaimError
from herdbook.files import canonical_json, digest_bytes, strict_yaml
from herdbook.judgement import ANALYSIS, MOST_FLIPS, Direction, Estimator


def _known_collapse(name: str) -> str:
    if name not in COLLAPSE:
        raise ValueError(
            f"collapse is {reprlib.repr(name)}, must be one of {', '.join(COLLAPSE)}; name the definition that the claim speaks of"
        )
    return name


Collapse = Annotated[str, AfterValidator(_known_collapse)]


class Source(Part):
    """Who says so: a paper and its table or section, and whether the claim replicates what stands there."""

    cite: Words
    replicates: Annotated[bool, Field(strict=True)]


class Looks(Part):
    """Numbers of seeds at which results are looked at, declared beforehand."""

    looks: Annotated[tuple[Annotated[int, Field(strict=True, ge=2)], ...], Field(min_length=1)]


class Claim(Part):
    """One claim: a contrast, how it is judged, and from which size on it would matter.

    Numbers are in the metric's unit. With direction greater, the claim is that treatment minus control lies above the upper
    bound of `equivalence`; with less, below the lower one."""

    id: Id
    sentence: Words
    collapse: Collapse  # key of COLLAPSE
    source: Source | None
    use_case: Words
    proposed: Words  # the solution that the literature proposes
    contrast: Contrast
    metric: Metric
    estimator: Estimator
    direction: Direction
    smallest_effect: Annotated[Number, Field(gt=0)]
    equivalence: Bounds
    seeds: Seeds
    stopping: Literal["fixed"] | Looks
    exclusions: Literal["none", "not_bred"]
    positive_control: Control
    negative_control: Control
    analysis: int  # this and the next are the file's
    alpha: float

    @model_validator(mode="after")
    def _can_be_decided(self) -> "Claim":
        bound = self.equivalence[1] if self.direction == "greater" else -self.equivalence[0]
        if self.smallest_effect <= bound:
            raise ValueError(
                f"smallest_effect is {self.smallest_effect}, must be beyond the bound of equivalence in the claimed direction, {bound}: "
                "an effect cannot both matter and be as good as none; correct one of them"
            )
        if sorted(set(self.looks)) != list(self.looks) or self.looks[-1] != len(self.seeds):
            raise ValueError(f"stopping looks at {list(self.looks)} seeds, must increase and end with all {len(self.seeds)}; correct it")
        if self.estimator != "mean_t" and len(self.seeds) > MOST_FLIPS:
            raise ValueError(
                f"estimator {self.estimator} counts all 2^{len(self.seeds)} sign flips of {len(self.seeds)} seeds; "
                f"name at most {MOST_FLIPS}, or take mean_t"
            )
        if self.estimator != "mean_t" and 2.0 ** -len(self.seeds) > self.level / 2:
            needed = math.ceil(-math.log2(self.level / 2))
            raise ValueError(
                f"estimator {self.estimator} gives no p below 2/2^{len(self.seeds)} with {len(self.seeds)} seeds, so it can show nothing "
                f"at alpha {self.level:.4g}; name at least {needed} seeds, or take mean_t"
            )
        return self

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds at which it is judged, the last being all of them."""
        return (len(self.seeds),) if isinstance(self.stopping, str) else self.stopping.looks

    @property
    def level(self) -> float:
        """The level of each look: alpha shared out evenly (Bonferroni)."""
        return self.alpha / len(self.looks)

    @property
    def controls(self) -> tuple[Control, Control]:
        """The positive one, then the negative one."""
        return self.positive_control, self.negative_control

    @property
    def document(self) -> dict[str, Any]:
        """All of it as plain values, controls, analysis and alpha included, in the one form that is hashed."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """sha256 of the document's canonical JSON, in hex."""
        return digest_bytes(canonical_json(self.document).encode())


class Hypotheses(Part):
    """The content of hypotheses.yaml."""

    analysis: Annotated[int, Field(strict=True)]
    alpha: Annotated[Number, Field(ge=1e-6, le=0.1)]
    controls: tuple[Control, ...]
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Standing:
    """Whether a claim was registered before its results, and if not so, why not."""

    registered: bool
    reasons: tuple[str, ...] = ()


_OF_THE_FILE = ("analysis", "alpha")
_Model = TypeVar("_Model", bound=BaseModel)


def read_hypotheses(path: Path) -> Hypotheses:
    """The checked content of `path`; ClaimError names the file, the entry and what to do."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ClaimError(f"{path}: cannot be read ({error.strerror}); write it, with empty lists where nothing is claimed") from error
    except ValueError as error:
        raise ClaimError(f"{path}: not UTF-8 ({error}); correct it") from error
    return parse_hypotheses(text, str(path))


def parse_hypotheses(text: str, where: str) -> Hypotheses:
    """The checked content of a text of hypotheses.yaml; ClaimError as read_hypotheses, with `where` in place of the path."""
    try:
        document = strict_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ClaimError(f"{where}: not YAML ({' '.join(str(error).split())[:200]}); correct it") from error
    head = _checked(Hypotheses, {**_mapping(document, where), "controls": [], "claims": []}, where)
    if head.analysis != ANALYSIS:
        raise ClaimError(f"{where}: analysis is {head.analysis}, this herdbook computes analysis {ANALYSIS}; look at the claims and set it")
    found: dict[str, Control | Claim] = {}
    for kind in ("controls", "claims"):
        entries = document.get(kind)
        if not isinstance(entries, list):
            raise ClaimError(f"{where}: {kind} is {_shown(entries)}, must be a list; write [] where there are none")
        for number, entry in enumerate(entries, 1):
            place = _place(where, kind, number, entry)
            made = _control(entry, place) if kind == "controls" else _claim(entry, place, head, found)
            if made.id in found:
                raise ClaimError(f"{place}: id {made.id} stands twice; give each control and each claim its own")
            found[made.id] = made
    controls = tuple(made for made in found.values() if isinstance(made, Control))
    claims = tuple(made for made in found.values() if isinstance(made, Claim))
    return head.model_copy(update={"controls": controls, "claims": claims})


def _control(entry: Any, place: str) -> Control:
    return _checked(Control, _mapping(entry, place), place)


def _claim(entry: Any, place: str, head: Hypotheses, found: Mapping[str, Control | Claim]) -> Claim:
    values = dict(_mapping(entry, place))
    if own := [key for key in _OF_THE_FILE if key in values]:
        raise ClaimError(f"{place}: unknown key {own[0]!r}; it is said once for the whole file, remove it here")
    for kind in ("positive", "negative"):
        key = f"{kind}_control"
        fitting = {made.id: made for made in found.values() if isinstance(made, Control) and made.kind == kind}
        if key in values:
            name = values[key]
            if not isinstance(name, str) or name not in fitting:
                raise ClaimError(f"{place}: {key} is {_shown(name)}, must be one of: {', '.join(fitting) or 'none'}; name or write one")
            values[key] = fitting[name]
    return _checked(Claim, {**values, "analysis": head.analysis, "alpha": head.alpha}, place)


def _mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ClaimError(f"{place}: is {_shown(value)}, must be a mapping of names to values; correct it")
    return value


def _place(where: str, kind: str, number: int, entry: Any) -> str:
    name = entry.get("id") if isinstance(entry, dict) else None
    return f"{where}: {kind} {number}" + (f" ({name[:60]})" if isinstance(name, str) else "")


def _checked(model: type[_Model], values: Mapping[str, Any], place: str) -> _Model:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ClaimError(f"{place}: {_fault(error.errors(include_url=False)[0], model)}") from error


def _fault(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    """One fault that pydantic found in an entry, and what to do about it."""
    key, message = ".".join(str(part) for part in error["loc"]), error["msg"].replace("Input should", "must")
    allowed = ", ".join(name for name in model.model_fields if model is Hypotheses or name not in _OF_THE_FILE)
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}" + (f"; allowed: {allowed}" if len(error["loc"]) == 1 else "") + "; correct its name or remove it"
    if error["type"] == "missing":
        return f"{key} is missing; write it"
    if error["loc"] and error["loc"][0] == "stopping":
        return f"stopping is {_shown(error['input'])}, must be fixed or {{looks: [FIRST, SECOND, ...]}}, each at least 2 seeds; correct it"
    if error["type"] == "value_error":
        reason = message.removeprefix("Value error, ")
        return f"{key} {reason}" if key and not reason.startswith(key) else reason
    return f"{key} is {_shown(error['input'])}, {message[:1].lower()}{message[1:]}; correct it"


def _shown(value: Any) -> str:
    return reprlib.repr(value)[:80]
