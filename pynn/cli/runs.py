"""The runs of ``pynn train``: one network, or the networks that are cross-fitted to a small table."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import click
import numpy as np

from ..augment import Augment, Cutout, RandomCrop, RandomHorizontalFlip
from ..babysit import Finding, Monitor
from ..backends import selection as backend
from ..nn.loss import Loss
from ..nn.sequential import Sequential
from ..report.text import counted
from ..tabular.fitting import SmallTable, TableRun
from ..tabular.recipe import PATIENCE, Recipe
from ..training.callbacks import Callback, EarlyStopping
from ..training.history import History
from ..training.step import NonFiniteError
from ..training.trainer import Trainer
from ..utils.streams import error_console, error_stream
from .class_weights import class_weights
from .data import LoadedData
from .networks import describe, schema_of
from .options import build, loss_of
from .scores import ScoredPart, Scores

#: The options that a recipe for a small table takes.
RECIPE_OPTIONS = {part.name for part in fields(Recipe)} - {"name", "knots", "skip", "patience"}
# As in the original papers for 32x32 images: 4 pixels of padding, a square of 16.
AUGMENTATIONS: dict[str, Callable[[int], Augment]] = {
    "crop": lambda side: RandomCrop(max(1, side // 8)),
    "flip": lambda side: RandomHorizontalFlip(),
    "cutout": lambda side: Cutout(max(1, side // 2)),
}


@dataclass
class RunResult:
    """A trained network, how good it is, and what was seen of its training."""

    model: Sequential
    scores: Scores
    history: History
    monitor: Monitor
    verdict: list[Finding]
    loss: Loss
    time: str
    interrupted: bool


def run_to_check(data: LoadedData, options: dict[str, Any]) -> TableRun:
    """Return the run that `train_one` would make; of those that `cross_fit_table` would, the one with most layers."""
    weights = _class_weights(data, options)
    if not data.folds:
        return TableRun(build(data, options, weights), options["batch_size"], data.train, data.validation)
    loss_of(data, options, weights)  # raises if it does not fit
    return _small_table(data, options, weights).deepest_run()


def _small_table(data: LoadedData, options: dict[str, Any], weights: list[float] | None) -> SmallTable:
    return SmallTable(
        *data.train,
        None if data.class_names is None else len(data.class_names),
        {name: value for name, value in options["given"].items() if name in RECIPE_OPTIONS},
        folds=data.folds,
        seed=options["seed"],
        class_weight=weights,
        loss=options["loss"],
        class_names=data.class_names,
    )


def train_one(
    data: LoadedData, options: dict[str, Any], tell: Callable[[str], None], comm: Any = None
) -> RunResult | None:
    """Train one network, which the validation part watches, and the test part tests.

    With the communicator of several ranks, all train it; only rank 0 tests it, and the others return None.
    """
    augment = _augment(options["augment"] or (data.augment if options["model"] == "cnn" else "none"), data)
    trainer = build(data, options, _class_weights(data, options), comm)
    for line in (*data.notes, describe_data(data), _describe_training(trainer, data, options, comm)):
        tell(line)
    monitor = Monitor(on_problem="silent")
    began = time.perf_counter()
    history = _fit(trainer, data, options, augment, monitor)
    seconds = time.perf_counter() - began
    if trainer.rank:
        return None
    if history.interrupted:
        tell(f"interrupted in epoch {trainer.epoch + 1} of {trainer.target_epoch}: evaluating and saving the model")
    epochs = f"{counted(trainer.epoch, 'epoch')}{_restored(history, data, options)}"
    parts = [_scored(name, y, trainer.model.predict(x), trainer.loss) for name, (x, y) in data.parts().items()]
    return RunResult(
        trainer.model,
        Scores(parts, data.class_names),
        history,
        monitor,
        monitor.verdict,
        trainer.loss,
        f"{seconds:.1f} s for {epochs}",
        history.interrupted,
    )


def _fit(
    trainer: Trainer, data: LoadedData, options: dict[str, Any], augment: list[Augment], monitor: Monitor
) -> History:
    """Train the network as the options say; raise `FailedError` if the loss becomes NaN or infinite."""
    from ..babysit.views.terminal import Panel

    callbacks: list[Callback] = [monitor]
    if _stops_early(data, options):
        callbacks.append(EarlyStopping(patience=max(5, round(PATIENCE * options["epochs"]))))
    if not options["quiet"]:
        callbacks.append(Panel(monitor))
    try:
        return trainer.fit(
            *data.train,
            epochs=options["epochs"],
            batch_size=options["batch_size"],
            validation=data.validation,
            augment=augment,
            callbacks=callbacks,
            # On a terminal, the panel shows the progress.
            progress=not options["quiet"] and not error_stream().isatty(),
        )
    except NonFiniteError as error:
        raise FailedError(str(error), monitor) from error


def _stops_early(data: LoadedData, options: dict[str, Any]) -> bool:
    return data.schema is not None if options["early_stopping"] is None else options["early_stopping"]


def _restored(history: History, data: LoadedData, options: dict[str, Any]) -> str:
    """Return which epoch's weights early stopping has restored, or ""."""
    losses = np.array(history["val_loss"])
    if not _stops_early(data, options) or history.interrupted or not np.isfinite(losses).any():
        return ""
    best = int(np.nanargmin(losses)) + 1
    return "" if best == len(losses) else f"; restored epoch {best}, which had the lowest validation loss"


def _scored(name: str, y: np.ndarray, output: np.ndarray, loss: Loss) -> ScoredPart:
    if loss.output_kind == "values":
        return ScoredPart(name, y, output[:, 0])
    return ScoredPart(name, y, output, loss.forward(output, y)[0])


def cross_fit_table(data: LoadedData, options: dict[str, Any], tell: Callable[[str], None]) -> RunResult:
    """Train several kinds of networks on a table, each once per fold, which tests it, and average them."""
    x, y = data.train
    _augment(options["augment"] or "none", data)  # refuses the option, which is for images
    weights = _class_weights(data, options)
    loss = loss_of(data, options, weights)
    table = _small_table(data, options, weights)
    networks = data.folds * len(table.kinds)
    for line in (*data.notes, describe_data(data)):
        tell(line)
    kinds = ", ".join(kind.name for kind in table.kinds)
    tell(
        f"{networks} networks: {kinds}, each once per fold, on the other folds; the fold tests it; "
        f"{backend.get_backend()}"
    )
    began = time.perf_counter()
    with _progress(networks, quiet=options["quiet"]) as progress:
        try:
            fit = table.cross_fit(progress)
        except NonFiniteError as error:
            raise FailedError(str(error), table.watch_failure()) from error
    seconds = time.perf_counter() - began
    if fit.interrupted:
        tell("interrupted: evaluating and saving the average of the networks so far")
    fit.model.input_schema = schema_of(data, options)
    tested = np.isfinite(fit.predictions).all(axis=1)
    parts = [
        _scored("training", y, fit.model.predict(x), loss),
        _scored("test", y[tested], fit.predictions[tested], loss),
    ]
    most = max(fit.kinds, key=lambda kind: kind[2])
    counts = ", ".join(f"{kind.name} {count}" for kind, _, count in fit.kinds if count)
    time_taken = f"{seconds:.1f} s for {networks} networks; weights in the average: {counts}"
    return RunResult(
        fit.model, Scores(parts, data.class_names), most[1].histories[0], fit.monitor, fit.verdict, loss, time_taken,
        fit.interrupted,
    )  # fmt: skip


@contextlib.contextmanager
def _progress(networks: int, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how many networks are trained, on a terminal."""
    from rich.progress import Progress

    console = error_console()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as shown:
        task = shown.add_task("networks", total=networks)
        yield lambda done, of: shown.update(task, completed=done)


def _class_weights(data: LoadedData, options: dict[str, Any]) -> list[float] | None:
    if options["class_weight"] is None:
        return None
    if data.class_names is None:
        raise click.BadOptionUsage("--class-weight", "--class-weight is for classes; the target is an amount")
    counts = np.bincount(data.train[1], minlength=len(data.class_names))
    try:
        return class_weights(options["class_weight"], data.class_names, counts.tolist())
    except ValueError as error:
        raise click.BadOptionUsage("--class-weight", str(error)) from error


class FailedError(Exception):
    """The training failed; holds what was seen of it."""

    def __init__(self, message: str, monitor: Monitor) -> None:
        super().__init__(message)
        self.monitor = monitor


def describe_data(data: LoadedData) -> str:
    """Return name, size and parts of the data."""
    counts = [len(y) for _, y in data.parts().values()]
    kind = "regression" if data.class_names is None else f"{len(data.class_names)} classes"
    shape = data.train[0].shape[1:]
    what = f"{shape[0]} features" if len(shape) == 1 else f"images of {'x'.join(map(str, shape))}"
    parts = f"{counts[0]} to train, {counts[1]} to validate, {counts[2]} to test"
    if data.folds:
        parts = f"in {data.folds} folds"
    return f"{data.name}: {sum(counts)} examples, {what}, {kind}; {parts}"


def _describe_training(trainer: Trainer, data: LoadedData, options: dict[str, Any], comm: Any) -> str:
    instructions = backend.instruction_set()
    loss = "" if options["loss"] is None else f"loss {options['loss']}; "
    ranks = "" if comm is None else f"; {comm.Get_size()} ranks"
    return (
        f"{describe(trainer.model, data, options)}; {loss}{options['optimizer']}, lr {trainer.optimizer.lr:g}; "
        f"{backend.get_backend()}{f' ({instructions})' if instructions else ''}{ranks}"
    )


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
