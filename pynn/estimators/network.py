"""Any pynn network as an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from ..nn.loss import ClassLoss, Loss
from ..nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from ..optim.base import Optimizer
from .any_network import AnyNetwork, Network
from .base import keep
from .classifying import IncrementalClassifier
from .objectives import value_outputs
from .targets import Labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from sklearn.utils import Tags

    from ..augment import Augment
    from ..optim.regularizers import Regularizer
    from ..optim.schedules import Schedule


class NetworkClassifier(IncrementalClassifier, AnyNetwork):
    """Any pynn network as a scikit-learn classifier.

    Parameters
    ----------
    network : Sequential or callable
        A network, of which `fit` trains a copy and never the network itself; or a function ``f(shape, outputs)`` of the
        shape of one example and the number of outputs that returns a new one, whose weights `random_state` seeds. The
        last layer gives one output per class, or one for two classes.
    loss : Loss, optional
        By default cross-entropy; binary for one output, and for several labels per example.
    optimizer : Optimizer, optional
        By default ``pynn.Adam()``. Every fit uses a copy.
    lr : float, optional
        Replaces the optimiser's rate; for searches.
    schedule : Schedule, optional
    regularizers : sequence of Regularizer
    clip_norm : float, optional
        As in `Trainer`.
    epochs, batch_size : int
    shuffle : bool
    augment : sequence of Augment
        As in `Trainer.fit`.
    input_shape : tuple of int, optional
        Shape of one example, such as (1, 8, 8) for images that a pipeline hands on as rows of 64 numbers.
    class_weight : dict, "balanced" or None
    random_state : int, RandomState or None
        Seeds shuffling and dropout, and the weights if `network` is a function.
    warm_start : bool
        Whether `fit` goes on from the weights of the last one.
    monitor : bool
        Whether to watch the training; see `diagnosis_`.
    verbose : bool
        Show a progress bar.

    Attributes
    ----------
    network_ : Sequential
        The trained network; ``network_.save(path)`` writes it.
    history_ : History
    classes_ : ndarray
    n_features_in_, n_iter_ : int
    feature_names_in_ : ndarray
    diagnosis_ : list of Finding
        With `monitor`: what `pynn.Monitor` found, likeliest cause first.

    Examples
    --------
    >>> import pynn
    >>> from sklearn.model_selection import cross_val_score
    >>> x, y = pynn.datasets.blobs(n=300, classes=3, seed=0)
    >>> def network(shape, outputs):
    ...     return pynn.Sequential(pynn.Linear(shape[0], 16), pynn.ReLU(), pynn.Linear(16, outputs))
    >>> classifier = pynn.NetworkClassifier(network, lr=0.01, random_state=0)
    >>> bool(cross_val_score(classifier, x, y).mean() > 0.9)
    True
    """

    def __init__(
        self,
        network: Network,
        *,
        loss: Loss | None = None,
        optimizer: Optimizer | None = None,
        lr: float | None = None,
        schedule: Schedule | None = None,
        regularizers: Sequence[Regularizer] = (),
        clip_norm: float | None = None,
        epochs: int = 20,
        batch_size: int = 64,
        shuffle: bool = True,
        augment: Sequence[Augment] = (),
        input_shape: tuple[int, ...] | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        monitor: bool = False,
        verbose: bool = False,
    ) -> None:
        keep(self, locals())

    def _targets(self, y: Any, *, first: bool, incremental: bool) -> np.ndarray:
        if first and not incremental:
            self._keep_labels(Labels(y))
        else:
            self._labels.check(y, same=False)
        return self._labels.numbers(y)

    @property
    def _wanted_outputs(self) -> int:
        return self._labels.columns if self._labels.multilabel else max(2, self._labels.count)

    def _loss_for(self, outputs: int) -> Loss:
        if self.loss is not None:
            return self.loss
        binary = self._labels.multilabel or outputs == 1
        return BCEWithLogitsLoss() if binary else CrossEntropyLoss()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = not isinstance(self.loss, ClassLoss)
        return tags


class NetworkRegressor(RegressorMixin, AnyNetwork):
    """Any pynn network as a scikit-learn regressor.

    Parameters
    ----------
    network : Sequential or callable
        As in `NetworkClassifier`; one output per target.
    loss : Loss, optional
        By default ``pynn.MSELoss()``.
    optimizer, lr, ..., verbose
        As in `NetworkClassifier`.

    Attributes
    ----------
    network_, history_, ..., diagnosis_
        As in `NetworkClassifier`, without classes.

    Notes
    -----
    Targets far from 0 or of another scale than 1 are learnt faster by a network with a `target_preprocessing`, such as
    ``pynn.preprocessing.Standardize()``.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.manual_seed(0)
    >>> network = pynn.Sequential(pynn.Linear(1, 32), pynn.Tanh(), pynn.Linear(32, 1))
    >>> x = np.linspace(-1, 1, 200)[:, None]
    >>> regressor = pynn.NetworkRegressor(network, lr=0.01, epochs=200, random_state=0).fit(x, np.sin(3 * x[:, 0]))
    >>> bool(regressor.score(x, np.sin(3 * x[:, 0])) > 0.99)
    True
    """

    def __init__(
        self,
        network: Network,
        *,
        loss: Loss | None = None,
        optimizer: Optimizer | None = None,
        lr: float | None = None,
        schedule: Schedule | None = None,
        regularizers: Sequence[Regularizer] = (),
        clip_norm: float | None = None,
        epochs: int = 20,
        batch_size: int = 64,
        shuffle: bool = True,
        augment: Sequence[Augment] = (),
        input_shape: tuple[int, ...] | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        monitor: bool = False,
        verbose: bool = False,
    ) -> None:
        keep(self, locals())

    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch, going on from the weights and the optimiser's state.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        """
        return self._train(X, y, sample_weight, incremental=True)

    def _targets(self, y: Any, *, first: bool, incremental: bool) -> np.ndarray:
        if first:
            self._targets_per_example = value_outputs(self.loss or MSELoss(), y)
        return y

    @property
    def _wanted_outputs(self) -> int:
        return self._targets_per_example

    def _loss_for(self, outputs: int) -> Loss:
        return MSELoss() if self.loss is None else self.loss

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values, (n,) or (n, outputs).

        Parameters
        ----------
        X : array_like, shape (n, ...), data frame or sparse matrix
        """
        values = self._outputs(X)
        values = self._loss_for(values.shape[1]).amounts(values)
        return values[:, 0] if values.shape[1] == 1 else values
