"""An entry of the journal as a page, in Markdown in which no text of a claim can be more than text."""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from herdbook.errors import one_line
from herdbook.journal_entry import replicates
from herdbook.layout import CLAIM_NOTES, REGISTER, VERDICT_RECORD

_MARKS = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|^(?:[-+=#]|\d+[.)])")  # a _ inside a word is only itself

Entry = Mapping[str, Any]


def text(value: object) -> str:
    """Any text as Markdown that shows it on one line: no HTML, link, emphasis, table cell or heading comes out of it."""
    escaped = html.escape(one_line(str(value)).strip(), quote=False)
    return _MARKS.sub(lambda mark: f"{mark[0][:-1]}\\{mark[0][-1]}", escaped)


def page(entry: Entry, figure: str | None) -> str:
    """The page of an entry; `figure` is the name of the picture beside it."""
    parts = (
        _head(entry),
        _case(entry),
        _outcome(entry, figure),
        _why(entry),
        _instrument(entry),
        _limits(entry),
        _quoted("Deviations", entry["deviations"], "None declared."),
        _again(entry),
    )
    return "\n".join(line for part in parts for line in (*part, "")).rstrip("\n") + "\n"


def _head(entry: Entry) -> Iterator[str]:
    yield f"# {text(entry['title'])}"
    yield ""
    if entry["exploratory"]:
        yield f"**EXPLORATORY**, not confirmatory: {'; '.join(map(text, entry['exploratory_because']))}."
    else:
        yield f"**Registered** before its results, as number {entry['registration']} of [{REGISTER.name}]({REGISTER.name})."
    if entry["amends"]:
        yield f"An earlier form of it was registered as number {', '.join(map(str, entry['amends']))}."
    yield ""
    yield f"**Verdict: {text(entry['verdict'])}.** {text(entry['result']['document']['sentence'])}"


def _case(entry: Entry) -> Iterator[str]:
    document, source, collapse = entry["result"]["document"], entry["source"], entry["collapse"]
    yield from ("## Use case", "", text(entry["use_case"]), "", "## Proposed solution", "", text(entry["proposed"]), "")
    if source is None:
        yield "Source: none."
    else:
        yield f"Source: {text(source['cite'])}. This is {'a' if replicates(document) else 'no'} replication of it."
    yield ""
    yield f"Collapse here means {text(collapse['name'])}: {text(collapse['sentence'])} ({text(collapse['source'])})"


def _outcome(entry: Entry, figure: str | None) -> Iterator[str]:
    result = entry["result"]
    document, pairs = result["document"], result["pairs"]
    sides = document["contrast"]
    yield from ("## Outcome", "", text(entry["outcome"]), "")
    if figure:
        yield from (f"![The differences by seed, their mean with its interval, and the bounds]({figure})", "")
    if pairs:
        yield f"| seed | {text(sides['treatment'])} | {text(sides['control'])} | difference |"
        yield "|---|---|---|---|"
        for pair in pairs:
            yield f"| {text(pair['seed'])} | {_number(pair['treatment'])} | {_number(pair['control'])} | {_number(pair['difference'])} |"
    else:
        yield "No seed has both figures, so there is nothing to show."
    yield ""
    yield from (f"- {line}" for line in _figures(result))


def _figures(result: Entry) -> Iterator[str]:
    """Estimates with their intervals first, p-values second."""
    effect, p = result["effect"], result["p"]
    if effect:
        yield (
            f"mean difference {_number(effect['mean'])}, 95 % interval {_interval(effect['interval_95'])}, "
            f"90 % interval {_interval(effect['interval_90'])}; {_number(effect['mean_in_sd'])} standard deviations"
        )
        yield f"median {_number(effect['median'])}, standard deviation {_number(effect['sd'])}, {effect['num_pairs']} pairs"
        yield (
            f"p {_number(p['claim'])} (supported {_number(p['supported'])}, refuted {_number(p['refuted'])}, "
            f"equivalent {_number(p['equivalent'])}), adjusted for looks and family {_number(p['adjusted'])}"
        )
        yield f"for information, p against zero {_number(p['against_zero'])}, by sign flips {_number(p['against_zero_by_flips'])}"
    yield from map(text, [*result["because"], *result["excluded"], *result["notes"]])


def _why(entry: Entry) -> Iterator[str]:
    return _quoted("Why", entry["why"], f"Not yet investigated. What people find out goes into {CLAIM_NOTES.name}/{entry['id']}.md.")


def _quoted(heading: str, words: str | None, otherwise: str) -> Iterator[str]:
    """What people wrote, as a quotation: their own Markdown, but none of it a part of this page."""
    yield from (f"## {heading}", "")
    yield from (f"> {html.escape(line, quote=False)}".rstrip() for line in words.split("\n")) if words else (otherwise,)


def _instrument(entry: Entry) -> Iterator[str]:
    yield from ("## Controls and calibration", "")
    for control in entry["controls"]:
        yield f"- {text(control['id'])} ({text(control['document']['kind'])}) {text(control['in_words'])}"
    failed = entry["calibration_failed"]
    yield f"- calibrations that failed: {', '.join(map(text, failed)) if failed else 'none'}"
    if void := entry["result"]["void_because"]:
        yield f"- so this verdict is void: {'; '.join(map(text, void))}"


def _limits(entry: Entry) -> Iterator[str]:
    result, family = entry["result"], entry["family"]
    document, power = result["document"], result["power"]
    yield from ("## Limits", "")
    num_pairs = len(result["pairs"])
    yield f"- pairs: {num_pairs}, of {len(document['seeds'])} seeds, all of one corpus and one size of model"
    if power:
        seen = "no effect at all" if power["detectable"] is None else f"effects from {_number(power['detectable'])} on"
        needed = "more than can be given" if power["seeds_needed"] is None else str(power["seeds_needed"])
        yield f"- in {power['power']:.0%} of cases this design shows {seen}, at level {_number(power['level'])}"
        yield f"- the smallest effect of interest, {_number(document['smallest_effect'])}, needs {needed} seeds"
        yield f"- without assuming a distribution, this many pairs give no two-sided p below {_number(result['p']['smallest_by_flips'])}"
    bounds = " and ".join(map(_number, document["equivalence"]))
    yield f"- judged by {text(document['estimator'])} against the bounds {bounds}; intervals are Student's, unadjusted"
    yield f"- level {_number(family['alpha'])} for a family of {family['size']}; {family['num_ever_registered']} ever registered"


def _again(entry: Entry) -> Iterator[str]:
    yield from ("## Again", "")
    yield f"The book's root was {text(entry['root'])}; the figures are those of {VERDICT_RECORD.as_posix()}."
    yield "From the folder that holds params.yaml:"
    yield from ("", "```sh", *map(one_line, entry["replay"]), "dvc repro compare", "```", "")
    yield f"[{entry['id']}.json]({entry['id']}.json) holds all of this as values, and under `metadata` what ReScience C asks for."


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _interval(bounds: list[float] | None) -> str:
    return "none" if bounds is None else f"[{_number(bounds[0])}, {_number(bounds[1])}]"
