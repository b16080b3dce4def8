"""A stage that draws a bar, and what is heard of it."""

import os
import subprocess
import sys

import pytest

from herdbook import overheard
from tests.miniature import ROOT
from tests.terminal import Kept

DRAWS = """
import sys, time
from herdbook.progress import steps
for name, count in (("train", 4), ("score", 2)):
    with steps(name, count) as advance:
        for _ in range(count):
            advance()
            time.sleep(0.2)
print("herdbook: 7% is not a bar", file=sys.stderr)
sys.exit(3)
"""


def heard(code, kept):
    return overheard.run([sys.executable, "-c", code], ROOT, {**os.environ}, "stages train", kept)


def test_each_bar_is_told_on_and_left_out_of_what_was_said():
    kept = Kept()
    done = heard(DRAWS, kept)
    assert (done.returncode, done.stderr.strip()) == (3, "herdbook: 7% is not a bar")
    assert kept.phases == [("stages train", None), ("stages train", 100), ("stages train", 100)]
    assert kept.done[1:] == [100, 100]


def test_a_program_that_draws_nothing_is_one_phase():
    kept = Kept()
    assert heard("print('x')", kept).stderr == ""
    assert kept.phases == [("stages train", None)]


def test_what_is_interrupted_is_killed():
    pids = []

    def begin(phase, total=None):
        if total is not None:
            raise KeyboardInterrupt
        return lambda count: None

    code = "import sys, time\nprint(' 4% 0:00:01', file=sys.stderr, flush=True)\ntime.sleep(3600)"
    started = subprocess.Popen

    def start(*words, **options):
        process = started(*words, **options)
        pids.append(process.pid)
        return process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", start)
        with pytest.raises(KeyboardInterrupt):
            heard(code, begin)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
