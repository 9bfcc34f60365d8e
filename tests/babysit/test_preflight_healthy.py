"""Preflight passes healthy classifiers: networks, settings, data and batch sizes that are unusual, but no fault."""

import copy

import numpy as np
import pytest
from preflight_networks import (
    OwnDropout,
    Rounding,
    RunningNorm,
    Scale,
    network,
    trainer_of,
    with_layer,
)

import pynn
from pynn.babysit.preflight import preflight

pytestmark = pytest.mark.usefixtures("seeded")


class Narrowing(Rounding):
    """What it gives is float32, which the next layer refuses in float64."""

    def forward(self, x, ctx):
        ctx.x = x
        return np.tanh(x.astype(np.float32))

    def backward(self, dy, ctx):
        return super().backward(dy, ctx).astype(np.float32)


class Embedding(pynn.Layer):
    """Whole numbers below `size` as learned vectors."""

    def __init__(self, size, width):
        super().__init__()
        self.size, self.width = size, width
        self.table = pynn.Parameter(np.random.default_rng(0).standard_normal((size, width)))

    def forward(self, x, ctx):
        ctx.rows = x.astype(int)
        return np.ascontiguousarray(self.table.data[ctx.rows].reshape(len(x), -1))

    def backward(self, dy, ctx):
        self.table.grad[...] = 0
        np.add.at(self.table.grad, ctx.rows.reshape(-1), dy.reshape(-1, self.width))
        return np.zeros(ctx.rows.shape, dy.dtype)


def fine_tuned(x, y):
    trainer = trainer_of(network(12, [24], 3))
    trainer.fit(x, y, epochs=15)
    return pynn.Trainer(copy.deepcopy(trainer.model), pynn.CrossEntropyLoss(), pynn.Adam(1e-5))


def partly_frozen(x, y):
    model = network(12, [48, 24], 3)
    model[0].freeze()
    return trainer_of(model)


def first_step_from_0(x, y):
    model = network(12, [24], 3)
    model[-1].weight[...] = 0
    return trainer_of(model)


def preprocessed(x, y):
    model = network(12, [24], 3)
    model.preprocessing = pynn.preprocessing.Standardize()
    return trainer_of(model)


HEALTHY = {
    "as the tutorial has it": lambda x, y: trainer_of(network(12, [32], 3), optimizer=pynn.SGD(0.1, momentum=0.9)),
    "large rate with batch norm": lambda x, y: trainer_of(
        network(12, [48, 48], 3, batchnorm=True), optimizer=pynn.SGD(2.0)
    ),
    "small weights before batch norm": lambda x, y: trainer_of(network(12, [32, 32], 3, init="normal", batchnorm=True)),
    "slow running statistics": lambda x, y: with_layer(pynn.BatchNorm1d(24, momentum=0.01)),
    "many parameters": lambda x, y: trainer_of(network(12, [600, 400], 3)),
    "wide": lambda x, y: trainer_of(network(12, [1500], 3)),
    "deep": lambda x, y: trainer_of(network(12, [48] * 12, 3), optimizer=pynn.Adam(3e-4)),
    "deep with batch norm": lambda x, y: trainer_of(network(12, [32] * 16, 3, batchnorm=True)),
    "deep tanh": lambda x, y: trainer_of(network(12, [48] * 8, 3, pynn.Tanh, "lecun_normal")),
    "PyTorch's initialisation": lambda x, y: trainer_of(network(12, [32, 32], 3, init=None)),
    "dropout": lambda x, y: trainer_of(network(12, [96, 96], 3, dropout=0.5)),
    "GELU": lambda x, y: trainer_of(network(12, [32, 32], 3, pynn.GELU)),
    "SiLU": lambda x, y: trainer_of(network(12, [32, 32], 3, pynn.SiLU)),
    "PReLU": lambda x, y: trainer_of(network(12, [32, 32], 3, pynn.PReLU)),
    "sigmoid": lambda x, y: trainer_of(network(12, [32], 3, pynn.Sigmoid, "xavier_normal")),
    "Maxout": lambda x, y: trainer_of(pynn.Sequential(pynn.Maxout(12, 24), pynn.Maxout(24, 24), pynn.Linear(24, 3))),
    "linear": lambda x, y: trainer_of(pynn.Sequential(pynn.Linear(12, 3)), optimizer=pynn.SGD(0.5)),
    "float64": lambda x, y: trainer_of(network(12, [32], 3).astype(np.float64)),
    "frozen first layer": partly_frozen,
    "last layer starts at 0": first_step_from_0,
    "fine-tuning": fine_tuned,
    "unfitted preprocessing": preprocessed,
    "warm-up": lambda x, y: trainer_of(
        network(12, [48], 3), optimizer=pynn.SGD(0.5, momentum=0.9), schedule=pynn.WarmupLR(100)
    ),
    "usual regularisation": lambda x, y: trainer_of(
        network(12, [48], 3),
        optimizer=pynn.SGD(0.1, weight_decay=5e-4),
        regularizers=[pynn.L2(1e-4), pynn.MaxNorm(3.0)],
        clip_norm=5.0,
    ),
    "AdamW": lambda x, y: trainer_of(network(12, [48], 3), optimizer=pynn.AdamW(1e-3, weight_decay=0.1)),
    "hinge loss": lambda x, y: trainer_of(network(12, [32], 3), pynn.HingeLoss(), pynn.SGD(0.02)),
    "label smoothing": lambda x, y: trainer_of(network(12, [32], 3), pynn.CrossEntropyLoss(label_smoothing=0.1)),
    "a layer of one's own": lambda x, y: with_layer(Scale(24)),
    "a layer in float32": lambda x, y: with_layer(Rounding()),
    "a layer that gives float32": lambda x, y: with_layer(Narrowing()),
    "a batch norm of one's own": lambda x, y: with_layer(RunningNorm(24)),
    "a dropout of one's own": lambda x, y: with_layer(OwnDropout()),
}


@pytest.mark.parametrize("case", HEALTHY)
def test_a_healthy_trainer_passes(case, classes):
    x, y = classes
    report = preflight(HEALTHY[case](x, y), x, y)
    assert report.status == "pass", str(report)


def sparse(rng):
    x = (rng.random((900, 200)) < 0.03) * rng.exponential(1, (900, 200))
    return x.astype(np.float32), (x @ rng.standard_normal(200) > 0).astype(np.int64)


def one_hot(rng):
    category = rng.integers(0, 10, (900, 3))
    x = np.concatenate([np.eye(10, dtype=np.float32)[column] for column in category.T], axis=1)
    return x, (category[:, 0] + category[:, 1] > 9).astype(np.int64)


def noisy_labels(rng):
    x = rng.standard_normal((900, 12)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    return x, np.where(rng.random(900) < 0.5, rng.integers(0, 2, 900), y)


def hard(rng):
    x = rng.standard_normal((900, 12)).astype(np.float32)
    return x, (rng.random(900) < 1 / (1 + np.exp(-0.7 * x[:, 0]))).astype(np.int64)


def rare_class(rng):
    x = rng.standard_normal((900, 12)).astype(np.float32)
    return x, np.digitize(x[:, 0] + x[:, 1], [-0.5, 0.7, 2.8])


def small(rng):
    x = rng.standard_normal((40, 12)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


@pytest.mark.parametrize("make", [sparse, one_hot, noisy_labels, hard, rare_class, small])
def test_healthy_data_pass(make, rng):
    x, y = make(rng)
    report = preflight(trainer_of(network(x.shape[1], [48], int(y.max()) + 1)), x, y)
    assert report.status == "pass", str(report)


def test_small_tanh_units_that_large_inputs_saturate_are_noted_where_the_network_learns():
    x, y = pynn.datasets.blobs(n=600, classes=3, std=1.0, seed=1)
    x = x * np.float32(4 / x.std())
    model = network(2, [5, 5, 5], 3, pynn.Tanh, "he_uniform")
    report = preflight(trainer_of(model, optimizer=pynn.Adam(1e-2)), x, y)
    assert report["saturated units"].status == "note", str(report)
    assert report.status == "pass", str(report)


@pytest.mark.parametrize("batch_size", [1, 3, 500, 5000])
def test_any_batch_size_passes(batch_size, classes):
    x, y = classes
    report = preflight(trainer_of(network(12, [24], 3), optimizer=pynn.SGD(0.02)), x, y, batch_size=batch_size)
    assert report.ok, str(report)


def test_tiny_batches_with_batch_norm_pass(classes):
    report = preflight(trainer_of(network(12, [32], 3, batchnorm=True)), *classes, batch_size=4)
    assert report.status == "pass", str(report)


def test_several_yes_or_no_answers_pass(classes):
    x, _ = classes
    y = np.stack([x[:, 0] > 0, x[:, 1] + x[:, 2] > 1, x[:, 3] > 1.5], axis=1).astype(np.float32)
    report = preflight(trainer_of(network(12, [32], 3), pynn.BCEWithLogitsLoss()), x, y)
    assert report.status == "pass", str(report)


def rare_positives(rng, distance):
    y = (np.arange(2000) % 30 == 0).astype(np.float32)[:, None]
    return (rng.standard_normal((2000, 10)) + distance / np.sqrt(10) * y).astype(np.float32), y


@pytest.mark.parametrize(("distance", "status"), [(6.0, "note"), (1.0, "warn")])
def test_rare_examples_are_a_fault_only_among_the_others(distance, status, rng):
    x, y = rare_positives(rng, distance)
    check = preflight(trainer_of(network(10, [16], 1), pynn.BCEWithLogitsLoss()), x, y)["label balance"]
    assert check.status == status, check.evidence
    labels = preflight(trainer_of(network(10, [16], 2)), x, y[:, 0].astype(int))["label balance"]
    assert labels.status == status


def test_a_focal_loss_makes_up_for_rare_examples(rng):
    x, y = rare_positives(rng, 1.0)
    report = preflight(trainer_of(network(10, [16], 2), pynn.FocalLoss()), x, y[:, 0].astype(int))
    assert report["label balance"].status == "pass"


def test_pixels_between_yes_and_no_are_memorised_at_a_loss_above_0():
    x = pynn.datasets.load_digits()[0].reshape(-1, 64) / np.float32(16)
    model = network(64, [32, 8, 32], 64)
    report = preflight(trainer_of(model, pynn.BCEWithLogitsLoss()), x, x)
    assert report["overfits a handful"].status == "pass", str(report)
    assert report.status == "pass", str(report)


def test_whole_numbers_for_an_embedding_pass(rng):
    x = rng.integers(0, 40, (900, 3)).astype(np.float32)
    y = (rng.standard_normal(40)[x.astype(int)].sum(axis=1) > 0).astype(np.int64)
    model = pynn.Sequential(Embedding(40, 6), pynn.Linear(18, 24), pynn.ReLU(), pynn.Linear(24, 2))
    report = preflight(trainer_of(model), x, y)
    assert report.status == "pass", str(report)


def test_images_with_dark_margins_pass():
    x, y = pynn.datasets.load_digits()
    model = pynn.Sequential(pynn.Flatten(), pynn.Linear(64, 64, init="he_normal"), pynn.ReLU(), pynn.Linear(64, 10))
    report = preflight(trainer_of(model), x.reshape(-1, 8, 8) / 16, y)
    assert report.status == "pass", str(report)
    assert report["constant features"].evidence.startswith("3 of 64")


def test_ignored_labels_and_weights_take_no_part(classes):
    x, y = classes
    y = np.where(np.arange(len(y)) % 4 == 0, -100, y)
    report = preflight(trainer_of(network(12, [24], 3)), x, y, sample_weight=np.linspace(0, 2, len(y)))
    assert report.status == "pass", str(report)
    nothing = preflight(trainer_of(network(12, [24], 3)), x, np.full_like(y, -100))
    assert nothing["targets"].status == "fail"


def test_few_possible_values_make_equal_rows_no_fault(rng):
    x = rng.integers(0, 3, (900, 4)).astype(np.float32)
    y = (x.sum(axis=1) + rng.standard_normal(900) > 4).astype(np.int64)
    report = preflight(trainer_of(network(4, [24], 2)), x[:700], y[:700], validation=(x[700:], y[700:]))
    assert report["validation duplicates"].status == "pass", str(report)
