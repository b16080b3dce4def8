"""Whether results of a claim exist already: in dvc.lock, now or in any commit; in DVC's run-cache; in the workspace.

Models of a regime and seed that were bred before tell what to expect of the next ones, whatever was changed since; so a
lock that names them is evidence, and a claim that shall be confirmatory takes new seeds. The run-cache is shared between
experiments, so there a regime of the same name counts only with the same parameters, all the way back to the human text."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from herdbook.claims import Claim
from herdbook.control import Contrast
from herdbook.files import strict_yaml
from herdbook.layout import FOUNDER, LOCK, PARAMS, Place
from herdbook.past import read_past
from herdbook.snapshot import cache_of

# What a result depends on. Of the others (sample, profile, decodings) some only say how much is shown or measured, or of another regime.
_TELLING = frozenset({"model", "prepare", "regimes", "task", "teacher", "train"})
_TRAININGS = re.compile(r"(?m)^  (train(?:-founder)?@\S+):$")


def places(contrast: Contrast, seeds: Iterable[str]) -> list[Place]:
    """The generations whose models would tell of a contrast: of both sides from g1 on, or the founders where both sides are such.

    One founder's model is shared by all regimes, so that it is there tells nothing about what they do to it."""
    sides = (contrast.treatment, contrast.control)
    found = [Place(side.regime, seed, f"g{n}") for side in sides for seed in seeds for n in range(1, side.generation + 1)]
    return list(dict.fromkeys(found)) or [Place(FOUNDER, seed, "g0") for seed in seeds]


def training(place: Place) -> str:
    """The name that DVC gives the stage that trained a generation."""
    return f"train@{place}" if place.number else f"train-founder@{place.seed}"


def trainings(lock: bytes) -> frozenset[str]:
    """The stages that trained a model, of a text of dvc.lock, which need be no whole YAML."""
    return frozenset(_TRAININGS.findall(lock.decode(errors="replace")))


def evidence(root: Path, claim: Claim) -> list[str]:
    """Where results of a claim were found, a line for each kind of place; none where the claim comes before them.

    Raises ClaimError where git's history cannot be read."""
    wanted = places(claim.contrast, claim.seeds)
    stages = list(map(training, wanted))
    here = trainings((root / LOCK).read_bytes()) if (root / LOCK).is_file() else frozenset()
    then = read_past(root, [LOCK], "--all", "--reflog").read(LOCK, trainings)
    commits = [commit for commit, found in then.items() if not found.isdisjoint(stages)]
    known = set().union(*(then[commit] for commit in commits))
    lying = [place.loss.as_posix() for place in wanted if (root / place.loss).exists()]
    cached = _cached(root, wanted)
    return [
        *_told(f"{LOCK} records", [stage for stage in stages if stage in here]),
        *_told(
            f"{LOCK} of {listed([f'commit {commit[:12]}' for commit in commits])} records", [stage for stage in stages if stage in known]
        ),
        *_told("DVC's run-cache holds", [training(place) for place in wanted if place in cached]),
        *_told("in the workspace lie", lying),
    ]


def _told(where: str, found: Sequence[str]) -> Iterator[str]:
    if found:
        yield f"{where} {listed(found)}"


def listed(found: Sequence[str]) -> str:
    """The first of some names, and how many more there are; empty where there are none."""
    return "".join(found[:1]) + (f" and {len(found) - 1} more" if len(found) > 1 else "")


def _cached(root: Path, wanted: Iterable[Place]) -> set[Place]:
    """The generations that DVC's run-cache holds a training of, with the parameters of now."""
    commands = {f"python -m stages train {place.regime} {place.seed} {place.generation}": place for place in wanted}
    paths = sorted(path for path in cache_of(root).glob("runs/*/*/*") if path.is_file())
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    if not any(text.partition("\n")[0].removeprefix("cmd: ") in commands for text in texts):
        return set()
    entries = [entry for text in texts for entry in _entry(text)]
    document = strict_yaml((root / PARAMS).read_text(encoding="utf-8"))
    return {commands[entry["cmd"]] for entry in entries if entry["cmd"] in commands and _is_of_now(entry, entries, document)}


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


def _is_of_now(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> bool:
    """Whether a stage, and each that made what it read, ran with the parameters of now; what no entry made is taken to be so."""
    seen: set[tuple[str, str]] = set()
    if not _fits(entry, document):
        return False
    todo = [entry]
    while todo:
        for read in todo.pop()["deps"] - seen:
            seen.add(read)
            makers = [maker for maker in entries if read in maker["outs"]]
            fitting = [maker for maker in makers if _fits(maker, document)]
            if makers and not fitting:
                return False
            todo.extend(fitting)
    return True


def _fits(entry: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    told = {key: value for key, value in entry["params"].items() if key.split(".")[0] in _TELLING}
    return all(_at(document, key) == value for key, value in told.items())


def _at(document: Any, key: str) -> Any:
    for part in key.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document
