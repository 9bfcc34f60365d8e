"""Files that are written whole or not at all, and read without running anything from them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy


class FileFormatError(ValueError):
    """A file is not what it should be: of another kind, cut short, or altered."""


def check_target(path: str | Path) -> None:
    """Raise the OSError that tells why no file can be written there, for a path that is given long before it is used.

    It is a FileNotFoundError, NotADirectoryError, IsADirectoryError or PermissionError.
    """
    target = Path(os.path.realpath(path))
    folder = target.parent
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected the name of a file")
    if not folder.exists():
        raise FileNotFoundError(f"{path} cannot be written: the folder {folder} does not exist; make it first")
    if not folder.is_dir():
        raise NotADirectoryError(f"{path} cannot be written: {folder} is a file, not a folder")
    if not target.exists() and not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{path} cannot be written: the folder {folder} is not writeable")


def write_atomically(path: str | Path, content: bytes) -> None:
    """Replace the file by `content`.

    Whatever happens, a killed process or a full disk included, `path` holds the old content or the new, whole.
    """
    path = Path(os.path.realpath(path))  # what a symbolic link points to is replaced, not the link
    if path.exists() and not path.is_file():  # a pipe or a device (as root, os.replace would put a file in its place)
        path.write_bytes(content)
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def save_tensors(path: str | Path, kind: str, tensors: Mapping[str, np.ndarray], description: Any) -> None:
    """Write arrays and a JSON-able description to a safetensors file, with a checksum over both."""
    write_atomically(path, packed_tensors(kind, tensors, description))


def packed_tensors(kind: str, tensors: Mapping[str, np.ndarray], description: Any) -> bytes:
    """Return what `save_tensors` writes."""
    text = json.dumps(description, allow_nan=True)
    # np.ascontiguousarray would turn an array without dimensions into one with one.
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    # One entry, because safetensors writes several in random order: the same model is the same bytes.
    header = {"format": f"pynn.{kind}", "description": text, "sha256": _checksum(arrays, text)}
    return safetensors_numpy.save(arrays, metadata={"pynn": json.dumps(header)})


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
        foreign = '{"format": ""}'
        header = json.loads(json.loads(content[8 : 8 + header_length]).get("__metadata__", {}).get("pynn", foreign))
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a safetensors file, or was cut short ({error})") from None
    found = header.get("format", "")
    if found != f"pynn.{kind}":
        what = f"holds a {found}" if found.startswith("pynn.") else "was not written by pynn"
        raise FileFormatError(f"{path} {what}; expected a pynn.{kind}")
    text = header.get("description", "")
    if header.get("sha256") != _checksum(arrays, text):
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


def _sync_folder(folder: Path) -> None:
    # Makes the rename itself durable; Windows cannot open folders and needs no such call.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
