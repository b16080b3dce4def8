import pyarrow as pa

from herdbook.files import write_table
from herdbook.hands import hands_of
from herdbook.schema import HANDS


def hand(row, step, *parents, by="a teacher"):
    return {"id": row, "step": step, "parents": list(parents), "by": by, "note": step}


def steps_of(row, hands, path):
    write_table(path, pa.Table.from_pylist(hands, schema=HANDS))
    return [found["step"] for found in hands_of(row, path)]


def test_hands_come_in_their_order_and_those_of_an_earlier_row_before(tmp_path):
    hands = [hand("b", "critique", "a"), hand("b", "revise", "a"), hand("c", "revise", "b"), hand("z", "edit", "y")]
    assert steps_of("c", hands, tmp_path / "hands.parquet") == ["critique", "revise", "revise"]
    assert steps_of("b", hands, tmp_path / "hands.parquet") == ["critique", "revise"]


def test_a_row_that_was_chosen_of_several_is_its_own_parent_and_told_once(tmp_path):
    assert steps_of("a", [hand("a", "plurality", "a", "b", "c")], tmp_path / "hands.parquet") == ["plurality"]


def test_a_row_that_no_step_wrote_has_none(tmp_path):
    assert steps_of("a", [], tmp_path / "hands.parquet") == []
