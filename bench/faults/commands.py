"""Runs of the command line: documented commands with a learning rate that is too high, and tables with its defaults."""

# ruff: noqa: D401 - a docstring here describes the run that is returned.
from __future__ import annotations

from typing import Any

import numpy as np

from pynn.cli.data import LoadedData
from pynn.cli.options import build, with_defaults
from pynn.cli.train import train

from . import data, tables
from .cases import BLOWN_UP, Corpus, Run

CORPUS = Corpus()

OPTIMIZERS = ("adamw", "adam", "sgd", "nesterov", "rmsprop")


def _command(split: data.Split, seed: int, **options: Any) -> Run:
    """Return the run of ``pynn train`` with these options."""
    regression = split.y.dtype.kind == "f"
    known, unseen = ((x, y[:, 0] if regression else y) for x, y in ((split.x, split.y), (split.xv, split.yv)))
    names = None if regression else [str(label) for label in range(int(split.y.max()) + 1)]
    loaded = LoadedData("table", known, unseen, unseen, names)
    chosen = with_defaults(train.make_context("train", []).params | options | {"seed": seed})
    trainer = build(loaded, chosen)
    # The corpus measures networks by their own inputs and outputs.
    model = trainer.model
    x, xv = (np.asarray(model.preprocessing.transform(x)) for x in (split.x, split.xv))
    y, yv = split.y, split.yv
    if regression:
        y, yv = (np.asarray(model.target_preprocessing.transform(values)) for values in (y, yv))
    model.preprocessing = model.target_preprocessing = None
    metric = "r2" if regression else "accuracy"
    return Run(trainer, x, y, (xv, yv), chosen["epochs"], chosen["batch_size"], metric=metric)


@CORPUS.fault("digits", "lr_too_high", also=BLOWN_UP, visible_before=True)
def command_lr_3(seed: int, sick: bool) -> Run:
    """``pynn train --lr 3``: AdamW's decoupled decay then takes 3% of the weights in a step."""
    return _command(data.digits_raw(seed), seed, lr=3.0 if sick else None, epochs=20)


@CORPUS.fault("digits", "lr_too_high", also=BLOWN_UP, visible_before=True)
def command_lr_10(seed: int, sick: bool) -> Run:
    """``pynn train --lr 10`` with each optimiser."""
    optimizer = OPTIMIZERS[seed % len(OPTIMIZERS)]
    return _command(data.digits_raw(seed), seed, lr=10.0 if sick else None, optimizer=optimizer, epochs=10)


@CORPUS.fault("digits", "lr_too_high", also=BLOWN_UP, visible_before=True)
def command_lr_50(seed: int, sick: bool) -> Run:
    """``pynn diagnose --lr 50 --epochs 10``."""
    return _command(data.digits_raw(seed), seed, lr=50.0 if sick else None, epochs=10)


@CORPUS.fault("diabetes", "overfitting")
def command_wide_on_diabetes(seed: int, sick: bool) -> Run:
    """331 rows in a network of 36 000 weights; the twin has 32 units and dropout."""
    options = {"hidden": (256, 128), "dropout": 0.0} if sick else {"hidden": (32,), "dropout": 0.3}
    return _command(tables.diabetes(seed), seed, weight_decay=0.01, lr=3e-3, epochs=40, batch_size=32, **options)


@CORPUS.control("iris", 0.85)
def command_iris(seed: int) -> Run:
    """``pynn train`` on 112 flowers: four steps an epoch, and one example in 38 decides 3% of the accuracy."""
    return _command(tables.iris(seed), seed)


@CORPUS.control("wine", 0.88)
def command_wine(seed: int) -> Run:
    """``pynn train`` on 133 wines."""
    return _command(tables.wine(seed), seed)


@CORPUS.control("cancer", 0.92)
def command_cancer(seed: int) -> Run:
    """``pynn train`` on 426 tumours."""
    return _command(tables.cancer(seed), seed)


@CORPUS.control("digits", 0.92)
def command_digits(seed: int) -> Run:
    """``pynn train``."""
    return _command(data.digits_raw(seed), seed)


@CORPUS.control("majority", 0.6)
def command_majority(seed: int) -> Run:
    """A weak signal behind a majority of 70%: the accuracy is hardly above it, the ranks are."""
    return _command(tables.majority(seed), seed, hidden=(16,), dropout=0.5, epochs=20)
