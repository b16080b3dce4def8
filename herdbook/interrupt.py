"""How every command ends that a person stops with Ctrl-C. It imports nothing heavy: it is wanted while the rest is being loaded."""

import sys
from typing import NoReturn

INTERRUPTED = 130  # exit status


def end() -> NoReturn:
    """Say so in one line, and exit."""
    print("herdbook: interrupted; nothing is left half-written", file=sys.stderr)
    sys.exit(INTERRUPTED)
