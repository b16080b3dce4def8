"""What must hold before a run, and what earlier parameters left behind."""

import re
import shutil
from pathlib import Path

from herdbook.corpus import check_version
from herdbook.errors import HerdbookError
from herdbook.layout import CODE, CORPUS, FOUNDER, HUMAN, PARAMS, RECORDS, RUNS
from herdbook.params import Params, read_params
from herdbook.recipe import parse_steps

_ASIDE = re.compile(r"\..+\.[a-z0-9_]{8}")  # the names that files.written_aside gives


def demand_ready() -> Params:
    """The parameters, when a run can begin; HerdbookError for what would stop it hours later."""
    params = read_params(PARAMS)
    for name, regime in params.regimes.items():
        parse_steps(regime.recipe.steps, f"{PARAMS}: regimes.{name}.recipe.steps")
    if not (CORPUS / "manifest.json").exists():
        raise HerdbookError(f"{CORPUS}: there is no human corpus; make it with herdbook corpus")
    check_version(CORPUS)
    if left_over := stale(params):
        raise HerdbookError(
            f"{left_over[0]}: of no regime, seed or generation in {PARAMS}; name it there, or remove such folders with herdbook prune"
        )
    return params


def sweep() -> list[Path]:
    """Remove what a killed stage was writing aside, below runs/ and records/; the removed folders. No stage may be running."""
    found = [path for top in (RUNS, RECORDS) if top.is_dir() for path in top.rglob(".*") if path.is_dir() and _ASIDE.fullmatch(path.name)]
    for path in found:
        shutil.rmtree(path, ignore_errors=True)  # one may lie inside another
    return found


def stale(params: Params) -> list[Path]:
    """Folders of runs/ and records/ that belong to no regime, seed or generation of the parameters, sorted."""
    wanted = {FOUNDER: ("g0",)} | {regime: params.generations for regime in params.regimes}
    found: list[Path] = []
    for lineage in sorted(path for top in (RUNS, RECORDS) if top.is_dir() for path in top.iterdir() if path.is_dir()):
        if lineage.name in (CODE.name, HUMAN):
            continue
        if lineage.name not in wanted:
            found.append(lineage)
            continue
        for seed in sorted(lineage.iterdir()):
            if seed.name in params.seeds and seed.is_dir():
                found.extend(path for path in sorted(seed.iterdir()) if path.name not in wanted[lineage.name])
            else:
                found.append(seed)
    return found


def prune(params: Params) -> list[Path]:
    """Remove what `stale` finds; the removed paths. What stages wrote of it is still in DVC's cache."""
    removed = stale(params)
    for path in removed:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return removed
