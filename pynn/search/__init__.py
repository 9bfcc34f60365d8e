"""Search for hyperparameters: spaces, samplers, stages from coarse to fine, many processes, results that stay.

`run` searches; a space is a dict of `Uniform`, `LogUniform`, `Integer` and `Choice`; `Stage` and `coarse_to_fine` say
how many trials train how long; a `Result` has all trials. Needs the extra "search" (Optuna).
"""

from .driver import run
from .edges import Edge, SearchWarning
from .result import Result
from .space import Choice, Integer, LogUniform, Parameter, Space, Uniform
from .stages import Stage, coarse_to_fine
from .store import StoreError
from .trial import Trial

__all__ = [
    "Choice",
    "Edge",
    "Integer",
    "LogUniform",
    "Parameter",
    "Result",
    "SearchWarning",
    "Space",
    "Stage",
    "StoreError",
    "Trial",
    "Uniform",
    "coarse_to_fine",
    "run",
]
