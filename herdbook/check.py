"""Does what lies in a checkout still agree with its records? Everything is hashed, nothing is run."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from herdbook.corpus import dvc_digest
from herdbook.errors import FileError, InspectionError
from herdbook.files import read_json
from herdbook.layout import CODE, FOUNDER, HUMAN, HUMAN_RECEIPT, HUMAN_TRAIN, RECORDS, RUNS, Place
from herdbook.lineage import NOT_BRED
from herdbook.params import Params
from herdbook.receipt import read_inspected, training_data
from herdbook.records import DATASETS, lineage_places

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Finding:
    """One file or folder that is not what a record says."""

    path: str
    what: str  # one line


def findings(lock: Path, params: Params) -> list[Finding]:
    """Every output that is not what `lock` records, and every receipt that is not of its data, in the order of the lock."""
    return [*_outputs(lock, params), *_receipts(params)]


def _is_bred_now(path: Path, params: Params) -> bool:
    """Whether the parameters still name the lineage and generation of an output; DVC keeps what was locked of others."""
    top, *names = path.parts
    if top not in (RUNS.name, RECORDS.name) or len(names) < 3 or names[0] in (HUMAN, CODE.name):
        return True
    regime, seed, generation = names[:3]
    return seed in params.seeds and (regime == FOUNDER or (regime in params.regimes and generation in params.generations))


def _outputs(lock: Path, params: Params) -> Iterator[Finding]:
    try:
        stages = yaml.load(lock.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["stages"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise FileError(f"{lock}: cannot be read as a lock ({' '.join(str(error).split())}); restore it: git checkout {lock}") from error
    for name, entry in stages.items():
        for out in entry.get("outs", ()):
            path = Path(out["path"])
            if not _is_bred_now(path, params):
                continue
            if not path.exists():
                yield Finding(out["path"], f"missing; stage {name} wrote it (dvc checkout puts it back)")
            elif (found := dvc_digest(path) if path.is_dir() else _md5(path)) != out["md5"]:
                yield Finding(out["path"], f"md5 is {found}, {lock} records {out['md5']} for stage {name}")


def _receipts(params: Params) -> Iterator[Finding]:
    wanted = [({"rows": HUMAN_TRAIN}, HUMAN_RECEIPT, "human")]
    for place in lineage_places(list(params.regimes), params.seeds, params.generations):
        wanted += [(_data(place, kind), place.receipt(kind), kind) for kind in DATASETS if not _is_not_bred(place.receipt(kind))]
    for data, receipt, kind in wanted:
        try:
            read_inspected(data, receipt, kind)
        except InspectionError as error:
            yield Finding(str(receipt), str(error))


def _data(place: Place, kind: str) -> dict[str, Path]:
    return training_data(place) if kind == "training" else {"rows": place.curated / "rows.parquet"}


def _is_not_bred(receipt: Path) -> bool:
    try:
        return bool(read_json(receipt).get("status") == NOT_BRED)
    except (FileError, AttributeError):
        return False  # then it cannot be read as a receipt either, and is found there


def _md5(path: Path) -> str:
    state = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()
