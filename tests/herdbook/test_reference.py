import pyarrow as pa

from herdbook.files import write_table
from herdbook.layout import HUMAN_REFERENCE, Place
from herdbook.reference import read_reference, write_reference
from tests.rows import rows_of

ALPHABET = "a b c d e f g h i j k l m"  # 13 words


def test_a_reference_is_what_prepare_and_the_founder_wrote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = rows_of("human", 2)
    rows = rows.set_column(
        rows.schema.get_field_index("tokens"),
        rows.schema.field("tokens"),
        pa.array([[1, 1, 2], [3, 3, 3]], rows.schema.field("tokens").type),
    )
    write_reference(rows, [f"{ALPHABET} fourteen"], [ALPHABET])
    before = HUMAN_REFERENCE.read_bytes()
    assert read_reference(None).held_out_nll is None

    place = Place("replace", "s0", "g2")
    scores = {"id": ["1", "2"], "split": ["train", "held_out"], "nll_nats": [7.0, 5.0]}
    write_table(Place("founder", "s0", "g0").human_nll, pa.table(scores))
    found = read_reference(place)
    assert found.rare.tolist() == [2]  # counts: 2 once, 1 twice, 3 three times; half of 3 types is 1
    assert (len(found.held_out_ngrams), len(found.train_ngrams)) == (1, 2)
    assert found.held_out_ngrams[0] in found.train_ngrams
    assert found.held_out_nll is not None
    assert found.held_out_nll.tolist() == [5]

    write_reference(rows, [f"{ALPHABET} fourteen"], [ALPHABET])
    assert HUMAN_REFERENCE.read_bytes() == before


def test_texts_too_short_to_share_a_run_give_an_empty_reference(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_reference(rows_of("human", 1), ["two words"], [])
    found = read_reference(None)
    assert (len(found.held_out_ngrams), len(found.train_ngrams)) == (0, 0)
