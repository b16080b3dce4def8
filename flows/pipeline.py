"""DVC's pipeline, one stage at a time: the only module that calls what DVC does not publish.

`dvc repro` is a loop over a plan: is the stage changed, is its result in the run-cache, run it, save it,
write the lock. Here the loop is the caller's, so that stages can run side by side; each step is DVC's own,
under DVC's own lock. tests/flows/test_pipeline.py fails where a release of DVC moves one of them."""

import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.fs import LocalFileSystem
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.rwlock import rwlock
from dvc.stage import Stage
from dvc.stage.cache import RunCacheNotFoundError
from dvc.stage.run import _enforce_cmd_list, _make_cmd, get_executable, prepare_kwargs
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import LOADERS, load_yaml
from scmrepo.git import Git

from flows.lockfile import in_order, read_lock, stage_text, write_lock
from herdbook.errors import FileError, HerdbookError
from herdbook.files import read_json, write_json

_FLUSH_SECONDS = 5.0


@dataclass(frozen=True)
class Command:
    """What a stage runs: the arguments of each line, where, and in which environment."""

    lines: list[list[str]]
    directory: Path
    environment: dict[str, str]


@dataclass
class Pipeline:
    """The stages that `dvc repro` would take, in its order, and what each needs. Made by `opened`."""

    repo: Repo
    plan: list[str]
    needs: dict[str, frozenset[str]]
    _stages: dict[str, Stage]
    _before: list[str]  # the order of the lock when the run began, or when an unfinished one did
    _pieces: dict[str, str]
    _mutex: Any = field(default_factory=threading.RLock)
    _is_dirty: bool = False
    _is_refused: bool = False  # whether the lock could not be written, and somebody has been told
    _flushed: float = 0.0

    @property
    def stages(self) -> list[str]:
        """The plan without sources of data, which run nothing: what people count."""
        return [name for name in self.plan if self._stages[name].cmd]

    @property
    def cache(self) -> Path:
        """The folder that DVC copies outputs to."""
        return Path(self.repo.cache.local.path)

    def is_changed(self, name: str) -> bool:
        """Whether `dvc repro` would not skip the stage, as the workspace is now."""
        stage = self._stages[name]
        with self._locked():
            if stage.always_changed or stage.changed_stage():
                return True
            return any(dep.status() for dep in stage.deps) or any(out.status() for out in stage.outs)

    def command_of(self, name: str) -> str:
        """What dvc.yaml says that the stage runs, as one text; empty for a source of data, which runs nothing."""
        cmd = self._stages[name].cmd
        return "\n".join(_enforce_cmd_list(cmd)) if cmd else ""

    def take(self, name: str) -> Command | None:
        """Begin a changed stage: what to run, or None where nothing has to be, as of a result restored from the run-cache."""
        stage = self._stages[name]
        with self._locked():
            if stage.cmd is None:
                self._demand_recorded(stage)
                return None
            for out in stage.outs:
                out.unprotect() if out.persist else out.remove(ignore_remove=False)
            try:
                self.repo.stage_cache.restore(stage)
            except RunCacheNotFoundError:
                stage.save_deps()
                for out in stage.outs:
                    out.clear()  # or a second try would take the old outputs for those of the dependencies just saved
            else:
                return None
            options = prepare_kwargs(stage)
        lines = [_make_cmd(get_executable(), line) for line in _enforce_cmd_list(stage.cmd)]
        interpreter = str(Path(sys.executable).parent)  # `python` is the one that runs here
        path = os.pathsep.join([interpreter, options["env"].get("PATH", os.defpath)])
        return Command(lines, Path(options["cwd"]), {**options["env"], "PATH": path})

    def record(self, name: str) -> None:
        """Save a stage that ran or was restored: hash its files, cache its outputs, and lock it."""
        stage = self._stages[name]
        with self._locked():
            is_cached = all(out.use_cache or out.is_metric or out.is_plot for out in stage.outs)
            with _copied():
                stage.save(run_cache=is_cached)
                for out in stage.outs:
                    out.commit()
            if stage.cmd is None:
                return
            self._pieces[name] = stage_text(name, to_lockfile(stage)[name])
            self._is_dirty = True
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                self.flush()

    def flush(self) -> None:
        """Write what is recorded into dvc.lock. Raises FileError where the disk refuses."""
        with self._mutex:
            if self._is_dirty:
                try:
                    write_lock(self._lock_path, self._pieces, in_order(self._pieces, self._before, self.plan))
                except FileError:
                    self._is_refused = True
                    raise
                self.repo.scm_context.track_file("dvc.lock")
            self._is_dirty, self._is_refused, self._flushed = False, False, time.monotonic()

    def close(self) -> None:
        """Write what is recorded a last time; where that was refused before, it has been told and is not told again."""
        was_refused = self._is_refused
        try:
            self.flush()
        except FileError:
            if not was_refused:
                raise

    def _demand_recorded(self, source: Stage) -> None:
        """`dvc repro` would quietly record other bytes as the new version of a data source."""
        recorded = [out.hash_info for out in source.outs]
        source.save_outs()
        found = [out.hash_info for out in source.outs]
        if recorded != found:
            name = source.outs[0].def_path
            raise HerdbookError(f"{name}: is {found[0]}, {source.relpath} records {recorded[0]}; to adopt it run dvc add {name}")

    @property
    def _lock_path(self) -> Path:
        return Path(self.repo.root_dir, "dvc.lock")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._mutex, self.repo.lock:
            yield


@contextmanager
def opened(root: Path) -> Iterator[Pipeline]:
    """The pipeline at `root`, held for this process alone until the end; what is recorded is in dvc.lock then.

    Raises HerdbookError where it cannot be read, or where another run of DVC holds it."""
    demand_plain(root)
    logging.getLogger("dvc").setLevel(logging.ERROR)  # what it restores and skips is told by whoever walks; registers may be empty
    with _told(root), Repo(str(root), _wait_for_lock=True) as repo, _held(repo), repo.scm_context(quiet=True), _read_once(repo):
        pipeline = _loaded(repo)
        demand_plain(pipeline.cache, "set another cache with dvc cache dir")
        journal = Path(repo.tmp_dir, "herdbook-order.json")
        unfinished = read_json(journal) if journal.exists() else None
        if unfinished is not None and pipeline._before[: len(unfinished)] == unfinished:
            pipeline._before = unfinished  # a killed run had begun there, and its end shall not show that it was killed
        write_json(journal, pipeline._before)
        try:
            yield pipeline
        finally:
            pipeline.close()
        if not pipeline._is_refused and set(pipeline._pieces) >= set(pipeline.stages):
            journal.unlink(missing_ok=True)


def demand_plain(path: Path, mend: str = "move the project to a folder without them") -> None:
    """Raise HerdbookError where a path holds braces: DVC takes the path of its cache for a template, and would fail at the first stage."""
    if {"{", "}"} & set(str(path.resolve())):
        raise HerdbookError(f"{path}: DVC cannot work below a path with braces ({{ or }}); {mend}, then run again")


def refusal(error: OSError | sqlite3.Error, where: Path) -> str:
    """What the disk refused, where (`where`, unless the error names a file) and what to do."""
    file = (error.filename2 or error.filename) if isinstance(error, OSError) else None  # the second is where a copy was to be
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return f"{file or where}: {reason}; make room or allow it, then run again"


def _loaded(repo: Repo) -> Pipeline:
    with repo.lock:
        graph = get_active_graph(repo.index.graph)
        plan = plan_repro(graph, collect_stages(repo, ["dvc.yaml"]))
        stages = {stage.addressing: stage for stage in plan}
        for name, stage in stages.items():
            if stage.frozen or stage.is_import or stage.is_callback:
                raise HerdbookError(f"{name}: frozen stages, imports and stages without files are not walked; use dvc repro")
        needs = {name: frozenset(need.addressing for need in graph.successors(stage)) for name, stage in stages.items()}
    pieces = read_lock(Path(repo.root_dir, "dvc.lock"))
    return Pipeline(repo, list(stages), needs, stages, list(pieces), pieces)


@contextmanager
def _told(root: Path) -> Iterator[None]:
    try:
        yield
    except LockError as error:
        raise HerdbookError(f"{root}: DVC is busy here ({' '.join(str(error).split())}); wait for it, then run again") from error
    except DvcException as error:
        said = " ".join(str(error).split())
        mend = "restore it: git checkout dvc.lock" if "dvc.lock'" in said else "correct it, then run again"
        raise HerdbookError(f"{root}: DVC: {said}; {mend}") from error
    except (OSError, sqlite3.Error) as error:
        raise HerdbookError(refusal(error, root)) from error


@contextmanager
def _copied() -> Iterator[None]:
    """Raise what kept DVC from copying a file into its cache: it logs that, and later fails in other words, or not at all."""
    log, heard = logging.getLogger("dvc_data.hashfile.transfer"), _Heard(logging.ERROR)
    before = log.disabled, log.propagate
    log.addHandler(heard)
    log.disabled, log.propagate = False, False
    try:
        yield
    finally:
        log.removeHandler(heard)
        log.disabled, log.propagate = before
        if heard.errors:
            raise heard.errors[0]


class _Heard(logging.Handler):
    """Keeps the errors that are logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the error of a record, where it has one."""
        if record.exc_info and record.exc_info[1]:
            self.errors.append(record.exc_info[1])


@contextmanager
def _read_once(repo: Repo) -> Iterator[None]:
    """Parse each version of a YAML file, and git's index, once: DVC parses params.yaml anew for each question about a stage, and
    the index for each output, a third and a tenth of its time."""
    known: dict[tuple[str, int, int, int], Any] = {}

    def load(path: str, fs: Any = None, **options: Any) -> Any:
        if options or not isinstance(fs, LocalFileSystem):
            return load_yaml(path, fs=fs, **options)
        status = Path(path).stat()
        version = (path, status.st_mtime_ns, status.st_size, status.st_ino)
        if version not in known:
            known[version] = load_yaml(path, fs=fs)
        return deepcopy(known[version])

    LOADERS[".yaml"] = load
    if isinstance(repo.scm, Git):
        tracker = repo.scm.dulwich.repo
        index = tracker.open_index()
        tracker.open_index = lambda: index
    try:
        yield
    finally:
        del LOADERS[".yaml"]  # then it is load_yaml again


@contextmanager
def _held(repo: Repo) -> Iterator[None]:
    """Keep other commands of DVC from this pipeline's files, by DVC's own table of who is busy with what."""
    Path(repo.tmp_dir).mkdir(parents=True, exist_ok=True)
    with rwlock(repo.tmp_dir, repo.fs, " ".join(sys.argv), [], [repo.root_dir], False):
        yield
