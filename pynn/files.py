"""Files that are written whole or not at all, and read without running anything from them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy


class FileFormatError(ValueError):
    """A file is not what it should be: of another kind, cut short, or altered."""


def write_atomically(path: str | Path, content: bytes) -> None:
    """Replace the file by `content`.

    Whatever happens, a killed process or a full disk included, `path` holds the old content or the new, whole.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a saved model is as readable as any file its user makes.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def save_tensors(path: str | Path, kind: str, tensors: Mapping[str, np.ndarray], description: Any) -> None:
    """Write arrays and a JSON-able description to a safetensors file, with a checksum over both."""
    text = json.dumps(description, allow_nan=True)
    arrays = {
        name: np.asarray(array, order="C") for name, array in tensors.items()
    }  # ascontiguousarray adds a dimension
    metadata = {"format": f"pynn.{kind}", "description": text, "sha256": _checksum(arrays, text)}
    write_atomically(path, safetensors_numpy.save(arrays, metadata=metadata))


def load_tensors(path: str | Path, kind: str) -> tuple[dict[str, np.ndarray], Any]:
    """Return arrays and description of a file that `save_tensors` wrote.

    Raises
    ------
    FileFormatError
        If it is another kind of file, cut short or altered.
    """
    content = Path(path).read_bytes()
    try:
        arrays = safetensors_numpy.load(content)
        header_length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + header_length]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a safetensors file, or was cut short ({error})") from None
    found = metadata.get("format", "")
    if found != f"pynn.{kind}":
        what = f"holds a {found}" if found.startswith("pynn.") else "was not written by pynn"
        raise FileFormatError(f"{path} {what}; expected a pynn.{kind}")
    text = metadata.get("description", "")
    if metadata.get("sha256") != _checksum(arrays, text):
        raise FileFormatError(f"{path} was altered after it was written: its checksum does not match")
    try:
        return arrays, json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} has a description that cannot be read ({error})") from None


def _checksum(arrays: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    # Makes the rename itself durable; Windows cannot open folders and needs no such call.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
