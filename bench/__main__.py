"""All measurements but the bounds, which need a finished run (bench/bounds.py)."""

from bench import pipeline, startup, walk

for module in (startup, walk, pipeline):
    module.main()
