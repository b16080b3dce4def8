"""Every dataset and model that the parameters name: where it lies, which stage makes it, and from what.

The one place that says what descends from what; the book, the audit and every export go by it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herdbook.entry import MODEL_KINDS
from herdbook.layout import (
    BASE_MODEL,
    CORPUS,
    FOUNDER,
    HUMAN_BENCHMARKS,
    HUMAN_HELD_OUT,
    HUMAN_HELD_OUT_DOCUMENTS,
    HUMAN_PROFILE,
    HUMAN_RECEIPT,
    HUMAN_REFERENCE,
    HUMAN_TRAIN,
    HUMAN_TRAIN_DOCUMENTS,
    PRETRAINED,
    SPLIT,
    Place,
)  # fmt: skip
from herdbook.params import Params, Regime, shares
from herdbook.recipe import needs_of, parse_steps
from herdbook.steps.step import Need


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The stage that inspects a dataset, and where its verdict lies; `gate` is block or waive."""

    dataset: str  # human, training or offspring: the kind of its policies
    words: str  # of its command
    parameters: tuple[str, ...]
    receipt: Path
    profile: Path
    gate: str


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """One dataset or model; `parents` are (role, name), each named before what descends from it."""

    name: str
    kind: str
    path: Path  # a file or a folder
    words: str  # of the command of the stage that makes it; empty where no stage does
    parameters: tuple[str, ...]  # of params.yaml, dotted
    parents: tuple[tuple[str, str], ...]
    place: Place | None = None  # of one generation of one lineage
    inspection: Inspection | None = None
    records: tuple[Path, ...] = ()  # other small files that the same stage wrote about it

    @property
    def stage(self) -> str:
        """The module of stages/; empty where no stage makes it."""
        return self.words.split(" ")[0]

    @property
    def rows(self) -> Path:
        """The table of rows of what is of ROW_KINDS."""
        return self.path if self.kind == "human" else self.path / "rows.parquet"

    @property
    def is_dataset(self) -> bool:
        """Whether it is data rather than a model."""
        return self.kind not in MODEL_KINDS


def artefacts(params: Params) -> list[Artefact]:
    """All datasets and models, parents first, in an order that depends on the parameters alone."""
    found = list(_human(params))
    for seed in params.seeds:
        found += _founder(Place(FOUNDER, seed, "g0"), params)
    for name, regime in params.regimes.items():
        for seed in params.seeds:
            found += _lineage(name, seed, regime, params)
    return found


def _human(params: Params) -> Iterator[Artefact]:
    made: dict[str, Any] = {"words": "prepare", "parameters": ("model", "prepare", "task")}
    yield Artefact(name="corpus", kind="corpus", path=CORPUS, words="", parameters=("corpus",), parents=())
    weights = params.model.pretrained is not None
    if weights:
        yield Artefact(name="pretrained", kind="weights", path=PRETRAINED, words="", parameters=(), parents=())
    for name, path in (("train_documents", HUMAN_TRAIN_DOCUMENTS), ("held_out_documents", HUMAN_HELD_OUT_DOCUMENTS)):
        yield Artefact(name=f"human/{name}", kind="documents", path=path, parents=(("corpus", "corpus"),), **made)
    yield Artefact(name="human/benchmarks", kind="documents", path=HUMAN_BENCHMARKS, parents=(), **made)
    start = (("weights", "pretrained"),) if weights else (("tokenized", "human/train_documents"),)
    yield Artefact(name="human/base", kind="base", path=BASE_MODEL, parents=start, **made)
    for side, path in (("train", HUMAN_TRAIN), ("held_out", HUMAN_HELD_OUT)):
        inspection = Inspection(
            dataset="human",
            words="validate human",
            parameters=("profile", "task"),
            receipt=HUMAN_RECEIPT,
            profile=HUMAN_PROFILE,
            gate="block",
        )
        yield Artefact(
            name=f"human/{side}",
            kind="human",
            path=path,
            parents=(("documents", f"human/{side}_documents"), ("tokenizer", "human/base")),
            inspection=inspection if side == "train" else None,
            records=(SPLIT,) if side == "train" else (),
            **made,
        )
    parents = tuple(("text", f"human/{name}") for name in ("train", "train_documents", "held_out_documents"))
    yield Artefact(name="human/reference", kind="reference", path=HUMAN_REFERENCE, parents=parents, **made)


def _founder(place: Place, params: Params) -> Iterator[Artefact]:
    top = _name(place)
    trained: dict[str, Any] = {
        "words": f"train founder {place.seed} g0",
        "parameters": ("sample.prompt_tokens", "task", "train"),
        "place": place,
    }
    parents = (("training", "human/train"), ("start", "human/base"))
    yield Artefact(name=f"{top}/model", kind="model", path=place.model, parents=parents, records=(place.loss,), **trained)
    scored = (("model", f"{top}/model"), ("scored", "human/train"), ("scored", "human/held_out"))
    yield Artefact(name=f"{top}/scores", kind="scores", path=place.human_nll, parents=scored, **trained)
    for decoding in params.decodings:
        yield Artefact(
            name=f"{top}/offspring/{decoding}",
            kind="offspring",
            path=place.offspring / decoding,
            words=f"sample founder {place.seed} g0",
            parameters=("decodings", "prepare.block_tokens", "sample"),
            parents=_sampled_from(f"{top}/model", f"{top}/model", "human/train", params),
            place=place,
            records=(place.examples,),
        )


def _sampled_from(model: str, founder: str, prompting: str, params: Params) -> tuple[tuple[str, str], ...]:
    prompts = (("prompts", prompting),) if params.sample.prompt_tokens else ()
    return (("model", model), *prompts, ("scorer", founder), ("tokenizer", "human/base"))


def _lineage(name: str, seed: str, regime: Regime, params: Params) -> Iterator[Artefact]:
    parent: Place | None = None
    for generation in params.generations:
        place = Place(name, seed, generation)
        yield from _adopted(place, regime, params) if parent is None else _bred(place, parent, regime, params)
        yield Artefact(
            name=f"{_name(place)}/curated",
            kind="curated",
            path=place.curated,
            words=f"curate {_words(place)}",
            parameters=(f"regimes.{name}.recipe", "sample.device", "task", "teacher"),
            parents=(("offspring", f"{_name(place)}/offspring"), *_material(place, regime)),
            place=place,
            inspection=_inspection(place, "offspring", regime),
            records=(place.counts,),
        )
        parent = place


def _material(place: Place, regime: Regime) -> Iterator[tuple[str, str]]:
    """What the steps of a recipe compare with or ask, each part once."""
    needs, founder = needs_of(parse_steps(regime.recipe.steps, "recipe")), _name(place.founder)
    told: dict[Need, tuple[tuple[str, str], ...]] = {
        "held_out": (("held out", "human/held_out_documents"),),
        "benchmarks": (("held out", "human/benchmarks"),),
        "human": (("compared", "human/train"), ("scores", f"{founder}/scores")),
        "previous": (("learnt from", f"{_name(place)}/training"),),
        "founder": (("editor", f"{founder}/model"),),
        "tokenizer": (("tokenizer", "human/base"),),
    }
    yield from (parent for need, parents in told.items() if need in needs for parent in parents)


def _adopted(place: Place, regime: Regime, params: Params) -> Iterator[Artefact]:
    """Generation 0 of a lineage: what its founder trained on and wrote."""
    founder = _name(place.founder)
    decoding = next(name for name, settings in params.decodings.items() if settings == regime.decoding)
    made: dict[str, Any] = {
        "words": f"adopt {place.regime} {place.seed}",
        "parameters": ("decodings", f"regimes.{place.regime}.decoding"),
        "place": place,
    }
    yield Artefact(
        name=f"{_name(place)}/training",
        kind="training",
        path=place.training,
        parents=(("human", "human/train"), ("scores", f"{founder}/scores")),
        inspection=_inspection(place, "training", regime),
        records=(place.loss, place.examples),
        **made,
    )
    yield Artefact(
        name=f"{_name(place)}/offspring",
        kind="offspring",
        path=place.offspring,
        parents=(("offspring", f"{founder}/offspring/{decoding}"),),
        **made,
    )


def _bred(place: Place, parent: Place, regime: Regime, params: Params) -> Iterator[Artefact]:
    """The training set, model and offspring of a later generation."""
    name, founder, prefix = _name(place), _name(place.founder), f"regimes.{place.regime}"
    share = shares(regime)
    prompting = f"{name}/training" if regime.decoding.prompts == "training" else "human/train"
    sources = {
        "offspring": (share["offspring"], f"{_name(parent)}/curated"),
        "previous": (share["previous"], f"{_name(parent)}/training"),
        "human": (share["human"], "human/train"),
    }
    yield Artefact(
        name=f"{name}/training",
        kind="training",
        path=place.training,
        words=f"blend {place.regime} {place.seed} {parent.generation} {place.generation}",
        parameters=(f"{prefix}.budget_rows", f"{prefix}.gate", f"{prefix}.mixture", f"{prefix}.weights"),
        parents=(*((role, source) for role, (weight, source) in sources.items() if weight), ("scores", f"{founder}/scores")),
        place=place,
        inspection=_inspection(place, "training", regime),
    )
    yield Artefact(
        name=f"{name}/model",
        kind="model",
        path=place.model,
        words=f"train {_words(place)}",
        parameters=(f"{prefix}.compute", f"{prefix}.gate", f"{prefix}.start", "sample.prompt_tokens", "task", "train"),
        parents=(("training", f"{name}/training"), ("start", f"{founder}/model" if regime.start == "founder" else "human/base")),
        place=place,
        records=(place.loss,),
    )
    yield Artefact(
        name=f"{name}/offspring",
        kind="offspring",
        path=place.offspring,
        words=f"sample {_words(place)}",
        parameters=("prepare.block_tokens", f"{prefix}.decoding", "sample"),
        parents=_sampled_from(f"{name}/model", f"{founder}/model", prompting, params),
        place=place,
        records=(place.examples,),
    )


def _inspection(place: Place, dataset: str, regime: Regime) -> Inspection:
    own = [f"regimes.{place.regime}.{part}" for part in (("recipe",) if dataset == "offspring" else ("mixture", "recipe"))]
    return Inspection(
        dataset=dataset,
        words=f"validate {dataset} {_words(place)}",
        parameters=("profile", *own, "task"),
        receipt=place.receipt(dataset),
        profile=place.profile(dataset),
        gate=regime.gate,
    )


def _name(place: Place) -> str:
    return f"{place.regime}/{place.seed}/{place.generation}"


def _words(place: Place) -> str:
    return f"{place.regime} {place.seed} {place.generation}"


def resolved(keys: tuple[str, ...], document: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each dotted key in the document of params.yaml; KeyError where it has none."""
    found = {}
    for key in keys:
        value: Any = document
        for part in key.split("."):
            value = value[part]
        found[key] = value
    return found
