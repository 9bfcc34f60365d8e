"""Readers of the file formats of data sets: IDX (MNIST), binary CIFAR-10, npz."""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CIFAR_RECORD = 1 + 3 * 32 * 32
#: The maximum expansion ratio of deflate.
MAX_DEFLATED = 1032
#: Bytes of an archive that are decompressed at a time.
CHUNK = 1 << 20
#: Exceptions that reading a damaged archive may raise.
_ZIP_ERRORS = (
    *(ValueError, EOFError, OSError, NotImplementedError, RuntimeError, OverflowError, LookupError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
_NPZ_KEYS = (("x", "y"), ("X", "y"), ("data", "target"))


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read one array from an IDX file, the format of MNIST.

    The file consists of two zero bytes, a byte for the type, a byte for the number of dimensions, each dimension as a
    big-endian uint32, and the numbers, big-endian, in C order.

    Parameters
    ----------
    path : str or path
        The file; gzip compression is detected regardless of the name.

    Returns
    -------
    ndarray
        uint8, int8, int16, int32, float32 or float64, in native byte order.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not an IDX file, or its size differs from its header.

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
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        stored = status.st_size if stat.S_ISREG(status.st_mode) else math.inf
        if file.peek(2)[:2] != b"\x1f\x8b":
            return _idx(path, file, stored)
        try:
            with gzip.open(file) as unpacked:
                return _idx(path, unpacked, stored * MAX_DEFLATED)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged gzip file: {error}") from error


def _idx(path: str | os.PathLike[str], file: gzip.GzipFile | IO[bytes], maximum: float) -> NDArray[Any]:
    """Return the array in an open IDX file of at most `maximum` bytes."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _IDX_TYPES:
        raise ValueError(
            f"{path} is not an IDX file: it starts with bytes {start.hex(' ') or '(none)'}; expected 00 00, a type "
            f"({', '.join(f'{code:02x}' for code in _IDX_TYPES)}) and the number of dimensions"
        )
    header = 4 + 4 * start[3]
    sizes = file.read(header - 4)
    if len(sizes) < header - 4:
        raise ValueError(f"{path} has {4 + len(sizes)} bytes; expected at least {header} for {start[3]} dimensions")
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
    dtype = np.dtype(_IDX_TYPES[start[2]])
    expected = header + math.prod(shape) * dtype.itemsize
    # Never request more than the file can contain; one extra byte reveals trailing data.
    raw = file.read(expected - header + 1) if expected <= maximum else b""
    if len(raw) != expected - header:
        found = f"{header + len(raw)}" if raw else f"at most {maximum}"
        raise ValueError(f"{path} has {found} bytes; expected {expected} for {dtype.name} of shape {shape}")
    try:
        return np.frombuffer(raw, dtype).reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError as error:  # more dimensions than NumPy supports
        raise ValueError(f"{path} cannot be read: {error}") from error


def read_cifar10(path: str | os.PathLike[str], part: str = "train") -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read CIFAR-10 in its binary version.

    A file is a sequence of 3073-byte records: the label, then 1024 red, 1024 green and 1024 blue pixels.

    Parameters
    ----------
    path : str or path
        One such file, or a folder with `data_batch_1.bin` and so on, and `test_batch.bin`.
    part : {"train", "test"}, default "train"
        The part of a folder to read: all its `data_batch_*.bin`, in order, or `test_batch.bin`.

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
        If a file is not a whole number of records, or has a label above 9; or if `part` is invalid.

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
            pickled = path / ("data_batch_1" if part == "train" else "test_batch")
            message = f"{path} has no {pattern} of the binary version of CIFAR-10"
            if pickled.exists():
                message += f"; {pickled.name} belongs to the Python version, whose pickles could run code"
            raise FileNotFoundError(message)
    parts = [decode_cifar10(file.read_bytes(), str(file)) for file in files]
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def decode_cifar10(raw: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode the content of one binary CIFAR-10 file; `name` appears in error messages. See `read_cifar10`."""
    if not raw or len(raw) % _CIFAR_RECORD:
        hint = "; it looks like a pickle, which could run code: use the binary version" if raw[:1] == b"\x80" else ""
        raise ValueError(f"{name} has {len(raw)} bytes; expected a positive multiple of {_CIFAR_RECORD}{hint}")
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
        The stored arrays, with the same number of rows.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not an .npz file or is damaged, contains Python objects (which could run code), or has other names, or
        if x and y differ in length.

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
    with _archive(path) as archive:
        names = _found(archive, _NPZ_KEYS, "x and y, X and y, or data and target", path)
        x, y = (_member(archive, f"{name}.npy", path) for name in names)
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise ValueError(f"{path}: {names[0]} has shape {x.shape}, {names[1]} has shape {y.shape}; expected equal rows")
    return x, y


def read_npz_array(path: str | os.PathLike[str], names: Sequence[str]) -> NDArray[Any]:
    """Return the first array of `names` that a NumPy archive contains; errors are those of `read_npz`."""
    with _archive(path) as archive:
        (name,) = _found(archive, [(name,) for name in names], f"one named {names[0]}", path)
        return _member(archive, f"{name}.npy", path)


def read_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return the array of an .npy file, memory-mapped; raise ValueError if it is invalid or contains objects."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # NumPy does not wrap what Python's parser raises for a damaged header
        raise ValueError(f"cannot use {path}: {error or type(error).__name__}") from error
    if not isinstance(array, np.ndarray) or not array.ndim:
        raise ValueError(f"cannot use {path}: it is not an .npy file of examples")
    return array


@contextlib.contextmanager
def _archive(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    with open(path, "rb") as file:
        try:
            if not zipfile.is_zipfile(file):
                raise ValueError(f"{path} is not an .npz file (a zip archive of arrays)")
            archive = zipfile.ZipFile(file)
        except _ZIP_ERRORS as error:
            raise ValueError(f"cannot use {path}: {error}") from error
        with archive:
            yield archive


def _found(
    archive: zipfile.ZipFile, groups: Iterable[tuple[str, ...]], expected: str, path: str | os.PathLike[str]
) -> tuple[str, ...]:
    """Return the first group of names of arrays that an archive has all of; raise ValueError if there is none."""
    held = set(archive.namelist())
    for names in groups:
        if all(f"{name}.npy" in held for name in names):
            return names
    arrays = sorted(name.removesuffix(".npy") for name in held)
    raise ValueError(f"cannot use {path}: it has arrays {arrays[:20]}; expected {expected}")


def _member(archive: zipfile.ZipFile, name: str, path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return an array of an archive, after checking its header against the sizes in the file."""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"cannot use {path}: {name} has a compression method that NumPy does not write")
    try:
        with archive.open(info) as member:
            shape, fortran, dtype = _npy_header(member, name)
            size = math.prod(shape) * dtype.itemsize
            if size > min(info.file_size, os.path.getsize(path) * MAX_DEFLATED):
                raise ValueError(f"{name} claims to be {dtype} of shape {shape}, which is larger than the file")
            raw = np.empty(size, np.uint8)
            filled = 0
            while part := member.read(min(size - filled, CHUNK)):
                raw[filled : filled + len(part)] = np.frombuffer(part, np.uint8)
                filled += len(part)
            if filled < size or member.read(1):
                raise ValueError(f"{name} is {dtype} of shape {shape}, but does not have {size} bytes")
            return np.ndarray(shape, dtype, raw, order="F" if fortran else "C")
    except _ZIP_ERRORS as error:
        raise ValueError(f"cannot use {path}: {error or type(error).__name__}") from error


def _npy_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether the order is Fortran, and dtype."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of the format is not supported")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except Exception as error:  # NumPy does not wrap what Python's parser raises for a damaged header
        raise ValueError(f"{name} is not stored as an array: {error or type(error).__name__}") from error
    if dtype.hasobject:
        raise ValueError(f"{name} contains Python objects, which could run code (allow_pickle=False)")
    if any(size < 0 for size in shape):
        raise ValueError(f"{name} has shape {shape}")
    return shape, fortran, dtype
