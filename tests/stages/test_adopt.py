import pytest

from herdbook.errors import InspectionError, ParamsError
from herdbook.files import digest, read_json, read_table, write_json, write_table
from herdbook.layout import HUMAN_TRAIN, Place
from herdbook.schema import ROWS, TRAINING
from stages import adopt
from tests.rows import rows_of
from tests.workspace import HUMAN, build

FOUNDER = Place("founder", "s0", "g0")


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build(tmp_path)
    for name in ("top_k_50", "cooled"):
        write_table(FOUNDER.offspring / name / "rows.parquet", rows_of(name, 3, model="m"))
        write_json(FOUNDER.offspring / name / "making.json", {"model": "m", "decoding": name})
    write_json(FOUNDER.loss, {"held_out_loss_nats": 5.0})
    write_json(FOUNDER.examples, {"top_k_50": [{"prompt": "a", "text": "b"}], "cooled": []})


def test_a_lineage_begins_with_the_human_rows_scored_by_its_founder():
    adopt.main(["replace", "s0"])
    place = Place("replace", "s0", "g0")
    rows = read_table(place.training / "rows.parquet", ROWS)
    assert rows["id"].equals(HUMAN["id"])
    assert set(rows["nll_nats"].to_pylist()) == {4.0}
    assert read_table(place.training / "pool.parquet", ROWS).equals(rows)
    assert set(read_table(place.training / "rows.parquet", TRAINING)["pass"].to_pylist()) == {0}
    assert read_json(place.training / "making.json")["parents"] == [{"role": "human", "digest": digest(HUMAN_TRAIN)}]


def test_a_lineage_takes_the_founder_s_offspring_of_its_own_decoding():
    adopt.main(["replace", "s0"])
    place = Place("replace", "s0", "g0")
    assert read_json(place.offspring / "making.json")["decoding"] == "top_k_50"
    assert read_table(place.offspring / "rows.parquet", ROWS).equals(rows_of("top_k_50", 3, model="m"))
    assert read_json(place.examples) == [{"prompt": "a", "text": "b"}]
    assert read_json(place.loss) == {"held_out_loss_nats": 5.0}


def test_human_rows_that_changed_since_their_inspection_are_refused():
    write_table(HUMAN_TRAIN, HUMAN.slice(1))
    with pytest.raises(InspectionError, match=r"train\.parquet"):
        adopt.main(["replace", "s0"])
    assert not Place("replace", "s0", "g0").training.exists()


@pytest.mark.parametrize("args", [["nosuch", "s0"], ["replace"], []])
def test_an_unknown_regime_or_a_missing_word_is_one_line(args):
    with pytest.raises(ParamsError, match="must be REGIME SEED; regimes: replace"):
        adopt.main(args)
