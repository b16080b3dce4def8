"""A fresh project made from this one: its code and policies, with parameters, claims, journal and history of its own."""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from herdbook.errors import CorpusError, HerdbookError
from herdbook.experiment import NOTHING_CLAIMED
from herdbook.files import strict_yaml, write_text, written_aside
from herdbook.layout import BENCHMARKS, CORPUS, HYPOTHESES, PARAMS, PRETRAINED, REGISTER
from herdbook.params import Corpus, parse_params
from herdbook.phases import Begin, unseen

if TYPE_CHECKING:
    import pyarrow as pa

CODE = (
    ".dvcignore", ".dvc/.gitignore", ".dvc/config", ".dvc/plots", ".gitignore", "LICENSE", "Makefile", "constraints.txt", "dvc.yaml",
    "expectations", "flows", "herdbook", "prefect.yaml", "pyproject.toml", "stages",
)  # fmt: skip
NOT_TAKEN = ("test", "bench", "docs")  # targets of the Makefile for what only this project has
SMALL: Mapping[str, Mapping[str, Any]] = {  # for some ten thousand words: 79 stages, some minutes on two cores
    "prepare": {"num_held_out_documents": 2, "num_blocks": 300, "num_held_out_blocks": 40, "vocabulary_size": 512},
    "train": {"epochs": 6},  # 3 leave a founder that writes noise, 12 one that knows its training set by heart: both fail the gate
    "profile": {"num_rows": 300},
    "calibrate": {
        "gaussian": {"num_batches": 3, "settings": [{"num_dimensions": 2, "labs_per_batch": 2, "num_iterations": 3}]},
        "mixture": {"num_rows": 30, "num_lineages": 2, "num_iterations": 4, "num_late_iterations": 100},
        "discrete": {"num_states": 3, "num_rows": 5, "num_batches": 3, "labs_per_batch": 4, "num_iterations": 4},
        "digits": {"num_rows": 600, "num_lineages": 1, "num_iterations": 3, "num_steps": 120},
    },
}
_SMALL_DECODINGS = {  # what a recipe drops has to be sampled, too
    "top_k_50": {"num_rows": 300},
    "cooled": {"num_rows": 380, "temperature": 0.7},
}
_SMALL_REGIMES, _SMALL_SEEDS, _SMALL_GENERATIONS = ("replace", "curated"), ("s0", "s1"), 3
_EXAMPLE = """
# A claim with its controls looks so; uncomment it in place of the two empty lists (docs/claims.md has each word):
# controls:
# - id: replace-degrades
#   kind: positive
#   sentence: Two generations on nothing but their own samples do harm that cannot be missed.
#   contrast: {treatment: replace g2, control: replace g0}
#   metric: held_out_loss_nats
#   must: {above: 0.5}
#   seeds: [s2, s3, s4]
# - id: same-founder
#   kind: negative
#   sentence: Regimes of one seed begin with one founder, so before the first generation there is no difference to see.
#   contrast: {treatment: replace g0, control: curated g0}
#   metric: held_out_loss_nats
#   must: {within: [-0.000001, 0.000001]}
#   seeds: [s2, s3, s4]
# claims:
# - id: curating-helps
#   sentence: Two generations on half human, half curated text lose less than two on nothing but the last generation's.
#   collapse: population_risk
#   source: null
#   use_case: A model is to be trained on text of which a part was written by its own ancestors.
#   proposed: Curate that text, and keep half of it human.
#   contrast: {treatment: curated g2, control: replace g2}
#   metric: held_out_loss_nats
#   estimator: mean_t
#   direction: less
#   smallest_effect: 0.5
#   equivalence: [-0.25, 0.25]   # a difference within these is as good as none
#   seeds: [s2, s3, s4]          # not looked at before: put them into params.yaml, then herdbook register, then run
#   stopping: fixed
#   exclusions: none
#   positive_control: replace-degrades
#   negative_control: same-founder
"""
_README = """\
# {name}

A project of Herdbook: generations of language models bred on synthetic text, every dataset inspected before it trains.

| | |
|---|---|
| `make run` | breed what `params.yaml` asks for; a second one finds nothing to do |
| `herdbook status` | what is bred, what is stale, what the gate said |
| `herdbook doctor` | what this machine lacks, and the command that mends it |
| `reports/index.html` | what came out; `herdbook trace`, `audit` and `replay` tell where it came from |

`params.yaml` holds every number a person may turn, `expectations/` the policy, `hypotheses.yaml` what is claimed before it is bred
(`herdbook register`), `journal/` what became of claims. {corpus}

The first `make run` installs the packages of `constraints.txt` into `.venv`; where Herdbook is installed, `herdbook run` needs no more.
Comments name pages of `docs/`, which lie in the checkout of Herdbook that this was made from.
The code in `flows/`, `herdbook/` and `stages/` is a copy, to be changed here; it is under the licence in `LICENSE`. Stages and
`python -m herdbook` run it; `herdbook` alone is the command of whichever checkout was installed, as an auditor wants it.
"""


@dataclass(frozen=True)
class Made:
    """A new project: where, the commit that holds it, and how much text it has."""

    folder: Path
    commit: str | None  # None where it lies inside a repository, whose own commit it then needs
    repository: Path | None  # that repository
    num_documents: int | None  # None where the corpus is the default one, not gathered yet
    num_words: int | None


def create(
    source: Path, folder: Path, corpus: Path | None = None, licence: str | None = None, small: bool = False, begin: Begin = unseen
) -> Made:
    """Make the project at `source` anew in `folder`, with the documents of the folder `corpus` as its human text; all or nothing.

    Its files name no path but that from `folder` to `corpus`. Raises HerdbookError where something lies in `folder`,
    where `source` is no whole project, or where the corpus cannot be read."""
    if shutil.which("git") is None:
        raise HerdbookError("git: not found, and a project is a git repository; install git, then run this again (herdbook doctor)")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise HerdbookError(f"{folder}: is there already, and not empty; name a folder that is not there")
    if lacking := [name for name in (*CODE, PARAMS.name) if not (source / name).exists()]:
        raise HerdbookError(f"{source}: has no {lacking[0]}, so no project can be made from it; run this in a checkout of Herdbook")
    table = _documents(corpus, licence, begin) if corpus else None
    text = parameters((source / PARAMS).read_text(encoding="utf-8"), small, table and _named(corpus, folder, licence, table.num_rows))
    repository = _repository(folder)
    advance = begin("files, git and DVC", 3)
    with written_aside(folder) as aside:
        _lay(source, aside, text, _readme(folder.resolve().name, corpus))
        if repository is None:
            _git(aside, "init", "--quiet")
        advance(1)
        _record_corpus(source, aside, table)
        advance(1)
        commit = _commit(aside) if repository is None else None
        advance(1)
    if table is None:
        return Made(folder, commit, repository, None, None)
    return Made(folder, commit, repository, table.num_rows, sum(len(words.split()) for words in table["text"].to_pylist()))


def _documents(corpus: Path, licence: str | None, begin: Begin) -> "pa.Table":
    """What the new project's herdbook corpus will gather."""
    from herdbook.corpus import gather

    try:
        return gather(_source(corpus.as_posix(), licence), begin=begin)
    except CorpusError as error:  # there is no params.yaml yet that could name another
        raise CorpusError(str(error).replace("set corpus.path to", "name with --corpus")) from error


def _source(path: str, licence: str | None) -> Corpus:
    return Corpus(source="files", path=path, config=None, split=None, column="text", licence=licence, num_problems=None)


def _named(corpus: Path | None, folder: Path, licence: str | None, num_documents: int) -> dict[str, dict[str, Any]]:
    """The parameters that a corpus of one's own decides: its section, and how much of it can be held out."""
    path = os.path.relpath((corpus or Path()).resolve(), folder.resolve())
    section = {"source": "files", "path": Path(path).as_posix(), "licence": licence}
    return {"corpus": section, "prepare": {"num_held_out_documents": max(1, min(12, num_documents // 5))}}


def parameters(text: str, small: bool, own: Mapping[str, Mapping[str, Any]] | None) -> str:
    """The text of a params.yaml made small, and with the values of `own` in its sections; comments stay. Raises ParamsError."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    yaml.representer.add_representer(type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null"))
    document = yaml.load(text)
    if small:
        _shrink(document)
    for section, values in (own or {}).items():
        document[section].update(values)
    stream = io.StringIO()
    yaml.dump(document, stream)
    parse_params(strict_yaml(stream.getvalue()))
    return stream.getvalue()


def _shrink(document: Any) -> None:
    """Two regimes, two seeds, three generations, and rows for minutes."""
    for section, values in SMALL.items():
        for name, value in values.items():
            if isinstance(value, Mapping):
                document[section][name].update(value)
            else:
                document[section][name] = value
    for name, decoding in _SMALL_DECODINGS.items():
        document["decodings"][name].update(decoding)
    for name in [name for name in document["regimes"] if name not in _SMALL_REGIMES]:
        del document["regimes"][name]
    for regime in document["regimes"].values():
        regime["recipe"]["num_rows"] = SMALL["profile"]["num_rows"]
    document["seeds"][:] = _SMALL_SEEDS
    for name, count in (("generations", _SMALL_GENERATIONS), ("bred", _SMALL_GENERATIONS - 1), ("births", _SMALL_GENERATIONS - 1)):
        del document[name][count:]


def _lay(source: Path, root: Path, params: str, readme: str) -> None:
    """Every file of the new project but its corpus."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in CODE:
        if (source / name).is_dir():
            shutil.copytree(source / name, root / name, ignore=ignored)
        elif (source / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, root / name)
    for folder in (BENCHMARKS, PRETRAINED):  # of the user's own weights and tests, none are taken
        (root / folder).mkdir()
        if (note := source / folder / "README.md").is_file():
            shutil.copyfile(note, root / folder / note.name)
    (root / "Makefile").write_text(without_targets((source / "Makefile").read_text(encoding="utf-8"), NOT_TAKEN), encoding="utf-8")
    for path, text in ((PARAMS, params), (HYPOTHESES, NOTHING_CLAIMED + _EXAMPLE), (REGISTER, ""), (Path("README.md"), readme)):
        write_text(root / path, text)


def without_targets(makefile: str, names: tuple[str, ...]) -> str:
    """A Makefile, whose targets stand in paragraphs of their own, without some of them."""
    kept = [part for part in makefile.split("\n\n") if not any(part.startswith(f"{name}:") for name in names)]
    words = "|".join(names)
    return "\n\n".join(re.sub(rf" (?:{words})\b", "", part) if part.startswith(".PHONY") or "\n.PHONY" in part else part for part in kept)


def _readme(name: str, corpus: Path | None) -> str:
    """Names of folders are hostile: in Markdown they mean nothing."""
    plain = re.sub(r"[^\w .-]", "-", name)
    own = "The human text is that of the folder which `corpus.path` names: `herdbook corpus` makes `data/` of it, `data.dvc` records it."
    default = "The human text is the default corpus, which `make run` gathers; `corpus` in `params.yaml` names another."
    return _README.format(name=plain, corpus=own if corpus else default)


def _record_corpus(source: Path, root: Path, table: "pa.Table | None") -> None:
    """Write the corpus and its data.dvc or, of the default one, take the record along."""
    from herdbook.corpus import write_corpus

    record = CORPUS.with_suffix(".dvc")
    if table is not None:
        write_corpus(table, root / CORPUS)
        _run(root, sys.executable, "-m", "dvc", "add", "--quiet", CORPUS.as_posix())
    elif (source / record).is_file() and _corpus_of(source) == _corpus_of(root):
        shutil.copyfile(source / record, root / record)


def _corpus_of(root: Path) -> Any:
    return strict_yaml((root / PARAMS).read_text(encoding="utf-8"))["corpus"]


def _repository(folder: Path) -> Path | None:
    """The git repository around a folder that is not there yet."""
    nearest = next(path for path in folder.resolve().parents if path.is_dir())
    done = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=nearest, capture_output=True, text=True, check=False)
    return Path(done.stdout.strip()) if done.returncode == 0 else None


def _commit(root: Path) -> str:
    """Commit everything, as whom git knows or else as nobody; the commit."""
    asked = (subprocess.run(["git", "config", f"user.{key}"], cwd=root, capture_output=True, check=False) for key in ("name", "email"))
    known = all(done.returncode == 0 for done in asked)
    identity = () if known else ("-c", "user.name=herdbook", "-c", "user.email=herdbook@localhost")
    _git(root, "add", "--all")
    _git(root, *identity, "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "A new herd")
    return _git(root, "rev-parse", "HEAD").strip()


def _git(root: Path, *words: str) -> str:
    return _run(root, "git", *words)


def _run(root: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:200]
        raise HerdbookError(f"{' '.join(words[:4])}: ended with status {done.returncode} ({said}); nothing was made")
    return done.stdout
