"""Curate the offspring of one generation by its regime's recipe.

Reads offspring/ and what the steps of the recipe ask for: human rows and documents, the founder, the training
set. Writes curated/ (rows.parquet, rejected.parquet, hands.parquet, making.json; teacher.jsonl where a teacher
was asked) and counts.json, or why the lineage ended. A set that is not full is written all the same: its
inspection judges it. Params: regimes.R.recipe, sample.device, task, teacher."""

from collections import Counter
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from herdbook.amounts import rows_at
from herdbook.errors import BookError, FileError, ParamsError
from herdbook.files import digest, read_json, read_table, rounded, write_json, write_table, write_text, written_aside
from herdbook.layout import BASE_MODEL, HUMAN_BENCHMARKS, HUMAN_HELD_OUT_DOCUMENTS, HUMAN_TRAIN, MAKING, PARAMS, Place
from herdbook.lineage import NOT_BRED, not_bred, write_not_bred
from herdbook.numeric import pin_torch, seed_of
from herdbook.params import Params, read_params
from herdbook.recipe import Curated, curate, needs_of, parse_steps
from herdbook.regimes import mean_depth
from herdbook.rows import num_tokens
from herdbook.schema import CORPUS, ROWS
from herdbook.snapshot import snapshot
from herdbook.tasks import parse_task
from herdbook.tasks.family import Family
from herdbook.teacher import Teacher, parse_teacher
from herdbook.tokenizer import Tokenizer, load_tokenizer
from herdbook.training_set import SCORES, scored

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Disk:
    """The material of the steps as it lies in the working directory, each part read when it is first asked for."""

    def __init__(self, place: Place, params: Params) -> None:
        self._place, self._params = place, params
        self._asked = Counter[str]()

    @property
    def generation(self) -> int:
        """See steps.step.Material."""
        return self._place.number

    @cached_property
    def benchmarks(self) -> list[str]:
        """See steps.step.Material."""
        return list(read_table(HUMAN_BENCHMARKS, CORPUS)["text"].to_pylist())

    @cached_property
    def founder(self) -> "PreTrainedModel":
        """See steps.step.Material."""
        from herdbook.models import device_of, open_model

        pin_torch()
        return open_model(self._place.founder.model, device_of(self._params.sample.device))

    @cached_property
    def founder_digest(self) -> str:
        """See steps.step.Material."""
        from herdbook.models import weights_digest

        return weights_digest(self._place.founder.model)

    @cached_property
    def held_out(self) -> list[str]:
        """See steps.step.Material."""
        return list(read_table(HUMAN_HELD_OUT_DOCUMENTS, CORPUS)["text"].to_pylist())

    @cached_property
    def human(self) -> pa.Table:
        """See steps.step.Material."""
        return scored(read_table(HUMAN_TRAIN, ROWS), read_table(self._place.founder.human_nll, SCORES))

    @cached_property
    def previous(self) -> pa.Table:
        """See steps.step.Material."""
        return read_table(self._place.training / "pool.parquet", ROWS)

    @cached_property
    def task(self) -> Family:
        """See steps.step.Material."""
        return parse_task(self._params.task or {})

    @cached_property
    def teacher(self) -> Teacher:
        """See steps.step.Material."""
        record = self._place.asked
        if not record.exists():  # as in a fresh clone: begin with the answers that dvc.lock records
            with suppress(FileError, BookError), snapshot(Path.cwd()) as now:
                write_text(record, now.read(self._place.taught).decode())
        settings = parse_teacher(self._params.teacher or {})
        if settings.path:
            pin_torch()
        return Teacher(settings, record)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """See steps.step.Material."""
        return load_tokenizer(BASE_MODEL)

    def generator(self, step: str) -> np.random.Generator:
        """See steps.step.Material."""
        self._asked[step] += 1  # a step that stands twice draws other numbers
        seed = seed_of("curate", step, self._asked[step], self._place.seed, self._place.generation)
        return np.random.Generator(np.random.PCG64(seed))


def scored_anew(rows: pa.Table, material: Disk) -> pa.Table:
    """`rows` in which those without a score, which steps wrote, have the founder's."""
    from herdbook.models import row_nll

    nll = rows["nll_nats"].to_pylist()
    unscored = [number for number, value in enumerate(nll) if value is None]
    if not unscored:
        return rows
    tokens = rows["tokens"].take(unscored).to_pylist()
    for number, value in zip(unscored, row_nll(material.founder, tokens, material.tokenizer.mark), strict=True):
        nll[number] = rounded(value)
    return rows.set_column(rows.schema.get_field_index("nll_nats"), "nll_nats", pa.array(nll, pa.float64()))


def counts_of(curated: Curated) -> dict:
    """What became of every row, by number."""
    return {
        "num_in": curated.num_in,
        "num_added": curated.num_added,
        "num_remade": curated.num_remade,
        "num_out": curated.kept.num_rows,
        "num_surplus": curated.num_surplus,
        "is_full": curated.is_full,
        "rejected": curated.num_rejected,
    }


def making_of(place: Place, rows: pa.Table, offspring: dict, source: str, device: str | None) -> dict:
    """The making of a curated set: `offspring` is the making of the sampled rows, `source` their digest, `device` where steps computed."""
    decoding = {"decoding": offspring["decoding"]} if "decoding" in offspring else {}
    return {
        "kind": "offspring",
        "regime": place.regime,
        "seed": place.seed,
        "generation": place.generation,
        "model": offspring["model"],
        "parents": [{"role": "offspring", "digest": source}],
        "num_rows": rows.num_rows,
        "num_tokens": num_tokens(rows),
        "depth": rounded(mean_depth(rows)) if rows.num_rows else None,
        "device": device,
        **decoding,
    }


def main(args: list[str]) -> None:
    """Curate: `curate REGIME SEED GENERATION`."""
    params = read_params(PARAMS)
    match args:
        case [regime, seed, generation] if regime in params.regimes:
            place, recipe = Place(regime, seed, generation), params.regimes[regime].recipe
        case _:
            raise ParamsError(f"arguments are {args}, must be REGIME SEED GENERATION; regimes: {', '.join(params.regimes)}")
    if stop := not_bred(place.offspring):
        write_not_bred(place.curated, stop)
        write_json(place.counts, {**stop, "status": NOT_BRED})
        return
    steps = parse_steps(recipe.steps, f"{PARAMS}: regimes.{place.regime}.recipe.steps")
    source, material = place.offspring / "rows.parquet", Disk(place, params)
    curated = curate(read_table(source, ROWS), steps, rows_at(recipe.num_rows, place.number), material)
    rows = scored_anew(curated.kept, material)
    device = material.founder.device.type if "founder" in needs_of(steps) else None
    making = making_of(place, rows, read_json(place.offspring / MAKING), digest(source), device)
    with written_aside(place.curated) as aside:
        write_table(aside / "rows.parquet", rows)
        write_table(aside / "rejected.parquet", curated.rejected)
        write_table(aside / "hands.parquet", curated.hands)
        write_json(aside / MAKING, making)
        if "teacher" in needs_of(steps):
            material.teacher.save(aside / place.taught.name)
    write_json(place.counts, counts_of(curated))
