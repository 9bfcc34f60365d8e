"""PyTorch, which is imported where it is used."""

from __future__ import annotations

import importlib
from typing import Any

INSTALL_HINT = 'pip install "pynn-kernels[torch]"'


def pytorch(function: str = "interop.torch") -> Any:
    """Return the package ``torch``, or raise ImportError that says which function needs it and what to install."""
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(f"pynn.{function} needs PyTorch: {INSTALL_HINT}") from error
