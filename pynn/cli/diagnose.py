"""``pynn diagnose``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ..utils.json_values import json_text
from ..utils.streams import error_console, say
from .data import load_data
from .options import Rate, build, chosen_backend, training_options
from .outputs import json_option
from .sections import SectionedCommand
from .tables import DataOptions, data_options

if TYPE_CHECKING:
    from ..babysit.remedies import Diagnosis, Remedy
    from ..babysit.remedies.runner import OnTrial

#: Exit code by the worst finding of the unchanged run.
EXIT_CODES = {"warning": 1, "error": 2}


@click.command(
    "diagnose", cls=SectionedCommand, short_help="Find what is wrong with a training run, and what fixes it."
)
@data_options
@training_options
@click.option(
    "--seconds", type=Rate(0, min_open=True), metavar="N", default=60.0, help="Time limit for all runs together."
)
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Show only the result.")
@click.pass_context
def diagnose_command(
    context: click.Context,
    chosen: DataOptions,
    seconds: float,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Try remedies for a faulty training run, and show which ones help.

    Takes the options of "pynn train" and trains that network under supervision, then once more with each change that
    may help (a lower learning rate, another initialisation, batch norm and so on). Shows the effect of each change on
    the validation part. For a small table it takes the network of "pynn train --folds 0". Saves nothing.

    Exit codes: 0 nothing wrong; 1 warnings, or data that cannot be read; 2 a fault, or wrong options.

    \b
    Examples:
      pynn diagnose --lr 50 --epochs 10
      pynn diagnose --data iris.csv --activation sigmoid --no-batchnorm
      pynn diagnose --data mnist --seconds 300
    """  # noqa: D301 - click reads the backslash
    from ..babysit.remedies import diagnose

    with chosen_backend(options["backend_name"]):
        data = load_data(chosen, options["model"] == "cnn")
        data.say_notes(quiet)
        trainer = build(data, options)
        with _live(quiet) as on_trial:
            diagnosis = diagnose(
                trainer,
                *data.train,
                validation=data.validation,
                epochs=options["epochs"],
                batch_size=options["batch_size"],
                seconds=seconds,
                seed=options["seed"],
                on_trial=on_trial,
            )
    click.echo(json_text(diagnosis.to_dict()) if as_json else str(diagnosis))
    context.exit(_exit_code(diagnosis))


def _exit_code(diagnosis: Diagnosis) -> int:
    return max((EXIT_CODES[finding.severity] for finding in diagnosis.verdict), default=0)


@contextmanager
def _live(quiet: bool) -> Iterator[OnTrial | None]:
    """Yield a callback that shows the current run: a progress bar on a terminal, otherwise one line per run."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = error_console()
    if quiet or not console.is_terminal:
        yield None if quiet else lambda remedy, number, total: say(_line(remedy, number, total))
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(remedy: Remedy | None, number: int, total: int) -> None:
            bar.update(task, description=_line(remedy, number, total), completed=number, total=total or None)

        yield show


def _line(remedy: Remedy | None, number: int, total: int) -> str:
    if remedy is None:
        return "training without changes"
    return f"trying {number}/{total}: {remedy.change}"
