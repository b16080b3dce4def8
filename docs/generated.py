"""What pages of the site show of the code and of committed results, made when the site is built, so that it cannot drift.

A page asks for it with a comment on a line of its own, `<!-- generated: NAME ARG... -->`, where NAME is one of the
functions in GENERATED. mkdocs calls `on_page_markdown` (mkdocs.yml: hooks)."""

import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PARAMS_PAGE = "reference/params.md"
PARAMS_ROW = re.compile(r"^\| `([a-zA-Z0-9_.]+)` \| (.+) \|$", re.MULTILINE)
_ASKED = re.compile(r"^<!-- generated: (.+) -->$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#:]+)(#[^)]*)?\)")
_CODE = re.compile(r"(?<!`)`[^`\n]+`(?!`)")
_COLUMN = re.compile(r'\("(\w+)", pa\.(.+)\),(?:  # (.+))?$')
_BOUNDS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"), ("multipleOf", "multiple of"))
_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null", "array": "list"}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with what it asks for in place, and links out of docs/ as the paths that they are of."""
    source = page.file.src_uri
    whole = _ASKED.sub(lambda asked: generated(*asked.group(1).split()), markdown)
    return within_docs(plain_bars(with_allowed(whole) if source == PARAMS_PAGE else whole), source)


def generated(name: str, *args: str) -> str:
    """What a comment asks for, in Markdown; KeyError where nothing is called so."""
    return GENERATED[name](*args)


def plain_bars(markdown: str) -> str:
    r"""Markdown in which `\|` in code is `|`: GitHub's tables need the backslash, Python-Markdown's would show it."""
    return _CODE.sub(lambda code: code.group().replace(r"\|", "|"), markdown)


def within_docs(markdown: str, source: str) -> str:
    """Markdown in which a link out of docs/ is its text and the path in the project, for the site holds no such file."""

    def seen(link: re.Match[str]) -> str:
        text, target, _ = link.groups()
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(source), target))
        return link.group() if path.startswith("docs/") else f"{text} (`{path}`)"

    return _LINK.sub(seen, markdown)


def commands() -> str:
    """The help of every command, from the live command line."""
    import typer
    import typer.cli

    from herdbook.cli import app

    command = typer.main.get_command(app)
    text = typer.cli.get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="herdbook"), name="herdbook")
    text = re.sub(r"^Example: (.+)$", r"Example: `\1`", text, flags=re.MULTILINE)
    return text[text.index("\n## ") + 1 :]  # before that it says what the page says


def committed(document: str, name: str) -> str:
    """What a document has between the marks of a block of committed results (tests/readme.py)."""
    return _between(document, f"<!-- {name}: from committed results, held to them by tests/test_readme.py -->\n", f"<!-- end of {name} -->")


def section(document: str, heading: str) -> str:
    """What stands below a heading of the second level in a document."""
    return _between(document, f"\n## {heading}\n", "\n## ")


def _between(path: str, begin: str, end: str) -> str:
    """The text of a file between two others; KeyError where the first is not there."""
    _, found, rest = (ROOT / path).read_text(encoding="utf-8").partition(begin)
    if not found:
        raise KeyError(f"{path} has no {begin.strip()}")
    return rest.partition(end)[0]


def columns(table: str) -> str:
    """The columns of a table of herdbook/schema.py, with what is said beside them there."""
    body = _between("herdbook/schema.py", f"\n{table} = pa.schema(", "\n)")
    rows = [found.groups(default="") for line in body.splitlines() if (found := _COLUMN.search(line))]
    return _table(["column", "type", ""], [[f"`{name}`", re.sub(r"pa\.|\(\)", "", kind), said] for name, kind, said in rows])


def figures() -> str:
    """The charted figures and what each tells, from herdbook/figures.py."""
    from herdbook.figures import GROUPS

    parts = []
    for heading, group in GROUPS.items():
        rows = [[f"`{figure.column}`", figure.title, figure.meaning] for figure in group]
        parts.append(f"## {heading}\n\n{_table(['column', 'figure', 'what it tells'], rows)}")
    return "\n".join(parts)


def with_allowed(markdown: str) -> str:
    """The page of parameters with two columns more in each row: what params.yaml may say there, and what it says."""
    from herdbook.params import Params

    schema = Params.model_json_schema()
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

    def row(found: re.Match[str]) -> str:
        key, meaning = found.groups()
        path = key.split(".")
        return f"| `{key}` | {meaning} | {allowed(_below(schema, path, schema), schema)} | {_shown(_value(document, path))} |"

    head = markdown.replace("| key | meaning |\n|---|---|", "| key | meaning | allowed | by default |\n|---|---|---|---|")
    return PARAMS_ROW.sub(row, head)


def allowed(part: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a part of a JSON schema allows, in words."""
    part = _resolved(part, schema)
    if options := part.get("anyOf") or part.get("oneOf"):
        return " or ".join(dict.fromkeys(allowed(option, schema) for option in options))
    if choices := part.get("enum") or ([part["const"]] if "const" in part else None):
        return ", ".join(f"`{choice}`" for choice in choices)
    if "properties" in part:
        return "`{" + ", ".join(part["properties"]) + "}`"
    if part.get("type") == "object":
        return "a mapping"
    bounds = " and ".join(f"{sign} {part[name]:g}" for name, sign in _BOUNDS if name in part)
    return f"{_TYPES[part['type']]} {bounds}".strip()


def _resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part


def _below(part: dict[str, Any], path: list[str], schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a JSON schema at `path`; NAME stands for any key, and lists are passed through."""
    part = _resolved(part, schema)
    if not path:
        return part
    if "anyOf" in part:
        part = next(_resolved(option, schema) for option in part["anyOf"] if option.get("type") != "null")
    if part.get("type") == "array":
        return _below(part["items"], path, schema)
    inner = next(iter(part["patternProperties"].values())) if path[0] == "NAME" else part["properties"][path[0]]
    return _below(inner, path[1:], schema)


def _value(document: Any, path: list[str]) -> Any:
    """What params.yaml has at `path`; None where that differs from one NAME or list item to the next."""
    for key in path:
        if key == "NAME" or isinstance(document, list) or document is None:
            return _DIFFERS
        document = document[key]
    return document


_DIFFERS = object()


def _shown(value: Any) -> str:
    if value is _DIFFERS or isinstance(value, dict | list):
        return ""
    return "`null`" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _table(header: list[str], rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, ["---"] * len(header), *rows])


GENERATED: dict[str, Callable[..., str]] = {each.__name__: each for each in (columns, commands, committed, figures, section)}
