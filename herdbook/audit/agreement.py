"""Do dvc.lock, data.dvc, dvc.yaml, params.yaml and the files themselves agree, and if not, which of them is alone?"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from herdbook.artefacts import Artefact, Inspection, resolved
from herdbook.audit.evidence import Evidence
from herdbook.audit.finding import Finding, finding, guarded
from herdbook.audit.lock import PIPELINE, Claim, Locked, Planned, Records, Weight
from herdbook.audit.register import Register
from herdbook.files import canonical_json
from herdbook.layout import BOOK, CODE, FOUNDER, HUMAN, LOCK, PARAMS, RECORDS, RUNS
from herdbook.snapshot import uncommitted


class Agreement:
    """The records of a herd beside its files; the register knows what the book says of either."""

    def __init__(self, records: Records, evidence: Evidence, register: Register) -> None:
        self._records, self._evidence, self._register = records, evidence, register
        self._right: set[Path] = set()  # of which every record says what lies there

    def stages(self) -> Iterator[list[Finding]]:
        """Whether each stage was run as planned, and each stage that was run is planned."""
        for name, plan in self._records.planned.items():
            if stage := self._records.locked.get(name):
                yield guarded(LOCK, partial(self._stage, name, stage, plan))
            else:
                yield [finding(LOCK, f"has no stage {name}, which dvc.yaml and params.yaml name; run dvc repro")]
        for name, stage in self._records.locked.items():
            if name not in self._records.planned:
                present = [out.path for out in stage.outs if self._is_named(out.path)]
                what = f"stage {name} wrote {present[0]}, but is of no stage of dvc.yaml and params.yaml" if present else ""
                yield [finding(LOCK, what)] if what else []
        for artefact in self._records.made:
            yield [found for step in (artefact, artefact.inspection) if step for found in self._asked(artefact.name, step)]

    def _asked(self, name: str, step: Artefact | Inspection) -> Iterator[Finding]:
        """Whether the stage that an entry names is one of the pipeline, and is run again for every parameter that the entry names."""
        command = f"python -m stages {step.words}"
        stages = [plan for plan in self._records.planned.values() if plan.command == command]
        if step.words and not stages:
            yield finding(PIPELINE, f"has no stage that runs {command!r}, by which {name} is made")
        for plan in stages:
            for key in sorted(set(step.parameters) - plan.parameters.keys()):
                yield finding(PIPELINE, f"the stage that runs {command!r} does not depend on {key} of {PARAMS}, as {name} does")

    def _stage(self, name: str, stage: Locked, plan: Planned) -> Iterator[Finding]:
        if stage.command != plan.command:
            yield finding(LOCK, f"stage {name} ran {stage.command!r}, {PIPELINE} has {plan.command!r}")
        for part, claims, paths in (("deps", stage.deps, plan.deps), ("outs", stage.outs, plan.outs)):
            if others := {claim.path for claim in claims} ^ paths:
                yield finding(LOCK, f"{part} of stage {name} differ from those of {PIPELINE} by {min(others)}")
        for key in sorted(stage.parameters.keys() ^ plan.parameters.keys()):
            yield finding(LOCK, f"params of stage {name} differ from those of {PIPELINE} by {key}")
        for key in sorted(stage.parameters.keys() & plan.parameters.keys()):
            ran, now = stage.parameters[key], plan.parameters[key]
            if canonical_json(ran) != canonical_json(now):
                where, what = self._other_value(key, ran, now)
                yield finding(where, f"stage {name} ran with {key} {what}")

    def _other_value(self, key: str, ran: Any, now: Any) -> tuple[Path, str]:
        """Which file changed where the lock and params.yaml differ: entries tell, of this key or of another."""
        ran, now = _told(ran), _told(now)
        said = self._register.parameters
        is_changed = {other for other, value in said.items() if _told(_value(other, self._records.document)) != _told(value)}
        if key in is_changed or (is_changed and key not in said):
            return PARAMS, f"{ran}, {PARAMS} now says {now}"
        return LOCK, f"{ran}, {PARAMS} says {now}"

    def _is_named(self, path: Path) -> bool:
        """Whether params.yaml still names the lineage and generation of an output; DVC keeps what was locked of others."""
        top, *names = path.parts
        if top not in (RUNS.name, RECORDS.name) or len(names) < 3 or names[0] in (HUMAN, CODE.name):
            return True
        params, (regime, seed, generation) = self._records.params, names[:3]
        return seed in params.seeds and (regime == FOUNDER or (regime in params.regimes and generation in params.generations))

    def files(self) -> Iterator[list[Finding]]:
        """Whether each output and dependency is what every record says it is; inner paths before those that hold them."""
        claims: dict[Path, list[Claim]] = {}
        for claim in self._records.claims:
            claims.setdefault(claim.path, []).append(claim)
        told: set[str] = set()
        for path in sorted(claims, key=lambda path: (-len(path.parts), path)):
            found = guarded(path, partial(self._weighed, path, claims[path]))
            if not found:
                self._right.add(path)
            is_told_inside = any(one == path.as_posix() or one.startswith(f"{path}/") for one in told)
            yield [one for one in found if one.path not in told and not (is_told_inside and one.path == path.as_posix())]
            told |= {one.path for one in found if one.path != LOCK.as_posix()}

    def _weighed(self, path: Path, claims: list[Claim]) -> Iterator[Finding]:
        weight = self._evidence.weigh(path)
        if not self._evidence.inside(path):
            yield finding(path, f"nothing lies there, {claims[0].record} records it ({claims[0].where})", "missing")
        if weight is None:
            yield from self._unweighed(path, claims)
            return
        wrong = [claim for claim in claims if claim.weight != weight]
        if not wrong:
            return
        is_record = len(wrong) < len(claims) or any(claim.weight.md5 == weight.md5 for claim in wrong) or self._is_confirmed(path)
        if is_record:
            yield from (_alone(claim, weight) for claim in wrong)
            return
        known, sha256 = self._register.known, self._evidence.sha256
        altered = [file for file in self._evidence.inside(path) if file in known and sha256(file) != known[file]]
        for file in altered or self._uncommitted(path) or [path]:
            where = "" if file == path else f" for {path}"
            found = f"md5 is {weight.md5}" if file == path else "was altered"
            yield finding(file, f"{found}, {wrong[0].record} records md5 {wrong[0].weight.md5}{where} ({wrong[0].where})")

    def _uncommitted(self, folder: Path) -> list[Path]:
        """The files of a tracked folder that differ from the last commit."""
        if self._evidence.snapshot.commit is not None:
            return []
        return [path for path in map(Path, uncommitted(self._evidence.snapshot.root)) if folder in path.parents]

    def _is_confirmed(self, path: Path) -> bool:
        """Whether others than these claims know that a path is as it was: the book, or the records of all outputs in it."""
        outs = self._records.outs
        if any(top in outs and outs[top].weight == self._evidence.weigh(top) for top in path.parents):
            return True
        if path in (RUNS, RECORDS) and all(out in self._right for out in outs if path in out.parents):
            return True
        files, known = self._evidence.inside(path), self._register.known
        return bool(files) and all(known.get(file) == self._evidence.sha256(file) for file in files)

    def _unweighed(self, path: Path, claims: list[Claim]) -> Iterator[Finding]:
        """What claims alone can show: that they differ from the maker's, or from the size of the files that an entry names."""
        made = self._records.outs.get(path, claims[0])
        yield from (_alone(claim, made.weight) for claim in claims if claim.weight != made.weight)
        said = [self._evidence.said.get(file) for file in self._evidence.inside(path)]
        sizes = [file["num_bytes"] for file in said if file]
        is_file = made.weight.num_files is None
        if sizes and len(sizes) == len(said):
            summed = Weight(made.weight.md5, sum(sizes), None if is_file else len(sizes))
            if summed != made.weight:
                yield _alone(made, summed)

    def strays(self) -> Iterator[list[Finding]]:
        """Files that lie among outputs and that no stage wrote."""
        for top in (RUNS, RECORDS, BOOK):
            outs = {path for path in self._records.outs if path == top or top in path.parents}
            strays = [file for file in self._evidence.below(top) if file not in outs and not outs & set(file.parents)]
            yield [finding(file, "lies there, but no stage of dvc.lock wrote it; remove it, or herdbook prune") for file in strays]


def _alone(claim: Claim, weight: Weight) -> Finding:
    said = ", ".join(
        f"{name} {getattr(claim.weight, field)} where it is {getattr(weight, field)}"
        for name, field in (("md5", "md5"), ("size", "num_bytes"), ("nfiles", "num_files"))
        if getattr(claim.weight, field) != getattr(weight, field)
    )
    return finding(claim.record, f"{claim.where} record {claim.path} with {said}")


def _value(key: str, document: Any) -> Any:
    try:
        return resolved((key,), document)[key]
    except (KeyError, TypeError):
        return None


def _told(value: Any) -> str:
    return " ".join(canonical_json(value).split())[:120]
