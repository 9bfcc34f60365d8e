"""Checks of a model's gradients against finite differences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.arrays import numeric
from .context import Context
from .layers import EmbedColumns, Embedding
from .loss import Loss, as_loss
from .parameters import Parameter
from .random import Stream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .sequential import Sequential


@dataclass(frozen=True)
class GradientCheck:
    """The gradient check of one tensor.

    Attributes
    ----------
    name : str
        The parameter's name, or "x" for the input.
    error : float
        ||analytic - numeric|| / (||analytic|| + ||numeric||), over the coordinates that were checked.
    difference : float
        ||analytic - numeric||.
    checked, skipped : int
        Coordinates compared, and skipped because the step crossed a kink.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(3, 2))
    >>> checks = pynn.gradcheck(model, pynn.MSELoss(), np.ones((4, 3)), np.zeros((4, 2)))
    >>> [check.name for check in checks], max(check.error for check in checks) < 1e-6
    (['0.weight', '0.bias', 'x'], True)
    >>> print(GradientCheck("0.weight", error=0.9, difference=0.04, checked=16, skipped=0))
    WRONG 0.weight: relative error 9.0e-01 in 16 coordinates
    """

    name: str
    error: float
    difference: float
    checked: int
    skipped: int

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped at kinks" if self.skipped else ""
        judged = "ok" if self.ok() else "WRONG"
        return f"{judged:5} {self.name}: relative error {self.error:.1e} in {self.checked} coordinates{skipped}"

    def ok(self, tolerance: float = 1e-7) -> bool:
        """Return whether the error is below `tolerance`, or the difference below 1e-9, with at most 1% skipped."""
        few_skipped = self.skipped <= 0.01 * (self.checked + self.skipped)
        return few_skipped and (self.error < tolerance or self.difference < 1e-9)


def gradcheck(
    model: Sequential,
    loss: Loss | Callable[..., Any],
    x: ArrayLike,
    y: ArrayLike,
    *,
    step: float = 1e-5,
    max_coordinates: int = 200,
    training: bool = True,
    seed: int = 0,
) -> list[GradientCheck]:
    """Compare every parameter's gradient, and the input's, with centred finite differences in float64.

    The check runs on a float64 copy of the model. The dropout mask is the same in all passes. A coordinate whose step
    crosses a kink, such as ReLU's, is tried again with a tenth of the step; if that crosses one too, it is skipped and
    counted. Inputs are not checked if a layer takes categories, as `Embedding` does.

    Parameters
    ----------
    model : Sequential
    loss : Loss or callable
    x, y : array_like
        A few examples.
    step : float
        h in (f(w + h) - f(w - h)) / 2h.
    max_coordinates : int
        Maximum number of coordinates checked per tensor; they are drawn at random if it has more.
    training : bool
        Check the training pass (batch statistics, dropout) or the inference pass.
    seed : int
        Seeds the choice of coordinates and dropout.

    Returns
    -------
    list of GradientCheck
        One per tensor; ``all(check.ok() for check in ...)``.

    References
    ----------
    CS231n, Neural Networks Part 3, "Gradient Checks".

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.manual_seed(0)
    >>> model = pynn.Sequential(pynn.Linear(4, 5), pynn.Tanh(), pynn.Linear(5, 3))
    >>> checks = pynn.gradcheck(model, pynn.CrossEntropyLoss(), np.eye(4), [0, 1, 2, 0])
    >>> [check.name for check in checks]
    ['0.weight', '0.bias', '2.weight', '2.bias', 'x']
    >>> all(check.ok() for check in checks)
    True
    """
    loss = as_loss(loss)
    model = copy.deepcopy(model).astype(np.float64)
    inputs = Parameter(numeric(x, "x"), np.float64)
    target = loss.as_target(y, np.dtype(np.float64))
    buffers = [(buffer, buffer.copy()) for _, buffer in model.named_buffers()]

    def evaluate() -> tuple[float, np.ndarray, Context]:
        for buffer, original in buffers:
            buffer[...] = original
        ctx = Context(training=training, random=Stream(seed))
        prediction = model.forward(inputs.data, ctx)
        value, gradient = loss.forward(prediction, loss.shaped(target, prediction.shape))
        if gradient is None:
            raise ValueError("the loss returned no gradient")
        return value, np.ascontiguousarray(gradient, dtype=np.float64), ctx

    _, gradient, ctx = evaluate()
    input_gradient = model.backward(gradient, ctx)
    assert input_gradient is not None
    categories = any(isinstance(layer, Embedding | EmbedColumns) for layer in model.all_layers())
    inputs.grad[...] = input_gradient
    centre = evaluate()[0]
    rng = np.random.default_rng(seed)
    return [
        _check(name, parameter, lambda: evaluate()[0], centre, step, max_coordinates, rng)
        for name, parameter in [*model.named_parameters(), *([] if categories else [("x", inputs)])]
    ]


def _check(
    name: str,
    parameter: Parameter,
    evaluate: Callable[[], float],
    centre: float,
    step: float,
    max_coordinates: int,
    rng: np.random.Generator,
) -> GradientCheck:
    values, analytic = parameter.data.reshape(-1), parameter.grad.reshape(-1)
    chosen = np.sort(rng.permutation(values.size)[:max_coordinates])
    numeric, bend = np.empty(len(chosen)), np.empty(len(chosen))

    def measure(row: int, step: float) -> None:
        index = chosen[row]
        original = values[index]
        values[index] = original + step
        above = evaluate()
        values[index] = original - step
        below = evaluate()
        values[index] = original
        numeric[row] = (above - below) / (2 * step)
        bend[row] = abs(above - 2 * centre + below) / step

    def crossed() -> np.ndarray:
        # A kink within the step changes the centred difference by half of what it adds to `bend`. For a smooth function
        # the difference is far smaller than `bend`; for a wrong gradient, far larger.
        error = np.abs(numeric - analytic[chosen])
        visible = max(1e-8 * float(np.abs(numeric).max(initial=0)), 1e-9)
        return (error > visible) & (error < bend)

    for row in range(len(chosen)):
        measure(row, step)
    # Of a function that is smooth but steep, the error falls with the square of the step.
    for row in np.flatnonzero(crossed()).tolist():
        measure(row, step / 10)
    kept = ~crossed()
    difference = float(np.linalg.norm(numeric[kept] - analytic[chosen][kept]))
    total = float(np.linalg.norm(numeric[kept]) + np.linalg.norm(analytic[chosen][kept]))
    return GradientCheck(name, difference / total if total else 0.0, difference, int(kept.sum()), int((~kept).sum()))
