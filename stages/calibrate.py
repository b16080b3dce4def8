"""Find anew what is known of model collapse, by the regimes that language models are bred by.

Writes reports/calibration/NAME/: result.json, and pictures where there are any. A figure outside its interval is a result
like any other; what it means for a run is decided elsewhere. Params: calibrate.NAME."""

from herdbook.calibration import digits, discrete, gaussian, mixture, regression
from herdbook.calibration.check import NAMES, Outcome, result
from herdbook.calibration.settings import Calibrate
from herdbook.errors import ParamsError
from herdbook.files import canonical_json, written_aside
from herdbook.layout import CALIBRATION, PARAMS
from herdbook.params import read_params


def calibrate(name: str, settings: Calibrate) -> Outcome:
    """What the calibration of this name finds."""
    match name:
        case "gaussian":
            return gaussian.calibrate(settings.gaussian)
        case "mixture":
            return mixture.calibrate(settings.mixture)
        case "discrete":
            return discrete.calibrate(settings.discrete)
        case "digits":
            return digits.calibrate(settings.digits)
        case "regression":
            return regression.calibrate(settings.regression)
    raise ParamsError(f"calibration is {name!r}, must be one of {', '.join(NAMES)}")


def main(args: list[str]) -> None:
    """Calibrate: `calibrate NAME`."""
    if len(args) != 1:
        raise ParamsError(f"arguments are {args}, must be the NAME of a calibration: {', '.join(NAMES)}")
    name, settings = args[0], read_params(PARAMS).calibrate
    outcome = calibrate(name, settings)
    found = result(name, getattr(settings, name).model_dump(mode="json"), outcome)
    with written_aside(CALIBRATION / name) as folder:
        folder.mkdir()
        (folder / "result.json").write_text(canonical_json(found), encoding="utf-8", newline="\n")
        for sheet, picture in outcome.sheets.items():
            (folder / f"{sheet}.png").write_bytes(picture)
