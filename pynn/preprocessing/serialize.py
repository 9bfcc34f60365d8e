"""Serialise a fitted transformer to plain data and arrays, and restore it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from .base import Transformer
from .channels import ChannelCenter, ChannelStandardize
from .decorrelate import PCA, ZCA, PCAWhiten
from .pipeline import Pipeline
from .scaling import Center, MinMax, Standardize

# Only these can be restored: a file names a class and never contains code.
_CLASSES: dict[str, type[Transformer]] = {
    cls.__name__: cls
    for cls in (Center, Standardize, ChannelCenter, ChannelStandardize, MinMax, PCA, PCAWhiten, ZCA, Pipeline)
}


def to_state(transformer: Transformer) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the configuration and the arrays of a fitted transformer.

    Parameters
    ----------
    transformer : Transformer
        A fitted transformer of this package.

    Returns
    -------
    config : dict
        {"class": name, "params": constructor arguments}; JSON-serialisable.
    arrays : dict of str to ndarray
        Copies of the fitted arrays. For PCA, PCAWhiten and ZCA they exclude the covariance, which `transform` does not
        need, so a restored one cannot continue with `partial_fit`.

    Raises
    ------
    TypeError
        If it is not one of this package's transformers.
    NotFittedError
        If it has not been fitted.

    Examples
    --------
    >>> from pynn.preprocessing import Standardize, from_state, to_state
    >>> config, arrays = to_state(Standardize().fit([[1.0], [3.0]]))
    >>> config
    {'class': 'Standardize', 'params': {'eps': 0.0, 'limit': None}}
    >>> arrays["mean"]
    array([2.])
    >>> from_state(config, arrays).transform([[4.0]])
    array([[2.]])
    """
    _check_known(transformer)
    return {"class": type(transformer).__name__, "params": transformer.config()}, transformer.state()


def from_state(config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Transformer:
    """Restore the transformer from the result of `to_state`; it transforms bit for bit like the original.

    Parameters
    ----------
    config, arrays
        The results of `to_state`; `config` may have been converted to JSON and back.

    Returns
    -------
    Transformer
        A fitted transformer.

    Raises
    ------
    ValueError
        If the class is unknown, a parameter does not belong to it or has an invalid value, or arrays are missing,
        superfluous or of the wrong shape or dtype.

    Examples
    --------
    >>> from pynn.preprocessing import from_state
    >>> try:
    ...     from_state({"class": "os.system", "params": {}}, {})
    ... except ValueError as error:
    ...     print(str(error)[:39])
    unknown class of transformer: os.system
    """
    try:
        return _build(config).load_state(arrays)
    except (TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"cannot restore a transformer: {error}") from error


def _check_known(transformer: object) -> None:
    if _CLASSES.get(type(transformer).__name__) is not type(transformer):
        raise TypeError(
            f"{type(transformer).__name__} cannot be saved: expected one of {', '.join(_CLASSES)}. Apply your own "
            "transformer to the data before passing them to the model"
        )
    if isinstance(transformer, Pipeline):
        for step in transformer.steps:
            _check_known(step)


def _build(config: object) -> Transformer:
    if not isinstance(config, Mapping) or set(config) != {"class", "params"}:
        raise ValueError(f"a transformer's config is {config!r}; expected {{'class': ..., 'params': ...}}")
    name, params = config["class"], config["params"]
    if not isinstance(name, str) or name not in _CLASSES:
        raise ValueError(f"unknown class of transformer: {name}; expected one of {', '.join(_CLASSES)}")
    if not isinstance(params, Mapping):
        raise ValueError(f"the parameters of {name} are {params!r}; expected a dict")
    if name == "Pipeline":
        steps = params.get("steps")
        if not isinstance(steps, list) or len(params) != 1:
            raise ValueError(f"the parameters of Pipeline are {params!r}; expected {{'steps': [...]}}")
        return Pipeline([_build(step) for step in steps])
    # JSON has no tuples.
    return _CLASSES[name](**{key: tuple(value) if isinstance(value, list) else value for key, value in params.items()})
