"""`python -m herdbook` is the command line."""

from herdbook.cli import main

if __name__ == "__main__":
    main()
