"""The commands about claims: register, claims, publish."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from herdbook import complete
from herdbook.cli_book import Json
from herdbook.errors import ClaimError, one_line
from herdbook.layout import GENERATIONS, HYPOTHESES, JOURNAL, PARAMS, REGISTER
from herdbook.phases import phases

if TYPE_CHECKING:
    from herdbook.claims import Claim, Hypotheses
    from herdbook.params import Params
    from herdbook.registration import Conditions, Registration

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...",
        help="Of claims in hypotheses.yaml; without any, all.",
        show_default=False,
        autocompletion=complete.claim_ids,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (register, claims, publish):
        app.command()(command)


def register(ids: Ids = None, as_json: Json = False) -> None:
    """Register claims before their results: append each, with what it is judged by, to journal/register.jsonl.

    Without ids, all claims that are not registered as they stand. A claim whose results exist already is recorded, too, and
    stays exploratory. Commit journal/ before you breed the claim's seeds: the commit is what shows which came first.

    Example: herdbook register replace-against-accumulate"""
    from herdbook.claims import read_hypotheses
    from herdbook.journal import read_publications, write_index
    from herdbook.params import read_params
    from herdbook.past import demand_grown
    from herdbook.registration import conditions, read_register, write_register
    from herdbook.registration import register as next_of
    from herdbook.results_before import evidence

    _demand_project()
    with phases("registering") as begin:
        demand_grown(Path(), REGISTER)
        hypotheses, before, params, now = read_hypotheses(HYPOTHESES), read_register(), read_params(PARAMS), conditions(Path())
        chosen = _chosen(ids or [], hypotheses, before, now)
        for claim in chosen:
            demand_named(claim, params)
        registrations, advance = list(before), begin("claims", len(chosen))
        for claim in chosen:
            registrations.append(next_of(claim, now, evidence(Path(), claim), registrations))
            advance(1)
    if chosen:
        write_register(registrations)
    write_index(hypotheses, registrations, read_publications())
    made = registrations[len(before) :]
    if as_json:
        print(json.dumps([one.link for one in made], sort_keys=True, indent=2))
        return
    for one in made:
        print(one_line(_told(one)))
    if chosen:
        print(f"commit {JOURNAL} before you breed")
    elif hypotheses.claims:
        print("nothing to register: each claim is registered as it stands")
    else:
        print(f"nothing to register: {HYPOTHESES} claims nothing")


def _demand_project() -> None:
    if not HYPOTHESES.is_file():
        raise ClaimError(f"{HYPOTHESES}: not in {Path.cwd()}; run this in the folder of a project, which holds it")


def _told(one: "Registration") -> str:
    if one.results_existed:
        return f"{one.id}: recorded as number {one.number}, EXPLORATORY, because results exist: {'; '.join(one.results_existed)}"
    return f"{one.id}: registered as number {one.number}, digest {one.claim_digest[:12]}"


def _chosen(ids: Sequence[str], hypotheses: "Hypotheses", before: "Sequence[Registration]", now: "Conditions") -> "list[Claim]":
    from herdbook.registration import is_registered

    if ids:
        return [_found(name, hypotheses) for name in dict.fromkeys(ids)]
    return [claim for claim in hypotheses.claims if not is_registered(claim, now, before)]


def _found(name: str, hypotheses: "Hypotheses") -> "Claim":
    for claim in hypotheses.claims:
        if claim.id == name:
            return claim
    raise ClaimError(f"{name}: no claim of {HYPOTHESES}; there are {', '.join(claim.id for claim in hypotheses.claims) or 'none'}")


def demand_named(claim: "Claim", params: "Params") -> None:
    """Refuse a claim on what params.yaml does not breed: a regime, a generation or a seed, of its controls too."""
    measured = _metrics()
    for part in (claim, *claim.controls):
        where = claim.id if part is claim else f"{claim.id}: control {part.id}"
        sides = (part.contrast.treatment, part.contrast.control)
        if part.metric not in measured:
            raise ClaimError(f"{where}: metric {part.metric} is no column of {GENERATIONS}, such as {', '.join(measured[:3])}; correct it")
        for key, named, known in (
            ("regimes", [side.regime for side in sides], list(params.regimes)),
            ("generations", [f"g{side.generation}" for side in sides], list(params.generations)),
            ("seeds", list(part.seeds), list(params.seeds)),
        ):
            if unknown := [name for name in named if name not in known]:
                raise ClaimError(
                    f"{where}: {unknown[0]} is none of {key} in {PARAMS} ({', '.join(known)}); add it there, or correct the claim"
                )


def _metrics() -> list[str]:
    """What can be compared: the charted figures and, where there is a table of generations, its other columns."""
    from herdbook.figures import FIGURES

    columns = GENERATIONS.read_text(encoding="utf-8").split("\n")[0].split(",") if GENERATIONS.is_file() else []
    return [*(figure.column for figure in FIGURES), *columns]


def claims(as_json: Json = False) -> None:
    """Show each claim: whether it is registered, and its verdict.

    Example: herdbook claims"""
    from herdbook.claimed import claimed

    _demand_project()
    found = claimed()
    if as_json:
        print(json.dumps(found, sort_keys=True, indent=2))
    else:
        _print(found)


def _print(found: Sequence[Mapping[str, Any]]) -> None:
    """A block a claim. An id is typed again, so it is never broken; a table would cut what stands beside a long one."""
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    for claim in found:
        because = "; ".join(claim["exploratory_because"])
        standing = f"registered as number {claim['registration']}" if claim["registered"] else f"EXPLORATORY: {because}"
        console.print(Text(one_line(claim["id"]), style="bold"), soft_wrap=True)
        for line in (claim["sentence"], standing, claim["in_words"]):
            console.print(Padding(Text(one_line(line)), (0, 0, 0, 2)))


def publish(ids: Ids = None, as_json: Json = False) -> None:
    """Write journal/ID.md, .json and .svg for judged claims, whatever the verdict, and the index of all registrations.

    Example: herdbook publish replace-against-accumulate"""
    from herdbook.journal import publish as core
    from herdbook.past import demand_grown

    _demand_project()
    with phases("publishing") as begin:
        demand_grown(Path(), REGISTER)
        published = core(ids or [], begin)
    if as_json:
        print(json.dumps([{**done.publication.link, "is_new": done.is_new} for done in published], sort_keys=True, indent=2))
        return
    for done in published:
        one = done.publication
        marked = f"{one.verdict}{', EXPLORATORY' if one.exploratory else ''}"
        print(f"{JOURNAL / one.id}.md: {marked}, {f'published as number {one.number}' if done.is_new else 'as published before'}")
