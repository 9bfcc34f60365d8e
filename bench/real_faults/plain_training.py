"""More of `plain`: data, rates, initialisation, activations and regularisation."""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

import numpy as np

import pynn
from bench.faults.cases import Run
from bench.faults.data import Split, as_float32
from bench.faults.networks import cnn, gaussian, mlp

from . import plain_sets as sets
from .classics import run, with_inputs
from .plain import program
from .unseen import balanced, explained

# Data.


@program("unnormalised_inputs")
def airports_in_degrees(sick: bool) -> Run:
    """Latitudes and longitudes in degrees, ReLU, SGD 0.01."""
    split = sets.airports_raw() if sick else sets.airports()
    model = mlp(0, (2, 64, 64, sets.STATES), init=None)
    return run(split, model, pynn.SGD(0.01, momentum=0.9), 40, 32)


@program("unnormalised_inputs", "unscaled_targets", score=explained(lambda value: value))
def fahrenheit(sick: bool) -> Run:
    """Temperatures of about 50 degrees Fahrenheit as they come, inputs and targets, tanh, Adam."""
    split = sets.temperatures_raw() if sick else sets.temperatures()
    return run(split, mlp(0, (12, 32, 1), pynn.Tanh, None), pynn.Adam(1e-3), 30, 32, pynn.MSELoss())


@program("unscaled_targets")
def impedance_as_it_comes(sick: bool) -> Run:
    """Targets of up to 1750, SGD 0.01."""
    split = sets.circuits()._replace(y=sets.circuits_raw().y, yv=sets.circuits_raw().yv) if sick else sets.circuits()
    return run(split, mlp(0, (4, 32, 1), init=None), pynn.SGD(0.01), 30, 32, pynn.MSELoss())


@program("unshuffled")
def sorted_shells(sick: bool) -> Run:
    """Rows sorted by class, and `shuffle=False`."""
    split = sets.shells()
    if sick:
        order = np.argsort(split.y, kind="stable")
        split = split._replace(x=split.x[order], y=split.y[order])
    return run(split, mlp(0, (4, 32, 32, 3), init=None), pynn.Adam(3e-3), 20, 32, shuffle=not sick)


@program("class_imbalance", score=balanced)
def snow_is_rare(sick: bool) -> Run:
    """Five kinds of weather, of which snow and drizzle make up 2% and 4%, weighted like the others."""
    counts = np.bincount(sets.weather().y, minlength=5)
    loss = pynn.CrossEntropyLoss() if sick else pynn.CrossEntropyLoss(weight=list(counts.sum() / counts / 5))
    return run(sets.weather(), mlp(0, (6, 16, 5), init=None), pynn.Adam(2e-3), 20, 32, loss)


@program("validation_scale", score=explained(lambda value: value))
def winter_for_validation(sick: bool) -> Run:
    """Trained on the warm half of the temperatures, validated on the cold half."""
    split = sets.temperatures()
    if sick:
        x, y = np.vstack([split.x, split.xv]), np.vstack([split.y, split.yv])
        order = np.argsort(-x[:, -1], kind="stable")
        x, y = x[order], y[order]
        split = Split(x[:800], y[:800], x[-400:], y[-400:])
    return run(split, mlp(0, (12, 32, 1), pynn.Tanh, None), pynn.Adam(1e-3), 30, 32, pynn.MSELoss())


@program("wrong_axis", "corrupted_labels")
def rows_standardised(sick: bool) -> Run:
    """Each example, not each feature, is brought to mean 0 and spread 1: how far out it lies is lost."""
    split = sets.shells()
    if sick:
        split = with_inputs(split, lambda x: (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True))
    return run(split, mlp(0, (4, 32, 32, 3), init=None), pynn.Adam(3e-3), 25, 32)


# Rates, batches and epochs.


@program("lr_too_high")
def adam_of_a_half(sick: bool) -> Run:
    """Adam with a rate of 0.5, three hidden layers."""
    model = mlp(0, (6, 32, 32, 32, sets.COMMON), init=None)
    return run(sets.common_weather(), model, pynn.Adam(0.5 if sick else 2e-3), 20, 32)


@program("lr_too_high")
def rmsprop_of_a_twentieth(sick: bool) -> Run:
    """RMSprop with a rate of 0.05, convolutions."""
    model = cnn(0, (1, 8, 16), init=None, size=14, classes=4, hidden=32)
    return run(sets.shapes(), model, pynn.RMSprop(0.05 if sick else 1e-3), 12, 32)


@program("lr_too_low", "too_few_epochs")
def celsius_to_fahrenheit(sick: bool) -> Run:
    """Seven temperatures in Celsius, one linear unit, Adam 0.001, 500 epochs."""
    celsius = as_float32(np.array([[-40], [-10], [0], [8], [15], [22], [38]]))
    others = as_float32(np.array([[-20], [-5], [4], [12], [18], [30]]))
    split = Split(celsius, 1.8 * celsius + 32, others, 1.8 * others + 32)
    return run(split, mlp(0, (1, 1), init=None), pynn.Adam(1e-3 if sick else 0.2), 500, 7, pynn.MSELoss())


@program("lr_too_low", "too_few_epochs")
def slow_sensors(sick: bool) -> Run:
    """Convolutions, SGD 0.001 without momentum, 10 epochs."""
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv1d(3, 16, 5), pynn.ReLU(), pynn.Conv1d(16, 32, 5), pynn.ReLU(), pynn.AdaptiveAvgPool1d(1),
        pynn.Flatten(), pynn.Linear(32, 4),
    )  # fmt: skip
    optimizer = pynn.SGD(1e-3) if sick else pynn.SGD(0.1, momentum=0.9)
    return run(sets.sensors(), model, optimizer, 10, 32)


@program("decays_too_soon")
def decay_of_a_tenth_per_step(sick: bool) -> Run:
    """Keras's time-based decay of 0.1, of which it was not noticed that it counts steps: 0.05 / (1 + 0.1 step)."""
    decay = 0.1 if sick else 1e-4
    schedule = pynn.LambdaLR(lambda step: 1 / (1 + decay * step), by="step")
    model = mlp(0, (3, 32, 32, 2), init=None)
    return run(sets.roll(), model, pynn.SGD(0.05), 40, 32, pynn.MSELoss(), schedule=schedule)


@program("too_few_epochs", "lr_too_low")
def three_epochs(sick: bool) -> Run:
    """Three epochs of Adam 0.001 for shells that take forty."""
    return run(sets.shells(), mlp(0, (4, 32, 32, 3), init=None), pynn.Adam(1e-3), 3 if sick else 40, 32)


@program("batch_size", "lr_too_high")
def one_example_at_a_time(sick: bool) -> Run:
    """Batches of one example at a rate meant for 32, SGD 0.1 with momentum."""
    model = mlp(0, (3, 32, 32, 2), init=None)
    return run(sets.roll(), model, pynn.SGD(0.1, momentum=0.9), 10, 1 if sick else 32, pynn.MSELoss())


@program("too_few_epochs", "lr_too_low")
def one_batch_an_epoch(sick: bool) -> Run:
    """A batch of all 880 examples, so that 30 epochs are 30 steps; Adam 0.001."""
    model = mlp(0, (2, 32, 32, sets.STATES), init=None)
    return run(sets.airports(), model, pynn.Adam(1e-3), 30, 880 if sick else 16)


# Initialisation and activations.


def positive(shape: tuple[int, ...]) -> np.ndarray:
    """Return weights between 0 and 1."""
    return 0.5 + pynn.init.uniform(shape, 0.5)


@program("bad_init", "exploding_gradient")
def weights_between_zero_and_one(sick: bool) -> Run:
    """Weights between 0 and 1, four hidden layers of ReLU, SGD 0.01."""
    model = mlp(0, (4, 32, 32, 32, 32, 3), init=positive if sick else "he_normal")
    return run(sets.shells(), model, pynn.SGD(0.01, momentum=0.9), 40, 32)


@program("bad_init", "vanishing_gradient")
def weights_of_a_thousandth(sick: bool) -> Run:
    """Weights N(0, 0.001), three hidden layers of ReLU, SGD 0.05."""
    model = mlp(0, (2, 32, 32, 32, sets.STATES), init=gaussian(1e-3) if sick else "he_normal")
    return run(sets.airports(), model, pynn.SGD(0.05, momentum=0.9), 25, 32)


@program("symmetric_init", "bad_init")
def filters_of_ones(sick: bool) -> Run:
    """All filters and weights start at 0.1."""
    init = (lambda shape: pynn.init.constant(shape, 0.1)) if sick else "he_normal"
    model = cnn(0, (1, 8, 16), init=init, size=14, classes=4, last_init=init)
    return run(sets.shapes(), model, pynn.Adam(2e-3), 12, 32)


@program("vanishing_gradient", "wrong_hidden_activation")
def six_sigmoids(sick: bool) -> Run:
    """Six hidden layers of sigmoids, SGD 0.01."""
    activation = pynn.Sigmoid if sick else pynn.ReLU
    model = mlp(0, (6, 32, 32, 32, 32, 32, 32, sets.COMMON), activation, None if sick else "he_normal")
    return run(sets.common_weather(), model, pynn.SGD(0.01, momentum=0.9), 25, 32)


@program("wrong_hidden_activation")
def softmax_between_layers(sick: bool) -> Run:
    """A softmax as the activation of both hidden layers."""
    model = mlp(0, (4, 32, 32, 3), (lambda: pynn.Softmax(1)) if sick else pynn.ReLU, None)
    return run(sets.shells(), model, pynn.Adam(2e-3), 25, 32)


@program("dying_relu", "lr_too_high")
def rectifiers_that_die(sick: bool) -> Run:
    """Three hidden layers of 16 rectifiers, SGD 0.2 with momentum, a regression."""
    optimizer = pynn.SGD(0.2 if sick else 0.02, momentum=0.9)
    return run(sets.circuits(), mlp(0, (4, 16, 16, 16, 1)), optimizer, 25, 32, pynn.MSELoss())


@program("missing_nonlinearity")
def dense_layers_without_activation(sick: bool) -> Run:
    """Dense(32), Dense(32), Dense(1) of Keras, whose default activation is none."""
    model = mlp(0, (4, 32, 32, 3), None if sick else pynn.ReLU, None)
    return run(sets.shells(), model, pynn.Adam(3e-3), 25, 32)


# Capacity and regularisation.


@program("too_few_units")
def two_units_for_eight_states(sick: bool) -> Run:
    """One hidden layer of two units."""
    return run(sets.airports(), mlp(0, (2, 2 if sick else 64, sets.STATES), init=None), pynn.Adam(5e-3), 40, 32)


@program("over_regularisation")
def dropout_on_narrow_layers(sick: bool) -> Run:
    """Dropout 0.8 after each of three layers of 16 units."""
    model = mlp(0, (3, 16, 16, 16, 2), init=None, dropout=0.8 if sick else 0.0)
    return run(sets.roll(), model, pynn.Adam(3e-3), 30, 32, pynn.MSELoss())


@program("over_regularisation")
def l2_of_a_half(sick: bool) -> Run:
    """A penalty of 0.5 on the squares of all weights."""
    penalty = [pynn.L2(0.5 if sick else 1e-5)]
    return run(sets.shapes(), cnn(0, (1, 8, 16), init=None, size=14, classes=4), pynn.Adam(2e-3), 12, 32,
               regularizers=penalty)  # fmt: skip


@program("missing_regularisation")
def sixty_days(sick: bool) -> Run:
    """Two layers of 256 units for 60 days of weather, 150 epochs, nothing against overfitting."""
    split = sets.weather()
    split = split._replace(x=split.x[:60], y=split.y[:60])
    optimizer = pynn.AdamW(1e-3, weight_decay=0 if sick else 0.1)
    made = run(split, mlp(0, (6, 256, 256, 5), init=None, dropout=0 if sick else 0.5), optimizer, 150, 16)
    if not sick:
        made.callbacks = [pynn.EarlyStopping("val_loss", patience=8, restore_best_weights=True)]
    return made
