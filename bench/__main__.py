"""All measurements but the bounds, which need a finished run (bench/bounds.py)."""

from bench import book, interrupt, pipeline, startup, walk

for module in (startup, interrupt, walk, book, pipeline):
    module.main()
