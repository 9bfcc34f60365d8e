"""Healthy networks of kinds that people train, through preflight and monitor: no check may fail, no fault be claimed.

    python -m bench.real_faults.healthy --show every

from the project folder; the results go into healthy.json and the README. A network counts as healthy only if it
reaches its minimum score.
"""

# ruff: noqa: D401 - a docstring here describes the run that is returned.
from __future__ import annotations

import os

# One thread, also in NumPy's BLAS; set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import pynn
from bench.faults import data, tables
from bench.faults.cases import Corpus, Run
from bench.faults.networks import block, cnn, mlp
from bench.faults.score import Outcome
from bench.faults.training import measure
from pynn.utils.files import write_atomically

from . import healthy_choices, healthy_kinds, tutorials
from .report import write_section

RESULTS = Path(__file__).with_name("healthy.json")
MARKS = "<!-- healthy: python -m bench.real_faults.healthy -->", "<!-- end of healthy -->"
CORPUS = Corpus()


def _run(
    split: data.Split,
    model: pynn.Sequential,
    optimizer: pynn.Optimizer,
    epochs: int,
    batch_size: int = 32,
    *,
    loss: pynn.Loss | None = None,
    metric: Any = "accuracy",
    callbacks: Sequence[pynn.Callback] = (),
    augment: Sequence[Any] = (),
    **settings: Any,
) -> Run:
    trainer = pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), optimizer, **settings)
    return Run(
        trainer, split.x, split.y, split.validation, epochs, batch_size,
        metric=metric, callbacks=callbacks, augment=augment,
    )  # fmt: skip


def _network(seed: int, *layers: Any) -> pynn.Sequential:
    """Return a network of layers, made after seeding: functions without arguments and lists of them."""
    pynn.manual_seed(seed)
    return pynn.Sequential(*[layer() for layer in layers])


@CORPUS.control("digits", 0.93)
def vgg(seed: int) -> Run:
    """Pairs of convolutions with batch norm, pooling, and a dense head with dropout."""
    layers: list[Any] = []
    for given, made in ((1, 16), (16, 16), (16, 32), (32, 32)):
        layers += [lambda g=given, m=made: pynn.Conv2d(g, m, 3, padding=1, init="he_normal")]
        layers += [lambda m=made: pynn.BatchNorm2d(m), pynn.ReLU]
        layers += [lambda: pynn.MaxPool2d(2)] if given == made else []
    head = [pynn.Flatten, lambda: pynn.Linear(128, 64, init="he_normal"), pynn.ReLU, lambda: pynn.Dropout(0.5)]
    model = _network(seed, *layers, *head, lambda: pynn.Linear(64, 10))
    return _run(data.digit_images(seed), model, pynn.SGD(0.02, momentum=0.9, weight_decay=5e-4), 8)


@CORPUS.control("digits", 0.93)
def residual(seed: int) -> Run:
    """Three residual blocks with batch norm, global average pooling."""
    pynn.manual_seed(seed)
    blocks = [layer for _ in range(3) for layer in (block(16), pynn.ReLU())]
    stem = [pynn.Conv2d(1, 16, 3, padding=1, init="he_normal"), pynn.BatchNorm2d(16), pynn.ReLU()]
    model = pynn.Sequential(*stem, *blocks, pynn.AdaptiveAvgPool2d(1), pynn.Flatten(), pynn.Linear(16, 10))
    return _run(data.digit_images(seed), model, pynn.SGD(0.05, momentum=0.9), 12)


@CORPUS.control("digits", 0.9)
def mixer(seed: int) -> Run:
    """Eight rows of an image as tokens, mixed by convolutions over tokens, then over pixels."""
    pynn.manual_seed(seed)

    def tokens() -> pynn.Layer:
        return pynn.Sequential(pynn.LayerNorm(8), pynn.Conv1d(8, 32, 1), pynn.GELU(), pynn.Conv1d(32, 8, 1))

    def pixels() -> pynn.Layer:
        return pynn.Sequential(pynn.LayerNorm(8), pynn.Conv1d(8, 8, 3, padding=1), pynn.GELU())

    mixing = [layer for _ in range(3) for layer in (pynn.Residual(tokens()), pynn.Residual(pixels()))]
    model = pynn.Sequential(pynn.Unflatten(1, (8, 8)), *mixing, pynn.LayerNorm(8), pynn.Flatten(), pynn.Linear(64, 10))
    return _run(data.digits(seed), model, pynn.AdamW(3e-3, weight_decay=0.01), 15)


@CORPUS.control("digits", 0.6)
def autoencoder(seed: int) -> Run:
    """64-32-12-32-64 that reconstructs the digits."""
    split = data.digits(seed)
    split = split._replace(y=split.x, yv=split.xv)
    model = mlp(seed, (64, 32, 12, 32, 64), pynn.ReLU, None)
    return _run(split, model, pynn.Adam(2e-3), 40, loss=pynn.MSELoss(), metric="r2")


@CORPUS.control("digits", 0.95)
def batch_norm_everywhere(seed: int) -> Run:
    """A perceptron with batch norm before each activation."""
    return _run(data.digits(seed), mlp(seed, (64, 128, 128, 10), norm=0.1), pynn.Adam(1e-3), 15)


@CORPUS.control("friedman", 0.8)
def raw_regression(seed: int) -> Run:
    """Targets of about 15, as they come."""
    split = data.friedman(seed)
    split = split._replace(y=5 * split.y + 15, yv=5 * split.yv + 15)
    return _run(split, mlp(seed, (10, 64, 64, 1), init=None), pynn.Adam(3e-3), 40, loss=pynn.MSELoss(), metric="r2")


@CORPUS.control("iris", 0.85)
def tiny_data(seed: int) -> Run:
    """112 flowers."""
    return _run(tables.iris(seed), mlp(seed, (4, 16, 3), init=None), pynn.Adam(1e-2), 40, 16)


@CORPUS.control("digits", 0.8)
def one_epoch(seed: int) -> Run:
    """A single pass over the data."""
    return _run(data.digits(seed), mlp(seed, (64, 64, 10)), pynn.Adam(3e-3), 1, 16)


@CORPUS.control("digits", 0.9)
def large_batch(seed: int) -> Run:
    """Three steps an epoch."""
    return _run(data.digits(seed), mlp(seed, (64, 128, 10)), pynn.Adam(5e-3), 40, 512)


@CORPUS.control("digits", 0.9)
def small_batch(seed: int) -> Run:
    """Two examples a step."""
    return _run(data.digits(seed), mlp(seed, (64, 64, 10)), pynn.SGD(0.01), 6, 2)


@CORPUS.control("digits", 0.9)
def much_dropout(seed: int) -> Run:
    """Dropout 0.6 after both hidden layers."""
    return _run(data.digits(seed), mlp(seed, (64, 256, 256, 10), dropout=0.6), pynn.Adam(2e-3), 20)


@CORPUS.control("rare", 0.85)
def imbalanced(seed: int) -> Run:
    """One positive in 21, well apart."""
    split = data.rare(seed, 20, 5.0)
    model = mlp(seed, (10, 32, 1))
    return _run(split, model, pynn.Adam(3e-3), 15, loss=pynn.BCEWithLogitsLoss(), metric="balanced")


@CORPUS.control("digits", 0.85)
def imbalanced_classes(seed: int) -> Run:
    """Four of ten classes ten times as rare as the others."""
    split = data.thinned(data.digits(seed), 6, 10)
    return _run(split, mlp(seed, (64, 64, 10)), pynn.Adam(3e-3), 20)


@CORPUS.control("rare", 0.8)
def weighted_classes(seed: int) -> Run:
    """Rare positives with a weight."""
    split = data.rare(seed, 20, 4.0)
    loss = pynn.BCEWithLogitsLoss(pos_weight=20.0)
    return _run(split, mlp(seed, (10, 32, 1)), pynn.Adam(2e-3), 15, loss=loss, metric="balanced")


@CORPUS.control("cancer", 0.93)
def logistic_regression(seed: int) -> Run:
    """One linear layer."""
    return _run(tables.cancer(seed), mlp(seed, (30, 2), init=None), pynn.SGD(0.05), 20)


@CORPUS.control("plane", 0.85)
def linear_regression(seed: int) -> Run:
    """One linear layer for a linear target."""
    return _run(data.plane(seed), mlp(seed, (12, 1), init=None), pynn.SGD(0.02), 20, loss=pynn.MSELoss(), metric="r2")


@CORPUS.control("friedman", 0.75)
def huber_with_outliers(seed: int) -> Run:
    """One target in fifty is far off, in training only."""
    split = data.friedman(seed)
    y = split.y.copy()
    y[::50] += 10
    model = mlp(seed, (10, 64, 1), init=None)
    return _run(split._replace(y=y), model, pynn.Adam(5e-3), 40, loss=pynn.HuberLoss(), metric="r2")


@CORPUS.control("friedman", 0.75)
def median_regression(seed: int) -> Run:
    """The absolute error."""
    model = mlp(seed, (10, 64, 1), init=None)
    return _run(data.friedman(seed), model, pynn.Adam(5e-3), 40, loss=pynn.L1Loss(), metric="r2")


@CORPUS.control("digits", 0.93)
def label_smoothing(seed: int) -> Run:
    """Targets that are never certain."""
    loss = pynn.CrossEntropyLoss(label_smoothing=0.1)
    return _run(data.digits(seed), mlp(seed, (64, 128, 10)), pynn.Adam(2e-3), 15, loss=loss)


@CORPUS.control("digits", 0.93)
def cosine_schedule(seed: int) -> Run:
    """A rate that falls to almost nothing at the end."""
    schedule = pynn.CosineAnnealingLR(20)
    return _run(data.digits(seed), mlp(seed, (64, 64, 10)), pynn.SGD(0.1, momentum=0.9), 20, schedule=schedule)


@CORPUS.control("digits", 0.93)
def one_cycle(seed: int) -> Run:
    """A rate that rises to 0.2 and falls."""
    schedule = pynn.OneCycleLR(0.2, 45 * 12)
    return _run(data.digits(seed), mlp(seed, (64, 64, 10)), pynn.SGD(0.01, momentum=0.9), 12, schedule=schedule)


@CORPUS.control("digits", 0.93)
def stopped_early(seed: int) -> Run:
    """Early stopping that restores the best weights."""
    stopping = pynn.EarlyStopping(patience=8)
    return _run(data.digits(seed), mlp(seed, (64, 256, 10)), pynn.Adam(3e-3), 60, callbacks=[stopping])


@CORPUS.control("digits", 0.9)
def gelu_and_layer_norm(seed: int) -> Run:
    """A residual perceptron in the manner of transformers."""
    pynn.manual_seed(seed)
    inner = [
        pynn.Residual(pynn.Sequential(pynn.LayerNorm(64), pynn.Linear(64, 128), pynn.GELU(), pynn.Linear(128, 64)))
        for _ in range(4)
    ]
    model = pynn.Sequential(*inner, pynn.LayerNorm(64), pynn.Linear(64, 10))
    return _run(data.digits(seed), model, pynn.AdamW(1e-3, weight_decay=0.05), 15, clip_norm=1.0)


@CORPUS.control("digits", 0.9)
def self_normalising(seed: int) -> Run:
    """Six layers of SELU with LeCun's initialisation."""
    return _run(data.digits(seed), mlp(seed, (64, *[64] * 6, 10), pynn.SELU, "lecun_normal"), pynn.SGD(0.02), 20)


@CORPUS.control("digits", 0.9)
def tanh_stack(seed: int) -> Run:
    """Five layers of tanh with Xavier's initialisation."""
    return _run(data.digits(seed), mlp(seed, (64, *[64] * 5, 10), pynn.Tanh, "xavier_normal"), pynn.SGD(0.1), 15)


@CORPUS.control("stripes", 0.8)
def group_norm_and_augmentation(seed: int) -> Run:
    """Group norm; images are shifted at random."""
    pynn.manual_seed(seed)
    model = pynn.Sequential(
        pynn.Conv2d(3, 16, 3, padding=1), pynn.GroupNorm(4, 16), pynn.SiLU(), pynn.MaxPool2d(2),
        pynn.Conv2d(16, 32, 3, padding=1), pynn.GroupNorm(4, 32), pynn.SiLU(), pynn.AdaptiveAvgPool2d(1),
        pynn.Flatten(), pynn.Linear(32, 4),
    )  # fmt: skip
    return _run(data.stripes(seed), model, pynn.Adam(3e-3), 15, augment=[pynn.augment.RandomCrop(1)])


@CORPUS.control("digits", 0.9)
def depthwise_separable(seed: int) -> Run:
    """Depthwise and pointwise convolutions, ReLU6, batch norm."""
    pynn.manual_seed(seed)
    layers: list[pynn.Layer] = [pynn.Conv2d(1, 16, 3, padding=1), pynn.BatchNorm2d(16), pynn.ReLU6()]
    for _ in range(2):
        layers += [pynn.Conv2d(16, 16, 3, padding=1, groups=16), pynn.BatchNorm2d(16), pynn.ReLU6()]
        layers += [pynn.Conv2d(16, 16, 1), pynn.BatchNorm2d(16), pynn.ReLU6()]
    model = pynn.Sequential(*layers, pynn.MaxPool2d(2), pynn.Flatten(), pynn.Linear(256, 10))
    return _run(data.digit_images(seed), model, pynn.Adam(2e-3), 10)


@CORPUS.control("digits", 0.93)
def averaged_weights(seed: int) -> Run:
    """An exponential average of the weights is validated."""
    model = cnn(seed, (1, 8, 16))
    return _run(data.digit_images(seed), model, pynn.SGD(0.05, momentum=0.9), 12, averaging=pynn.EMA(0.99))


@CORPUS.control("words", 0.8)
def counts_of_words(seed: int) -> Run:
    """Sparse counts, never scaled."""
    return _run(data.words(seed), mlp(seed, (400, 64, 4), init=None), pynn.Adam(2e-3), 15)


@CORPUS.control("many_classes", 0.6)
def sixty_classes(seed: int) -> Run:
    """Sixty classes of 45 examples."""
    return _run(tables.many_classes(seed), mlp(seed, (24, 128, 60)), pynn.Adam(2e-3), 25)


@CORPUS.control("categories", 0.85)
def one_hot_table(seed: int) -> Run:
    """Categories as one-hot columns, weight decay against chance."""
    model = mlp(seed, (60, 32, 2), init=None, dropout=0.3)
    return _run(data.categories(seed), model, pynn.AdamW(2e-3, weight_decay=0.1), 15)


#: These, and those of the other modules.
CONTROLS = [
    *CORPUS.controls,
    *(control for module in (healthy_kinds, tutorials, healthy_choices) for control in module.CORPUS.controls),
]


@click.command()
@click.option("--only", multiple=True, help="A network, or part of the names of several.")
@click.option("--seed", default=0, show_default=True)
@click.option("--show", type=click.Choice(["wrong", "every"]), default="wrong", show_default=True)
def main(only: tuple[str, ...], seed: int, show: str) -> None:
    """Check and train the healthy networks; a complete run writes healthy.json and the README's line."""
    pynn.set_num_threads(1)
    outcomes = []
    there = [control for control in CONTROLS if data.available(control.data)]
    if len(there) < len(CONTROLS):
        click.echo(f"PYNN_DATA is not set: {len(CONTROLS) - len(there)} networks on images are skipped", err=True)
    for control in there:
        if only and not any(text in control.name for text in only):
            continue
        outcome = measure(control, seed)
        outcomes.append(outcome)
        told = _told(outcome)
        if told or show == "every" or outcome.score < control.least:
            unhealthy = "" if outcome.score >= control.least else f", below {control.least}: not healthy"
            click.echo(f"{control.name}: {outcome.score:.3f}{unhealthy}, {outcome.seconds:.0f} s")
            click.echo("".join(f"    {line}\n" for line in told), nl=False)
    if not only:
        rows = [outcome.as_dict() for outcome in outcomes]
        write_atomically(RESULTS, ("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n").encode())
        write_section(MARKS, _summary(outcomes))


def _told(outcome: Outcome) -> list[str]:
    """Return what preflight and monitor claim about a run."""
    checks = [f"{check.status} {check.name}: {check.text}" for check in outcome.checks or []]
    claims = [f.symptom for f in outcome.alarms if f.symptom in outcome.verdict]
    return checks + [f"{f.severity} {f.symptom}: {f.evidence}" for f in outcome.alarms if f.symptom in claims]


def _summary(outcomes: list[Outcome]) -> str:
    """Return the README's line."""
    checks = [check.status for outcome in outcomes for check in outcome.checks or []]
    claims = sum(len(outcome.verdict) for outcome in outcomes)
    return (
        f"{len(outcomes)} healthy networks of other kinds (`healthy.py`, `healthy_kinds.py`, `healthy_choices.py`, "
        "`tutorials.py`: VGG-like, residual, mixing tokens, autoencoders, embeddings, tiny data, one epoch, large and "
        "small batches, rare classes, losses of the program's own, programs of tutorials ...): "
        f"checks that fail: {checks.count('fail')}; that warn: {checks.count('warn')}; "
        f"faults claimed by the monitor: {claims}."
    )


if __name__ == "__main__":
    main()
