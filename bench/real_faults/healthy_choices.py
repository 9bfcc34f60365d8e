"""More healthy networks, of unusual but sound choices."""

# ruff: noqa: D401 - a docstring here describes the run that is returned.
from __future__ import annotations

import numpy as np

import pynn
from bench.faults import data
from bench.faults.cases import Corpus, Run
from bench.faults.data import Split, as_float32, split_by_seed
from bench.faults.networks import cnn, mlp

from . import plain_sets as sets
from .classics import with_inputs, with_targets
from .healthy_kinds import own_binary_cross_entropy

CORPUS = Corpus()


@CORPUS.control("made", 0.75)
def three_large_batches(seed: int) -> Run:
    """Three batches of 400 an epoch, Adam 0.01."""
    return Run.of(sets.shells(), mlp(seed, (4, 64, 64, 3)), pynn.Adam(0.01), seed, 60, 400)


@CORPUS.control("made", 0.9)
def forty_airports(seed: int) -> Run:
    """East or west from 40 examples, 20 for validation."""
    split = with_targets(sets.airports(), lambda y: np.isin(y, (0, 2)).astype(np.int64))
    few = Split(split.x[:40], split.y[:40], split.xv[:20], split.yv[:20])
    return Run.of(few, mlp(seed, (2, 8, 2)), pynn.Adam(0.01), seed, 40, 8)


@CORPUS.control("made", 0.85)
def dropout_of_six_tenths(seed: int) -> Run:
    """Dropout 0.6 after two wide layers."""
    split = with_inputs(sets.shapes(), lambda x: x.reshape(len(x), -1))
    return Run.of(split, mlp(seed, (196, 256, 256, 4), dropout=0.6), pynn.Adam(1e-3), seed, 25, 32)


@CORPUS.control("made", 0.62)
def every_fourth_label_wrong(seed: int) -> Run:
    """A quarter of all labels are drawn at random: nobody gets more than about 0.8 right."""
    rng = np.random.default_rng(seed)

    def spoilt(y: np.ndarray) -> np.ndarray:
        return np.where(rng.random(len(y)) < 0.25, rng.integers(0, 3, len(y)), y)

    split = with_targets(sets.shells(), spoilt)
    model = mlp(seed, (4, 32, 3), init=None)
    return Run.of(split, model, pynn.AdamW(3e-3, weight_decay=0.02), seed, 20, 32)


@CORPUS.control("made", 0.2)
def mostly_noise(seed: int) -> Run:
    """A target of which the inputs explain a third at best."""
    rng = np.random.default_rng(seed)
    x = as_float32(rng.standard_normal((2400, 6)))
    y = np.sin(x[:, :1]) + 0.6 * x[:, 1:2] * x[:, 2:3] + 1.2 * rng.standard_normal((2400, 1))
    split = sets.standardized_targets(split_by_seed(x, as_float32(y), seed))
    model = mlp(seed, (6, 32, 1), init=None)
    return Run.of(split, model, pynn.AdamW(2e-3, weight_decay=0.05), seed, 15, 32, pynn.MSELoss())


@CORPUS.control("made", 0.8)
def one_in_forty(seed: int) -> Run:
    """One positive in 41, most of which are found without class weights."""
    split = data.rare(seed, 40, 4.5)
    split = split._replace(y=split.y[:, 0].astype(np.int64), yv=split.yv[:, 0].astype(np.int64))
    return Run.of(split, mlp(seed, (10, 16, 2)), pynn.Adam(3e-3), seed, 15, 32, metric="balanced")


@CORPUS.control("made", 0.9)
def one_epoch_suffices(seed: int) -> Run:
    """A single pass over 9000 examples."""
    return Run.of(sets.shells(2, 2, 12_000), mlp(seed, (2, 32, 32, 2)), pynn.Adam(5e-3), seed, 1, 16)


@CORPUS.control("made", 0.85)
def warmed_up_for_half_the_run(seed: int) -> Run:
    """The rate rises for ten of twenty epochs."""
    schedule, optimizer = pynn.WarmupLR(290), pynn.SGD(0.03, momentum=0.9)
    model = cnn(seed, (1, 8, 16), size=14, classes=4)
    return Run.of(sets.shapes(), model, optimizer, seed, 20, 32, schedule=schedule)


@CORPUS.control("made", 0.2)
def code_of_four_numbers(seed: int) -> Run:
    """An autoencoder of images through four numbers, with a cross-entropy of pixels, which never comes near 0."""
    raw = sets.shapes_raw()
    x, xv = (as_float32(each.reshape(len(each), -1) / 255) for each in (raw.x, raw.xv))
    model = mlp(seed, (196, 64, 4, 64, 196), pynn.ELU, None, tail=[pynn.Sigmoid()])
    loss = own_binary_cross_entropy
    return Run.of(Split(x, x, xv, xv), model, pynn.Adam(2e-3), seed, 40, 32, loss, metric="r2")


@CORPUS.control("made", 0.55)
def decay_that_helps(seed: int) -> Run:
    """A weight decay of 3 in AdamW, for 150 noisy examples of many inputs."""
    rng = np.random.default_rng(seed)
    x = as_float32(rng.standard_normal((550, 30)))
    y = as_float32(x[:, :4].sum(axis=1, keepdims=True) / 2 + 0.5 * rng.standard_normal((550, 1)))
    split = Split(x[:150], y[:150], x[150:], y[150:])
    model = mlp(seed, (30, 64, 1), init=None)
    return Run.of(split, model, pynn.AdamW(5e-3, weight_decay=3.0), seed, 40, 16, pynn.MSELoss())


@CORPUS.control("made", 0.85)
def momentum_of_99_hundredths(seed: int) -> Run:
    """SGD 0.002 with a momentum of 0.99."""
    return Run.of(sets.shells(), mlp(seed, (4, 32, 32, 3)), pynn.SGD(2e-3, momentum=0.99), seed, 40, 32)


@CORPUS.control("made", 0.85)
def cosine_with_restarts(seed: int) -> Run:
    """The rate falls to nothing three times, in 5, 10 and 20 epochs."""
    schedule = pynn.CosineAnnealingWarmRestarts(5, 2)
    model = mlp(seed, (2, 64, 64, sets.STATES))
    return Run.of(sets.airports(), model, pynn.SGD(0.1, momentum=0.9), seed, 35, 32, schedule=schedule)
