"""Healthy runs that look odd, each with its minimum score."""

# ruff: noqa: D401 - a docstring here describes the run or the data set that is returned.
from __future__ import annotations

from collections.abc import Callable

import numpy as np

import pynn

from . import data
from .cases import Corpus, Run
from .networks import gaussian, mlp

CORPUS = Corpus()


@CORPUS.control("digits", 0.94)
def large_rate_with_batchnorm(seed: int) -> Run:
    """A rate of 1, which batch norm makes possible."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10), norm=0.1), pynn.SGD(1.0), seed, 10)


@CORPUS.control("digits", 0.94)
def ordinary(seed: int) -> Run:
    """Nothing odd at all."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.SGD(0.1, momentum=0.9), seed, 10)


@CORPUS.control("words", 0.97)
def sparse_features(seed: int) -> Run:
    """Word counts, 97% of them zero, never centred."""
    return Run.of(data.words(seed), mlp(seed, (400, 32, 4)), pynn.Adam(3e-3), seed, 4, 32)


@CORPUS.control("categories", 0.92)
def one_hot_features(seed: int) -> Run:
    """Six columns of categories, one-hot."""
    return Run.of(data.categories(seed), mlp(seed, (60, 16, 2)), pynn.Adam(3e-3), seed, 8, 32)


@CORPUS.control("digits", 0.78)
def rare_classes_learnt(seed: int) -> Run:
    """Of three digits there are 20 times fewer, and they are learnt."""
    split = data.thinned(data.digits(seed), 7, 20)
    return Run.of(split, mlp(seed, (64, 64, 10)), pynn.Adam(3e-3), seed, 25, 32, metric="balanced")


@CORPUS.control("rare", 0.85)
def rare_positives_learnt(seed: int) -> Run:
    """One example in 20 is positive, far enough from the others to be learnt."""
    split = data.rare(seed, 20, 4.5)
    model = mlp(seed, (10, 16, 1))
    return Run.of(split, model, pynn.Adam(5e-3), seed, 15, 64, pynn.BCEWithLogitsLoss(), metric="balanced")


@CORPUS.control("digits", 0.93)
def batches_of_two(seed: int) -> Run:
    """Two examples per step: the loss jumps about."""
    split = data.digits(seed)
    split = split._replace(x=split.x[:1000], y=split.y[:1000])
    return Run.of(split, mlp(seed, (64, 64, 10)), pynn.SGD(0.01), seed, 3, 2)


@CORPUS.control("clouds", 0.9)
def batches_of_four_with_batchnorm(seed: int) -> Run:
    """Four examples per step, with batch norm."""
    return Run.of(data.clouds(seed), mlp(seed, (20, 32, 5), norm=0.02), pynn.SGD(0.01), seed, 6, 4)


@CORPUS.control("clouds", 0.9)
def whole_set_as_one_batch(seed: int) -> Run:
    """Gradient descent on all examples at once: an epoch is a step."""
    return Run.of(data.clouds(seed), mlp(seed, (20, 32, 5)), pynn.SGD(0.3), seed, 150, 1200)


@CORPUS.control("digits", 0.95)
def very_wide(seed: int) -> Run:
    """2048 hidden units for 64 inputs."""
    return Run.of(data.digits(seed), mlp(seed, (64, 2048, 10)), pynn.SGD(0.02, momentum=0.9), seed, 6)


@CORPUS.control("digits", 0.9)
def twenty_he_layers(seed: int) -> Run:
    """Twenty ReLU layers with He's weights and no batch norm."""
    return Run.of(data.digits(seed), mlp(seed, (64, *[64] * 20, 10)), pynn.Adam(1e-3), seed, 15)


@CORPUS.control("mnist", 0.87)
def ten_tanh_layers_with_batchnorm(seed: int) -> Run:
    """Ten tanh layers with batch norm."""
    model = mlp(seed, (784, *[64] * 10, 10), pynn.Tanh, "xavier_normal", norm=0.1)
    return Run.of(data.mnist(seed), model, pynn.SGD(0.05, momentum=0.9), seed, 5)


@CORPUS.control("friedman", 0.85)
def regression(seed: int) -> Run:
    """A regression, which has no accuracy."""
    return Run.of(data.friedman(seed), mlp(seed, (10, 64, 64, 1)), pynn.Adam(5e-3), seed, 12, 32, pynn.MSELoss())


@CORPUS.control("plane", 0.35)
def noisy_regression(seed: int) -> Run:
    """Half of the target is noise, so the loss stops halfway."""
    return Run.of(data.plane(seed, noise=1.0), mlp(seed, (12, 8, 1)), pynn.SGD(0.02), seed, 15, 32, pynn.MSELoss())


@CORPUS.control("plane", 0.85)
def linear_regression(seed: int) -> Run:
    """One linear layer, which suffices."""
    return Run.of(data.plane(seed), mlp(seed, (12, 1), init=None), pynn.SGD(0.05), seed, 15, 32, pynn.MSELoss())


@CORPUS.control("digits", 0.8)
def autoencoder(seed: int) -> Run:
    """Reconstructs its input through 24 units."""
    split = data.digits(seed)
    split = split._replace(y=split.x, yv=split.xv)
    return Run.of(split, mlp(seed, (64, 64, 24, 64, 64)), pynn.Adam(3e-3), seed, 20, 32, pynn.MSELoss())


@CORPUS.control("separable", 0.99)
def ninety_nine_percent(seed: int) -> Run:
    """A set so easy that accuracy is 99% after an epoch."""
    split = data.standardized(data.easy(seed), per_feature=True)
    return Run.of(split, mlp(seed, (8, 32, 3)), pynn.SGD(0.1), seed, 10, 32)


@CORPUS.control("digits", 0.95)
def long_after_convergence(seed: int) -> Run:
    """Trained on for 30 epochs after every training example is right: the loss is flat at almost nothing."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 10)), pynn.SGD(0.2, momentum=0.9), seed, 40)


@CORPUS.control("cifar", 0.36)
def forty_five_percent(seed: int) -> Run:
    """CIFAR-10 without convolutions: the best possible accuracy is 40% to 50%."""
    model = mlp(seed, (768, 128, 64, 10), norm=0.1, dropout=0.2)
    return Run.of(data.cifar(seed, 9000), model, pynn.Adam(1e-3), seed, 5, 100)


@CORPUS.control("hard", 0.34)
def forty_five_percent_of_overlapping_clouds(seed: int) -> Run:
    """Clouds that overlap so much that at most about half of the points are separable."""
    split = data.standardized(data.overlapping(seed), per_feature=True)
    return Run.of(split, mlp(seed, (6, 24, 5)), pynn.SGD(0.05), seed, 12)


@CORPUS.control("digits", 0.88)
def label_noise(seed: int) -> Run:
    """A fifth of the training labels are wrong, and a small decaying network copes."""
    split = data.with_label_noise(data.digits(seed), 0.2, seed)
    return Run.of(split, mlp(seed, (64, 32, 10)), pynn.SGD(0.05, weight_decay=5e-3), seed, 10)


@CORPUS.control("mnist", 0.9)
def dropout_half(seed: int) -> Run:
    """Dropout 0.5: training figures are worse than those of validation."""
    model = mlp(seed, (784, 256, 10), dropout=0.5)
    return Run.of(data.mnist(seed), model, pynn.Adam(1e-3), seed, 6)


@CORPUS.control("digits", 0.93)
def adamw(seed: int) -> Run:
    """AdamW with weight decay 0.01."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.AdamW(2e-3, weight_decay=1e-2), seed, 12)


def _activation(name: str, build: Callable[[int], pynn.Sequential], least: float = 0.92) -> None:
    def control(seed: int) -> Run:
        return Run.of(data.digits(seed), build(seed), pynn.Adam(2e-3), seed, 10)

    control.__name__ = name
    control.__doc__ = f"A network of {name.replace('_', ' ')}."
    CORPUS.control("digits", least)(control)


_activation("leaky_relu_units", lambda seed: mlp(seed, (64, 64, 64, 10), lambda: pynn.LeakyReLU(0.05)))
_activation("elu_units", lambda seed: mlp(seed, (64, 64, 64, 10), pynn.ELU))
_activation("gelu_units", lambda seed: mlp(seed, (64, 64, 64, 10), pynn.GELU))
_activation("silu_units", lambda seed: mlp(seed, (64, 64, 64, 10), pynn.SiLU))
_activation("eight_selu_layers", lambda seed: mlp(seed, (64, *[64] * 8, 10), pynn.SELU, "lecun_normal"))
_activation("prelu_units", lambda seed: mlp(seed, (64, 64, 64, 10), lambda: pynn.PReLU(64)))


@CORPUS.control("digits", 0.93)
def maxout_units(seed: int) -> Run:
    """Two layers of maxout units, without activations after them."""
    pynn.manual_seed(seed)
    model = pynn.Sequential(pynn.Maxout(64, 48, 3), pynn.Maxout(48, 48, 3), pynn.Linear(48, 10))
    return Run.of(data.digits(seed), model, pynn.SGD(0.1, momentum=0.9), seed, 10)


@CORPUS.control("digits", 0.94)
def one_sigmoid_layer(seed: int) -> Run:
    """A single sigmoid layer: slow, but healthy."""
    split = data.digits(seed)
    return Run.of(split, mlp(seed, (64, 64, 10), pynn.Sigmoid, "xavier_normal"), pynn.SGD(0.5), seed, 15, 32)


@CORPUS.control("mnist", 0.88)
def pixels_from_0_to_1(seed: int) -> Run:
    """Pixels divided by 255 and never centred, as most do."""
    split = data.mnist_raw(seed)
    scale = np.float32(1 / 255)
    split = split._replace(x=split.x * scale, xv=split.xv * scale)
    return Run.of(split, mlp(seed, (784, 100, 10)), pynn.SGD(0.1), seed, 5)


@CORPUS.control("digits", 0.93)
def fine_tuning(seed: int) -> Run:
    """Starts from trained weights: the first loss is far below ln 10, and little changes."""
    split = data.digits(seed)
    earlier = Run.of(split, mlp(seed, (64, 64, 10)), pynn.SGD(0.1, momentum=0.9), seed, 5)
    earlier.trainer.fit(split.x, split.y, epochs=5, batch_size=64)
    model = mlp(seed + 1, (64, 64, 10))
    model.load_state_dict(earlier.trainer.model.state_dict())
    return Run.of(split, model, pynn.SGD(0.005), seed, 8)


@CORPUS.control("digits", 0.93)
def last_layer_starts_at_zero(seed: int) -> Run:
    """The last layer starts at zero, which is a good habit and not a symmetry."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10), last_init="zeros"), pynn.SGD(0.1), seed, 12)


@CORPUS.control("digits", 0.92)
def warm_up(seed: int) -> Run:
    """The rate rises from almost nothing over 100 steps."""
    schedule = pynn.WarmupLR(100)
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.SGD(0.2), seed, 15, schedule=schedule)


@CORPUS.control("mnist", 0.9)
def cosine_to_zero(seed: int) -> Run:
    """The rate ends at zero, and the loss ends flat."""
    schedule = pynn.CosineAnnealingLR(8)
    optimizer = pynn.SGD(0.1, momentum=0.5)
    return Run.of(data.mnist(seed), mlp(seed, (784, 64, 10)), optimizer, seed, 9, schedule=schedule)


@CORPUS.control("digits", 0.93)
def gradient_clipping(seed: int) -> Run:
    """The gradient's norm is clipped at 1."""
    optimizer = pynn.SGD(0.3, momentum=0.5)
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), optimizer, seed, 12, clip_norm=1.0)


@CORPUS.control("digits", 0.93)
def frozen_first_layer(seed: int) -> Run:
    """The first layer stays as it started: random features."""
    model = mlp(seed, (64, 256, 10))
    model[0].freeze()
    return Run.of(data.digits(seed), model, pynn.SGD(0.1), seed, 10)


@CORPUS.control("digits", 0.9)
def hinge_loss(seed: int) -> Run:
    """The multiclass hinge loss, which starts at 9 or more."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 10)), pynn.SGD(0.01), seed, 10, 64, pynn.HingeLoss())


@CORPUS.control("digits", 0.92)
def double_precision(seed: int) -> Run:
    """float64 throughout."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 10), pynn.Tanh, dtype=np.float64), pynn.SGD(0.1), seed, 12)


@CORPUS.control("digits", 0.9)
def small_rate_that_learns(seed: int) -> Run:
    """A rate of 0.002 with momentum 0.95: a tenth of what one would take, and yet it learns."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.SGD(0.002, momentum=0.95), seed, 15)


@CORPUS.control("digits", 0.92)
def rmsprop(seed: int) -> Run:
    """RMSprop, whose first updates are ten times as large as the later ones."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 10)), pynn.RMSprop(1e-3), seed, 12)


@CORPUS.control("mnist", 0.91)
def adagrad(seed: int) -> Run:
    """Adagrad, whose updates shrink for ever."""
    return Run.of(data.mnist(seed), mlp(seed, (784, 64, 10)), pynn.Adagrad(0.02), seed, 5)


@CORPUS.control("digits", 0.92)
def label_smoothing(seed: int) -> Run:
    """Label smoothing 0.2: the loss cannot fall below 0.8."""
    loss = pynn.CrossEntropyLoss(label_smoothing=0.2)
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 10)), pynn.SGD(0.1, momentum=0.9), seed, 12, 64, loss)


@CORPUS.control("spiral", 0.96)
def two_inputs(seed: int) -> Run:
    """The lecture's spirals: two inputs, a boundary that winds, and a long way down."""
    split = data.standardized(data.spiral(seed))
    return Run.of(split, mlp(seed, (2, 100, 3)), pynn.SGD(0.1, momentum=0.9), seed, 40)


@CORPUS.control("digits", 0.92)
def loop_by_hand(seed: int) -> Run:
    """A custom loop without evaluations, with jittered inputs."""
    rng = np.random.default_rng(seed)

    def feed(step: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x + rng.normal(0, 0.1, x.shape).astype(np.float32), y

    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.SGD(0.1), seed, 10, feed=feed)


@CORPUS.control("moons", 0.95)
def yes_or_no(seed: int) -> Run:
    """Yes or no on the moons, with small random weights in a shallow network."""
    model = mlp(seed, (2, 32, 1), pynn.Tanh, gaussian(0.1))
    return Run.of(data.moons(seed), model, pynn.Adam(0.02), seed, 15, 32, pynn.BCEWithLogitsLoss())


@CORPUS.control("digits", 0.93)
def l2_as_a_penalty(seed: int) -> Run:
    """An L2 penalty of 1e-3, which is part of the loss reported."""
    optimizer = pynn.SGD(0.1)
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 10)), optimizer, seed, 12, regularizers=[pynn.L2(1e-3)])
