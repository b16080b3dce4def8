"""What must hold before a run, and what earlier parameters left behind."""

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from herdbook.claims import read_hypotheses
from herdbook.corpus import check_version
from herdbook.errors import HerdbookError
from herdbook.files import ASIDE
from herdbook.layout import CALIBRATION, CODE, CORPUS, FOUNDER, HUMAN, HYPOTHESES, PARAMS, RECORDS, RUNS
from herdbook.params import Params, read_params
from herdbook.recipe import needs_of, parse_steps
from herdbook.registration import read_register
from herdbook.tasks import parse_task
from herdbook.teacher.settings import TeacherSettings, parse_teacher
from herdbook.wikipedia import SOURCE as WIKIPEDIA

CALIBRATION_FAILED = 5  # exit status of a run that completed, but whose instrument does not show what is known
LINEAGES_STOPPED = 3  # exit status of a run that completed, but in which a gate ended a lineage


def demand_ready() -> Params:
    """The parameters, when a run can begin; HerdbookError for what would stop it hours later."""
    params = read_params(PARAMS)
    read_hypotheses(HYPOTHESES)
    read_register()
    recipes = {name: parse_steps(regime.recipe.steps, f"{PARAMS}: regimes.{name}.recipe.steps") for name, regime in params.regimes.items()}
    if (tokens := params.sample.prompt_tokens) > params.prepare.block_tokens:
        raise HerdbookError(
            f"{PARAMS}: sample.prompt_tokens is {tokens}, must be at most prepare.block_tokens {params.prepare.block_tokens}, for rows "
            "are no longer; set it lower"
        )
    if params.task:
        _demand_fitting(params)
    if params.teacher:
        _demand_teacher(parse_teacher(params.teacher))
    if any("teacher" in needs_of(steps) for steps in recipes.values()) and not params.teacher:
        raise HerdbookError(f"{PARAMS}: a recipe asks a teacher, but teacher is null; name one there (docs/curation.md)")
    if any("task" in needs_of(steps) for steps in recipes.values()) and not params.task:
        raise HerdbookError(f"{PARAMS}: a recipe verifies answers, but task is null; name a family there (docs/curation.md)")
    if not (CORPUS / "manifest.json").exists():
        raise HerdbookError(f"{CORPUS}: there is no human corpus; make it with herdbook corpus")
    check_version(CORPUS)
    demand_source(params)
    if left_over := stale(params):
        raise HerdbookError(
            f"{left_over[0]}: of no regime, seed or generation in {PARAMS}; name it there, or remove such folders with herdbook prune"
        )
    return params


def demand_source(params: Params) -> None:
    """Raise HerdbookError where the corpus was made of another source than the parameters name; of a folder the last name counts."""
    source, path = params.corpus, CORPUS / "corpus.parquet"
    folder = Path(source.path or "").resolve().name
    wanted = {
        "wikipedia": {WIKIPEDIA},
        "task": {f"herdbook.tasks.{(params.task or {}).get('family')}"},
        "files": {folder},
        "huggingface": {folder, f"https://huggingface.co/datasets/{source.path}"},  # as it was saved here, or by its name there
    }[source.source]
    try:
        found = set(pq.read_table(path, columns=["source"])["source"].to_pylist())
    except (pa.ArrowException, OSError) as error:
        raise HerdbookError(f"{path}: not a whole parquet file ({str(error).splitlines()[0]}); make it anew: herdbook corpus") from error
    if others := sorted(found - wanted):
        raise HerdbookError(
            f"{CORPUS}: was made of {others[0]!r}, but corpus in {PARAMS} names {source.path or source.source!r}; "
            f"make it anew: herdbook corpus --replace, then dvc add {CORPUS}"
        )


def _demand_fitting(params: Params) -> None:
    """Problems are prompted by their questions, and lie in one row each."""
    family = parse_task(params.task or {})
    if params.sample.prompt_tokens != family.question_characters:
        raise HerdbookError(
            f"{PARAMS}: sample.prompt_tokens is {params.sample.prompt_tokens}, but a question of this task has "
            f"{family.question_characters} characters, each a token; set it to {family.question_characters}"
        )
    if params.prepare.block_tokens < family.longest_characters + 1:
        raise HerdbookError(
            f"{PARAMS}: prepare.block_tokens is {params.prepare.block_tokens}, but a problem of this task has up to "
            f"{family.longest_characters} characters and the end mark; set it to {family.longest_characters + 1} or more"
        )


def _demand_teacher(teacher: TeacherSettings) -> None:
    """A folder that is there, or the key that an endpoint wants."""
    if teacher.path and not Path(teacher.path).is_dir():
        raise HerdbookError(f"{PARAMS}: teacher.path {teacher.path} is no folder; put the model there, or correct the path")
    if (variable := teacher.api_key_variable) and not os.environ.get(variable):
        raise HerdbookError(f"{PARAMS}: teacher.api_key_variable names {variable}, which is not set; set it to the endpoint's key")


def sweep() -> list[Path]:
    """Remove what a killed stage was writing aside, below runs/, records/ and reports/calibration/; the removed folders.

    No stage may be running."""
    hidden = [path for top in (RUNS, RECORDS, CALIBRATION) if top.is_dir() for path in top.rglob(".*")]
    found = [path for path in hidden if path.is_dir() and ASIDE.fullmatch(path.name)]
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
