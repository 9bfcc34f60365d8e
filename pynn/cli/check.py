"""``pynn check``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..babysit.preflight import Check, Report, preflight
from ..utils.json_values import json_text
from .data import load_data
from .options import chosen_backend, class_weight_option, folds_option, training_options
from .outputs import FileName, check_results, json_option, write
from .runs import run_to_check
from .sections import SectionedCommand
from .tables import DataOptions, data_options

#: Exit code by the report's status.
EXIT_CODES = {"pass": 0, "warn": 1, "fail": 2}
COLOURS = {"pass": "green", "note": "cyan", "warn": "yellow", "fail": "red", "skip": "bright_black"}


@click.command(cls=SectionedCommand, short_help="Look for faults before training.")
@data_options
@training_options
@folds_option
@class_weight_option
@click.option(
    "--report",
    "--html",  # its former name
    type=FileName(),
    metavar="FILE",
    help="Page with all checks: .html, opens offline.",
)
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Show only warnings and failures.")
@click.pass_context
def check(context: click.Context, chosen: DataOptions, report: Path | None, as_json: bool, **options: Any) -> None:
    """Look for faults in data, network and settings before training.

    Takes the options of "pynn train" and checks the same setup in seconds: the data and their scale, the initial loss,
    the gradients, whether the network can overfit a few examples, the learning rate and more. For a small table "pynn
    train" trains several kinds of networks; the one with the most layers is checked. Saves nothing.

    Exit codes: 0 all passed; 1 warnings, or data that cannot be read; 2 failures, or wrong options.

    \b
    Examples:
      pynn check
      pynn check --data iris.csv --target species --lr 0.5
      pynn check --data mnist --report check.html
      pynn check --json > check.json
    """  # noqa: D301 - click reads the backslash
    check_results(chosen.files(), report=report)
    with chosen_backend(options["backend_name"]):
        data = load_data(chosen, options["model"] == "cnn", options["folds"])
        data.say_notes(options["quiet"])
        run = run_to_check(data, options)
        result = preflight(
            run.trainer, *run.train, validation=run.validation, batch_size=run.batch_size, seed=options["seed"]
        )
    if as_json:
        click.echo(json_text(result.to_dict()))
    else:
        _show_all(result, options["quiet"])
    if report is not None:
        write(report, lambda: result.to_html(report))
    context.exit(EXIT_CODES[result.status])


def _show_all(report: Report, quiet: bool) -> None:
    for item in report:
        if item.status in ("note", "warn", "fail") or not quiet:
            _show(item)
    click.echo(f"preflight: {report.summary()}")


def _show(item: Check) -> None:
    lines = item.lines()
    status = click.style(lines[0][: len(item.status)], fg=COLOURS[item.status], bold=item.status != "pass")
    click.echo(status + lines[0][len(item.status) :])
    for line in lines[1:]:
        click.echo(line)
