"""Where everything lies: the one place that spells a path of the project."""

from dataclasses import dataclass
from pathlib import Path

PARAMS = Path("params.yaml")
CORPUS = Path("data")
EXPECTATIONS = Path("expectations")
PRETRAINED = Path("pretrained")

# Written by prepare.
HUMAN_TRAIN = Path("runs/human/train.parquet")
HUMAN_HELD_OUT = Path("runs/human/held_out.parquet")
BASE_MODEL = Path("runs/human/base")  # config, tokenizer and, where pretrained, weights
SPLIT = Path("records/human/split.json")
# Written by validate human.
HUMAN_PROFILE = Path("records/human/profile.json")
HUMAN_RECEIPT = Path("records/human/receipt.json")

RECORDS = Path("records")
METRICS = Path("reports/metrics.json")
GENERATIONS = Path("reports/generations.csv")
REPORT = Path("reports/index.html")

FOUNDER = "founder"  # the reserved name of the lineage that every regime of a seed shares


@dataclass(frozen=True)
class Place:
    """One generation of one lineage: `regime` x `seed` (such as s0), generation (such as g2)."""

    regime: str
    seed: str
    generation: str

    @property
    def number(self) -> int:
        """0 for the founder."""
        return int(self.generation.removeprefix("g"))

    @property
    def founder(self) -> "Place":
        """The generation 0 that this lineage descends from."""
        return Place(FOUNDER, self.seed, "g0")

    @property
    def runs(self) -> Path:
        """Large files."""
        return Path("runs", self.regime, self.seed, self.generation)

    @property
    def records(self) -> Path:
        """Small JSON files: what is known about the large ones."""
        return RECORDS / self.regime / self.seed / self.generation

    # Written by blend (by adopt for g0): rows.parquet, pool.parquet, entry.json, or not_bred.json.
    @property
    def training(self) -> Path:
        return self.runs / "training"

    # Written by train: a Hugging Face folder with entry.json, or not_bred.json.
    @property
    def model(self) -> Path:
        return self.runs / "model"

    # Written by train for a founder: founder NLL of human rows.
    @property
    def human_nll(self) -> Path:
        return self.runs / "human_nll.parquet"

    # Written by sample (by adopt for g0): rows.parquet, entry.json, or not_bred.json.
    @property
    def offspring(self) -> Path:
        return self.runs / "offspring"

    # Written by curate: rows.parquet, rejected.parquet, entry.json, or not_bred.json.
    @property
    def curated(self) -> Path:
        return self.runs / "curated"

    # Written by validate: one pair for the training set, one for the curated offspring.
    def profile(self, kind: str) -> Path:
        """`kind` is training or offspring."""
        return self.records / f"{kind}.profile.json"

    def receipt(self, kind: str) -> Path:
        """`kind` is training or offspring."""
        return self.records / f"{kind}.receipt.json"

    # Written by train.
    @property
    def loss(self) -> Path:
        return self.records / "loss.json"

    # Written by sample.
    @property
    def examples(self) -> Path:
        return self.records / "examples.json"

    # Written by curate.
    @property
    def counts(self) -> Path:
        return self.records / "counts.json"
