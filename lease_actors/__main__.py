"""The ``lease-actors`` command. Without the extra ``cli`` it can do one thing: the demo."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lease_actors._version import __version__

_NEEDS = "lease-actors: this command needs an extra: pip install 'lease-actors[cli]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ModuleNotFoundError:
        return _without_extra(tuple(arguments))
    from lease_actors.cli.main import main

    return main(arguments)


def _without_extra(arguments: tuple[str, ...]) -> int:
    if arguments == ("--version",):
        sys.stdout.write(f"lease-actors, version {__version__}\n")
        return 0
    if arguments != ("demo",):
        sys.stderr.write(f"{_NEEDS} (without it there is: lease-actors demo)\n")
        return 2
    from lease_actors.cli.demo import run
    from lease_actors.cli.streams import make_ready

    make_ready()
    try:
        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
