"""The lecture as experiments: each claim is measured over several seeds and judged by a predefined band.

Each claim is a file in a folder of `claims`; ``pynn lecture`` runs all of them.

Examples
--------
>>> from pynn.lecture import experiments, run
>>> [result] = run([experiments()["he-relu"]], seeds=3)
>>> result.outcome
'reproduced'
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from .definition import Band, Experiment, Lines, experiment

if _TYPE_CHECKING:
    from .catalogue import experiments, select
    from .networks import network, outputs, rms
    from .results import ExperimentResult, Measurement, load, save
    from .running import Interrupted, run

__all__ = [
    "Band",
    "Experiment",
    "ExperimentResult",
    "Interrupted",
    "Lines",
    "Measurement",
    "experiment",
    "experiments",
    "load",
    "network",
    "outputs",
    "rms",
    "run",
    "save",
    "select",
]

#: Imported on first use, because the claims import this package.
_LATER = {
    "Interrupted": "running",
    "ExperimentResult": "results",
    "Measurement": "results",
    "experiments": "catalogue",
    "load": "results",
    "network": "networks",
    "outputs": "networks",
    "rms": "networks",
    "run": "running",
    "save": "results",
    "select": "catalogue",
}


def __getattr__(name: str) -> _Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f".{_LATER[name]}", __name__), name)
