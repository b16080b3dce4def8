"""The tail: which words of people each regime has stopped using, generation by generation.

A word is a run of letters, casefolded, that does not touch the edge of its row: rows are cut by tokens, so such a
run may be a part of a word. It is alive in a generation of a lineage where the rows that were kept of its offspring hold it
at least once. Collapse begins with the loss of the tails (Shumailov et al.
2024, definition 2.1)."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from herdbook.errors import FileError
from herdbook.figures import Figure
from herdbook.files import rounded
from herdbook.layout import HUMAN_TRAIN, Place
from herdbook.measures import mean
from herdbook.params import Params
from herdbook.records import Generation
from herdbook.report.chart import Point, drawing
from herdbook.report.charts import item_of
from herdbook.report.run import Run
from herdbook.report.section import Section

BANDS = (1, 2, 10, 100)  # the least times that people used a word of each band; the rarest first
NUM_NAMED = 12  # words named of each generation of a regime
_LETTERS = re.compile(r"[^\W\d_]+")
_NEVER = -1


@dataclass(frozen=True)
class Vocabulary:
    """The words of human training text, commonest first; equals in alphabetical order.

    `counts` and `bands` have shape (num_words,); a band is a place in BANDS."""

    words: list[str]
    counts: NDArray[np.int64]
    bands: NDArray[np.int64]
    numbers: dict[str, int]  # of each word: its place among the words


@dataclass(frozen=True)
class Life:
    """What became of the words in one lineage, as far as it was bred.

    `shares`, shape (num_generations_bred, num_bands): the share of a band's words alive, 0 in a band of none.
    `first` and `last`, shape (num_words,): the first and the last generation that a word was alive in, -1 in none."""

    shares: NDArray[np.float64]
    first: NDArray[np.int16]
    last: NDArray[np.int16]


def section(run: Run) -> Section:
    """The section of the tail: a chart for each band of words, and the words that died in each regime.

    Reads the rows that lie in runs/. Raises FileError where rows of a bred generation are missing."""
    human = vocabulary(_texts(HUMAN_TRAIN))
    lives = {regime: [life(_bred(run.lineage(regime, seed)), human) for seed in run.params.seeds] for regime in run.params.regimes}
    regimes = list(run.params.regimes)
    bands: list[dict[str, Any]] = []
    drawings: dict[str, Any] = {}
    for band in np.unique(human.bands).tolist():
        figure, points = figure_of(band, human), points_of(band, lives, run.params)
        bands.append(item_of(figure, points, run.params, None))
        drawings[figure.column] = drawing(figure, points, regimes, None)
    died = {regime: deaths(lives[regime], human, len(run.params.generations)) for regime in regimes}
    context = {"num_words": len(human.words), "bands": bands, "deaths": died}
    return Section(name="tail", link="Tail", context=context, data={"tail-data": drawings})


def _bred(lineage: Sequence[Generation]) -> list[Place]:
    return [generation.place for generation in lineage if generation.is_bred]


def words_of(text: str) -> list[str]:
    """The words of a text in its order: runs of letters, casefolded."""
    return _LETTERS.findall(text.casefold())


def distinct_words(text: str) -> set[str]:
    """The words of a text, each once; in half the time of words_of, as most of what stands between spaces is a word."""
    chunks = set(text.casefold().split())
    words = {chunk for chunk in chunks if chunk.isalpha()}
    return words.union(words_of(" ".join(chunks - words)))


def within(text: str) -> str:
    """A text without the letters that touch its edges; reversed for the last of them, as a search for an end begins anywhere."""
    first, last = _LETTERS.match(text), _LETTERS.match(text[::-1])
    return text[first.end() if first else 0 : len(text) - (last.end() if last else 0)]


def vocabulary(texts: Iterable[str]) -> Vocabulary:
    """The words of human texts, each with how often they hold it."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update(words_of(text))
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    counts = np.array([count for _, count in ordered], dtype=np.int64)
    bands = np.searchsorted(BANDS, counts, side="right") - 1
    return Vocabulary([word for word, _ in ordered], counts, bands, {word: number for number, (word, _) in enumerate(ordered)})


def life(places: Sequence[Place], human: Vocabulary) -> Life:
    """What became of human words in the generations of one lineage, g0 first; their rows are read one after another."""
    sizes = np.maximum(np.bincount(human.bands, minlength=len(BANDS)), 1)
    shares = np.zeros((len(places), len(BANDS)))
    first, last = (np.full(len(human.words), _NEVER, dtype=np.int16) for _ in range(2))
    for number, place in enumerate(places):
        words = {word for text in _texts(place.curated / "rows.parquet") for word in distinct_words(text)}
        alive = np.array([human.numbers[word] for word in words & human.numbers.keys()], dtype=np.int64)
        shares[number] = np.bincount(human.bands[alive], minlength=len(BANDS)) / sizes
        first[alive[first[alive] == _NEVER]] = number
        last[alive] = number
    return Life(shares, first, last)


def deaths(lives: Sequence[Life], human: Vocabulary, num_generations: int) -> list[dict[str, Any]]:
    """For each generation n from g1 on the words that died in one regime: alive in some seed's founder and last in
    generation n - 1, judged on the seeds that were bred for n; `lives` has one of each seed.

    num_seeds_bred is 0 where there is nothing to judge. num_gone counts all that are dead for good by then."""
    found = []
    for number in range(1, num_generations):
        bred = [life for life in lives if len(life.shares) > number]
        if not bred:
            found.append({"generation": f"g{number}", "num_seeds_bred": 0})
            continue
        is_founders = np.any([life.first == 0 for life in bred], axis=0)
        last = np.max([life.last for life in bred], axis=0)
        died = np.flatnonzero(is_founders & (last == number - 1))
        found.append(
            {
                "generation": f"g{number}",
                "num_seeds_bred": len(bred),
                "num_founders": int(np.count_nonzero(is_founders)),
                "num_gone": int(np.count_nonzero(is_founders & (last < number))),
                "num_died": len(died),
                "named": [{"word": human.words[word], "count": int(human.counts[word])} for word in died[:NUM_NAMED].tolist()],
            }
        )
    return found


def _times(band: int) -> str:
    if band == 0:
        return "once"
    return f"{BANDS[band]} to {BANDS[band + 1] - 1} times" if band + 1 < len(BANDS) else f"{BANDS[band]} times or more"


def figure_of(band: int, human: Vocabulary) -> Figure:
    """What the chart of one band is called."""
    num_words = int(np.count_nonzero(human.bands == band))
    meaning = f"The share that is alive of the {num_words:,} words that people used so often."
    return Figure(f"tail-{band}", f"Words used {_times(band)}", meaning, "from zero")


def points_of(band: int, lives: Mapping[str, Sequence[Life]], params: Params) -> list[Point]:
    """The share of a band's words that each regime x generation holds alive, over the seeds that were bred."""
    points = []
    for regime in params.regimes:
        for number in range(len(params.generations)):
            shares = [float(life.shares[number, band]) for life in lives[regime] if len(life.shares) > number]
            told = [None if share is None else rounded(share) for share in (mean(np.array(shares)), *_limits(shares))]
            points.append(Point(regime, number, len(params.seeds), len(shares), *told))
    return points


def _limits(shares: Sequence[float]) -> tuple[float | None, float | None]:
    return min(shares, default=None), max(shares, default=None)


def _texts(path: Path) -> Iterator[str]:
    """The texts of a parquet file of ROWS without what touches their edges, a group of rows at a time; FileError where it cannot
    give them."""
    try:
        with pq.ParquetFile(path) as file:
            if "text" not in file.schema_arrow.names:
                raise FileError(f"{path}: no column 'text'; write it anew (dvc repro)")
            for batch in file.iter_batches(columns=["text"]):
                yield "\n".join(within(text) for text in batch.column(0).to_pylist() if text)
    except FileNotFoundError as error:
        raise FileError(f"{path}: not found; run the stage that writes it (dvc repro)") from error
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path}: not a whole parquet file of rows ({str(error).splitlines()[0]}); write it anew (dvc repro)") from error
