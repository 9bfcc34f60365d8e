"""The perceptron that classifies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.loss import ClassLoss, Loss
from ..optim.schedules import Schedule
from .base import keep
from .classifying import IncrementalClassifier
from .mlp import Data, Perceptron
from .objectives import Objective, class_objective, class_outputs, one_label_only
from .targets import Labels, accuracy

if TYPE_CHECKING:
    from sklearn.utils import Tags


class MLPClassifier(IncrementalClassifier, Perceptron):
    """scikit-learn's multi-layer perceptron classifier, on pynn's kernels.

    Parameters, attributes and methods are those of `sklearn.neural_network.MLPClassifier` by the same names, with the
    same defaults; with the same `random_state` it draws the same weights and minibatches. `loss` and the parameters
    below it are pynn's.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Units of each hidden layer.
    activation : {"relu", "tanh", "logistic", "identity"} or a name of pynn's
        Of the hidden layers; also "celu", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
        "mish", "prelu", "relu6", "selu", "silu", "softplus" and "softsign".
    solver : {"adam", "sgd", "lbfgs"}
        "lbfgs" needs all data at once; it has no dropout, batch norm, callbacks, schedule or monitor.
    alpha : float
        L2 penalty: alpha / (2 W) * sum w^2 of the weights, not the biases, with W the total weight of the minibatch.
    batch_size : int or "auto"
        "auto" is 200, or the number of examples if that is smaller.
    learning_rate : {"constant", "invscaling", "adaptive"} or Schedule
        The first three as in scikit-learn, for "sgd". A `pynn.Schedule` scales the rate of either optimiser.
    learning_rate_init : float
    power_t : float
        Exponent of "invscaling": ``learning_rate_init / (t_ + 1)^power_t``.
    max_iter : int
        Largest number of epochs, or of iterations of L-BFGS.
    shuffle : bool
    random_state : int, RandomState or None
        Seeds weights, the held-out examples, the order of examples, and dropout.
    tol : float
    verbose : bool
        Write a line per epoch to the standard output.
    warm_start : bool
        Whether `fit` begins with the weights of the last one.
    momentum : float
    nesterovs_momentum : bool
    early_stopping : bool
        Hold out `validation_fraction` of the examples, stop when their score has not risen by `tol` for
        `n_iter_no_change` epochs, and restore the weights of the best epoch. Otherwise the training loss decides.
    validation_fraction : float
    beta_1, beta_2, epsilon : float
        Of Adam.
    n_iter_no_change : int
    max_fun : int
        Largest number of evaluations of L-BFGS.
    loss : {"log_loss", "hinge"} or Loss
        A loss of pynn's, such as ``pynn.CrossEntropyLoss(label_smoothing=0.1)``. Without probabilities, as of "hinge",
        there is no `predict_proba`.
    class_weight : dict, "balanced" or None
        Weights of the classes, multiplied with `sample_weight`.
    dropout : float
        Share of the hidden units that are dropped in training.
    batch_norm : bool
        Whether to normalise each hidden layer before its activation.
    categorical_features : "from_dtype", sequence or None
        Columns that are categories, by index or name, as a mask, or by their type in a data frame: text, booleans and
        categories. Each becomes one column per category, or a learnt vector of length 8 if there are more than nine; a
        category that `fit` has not seen is 0 in all of them. A missing value is a category of its own, and missing
        numbers are filled with their mean. None: all columns are numbers, without gaps.
    scale : "auto" or None
        Whether to standardise columns of numbers inside.
    monitor : bool
        Whether to watch the training; see `diagnosis_`.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    coefs_, intercepts_ : list of ndarray
        Weights (inputs, outputs) and biases of the layers: views of those of `network_`. You may assign them.
    loss_, best_loss_ : float
    loss_curve_, validation_scores_ : list of float
    best_validation_score_ : float
    n_iter_, t_, n_layers_, n_outputs_ : int
        Epochs of the last fit, examples seen, layers including inputs and outputs, and outputs.
    out_activation_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray
    network_ : Sequential
        The trained network, which also scales; ``network_.save(path)`` writes it. Its inputs are numbers: categories
        are columns of zeros and ones.
    history_ : History
    monitor_ : Monitor
    diagnosis_ : list of Finding
        With `monitor`: what `pynn.Monitor` found, likeliest cause first; empty if the training was healthy.

    Notes
    -----
    Weights and scores equal scikit-learn's up to rounding, with these exceptions: a training that diverges ends at once
    instead of going on with NaN; negative `sample_weight` are refused; the log loss of a probability that rounds to 0
    is not cut off at 36; a single class has one column of probabilities.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(n=200, classes=3, seed=0)
    >>> classifier = pynn.MLPClassifier(hidden_layer_sizes=16, max_iter=500, random_state=0).fit(x, y)
    >>> bool(classifier.score(x, y) > 0.9)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Schedule = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        loss: str | Loss = "log_loss",
        class_weight: Any = None,
        dropout: float = 0.0,
        batch_norm: bool = False,
        categorical_features: Any = None,
        scale: str | None = None,
        monitor: bool = False,
    ) -> None:
        keep(self, locals())

    def _objective(self) -> Objective:
        return class_objective(self.loss, self._labels.count, self.n_outputs_)

    @property
    def _output_activation(self) -> str:
        if not isinstance(self.loss, str) or self.loss != "log_loss":
            return {"classes": "softmax", "binary": "logistic"}.get(str(self._objective().loss.output_kind), "identity")
        return "softmax" if self._labels.count > 2 else "logistic"

    def _targets(self, y: Any, *, first: bool, incremental: bool) -> np.ndarray:
        if not incremental and (first or not hasattr(self, "_labels")):
            self._keep_labels(Labels(y))
        else:
            self._labels.check(y, same=not incremental)
        labels = self._labels
        if labels.multilabel and one_label_only(self.loss):
            raise ValueError(f"y has several labels per example; the loss {self.loss!r} expects one: y of shape (n,)")
        self.n_outputs_ = labels.columns if labels.multilabel else class_outputs(self.loss, labels.count)
        return labels.numbers(y)

    def _in_loss_form(self, targets: np.ndarray, dtype: np.dtype) -> np.ndarray:
        if isinstance(self._objective().loss, ClassLoss):
            return targets
        return targets.reshape(len(targets), -1).astype(dtype)

    def _score_of(self, data: Data) -> float:
        predicted = self._labels.predicted(self.network_.infer(data.x))
        targets = data.y if data.y.ndim == 1 or self._labels.multilabel else data.y[:, 0]
        return accuracy(predicted, targets, data.weights)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = not one_label_only(self.loss)
        return tags
