"""How cost grows, in one picture: `python -m bench.growth` draws bench/growth.svg from the files beside it, of what they measured.

CPU seconds over rows, over generations, and of the flow itself over stages, both axes logarithmic, so that a line of slope 1 is
proportional growth. Beside each name stands its exponent, the slope, as the files have it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.book import BY_GENERATIONS
from bench.rounds import GROWTH_FROM, exponent
from herdbook.files import read_json, write_text
from herdbook.report.chart import SHAPES, VEGA_LITE

FOUND = Path("bench/growth.svg")
_FONT = "Liberation Sans"  # vl-convert brings it along
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222")  # of Okabe and Ito
_SIDE = 300


@dataclass(frozen=True)
class Line:
    """One stage at several sizes."""

    name: str
    points: dict[int, float]  # size -> CPU seconds
    exponent: float


def of_rows() -> list[Line]:
    """The stages over the rows of a set, and the audit of every row of two generations."""
    validate, blend, steps, book = (read_json(Path(f"bench/{name}.json")) for name in ("validate", "blend", "steps", "book"))
    found = [
        Line(f"validate {kind}", _points({size: one[kind] for size, one in validate["sets"].items() if kind in one}), growth["ours"])
        for kind, growth in validate["growth_exponents"].items()
        if "ours" in growth
    ]
    found.append(Line("blend", _points(blend["sets"]), blend["growth_exponents"]["ours"]))
    for step, growth in steps["growth_exponents"].items():
        found.append(Line(f"curate: {step}", _points({size: one[step] for size, one in steps["sets"].items()}), growth["ours"]))
    audits = [book["herds"][name] for name in ("2x100000", "2x1000000")]
    points = {audit["num_rows"]: audit["audit_rows"]["cpu_seconds"] for audit in audits}
    return [*found, Line("audit of every row", points, exponent(points))]


def of_generations() -> list[Line]:
    """The audit at its three levels, and the trace of a row, over generations of 10,000 rows."""
    book = read_json(Path("bench/book.json"))
    herds = [book["herds"][name] for name in BY_GENERATIONS]
    names = {"audit_rows": "audit of every row", "audit_hashes": "audit that hashes", "trace_of_a_row": "trace of a row"}
    points = {what: {herd["num_generations"]: herd[what]["cpu_seconds"] for herd in herds} for what in names}
    return [Line(name, points[what], exponent(points[what])) for what, name in names.items()]


def of_stages() -> list[Line]:
    """The flow over the stages of a graph."""
    walk = read_json(Path("bench/walk.json"))
    names = {"full": "flow, all stages run", "nothing_changed": "flow, nothing to do"}
    return [
        Line(name, {graph["stages"]: graph[what]["cpu_seconds"] for graph in walk["graphs"]}, walk["growth_exponents"][what])
        for what, name in names.items()
    ]


def _points(sets: dict[str, Any]) -> dict[int, float]:
    """By size, from the least that exponents are taken from."""
    return {size: sets[str(size)]["ours"]["cpu_seconds"]["median"] for size in sorted(map(int, sets)) if size >= GROWTH_FROM}


def panel(lines: list[Line], of: str) -> dict[str, Any]:
    """The specification of one part."""
    names = [f"{line.name}: {line.exponent:.2f}" for line in lines]
    values = [
        {"size": size, "seconds": seconds, "line": name}
        for name, line in zip(names, lines, strict=True)
        for size, seconds in line.points.items()
    ]
    axis = {"type": "quantitative", "scale": {"type": "log", "nice": False, "padding": 12}}
    numbers = {"labelOverlap": True, "gridOpacity": 0.4}
    key = {"field": "line", "type": "nominal", "sort": names, "title": ["of what, and its", "exponent of growth"]}
    return {
        "width": _SIDE,
        "height": _SIDE,
        "data": {"values": values},
        "mark": {"type": "line", "point": {"filled": True, "size": 50}, "strokeWidth": 1.5},
        "encoding": {
            "x": {**axis, "field": "size", "title": of, "axis": {**numbers, "format": "~s"}},
            "y": {**axis, "field": "seconds", "title": "CPU seconds", "axis": {**numbers, "format": "~g"}},
            "color": {**key, "scale": {"domain": names, "range": [_COLOURS[n % len(_COLOURS)] for n in range(len(names))]}},
            "shape": {**key, "scale": {"domain": names, "range": list(SHAPES[: len(names)])}},
        },
    }


def spec() -> dict[str, Any]:
    """The Vega-Lite specification of the three parts."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": "CPU seconds over the rows of a set, the generations of a herd and the stages of a graph, with exponents of growth.",
        "background": "white",
        "config": {"font": _FONT, "legend": {"labelLimit": 260}, "axis": {"titleFontWeight": "normal"}},
        "hconcat": [panel(of_rows(), "rows"), panel(of_generations(), "generations"), panel(of_stages(), "stages")],
        "resolve": {"scale": {"color": "independent", "shape": "independent"}},
    }


def svg() -> str:
    """The picture of the files as they lie in the working directory."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec(), vl_version=VEGA_LITE)) + "\n"


def main() -> None:
    """Write bench/growth.svg."""
    write_text(FOUND, svg())


if __name__ == "__main__":
    main()
