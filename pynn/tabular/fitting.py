"""Cross-fit the recipes to a small table, and blend their networks into one model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..babysit import Finding, Monitor
from ..nn.loss import Loss
from ..nn.random import manual_seed
from ..nn.sequential import Sequential
from ..preprocessing import Standardize
from ..training.folds import CrossFit, average, blend, cross_fit, fit_without, fold_rows
from ..training.history import History
from ..training.named import make_loss, make_optimizer, make_schedule
from ..training.step import NonFiniteError
from ..training.trainer import Trainer
from ..utils.interrupt import InterruptGuard
from .networks import bending_places, network
from .recipe import FOLDS, LIMIT, Recipe, recipes


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


class SmallTable:
    """A table, and the kinds of networks that suit it.

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
    class_names : sequence of text or numbers, optional
        Those of the models, for findings and labels.

    Attributes
    ----------
    kinds : list of Recipe
    """

    def __init__(
        self,
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
        class_names: Sequence[Any] | None = None,
    ) -> None:
        self.kinds = recipes(len(x), given)
        self.folds, self.seed = folds, seed
        self._x, self._y = x, (y if classes else y.reshape(-1, 1))
        self._classes, self._class_weight, self._loss_name = classes, class_weight, loss
        self._sample_weight, self._class_names = sample_weight, class_names
        # All networks share the preprocessing.
        self._preprocessing = Standardize(limit=LIMIT).fit(x)
        self._target_preprocessing = None if classes else Standardize().fit(self._y)
        self._begun = (0, 0)  # the kind and the fold of the network that was begun last
        inputs = self._preprocessing.transform(x)
        self._places = {knots: bending_places(inputs, knots) for knots in {kind.knots for kind in self.kinds}}

    def cross_fit(self, progress: Callable[[int, int], None] = lambda done, of: None) -> TableFit:
        """Cross-fit each kind of network, and blend them.

        Parameters
        ----------
        progress : callable
            Called with the number of networks begun, and the number of all.

        Raises
        ------
        NonFiniteError
            If the loss of a network becomes NaN or infinite.
        """
        fits: list[CrossFit] = []
        with InterruptGuard() as guard:
            for index in range(len(self.kinds)):
                fits.append(self._cross_fit_kind(index, progress))
                if guard.requested:
                    break
            whole = [fit for fit in fits if not fit.interrupted] or fits
            # What the networks predict is in the unit of the raw targets.
            scaling = self._target_preprocessing
            loss_of_raw = self._loss(1.0 if scaling is None else float(scaling.scale_[0]))
            counts = blend(whole, self._y, loss_of_raw, sample_weight=self._sample_weight)
            predictions = sum(n * fit.honest for n, fit in zip(counts, whole, strict=True)) / sum(counts)
            best = int(np.argmax(counts))
            return TableFit(
                average(whole, counts),
                np.asarray(predictions),
                list(zip(self.kinds, whole, counts, strict=False)),
                self._watched(best, whole[best].histories[0]),
                guard.requested,
            )

    def _cross_fit_kind(self, index: int, progress: Callable[[int, int], None]) -> CrossFit:
        """Cross-fit the kind of network with this index."""
        kind = self.kinds[index]

        def make_trainer(fold: int) -> Trainer:
            self._begun = index, fold
            progress(index * self.folds + fold, self.folds * len(self.kinds))
            return self._trainer(index, fold)

        return cross_fit(
            make_trainer,
            self._x,
            self._y,
            epochs=kind.epochs,
            folds=self.folds,
            patience=kind.patience if kind.early_stopping else None,
            batch_size=kind.batch_size,
            seed=self.seed,
            sample_weight=self._sample_weight,
        )

    def _watched(self, index: int, trained: History) -> Monitor:
        """Return a monitor that has watched the first network of a kind, trained again as far as `trained` says.

        Only the blend tells which kind counts most, and to watch the first network of each kind before took a quarter
        to a third of the whole time (5 tables).
        """
        monitor = Monitor(on_problem="silent")
        self._train(index, 0, len(trained) if trained.interrupted else self.kinds[index].epochs, monitor)
        return monitor

    def watch_failure(self) -> Monitor:
        """Return a monitor that has watched the network whose loss `cross_fit` found not finite, trained again."""
        index, fold = self._begun
        monitor = Monitor(on_problem="silent")
        with contextlib.suppress(NonFiniteError):
            self._train(index, fold, self.kinds[index].epochs, monitor)
        return monitor

    def _train(self, index: int, fold: int, epochs: int, monitor: Monitor) -> None:
        """Train one network, of the kind with this index and without this fold, under a monitor."""
        kind = self.kinds[index]
        fit_without(
            fold_rows(self._y, self.folds, self.seed)[fold],
            self._trainer(index, fold),
            self._x,
            self._y,
            epochs,
            kind.patience if kind.early_stopping else None,
            kind.batch_size,
            self._sample_weight,
            [monitor],
        )

    def deepest_run(self) -> TableRun:
        """Return the first run of the last kind, which has the most layers: the one that `pynn check` looks at."""
        x, y = self._x, self._y
        held_out = fold_rows(y, self.folds, self.seed)[0]
        rest = np.setdiff1d(np.arange(len(x)), held_out)
        trainer = self._trainer(len(self.kinds) - 1, 0)
        return TableRun(trainer, self.kinds[-1].batch_size, (x[rest], y[rest]), (x[held_out], y[held_out]))

    def _loss(self, unit: float = 1.0) -> Loss:
        """Return the loss of targets with the standard deviation `unit`."""
        return make_loss(self._loss_name, classes=bool(self._classes), class_weight=self._class_weight, unit=unit)

    def _trainer(self, index: int, fold: int) -> Trainer:
        """Return the trainer of one network: of the kind with this index, without this fold."""
        kind = self.kinds[index]
        seed = int(np.random.SeedSequence((self.seed, index, fold)).generate_state(1)[0])
        manual_seed(seed)
        model = network(kind, self._x.shape[1], self._classes or 1, self._places[kind.knots])
        model.preprocessing, model.target_preprocessing = self._preprocessing, self._target_preprocessing
        model.class_names = self._class_names
        optimizer = make_optimizer(kind.optimizer, kind.lr, kind.weight_decay)
        return Trainer(model, self._loss(), optimizer, schedule=make_schedule(kind.schedule, kind.epochs), seed=seed)
