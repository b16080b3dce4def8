"""Make an artefact once more from its recorded inputs, in a temporary checkout, and compare the bytes with its entry.

What is run is the code of the workspace or of the revision: replay only what comes from people whose code
you would run."""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from herdbook.book import Book
from herdbook.checkout import lay_code, lay_inputs, set_parameters
from herdbook.code import installed, read_pins
from herdbook.distance import distance, told
from herdbook.entry import Entry
from herdbook.errors import BookError, FileError, one_line
from herdbook.files import digest, read_json
from herdbook.layout import CONSTRAINTS, LOCK, MAKING
from herdbook.snapshot import Snapshot
from herdbook.target import find

if TYPE_CHECKING:
    from rich.console import Group

_COMMAND = "python -m stages "
_DIGITS = 12  # of a digest, as people are shown it
_PROBE = """
import json, os
from herdbook import numeric
os.environ.update(numeric.PINS)
import torch
print(json.dumps({"pins": numeric.PINS, "threads": torch.get_num_threads(), "capability": torch.backends.cpu.get_cpu_capability()}))
"""


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """One file, as the entry records it and as it came out now."""

    path: str
    recorded: str | None  # sha256 in the entry; None for a file that it does not name
    found: str | None  # sha256 now; None where the stage wrote no such file
    num_bytes: int  # now
    distance: dict[str, Any] | None = None  # how far it is from the recorded bytes; None where these are not at hand
    why: str | None = None  # what there is to say of the recorded bytes

    @property
    def is_identical(self) -> bool:
        """Whether it is, byte for byte, what the entry records."""
        return self.recorded == self.found


@dataclass(frozen=True)
class Fact:
    """What the record says of the environment of a stage, and what is so here; None for nothing."""

    name: str
    recorded: Any
    found: Any


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What came out when an artefact was made once more."""

    target: str
    revision: str
    command: str
    machine: str  # what bits may depend on though no record says it
    files: tuple[Rebuilt, ...] = ()
    refusal: str | None = None  # why the stage did not run to its end, in its words
    facts: tuple[Fact, ...] = ()  # of the environment, where it differs; looked for only where the bytes do

    @property
    def is_identical(self) -> bool:
        """Whether the stage ran and every file is what the entry records."""
        return self.refusal is None and all(file.is_identical for file in self.files)


def replay(target: str, book: Book, snapshot: Snapshot) -> Replay:
    """Make the artefact that `target` names (target.find) once more, and compare its files with its entry.

    Raises BookError where no stage makes it, where the lock does not know that stage, or where inputs cannot be had."""
    name = find(target, book, snapshot)
    entry = book.entries[name]
    inputs, outputs = _recorded_step(name, entry, snapshot)
    with _interruptible(), tempfile.TemporaryDirectory(prefix="herdbook-replay-") as folder:
        checkout = Path(folder)
        lay_code(snapshot, checkout)
        set_parameters(entry["stage"]["parameters"], checkout)
        if missing := lay_inputs(inputs, snapshot, checkout):
            named = ", ".join(map(str, missing))
            raise BookError(f"{name}: cannot be made once more, for what it was made of is not at hand: {named}; get it with dvc fetch")
        refusal = _run(entry["stage"]["command"], checkout)
        files = () if refusal else tuple(_compared(entry, outputs, snapshot, checkout))
        is_identical = not refusal and all(file.is_identical for file in files)
        return Replay(
            target=name,
            revision=snapshot.label,
            command=entry["stage"]["command"],
            machine=f"Python {platform.python_version()} on {_processor()}",
            files=files,
            refusal=refusal,
            facts=() if is_identical else (*_code_facts(entry, book, checkout), *(() if refusal else _numeric_facts(entry, checkout))),
        )


def _recorded_step(name: str, entry: Entry, snapshot: Snapshot) -> tuple[dict[Path, str], dict[Path, str]]:
    """The md5 of each input and of each output of the stage that made an artefact, as the lock has them."""
    steps, command = list(snapshot.lock.values()), entry["stage"]["command"]
    try:
        if command is None:
            md5 = next((dep["md5"] for step in steps for dep in step.get("deps", ()) if dep["path"] == entry["path"]), "unknown")
            raise BookError(f"{name}: was given, no stage makes it, so there is nothing to replay; {LOCK} records it with md5 {md5}")
        step = next((step for step in steps if step["cmd"] == command), None)
        if step is None or not command.startswith(_COMMAND):
            raise BookError(f"{LOCK}: no stage ran {command!r}, so what {name} was made of is not recorded; run dvc repro")
        inputs, outputs = ({Path(item["path"]): str(item["md5"]) for item in step.get(part, ())} for part in ("deps", "outs"))
    except (KeyError, TypeError, AttributeError) as error:
        raise BookError(f"{LOCK}: not a lock as DVC writes it ({error!r}); put it back with git checkout {LOCK}") from error
    return inputs, outputs


def _run(command: str, checkout: Path) -> str | None:
    """Run a stage there in a fresh interpreter; None, or the last line of what it said when it did not end well."""
    done = _python(checkout, "-m", "stages", *command.removeprefix(_COMMAND).split())
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"it ended with status {done.returncode} and said nothing"


def _python(checkout: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run this interpreter there, with the code that lies there."""
    path = os.pathsep.join(filter(None, (str(checkout), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "HERDBOOK_COLD": "1", "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *words], cwd=checkout, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )


def _compared(entry: Entry, outputs: dict[Path, str], snapshot: Snapshot, checkout: Path) -> Iterator[Rebuilt]:
    """Each file of the artefact, and each record that its stage wrote about it."""
    top = Path(entry["path"])
    is_file = (checkout / top).is_file()
    recorded = {top if is_file else top / name: file["sha256"] for name, file in entry["files"].items()}
    recorded |= {Path(path): sha256 for path, sha256 in entry["records"].items()}
    made = {path.relative_to(checkout) for path in (checkout / top).rglob("*") if path.is_file()}
    for path in sorted({*recorded, *made}):
        file, wanted = checkout / path, recorded.get(path)
        found = digest(file) if file.is_file() else None
        size = file.stat().st_size if found else 0
        old, why = _recorded_bytes(path, wanted, found, outputs, snapshot) if wanted and found and wanted != found else (None, None)
        apart = distance(old, file, path.name) if old else None
        yield Rebuilt(path=path.as_posix(), recorded=wanted, found=found, num_bytes=size, distance=apart, why=why)


def _recorded_bytes(path: Path, sha256: str, found: str, outputs: dict[Path, str], snapshot: Snapshot) -> tuple[Path | None, str | None]:
    """A local file to compare `path` with, best the bytes that the entry names, and what to say where it is not those."""
    candidates = []
    for top, md5 in outputs.items():
        with suppress(FileError, KeyError):
            if top in (path, *path.parents):
                candidates.append(snapshot.object_of(path, snapshot.listing(top, md5)[path]))
    if (lying := snapshot.root / path).is_file():
        candidates.append(lying)
    for local in candidates:
        if digest(local) == sha256:
            return local, None
    if candidates and digest(candidates[0]) == found:
        return None, f"{LOCK} records what came out now, the entry other bytes"
    if candidates:
        return candidates[0], f"the bytes that the entry names are not at hand, so it is compared with those of {LOCK}"
    return None, "the recorded bytes are not at hand"


def _code_facts(entry: Entry, book: Book, checkout: Path) -> Iterator[Fact]:
    """Modules, then packages, that are not those of the record."""
    record = book.code.get(entry["stage"]["code"]["stage"], {"modules": {}, "packages": {}})
    for module, sha256 in record["modules"].items():
        found = digest(checkout / module) if (checkout / module).is_file() else None
        if found != sha256:
            yield Fact(module, sha256, found)
    pins = read_pins(checkout / CONSTRAINTS)
    for package, version in {**pins, **record["packages"]}.items():
        found = installed(package)
        if found != version and (found or package in record["packages"]):
            yield Fact(package, version, found)


def _numeric_facts(entry: Entry, checkout: Path) -> Iterator[Fact]:
    """Pins, threads, instruction set and device that are not those of the record."""
    recorded = entry["environment"]
    done = _python(checkout, "-c", _PROBE)
    if done.returncode:
        yield Fact("numeric environment", "pinned", (done.stderr.strip().splitlines() or ["unknown"])[-1])
        return
    here = json.loads(done.stdout)
    for name in sorted({*recorded["pins"], *here["pins"]}):
        yield from _differs(name, recorded["pins"].get(name), here["pins"].get(name))
    yield from _differs("threads", recorded["threads"], here["threads"])
    yield from _differs("instruction set", recorded["pins"].get("ATEN_CPU_CAPABILITY"), here["capability"].lower())
    making = checkout / entry["path"] / MAKING
    if recorded["device"] and making.is_file():
        yield from _differs("device", recorded["device"], read_json(making).get("device"))


def _differs(name: str, recorded: Any, found: Any) -> Iterator[Fact]:
    if recorded != found:
        yield Fact(name, recorded, found)


def _processor() -> str:
    """The name that the processor gives itself."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C meanwhile, so that a time-out too leaves nothing behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def drawn(found: Replay) -> "Group":
    """A replay for a terminal; what stages and files say is shown as what it is, without effect."""
    from rich.console import Group
    from rich.text import Text

    return Group(*(Text(one_line(line), style=style) for line, style in _lines(found)))


def _lines(found: Replay) -> Iterator[tuple[str, str]]:
    """(line, style)."""
    if found.is_identical:
        size = sum(file.num_bytes for file in found.files)
        yield f"{found.target}: identical, {len(found.files)} files of {size:,} bytes", "green"
        yield f"made once more by {found.command} from the inputs that {found.revision} records", "dim"
        return
    if found.refusal:
        yield f"{found.target}: cannot be made once more here, its stage refused", "red"
        yield f"  {found.refusal}", ""
    else:
        apart = [file for file in found.files if not file.is_identical]
        yield f"{found.target}: {len(apart)} of {len(found.files)} files differ from their entry", "red"
        for file in apart:
            yield from _file_lines(file)
    yield from _fact_lines(found)


def _file_lines(file: Rebuilt) -> Iterator[tuple[str, str]]:
    shown = (digest[:_DIGITS] if digest else "no such file" for digest in (file.recorded, file.found))
    yield f"{file.path}: recorded {next(shown)}, now {next(shown)}", "bold"
    for line in (*(told(file.distance) if file.distance else ()), *([file.why] if file.why else ())):
        yield f"  {line}", ""


def _fact_lines(found: Replay) -> Iterator[tuple[str, str]]:
    for fact in found.facts:
        shown = (str(value)[:_DIGITS] if value is not None else "none" for value in (fact.recorded, fact.found))
        yield f"{fact.name}: recorded {next(shown)}, here {next(shown)}", "yellow"
    if not found.facts and not found.refusal:
        yield f"all that is recorded of the environment is so here; what is not recorded is the machine, {found.machine}:", "yellow"
        yield "if other artefacts come out identical here, then this is not what its stage wrote (docs/reproducibility.md)", "yellow"


def as_json(found: Replay) -> dict[str, Any]:
    """A replay as plain values."""
    return {**asdict(found), "is_identical": found.is_identical}
