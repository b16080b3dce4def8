"""How a lineage ends: a generation that its gate stopped leaves a marker in place of data, and so do its descendants."""

from pathlib import Path

from herdbook.files import canonical_json, read_json, written_aside

MARKER = "not_bred.json"
NOT_BRED = "not bred"  # the status of a record that stands in for another


def not_bred(directory: Path) -> dict[str, object] | None:
    """Why `directory` holds no data: {generation, dataset, rules}; None where the generation was bred."""
    marker = directory / MARKER
    return read_json(marker) if marker.exists() else None


def write_not_bred(directory: Path, stop: dict[str, object]) -> None:
    """Put the reason that ended the lineage where data would have been."""
    with written_aside(directory) as aside:
        aside.mkdir()
        (aside / MARKER).write_text(canonical_json(stop), encoding="utf-8")
