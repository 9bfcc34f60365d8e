"""Hyperparameter search: spaces, samplers, coarse-to-fine stages, parallel processes, stored results.

`run` searches; a space is a dict of `Uniform`, `LogUniform`, `Integer` and `Choice`; `Stage` and `coarse_to_fine` set
the number and length of the trials; a `SearchResult` holds all trials. Needs the extra "search" (Optuna).
"""

from ..utils.renamed import attributes
from .api import run
from .edges import Edge, SearchWarning
from .engines import RayExecutor
from .result import SearchResult
from .space import Choice, Integer, LogUniform, Parameter, Space, Uniform
from .stages import Stage, coarse_to_fine
from .store import StoreError
from .trial import Trial

__getattr__ = attributes(__name__, {"Result": "SearchResult"})

__all__ = [
    "Choice",
    "Edge",
    "Integer",
    "LogUniform",
    "Parameter",
    "RayExecutor",
    "SearchResult",
    "SearchWarning",
    "Space",
    "Stage",
    "StoreError",
    "Trial",
    "Uniform",
    "coarse_to_fine",
    "run",
]
