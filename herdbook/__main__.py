"""The command line, as `python -m herdbook` and as `herdbook`."""

import signal

from herdbook import interrupt


def main() -> None:
    """Run the command line; Ctrl-C while its libraries are being loaded ends it as it does later.

    (By a handler: a KeyboardInterrupt within what a library builds while it is imported may end as another error, or by the signal.)"""
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, lambda *_: interrupt.end())
    from herdbook import cli

    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
