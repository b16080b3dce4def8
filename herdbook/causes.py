"""Why an artefact is not what it was: what of its record differs between two books."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from herdbook.book import Book
from herdbook.distance import leaves
from herdbook.entry import Entry
from herdbook.layout import EXPECTATIONS, PARAMS

INHERITED = ("parent", "reference")  # kinds of causes that lie in another artefact


@dataclass(frozen=True)
class Cause:
    """One recorded thing that differs, with both values; None where a side has none.

    `kind` is parameter, code, package, policy, environment, given, parent, reference (what an inspection
    compares with) or unknown."""

    kind: str
    name: str
    old: Any = None
    new: Any = None


def causes(name: str, old: Book, new: Book) -> tuple[Cause, ...]:
    """Why the entry `name` is not the same in both books: its own things first, then what lies in other artefacts."""
    before, after = old.entries.get(name), new.entries.get(name)
    if before and after:
        found = list(_changed(before, after, old, new))
    elif after:
        found = list(_one_sided(after, old))
    else:
        found = [replace(cause, old=cause.new, new=None) for cause in _one_sided(old.entries[name], new)]
    once = {(cause.kind, cause.name): cause for cause in found}
    return tuple(once.values()) or (Cause("unknown", "nothing that is recorded; see herdbook replay"),)


def apart(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Each key whose values differ, with both; None where there is none."""
    return {key: [old.get(key), new.get(key)] for key in sorted({*old, *new}) if old.get(key) != new.get(key)}


def _of_kind(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    return (Cause(kind, key, *pair) for key, pair in apart(old, new).items())


def _changed(before: Entry, after: Entry, old: Book, new: Book) -> Iterator[Cause]:
    yield from _of_step(before["stage"], after["stage"], old, new)
    are_bred = before["status"] == after["status"] == "bred"  # else one has neither a device nor a policy that judged it
    if are_bred:
        yield from _of_kind("environment", dict(leaves(before["environment"])), dict(leaves(after["environment"])))
    if not after["stage"]["command"] and before["digest"] != after["digest"]:
        yield Cause("given", after["path"], before["digest"], after["digest"])
    was, now = before["inspection"] or {}, after["inspection"] or {}
    if was and now:
        yield from _of_step(was["stage"], now["stage"], old, new)
        if are_bred:
            policies = ({f"{EXPECTATIONS}/{name}": sha256 for name, sha256 in side["policies"].items()} for side in (was, now))
            yield from _of_kind("policy", *policies)
        gates = ({f"regimes.{after['regime']}.gate": side["gate"]} for side in (was, now))
        yield from _of_kind("parameter", *gates)
    parents = ({parent["name"]: parent["entry"] for parent in entry["parents"]} for entry in (before, after))
    yield from _of_kind("parent", *parents)
    if now and any(was.get(part) != now[part] for part in ("receipt", "profile")):
        references = ({name: book.ids.get(name) for name in _references(after)} for book in (old, new))
        yield from _of_kind("reference", *references)


def _of_step(before: Mapping[str, Any], after: Mapping[str, Any], old: Book, new: Book) -> Iterator[Cause]:
    """Parameters, modules and packages of a stage that differ."""
    yield from _of_kind("parameter", dict(leaves(before["parameters"])), dict(leaves(after["parameters"])))
    if before["code"] != after["code"]:
        records = [book.code.get(step["code"]["stage"], {}) if step["code"] else {} for book, step in ((old, before), (new, after))]
        for kind, part in (("code", "modules"), ("package", "packages")):
            was, now = (record.get(part, {}) for record in records)
            yield from _of_kind(kind, was, now)


def _references(entry: Entry) -> list[str]:
    """What the inspection of a dataset compares it with."""
    place, scores = f"{entry['regime']}/{entry['seed']}/{entry['generation']}", f"founder/{entry['seed']}/g0/scores"
    return {
        "human": ["human/base", "human/reference"],
        "training": ["human/base", "human/reference", "human/train", scores],
        "offspring": ["human/base", "human/reference", f"{place}/training", scores],
    }[entry["inspection"]["dataset"]]


def _one_sided(entry: Entry, other: Book) -> Iterator[Cause]:
    """Why the other book lacks an artefact: what params.yaml does not name there, or a parent."""
    sections = {"seed": "seeds", "regime": "regimes", "generation": "generations"}
    named = [Cause("parameter", section, None, entry[key]) for key, section in sections.items() if not _has(other, key, entry[key])]
    parents = [Cause("parent", p["name"], None, p["entry"]) for p in entry["parents"] if p["name"] not in other.entries]
    yield from (named + parents) or [Cause("parameter", PARAMS.name)]


def _has(book: Book, key: str, value: Any) -> bool:
    return value is None or any(entry[key] == value for entry in book.entries.values())
