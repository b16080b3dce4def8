"""Labs that breed anything that can be fitted and drawn from, many side by side.

Training sets are composed by herdbook.regimes.mix, which composes those of language models. It sees a table of ids;
the row of an id lies in an array, once for each lab, so that one call serves many labs."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pyarrow as pa

from herdbook.params import Weights
from herdbook.regimes import mix

# The regimes of which theory speaks (Kazdan et al. 2024, arXiv 2410.16713, call them workflows); subsample has a budget.
REGIMES = {
    "replace": Weights(offspring=1.0, previous=0.0, human=0.0),
    "accumulate": Weights(offspring=1.0, previous=1.0, human=0.0),
    "subsample": Weights(offspring=1.0, previous=1.0, human=0.0),
}

Model = TypeVar("Model")


def training_sets(regime: str, num_rows: int, num_iterations: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """The ids of the rows that each fit reads, fit 1 first: it reads the human rows, 0 to num_rows - 1.

    Fit n writes the rows n * num_rows to (n + 1) * num_rows - 1. Subsample reads num_rows of its pool."""
    budget = num_rows if regime == "subsample" else None
    human = _table(0, num_rows)
    training, pool = human, human
    for iteration in range(1, num_iterations + 1):
        yield training["id"].to_numpy()
        if iteration < num_iterations:
            training, pool = mix(_table(iteration, num_rows), pool, human, REGIMES[regime], budget, generator)


def _table(iteration: int, num_rows: int) -> pa.Table:
    return pa.table({"id": np.arange(iteration * num_rows, (iteration + 1) * num_rows)})


def breed(
    human: np.ndarray,
    regime: str,
    num_iterations: int,
    fit: Callable[[np.ndarray], Model],
    sample: Callable[[Model, int], np.ndarray],
    generator: np.random.Generator,
) -> Iterator[Model]:
    """The model of each fit in turn, each of a training set that the regime made of what earlier ones wrote.

    human: shape (labs, num_rows, ...). `fit` gets such an array of any number of rows, `sample` returns one of the number asked."""
    num_labs, num_rows = human.shape[:2]
    rows = np.empty((num_labs, num_iterations * num_rows, *human.shape[2:]), dtype=human.dtype)
    rows[:, :num_rows] = human
    for iteration, ids in enumerate(training_sets(regime, num_rows, num_iterations, generator), start=1):
        model = fit(rows[:, ids])
        yield model
        if iteration < num_iterations:
            rows[:, iteration * num_rows : (iteration + 1) * num_rows] = sample(model, num_rows)
