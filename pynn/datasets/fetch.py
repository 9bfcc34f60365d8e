"""MNIST and CIFAR-10: from your own folder, or downloaded once and cached."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .readers import decode_cifar10, read_cifar10, read_idx, read_npz

if TYPE_CHECKING:
    import tarfile

Labelled = tuple[NDArray[np.uint8], NDArray[np.int64]]

_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_MNIST_FILES = {  # part: ((images, md5), (labels, md5))
    "train": (
        ("train-images-idx3-ubyte", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
}
_CIFAR_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
_CIFAR_ARCHIVE = ("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")
_CIFAR_FOLDER = "cifar-10-batches-bin"


def load_mnist() -> tuple[Labelled, Labelled]:
    """Return MNIST: 70 000 handwritten digits, 28x28 pixels.

    If the environment variable PYNN_DATA names a folder, the data come from there and are never downloaded: the four
    IDX files with their usual names (train-images-idx3-ubyte, ...; also with .gz), or mnist_train.npz and
    mnist_test.npz with arrays x and y. Otherwise they are downloaded once (11 MB), verified and kept in pooch's cache
    folder for pynn.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images (N, 28, 28), uint8, 0 to 255; digits (N,), int64. N is 60 000 and 10 000 for the complete data.

    Raises
    ------
    FileNotFoundError
        If PYNN_DATA is set and the files are not there; the message names the expected files.
    ValueError
        If a local file is damaged or has other content.
    ImportError
        If a download is needed and pooch is not installed.
    OSError
        If the download fails.

    Notes
    -----
    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".

    Examples
    --------
    >>> from pynn.datasets import load_mnist
    >>> (x_train, y_train), (x_test, y_test) = load_mnist()  # doctest: +SKIP
    >>> x_train.shape  # doctest: +SKIP
    (60000, 28, 28)
    """
    return _mnist_part("train"), _mnist_part("test")


def load_cifar10() -> tuple[Labelled, Labelled]:
    """Return CIFAR-10: 60 000 colour images of ten classes, 32x32 pixels.

    If the environment variable PYNN_DATA names a folder, the data come from there and are never downloaded: the binary
    version (data_batch_*.bin and test_batch.bin, there or in a subfolder cifar-10-batches-bin), or one
    cifar10_train*.npz and one cifar10_test*.npz with arrays x (N, 3, 32, 32) or (N, 32, 32, 3) and y. Otherwise they
    are downloaded once (170 MB), verified and kept in pooch's cache folder for pynn.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images (N, 3, 32, 32), uint8, 0 to 255; classes (N,), int64: airplane, automobile, bird, cat, deer, dog, frog,
        horse, ship, truck. N is 50 000 and 10 000 for the complete data.

    Raises
    ------
    FileNotFoundError
        If PYNN_DATA is set and the files are not there; the message names the expected files.
    ValueError
        If a local file is damaged or has other content, or if several files match.
    ImportError
        If a download is needed and pooch is not installed.
    OSError
        If the download fails.

    Notes
    -----
    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Examples
    --------
    >>> from pynn.datasets import load_cifar10
    >>> (x_train, y_train), (x_test, y_test) = load_cifar10()  # doctest: +SKIP
    >>> x_train.shape  # doctest: +SKIP
    (50000, 3, 32, 32)
    """
    folder = _local_folder()
    if folder is not None:
        return _local_cifar(folder, "train"), _local_cifar(folder, "test")
    import tarfile  # 4 ms, which `import pynn` need not wait for

    archive = _download(*_CIFAR_ARCHIVE, _CIFAR_MIRRORS)
    try:
        with tarfile.open(archive) as tar:  # read directly from the archive, without unpacking to disk
            batches = [_cifar_member(tar, f"data_batch_{i}.bin") for i in range(1, 6)]
            test = _cifar_member(tar, "test_batch.bin")
    except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise ValueError(f"{archive} is damaged ({error}); remove it to download it again") from error
    return (np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])), test


def _local_folder() -> Path | None:
    named = os.environ.get("PYNN_DATA")
    if not named:
        return None
    if not Path(named).is_dir():
        raise FileNotFoundError(f"PYNN_DATA names {named}, which is not a folder")
    return Path(named)


def _mnist_part(part: str) -> Labelled:
    files = _MNIST_FILES[part]
    folder = _local_folder()
    if folder is None:
        images, labels = (read_idx(_download(f"{name}.gz", md5, _MNIST_MIRRORS)) for name, md5 in files)
        return _checked(images, labels, "the downloaded MNIST", (28, 28))
    found = [next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None) for name, _ in files]
    if found[0] and found[1]:
        return _checked(read_idx(found[0]), read_idx(found[1]), str(found[0]), (28, 28))
    archive = folder / f"mnist_{part}.npz"
    if not archive.is_file():
        raise FileNotFoundError(
            f"PYNN_DATA is {folder}; looked there for {files[0][0]}[.gz] with {files[1][0]}[.gz], and for "
            f"{archive.name}; found neither"
        )
    return _checked(*read_npz(archive), str(archive), (28, 28))


def _local_cifar(folder: Path, part: str) -> Labelled:
    pattern = "data_batch_*.bin" if part == "train" else "test_batch.bin"
    for place in (folder, folder / _CIFAR_FOLDER):
        if any(place.glob(pattern)):
            return read_cifar10(place, part)
    archives = sorted(folder.glob(f"cifar10_{part}*.npz"))
    if not archives:
        raise FileNotFoundError(
            f"PYNN_DATA is {folder}; looked for {pattern} there and in {_CIFAR_FOLDER}, and for "
            f"cifar10_{part}*.npz; found neither"
        )
    if len(archives) > 1:
        raise ValueError(f"PYNN_DATA is {folder}; expected one cifar10_{part}*.npz, found {[p.name for p in archives]}")
    x, y = read_npz(archives[0])
    if x.shape[1:] == (32, 32, 3):
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return _checked(x, y, str(archives[0]), (3, 32, 32))


def _cifar_member(tar: tarfile.TarFile, name: str) -> Labelled:
    member = tar.extractfile(f"{_CIFAR_FOLDER}/{name}")
    if member is None:
        raise ValueError(f"{name} in the CIFAR-10 archive is not a file")
    return decode_cifar10(member.read(), name)


def _checked(x: NDArray[Any], y: NDArray[Any], where: str, image: tuple[int, ...]) -> Labelled:
    if x.dtype != np.uint8 or x.shape[1:] != image or y.shape != (len(x),) or y.dtype.kind not in "iu":
        raise ValueError(
            f"{where}: images are {x.dtype} of shape {x.shape} and labels {y.dtype} of shape {y.shape}; expected uint8 "
            f"of shape (N, {', '.join(map(str, image))}) and integers of shape (N,)"
        )
    if not len(y) or y.min() < 0 or y.max() > 9:
        raise ValueError(f"{where}: expected at least one example, and labels from 0 to 9")
    return x, y.astype(np.int64)


def _download(name: str, md5: str, mirrors: tuple[str, ...]) -> Path:
    """Return the cached file `name`; download it from the first mirror whose copy has the right checksum."""
    try:
        import pooch
        import requests
    except ImportError as error:
        raise ImportError('downloading data sets needs pooch: pip install "pynn-kernels[data]"') from error
    retrieve: Callable[..., str] = pooch.retrieve
    failures = []
    for mirror in mirrors:
        try:
            return Path(retrieve(mirror + name, f"md5:{md5}", name, path=pooch.os_cache("pynn")))
        except requests.ConnectionError:  # its text is half a page
            failures.append(f"{mirror}: no connection")
        except (OSError, ValueError) as error:  # refused; wrong checksum
            failures.append(f"{mirror}: {error}")
    raise OSError(
        f"could not download {name} ({'; '.join(failures)}). If you have the data, set PYNN_DATA to their folder"
    )
