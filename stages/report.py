"""Write the report: one HTML file that needs no network and no server.

Reads every record under records/ that the parameters name, the rows kept of each generation under runs/, book/,
journal/register.jsonl, reports/calibration/, reports/metrics.json, reports/generations.csv, reports/verdicts.json and
reports/book.json. Writes reports/index.html. Params: seeds, generations, regimes."""

from herdbook.files import write_text
from herdbook.layout import PARAMS, REPORT
from herdbook.params import read_params
from herdbook.report.chart import VEGA_LITE
from herdbook.report.page import page
from herdbook.report.run import read_run


def main(args: list[str]) -> None:
    """Report: no arguments."""
    import vl_convert

    run = read_run(read_params(PARAMS))
    write_text(REPORT, page(run, vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)))
