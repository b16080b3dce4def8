"""The gate: a dataset's rows and profile held against its two policies by Great Expectations.

The row contract sees numbers, ids and digests, never text: generated text is hostile, and the library
puts what it finds into its results. Passing takes evidence: a rule that looked at nothing (no rows, only
nulls, no figure) is errored, as is one that the library could not compute."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from herdbook.bounds import is_number
from herdbook.files import rounded
from herdbook.policy import COLUMNS, PARAMETER, Policy, Rule, expectation, parameters_of, resolve

if TYPE_CHECKING:
    import pandas as pd

_RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}  # counts, no values
_BOUND_ARGUMENTS = ("min_value", "max_value", "strict_min", "strict_max", "mostly")
_MAX_ERROR = 200


def evaluate(policy: Policy, frame: "pd.DataFrame", parameters: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """What each rule of `policy` finds in `frame`, in a fixed order, and the parameters that the rules used.

    `parameters` are what bounds may refer to; a rule is errored where one of its own is None, a figure that
    could not be measured. Raises PolicyError where a bound cannot be resolved otherwise."""
    unmeasured = {rule.place: names for rule in policy.rules if (names := [n for n in parameters_of(rule) if parameters.get(n, 0) is None])}
    resolved = [(rule, *resolve(rule, parameters)) for rule in policy.rules if rule.place not in unmeasured]
    results = _validate(policy.name, [(rule, arguments) for rule, arguments, _ in resolved], frame)
    outcomes = [
        _outcome(policy.name, rule, arguments, result, sorted(frame.columns))
        for (rule, arguments, _), result in zip(resolved, results, strict=True)
    ]
    outcomes += [_not_judged(policy.name, rule, unmeasured[rule.place]) for rule in policy.rules if rule.place in unmeasured]
    outcomes.sort(key=lambda found: json.dumps([found[key] or "" for key in ("suite", "column", "rule", "allowed", "notes")]))
    used = {name: value for _, _, names in resolved for name, value in names.items()}
    return outcomes, dict(sorted(used.items()))


def _validate(name: str, resolved: Sequence[tuple[Rule, dict[str, Any]]], frame: "pd.DataFrame") -> list[Any]:
    """The result of each rule, in the order of `resolved`: one context, one batch, one validation.

    Great Expectations hashes every value of what it is given, twice: it gets the columns that rules name."""
    import great_expectations as gx

    expectations = [expectation(rule, arguments, {"number": number}) for number, (rule, arguments) in enumerate(resolved)]
    named = {column for rule, _ in resolved for column in rule.columns}
    needed = [column for column in frame.columns if column in named] or list(frame.columns[:1])
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("inspected").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch(batch_parameters={"dataframe": frame[needed]})
    suite = gx.ExpectationSuite(name, expectations=expectations)
    results = batch.validate(suite, result_format=_RESULT_FORMAT).results
    return sorted(results, key=lambda result: result.expectation_config.meta["number"])


def _not_judged(suite: str, rule: Rule, names: Sequence[str]) -> dict[str, Any]:
    """A rule whose bound rests on figures that could not be measured."""
    return _told(suite, rule, "errored", None, "unknown", f"{', '.join(names)} could not be measured")


def _outcome(suite: str, rule: Rule, arguments: Mapping[str, Any], result: Any, known: Sequence[str]) -> dict[str, Any]:
    """One rule of a receipt. Nothing in it is text of the dataset."""
    observed = _observed(result.result)
    if missing := [column for column in rule.columns if column not in known]:
        error: str | None = f"there is no column {missing[0]!r}; rules see {', '.join(known)}"
    else:
        error = _raised(result.exception_info) or _without_evidence(result.result)
    status = "errored" if error else "passed" if result.success else "failed"
    return _told(suite, rule, status, observed, _allowed(rule, arguments, "element_count" in result.result), error)


def _told(suite: str, rule: Rule, status: str, observed: float | int | str | None, allowed: str, error: str | None) -> dict[str, Any]:
    return {
        "suite": suite,
        "rule": rule.type,
        "column": ", ".join(rule.columns) or None,
        "notes": rule.notes,
        "severity": rule.severity,
        "status": status,
        "observed": observed,
        "allowed": allowed,
        "error": error,
    }


def _raised(info: Mapping[str, Any]) -> str | None:
    """The exception in a result: its one record, or one record a metric that could not be computed."""
    records = [info] if "raised_exception" in info else list(info.values())
    messages = sorted({str(record["exception_message"]) for record in records if record["raised_exception"]})
    text = " ".join("; ".join(messages).split())
    return re.sub(r"0x[0-9a-f]+", "0x...", text)[:_MAX_ERROR] if messages else None


def _without_evidence(result: Mapping[str, Any]) -> str | None:
    """Why a result shows nothing that was looked at; Great Expectations passes rules over no rows and over nulls."""
    if "element_count" in result:
        if result["element_count"] - (result.get("missing_count") or 0) > 0:
            return None
        return "the table has no rows" if result["element_count"] == 0 else "the column holds nothing but nulls"
    figures = _figures(result.get("observed_value"))
    if not figures:
        return "there was no value to look at"
    return None if all(map(math.isfinite, figures)) else "the value is not finite"


def _figures(observed: Any) -> list[float | int]:
    """The numbers of an observed value; NaN for each part that is null."""
    if isinstance(observed, Mapping):
        return _figures(observed.get("values"))
    if isinstance(observed, list | tuple):
        return [figure for part in observed for figure in (_figures(part) or [math.nan])]
    if isinstance(observed, int | np.integer):
        return [int(observed)]
    return [float(observed)] if isinstance(observed, float | np.floating) else []


def _observed(result: Mapping[str, Any]) -> float | int | str | None:
    """What was found: a number, the numbers of a list, or how many rows break the rule."""
    if "element_count" in result:
        return f"{result['unexpected_count']} of {result['element_count']} rows break it"
    figures = [figure if isinstance(figure, int) else rounded(figure) for figure in _figures(result.get("observed_value"))]
    if len(figures) > 1:
        return ", ".join(str(figure) for figure in figures)
    return figures[0] if figures else None


def _allowed(rule: Rule, arguments: Mapping[str, Any], is_of_rows: bool) -> str:
    """What the rule allows, such as `>= 0.22 (human_distinct_2 * 0.8)`."""
    signs = {"min_value": ">" if arguments.get("strict_min") else ">=", "max_value": "<" if arguments.get("strict_max") else "<="}
    parts = [f"{sign} {_value(rule, arguments, name)}" for name, sign in signs.items() if name in arguments]
    others = sorted(set(arguments) - {*COLUMNS, *_BOUND_ARGUMENTS})
    parts += [f"{name} {_value(rule, arguments, name)}" for name in others]
    scope = []
    if is_of_rows:
        scope = [f"in a share of rows >= {_value(rule, arguments, 'mostly')}" if "mostly" in arguments else "in every row"]
    return " ".join([" and ".join(parts), *scope]).strip()


def _value(rule: Rule, arguments: Mapping[str, Any], name: str) -> str:
    value, written = arguments[name], rule.arguments[name]
    shown = f"{value:.10g}" if is_number(value) else json.dumps(value, default=str)
    return f"{shown} ({written[PARAMETER]})" if written != value else shown
