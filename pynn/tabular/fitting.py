"""Cross-fit the recipes to a small table, and blend their networks into one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..babysit import Finding, Monitor
from ..nn import layers
from ..nn.loss import Loss
from ..nn.random import manual_seed
from ..nn.sequential import Sequential
from ..preprocessing import Standardize
from ..training.folds import CrossFit, average, blend, cross_fit, fold_rows
from ..training.named import ACTIVATIONS, OPTIMIZERS, make_loss, make_schedule
from ..training.trainer import Trainer
from ..utils.interrupt import InterruptGuard
from .recipe import FOLDS, LIMIT, MOST_BENDS, Recipe, recipes


@dataclass(frozen=True)
class TableFit:
    """What cross-fitting gives.

    Attributes
    ----------
    model : Sequential
        The average of all members, with its preprocessing; takes raw features, regresses raw targets.
    predictions : ndarray, shape (n, outputs)
        What the members predict for the examples that they did not see (`CrossFit.honest`), averaged as in the model:
        logits, or raw targets. NaN where an interruption left no member that did not see the example.
    kinds : list of (Recipe, CrossFit, int)
        The kinds of networks, and how often each counts in the average.
    monitor : Monitor
        Of the first member of the kind that counts most.
    interrupted : bool
    """

    model: Sequential
    predictions: np.ndarray
    kinds: list[tuple[Recipe, CrossFit, int]]
    monitor: Monitor
    interrupted: bool

    @property
    def verdict(self) -> list[Finding]:
        """The monitor's findings except overfitting: each network keeps its weights from before it set in."""
        return [finding for finding in self.monitor.verdict if finding.symptom != "overfitting"]


def fit_table(
    x: np.ndarray,
    y: np.ndarray,
    classes: int | None,
    given: Mapping[str, Any],
    *,
    folds: int = FOLDS,
    seed: int = 0,
    class_weight: Sequence[float] | None = None,
    sample_weight: np.ndarray | None = None,
    loss: str | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> TableFit:
    """Cross-fit each kind of network that `recipes` names, and blend them.

    Parameters
    ----------
    x : ndarray, shape (n, features)
        Raw features, finite.
    y : ndarray, shape (n,)
        Class indices, or raw targets.
    classes : int or None
        The number of classes; None for regression.
    given : mapping
        See `recipes`.
    folds : int
    seed : int
    class_weight : sequence of float, optional
    sample_weight : ndarray, shape (n,), optional
    loss : str, optional
        A name of `training.named.make_loss`.
    progress : callable
        Called with the number of networks begun, and the number of all.

    Raises
    ------
    NonFiniteError
        If the loss of a network becomes NaN or infinite.
    """
    kinds = recipes(len(x), given)
    table = _Table(x, y, classes, class_weight, loss, folds, seed)
    fits: list[CrossFit] = []
    monitors = [Monitor(on_problem="silent") for _ in kinds]
    with InterruptGuard() as guard:
        for index, kind in enumerate(kinds):
            begin = lambda done: progress(done, folds * len(kinds))  # noqa: E731
            fits.append(table.fit(kind, index, monitors[index], begin, sample_weight))
            if guard.requested:
                break
        whole = [fit for fit in fits if not fit.interrupted] or fits
        # What the networks predict is in the unit of the raw targets.
        scaling = table.target_preprocessing
        loss_of_raw = table.loss(1.0 if scaling is None else float(scaling.scale_[0]))
        counts = blend(whole, table.y, loss_of_raw, sample_weight=sample_weight)
        predictions = sum(n * fit.honest for n, fit in zip(counts, whole, strict=True)) / sum(counts)
        return TableFit(
            average(whole, counts),
            np.asarray(predictions),
            list(zip(kinds, whole, counts, strict=False)),
            monitors[int(np.argmax(counts))],
            guard.requested,
        )


@dataclass(frozen=True)
class TableRun:
    """A training run before it begins: of one network, on one part of a table.

    Attributes
    ----------
    trainer : Trainer
    batch_size : int
    train, validation : (ndarray, ndarray)
        Raw features and targets.
    """

    trainer: Trainer
    batch_size: int
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]


def deepest_run(
    x: np.ndarray,
    y: np.ndarray,
    classes: int | None,
    given: Mapping[str, Any],
    *,
    folds: int = FOLDS,
    seed: int = 0,
    class_weight: Sequence[float] | None = None,
    loss: str | None = None,
) -> TableRun:
    """Return the first run of the last kind, which has the most layers: the one that `pynn check` looks at.

    The parameters are those of `fit_table`.
    """
    kinds = recipes(len(x), given)
    table = _Table(x, y, classes, class_weight, loss, folds, seed)
    held_out = fold_rows(table.y, folds, seed)[0]
    rest = np.setdiff1d(np.arange(len(x)), held_out)
    trainer = table.trainer(kinds[-1], len(kinds) - 1, 0)
    return TableRun(trainer, kinds[-1].batch_size, (x[rest], table.y[rest]), (x[held_out], table.y[held_out]))


class _Table:
    """A table's examples, and the preprocessing that all networks share."""

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        classes: int | None,
        class_weight: Sequence[float] | None,
        loss: str | None,
        folds: int,
        seed: int,
    ) -> None:
        self.x, self.y = x, (y if classes else y.reshape(-1, 1))
        self.classes, self.class_weight, self.loss_name, self.folds, self.seed = (
            classes, class_weight, loss, folds, seed
        )  # fmt: skip
        self.preprocessing = Standardize(limit=LIMIT).fit(x)
        self.target_preprocessing = None if classes else Standardize().fit(self.y)
        self.inputs = self.preprocessing.transform(x)

    def loss(self, unit: float = 1.0) -> Loss:
        """Return the loss of targets with the standard deviation `unit`."""
        return make_loss(self.loss_name, classes=bool(self.classes), class_weight=self.class_weight, unit=unit)

    def trainer(self, kind: Recipe, index: int, fold: int) -> Trainer:
        """Return the trainer of one network: of the kind with this index, without this fold."""
        seed = int(np.random.SeedSequence((self.seed, index, fold)).generate_state(1)[0])
        manual_seed(seed)
        model = network(kind, self.inputs, self.classes or 1)
        model.preprocessing, model.target_preprocessing = self.preprocessing, self.target_preprocessing
        make_optimizer, lr, weight_decay = OPTIMIZERS[kind.optimizer]
        rates = {
            "lr": lr if kind.lr is None else kind.lr,
            "weight_decay": weight_decay if kind.weight_decay is None else kind.weight_decay,
        }
        schedule = make_schedule(kind.schedule, kind.epochs)
        return Trainer(model, self.loss(), make_optimizer(**rates), schedule=schedule, seed=seed)

    def fit(
        self, kind: Recipe, index: int, monitor: Monitor, begin: Callable[[int], None], weights: np.ndarray | None
    ) -> CrossFit:
        """Cross-fit one kind of network; `begin` is called before each, with the number of earlier ones."""

        def make_trainer(fold: int) -> Trainer:
            begin(index * self.folds + fold)
            return self.trainer(kind, index, fold)

        return cross_fit(
            make_trainer,
            self.x,
            self.y,
            epochs=kind.epochs,
            folds=self.folds,
            patience=kind.patience if kind.early_stopping else None,
            batch_size=kind.batch_size,
            seed=self.seed,
            sample_weight=weights,
            callbacks=lambda fold: [monitor] if fold == 0 else [],
        )


def network(kind: Recipe, inputs: np.ndarray, outputs: int) -> Sequential:
    """Return an untrained network for preprocessed inputs; unless the user describes it, its first outputs are 0."""
    width = inputs.shape[1]
    chain: list[layers.Layer] = [layers.Dropout(kind.input_dropout)] if kind.input_dropout else []
    if kind.knots:
        bends = _bends(inputs, kind.knots)
        if bends is not None:
            chain += [bends, layers.ReLU(), layers.Dropout(kind.dropout)]
            width = bends.out_features
    chain += _hidden(kind, width)
    init = None if kind.name == "given" else "zeros"
    last = layers.Linear(kind.hidden[-1] if kind.hidden else width, outputs, init=init)
    if not (kind.skip and chain):
        return Sequential(*chain, last)
    return Sequential(layers.Residual(Sequential(*chain, last), layers.Linear(inputs.shape[1], outputs, init="zeros")))


def _hidden(kind: Recipe, width: int) -> list[layers.Layer]:
    make_activation, init = ACTIVATIONS[kind.activation]
    chain: list[layers.Layer] = []
    for hidden in kind.hidden:
        chain.append((layers.Maxout if make_activation is None else layers.Linear)(width, hidden, init=init))
        if kind.batchnorm:
            chain.append(layers.BatchNorm1d(hidden))
        if make_activation is not None:
            chain.append(make_activation())
        if kind.dropout:
            chain.append(layers.Dropout(kind.dropout))
        width = hidden
    return chain


def _bends(inputs: np.ndarray, knots: int) -> layers.Linear | None:
    """Return a layer of units x_j - t, with t at quantiles of input j; None if no input has more than two values."""
    varied = [column for column, values in enumerate(inputs.T) if len(np.unique(values)) > 2]
    each = min(knots, MOST_BENDS // max(1, len(varied)))
    places: list[tuple[int, float]] = []
    for column in varied:
        values = inputs[:, column]
        inner = np.unique(np.quantile(values, np.linspace(0, 1, each + 2)[1:-1]))
        places += [(column, knot) for knot in inner if values.min() < knot < values.max()]
    if not places:
        return None
    layer = layers.Linear(inputs.shape[1], len(places), init="zeros")
    columns, thresholds = zip(*places, strict=True)
    layer.weight[list(columns), np.arange(len(places))] = 1
    assert layer.bias is not None
    layer.bias[...] = -np.array(thresholds)
    return layer
