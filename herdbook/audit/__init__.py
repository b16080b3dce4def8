"""Does a herd hold what its records say? Everything is checked and told item by item, and nothing is run.

Three levels, each with all of the one before: `records` looks at dvc.lock, the book and other small files;
`hashes` also hashes every byte; `rows` also counts anew from rows and text what the records say of them.

What this proves: no byte of data, receipt, entry, policy, model, code or lock has changed since the book was
written; the records agree with each other, with the gates of params.yaml, and with the rows.
What it cannot: whoever rewrites data, receipts, entries, index and dvc.lock so that all agree has written
another herd, and that it is another shows only beside a root (reports/book.json) or a commit that was noted
elsewhere. That a model was trained on its training set, that losses, scores and profiles come from a
computation, and that a verdict follows from its policy, only `replay` shows. Of stages that params.yaml no
longer names, dvc.lock keeps records that nothing lies beside: their form is checked, their digests are not."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from herdbook.audit.agreement import Agreement
from herdbook.audit.evidence import Evidence, Level
from herdbook.audit.finding import Finding
from herdbook.audit.inspections import gates, receipts
from herdbook.audit.journal import Journal
from herdbook.audit.lock import read_records
from herdbook.audit.recount import Recount
from herdbook.audit.register import Register
from herdbook.errors import one_line
from herdbook.phases import Advance, Begin, unseen
from herdbook.snapshot import Snapshot

if TYPE_CHECKING:
    from rich.console import Group

LEVELS: tuple[Level, ...] = ("records", "hashes", "rows")
_Look = Callable[[Advance], Iterable[list[Finding]]]


@dataclass(frozen=True)
class Check:
    """One item: how many things were looked at, and what was wrong with them."""

    item: str
    num_checked: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Report:
    """All items of an audit, in their order."""

    label: str  # what was audited
    level: Level
    checks: tuple[Check, ...]

    @property
    def findings(self) -> list[Finding]:
        """Everything that is not as it should be."""
        return [found for check in self.checks for found in check.findings]


def audit(snapshot: Snapshot, level: Level = "rows", begin: Begin = unseen) -> Report:
    """Check a workspace or a revision; `begin` is told of each item as its turn comes, and of the hashing between them.

    Raises BookError where there is no pipeline or no book to be checked."""
    checks = []
    for item, total, look in _items(snapshot, level, begin):
        told = list(look(begin(item, total)))
        checks.append(Check(item, len(told), tuple(dict.fromkeys(one for findings in told for one in findings))))
    return Report(snapshot.label, level, tuple(checks))


def _items(snapshot: Snapshot, level: Level, begin: Begin) -> Iterator[tuple[str, int | None, _Look]]:
    """Each item, with how much there is to look at, where that is known, and what finds what is wrong with each thing."""
    records, faults = read_records(snapshot)
    yield "the form of dvc.lock, data.dvc, dvc.yaml and params.yaml", None, _each(faults)
    if records is None:
        return  # nothing else could be told from what cannot be read
    made = records.made
    evidence = Evidence(snapshot, level, records.outs)
    evidence.measure((file for claim in records.claims for file in evidence.inside(claim.path)), begin)
    register = Register(made, evidence, records)
    agreement = Agreement(records, evidence, register)
    num_paths, num_entries = len({claim.path for claim in records.claims}), len(register.entries)
    yield "stages of dvc.lock as dvc.yaml and params.yaml have them", None, _each(agreement.stages())
    yield "files as dvc.lock and data.dvc record them", num_paths, _each(agreement.files())
    yield "folders hold what stages wrote, and nothing else", None, _each(agreement.strays())
    yield "entries as the index and the root name them", None, _each(register.names())
    yield "entries as what lies there, its parameters and its parents give them", num_entries, _each(register.facts())
    yield "code as its fingerprints have it", None, _each(register.code())
    of_receipts = receipts(made, register.entries, evidence, records.params)
    yield "receipts of these data, policies and profiles", None, _each(of_receipts)
    of_gates = gates(records.params, register.entries, evidence)
    yield "gates: stops, waivers and the receipts that models name", None, _each(of_gates)
    journal = Journal(snapshot, evidence)
    yield "register, journal and its entries as their chains have them", None, _each(journal.entries())
    yield "registrations: before their results, and never changed, by git's history", None, _each(journal.history())
    yield "verdicts on the claims as the register has them", None, _each(journal.verdicts())
    if level == "rows":
        recount = Recount(made, register.entries, evidence, records.params)
        yield "documents and the held-out side", recount.num_documents(), recount.documents
        yield "rows: whose they are, counts, composition, held-out text", recount.num_rows(), recount.tables
    yield "files that could be had", None, _each(evidence.lacking())


def _each(found: Iterable[list[Finding]]) -> _Look:
    """What is found of one thing after another, which are counted."""

    def look(advance: Advance) -> Iterator[list[Finding]]:
        for findings in found:
            yield findings
            advance(1)

    return look


def drawn(report: Report) -> "Group":
    """A report for a terminal. Names in records are hostile: they are shown as what they are, without effect."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("checked", justify="right")
    table.add_column("findings", justify="right")
    for check in report.checks:
        num_found = Text(str(len(check.findings)), "red" if check.findings else "green")
        table.add_row(Text(check.item), Text(str(check.num_checked)), num_found)
    lines = [Text.assemble((one_line(found.kind), "red"), one_line(f" {found.path}: {found.what}")) for found in report.findings]
    return Group(table, *lines)


def as_json(report: Report) -> dict[str, Any]:
    """A report as plain values."""
    return asdict(report)
