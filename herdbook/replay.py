"""Make an artefact once more from its recorded inputs, in a temporary checkout, and compare the bytes with its entry.

A dataset that is inspected is then inspected once more, in a checkout of its own, so that profile and receipt
are shown to be what this code measures and decides of these bytes. What is run is the code of the workspace or
of the revision: replay only what comes from people whose code you would run."""

import platform
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from herdbook.book import Book
from herdbook.checkout import lay, lay_answers
from herdbook.distance import told
from herdbook.errors import BookError, one_line
from herdbook.layout import Place
from herdbook.phases import Begin, unseen
from herdbook.rerun import Outcome, Rebuilt, Step, inspecting_step, making_step, processor, rerun
from herdbook.snapshot import Snapshot
from herdbook.target import find

if TYPE_CHECKING:
    from rich.console import Group

_DIGITS = 12  # of a digest, as people are shown it
_REBUILT, _RECORDED = "rebuilt", "recorded"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What came out when an artefact was made, and inspected, once more."""

    target: str
    revision: str
    machine: str  # what bits may depend on though no record says it
    making: Outcome
    inspection: Outcome | None = None  # None for what is not inspected, or could not be made
    inspected: str | None = None  # which bytes: those that were rebuilt, or those recorded where they came out otherwise

    @property
    def is_identical(self) -> bool:
        """Whether the stages ran and every file is what the entry records."""
        return self.making.is_identical and (self.inspection is None or self.inspection.is_identical)


def replay(target: str, book: Book, snapshot: Snapshot, begin: Begin = unseen) -> Replay:
    """Make the artefact that `target` names (target.find) once more, inspect it if it is inspected, and compare all with its entry.

    Raises BookError where no stage makes it, where the lock does not know a stage, or where its inputs cannot be had."""
    name = find(target, book, snapshot)
    entry = book.entries[name]
    making, inspecting = making_step(entry, snapshot), inspecting_step(entry, snapshot)
    with _interruptible(), tempfile.TemporaryDirectory(prefix="herdbook-replay-") as folder:
        checkout = Path(folder, "making")
        if missing := lay(making.stage["parameters"], making.inputs, snapshot, checkout, begin):
            raise BookError(f"{name}: cannot be made once more, for what it was made of is not at hand: {_listed(missing)}")
        if entry["kind"] == "curated":
            lay_answers(Place(entry["regime"], entry["seed"], entry["generation"]), snapshot, checkout)
        made = rerun(making, checkout, book, snapshot, begin)
        inspection, inspected = None, None
        if inspecting and not made.refusal:
            dataset = Path(entry["path"])
            is_same = all(file.is_identical for file in made.files if dataset in (Path(file.path), *Path(file.path).parents))
            inspected = _REBUILT if is_same else _RECORDED
            rebuilt = checkout if is_same else None
            inspection = _inspect(inspecting, dataset, rebuilt, Path(folder, "inspecting"), book, snapshot, begin)
        return Replay(
            target=name,
            revision=snapshot.label,
            machine=f"Python {platform.python_version()} on {processor()}",
            making=made,
            inspection=inspection,
            inspected=inspected,
        )


def _inspect(step: Step, dataset: Path, rebuilt: Path | None, checkout: Path, book: Book, snapshot: Snapshot, begin: Begin) -> Outcome:
    """Inspect a dataset in `checkout`, as it lies in the checkout `rebuilt` (and is taken from there), or without one as it is recorded."""
    inputs = {path: md5 for path, md5 in step.inputs.items() if rebuilt is None or path != dataset}
    if missing := lay(step.stage["parameters"], inputs, snapshot, checkout, begin):
        return Outcome(command=step.command, refusal=f"what it was inspected with is not at hand: {_listed(missing)}")
    if rebuilt:
        (checkout / dataset).parent.mkdir(parents=True, exist_ok=True)
        (rebuilt / dataset).rename(checkout / dataset)
    return rerun(step, checkout, book, snapshot, begin)


def _listed(missing: list[Path]) -> str:
    return f"{', '.join(map(str, missing))}; get it with dvc fetch"


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
    yield from _outcome_lines(found.target, found.making, found.machine)
    if not found.making.refusal:
        yield f"made once more by {found.making.command} from the inputs that {found.revision} records", "dim"
    if found.inspection:
        yield from _outcome_lines("its receipt and profile", found.inspection, found.machine)
        which = "it was just rebuilt" if found.inspected == _REBUILT else "it is recorded, for it came out otherwise"
        yield f"inspected once more by {found.inspection.command}, the dataset as {which}", "dim"


def _outcome_lines(what: str, outcome: Outcome, machine: str) -> Iterator[tuple[str, str]]:
    if outcome.is_identical:
        size = sum(file.num_bytes for file in outcome.files)
        yield f"{what}: identical, {len(outcome.files)} files of {size:,} bytes", "green"
        return
    if outcome.refusal:
        yield f"{what}: cannot be made once more here, its stage refused", "red"
        yield f"  {outcome.refusal}", ""
    else:
        apart = [file for file in outcome.files if not file.is_identical]
        yield f"{what}: {len(apart)} of {len(outcome.files)} files differ from their entry", "red"
        for file in apart:
            yield from _file_lines(file)
    yield from _fact_lines(outcome, machine)


def _file_lines(file: Rebuilt) -> Iterator[tuple[str, str]]:
    shown = (digest[:_DIGITS] if digest else "no such file" for digest in (file.recorded, file.found))
    yield f"{file.path}: recorded {next(shown)}, now {next(shown)}", "bold"
    for line in (*(told(file.distance) if file.distance else ()), *([file.why] if file.why else ())):
        yield f"  {line}", ""


def _fact_lines(outcome: Outcome, machine: str) -> Iterator[tuple[str, str]]:
    for fact in outcome.facts:
        shown = (str(value)[:_DIGITS] if value is not None else "none" for value in (fact.recorded, fact.found))
        yield f"{fact.name}: recorded {next(shown)}, here {next(shown)}", "yellow"
    if not outcome.facts and not outcome.refusal:
        yield f"all that is recorded of the environment is so here; what is not recorded is the machine, {machine}:", "yellow"
        yield "if other artefacts come out identical here, then this is not what its stage wrote (docs/reproducibility.md)", "yellow"


def as_json(found: Replay) -> dict[str, Any]:
    """A replay as plain values."""
    steps = {"making": found.making, "inspection": found.inspection}
    plain = {name: step and {**asdict(step), "is_identical": step.is_identical} for name, step in steps.items()}
    return {**asdict(found), **plain, "is_identical": found.is_identical}
