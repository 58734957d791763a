"""``web``: the page for operators, served."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any

import click
from prometheus_client import CollectorRegistry

from lease_actors.cli.options import Target, on_store
from lease_actors.cli.signals import handling, terminate

__all__ = ["COMMANDS"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", "-p", type=click.IntRange(0, 65535), default=8414, show_default=True)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Who knows the token in this file may revoke and pin.  [default: LEASE_ACTORS_WEB_TOKEN]",
)
@on_store
def web(target: Target, host: str, port: int, token_file: Path | None) -> None:
    """Serve the page for operators until Ctrl-C: leases, queues, history, metrics, health.

    Without a token it only reads. It asks nobody who he is: let it listen beyond this machine only
    behind something that does.
    """
    try:
        from waitress.server import create_server

        from lease_actors.web import LeasesApp
    except ModuleNotFoundError as error:
        raise click.UsageError("this command needs: pip install 'lease-actors[web]'") from error
    token = _read(token_file) if token_file else os.environ.get("LEASE_ACTORS_WEB_TOKEN")
    # A request that waits for a thread for a moment is no news to whoever reads our stderr.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    registry, stopped_by = CollectorRegistry(), list[int]()

    def stop(signum: int) -> None:
        stopped_by.append(signum)
        raise KeyboardInterrupt  # the one end that the server knows

    with target.open(prometheus_registerer=registry) as manager:
        try:
            app = LeasesApp(
                manager, token=token or None, registry=registry, title=target.describe()
            )
            server = create_server(app, host=host, port=port, ident="lease-actors")
        except (OSError, ValueError) as error:
            raise click.UsageError(f"cannot serve on {host}:{port}: {error}") from error
        click.echo(f"serving on {_address(server)} until Ctrl-C")
        with handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), stop):
            server.run()
        server.close()
    if stopped_by:
        terminate(stopped_by[0])


def _read(token_file: Path) -> str:
    try:
        token = token_file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise click.UsageError(f"the token file {str(token_file)!r} is not text") from None
    if not token:
        raise click.UsageError(f"the token file {str(token_file)!r} is empty")
    return token


def _address(server: Any) -> str:
    """Where it listens; on more than one address, if the host's name has several."""
    places = getattr(server, "effective_listen", None) or [
        (server.effective_host, server.effective_port)
    ]
    return ", ".join(f"http://{f'[{h}]' if ':' in h else h}:{port}/" for h, port in places)


COMMANDS = (web,)
