"""What is known already, found anew."""

from herdbook.report.run import Run
from herdbook.report.section import Section


def section(run: Run) -> Section:
    """The section of the calibrations."""
    return Section(name="calibration", link="Calibration", context={"calibrations": run.calibrations})
