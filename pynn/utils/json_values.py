"""Results as JSON: plain values, in which a number that is not finite is null."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .writing import write_atomically


def plain(value: Any) -> Any:
    """Return a value as dicts, lists, text, numbers and None; JSON has no NaN and no infinity, so these are None.

    Examples
    --------
    >>> plain({"loss": np.array([0.5, np.nan]), "step": np.int64(3)})
    {'loss': [0.5, None], 'step': 3}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def json_text(value: Any) -> str:
    """Return a value of `plain` as JSON."""
    return json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)


def write_json(path: str | os.PathLike[str], value: Any, *, sort_keys: bool = False) -> None:
    r"""Write a value as JSON, atomically.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(f"{folder}/run.json", {"loss": 0.5})
    ...     pathlib.Path(folder, "run.json").read_text()
    '{\n "loss": 0.5\n}\n'
    """
    write_atomically(path, (json.dumps(value, indent=1, sort_keys=sort_keys) + "\n").encode())
