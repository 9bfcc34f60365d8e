"""Importance of the parameters, by Optuna's fANOVA."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .samplers import INSTALL_HINT, distributions_of, load_optuna, quiet_optuna
from .space import Params, Space
from .trial import Trial

#: Minimum number of trials for an estimate.
FEWEST = 4
TREES = 64


def importance(trials: Sequence[Trial], space: Space, metric: str, epochs: int, *, maximize: bool) -> dict[str, float]:
    """Return the share of the scores' variance that each parameter explains, largest first; empty if unknown.

    Trials are compared by their score after `epochs`, which all finished trials have. A trial that ended early gets the
    worst of these scores. An inactive parameter gets the middle of its range.

    Notes
    -----
    Hutter, Hoos & Leyton-Brown 2014, "An Efficient Approach for Assessing Hyperparameter Importance".
    """
    optuna = load_optuna()
    begun = [trial for trial in trials if trial.continues is None and trial.ended in ("finished", "early")]
    scores = {}
    for trial in begun:
        column = trial.history.get(metric, [])
        if trial.ended == "finished" and len(column) >= epochs and math.isfinite(column[epochs - 1]):
            scores[trial.number] = column[epochs - 1]
    if len(scores) < FEWEST:
        return {}
    worst = min(scores.values()) if maximize else max(scores.values())
    if len(set(scores.values()) | {worst}) < 2:
        return {}
    if len(space) == 1:
        return {name: 1.0 for name, _ in space}
    distributions = distributions_of(space)
    with quiet_optuna():
        study = optuna.create_study(direction="maximize" if maximize else "minimize")
        for trial in begun:
            study.add_trial(
                optuna.trial.create_trial(
                    value=scores.get(trial.number, worst),
                    params=_filled(trial.params, space),
                    distributions=distributions,
                )
            )
        try:
            evaluator: Any = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=0)
        except ImportError as error:
            raise ImportError(f"the importance of parameters needs scikit-learn: {INSTALL_HINT}") from error
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items() if math.isfinite(share)}


def _filled(params: Params, space: Space) -> Params:
    return {name: params[name] if name in params else parameter.at(0.5) for name, parameter in space}
