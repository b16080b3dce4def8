"""What a run needs of this machine and this folder: each thing looked at, what was found, and the command that mends it.

Of environment variables only whether they are set is told, never what they hold."""

import configparser
import http.client
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from herdbook.code import installed, read_pins
from herdbook.corpus import check_version
from herdbook.errors import HerdbookError
from herdbook.layout import CONSTRAINTS, CORPUS, EXPECTATIONS, HYPOTHESES, PARAMS
from herdbook.phases import Begin, unseen

State = Literal["ok", "warning", "problem"]
GIB = 1 << 30
_MEMORY_BYTES, _DISK_BYTES = 2 * GIB, 2 * GIB  # two stages at a time take less than 2; a default run and its cache less than 1
_LEAST_DISK_BYTES = GIB // 4
_OLDEST_PYTHON = (3, 11)
_PORT = 4200  # of make serve
_SERVING = Path(".prefect", "serving.json")  # where it says that it listens (flows/server.py)
_SHOWN = 4  # packages of another version
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_EXTRAS = {
    "GGUF models": (("gguf", "accelerate"), "pip install 'herdbook[gguf]'"),
    "Hugging Face datasets": (("datasets",), "pip install 'herdbook[huggingface]'"),
}
_LOOK = (
    "import json, torch; cuda = torch.cuda.is_available(); print(json.dumps([torch.backends.cpu.get_cpu_capability(), "
    "torch.cuda.get_device_name() if cuda else None]))"
)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    item: str
    state: State  # a warning may be lived with, a problem stops a run
    found: str
    fix: str | None = None  # a command, or an edit; None where nothing needs mending


def examine(begin: Begin = unseen) -> Iterator[Check]:
    """Look at the machine and at the project in the working directory, one thing after another; `begin` is told of them."""
    looks: tuple[Callable[[], Iterator[Check]], ...] = (
        _machine, _python, _packages, _git, _dvc, _server, _corpus, _settings, _torch, _optional,
    )  # fmt: skip
    advance = begin("machine and project", len(looks))
    for look in looks:
        yield from look()
        advance(1)


def _machine() -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Check("cores", "ok" if cores > 1 else "warning", f"{cores}", None if cores > 1 else "expect a run to take twice as long")
    if (memory := free_memory_bytes()) is None:
        yield Check("memory", "warning", "this machine does not say how much is free", "see to 2 GiB free")
    else:
        is_enough = memory >= _MEMORY_BYTES
        fix = None if is_enough else "herdbook run --jobs 1, or end other programs"
        yield Check("memory", "ok" if is_enough else "warning", f"{memory / GIB:.1f} GiB free, a run of two stages at a time takes 2", fix)
    disk = shutil.disk_usage(Path.cwd()).free
    state: State = "ok" if disk >= _DISK_BYTES else "warning" if disk >= _LEAST_DISK_BYTES else "problem"
    fix = None if state == "ok" else "make room elsewhere: the cache in .dvc/cache serves experiments and other commits too"
    yield Check("disk", state, f"{disk / GIB:.1f} GiB free", fix)


def free_memory_bytes() -> int | None:
    """What this process may still take: of the machine, or of the container where that allows less. None where nothing tells."""
    free: list[int] = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free.append(int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024)
    with suppress(OSError, ValueError):  # the word max, where there is no limit
        limit, used = (int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        free.append(max(limit - used, 0))
    return min(free) if free else None


def _python() -> Iterator[Check]:
    is_new = sys.version_info[:2] >= _OLDEST_PYTHON
    wanted = ".".join(map(str, _OLDEST_PYTHON))
    yield Check("Python", "ok" if is_new else "problem", platform.python_version(), None if is_new else f"install Python {wanted} or newer")


def _packages() -> Iterator[Check]:
    """Packages that herdbook asks for itself must be as pinned: stages refuse others. The rest is told."""
    if not CONSTRAINTS.is_file():
        yield Check(
            "packages",
            "problem",
            f"no {CONSTRAINTS} here",
            "go to the folder of a project, or in a checkout of Herdbook make one: herdbook new FOLDER",
        )
        return
    pins, own = read_pins(CONSTRAINTS), _required()
    other = {name: (here, pin) for name, pin in pins.items() if (here := installed(name)) not in (None, pin)}
    missing = sorted(name for name in own if installed(name) is None)
    wrong = [*missing, *sorted(own & other.keys())]
    if not wrong and not other:
        yield Check("packages", "ok", f"those installed are of the versions that {CONSTRAINTS} pins")
        return
    shown = wrong or sorted(other)
    told = [f"{name} {other[name][0]}, pinned {other[name][1]}" if name in other else f"{name} is missing" for name in shown[:_SHOWN]]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    names = " ".join(f"{name}=={pins[name]}" if name in pins else name for name in shown[:_SHOWN])
    fix = f"pip install --constraint {CONSTRAINTS} {names}" if not more else "rm .venv/installed, then make run"
    yield Check("packages", "problem" if wrong else "warning", ", ".join(told) + more, fix)


def _required() -> set[str]:
    """The packages that herdbook itself depends on, in their canonical form, extras left out."""
    with suppress(metadata.PackageNotFoundError):
        needed = map(Requirement, metadata.requires("herdbook") or [])
        return {canonicalize_name(each.name) for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})}
    return set()


def _git() -> Iterator[Check]:
    if shutil.which("git") is None:
        yield Check("git", "problem", "not installed", "install git: apt-get install git, or from https://git-scm.com")
        return
    done = subprocess.run(["git", "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=False)
    if done.returncode:
        yield Check("git", "problem", f"{Path.cwd()} is in no repository, and DVC and the book need one", "git init")
    else:
        yield Check("git", "ok", f"the repository {done.stdout.strip()}")


def _dvc() -> Iterator[Check]:
    config = Path(".dvc", "config")
    if not config.is_file():
        yield Check("DVC", "problem", f"no {config} here", "go to the folder of a project, or make one here: dvc init")
        return
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read([config, config.with_name("config.local")], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        yield Check("DVC", "problem", f"{config} cannot be read", f"git checkout {config}")
        return
    cache = config.parent / parser.get("cache", "dir", fallback="cache")
    nearest = next(path for path in (cache, *cache.resolve().parents) if path.exists())
    if os.access(nearest, os.W_OK):
        yield Check("DVC", "ok", f"its cache is {cache}")
    else:
        yield Check("DVC", "problem", f"its cache {cache} cannot be written", f"chmod u+w {nearest}, or dvc cache dir --local ELSEWHERE")


def _server() -> Iterator[Check]:
    """The address that the environment gives may hold a password: it is not shown."""
    if given := os.environ.get("PREFECT_API_URL"):
        is_there = _answers(given)
        fix = None if is_there else "start it, or unset PREFECT_API_URL to do without"
        yield Check("Prefect", "ok" if is_there else "problem", f"PREFECT_API_URL is set; a server {_answer(is_there)} there", fix)
        return
    with suppress(OSError, ValueError, KeyError, TypeError):
        if _answers(str(json.loads(_SERVING.read_text(encoding="utf-8"))["url"])):
            yield Check("Prefect", "ok", "make serve is under way here; runs report to it")
            return
    with socket.socket() as probe:
        probe.settimeout(1)
        is_taken = probe.connect_ex(("127.0.0.1", _PORT)) == 0
    if is_taken:
        yield Check("Prefect", "warning", f"port {_PORT} is another program's", f"make serve PORT={_PORT + 1} (runs need no port of yours)")
    else:
        yield Check("Prefect", "ok", f"port {_PORT} is free for make serve; runs start a server of their own")


def _answers(url: str) -> bool:
    with suppress(OSError, http.client.HTTPException, ValueError), urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def _answer(is_there: bool) -> str:
    return "answers" if is_there else "does not answer"


def _corpus() -> Iterator[Check]:
    if not (CORPUS / "manifest.json").is_file():
        yield Check("corpus", "warning", f"{CORPUS} is not here yet; make run makes it", "herdbook corpus, or dvc pull data")
        return
    try:
        check_version()
    except HerdbookError as error:
        yield _fault("corpus", error)
    else:
        yield Check("corpus", "ok", f"{CORPUS} is as recorded" if CORPUS.with_suffix(".dvc").is_file() else f"{CORPUS} is here")


def _settings() -> Iterator[Check]:
    from herdbook.claims import read_hypotheses
    from herdbook.params import Params, read_params
    from herdbook.policy import read_policy
    from herdbook.registration import read_register
    from herdbook.run import demand_source, stale

    params: Params | None = None
    try:
        params = read_params(PARAMS)
        yield Check(PARAMS.name, "ok", f"{len(params.regimes)} regimes x {len(params.seeds)} seeds x {len(params.generations)} generations")
    except HerdbookError as error:
        yield _fault(PARAMS.name, error)
    try:
        policies = [read_policy(path) for path in sorted(EXPECTATIONS.glob("*.yaml"))]
        yield Check(
            "policies",
            "ok" if policies else "problem",
            f"{len(policies)} in {EXPECTATIONS}",
            None if policies else f"git checkout -- {EXPECTATIONS}",
        )
    except HerdbookError as error:
        yield _fault("policies", error)
    try:
        claims, registrations = read_hypotheses(HYPOTHESES).claims, read_register()
        yield Check("claims", "ok", f"{len(claims)} claimed, {len(registrations)} registrations")
    except HerdbookError as error:
        yield _fault("claims", error)
    if params and (CORPUS / "manifest.json").is_file():
        try:
            demand_source(params)
        except HerdbookError as error:
            yield _fault("source of the corpus", error)
    if params and (strays := stale(params)):
        yield Check("left over", "problem", f"{strays[0]} is of no regime, seed or generation of {PARAMS}", "herdbook prune")


def _fault(item: str, error: HerdbookError) -> Check:
    """What the error says: up to its semicolon what was found, after it what to do."""
    found, _, fix = str(error).partition("; ")
    return Check(item, "problem", found, fix or None)


def _torch() -> Iterator[Check]:
    """In a process of its own, pinned as stages are: what torch sees is fixed when it is imported."""
    from herdbook.numeric import pinned

    done = subprocess.run([sys.executable, "-c", _LOOK], env=pinned(dict(os.environ)), capture_output=True, text=True, check=False)
    if done.returncode:
        yield Check("instruction set", "problem", "torch cannot be imported", f"pip install --constraint {CONSTRAINTS} torch")
        return
    capability, device = json.loads(done.stdout.splitlines()[-1])
    if capability == "AVX2":
        yield Check(
            "instruction set", "ok", "AVX2, to which stages are pinned: a Llama has the bytes that it has on other machines with it"
        )
    else:
        fix = "nothing to mend: compare figures, not digests, with other machines (docs/reproducibility.md)"
        yield Check("instruction set", "warning", f"{capability}, so bytes differ from those of machines with AVX2", fix)
    yield Check("CUDA", "ok", f"{device}" if device else "none: stages compute on the CPU")


def _optional() -> Iterator[Check]:
    browser = next((name for name in _BROWSERS if shutil.which(name)), None)
    yield Check("browser", "ok", browser or "none; only tests of the report want one", None if browser else "apt-get install chromium")
    for item, (packages, fix) in _EXTRAS.items():
        lacking = [name for name in packages if importlib.util.find_spec(name) is None]
        found = f"not installed: {', '.join(lacking)}; needed for these alone" if lacking else "can be read"
        yield Check(item, "ok", found, fix if lacking else None)


def as_json(checks: list[Check]) -> dict[str, Any]:
    """Checks as plain values, with whether a run could begin."""
    return {"ready": not any(check.state == "problem" for check in checks), "checks": [asdict(check) for check in checks]}
