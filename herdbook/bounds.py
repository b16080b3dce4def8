"""Bounds that refer to measured values: `human_distinct_2 * 0.8` and what it comes to.

An expression is parameters, numbers, + - * / and parentheses, read as a syntax tree; nothing is evaluated as code."""

import ast
import difflib
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from herdbook.errors import PolicyError

_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_MAX_CHARACTERS = 200


@dataclass(frozen=True)
class Bound:
    """What an expression comes to (10 significant digits), and the parameters that it used."""

    expression: str
    value: float
    used: Mapping[str, float]


def bound(expression: str, parameters: Mapping[str, float], where: str) -> Bound:
    """The value of `expression`; PolicyError, led by `where`, for a parameter that is unknown or not a finite number."""
    used = {}
    for name in sorted(names_in(expression, where)):
        if name not in parameters:
            raise PolicyError(f"{where}: unknown parameter {name!r} in {expression!r}; {nearest(name, parameters)}")
        if not is_number(parameters[name]):
            raise PolicyError(f"{where}: parameter {name!r} is {shown(parameters[name])}, must be a finite number; choose another")
        used[name] = parameters[name]
    try:
        value = float(_value(ast.parse(expression.strip(), mode="eval").body, used))
    except ArithmeticError as error:
        raise PolicyError(f"{where}: {expression!r} cannot be computed from {used} ({error}); correct it") from error
    if not math.isfinite(value):
        raise PolicyError(f"{where}: {expression!r} comes to {value} from {used}, must be finite; correct it")
    return Bound(expression.strip(), float(f"{value:.10g}"), used)


def names_in(expression: Any, where: str) -> set[str]:
    """The parameters that an expression names; PolicyError where it is not arithmetic or names none."""
    if not isinstance(expression, str) or len(expression) > _MAX_CHARACTERS:
        raise PolicyError(f"{where}: expression is {shown(expression)}, must be text such as human_distinct_2 * 0.8")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        _value(tree, dict.fromkeys(names, 1.0))
    except ArithmeticError:  # dividing by zero where every parameter is 1; their values come later
        pass
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise PolicyError(f"{where}: {expression!r} is not arithmetic; allowed: parameters, numbers, + - * / and parentheses") from error
    if not names:
        raise PolicyError(f"{where}: {expression!r} names no parameter; write the number itself")
    return names


def _value(node: ast.AST, parameters: Mapping[str, float]) -> float:
    match node:
        case ast.Name(id=name):
            return parameters[name]
        case ast.Constant(value=number) if is_number(number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, parameters)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as sign, right=right):
            return _OPERATORS[type(sign)](_value(left, parameters), _value(right, parameters))
    raise ValueError(f"{type(node).__name__} is not arithmetic")


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether `value` is a finite number; True and False are none."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond any float
        return False


def shown(value: Any) -> str:
    """A faulty value as an error shows it: at most 80 characters, on one line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """Advice for a misspelt name."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
