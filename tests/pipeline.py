"""What dvc.yaml says: read as text, nothing run."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PIPELINE: dict[str, dict] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def module_of(stage: str) -> str:
    """The module that a stage's command runs: `python -m stages NAME ...`."""
    words = PIPELINE[stage]["cmd"].split()
    assert words[:3] == ["python", "-m", "stages"]
    return words[3]
