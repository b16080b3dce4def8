"""The figures of a generation that are compared, summarised and charted, and what each tells."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """How a column of reports/generations.csv is charted."""

    column: str
    title: str
    meaning: str  # one sentence for people who meet the figure for the first time
    scale: Literal["from zero", "free", "log"]
    human: str | None = None  # the field of the human profile that it compares with


# Headings and their figures, in the order of the report.
GROUPS: dict[str, tuple[Figure, ...]] = {
    "How well it predicts people": (
        Figure("held_out_loss_nats", "Held-out loss (nats per token)", "Surprise at human text never trained on; lower is better.", "free"),
        Figure("held_out_perplexity", "Perplexity", "The same surprise as a number of equally likely next tokens; log scale.", "log"),
        Figure("held_out_bits_per_byte", "Bits per byte", "The same surprise per byte of text, whatever the tokenizer.", "free"),
    ),
    "How well it answers": (
        Figure("held_out_accuracy", "Right answers to new problems", "Share of held-out problems that it answers rightly.", "free"),
        Figure(
            "offspring_answer_accuracy", "Right answers among its offspring", "Share of what was kept of its text that is right.", "free"
        ),
        Figure(
            "offspring_problem_coverage", "Coverage of the problems", "Share of the kinds of problems that its offspring hold.", "from zero"
        ),
    ),
    "How varied its text is": (
        Figure("offspring_distinct_1", "Distinct-1", "Different tokens, as a share of all tokens.", "from zero", "distinct_1"),
        Figure("offspring_distinct_2", "Distinct-2", "Different pairs of tokens, as a share of all pairs.", "from zero", "distinct_2"),
        Figure("offspring_distinct_3", "Distinct-3", "Different runs of three, as a share of all runs.", "from zero", "distinct_3"),
        Figure("offspring_entropy_1_bits", "Entropy of tokens (bits)", "How evenly single tokens are used.", "free", "entropy_1_bits"),
        Figure("offspring_entropy_2_bits", "Entropy of pairs (bits)", "How evenly pairs of tokens are used.", "free", "entropy_2_bits"),
    ),
    "What becomes of rare words": (
        Figure(
            "offspring_tail_coverage",
            "Tail coverage",
            "Share of the rarer half of people's tokens that still occurs.",
            "from zero",
            "tail_coverage",
        ),
        Figure("offspring_tail_share", "Tail share", "Share of all tokens that are of that rarer half.", "from zero", "tail_share"),
    ),
    "How much it repeats": (
        Figure("offspring_repetition", "Repetition", "Runs of two to four tokens that recur within a row.", "from zero", "repetition"),
        Figure(
            "offspring_compression_ratio", "Compression ratio", "How far gzip shrinks it; more is more alike.", "free", "compression_ratio"
        ),
        Figure(
            "offspring_near_duplicate_share",
            "Near-duplicates",
            "Share of rows that nearly repeat an earlier one.",
            "from zero",
            "near_duplicate_share",
        ),
    ),
    "What it copies": (
        Figure(
            "offspring_contamination_share",
            "Contamination",
            "Share of rows with 13 words in a row from held-out text.",
            "from zero",
            "contamination_share",
        ),
        Figure(
            "offspring_memorisation_share", "Memorisation", "Share of rows with 13 words in a row from human training text.", "from zero"
        ),
    ),
    "Where it stands and comes from": (
        Figure(
            "offspring_nll_distance_nats",
            "Distance of NLL (nats per token)",
            "How far the founder's surprise at it lies from that at human text.",
            "from zero",
        ),
        Figure("training_depth_mean", "Depth of the training set", "Models between a token and a person, on average.", "from zero"),
        Figure("training_human_token_share", "Human share of the training set", "Share of its tokens that people wrote.", "from zero"),
    ),
}

FIGURES = tuple(figure for figures in GROUPS.values() for figure in figures)
