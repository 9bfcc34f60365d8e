"""All experiments: the files in the folders of `claims`."""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib import import_module

from . import claims
from .definition import Experiment

#: Folders in the lecture's order, with the lecture's names of these parts.
SECTIONS = {
    "activations": "Activation functions",
    "preprocessing": "Data preprocessing",
    "initialisation": "Weight initialisation",
    "batchnorm": "Batch normalisation",
    "babysitting": "Babysitting the learning process",
    "search": "Hyperparameter optimisation",
}


@cache
def experiments() -> dict[str, Experiment]:
    """Return all experiments by name, section by section.

    Examples
    --------
    >>> experiments()["linear-stack"].section
    'activations'
    """
    found: dict[str, Experiment] = {}
    for section in SECTIONS:
        package = import_module(f"{claims.__name__}.{section}")
        for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
            contents = vars(import_module(f"{package.__name__}.{module.name}"))
            found |= {item.name: item for item in contents.values() if isinstance(item, Experiment)}
    return found


def select(names: Iterable[str]) -> list[Experiment]:
    """Return the experiments or sections with these names; without names, all.

    Raises
    ------
    ValueError
        If there is no such experiment; the message suggests similar names.

    Examples
    --------
    >>> [experiment.name for experiment in select(["he-relu", "linear-stack"])]
    ['linear-stack', 'he-relu']
    """
    known = experiments()
    names = list(names)
    for name in names:
        if name not in known and name not in SECTIONS:
            alike = difflib.get_close_matches(name, [*known, *SECTIONS], n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(alike)}?" if alike else "'pynn lecture list' shows all"
            raise ValueError(f"no experiment {name!r}; {hint}")
    return [item for item in known.values() if not names or item.name in names or item.section in names]
