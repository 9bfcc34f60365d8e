"""Arrays in files beside that of the model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from .errors import UnsupportedError


class Beside:
    """Reads arrays from files in a model's own folder, altogether no more of a file than it holds.

    Parameters
    ----------
    folder : Path or None
        None where a model was not read from a file.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = None if folder is None else folder.resolve()
        self._taken: dict[Path, int] = {}

    def read(self, tensor: onnx.TensorProto, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
        """Return the bytes of an array.

        Raises
        ------
        UnsupportedError
            Without a folder.
        ValueError
            If the array lies elsewhere, goes beyond the end of its file, or overlaps others.
        """
        entries = {entry.key: entry.value for entry in tensor.external_data}
        where = entries.get("location", "")
        if self.folder is None:
            raise UnsupportedError(f"array {tensor.name!r} is in the file {where!r}; load it with onnx.load first")
        path = (self.folder / where).resolve()
        if "\0" in where or not path.is_relative_to(self.folder) or not path.is_file():
            raise ValueError(f"array {tensor.name!r} is in {where!r}, which is no file in the folder of the model")
        size, offset, held = math.prod(shape) * dtype.itemsize, int(entries.get("offset", "0")), path.stat().st_size
        if offset < 0 or int(entries.get("length", size)) != size or offset + size > held:
            raise ValueError(f"array {tensor.name!r} of shape {shape} goes beyond the end of {where!r}, or its own")
        taken = self._taken[path] = self._taken.get(path, 0) + size
        if taken > held:
            raise ValueError(f"the arrays in {where!r}, up to {tensor.name!r}, have {taken} bytes; the file has {held}")
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
