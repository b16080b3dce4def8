"""Run one stage: `python -m stages NAME ARG...`, as dvc.yaml does.

A stage runs as a fork of one preloaded process, or in a fresh interpreter when HERDBOOK_COLD is set;
the bytes are the same. Either way the environment is pinned first, and a user's mistake is one line."""

import contextlib
import hashlib
import importlib
import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from herdbook import numeric, warm
from herdbook.errors import HerdbookError, one_line
from herdbook.layout import CODE, stage_names

_OWN = ("herdbook", "stages")
SERVER = (sys.executable, "-m", "stages", "--serve")
PRELOADED = (
    "torch",
    "numba",
    "transformers.models.llama.modeling_llama",
    "great_expectations.expectations.core",
    "scipy.stats",
    "pandas",
    "pyarrow.parquet",
    "tokenizers",
    "httpx",
    "importlib.metadata",
    "pydantic.functional_validators",
    "pydantic.types",
    "rich.progress",
    "yaml",
)


def environment_of(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a stage: the given one with all pinned that decides bits. Tables lie in the memory of malloc, whose pins keep
    what is freed: Arrow's own allocator gives it back, and half of the time of a million rows goes into having it again."""
    return {**numeric.pinned(dict(given)), "ARROW_DEFAULT_MEMORY_POOL": "system"}


def preload() -> None:
    """Import the libraries that stages use, and have them do what they do once a process."""
    for name in PRELOADED:
        importlib.import_module(name)
    importlib.import_module("pydantic").create_model("Nothing")  # the first model looks for plugins among all packages
    importlib.import_module("numba").njit("float32(float32)")(lambda x: x)  # the first function to be compiled sets the compiler up
    # The first model that is read or written waits for a table of all architectures.
    importlib.import_module("transformers.conversion_mapping").get_checkpoint_conversion_mapping("llama")


def prepared() -> Callable[[list[str]], int]:
    """Preload, and import the stages; returns run_stage for a fork, where all of this project's modules are as they are then."""
    preload()
    refresh = own_modules()

    def run(argv: list[str]) -> int:
        refresh()
        return run_stage(argv)

    return run


def own_modules() -> Callable[[], None]:
    """Import this project's modules, as far as stages do; what is returned forgets them, but the launcher's, if any was edited since."""
    kept, before = set(sys.modules), _code_digest()
    for name in stage_names(Path()):
        with contextlib.suppress(Exception):  # one that cannot be imported says so when it is to run
            importlib.import_module(f"stages.{name}")
    is_known = _code_digest() == before  # else one was edited meanwhile, and nobody knows which bytes of it were imported

    def refresh() -> None:
        if is_known and _code_digest() == before:
            return
        for name in [name for name in sys.modules.keys() - kept if name.partition(".")[0] in _OWN]:
            del sys.modules[name]
            package, _, module = name.rpartition(".")
            if package in kept:  # which would still have it
                delattr(sys.modules[package], module)

    return refresh


def _code_digest() -> str:
    state = hashlib.sha256()
    for path in sorted(path for top in _OWN for path in Path(top).rglob("*.py")):
        with contextlib.suppress(FileNotFoundError):  # an editor's link to nowhere, or one that it puts another file in place of
            state.update(hashlib.sha256(f"{path}\0".encode() + path.read_bytes()).digest())
    return state.hexdigest()


def start_preloaded() -> None:
    """Start the process that stages are forked from, where they are to be, and do not wait for it."""
    if not os.environ.get("HERDBOOK_COLD"):
        warm.start(SERVER, environment_of(os.environ))


def run_stage(argv: list[str]) -> int:
    """Run one stage in this process; 0 when its outputs stand, 1 after one line on stderr."""
    name, *args = argv
    try:
        if name != CODE.name:  # imported here, and not by every caller
            importlib.import_module("herdbook.code").demand_recorded(name)
        importlib.import_module(f"stages.{name}").main(args)
    except HerdbookError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        what = f"{error.filename or 'a file'}: {error.strerror or error}"
        print(one_line(f"{name}: {what}; allow it or make room, then run again"), file=sys.stderr)
        return 1
    except MemoryError:
        print(f"{' '.join(argv)}: out of memory; run fewer stages at once or make its sizes in params.yaml smaller", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Choose where the stage runs."""
    argv = sys.argv[1:]
    if argv[:1] == ["--serve"]:
        try:
            return warm.serve(Path(argv[1]), prepared)
        except HerdbookError as error:
            print(error, file=sys.stderr)
            return 1
    names = stage_names(Path(__file__).parents[1])
    if not argv or argv[0] not in names:
        print(f"usage: python -m stages NAME ARG...; NAME is one of {', '.join(names)}; found {argv[:1]}", file=sys.stderr)
        return 2
    environment = environment_of(os.environ)
    if not environment.get("HERDBOOK_COLD"):
        try:
            return warm.call(argv, SERVER, environment)
        except HerdbookError as error:
            print(f"{' '.join(argv)}: {error}", file=sys.stderr)
            return 1
    if environment != dict(os.environ):  # the hash seed is read when an interpreter starts
        os.execve(sys.executable, [sys.executable, "-m", "stages", *argv], environment)
    status = run_stage(argv)
    used = resource.getrusage(resource.RUSAGE_SELF)
    warm.tell_usage(environment, used.ru_maxrss * 1024, used.ru_utime + used.ru_stime)
    return status


if __name__ == "__main__":
    sys.exit(main())
