"""Preflight says why output, loss and targets do not belong together, also of layers and losses of a user's own."""

import numpy as np
import pytest
from preflight_networks import SoftmaxLayer, network, trainer_of

import pynn
from pynn.babysit.preflight import preflight

pytestmark = pytest.mark.usefixtures("seeded")


class BatchSoftmax(SoftmaxLayer):
    """A softmax over the examples."""

    def forward(self, x, ctx):
        return super().forward(x.T, ctx).T

    def backward(self, dy, ctx):
        return super().backward(dy.T, ctx).T


class SigmoidLayer(pynn.Layer):
    def forward(self, x, ctx):
        ctx.y = 1 / (1 + np.exp(-x))
        return ctx.y

    def backward(self, dy, ctx):
        return dy * ctx.y * (1 - ctx.y)


def ending_in(*layers, features=12, outputs=3):
    return pynn.Sequential(pynn.Linear(features, 24), pynn.ReLU(), pynn.Linear(24, outputs), *layers)


def rows(labels):
    return np.eye(3, dtype=np.float32)[labels]


def softmax(x, axis=1):
    shares = np.exp(x - x.max(axis=axis, keepdims=True))
    return shares / shares.sum(axis=axis, keepdims=True)


def own_square(prediction, target):
    difference = prediction - target
    return float((difference**2).mean()), 2 * difference / difference.size


def own_cross_entropy(prediction, target):
    shares = softmax(prediction)
    return float(-(target * np.log(shares)).sum(axis=1).mean()), (shares - target) / len(target)


def over_the_batch(prediction, target):
    shares = softmax(prediction, axis=0)
    gradient = shares * target.sum(axis=0) - target
    return float(-(target * np.log(shares)).sum(axis=1).mean()), (gradient / len(target)).astype(prediction.dtype)


def log_of_shares(prediction, target):
    """Cross-entropy of outputs that are probabilities, clipped as usual."""
    inside = (prediction > 1e-7) & (prediction < 1)
    shares = np.clip(prediction, 1e-7, 1)
    value = -float((target * np.log(shares)).sum(axis=1).mean())
    return value, (-np.where(inside, target / shares, 0) / len(target)).astype(prediction.dtype)


def log_of_divided(prediction, target):
    """Cross-entropy of outputs divided by their sum."""
    total = np.maximum(prediction.sum(axis=1, keepdims=True), 1e-12)
    shares = np.clip(prediction / total, 1e-7, 1)
    gradient = (1 - target / shares) / total / len(target)
    return -float((target * np.log(shares)).sum(axis=1).mean()), gradient.astype(prediction.dtype)


def broadcasting(prediction, target):
    """The squared error of (n, 1) - (n,), which is (n, n)."""
    difference = prediction - target
    gradient = 2 * difference.mean(axis=1, keepdims=True) / len(target)
    return float((difference**2).mean()), gradient.astype(prediction.dtype)


# Each: the model's end, the loss, the targets from the labels, what the evidence says, and the status.
MISFITS = {
    "softmax with squared error": (
        [pynn.Softmax()], pynn.MSELoss(), rows, "squared error to one-hot classes; its slope vanishes", "warn"
    ),
    "own softmax with own squared error": (
        [SoftmaxLayer()], own_square, rows, "squared error to one-hot classes; its slope vanishes", "warn"
    ),
    "own sigmoid with squared error": (
        [SigmoidLayer()], pynn.MSELoss(), rows, "squared error to one-hot classes; its slope vanishes", "warn"
    ),
    "softmax with an absolute error": (
        [pynn.Softmax()], pynn.L1Loss(), rows, "L1Loss, a loss of amounts, to one-hot classes; its slope", "warn"
    ),
    "squared error on classes": ([], pynn.MSELoss(), rows, "squared error to one-hot classes", "note"),
    "softmax twice": ([pynn.Softmax()], pynn.CrossEntropyLoss(), np.asarray, "applies a softmax again", "fail"),
    "own softmax twice": ([SoftmaxLayer()], own_cross_entropy, rows, "applies a softmax again", "fail"),
    "softmax over the batch": ([BatchSoftmax()], pynn.CrossEntropyLoss(), np.asarray, "softmax over the batch", "fail"),
    "softmax over the batch, own loss": ([BatchSoftmax()], log_of_shares, rows, "a softmax over the batch", "fail"),
    "softmax over the batch in the loss": ([], over_the_batch, rows, "a softmax over the batch", "fail"),
    "logarithm of scores": ([], log_of_shares, rows, "are negative", "fail"),
    "logarithm of a ReLU": ([pynn.ReLU()], log_of_divided, rows, "are 0", "fail"),
    "sigmoid and the logarithm of classes": ([pynn.Sigmoid()], log_of_shares, rows, "do not sum to 1", "warn"),
    "sigmoid and a loss that divides": ([pynn.Sigmoid()], log_of_divided, rows, "do not sum to 1", "note"),
    "scores as log-probabilities": ([], pynn.NLLLoss(), np.asarray, "no logarithms of probabilities", "fail"),
    "probabilities as their logarithms": (
        [pynn.Softmax()], pynn.NLLLoss(), np.asarray, "no logarithms of probabilities", "fail"
    ),
    "the divergence of probabilities": (
        [pynn.Softmax()], pynn.KLDivLoss(), rows, "no logarithms of probabilities", "fail"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISFITS)
def test_the_cause_is_said(name, classes):
    layers, loss, targets, words, status = MISFITS[name]
    x, y = classes
    check = preflight(trainer_of(ending_in(*layers), loss), x, targets(y))["network output"]
    assert check.status == status, check
    assert words in check.evidence
    assert check.advice.endswith(".")


def test_outputs_that_start_above_0_by_chance_are_no_probabilities(classes):
    model = ending_in()
    model[2].weight *= 0.1
    model[2].bias[...] = 0.5
    x, y = classes
    check = preflight(trainer_of(model, log_of_shares), x, rows(y))["network output"]
    assert check.status == "fail" and "are negative" in check.evidence, check


def test_amounts_for_a_loss_of_yes_or_no_are_sent_to_the_squared_error(rng):
    x, y = amounts(rng)
    check = preflight(trainer_of(network(6, [24], 1), pynn.BCEWithLogitsLoss()), x, 10 * y[:, None])["targets"]
    assert check.status == "fail" and "pynn.MSELoss" in check.advice, check


def test_numbers_of_classes_are_no_amounts_and_grades_are(rng):
    centres = rng.standard_normal((6, 10))
    number = rng.integers(0, 6, 600)
    x = (centres[number] + 0.3 * rng.standard_normal((600, 10))).astype(np.float32)
    of_classes = preflight(trainer_of(network(10, [24], 1), pynn.MSELoss()), x, number[:, None])["network output"]
    assert of_classes.status == "warn" and "numbers of 6 classes" in of_classes.evidence, of_classes
    along = (np.outer(number, centres[0]) / 2 + 0.1 * rng.standard_normal((600, 10))).astype(np.float32)
    of_grades = preflight(trainer_of(network(10, [24], 1), pynn.MSELoss()), along, number[:, None])["network output"]
    assert of_grades.status == "pass", of_grades


def test_a_missing_hidden_layer_is_named():
    x = np.array([[a, b] for a in (0, 1) for b in (0, 1)], np.float32)
    model = pynn.Sequential(pynn.Linear(2, 1), pynn.Sigmoid())
    check = preflight(trainer_of(model, pynn.MSELoss()), x, (x[:, :1] != x[:, 1:]) * 1.0)["overfits a handful"]
    assert check.status == "warn" and "there is no hidden layer" in check.evidence, check


def test_a_layer_too_narrow_for_a_handful_is_named(rng):
    x = rng.standard_normal((400, 24)).astype(np.float32)
    model = pynn.Sequential(pynn.Linear(24, 32), pynn.ReLU(), pynn.Linear(32, 1), pynn.ReLU(), pynn.Linear(1, 24))
    check = preflight(trainer_of(model, pynn.MSELoss()), x, x)["overfits a handful"]
    assert check.status == "fail" and (check.symptom, check.layer) == ("underfitting", "2.Linear"), check
    assert "the narrowest hidden layer has 1 unit" in check.evidence


def test_of_a_loss_without_a_slope_nothing_is_said_but_that(classes):
    def wrong(prediction, target):
        return float(np.mean(prediction.argmax(axis=1) != target.argmax(axis=1))), np.zeros_like(prediction)

    x, y = classes
    report = preflight(trainer_of(ending_in(), wrong), x, rows(y))
    assert report["network output"].status == "pass", report["network output"]
    assert "no gradient" in report["gradient spread"].evidence


FITTING = {
    "log-probabilities and a divergence": ([pynn.LogSoftmax()], pynn.KLDivLoss(), rows),
    "scores": ([], pynn.CrossEntropyLoss(), np.asarray),
    "scores and own loss": ([], own_cross_entropy, rows),
    "softmax and its logarithm": ([SoftmaxLayer()], log_of_shares, rows),
    "softmax and a loss that divides": ([pynn.Softmax()], log_of_divided, rows),
    "log-probabilities": ([pynn.LogSoftmax()], pynn.NLLLoss(), np.asarray),
    "margins": ([], pynn.MultiMarginLoss(), np.asarray),
    "several yes or no": ([], pynn.BCEWithLogitsLoss(), rows),
}


@pytest.mark.parametrize("name", FITTING)
def test_what_belongs_together_passes(name, classes):
    layers, loss, targets = FITTING[name]
    x, y = classes
    report = preflight(trainer_of(ending_in(*layers), loss), x, targets(y))
    assert report["network output"].status == "pass", str(report)
    assert report.ok, str(report)


@pytest.mark.parametrize("loss", [pynn.MSELoss(), own_square, pynn.BCEWithLogitsLoss()])
def test_a_softmax_of_one_unit_is_told(loss, classes):
    x, y = classes
    trainer = trainer_of(ending_in(pynn.Softmax(), outputs=1), loss)
    check = preflight(trainer, x, (y[:, None] > 0).astype(np.float32))["network output"]
    assert check.status == "fail"
    assert "a softmax of a single unit is always 1" in check.evidence


def amounts(rng):
    x = rng.standard_normal((600, 6)).astype(np.float32)
    return x, (x[:, 0] + np.sin(x[:, 1])).astype(np.float32)


def test_a_loss_that_broadcasts_is_told(rng):
    check = preflight(trainer_of(network(6, [24], 1), broadcasting), *amounts(rng))["network output"]
    assert check.status == "fail"
    assert "compares each output with all targets" in check.evidence
    assert "reshape" in check.advice


def test_a_loss_that_looks_at_pairs_of_examples_is_no_fault(rng):
    def concordance(prediction, target):
        """Minus the covariance of outputs and targets, with a bound on the outputs."""
        centred = (target - target.mean())[:, None]
        size = prediction.size
        value = float((prediction**2).mean() / 2 - (prediction * centred).mean())
        return value, ((prediction - centred) / size).astype(prediction.dtype)

    report = preflight(trainer_of(network(6, [24], 1), concordance), *amounts(rng))
    assert report["network output"].status == "pass", str(report)


def test_rates_above_1_and_the_logarithm_of_a_likelihood_are_no_fault(rng):
    def poisson(prediction, target):
        value = float((prediction - target * np.log(prediction)).mean())
        return value, ((1 - target / prediction) / prediction.size).astype(prediction.dtype)

    x, _ = amounts(rng)
    y = rng.poisson(20 * np.exp(0.5 * x[:, :1])).astype(np.float32) + 1
    report = preflight(trainer_of(ending_in(pynn.Softplus(), features=6, outputs=1), poisson), x, y)
    assert report["network output"].status == "pass", str(report)


def test_a_loss_that_takes_no_targets_is_no_fault(rng):
    def away_from_zero(prediction, target):
        return float(((prediction - 1) ** 2).mean()), 2 * (prediction - 1) / prediction.size

    x, y = amounts(rng)
    report = preflight(trainer_of(network(6, [24], 1), away_from_zero), x, y[:, None])
    assert report["network output"].status == "pass", str(report)


@pytest.mark.parametrize("between", [pynn.Softmax, SoftmaxLayer])
def test_a_softmax_between_layers_is_told(between, classes):
    model = pynn.Sequential(pynn.Linear(12, 24), between(), pynn.Linear(24, 3))
    check = preflight(trainer_of(model), *classes)["non-linearity"]
    assert check.status == "warn"
    assert check.layer == f"1.{between.__name__}"


def test_own_outputs_that_do_not_reach_the_targets_are_told(rng):
    x, y = amounts(rng)
    trainer = trainer_of(ending_in(SigmoidLayer(), features=6, outputs=1), pynn.MSELoss())
    check = preflight(trainer, x, y[:, None])["network output"]
    assert check.status == "fail"
    assert "of the targets lie outside [0, 1]" in check.evidence


def test_the_cause_of_a_loss_that_is_not_finite_is_told(classes):
    def logarithm(prediction, target):
        shares = np.where(prediction > 0, prediction, np.nan)
        value = -float((target * np.log(shares)).sum(axis=1).mean())
        return value, (-target / shares / len(target)).astype(prediction.dtype)

    x, y = classes
    report = preflight(trainer_of(ending_in(), logarithm), x, rows(y))
    assert report["one training step"].symptom == "non_finite"
    assert "are negative" in report["network output"].evidence
    assert len({check.name for check in report}) == len(report)


@pytest.mark.parametrize("optimizer", [pynn.SGD, pynn.Adam])
def test_an_optimiser_that_climbs_is_told(optimizer, classes):
    class Climbing(optimizer):
        def update(self, flat, bounds, rates, grad_scale):
            super().update(flat, bounds, rates, -grad_scale)

    report = preflight(trainer_of(network(12, [24], 3), optimizer=Climbing(1e-2)), *classes)
    assert "goes up the gradient" in report["one training step"].evidence
    assert report["one training step"].symptom == "diverging"


def test_a_penalty_as_large_as_the_loss_is_noted(classes):
    check = preflight(trainer_of(network(12, [24], 3), regularizers=[pynn.L2(0.05)]), *classes)["regularisation"]
    assert check.status == "note", check
    assert "of what training makes small" in check.evidence
