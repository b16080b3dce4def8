"""The program of a run, `python -m flows [--jobs N]`, which `herdbook run` calls: Ctrl-C is answered from its first line on."""

import os
import signal
import sys

from herdbook import interrupt
from herdbook.interrupt import INTERRUPTED


def main() -> int:
    """Run the pipeline; Ctrl-C while the libraries are being loaded ends it in one line, as it does later."""
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # who starts this program may keep Ctrl-C back until it is answered here
    from flows import run

    try:
        if is_heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return run.main()
    except KeyboardInterrupt:
        interrupt.end()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said and done; python itself takes a while to end


def _end(*_: object) -> None:
    """Say so and end at once: nothing has begun, and a library may swallow what is raised while it is imported."""
    try:
        interrupt.end()
    finally:
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
