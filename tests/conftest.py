"""Tests compute as stages do: the environment is pinned before any numeric library is imported."""

import os

from herdbook.numeric import PINS

os.environ.update(PINS)
