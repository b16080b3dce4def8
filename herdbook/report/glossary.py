"""The words of the report."""

from herdbook.report.run import Run
from herdbook.report.section import Section


def section(run: Run) -> Section:
    """The section of the words, the same for every run."""
    return Section(name="glossary", link="Glossary")
