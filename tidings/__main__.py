"""Starts the command line."""

import sys

from tidings.cli import run


def main() -> None:
    """The ``tidings`` command: exit 0 done, 1 refused or check failed, 2 usage."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
