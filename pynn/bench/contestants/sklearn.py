"""scikit-learn's multilayer perceptron; it has no batch norm and no convolutions."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from ..cases import WORKLOADS, Case
from ..data import batch
from . import Run


def prepare(case: Case, _: str) -> Run | None:
    """Return a function that runs a step of a network that the perceptron can be, or None."""
    if case.group != "step" or WORKLOADS[case.op].batchnorm or WORKLOADS[case.op].filters:
        return None
    workload = WORKLOADS[case.op]
    x, target = batch(workload)
    classes = np.arange(workload.outputs) if workload.loss == "cross_entropy" else None
    model = (MLPRegressor if classes is None else MLPClassifier)(
        hidden_layer_sizes=workload.hidden,
        activation=workload.activation,
        solver=workload.optimizer,
        alpha=0.0,
        batch_size=workload.batch,
        learning_rate_init=0.01 if workload.optimizer == "sgd" else 1e-3,
        nesterovs_momentum=False,
        random_state=0,
    )
    model.partial_fit(x, target, **({} if classes is None else {"classes": classes}))
    return lambda: model.partial_fit(x, target)
