"""All measurements but the bounds, which need a finished run (bench/bounds.py)."""

from bench import interrupt, pipeline, startup, walk

for module in (startup, interrupt, walk, pipeline):
    module.main()
