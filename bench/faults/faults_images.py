"""Faults in convolutional networks."""

# ruff: noqa: D401 - a docstring here describes the run or the data set that is returned.
from __future__ import annotations

import numpy as np

import pynn

from . import data
from .cases import BLOWN_UP, STALLED, Corpus, Run
from .networks import Softmax, block, cnn, gaussian, set_hidden_biases

CORPUS = Corpus()
UNSCALED = (*BLOWN_UP, "lr_too_high", "bad_initial_loss", "bad_initialisation")
TOO_LARGE = (*BLOWN_UP, "bad_initial_loss", "bad_initialisation", "lr_too_high", "overfitting")
TOO_SMALL = (*STALLED, "lr_too_low", "vanishing_gradient", "bad_initialisation", "dead_units")
SAME = ("bad_initialisation", "vanishing_gradient", "dead_units", *STALLED)


@CORPUS.fault("stripes", "input_not_normalised", also=UNSCALED, visible_before=True)
def conv_raw_pixels(seed: int, sick: bool) -> Run:
    """Images as they come, 0 to 255."""
    split = data.stripes_raw(seed) if sick else data.stripes(seed)
    return Run.of(split, cnn(seed, (3, 8, 16), size=12, classes=4), pynn.SGD(0.02, momentum=0.9), seed, 8, 32)


@CORPUS.fault("cifar", "input_not_normalised", also=UNSCALED, visible_before=True)
def conv_raw_pixels_cifar(seed: int, sick: bool) -> Run:
    """CIFAR-10 as it comes, 0 to 255."""
    split = data.as_images(data.cifar_raw(seed, 3000), 3, 16, 16) if sick else data.cifar_images(seed)
    return Run.of(split, cnn(seed, (3, 16, 32), size=16), pynn.SGD(0.02, momentum=0.9), seed, 4, 32)


@CORPUS.fault("stripes", "input_not_normalised", also=(*UNSCALED, "overfitting"), visible_before=True)
def conv_validation_pixels_raw(seed: int, sick: bool) -> Run:
    """The training images are scaled, those of the validation part are not."""
    split = data.stripes(seed)
    if sick:
        split = split._replace(xv=data.stripes_raw(seed).xv)
    return Run.of(split, cnn(seed, (3, 8, 16), size=12, classes=4), pynn.SGD(0.02, momentum=0.9), seed, 8, 32)


@CORPUS.fault("digits", "lr_too_high", "diverging", also=BLOWN_UP, visible_before=True)
def conv_rate_100x(seed: int, sick: bool) -> Run:
    """A hundred times the rate that works."""
    return Run.of(data.digit_images(seed), cnn(seed), pynn.SGD(5.0 if sick else 0.05, momentum=0.9), seed, 8, 32)


@CORPUS.fault("digits", "lr_too_high", "diverging", also=BLOWN_UP)
def conv_rate_5x(seed: int, sick: bool) -> Run:
    """Five times the rate that works, in four convolutions."""
    optimizer = pynn.SGD(0.25 if sick else 0.05, momentum=0.9)
    return Run.of(data.digit_images(seed), cnn(seed, (1, 8, 8, 16, 16)), optimizer, seed, 10, 32)


@CORPUS.fault("cifar", "lr_too_high", "diverging", also=BLOWN_UP)
def conv_adam_rate_100x(seed: int, sick: bool) -> Run:
    """Adam at 0.1."""
    optimizer = pynn.Adam(0.1 if sick else 1e-3)
    return Run.of(data.cifar_images(seed), cnn(seed, (3, 16, 32), size=16), optimizer, seed, 4, 32)


@CORPUS.fault("digits", "lr_too_low", also=STALLED, visible_before=True)
def conv_rate_too_low(seed: int, sick: bool) -> Run:
    """A ten-thousandth of the rate that works."""
    return Run.of(data.digit_images(seed), cnn(seed), pynn.SGD(5e-6 if sick else 0.05, momentum=0.9), seed, 8, 32)


@CORPUS.fault("digits", "bad_initialisation", "bad_initial_loss", also=TOO_LARGE, visible_before=True)
def conv_unit_normal(seed: int, sick: bool) -> Run:
    """N(0, 1) filters: scores in the hundreds."""
    model = cnn(seed, (1, 8, 16, 16), init=gaussian(1.0) if sick else "he_normal", hidden=32)
    return Run.of(data.digit_images(seed), model, pynn.SGD(0.02, momentum=0.9), seed, 8, 32)


@CORPUS.fault("digits", "bad_initialisation", "vanishing_gradient", also=TOO_SMALL, visible_before=True)
def conv_small_normal(seed: int, sick: bool) -> Run:
    """0.01 N(0, 1) filters in six convolutions: the signal shrinks to nothing."""
    model = cnn(seed, (1, 8, 8, 16, 16, 16, 16), init=gaussian(0.01) if sick else "he_normal", hidden=32)
    return Run.of(data.digit_images(seed), model, pynn.SGD(0.02, momentum=0.9), seed, 8, 32)


@CORPUS.fault("digits", "bad_initialisation", "saturated_units", also=TOO_LARGE, visible_before=True)
def conv_saturated_tanh(seed: int, sick: bool) -> Run:
    """N(0, 1) filters in three tanh convolutions: nearly all outputs are at a limit."""
    model = cnn(seed, (1, 16, 16, 16), pynn.Tanh, gaussian(1.0) if sick else "lecun_normal", hidden=32)
    return Run.of(data.digit_images(seed), model, pynn.SGD(0.02, momentum=0.9), seed, 8, 32)


@CORPUS.fault("digits", "symmetric_units", also=SAME, visible_before=True)
def conv_symmetric_filters(seed: int, sick: bool) -> Run:
    """All filters start alike."""
    init = (lambda shape: pynn.init.constant(shape, 0.05)) if sick else "he_normal"
    return Run.of(data.digit_images(seed), cnn(seed, (1, 8, 16, 16), init=init), pynn.Adam(2e-3), seed, 8, 32)


@CORPUS.fault("digits", "dead_units", also=("lr_too_low", "bad_initialisation", *STALLED), visible_before=True)
def conv_dead_channels(seed: int, sick: bool) -> Run:
    """The biases of the convolutions start at -10: no channel is ever active."""
    model = cnn(seed, (1, 8, 16))
    if sick:
        set_hidden_biases(model, -10)
    return Run.of(data.digit_images(seed), model, pynn.SGD(0.05), seed, 8, 32)


@CORPUS.fault("digits", "vanishing_gradient", also=("lr_too_low", "bad_initialisation", *STALLED), visible_before=True)
def conv_sigmoid_stack(seed: int, sick: bool) -> Run:
    """Eight sigmoid convolutions: almost no gradient reaches the first."""
    act, init = (pynn.Sigmoid, "xavier_normal") if sick else (pynn.ReLU, "he_normal")
    split = data.digit_images(seed)
    return Run.of(split, cnn(seed, (1, *[8] * 8), act, init), pynn.SGD(0.02, momentum=0.9), seed, 8, 32)


@CORPUS.fault("stripes", "not_learning", also=("plateau", "underfitting", "overfitting"), visible_before=True)
def conv_labels_shuffled(seed: int, sick: bool) -> Run:
    """Labels of other images."""
    split = data.stripes(seed)
    if sick:
        rng = np.random.default_rng(seed)
        split = split._replace(y=rng.permutation(split.y), yv=rng.permutation(split.yv))
    return Run.of(split, cnn(seed, (3, 8, 16), size=12, classes=4), pynn.SGD(0.01, momentum=0.9), seed, 12, 32)


@CORPUS.fault(
    "digits", "oscillating", also=("not_learning", "plateau", "diverging", "lr_too_high", "dead_units", "overfitting")
)
def conv_sorted_images(seed: int, sick: bool) -> Run:
    """Images in the order of their classes, never shuffled."""
    split = data.digit_images(seed)
    order = np.argsort(split.y, kind="stable")
    split = split._replace(x=split.x[order], y=split.y[order])
    return Run.of(split, cnn(seed), pynn.SGD(0.05, momentum=0.9), seed, 8, 32, shuffle=not sick)


@CORPUS.fault(
    "digits",
    "bad_initial_loss",
    "lr_too_high",
    "diverging",
    also=(*BLOWN_UP, "lr_too_high"),
    visible_before=True,
    checks=("loss reduction",),
)
def conv_loss_summed(seed: int, sick: bool) -> Run:
    """The loss is summed over the batch, at a rate for its mean."""
    loss = pynn.CrossEntropyLoss(reduction="sum" if sick else "mean")
    return Run.of(data.digit_images(seed), cnn(seed), pynn.SGD(0.1, momentum=0.9), seed, 8, 32, loss=loss)


@CORPUS.fault(
    "digits",
    "underfitting",
    "plateau",
    "not_learning",
    also=("vanishing_gradient", "lr_too_low", "zigzag"),
    visible_before=True,
    checks=("network output",),
)
def conv_softmax_twice(seed: int, sick: bool) -> Run:
    """A softmax layer before a loss that includes one."""
    model = cnn(seed, tail=[Softmax()] if sick else [])
    return Run.of(data.digit_images(seed), model, pynn.SGD(0.05), seed, 8, 32)


@CORPUS.fault("digits", "batchnorm_mismatch", also=("overfitting", "oscillating"))
def conv_batchnorm_never_updated(seed: int, sick: bool) -> Run:
    """Batch norm with momentum 0 after each convolution: inference uses the initial statistics."""
    model = cnn(seed, (1, 8, 16, 16), init=gaussian(0.5), norm=0.0 if sick else 0.1)
    return Run.of(data.digit_images(seed), model, pynn.SGD(0.05, momentum=0.9), seed, 8, 32)


@CORPUS.fault("cifar", "batchnorm_mismatch", also=("overfitting", "oscillating"))
def conv_batchnorm_momentum_1e4(seed: int, sick: bool) -> Run:
    """Batch norm with momentum 1e-4 in a residual network: the running statistics hardly leave their start."""
    pynn.manual_seed(seed)
    blocks = [block(16), pynn.ReLU(), pynn.MaxPool2d(2), block(16), pynn.ReLU()]
    stem = [pynn.Conv2d(3, 16, 3, padding=1, init="he_normal"), pynn.BatchNorm2d(16), pynn.ReLU(), pynn.MaxPool2d(2)]
    model = pynn.Sequential(*stem, *blocks, pynn.Flatten(), pynn.Linear(256, 10))
    for layer in model.all_layers() if sick else ():
        if isinstance(layer, pynn.BatchNorm2d):
            layer.momentum = 1e-4
    return Run.of(data.cifar_images(seed, 2000), model, pynn.SGD(0.01, momentum=0.9), seed, 5, 32)


@CORPUS.fault("digits", "overfitting")
def conv_overfitting(seed: int, sick: bool) -> Run:
    """120 images, a third of them mislabelled, and a network of 50 000 weights; the twin has all, and no noise."""
    split = data.digit_images(seed)
    if sick:
        noisy = data.with_label_noise(split, 0.35, seed)
        split = noisy._replace(x=noisy.x[:120], y=noisy.y[:120])
    return Run.of(split, cnn(seed, (1, 32, 64), hidden=128), pynn.Adam(1e-3), seed, 40 if sick else 4, 32)


@CORPUS.fault(
    "digits",
    "regularisation_too_strong",
    "underfitting",
    also=("vanishing_gradient", "dead_units", "lr_too_low", "lr_too_high", *STALLED),
    visible_before=True,
    checks=("regularisation",),
)
def conv_weight_decay_1(seed: int, sick: bool) -> Run:
    """SGD with weight decay 1."""
    optimizer = pynn.SGD(0.05, weight_decay=1.0 if sick else 1e-4)
    return Run.of(data.digit_images(seed), cnn(seed, (1, 8, 16, 16)), optimizer, seed, 10, 32)


@CORPUS.fault("digits", "bad_initial_loss", "bad_initialisation", also=TOO_LARGE, visible_before=True)
def residual_blocks_blow_up(seed: int, sick: bool) -> Run:
    """Twelve residual blocks without batch norm double the variance each; the twin's branches start at zero."""
    pynn.manual_seed(seed)
    blocks = [block(8, norm=False, last="he_normal" if sick else "zeros") for _ in range(12)]
    stem = [pynn.Conv2d(1, 8, 3, padding=1, init="he_normal"), pynn.ReLU(), pynn.MaxPool2d(2)]
    model = pynn.Sequential(*stem, *blocks, pynn.ReLU(), pynn.Flatten(), pynn.Linear(128, 10))
    return Run.of(data.digit_images(seed), model, pynn.SGD(0.01, momentum=0.9), seed, 6, 32)
