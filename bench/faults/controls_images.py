"""Healthy convolutional networks that look odd, each with its minimum score."""

from __future__ import annotations

import numpy as np

import pynn

from . import data
from .cases import Corpus, Run
from .networks import block, cnn, scaled

CORPUS = Corpus()


@CORPUS.control("digits", 0.93)
def conv_ordinary(seed: int) -> Run:
    """Nothing odd at all."""
    return Run.of(data.digit_images(seed), cnn(seed), pynn.SGD(0.05, momentum=0.9), seed, 8, 32)


@CORPUS.control("mnist", 0.9)
def conv_sparse_images(seed: int) -> Run:
    """Pixels in [0, 1], four in five of them 0, never centred."""
    raw = data.mnist_raw(seed, 2000)
    split = data.as_images(raw._replace(x=raw.x / 255, xv=raw.xv / 255), 1, 28, 28)
    return Run.of(split, cnn(seed, (1, 8, 16), size=28), pynn.Adam(2e-3), seed, 3, 32)


@CORPUS.control("cifar", 0.36)
def conv_batchnorm_cifar(seed: int) -> Run:
    """Three convolutions with batch norm on CIFAR-10."""
    model = cnn(seed, (3, 16, 32, 32), size=16, norm=0.1)
    return Run.of(data.cifar_images(seed), model, pynn.SGD(0.05, momentum=0.9), seed, 5, 64)


def _residual(seed: int, blocks: int, *, norm: bool = True, first: bool = False, **start: object) -> pynn.Sequential:
    pynn.manual_seed(seed)
    stem = [pynn.Conv2d(1, 8, 3, padding=1, init="he_normal"), pynn.MaxPool2d(2)]
    chain: list[pynn.Layer] = []
    for _ in range(blocks):
        chain.append(block(8, norm=norm, first=first, **start))
        chain += [] if first else [pynn.ReLU()]
    tail = [pynn.BatchNorm2d(8), pynn.ReLU()] if first else []
    return pynn.Sequential(*stem, *chain, *tail, pynn.Flatten(), pynn.Linear(128, 10, init="he_normal"))


@CORPUS.control("digits", 0.93)
def residual_branches_at_zero(seed: int) -> Run:
    """Each residual branch ends in filters of zeros."""
    return Run.of(data.digit_images(seed), _residual(seed, 4, norm=False, last="zeros"), pynn.Adam(2e-3), seed, 6, 32)


@CORPUS.control("digits", 0.9)
def residual_branches_small(seed: int) -> Run:
    """Eight residual branches end in filters a thousand times smaller than He's, and all are averaged."""
    pynn.manual_seed(seed)
    layers: list[pynn.Layer] = [pynn.Conv2d(1, 16, 3, padding=1, init="he_normal"), pynn.MaxPool2d(2)]
    for _ in range(8):
        layers += [block(16, norm=False, last=scaled("he_normal", 1e-3)), pynn.ReLU()]
    model = pynn.Sequential(*layers, pynn.AdaptiveAvgPool2d(1), pynn.Flatten(), pynn.Linear(16, 10))
    return Run.of(data.digit_images(seed), model, pynn.Adam(3e-3), seed, 10, 32)


@CORPUS.control("digits", 0.9)
def conv_deep(seed: int) -> Run:
    """Twelve convolutions with batch norm."""
    split = data.digit_images(seed)
    return Run.of(split, cnn(seed, (1, *[16] * 12), norm=0.1), pynn.SGD(0.05, momentum=0.9), seed, 12, 32)


@CORPUS.control("stripes", 0.9)
def conv_raw_pixels_normalised(seed: int) -> Run:
    """Pixels from 0 to 255, normalised by a batch norm before all layers."""
    model = cnn(seed, (3, 8, 16), size=12, classes=4, first_norm=True)
    return Run.of(data.stripes_raw(seed), model, pynn.Adam(3e-3), seed, 8, 32)


@CORPUS.control("digits", 0.93)
def residual_gamma_zero(seed: int) -> Run:
    """Each residual branch ends in a batch norm of scale 0."""
    return Run.of(data.digit_images(seed), _residual(seed, 4, gamma=0.0), pynn.SGD(0.05, momentum=0.9), seed, 6, 32)


@CORPUS.control("digits", 0.93)
def residual_preactivated(seed: int) -> Run:
    """Batch norm and ReLU before each convolution, in eight blocks."""
    return Run.of(data.digit_images(seed), _residual(seed, 8, first=True), pynn.SGD(0.02, momentum=0.9), seed, 6, 32)


@CORPUS.control("digits", 0.9)
def conv_global_average(seed: int) -> Run:
    """Global average pooling, so that gradients at single positions are small."""
    model = cnn(seed, (1, 16, 32), pooled=0, average=True, norm=0.1)
    return Run.of(data.digit_images(seed), model, pynn.SGD(0.03, momentum=0.9), seed, 12, 32)


@CORPUS.control("digits", 0.92)
def conv_depthwise(seed: int) -> Run:
    """Depthwise convolutions, whose filters see one channel each, and 1x1 ones."""
    pynn.manual_seed(seed)
    layers: list[pynn.Layer] = [pynn.Conv2d(1, 16, 3, padding=1, init="he_normal"), pynn.ReLU()]
    for _ in range(2):
        layers += [
            pynn.Conv2d(16, 16, 3, padding=1, groups=16, init="lecun_normal"),
            pynn.Conv2d(16, 16, 1, init="he_normal"),
            pynn.ReLU(),
            pynn.MaxPool2d(2),
        ]
    model = pynn.Sequential(*layers, pynn.Flatten(), pynn.Linear(64, 10))
    return Run.of(data.digit_images(seed), model, pynn.Adam(5e-3), seed, 8, 32)


@CORPUS.control("digits", 0.9)
def conv_channels_dropped(seed: int) -> Run:
    """Dropout2d blanks whole channels."""
    model = cnn(seed, (1, 16, 32), dropout=0.2)
    return Run.of(data.digit_images(seed), model, pynn.Adam(2e-3), seed, 8, 32)


@CORPUS.control("stripes", 0.9)
def conv_few_channels(seed: int) -> Run:
    """Two filters, then four."""
    model = cnn(seed, (3, 2, 4), size=12, classes=4, hidden=16)
    return Run.of(data.stripes(seed), model, pynn.Adam(5e-3), seed, 15, 32)


@CORPUS.control("digits", 0.92)
def conv_groupnorm(seed: int) -> Run:
    """Group norm, strides in place of pooling, and a layer norm before the last layer."""
    pynn.manual_seed(seed)
    model = pynn.Sequential(
        pynn.Conv2d(1, 16, 3, padding=1, bias=False),
        pynn.GroupNorm(4, 16),
        pynn.SiLU(),
        pynn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
        pynn.GroupNorm(4, 32),
        pynn.SiLU(),
        pynn.Flatten(),
        pynn.LayerNorm(512),
        pynn.Linear(512, 10),
    )
    return Run.of(data.digit_images(seed), model, pynn.Adam(2e-3), seed, 6, 32)


@CORPUS.control("digits", 0.92)
def conv_over_rows(seed: int) -> Run:
    """Conv1d: the rows of a digit are the channels of a sequence."""
    pynn.manual_seed(seed)
    model = pynn.Sequential(
        pynn.Conv1d(8, 32, 3, padding=1, init="he_normal"),
        pynn.ReLU(),
        pynn.Conv1d(32, 32, 3, padding=1, init="he_normal"),
        pynn.ReLU(),
        pynn.Flatten(),
        pynn.Linear(256, 10),
    )
    split = data.digits(seed)
    rows = split._replace(x=split.x.reshape(-1, 8, 8), xv=split.xv.reshape(-1, 8, 8))
    return Run.of(rows, model, pynn.SGD(0.02, momentum=0.9), seed, 8, 32)


@CORPUS.control("stripes", 0.9)
def conv_tanh(seed: int) -> Run:
    """Tanh convolutions and average pooling, at float64."""
    pynn.manual_seed(seed)
    model = pynn.Sequential(
        pynn.Conv2d(3, 8, 5, padding=2, init="lecun_normal", dtype=np.float64),
        pynn.Tanh(),
        pynn.AvgPool2d(2),
        pynn.Conv2d(8, 16, 3, padding=1, init="lecun_normal", dtype=np.float64),
        pynn.Tanh(),
        pynn.AvgPool2d(2),
        pynn.Flatten(),
        pynn.Linear(144, 4, dtype=np.float64),
    )
    return Run.of(data.stripes(seed), model, pynn.SGD(0.05, momentum=0.9), seed, 15, 32)
