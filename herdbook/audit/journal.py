"""Claims: whether register and journal are whole and only grew, and whether registrations came before their results.

What this proves: as far as git's history here goes, no line was changed or removed, no entry was altered, and no commit that
was made before a registration, or with it, has a lock of its results. What it cannot, docs/journal.md tells."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import yaml

from herdbook.audit.evidence import Evidence
from herdbook.audit.finding import Finding, finding, guarded, short
from herdbook.calibration.check import NAMES
from herdbook.chain import canonical_line
from herdbook.claims import Hypotheses, parse_hypotheses
from herdbook.errors import HerdbookError
from herdbook.files import digest_bytes, strict_yaml
from herdbook.journal import Publication, index, parse_publications, unlike
from herdbook.layout import (
    CALIBRATION,
    CLAIM_NOTES,
    EXPECTATIONS,
    GENERATIONS,
    HYPOTHESES,
    JOURNAL,
    JOURNAL_INDEX,
    LOCK,
    PARAMS,
    PUBLICATIONS,
    REGISTER,
    VERDICT_RECORD,
)
from herdbook.params import parse_params
from herdbook.past import Past, lines_of, read_past
from herdbook.registration import Conditions, Registration, conditions, params_digest, parse_register
from herdbook.results_before import Bred, Regimes, listed, places
from herdbook.snapshot import Snapshot, commit_of

_WORKSPACE = "the workspace"  # named as a commit after the last one, which nobody made yet
_KIND = "journal"


class Journal:
    """The claims of a snapshot, their register and their journal; nothing of it is checked where it has neither claims nor register."""

    def __init__(self, snapshot: Snapshot, evidence: Evidence) -> None:
        self._snapshot, self._evidence = snapshot, evidence
        self._is_there = any(self._has(path) for path in (HYPOTHESES, REGISTER))

    def _has(self, path: Path) -> bool:
        return (self._snapshot.root / path).is_file() if self._snapshot.commit is None else path in self._snapshot.tracked

    def _text(self, path: Path) -> str:
        return self._evidence.read(path).decode(errors="replace") if self._has(path) else ""  # what is no UTF-8 breaks the chain

    @cached_property
    def _registrations(self) -> list[Registration]:
        return parse_register(self._text(REGISTER))

    @cached_property
    def _publications(self) -> list[Publication]:
        return parse_publications(self._text(PUBLICATIONS))

    @cached_property
    def _hypotheses(self) -> Hypotheses:
        return parse_hypotheses(self._text(HYPOTHESES), HYPOTHESES.as_posix())

    def entries(self) -> Iterator[list[Finding]]:
        """Chains, the files of the last publication of each claim, the index, and what lies there besides."""
        if not self._is_there:
            return
        faults = [guarded(path, partial(self._whole, path)) for path in (REGISTER, PUBLICATIONS)]
        yield from faults
        if any(faults):
            return  # what the lines name cannot be told
        yield guarded(JOURNAL_INDEX, self._index)
        last = {one.id: one for one in self._publications}
        files = {path: digest for one in last.values() for path, digest in one.files.items()}
        for path, digest in files.items():
            yield guarded(path, partial(self._published, path, digest))
        known = {REGISTER, PUBLICATIONS, JOURNAL_INDEX, *files}
        for path in self._evidence.below(JOURNAL):
            if path not in known and CLAIM_NOTES not in path.parents:
                yield [_told(path, f"lies there, but no line of {PUBLICATIONS} names it; remove it, or publish what it belongs to")]

    def _whole(self, path: Path) -> Iterator[Finding]:
        if path == REGISTER and not self._has(path):
            yield _told(
                path, f"not there, though there is {HYPOTHESES}; restore it, or write an empty file where nothing was registered yet"
            )
        _ = self._registrations if path == REGISTER else self._publications
        yield from ()

    def _index(self) -> Iterator[Finding]:
        claimed = {claim.id: claim.digest for claim in self._hypotheses.claims}
        wanted = index(claimed, self._registrations, self._publications)
        is_needed = bool(self._registrations or self._publications)
        if (self._has(JOURNAL_INDEX) or is_needed) and self._text(JOURNAL_INDEX) != wanted:
            yield _told(
                JOURNAL_INDEX, f"is not the index that {REGISTER.name}, {PUBLICATIONS.name} and {HYPOTHESES} give; herdbook publish"
            )

    def _published(self, path: Path, wanted: str) -> Iterator[Finding]:
        if not self._has(path):
            yield _told(path, f"not there, {PUBLICATIONS} says that it was published; restore it: git checkout {path}")
        elif (found := digest_bytes(self._evidence.read(path))) != wanted:
            yield _told(path, f"{short(found)}, {PUBLICATIONS} has {short(wanted)}; restore it: git checkout {path}")

    def verdicts(self) -> Iterator[list[Finding]]:
        """Each verdict as its claim and the register have it."""
        if not self._is_there:
            return
        found = guarded(VERDICT_RECORD, lambda: (_told(VERDICT_RECORD, what) for what in self._unlike()))
        yield found
        with suppress(HerdbookError):  # claims that cannot be read are told elsewhere
            yield from ([] for _ in (self._hypotheses.claims if not found else ()))

    def _unlike(self) -> list[str]:
        judged: Mapping[str, Any] = self._evidence.json(VERDICT_RECORD)
        table = self._evidence.read(GENERATIONS).decode(errors="replace")
        calibrations = [self._evidence.json(CALIBRATION / name / "result.json") for name in NAMES]
        found = list(unlike(judged, self._hypotheses, self._registrations, self._conditions(), table, calibrations))
        last = {one.id: one for one in self._publications} if not found else {}
        for result in judged["claims"]:
            one = last.get(result["id"])
            if one and (one.verdict, one.exploratory) != (result["verdict"], result["exploratory"]):
                found.append(f"the verdict on {one.id} is {result['verdict']}, its page in {JOURNAL} is of another run; herdbook publish")
        return found

    def _conditions(self) -> Conditions:
        """Those of the snapshot; of a revision its files are laid out elsewhere, for imports are looked up among files."""
        if self._snapshot.commit is None:
            return conditions(self._snapshot.root)
        with tempfile.TemporaryDirectory(prefix="herdbook-") as scratch:
            for path in self._snapshot.tracked:
                if path == PARAMS or EXPECTATIONS in path.parents or (path.parts[0] == "herdbook" and path.suffix == ".py"):
                    copy = Path(scratch, path)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(self._snapshot.local(path), copy)
            return conditions(Path(scratch))

    def _regimes(self) -> dict[str, Regimes]:
        """The regimes of params.yaml by the digest that registrations under it have: of other parameters it tells nothing."""
        try:
            document = strict_yaml(self._text(PARAMS))
            parse_params(document)
        except (HerdbookError, yaml.YAMLError):  # told elsewhere; names remain
            return {}
        return {params_digest(document): document["regimes"]}

    def history(self) -> Iterator[list[Finding]]:
        """Whether register and journal only grew, and each registration came before its results; a list for each line."""
        if not self._is_there:
            return
        register, journal = self._text(REGISTER), self._text(PUBLICATIONS)
        try:
            history = _History(self._snapshot)
        except HerdbookError as error:
            yield [finding(REGISTER, str(error), "missing")] if register or journal else []
            return
        yield list(history.shrunk(REGISTER))
        yield list(history.shrunk(PUBLICATIONS))
        with suppress(HerdbookError):  # a chain that is broken is told elsewhere
            regimes = self._regimes()
            for one in self._registrations:
                yield guarded(REGISTER, partial(history.late, one, regimes.get(one.conditions.params, {})))


class _History:
    """What register, journal and lock held at each commit, the workspace last."""

    def __init__(self, snapshot: Snapshot) -> None:
        tip = commit_of(snapshot.root, snapshot.commit or "HEAD")
        own = read_past(snapshot.root, [REGISTER, PUBLICATIONS], tip=tip)
        everywhere = read_past(snapshot.root, [LOCK, REGISTER], "--all", tip=tip)
        self._parents = _parents(own, tip, snapshot)
        self._lines = {path: own.read(path, lines_of) | _here(snapshot, path, lines_of) for path in (REGISTER, PUBLICATIONS)}
        self._all_parents = _parents(everywhere, tip, snapshot)
        self._locked = everywhere.read(LOCK, Bred) | _here(snapshot, LOCK, Bred)
        self._registered = everywhere.read(REGISTER, lines_of) | _here(snapshot, REGISTER, lines_of)

    def shrunk(self, path: Path) -> Iterator[Finding]:
        """The first line that each commit, or the workspace, changed or removed."""
        for commit, parents in self._parents.items():
            now = self._lines[path].get(commit, ())
            for parent in parents:
                before = self._lines[path].get(parent, ())
                changed = next((number for number, line in enumerate(before, 1) if now[number - 1 : number] != (line,)), None)
                if changed is not None:
                    yield _told(path, f"line {changed} was changed or removed by {_named(commit)}, a line once committed stays as it is")

    def late(self, registration: Registration, regimes: Regimes) -> Iterator[Finding]:
        """A commit, or the workspace, that brought results of a claim before or with a registration which says that there were none.

        Under any name, where `regimes` tell how those of the claim are defined."""
        if registration.results_existed:
            return
        line, wanted = canonical_line(registration.link), places(registration.contrast, registration.seeds)
        for commit, parents in self._all_parents.items():
            if commit not in self._locked or any(line in self._registered.get(parent, ()) for parent in parents):
                continue
            brought = self._locked[commit].telling(wanted, regimes)
            for parent in parents:
                before = self._locked[parent].telling(wanted, regimes) if parent in self._locked else {}
                brought = {stage: told for stage, told in brought.items() if stage not in before}
            if brought:
                yield _told(
                    REGISTER,
                    f"line {registration.number} ({registration.id}) says that no results existed, but {_named(commit)} has "
                    f"{listed(sorted(brought.values()))} in {LOCK}, and no commit before it has the line; so the claim is exploratory",
                )
                return


def _parents(past: Past, tip: str | None, snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    here = {_WORKSPACE: (tip,) if tip else ()} if snapshot.commit is None else {}
    return {name: commit.parents for name, commit in past.commits.items()} | here


def _here(snapshot: Snapshot, path: Path, reader: Any) -> dict[str, Any]:
    lying = snapshot.root / path
    return {_WORKSPACE: reader(lying.read_bytes())} if snapshot.commit is None and lying.is_file() else {}


def _named(commit: str) -> str:
    return commit if commit == _WORKSPACE else f"commit {commit[:12]}"


def _told(path: Path, what: str) -> Finding:
    return finding(path, what, _KIND)
