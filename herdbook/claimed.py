"""What is claimed here: each claim with its standing and, where it is judged as it stands, its verdict."""

from pathlib import Path
from typing import Any

from herdbook.claims import read_hypotheses
from herdbook.errors import FileError
from herdbook.layout import HYPOTHESES, VERDICT_RECORD
from herdbook.records import read_object
from herdbook.registration import conditions, last_of, read_register, standing


def claimed() -> list[dict[str, Any]]:
    """Each claim of hypotheses.yaml in the working directory, as plain values: id, sentence, registered, exploratory_because,
    registration (its number), verdict and in_words.

    Raises ClaimError or FileError where claims, register or verdicts cannot be read."""
    registrations, now = read_register(), conditions(Path())
    judged = read_object(VERDICT_RECORD).get("claims", []) if VERDICT_RECORD.is_file() else []
    try:
        verdicts = {result["id"]: (result["digest"], result["verdict"], result["in_words"]) for result in judged}
    except (KeyError, TypeError) as error:
        raise FileError(f"{VERDICT_RECORD}: no list of verdicts; write it anew: dvc repro compare") from error
    unjudged = "not judged as it stands: herdbook run" if judged else "not judged yet: herdbook run"
    found = []
    for claim in read_hypotheses(HYPOTHESES).claims:
        of_claim, last, result = standing(claim, registrations, now), last_of(claim.id, registrations), verdicts.get(claim.id)
        is_judged = result is not None and result[0] == claim.digest
        found.append(
            {
                "id": claim.id,
                "sentence": claim.sentence,
                "registered": of_claim.registered,
                "exploratory_because": list(of_claim.reasons),
                "registration": last and last.number,
                "verdict": result[1] if result is not None and is_judged else None,
                "in_words": result[2] if result is not None and is_judged else unjudged,
            }
        )
    return found
