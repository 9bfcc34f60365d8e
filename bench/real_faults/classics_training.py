"""More of `classics`: data, networks and settings."""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

import numpy as np

import pynn
from bench.faults import data, tables
from bench.faults.cases import Run
from bench.faults.data import Split
from bench.faults.networks import gaussian, mlp, scaled

from . import data as own_data
from .classics import lenet, mnist, program, raw_table, run, with_inputs, with_targets, xor, yes_or_no

# Data.


@program("unnormalised_inputs", "lr_too_high", images=True)
def raw_pixels(sick: bool) -> Run:
    """MNIST with pixels from 0 to 255, SGD 0.1."""
    return run(mnist(1.0 if sick else 1 / 255), mlp(0, (784, 128, 10), init=None), pynn.SGD(0.1), 6)


@program("unnormalised_inputs", "unscaled_targets")
def parabola(sick: bool) -> Run:
    """Y = x^2 for x from -100 to 100, as they come."""
    x = np.random.default_rng(0).uniform(-100, 100, (800, 1))
    split = data.split_by_seed(data.as_float32(x), data.as_float32(x * x), 0)
    if not sick:
        split = with_targets(with_inputs(split, lambda x: x / 58), lambda y: (y - 3333) / 3000)
    return run(split, mlp(0, (1, 32, 32, 1), init=None), pynn.Adam(1e-3), 60, 32, pynn.MSELoss())


@program("unnormalised_inputs")
def raw_wine(sick: bool) -> Run:
    """Wines by measurements from 0.1 to 1700, as they come."""
    split = raw_table("wine") if sick else tables.wine(0)
    return run(split, mlp(0, (13, 32, 3), init=None), pynn.Adam(1e-3), 60, 16)


@program("unnormalised_inputs", "wrong_hidden_activation")
def raw_table_into_sigmoids(sick: bool) -> Run:
    """Tumours by measurements from 0.01 to 4000, as they come, into sigmoids."""
    split = yes_or_no(raw_table("breast_cancer") if sick else tables.cancer(0))
    model = mlp(0, (30, 16, 1), pynn.Sigmoid, None)
    return run(split, model, pynn.Adam(1e-3), 40, 32, pynn.BCEWithLogitsLoss(), metric="accuracy")


@program("corrupted_labels", images=True)
def shuffled_labels(sick: bool) -> Run:
    """The labels were sorted, the images were not."""
    split = mnist()
    if sick:
        split = split._replace(y=np.sort(split.y))
    return run(split, mlp(0, (784, 64, 10), init=None), pynn.Adam(1e-3), 8)


@program("class_imbalance")
def one_in_a_hundred(sick: bool) -> Run:
    """Fraud: one transaction in 100, weighted like the others."""
    split = data.rare(0, 99, 2.5)
    loss = pynn.BCEWithLogitsLoss(pos_weight=1.0 if sick else 50.0)
    return run(split, mlp(0, (10, 16, 1), init=None), pynn.Adam(1e-3), 15, 32, loss, metric="balanced")


@program("unshuffled", images=True)
def sorted_by_class(sick: bool) -> Run:
    """Images sorted by class, not shuffled."""
    split = mnist()
    order = np.argsort(split.y, kind="stable")
    split = split._replace(x=split.x[order], y=split.y[order])
    return run(split, mlp(0, (784, 64, 10), init=None), pynn.SGD(0.05, momentum=0.9), 6, shuffle=not sick)


@program("validation_scale", images=True)
def test_images_not_scaled(sick: bool) -> Run:
    """Training images divided by 255, test images not."""
    split = mnist()
    if sick:
        split = split._replace(xv=split.xv * np.float32(255))
    return run(split, mlp(0, (784, 64, 10), init=None), pynn.Adam(1e-3), 5)


@program("nan_in_data")
def missing_values(sick: bool) -> Run:
    """A table with gaps, read as NaN."""
    split = tables.cancer(0)
    if sick:
        split.x[np.random.default_rng(0).random(split.x.shape) < 0.01] = np.nan
    return run(split, mlp(0, (30, 16, 2), init=None), pynn.Adam(1e-3), 20)


@program("empty_features", images=True)
def divided_as_integers(sick: bool) -> Run:
    """Pixels divided by 256 as integers: all are 0."""
    split = own_data.mnist()
    split = with_inputs(split, lambda x: (x // 256 if sick else x / 255).reshape(len(x), -1))
    return run(split, mlp(0, (784, 64, 10), init=None), pynn.Adam(1e-3), 8)


@program("wrong_layout", images=True)
def colours_last(sick: bool) -> Run:
    """CIFAR-10 as (height, width, colours), taken for (colours, height, width)."""
    split = with_inputs(own_data.cifar(), lambda x: x / 255)
    if sick:
        split = with_inputs(split, lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    pynn.manual_seed(0)
    channels, flat = (32, 32 * 8 * 1) if sick else (3, 32 * 8 * 8)
    pools = [pynn.MaxPool2d((2, 1)), pynn.MaxPool2d((2, 3))] if sick else [pynn.MaxPool2d(2), pynn.MaxPool2d(2)]
    model = pynn.Sequential(
        pynn.Conv2d(channels, 16, 3, padding=1), pynn.ReLU(), pools[0],
        pynn.Conv2d(16, 32, 3, padding=1), pynn.ReLU(), pools[1], pynn.Flatten(), pynn.Linear(flat, 10),
    )  # fmt: skip
    return run(split, model, pynn.Adam(2e-3), 8)


@program("wrong_augmentation", images=True)
def digits_upside_down(sick: bool) -> Run:
    """Digits flipped both ways at random, as if they were photographs of cells."""
    made = run(mnist(flat=False), lenet(), pynn.Adam(1e-3), 4)
    made.augment = [flipped] if sick else []
    return made


def flipped(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn and mirror each image at random."""
    for image in x:
        image[...] = image[:, :: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    return x


# Networks.


@program("dying_relu", "too_few_units", threshold=0.5)
def xor_of_two_rectifiers(sick: bool) -> Run:
    """XOR with two ReLU units, squared error, SGD."""
    model = mlp(3, (2, 2 if sick else 16, 1), pynn.ReLU if sick else pynn.Tanh, None)
    return run(xor(), model, pynn.SGD(0.1), 600, 4, pynn.MSELoss(), metric="accuracy")


@program("missing_nonlinearity", threshold=0.5)
def xor_of_one_layer(sick: bool) -> Run:
    """XOR with a sigmoid and no hidden layer."""
    model = mlp(0, (2, 1) if sick else (2, 16, 1), pynn.Tanh, None, tail=[pynn.Sigmoid()] if sick else [])
    return run(xor(), model, pynn.SGD(0.1), 600, 4, pynn.MSELoss(), metric="accuracy")


@program("missing_nonlinearity")
def linear_stack(sick: bool) -> Run:
    """Three linear layers without an activation, on spirals."""
    model = mlp(0, (2, 64, 64, 3), None if sick else pynn.ReLU)
    return run(data.spiral(0), model, pynn.Adam(5e-3), 40)


@program("too_few_units")
def two_hidden_units(sick: bool) -> Run:
    """Ten digits through a hidden layer of two units."""
    return run(data.digits(0), mlp(0, (64, 2 if sick else 32, 10), init=None), pynn.Adam(3e-3), 25)


@program("too_few_units")
def narrow_autoencoder(sick: bool) -> Run:
    """An autoencoder whose middle is one unit."""
    split = data.digits(0)
    split = split._replace(y=split.x, yv=split.xv)
    model = mlp(0, (64, 32, 1 if sick else 16, 32, 64), init=None)
    return run(split, model, pynn.Adam(2e-3), 30, 32, pynn.MSELoss())


@program("vanishing_gradient", "wrong_hidden_activation", images=True)
def eight_sigmoids(sick: bool) -> Run:
    """Eight layers of sigmoids on MNIST, SGD 0.1."""
    model = mlp(0, (784, *[64] * 8, 10), pynn.Sigmoid if sick else pynn.ReLU, "xavier_uniform" if sick else "he_normal")
    return run(mnist(), model, pynn.SGD(0.1 if sick else 0.05), 8)


@program("vanishing_gradient", "bad_init")
def twenty_tanhs(sick: bool) -> Run:
    """Twenty layers of tanh, weights N(0, 0.01)."""
    model = mlp(0, (64, *[32] * 20, 10), pynn.Tanh, gaussian(0.01) if sick else "xavier_normal")
    return run(data.digits(0), model, pynn.Adam(1e-3), 15)


@program("bad_init", "exploding_gradient", images=True)
def standard_normal_weights(sick: bool) -> Run:
    """Six layers of ReLU, weights N(0, 1)."""
    model = mlp(0, (784, *[128] * 5, 10), init=gaussian(1.0) if sick else "he_normal")
    return run(mnist(), model, pynn.SGD(0.01), 6)


@program("exploding_gradient", "bad_init")
def thirty_plain_layers(sick: bool) -> Run:
    """Thirty plain layers with twice He's weights, Adam."""
    model = mlp(0, (64, *[32] * 30, 10), init=scaled("he_normal", 2.0) if sick else "he_normal")
    return run(data.digits(0), model, pynn.Adam(5e-4), 15)


@program("symmetric_init", images=True)
def all_zero(sick: bool) -> Run:
    """All weights start at zero."""
    return run(mnist(), mlp(0, (784, 64, 10), init="zeros" if sick else None), pynn.SGD(0.1), 6)


@program("symmetric_init")
def all_the_same(sick: bool) -> Run:
    """All weights start at 0.5."""
    start = (lambda shape: pynn.init.constant(shape, 0.5)) if sick else None
    return run(data.digits(0), mlp(0, (64, 32, 10), pynn.Tanh, start), pynn.Adam(1e-3), 15)


@program("small_batch_norm", "batchnorm_inference")
def batch_norm_of_two(sick: bool) -> Run:
    """Batch norm with two examples in a batch, momentum 0.01."""
    model = mlp(0, (64, 64, 64, 10), norm=0.01 if sick else 0.1)
    return run(data.digits(0), model, pynn.SGD(0.02), 4, 2 if sick else 32)


# Settings.


@program("over_regularisation")
def dropout_of_nine_tenths(sick: bool) -> Run:
    """Dropout 0.9 after both hidden layers."""
    return run(data.digits(0), mlp(0, (64, 32, 32, 10), dropout=0.9 if sick else 0.2), pynn.Adam(1e-3), 20)


@program("over_regularisation", images=True)
def strong_l2(sick: bool) -> Run:
    """A weight decay of 1."""
    return run(mnist(), mlp(0, (784, 64, 10), init=None), pynn.SGD(0.05, weight_decay=1.0 if sick else 1e-4), 8)


@program("over_regularisation")
def strong_l1(sick: bool) -> Run:
    """An L1 penalty of 0.1."""
    penalties = [pynn.L1(0.1)] if sick else []
    return run(data.digits(0), mlp(0, (64, 32, 10), init=None), pynn.Adam(1e-3), 15, regularizers=penalties)


@program("lr_too_low", "too_few_epochs", images=True)
def tiny_rate(sick: bool) -> Run:
    """Adam with a rate of 1e-6."""
    return run(mnist(flat=False), lenet(), pynn.Adam(1e-6 if sick else 1e-3), 4)


@program("lr_too_high", images=True)
def rate_of_ten(sick: bool) -> Run:
    """SGD with a rate of 10."""
    return run(mnist(), mlp(0, (784, 64, 10), init=None), pynn.SGD(10.0 if sick else 0.1), 6)


@program("lr_too_high", images=True)
def adam_of_a_tenth(sick: bool) -> Run:
    """Adam with a rate of 0.1, on the usual small CNN."""
    return run(mnist(flat=False), lenet(), pynn.Adam(0.1 if sick else 1e-3), 4)


@program("lr_too_high")
def much_momentum(sick: bool) -> Run:
    """SGD 0.3 with a momentum of 0.99."""
    model = mlp(0, (64, 64, 64, 10), init=None)
    return run(data.digits(0), model, pynn.SGD(0.3, momentum=0.99) if sick else pynn.SGD(0.1, momentum=0.9), 10)


@program("too_few_epochs", "lr_too_low", images=True)
def one_slow_epoch(sick: bool) -> Run:
    """One epoch of SGD 0.01."""
    return run(mnist(), mlp(0, (784, 64, 10), init=None), pynn.SGD(0.01), 1 if sick else 30)


@program("too_few_epochs", "lr_too_low")
def full_batches(sick: bool) -> Run:
    """All examples in one batch, 20 epochs of SGD 0.01."""
    return run(
        data.digits(0), mlp(0, (64, 64, 10), init=None), pynn.SGD(0.01 if sick else 0.1), 20, 2000 if sick else 32
    )


@program("lr_too_low", "too_few_epochs", threshold=0.5)
def slow_xor(sick: bool) -> Run:
    """XOR with eight sigmoids, SGD 0.01, 500 epochs."""
    model = mlp(0, (2, 8, 1), pynn.Sigmoid if sick else pynn.Tanh, None)
    optimizer = pynn.SGD(0.01) if sick else pynn.Adam(0.05)
    return run(xor(), model, optimizer, 500, 4, pynn.MSELoss(), metric="accuracy")


@program("decays_too_soon", "lr_too_low")
def decays_every_step(sick: bool) -> Run:
    """A schedule that was meant to halve the rate every few epochs, and does so every few steps."""
    schedule = pynn.StepLR(3, 0.5, by="step" if sick else "epoch")
    return run(data.digits(0), mlp(0, (64, 64, 10), init=None), pynn.SGD(0.1), 15, schedule=schedule)


@program("missing_regularisation")
def sixty_examples(sick: bool) -> Run:
    """Two layers of 512 units for 60 noisy examples, 300 epochs."""
    split = data.overlapping(0)
    split = Split(split.x[: 60 if sick else 1800], split.y[: 60 if sick else 1800], split.xv, split.yv)
    epochs, widths = (300, (6, 512, 512, 5)) if sick else (15, (6, 64, 5))
    return run(split, mlp(0, widths), pynn.Adam(1e-3), epochs)
