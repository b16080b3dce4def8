"""The journal: an entry for every judged claim, whatever its verdict, and an index of every registration ever made.

journal/journal.jsonl has a line a publication, with the digests of the files that it wrote, as a chain of lines that git
carries. An entry that is published anew replaces the one before, and the index tells how often it was."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from herdbook.calibration.check import results
from herdbook.chain import linked, parse_chain, read_chain, write_chain
from herdbook.claims import Claim, Hypotheses, read_hypotheses
from herdbook.control import Id, Part
from herdbook.errors import ClaimError
from herdbook.files import canonical_json, digest_bytes, write_text
from herdbook.journal_entry import Notes, entry_of, parse_notes
from herdbook.journal_page import page, text
from herdbook.judgement import Verdict
from herdbook.layout import (
    BOOK_ROOT,
    CLAIM_NOTES,
    GENERATIONS,
    HYPOTHESES,
    JOURNAL,
    JOURNAL_INDEX,
    PUBLICATIONS,
    REGISTER,
    VERDICT_RECORD,
)
from herdbook.phases import Begin, unseen
from herdbook.records import read_object
from herdbook.registration import Conditions, Registration, conditions, ever_registered, last_of, read_register, standing
from herdbook.verdicts import verdicts

SCHEMA = 1
SUFFIXES = ("md", "json", "svg")  # of the files of an entry


class Publication(Part):
    """One line of journal/journal.jsonl."""

    number: int  # from 1
    previous: str  # sha256 of the line before, without its line break
    id: Id
    registration: int | None  # the number of it, where exactly what was judged was registered
    exploratory: bool
    verdict: Verdict
    root: str  # of the book whose generations were judged
    md_sha256: str
    json_sha256: str
    svg_sha256: str | None  # None where nothing was measured, so that there is no figure

    @property
    def link(self) -> dict[str, Any]:
        """The object of its line."""
        return {"schema": SCHEMA, **self.model_dump(mode="json")}

    @property
    def files(self) -> dict[Path, str]:
        """The sha256 of each file that it wrote."""
        digests = {suffix: getattr(self, f"{suffix}_sha256") for suffix in SUFFIXES}
        return {JOURNAL / f"{self.id}.{suffix}": digest for suffix, digest in digests.items() if digest is not None}


@dataclass(frozen=True)
class Published:
    """What became of one entry; `is_new` is False where it was published already, to the byte."""

    publication: Publication
    is_new: bool


def read_publications(path: Path = PUBLICATIONS) -> list[Publication]:
    """The publications in a file, oldest first; none where there is no file. ClaimError as parse_publications."""
    return _publications(read_chain(path), path.as_posix())


def parse_publications(lines: str, where: str = PUBLICATIONS.as_posix()) -> list[Publication]:
    """The publications of a text, oldest first; ClaimError names the first line that is none, or that breaks the chain."""
    return _publications(parse_chain(lines, where), where)


def _publications(links: Iterable[Mapping[str, Any]], where: str) -> list[Publication]:
    found = []
    for number, link in enumerate(links, 1):
        values = dict(link)
        if (schema := values.pop("schema", None)) != SCHEMA:
            raise ClaimError(f"{where}: line {number}: is of schema {str(schema)[:12]}, this version reads {SCHEMA}; install its herdbook")
        try:
            found.append(Publication.model_validate(values))
        except ValidationError as error:
            key = ".".join(str(part) for part in error.errors()[0]["loc"])[:80]
            raise ClaimError(
                f"{where}: line {number}: {key} is not as published, so it was altered; restore it: git checkout {where}"
            ) from error
    return found


def publish(names: Sequence[str] = (), begin: Begin = unseen) -> list[Published]:
    """Write the entries of these claims, or of all that are judged, and the index; what became of each, in the order of their ids.

    Raises ClaimError where a name is no judged claim, or where a verdict is not on what hypotheses.yaml and the register say now."""
    hypotheses, registrations, before = read_hypotheses(HYPOTHESES), read_register(), read_publications()
    begin("judging anew")
    judged, root = read_object(VERDICT_RECORD), str(read_object(BOOK_ROOT).get("root"))
    try:
        table = GENERATIONS.read_text(encoding="utf-8")
        stale = next(unlike(judged, hypotheses, registrations, conditions(Path()), table, results()), None)
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        raise ClaimError(f"{VERDICT_RECORD}: not of the form that compare writes ({error!r}); judge anew: dvc repro compare") from error
    if stale:
        raise ClaimError(f"{VERDICT_RECORD}: {stale}; judge anew: dvc repro compare")
    found = {result["id"]: result for result in judged["claims"]}
    if unknown := [name for name in names if name not in found]:
        raise ClaimError(f"{unknown[0]}: no claim of {HYPOTHESES}; there are {', '.join(found) or 'none'}")
    published, chosen = [], [name for name in found if not names or name in names]
    advance = begin("pages", len(chosen))
    for name in chosen:
        entry = entry_of(found[name], judged, registrations, root, _notes(name))
        published.append(_published(entry, before))
        before = [*before, published[-1].publication] if published[-1].is_new else before
        advance(1)
    write_index(hypotheses, registrations, before)
    return published


def _notes(name: str) -> Notes:
    path = CLAIM_NOTES / f"{name}.md"
    try:
        return parse_notes(path.read_text(encoding="utf-8")) if path.is_file() else Notes()
    except ValueError as error:
        raise ClaimError(f"{path}: not UTF-8 ({error}); correct it") from error


def _published(entry: Mapping[str, Any], before: Sequence[Publication]) -> Published:
    from herdbook.journal_figure import svg

    figure = svg(entry["result"])
    texts = {"md": page(entry, f"{entry['id']}.svg" if figure else None), "json": canonical_json(entry), "svg": figure}
    values = {
        **{name: entry[name] for name in ("id", "registration", "exploratory", "verdict", "root")},
        **{f"{suffix}_sha256": None if content is None else digest_bytes(content.encode()) for suffix, content in texts.items()},
    }
    last = next((one for one in reversed(before) if one.id == entry["id"]), None)
    is_new = last is None or last.model_dump(include=set(values)) != values
    for suffix, content in texts.items():
        path = JOURNAL / f"{entry['id']}.{suffix}"
        if content is None:
            path.unlink(missing_ok=True)
        elif not path.is_file() or path.read_bytes() != content.encode():
            write_text(path, content)
    if last is not None and not is_new:
        return Published(last, False)
    new = Publication.model_validate(linked([one.link for one in before], values))
    write_chain(PUBLICATIONS, [one.link for one in (*before, new)])
    return Published(new, True)


def unlike(
    judged: Mapping[str, Any],
    hypotheses: Hypotheses,
    registrations: Sequence[Registration],
    now: Conditions,
    table: str,
    calibrations: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    """In what verdicts are not those on the claims of hypotheses.yaml that register, table of generations and calibrations give."""
    if faults := list(_unlike_claims(judged, hypotheses, registrations, now)):
        yield from faults
        return
    anew = {one["id"]: one for one in verdicts(hypotheses, registrations, now, table, calibrations)["claims"]}
    for result in judged["claims"]:
        other = anew.get(result["id"], result)
        if result != other:
            yield f"the verdict on {result['id']} is {result['verdict']}, {GENERATIONS} gives {other['verdict']} or other figures"


def _unlike_claims(
    judged: Mapping[str, Any], hypotheses: Hypotheses, registrations: Sequence[Registration], now: Conditions
) -> Iterator[str]:
    results = {result["id"]: result for result in judged["claims"]}
    claims = {claim.id: claim for claim in hypotheses.claims}
    for name in sorted({*results, *claims}):
        if name not in results:
            yield f"has no verdict on {name}"
        elif name not in claims:
            yield f"has a verdict on {name}, which {HYPOTHESES} does not claim"
        else:
            yield from _unlike(results[name], claims[name], registrations, now)
    if (said := judged["family"]["num_ever_registered"]) != (num := len(ever_registered(registrations))):
        yield f"is adjusted for {said} claims that were ever registered, {REGISTER} has {num}"


def _unlike(result: Mapping[str, Any], claim: Claim, registrations: Sequence[Registration], now: Conditions) -> Iterator[str]:
    if result["digest"] != claim.digest or result["document"] != claim.document:
        yield f"the verdict on {claim.id} is on another claim than {HYPOTHESES} makes"
    found = standing(claim, registrations, now)
    if (result["exploratory"], result["exploratory_because"]) != (not found.registered, list(found.reasons)):
        said, is_so = ("exploratory" if exploratory else "registered" for exploratory in (result["exploratory"], not found.registered))
        because = f" ({found.reasons[0]})" if found.reasons else ""
        yield f"the verdict on {claim.id} says {said}, by the register it is {is_so}{because}"


def write_index(hypotheses: Hypotheses, registrations: Sequence[Registration], publications: Sequence[Publication]) -> None:
    """Write journal/README.md."""
    wanted = index({claim.id: claim.digest for claim in hypotheses.claims}, registrations, publications)
    if not JOURNAL_INDEX.is_file() or JOURNAL_INDEX.read_bytes() != wanted.encode():
        write_text(JOURNAL_INDEX, wanted)


def index(claimed: Mapping[str, str], registrations: Sequence[Registration], publications: Sequence[Publication]) -> str:
    """The index: every registration ever made, with what became of it; `claimed` is the digest of each claim of hypotheses.yaml."""
    lines = [
        "# Journal",
        "",
        "Every claim that was ever registered, and what became of it. Verdicts are published whatever they are, so a registration",
        "without one shows here. Written by `herdbook register` and `herdbook publish`; `herdbook audit` holds it against",
        f"[{REGISTER.name}]({REGISTER.name}) and {PUBLICATIONS.name}.",
        "",
        "| number | claim | sentence | fate |",
        "|---|---|---|---|",
    ]
    for one in registrations:
        fate = "; ".join(_fate(one, claimed, registrations, publications))
        lines.append(f"| {one.number} | {_linked(one.id, publications)} | {text(one.claim['sentence'])} | {fate} |")
    if not registrations:
        lines.append("| | | none yet | |")
    others = {one.id: one for one in publications if one.registration is None}
    if others:
        lines += ["", "Published without a registration of exactly what was judged:", "", "| claim | fate |", "|---|---|"]
        lines += [f"| {_linked(name, publications)} | {_told(one, publications)} |" for name, one in sorted(others.items())]
    return "\n".join(lines) + "\n"


def _linked(name: str, publications: Sequence[Publication]) -> str:
    return f"[{name}]({name}.md)" if any(one.id == name for one in publications) else name


def _fate(
    one: Registration, claimed: Mapping[str, str], all_of_them: Sequence[Registration], publications: Sequence[Publication]
) -> Iterator[str]:
    own = [publication for publication in publications if publication.registration == one.number]
    last = last_of(one.id, all_of_them)
    superseded = last is not None and last.number != one.number
    if own:
        is_theirs = own[-1].number == max(publication.number for publication in publications if publication.id == one.id)
        yield f"{_told(own[-1], publications)}{'' if is_theirs else '; its page was replaced by a later one'}"
    elif one.results_existed:
        yield "exploratory, for results existed; not published"
    elif not superseded:
        yield "registered, not yet published"
    if superseded and last is not None:
        yield f"superseded by number {last.number}{'' if own else ', not published'}"
    elif one.id not in claimed:
        yield f"dropped from {HYPOTHESES}"
    elif claimed[one.id] != one.claim_digest:
        yield f"changed in {HYPOTHESES} since"


def _told(publication: Publication, publications: Sequence[Publication]) -> str:
    """A verdict, whether it is exploratory, how often its entry was revised, and which other verdicts it had before."""
    before = [one.verdict for one in publications if one.id == publication.id and one.number < publication.number]
    marked = f"published: {publication.verdict}{', EXPLORATORY' if publication.exploratory else ''}"
    if not before:
        return marked
    times = "once" if len(before) == 1 else f"{len(before)} times"
    others = sorted(set(before) - {publication.verdict})
    return f"{marked} (revised {times}{'; before: ' + ', '.join(others) if others else ''})"
