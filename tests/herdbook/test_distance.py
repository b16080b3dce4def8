import json

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from herdbook.distance import distance, leaves, told
from herdbook.files import write_table


def tensors(path, **values):
    save_file({name: np.array(value, dtype=np.float32) for name, value in values.items()}, path)
    return path


def table(path, **columns):
    write_table(path, pa.table(columns))
    return path


def document(path, value):
    path.write_text(json.dumps(value))
    return path


def test_models_are_as_far_apart_as_their_farthest_weight(tmp_path):
    old = tensors(tmp_path / "old", a=[1.0, 2.0, 4.0], b=[0.0])
    new = tensors(tmp_path / "new", a=[1.0, 2.5, 4.0], b=[0.0])
    found = distance(old, new, "model.safetensors")
    assert found == {"kind": "tensors", "apart": {"a": {"num_values": 1, "max_absolute": 0.5, "max_relative": 0.2}}}
    assert told(found) == ["a: by up to 0.5 (0.2 of the value)"]


def test_a_weight_of_another_shape_or_on_one_side_only_is_named(tmp_path):
    old, new = tensors(tmp_path / "old", a=[1.0], b=[1.0]), tensors(tmp_path / "new", a=[1.0, 1.0], c=[1.0])
    found = distance(old, new, "model.safetensors")
    assert found["apart"] == {"a": {"shapes": [[1], [2]]}, "b": {"shapes": [[1], None]}, "c": {"shapes": [None, [1]]}}
    assert told(found)[1] == "b: [1] became nothing"


def test_a_weight_that_is_no_number_any_more_is_no_finite_distance(tmp_path):
    found = distance(tensors(tmp_path / "old", a=[1.0]), tensors(tmp_path / "new", a=[np.nan]), "model.safetensors")
    assert found["apart"]["a"]["max_absolute"] is None
    assert "no finite number" in told(found)[0]


def test_rows_are_compared_by_id_so_that_one_lost_row_is_one_lost_row(tmp_path):
    old = table(tmp_path / "old", id=["x", "y", "z"], nll=[1.0, 2.0, 4.0], tokens=[[1], [2, 3], None])
    new = table(tmp_path / "new", id=["y", "z"], nll=[2.0, 5.0], tokens=[[2, 4], None])
    found = distance(old, new, "rows.parquet")
    assert (found["compared_by"], found["num_rows"], found["num_compared"], found["num_rows_apart"]) == ("id", [3, 2], 2, 2)
    assert found["apart"]["nll"] == {"num_apart": 1, "num_values": 1, "max_absolute": 1.0, "max_relative": 0.2}
    assert found["apart"]["tokens"] == {"num_apart": 1}
    assert told(found)[0] == "2 of 2 rows differ, compared by id; 1 more rows are recorded, 0 more came out"


def test_rows_that_share_no_id_are_compared_by_place(tmp_path):
    found = distance(
        table(tmp_path / "old", id=["x", "y"], n=[1, None]), table(tmp_path / "new", id=["a", "b"], n=[1, None]), "rows.parquet"
    )
    assert (found["compared_by"], found["num_rows_apart"], list(found["apart"])) == ("place", 2, ["id"])


def test_a_column_of_another_type_is_named(tmp_path):
    found = distance(table(tmp_path / "old", n=[1], m=[1]), table(tmp_path / "new", n=["1"]), "rows.parquet")
    assert found["apart"] == {"n": {"types": ["int64", "string"]}, "m": {"types": ["int64", None]}}


def test_the_same_rows_written_otherwise_differ_in_no_row(tmp_path):
    import pyarrow.parquet as pq

    old = table(tmp_path / "old", n=[1, 2])
    pq.write_table(pa.table({"n": [1, 2]}), tmp_path / "new", compression="gzip")
    assert told(distance(old, tmp_path / "new", "rows.parquet")) == ["0 of 2 rows differ, compared by place"]


def test_json_differs_by_key(tmp_path):
    old, new = document(tmp_path / "old", {"a": {"b": 1, "c": 2}, "e": [1]}), document(tmp_path / "new", {"a": {"b": 1, "c": 3}, "d": "x"})
    found = distance(old, new, "making.json")
    assert found == {"kind": "json", "apart": {"a.c": [2, 3], "d": [None, "x"], "e": [[1], None]}}
    assert told(found) == ["a.c: 2 became 3", 'd: nothing became "x"', "e: [1] became nothing"]
    assert told(distance(old, document(tmp_path / "other", {"e": [1], "a": {"c": 2, "b": 1}}), "a.json")) == [
        "the same values, written otherwise"
    ]


@pytest.mark.parametrize("name", ["rows.parquet", "model.safetensors", "making.json"])
def test_a_damaged_file_is_compared_by_its_bytes(tmp_path, name):
    (tmp_path / "old").write_bytes(b"1234")
    (tmp_path / "new").write_bytes(b"12\xff4567")
    found = distance(tmp_path / "old", tmp_path / "new", name)
    assert (found["kind"], found["num_bytes"], found["first_at"]) == ("bytes", [4, 7], 2)
    assert told(found)[0].startswith("4 and 7 bytes, first apart at byte 2; not read as")
    assert json.dumps(found)


def test_names_from_files_do_not_steer_a_terminal(tmp_path):
    found = distance(document(tmp_path / "old", {"\x1b[2J": 1}), document(tmp_path / "new", {"\x1b[2J": "\x1b[31m"}), "a.json")
    assert "\x1b" not in "".join(told(found))


def test_what_is_nested_has_dotted_names():
    assert dict(leaves({"a": {"b": 1, "c": [2]}, "d": {}})) == {"a.b": 1, "a.c": [2], "d": {}}
