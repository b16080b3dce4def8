"""All measurements but the bounds, which need a finished run (bench/bounds.py); bars and the picture of growth are made of them."""

import importlib

MEASURED = (
    "startup", "model", "smollm2", "gpu", "interrupt", "walk", "labs", "validate", "blend", "steps", "curate", "verifiers", "book",
    "report", "pipeline", "growth", "bars",
)  # fmt: skip

for name in MEASURED:
    importlib.import_module(f"bench.{name}").main()
