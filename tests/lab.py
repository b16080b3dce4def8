"""A laboratory in miniature: parameters, policies, claims, register and the code of the analysis, in a git repository; nothing is bred."""

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from herdbook.calibration.check import results
from herdbook.claims import Claim, parse_hypotheses
from herdbook.code import closure
from herdbook.files import write_json, write_text
from herdbook.layout import BOOK_ROOT, CALIBRATION, GENERATIONS, HYPOTHESES, LOCK, PARAMS, REGISTER, VERDICT_RECORD
from herdbook.registration import conditions, read_register
from herdbook.verdicts import verdicts
from stages.compare import csv_text
from tests import miniature
from tests.herdbook.test_claims import PLAIN
from tests.herdbook.test_judging import lines
from tests.records import write_calibrations

ID = PLAIN["claims"][0]["id"]
STAGE = "train@replace-s3-g1"


def build(root: Path) -> Path:
    """Lay out a laboratory that claims what tests/herdbook/test_claims.py does, and commit it."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(miniature.ROOT / "expectations", root / "expectations")
    for path in closure(miniature.ROOT / "herdbook/judging.py", miniature.ROOT):
        write_text(root / path.relative_to(miniature.ROOT), path.read_text(encoding="utf-8"))
    write_params(root)
    write_hypotheses(root)
    write_text(root / REGISTER, "")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    miniature.commit(root, "a laboratory")
    return root


def entered(
    built: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, figure: Callable[[dict], str | None] = lambda result: "<svg/>\n"
) -> Path:
    """A copy of a laboratory as the working directory, in which `figure` stands for the drawing of figures."""
    shutil.copytree(built, copy, dirs_exist_ok=True, symlinks=True)
    monkeypatch.chdir(copy)
    monkeypatch.setattr("herdbook.journal_figure.svg", figure)
    return copy


def write_params(root: Path, **changes: object) -> None:
    """params.yaml with seeds s3 to s5 and generations up to g3, and these sections in place of its own."""
    document = yaml.safe_load((miniature.ROOT / "params.yaml").read_text(encoding="utf-8"))
    names = ["g0", "g1", "g2", "g3"]
    document |= {"seeds": ["s3", "s4", "s5"], "generations": names, "bred": names[1:]}
    document |= {"births": [{"parent": parent, "child": child} for parent, child in pairwise(names)], **changes}
    miniature.write_params(root, document)


def write_hypotheses(root: Path, *claims: dict) -> None:
    """hypotheses.yaml with the plain claim, or one for each of these changes to it."""
    document = copy.deepcopy(PLAIN)
    document["claims"] = [{**copy.deepcopy(PLAIN["claims"][0]), **changes} for changes in claims or ({},)]
    write_text(root / HYPOTHESES, yaml.safe_dump(document, sort_keys=False))


def claim_of(root: Path, number: int = 0) -> Claim:
    """A claim of the laboratory."""
    return parse_hypotheses((root / HYPOTHESES).read_text(encoding="utf-8"), "h.yaml").claims[number]


def write_lock(root: Path, *stages: str) -> None:
    """A dvc.lock in which these stages have run; of trained regimes of params.yaml it has what stages of dvc.yaml record."""
    regimes = yaml.safe_load((root / PARAMS).read_text(encoding="utf-8"))["regimes"]
    recorded: dict[str, dict] = {stage: {} for stage in stages}
    for stage in stages:
        named = re.fullmatch(r"train@(\w+)-(s\d+)-g(\d+)", stage)
        if named and named[1] in regimes:
            lineage, parent = f"{named[1]}-{named[2]}", int(named[3]) - 1
            for name, keys in {
                f"adopt@{lineage}": ("decoding",),
                f"blend@{lineage}-from_g{parent}": ("budget_rows", "gate", "mixture", "weights"),
                f"curate@{lineage}-g{parent}": ("recipe",),
                stage: ("compute", "gate", "start"),
            }.items():
                recorded[name] = {f"regimes.{named[1]}.{key}": regimes[named[1]][key] for key in keys}
    bodies = (f"  {name}:\n    cmd: python\n    params: {json.dumps({PARAMS.name: params})}\n" for name, params in recorded.items())
    write_text(root / LOCK, "schema: '2.0'\nstages:\n" + "".join(bodies))


def judge(root: Path, differences: list[float], **others: object) -> None:
    """Write reports/verdicts.json as compare does where these are the differences by seed, and a book's root."""
    hypotheses = parse_hypotheses((root / HYPOTHESES).read_text(encoding="utf-8"), "h.yaml")
    registrations = read_register(root / REGISTER)
    table = csv_text(lines(differences, **others))
    write_text(root / GENERATIONS, table)
    write_calibrations(root)
    write_json(root / VERDICT_RECORD, verdicts(hypotheses, registrations, conditions(root), table, results(root / CALIBRATION)))
    write_json(root / BOOK_ROOT, {"root": "ab" * 32})


def said(app, *words):
    """What a command prints, on a line as wide as it needs; what it raises is raised here."""
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "300"})
    if done.exception:
        raise done.exception
    return done.stdout
