"""``pynn train``."""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import plots
from ..augment import Augment, Cutout, RandomCrop, RandomHorizontalFlip
from ..babysit import Monitor
from ..backends import selection as backend
from ..nn.sequential import Sequential
from ..report.curves import history_svg
from ..training.callbacks import Callback
from ..training.history import History
from ..training.trainer import NonFiniteError, Trainer
from ..utils.files import write_atomically
from ..utils.interrupt import interrupted_by
from ..utils.streams import error_stream, say
from .data import LoadedData, load_data
from .networks import ACTIVATIONS, describe
from .options import OPTIMIZERS, build, chosen_backend, training_options
from .outputs import output_paths, save_option
from .tables import DataOptions, data_options

__all__ = ["ACTIVATIONS", "OPTIMIZERS", "train"]


# As in the original papers for 32x32 images: 4 pixels of padding, a square of 16.
AUGMENTATIONS: dict[str, Callable[[int], Augment]] = {
    "crop": lambda side: RandomCrop(max(1, side // 8)),
    "flip": lambda side: RandomHorizontalFlip(),
    "cutout": lambda side: Cutout(max(1, side // 2)),
}


@click.command(short_help="Train a network and save it.")
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
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Learning curves: .png, .svg or .pdf.  [default: pynn-curves next to the model: .svg without matplotlib]",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Page with all monitored figures: .html, works offline.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only the result.")
def train(
    chosen: DataOptions,
    save: Path | None,
    plot: Path | None,
    report: Path | None,
    **options: Any,
) -> int:
    """Train a network and save it.

    Without arguments it learns to read 1797 handwritten digits that come with pynn. A part of the data is set aside to
    validate (10%) and to test (20%), the same whatever the seed. Every step is watched, and problems are reported.
    Ctrl-C and SIGTERM end the training early; what there is then is evaluated and saved.

    \b
    Activations: relu leaky_relu prelu elu selu tanh sigmoid softplus gelu silu maxout
    Optimizers:  sgd (with momentum 0.9) nesterov adagrad rmsprop adam adamw

    \b
    Examples:
      pynn train
      pynn train --data iris.csv --target species --hidden 64,64 --epochs 100
      pynn train --data mnist --optimizer sgd --lr 0.1 --save mnist.safetensors
      pynn train --data cifar10 --model cnn
      pynn train --lr 3 --report run.html
    """  # noqa: D301 - click reads the backslash
    save, curves = _check_outputs(save, plot)
    if report is not None:
        check_writable(report)
    with chosen_backend(options["backend_name"]):
        data = load_data(chosen, options["model"] == "cnn")
        augment = _augment(options["augment"] or (data.augment if options["model"] == "cnn" else "none"), data)
        trainer = build(data, options)
        tell = _quiet if options["quiet"] else say
        for line in data.told:
            tell(line)
        tell(_describe_data(data))
        tell(_describe_training(trainer, data, options))
        monitor = Monitor(on_problem="silent")
        try:
            history, seconds = _fit(trainer, data, monitor, augment, options)
        except NonFiniteError as error:
            if report is not None:
                write(report, lambda: monitor.to_html(report))
            raise click.ClickException(f"{error}; nothing was saved") from error
        if history.interrupted:
            tell(f"interrupted in epoch {trainer.epoch + 1} of {trainer.target_epoch}: evaluating and saving the model")
        # Write files before printing, which may fail on a closed pipe.
        _save(trainer.model, save)
        if len(history):
            write(curves, lambda: _draw(history, curves))
        if report is not None:
            write(report, lambda: monitor.to_html(report))
        _print_result(trainer, data, seconds)
        _print_verdict(monitor)
        _line("model", f"{save}")
        if len(history):
            _line("curves", f"{curves}")
        if report is not None:
            _line("report", f"{report}")
    return 128 + interrupted_by() if history.interrupted else 0


def _check_outputs(save: Path | None, plot: Path | None) -> tuple[Path, Path]:
    """Check before the training that its results can be written; return the paths of model and curves."""
    model, curves = output_paths(save, plot, ".png" if plots.plots_available() else ".svg")
    if plot is not None:
        try:
            plots.check_format(plot)
        except ValueError as error:
            raise click.BadOptionUsage("--plot", f"--plot: {error}") from error
        if plot.suffix.lower() != ".svg" and not plots.plots_available():
            raise click.ClickException(f"--plot {plot} needs matplotlib: {plots.INSTALL_HINT}; .svg does not")
    if curves.resolve() == model.resolve():
        raise click.BadOptionUsage("--plot", f"--save and --plot name the same file, {model}")
    check_writable(model)
    check_writable(curves)
    return model, curves


def _draw(history: History, path: Path) -> None:
    """Write the learning curves; matplotlib is needed only for other files than SVG."""
    if plots.plots_available():
        plots.plot_history(history, path)
    else:
        write_atomically(path, history_svg(history).encode())


def _augment(names: str, data: LoadedData) -> list[Augment]:
    """Return the augmentations that `--augment` names."""
    if names == "none":
        return []
    chosen = names.split(",")
    for name in chosen:
        if name not in AUGMENTATIONS:
            raise click.BadOptionUsage(
                "--augment", f"--augment has {name!r}; expected none, or one or more of {','.join(AUGMENTATIONS)}"
            )
    if data.train[0].ndim != 4:
        raise click.BadOptionUsage("--augment", "--augment is for images: --model cnn")
    side = min(data.train[0].shape[2:])
    return [AUGMENTATIONS[name](side) for name in chosen]


def check_writable(path: Path) -> None:
    """Raise a click error unless `path` can be written."""
    if path.is_dir():
        raise click.ClickException(f"cannot write {path}: it is a folder")
    if path.exists() and not path.is_file():
        raise click.ClickException(f"cannot write {path}: it is not a regular file")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".pynn-"):
            pass
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error


def _fit(
    trainer: Trainer,
    data: LoadedData,
    monitor: Monitor,
    augment: list[Augment],
    options: dict[str, Any],
) -> tuple[History, float]:
    """Train, and return the history and the seconds it took."""
    from ..babysit.views.terminal import Panel

    callbacks: list[Callback] = [monitor]
    if not options["quiet"]:
        callbacks.append(Panel(monitor))
    began = time.perf_counter()
    history = trainer.fit(
        *data.train,
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        validation=data.validation,
        augment=augment,
        callbacks=callbacks,
        # On a terminal, the panel shows the progress.
        progress=not options["quiet"] and not error_stream().isatty(),
    )
    return history, time.perf_counter() - began


def _describe_data(data: LoadedData) -> str:
    counts = [len(y) for _, y in data.parts().values()]
    kind = "regression" if data.class_names is None else f"{len(data.class_names)} classes"
    shape = data.train[0].shape[1:]
    what = f"{shape[0]} features" if len(shape) == 1 else f"images of {'x'.join(map(str, shape))}"
    return (
        f"{data.name}: {sum(counts)} examples, {what}, {kind}; "
        f"{counts[0]} to train, {counts[1]} to validate, {counts[2]} to test"
    )


def _describe_training(trainer: Trainer, data: LoadedData, options: dict[str, Any]) -> str:
    instructions = backend.instruction_set()
    return (
        f"{describe(trainer.model, data, options)}; {options['optimizer']}, lr {trainer.optimizer.lr:g}; "
        f"{backend.get_backend()}{f' ({instructions})' if instructions else ''}"
    )


def _print_result(trainer: Trainer, data: LoadedData, seconds: float) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    classification = data.class_names is not None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("part")
    for heading in ("examples", "loss", "accuracy") if classification else ("examples", "RMSE", "R2"):
        table.add_column(heading, justify="right")
    for name, (x, y) in data.parts().items():
        if classification:
            figures = trainer.evaluate(x, y)
            cells = [f"{figures['loss']:.4f}", f"{figures['accuracy']:.2%}"]
        else:
            cells = [f"{value:.4g}" for value in errors(trainer.model, x, y)]
        table.add_row(name, str(len(y)), *cells, style="bold" if name == "test" else None)
    out = Console(highlight=False)
    out.print()
    out.print(table)
    out.print()
    epochs = f"{trainer.epoch} epoch{'' if trainer.epoch == 1 else 's'}"
    _line("time", f"{seconds:.1f} s for {epochs}")


def _print_verdict(monitor: Monitor) -> None:
    """Print the monitor's verdict: the likeliest cause with its evidence, then the other symptoms."""
    verdict = monitor.verdict
    if not verdict:
        steps = int(monitor.stats.steps[-1]) if monitor.stats.steps.size else 0
        _line("verdict", f"no fault found in {steps:,} steps")
        return
    cause, *others = verdict
    where = f" in {cause.layer}" if cause.layer else ""
    _line("verdict", f"{cause.symptom}{where} ({cause.severity}, from step {cause.step})")
    _line("", cause.evidence)
    _line("", f"advice: {cause.advice}")
    if others:
        _line("", f"also: {', '.join(dict.fromkeys(finding.symptom for finding in others))}")


def errors(model: Sequential, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the root mean square error and R2."""
    errors = model.predict(x)[:, 0] - y
    size = float(np.abs(y - y.mean()).max())  # scaled by it: squares of very small errors underflow
    if not size:
        return math.sqrt(float(np.square(errors).mean())), math.nan
    mean = float(np.square(errors / size).mean())
    return size * math.sqrt(mean), 1 - mean / float(np.var(y / size))


def _line(name: str, value: str) -> None:
    click.echo(f"{name:8}{value}")


def write(path: Path, task: Callable[[], object]) -> None:
    """Run `task`, which writes `path`; raise a click error if that fails."""
    try:
        task()
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from error


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
