"""IDX, CIFAR-10 and npz files."""

import gzip

import numpy as np
import pytest
from file_formats import IDX_CODES, cifar_bytes, idx_bytes, write
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from pynn import datasets


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
    with pytest.raises(FileNotFoundError, match=r"holds no data_batch_\*.bin"):
        datasets.read_cifar10(tmp_path)
    with pytest.raises(ValueError, match="part is 'validation'"):
        datasets.read_cifar10(tmp_path, "validation")


# npz


@pytest.mark.parametrize("names", [("x", "y"), ("X", "y"), ("data", "target")])
def test_npz(tmp_path, names):
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
