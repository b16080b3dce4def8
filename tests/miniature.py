"""The whole project in miniature: a copy of this repository with tiny sizes and a few real articles."""

import os
import shutil
import subprocess
import sys
from itertools import islice, pairwise
from pathlib import Path

import yaml

from herdbook.experiment import NOTHING_CLAIMED
from herdbook.new_project import SMALL
from herdbook.wikipedia import read_wikipedia
from tests import forked

ROOT = Path(__file__).parents[1]
STOPPED = 3  # the miniature's curated lineage is too small to pass its gate
SIZES = {
    "corpus": {"source": "files", "path": "articles", "licence": "CC BY-SA 3.0"},
    "prepare": {"num_held_out_documents": 2, "num_blocks": 150, "num_held_out_blocks": 20, "block_tokens": 16, "vocabulary_size": 300},
    "train": {"epochs": 1, "batch_rows": 32},
    "sample": {"prompt_tokens": 2, "num_examples": 2},
    "profile": {"num_rows": 150},
}
PARTS = (
    "flows", "herdbook", "stages", "expectations", "benchmarks", "pretrained", ".dvc",
    "dvc.yaml", "prefect.yaml", "constraints.txt", ".dvcignore", ".gitignore",
)  # fmt: skip
MODEL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1}


def parameters(generations: int = 2) -> dict:
    """params.yaml with tiny sizes: replace (waive) and curated (block), one seed, the founder and `generations - 1` more."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, sizes in SIZES.items():
        params[section].update(sizes)
    for name, sizes in SMALL["calibrate"].items():
        params["calibrate"][name].update(sizes)
    params["model"]["config"] = {**MODEL, "max_position_embeddings": 32, "tie_word_embeddings": True}
    params["regimes"] = {name: params["regimes"][name] for name in ("replace", "curated")}
    for decoding in (*params["decodings"].values(), *(regime["decoding"] for regime in params["regimes"].values())):
        decoding["num_rows"] = 150
    for regime in params["regimes"].values():
        regime["recipe"]["num_rows"] = 150
    params["seeds"] = ["s0"]
    names = [f"g{n}" for n in range(generations)]
    params.update(generations=names, bred=names[1:], births=[{"parent": p, "child": c} for p, c in pairwise(names)])
    return params


def build(root: Path) -> None:
    """Lay out the project at `root`, its corpus included, as a git repository."""
    for name in PARTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        options = {"ignore": shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")} if copy is shutil.copytree else {}
        copy(ROOT / name, root / name, **options)
    write_params(root, parameters())
    claim_nothing(root)
    (root / "articles").mkdir()
    for number, article in enumerate(islice(read_wikipedia(), 8)):
        (root / "articles" / f"{number}.txt").write_text(article["text"])
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    run(root, "-m", "herdbook", "corpus")
    run(root, "-m", "dvc", "add", "-q", "data")


def copy(source: Path, target: Path) -> None:
    """A copy of a project, to be changed. Half of the files are links: git objects and compiled modules, which nobody writes in place."""

    def copied(one: str, other: str) -> None:
        os.link(one, other) if "/.git/objects/" in one or "/__pycache__/" in one else shutil.copy2(one, other)

    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=copied)


def claim_nothing(root: Path) -> None:
    """No claims, and a register of none."""
    (root / "hypotheses.yaml").write_text(NOTHING_CLAIMED)
    (root / "journal").mkdir()
    (root / "journal/register.jsonl").touch()


def write_params(root: Path, params: dict) -> None:
    """Write params.yaml, its lists of generations as the default file has them."""
    others = {name: value for name, value in params.items() if name not in ("generations", "bred", "births")}
    lists = "".join(f"{name}: [{', '.join(params[name])}]\n" for name in ("generations", "bred"))
    births = "".join(f"- {{parent: {birth['parent']}, child: {birth['child']}}}\n" for birth in params["births"])
    (root / "params.yaml").write_text(f"{yaml.safe_dump(others, sort_keys=False)}{lists}births:\n{births}")


def run(root: Path, *words: str, status: int = 0, cold: bool = False) -> str:
    """Run python with `words` at `root`; what it printed, after checking its exit status.

    A stage that refuses does so before it imports anything heavy, and sooner cold than a preloaded process starts."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HERDBOOK_COLD": "1" if cold else "",
    }
    done = subprocess.run([sys.executable, *words], cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def repro(root: Path, *words: str, status: int = 0, cold: bool = False) -> str:
    """`dvc repro` at `root`; what it printed."""
    if not cold:
        forked.serve(root)
    return run(root, "-m", "dvc", "repro", *words, status=status, cold=cold)


def commit(root: Path, message: str) -> str:
    """Commit everything at `root`; the commit."""
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    subprocess.run(["git", *identity, "commit", "-q", "-m", message], cwd=root, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def ran(said: str) -> set[str]:
    """The stages that a `dvc repro` ran."""
    return {line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")}
