"""What stands under records/: one folder a generation of every lineage, exactly those that params.yaml names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from herdbook.errors import FileError
from herdbook.files import read_json
from herdbook.layout import FOUNDER, HUMAN_PROFILE, HUMAN_RECEIPT, RECORDS, SPLIT, Place
from herdbook.lineage import NOT_BRED

DATASETS = ("training", "offspring")  # what is inspected of each generation, in this order
VERDICTS = ("passed", "waived", "failed", "errored", NOT_BRED)


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What is recorded of one generation of one lineage, under its regime's gate (block or waive)."""

    place: Place
    gate: str
    loss: Mapping[str, Any]
    profiles: Mapping[str, Mapping[str, Any]]  # by dataset
    receipts: Mapping[str, Mapping[str, Any]]  # by dataset
    counts: Mapping[str, Any]
    examples: Sequence[Mapping[str, str]]  # {prompt, text}; none where it was not bred

    @property
    def is_bred(self) -> bool:
        """Whether a model of this generation was trained."""
        return self.loss.get("status") != NOT_BRED

    @property
    def stopped_by(self) -> list[str]:
        """The rules that ended its lineage; none where it was bred."""
        return [] if self.is_bred else list(self.loss["rules"])

    @property
    def stopped_at(self) -> str:
        """The dataset that those rules were broken by, such as `offspring of g1`; empty where it was bred."""
        return "" if self.is_bred else f"{self.loss['dataset']} of {self.loss['generation']}"

    def verdict(self, dataset: str) -> str:
        """One of VERDICTS; waived is a dataset that did not pass, under a gate that waives."""
        status = str(self.receipts[dataset]["status"])
        return "waived" if status in ("failed", "errored") and self.gate == "waive" else status


def lineage_places(regimes: Sequence[str], seeds: Sequence[str], generations: Sequence[str]) -> list[Place]:
    """Every generation of every lineage, in the order of params.yaml."""
    return [Place(*names) for names in product(regimes, seeds, generations)]


def read_generations(gates: Mapping[str, str], seeds: Sequence[str], generations: Sequence[str]) -> list[Generation]:
    """All recorded generations, in the order of params.yaml; `gates` gives each regime's.

    Raises FileError for the first file or folder of records/ that these names do not explain, with the
    command that removes it, and for the first that is missing."""
    _demand_exactly(list(gates), seeds, generations)
    return [_read(place, gates[place.regime]) for place in lineage_places(list(gates), seeds, generations)]


def _read(place: Place, gate: str) -> Generation:
    examples = read_json(place.examples)
    return Generation(
        place=place,
        gate=gate,
        loss=read_object(place.loss),
        profiles={dataset: read_object(place.profile(dataset)) for dataset in DATASETS},
        receipts={dataset: read_object(place.receipt(dataset)) for dataset in DATASETS},
        counts=read_object(place.counts),
        examples=examples if isinstance(examples, list) else [],
    )


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; FileError when it is none."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise FileError(f"{path}: holds a {type(value).__name__}, must be a JSON object; remove it and run dvc repro")
    return value


def _demand_exactly(regimes: Sequence[str], seeds: Sequence[str], generations: Sequence[str]) -> None:
    expected = _expected(regimes, seeds, generations)
    folders = {parent for path in expected for parent in path.parents}
    if strays := _strays(RECORDS, expected, folders):
        raise _unexplained(strays[0], is_named=strays[0] in folders)
    if missing := sorted(path for path in expected if not path.is_file()):
        raise FileError(f"{missing[0]}: not found, but params.yaml names it; run dvc repro")


def _expected(regimes: Sequence[str], seeds: Sequence[str], generations: Sequence[str]) -> set[Path]:
    founders = [Place(FOUNDER, seed, "g0") for seed in seeds]
    return {
        SPLIT, HUMAN_PROFILE, HUMAN_RECEIPT,
        *(path for place in founders for path in (place.loss, place.examples)),
        *(path for place in lineage_places(regimes, seeds, generations) for path in _files(place)),
    }  # fmt: skip


def _files(place: Place) -> list[Path]:
    pairs = [path for dataset in DATASETS for path in (place.profile(dataset), place.receipt(dataset))]
    return [place.loss, place.examples, place.counts, *pairs]


def _strays(folder: Path, expected: set[Path], folders: set[Path]) -> list[Path]:
    """The topmost paths in `folder` that are not expected, sorted."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path in folders and path.is_dir():
            found.extend(_strays(path, expected, folders))
        elif path not in expected:
            found.append(path)
    return found


def _unexplained(path: Path, is_named: bool) -> FileError:
    """The refusal of a stray: `herdbook prune` looks as deep as generations, and not into human/."""
    parts = path.relative_to(RECORDS).parts
    is_pruned = not is_named and parts[0] != "human" and len(parts) <= len(("regime", "seed", "generation"))
    remove = "herdbook prune" if is_pruned else f"rm -r {path}"
    return FileError(f"{path}: belongs to no regime, seed or generation of params.yaml, so nothing may be compared; remove it: {remove}")
