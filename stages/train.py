"""Train one generation on its inspected training set.

Reads the training set with its receipt (a founder: the human rows with theirs), the base model and the
held-out rows. Writes model/ and loss.json; a founder also human_nll.parquet. Where the gate blocks,
writes why the lineage ended. Params: train, sample.prompt_tokens, task, regimes.R.compute, .gate and .start."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from herdbook import numeric
from herdbook.amounts import Epochs
from herdbook.errors import ModelError
from herdbook.files import digest, read_json, read_table, rounded, write_json, write_table, written_aside
from herdbook.layout import BASE_MODEL, FOUNDER, HUMAN_HELD_OUT, HUMAN_RECEIPT, MAKING, PARAMS, Place
from herdbook.lineage import NOT_BRED, not_bred, write_not_bred
from herdbook.params import Params, place_of, read_params
from herdbook.progress import steps
from herdbook.receipt import read_inspected, read_passed_human, stop_of, training_data, waived_rules
from herdbook.regimes import mean_depth
from herdbook.schema import ROWS
from herdbook.tasks import parse_task
from herdbook.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def start_model(place: Place, start: str, device: str) -> "PreTrainedModel":
    """The model that training starts from; fresh weights are the same for every regime of a seed."""
    from herdbook.models import device_of, fresh_model, on_device, open_model

    if start == "fresh":
        return on_device(fresh_model(BASE_MODEL, numeric.seed_of("init", place.seed, place.generation)), device_of(device))
    return open_model(BASE_MODEL if start == "pretrained" else place.founder.model, device_of(device))


def num_steps(place: Place, num_rows: int, params: Params) -> int:
    """Optimiser steps: those of the founder, or train.epochs or the regime's epochs over the generation's own rows."""
    from herdbook.training import steps_per_epoch

    compute = "epochs" if place.regime == FOUNDER else params.regimes[place.regime].compute
    if compute == "steps":
        return int(read_json(place.founder.model / MAKING)["num_steps"])
    epochs = compute.epochs if isinstance(compute, Epochs) else params.train.epochs
    return epochs * steps_per_epoch(num_rows, params.train.batch_rows)


def fit(place: Place, rows: pa.Table, start: str, params: Params) -> tuple["PreTrainedModel", dict[str, Any]]:
    """The trained model, and what its loss record says of the training."""
    import torch

    from herdbook.training import train

    numeric.pin_torch()
    model = start_model(place, start, params.train.device)
    count = num_steps(place, rows.num_rows, params)
    generator = torch.Generator().manual_seed(numeric.seed_of("train", place.seed, place.generation))
    tokens = rows["tokens"].to_pylist()
    with steps(f"train {place.regime} {place.seed} {place.generation}", count) as advance:
        course = train(model, tokens, load_tokenizer(BASE_MODEL).mark, count, params.train, generator, advance)
    taken = {
        "num_steps": count, "num_tokens_seen": course.num_tokens,
        "train_loss_first_nats": rounded(course.losses[0]), "train_loss_last_nats": rounded(course.losses[-1]),
    }  # fmt: skip
    return model, taken


def evaluate(model: "PreTrainedModel", params: Params) -> tuple[dict[str, float], list[float]]:
    """The held-out loss record, and the nats per token of each held-out row; ModelError where they are not finite.

    Of problems also the share that the model answers rightly when it always takes the likeliest token."""
    from herdbook.models import held_out_loss, row_nll

    rows = read_table(HUMAN_HELD_OUT, ROWS)
    nll = row_nll(model, rows["tokens"].to_pylist(), load_tokenizer(BASE_MODEL).mark)
    num_bytes = sum(len(text.encode()) for text in rows["text"].to_pylist())
    loss = held_out_loss(nll, rows["num_tokens"].to_pylist(), num_bytes)
    if not math.isfinite(loss["held_out_loss_nats"]):
        raise ModelError(f"params.yaml: the held-out loss is {loss['held_out_loss_nats']} after training; lower train.learning_rate")
    if params.task:
        from herdbook.answering import held_out_accuracy

        family, width = parse_task(params.task), params.sample.prompt_tokens
        loss["held_out_accuracy"] = held_out_accuracy(model, rows["tokens"].to_pylist(), load_tokenizer(BASE_MODEL), family, width)
    return loss, nll


def write_model(place: Place, model: "PreTrainedModel", making: dict[str, Any]) -> None:
    """Write the model folder with its making, whole or not at all."""
    from herdbook.models import save_model

    with written_aside(place.model) as aside:
        save_model(model, BASE_MODEL, aside)
        write_json(aside / MAKING, {"kind": "model", "regime": place.regime, "seed": place.seed, "generation": place.generation, **making})


def train_founder(place: Place, params: Params) -> None:
    """Train on the human rows; then score every human row, for what comes to be compared with them."""
    from herdbook.models import has_weights, row_nll

    path = read_passed_human()
    rows = read_table(path, ROWS)
    start = "pretrained" if has_weights(BASE_MODEL) else "fresh"
    model, taken = fit(place, rows, start, params)
    loss, held_out_nll = evaluate(model, params)
    train_nll = row_nll(model, rows["tokens"].to_pylist(), load_tokenizer(BASE_MODEL).mark)
    held_out = read_table(HUMAN_HELD_OUT, ROWS)
    write_table(place.human_nll, pa.table({
        "id": rows["id"].to_pylist() + held_out["id"].to_pylist(),
        "split": ["train"] * rows.num_rows + ["held_out"] * held_out.num_rows,
        "nll_nats": [rounded(value) for value in train_nll + held_out_nll],
    }))  # fmt: skip
    write_model(place, model, making_of(model, path, HUMAN_RECEIPT, start, taken["num_steps"], 0.0, []))
    write_json(place.loss, {**{key: rounded(value) for key, value in loss.items()}, **taken})


def making_of(model: "PreTrainedModel", data: Path, receipt: Path, start: str, count: int, depth: float, waivers: list) -> dict[str, Any]:
    """What the record says of a model."""
    return {
        "training": digest(data), "receipt": digest(receipt), "start": start, "num_steps": count, "depth": rounded(depth),
        "waivers": waivers, "device": model.device.type, "num_parameters": sum(p.numel() for p in model.parameters()),
    }  # fmt: skip


def train_generation(place: Place, params: Params) -> None:
    """Train on the blended rows, if the gate lets them through."""
    regime = params.regimes[place.regime]
    stop = not_bred(place.training)
    if stop is None:
        data = training_data(place)
        receipt = read_inspected(data, place.receipt("training"), "training")
        # No rows end a lineage whatever its gate: there is nothing to train on, and the others go on.
        gate = regime.gate if read_table(data["rows"], ROWS).num_rows else "block"
        stop = stop_of(receipt, gate, place.generation)
    if stop:
        write_not_bred(place.model, stop)
        write_json(place.loss, {**stop, "status": NOT_BRED})
        return
    rows = read_table(data["rows"], ROWS)
    model, taken = fit(place, rows, regime.start, params)
    loss, _ = evaluate(model, params)
    waivers = list(read_json(data["making"])["waivers"])
    if rules := waived_rules(receipt):
        waivers.append({"dataset": "training", "generation": place.generation, "rules": rules})
    making = making_of(model, data["rows"], place.receipt("training"), regime.start, taken["num_steps"], mean_depth(rows), waivers)
    write_model(place, model, making)
    write_json(place.loss, {**{key: rounded(value) for key, value in loss.items()}, **taken})


def main(args: list[str]) -> None:
    """Train: `train REGIME SEED GENERATION`, or `train founder SEED g0`."""
    params = read_params(PARAMS)
    place = place_of(args, params)
    if place.regime == FOUNDER:
        train_founder(place, params)
    else:
        train_generation(place, params)
