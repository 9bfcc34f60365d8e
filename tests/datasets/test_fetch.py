"""MNIST and CIFAR-10 from a folder and from a server."""

import functools
import gzip
import hashlib
import http.server
import io
import sys
import tarfile
import threading

import numpy as np
import pytest
from file_formats import cifar_bytes, idx_bytes, write

from pynn import datasets
from pynn.datasets import fetch


@pytest.fixture
def rng():
    return np.random.default_rng(3)


# MNIST and CIFAR-10 from a folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYNN_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def mnist(rng):
    return {
        part: (rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n, np.uint8))
        for part, n in (("train", 6), ("test", 3))
    }


@pytest.fixture
def cifar(rng):
    return {
        part: (rng.integers(0, 256, (n, 3, 32, 32), np.uint8), rng.integers(0, 10, n, np.uint8))
        for part, n in (("train", 10), ("test", 3))
    }


def check_loaded(loaded, expected):
    for (x, y), (images, labels) in zip(loaded, expected.values(), strict=True):
        assert (x.dtype, y.dtype) == (np.uint8, np.int64)
        assert x.flags.c_contiguous
        np.testing.assert_array_equal(x, images)
        np.testing.assert_array_equal(y, labels)


def mnist_files(mnist):
    return {
        f"{prefix}-{kind}": idx_bytes(array)
        for prefix, part in (("train", "train"), ("t10k", "test"))
        for kind, array in zip(("images-idx3-ubyte", "labels-idx1-ubyte"), mnist[part], strict=True)
    }


@pytest.mark.parametrize("compress", [False, True])
def test_mnist_from_idx_files(folder, mnist, compress):
    for name, raw in mnist_files(mnist).items():
        write(folder / (name + ".gz" * compress), gzip.compress(raw) if compress else raw)
    check_loaded(datasets.load_mnist(), mnist)


def test_mnist_from_npz(folder, mnist):
    for part, (x, y) in mnist.items():
        np.savez(folder / f"mnist_{part}.npz", x=x, y=y)
    check_loaded(datasets.load_mnist(), mnist)


@pytest.mark.parametrize("place", [".", "cifar-10-batches-bin"])
def test_cifar10_from_binary_files(folder, cifar, place):
    (folder / place).mkdir(exist_ok=True)
    for part, name in (("train", "data_batch_1"), ("test", "test_batch")):
        write(folder / place / f"{name}.bin", cifar_bytes(*cifar[part]))
    check_loaded(datasets.load_cifar10(), cifar)


@pytest.mark.parametrize("channels_last", [False, True])
def test_cifar10_from_npz(folder, cifar, channels_last):
    for part, (x, y) in cifar.items():
        np.savez(folder / f"cifar10_{part}_some.npz", x=x.transpose(0, 2, 3, 1) if channels_last else x, y=y)
    check_loaded(datasets.load_cifar10(), cifar)
    np.savez(folder / "cifar10_train.npz", x=cifar["train"][0], y=cifar["train"][1])
    with pytest.raises(ValueError, match=r"expected one cifar10_train\*.npz, found \['cifar10_train.npz', "):
        datasets.load_cifar10()


def test_missing_local_files_are_listed(folder, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\[.gz\].*mnist_train.npz; found neither"):
        datasets.load_mnist()
    with pytest.raises(FileNotFoundError, match=r"data_batch_\*.bin.*cifar10_train\*.npz; found neither"):
        datasets.load_cifar10()
    monkeypatch.setenv("PYNN_DATA", str(folder / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere, which is not a folder"):
        datasets.load_mnist()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((2, 28, 28)), [0, 1], "images are float64"),
        (np.zeros((2, 27, 28), np.uint8), [0, 1], r"shape \(2, 27, 28\)"),
        (np.zeros((2, 28, 28), np.uint8), [[0], [1]], r"labels int64 of shape \(2, 1\)"),
        (np.zeros((2, 28, 28), np.uint8), [0.0, 1.0], "labels float64"),
        (np.zeros((2, 28, 28), np.uint8), [0, 10], "labels from 0 to 9"),
        (np.zeros((0, 28, 28), np.uint8), np.zeros(0, int), "at least one example"),
    ],
)
def test_local_files_of_something_else(folder, x, y, message):
    np.savez(folder / "mnist_train.npz", x=x, y=y)
    with pytest.raises(ValueError, match=message):
        datasets.load_mnist()


# MNIST and CIFAR-10 downloaded, from a server on this machine


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that is served, and its address; pooch keeps its files beside it."""
    import pooch

    served = tmp_path / "served"
    served.mkdir()
    monkeypatch.delenv("PYNN_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=served)
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield served, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@pytest.fixture
def served_mnist(server, mnist, monkeypatch):
    served, address = server
    md5 = {}
    for name, raw in mnist_files(mnist).items():
        packed = gzip.compress(raw, mtime=0)
        write(served / f"{name}.gz", packed)
        md5[name] = hashlib.md5(packed).hexdigest()
    files = {part: tuple((name, md5[name]) for name, _ in pair) for part, pair in fetch._MNIST_FILES.items()}
    monkeypatch.setattr(fetch, "_MNIST_FILES", files)
    monkeypatch.setattr(fetch, "_MNIST_MIRRORS", (f"{address}gone/", address))
    return served


def test_mnist_is_downloaded_once_and_from_the_mirror_that_answers(served_mnist, mnist):
    check_loaded(datasets.load_mnist(), mnist)
    for file in served_mnist.iterdir():
        file.unlink()
    check_loaded(datasets.load_mnist(), mnist)


@pytest.mark.parametrize("fault", ["gone", "altered"])
def test_a_failing_download_is_one_clear_error(served_mnist, fault):
    name = "t10k-labels-idx1-ubyte.gz"
    (served_mnist / name).unlink() if fault == "gone" else write(served_mnist / name, b"something else")
    with pytest.raises(OSError, match=f"could not download {name} .*set PYNN_DATA to their folder"):
        datasets.load_mnist()


def test_a_mirror_that_does_not_answer_is_named_in_few_words(served_mnist, monkeypatch):
    monkeypatch.setattr(fetch, "_MNIST_MIRRORS", ("http://127.0.0.1:9/",))  # nothing listens there
    with pytest.raises(OSError, match=r"could not download \S+ \(http://127.0.0.1:9/: no connection\)\. If you"):
        datasets.load_mnist()


def test_cifar10_is_read_from_the_downloaded_archive(server, cifar, monkeypatch):
    served, address = server
    x, y = cifar["train"]
    members = {f"data_batch_{i + 1}.bin": cifar_bytes(x[2 * i : 2 * i + 2], y[2 * i : 2 * i + 2]) for i in range(5)}
    members["test_batch.bin"] = cifar_bytes(*cifar["test"])
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, raw in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    write(served / "cifar.tar.gz", packed.getvalue())
    monkeypatch.setattr(fetch, "_CIFAR_ARCHIVE", ("cifar.tar.gz", hashlib.md5(packed.getvalue()).hexdigest()))
    monkeypatch.setattr(fetch, "_CIFAR_MIRRORS", (address,))
    check_loaded(datasets.load_cifar10(), cifar)


def test_without_pooch_the_extra_is_named(monkeypatch):
    monkeypatch.delenv("PYNN_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    for load in (datasets.load_mnist, datasets.load_cifar10):
        with pytest.raises(ImportError, match=r'pip install "pynn-kernels\[data\]"'):
            load()
