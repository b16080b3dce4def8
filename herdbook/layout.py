"""Where everything lies: the one place that spells a path of the project."""

from dataclasses import dataclass
from pathlib import Path

PARAMS = Path("params.yaml")
CORPUS = Path("data")
EXPECTATIONS = Path("expectations")
PRETRAINED = Path("pretrained")
BENCHMARKS = Path("benchmarks")  # the user's own tests, which no offspring may repeat
CONSTRAINTS = Path("constraints.txt")
LOCK = Path("dvc.lock")
HYPOTHESES = Path("hypotheses.yaml")  # the claims
JOURNAL = Path("journal")  # registrations, and what became of each
REGISTER = Path("journal/register.jsonl")
PUBLICATIONS = Path("journal/journal.jsonl")
JOURNAL_INDEX = Path("journal/README.md")
CLAIM_NOTES = Path("journal/notes")  # what people write about a claim, in ID.md

# Written by code.
CODE = Path("runs/code")  # which code each stage runs

# Written by prepare.
HUMAN_TRAIN = Path("runs/human/train.parquet")
HUMAN_HELD_OUT = Path("runs/human/held_out.parquet")
HUMAN_TRAIN_DOCUMENTS = Path("runs/human/train_documents.parquet")
HUMAN_HELD_OUT_DOCUMENTS = Path("runs/human/held_out_documents.parquet")
HUMAN_REFERENCE = Path("runs/human/reference.parquet")  # what profiles compare text with
HUMAN_BENCHMARKS = Path("runs/human/benchmarks.parquet")  # what lies in benchmarks/, as documents
BASE_MODEL = Path("runs/human/base")  # config, tokenizer and, where pretrained, weights
SPLIT = Path("records/human/split.json")
# Written by validate human.
HUMAN_PROFILE = Path("records/human/profile.json")
HUMAN_RECEIPT = Path("records/human/receipt.json")

RUNS = Path("runs")  # large files
RECORDS = Path("records")  # small JSON files: what is known about the large ones
METRICS = Path("reports/metrics.json")
GENERATIONS = Path("reports/generations.csv")
VERDICT_RECORD = Path("reports/verdicts.json")
CALIBRATION = Path("reports/calibration")  # a folder each, with result.json
REPORT = Path("reports/index.html")

ATTESTATIONS = Path("attestations")  # when, where and by whom, a file a run; no input of anything
BOOK = Path("book")  # an entry for each dataset and model, and their index
BOOK_ROOT = Path("reports/book.json")  # the digest of the index: the one name of a whole run

MAKING = "making.json"  # in each folder of rows or weights: what the stage that made it says of it
HUMAN = "human"  # the reserved name of what prepare writes
FOUNDER = "founder"  # the reserved name of the lineage that every regime of a seed shares


def stage_names(root: Path) -> list[str]:
    """The modules of stages/ that a pipeline at `root` runs, sorted."""
    return sorted(path.stem for path in (root / "stages").glob("*.py") if not path.stem.startswith(("_", ".")))


@dataclass(frozen=True)
class Place:
    """One generation of one lineage: `regime` x `seed` (such as s0), generation (such as g2)."""

    regime: str
    seed: str
    generation: str

    def __str__(self) -> str:
        return f"{self.regime}-{self.seed}-{self.generation}"

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

    @property
    def training(self) -> Path:
        """Written by blend (by adopt for g0): rows.parquet, pool.parquet and making.json, or not_bred.json."""
        return self.runs / "training"

    @property
    def model(self) -> Path:
        """Written by train: a Hugging Face folder with making.json, or not_bred.json."""
        return self.runs / "model"

    @property
    def human_nll(self) -> Path:
        """Written by train for a founder: the nats per token of every human row under it."""
        return self.runs / "human_nll.parquet"

    @property
    def offspring(self) -> Path:
        """Written by sample (by adopt for g0): rows.parquet and making.json, or not_bred.json."""
        return self.runs / "offspring"

    @property
    def curated(self) -> Path:
        """Written by curate: rows.parquet, rejected.parquet, hands.parquet and making.json, or not_bred.json."""
        return self.runs / "curated"

    def profile(self, kind: str) -> Path:
        """Written by validate; `kind` is training or offspring."""
        return self.records / kind / "profile.json"

    def receipt(self, kind: str) -> Path:
        """Written by validate; `kind` is training or offspring."""
        return self.records / kind / "receipt.json"

    @property
    def taught(self) -> Path:
        """Written by curate where a recipe asks a teacher: what it asked, and every answer."""
        return self.curated / "teacher.jsonl"

    @property
    def asked(self) -> Path:
        """Answers of a teacher as they come, of no version: DVC removes a stage's outputs before it runs again."""
        return Path(".dvc", "tmp", "herdbook-teacher", f"{self}.jsonl")

    @property
    def loss(self) -> Path:
        """Written by train (by adopt for g0)."""
        return self.records / "loss.json"

    @property
    def examples(self) -> Path:
        """Written by sample (by adopt for g0): the first draws, as prompt and text."""
        return self.records / "examples.json"

    @property
    def counts(self) -> Path:
        """Written by curate: rows in, out and rejected by reason."""
        return self.records / "counts.json"
