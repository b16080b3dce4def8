"""What the report says in plain words: what each regime does, what became of it, and text that is safe to look at."""

from collections.abc import Mapping, Sequence
from typing import Any

from herdbook.params import Decoding, Mixture, Regime
from herdbook.records import Generation

MAX_CHARACTERS = 1000  # of an example; the whole rows are in runs/

# Controls, surrogates, and marks that reorder or hide what stands around them (Unicode TR 9 and TR 36).
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_HIDDEN = (
    *range(0x80, 0xA0),
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    *range(0xD800, 0xE000),
)
_SHOWN = _CONTROLS | {code: f"⟨U+{code:04X}⟩" for code in _HIDDEN}
_SOURCES = {
    "offspring": "the offspring of the generation before",
    "previous": "the pool that generation was trained from",
    "human": "the human rows",
}


def shown(text: str) -> str:
    """Text with its controls and reordering marks made visible. Not escaped."""
    return text.translate(_SHOWN)


def printable(text: str) -> str:
    """Generated text as the report shows it: cut at MAX_CHARACTERS, controls and reordering marks made visible. Not escaped."""
    cut = shown(text[:MAX_CHARACTERS])
    return cut if len(text) <= MAX_CHARACTERS else f"{cut} … ({len(text) - MAX_CHARACTERS} characters more)"


def policy(regime: Regime) -> str:
    """What a regime does, in sentences."""
    steps = ", ".join(step["name"].replace("_", " ") for step in regime.recipe.steps)
    recipe = f"and curated by {steps}" if steps else "and taken as they come"
    gate = {
        "block": "A dataset that does not pass its inspection ends the lineage.",
        "waive": "A dataset that does not pass its inspection trains all the same, under a recorded waiver.",
    }
    offspring = f"Offspring are {_drawn(regime.decoding)} {recipe}."
    trains = _sources(regime) if regime.mixture is None else _mixture(regime.mixture)
    return f"Trains each generation on {trains}. {offspring} {gate[regime.gate]}"


def _sources(regime: Regime) -> str:
    shares = ((getattr(regime.weights, name), source) for name, source in _SOURCES.items())
    parts = listed([f"{'all' if share == 1 else f'{100 * share:g} %'} of {source}" for share, source in shares if share])
    return parts if regime.budget_rows is None else f"{parts}, drawn down to {regime.budget_rows} rows"


def _mixture(mixture: Mixture) -> str:
    parts = [
        f"{100 * part.fraction:g} % from {_SOURCES[part.source]}" + ("" if part.epochs == 1 else f" (read {part.epochs:g} times)")
        for part in mixture.sources
    ]
    return f"{mixture.num_tokens} tokens, {listed(parts)}"


def _drawn(decoding: Decoding) -> str:
    if decoding.num_beams > 1:
        how = f"found by a search with {decoding.num_beams} beams"
    elif decoding.temperature == 0:
        how = "the likeliest token each time"
    else:
        limits = [f"top-k {decoding.top_k}"] if decoding.top_k else []
        limits += [f"top-p {decoding.top_p:g}"] if decoding.top_p < 1 else []
        how = f"sampled at temperature {decoding.temperature:g} " + (f"within {listed(limits)}" if limits else "among all tokens")
    how += "" if decoding.repetition_penalty == 1 else f" (repetition penalty {decoding.repetition_penalty:g})"
    return how + (", prompted by the model's own training set" if decoding.prompts == "training" else "")


def listed(parts: Sequence[str]) -> str:
    """One sentence part of several: a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def outcome(entries: Mapping[str, Mapping[str, Any]], human_distinct_2: float | None) -> str:
    """How loss and variety went from g0 to the last generation that any seed was bred for; `entries` by generation."""
    bred = [name for name in entries if entries[name]["num_seeds_bred"]]
    if len(bred) < 2:
        return "No generation after the founder was bred."
    loss, variety = (
        [entries[name][column]["mean"] for name in (bred[0], bred[-1])] for column in ("held_out_loss_nats", "offspring_distinct_2")
    )
    last = entries[bred[-1]]
    whole = last["num_seeds_bred"] == last["num_seeds"]
    seeds = "" if whole else f", which {last['num_seeds_bred']} of {last['num_seeds']} seeds reached"
    human = "" if human_distinct_2 is None else f" (human text {human_distinct_2:.3f})"
    return (
        f"From {bred[0]} to {bred[-1]}{seeds}, held-out loss went from {_fixed(loss[0], 2)} to {_fixed(loss[1], 2)} nats per token, "
        f"distinct-2 of its text from {_fixed(variety[0], 3)} to {_fixed(variety[1], 3)}{human}."
    )


def figure_text(value: float | None) -> str:
    """A figure for reading, of 4 digits; a dash where there is none."""
    return "–" if value is None else f"{value:.4g}"


def _fixed(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def stops(generations: Sequence[Generation]) -> list[str]:
    """Where and why the lineages of one regime ended: a sentence for each reason that they share."""
    first: dict[str, Generation] = {}
    for generation in generations:
        if not generation.is_bred:
            first.setdefault(generation.place.seed, generation)
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for seed, generation in first.items():
        reason = (generation.place.generation, generation.stopped_at, "; ".join(generation.stopped_by))
        reasons.setdefault(reason, []).append(seed)
    return [f"from {name} on in {listed(seeds)}: the {where} broke {rules}." for (name, where, rules), seeds in reasons.items()]
