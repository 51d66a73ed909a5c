"""The group of commands, and what the process says and returns when one cannot be carried out."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib import import_module

import click

from bfpemu.errors import BfpError

_COMMANDS = (
    "formats",
    "pack",
    "unpack",
    "inspect",
    "check",
    "diff",
    "convert",
    "export",
    "sha256",
    "compare",
    "analyze",
    "emit",
    "vectors",
    "verify",
)
_REFUSED = 2
_INTERRUPTED = 130


class _LazyGroup(click.Group):
    """A group whose commands are modules of ``bfpemu.cli``, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"bfpemu.cli.{cmd_name}").command
        return command


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from bfpemu import __version__

    click.echo(f"bfpemu {__version__}")
    context.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def group() -> None:
    """Block floating point, bit by bit: pack tensors, look into them, compare formats, size datapaths."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the program's name; those of the process unless given.

    Returns
    -------
    int
        0, or what a command says of its answer (spec 9.2); 2 after one line on standard error
        when the input, an argument or a file cannot be used; 130 after an interrupt.

    Raises
    ------
    SystemExit
        With status 1, when the reader of a pipe has left.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except _Terminated:
        # What was begun is cleared away; whoever asked for the end is told so as of any program.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
        return _INTERRUPTED


class _Terminated(BaseException):
    """The process was asked to end."""


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """Make SIGTERM an exception, so that files that were begun are cleared away as after an error."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(words: Sequence[str]) -> int:
    try:
        with _ending_in_order():
            status = group.main(list(words) or ["--help"], prog_name="bfpemu", standalone_mode=False)
    except BfpError as error:
        return _refuse(str(error), error.code)
    except click.UsageError as error:
        hint = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        return _refuse(error.format_message().rstrip(".") + hint, "usage")
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except OSError as error:
        _drop_output()
        return _refuse(f"output must be writable, got: {error.strerror or error}", "output-unwritable")
    return status if isinstance(status, int) else 0


def _refuse(message: str, code: str) -> int:
    line = " ".join(message.splitlines())
    print(f"bfpemu: {line} [{code}]", file=sys.stderr)
    return _REFUSED


def _drop_output() -> None:
    """Send what is left of standard output nowhere, so that closing it at exit cannot complain."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
