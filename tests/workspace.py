"""A project folder in miniature: human rows, one lineage's g0, and receipts with the verdict a test wants."""

import shutil
from pathlib import Path

import pyarrow as pa

from herdbook.files import write_json, write_table
from herdbook.layout import HUMAN_RECEIPT, HUMAN_TRAIN, Place
from herdbook.receipt import make_receipt, policy_paths, training_data
from herdbook.training_set import write_training
from tests.rows import rows_of

ROOT = Path(__file__).parents[1]
HUMAN = rows_of("human", 20, nll=None)
OFFSPRING = rows_of("prompt", 20, model="m0", depth=1.0, nll=2.0)


def outcomes(kind: str, status: str) -> list[dict]:
    """The rules of both policies of a kind: one of each passed, and the profile's of the status wanted."""
    contract, profile = (path.stem for path in policy_paths(kind))
    passed = {"suite": contract, "rule": "expect_table_row_count_to_be_between", "column": None, "severity": "critical", "status": "passed"}
    return [passed, {**passed, "suite": profile, "rule": "expect_column_min_to_be_between", "column": "distinct_2", "status": status}]


def write_receipt(path: Path, kind: str, data: dict[str, Path], status: str = "passed") -> None:
    write_json(path, make_receipt(kind, data, outcomes(kind, status), {}))


def build(root: Path) -> None:
    """Policies, parameters, inspected human rows, and the founder's scores of them; run it with `root` as working directory."""
    shutil.copytree(ROOT / "expectations", root / "expectations")
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")
    write_table(HUMAN_TRAIN, HUMAN)
    write_receipt(HUMAN_RECEIPT, "human", {"rows": HUMAN_TRAIN})
    scores = {"id": HUMAN["id"], "split": ["train"] * HUMAN.num_rows, "nll_nats": [4.0] * HUMAN.num_rows}
    write_table(Place("founder", "s0", "g0").human_nll, pa.table(scores))


def write_generation(place: Place, offspring: str = "passed", training: str = "passed") -> None:
    """The training set and curated offspring of a generation, inspected with the given verdicts."""
    write_training(place, HUMAN, HUMAN, {}, [])
    data = training_data(place)
    write_receipt(place.receipt("training"), "training", data, training)
    write_table(place.curated / "rows.parquet", OFFSPRING)
    write_receipt(place.receipt("offspring"), "offspring", {"rows": place.curated / "rows.parquet"}, offspring)
