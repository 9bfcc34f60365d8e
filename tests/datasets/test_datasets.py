"""Digits, generators and the split into parts."""

import functools

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets as peers

from pynn import datasets


@pytest.fixture
def rng():
    return np.random.default_rng(3)


# what ships, what is made up


def test_digits_are_those_of_scikit_learn():
    x, y = datasets.load_digits()
    expected = peers.load_digits()
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(x, expected.data)
    np.testing.assert_array_equal(y, expected.target)


@pytest.mark.parametrize(
    ("generate", "shape", "counts"),
    [
        (functools.partial(datasets.spiral, 7, 4), (28, 2), [7] * 4),
        (functools.partial(datasets.moons, 25), (25, 2), [12, 13]),
        (functools.partial(datasets.blobs, 11, 3, 5), (11, 5), [4, 4, 3]),
    ],
)
def test_generated_data_have_their_shape_and_classes_and_follow_the_seed(generate, shape, counts):
    x, y = generate()
    assert (x.dtype, y.dtype, x.shape) == (np.float32, np.int64, shape)
    np.testing.assert_array_equal(np.bincount(y), counts)
    np.testing.assert_array_equal(x, generate(seed=np.random.default_rng(0))[0])
    assert not np.array_equal(x, generate(seed=1)[0])


def test_spiral_is_that_of_the_lecture():
    x, y = datasets.spiral(50, 3, noise=0.0)
    for j in range(3):
        arm = x[y == j][np.argsort(np.hypot(*x[y == j].T))]
        r, t = np.linspace(0, 1, 50), np.linspace(4 * j, 4 * (j + 1), 50)
        np.testing.assert_allclose(arm, np.c_[r * np.sin(t), r * np.cos(t)], atol=1e-6)


def test_moons_without_noise_are_those_of_scikit_learn():
    x, y = datasets.moons(31, noise=0.0)
    expected, labels = peers.make_moons(31, shuffle=False)
    for c in (0, 1):
        ours, theirs = x[y == c], expected[labels == c]
        np.testing.assert_allclose(ours[ours[:, 0].argsort()], theirs[theirs[:, 0].argsort()], atol=1e-6)


def test_blobs_have_their_spread():
    x, y = datasets.blobs(3000, classes=2, std=0.5)
    np.testing.assert_allclose([x[y == c].std(axis=0) for c in (0, 1)], 0.5, rtol=0.1)


@pytest.mark.parametrize(
    ("generate", "error", "message"),
    [
        (lambda: datasets.spiral(0), ValueError, "n_per_class is 0; expected at least 1"),
        (lambda: datasets.spiral(classes=2.0), TypeError, "classes is 2.0; expected an int"),
        (lambda: datasets.spiral(noise=-1), ValueError, "noise is -1"),
        (lambda: datasets.moons(1), ValueError, "n is 1; expected at least 2"),
        (lambda: datasets.blobs(2, classes=3), ValueError, "n is 2; expected at least 3"),
        (lambda: datasets.blobs(features=True), TypeError, "features is True"),
        (lambda: datasets.blobs(std=float("nan")), ValueError, "std is nan"),
    ],
)
def test_generators_refuse(generate, error, message):
    with pytest.raises(error, match=message):
        generate()


# train_test_split


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    fraction=st.floats(0.01, 0.6),
    seed=st.integers(0, 100),
)
def test_stratified_split(counts, fraction, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)) * 3 - 2, counts))
    n_test = max(1, round(fraction * len(y)))
    if len(y) < 2 or n_test > len(y) - len(counts):
        with pytest.raises(ValueError, match=r"expected at least 2|leave too few"):
            datasets.train_test_split(y, y, fraction, seed)
        return
    train, test, y_train, y_test = datasets.train_test_split(np.arange(len(y)), y, fraction, seed)
    assert sorted([*train, *test]) == list(range(len(y)))
    np.testing.assert_array_equal(y[train], y_train)
    np.testing.assert_array_equal(y[test], y_test)
    assert len(test) == n_test
    assert set(y_train) == set(y)
    for label, count in zip(np.unique(y), np.unique(y, return_counts=True)[1], strict=True):
        share = (y_test == label).sum()
        assert share >= min(int(count * n_test / len(y) + 1e-9), count - 1)
        if min(counts) * (1 - n_test / len(y)) >= 1:  # then no class has to hand its share to another
            assert share <= count * n_test / len(y) + 1


@pytest.mark.parametrize("y", [np.linspace(0, 1, 40), np.arange(40) % 3, np.zeros((40, 2), int)])
def test_plain_split(y):
    x = np.arange(120).reshape(40, 3)
    x_train, x_test, y_train, y_test = datasets.train_test_split(x, y, 0.25, stratify=False)
    assert (len(x_train), len(x_test), len(y_train), len(y_test)) == (30, 10, 30, 10)
    np.testing.assert_array_equal(y[x_test[:, 0] // 3], y_test)
    np.testing.assert_array_equal(datasets.train_test_split(x, y, 0.25, stratify=False)[0], x_train)
    assert not np.array_equal(datasets.train_test_split(x, y, 0.25, seed=1, stratify=False)[0], x_train)


@pytest.mark.parametrize(
    ("x", "y", "fraction", "message"),
    [
        ([[1], [2]], [1], 0.5, r"x has shape \(2, 1\) and y has shape \(1,\)"),
        ([1, 2], [1, 2], 1.0, "test_fraction is 1.0; expected a number between 0 and 1"),
        ([1, 2], [1, 2], 0, "test_fraction is 0"),
        ([1], [1], 0.5, "expected at least 2"),
        ([1, 2, 3], [1, 2, 3], 0.5, "y has 3 classes, and each needs one"),
    ],
)
def test_split_refuses(x, y, fraction, message):
    with pytest.raises(ValueError, match=message):
        datasets.train_test_split(x, y, fraction)


RARE = np.arange(200) % 50 == 0
LABELS = {
    "text": np.where(RARE, "rare", "common"),
    "bytes": np.where(RARE, b"rare", b"common"),
    "booleans": RARE,
    "a list of text": ["rare" if rare else "common" for rare in RARE],
    "objects": np.array(["rare" if rare else 7 for rare in RARE], object),
    "integers beyond int64": [2**70 if rare else 3 for rare in RARE],
    "uint64": np.where(RARE, np.uint64(2**64 - 1), np.uint64(5)),
    "big-endian": RARE.astype(">i4"),
    "one column": RARE[:, None].astype(int),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("seed", range(4))
def test_labels_of_every_kind_are_split_by_class(kind, seed):
    train, test, y_train, y_test = datasets.train_test_split(np.arange(200), LABELS[kind], 0.25, seed)
    assert RARE[test].sum() == 1
    np.testing.assert_array_equal(y_test, np.asarray(LABELS[kind])[test])
    np.testing.assert_array_equal(y_train, np.asarray(LABELS[kind])[train])


LIST_LABEL = np.array([None, "b"], object)
LIST_LABEL[0] = ["a"]


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        ([1, 2], np.array(["a", None], object), ValueError, "y has no label in row 1"),
        ([1, 2], np.array([np.nan, "a"], object), ValueError, "y has no label in row 0"),
        ([1, 2], np.ma.masked_array([0, 1], [False, True]), ValueError, "y has 1 masked values"),
        (np.ma.masked_array([[0, 1], [0, 1]], [[0, 0], [1, 0]]), [0, 1], ValueError, "x has 1 masked values"),
        ([1, 2], LIST_LABEL, TypeError, r"y has \['a'\] in row 0; expected a number or text"),
        (scipy.sparse.csr_matrix([[0, 1], [1, 0]]), [0, 1], TypeError, "x is .*csr.*toarray"),
    ],
)
def test_split_refuses_what_has_no_label(x, y, error, message):
    with pytest.raises(error, match=message):
        datasets.train_test_split(x, y, 0.5)
