"""Bad arguments raise where they are given, and the message says what was given and what was expected."""

import math

import numpy as np
import pytest

import pynn
from pynn import datasets

LAYERS = [
    (lambda: pynn.Linear(0, 3), "in_features is 0; expected a positive integer"),
    (lambda: pynn.Linear(3, 2.0), "out_features is 2.0; expected a positive integer"),
    (lambda: pynn.Linear(3, True), "out_features is True"),
    (lambda: pynn.Linear(3, 2, init="glorot"), "'glorot'.*xavier_normal"),
    (lambda: pynn.Linear(3, 2, init=lambda shape: np.zeros(2)), r"\(2,\); expected \(3, 2\)"),
    (lambda: pynn.Linear(3, 2, dtype="float16"), "float16; expected float32 or float64"),
    (lambda: pynn.Maxout(3, 2, pieces=0), "pieces is 0; expected a positive integer"),
    (lambda: pynn.Maxout(3, 2, dtype="int8"), "int8; expected float32 or float64"),
    (lambda: pynn.BatchNorm1d(-1), "num_features is -1; expected a positive integer"),
    (lambda: pynn.BatchNorm1d(3, momentum=1.5), r"momentum is 1.5; expected a number in \[0, 1\]"),
    (lambda: pynn.BatchNorm1d(3, eps=-1e-5), "eps is -1e-05; expected"),
    (lambda: pynn.BatchNorm1d(3, dtype="int32"), "int32; expected float32 or float64"),
    (lambda: pynn.Dropout(1.5), r"p is 1.5; expected a number in \[0, 1\]"),
    (lambda: pynn.Dropout("half"), r"p is 'half'; expected a number in \[0, 1\]"),
    (lambda: pynn.PReLU(0), "num_parameters is 0; expected a positive integer"),
    (lambda: pynn.PReLU(dtype="float16"), "float16; expected float32 or float64"),
    (lambda: pynn.GELU("sigmoid"), 'approximate is \'sigmoid\'; expected "none" or "tanh"'),
    (lambda: pynn.Softplus(0), "beta is 0; expected"),
    (lambda: pynn.LeakyReLU("small"), "negative_slope is 'small'; expected"),
    (lambda: pynn.ELU(math.nan), "alpha is nan; expected"),
    (lambda: pynn.Sequential(pynn.Linear(2, 3), pynn.ReLU), r"ReLU.*write ReLU\(\)"),
    (lambda: pynn.Sequential([pynn.Linear(2, 3)]), "takes layers"),
]
LOSSES = [
    (lambda: pynn.CrossEntropyLoss(reduction="none"), 'reduction is \'none\'; expected "mean" or "sum"'),
    (lambda: pynn.CrossEntropyLoss(label_smoothing=1.5), r"label_smoothing is 1.5; expected a number in \[0, 1\]"),
    (lambda: pynn.CrossEntropyLoss([1.0, -1.0]), r"weight is \[1.0, -1.0\]; expected"),
    (lambda: pynn.CrossEntropyLoss([[1.0], [2.0]]), r"weight is \[\[1.0\], \[2.0\]\]; expected"),
    (lambda: pynn.HingeLoss(margin="wide"), "margin is 'wide'; expected"),
    (lambda: pynn.HingeLoss(reduction=None), "reduction is None; expected"),
    (lambda: pynn.MSELoss("average"), "reduction is 'average'; expected"),
    (lambda: pynn.BCEWithLogitsLoss(pos_weight=-1), "pos_weight is -1; expected"),
    (lambda: pynn.NLLLoss([1.0, -1.0]), r"weight is \[1.0, -1.0\]; expected"),
    (lambda: pynn.FocalLoss(-1), "gamma is -1; expected a number of at least 0"),
    (lambda: pynn.FocalLoss(alpha=1.5), r"alpha is 1.5; expected a number in \[0, 1\]"),
    (lambda: pynn.L1Loss("average"), "reduction is 'average'; expected"),
    (lambda: pynn.SmoothL1Loss(beta=-1), "beta is -1; expected"),
    (lambda: pynn.HuberLoss(delta=0), "delta is 0; expected a positive number"),
    (lambda: pynn.QuantileLoss(1.0), "quantile is 1.0; expected one number between 0 and 1, or several"),
    (lambda: pynn.QuantileLoss([0.1, 1.5]), r"quantile is \[0.1, 1.5\]; expected"),
    (lambda: pynn.QuantileLoss("median"), "quantile is 'median'; expected"),
    (lambda: pynn.PoissonNLLLoss(eps=-1), "eps is -1; expected"),
    (lambda: pynn.KLDivLoss("none"), 'reduction is \'none\'; expected "mean", "batchmean" or "sum"'),
]
OPTIMIZERS = [
    *((lambda make=make: make(lr=-1), "lr is -1; expected") for make in (pynn.SGD, pynn.Adam, pynn.RMSprop)),
    (lambda: pynn.SGD("0.1"), "lr is '0.1'; expected"),
    (lambda: pynn.SGD(math.nan), "lr is nan; expected"),
    (lambda: pynn.SGD(weight_decay=math.inf), "weight_decay is inf; expected"),
    (lambda: pynn.SGD(momentum=1.0), r"momentum is 1.0; expected a number in \[0, 1\)"),
    (lambda: pynn.SGD(nesterov=True), "nesterov=True needs a momentum"),
    (lambda: pynn.Adagrad(lr_decay=-1), "lr_decay is -1; expected"),
    (lambda: pynn.Adagrad(eps=-1), "eps is -1; expected"),
    (lambda: pynn.RMSprop(alpha=1.5), r"alpha is 1.5; expected a number in \[0, 1\)"),
    (lambda: pynn.RMSprop(eps=None), "eps is None; expected"),
    (lambda: pynn.Adam(betas=0.9), "betas is 0.9; expected two numbers"),
    (lambda: pynn.Adam(betas=(0.9, 1)), r"betas\[1\] is 1; expected a number in \[0, 1\)"),
    (lambda: pynn.AdamW(eps="tiny"), "eps is 'tiny'; expected"),
]
PARTS = [
    (lambda: pynn.StepLR(0), "step_size is 0; expected a positive integer"),
    (lambda: pynn.StepLR(2.5), "step_size is 2.5; expected a positive integer"),
    (lambda: pynn.StepLR(3, gamma=-1), "gamma is -1; expected"),
    (lambda: pynn.StepLR(3, by="batch"), 'by is \'batch\'; expected "epoch" or "step"'),
    (lambda: pynn.ExponentialLR(-0.5), "gamma is -0.5; expected"),
    (lambda: pynn.CosineAnnealingLR(0), "T_max is 0; expected a positive integer"),
    (lambda: pynn.CosineAnnealingLR(5, eta_min=-1), "eta_min is -1; expected"),
    (lambda: pynn.WarmupLR(0), "steps is 0; expected a positive integer"),
    (lambda: pynn.CosineAnnealingWarmRestarts(2, 1.5), "T_mult is 1.5; expected a positive integer"),
    (lambda: pynn.OneCycleLR(0, 10), "max_lr is 0; expected a positive number"),
    (lambda: pynn.OneCycleLR(1, 10, max_momentum=1), r"max_momentum is 1; expected a number in \[0, 1\)"),
    (lambda: pynn.OneCycleLR(1, 10, anneal_strategy="exp"), "anneal_strategy is 'exp'; expected"),
    (lambda: pynn.ReduceLROnPlateau(factor=1.0), r"factor is 1.0; expected a number in \[0, 1\)"),
    (lambda: pynn.ReduceLROnPlateau(threshold_mode="sum"), "threshold_mode is 'sum'; expected"),
    (lambda: pynn.WarmupLR(3, then=0.1), "then is 0.1; expected a pynn.Schedule"),
    (lambda: pynn.L1(-1), "coefficient is -1; expected"),
    (lambda: pynn.L2(math.nan), "coefficient is nan; expected"),
    (lambda: pynn.MaxNorm(0), "limit is 0; expected a positive number"),
    (lambda: pynn.MaxNorm("3"), "limit is '3'; expected a positive number"),
    (lambda: pynn.EarlyStopping(patience=0), "patience is 0; expected"),
    (lambda: pynn.EarlyStopping(mode="best"), "mode is 'best'; expected"),
    (lambda: pynn.ModelCheckpoint("m", mode="best"), "mode is 'best'; expected"),
]


def trainer(**arguments):
    arguments = {
        "model": pynn.Sequential(pynn.Linear(3, 2)),
        "loss": pynn.MSELoss(),
        "optimizer": pynn.SGD(),
    } | arguments
    return pynn.Trainer(arguments.pop("model"), arguments.pop("loss"), arguments.pop("optimizer"), **arguments)


TRAINERS = [
    (lambda: trainer(model=pynn.Linear(3, 2)), "model is Linear.*expected a pynn.Sequential"),
    (lambda: trainer(loss="mse"), "loss is 'mse'; expected"),
    (lambda: trainer(loss=pynn.MSELoss), r"class MSELoss; expected an instance: MSELoss\(\)"),
    (lambda: trainer(optimizer="adam"), "optimizer is 'adam'; expected"),
    (lambda: trainer(optimizer=pynn.SGD), "optimizer is .*SGD.*; expected"),
    (lambda: trainer(schedule=0.5), "schedule is 0.5; expected"),
    (lambda: trainer(regularizers=[0.1]), "regularizers.*0.1; expected"),
    (lambda: trainer(regularizers=pynn.L2(0.1)), "regularizers.*expected"),
    (lambda: trainer(clip_norm=0), "clip_norm is 0; expected a positive number"),
    (lambda: trainer(clip_value=-1), "clip_value is -1; expected a positive number"),
    (lambda: trainer(seed=-1), "seed is -1; expected"),
    (lambda: trainer(seed=0.5), "seed is 0.5; expected"),
]


@pytest.mark.parametrize(("make", "said"), [*LAYERS, *LOSSES, *OPTIMIZERS, *PARTS, *TRAINERS])
def test_constructors_refuse_wrong_arguments(make, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make()


@pytest.mark.parametrize("seed", ["a", -1, 1.5, True])
@pytest.mark.parametrize(
    "call",
    [
        pynn.manual_seed,
        lambda seed: datasets.train_test_split(X, Y, seed=seed),
        *(lambda seed, make=make: make(seed=seed) for make in (datasets.blobs, datasets.moons, datasets.spiral)),
    ],
)
def test_seeds(call, seed):
    with pytest.raises(ValueError, match=f"seed is {seed!r}; expected an integer of at least 0"):
        call(seed)


@pytest.mark.parametrize("shape", ["3", 3, (3, 0)])
def test_shapes_of_summaries(shape):
    with pytest.raises((TypeError, ValueError), match=r"input_shape is ('3'|3|0); expected"):
        trainer().model.summary(shape)


@pytest.mark.parametrize(
    ("state", "error", "said"),
    [
        (None, TypeError, "the state is None; expected a dictionary"),
        ([1], TypeError, r"the state is \[1\]; expected a dictionary"),
        ({"0.weight": np.full((3, 2), 1e300), "0.bias": np.zeros(2)}, ValueError, r"0.weight has 1e\+300, too large"),
        ({"0.weight": np.ones((3, 2)), "0.bias": np.full(2, -1e39)}, ValueError, r"0.bias has -1e\+39, too large for"),
    ],
)
def test_states_that_do_not_fit(state, error, said):
    """Nothing is loaded then, and no number becomes infinite."""
    model = trainer().model
    before = model.state_dict()
    with pytest.raises(error, match=said):
        model.load_state_dict(state)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_batch_too_large_for_float32_is_the_cause():
    for x, y, where in ((X * 1e300, Y, "inputs"), (X, Y + 1e300, "targets")):
        with pytest.raises(pynn.NonFiniteError, match=f"row 0 of the batch's {where} has .* infinity as float32"):
            trainer().step(x, y)


X, Y = np.ones((4, 3)), np.zeros((4, 2))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "epochs is missing"),
        ({"epochs": -1}, "epochs is -1; expected"),
        ({"epochs": 1.5}, "epochs is 1.5; expected"),
        ({"epochs": 1, "batch_size": 0}, "batch_size is 0; expected a positive integer"),
        ({"epochs": 1, "batch_size": 2.5}, "batch_size is 2.5; expected a positive integer"),
        ({"epochs": 1, "callbacks": [print]}, "instances of pynn.Callback; got .*print"),
        ({"epochs": 1, "callbacks": [pynn.EarlyStopping]}, "instances of pynn.Callback"),
        ({"epochs": 1, "validation": X}, r"validation.*\(x, y\)"),
        ({"epochs": 1, "validation": (X, Y[:2])}, "validation x has 4 rows and validation y has 2"),
        ({"epochs": 1, "sample_weight": np.ones(3)}, r"sample_weight has shape \(3,\); expected \(4,\)"),
        ({"epochs": 1, "sample_weight": [1, np.nan, 1, 1]}, "sample_weight is nan in row 1"),
    ],
)
def test_fit_refuses_wrong_arguments(arguments, said):
    with pytest.raises((ValueError, TypeError), match=said):
        trainer().fit(X, Y, **arguments)


def test_nothing_trains_after_a_refusal():
    refused = trainer()
    before = refused.model.state_dict()
    for arguments in ({"callbacks": [print]}, {"batch_size": 0}, {"validation": (X[:, :2], Y)}):
        with pytest.raises((ValueError, TypeError)):
            refused.fit(X, Y, epochs=3, **arguments)
    assert (refused.epoch, refused.steps, len(refused.history)) == (0, 0, 0)
    for name, array in refused.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("batch_size", [0, -3, 1.5])
def test_batch_size_of_predict_and_evaluate(batch_size):
    bad = trainer()
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}; expected a positive integer"):
        bad.model.predict(X, batch_size=batch_size)
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}; expected a positive integer"):
        bad.evaluate(X, Y, batch_size=batch_size)
