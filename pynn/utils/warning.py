"""Warnings that point at the user's code."""

from __future__ import annotations

import sys
import warnings

#: pynn, and libraries that call it in turn: hooks of PyTorch, cross-validation and searches of scikit-learn.
_PACKAGES = {__name__.partition(".")[0], "torch", "sklearn", "joblib"}


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the innermost line of code outside pynn and its callers, however deep in it the cause was found."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PACKAGES:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
