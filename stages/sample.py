"""Sample the offspring of a model.

Reads the model, the founder of its seed, and the rows whose beginnings prompt it: human ones, or those that
the model was trained on. Writes offspring/ (for a founder: one folder a decoding) and examples.json; where
the model was not bred, why.
Params: sample, prepare.block_tokens, regimes.R.decoding (a founder: decodings)."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from herdbook import numeric
from herdbook.amounts import rows_at
from herdbook.errors import InspectionError, ParamsError
from herdbook.files import digest, read_json, read_table, rounded, write_json, write_table, written_aside
from herdbook.layout import BASE_MODEL, FOUNDER, HUMAN_TRAIN, MAKING, PARAMS, Place
from herdbook.lineage import NOT_BRED, not_bred, write_not_bred
from herdbook.params import Decoding, Params, place_of, read_params
from herdbook.progress import steps
from herdbook.rows import row_id, rows_table
from herdbook.schema import ROWS, TRAINING
from herdbook.tokenizer import Tokenizer, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Prompt:
    """The beginning of a row: the row's id and human document, None where it has none; tokens without the start mark."""

    row: str | None
    document: str | None
    tokens: list[int]


def prompts_of(prompting: pa.Table, prompt_tokens: int, block_tokens: int, num_rows: int, seed: int) -> list[Prompt]:
    """`num_rows` beginnings of rows in a shuffled order, over again where there are fewer rows.

    Only rows longer than the prompt serve; where the prompt is a whole block, all that are as long. No tokens: nothing
    but the start mark prompts.
    Raises ParamsError where no row is that long."""
    import torch

    if not prompt_tokens:
        return [Prompt(None, None, [])] * num_rows
    rows = prompting.select(["id", "document", "tokens"]).to_pylist()
    least = min(prompt_tokens + 1, block_tokens)
    usable = [Prompt(row["id"], row["document"], row["tokens"][:prompt_tokens]) for row in rows if len(row["tokens"]) >= least]
    if not usable:
        longest = max(len(row["tokens"]) for row in rows)
        raise ParamsError(
            f"params.yaml: sample.prompt_tokens is {prompt_tokens}, must be below the {longest} tokens of the longest row that may prompt"
        )
    order = torch.randperm(len(usable), generator=torch.Generator().manual_seed(seed)).tolist()
    return [usable[order[i % len(order)]] for i in range(num_rows)]


def draw(model: "PreTrainedModel", prompts: list[Prompt], decoding: Decoding, place: Place, params: Params, mark: int) -> list[list[int]]:
    """The row of each prompt, its continuation with or without itself; equal models of a seed and generation give equal ones."""
    import torch

    from herdbook.sampler import sample

    generator = torch.Generator().manual_seed(numeric.seed_of("sample", place.seed, place.generation))
    tensor = torch.tensor([[mark, *prompt.tokens] for prompt in prompts])
    kept = [prompt.tokens if params.sample.keeps_prompt else [] for prompt in prompts]
    num_new = params.prepare.block_tokens - (params.sample.prompt_tokens if params.sample.keeps_prompt else 0)
    with steps(f"sample {place.regime} {place.seed} {place.generation}", len(prompts)) as advance:
        drawn = sample(model, tensor, decoding, num_new, mark, generator, params.sample.batch_rows, advance)
    return [[*tokens, *new] for tokens, new in zip(kept, drawn, strict=True)]


def offspring_rows(
    drawn: list[list[int]], prompts: list[Prompt], nll: list[float], place: Place, model: str, depth: float, tokenizer: Tokenizer
) -> pa.Table:
    """The drawn rows as a table of ROWS; `depth` is that of the model's training set, `model` its digest."""
    texts = tokenizer.decode(drawn)
    return rows_table([
        {
            "id": row_id(model, prompt.document, index, tokens), "generation": place.number, "model": model, "document": prompt.document,
            "prompt": prompt.row, "index": index, "depth": 1 + depth, "tokens": tokens, "num_tokens": len(tokens), "text": text,
            "nll_nats": rounded(loss),
        }
        for index, (prompt, tokens, text, loss) in enumerate(zip(prompts, drawn, texts, nll, strict=True))
    ])  # fmt: skip


def prompting_rows(place: Place, decoding: Decoding) -> pa.Table:
    """The rows that may prompt a model, each once: human ones, or those it was trained on (a founder's are human).

    Raises InspectionError where the training set is not the one that the model's record names."""
    if decoding.prompts == "human" or place.regime == FOUNDER:
        return read_table(HUMAN_TRAIN, ROWS)
    path = place.training / "rows.parquet"
    if (found := digest(path)) != (wanted := read_json(place.model / MAKING)["training"]):
        raise InspectionError(f"{path}: is {found[:12]}, but the model was trained on {wanted[:12]}; train it anew: dvc repro")
    rows = read_table(path, TRAINING)
    return rows.filter(pc.equal(rows["pass"], 0)).select(ROWS.names)


def sample_into(directory: Path, place: Place, decoding: Decoding, params: Params) -> list[dict[str, str]]:
    """Sample one decoding of a model and write its rows and making; the first rows as prompt and text."""
    from herdbook.models import device_of, open_model, row_nll, weights_digest

    numeric.pin_torch()
    device, tokenizer = device_of(params.sample.device), load_tokenizer(BASE_MODEL)
    prompts = prompts_of(
        prompting_rows(place, decoding), params.sample.prompt_tokens, params.prepare.block_tokens,
        rows_at(decoding.num_rows, place.number), numeric.seed_of("prompts", place.seed),
    )  # fmt: skip
    drawn = draw(open_model(place.model, device), prompts, decoding, place, params, tokenizer.mark)
    nll = row_nll(open_model(place.founder.model, device), drawn, tokenizer.mark)
    model, depth = weights_digest(place.model), read_json(place.model / MAKING)["depth"]
    rows = offspring_rows(drawn, prompts, nll, place, model, depth, tokenizer)
    making: dict[str, Any] = {
        "kind": "offspring", "regime": place.regime, "seed": place.seed, "generation": place.generation, "model": model,
        "founder": weights_digest(place.founder.model), "decoding": decoding.model_dump(), "depth": 1 + depth, "num_rows": rows.num_rows,
        "device": device.type,
    }  # fmt: skip
    with written_aside(directory) as aside:
        write_table(aside / "rows.parquet", rows)
        write_json(aside / MAKING, making)
    shown = params.sample.num_examples
    beginnings = tokenizer.decode([prompt.tokens for prompt in prompts[:shown]])
    return [{"prompt": prompt, "text": text} for prompt, text in zip(beginnings, rows["text"].to_pylist()[:shown], strict=True)]


def sample_founder(place: Place, params: Params) -> None:
    """Sample every decoding, each into its own folder."""
    with written_aside(place.offspring) as aside:
        shown = {name: sample_into(aside / name, place, decoding, params) for name, decoding in params.decodings.items()}
    write_json(place.examples, shown)


def sample_generation(place: Place, params: Params) -> None:
    """Sample the regime's decoding, where there is a model."""
    if stop := not_bred(place.model):
        write_not_bred(place.offspring, stop)
        write_json(place.examples, {**stop, "status": NOT_BRED})
    else:
        write_json(place.examples, sample_into(place.offspring, place, params.regimes[place.regime].decoding, params))


def main(args: list[str]) -> None:
    """Sample: `sample REGIME SEED GENERATION`, or `sample founder SEED g0`."""
    params = read_params(PARAMS)
    place = place_of(args, params)
    if place.regime == FOUNDER:
        sample_founder(place, params)
    else:
        sample_generation(place, params)
