"""The closing table of a run, as it is printed."""

from dataclasses import astuple

from herdbook.report.run import Run
from herdbook.report.section import Section
from herdbook.summary import HEADER, table


def section(run: Run) -> Section:
    """The section of the closing table."""
    rows = [astuple(row) for row in table({name: run.metrics[name] for name in run.params.regimes})]
    return Section(name="summary", link="Summary", context={"header": astuple(HEADER), "table": rows})
