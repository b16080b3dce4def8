"""The register of claims: which claim was made before its results, as a chain of lines that git carries.

journal/register.jsonl has a line a registration. A claim is registered where its last line is of exactly this claim, these
parameters, policies and analysis, and no result existed then; else it is exploratory, and says why."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from herdbook.chain import linked, parse_chain, read_chain, write_chain
from herdbook.claims import Claim, Standing
from herdbook.control import Contrast, Id, Part
from herdbook.errors import ClaimError
from herdbook.files import canonical_json, digest, digest_bytes, strict_yaml
from herdbook.layout import EXPECTATIONS, PARAMS, REGISTER

SCHEMA = 1
_ANALYSIS = ("claims", "control", "judgement", "judging")  # of herdbook/: what a claim is, and how it is judged
_GROWING = ("births", "bred", "generations", "seeds")  # of params.yaml: one more undoes no registration, for a claim names its own
_SHOWN = 2  # places where results were found, in a reason


class Conditions(Part):
    """What a claim is registered under, each as a sha256."""

    params: str  # params.yaml less seeds and generations
    policies: str  # expectations/
    analysis: str  # the modules of herdbook/ that say what a claim is and how it is judged


class Registration(Part):
    """One line of the register."""

    number: int  # from 1
    previous: str  # sha256 of the line before, without its line break
    id: Id
    claim: dict[str, Any]  # its document, controls included
    claim_digest: str
    conditions: Conditions
    results_existed: tuple[str, ...]  # where results were found when it was registered

    @property
    def link(self) -> dict[str, Any]:
        """The object of its line."""
        return {"schema": SCHEMA, **self.model_dump(mode="json")}

    @property
    def contrast(self) -> Contrast:
        """What its claim compares."""
        return Contrast.model_validate(self.claim["contrast"])

    @property
    def seeds(self) -> tuple[str, ...]:
        """The seeds of its claim."""
        return tuple(map(str, self.claim["seeds"]))


def conditions(root: Path) -> Conditions:
    """The conditions that hold at `root` now; ClaimError where params.yaml cannot be read."""
    try:
        params = params_digest(strict_yaml((root / PARAMS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ClaimError(f"{PARAMS}: cannot be read ({' '.join(str(error).split())[:200]}); correct it") from error
    policies = {path.name: digest(path) for path in sorted((root / EXPECTATIONS).glob("*.yaml"))}
    code = {name: digest(root / "herdbook" / f"{name}.py") for name in _ANALYSIS}
    return Conditions(params=params, policies=_digest(policies), analysis=_digest(code))


def params_digest(document: Mapping[str, Any]) -> str:
    """The digest of the document of params.yaml, less what may grow."""
    return _digest({name: value for name, value in document.items() if name not in _GROWING})


def _digest(value: Any) -> str:
    return digest_bytes(canonical_json(value).encode())


def read_register(path: Path = REGISTER) -> list[Registration]:
    """The registrations in a file, oldest first; none where there is no file. ClaimError as parse_register."""
    return _registrations(read_chain(path), path.as_posix())


def parse_register(text: str, where: str = REGISTER.as_posix()) -> list[Registration]:
    """The registrations of a text, oldest first; ClaimError names the first line that is none, or that breaks the chain."""
    return _registrations(parse_chain(text, where), where)


def _registrations(links: Iterable[Mapping[str, Any]], where: str) -> list[Registration]:
    return [_registration(link, f"{where}: line {number}", where) for number, link in enumerate(links, 1)]


def _registration(link: Mapping[str, Any], place: str, where: str) -> Registration:
    values = dict(link)
    if (schema := values.pop("schema", None)) != SCHEMA:
        raise ClaimError(f"{place}: is of schema {str(schema)[:12]}, this version reads {SCHEMA}; install the herdbook that wrote it")
    try:
        found = Registration.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])[:80]
        raise ClaimError(f"{place}: {key}: {fault['msg']}, so it was altered; restore it: git checkout {where}") from error
    if _digest(found.claim) != found.claim_digest or found.claim.get("id") != found.id:
        raise ClaimError(f"{place}: its claim is not the one that its digest or its id names; restore it: git checkout {where}")
    try:
        _ = found.contrast, found.seeds, str(found.claim["sentence"])
    except (KeyError, TypeError, ValueError) as error:
        raise ClaimError(f"{place}: its claim has no contrast, seeds or sentence; restore it: git checkout {where}") from error
    return found


def register(claim: Claim, now: Conditions, evidence: Sequence[str], before: Sequence[Registration]) -> Registration:
    """The next line of the register. Raises ClaimError where the claim's last registration says the same."""
    if is_registered(claim, now, before):
        raise ClaimError(f"{claim.id}: is registered already, and nothing has changed since; breed its seeds and judge it: herdbook run")
    values = {
        "id": claim.id,
        "claim": claim.document,
        "claim_digest": claim.digest,
        "conditions": now,
        "results_existed": tuple(evidence),
    }
    return Registration.model_validate(linked([one.link for one in before], values))


def write_register(registrations: Iterable[Registration], path: Path = REGISTER) -> None:
    """Write a register whole, or leave the one that is there."""
    write_chain(path, [one.link for one in registrations])


def last_of(name: str, registrations: Sequence[Registration]) -> Registration | None:
    """The last registration of a claim; None where there is none."""
    return next((one for one in reversed(registrations) if one.id == name), None)


def is_registered(claim: Claim, now: Conditions, registrations: Sequence[Registration]) -> bool:
    """Whether a claim's last registration is of exactly this claim and these conditions, before its results or after."""
    last = last_of(claim.id, registrations)
    return last is not None and (last.claim_digest, last.conditions) == (claim.digest, now)


def ever_registered(registrations: Iterable[Registration]) -> set[str]:
    """The digests of all claims that were ever registered, the family that verdicts are adjusted for: a claim tried anew is one more."""
    return {one.claim_digest for one in registrations}


def amended(claim_id: str, registrations: Sequence[Registration]) -> list[int]:
    """The numbers of a claim's earlier registrations that were of other content than its last one."""
    last = last_of(claim_id, registrations)
    return [one.number for one in registrations if last and one.id == claim_id and one.claim_digest != last.claim_digest]


def standing(claim: Claim, registrations: Sequence[Registration], now: Conditions) -> Standing:
    """Whether a claim was registered before its results, and if not so, each reason."""
    last = last_of(claim.id, registrations)
    if last is None:
        return Standing(registered=False, reasons=("it was never registered",))
    reasons = []
    if last.claim_digest != claim.digest:
        reasons.append(f"it was changed after its registration {last.number}: {', '.join(_changed(last.claim, claim.document))}")
    for what, name in (("parameters", "params"), ("policies", "policies"), ("analysis", "analysis")):
        if getattr(last.conditions, name) != getattr(now, name):
            reasons.append(f"the {what} were changed after its registration {last.number}")
    if existed := last.results_existed:
        more = f" and {len(existed) - _SHOWN} more" if len(existed) > _SHOWN else ""
        reasons.append(f"results existed when it was registered: {'; '.join(existed[:_SHOWN])}{more}")
    return Standing(registered=not reasons, reasons=tuple(reasons))


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def standings(claims: Iterable[Claim], registrations: Sequence[Registration], now: Conditions) -> dict[str, Standing]:
    """The standing of each claim, by id."""
    return {claim.id: standing(claim, registrations, now) for claim in claims}
