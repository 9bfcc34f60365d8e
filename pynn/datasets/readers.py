"""Read arrays from the files data sets come in: IDX (MNIST), binary CIFAR-10, npz."""

from __future__ import annotations

import gzip
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CIFAR_RECORD = 1 + 3 * 32 * 32
_NPZ_KEYS = (("x", "y"), ("X", "y"), ("data", "target"))


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read one array from an IDX file, the format of MNIST.

    The file is: two zero bytes, a byte for the type, a byte for the number of dimensions, each dimension as a
    big-endian uint32, and the numbers, big-endian, last index fastest.

    Parameters
    ----------
    path : str or path
        The file; compressed with gzip or not, whatever its name.

    Returns
    -------
    ndarray
        uint8, int8, int16, int32, float32 or float64, in the machine's byte order.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not an IDX file, or has fewer or more bytes than it declares.

    Notes
    -----
    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pynn.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.idx")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    ...     read_idx(path)
    array([7, 8, 9], dtype=uint8)
    """
    raw = Path(path).read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged gzip file: {error}") from error
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES:
        raise ValueError(
            f"{path} is not an IDX file: it starts with bytes {raw[:4].hex(' ') or '(none)'}; expected 00 00, a type "
            f"({', '.join(f'{code:02x}' for code in _IDX_TYPES)}) and the number of dimensions"
        )
    header = 4 + 4 * raw[3]
    if len(raw) < header:
        raise ValueError(f"{path} has {len(raw)} bytes; expected at least {header} for {raw[3]} dimensions")
    shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(4, header, 4))
    stored = np.dtype(_IDX_TYPES[raw[2]])
    expected = header + math.prod(shape) * stored.itemsize
    if len(raw) != expected:
        raise ValueError(f"{path} has {len(raw)} bytes; expected {expected} for {stored.name} of shape {shape}")
    return np.frombuffer(raw, stored, offset=header).reshape(shape).astype(stored.newbyteorder("="))


def read_cifar10(path: str | os.PathLike[str], part: str = "train") -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read CIFAR-10 in its binary version.

    A file is a sequence of records of 3073 bytes: the label, then 1024 red, 1024 green and 1024 blue pixels.

    Parameters
    ----------
    path : str or path
        One such file, or a folder that holds `data_batch_1.bin` and so on, and `test_batch.bin`.
    part : {"train", "test"}, default "train"
        Which part of a folder to read: all its `data_batch_*.bin`, in order, or `test_batch.bin`.

    Returns
    -------
    x : ndarray of shape (N, 3, 32, 32), uint8
    y : ndarray of shape (N,), int64
        Classes 0 to 9: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    Raises
    ------
    OSError
        If a file cannot be opened, or the folder has none (FileNotFoundError).
    ValueError
        If a file is not a whole number of records, or has a label above 9; or if `part` is neither of the two.

    Notes
    -----
    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pynn.datasets import read_cifar10
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "data_batch_1.bin").write_bytes(bytes([3]) + bytes(3072))
    ...     x, y = read_cifar10(folder)
    >>> x.shape, y
    ((1, 3, 32, 32), array([3]))
    """
    if part not in ("train", "test"):
        raise ValueError(f"part is {part!r}; expected 'train' or 'test'")
    path = Path(path)
    files = [path]
    if path.is_dir():
        pattern = "data_batch_*.bin" if part == "train" else "test_batch.bin"
        files = sorted(path.glob(pattern))
        if not files:
            raise FileNotFoundError(f"{path} holds no {pattern}")
    parts = [decode_cifar10(file.read_bytes(), str(file)) for file in files]
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def decode_cifar10(raw: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode the content of one binary CIFAR-10 file; `name` is for messages. See `read_cifar10`."""
    if not raw or len(raw) % _CIFAR_RECORD:
        raise ValueError(f"{name} has {len(raw)} bytes; expected a positive multiple of {_CIFAR_RECORD}")
    records = np.frombuffer(raw, np.uint8).reshape(-1, _CIFAR_RECORD)
    y = records[:, 0].astype(np.int64)
    if y.max() > 9:
        raise ValueError(f"{name} has label {y.max()} in record {int(y.argmax())}; expected 0 to 9")
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), y


def read_npz(path: str | os.PathLike[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read examples and targets from a NumPy archive.

    Parameters
    ----------
    path : str or path
        An .npz file with arrays named x and y, X and y, or data and target.

    Returns
    -------
    x, y : ndarray
        As they are stored, with the same number of rows.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not an .npz file or damaged, holds Python objects (they could run code), has other names, or if x and y
        differ in length.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from pynn.datasets import read_npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder, "data.npz"), x=np.zeros((3, 2)), y=np.arange(3))
    ...     x, y = read_npz(Path(folder, "data.npz"))
    >>> x.shape, y
    ((3, 2), array([0, 1, 2]))
    """
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path} is not an .npz file (a zip archive of arrays)")
        file.seek(0)
        try:
            archive: Any
            with np.load(file, allow_pickle=False) as archive:
                names = next((names for names in _NPZ_KEYS if set(names) <= set(archive)), None)
                if names is None:
                    raise ValueError(f"it has arrays {sorted(archive)}; expected x and y, X and y, or data and target")
                x, y = archive[names[0]], archive[names[1]]
                if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
                    raise ValueError(f"{names[0]} or {names[1]} is not stored as an array")
        except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise ValueError(f"cannot use {path}: {error}") from error
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise ValueError(f"{path}: {names[0]} has shape {x.shape}, {names[1]} has shape {y.shape}; expected equal rows")
    return x, y
