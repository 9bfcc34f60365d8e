"""Initialisers: the lecture's, and PyTorch's default for linear layers.

Every initialiser takes the shape of the array and returns a new one. `fans` are (fan_in, fan_out). By default they are
the two dimensions of a weight matrix (fan_in, fan_out); for filters (filters, channels, rows, columns) they are
channels * window size and filters * window size. `rng` is by default the generator that `pynn.manual_seed` seeds.
Sources: CS231n, Training Neural Networks, Part 1; Glorot & Bengio 2010; LeCun et al. 1998; He et al. 2015; Saxe et al.
2014 (orthogonal).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..utils.config import Configurable
from .random import initial_generator
from .rebuilding import allow, rebuilding

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: The shape of an array.
Shape = tuple[int, ...]
#: The number of inputs of a unit, and the number of units that an input reaches: (fan_in, fan_out).
Fans = tuple[int, int]
#: A name in `INITIALIZERS`, or a function of the shape that returns an array.
Init = str | Callable[[Shape], np.ndarray]


def zeros(shape: Shape, *, fans: Fans | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return zeros: as weights they make every unit compute and learn the same.

    Examples
    --------
    >>> import pynn
    >>> pynn.init.zeros((2, 3))
    array([[0., 0., 0.],
           [0., 0., 0.]])
    """
    return np.zeros(shape)


def constant(
    shape: Shape, value: float = 0.01, *, fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return an array filled with `value`.

    Examples
    --------
    >>> import pynn
    >>> pynn.init.constant((2, 3), 0.5)
    array([[0.5, 0.5, 0.5],
           [0.5, 0.5, 0.5]])
    """
    return np.full(shape, float(value))


def normal(
    shape: Shape, std: float = 0.01, *, fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return N(0, std^2): the lecture's "small random numbers" by default.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.init.normal((400, 100), 0.1, rng=np.random.default_rng(0)).std().round(2)
    np.float64(0.1)
    """
    return std * (rng or initial_generator()).standard_normal(shape)


def uniform(
    shape: Shape, limit: float = 0.05, *, fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return U(-limit, limit).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.init.uniform((400, 100), 0.1, rng=np.random.default_rng(0)).max().round(2)
    np.float64(0.1)
    """
    return (rng or initial_generator()).uniform(-limit, limit, shape)


def xavier_normal(shape: Shape, *, fans: Fans | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.init.xavier_normal((400, 100), rng=np.random.default_rng(0)).std().round(2)
    np.float64(0.06)
    """
    return normal(shape, math.sqrt(2 / sum(_fans(shape, fans))), rng=rng)


def xavier_uniform(shape: Shape, *, fans: Fans | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return the uniform distribution with the variance 2 / (fan_in + fan_out).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.init.xavier_uniform((400, 100), rng=np.random.default_rng(0)).std().round(2)
    np.float64(0.06)
    """
    return uniform(shape, math.sqrt(6 / sum(_fans(shape, fans))), rng=rng)


def lecun_normal(
    shape: Shape, *, mode: str = "fan_in", fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return N(0, 1 / fan), which the lecture calls Xavier; preserves the variance through tanh layers.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.init.lecun_normal((400, 100), rng=np.random.default_rng(0)).std().round(2)
    np.float64(0.05)
    """
    return normal(shape, math.sqrt(1 / _fan(shape, fans, mode)), rng=rng)


def lecun_uniform(
    shape: Shape, *, mode: str = "fan_in", fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return the uniform distribution with the variance 1 / fan.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.init.lecun_uniform((400, 100), rng=np.random.default_rng(0)).std().round(2)
    np.float64(0.05)
    """
    return uniform(shape, math.sqrt(3 / _fan(shape, fans, mode)), rng=rng)


def he_normal(
    shape: Shape, *, mode: str = "fan_in", fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return N(0, 2 / fan): preserves the mean square through ReLU layers. `mode` is "fan_in" or "fan_out".

    Examples
    --------
    >>> import numpy as np
    >>> bool(abs(he_normal((500, 500), rng=np.random.default_rng(0)).std() - (2 / 500) ** 0.5) < 1e-3)
    True
    """
    return normal(shape, math.sqrt(2 / _fan(shape, fans, mode)), rng=rng)


def he_uniform(
    shape: Shape, *, mode: str = "fan_in", fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return the uniform distribution with the variance 2 / fan.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.init.he_uniform((400, 100), rng=np.random.default_rng(0)).std().round(2)
    np.float64(0.07)
    """
    return uniform(shape, math.sqrt(6 / _fan(shape, fans, mode)), rng=rng)


def orthogonal(
    shape: Shape, gain: float = 1.0, *, fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return a random matrix whose shorter side is orthonormal, times `gain` (Saxe et al.).

    Filters (filters, channels, rows, columns) are flattened to a matrix with one row per filter.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> w = pynn.init.orthogonal((3, 3), rng=np.random.default_rng(0))
    >>> bool(np.allclose(w @ w.T, w[0] @ w[0] * np.eye(3), atol=1e-6))
    True
    """
    if len(shape) > 2:
        return orthogonal((shape[0], math.prod(shape[1:])), gain, rng=rng).reshape(shape)
    if len(shape) != 2:
        raise ValueError(f"orthogonal initialisation needs at least two dimensions; got the shape {shape}")
    tall = (rng or initial_generator()).standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diagonal(r))  # without this, LAPACK's sign convention would bias the distribution
    return gain * (q if shape[0] >= shape[1] else q.T)


def torch_linear(shape: Shape, *, fans: Fans | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for a linear layer's weight and bias.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.init.torch_linear((400, 100), rng=np.random.default_rng(0)).std().round(2)
    np.float64(0.03)
    """
    return uniform(shape, 1 / math.sqrt(_fans(shape, fans)[0]), rng=rng)


#: The initialisers by name, as accepted by `init=` and `apply`.
INITIALIZERS: dict[str, Callable[..., np.ndarray]] = {
    function.__name__: function
    for function in (
        zeros,
        constant,
        normal,
        uniform,
        xavier_normal,
        xavier_uniform,
        lecun_normal,
        lecun_uniform,
        he_normal,
        he_uniform,
        orthogonal,
        torch_linear,
    )
}


def make(
    init: Init,
    shape: Shape,
    *,
    fans: Fans | None = None,
    dtype: DTypeLike = np.float32,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return an array initialised by name or by a function of the shape, checked and cast to `dtype`.

    Examples
    --------
    >>> import pynn
    >>> pynn.init.make("zeros", (2, 3))
    array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    >>> pynn.init.make(lambda shape: [[1, 2]], (1, 2))
    array([[1., 2.]], dtype=float32)
    """
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
    # A model is callable but not an initialiser; only a file can contain that mistake.
    named = isinstance(init, str) and init in INITIALIZERS
    if isinstance(init, Configurable) or not (named or callable(init)):
        raise ValueError(f"unknown initialisation {init!r}; expected a function or one of {', '.join(INITIALIZERS)}")
    allow(shape)
    if rebuilding():
        return np.zeros(shape, dtype)  # overwritten by the file's values
    if isinstance(init, str):
        return INITIALIZERS[init](shape, fans=fans, rng=rng).astype(dtype)
    values = np.asarray(init(shape))
    if values.shape != shape:
        raise ValueError(f"init returned an array of shape {values.shape}; expected {shape}")
    return values.astype(dtype)


def filled(shape: Shape, value: float, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Return a constant array; raise ValueError for a layer from a file too small to contain the array."""
    allow(shape)
    return np.full(shape, value, dtype)


def _fans(shape: Shape, fans: Fans | None) -> Fans:
    if fans is not None:
        return fans
    if len(shape) < 2:
        raise ValueError(f"the fans of an array of shape {shape} are unknown; pass fans=(fan_in, fan_out)")
    window = math.prod(shape[2:])
    return (shape[0], shape[1]) if len(shape) == 2 else (shape[1] * window, shape[0] * window)


def _fan(shape: Shape, fans: Fans | None, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode is {mode!r}; expected "fan_in" or "fan_out"')
    return _fans(shape, fans)[mode == "fan_out"]
