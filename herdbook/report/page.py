"""The page, made of its sections: one HTML file whose own policy lets no script run but those written here."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from herdbook.narrative import shown
from herdbook.records import DATASETS, VERDICTS
from herdbook.report import calibration, charts, gate, glossary, herd, journal, regimes, summary, tail, verdicts, watch
from herdbook.report.chart import swatch
from herdbook.report.run import Run
from herdbook.report.section import Section

HERE = Path(__file__).parent
_SYMBOLS = dict(zip(VERDICTS, ("✓", "!", "✕", "?", "–"), strict=True))
SECTIONS = (verdicts, regimes, summary, charts, herd, watch, tail, gate, calibration, journal, glossary)  # in the order of the page


def page(run: Run, bundle: str) -> str:
    """The whole report; `bundle` is the charting library as JavaScript."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    sections = [module.section(run) for module in SECTIONS]
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, finalize=inert, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        params=run.params, symbols=_SYMBOLS, swatches={name: swatch(number) for number, name in enumerate(run.params.regimes)}
    )
    scripts = [bundle, _own("page", "js"), *filter(None, (_own(section.name, "js") for section in sections))]
    blocks = {"symbols": _SYMBOLS} | {name: value for section in sections for name, value in section.data.items()}
    return environment.get_template("page.html.j2").render(
        style=Markup("".join(_own(name, "css") for name in ("page", *(section.name for section in sections)))),
        scripts=[Markup(script) for script in scripts],
        script_hashes=[script_hash(script) for script in scripts],
        sections=[(section, Markup(_rendered(section, environment))) for section in sections],
        blocks={name: Markup(script_json(inert(value))) for name, value in blocks.items()},
        num_bred=sum(generation.is_bred for generation in run.generations),
        num_generations=len(run.generations),
        human_verdict=run.human_receipt["status"],
        verdict_counts={dataset: _counts(dataset, run) for dataset in DATASETS},
        book=run.book,
    )


def _own(name: str, kind: str) -> str:
    """The style or the script beside a module; empty where it has none."""
    path = HERE / f"{name}.{kind}.j2"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _rendered(section: Section, environment: Any) -> str:
    return environment.get_template(f"{section.name}.html.j2").render(section.context)


def _counts(dataset: str, run: Run) -> dict[str, int]:
    """How many datasets got each verdict; only those that some got."""
    given = [generation.verdict(dataset) for generation in run.generations]
    return {verdict: given.count(verdict) for verdict in VERDICTS if verdict in given}


def inert(value: Any) -> Any:
    """A value whose texts show controls and reordering marks as what they are; markup and numbers as they come."""
    if type(value) is str:  # Markup, a subclass, is rendered already
        return shown(value)
    if isinstance(value, dict):
        return {name: inert(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [inert(part) for part in value]
    return value


def script_json(value: Any) -> str:
    """JSON that can stand in a script element: no character of it can end the element or be read as markup."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def script_hash(script: str) -> str:
    """What the page's own policy calls a script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
