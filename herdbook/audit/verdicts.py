"""Does a receipt hold the rules of its policies, and does each verdict follow from what was observed and what is allowed?

Worked out from the YAML and the recorded figures, without the library that judged. How many rows break a rule
of a row contract is taken from the receipt: only doing it again (replay) shows that."""

import operator
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from herdbook.bounds import is_number
from herdbook.errors import PolicyError
from herdbook.policy import Rule, parameters_of, resolve

_SIDES = (("min_value", "strict_min", operator.gt), ("max_value", "strict_max", operator.lt))
_OF_A_FIGURE = ("expect_column_min_to_be_between", "expect_column_max_to_be_between")
_OF_ROWS = re.compile(r"(\d+) of (\d+) rows break it")


def rules_of(suite: str, document: Mapping[str, Any]) -> list[Rule]:
    """The rules of a policy, as policy.read_policy has them, of a document that was accepted when it was used."""
    found = []
    for entry in document["expectations"]:
        (type_,) = (key for key in entry if key.startswith("expect_"))
        found.append(Rule(suite, type_, entry[type_] or {}, entry["notes"].strip(), entry.get("severity", "critical")))
    return found


def faults(
    receipt: Mapping[str, Any], figures: Mapping[str, Any], policies: Mapping[str, list[Rule]], references: Mapping[str, Any]
) -> Iterator[str]:
    """What is wrong with the verdicts of a whole receipt, a line each; `references` are what bounds may refer to."""
    wanted = Counter(_name(suite, rule) for suite, rules in policies.items() for rule in rules)
    held = Counter(_recorded_name(rule) for rule in receipt["rules"])
    for name in (wanted - held) | (held - wanted):
        held_or_not, words = "lacks" if name in wanted - held else "holds", " ".join(filter(None, name[:3]))
        yield f"{held_or_not} the rule {words}, {name[4]}: its policy has {'it' if held_or_not == 'lacks' else 'no such rule'}"
    used: dict[str, Any] = {}
    recorded = {_recorded_name(rule): rule for rule in receipt["rules"]}
    for suite, rules in policies.items():
        for rule in rules:
            if (told := recorded.get(_name(suite, rule))) is not None:
                used |= {name: references.get(name) for name in parameters_of(rule) if references.get(name) is not None}
                yield from _fault(rule, told, figures, references)
    if dict(receipt["parameters"]) != used:
        other = sorted(name for name in {*used, *receipt["parameters"]} if used.get(name) != receipt["parameters"].get(name))
        yield f"was given with {other[0]} {receipt['parameters'].get(other[0])}, the profile that bounds refer to has {used.get(other[0])}"


def _fault(rule: Rule, told: Mapping[str, Any], figures: Mapping[str, Any], references: Mapping[str, Any]) -> Iterator[str]:
    place = f"{told['rule']} {told['column'] or ''}".strip()
    if rule.type in _OF_A_FIGURE and len(rule.columns) == 1 and rule.place.endswith("_profile"):
        status = _status(rule, figures.get(rule.columns[0]), references)
        if status != told["status"]:
            yield f"says {told['status']} of {place} {told['observed']} where {told['allowed']} is allowed; its policy gives {status}"
    elif counted := _OF_ROWS.fullmatch(str(told["observed"])):
        num_broken, num_rows = map(int, counted.groups())
        mostly = rule.arguments.get("mostly", 1)
        is_met = num_broken == 0 or (is_number(mostly) and num_rows > 0 and 1 - num_broken / num_rows >= mostly)
        if told["status"] == "passed" and not is_met:
            yield f"says passed of {place}, which {told['observed']}"


def _status(rule: Rule, value: Any, references: Mapping[str, Any]) -> str:
    """What a rule on one figure says of it; errored where it, or what its bound refers to, could not be measured."""
    if not is_number(value) or any(references.get(name, 0) is None for name in parameters_of(rule)):
        return "errored"
    try:
        arguments, _ = resolve(rule, references)
    except PolicyError:
        return "errored"
    met = [
        is_beyond(value, arguments[bound]) or (value == arguments[bound] and not arguments.get(strict))
        for bound, strict, is_beyond in _SIDES
        if bound in arguments
    ]
    return "passed" if all(met) else "failed"


def _name(suite: str, rule: Rule) -> tuple[str, str, str | None, str, str]:
    return suite, rule.type, ", ".join(rule.columns) or None, rule.notes, rule.severity


def _recorded_name(rule: Mapping[str, Any]) -> tuple[str, str, str | None, str, str]:
    return rule["suite"], rule["rule"], rule["column"], str(rule.get("notes")), rule["severity"]
