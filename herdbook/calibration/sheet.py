"""Pictures side by side, as PNG: the same pictures give the same bytes."""

from collections.abc import Mapping, Sequence

import numpy as np

_NUM_PICTURES = 10  # of a model
_MAX_ROWS = 6  # of a regime: first, last, and those between at equal steps
_NUM_SHADES = 16
_GAP = 0.15  # between pictures, as a share of one
_FONT = "Liberation Sans"  # which vl-convert brings along, so that no font of the machine shows
_WIDTH_PIXELS = 1400
_MARGIN = 1.2  # left, for the label of a row


def sheet(human: np.ndarray, offspring: Mapping[str, Sequence[np.ndarray]], side: int) -> bytes:
    """The first pictures of the human rows and of what the models of one lineage of each regime made, row by row.

    human: shape (n, side * side), 0 (paper) to 1 (ink); offspring: such an array for each fit. Regimes stand beside each other."""
    import vl_convert

    step = side * (1 + _GAP)
    width = _MARGIN * step + _NUM_PICTURES * step
    panels = [_panel(regime, human, fits, side, step) for regime, fits in offspring.items()]
    height = max(num_rows for _, num_rows in panels) * step + step
    body = "\n".join(f'<g transform="translate({_number(place * width)} 0)">\n{panel}\n</g>' for place, (panel, _) in enumerate(panels))
    box = f"0 0 {_number(len(panels) * width)} {_number(height)}"
    pixels = round(_WIDTH_PIXELS * height / (len(panels) * width))
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{_WIDTH_PIXELS}" height="{pixels}" '
        f'font-family="{_FONT}" font-size="{_number(side * 0.4)}">\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )
    picture: bytes = vl_convert.svg_to_png(drawing)
    return picture


def _panel(regime: str, human: np.ndarray, fits: Sequence[np.ndarray], side: int, step: float) -> tuple[str, int]:
    """The rows of a regime, and how many there are."""
    shown = sorted({round(at) for at in np.linspace(1, len(fits), min(len(fits), _MAX_ROWS))})
    rows = [("human", human), *((f"fit {n}", fits[n - 1]) for n in shown)]
    parts = [f'<text x="{_number(_MARGIN * step)}" y="{_number(step * 0.6)}">{regime}</text>']
    for place, (name, pictures) in enumerate(rows, start=1):
        parts.append(f'<text x="{_number(side * 0.1)}" y="{_number((place + 0.6) * step)}">{name}</text>')
        parts += [_picture(pixels, side, (_MARGIN + n) * step, place * step) for n, pixels in enumerate(pictures[:_NUM_PICTURES])]
    return "\n".join(parts), len(rows)


def _picture(pixels: np.ndarray, side: int, x: float, y: float) -> str:
    """One picture: a path a shade, a square a pixel."""
    shades = np.rint(np.clip(pixels, 0, 1) * (_NUM_SHADES - 1)).astype(int).reshape(side, side)
    paths = []
    for shade in range(1, _NUM_SHADES):
        squares = "".join(f"M{column} {row}h1v1h-1z" for row, column in np.argwhere(shades == shade))
        if squares:
            paths.append(f'<path d="{squares}" fill-opacity="{_number(shade / (_NUM_SHADES - 1))}"/>')
    return f'<g transform="translate({_number(x)} {_number(y)})" shape-rendering="crispEdges">{"".join(paths)}</g>'


def _number(value: float) -> str:
    return f"{value:.4g}"
