"""The training of any pynn network as an estimator."""

from __future__ import annotations

import copy
import functools
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..nn.loss import ClassLoss, Loss
from ..nn.random import manual_seed, unobserved
from ..nn.sequential import Sequential
from ..optim.base import Optimizer
from ..optim.optimizers import Adam
from ..training.callbacks import Callback, CallbackList
from ..training.examples import Examples
from ..training.trainer import Trainer
from ..utils.validation import count, number
from .base import NetworkEstimator, combined_weights, held_out_parts, monitored, warn_of_interrupt
from .batches import ShuffledBatches
from .parameters import check_flags

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: A network, or a function of the shape of an example and the number of outputs that makes one.
Network = Sequential | Callable[[tuple[int, ...], int], Sequential]


class AnyNetwork(NetworkEstimator):
    """What `NetworkClassifier` and `NetworkRegressor` share."""

    _accepted: ClassVar[dict[str, Any]] = {"accept_sparse": ("csr", "csc"), "allow_nd": True}
    epochs: int
    history_: Any

    if TYPE_CHECKING:  # the parameters

        def __getattr__(self, name: str) -> Any: ...

    @abstractmethod
    def _targets(self, y: Any, *, first: bool, incremental: bool) -> np.ndarray:
        """Return the numbers that stand for checked targets; learn the classes of a first `y`."""

    @property
    @abstractmethod
    def _wanted_outputs(self) -> int:
        """The number of outputs that a function is asked to make."""

    @abstractmethod
    def _loss_for(self, outputs: int) -> Loss:
        """Return the loss for a network with `outputs` outputs."""

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        validation_data: tuple[Any, ...] | None = None,
        callbacks: Iterable[Callback] = (),
    ) -> Self:
        """Train a copy of the network.

        Parameters
        ----------
        X : array_like, shape (n, ...), data frame or sparse matrix
        y : array_like, shape (n,), (n, outputs) of amounts, or (n, labels) of 0 and 1
        sample_weight : array_like, shape (n,), optional
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after every epoch, into `history_`.
        callbacks : iterable of Callback
            Such as ``pynn.EarlyStopping()``.
        """
        return self._train(X, y, sample_weight, validation_data, callbacks)

    def _train(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: tuple[Any, ...] | None = None,
        callbacks: Iterable[Callback] = (),
        *,
        incremental: bool = False,
    ) -> Self:
        count(self.epochs, "epochs")
        count(self.batch_size, "batch_size")
        check_flags(self, ("shuffle", "warm_start", "monitor"))
        first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        X, y = self._learn(X, y, sample_weight, first=first)
        targets = self._targets(y, first=first, incremental=incremental)
        random = check_random_state(self.random_state)
        if first:
            self._network_made(X, random)
        elif self._made_of is not self.network:
            raise ValueError("network is another one than in the last fit; with warm_start=False, fit makes a new one")
        if first or not incremental:
            self._trainer = self._new_trainer(random)
        weights = combined_weights(sample_weight, getattr(self, "class_weight", None), y, self.network_.dtype)
        fits = functools.partial(self._trainer.fit, epochs=1 if incremental else self.epochs)
        listeners = [*CallbackList(callbacks).callbacks, *([] if incremental else monitored(self))]
        options: dict[str, Any] = {"callbacks": listeners, "progress": bool(self.verbose), "validation": None}
        if validation_data is not None:
            options["validation"] = self._validation(validation_data)
        if hasattr(X, "toarray"):
            fits(self._sparse_batches(X, targets, weights, random), **options)
        else:
            fits(
                self._inputs(X),
                self._in_loss_form(targets),
                sample_weight=weights,
                batch_size=self.batch_size,
                shuffle=bool(self.shuffle),
                augment=self.augment,
                **options,
            )
        self.history_ = self._trainer.history
        self.n_iter_ = 1 if incremental else len(self.history_)
        if self.history_.interrupted:
            warn_of_interrupt()
        if listeners and hasattr(self, "monitor_"):
            self.diagnosis_ = self.monitor_.verdict
        return self

    def _network_made(self, X: Any, random: np.random.RandomState) -> None:
        """Copy the user's network, or call the function that makes one."""
        network = self._made_of = self.network
        if isinstance(network, Sequential):
            self.network_ = copy.deepcopy(network)
        elif callable(network):
            with unobserved():  # the user's own generator stays as it is
                manual_seed(int(random.randint(2**31 - 1)))
                self.network_ = network(self._example_shape(X), self._wanted_outputs)
        if not isinstance(getattr(self, "network_", None), Sequential):
            raise TypeError(
                f"network is {network!r}; expected a pynn.Sequential, or a function of the shape of an example and the "
                "number of outputs that returns one"
            )
        self.network_.output_kind = None
        self.network_.class_names = self._class_names

    def _example_shape(self, X: Any) -> tuple[int, ...]:
        if self.input_shape is None:
            return tuple(X.shape[1:])
        if not isinstance(self.input_shape, Iterable):
            raise TypeError(f"input_shape is {self.input_shape!r}; expected a tuple of int")
        return tuple(count(size, "input_shape") for size in self.input_shape)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.network_.predict(self._inputs(self._checked(X)))

    def _inputs(self, x: Any) -> Any:
        """Return checked inputs in the shape of examples; unless the network preprocesses them, in its dtype."""
        preprocesses = self.network_.preprocessing is not None
        if hasattr(x, "toarray") and preprocesses:
            raise ValueError(
                "X is a sparse matrix, and network has a preprocessing; expected a dense array: X.toarray()"
            )
        if self.input_shape is not None and not hasattr(x, "toarray"):
            shape = self._example_shape(x)
            if int(np.prod(x.shape[1:])) != int(np.prod(shape)):
                raise ValueError(f"X has examples of shape {x.shape[1:]}; input_shape is {shape}")
            x = x.reshape(len(x), *shape)
        return x if preprocesses else super()._inputs(x)

    def _new_trainer(self, random: np.random.RandomState) -> Trainer:
        optimizer = Adam() if self.optimizer is None else self.optimizer
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer is {optimizer!r}; expected a pynn.Optimizer, such as pynn.Adam(1e-3)")
        optimizer = optimizer.unbound()
        if self.lr is not None:
            optimizer.lr = number(self.lr, "lr", above=0)
        return Trainer(
            self.network_,
            self._loss_for(self._outputs_of_network()),
            optimizer,
            schedule=self.schedule,
            regularizers=copy.deepcopy(self.regularizers),
            clip_norm=self.clip_norm,
            seed=int(random.randint(2**31 - 1)),
        )

    def _outputs_of_network(self) -> int:
        for layer in reversed(self.network_.leaves()):
            outputs = getattr(layer, "out_features", None)
            if outputs is not None:
                return int(outputs)
        return self._wanted_outputs

    def _in_loss_form(self, targets: np.ndarray) -> np.ndarray:
        if isinstance(self._trainer.loss, ClassLoss):
            return targets
        exact = self.network_.target_preprocessing is not None  # differences that float32 may not hold
        columns = targets.reshape(len(targets), -1).astype(np.float64 if exact else self.network_.dtype)
        return self._trainer.loss.shaped(columns, (len(columns), self._outputs_of_network()))

    def _sparse_batches(self, X: Any, targets: np.ndarray, weights: Any, random: Any) -> ShuffledBatches:
        if list(self.augment):
            raise ValueError("augment changes dense arrays; X is a sparse matrix")
        if self.network_.target_preprocessing is not None:
            raise ValueError("X is a sparse matrix, and network has a target_preprocessing; expected a dense array")
        y = self._in_loss_form(targets)
        self._trainer.loss.check_target(y, self._outputs_of_network())
        return ShuffledBatches(
            Examples(self._inputs(X), y, weights),
            min(self.batch_size, len(y)),
            self._trainer,
            random if self.shuffle else None,
            None,
            drop_single=self._normalizes_batches(),
        )

    def _validation(self, validation_data: tuple[Any, ...]) -> tuple[Any, ...]:
        X, y, weights = held_out_parts(validation_data)
        X, y = self._learn(X, y, None, first=False)
        x = self._inputs(X)
        targets = self._targets(y, first=False, incremental=True)
        return x if isinstance(x, np.ndarray) else x.all(), self._in_loss_form(targets), weights
