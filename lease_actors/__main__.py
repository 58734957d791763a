"""The ``lease-actors`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lease_actors._version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(
        prog="lease-actors",
        description="Leases for threaded programs: one holder at a time, and a fair queue.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "demo", help="three contenders for one lease: a hand-over, a crash, a pin (some 5 s)"
    )
    parser.parse_args(arguments)
    from lease_actors.cli.demo import run

    try:
        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
