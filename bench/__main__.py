"""All measurements but the bounds, which need a finished run (bench/bounds.py)."""

from bench import (
    bars,
    blend,
    book,
    curate,
    growth,
    interrupt,
    labs,
    model,
    pipeline,
    report,
    smollm2,
    startup,
    steps,
    validate,
    verifiers,
    walk,
)

for module in (
    startup,
    model,
    smollm2,
    interrupt,
    walk,
    labs,
    validate,
    blend,
    steps,
    curate,
    verifiers,
    book,
    report,
    pipeline,
    growth,
    bars,
):
    module.main()
