"""One stage run once more in a checkout of its own, and its files compared with what the book records of them."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from herdbook import overheard
from herdbook.book import Book
from herdbook.code import installed, read_pins
from herdbook.distance import distance
from herdbook.entry import Entry, paths_of
from herdbook.errors import BookError, FileError
from herdbook.files import digest, read_json
from herdbook.layout import CONSTRAINTS, LOCK, MAKING
from herdbook.phases import Begin, unseen
from herdbook.snapshot import Snapshot

_COMMAND = "python -m stages "
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
class Step:
    """One stage as the book and the lock have it: what it runs, what it reads, and what it wrote."""

    stage: Mapping[str, Any]  # command, parameters and code, as in an entry
    environment: Mapping[str, Any]  # of the numbers, as in an entry
    inputs: Mapping[Path, str]  # md5 by path, as the lock has them
    outputs: Mapping[Path, str]
    top: Path  # a file, or a folder in which nothing else may be
    files: Mapping[Path, str]  # sha256 by path, as an entry has them

    @property
    def command(self) -> str:
        """As the lock has it."""
        return str(self.stage["command"])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came out when a stage was run once more."""

    command: str
    files: tuple[Rebuilt, ...] = ()
    refusal: str | None = None  # why the stage did not run to its end, in its words
    facts: tuple[Fact, ...] = ()  # of the environment, where it differs; looked for only where the bytes do

    @property
    def is_identical(self) -> bool:
        """Whether the stage ran and every file is what the entry records."""
        return self.refusal is None and all(file.is_identical for file in self.files)


def making_step(entry: Entry, snapshot: Snapshot) -> Step:
    """The stage that made an artefact; BookError where none did, or where the lock does not know it."""
    name, stage, path = entry["name"], entry["stage"], Path(entry["path"])
    if stage["command"] is None:
        with _readable_lock():
            deps = (dep for step in snapshot.lock.values() for dep in step.get("deps", ()))
            md5 = next((dep["md5"] for dep in deps if dep["path"] == entry["path"]), "unknown")
        raise BookError(f"{name}: was given, no stage makes it, so there is nothing to replay; {LOCK} records it with md5 {md5}")
    inputs, outputs = _recorded(stage["command"], f"what {name} was made of", snapshot)
    files = paths_of(entry) | {Path(record): sha256 for record, sha256 in entry["records"].items()}
    return Step(stage=stage, environment=entry["environment"], inputs=inputs, outputs=outputs, top=path, files=files)


def inspecting_step(entry: Entry, snapshot: Snapshot) -> Step | None:
    """The stage that inspected a dataset; None for what is not inspected, BookError where the lock does not know it."""
    if (inspection := entry["inspection"]) is None:
        return None
    stage = inspection["stage"]
    inputs, outputs = _recorded(stage["command"], f"what {entry['name']} was inspected with", snapshot)
    files = {Path(inspection[part]["path"]): inspection[part]["sha256"] for part in ("receipt", "profile")}
    top = Path(inspection["receipt"]["path"]).parent
    return Step(stage=stage, environment=entry["environment"], inputs=inputs, outputs=outputs, top=top, files=files)


def _recorded(command: str, what: str, snapshot: Snapshot) -> tuple[dict[Path, str], dict[Path, str]]:
    """The md5 of each input and of each output of the stage that ran `command`, as the lock has them."""
    with _readable_lock():
        step = next((step for step in snapshot.lock.values() if step["cmd"] == command), None)
        if step is None or not command.startswith(_COMMAND):
            raise BookError(f"{LOCK}: no stage ran {command!r}, so {what} is not recorded; run dvc repro")
        inputs, outputs = ({Path(item["path"]): str(item["md5"]) for item in step.get(part, ())} for part in ("deps", "outs"))
    return inputs, outputs


@contextmanager
def _readable_lock() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise BookError(f"{LOCK}: not a lock as DVC writes it ({error!r}); put it back with git checkout {LOCK}") from error


def rerun(step: Step, checkout: Path, book: Book, snapshot: Snapshot, begin: Begin = unseen) -> Outcome:
    """Run a stage in the checkout that was laid for it, and compare what it writes there."""
    refusal = _run(step.command, checkout, begin)
    files = () if refusal else tuple(_compared(step, snapshot, checkout, begin))
    outcome = Outcome(command=step.command, files=files, refusal=refusal)
    if outcome.is_identical:
        return outcome
    begin("code and environment")
    facts = (*_code_facts(step, book, checkout), *(() if refusal else _numeric_facts(step, checkout)))
    return replace(outcome, facts=facts)


def _run(command: str, checkout: Path, begin: Begin) -> str | None:
    """Run a stage there in a fresh interpreter; None, or the last line of what it said when it did not end well."""
    words = ("-m", "stages", *command.removeprefix(_COMMAND).split())
    if begin is unseen:
        done = _python(checkout, *words)
    else:
        done = overheard.run([sys.executable, *words], checkout, _environment(checkout), command.removeprefix("python -m "), begin)
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"it ended with status {done.returncode} and said nothing"


def _python(checkout: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run this interpreter there, with the code that lies there."""
    environment, nothing = _environment(checkout), subprocess.DEVNULL
    return subprocess.run(
        [sys.executable, *words], cwd=checkout, env=environment, stdin=nothing, capture_output=True, text=True, errors="replace"
    )


def _environment(checkout: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(checkout), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "HERDBOOK_COLD": "1", "PYTHONPATH": path}


def _compared(step: Step, snapshot: Snapshot, checkout: Path, begin: Begin) -> Iterator[Rebuilt]:
    """Each file that the book names, and each that lies beside them now."""
    made = {path.relative_to(checkout) for path in (checkout / step.top).rglob("*") if path.is_file()}
    paths = sorted({*step.files, *made})
    advance = begin("comparing what it wrote", len(paths))
    for path in paths:
        file, wanted = checkout / path, step.files.get(path)
        found = digest(file) if file.is_file() else None
        size = file.stat().st_size if found else 0
        old, why = _recorded_bytes(path, wanted, found, step.outputs, snapshot) if wanted and found and wanted != found else (None, None)
        apart = distance(old, file, path.name) if old else None
        yield Rebuilt(path=path.as_posix(), recorded=wanted, found=found, num_bytes=size, distance=apart, why=why)
        advance(1)


def _recorded_bytes(path: Path, sha256: str, found: str, outputs: Mapping[Path, str], snapshot: Snapshot) -> tuple[Path | None, str | None]:
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


def _code_facts(step: Step, book: Book, checkout: Path) -> Iterator[Fact]:
    """Modules, then packages, that are not those of the record."""
    record = book.code.get(step.stage["code"]["stage"], {"modules": {}, "packages": {}})
    for module, sha256 in record["modules"].items():
        found = digest(checkout / module) if (checkout / module).is_file() else None
        if found != sha256:
            yield Fact(module, sha256, found)
    pins = read_pins(checkout / CONSTRAINTS)
    for package, version in {**pins, **record["packages"]}.items():
        found = installed(package)
        if found != version and (found or package in record["packages"]):
            yield Fact(package, version, found)


def _numeric_facts(step: Step, checkout: Path) -> Iterator[Fact]:
    """Pins, threads, instruction set and device that are not those of the record."""
    recorded = step.environment
    done = _python(checkout, "-c", _PROBE)
    if done.returncode:
        yield Fact("numeric environment", "pinned", (done.stderr.strip().splitlines() or ["unknown"])[-1])
        return
    here = json.loads(done.stdout)
    for name in sorted({*recorded["pins"], *here["pins"]}):
        yield from _differs(name, recorded["pins"].get(name), here["pins"].get(name))
    yield from _differs("threads", recorded["threads"], here["threads"])
    yield from _differs("instruction set", recorded["pins"].get("ATEN_CPU_CAPABILITY"), here["capability"].lower())
    making = checkout / step.top / MAKING
    if recorded["device"] and making.is_file():
        yield from _differs("device", recorded["device"], read_json(making).get("device"))


def _differs(name: str, recorded: Any, found: Any) -> Iterator[Fact]:
    if recorded != found:
        yield Fact(name, recorded, found)


def processor() -> str:
    """The name that the processor of this machine gives itself: bits may depend on it though no record says it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()
