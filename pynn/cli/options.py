"""Options that several commands share, and the trainer that they describe."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import click
from click.core import ParameterSource

from ..backends import selection as backend
from ..nn.loss import Loss
from ..nn.random import manual_seed
from ..tabular.recipe import FOLDS, MOST_ROWS
from ..training.named import (
    ACTIVATIONS,
    AMOUNT_LOSSES,
    CLASS_LOSSES,
    OPTIMIZERS,
    make_loss,
    make_optimizer,
    make_schedule,
)
from ..training.trainer import Trainer
from .data import LoadedData
from .networks import DEFAULTS, network


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
            self.fail(f"{value!r} is neither a list of widths such as 256,128 nor none", param, ctx)
        return widths


class Count(click.IntRange):
    """A whole number, at least the given minimum."""

    name = "whole number"


class Rate(click.FloatRange):
    """A finite number in a range; click alone accepts NaN and infinity."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


def _usual(name: str) -> str:
    values = [DEFAULTS[model][name] for model in ("dense", "cnn")]
    dense, cnn = (",".join(map(str, value)) if isinstance(value, tuple) else value for value in values)
    return f"{dense}; {cnn} for a cnn"


loss_option = click.option(
    "--loss",
    metavar="NAME",
    help=f"Loss: {', '.join(CLASS_LOSSES)}; for amounts {', '.join(AMOUNT_LOSSES)}, or quantile=Q with Q in (0, 1).  "
    f"[default: {next(iter(CLASS_LOSSES))}; {next(iter(AMOUNT_LOSSES))} for amounts]",
)

backend_option = click.option(
    "--backend",
    "backend_name",
    type=click.Choice(["auto", *backend.BACKENDS]),
    help="Backend of the ops.  [default: $PYNN_BACKEND, or auto]",
)

OPTIONS = (
    click.option(
        "--model",
        type=click.Choice(list(DEFAULTS)),
        default="dense",
        help="Fully connected, or convolutional for images.",
    ),
    click.option(
        "--hidden",
        type=Widths(),
        help="Widths of the hidden layers, or none; for a cnn, channels of its stages, each of which halves the image. "
        f" [default: {_usual('hidden')}]",
    ),
    click.option(
        "--activation", type=click.Choice(list(ACTIVATIONS)), metavar="NAME", default="relu", help="Activation."
    ),
    click.option("--batchnorm/--no-batchnorm", default=True, help="Batch normalisation after each hidden layer."),
    click.option(
        "--dropout",
        type=Rate(0, 1, max_open=True),
        metavar="P",
        help="Share of hidden units dropped in training; in a cnn, before the last layer.  [default: 0.3; 0 for "
        "regression and cnn]",
    ),
    click.option(
        "--input-dropout",
        type=Rate(0, 1, max_open=True),
        metavar="P",
        help="Share of inputs dropped in training.  [default: 0.1 for images in a dense network, else 0]",
    ),
    loss_option,
    click.option(
        "--optimizer", type=click.Choice(list(OPTIMIZERS)), metavar="NAME", default="adamw", help="Optimizer."
    ),
    click.option(
        "--lr", type=Rate(0, min_open=True), metavar="RATE", help="Learning rate.  [default: the optimizer's]"
    ),
    click.option("--weight-decay", type=Rate(0), metavar="RATE", help="Weight decay.  [default: the optimizer's]"),
    click.option(
        "--schedule",
        type=click.Choice(["none", "cosine", "step"]),
        default="cosine",
        help="Learning rate schedule: constant, cosine to 0, or divided by 10 after each third of the epochs.",
    ),
    click.option(
        "--epochs",
        type=Count(1),
        metavar="N",
        help=f"Passes over the training data.  [default: {_usual('epochs')}]",
    ),
    click.option(
        "--batch-size",
        type=Count(1),
        metavar="N",
        help=f"Examples per step.  [default: {_usual('batch_size')}]",
    ),
    backend_option,
    click.option("--seed", type=Count(0), metavar="N", default=0, help="Seed of weights, batch order and dropout."),
)


folds_option = click.option(
    "--folds",
    type=Count(0),
    metavar="N",
    help="Number of folds of a cross-fitted table; 0 trains one network, and sets parts aside to validate and test "
    "it.  "
    f"[default: {FOLDS}, for tables of up to {MOST_ROWS} rows]",
)
class_weight_option = click.option(
    "--class-weight", metavar="WEIGHTS", help="Weights of the classes in the loss: balanced, or NAME=WEIGHT,..."
)


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for model and training to a command, which also gets those that the user gave as `given`."""

    @functools.wraps(command)
    def completed(*arguments: Any, **options: Any) -> Any:
        source = click.get_current_context().get_parameter_source
        given = {name: value for name, value in options.items() if source(name) is ParameterSource.COMMANDLINE}
        return command(*arguments, **with_defaults(options), given=given)

    for option in reversed(OPTIONS):
        completed = option(completed)
    return completed


def with_defaults(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the model's defaults filled in."""
    usual = DEFAULTS[options["model"]]
    return options | {name: value for name, value in usual.items() if options[name] is None}


def chosen_backend(name: str | None) -> Any:
    """Return a context manager that selects the backend; None keeps the current one."""
    try:
        chosen = nullcontext() if name is None else backend.use_backend(name)
        backend.get_backend()
    except ValueError as error:  # PYNN_BACKEND or PYNN_ISA
        raise click.UsageError(str(error)) from error
    return chosen


def loss_of(data: LoadedData, options: dict[str, Any], weights: Sequence[float] | None = None) -> Loss:
    """Return the loss that the options name, or raise a usage error if it does not fit the data."""
    try:
        return make_loss(options["loss"], classes=data.class_names is not None, class_weight=weights)
    except ValueError as error:
        raise click.BadOptionUsage("--loss", f"--loss: {error}") from error


def build(
    data: LoadedData, options: dict[str, Any], weights: Sequence[float] | None = None, comm: Any = None
) -> Trainer:
    """Return the trainer of the network that the options describe; `weights` are those of the classes."""
    loss = loss_of(data, options, weights)
    manual_seed(options["seed"])
    model = network(data, options)
    return Trainer(
        model,
        loss,
        make_optimizer(options["optimizer"], options["lr"], options["weight_decay"]),
        schedule=make_schedule(options["schedule"], options["epochs"]),
        seed=options["seed"],
        comm=comm,
    )
