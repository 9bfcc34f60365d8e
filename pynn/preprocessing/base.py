"""The base class of transformers: parameters, data checks, and fitting at once or incrementally."""

from __future__ import annotations

import inspect
import math
import mmap
import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils.arrays import numeric

# Rows are processed in blocks of about this many elements: a float64 block is 2 MB and stays in cache.
BLOCK_SIZE = 1 << 18
#: Data whose float32 copy would exceed this many bytes are processed in parts.
LARGEST_COPY = 1 << 28
#: Of training data: float64 holds sums of the squares of such numbers.
LARGEST = 1e140


class NotFittedError(ValueError, AttributeError):
    """A transformer was used before it was fitted.

    Like scikit-learn's error of this name it is both a ValueError and an AttributeError, so that code that expects
    either keeps working.

    Examples
    --------
    >>> from pynn.preprocessing import Center, NotFittedError
    >>> try:
    ...     Center().transform([[1.0, 2.0]])
    ... except NotFittedError as error:
    ...     print(error)
    this Center has not been fitted; call fit(x) or partial_fit(x) with the training data first
    """


def row_blocks(x: NDArray[Any], minimum: int = 1) -> Iterator[slice]:
    """Yield slices that cover the rows of `x` in blocks of about `BLOCK_SIZE` numbers, of at least `minimum` rows."""
    width = max(1, math.prod(x.shape[1:]))
    step = max(1, minimum, BLOCK_SIZE // width)
    for start in range(0, len(x), step):
        yield slice(start, min(start + step, len(x)))


def goes_in_parts(x: NDArray[Any]) -> bool:
    """Return whether to process `x` in parts: its float copy would be large, or it is memory-mapped."""
    return x.size * np.dtype(np.float32).itemsize > LARGEST_COPY or _is_mapped(x)


def _is_mapped(x: object) -> bool:
    while isinstance(x, np.ndarray):
        x = x.base.obj if isinstance(x.base, memoryview) else x.base
    return isinstance(x, mmap.mmap)


def as_numbers(x: ArrayLike) -> NDArray[Any]:
    """Return `x` as a real array with one example per row, or raise an error."""
    x = numeric(x, "x", "expected real numbers (float, integer or bool)")
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}; expected one example per row: (N, features) or (N, ...)")
    if 0 in x.shape[1:]:
        raise ValueError(f"x has shape {x.shape}; expected at least one feature per row")
    return x


def float_type(x: NDArray[Any]) -> np.dtype[Any]:
    """Return the dtype of a result for `x`: float64 for floats of 64 bits or more, in any byte order, else float32."""
    return np.dtype(np.float64 if x.dtype.kind == "f" and x.dtype.itemsize >= 8 else np.float32)


def check_real(name: str, value: object) -> None:
    """Raise unless the parameter `name` is a finite real number and not a bool."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} is {value!r}; expected a number")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}; expected a finite number")


def check_eps(eps: object) -> None:
    """Raise unless `eps` is a finite number that is not negative."""
    check_real("eps", eps)
    if eps < 0:  # type: ignore[operator]
        raise ValueError(f"eps is {eps!r}; expected a number >= 0")


def _check_finite(x: NDArray[Any]) -> None:
    if x.dtype.kind != "f":
        return
    largest = min(LARGEST, float(np.finfo(x.dtype).max))
    for rows in row_blocks(x):
        usable = np.abs(x[rows]) <= largest
        if not usable.all():
            bad = usable.reshape(len(usable), -1).all(axis=1).argmin()
            row = rows.start + int(bad)
            if np.isfinite(x[row]).all():
                raise ValueError(
                    f"x has {np.abs(x[row]).max():g} in row {row}; float64 holds sums of squares of numbers up to "
                    f"{LARGEST:g}: rescale x"
                )
            what = "a NaN" if np.isnan(x[row]).any() else "an infinite value"
            raise ValueError(f"x has {what} in row {row}; statistics need finite numbers")


def _plain(value: Any) -> Any:
    """Return a parameter in JSON-serialisable form."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


class Transformer:
    """Base class of transformers: it fits, checks and describes; subclasses compute.

    A subclass names its fitted arrays in `_state_names` (the attribute ends with an underscore) and defines
    `_update`, `_shape_in`, `_check_state`, `transform` and `inverse_transform`. As in scikit-learn, `__init__` only
    stores its arguments; `fit` checks them.

    Examples
    --------
    >>> import pynn
    >>> isinstance(pynn.preprocessing.Center(), pynn.preprocessing.Transformer)
    True
    """

    _state_names: ClassVar[tuple[str, ...]] = ()
    n_samples_seen_: int

    def fit(self, x: ArrayLike, y: object = None) -> Self:
        """Compute the statistics of `x`, discarding earlier ones.

        Parameters
        ----------
        x : array_like of shape (N, ...)
            Training examples, one per row: real numbers, finite, N >= 1.
        y : object
            Ignored; accepted because scikit-learn passes it.

        Returns
        -------
        Transformer
            This transformer.

        Raises
        ------
        TypeError
            If `x` does not contain real numbers, or a parameter has the wrong type.
        ValueError
            If `x` is empty, has a NaN, an infinite value or one beyond 1e140 (the message names the row) or too few
            dimensions, or a parameter has an invalid value.
        """
        self._check_params()
        x = self._training_batch(x)
        self.forget()
        self._update(x)
        return self

    def partial_fit(self, x: ArrayLike, y: object = None) -> Self:
        """Update the statistics with `x`.

        Calls with the parts of a data set give the same statistics as one `fit` with the whole, up to rounding.

        Parameters
        ----------
        x : array_like of shape (N, ...)
            Further training examples with the same number of features.
        y : object
            Ignored; accepted because scikit-learn passes it.

        Returns
        -------
        Transformer
            This transformer.

        Raises
        ------
        TypeError, ValueError
            As in `fit`; also if the rows of `x` have another shape than earlier ones.
        """
        self._check_params()
        x = self._training_batch(x)
        if self.__sklearn_is_fitted__():
            self._check_shape(x)
        self._update(x)
        return self

    def fit_transform(self, x: ArrayLike, y: object = None) -> NDArray[Any]:
        """Fit to `x` and return `x` transformed."""
        return self.fit(x).transform(x)

    def transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return `x` transformed, as a new array."""
        raise NotImplementedError

    def inverse_transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return `x` transformed back, as a new array."""
        raise NotImplementedError

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Shape of one example, as far as fitting determined it; raises NotFittedError before."""
        self._require_fitted()
        return self._shape_in()

    @property
    def n_features_in_(self) -> int:
        """Number of features per example seen when fitting."""
        return math.prod(self.example_shape)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments by name and discard the fitted statistics.

        Raises
        ------
        ValueError
            If an argument of that name does not exist.
        """
        known = self.get_params(deep=False)
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has {sorted(known)}")
            setattr(self, name, value)
            self.forget()
        return self

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments in JSON-serialisable form."""
        return {name: _plain(value) for name, value in self.get_params(deep=False).items()}

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the fitted arrays that `transform` and `inverse_transform` need, by name.

        Raises
        ------
        NotFittedError
            If the transformer has not been fitted.
        """
        self._require_fitted()
        return {name: np.array(getattr(self, f"{name}_")) for name in self._state_names}

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Restore the arrays that `state` returned, and return the transformer.

        Raises
        ------
        ValueError
            If an array is missing, superfluous or not valid.
        """
        self._check_params()
        kind = type(self).__name__
        if set(arrays) != set(self._state_names):
            raise ValueError(f"the state of {kind} has arrays {sorted(arrays)}; expected {sorted(self._state_names)}")
        state = {name: np.array(arrays[name], order="C") for name in self._state_names}
        for name, array in state.items():
            expected = np.dtype(np.int64 if name == "n_samples_seen" else np.float64)
            if array.dtype != expected:
                raise ValueError(f"array {name!r} of {kind} is {array.dtype}; expected {expected}")
            if not np.isfinite(array).all():
                raise ValueError(f"array {name!r} of {kind} has a NaN or an infinite value")
        count = state.pop("n_samples_seen")
        if count.shape != () or count < 1:
            raise ValueError(f"array 'n_samples_seen' of {kind} is {count}; expected one positive number")
        self._check_state(state)
        for name, array in state.items():
            setattr(self, f"{name}_", array)
        self.n_samples_seen_ = int(count)
        return self

    def forget(self) -> None:
        """Discard the statistics; the transformer is then as before the first `fit`."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)

    def _check_params(self) -> None:
        """Raise if a constructor argument is invalid."""

    def _check_state(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Raise ValueError if the shapes of restored arrays are inconsistent."""
        raise NotImplementedError

    def _update(self, x: NDArray[Any]) -> None:
        """Merge the statistics of checked examples into the current ones."""
        raise NotImplementedError

    def _shape_in(self) -> tuple[int, ...]:
        """Return the shape of one example, as far as fitting determined it."""
        raise NotImplementedError

    def _training_batch(self, x: ArrayLike) -> NDArray[Any]:
        x = as_numbers(x)
        if len(x) == 0:
            raise ValueError(f"x has shape {x.shape}: it is empty; expected at least one example to fit")
        _check_finite(x)
        return x

    def _check_shape(self, x: NDArray[Any]) -> None:
        if x.shape[1:] != self._shape_in():
            expected = ", ".join(map(str, ("N", *self._shape_in())))
            raise ValueError(f"x has shape {x.shape}; this {type(self).__name__} was fitted to ({expected})")

    def _require_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                f"this {type(self).__name__} has not been fitted; call fit(x) or partial_fit(x) with the training "
                "data first"
            )

    @property
    def is_fitted(self) -> bool:
        """Whether `fit` or `partial_fit` has seen data."""
        return self.__sklearn_is_fitted__()

    def __sklearn_is_fitted__(self) -> bool:
        return "n_samples_seen_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        # Only scikit-learn calls this, so its module is loaded already; pynn itself never imports it.
        tags = sys.modules["sklearn.utils"]
        return tags.Tags(
            estimator_type="transformer",
            target_tags=tags.TargetTags(required=False),
            transformer_tags=tags.TransformerTags(preserves_dtype=["float32", "float64"]),
            input_tags=tags.InputTags(three_d_array=True),
        )

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_params(deep=False).items())
        return f"{type(self).__name__}({arguments})"
