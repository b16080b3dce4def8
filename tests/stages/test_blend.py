import pytest

from herdbook.errors import InspectionError, ParamsError
from herdbook.files import digest, read_json, read_table, write_json, write_table
from herdbook.layout import HUMAN_RECEIPT, HUMAN_TRAIN, Place
from herdbook.lineage import not_bred, write_not_bred
from herdbook.receipt import training_data
from herdbook.schema import ROWS
from herdbook.training_set import write_training
from stages import blend
from tests.workspace import HUMAN, OFFSPRING, build, write_generation, write_receipt


def places(regime: str) -> tuple[Place, Place]:
    return Place(regime, "s0", "g0"), Place(regime, "s0", "g1")


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build(tmp_path)


def run(regime: str) -> Place:
    blend.main([regime, "s0", "g0", "g1"])
    return places(regime)[1]


def test_replace_trains_on_exactly_the_curated_offspring():
    parent, _ = places("replace")
    write_generation(parent)
    place = run("replace")
    assert read_table(place.training / "rows.parquet", ROWS).equals(OFFSPRING)
    making = read_json(place.training / "making.json")
    assert making["composition"] == {"g0": {"rows": 20, "tokens": 80}}
    assert making["depth"] == 1.0
    assert making["parents"] == [{"role": "offspring", "digest": digest(parent.curated / "rows.parquet")}]


def test_human_rows_come_with_the_founder_s_score():
    write_generation(places("curated")[0])
    rows = read_table(run("curated").training / "rows.parquet", ROWS).to_pylist()
    assert {row["nll_nats"] for row in rows if row["model"] is None} == {4.0}
    assert sum(row["model"] is None for row in rows) == 10


def test_accumulate_names_the_pool_it_keeps_as_a_parent():
    write_generation(places("accumulate")[0])
    making = read_json(run("accumulate").training / "making.json")
    assert [parent["role"] for parent in making["parents"]] == ["offspring", "previous"]
    assert making["composition"]["human"]["rows"] == HUMAN.num_rows


def test_a_waived_breach_is_used_and_on_record():
    write_generation(places("replace")[0], offspring="failed")
    waivers = read_json(run("replace").training / "making.json")["waivers"]
    assert waivers == [{"dataset": "offspring", "generation": "g0", "rules": ["distinct_2: expect_column_min_to_be_between"]}]


@pytest.mark.parametrize("verdict", ["failed", "errored"])
def test_a_breach_under_block_ends_the_lineage_and_says_why(verdict):
    write_generation(places("curated")[0], offspring=verdict)
    stop = not_bred(run("curated").training)
    assert stop["generation"] == "g0"
    assert stop["dataset"] == "offspring"
    assert stop["rules"] == ["distinct_2: expect_column_min_to_be_between"]


def test_descendants_of_a_stopped_generation_carry_its_reason():
    parent, _ = places("curated")
    reason = {"generation": "g0", "dataset": "training", "inspection": "failed", "rules": ["r"]}
    write_not_bred(parent.curated, reason)
    assert not_bred(run("curated").training) == reason


def test_a_dataset_of_weight_zero_needs_no_waiver():
    write_generation(places("replace")[0], training="failed")
    assert read_json(run("replace").training / "making.json")["waivers"] == []


def test_a_failed_training_set_ends_a_lineage_under_block_even_where_nothing_is_taken_from_it():
    write_generation(places("curated")[0], training="failed")
    assert not_bred(run("curated").training)["dataset"] == "training"


def test_a_pool_that_is_kept_brings_its_waivers_along():
    parent, place = places("accumulate")
    write_generation(parent, offspring="failed")
    waived = read_json(run("accumulate").training / "making.json")["waivers"]
    write_generation(place)
    write_training(place, HUMAN, HUMAN, {}, waived)
    write_receipt(place.receipt("training"), "training", training_data(place))
    blend.main(["accumulate", "s0", "g1", "g2"])
    assert read_json(Place("accumulate", "s0", "g2").training / "making.json")["waivers"] == waived != []


def test_a_waiver_struck_from_the_record_is_refused():
    parent, _ = places("replace")
    write_generation(parent)
    write_json(parent.training / "making.json", {"waivers": ["none, really"]})
    with pytest.raises(InspectionError, match=r"training/making\.json"):
        run("replace")


def test_human_rows_that_failed_their_inspection_are_refused():
    write_generation(places("curated")[0])
    write_receipt(HUMAN_RECEIPT, "human", {"rows": HUMAN_TRAIN}, "failed")
    with pytest.raises(InspectionError, match="breaks 1 of 2 rules"):
        run("curated")


def test_altered_offspring_are_refused_and_nothing_is_written():
    parent, place = places("replace")
    write_generation(parent)
    write_table(parent.curated / "rows.parquet", OFFSPRING.slice(1))
    with pytest.raises(InspectionError, match=r"curated/rows.parquet"):
        run("replace")
    assert not place.training.exists()


def test_offspring_without_a_receipt_are_refused():
    parent, place = places("replace")
    write_generation(parent)
    parent.receipt("offspring").unlink()
    with pytest.raises(InspectionError, match="never inspected"):
        run("replace")
    assert not place.training.exists()


def test_altered_human_rows_are_refused():
    write_generation(places("replace")[0])
    write_table(HUMAN_TRAIN, HUMAN.slice(1))
    with pytest.raises(InspectionError, match=r"train\.parquet"):
        run("replace")


def test_a_policy_changed_since_the_inspection_is_refused(tmp_path):
    write_generation(places("replace")[0])
    policy = tmp_path / "expectations" / "offspring_profile.yaml"
    policy.write_text(policy.read_text() + "# looser\n")
    with pytest.raises(InspectionError, match="offspring_profile"):
        run("replace")


def test_the_same_inputs_give_the_same_bytes():
    write_generation(places("anchored")[0])
    assert digest(run("anchored").training) == digest(run("anchored").training)


@pytest.mark.parametrize("args", [["nosuch", "s0", "g0", "g1"], ["replace", "s0"]])
def test_an_unknown_regime_or_a_missing_word_is_one_line(args):
    with pytest.raises(ParamsError, match="must be REGIME SEED PARENT CHILD; regimes: replace"):
        blend.main(args)
