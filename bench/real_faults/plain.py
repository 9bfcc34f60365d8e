"""Faulty programs of the plainest kinds: a loss, a last activation or labels that do not belong to the task.

They are the kinds of AUTOTRAINER, DeepLocalize, UMLAUT, NeuraLint, DeepFD and DeepDiagnosis: ordinary networks of
questions on Stack Overflow, with the accepted answer as the healthy twin. `plain_training` and `plain_torch` have more.
The documented cause was settled before preflight and monitor saw the program.
"""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

import numpy as np

import pynn
from bench.faults.cases import Run
from bench.faults.data import as_float32
from bench.faults.networks import cnn, mlp

from . import plain_sets as sets
from .classics import binary_cross_entropy, one_hot, run, with_inputs, with_targets, yes_or_no
from .own_code import log_of_clipped, normalised_cross_entropy
from .programs import Programs
from .unseen import answered, explained

PLAIN = Programs()
program = PLAIN.program


@program("wrong_loss")
def squared_error_for_shapes(sick: bool) -> Run:
    """Convolutions and a softmax for four shapes, with a mean squared error, SGD 0.01."""
    split = one_hot(sets.shapes(), 4) if sick else sets.shapes()
    model = cnn(0, (1, 8, 16), init=None, size=14, classes=4, tail=[pynn.Softmax(1)] if sick else [])
    loss = pynn.MSELoss() if sick else pynn.CrossEntropyLoss()
    return run(split, model, pynn.SGD(0.01, momentum=0.9), 6, 32, loss, metric="accuracy")


@program("softmax_single_unit", threshold=0.5)
def one_softmax_with_squares(sick: bool) -> Run:
    """Black or white from a softmax of one unit, squared error."""
    tail = [pynn.Softmax(1) if sick else pynn.Sigmoid()]
    model = mlp(0, (2, 32, 32, 1), init=None, tail=tail)
    return run(yes_or_no(sets.chessboard()), model, pynn.Adam(5e-3), 40, 32, pynn.MSELoss(), metric="accuracy")


@program("wrong_output_activation", threshold=0.5)
def rectified_probability(sick: bool) -> Run:
    """A ReLU, meant as a sigmoid, before the binary cross-entropy of probabilities."""
    tail = [pynn.ReLU() if sick else pynn.Sigmoid()]
    model = mlp(0, (6, 32, 32, 1), init=None, tail=tail)
    split = yes_or_no(sets.shells(6, 2))
    return run(split, model, pynn.Adam(2e-3), 25, 32, binary_cross_entropy, metric="accuracy")


@program("wrong_output_activation", threshold=0.5)
def probability_without_a_sigmoid(sick: bool) -> Run:
    """No activation before the binary cross-entropy of probabilities, for sun or none."""
    split = with_targets(sets.common_weather(), lambda y: as_float32(y == 0)[:, None])
    model = mlp(0, (6, 16, 1), init=None, tail=[] if sick else [pynn.Sigmoid()])
    return run(split, model, pynn.Adam(3e-3), 25, 32, binary_cross_entropy, metric="accuracy")


def hinge(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Return Keras's hinge loss, max(0, 1 - target output), of targets -1 and 1."""
    short = 1 - target * prediction
    gradient = np.where(short > 0, -target, 0).astype(prediction.dtype) / target.size
    return float(np.maximum(short, 0).mean(dtype=np.float64)), gradient


@program("labels_out_of_range", "wrong_loss")
def hinge_of_zero_and_one(sick: bool) -> Run:
    """Labels 0 and 1 for the hinge loss of -1 and 1."""
    split = yes_or_no(sets.shells(3, 2))
    if not sick:
        split = with_targets(split, lambda y: 2 * y - 1)
    return run(split, mlp(0, (3, 32, 1), init=None), pynn.Adam(3e-3), 25, 32, hinge, metric="accuracy")


@program("wrong_output_activation")
def bounded_logits(sick: bool) -> Run:
    """A tanh after the last layer, then cross-entropy."""
    model = mlp(0, (2, 32, 32, sets.STATES), init=None, tail=[pynn.Tanh()] if sick else [])
    return run(sets.airports(), model, pynn.Adam(2e-3), 30, 32)


@program("wrong_output_activation", "unscaled_targets")
def impedance_from_a_sigmoid(sick: bool) -> Run:
    """Targets of up to 1750 from a sigmoid."""
    split = sets.circuits()._replace(y=sets.circuits_raw().y, yv=sets.circuits_raw().yv) if sick else sets.circuits()
    model = mlp(0, (4, 32, 1), init=None, tail=[pynn.Sigmoid()] if sick else [])
    return run(split, model, pynn.Adam(3e-3), 25, 32, pynn.MSELoss())


@program("wrong_output_activation")
def coordinates_from_a_softmax(sick: bool) -> Run:
    """Two coordinates from a softmax."""
    model = mlp(0, (3, 32, 32, 2), init=None, tail=[pynn.Softmax(1)] if sick else [])
    return run(sets.roll(), model, pynn.Adam(3e-3), 30, 32, pynn.MSELoss())


def percentage_error(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Return Keras's mean absolute percentage error."""
    size = np.maximum(abs(target), 1e-7)
    error = (prediction - target) / size
    return 100 * float(abs(error).mean(dtype=np.float64)), (100 * np.sign(error) / size / error.size).astype(np.float32)


@program("wrong_loss", score=explained(lambda value: value))
def percentages_of_nothing(sick: bool) -> Run:
    """A mean absolute percentage error for standardised targets, some of which are nearly 0."""
    loss = percentage_error if sick else pynn.L1Loss()
    return run(sets.circuits(), mlp(0, (4, 32, 1), init=None), pynn.Adam(3e-3), 25, 32, loss, metric="r2")


@program("wrong_output_activation")
def kinds_of_weather_without_softmax(sick: bool) -> Run:
    """No softmax before the categorical cross-entropy of probabilities."""
    split = one_hot(sets.common_weather(), sets.COMMON)
    model = mlp(0, (6, 16, sets.COMMON), init=None, tail=[] if sick else [pynn.Softmax(1)])
    return run(split, model, pynn.Adam(3e-3), 25, 32, normalised_cross_entropy, metric="accuracy")


@program("unscaled_targets", "wrong_loss", "lr_too_low")
def labels_divided_like_pixels(sick: bool) -> Run:
    """The one-hot labels were divided by 255, as the pixels; SGD 0.05."""
    split = one_hot(sets.shapes(), 4)
    if sick:
        split = with_targets(split, lambda y: y / np.float32(255))
    model = cnn(0, (1, 8, 16), init=None, size=14, classes=4, tail=[pynn.Softmax(1)])
    return run(split, model, pynn.SGD(0.05), 15, 32, log_of_clipped(1e-7), metric="accuracy")


@program("corrupted_labels", "validation_scale")
def classes_numbered_twice(sick: bool) -> Run:
    """Classes are numbered in the order in which they occur, in training and in validation anew."""
    split = sets.airports()
    if sick:
        numbers = {label: number for number, label in enumerate(dict.fromkeys(split.yv.tolist()))}
        split = split._replace(yv=np.array([numbers[label] for label in split.yv.tolist()]))
    return run(split, mlp(0, (2, 32, 32, sets.STATES), init=None), pynn.Adam(3e-3), 30, 32)


@program("corrupted_labels")
def columns_sorted_one_by_one(sick: bool) -> Run:
    """np.sort(x, axis=0) sorts each column, so that no row belongs together or to its target."""
    split = sets.shells()
    if sick:
        split = split._replace(x=np.sort(split.x, axis=0))
    return run(split, mlp(0, (4, 32, 32, 3), init=None), pynn.Adam(3e-3), 25, 32)


@program("validation_scale", "leaking_target")
def target_among_the_inputs(sick: bool) -> Run:
    """The target was left among the training inputs; in validation its column is empty."""
    split = sets.circuits()
    if sick:
        split = split._replace(x=np.hstack([split.x, split.y]), xv=np.hstack([split.xv, 0 * split.yv]))
    return run(split, mlp(0, (4 + sick, 32, 1), init=None), pynn.Adam(3e-3), 25, 32, pynn.MSELoss())


@program("wrong_output_activation", score=answered(0.5))
def subjects_from_a_softmax(sick: bool) -> Run:
    """Several subjects or none, from a softmax with the categorical cross-entropy."""
    model = mlp(0, (40, 32, 5), init=None, tail=[pynn.Softmax(1) if sick else pynn.Sigmoid()])
    loss = normalised_cross_entropy if sick else binary_cross_entropy
    return run(sets.subjects(), model, pynn.Adam(1e-3, weight_decay=1e-3), 20, 32, loss, metric="accuracy")


@program("wrong_layout")
def moments_taken_for_sensors(sick: bool) -> Run:
    """Recordings of (moments, sensors) reshaped, not transposed, to (sensors, moments)."""
    split = sets.sensors()
    if sick:
        split = with_inputs(split, lambda x: x.transpose(0, 2, 1).reshape(x.shape))
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv1d(3, 16, 5), pynn.ReLU(), pynn.Conv1d(16, 32, 5), pynn.ReLU(), pynn.AdaptiveAvgPool1d(1),
        pynn.Flatten(), pynn.Linear(32, 4),
    )  # fmt: skip
    return run(split, model, pynn.Adam(2e-3), 12, 32)
