"""One more generation: an edit to params.yaml that leaves its comments and everything else as they are."""

import re

from herdbook.errors import ParamsError
from herdbook.files import strict_yaml
from herdbook.params import parse_params


def with_one_more_generation(text: str) -> tuple[str, str]:
    """The text of params.yaml with the next generation in its three lists, and that generation's name.

    Raises ParamsError where the lists are not written as in the default file, so that the edit is a person's."""
    parent = parse_params(strict_yaml(text)).generations[-1]
    child = f"g{int(parent.removeprefix('g')) + 1}"
    grown = re.sub(rf"(?m)^(generations: \[.*\b{parent})\]", rf"\1, {child}]", text)
    if parent == "g0":
        grown = re.sub(r"(?m)^bred: \[\]", f"bred: [{child}]", grown)
        grown = re.sub(r"(?m)^births: \[\]", f"births:\n- {{parent: {parent}, child: {child}}}", grown)
    else:
        grown = re.sub(rf"(?m)^(bred: \[.*\b{parent})\]", rf"\1, {child}]", grown)
        grown = re.sub(rf"(?m)^(- \{{parent: g\d+, child: {parent}\}}.*)$", rf"\1\n- {{parent: {parent}, child: {child}}}", grown)
    try:
        found = parse_params(strict_yaml(grown)).generations[-1]
    except ParamsError:
        found = ""
    if found != child:
        raise ParamsError(f"params.yaml: generations, bred and births are not written one a line as expected; add {child} to each by hand")
    return grown, child
