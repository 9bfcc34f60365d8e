"""``pynn train``."""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from ..babysit import Finding, Monitor
from ..backends.precision import PRODUCTS, using_matmul_precision
from ..nn.sequential import Sequential
from ..report import figures
from ..report.curves import history_svg
from ..report.history import plot_history
from ..training.history import History
from ..utils.files import write_atomically
from ..utils.interrupt import interrupted_by
from ..utils.json_values import json_text
from ..utils.streams import say, wrapped
from .data import LoadedData, load_data
from .options import chosen_backend, class_weight_option, folds_option, training_options
from .outputs import FileName, check_results, json_option, output_paths, save_option, write
from .ranks import communicator
from .runs import FailedError, RunResult, cross_fit_table, describe_data, train_one
from .sections import SectionedCommand
from .tables import DataOptions, data_options


@click.command(cls=SectionedCommand, short_help="Train a network and save it.")
@data_options
@training_options
@click.option(
    "--augment",
    metavar="NAMES",
    help="Random changes to training images: none, or some of crop,flip,cutout.  [default: crop,flip for cifar10]",
)
@save_option
@click.option(
    "--plot",
    type=FileName(),
    metavar="FILE",
    help="Learning curves: .png, .svg or .pdf.  [default: pynn-curves next to the model: .svg without matplotlib]",
)
@click.option(
    "--report",
    type=FileName(),
    metavar="FILE",
    help="Page with everything the monitor recorded: .html, opens offline.",
)
@folds_option
@click.option(
    "--early-stopping/--no-early-stopping",
    default=None,
    help="Stop when the validation loss no longer falls, and keep the best weights.  [default: for tables]",
)
@class_weight_option
@click.option(
    "--precision",
    type=click.Choice(list(PRODUCTS)),
    help="Precision of matrix products on processors with bfloat16 matrix units.  [default: $PYNN_MATMUL_PRECISION or "
    "highest]",
)
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only the result.")
def train(
    chosen: DataOptions,
    save: Path | None,
    plot: Path | None,
    report: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Train a network and save it.

    Without arguments it learns to read 1797 handwritten digits that come with pynn. A monitor watches every step, and
    the verdict at the end names what went wrong.

    10% of the data are set aside for validation and 20% for the test, the same for every seed. A small table is
    cross-fitted instead: it is cut into folds, and several kinds of networks are trained, each once per fold, on the
    other folds; the fold tests it. Their average is saved. The size of the table decides which kinds, unless options
    do.

    Ctrl-C and SIGTERM end the training early; the network is evaluated and saved as it is then.

    Exit codes: 0 trained, whatever the verdict; 1 failed, such as a loss that is not finite; 130 and 143 interrupted.

    \b
    Activations: relu leaky_relu prelu elu selu tanh sigmoid softplus
                 gelu silu mish hardswish celu relu6 softsign hardtanh
                 hardsigmoid logsigmoid maxout
    Optimizers:  sgd (momentum 0.9) nesterov adagrad rmsprop adam adamw

    \b
    Examples:
      pynn train
      pynn train --data iris.csv --target species --hidden 64,64
      pynn train --data mnist --optimizer sgd --lr 0.1 --save m.safetensors
      pynn train --data cifar10 --model cnn
      pynn train --lr 3 --report run.html
      mpirun -n 4 pynn train --data mnist
      pynn train --json > run.json
    """  # noqa: D301 - click reads the backslash
    comm = communicator()
    follows = comm is not None and comm.Get_rank() > 0
    if follows:
        options["quiet"] = True  # rank 0 speaks and writes for all
    else:
        save, curves = output_paths(save, plot, ".png" if figures.plots_available() else ".svg")
        check_results(chosen.files(), save=save, report=report, plot=curves, drawn=".svg")
    tell = _quiet if options["quiet"] else say
    with chosen_backend(options["backend_name"]), using_matmul_precision(options["precision"]):
        data = load_data(chosen, options["model"] == "cnn", options["folds"])
        if comm is not None and data.folds:
            raise click.UsageError(
                "the networks of a small table are trained one by one, by one process: pass --folds 0"
            )
        try:
            outcome = cross_fit_table(data, options, tell) if data.folds else train_one(data, options, tell, comm)
        except FailedError as error:
            if follows:
                return 1
            _report_failure(error.monitor, report, as_json)
            raise click.ClickException(f"{error}; nothing was saved") from error
        if outcome is None:
            return 0
        assert save is not None
        # Write files before printing, which may fail on a closed pipe.
        _save(outcome.model, save)
        if len(outcome.history):
            write(curves, lambda: _draw(outcome.history, curves))
        if report is not None:
            _write_report(outcome, report, data)
        files = {"model": save, "curves": curves if len(outcome.history) else None, "report": report}
        if as_json:
            click.echo(json_text(_as_dict(files, outcome.monitor, outcome)))
        else:
            _show(outcome, files)
    return 128 + interrupted_by() if outcome.interrupted else 0


def _report_failure(monitor: Monitor, report: Path | None, as_json: bool) -> None:
    """Write what was seen of a training that failed."""
    if report is not None:
        write(report, lambda: monitor.to_html(report))
    if as_json:
        click.echo(json_text(_as_dict({"model": None, "curves": None, "report": report}, monitor)))


def _write_report(outcome: RunResult, report: Path, data: LoadedData) -> None:
    about = {"data": describe_data(data), "command": shlex.join(["pynn", *sys.argv[1:]]), "training": outcome.time}
    about["loss"] = repr(outcome.loss)
    if data.folds:
        about["charts"] = "of the first of the networks that count most"
    write(report, lambda: outcome.monitor.to_html(report, about=about, tables=outcome.scores.tables()))


def _as_dict(files: dict[str, Path | None], monitor: Monitor, outcome: RunResult | None = None) -> dict[str, Any]:
    """Return the result in the form of ``docs/json.md``; without an outcome, of a training that failed."""
    verdict = monitor.verdict if outcome is None else outcome.verdict
    return {
        "format": "pynn.train",
        "version": 1,
        **{name: None if path is None else str(path) for name, path in files.items()},
        "interrupted": outcome is not None and outcome.interrupted,
        "scores": {} if outcome is None else outcome.scores.to_dict(),
        "verdict": [finding.to_dict() for finding in verdict],
        "run": monitor.to_dict(),
    }


def _show(outcome: RunResult, files: dict[str, Path | None]) -> None:
    """Print the scores, the verdict and what was written."""
    outcome.scores.show()
    _line("time", outcome.time)
    _print_verdict(outcome.verdict, outcome.monitor)
    for name, path in files.items():
        if path is not None:
            _line(name, f"{path}")


def _draw(history: History, path: Path) -> None:
    """Write the learning curves; matplotlib is needed only for other files than SVG."""
    if figures.plots_available():
        plot_history(history, path)
    else:
        write_atomically(path, history_svg(history).encode())


def _print_verdict(verdict: list[Finding], monitor: Monitor) -> None:
    """Print the monitor's verdict: the likeliest cause with its evidence, then the other symptoms."""
    if not verdict:
        steps = int(monitor.stats.steps[-1]) if monitor.stats.steps.size else 0
        _line("verdict", f"no fault found in {steps:,} steps")
        return
    cause, *others = verdict
    where = f" in {cause.layer}" if cause.layer else ""
    _text("verdict", f"{cause.symptom}{where} ({cause.severity}, from step {cause.step})")
    _text("", cause.evidence)
    _text("", f"advice: {cause.advice}")
    if others:
        _text("", f"also: {', '.join(dict.fromkeys(finding.symptom for finding in others))}")


def _line(name: str, value: str) -> None:
    click.echo(f"{name:8}{value}")


def _text(name: str, value: str) -> None:
    for line in wrapped(value, f"{name:8}", " " * 8):
        click.echo(line)


def _save(model: Sequential, path: Path) -> None:
    """Save the model; if that fails, save it to a temporary folder and raise a click error that names it."""
    try:
        model.save(path)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}"
        with contextlib.suppress(OSError):
            rescued = Path(tempfile.mkdtemp(prefix="pynn-")) / "model.safetensors"
            model.save(rescued)
            message += f"; the model is in {rescued}"
        raise click.ClickException(message) from error


def _quiet(message: str) -> None:
    pass
