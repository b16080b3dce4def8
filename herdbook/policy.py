"""Policies: what a dataset must meet, read strictly from expectations/*.yaml.

A policy is a list of entries, each one rule of Great Expectations with its arguments, why it is there
(notes) and what a breach means (severity). Great Expectations logs and drops an entry that it cannot
read, and an empty suite passes; so every entry is checked here, and the first fault is one line.
A bound is a number or `{$PARAMETER: expression}`, such as `human_distinct_2 * 0.8`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from herdbook.bounds import bound, is_number, names_in, nearest, shown
from herdbook.errors import PolicyError
from herdbook.files import strict_yaml

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

PARAMETER = "$PARAMETER"
SEVERITIES = ("critical", "warning", "info")  # only a critical breach stops a lineage
COLUMNS = ("column", "column_A", "column_B", "column_list")  # the arguments that name columns
_POLICY_KEYS = ("name", "notes", "expectations")
_NUMERIC = ("min_value", "max_value", "mostly", "threshold")
# Great Expectations takes these among a rule's arguments: some would silence the rule, some narrow what it sees.
_REFUSED = (
    "id", "meta", "notes", "severity", "description", "rendered_content", "batch_id", "windows", "result_format",
    "catch_exceptions", "library_metadata", "row_condition", "condition_parser", "ignore_row_if",
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One entry: a rule's name in Great Expectations, its arguments as written, and why."""

    place: str  # file, entry number and rule, as errors name it
    type: str
    arguments: Mapping[str, Any]
    notes: str
    severity: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at; none for a rule on the whole table."""
        named = [self.arguments[key] for key in COLUMNS if key in self.arguments]
        return tuple(column for value in named for column in (value if isinstance(value, list) else [value]))


@dataclass(frozen=True)
class Policy:
    """The checked content of one file of expectations/."""

    name: str
    notes: str
    rules: tuple[Rule, ...]


def read_policy(path: Path) -> Policy:
    """The checked policy of `path`; PolicyError names the file, the entry and what to do."""
    try:
        document = strict_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror}); each kind of dataset needs a _rows and a _profile policy") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PolicyError(f"{path}: not YAML ({_one_line(error)}); correct it") from error
    return parse_policy(document, path)


def parse_policy(document: Any, path: Path) -> Policy:
    """The checked policy of a YAML document; PolicyError as read_policy. The stem of `path` must be its name."""
    if document is None:
        raise PolicyError(f"{path}: empty; an empty policy passes everything, write its name, notes and expectations")
    if not isinstance(document, dict):
        raise PolicyError(f"{path}: is {shown(document)}, must be a mapping of {', '.join(_POLICY_KEYS)}")
    if unknown := [key for key in document if key not in _POLICY_KEYS]:
        raise PolicyError(f"{path}: unknown key {shown(unknown[0])}; allowed: {', '.join(_POLICY_KEYS)}")
    if document.get("name") != path.stem:
        raise PolicyError(f"{path}: name is {shown(document.get('name'))}, must be {path.stem!r} as the file is called; correct it")
    if not _is_text(document.get("notes")):
        raise PolicyError(f"{path}: notes is {shown(document.get('notes'))}, must say what this policy is for; write it")
    entries = document.get("expectations")
    if not isinstance(entries, list) or not entries:
        raise PolicyError(f"{path}: no expectations; an empty policy passes everything, list at least one rule under expectations")
    rules: list[Rule] = []
    for number, entry in enumerate(entries, 1):
        rule = _rule(entry, f"{path}: entry {number}")
        if any((rule.type, rule.arguments) == (earlier.type, earlier.arguments) for earlier in rules):
            raise PolicyError(f"{rule.place}: is a duplicate of an earlier entry; remove one of them")
        expectation(rule, rule.arguments)
        rules.append(rule)
    if not any(rule.severity == SEVERITIES[0] for rule in rules):
        raise PolicyError(f"{path}: no rule is critical, so nothing can stop a dataset; leave out the severity of at least one")
    return Policy(document["name"], document["notes"].strip(), tuple(rules))


def _rule(entry: Any, where: str) -> Rule:
    if not isinstance(entry, dict):
        raise PolicyError(f"{where}: is {shown(entry)}, must be a mapping of one rule, notes and, if not critical, severity")
    types = [key for key in entry if isinstance(key, str) and key.startswith("expect_")]
    if unknown := [key for key in entry if key not in (*types, "notes", "severity")]:
        raise PolicyError(f"{where}: unknown key {shown(unknown[0])}; allowed: one rule (expect_...), notes, severity")
    if len(types) != 1:
        raise PolicyError(f"{where}: has {len(types)} rules, must have one (expect_...); give each rule its own entry")
    place, arguments = f"{where} ({types[0]})", {} if entry[types[0]] is None else entry[types[0]]
    if not _is_text(entry.get("notes")):
        raise PolicyError(f"{place}: no notes; say why the rule is there and what value its bound came from")
    severity = entry.get("severity", SEVERITIES[0])
    if severity not in SEVERITIES:
        raise PolicyError(f"{place}: severity is {shown(severity)}, must be one of {', '.join(SEVERITIES)}; correct it")
    if not isinstance(arguments, dict) or not all(isinstance(key, str) for key in arguments):
        raise PolicyError(f"{place}: arguments are {shown(arguments)}, must be a mapping such as {{column: id}}")
    for name, value in arguments.items():
        _check_argument(f"{place}: {name}", name, value)
    _check_bounds(place, types[0], arguments)
    return Rule(place, types[0], arguments, entry["notes"].strip(), severity)


def _check_argument(where: str, name: str, value: Any) -> None:
    if name in _REFUSED:
        raise PolicyError(f"{where}: is not an argument a policy may give; a rule looks at the whole dataset, remove it")
    if value is None or value in ("", [], {}):
        raise PolicyError(f"{where}: is {shown(value)}, which asks for nothing; give a value or remove it")
    if name in COLUMNS and not all(_is_text(column) for column in (value if isinstance(value, list) else [value])):
        raise PolicyError(f"{where}: is {shown(value)}, must name columns as text")
    if not all(map(is_number, _numbers(value))):
        raise PolicyError(f"{where}: is {shown(value)}, must be finite; write a number")
    if isinstance(value, dict) and list(value) == [PARAMETER]:
        names_in(value[PARAMETER], where)
    elif _has_dollar(value):
        raise PolicyError(f"{where}: is {shown(value)}; a reference is {{{PARAMETER}: expression}} and the whole argument")
    elif name in _NUMERIC and not is_number(value):
        hint = "YAML reads 1e-3 as text and 1.0e-3 as a number"
        raise PolicyError(f"{where}: is {shown(value)}, must be a number or {{{PARAMETER}: expression}}; correct it ({hint})")
    elif name == "mostly" and value <= 0:
        raise PolicyError(f"{where}: is {value}, which every dataset meets; allowed: above 0, at most 1")


def _check_bounds(place: str, type_: str, arguments: Mapping[str, Any]) -> None:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    ranges = arguments.get("quantile_ranges")
    if isinstance(ranges, dict) and isinstance(ranges.get("value_ranges"), list):
        unbounded = any(pair == [None, None] for pair in ranges["value_ranges"])
    elif type_.endswith("_less_than"):
        unbounded = "threshold" not in arguments
    else:
        unbounded = "between" in type_ and ranges is None and low is None and high is None
    if unbounded:
        raise PolicyError(f"{place}: no bound, so everything passes; give min_value, max_value or both (or the threshold)")
    if is_number(low) and is_number(high) and low > high:
        raise PolicyError(f"{place}: min_value {low} is above max_value {high}, so nothing passes; swap or correct them")


def expectation(rule: Rule, arguments: Mapping[str, Any], meta: Mapping[str, Any] | None = None) -> "Expectation":
    """The rule with these `arguments` as Great Expectations holds it; PolicyError where that library refuses or alters them."""
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError, GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.expectations.registry import list_registered_expectation_implementations
    from pydantic.v1 import ValidationError

    severity = FailureSeverity(rule.severity)
    try:
        made = ExpectationConfiguration(rule.type, dict(arguments), meta=dict(meta or {}), severity=severity).to_domain_obj()
    except ExpectationNotFoundError as error:
        raise PolicyError(f"{rule.place}: unknown rule; {nearest(rule.type, list_registered_expectation_implementations())}") from error
    except ValidationError as error:
        known = [field for field in getattr(error.model, "__fields__", ()) if field not in _REFUSED]
        raise PolicyError(f"{rule.place}: {_fault(error.errors()[0], known)}") from error
    except (GreatExpectationsError, TypeError, ValueError, ArithmeticError) as error:
        raise PolicyError(f"{rule.place}: {_one_line(error)}; correct its arguments") from error
    for name, value in arguments.items():
        found = getattr(made, name)
        if is_number(value) and found != value:
            raise PolicyError(f"{rule.place}: {name} is {value}, which would be taken as {found}; give a number that stands")
    return made


def _fault(error: Mapping[str, Any], known: list[str]) -> str:
    """One fault that pydantic found in a rule's arguments, and what to do about it."""
    name, kind = str(error["loc"][0]), error["type"]
    if kind == "value_error.extra":
        return f"unknown argument {name!r}; {nearest(name, known)}"
    if kind == "value_error.missing":
        return f"argument {name!r} is missing; add it"
    return f"{name}: {_one_line(error['msg'])}; correct it"


def resolve(rule: Rule, parameters: Mapping[str, float]) -> tuple[dict[str, Any], dict[str, float]]:
    """The rule's arguments with a number for each `$PARAMETER`, and the parameters that went into them.

    Raises PolicyError for a parameter that is not among `parameters` or that is not a finite number:
    Great Expectations would drop the bound of a null one."""
    arguments = dict(rule.arguments)
    used: dict[str, float] = {}
    for name, value in rule.arguments.items():
        if isinstance(value, dict) and PARAMETER in value:
            found = bound(value[PARAMETER], parameters, f"{rule.place}: {name}")
            arguments[name] = found.value
            used.update(found.used)
    if arguments.get("mostly", 1) <= 0:
        raise PolicyError(f"{rule.place}: mostly comes to {arguments['mostly']}, which every dataset meets; allowed: above 0, at most 1")
    return arguments, used


def parameters_of(rule: Rule) -> list[str]:
    """The parameters that the rule's bounds refer to, sorted."""
    written = [value[PARAMETER] for value in rule.arguments.values() if isinstance(value, dict) and PARAMETER in value]
    return sorted({name for expression in written for name in names_in(expression, rule.place)})


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _numbers(value: Any) -> list[int | float]:
    if isinstance(value, dict):
        return [number for part in value.values() for number in _numbers(part)]
    if isinstance(value, list):
        return [number for part in value for number in _numbers(part)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def _has_dollar(value: Any) -> bool:
    if isinstance(value, dict):
        return any(str(key).startswith("$") or _has_dollar(part) for key, part in value.items())
    return isinstance(value, list) and any(map(_has_dollar, value))


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200]
