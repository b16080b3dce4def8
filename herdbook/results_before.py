"""Whether results of a claim exist already: in dvc.lock, now or in any commit; in DVC's run-cache; in the workspace.

Models of a regime and seed that were bred before tell what to expect of the next ones, whatever was changed since; so a
lock that names them is evidence, and a claim that shall be confirmatory takes new seeds. A regime of another name is
the same one where it is defined alike. The run-cache is shared between experiments, so there a regime of the same name
counts only with the same parameters, all the way back to the human text, and so does one of another name."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from herdbook.claims import Claim
from herdbook.control import Contrast
from herdbook.definitions import TELLING, Settings, is_defined_as, is_set, settings_of
from herdbook.files import strict_yaml
from herdbook.layout import FOUNDER, LOCK, PARAMS, Place
from herdbook.past import read_past
from herdbook.snapshot import cache_of

# What a result depends on. Of the others (sample, profile, decodings) some only say how much is shown or measured, or of another regime.
_TELLING = frozenset({"model", "prepare", "regimes", "task", "teacher", "train"})
_STAGE = re.compile(r"(?m)^  (train(?:-founder)?@\S+):$")
_TRAINING = re.compile(r"train@(\w+)-(s\d+)-(g\d+)")
_COMMAND = re.compile(r"python -m stages train (\w+) (s\d+) (g\d+)")
_LINEAGE = re.compile(r"(?:adopt|blend|train|sample|curate)@(\w+)-(s\d+)(?:-\S+)?")

Regimes = Mapping[str, Mapping[str, Any]]  # of params.yaml: each with its definition
Makers = dict[tuple[str, str], list[Mapping[str, Any]]]  # by path and md5 the entries of the run-cache that wrote it


def places(contrast: Contrast, seeds: Iterable[str]) -> list[Place]:
    """The generations whose models would tell of a contrast: of both sides from g1 on, or the founders where both sides are such.

    One founder's model is shared by all regimes, so that it is there tells nothing about what they do to it."""
    sides = (contrast.treatment, contrast.control)
    found = [Place(side.regime, seed, f"g{n}") for side in sides for seed in seeds for n in range(1, side.generation + 1)]
    return list(dict.fromkeys(found)) or [Place(FOUNDER, seed, "g0") for seed in seeds]


def training(place: Place) -> str:
    """The name that DVC gives the stage that trained a generation."""
    return f"train@{place}" if place.number else f"train-founder@{place.seed}"


@dataclass(frozen=True)
class Bred:
    """What a text of dvc.lock, which need be no whole YAML, says was bred."""

    lock: bytes

    @cached_property
    def trainings(self) -> frozenset[str]:
        """The stages that trained a model."""
        return frozenset(_STAGE.findall(self.lock.decode(errors="replace")))

    @cached_property
    def _settings(self) -> Mapping[tuple[str, str], Settings]:
        """What each regime and seed was bred with; nothing where the lock cannot be read."""
        try:
            stages = yaml.load(self.lock, Loader=yaml.CSafeLoader)["stages"]
            lineages: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
            for name, stage in stages.items():
                if found := _LINEAGE.fullmatch(name):
                    lineages.setdefault((found[1], found[2]), []).append(dict(stage.get("params", {}).get(PARAMS.name, {})))
        except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}
        return {(regime, seed): settings_of(regime, parameters) for (regime, seed), parameters in lineages.items()}

    def telling(self, wanted: Sequence[Place], regimes: Regimes) -> dict[str, str]:
        """The trainings of these generations, or of the same seeds and generations in regimes that are defined alike, with what to say."""
        found = {stage: stage for stage in map(training, wanted) if stage in self.trainings}
        for stage in sorted(self.trainings - found.keys()):
            if not (named := _TRAINING.fullmatch(stage)):
                continue
            for place in wanted:
                same = (place.seed, place.generation) == (named[2], named[3]) and place.regime in regimes
                if same and is_defined_as(self._settings.get((named[1], named[2]), {}), regimes[place.regime]):
                    found[stage] = _renamed(stage, place.regime)
        return found


def _renamed(what: str, regime: str) -> str:
    return f"{what} (of a regime defined as {regime} is)"


def evidence(root: Path, claim: Claim) -> list[str]:
    """Where results of a claim were found, a line for each kind of place; none where the claim comes before them.

    Raises ClaimError where git's history cannot be read."""
    wanted = places(claim.contrast, claim.seeds)
    document = strict_yaml((root / PARAMS).read_text(encoding="utf-8"))
    regimes: Regimes = document["regimes"]
    here = Bred((root / LOCK).read_bytes()).telling(wanted, regimes) if (root / LOCK).is_file() else {}
    past = read_past(root, [LOCK], "--all", "--reflog").read(LOCK, lambda lock: Bred(lock).telling(wanted, regimes))
    then = {commit: found for commit, found in past.items() if found}
    known = {stage: told for found in then.values() for stage, told in found.items()}
    commits = listed([f"commit {commit[:12]}" for commit in then])
    return [
        *_told(f"{LOCK} records", _in_order(here, wanted)),
        *_told(f"{LOCK} of {commits} records", _in_order(known, wanted)),
        *_told("DVC's run-cache holds", _in_order(_cached(root, wanted, document), wanted)),
        *_told("in the workspace lie", list(_lying(root, wanted, regimes))),
    ]


def _in_order(found: Mapping[str, str], wanted: Iterable[Place]) -> list[str]:
    """What to say of trainings: those that were asked for as they were, then those of other names."""
    asked = [stage for stage in map(training, wanted) if stage in found]
    return [found[stage] for stage in (*asked, *sorted(found.keys() - set(asked)))]


def _lying(root: Path, wanted: Iterable[Place], regimes: Regimes) -> Iterator[str]:
    for place in wanted:
        for name in dict.fromkeys((place.regime, *regimes)):
            record = Place(name, place.seed, place.generation).loss
            if not (root / record).exists():
                continue
            if name == place.regime:
                yield record.as_posix()
            elif place.regime in regimes and all(is_set(regimes[place.regime], key, value) for key, value in regimes[name].items()):
                yield _renamed(record.as_posix(), place.regime)


def _told(where: str, found: Sequence[str]) -> Iterator[str]:
    if found:
        yield f"{where} {listed(found)}"


def listed(found: Sequence[str]) -> str:
    """The first of some names, and how many more there are; empty where there are none."""
    return "".join(found[:1]) + (f" and {len(found) - 1} more" if len(found) > 1 else "")


def _cached(root: Path, wanted: Sequence[Place], document: Mapping[str, Any]) -> dict[str, str]:
    """The trainings that DVC's run-cache holds, with the parameters of now, of these generations or of regimes defined alike."""
    paths = sorted(path for path in cache_of(root).glob("runs/*/*/*") if path.is_file())
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    if not any(_asked(text.partition("\n")[0].removeprefix("cmd: "), wanted) for text in texts):
        return {}
    entries = [entry for text in texts for entry in _entry(text)]
    makers: Makers = {}
    for entry in entries:
        for out in entry["outs"]:
            makers.setdefault(out, []).append(entry)
    found: dict[str, str] = {}
    for entry in entries:
        for name, place in _asked(entry["cmd"], wanted):
            stage = training(Place(name, place.seed, place.generation))
            if _is_of_now(entry, makers, document, name, place.regime):
                found[stage] = stage if name == place.regime else found.get(stage, _renamed(stage, place.regime))
    return found


def _asked(command: str, wanted: Iterable[Place]) -> list[tuple[str, Place]]:
    """The generations that a training may tell of, with the name of its own regime: of its seed and generation."""
    named = _COMMAND.fullmatch(command)
    return [(named[1], place) for place in wanted if (place.seed, place.generation) == (named[2], named[3])] if named else []


def _entry(text: str) -> Iterator[dict[str, Any]]:
    """A stage as the run-cache has it; none where DVC could not use it either."""
    try:
        entry = yaml.load(text, Loader=yaml.CSafeLoader)
        yield {
            "cmd": str(entry["cmd"]),
            "params": dict(entry.get("params", {}).get(PARAMS.name, {})),
            "deps": {(dep["path"], dep["md5"]) for dep in entry.get("deps", ())},
            "outs": {(out["path"], out["md5"]) for out in entry["outs"]},
        }
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return


def _is_of_now(entry: Mapping[str, Any], makers: Makers, document: Mapping[str, Any], regime: str, wanted: str) -> bool:
    """Whether a stage, and each that made what it read, ran with the parameters of now, its regime being the one wanted.

    What no entry made is taken to be so where the names are one; a regime of another name must be known by its definition."""
    seen: set[tuple[str, str]] = set()
    if not _fits(entry, document, regime, wanted):
        return False
    todo, ran = [entry], [entry["params"]]
    while todo:
        for read in todo.pop()["deps"] - seen:
            seen.add(read)
            fitting = [maker for maker in makers.get(read, ()) if _fits(maker, document, regime, wanted)]
            if read in makers and not fitting:
                return False
            todo.extend(fitting)
            ran.extend(maker["params"] for maker in fitting)
    return regime == wanted or settings_of(regime, ran).keys() >= TELLING


def _fits(entry: Mapping[str, Any], document: Mapping[str, Any], regime: str, wanted: str) -> bool:
    own = f"regimes.{regime}."
    definition = document["regimes"].get(wanted)
    told = {key: value for key, value in entry["params"].items() if key.split(".")[0] in _TELLING}
    return all(
        definition is not None and is_set(definition, key.removeprefix(own), value) if key.startswith(own) else _at(document, key) == value
        for key, value in told.items()
    )


def _at(document: Any, key: str) -> Any:
    for part in key.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document
