"""What all estimators share: the form of their data, predictions, copies and tags."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d, validate_data

from ..nn.layers import BatchNorm
from ..utils.arrays import example_weights, refuse_masked
from ..utils.validation import data_parts
from .batches import SparseRows
from .columns import Columns, Scaling, is_frame, text_columns
from .dates import refuse_dates
from .targets import class_weights, plain_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike
    from sklearn.utils import Tags

    from ..babysit import Finding, Monitor
    from ..nn.inputs import Inputs
    from ..nn.sequential import Sequential
    from ..training.callbacks import Callback
    from ..training.trainer import Trainer


class NetworkEstimator(BaseEstimator):
    """Base class of the estimators.

    Attributes
    ----------
    network_ : Sequential
        The trained network.
    """

    network_: Sequential
    _trainer: Trainer
    monitor_: Monitor
    diagnosis_: list[Finding]
    #: How columns of categories become numbers, and how numbers are scaled; None without either.
    _columns: Columns | None = None
    _scaling: Scaling | None = None
    #: Whether the network can have a table of learnt vectors for a column of many categories.
    _embeds: ClassVar[bool] = False
    #: What `validate_data` accepts.
    _accepted: ClassVar[dict[str, Any]] = {"accept_sparse": ("csr", "csc"), "dtype": (np.float64, np.float32)}

    def _learn(self, X: Any, y: Any, sample_weight: Any, *, first: bool) -> tuple[Any, Any]:
        """Return checked inputs and targets as arrays; learn names, categories and scale from the first ones."""
        for data, name in ((X, "X"), (y, "y")):
            refuse_masked(data, name)
            refuse_dates(data, name)
        values = is_regressor(self)
        y = y if values else plain_labels(y)
        if getattr(self, "categorical_features", None) is not None and not hasattr(X, "nnz"):
            x, y = self._learn_columns(X, y, sample_weight, first=first)
        else:
            try:
                x, y = validate_data(self, X, y, multi_output=True, y_numeric=values, reset=first, **self._accepted)
            except ValueError as error:
                raise _with_advice(error, X) from None
            if first:
                self._columns = None
        if first:
            self._scaling = None
            if getattr(self, "scale", None) == "auto":
                scaled = None if self._columns is None else self._columns.is_number
                self._scaling = Scaling(x, checked_weights(sample_weight, x.shape[0]), scaled)
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        return x, y.astype(bool) if y.dtype == object and all(type(label) is bool for label in y.flat) else y

    def _learn_columns(self, X: Any, y: Any, sample_weight: Any, *, first: bool) -> tuple[np.ndarray, Any]:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = _table(X)
        validate_data(self, X, skip_check_array=True, reset=first)
        y = check_array(y, ensure_2d=False, dtype="numeric" if is_regressor(self) else None, input_name="y")
        check_consistent_length(X, y)
        if first:
            weights = checked_weights(sample_weight, X.shape[0])
            self._columns = Columns(self.categorical_features, X, weights, embed=self._embeds)
        assert self._columns is not None
        return self._columns.transform(X), y

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the network's outputs (n, outputs) for the user's data."""
        check_is_fitted(self)
        return self._network().infer(self._inputs(self._checked(X)))

    def _network(self) -> Sequential:
        """Return the network that predicts."""
        return self.network_

    def _checked(self, X: Any) -> Any:
        """Return the user's inputs as a dense or sparse array."""
        refuse_masked(X, "X")
        refuse_dates(X, "X")
        if self._columns is None:
            return validate_data(self, X, reset=False, **self._accepted)
        X = _table(X)
        validate_data(self, X, skip_check_array=True, reset=False)
        return self._columns.transform(X)

    def _inputs(self, x: Any) -> np.ndarray | Inputs:
        """Return checked inputs in the network's form."""
        scaling = self._scaling or _unchanged
        if hasattr(x, "toarray"):
            return SparseRows(x.tocsr(), self.network_, scaling)
        return self.network_.as_input(scaling(x))

    @property
    def _class_names(self) -> list[Any] | None:
        """The classes, which a saved network knows."""
        return None

    def _normalizes_batches(self) -> bool:
        """Return whether the network has a batch norm, for which a batch of one example has no variance."""
        return any(isinstance(layer, BatchNorm) for layer in self.network_.all_layers())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        if getattr(self, "categorical_features", None) is not None:
            tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        state.pop("monitor_", None)  # it belongs to the process that watches
        if "_trainer" in state:  # it holds the network
            state.pop("network_", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_trainer" in state:
            self.network_ = self._trainer.model


def keep(estimator: Any, arguments: dict[str, Any]) -> None:
    """Store the arguments of a constructor, its `locals()`, as attributes."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def monitored(estimator: Any) -> list[Callback]:
    """Return the monitor that watches a fit, if the estimator asks for one."""
    if not estimator.monitor:
        return []
    from ..babysit import Monitor

    estimator.monitor_ = Monitor(on_problem="silent")
    return [estimator.monitor_]


def _with_advice(error: ValueError, X: Any) -> ValueError:
    """Return an error of scikit-learn's, with advice if a data frame has columns of text."""
    named = text_columns(X) if is_frame(X) else []
    if not named:
        return error
    shown = ", ".join(named[:5]) + (", ..." if len(named) > 5 else "")
    return ValueError(
        f'{error}; X has columns of text, booleans or categories ({shown}): pass categorical_features="from_dtype"'
    )


def _table(X: Any) -> Any:
    """Return a data frame as it is, and anything else as an array (n, columns)."""
    return X if is_frame(X) else check_array(X, dtype=None, ensure_all_finite=False)


def _unchanged(x: np.ndarray) -> np.ndarray:
    return x


def checked_weights(
    sample_weight: ArrayLike | float | None, rows: int, dtype: DTypeLike = np.float64
) -> np.ndarray | None:
    """Return the weights of examples, or None without any; raise ValueError unless some weight is positive."""
    if sample_weight is None:
        return None
    weights = np.full(rows, sample_weight) if np.isscalar(sample_weight) else sample_weight
    checked = example_weights(weights, rows, np.dtype(dtype))
    if not checked.any():
        raise ValueError("all sample weights are zero; expected at least one above zero")
    return checked


def combined_weights(sample_weight: Any, class_weight: Any, y: Any, dtype: np.dtype) -> np.ndarray | None:
    """Return the product of the weights of examples and of their classes; None if all are equal."""
    weights = checked_weights(sample_weight, y.shape[0], dtype)
    if class_weight is not None:
        of_class = class_weights(class_weight, y, weights).astype(dtype)
        weights = of_class if weights is None else weights * of_class
        if not weights.any():
            raise ValueError("class_weight makes all weights zero; expected at least one above zero")
    return weights


def held_out_parts(validation_data: Any) -> tuple[Any, Any, Any]:
    """Return X, y, and weights or None, of an argument `validation_data`; raise ValueError for anything else."""
    expected = "a pair (X, y), or (X, y, sample_weight)"
    X, y, *weights = data_parts(validation_data, "validation_data", expected, (2, 3))
    return X, y, weights[0] if weights else None


def warn_of_interrupt() -> None:
    """Warn as scikit-learn does that Ctrl-C has ended the training."""
    warnings.warn("Training interrupted by user.", stacklevel=3)
