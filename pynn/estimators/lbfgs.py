"""Full-batch training by L-BFGS, over a model's flat buffers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from ..nn.random import Stream
from ..training.passes import RecordedPasses
from .objectives import MeanL2, Objective

if TYPE_CHECKING:
    from ..nn.sequential import Sequential


def minimize(
    model: Sequential,
    objective: Objective,
    penalty: MeanL2,
    batch: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    **options: Any,
) -> tuple[float, int]:
    """Minimise the loss of one batch over all parameters; return scikit-learn's loss, and the number of iterations.

    Parameters
    ----------
    model : Sequential
    objective : Objective
    penalty : MeanL2
    batch : (x, y, weights)
        In the network's form.
    **options
        Of SciPy's L-BFGS-B: maxiter, maxfun, gtol.

    Warns
    -----
    ConvergenceWarning
        If the number of iterations or of evaluations was the limit.
    """
    flat = model.flat
    passes = RecordedPasses(model, Stream(0), lambda: None)

    def evaluated(values: np.ndarray) -> tuple[float, np.ndarray]:
        flat.values[...] = values
        loss = passes.forward(objective.loss, *batch)
        passes.backward()
        value = objective.reported(loss + penalty.add_gradient(flat), penalty.value)
        return value, flat.grads.astype(np.float64) / objective.gradient_scale

    start = flat.values.astype(np.float64)
    result = scipy.optimize.minimize(evaluated, start, method="L-BFGS-B", jac=True, options=options)
    flat.values[...] = result.x
    if result.status != 0:
        warnings.warn(
            f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}):\n{result.message}\n"
            "You might also want to scale the data, or increase max_iter or max_fun",
            ConvergenceWarning,
            stacklevel=2,
        )
    # SciPy may report one iteration more than it was allowed.
    return float(result.fun), min(int(result.nit), options["maxiter"])
