"""The activations as layers; see the ops of the same names for formulas and sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ... import ops
from ...ops.piecewise import bounds
from ...utils.validation import choice, count, number
from ..context import Context
from ..initializers import filled
from ..parameters import Parameter
from ..recording import replayable
from .base import Layer

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Activation(Layer):
    """Base class of the elementwise activations: one op forward, one backward, and at most one argument for both.

    An activation that follows a layer marked `recording.applies_activation` is fused into that layer. This class is
    only for pynn's own ops; derive your own activations from `Layer`.
    """

    op: ClassVar[Callable[..., np.ndarray]]
    op_backward: ClassVar[Callable[..., np.ndarray]]
    #: Whether the derivative is computed from the input rather than from the output.
    needs_input: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if getattr(ops, cls.op.__name__, None) is not cls.op:
            raise TypeError(
                f"{cls.__name__}.op is {cls.op!r}, which is not a pynn op; derive your own activation from pynn.Layer"
            )

    def argument(self) -> tuple[Any, ...]:
        """Return the scalar arguments of the ops."""
        return ()

    def spec(self) -> tuple[str, float | None]:
        """Return name and parameter in the form of the ops' ``activation=``."""
        return (self.op.__name__, *(self.argument() or (None,)))

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        y = type(self).op(x, *self.argument(), out=ctx.buffer("y", x.shape, x.dtype))
        ctx.saved = x if self.needs_input else y
        return y

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        dx = ctx.gradient("dx", dy.shape, dy.dtype, dy)
        return type(self).op_backward(dy, ctx.saved, *self.argument(), out=dx)


class ReLU(Activation):
    """max(0, x).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.ReLU().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([0., 0., 2.], dtype=float32)
    """

    op, op_backward = staticmethod(ops.relu), staticmethod(ops.relu_backward)


class LeakyReLU(Activation):
    """x where x >= 0, else negative_slope * x.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.LeakyReLU(0.1).forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-0.2,  0. ,  2. ], dtype=float32)
    """

    op, op_backward = staticmethod(ops.leaky_relu), staticmethod(ops.leaky_relu_backward)

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = number(negative_slope, "negative_slope", above=0)

    def argument(self) -> tuple[Any, ...]:
        return (self.negative_slope,)


class ELU(Activation):
    """x where x >= 0, else alpha (exp(x) - 1).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.ELU().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-0.865,  0.   ,  2.   ], dtype=float32)
    """

    op, op_backward = staticmethod(ops.elu), staticmethod(ops.elu_backward)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = number(alpha, "alpha", above=0)

    def argument(self) -> tuple[Any, ...]:
        return (self.alpha,)


class SELU(Activation):
    """1.0507 times ELU with alpha 1.6733.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.SELU().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-1.52 ,  0.   ,  2.101], dtype=float32)
    """

    op, op_backward = staticmethod(ops.selu), staticmethod(ops.selu_backward)


class Sigmoid(Activation):
    """1 / (1 + exp(-x)).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sigmoid().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([0.119, 0.5  , 0.881], dtype=float32)
    """

    op, op_backward = staticmethod(ops.sigmoid), staticmethod(ops.sigmoid_backward)


class Tanh(Activation):
    """The hyperbolic tangent.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Tanh().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-0.964,  0.   ,  0.964], dtype=float32)
    """

    op, op_backward = staticmethod(ops.tanh), staticmethod(ops.tanh_backward)


class Softplus(Activation):
    """log(1 + exp(beta x)) / beta.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Softplus().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([0.127, 0.693, 2.127], dtype=float32)
    """

    op, op_backward = staticmethod(ops.softplus), staticmethod(ops.softplus_backward)

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = number(beta, "beta", above=0)

    def argument(self) -> tuple[Any, ...]:
        return (self.beta,)


class GELU(Activation):
    """x Phi(x), Phi being the standard normal distribution function; `approximate` is "none" or "tanh".

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.GELU().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-0.046,  0.   ,  1.954], dtype=float32)
    """

    op, op_backward = staticmethod(ops.gelu), staticmethod(ops.gelu_backward)
    needs_input = True

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = choice(approximate, "approximate", ("none", "tanh"))

    def argument(self) -> tuple[Any, ...]:
        return (self.approximate,)

    def spec(self) -> tuple[str, float | None]:
        return ("gelu" if self.approximate == "none" else "gelu_tanh"), None


class SiLU(Activation):
    """x sigmoid(x).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.SiLU().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-0.238,  0.   ,  1.762], dtype=float32)
    """

    op, op_backward = staticmethod(ops.silu), staticmethod(ops.silu_backward)
    needs_input = True


class Mish(Activation):
    """x tanh(log(1 + exp(x))).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Mish().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-0.253,  0.   ,  1.944], dtype=float32)
    """

    op, op_backward = staticmethod(ops.mish), staticmethod(ops.mish_backward)
    needs_input = True


class LogSigmoid(Activation):
    """log(1 / (1 + exp(-x))).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.LogSigmoid().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-2.127, -0.693, -0.127], dtype=float32)
    """

    op, op_backward = staticmethod(ops.logsigmoid), staticmethod(ops.logsigmoid_backward)


class CELU(Activation):
    """x where x >= 0, else alpha (exp(x / alpha) - 1).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.CELU().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-0.865,  0.   ,  2.   ], dtype=float32)
    """

    op, op_backward = staticmethod(ops.celu), staticmethod(ops.celu_backward)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = number(alpha, "alpha", above=0)

    def argument(self) -> tuple[Any, ...]:
        return (self.alpha,)


class ReLU6(Activation):
    """min(max(0, x), 6).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.ReLU6().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([0., 0., 2.], dtype=float32)
    """

    op, op_backward = staticmethod(ops.relu6), staticmethod(ops.relu6_backward)


class Hardsigmoid(Activation):
    """min(max(0, x + 3), 6) / 6.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Hardsigmoid().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([0.167, 0.5  , 0.833], dtype=float32)
    """

    op, op_backward = staticmethod(ops.hardsigmoid), staticmethod(ops.hardsigmoid_backward)


class Hardswish(Activation):
    """x hardsigmoid(x).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Hardswish().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-0.333,  0.   ,  1.667], dtype=float32)
    """

    op, op_backward = staticmethod(ops.hardswish), staticmethod(ops.hardswish_backward)
    needs_input = True


class Softsign(Activation):
    """``x / (1 + |x|)``.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Softsign().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-0.667,  0.   ,  0.667], dtype=float32)
    """

    op, op_backward = staticmethod(ops.softsign), staticmethod(ops.softsign_backward)


class Hardtanh(Layer):
    """min(max(min_val, x), max_val).

    Parameters
    ----------
    min_val, max_val : float
        The first below the second.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Hardtanh().forward(np.array([-2.0, 0.0, 2.0], np.float32), pynn.Context()).round(3)
    array([-1.,  0.,  1.], dtype=float32)
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        super().__init__()
        self.min_val, self.max_val = number(min_val, "min_val"), number(max_val, "max_val")
        bounds(self.min_val, self.max_val)  # raises if invalid

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        ctx.y = ops.hardtanh(x, self.min_val, self.max_val, out=ctx.buffer("y", x.shape, x.dtype))
        return ctx.y

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        dx = ctx.gradient("dx", dy.shape, dy.dtype, dy)
        return ops.hardtanh_backward(dy, ctx.y, self.min_val, self.max_val, out=dx)


class PReLU(Layer):
    """x where x >= 0, else a learned slope times x (He et al. 2015).

    Parameters
    ----------
    num_parameters : int
        1, or the number of features; for images, the number of channels.
    init : float
        Initial value of the slopes.
    dtype : dtype
        float32 or float64.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.PReLU().forward(np.array([[-2.0], [0.0], [2.0]], np.float32), pynn.Context()).ravel()
    array([-0.5,  0. ,  2. ], dtype=float32)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        self.num_parameters = count(num_parameters, "num_parameters")
        self.init = number(init, "init")
        self.weight = Parameter(filled((self.num_parameters,), self.init, dtype), dtype)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        ctx.x = x
        return ops.prelu(x, self.weight.data, out=ctx.buffer("y", x.shape, x.dtype))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        dx = ctx.gradient("dx", dy.shape, dy.dtype, dy)
        return ops.prelu_backward(dy, ctx.x, self.weight.data, dx=dx, dslope=self.weight.grad)[0]
