"""``pynn train``."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import backend, layers, losses, optim, plots, schedules
from ..history import History
from ..model import Sequential
from ..preprocessing import Standardize
from ..random import manual_seed
from ..trainer import NonFiniteError, Trainer
from .data import Data, load_data

# The activation, and the initialisation that keeps the spread of its signals.
ACTIVATIONS: dict[str, tuple[Callable[[], layers.Layer] | None, str]] = {
    "relu": (layers.ReLU, "he_normal"),
    "leaky_relu": (layers.LeakyReLU, "he_normal"),
    "prelu": (layers.PReLU, "he_normal"),
    "elu": (layers.ELU, "he_normal"),
    "selu": (layers.SELU, "lecun_normal"),
    "tanh": (layers.Tanh, "lecun_normal"),
    "sigmoid": (layers.Sigmoid, "xavier_normal"),
    "softplus": (layers.Softplus, "he_normal"),
    "gelu": (layers.GELU, "he_normal"),
    "silu": (layers.SiLU, "he_normal"),
    "maxout": (None, "lecun_normal"),
}

# The optimiser, the learning rate it starts with unless told, and its weight decay.
OPTIMIZERS: dict[str, tuple[Callable[..., optim.Optimizer], float, float]] = {
    "sgd": (lambda **rates: optim.SGD(momentum=0.9, **rates), 0.05, 1e-4),
    "nesterov": (lambda **rates: optim.SGD(momentum=0.9, nesterov=True, **rates), 0.05, 1e-4),
    "adagrad": (optim.Adagrad, 0.02, 1e-4),
    "rmsprop": (optim.RMSprop, 1e-3, 1e-4),
    "adam": (optim.Adam, 3e-3, 1e-4),
    "adamw": (optim.AdamW, 3e-3, 1e-2),
}

# Of features in one unit, such as pixels, those that hardly vary say little and must not be blown up to the size of the
# others: to each variance this share of the mean variance is added.
VARIANCE_FLOOR = 0.1


class Widths(click.ParamType):
    """The widths of the hidden layers: "256,128", or "none"."""

    name = "WIDTHS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        if value.strip() == "none":
            return ()
        try:
            widths = tuple(int(width) for width in value.split(","))
        except ValueError:
            widths = (0,)
        if min(widths) < 1:
            self.fail(f"{value!r} is not a list of widths such as 256,128, and not none", param, ctx)
        return widths


class Rate(click.FloatRange):
    """A number in a range, without NaN and infinity, which click lets pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


@click.command(short_help="Train a network and save it.")
@click.option("--data", "source", metavar="DATA", default="digits", help="digits, mnist, or a .csv, .tsv or .npz file.")
@click.option("--target", metavar="COLUMN", help="Name or number of a table's target column.  [default: the last]")
@click.option(
    "--task",
    type=click.Choice(["classification", "regression"]),
    help="What the target is.  [default: text and whole numbers are classes]",
)
@click.option("--hidden", type=Widths(), default="256,128", help="Widths of the hidden layers, or none.")
@click.option("--activation", type=click.Choice(list(ACTIVATIONS)), metavar="NAME", default="relu", help="Activation.")
@click.option("--batchnorm/--no-batchnorm", default=True, help="Batch normalisation behind each hidden layer.")
@click.option(
    "--dropout",
    type=Rate(0, 1, max_open=True),
    metavar="P",
    help="Share of hidden units dropped in training.  [default: 0.3; 0 for regression]",
)
@click.option(
    "--input-dropout",
    type=Rate(0, 1, max_open=True),
    metavar="P",
    help="Share of inputs dropped in training.  [default: 0.1 for images, else 0]",
)
@click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), metavar="NAME", default="adamw", help="Optimizer.")
@click.option("--lr", type=Rate(0, min_open=True), metavar="RATE", help="Learning rate.  [default: the optimizer's]")
@click.option("--weight-decay", type=Rate(0), metavar="RATE", help="Weight decay.  [default: the optimizer's]")
@click.option(
    "--schedule",
    type=click.Choice(["none", "cosine", "step"]),
    default="cosine",
    help="How the learning rate falls: not, along a cosine to 0, or to a tenth after each third of the epochs.",
)
@click.option("--epochs", type=click.IntRange(1), metavar="N", default=40, help="Passes over the training data.")
@click.option("--batch-size", type=click.IntRange(1), metavar="N", default=32, help="Examples per step.")
@click.option(
    "--backend",
    "backend_name",
    type=click.Choice(["auto", *backend.BACKENDS]),
    help="What computes.  [default: $PYNN_BACKEND, or auto]",
)
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, help="Seeds weights, order and dropout.")
@click.option(
    "--save", type=click.Path(path_type=Path), metavar="FILE", default="pynn-model.safetensors", help="Model."
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Learning curves: .png, .svg or .pdf.  [default: pynn-curves.png beside the model]",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only the result.")
def train(source: str, target: str | None, task: str | None, save: Path, plot: Path | None, **options: Any) -> int:
    """Train a network and save it.

    Without arguments it learns to read 1797 handwritten digits that come with pynn. A part of the data is set aside to
    validate (10%) and to test (20%), the same whatever the seed. Ctrl-C ends the training early; what there is then is
    evaluated and saved.

    \b
    Activations: relu leaky_relu prelu elu selu tanh sigmoid softplus gelu silu maxout
    Optimizers:  sgd (with momentum 0.9) nesterov adagrad rmsprop adam adamw

    \b
    Examples:
      pynn train
      pynn train --data iris.csv --target species --hidden 64,64 --epochs 100
      pynn train --data mnist --optimizer sgd --lr 0.1 --save mnist.safetensors
    """  # noqa: D301 - click reads the backslash
    curves = _check_outputs(save, plot)
    with _chosen_backend(options["backend_name"]):
        data = load_data(source, target, task)
        trainer, scale = _build(data, options)
        say = _quiet if options["quiet"] else _say
        say(_describe_data(data))
        say(_describe_training(trainer, data, options))
        history, seconds = _fit(trainer, data, scale, options)
        if history.interrupted:
            say(f"interrupted in epoch {trainer.epoch + 1} of {trainer.target_epoch}: this is what there is")
        _write(save, lambda: trainer.model.save(save))
        _print_result(trainer, data, seconds)
        _line("model", f"{save}")
        if curves is not None and len(history):
            _write(curves, lambda: plots.plot_history(history, curves))
            _line("curves", f"{curves}")
        elif curves is None:
            say(f"for a picture of the learning curves: {plots.INSTALL_HINT}")
    return 130 if history.interrupted else 0


def _chosen_backend(name: str | None) -> Any:
    try:
        chosen = nullcontext() if name is None else backend.use_backend(name)
        backend.get_backend()
    except ValueError as error:  # PYNN_BACKEND or PYNN_ISA
        raise click.UsageError(str(error)) from error
    return chosen


def _check_outputs(save: Path, plot: Path | None) -> Path | None:
    """Make sure before the training that its results can be written; return where the curves go."""
    _check_writable(save)
    if plot is None and not plots.plots_available():
        return None
    if plot is not None:
        if not plots.plots_available():
            raise click.ClickException(f"--plot needs matplotlib: {plots.INSTALL_HINT}")
        try:
            plots.check_format(plot)
        except ValueError as error:
            raise click.BadOptionUsage("--plot", f"--plot: {error}") from error
    curves = save.with_name("pynn-curves.png") if plot is None else plot
    if curves.resolve() == save.resolve():
        raise click.BadOptionUsage("--plot", f"--save and --plot name the same file, {save}")
    _check_writable(curves)
    return curves


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise click.ClickException(f"cannot write {path}: it is a folder")
    if path.exists() and not path.is_file():
        raise click.ClickException(f"cannot write {path}: it is not a regular file")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error


def _build(data: Data, options: dict[str, Any]) -> tuple[Trainer, tuple[float, float]]:
    """Return the trainer, and mean and standard deviation of a regression target (0, 1 for classes)."""
    manual_seed(options["seed"])
    classes = data.class_names
    dropout = options["dropout"]
    if dropout is None:
        dropout = 0.0 if classes is None else 0.3
    input_dropout = options["input_dropout"]
    if input_dropout is None:
        input_dropout = 0.1 if data.one_unit else 0.0
    make_activation, init = ACTIVATIONS[options["activation"]]
    width = data.train[0].shape[1]
    chain: list[layers.Layer] = [layers.Dropout(input_dropout)] if input_dropout else []
    for hidden in options["hidden"]:
        linear = layers.Maxout if make_activation is None else layers.Linear
        chain.append(linear(width, hidden, init=init))
        if options["batchnorm"]:
            chain.append(layers.BatchNorm1d(hidden))
        if make_activation is not None:
            chain.append(make_activation())
        if dropout:
            chain.append(layers.Dropout(dropout))
        width = hidden
    chain.append(layers.Linear(width, len(classes) if classes else 1))
    model = Sequential(*chain)
    model.preprocessing = standardize = Standardize().fit(data.train[0])
    if data.one_unit:
        standardize.eps = VARIANCE_FLOOR * float(standardize.var_.mean())
    model.class_names, model.input_schema = classes, data.schema
    make_optimizer, lr, weight_decay = OPTIMIZERS[options["optimizer"]]
    lr = options["lr"] if options["lr"] is not None else lr
    weight_decay = options["weight_decay"] if options["weight_decay"] is not None else weight_decay
    epochs = options["epochs"]
    schedule: schedules.Schedule | None = None
    if options["schedule"] == "cosine":
        schedule = schedules.CosineAnnealingLR(epochs)
    elif options["schedule"] == "step":
        schedule = schedules.StepLR(max(1, -(-epochs // 3)))
    trainer = Trainer(
        model,
        losses.MSELoss() if classes is None else losses.CrossEntropyLoss(),
        make_optimizer(lr=lr, weight_decay=weight_decay),
        schedule=schedule,
        seed=options["seed"],
    )
    if classes is not None:
        return trainer, (0.0, 1.0)
    y = data.train[1].astype(np.float64)
    return trainer, (float(y.mean()), float(y.std()) or 1.0)


def _fit(trainer: Trainer, data: Data, scale: tuple[float, float], options: dict[str, Any]) -> tuple[History, float]:
    """Train, and return the history and the seconds it took."""

    def target(y: np.ndarray) -> np.ndarray:
        return y if data.class_names is not None else ((y[:, None] - scale[0]) / scale[1]).astype(np.float32)

    (x, y), (x_validation, y_validation) = data.train, data.validation
    began = time.perf_counter()
    try:
        history = trainer.fit(
            x,
            target(y),
            epochs=options["epochs"],
            batch_size=options["batch_size"],
            validation=(x_validation, target(y_validation)),
            progress=not options["quiet"],
        )
    except NonFiniteError as error:
        raise click.ClickException(f"{error}; nothing was saved") from error
    seconds = time.perf_counter() - began
    if data.class_names is None:
        # The network was trained to a target of mean 0 and spread 1; its last layer takes over the way back.
        last = trainer.model[-1]
        assert isinstance(last, layers.Linear) and last.bias is not None
        last.weight[...] = last.weight[...] * scale[1]
        last.bias[...] = last.bias[...] * scale[1] + scale[0]
    return history, seconds


def _describe_data(data: Data) -> str:
    counts = [len(y) for _, y in data.parts().values()]
    kind = "regression" if data.class_names is None else f"{len(data.class_names)} classes"
    return (
        f"{data.name}: {sum(counts)} examples, {data.train[0].shape[1]} features, {kind}; "
        f"{counts[0]} to train, {counts[1]} to validate, {counts[2]} to test"
    )


def _describe_training(trainer: Trainer, data: Data, options: dict[str, Any]) -> str:
    widths = [data.train[0].shape[1], *options["hidden"], len(data.class_names) if data.class_names else 1]
    parameters = sum(p.size for p in trainer.model.parameters())
    instructions = backend.instruction_set()
    return (
        f"network {'-'.join(map(str, widths))}, {parameters:,} parameters; {options['optimizer']}, "
        f"lr {trainer.optimizer.lr:g}; {backend.get_backend()}{f' ({instructions})' if instructions else ''}"
    )


def _print_result(trainer: Trainer, data: Data, seconds: float) -> None:
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
            cells = [f"{value:.4g}" for value in _errors(trainer.model, x, y)]
        table.add_row(name, str(len(y)), *cells, style="bold" if name == "test" else None)
    out = Console(highlight=False)
    out.print()
    out.print(table)
    out.print()
    epochs = f"{trainer.epoch} epoch{'' if trainer.epoch == 1 else 's'}"
    _line("time", f"{seconds:.1f} s for {epochs}")


def _errors(model: Sequential, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the root mean square error and the share of the target's variance that is explained."""
    squared = np.square(model.predict(x)[:, 0].astype(np.float64) - y)
    variance = float(np.var(y.astype(np.float64)))
    mean = float(squared.mean())
    return math.sqrt(mean), 1 - mean / variance if variance else math.nan


def _line(name: str, value: str) -> None:
    click.echo(f"{name:8}{value}")


def _write(path: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from error


def _say(message: str) -> None:
    click.echo(message, err=True)


def _quiet(message: str) -> None:
    pass
