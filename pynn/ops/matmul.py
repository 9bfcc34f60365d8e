"""Matrix multiply with fused bias and activation, and the backward pass of a linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..kernels.codes import ActivationCode
from ..utils.validation import flag
from ._check import apart, check_shape, fits, floats, output, required, same_or_apart
from .activations import resolve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: The shapes of a, b, bias, out and pre_out for `fits`, indexed by trans_a, then trans_b.
_SHAPES = ("mk,kn,n?->mn?,mn?", "mk,nk,n?->mn?,mn?"), ("km,kn,n?->mn?,mn?", "km,nk,n?->mn?,mn?")


def matmul(
    a: ArrayLike,
    b: ArrayLike,
    *,
    trans_a: bool = False,
    trans_b: bool = False,
    bias: ArrayLike | None = None,
    activation: str | tuple[str, float | None] | None = None,
    out: np.ndarray | None = None,
    pre_out: np.ndarray | None = None,
) -> np.ndarray:
    """Return f(op(a) @ op(b) + bias).

    Parameters
    ----------
    a : array_like, shape (m, k), or (k, m) with `trans_a`
    b : array_like, shape (k, n), or (n, k) with `trans_b`
        Same dtype as `a`.
    trans_a, trans_b : bool
        Multiply by the transpose instead, without forming it.
    bias : array_like, shape (n,), optional
        Added to every row.
    activation : str or (str, float), optional
        A name in `ops.ACTIVATIONS`, with its parameter if it is not the default: ``("leaky_relu", 0.2)``.
    out : ndarray, shape (m, n), optional
        Receives the result; must not overlap an input.
    pre_out : ndarray, shape (m, n), optional
        Receives the pre-activation, which GELU and SiLU need in their backward pass.

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype or shape; the message names it and the expected one.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.array([[1.0, 2.0]]), np.array([[1.0, -1.0], [0.0, -2.0]])
    >>> matmul(x, w, bias=np.array([0.5, 0.5]), activation="relu")
    array([[1.5, 0. ]])
    >>> matmul(x, w, trans_b=True)
    array([[-1., -4.]])
    """
    trans_a, trans_b = flag(trans_a, "trans_a"), flag(trans_b, "trans_b")
    if not fits(_SHAPES[1 if trans_a else 0][1 if trans_b else 0], a, b, bias, out, pre_out):
        a, b, bias, out = _product(a, b, trans_a, trans_b, bias, out, pre_out)
    elif out is None:
        out = np.empty((a.shape[1 if trans_a else 0], b.shape[0 if trans_b else 1]), a.dtype)
    code, alpha = resolve(activation)
    kernels().matmul.matmul(a, b, trans_a, trans_b, bias, code, alpha, out, pre_out)
    return out


def _product(
    a: ArrayLike,
    b: ArrayLike,
    trans_a: bool,
    trans_b: bool,
    bias: ArrayLike | None,
    out: np.ndarray | None,
    pre_out: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Return a, b, bias and out of `matmul` as its kernel takes them."""
    a = floats(a, "a")
    b = floats(b, "b", like=a)
    check_shape(a, "a", ("k", "m") if trans_a else ("m", "k"))
    m, k = a.shape[::-1] if trans_a else a.shape
    check_shape(b, "b", ("n", k) if trans_b else (k, "n"))
    n = b.shape[0] if trans_b else b.shape[1]
    if bias is not None:
        bias = floats(bias, "bias", like=a, shape=(n,))
    y = output(out, "out", (m, n), a.dtype)
    if pre_out is not None:
        output(pre_out, "pre_out", (m, n), a.dtype)
    apart({"out": out, "pre_out": pre_out}, a, b, bias)
    return a, b, bias, y


def linear_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    *,
    dw: np.ndarray | None = None,
    db: np.ndarray | None = None,
    dx: np.ndarray | None = None,
    need_db: bool = True,
    need_dx: bool = True,
    activation: str | tuple[str, float | None] | None = None,
    saved: ArrayLike | None = None,
    dz: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Return the gradients of y = f(x @ w + b): dw = x.T @ dz, db = sum of dz over the rows, dx = dz @ w.T.

    Here dz = dy f', or dy itself without an activation.

    Parameters
    ----------
    dy : array_like, shape (n, out_features)
    x : array_like, shape (n, in_features)
    w : array_like, shape (in_features, out_features)
    dw, db, dx : ndarray, optional
        Receive the gradients, in the shapes of `w`, the bias and `x`.
    need_db, need_dx : bool
        False skips that gradient (None is returned): for a layer without bias, or a network's first layer.
    activation : str or (str, float), optional
        The f that `matmul` applied.
    saved : array_like, shape (n, out_features)
        With an activation: the array its derivative is computed from, which is the result y, or, for activations that
        need their input (see `ops.ACTIVATIONS`), the `pre_out` of `matmul`.
    dz : ndarray, shape (n, out_features), optional
        With an activation: receives dy f'; may be `dy`.

    Examples
    --------
    >>> import numpy as np
    >>> dw, db, dx = linear_backward(np.ones((2, 1)), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0], [6.0]]))
    >>> dw.ravel(), db, dx
    (array([4., 6.]), array([2.]), array([[5., 6.],
           [5., 6.]]))
    """
    need_db, need_dx = flag(need_db, "need_db"), flag(need_dx, "need_dx")
    if activation is None:
        saved = dz = None
    elif saved is None:
        raise ValueError("linear_backward with an activation needs saved=, the array its derivative is computed from")
    if not need_db:
        db = None
    if not need_dx:
        dx = None
    outputs_given = (need_db, need_dx, activation is None) == (db is not None, dx is not None, dz is None)
    if not (outputs_given and fits("nj,ni,ij,nj?->ij,j?,ni?,nj?", dy, x, w, saved, dw, db, dx, dz)):
        dy = floats(dy, "dy", shape=("n", "out_features"))
        x = floats(x, "x", like=dy, shape=(dy.shape[0], "in_features"))
        w = floats(w, "w", like=dy, shape=(x.shape[1], dy.shape[1]))
        if saved is not None:
            saved = floats(saved, "saved", like=dy, shape=dy.shape)
        dw, db, dx = gradient_outputs(dy, x, w, saved, dw, db, dx, need_db, need_dx)
        if saved is not None:
            dz = activated_gradient(dz, dy, saved, x, w, dw, db, dx)
    if dz is not None:
        code, alpha = resolve(activation)
        kernels().activations.activate_backward(dy, saved, code, alpha, dz)
        dy = dz
    family = kernels().matmul
    family.matmul(x, dy, True, False, None, ActivationCode.IDENTITY, 0.0, dw, None)
    if need_db:
        family.column_sum(dy, db)
    if need_dx:
        family.matmul(dy, w, False, True, None, ActivationCode.IDENTITY, 0.0, dx, None)
    return dw, db, dx


def gradient_outputs(
    dy: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    saved: np.ndarray | None,
    dw: np.ndarray | None,
    db: np.ndarray | None,
    dx: np.ndarray | None,
    need_db: bool,
    need_dx: bool,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Return dw, db and dx of a linear map with a bias per column or channel of dy; new arrays for those not given."""
    given = {"dw": dw, "db": db if need_db else None, "dx": dx if need_dx else None}
    dw = output(dw, "dw", w.shape, dy.dtype)
    db = output(db, "db", dy.shape[1:2], dy.dtype) if need_db else None
    dx = output(dx, "dx", x.shape, dy.dtype) if need_dx else None
    apart(given, dy, x, w, saved)
    return dw, db, dx


def activated_gradient(
    dz: np.ndarray | None, dy: np.ndarray, saved: np.ndarray, *others: np.ndarray | None
) -> np.ndarray:
    """Return the array for dy f': `dz`, which may be `dy` or `saved`, or a new one."""
    result = output(dz, "dz", dy.shape, dy.dtype)
    if dz is not None:
        same_or_apart(result, "dz", dy, saved)
        apart({"dz": dz}, *others)
    return result


def zero(out: np.ndarray) -> None:
    """Write 0 to the elements of `out` (n,) by a kernel call, so that a recorded step replays it.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.ones(2)
    >>> zero(out)
    >>> out
    array([0., 0.])
    """
    array = floats(out, "out", shape=("n",))
    required(out, "out", array.shape, array.dtype)
    kernels().matmul.column_sum(out.reshape(1, -1)[:0], out)  # the sum of no rows
