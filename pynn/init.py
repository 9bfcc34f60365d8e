"""How weights start: the lecture's initialisations, and PyTorch's default for linear layers.

Every initialiser takes the shape of the array and returns a new one. `fans` are (fan_in, fan_out), by default the two
dimensions of a weight matrix (fan_in, fan_out), and of filters (filters, channels, rows, columns) channels times window
and filters times window; `rng` is by default the generator that `pynn.manual_seed` seeds.
Sources: CS231n, Training Neural Networks, Part 1; Glorot & Bengio 2010; LeCun et al. 1998; He et al. 2015; Saxe et al.
2014 (orthogonal); Mishkin & Matas 2016 (LSUV).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .config import Configurable
from .context import Context
from .random import initial_generator
from .rebuilding import allow, rebuilding

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from .layers import Layer
    from .model import Sequential
    from .parameters import Parameter

Shape = tuple[int, ...]
Fans = tuple[int, int]
#: A name in `INITIALIZERS`, or a function of the shape that returns an array.
Init = str | Callable[[Shape], np.ndarray]


def zeros(shape: Shape, *, fans: Fans | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return zeros: as weights they make every unit compute and learn the same."""
    return np.zeros(shape)


def constant(
    shape: Shape, value: float = 0.01, *, fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return an array filled with `value`."""
    return np.full(shape, float(value))


def normal(
    shape: Shape, std: float = 0.01, *, fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return N(0, std^2): the lecture's "small random numbers" by default."""
    return std * (rng or initial_generator()).standard_normal(shape)


def uniform(
    shape: Shape, limit: float = 0.05, *, fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return U(-limit, limit)."""
    return (rng or initial_generator()).uniform(-limit, limit, shape)


def xavier_normal(shape: Shape, *, fans: Fans | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio)."""
    return normal(shape, math.sqrt(2 / sum(_fans(shape, fans))), rng=rng)


def xavier_uniform(shape: Shape, *, fans: Fans | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return the uniform distribution with the variance 2 / (fan_in + fan_out)."""
    return uniform(shape, math.sqrt(6 / sum(_fans(shape, fans))), rng=rng)


def lecun_normal(
    shape: Shape, *, mode: str = "fan_in", fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return N(0, 1 / fan): what the lecture calls Xavier; keeps the spread through tanh layers."""
    return normal(shape, math.sqrt(1 / _fan(shape, fans, mode)), rng=rng)


def lecun_uniform(
    shape: Shape, *, mode: str = "fan_in", fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return the uniform distribution with the variance 1 / fan."""
    return uniform(shape, math.sqrt(3 / _fan(shape, fans, mode)), rng=rng)


def he_normal(
    shape: Shape, *, mode: str = "fan_in", fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return N(0, 2 / fan): keeps the mean square through ReLU layers. `mode` is "fan_in" or "fan_out".

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
    """Return the uniform distribution with the variance 2 / fan."""
    return uniform(shape, math.sqrt(6 / _fan(shape, fans, mode)), rng=rng)


def orthogonal(
    shape: Shape, gain: float = 1.0, *, fans: Fans | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return a random matrix whose shorter side is orthonormal, times `gain` (Saxe et al.).

    Filters (filters, channels, rows, columns) are a matrix of one row each.
    """
    if len(shape) > 2:
        return orthogonal((shape[0], math.prod(shape[1:])), gain, rng=rng).reshape(shape)
    if len(shape) != 2:
        raise ValueError(f"orthogonal initialisation is for matrices; got the shape {shape}")
    tall = (rng or initial_generator()).standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diagonal(r))  # without this, LAPACK's sign convention would bias the distribution
    return gain * (q if shape[0] >= shape[1] else q.T)


def torch_linear(shape: Shape, *, fans: Fans | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for a linear layer's weight and bias."""
    return uniform(shape, 1 / math.sqrt(_fans(shape, fans)[0]), rng=rng)


#: The initialisers by name, as `init=` and `apply` take them.
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
    """Return an array initialised by name or by a function of the shape, checked and cast to `dtype`."""
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
    # A model can be called, but is no initialisation; only a file would say so.
    named = isinstance(init, str) and init in INITIALIZERS
    if isinstance(init, Configurable) or not (named or callable(init)):
        raise ValueError(f"unknown initialisation {init!r}; expected a function or one of {', '.join(INITIALIZERS)}")
    allow(shape)
    if rebuilding():
        return np.zeros(shape, dtype)  # the file's values take their place
    if isinstance(init, str):
        return INITIALIZERS[init](shape, fans=fans, rng=rng).astype(dtype)
    values = np.asarray(init(shape))
    if values.shape != shape:
        raise ValueError(f"init returned an array of shape {values.shape}; expected {shape}")
    return values.astype(dtype)


def filled(shape: Shape, value: float, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Return an array of one value, unless it is that of a layer read from a file which is too small for it."""
    allow(shape)
    return np.full(shape, value, dtype)


def apply(model: Sequential, init: Init, *, bias: float | None = 0.0, rng: np.random.Generator | None = None) -> None:
    """Initialise every weight of a model anew, and its biases; frozen layers stay as they are.

    Parameters
    ----------
    model : Sequential
    init : str or callable
        A name in `INITIALIZERS`, or a function of the shape.
    bias : float or None
        What the biases of these layers start at (some start ReLU at 0.01 against dead units); None leaves them.
    rng : numpy.random.Generator, optional

    Examples
    --------
    >>> import pynn
    >>> model = pynn.Sequential(pynn.Linear(3, 4), pynn.ReLU(), pynn.Linear(4, 2))
    >>> pynn.init.apply(model, "he_normal", bias=0.01)
    >>> model[0].bias[...]
    array([0.01, 0.01, 0.01, 0.01], dtype=float32)
    """
    for layer in model.all_layers():
        weight, layer_bias = _weight_and_bias(layer)
        if weight is None:
            continue
        weight[...] = make(init, weight.shape, fans=weight.fans, dtype=weight.dtype, rng=rng)
        if bias is not None and layer_bias is not None:
            layer_bias[...] = bias


def lsuv(
    model: Sequential,
    x: np.ndarray,
    *,
    tolerance: float = 0.01,
    max_iter: int = 10,
    rng: np.random.Generator | None = None,
) -> dict[str, float]:
    """Scale each layer to unit output variance on a batch, from orthogonal weights (Mishkin & Matas 2016).

    Parameters
    ----------
    model : Sequential
    x : array_like
        One batch of inputs; a few hundred examples suffice.
    tolerance : float
        A layer is done when the variance of its output is this near 1.
    max_iter : int
        Rescalings per layer at most.
    rng : numpy.random.Generator, optional

    Returns
    -------
    dict
        The variance reached, by the layer's name.

    Raises
    ------
    ValueError
        If a layer's output does not vary on this batch, so that no scale makes its variance 1.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(20, 50), pynn.Tanh(), pynn.Linear(50, 5))
    >>> variances = pynn.init.lsuv(model, np.random.default_rng(0).normal(size=(256, 20)))
    >>> all(abs(v - 1) < 0.02 for v in variances.values())
    True
    """
    from .layers import Residual  # which import this module
    from .model import Sequential

    reached: dict[str, float] = {}

    def scale(name: str, layer: Layer, x: np.ndarray) -> np.ndarray:
        """Scale a layer and those within it, and return its output."""
        if isinstance(layer, Sequential):
            for key, inner in layer.children():
                x = scale(f"{name}.{key}" if name else key, inner, x)
            return x
        if isinstance(layer, Residual):
            for key, inner in layer.children():
                scale(f"{name}.{key}", inner, x)
        weight, bias = _weight_and_bias(layer)
        if weight is not None:
            weight[...] = make("orthogonal", weight.shape, dtype=weight.dtype, rng=rng)
            if bias is not None:
                bias[...] = 0
            reached[name] = _to_unit_variance(layer, weight, name, x, tolerance, max_iter)
        return _output(layer, x)

    scale("", model, model.as_input(x))
    return reached


def _to_unit_variance(
    layer: Layer, weight: Parameter, name: str, x: np.ndarray, tolerance: float, max_iter: int
) -> float:
    """Scale the weights until the output has variance 1; return the variance reached."""
    for _ in range(max_iter):
        variance = _variance(layer, x)
        if not 0 < variance < math.inf:
            raise ValueError(f"the output of layer {name} has variance {variance} on this batch")
        if abs(variance - 1) < tolerance:
            break
        weight[...] = weight.data / math.sqrt(variance)
    return _variance(layer, x)


def _weight_and_bias(layer: Layer) -> tuple[Parameter | None, Parameter | None]:
    """Return the layer's weight matrix, if it has one that is not frozen, and the bias that goes with it."""
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    return (weight, bias) if weight is not None and weight.decay and not weight.frozen else (None, None)


def _output(layer: Layer, x: np.ndarray) -> np.ndarray:
    # In inference mode: no dropout, and running statistics stay as they are.
    return layer.forward(x, Context())


def _variance(layer: Layer, x: np.ndarray) -> float:
    return float(np.var(_output(layer, x), dtype=np.float64))


def _fans(shape: Shape, fans: Fans | None) -> Fans:
    if fans is not None:
        return fans
    if len(shape) < 2:
        raise ValueError(f"the fans of an array of shape {shape} are not known; give fans=(fan_in, fan_out)")
    window = math.prod(shape[2:])
    return (shape[0], shape[1]) if len(shape) == 2 else (shape[1] * window, shape[0] * window)


def _fan(shape: Shape, fans: Fans | None, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode is {mode!r}; expected "fan_in" or "fan_out"')
    return _fans(shape, fans)[mode == "fan_out"]
