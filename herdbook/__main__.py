"""The command line, as `python -m herdbook` and as `herdbook`."""

import os
import signal
import sys
from pathlib import Path

from herdbook import interrupt


def main() -> None:
    """Run the command line; Ctrl-C while its libraries are being loaded ends it as it does later.

    (By a handler: a KeyboardInterrupt within what a library builds while it is imported may end as another error, or by the signal.)"""
    own = Path("herdbook/__main__.py")
    if Path(sys.argv[0]).name == "herdbook" and own.is_file() and not own.samefile(__file__):
        # A project has its code with it, which its stages run: the command that was installed elsewhere must not be another.
        os.execv(sys.executable, [sys.executable, "-m", "herdbook", *sys.argv[1:]])
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, lambda *_: interrupt.end())
    from herdbook import cli

    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
