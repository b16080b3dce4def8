"""All measurements but the bounds, which need a finished run (bench/bounds.py)."""

from bench import bars, book, curate, interrupt, labs, model, pipeline, report, startup, verifiers, walk

for module in (startup, model, interrupt, walk, labs, curate, verifiers, book, report, pipeline, bars):
    module.main()
