"""Watch it collapse: what each generation of each regime makes of the same prompt, side by side.

A seed prompts all its models alike, so a prompt compares generations and regimes; another seed has other prompts. Models that are
prompted by their own training sets share none with each other."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

from herdbook.narrative import printable
from herdbook.params import Params
from herdbook.records import Generation
from herdbook.report.run import Run
from herdbook.report.section import Section

MAX_BYTES = 4_000_000  # of all texts together: a page of 15 MB holds charts and receipts too
WORD = re.compile(r"\w+|[^\w\s]+")

# By prompt, and how often the same generation was given it before: what each (regime, generation) wrote.
Draws = Mapping[tuple[str, int], Mapping[tuple[str, str], str]]


def section(run: Run) -> Section:
    """The section of the prompts: by seed its prompts, and by regime what each generation wrote after each of them.

    A text is its pieces (`pieces`), None where there is none. Where all texts together are longer than
    MAX_BYTES, later prompts are left out."""
    seeds, regimes = run.params.seeds, list(run.params.regimes)
    draws = {seed: draws_of([generation for generation in run.generations if generation.place.seed == seed]) for seed in seeds}
    longest = max((len(found) for found in draws.values()), default=0)
    num_shown = fitting(list(draws.values()), longest)
    data = {
        "generations": run.params.generations,
        "regimes": regimes,
        "bred": {f"{regime}/{seed}": [found.is_bred for found in run.lineage(regime, seed)] for regime in regimes for seed in seeds},
        "seeds": {seed: _seed(dict(islice(draws[seed].items(), num_shown)), run.params) for seed in seeds},
    }
    context = {"num_prompts": longest, "num_left_out": longest - num_shown}
    return Section(name="watch", link="Watch", context=context, data={"watch-data": data})


def pieces(text: str) -> list[str]:
    """A text cut where repetition begins and ends: plain, repeated, plain, ...; joined they are the text.

    Repeated is each word of a run of two or more that the text holds elsewhere too. A run of three or four
    recurs only where its pairs do, so pairs tell all. Words are runs of letters and digits, or of other
    marks, without regard to case. What is counted is as in measures.repetition, by words in place of tokens."""
    words = list(WORD.finditer(text))
    pairs = list(pairwise(word.group().casefold() for word in words))
    times = Counter(pairs)
    is_repeated = [False] * len(words)
    for number, pair in enumerate(pairs):
        if times[pair] > 1:
            is_repeated[number] = is_repeated[number + 1] = True
    cuts, inside = [0], False
    for number, word in enumerate(words):
        if is_repeated[number] != inside:
            cuts.append(word.start() if is_repeated[number] else words[number - 1].end())
            inside = is_repeated[number]
    if inside:
        cuts.append(words[-1].end())
    return [text[start:end] for start, end in pairwise([*cuts, len(text)])]


def draws_of(generations: Sequence[Generation]) -> Draws:
    """What the generations of one seed wrote, in the order in which they were given their prompts."""
    found: dict[tuple[str, int], dict[tuple[str, str], str]] = {}
    for generation in generations:
        given: Counter[str] = Counter()
        for example in generation.examples:
            prompt = example["prompt"]
            written = found.setdefault((prompt, given[prompt]), {})
            written[generation.place.regime, generation.place.generation] = printable(example["text"])
            given[prompt] += 1
    return found


def fitting(seeds: Sequence[Draws], longest: int) -> int:
    """How many prompts of each seed can be shown, the first of each together no longer than MAX_BYTES."""
    total = 0
    for number in range(longest):
        total += sum(
            len(text.encode()) for draws in seeds for written in islice(draws.values(), number, number + 1) for text in written.values()
        )
        if total > MAX_BYTES:
            return number
    return longest


def _seed(draws: Draws, params: Params) -> dict[str, Any]:
    return {
        "prompts": [printable(prompt) for prompt, _ in draws],
        "texts": {
            regime: [
                [pieces(written[regime, name]) if (regime, name) in written else None for written in draws.values()]
                for name in params.generations
            ]
            for regime in params.regimes
        },
    }  # fmt: skip
