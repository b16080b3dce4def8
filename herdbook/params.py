"""params.yaml as frozen values, checked once at the edge."""

import difflib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from herdbook.amounts import FORMS, Compute, NumRows
from herdbook.amounts import Count as Count
from herdbook.calibration.settings import Calibrate
from herdbook.errors import ParamsError
from herdbook.files import strict_yaml
from herdbook.layout import CODE, FOUNDER, HUMAN, Place

Share = Annotated[float, Field(ge=0, le=1, strict=True)]
PositiveShare = Annotated[float, Field(gt=0, le=1, strict=True)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Seed = Annotated[str, StringConstraints(pattern=r"^s\d+$")]
Device = Literal["auto", "cpu", "cuda"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Corpus(_Section):
    """Where human text comes from."""

    source: Literal["wikipedia", "files", "huggingface", "task"]
    path: str | None
    config: str | None
    split: str | None
    column: str
    licence: str | None
    num_problems: Count | None  # of the section task

    @model_validator(mode="after")
    def _says_where(self) -> "Corpus":
        if self.source in ("files", "huggingface") and not self.path:
            raise ValueError(f"path must be given for source {self.source}")
        if self.source == "task" and not self.num_problems:
            raise ValueError("num_problems must be given for source task")
        return self


class Prepare(_Section):
    """How the human corpus becomes rows."""

    seed: Annotated[int, Field(ge=0, strict=True)]
    num_held_out_documents: Count
    num_blocks: Count
    num_held_out_blocks: Count
    block_tokens: Annotated[int, Field(ge=2, le=10**6, strict=True)]
    vocabulary_size: Annotated[int, Field(ge=257, le=10**6, strict=True)]  # 256 bytes and the end-of-text mark
    near_duplicate_jaccard: PositiveShare | None


class Model(_Section):
    """What every generation trains: a model type of transformers from its config, or local weights."""

    architecture: str
    config: dict[str, Any]
    pretrained: str | None


class Train(_Section):
    """How a model is fitted."""

    epochs: Count
    batch_rows: Count
    learning_rate: Annotated[float, Field(gt=0, strict=True)]
    warmup_share: Share
    weight_decay: Annotated[float, Field(ge=0, strict=True)]
    device: Device


class Sample(_Section):
    """How offspring are prompted and drawn."""

    prompt_tokens: Annotated[int, Field(ge=0, strict=True)]
    keeps_prompt: bool  # a row is the prompt and its continuation, as an answer goes with its question
    batch_rows: Count
    device: Device
    num_examples: Annotated[int, Field(ge=0, strict=True)]


class Decoding(_Section):
    """How the next token is chosen."""

    num_rows: NumRows  # draws from each model
    temperature: Annotated[float, Field(ge=0, strict=True)]  # 0 is greedy
    top_k: Annotated[int, Field(ge=0, strict=True)]  # 0 keeps every token
    top_p: PositiveShare  # 1 keeps every token
    num_beams: Count  # 1 draws; more is a deterministic beam search
    repetition_penalty: Annotated[float, Field(gt=0, strict=True)]  # 1 is none
    # Whose rows begin the draws: people's, or those of the model's own training set. Left out of all records where it is left out here.
    prompts: Annotated[Literal["human", "training"], Field(exclude_if=lambda value: value == "human")] = "human"


class Recipe(_Section):
    """What offspring must pass to be kept."""

    num_rows: NumRows  # the curated set is full at this many
    steps: tuple[dict[str, Any], ...]  # a name and the step's own settings (herdbook/recipe.py)


class Weights(_Section):
    """The share taken of each source when a training set is blended."""

    offspring: Share
    previous: Share
    human: Share

    @model_validator(mode="after")
    def _takes_something(self) -> "Weights":
        if self.offspring + self.previous + self.human == 0:
            raise ValueError("the weights sum to zero; at least one source must be taken")
        return self


class Source(_Section):
    """One line of a mixture: which text, its share of the tokens, and how often each of its rows is read."""

    source: Literal["offspring", "previous", "human"]
    fraction: PositiveShare
    epochs: Annotated[float, Field(ge=1, le=100, strict=True)]  # passes over its unique tokens; 2.5: half of the rows a third time


class Mixture(_Section):
    """A training set by fractions of its tokens, as phi-4's table 5 (2412.08905)."""

    num_tokens: Count
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_whole(self) -> "Mixture":
        names = [source.source for source in self.sources]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"the mixture names {repeated[0]} twice; give it one fraction")
        total = sum(source.fraction for source in self.sources)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the fractions of the mixture sum to {total:.6g}, must sum to 1")
        return self


class Regime(_Section):
    """One breeding policy."""

    weights: Weights
    budget_rows: Count | None
    mixture: Mixture | None  # in place of weights and budget_rows
    decoding: Decoding
    recipe: Recipe
    gate: Literal["block", "waive"]
    start: Literal["fresh", "pretrained", "founder"]
    compute: Compute


def shares(regime: Regime) -> dict[str, float]:
    """How much a regime takes of each source: by its mixture, else by its weights; 0 is nothing."""
    if regime.mixture is None:
        return regime.weights.model_dump()
    return {"offspring": 0.0, "previous": 0.0, "human": 0.0} | {source.source: source.fraction for source in regime.mixture.sources}


class Profile(_Section):
    """How text is measured."""

    num_rows: Count
    near_duplicate_jaccard: PositiveShare


class Birth(_Section):
    """One generation and the one it comes from."""

    parent: str
    child: str


class Params(_Section):
    """The whole of params.yaml."""

    corpus: Corpus
    prepare: Prepare
    model: Model
    train: Train
    sample: Sample
    task: dict[str, Any] | None  # a family of problems and its settings (herdbook/tasks); null where the text is free
    teacher: dict[str, Any] | None  # herdbook/teacher.py
    decodings: Annotated[dict[Name, Decoding], Field(min_length=1)]
    regimes: Annotated[dict[Name, Regime], Field(min_length=1)]
    profile: Profile
    calibrate: Calibrate
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    generations: Annotated[tuple[str, ...], Field(min_length=1)]
    bred: tuple[str, ...]
    births: tuple[Birth, ...]

    @model_validator(mode="after")
    def _names_agree(self) -> "Params":
        for name in (CODE.name, FOUNDER, HUMAN):
            if name in self.regimes:
                raise ValueError(f"regimes.{name} is reserved for what every regime shares; choose another name")
        for name, regime in self.regimes.items():
            if regime.decoding not in self.decodings.values():
                raise ValueError(f"regimes.{name}.decoding is not among decodings; add it there with an &anchor and use *anchor here")
            if regime.start == "pretrained" and not self.model.pretrained:
                raise ValueError(f"regimes.{name}.start is pretrained but model.pretrained is null; name weights or start fresh")
        if repeated := [seed for seed in self.seeds if self.seeds.count(seed) > 1]:
            raise ValueError(f"seeds repeats {repeated[0]}; each seed is one lineage a regime, remove the repetition")
        return self

    @model_validator(mode="after")
    def _prompts_leave_room(self) -> "Params":
        if self.sample.keeps_prompt and self.sample.prompt_tokens >= self.prepare.block_tokens:
            raise ValueError("rows keep their prompts, and no token is left to write: set sample.prompt_tokens below prepare.block_tokens")
        return self

    @model_validator(mode="after")
    def _prompts_are_of_something(self) -> "Params":
        for name, decoding in self.decodings.items():
            if decoding.prompts == "training" and not self.sample.prompt_tokens:
                raise ValueError(
                    f"decodings.{name}.prompts is training but sample.prompt_tokens is 0, so nothing prompts; raise it, or drop prompts"
                )
        return self

    @model_validator(mode="after")
    def _problems_are_characters(self) -> "Params":
        if self.corpus.source == "task" and self.task is None:
            raise ValueError("corpus.source is task but task is null; name a family there")
        if self.task and (self.model.pretrained or self.prepare.vocabulary_size != 257):
            raise ValueError(
                "problems are read by the character: with a task set prepare.vocabulary_size to 257 and model.pretrained to null"
            )
        if self.task and not self.sample.keeps_prompt:
            raise ValueError("an answer means nothing without its question: with a task set sample.keeps_prompt to true")
        return self

    @model_validator(mode="after")
    def _generations_follow(self) -> "Params":
        wanted = tuple(f"g{n}" for n in range(len(self.generations)))
        births = tuple(Birth(parent=parent, child=child) for parent, child in pairwise(wanted))
        for name, found, allowed in (
            ("generations", self.generations, wanted),
            ("bred", self.bred, wanted[1:]),
            ("births", self.births, births),
        ):
            if found != allowed:
                raise ValueError(f"{name} is {_listed(found)}, must be {_listed(allowed)}: without a gap, from the founder g0 on")
        return self


def _listed(values: tuple[str | Birth, ...]) -> str:
    return "[" + ", ".join(v if isinstance(v, str) else f"{v.parent}->{v.child}" for v in values) + "]"


def read_params(path: Path) -> Params:
    """The checked parameters of `path`; ParamsError names the section, the key and what is allowed."""
    try:
        document = strict_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror}); run in the folder that holds it") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not YAML ({' '.join(str(error).split())}); correct it") from error
    return parse_params(document, str(path))


def parse_params(document: Any, where: str = "params.yaml") -> Params:
    """The checked parameters of a YAML document; ParamsError as read_params."""
    try:
        return Params.model_validate(document)
    except ValidationError as error:
        try:
            told = _told(error.errors(include_url=False))
        except RecursionError:
            told = "nested too deeply to be shown"
        raise ParamsError(f"{where}: {told}; correct it there") from error


def _told(errors: Sequence[Any]) -> str:
    """The first of pydantic's errors in words: a key that is none before one that is missing, for the two are often the same."""
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    key = ".".join(str(part) for part in first["loc"] if part not in FORMS) or "the document"
    match first["type"]:
        case "extra_forbidden":
            missing = [str(e["loc"][-1]) for e in errors if e["type"] == "missing" and e["loc"][:-1] == first["loc"][:-1]]
            near = difflib.get_close_matches(str(first["loc"][-1]), missing, n=1)
            return f"{key}: no such key" + (f", perhaps {near[0]}" if near else "")
        case "missing":
            return f"{key}: missing"
        case "value_error":
            message = first["msg"].removeprefix("Value error, ")
            return f"{key}: {message}" if first["loc"] else message
    return f"{key} is {first['input']!r:.80}: {first['msg']}"


def place_of(args: list[str], params: Params) -> Place:
    """The generation that the arguments of a stage name; ParamsError where they are not `founder SEED g0` or `REGIME SEED GENERATION`."""
    match args:
        case ["founder", seed, "g0"]:
            return Place(FOUNDER, seed, "g0")
        case [regime, seed, generation] if regime in params.regimes:
            return Place(regime, seed, generation)
    raise ParamsError(f"arguments are {args}, must be founder SEED g0, or REGIME SEED GENERATION; regimes: {', '.join(params.regimes)}")
