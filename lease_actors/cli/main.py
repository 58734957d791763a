"""The ``lease-actors`` command: which commands there are, and how each of them ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence

import click
from click.shell_completion import get_completion_class, shell_complete

from lease_actors._version import __version__
from lease_actors.cli import (
    bench,
    database,
    doctor,
    history,
    reading,
    run,
    status,
    top,
    web,
    writing,
)
from lease_actors.cli.demo import run as run_demo
from lease_actors.cli.signals import Terminated, handling, terminate
from lease_actors.cli.streams import make_ready
from lease_actors.errors import LeaseError

__all__ = ["main"]

PROGRAM = "lease-actors"
_COMPLETE = "_LEASE_ACTORS_COMPLETE"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name=PROGRAM)
@click.option("--verbose", "-v", is_flag=True, help="Say on stderr what the manager logs.")
@click.pass_context
def commands(context: click.Context, verbose: bool) -> None:
    """Leases: one holder at a time, and a fair queue.

    \b
    Status: 0 it went well, 1 the answer is no, 2 usage, 70 the database failed,
    71 the system did, 74 the lease was lost, 75 it was not to be had, 126 and 127 no such command,
    128+n ended by signal n.
    """
    context.obj = _logger(verbose)


@commands.command()
def demo() -> int:
    """Three contenders for one lease: a hand-over, a crash, a pin (some 5 s)."""
    return run_demo()


@commands.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print the script that completes this command in a shell.

    \b
    For bash: lease-actors completion bash > ~/.local/share/bash-completion/completions/lease-actors
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(commands, {}, PROGRAM, _COMPLETE).source())


for module in (run, reading, history, writing, top, database, doctor, bench, web):
    for command in module.COMMANDS:
        commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status. Whatever fails is one line on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    make_ready()
    if instruction := os.environ.get(_COMPLETE):
        return shell_complete(commands, {}, PROGRAM, _COMPLETE, instruction)
    try:
        with handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), terminate):
            return _run(arguments)
    except click.exceptions.Exit as left:
        return left.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        return _print(error.format_message(), status.USAGE)  # the help, as it is
    except click.ClickException as error:
        return _say(_usage(error), status.USAGE)
    except LeaseError as error:
        return _say(str(error), status.status_of(error))
    except Terminated as ended:
        return _say(str(ended), status.SIGNALLED + ended.signum)
    except BrokenPipeError:
        _drop_output()  # whoever read has gone; nothing is said
        return status.PIPE_CLOSED
    except OSError as error:
        _drop_output()
        return _say(str(error), status.NOT_DONE)


def _run(arguments: Sequence[str]) -> int:
    # Not by click's own main, which has other ideas of closed pipes and of Ctrl-C.
    with commands.make_context(PROGRAM, list(arguments)) as context:
        result = commands.invoke(context)
    sys.stdout.flush()
    return result if isinstance(result, int) else 0


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    return f"{error.format_message()} (see {path} --help)"


def _say(what: str, status: int) -> int:
    return _print(f"{PROGRAM}: {' '.join(what.split())}", status)


def _print(text: str, status: int) -> int:
    try:
        click.echo(text, err=True)
    except OSError:
        pass  # nobody hears it; the status says it too
    return status


def _drop_output() -> None:
    """What could not be written would be tried again at the exit, and be complained of there."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _logger(verbose: bool) -> logging.Logger:
    """What goes wrong is said by the command itself, so the log is for those who ask for it."""
    logger = logging.Logger(PROGRAM, logging.DEBUG if verbose else logging.CRITICAL)  # noqa: LOG001
    handler = logging.StreamHandler() if verbose else logging.NullHandler()
    handler.setFormatter(logging.Formatter(f"{PROGRAM}: %(message)s"))
    logger.addHandler(handler)
    return logger
