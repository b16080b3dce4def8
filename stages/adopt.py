"""Enter the founder of a seed into one lineage as its generation 0.

Reads the human training rows with their receipt, and what train and sample wrote for the founder.
Writes training/ (the human rows, scored) and offspring/ (those of the regime's decoding) of g0, and
copies of the founder's loss.json and examples.json. Params: decodings, regimes.R.decoding."""

from herdbook.errors import ParamsError
from herdbook.files import digest, read_json, read_table, write_json, write_table, written_aside
from herdbook.layout import HUMAN_TRAIN, MAKING, PARAMS, Place
from herdbook.params import Decoding, read_params
from herdbook.receipt import read_passed_human
from herdbook.regimes import in_pass
from herdbook.schema import ROWS
from herdbook.training_set import SCORES, scored, write_training


def name_of(decoding: Decoding, decodings: dict[str, Decoding]) -> str:
    """The name under which `decodings` holds the same settings."""
    return next(name for name, settings in decodings.items() if settings == decoding)


def main(args: list[str]) -> None:
    """Adopt: `adopt REGIME SEED`."""
    params = read_params(PARAMS)
    match args:
        case [regime, seed] if regime in params.regimes:
            place = Place(regime, seed, "g0")
        case _:
            raise ParamsError(f"arguments are {args}, must be REGIME SEED; regimes: {', '.join(params.regimes)}")
    founder = place.founder

    rows = scored(read_table(read_passed_human(), ROWS), read_table(founder.human_nll, SCORES))
    write_training(place, in_pass(rows, 0), rows, {"human": digest(HUMAN_TRAIN)}, [])

    decoding = name_of(params.regimes[regime].decoding, params.decodings)
    with written_aside(place.offspring) as aside:
        write_table(aside / "rows.parquet", read_table(founder.offspring / decoding / "rows.parquet", ROWS))
        write_json(aside / MAKING, read_json(founder.offspring / decoding / MAKING))
    write_json(place.loss, read_json(founder.loss))
    write_json(place.examples, read_json(founder.examples)[decoding])
