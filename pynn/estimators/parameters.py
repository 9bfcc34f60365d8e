"""The parameters of the perceptrons, checked when they are fitted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..optim.schedules import Schedule
from ..utils.validation import choice, count, flag, fraction, number
from .mlp_network import ACTIVATIONS

SOLVERS = ("lbfgs", "sgd", "adam")
RATES = ("constant", "invscaling", "adaptive")
FLAGS = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "batch_norm", "monitor")


def check_parameters(estimator: Any) -> None:
    """Raise ValueError, naming the parameter, unless all of them are valid."""
    choice(estimator.activation, "activation", tuple(ACTIVATIONS))
    choice(estimator.solver, "solver", SOLVERS)
    for size in hidden_sizes(estimator):
        count(size, "hidden_layer_sizes")
    if not isinstance(estimator.learning_rate, Schedule):
        choice(estimator.learning_rate, "learning_rate", RATES)
    if not (isinstance(estimator.batch_size, str) and estimator.batch_size == "auto"):
        count(estimator.batch_size, "batch_size")
    for name in ("max_iter", "max_fun"):
        count(getattr(estimator, name), name)
    if estimator.n_iter_no_change != math.inf:
        count(estimator.n_iter_no_change, "n_iter_no_change")
    for name in ("alpha", "tol", "power_t"):
        number(getattr(estimator, name), name, minimum=0)
    for name in ("learning_rate_init", "epsilon"):
        number(getattr(estimator, name), name, above=0)
    fraction(estimator.momentum, "momentum")
    for name in ("beta_1", "beta_2", "validation_fraction", "dropout"):
        fraction(getattr(estimator, name), name, one=False)
    check_flags(estimator, FLAGS)
    if estimator.scale not in (None, "auto"):
        raise ValueError(f'scale is {estimator.scale!r}; expected "auto" or None')
    if estimator.solver == "lbfgs":
        _refuse_for_lbfgs(estimator)


def check_flags(estimator: Any, names: Iterable[str]) -> None:
    """Raise ValueError unless the parameters of these names are True or False."""
    for name in names:
        flag(getattr(estimator, name), name)


def hidden_sizes(estimator: Any) -> list[Any]:
    """Return the widths of the hidden layers."""
    sizes = estimator.hidden_layer_sizes
    return list(sizes) if hasattr(sizes, "__iter__") else [sizes]


def network_settings(estimator: Any) -> dict[str, Any]:
    """Return the parameters that shape the network and its inputs."""
    own = {name: getattr(estimator, name) for name in ("activation", "dropout", "batch_norm", "scale")}
    return {"hidden_layer_sizes": tuple(map(int, hidden_sizes(estimator)))} | own


def refuse_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise ValueError if a parameter has changed that a network which trains on cannot follow."""
    for name, value in now.items():
        if value != before[name]:
            raise ValueError(
                f"{name} is {value!r}, and was {before[name]!r} when the network was made; call fit with "
                "warm_start=False, which makes a new one"
            )


def _refuse_for_lbfgs(estimator: Any) -> None:
    """Raise ValueError for what L-BFGS, which evaluates one function of all examples, cannot have."""
    given = {
        "dropout": bool(estimator.dropout),
        "batch_norm": bool(estimator.batch_norm),
        "monitor": bool(estimator.monitor),
        "learning_rate": isinstance(estimator.learning_rate, Schedule),
    }
    for name, is_given in given.items():
        if is_given:
            raise ValueError(f'{name} is {getattr(estimator, name)!r}, which solver="lbfgs" lacks; use "adam" or "sgd"')
