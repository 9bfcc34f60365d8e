"""IDX, CIFAR-10 and npz files."""

import gzip
import io
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from file_formats import IDX_CODES, cifar_bytes, idx_bytes, write
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from pynn import datasets
from pynn.datasets.readers import read_npy, read_npz_array


@pytest.fixture
def rng():
    return np.random.default_rng(3)


# IDX


@settings(max_examples=40, deadline=None)
@given(
    array=st.sampled_from(sorted(IDX_CODES)).flatmap(
        lambda dtype: st_numpy.arrays(dtype, st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    ),
    compress=st.booleans(),
)
def test_idx_round_trip(tmp_path_factory, array, compress):
    raw = idx_bytes(array)
    path = write(tmp_path_factory.mktemp("idx") / "a", gzip.compress(raw, mtime=0) if compress else raw)
    read = datasets.read_idx(path)
    assert read.dtype == array.dtype
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


GOOD_IDX = idx_bytes(np.zeros((2, 3), np.int16))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", r"not an IDX file: it starts with bytes \(none\)"),
        (b"PNG!", "starts with bytes 50 4e 47 21; expected 00 00"),
        (b"\0\0\x07\x01\0\0\0\0", "starts with bytes 00 00 07 01"),
        (GOOD_IDX[:7], "has 7 bytes; expected at least 12 for 2 dimensions"),
        (GOOD_IDX[:-1], r"has at most 23 bytes; expected 24 for int16 of shape \(2, 3\)"),
        (GOOD_IDX + b"x", "has 25 bytes; expected 24"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "has at most 16 bytes; expected"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + b"\0" * 100, "has at most 116 bytes; expected"),
        (b"\0\0\x08\x46" + b"\0\0\0\1" * 70 + b"\0", "cannot be read: maximum supported dimension"),
        (gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12, mtime=0), "has at most"),
        (gzip.compress(GOOD_IDX, mtime=0)[:-3], "damaged gzip file"),
        (gzip.compress(GOOD_IDX, mtime=0)[:-8] + b"\0" * 8, "damaged gzip file"),
        (gzip.compress(GOOD_IDX[:-1], mtime=0), "has 23 bytes; expected 24"),
    ],
)
def test_idx_refuses(tmp_path, raw, message):
    path = write(tmp_path / "broken.idx", raw)
    with pytest.raises(ValueError, match=message) as error:
        datasets.read_idx(path)
    assert str(path) in str(error.value)


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, len(GOOD_IDX) - 1), value=st.integers(0, 255))
def test_an_altered_idx_file_gives_an_array_or_a_clear_error(tmp_path_factory, place, value):
    raw = bytearray(GOOD_IDX)
    raw[place] = value
    path = write(tmp_path_factory.mktemp("idx") / "a", bytes(raw))
    try:
        datasets.read_idx(path)
    except ValueError as error:
        assert str(path) in str(error)


# CIFAR-10


def test_cifar10_file_and_folder(tmp_path, rng):
    x, y = rng.integers(0, 256, (7, 3, 32, 32), np.uint8), rng.integers(0, 10, 7)
    for name, rows in (("data_batch_1", slice(0, 3)), ("data_batch_2", slice(3, 5)), ("test_batch", slice(5, 7))):
        write(tmp_path / f"{name}.bin", cifar_bytes(x[rows], y[rows]))
    for path, part, rows in (
        (tmp_path, "train", slice(0, 5)),
        (tmp_path, "test", slice(5, 7)),
        (tmp_path / "data_batch_2.bin", "train", slice(3, 5)),
    ):
        images, labels = datasets.read_cifar10(path, part)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(images, x[rows])
        np.testing.assert_array_equal(labels, y[rows])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "has 0 bytes; expected a positive multiple of 3073"),
        (bytes(3074), "has 3074 bytes"),
        (bytes(3073) + b"\x0a" + bytes(3072), "has label 10 in record 1; expected 0 to 9"),
    ],
)
def test_cifar10_refuses(tmp_path, raw, message):
    path = write(tmp_path / "test_batch.bin", raw)
    with pytest.raises(ValueError, match=message):
        datasets.read_cifar10(path)


def test_cifar10_refuses_an_empty_folder_and_an_unknown_part(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no data_batch_\*.bin"):
        datasets.read_cifar10(tmp_path)
    with pytest.raises(ValueError, match="part is 'validation'"):
        datasets.read_cifar10(tmp_path, "validation")


# npz


@pytest.mark.parametrize("names", [("x", "y"), ("X", "y"), ("data", "target")])
def test_arrays_of_an_npz_file_may_have_any_usual_names(tmp_path, names):
    x, y = np.arange(6.0).reshape(3, 2), np.arange(3)
    np.savez(tmp_path / "a.npz", other=1, **dict(zip(names, (x, y), strict=True)))
    for read, stored in zip(datasets.read_npz(tmp_path / "a.npz"), (x, y), strict=True):
        assert read.dtype == stored.dtype
        np.testing.assert_array_equal(read, stored)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3), "z": np.zeros(3)}, r"it has arrays \['x', 'z'\]; expected x and y"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(2)}, r"x has shape \(3, 2\), y has shape \(2,\)"),
        ({"x": np.zeros(3), "y": np.array([{}, 1, "a"], object)}, "allow_pickle=False"),
    ],
)
def test_npz_refuses(tmp_path, arrays, message):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message) as error:
        datasets.read_npz(path)
    assert str(path) in str(error.value)


def test_npz_refuses_what_is_none_or_damaged(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(3000) % 7, y=np.arange(3000))
    raw = path.read_bytes()
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        datasets.read_npz(write(path, raw[: len(raw) // 2]))
    altered = bytearray(raw)
    altered[300:340] = bytes(40)
    with pytest.raises(ValueError, match="cannot use"):
        datasets.read_npz(write(path, bytes(altered)))
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        datasets.read_npz(tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError):
        datasets.read_npz(tmp_path / "none.npz")


# Damaged files of every kind


def archive(**arrays):
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def plain(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def claiming(shape, dtype="'<f4'", order="False", data=b""):
    """Return an .npy file whose header says what it likes."""
    header = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def zipped(method=zipfile.ZIP_DEFLATED, **members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as file:
        for name, member in members.items():
            file.writestr(f"{name}.npy", member)
    return content.getvalue()


def encrypted(content):
    """Return an archive that says of its members that they are."""
    content = content.replace(b"PK\x03\x04\x14\x00\x00\x00", b"PK\x03\x04\x14\x00\x01\x00")
    return content.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")


X, Y = np.arange(24, dtype=np.float32).reshape(4, 3, 2), np.arange(4)
CIFAR = cifar_bytes(np.zeros((2, 3, 32, 32), np.uint8), np.array([1, 9]))
READERS = {
    "idx": (datasets.read_idx, idx_bytes(X)),
    "idx.gz": (datasets.read_idx, gzip.compress(idx_bytes(X), mtime=0)),
    "cifar": (datasets.read_cifar10, CIFAR),
    "npz": (datasets.read_npz, archive(x=X, y=Y)),
    "stored npz": (datasets.read_npz, zipped(zipfile.ZIP_STORED, x=plain(X), y=plain(Y))),
    "npy": (read_npy, plain(X)),
}


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=150)
@given(data=st.data())
def test_flipped_bits_and_lost_ends_give_arrays_or_a_clear_error(kind, tmp_path_factory, data):
    read, content = READERS[kind]
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(0, 4))):
        changed[data.draw(st.integers(0, min(200, len(content) - 1)) | st.integers(0, len(content) - 1))] ^= (
            1 << data.draw(st.integers(0, 7))
        )
    end = data.draw(st.none() | st.integers(0, len(content)))
    path = write(tmp_path_factory.mktemp("damaged") / "file", bytes(changed[:end]))
    try:
        arrays = read(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        arrays = arrays if isinstance(arrays, tuple) else (arrays,)
        assert all(isinstance(array, np.ndarray) for array in arrays)


HEADERS = [
    claiming("(12000, 12000)"),
    claiming("(12000, 12000)", data=bytes(1000)),
    claiming("(4000000000, 4000000000, 4000000000)"),
    claiming("(0, 4000000000, 4000000000, 4000000000)"),
    claiming("(-1, 2)"),
    claiming("(2, 2.0)"),
    claiming("(True,)"),
    claiming("(" + "1, " * 100 + ")"),
    claiming("(2, 2)", dtype="'|O'"),
    claiming("(2, 2)", dtype="'<f4,(2'"),
    claiming("(2, 2)", dtype="[('a', '<f4'), ('a', '<f4')]"),
    claiming("(2, 2)", dtype="__import__('os')"),
    claiming("(2, 2)", dtype="'" + "(" * 5000 + "'"),
    claiming("(2, 2)", dtype="(" * 90 + ")" * 90),
    claiming("(2, 2)", order="1"),
    claiming("(2,", data=bytes(16)),
    claiming("(4L, 4L)", data=bytes(16)),
    claiming("(10,)", dtype="'<U0'"),
    b"\x93NUMPY\x09\x00" + bytes(100),
    b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100),
    b"\x93NUMPY\x03\x00\x10\x00\x00\x00" + bytes(100),
    b"\x93NUMPY",
    pickle.dumps([1, 2]),
    b"",
]


@pytest.mark.parametrize("content", HEADERS, ids=lambda content: repr(content[10:90]))
def test_headers_of_arrays_are_compared_with_the_file(content, tmp_path):
    for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        path = write(tmp_path / name, zipped(method, x=content, y=plain(Y)))
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=name):
                datasets.read_npz(path)
            assert tracemalloc.get_traced_memory()[1] < 3_000_000
        finally:
            tracemalloc.stop()
    path = write(tmp_path / "array.npy", content)
    try:
        array = read_npy(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert array.nbytes <= len(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(zipfile.ZIP_BZIP2, x=plain(X), y=plain(Y)), "compression method that NumPy does not write"),
        (zipped(zipfile.ZIP_LZMA, x=plain(X), y=plain(Y)), "compression method that NumPy does not write"),
        (zipped(x=plain(X) + b"more", y=plain(Y)), "does not have 96 bytes"),
        (zipped(x=plain(X)[:-1], y=plain(Y)), "claims to be|does not have"),
        (zipped(x=b"text", y=plain(Y)), "not stored as an array"),
        (zipped(), "it has arrays"),
        (encrypted(zipped(x=plain(X), y=plain(Y))), "password"),
    ],
)
def test_archives_that_numpy_does_not_write(content, message, tmp_path):
    path = write(tmp_path / "a.npz", content)
    with pytest.raises(ValueError, match=message) as error:
        datasets.read_npz(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", ">f8", "uint8", "bool", "<U3", "int16"])
def test_arrays_of_archives_come_as_they_are_and_can_be_written_to(order, dtype, tmp_path):
    x = np.asarray(np.arange(24).reshape(4, 3, 2).astype(dtype), order=order)
    np.savez(tmp_path / "a.npz", x=x, y=Y)
    for read in (datasets.read_npz(tmp_path / "a.npz")[0], read_npz_array(tmp_path / "a.npz", ["X", "x"])):
        assert read.dtype == x.dtype and read.flags.writeable and read.flags.f_contiguous == (order == "F")
        np.testing.assert_array_equal(read, x)
    with pytest.raises(ValueError, match="expected one named z"):
        read_npz_array(tmp_path / "a.npz", ["z"])


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_no_reader_runs_a_pickle(tmp_path):
    evil = pickle.dumps(Evil(tmp_path / "ran"))
    array = np.empty(1, object)
    array[0] = Evil(tmp_path / "ran")
    files = [evil, *(pickle.dumps(Evil(tmp_path / "ran"), protocol) for protocol in range(3)), plain(array)]
    files += [zipped(x=content, y=content) for content in files]
    for content in files:
        for read in (datasets.read_idx, datasets.read_cifar10, datasets.read_npz, read_npy):
            with pytest.raises(ValueError, match="file"):
                read(write(tmp_path / "file", content))
    assert not (tmp_path / "ran").exists()


def test_the_python_version_of_cifar10_is_named(tmp_path):
    write(tmp_path / "data_batch_1", pickle.dumps({"data": [1]}))
    with pytest.raises(
        FileNotFoundError, match="data_batch_1 belongs to the Python version, whose pickles could run code"
    ):
        datasets.read_cifar10(tmp_path)
    with pytest.raises(ValueError, match="looks like a pickle"):
        datasets.read_cifar10(tmp_path / "data_batch_1")
