import csv
import functools
import gzip
import hashlib
import http.server
import io
import json
import sys
import tarfile
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from sklearn import datasets as peers

from pynn import datasets
from pynn.datasets import fetch

IDX_CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def idx_bytes(array):
    header = bytes([0, 0, IDX_CODES[array.dtype.name], array.ndim])
    return header + np.array(array.shape, ">u4").tobytes() + array.astype(array.dtype.newbyteorder(">")).tobytes()


def cifar_bytes(x, y):
    return np.column_stack([y.astype(np.uint8), x.reshape(len(y), -1)]).tobytes()


def write(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def csv_file(tmp_path):
    return lambda text, name="table.csv": write(tmp_path / name, text)


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
def test_generators(generate, shape, counts):
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
    path = write(tmp_path_factory.mktemp("idx") / "a", gzip.compress(raw) if compress else raw)
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
        (GOOD_IDX[:-1], r"has 23 bytes; expected 24 for int16 of shape \(2, 3\)"),
        (GOOD_IDX + b"x", "has 25 bytes; expected 24"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "has 16 bytes; expected"),
        (gzip.compress(GOOD_IDX)[:-3], "damaged gzip file"),
        (gzip.compress(GOOD_IDX)[:-8] + b"\0" * 8, "damaged gzip file"),
        (gzip.compress(GOOD_IDX[:-1]), "has 23 bytes; expected 24"),
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


# CSV

MIXED = "size,colour,grade\n1.5,red,b\n,blue,a\n-2e1,NA,b\n4,red,a\n"


def test_csv_of_numbers_text_and_gaps(csv_file):
    table = datasets.read_csv(csv_file(MIXED))
    assert table.feature_names == ["size", "colour=blue", "colour=red"]
    np.testing.assert_array_equal(table.x, [[1.5, 0, 1], [np.nan, 1, 0], [-20, 0, 0], [4, 0, 1]])
    assert (table.x.dtype, table.y.dtype) == (np.float64, np.int64)
    np.testing.assert_array_equal(table.y, [1, 0, 1, 0])
    assert table.class_names == ["a", "b"]
    assert table.missing == {"size": 1, "colour": 1}


def test_fill_means_come_from_the_training_rows_and_travel_with_the_schema(csv_file):
    table = datasets.read_csv(csv_file(MIXED))
    filled = table.fit_fill([0, 1, 2])
    assert filled.x[1, 0] == (1.5 - 20) / 2
    assert np.isnan(table.x[1, 0])
    assert table.schema["columns"][0]["fill"] is None
    schema = json.loads(json.dumps(filled.schema))
    new = datasets.read_csv(csv_file("size,colour\n?,red\n", "new.csv"), schema=schema)
    np.testing.assert_array_equal(new.x, [[(1.5 - 20) / 2, 0, 1]])
    assert new.y is None
    assert new.missing == {"size": 1}
    mask = np.array([True, False, False, False])
    assert table.fit_fill(mask).x[1, 0] == table.fit_fill(slice(0, 1)).x[1, 0] == 1.5
    with pytest.raises(ValueError, match="filled already"):
        filled.fit_fill(mask)
    with pytest.raises(ValueError, match="column 'size' has no number in the training rows"):
        table.fit_fill([1])
    for rows in ([], 1):
        with pytest.raises(ValueError, match="selects no rows"):
            table.fit_fill(rows)


@pytest.mark.parametrize(
    ("text", "rows", "names"),
    [
        ("a,b\n1,2\n3,4\n", 2, ["a"]),
        ("1,2\n3,4\n", 2, ["column_0"]),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n6.3,?,virginica\n", 3, ["column_0", "column_1"]),
        ("wind,play\nweak,yes\nstrong,no\nweak,no\n", 3, ["wind=strong", "wind=weak"]),
        ("weak,yes\nstrong,no\nweak,no\n", 3, ["column_0=strong", "column_0=weak"]),
        (",a,b\n0,1,2\n1,3,4\n", 2, ["column_0", "a"]),
        ("a,b\n?,x\n2,y\n", 2, ["a"]),
    ],
)
def test_csv_header_is_recognised(csv_file, text, rows, names):
    table = datasets.read_csv(csv_file(text))
    assert len(table.x) == rows
    assert table.feature_names == names


def test_csv_header_can_be_given(csv_file):
    path = csv_file("name,2019,2020\nann,1,2\nbob,3,4\n")
    assert len(datasets.read_csv(path, task="classification").x) == 3
    assert datasets.read_csv(path, header=True).feature_names == ["name=ann", "name=bob", "2019"]
    assert datasets.read_csv(path, "2019").feature_names == ["name=ann", "name=bob", "2020"]
    assert len(datasets.read_csv(csv_file("a,1\nb,2\n"), header=False).x) == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_dialects(tmp_path, delimiter, encoding, newline):
    rows = [["größe", "note, long; with\ttab", "t"], ["1", 'say "a",\nthen b', "no"], [" 2 ", "", "yes"]]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=newline).writerows([*rows[:2], [], *rows[2:]])
    table = datasets.read_csv(write(tmp_path / "t.csv", text.getvalue().encode(encoding)))
    assert table.feature_names[0] == "größe"
    np.testing.assert_array_equal(table.x, [[1, 1], [2, 0]])
    assert table.class_names == ["no", "yes"]


@pytest.mark.parametrize(
    ("labels", "task", "names", "y"),
    [
        ("10 9 10", None, ["9", "10"], [1, 0, 1]),
        ("1.0 0 +1", None, ["0", "1"], [1, 0, 1]),
        ("no 7 no", None, ["7", "no"], [1, 0, 1]),
        ("1.5 2 -3", None, None, [1.5, 2, -3]),
        ("1 2 3", "regression", None, [1, 2, 3]),
        ("1.5 2.5 1.5", "classification", ["1.5", "2.5"], [0, 1, 0]),
    ],
)
def test_csv_targets(csv_file, labels, task, names, y):
    text = "f,t\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels.split()))
    table = datasets.read_csv(csv_file(text), "t", task=task)
    assert table.class_names == names
    assert table.y.dtype == (np.float32 if names is None else np.int64)
    np.testing.assert_array_equal(table.y, y)
    again = datasets.read_csv(csv_file(text), schema=table.schema)
    np.testing.assert_array_equal(again.y, y)
    np.testing.assert_array_equal(again.x, table.x)


@pytest.mark.parametrize(
    ("target", "names"), [("a", ["b", "c"]), (1, ["a", "c"]), (-3, ["b", "c"]), (None, ["a", "b"]), ("c", ["a", "b"])]
)
def test_csv_target_by_name_or_index(csv_file, target, names):
    assert datasets.read_csv(csv_file("a,b,c\n1,2,3\n4,5,6\n"), target).feature_names == names


@settings(max_examples=60, deadline=None)
@given(
    x=st_numpy.arrays(
        np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.floats(allow_infinity=False)
    ),
    labels=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=6, max_size=6),
    delimiter=st.sampled_from(",;\t"),
)
def test_csv_round_trip(tmp_path_factory, x, labels, delimiter):
    x[0] = np.nan_to_num(x[0])  # every column has a number
    labels = [f"class {label}".strip() for label in labels[: len(x)]]
    names = [f"f{i}" for i in range(x.shape[1])]
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow([*names, "label"])
        writer.writerows([*map(repr, row), label] for row, label in zip(x.tolist(), labels, strict=True))
    table = datasets.read_csv(path, "label")
    np.testing.assert_array_equal(table.x, x)
    assert table.feature_names == names
    assert [table.class_names[i] for i in table.y] == labels
    again = datasets.read_csv(path, schema=json.loads(json.dumps(table.schema)))
    np.testing.assert_array_equal(again.x, x)
    np.testing.assert_array_equal(again.y, table.y)


@settings(max_examples=80, deadline=None)
@given(text=st.text(alphabet='ab1,;\t\n\r" ?.-', max_size=60))
def test_any_text_gives_a_table_or_a_clear_error(tmp_path_factory, text):
    path = write(tmp_path_factory.mktemp("csv") / "t.csv", text.encode())
    try:
        table = datasets.read_csv(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert table.x.shape == (len(table.y), len(table.feature_names))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        ("\n  \n", {}, "is empty"),
        ("a,b\n", {}, "has a header but no rows"),
        ("a,b\n1,2\n1,2,3\n", {}, "line 3: 3 cells; expected 2, as in line 1"),
        ('a,b\n1,"x\ny"\n1\n', {}, "line 4: 1 cells"),
        ('a,b\n1,"x\n', {}, "line 2: unexpected end of data"),
        (b"a,b\n\xff,1\n", {}, "is not UTF-8"),
        ("a\n1\n", {}, "has one column"),
        ("a,a,b\n1,2,3\n", {}, "more than one column named 'a'"),
        ("a,b\n1,2\n", {"target": "c"}, "has no column 'c'; it has a, b"),
        ("a,b\n1,2\n", {"target": 2}, "has no column 2; it has 2: a, b"),
        ("a,b\n1,2\n", {"target": -3}, "has no column -3"),
        ("a,b\n1,x\n2,\n3,?\n", {}, "target 'b' is missing in line 3, 4"),
        ("a,b\n" + "1,\n" * 15, {}, "in line 2, 3, .*, 11 and 5 more"),
        ("a,b\n?,1\n,2\n", {"header": True}, "column 'a' has no values"),
        ("a,b\n1,2\ninf,3\n", {}, "line 3: column 'a' has 'inf'; expected a finite number"),
        ("a,b\n1,inf\n2,3\n", {}, "line 2: column 'b' has 'inf'"),
        ("a,b\n1,x\n2,3\n", {"task": "regression"}, "line 2: target 'b' is 'x'; regression needs numbers"),
        ("a,b\n1,2\n", {"task": "ranking"}, "task is 'ranking'"),
        (
            "a,b\n" + "".join(f"{i if i != 5 else 'x5'},{i % 2}\n" for i in range(21)),
            {"header": True},
            "column 'a' holds text \\('x5' in line 7\\) and 21 different values; at most 20",
        ),
    ],
)
def test_csv_refuses(csv_file, text, options, message):
    path = csv_file(text)
    with pytest.raises(ValueError, match=message):
        datasets.read_csv(path, **options)


@pytest.mark.parametrize("target", [1.0, True, ["a"]])
def test_csv_refuses_a_target_that_is_neither_name_nor_index(csv_file, target):
    with pytest.raises(TypeError, match="expected the name of a column or its index"):
        datasets.read_csv(csv_file(MIXED), target)


def test_csv_twenty_categories_are_encoded(csv_file):
    table = datasets.read_csv(csv_file("a,b\n" + "".join(f"v{i:02},{i % 2}\n" for i in range(20))))
    np.testing.assert_array_equal(table.x, np.eye(20))


@pytest.mark.parametrize(
    ("text", "x", "y"),
    [
        ("size,colour,grade\n2,red,a\n", [2, 0, 1], [0]),
        ("id,grade,colour,size\n9,b,blue,3\n", [3, 1, 0], [1]),
        ("colour;size\nblue;3\n", [3, 1, 0], None),
        ("3,blue\n", [3, 1, 0], None),
        ("3,?,b\n", [3, 0, 0], [1]),
    ],
)
def test_csv_with_a_schema(csv_file, text, x, y):
    schema = datasets.read_csv(csv_file(MIXED)).schema
    table = datasets.read_csv(csv_file(text, "new.csv"), schema=schema)
    np.testing.assert_array_equal(table.x, [x])
    assert (None if table.y is None else table.y.tolist()) == y
    assert table.class_names == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("size,grade\n1,a\n", {}, "lacks column colour; it has size, grade"),
        ("size,colour\n1,red\n2,green\n", {}, "line 3: column 'colour' has 'green', .* known categories blue, red"),
        ("size,colour\nbig,red\n", {}, "line 2: column 'size' has 'big'; expected a finite number"),
        ("size,colour,grade\n1,red,c\n", {}, "line 2: target 'grade' is 'c', which is none of the classes a, b"),
        ("1,red,a,7\n", {}, r"no header and 4 columns; expected 2 features \(size, colour\)"),
        ("size,colour\n1,red\n", {"target": "size"}, "target and task are part of the schema"),
        ("width,hue\n1,red\n", {}, "line 1: column 'size' has 'width'"),
    ],
)
def test_csv_refuses_what_does_not_fit_the_schema(csv_file, text, options, message):
    schema = datasets.read_csv(csv_file(MIXED)).schema
    with pytest.raises(ValueError, match=message):
        datasets.read_csv(csv_file(text, "new.csv"), schema=schema, **options)


def test_csv_without_header_keeps_the_place_of_its_target(csv_file):
    schema = datasets.read_csv(csv_file("yes,1,2\nno,3,4\nyes,5,6\n"), 0).schema
    np.testing.assert_array_equal(datasets.read_csv(csv_file("no,7,8\n"), schema=schema).x, [[7, 8]])
    np.testing.assert_array_equal(datasets.read_csv(csv_file("7,8\n"), schema=schema).x, [[7, 8]])


def test_csv_class_named_none_is_a_class_like_others(csv_file):
    schema = datasets.read_csv(csv_file("a,b\n1,None\n2,some\n")).schema
    with pytest.raises(ValueError, match="target 'b' is 'many', which is none of the classes None, some"):
        datasets.read_csv(csv_file("a,b\n1,many\n"), schema=schema)


@pytest.mark.parametrize(
    "change",
    [
        {"columns": None},
        {"columns": []},
        {"columns": [{"name": "a"}]},
        {"columns": [{"name": "a", "kind": "picture", "categories": [], "fill": None}]},
        {"columns": [{"name": "a", "kind": "number", "categories": [], "fill": float("nan")}]},
        {"target": {"name": "t", "index": 9, "class_names": None}},
        {"target": {"name": "t", "index": 0, "class_names": "ab"}},
    ],
)
def test_csv_refuses_a_broken_schema(csv_file, change):
    schema = datasets.read_csv(csv_file(MIXED)).schema
    with pytest.raises(ValueError, match="not one that read_csv made"):
        datasets.read_csv(csv_file(MIXED), schema={**schema, **change})


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
    pooch = pytest.importorskip("pooch")
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
    with pytest.raises(OSError, match=f"could not download {name} .*set PYNN_DATA to the folder"):
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
