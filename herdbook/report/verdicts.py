"""What was claimed, and what is shown."""

from herdbook.report.run import Run
from herdbook.report.section import Section


def section(run: Run) -> Section:
    """The section of the verdicts."""
    return Section(name="verdicts", link="Verdicts", context={"judged": run.judged})
