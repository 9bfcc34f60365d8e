"""Trials and parameters in words, for tables, pages and messages."""

from __future__ import annotations

from .space import Params
from .trial import Trial


def outcome(trial: Trial, metric: str) -> str:
    """Return how a trial ended."""
    if trial.ended == "finished":
        return f"{metric} {figure(trial.score, metric)} after {trial.epochs} epoch{'s' * (trial.epochs != 1)}"
    words = {"early": "ended early", "failed": "failed", "lost": "lost"}[trial.ended]
    return f"{words}: {' '.join(trial.reason.split())}"


def figure(score: float, metric: str) -> str:
    """Return a score as text."""
    return f"{score:.2%}" if metric.endswith("accuracy") else f"{score:.4g}"


def value(found: object) -> str:
    """Return a parameter's value as text."""
    return f"{found:.3g}" if isinstance(found, float) else str(found)


def written(params: Params) -> str:
    """Return parameters as text.

    Examples
    --------
    >>> written({"lr": 0.0123456, "activation": "relu"})
    'lr=0.0123 activation=relu'
    """
    return " ".join(f"{name}={value(found)}" for name, found in params.items())


def short(reason: str) -> str:
    """Return the beginning of a reason."""
    return " ".join(reason.split())[:60]
