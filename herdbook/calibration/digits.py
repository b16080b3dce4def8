"""Variational autoencoders on pictures of digits: under replace the digits merge, under accumulate far more slowly.

Shumailov et al. 2024 (Nature 631:755, supplement; code Zakahler/curse_recurse) train each autoencoder anew on pictures that the last
one decoded, and by the twentieth the digits have merged. Gerstgrasser et al. 2024 (arXiv 2404.01413) see one mode remain under
replace, and under accumulate a rise of the loss that is slowed and not stopped. Here both take the same number of optimiser steps.

What is measured, and the bounds of the checks, were chosen before any second generation was looked at:
spread, the total variance of the pictures, is what definition 2.1 of Shumailov et al. calls late collapse, and what the Gaussians are
measured by; coverage (Naeem et al. 2020, arXiv 2002.09797) is the share of human pictures that some offspring comes near; the
effective number of classes (e to the entropy) that a classifier of human digits sees says whether digits are still told apart."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from herdbook.calibration.check import Check, Outcome, figure
from herdbook.calibration.labs import breed
from herdbook.calibration.settings import DigitsSettings
from herdbook.errors import FileError, ParamsError
from herdbook.numeric import pin_torch, seed_of

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

_REGIMES = ("replace", "accumulate")
_TITLES = {
    "spread": "variance of the pictures, 1 is human",
    "coverage": "coverage of the human pictures",
    "num_classes": "effective number of classes",
}
_NUM_NEIGHBOURS = 5  # as in the code of Naeem et al.
_SHUMAILOV = "Shumailov et al. 2024, Nature 631:755, supplement"
_GERSTGRASSER = "Gerstgrasser et al. 2024, arXiv 2404.01413"


@dataclass(frozen=True)
class Pictures:
    """pixels: float32, shape (n, side * side), 0 is paper and 1 is ink; labels: shape (n,)."""

    pixels: np.ndarray
    labels: np.ndarray

    @property
    def side(self) -> int:
        """Pixels of a row of a picture."""
        return math.isqrt(self.pixels.shape[1])

    def draw(self, count: int, generator: np.random.Generator) -> "Pictures":
        """So many of them; ParamsError where there are fewer."""
        if count > len(self.pixels):
            raise ParamsError(f"params.yaml: calibrate.digits.num_rows is {count}, but there are {len(self.pixels)} pictures; lower it")
        chosen = np.sort(generator.choice(len(self.pixels), size=count, replace=False))
        return Pictures(self.pixels[chosen], self.labels[chosen])


def read_pictures(path: str | None) -> Pictures:
    """The pictures of a parquet file: `pixels`, a list of side * side numbers from 0 on in each row, and `label`.

    None: scikit-learn's handwritten digits, 1797 of 8 x 8 pixels. Raises FileError for a file that does not hold such columns."""
    if path is None:
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        return Pictures((pixels / pixels.max()).astype(np.float32), labels)
    import pyarrow as pa
    import pyarrow.compute as pc

    from herdbook.files import read_table

    table = read_table(Path(path), pa.schema({"pixels": pa.list_(pa.float32()), "label": pa.int64()}))
    lengths = pc.unique(pc.list_value_length(table["pixels"])).to_pylist()
    if len(lengths) != 1 or not lengths[0] or math.isqrt(lengths[0]) ** 2 != lengths[0]:
        raise FileError(f"{path}: pixels must be as many in every row, and those of a square; write it anew")
    pixels = pc.list_flatten(table["pixels"]).to_numpy().reshape(table.num_rows, lengths[0])
    if table["label"].null_count or not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() <= 0:
        raise FileError(f"{path}: pixels must be numbers from 0 on, not all 0, and every row have a label; write it anew")
    return Pictures(pixels / pixels.max(), table["label"].to_numpy())


class Ruler:
    """Measures pictures against the human ones."""

    def __init__(self, human: Pictures) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.human = human
        self.classifier = _classifier(human)
        neighbours = NearestNeighbors(n_neighbors=_NUM_NEIGHBOURS, algorithm="brute").fit(human.pixels)
        self.radii = neighbours.kneighbors()[0][:, -1]  # of each picture to its nearest others

    def spread(self, pixels: np.ndarray) -> float:
        """Total variance over that of the human pictures."""
        return float(pixels.var(axis=0).sum() / self.human.pixels.var(axis=0).sum())

    def coverage(self, pixels: np.ndarray) -> float:
        """The share of human pictures that have one of `pixels` among them and their nearest others (Naeem et al. 2020)."""
        from sklearn.neighbors import NearestNeighbors

        nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(pixels).kneighbors(self.human.pixels)[0][:, 0]
        return float(np.mean(nearest <= self.radii))

    def num_classes(self, pixels: np.ndarray) -> float:
        """The effective number of classes among them: e to the entropy of what the classifier says."""
        from scipy.stats import entropy

        return math.exp(entropy(np.unique(self.classifier.predict(pixels), return_counts=True)[1]))


def _classifier(human: Pictures) -> "ClassifierMixin":
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=2000).fit(human.pixels, human.labels)


def lineage(regime: str, number: int, human: Pictures, settings: DigitsSettings) -> list[np.ndarray]:
    """Pictures of each fit's model, as many as there are human ones; each model is new.

    The founder of a number is the same in every regime."""
    import torch

    from herdbook.calibration import vae

    draws = torch.Generator().manual_seed(seed_of("digits", settings.seed, number))
    models = breed(
        human.pixels[None], regime, settings.num_iterations,
        lambda rows: vae.fit(rows[0], settings.num_steps, draws), lambda model, count: vae.sample(model, count, draws)[None],
        np.random.Generator(np.random.PCG64(seed_of("digits", settings.seed, regime, number))),
    )  # fmt: skip
    return [vae.sample(model, len(human.pixels), draws) for model in models]


def calibrate(settings: DigitsSettings) -> Outcome:
    """Checks that the digits merge, the course of the three measures, and a sheet of pictures."""
    from herdbook.calibration.sheet import sheet

    pin_torch()
    generator = np.random.Generator(np.random.PCG64(seed_of("digits", settings.seed, "human")))
    human = read_pictures(settings.images).draw(settings.num_rows, generator)
    ruler = Ruler(human)
    lineages = {regime: [lineage(regime, number, human, settings) for number in range(settings.num_lineages)] for regime in _REGIMES}
    measures = {
        measure.__name__: {
            regime: np.mean([[measure(pixels) for pixels in offspring] for offspring in of_regime], axis=0)
            for regime, of_regime in lineages.items()
        }
        for measure in (ruler.spread, ruler.coverage, ruler.num_classes)
    }
    figures = [
        figure(_TITLES[name], {regime: (found.tolist(), None) for regime, found in measure.items()}) for name, measure in measures.items()
    ]
    picture = sheet(human.pixels, {regime: of_regime[0] for regime, of_regime in lineages.items()}, human.side)
    return Outcome(checks_of(measures, len(set(human.labels.tolist()))), figures, {"first_lineage": picture})


_LEAST = 0.01  # where replace keeps nothing, accumulate must keep a tenth all the same


def checks_of(measures: dict[str, dict[str, np.ndarray]], num_classes: int) -> list[Check]:
    """measures: spread, coverage and num_classes of each regime, means over lineages by fit.

    That the founder has anything to lose: it tells eight tenths of the classes apart. That digits merge under replace: less than half
    of the founder's spread and coverage is left. That accumulate is far slower: what it keeps is more than the root of what replace
    keeps, as if it had bred half as often. (If each fit keeps a share c, replace keeps c^n and accumulate about n^(c - 1).)"""
    founder = float(measures["num_classes"]["replace"][0])
    checks = [Check("founder: effective number of classes", "chosen before any run", None, founder, 0.8 * num_classes, None)]
    for name in ("spread", "coverage"):
        last = len(measures[name]["replace"])
        kept = {regime: _kept(found) for regime, found in measures[name].items()}
        what = f"share of the founder's {name} that is left at fit {last}"
        checks += [
            Check(f"replace: {what}", _SHUMAILOV, None, kept["replace"], None, 0.5),
            Check(f"accumulate: {what}", _GERSTGRASSER, None, kept["accumulate"], math.sqrt(max(kept["replace"], _LEAST)), None),
        ]
    return checks


def _kept(found: np.ndarray) -> float:
    """The last figure over the founder's; not a number, which never passes, where the founder had nothing."""
    return float(found[-1] / found[0]) if found[0] else math.nan
