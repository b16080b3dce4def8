"""Problems whose answers a program can check, as a corpus that a lineage can be bred on."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from herdbook.errors import ParamsError
from herdbook.tasks.arithmetic import Arithmetic
from herdbook.tasks.family import Family
from herdbook.tasks.logic import Logic
from herdbook.tasks.programs import Programs
from herdbook.tasks.sorting import SortDigits

__all__ = ["FAMILIES", "Family", "accuracy", "coverage", "parse_task", "problems"]

FAMILIES: dict[str, type[Family]] = {
    "arithmetic": Arithmetic,
    "logic": Logic,
    "programs": Programs,
    "sort_digits": SortDigits,
}

# To draw each of n equally likely problems takes about n ln n draws; of 20 million, 17 n.
_DRAWS_EACH = 20
_DRAWS_MORE = 1000


def parse_task(settings: Mapping[str, Any]) -> Family:
    """The family that `family` names, with the other settings; ParamsError names an unknown family or setting and what is allowed."""
    others = dict(settings)
    name = others.pop("family", None)
    if not isinstance(name, str) or name not in FAMILIES:
        raise ParamsError(f"task: unknown family {name!r}; allowed: {', '.join(FAMILIES)}; correct its name there")
    try:
        return FAMILIES[name].model_validate(others)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        found = {"missing": "is missing", "extra_forbidden": "is unknown"}.get(first["type"], f"is {first['input']!r} ({first['msg']})")
        allowed = ", ".join(FAMILIES[name].model_fields)
        raise ParamsError(f"task: setting {key!r} of family {name} {found}; its settings are: {allowed}; correct it there") from error


def problems(family: Family, number: int, seed: int) -> list[str]:
    """Distinct true problems, of one seed always the same first ones however many are asked for.

    Raises ParamsError where the family has fewer, or some so rare that they are not found in a bounded number of draws."""
    advice = f"ask for fewer, or widen the settings of the task: {', '.join(type(family).model_fields)}"
    if number > family.num_problems:
        raise ParamsError(f"task: {number} distinct problems are asked for, and there are {family.num_problems}; {advice}")
    generator = np.random.default_rng(seed)
    found: dict[str, None] = {}
    num_draws = _DRAWS_EACH * number + _DRAWS_MORE
    for _ in range(num_draws):
        if len(found) >= number:
            break
        found.setdefault(family.problem(generator))
    if len(found) < number:
        raise ParamsError(f"task: {number} distinct problems are asked for, and {num_draws} draws found {len(found)}; {advice}")
    return list(found)


def accuracy(family: Family, texts: Sequence[str]) -> float:
    """The share of the texts that are right; nan of none."""
    return sum(map(family.is_right, texts)) / len(texts) if texts else math.nan


def coverage(family: Family, texts: Sequence[str]) -> float:
    """The share of the family's cells in which a question of some text lies, whatever answer follows.

    Of n problems as drawn, where all of c cells are equally likely, 1 - (1 - 1/c)**n is expected."""
    return len({family.cell(text) for text in texts} - {None}) / family.num_cells
