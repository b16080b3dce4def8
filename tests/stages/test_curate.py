import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from herdbook.errors import FileError, ParamsError
from herdbook.files import digest, digest_bytes, read_json, read_table, write_json, write_table
from herdbook.layout import HUMAN_HELD_OUT_DOCUMENTS, Place
from herdbook.lineage import not_bred, write_not_bred
from herdbook.rows import rows_table
from herdbook.schema import CORPUS, REJECTED, ROWS
from stages.curate import main

ROOT = Path(__file__).parents[2]
PLACE = Place("curated", "s0", "g1")
ARGS = ["curated", "s0", "g1"]
RUN = "the quick brown fox jumps over the lazy dog and runs far away"  # 13 words
DECODING = {"temperature": 1.0, "top_k": 50}


def write_recipe(recipe: dict) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["regimes"]["curated"]["recipe"] = recipe
    Path("params.yaml").write_text(yaml.safe_dump(params))


def write_offspring(*texts: str) -> None:
    rows = [
        {"id": digest_bytes(f"{n}".encode()), "generation": 1, "model": "m", "index": n, "depth": 2.0, "text": text, "nll_nats": 1.0}
        | {"tokens": list(range(len(text.split()))), "num_tokens": len(text.split())}
        for n, text in enumerate(texts)
    ]
    write_table(PLACE.offspring / "rows.parquet", rows_table(rows))
    write_json(PLACE.offspring / "making.json", {"kind": "offspring", "model": "m", "decoding": DECODING})


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project that holds the offspring of one generation and one held-out document."""
    monkeypatch.chdir(tmp_path)
    steps = [
        {"name": "length", "min_tokens": 2},
        {"name": "exact_duplicate"},
        {"name": "held_out_overlap", "ngram": 13},
    ]
    write_recipe({"num_rows": 2, "steps": steps})
    write_table(HUMAN_HELD_OUT_DOCUMENTS, pa.Table.from_pylist([{"id": "d", "text": RUN}], schema=CORPUS))
    write_offspring("one", "some text", f"so {RUN}", "some text", "other words here", "left over")


def texts_of(name: str, schema: pa.Schema = ROWS) -> list[str]:
    return read_table(PLACE.curated / name, schema)["text"].to_pylist()


def test_what_passes_the_recipe_is_kept_and_everything_else_is_told():
    main(ARGS)
    assert texts_of("rows.parquet") == ["some text", "other words here"]
    assert texts_of("rejected.parquet", REJECTED) == ["one", "some text", f"so {RUN}"]
    assert read_json(PLACE.counts) == {
        "num_in": 6,
        "num_added": 0,
        "num_remade": 0,
        "num_out": 2,
        "num_surplus": 1,
        "is_full": True,
        "rejected": {"length": 1, "exact_duplicate": 1, "held_out_overlap": 1},
    }


def test_the_entry_says_where_the_rows_come_from():
    main(ARGS)
    assert read_json(PLACE.curated / "making.json") == {
        "kind": "offspring",
        "regime": "curated",
        "seed": "s0",
        "generation": "g1",
        "model": "m",
        "parents": [{"role": "offspring", "digest": digest(PLACE.offspring / "rows.parquet")}],
        "num_rows": 2,
        "num_tokens": 5,
        "depth": 2.0,
        "device": None,
        "decoding": DECODING,
    }


def test_kept_rows_are_the_offspring_s_own_rows():
    write_recipe({"num_rows": 6, "steps": []})
    main(ARGS)
    assert (PLACE.curated / "rows.parquet").read_bytes() == (PLACE.offspring / "rows.parquet").read_bytes()


def test_a_set_that_grows_is_full_at_the_size_of_its_generation():
    write_recipe({"num_rows": {"first": 2, "added": 3}, "steps": []})  # 5 in g1
    main(ARGS)
    counts = read_json(PLACE.counts)
    assert (counts["num_out"], counts["num_surplus"], counts["is_full"]) == (5, 1, True)


def test_the_same_offspring_give_the_same_bytes():
    main(ARGS)
    once = digest(PLACE.curated), digest(PLACE.counts)
    main(ARGS)
    assert (digest(PLACE.curated), digest(PLACE.counts)) == once


def test_a_set_that_nothing_fills_is_written_all_the_same():
    write_offspring("one", "two", "three")
    main(ARGS)
    assert texts_of("rows.parquet") == []
    counts, making = read_json(PLACE.counts), read_json(PLACE.curated / "making.json")
    assert (counts["num_in"], counts["num_out"], counts["is_full"]) == (3, 0, False)
    assert (making["num_rows"], making["num_tokens"], making["depth"]) == (0, 0, None)


def test_held_out_text_is_read_only_where_the_recipe_compares_with_it():
    HUMAN_HELD_OUT_DOCUMENTS.unlink()
    with pytest.raises(FileError, match="not found"):
        main(ARGS)
    assert not PLACE.curated.exists()
    write_recipe({"num_rows": 2, "steps": [{"name": "exact_duplicate"}]})
    main(ARGS)
    assert texts_of("rows.parquet") == ["one", "some text"]


def test_a_stopped_lineage_hands_its_marker_on():
    stop = {"generation": "g0", "dataset": "offspring", "inspection": "failed", "rules": ["distinct_2: expect_column_min_to_be_between"]}
    write_not_bred(PLACE.offspring, stop)
    main(ARGS)
    assert not_bred(PLACE.curated) == stop
    assert [path.name for path in PLACE.curated.iterdir()] == ["not_bred.json"]
    assert read_json(PLACE.counts) == {**stop, "status": "not bred"}


def test_a_recipe_that_cannot_be_followed_is_refused_before_anything_is_written():
    write_recipe({"num_rows": 2, "steps": [{"name": "lenght", "min_tokens": 2}]})
    with pytest.raises(ParamsError, match=r"params\.yaml: regimes\.curated\.recipe\.steps\.0: unknown step 'lenght'"):
        main(ARGS)
    assert not PLACE.curated.exists()
    assert not PLACE.counts.exists()


@pytest.mark.parametrize("args", [["nosuch", "s0", "g0"], ["replace"]])
def test_an_unknown_regime_or_a_missing_word_is_one_line(args, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    with pytest.raises(ParamsError, match="must be REGIME SEED GENERATION; regimes: replace"):
        main(args)
