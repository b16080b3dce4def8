import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.contents import contents
from herdbook.errors import FileError
from herdbook.files import rounded, write_table
from herdbook.regimes import composition, mean_depth
from tests.rows import rows_of


def test_rows_and_tokens_are_counted_by_who_wrote_them_and_depth_is_weighted_by_tokens(tmp_path):
    rows = pa.concat_tables([
        rows_of("d", 2, tokens=[1, 2]),
        rows_of("d", 1, model="m", generation=0, depth=1.0, tokens=[1, 2, 3]),
        rows_of("d", 1, model="n", generation=2, depth=3.0, tokens=[1]),
    ])  # fmt: skip
    write_table(tmp_path / "rows.parquet", rows)
    assert contents(tmp_path / "rows.parquet") == {
        "num_rows": 4,
        "num_tokens": 8,
        "composition": {"g0": {"rows": 1, "tokens": 3}, "g2": {"rows": 1, "tokens": 1}, "human": {"rows": 2, "tokens": 4}},
        "depth": 0.75,  # (4 x 0 + 3 x 1 + 1 x 3) / 8
    }


def test_a_table_without_rows_has_no_depth(tmp_path):
    write_table(tmp_path / "rows.parquet", rows_of("d", 0))
    assert contents(tmp_path / "rows.parquet") == {"num_rows": 0, "num_tokens": 0, "composition": {}, "depth": None}


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([None, "m", "n"]), st.integers(0, 3), st.integers(1, 5)), min_size=1, max_size=9))
def test_it_agrees_with_what_blend_records(tmp_path_factory, parts):
    tables = [
        rows_of(f"d{i}", 1, model=m, generation=g, depth=float(bool(m)) * (g + 1), tokens=[1] * n) for i, (m, g, n) in enumerate(parts)
    ]
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    write_table(path, pa.concat_tables(tables))
    found = contents(path)
    assert found["composition"] == dict(sorted(composition(pa.concat_tables(tables)).items()))
    assert found["depth"] == rounded(mean_depth(pa.concat_tables(tables)))


@pytest.mark.parametrize("damage", ["missing", "cut", "columns"])
def test_what_holds_no_rows_is_refused_in_one_line(tmp_path, damage):
    path = tmp_path / "rows.parquet"
    if damage != "missing":
        write_table(path, rows_of("d", 3) if damage == "cut" else pa.table({"a": [1]}))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FileError, match=r"rows\.parquet: not a whole parquet file of rows"):
        contents(path)
