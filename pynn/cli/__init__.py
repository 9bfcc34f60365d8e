"""The command line: ``pynn train``, ``check``, ``diagnose``, ``search``, ``lecture`` and the others in `COMMANDS`.

Results go to standard output, progress and errors to standard error. An error is one line; ``PYNN_DEBUG=1`` adds the
traceback. Exit codes: 0 success, 1 failure, 2 usage error, 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
``check`` and ``diagnose`` exit with 0 if they find nothing wrong, 1 after warnings, 2 after faults.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
import traceback
import warnings
from typing import Any, NoReturn, TextIO

import click

from .. import BackendError, __version__
from ..utils import interrupt, streams

#: The commands, and their names in the modules that are called like them. A module is imported when its command is
#: called: that of `pynn train` takes as long as pynn itself, which `pynn predict` need not wait for.
COMMANDS = {
    "bench": "bench",
    "check": "check",
    "diagnose": "diagnose_command",
    "export": "export",
    "info": "info",
    "lecture": "lecture",
    "predict": "predict",
    "search": "search_command",
    "train": "train",
}
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True}

# The library raises these for faulty data, files or settings; anything else is a bug.
_EXPECTED = (ValueError, TypeError, OSError, ImportError, MemoryError, FloatingPointError, BackendError)


class _Commands(click.Group):
    """A group of commands that reports each failure in one line and by an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f".{cmd_name}", __name__), COMMANDS[cmd_name])
        command.context_settings = SETTINGS
        return command

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        streams.attach_missing()
        _keep_printing()
        with interrupt.termination_heeded(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                code = super().main(*args, **{**extra, "prog_name": "pynn", "standalone_mode": False})
                sys.stdout.flush()
            except BaseException as error:
                if _debugging() and not isinstance(error, SystemExit):
                    traceback.print_exc()
                code = _report(error)
            _silence_streams()
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # click's own handling differs between versions
            raise click.exceptions.Exit(1) from error


@click.group(cls=_Commands, invoke_without_command=True, context_settings=SETTINGS)
@click.version_option(__version__, message="pynn %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Train neural networks on a CPU.

    Start with "pynn train": it needs no arguments and no internet connection.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _report(error: BaseException) -> int:
    """Report the error in one line and return the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, click.Abort | KeyboardInterrupt):
        cause = error.__cause__ if isinstance(error, click.Abort) else error
        if isinstance(cause, interrupt.Terminated):
            _complain("terminated by a signal")
            return 128 + cause.args[0]
        _complain("interrupted")
        return 130
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "pynn"
        _complain(f"{error.format_message().rstrip('.')} (see {command} --help)")
        return error.exit_code
    if isinstance(error, click.ClickException):
        _complain(error.format_message())
        return error.exit_code
    if not isinstance(error, _EXPECTED):
        _complain(f"unexpected {type(error).__name__}: {error}; PYNN_DEBUG=1 shows the traceback, please report it")
        return 1
    if isinstance(error, BrokenPipeError):
        return 1
    if isinstance(error, OSError) and error.strerror:
        where = error.filename
        if where is None and error.errno == errno.ENOSPC:  # an error on a file has its name
            where = "cannot write standard output"
        _complain(error.strerror if where is None else f"{where}: {error.strerror}")
    elif isinstance(error, MemoryError):
        _complain(f"not enough memory{f': {error}' if str(error) else ''}")
    else:
        _complain(str(error) or type(error).__name__)
    return 1


def _complain(message: str, kind: str = "error", colour: str = "red") -> None:
    message = " ".join(message.split())
    plain = "NO_COLOR" in os.environ
    with contextlib.suppress(OSError, ValueError, AttributeError):  # the stream is closed, full, or has only write()
        click.echo(f"pynn: {click.style(kind, fg=colour, bold=True)}: {message}", err=True, color=not plain and None)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    _complain(str(message), "warning", "yellow")


def _keep_printing() -> None:
    """Escape characters that standard output cannot encode; `pynn predict` raises an error for its data instead."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def _debugging() -> bool:
    return os.environ.get("PYNN_DEBUG", "0") not in ("", "0")


def _silence_streams() -> None:
    """Discard unwritten output, so that Python's flush at exit does not fail with a second traceback."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            stream.flush()
        except (OSError, ValueError):
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            except (OSError, ValueError):
                setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - lives until the process ends
        except AttributeError:  # the stream has only write()
            pass
