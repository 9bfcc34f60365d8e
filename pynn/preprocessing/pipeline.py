"""A chain of transformers as one transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .base import Transformer, as_numbers, goes_in_parts, row_blocks

#: Rows per part when fitting in parts.
PART_ROWS = 1024


class Pipeline(Transformer):
    """Apply transformers in sequence: y = t_n(... t_2(t_1(x))).

    `fit` fits each step to the output of the previous steps. `partial_fit` is defined only for a single step: the
    statistics of a second step would mix outputs of different states of the first. To fit several steps to data in
    parts, pass over all parts once per step.

    Parameters
    ----------
    steps : list of Transformer
        At least one, each a different object. Their parameters are named "0__eps", "1__n_components" and so on in
        `get_params` and `set_params`.

    Examples
    --------
    >>> from pynn.preprocessing import Center, MinMax, Pipeline
    >>> pipeline = Pipeline([Center(), MinMax((-1, 1))])
    >>> pipeline.fit_transform([[1.0], [2.0], [3.0]])
    array([[-1.],
           [ 0.],
           [ 1.]])
    """

    def __init__(self, steps: list[Transformer]) -> None:
        self.steps = steps

    def fit(self, x: ArrayLike, y: object = None) -> Self:
        """Fit each step to the output of the previous steps.

        Large or memory-mapped data are processed in parts, once per step.

        Parameters
        ----------
        x : array_like of shape (N, ...)
            Training examples, one per row: real numbers, finite, N >= 1.
        y : object
            Ignored; accepted because scikit-learn passes it.

        Returns
        -------
        Pipeline
            This pipeline.

        Raises
        ------
        TypeError, ValueError
            If `steps` is not a list of distinct transformers, or if a step raises it.
        """
        self._check_params()
        x = as_numbers(x)
        if goes_in_parts(x):
            self._fit_in_parts(x)
            return self
        for step in self.steps[:-1]:
            x = step.fit_transform(x)
        self.steps[-1].fit(x)
        return self

    def forget(self) -> None:
        """Discard the statistics of every step."""
        for step in self.steps:
            step.forget()

    def _fit_in_parts(self, x: NDArray[Any]) -> None:
        for index, step in enumerate(self.steps):
            step.forget()
            for rows in row_blocks(x, minimum=PART_ROWS):
                part = x[rows]
                for before in self.steps[:index]:
                    part = before.transform(part)
                step.partial_fit(part)

    def partial_fit(self, x: ArrayLike, y: object = None) -> Self:
        """Pass `x` to the `partial_fit` of the only step.

        Raises
        ------
        ValueError
            If the pipeline has more than one step, or if the step raises it.
        """
        self._check_params()
        if len(self.steps) > 1:
            raise ValueError(
                f"partial_fit of a Pipeline of {len(self.steps)} steps is not defined: each step's statistics depend "
                "on the fitted previous steps; call fit, or partial_fit step by step, transforming with the steps "
                "already fitted"
            )
        self.steps[0].partial_fit(x)
        return self

    def fit_transform(self, x: ArrayLike, y: object = None) -> NDArray[Any]:
        """Fit to `x` and return `x` transformed."""
        self._check_params()
        for step in self.steps:
            x = step.fit_transform(x)
        return np.asarray(x)

    def transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return `x` transformed by all steps, as a new array; shapes, dtypes and errors are those of the steps."""
        self._check_params()
        self._require_fitted()
        for step in self.steps:
            x = step.transform(x)
        return np.asarray(x)

    def inverse_transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return `x` transformed back by all steps, last to first, as a new array."""
        self._check_params()
        self._require_fitted()
        for step in reversed(self.steps):
            x = step.inverse_transform(x)
        return np.asarray(x)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return `steps` and, if `deep`, the steps' parameters with names such as "0__eps"."""
        params = {"steps": self.steps}
        if deep:
            for index, step in enumerate(self.steps):
                params |= {f"{index}__{name}": value for name, value in step.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set `steps`, or parameters of steps named as in `get_params`.

        Raises
        ------
        ValueError
            If a parameter of that name does not exist.
        """
        if "steps" in params:
            self.steps = params.pop("steps")
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"Pipeline has no parameter {name!r}; it has {sorted(known)}")
            index, _, parameter = name.partition("__")
            self.steps[int(index)].set_params(**{parameter: value})
        return self

    def config(self) -> dict[str, Any]:
        """Return class name and constructor arguments of each step, in JSON-serialisable form."""
        self._check_params()
        return {"steps": [{"class": type(step).__name__, "params": step.config()} for step in self.steps]}

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the fitted arrays of all steps, named "0.mean" and so on."""
        self._require_fitted()
        return {f"{i}.{name}": array for i, step in enumerate(self.steps) for name, array in step.state().items()}

    def _shape_in(self) -> tuple[int, ...]:
        return self.steps[0]._shape_in()

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Restore the arrays of all steps that `state` returned, and return the pipeline."""
        self._check_params()
        by_step: list[dict[str, NDArray[Any]]] = [{} for _ in self.steps]
        places = {str(index): state for index, state in enumerate(by_step)}
        for name, array in arrays.items():
            index, _, inner = name.partition(".")
            if index not in places:
                raise ValueError(f"array {name!r} belongs to no step of a Pipeline of {len(self.steps)} steps")
            places[index][inner] = array
        for step, state in zip(self.steps, by_step, strict=True):
            step.load_state(state)
        return self

    def _check_params(self) -> None:
        if not isinstance(self.steps, list | tuple):
            raise TypeError(f"steps is {self.steps!r}; expected a list of transformers")
        if not self.steps:
            raise ValueError("steps is empty; expected at least one transformer")
        for step in self.steps:
            if not isinstance(step, Transformer):
                raise TypeError(f"steps has {step!r}; expected transformers of pynn.preprocessing")
        if len({id(step) for step in self.steps}) < len(self.steps):
            raise ValueError("steps has one transformer twice; its second fit would overwrite the first")

    def __sklearn_is_fitted__(self) -> bool:
        return bool(self.steps) and all(step.__sklearn_is_fitted__() for step in self.steps)
