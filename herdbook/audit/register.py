"""The book itself: its root, its index, an entry for each artefact, and each entry written anew from what lies there."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from herdbook.artefacts import Artefact
from herdbook.audit.evidence import Evidence, file_at
from herdbook.audit.finding import Finding, finding, guarded, short
from herdbook.audit.lock import Records
from herdbook.book import INDEX, code_path, entry_path
from herdbook.code import fingerprint, read_pins
from herdbook.entering import broken_links, described, making_of
from herdbook.entry import SCHEMA, Entry, parse_entry
from herdbook.errors import BookError, CodeError
from herdbook.files import canonical_json, digest_bytes
from herdbook.layout import BOOK, BOOK_ROOT, CODE, CONSTRAINTS, EXPECTATIONS, MAKING, PARAMS
from herdbook.lineage import NOT_BRED
from herdbook.open_book import demand_book

CODE_FOLDERS = (Path("herdbook"), Path("stages"))


class Register:
    """The entries that are what the index names them, and all that they say of files and parameters.

    Raises BookError where the pipeline wrote no book, or where it cannot be had."""

    def __init__(self, made: list[Artefact], evidence: Evidence, records: Records) -> None:
        self._made, self._evidence, self._records = made, evidence, records
        self.entries: dict[str, Entry] = {}
        self.known: dict[Path, str] = {}  # sha256, by file
        self.parameters: dict[str, Any] = {}  # of params.yaml, as they were, by dotted key
        self._ids: dict[str, str] = {}
        self._code: dict[str, str] = {}
        demand_book(evidence.snapshot)
        self._of_index = guarded(INDEX, self._read_index)
        self._of_entries = {artefact.name: guarded(entry_path(artefact.name), partial(self._read, artefact)) for artefact in made}
        self._of_root = guarded(BOOK_ROOT, self._root)
        self._remember()

    def _read_index(self) -> Iterator[Finding]:
        index = self._evidence.json(INDEX)
        if index["schema"] > SCHEMA:
            raise BookError(f"{INDEX}: a book of schema {index['schema']}, this version reads up to {SCHEMA}; install a newer herdbook")
        self._ids, self._code = dict(index["entries"]), dict(index["code"])
        if self._evidence.read(INDEX) != canonical_json(index).encode():
            yield finding(INDEX, "is not canonical JSON; restore it with dvc checkout book")

    def _read(self, artefact: Artefact) -> Iterator[Finding]:
        """Keep an entry that is what the index names."""
        path = entry_path(artefact.name)
        if artefact.name not in self._ids:
            yield finding(path, f"{INDEX} names no such entry, but {PARAMS} such a {artefact.kind}; run dvc repro book", "missing")
            return
        text = self._evidence.read(path)
        if (found := digest_bytes(text)) != self._ids[artefact.name]:
            yield finding(path, f"is {short(found)}, {INDEX} names {short(self._ids[artefact.name])}; restore it with dvc checkout book")
            return
        entry = parse_entry(text, str(path))
        if text != canonical_json(entry).encode() or entry["name"] != artefact.name:
            yield finding(path, "is not the canonical JSON of an entry of this name")
            return
        self.entries[artefact.name] = entry
        for file, told in entry["files"].items():
            self._evidence.said[file_at(artefact.path, file)] = told
        if entry["contents"] and "num_rows" in entry["contents"]:
            self._evidence.said_contents[artefact.rows] = entry["contents"]

    def _remember(self) -> None:
        """Gather what the entries say of each file and parameter."""
        self.known |= {entry_path(name): found for name, found in self._ids.items()}
        self.known |= {code_path(stage): found for stage, found in self._code.items()}
        self.known |= {CODE / f"{stage}.json": found for stage, found in self._code.items()}
        for entry in self.entries.values():
            self.known |= {file_at(Path(entry["path"]), name): file["sha256"] for name, file in entry["files"].items()}
            self.known |= {Path(path): found for path, found in entry["records"].items()}
            self.parameters |= entry["stage"]["parameters"]
            if inspection := entry["inspection"]:
                self.known |= {Path(inspection[part]["path"]): inspection[part]["sha256"] for part in ("receipt", "profile")}
                self.known |= {EXPECTATIONS / name: found for name, found in inspection["policies"].items()}
                self.parameters |= inspection["stage"]["parameters"]

    def names(self) -> Iterator[list[Finding]]:
        """Whether root, index and entries name each other, and name exactly what params.yaml does."""
        yield self._of_index
        yield self._of_root
        yield from self._of_entries.values()
        wanted = {entry_path(artefact.name) for artefact in self._made} | {INDEX} | {code_path(stage) for stage in self._code}
        orphans = {*self._evidence.below(BOOK), *map(entry_path, self._ids)} - wanted
        yield [finding(path, f"an orphan: {PARAMS} names no such artefact") for path in sorted(orphans)]

    def _root(self) -> Iterator[Finding]:
        root, num_not_bred = digest_bytes(self._evidence.read(INDEX)), sum(entry["status"] == NOT_BRED for entry in self.entries.values())
        told = self._evidence.json(BOOK_ROOT)
        if told["root"] != root:
            out = self._records.outs.get(BOOK_ROOT)
            is_altered = out is None or out.weight != self._evidence.weigh(BOOK_ROOT)
            yield finding(BOOK_ROOT if is_altered else INDEX, f"the root in {BOOK_ROOT} is {short(told['root'])}, {INDEX} is {short(root)}")
        else:
            self.known |= {INDEX: root}
        if set(told) != {"root", "num_entries", "num_not_bred"} or told["num_entries"] != len(self._ids):
            yield finding(BOOK_ROOT, f"counts {told.get('num_entries')} entries, {INDEX} names {len(self._ids)}")
        elif len(self.entries) == len(self._ids) and told["num_not_bred"] != num_not_bred:
            yield finding(BOOK_ROOT, f"counts {told['num_not_bred']} artefacts that were not bred, there are {num_not_bred}")

    def facts(self) -> Iterator[list[Finding]]:
        """Whether each entry is what would be written now of what lies there."""
        for artefact in self._made:
            if entry := self.entries.get(artefact.name):
                yield guarded(artefact.path, partial(self._anew, artefact, entry))

    def _anew(self, artefact: Artefact, entry: Entry) -> Iterator[Finding]:
        if altered := list(_altered(artefact.path, entry["files"], self._evidence.files(artefact.path))):
            yield from altered
            return  # what was altered is asked nothing more
        if any(name not in self.entries for _, name in artefact.parents):
            return  # told of that entry
        anew = described(artefact, self.entries, self._records.document, self._evidence)
        apart = {"schema", "files", "digest"}  # of another version, or told above
        if self._evidence.snapshot.commit is not None and entry["environment"]:  # pins are those of the code of that day
            apart.add("environment")
            if entry["environment"]["device"] != anew["environment"]["device"]:
                yield finding(entry_path(artefact.name), f"device {entry['environment']['device']} is not that of {artefact.path / MAKING}")
        for field in anew.keys() - apart:
            for where, said, found in _differences(field, entry.get(field), anew[field]):
                if ".code." not in where or said != self._code.get(_stage_of(entry, where)):  # else told of the code
                    yield _differing(artefact, where, said, found)
        if entry["digest"] != anew["digest"]:
            yield finding(entry_path(artefact.name), f"digest is {short(entry['digest'])}, its files give {short(anew['digest'])}")
        for line in broken_links(entry, making_of(artefact, entry, self._evidence), self.entries):
            yield finding(artefact.path / MAKING, line)

    def code(self) -> Iterator[list[Finding]]:
        """Whether each stage's fingerprint is the book's, and is that of the modules and packages of this snapshot."""
        pins: dict[str, str] = {}
        yield guarded(CONSTRAINTS, lambda: pins.update(read_pins(self._evidence.local(CONSTRAINTS))) or ())
        modules: dict[tuple[str, str], list[str]] = {}
        stages = sorted({path.stem for path in self._evidence.below(CODE)} | set(self._code))
        for stage in stages:
            yield guarded(CODE / f"{stage}.json", partial(self._fingerprint, stage, pins, modules))
        for (module, wanted), users in sorted(modules.items()):
            found = self._evidence.sha256(Path(module))
            what = f"is {short(found)}, outputs of {', '.join(users)} were made with {short(wanted)}; run dvc repro"
            yield [finding(Path(module), what, "code")] if found != wanted else []

    def _code_root(self) -> Path:
        """A folder with the code of this snapshot."""
        if self._evidence.snapshot.commit is None:
            return self._evidence.snapshot.root
        files = [path for top in CODE_FOLDERS for path in self._evidence.below(top)]
        places = {path: self._evidence.local(path) for path in [*files, CONSTRAINTS]}
        place = places[CONSTRAINTS]
        return place.parents[len(CONSTRAINTS.parts) - 1]

    def _fingerprint(self, stage: str, pins: Mapping[str, str], modules: dict[tuple[str, str], list[str]]) -> Iterator[Finding]:
        path, copy = CODE / f"{stage}.json", code_path(stage)
        for place in (path, copy) if stage in self._code else ():
            if (found := self._evidence.sha256(place)) != self._code[stage]:
                yield finding(place, f"is {short(found)}, {INDEX} names {short(self._code[stage])}", "code")
        told = self._evidence.json(path)
        try:
            wanted = fingerprint(stage, self._code_root())
        except (SyntaxError, ValueError, CodeError):  # an altered module, which its digest tells
            wanted = {"modules": {}, "packages": {}}
        for part, names in wanted.items():
            if left_out := sorted(names.keys() - told[part].keys()):
                yield finding(path, f"leaves out {left_out[0]}, which stage {stage} imports; run dvc repro", "code")
        for module, sha256 in told["modules"].items():
            modules.setdefault((module, sha256), []).append(stage)
        for package, version in told["packages"].items() if pins else ():
            if pins.get(package) != version:
                what = f"pins {package} at {pins.get(package)}, stage {stage} was run with {version}; run dvc repro"
                yield finding(CONSTRAINTS, what)


def _altered(path: Path, said: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Finding]:
    """Where the files that lie there are not those of the entry."""
    for name in sorted({*said, *found}):
        file = file_at(path, name)
        if name not in found:
            yield finding(file, "its entry names it, but it does not lie there; dvc checkout puts it back", "missing")
        elif name not in said:
            yield finding(file, "lies there, but its entry does not name it")
        elif found[name] != said[name]:
            yield finding(file, f"is {short(found[name]['sha256'])}, its entry says {short(said[name]['sha256'])}")


def _differing(artefact: Artefact, where: str, said: Any, found: Any) -> Finding:
    """What to say of a place in an entry at which something else would be written now."""
    path, inspection = entry_path(artefact.name), artefact.inspection
    what = f"{where} is {_told(said)} in {path}, now {_told(found)}"
    if where.startswith("records."):
        return finding(Path(where.removeprefix("records.")), what)
    if ".parameters." in where or where == "inspection.gate":
        return finding(PARAMS, what)
    if inspection and where.startswith("inspection.receipt."):
        return finding(inspection.receipt, what)
    if inspection and where.startswith("inspection.profile."):
        return finding(inspection.profile, what)
    if where.startswith("contents"):
        return finding(artefact.path, what, "composition")
    return finding(path, what, {"counts": "counts", "waivers": "waiver", "inspection": "receipt"}.get(where.split(".")[0]))


def _differences(where: str, said: Any, found: Any) -> Iterator[tuple[str, Any, Any]]:
    """Each place at which two values differ, as a dotted path, and what each has there."""
    if isinstance(said, dict) and isinstance(found, dict):
        for key in sorted({*said, *found}):
            if key in said and key in found:
                yield from _differences(f"{where}.{key}", said[key], found[key])
            else:
                yield f"{where}.{key}", said.get(key), found.get(key)
    elif said != found:
        yield where, said, found


def _stage_of(entry: Entry, where: str) -> str:
    step = entry["inspection"] if where.startswith("inspection") else entry
    return str(step["stage"]["code"]["stage"])


def _told(value: Any) -> str:
    return " ".join(canonical_json(value).split())[:120]
