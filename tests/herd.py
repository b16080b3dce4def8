"""A herd made up at any size: every file and record of one lineage as its stages would leave them, without running any.

Rows are random words; a generation trains on nine tenths of its parent's curated offspring and a tenth of the
human rows. Parameters, code and pipeline are those of this repository, policies of one rule each."""

import contextlib
import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from herdbook.audit.evidence import Evidence
from herdbook.audit.lock import as_dvc_writes, parse, planned
from herdbook.book import code_path, entry_path, index_of, root_of
from herdbook.contents import contents
from herdbook.corpus import write_corpus
from herdbook.entering import make_book
from herdbook.files import digest, digest_bytes, rounded, strict_yaml, write_json, write_table
from herdbook.layout import (
    BASE_MODEL,
    BOOK,
    BOOK_ROOT,
    CODE,
    CORPUS,
    FOUNDER,
    GENERATIONS,
    HUMAN_BENCHMARKS,
    HUMAN_HELD_OUT,
    HUMAN_HELD_OUT_DOCUMENTS,
    HUMAN_PROFILE,
    HUMAN_RECEIPT,
    HUMAN_TRAIN,
    HUMAN_TRAIN_DOCUMENTS,
    LOCK,
    MAKING,
    METRICS,
    PARAMS,
    REPORT,
    SPLIT,
    VERDICT_RECORD,
    Place,
)  # fmt: skip
from herdbook.params import parse_params
from herdbook.receipt import make_receipt, training_data
from herdbook.reference import write_reference
from herdbook.regimes import in_pass, mix
from herdbook.schema import CORPUS as DOCUMENTS
from herdbook.schema import HANDS, REJECTED, ROWS
from herdbook.snapshot import snapshot
from herdbook.tokenizer import save_tokenizer, train_tokenizer
from stages import code
from tests import miniature
from tests.records import write_calibrations
from tests.workspace import outcomes

REGIME = "anchored"
WEIGHTS = {"offspring": 0.9, "previous": 0.0, "human": 0.1}
TOKENS = 64
_WORDS = pa.array([f"{first}{second}" for first in "bcdfghjklmnpqrst" for second in np.arange(64).astype(str)])  # 1024
_NUM_HELD_OUT, _DOCUMENT_WORDS = 8, 400
_NOTES = "As small as a policy can be."
_POLICY = {
    "rows": {"expect_table_row_count_to_be_between": {"min_value": 1}},
    "profile": {"expect_column_min_to_be_between": {"column": "distinct_2", "min_value": 0.2}},
}


def build(root: Path, num_generations: int, num_rows: int) -> None:
    """Lay out the project at `root`, with a book and a dvc.lock, datasets of about `num_rows` rows."""
    for name in miniature.PARTS:
        copy = shutil.copytree if (miniature.ROOT / name).is_dir() else shutil.copy
        options = {"ignore": shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")} if copy is shutil.copytree else {}
        copy(miniature.ROOT / name, root / name, **options)
    for kind in ("human", "training", "offspring"):
        for suite, rule in _POLICY.items():
            policy = {"name": f"{kind}_{suite}", "notes": _NOTES, "expectations": [{**rule, "notes": _NOTES}]}
            (root / f"expectations/{kind}_{suite}.yaml").write_text(yaml.safe_dump(policy))
    miniature.write_params(root, parameters(num_generations, num_rows))
    miniature.claim_nothing(root)
    write_calibrations(root)
    with contextlib.chdir(root):
        code.main([])
        generator = np.random.default_rng(0)
        breed(num_generations, num_rows, generator)
        for path in (METRICS, GENERATIONS, REPORT):
            write_json(path, {})
        write_json(VERDICT_RECORD, {"claims": [], "family": {"num_ever_registered": 0}})
        enter()
        lock()


def parameters(num_generations: int, num_rows: int) -> dict[str, Any]:
    """The default params.yaml with one regime and one seed."""
    found: dict[str, Any] = miniature.parameters(num_generations)
    regime = found["regimes"]["replace"]
    recipe = {"num_rows": num_rows, "steps": [{"name": "length", "min_tokens": TOKENS}]}
    found["regimes"] = {REGIME: {**regime, "weights": WEIGHTS, "recipe": recipe, "gate": "waive"}}
    found["prepare"] |= {"num_held_out_documents": _NUM_HELD_OUT, "num_blocks": num_rows, "block_tokens": TOKENS}
    found["decodings"] = {"top_k_50": regime["decoding"]}
    return found


def breed(num_generations: int, num_rows: int, generator: np.random.Generator) -> None:
    """Human rows, founder, and one lineage."""
    human = _human(num_rows, generator)
    founder = Place(FOUNDER, "s0", "g0")
    model = _model(founder.model, HUMAN_TRAIN, HUMAN_RECEIPT, 0.0, generator)
    write_json(founder.loss, {"held_out_loss_nats": 5.0})
    write_json(founder.examples, {"top_k_50": []})
    write_table(founder.human_nll, pa.table({"id": human["id"], "split": ["train"] * num_rows, "nll_nats": [4.0] * num_rows}))
    first = model
    _offspring(founder.offspring / "top_k_50", model, first, 0, 1.0, human, num_rows, generator)
    nothing, curated = ROWS.empty_table(), ROWS.empty_table()
    for number in range(num_generations):
        place = Place(REGIME, "s0", f"g{number}")
        if number:
            parent = Place(REGIME, "s0", f"g{number - 1}")
            weights = parse_params(parameters(2, num_rows)).regimes[REGIME].weights
            rows, _ = mix(curated, nothing, human, weights, None, generator)
            parents = {"human": digest(HUMAN_TRAIN), "offspring": digest(parent.curated / "rows.parquet")}
            _training(place, rows, parents)
            depth = contents(place.training / "rows.parquet")["depth"]
            model = _model(place.model, place.training / "rows.parquet", place.receipt("training"), depth, generator)
            offspring = _offspring(place.offspring, model, first, number, 1 + depth, human, num_rows, generator)
        else:
            _training(place, human, {"human": digest(HUMAN_TRAIN)})
            shutil.copytree(founder.offspring / "top_k_50", place.offspring)
            offspring = _read(place.offspring / "rows.parquet")
        write_json(place.loss, {"held_out_loss_nats": 5.0})
        write_json(place.examples, [])
        curated = _curated(place, offspring)


def _read(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def _human(num_rows: int, generator: np.random.Generator) -> pa.Table:
    """Corpus, split, human rows, base model, and their inspection."""
    texts = _texts(generator.integers(0, len(_WORDS), size=(40, _DOCUMENT_WORDS)))
    documents = pa.table(
        {
            "id": [digest_bytes(text.encode()) for text in texts.to_pylist()],
            "title": [f"title {number}" for number in range(len(texts))],
            "text": texts,
            **{name: [name] * len(texts) for name in ("source", "licence", "url")},
        },
        schema=DOCUMENTS,
    ).sort_by("id")
    write_corpus(documents, CORPUS)
    held_out, train = documents.slice(0, _NUM_HELD_OUT), documents.slice(_NUM_HELD_OUT)
    rows = _rows(None, 0, 0.0, train["id"], num_rows, generator)
    write_table(HUMAN_TRAIN_DOCUMENTS, train)
    write_table(HUMAN_HELD_OUT_DOCUMENTS, held_out)
    write_table(HUMAN_BENCHMARKS, held_out.slice(0, 0))
    write_table(HUMAN_TRAIN, rows)
    write_table(HUMAN_HELD_OUT, _rows(None, 0, 0.0, held_out["id"], 20, generator))
    write_reference(rows.slice(0, 1000), train["text"].to_pylist(), held_out["text"].to_pylist())
    write_json(BASE_MODEL / "config.json", {"model_type": "llama"})
    save_tokenizer(train_tokenizer(train["text"].to_pylist(), len(_WORDS)), BASE_MODEL)
    sides = {name: {"num_documents": side.num_rows} for name, side in (("train", train), ("held_out", held_out))}
    write_json(SPLIT, {"num_documents": documents.num_rows, "num_near_duplicates_removed_from_train": 0, **sides})
    inspect("human", {"rows": HUMAN_TRAIN}, HUMAN_PROFILE, HUMAN_RECEIPT)
    return rows


def _texts(tokens: np.ndarray) -> pa.Array:
    offsets = np.arange(0, tokens.size + 1, tokens.shape[1], dtype=np.int32)
    words = pa.ListArray.from_arrays(pa.array(offsets), _WORDS.take(pa.array(tokens.ravel())))
    return pc.binary_join(words, " ")


def _rows(
    model: str | None, generation: int, depth: float, documents: pa.ChunkedArray, num_rows: int, generator: np.random.Generator,
    prompts: pa.ChunkedArray | None = None,
) -> pa.Table:  # fmt: skip
    """`num_rows` random rows of TOKENS tokens, each hundredth a token shorter."""
    tokens = generator.integers(0, len(_WORDS), size=(num_rows, TOKENS), dtype=np.int32)
    lengths = np.where(np.arange(num_rows) % 100 == 99, TOKENS - 1, TOKENS)
    kept = np.arange(TOKENS) < lengths[:, None]
    offsets = pa.array(np.concatenate([[0], lengths.cumsum()]).astype(np.int32))
    places = pa.array(np.arange(num_rows) % len(documents))
    document, index = documents.combine_chunks().take(places), pa.array(np.arange(num_rows, dtype=np.int32))
    flat = pa.array(tokens[kept])
    spelled = pc.binary_join(pa.ListArray.from_arrays(offsets, pc.cast(flat, pa.string())), ",")
    named = pc.binary_join_element_wise(model or "human", document, pc.cast(index, pa.string()), spelled, "\0")
    return pa.table(
        {
            "id": [sha256(name.encode()).hexdigest() for name in named.to_pylist()],
            "generation": np.full(num_rows, generation, dtype=np.int32),
            "model": pa.repeat(pa.scalar(model, pa.string()), num_rows),
            "document": document,
            "prompt": pa.nulls(num_rows, pa.string()) if prompts is None else prompts.combine_chunks(),
            "index": index,
            "depth": np.full(num_rows, depth),
            "tokens": pa.ListArray.from_arrays(offsets, flat),
            "num_tokens": lengths.astype(np.int32),
            "text": pc.binary_join(pa.ListArray.from_arrays(offsets, _WORDS.take(flat)), " "),
            "nll_nats": np.full(num_rows, 4.0),
        },
        schema=ROWS,
    )


def _model(folder: Path, data: Path, receipt: Path, depth: float, generator: np.random.Generator) -> str:
    """A folder that passes for a model; what rows call it by."""
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(generator.bytes(200_000))
    write_json(folder / "config.json", {"model_type": "llama"})
    making = {"training": digest(data), "receipt": digest(receipt), "start": "fresh", "num_steps": 10, "depth": rounded(depth)}
    write_json(folder / MAKING, {"kind": "model", **making, "waivers": [], "device": "cpu", "num_parameters": 50_000})
    return digest_bytes(digest(folder / "model.safetensors").encode())


def _offspring(
    folder: Path, model: str, founder: str, number: int, depth: float, human: pa.Table, num_rows: int, generator: np.random.Generator
) -> pa.Table:
    rows = _rows(model, number, rounded(depth) or 0.0, human["document"], num_rows, generator, human["id"])
    write_table(folder / "rows.parquet", rows)
    write_json(folder / MAKING, {"kind": "offspring", "model": model, "founder": founder, "depth": rounded(depth), "num_rows": num_rows})
    return rows


def _training(place: Place, rows: pa.Table, parents: dict[str, str]) -> None:
    write_table(place.training / "rows.parquet", in_pass(rows, 0))
    write_table(place.training / "pool.parquet", rows)  # without a budget all of it trains
    counted = contents(place.training / "rows.parquet")
    listed = [{"role": role, "digest": found} for role, found in sorted(parents.items())]
    making = {"parents": listed, "composition": counted["composition"], "depth": counted["depth"], "waivers": [], "mixture": {}}
    write_json(place.training / MAKING, {"kind": "training", **making})
    inspect("training", training_data(place), place.profile("training"), place.receipt("training"))


def _curated(place: Place, offspring: pa.Table) -> pa.Table:
    is_short = pc.less(offspring["num_tokens"], TOKENS)
    kept, rejected = offspring.filter(pc.invert(is_short)), offspring.filter(is_short)
    reasons = pa.array(["length"] * rejected.num_rows, pa.string())
    path = place.curated / "rows.parquet"
    write_table(path, kept)
    write_table(place.curated / "rejected.parquet", rejected.append_column(REJECTED.field("reason"), reasons))
    write_table(place.curated / "hands.parquet", HANDS.empty_table())
    counted = contents(path)
    parents = [{"role": "offspring", "digest": digest(place.offspring / "rows.parquet")}]
    write_json(place.curated / MAKING, {"parents": parents, **{name: counted[name] for name in ("num_rows", "num_tokens", "depth")}})
    counts = {"num_in": offspring.num_rows, "num_added": 0, "num_remade": 0, "num_out": kept.num_rows, "num_surplus": 0}
    write_json(place.counts, {**counts, "rejected": {"length": rejected.num_rows}, "is_full": False})
    inspect("offspring", {"rows": path}, place.profile("offspring"), place.receipt("offspring"))
    return kept


def inspect(kind: str, data: dict[str, Path], profile: Path, receipt: Path, status: str = "passed") -> None:
    """Write a profile of what counting gives, and a receipt of the wanted verdict."""
    counted, distinct_2 = contents(data["rows"]), 0.25 if status == "passed" else 0.1
    human = counted["composition"].get("human", {"rows": 0, "tokens": 0})
    write_json(profile, {
        "num_rows": counted["num_rows"], "num_tokens": counted["num_tokens"], "depth_mean": counted["depth"], "distinct_2": distinct_2,
        "human_row_share": rounded(human["rows"] / counted["num_rows"]), "contamination_share": 0.0,
        "human_token_share": rounded(human["tokens"] / counted["num_tokens"]),
    })  # fmt: skip
    rules = [{**rule, "observed": distinct_2, "allowed": ">= 0.2", "notes": _NOTES} for rule in outcomes(kind, status)]
    write_json(receipt, make_receipt(kind, data, rules, {}))


def enter() -> None:
    """Write the book of what lies here, as the stage does."""
    document = strict_yaml(PARAMS.read_text())
    entries = make_book(parse_params(document), document)
    index = index_of(entries)
    shutil.rmtree(BOOK, ignore_errors=True)
    for name, entry in entries.items():
        write_json(entry_path(name), entry)
    for stage in index["code"]:
        code_path(stage).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CODE / f"{stage}.json", code_path(stage))
    write_json(BOOK / "index.json", index)
    num_not_bred = sum(entry["status"] == "not bred" for entry in entries.values())
    write_json(BOOK_ROOT, {"root": root_of(index), "num_entries": len(entries), "num_not_bred": num_not_bred})


def lock() -> None:
    """Write dvc.lock and data.dvc of what lies here, as DVC does."""
    plan = planned(parse(Path("dvc.yaml").read_bytes(), Path("dvc.yaml")), parse(PARAMS.read_bytes(), PARAMS))
    with snapshot(Path.cwd()) as now:
        evidence = Evidence(now, "hashes", {})
        stages = {}
        for name, stage in plan.items():
            deps, outs = ([_weighed(path, evidence) for path in sorted(paths, key=str)] for paths in (stage.deps, stage.outs))
            params = {"params": {PARAMS.name: dict(sorted(stage.parameters.items()))}} if stage.parameters else {}
            stages[name] = {"cmd": stage.command, "deps": deps, **params, "outs": outs}
        LOCK.write_bytes(as_dvc_writes(json.loads(json.dumps({"schema": "2.0", "stages": stages}))))  # copies, so that nothing is an alias
        CORPUS.with_suffix(".dvc").write_bytes(as_dvc_writes({"outs": [_weighed(CORPUS, evidence)]}))


def _weighed(path: Path, evidence: Evidence) -> dict[str, Any]:
    weight = evidence.weigh(path)
    assert weight, path
    folder = {} if weight.num_files is None else {"nfiles": weight.num_files}
    return {"path": path.as_posix(), "hash": "md5", "md5": weight.md5, "size": weight.num_bytes, **folder}
