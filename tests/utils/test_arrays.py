"""Data of every provenance: taken for what they are, or refused by name before anything has changed."""

import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from cases import case
from scipy import sparse

import pynn
from pynn.preprocessing import PCA, Center, MinMax, Pipeline, Standardize

RNG = np.random.default_rng(3)
X = RNG.normal(size=(30, 2))
Y = RNG.integers(0, 2, 30)


def new_trainer(loss=None, outputs=2, preprocessing=None):
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(2, outputs, dtype="float64"))
    model.preprocessing = preprocessing
    return pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), pynn.SGD(0.1))


def uses_of_inputs(trainer, x):
    """Return everything that takes inputs, by name."""
    model, scaler = trainer.model, Standardize()
    fitted = Standardize().fit(X)
    return {
        "fit": lambda: trainer.fit(x, Y[: len(Y)], epochs=1),
        "batches": lambda: trainer.fit([(x, Y)], epochs=1),
        "validation": lambda: trainer.fit(X, Y, epochs=1, validation=(x, Y)),
        "evaluate": lambda: trainer.evaluate(x, Y),
        "step": lambda: trainer.step(x, Y),
        "call": lambda: model(x),
        "predict": lambda: model.predict(x),
        "predict_label": lambda: model.predict_label(x),
        "predict_proba": lambda: model.predict_proba(x),
        "scaler": lambda: scaler.fit(x),
        "partial": lambda: scaler.partial_fit(x),
        "transform": lambda: fitted.transform(x),
        "inverse": lambda: fitted.inverse_transform(x),
        "pipeline": lambda: Pipeline([Center(), MinMax(), PCA(1)]).fit(x),
        "gradcheck": lambda: pynn.gradcheck(model, trainer.loss, x, Y),
        "diagnose": lambda: pynn.diagnose(trainer, x, Y, epochs=1, seconds=1),
    }


def masked(shape=(30, 2), rows=(4,)):
    mask = np.zeros(shape, bool)
    mask[list(rows)] = True
    return np.ma.array(np.ones(shape), mask=mask)


def with_object(value, dtype=object):
    x = X.astype(dtype)
    x[4, 1] = value
    return x


BAD_INPUTS = {
    "masked": (masked, ValueError, "x has 2 masked values, the first in row 4, column 0: fill them"),
    "masked rows": (lambda: list(masked()), ValueError, "x has 2 masked values, the first in row 4"),
    "sparse matrix": (lambda: sparse.csr_matrix(X), TypeError, r"x is a sparse csr_matrix.*x\.toarray\(\)"),
    "sparse array": (lambda: sparse.coo_array(X), TypeError, r"x is a sparse coo_array.*x\.toarray\(\)"),
    "None": (lambda: with_object(None), ValueError, "x has a missing value, None, in row 4, column 1"),
    "text": (lambda: X.astype(str), TypeError, "x has dtype <U.*; expected.*encode text as numbers"),
    "text among numbers": (
        lambda: with_object("red"),
        TypeError,
        "x has dtype object, such as 'red' in row 4, column 1",
    ),
    "bytes": (lambda: X.astype("S8"), TypeError, "x has dtype |S8; expected"),
    "complex": (lambda: X + 1j, TypeError, "x has dtype complex128; expected.*real and imaginary"),
    "complex among numbers": (lambda: with_object(1j), TypeError, "x has dtype object, such as 1j in row 4, column 1"),
    "dates": (lambda: X.astype("M8[s]"), TypeError, "x has dtype datetime64.*convert dates to numbers"),
    "spans": (lambda: X.astype("m8[s]"), TypeError, "x has dtype timedelta64.*divide by a unit"),
    "fields": (lambda: np.zeros(30, "f4,f4"), TypeError, "x has dtype.*structured_to_unstructured"),
    "masked fields": (lambda: np.ma.zeros(30, "f4,f4"), TypeError, "x has dtype.*structured_to_unstructured"),
    "ragged": (lambda: [[1.0, 2.0]] * 29 + [[1.0]], ValueError, "x is ragged: its rows differ in length"),
    "arrays in an array": (lambda: np.array([X[:3], None], object)[:1].repeat(30), TypeError, "x has dtype object"),
    "a dictionary": (lambda: {"a": X}, TypeError, "x has dtype object"),
    "a set": (lambda: {1.0, 2.0}, TypeError, "x has dtype object"),
    "a huge integer": (lambda: with_object(10**400), ValueError, "x holds an integer out of range"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_inputs_that_are_no_numbers_are_refused(name):
    make, error, said = BAD_INPUTS[name]
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=1)
    before = trainer.model.state_dict()["0.weight"]
    for use, call in uses_of_inputs(trainer, make()).items():
        with case(use):
            with pytest.raises(error, match=said):
                call()
            assert trainer.steps == 1
            np.testing.assert_array_equal(trainer.model[0].weight[...], before)


def test_preflight_tells_of_inputs_that_are_no_numbers():
    for make, _, said in BAD_INPUTS.values():
        report = pynn.preflight(new_trainer(), make(), Y)
        assert not report.ok
        assert re.search(said.split(";")[0].split(": fill")[0], str(report.checks)), said


class Tensor:
    """What another library's array is to NumPy."""

    def __init__(self, array, error=None):
        self.array, self.error = array, error

    def __array__(self, dtype=None, copy=None):
        if self.error is not None:
            raise self.error
        return np.asarray(self.array, dtype)


BY = np.dtype(np.float64).newbyteorder()
GOOD_INPUTS = {
    "a mask of nothing": lambda x: np.ma.array(x, mask=np.zeros(x.shape, bool)),
    "no mask": np.ma.array,
    "big-endian": lambda x: x.astype(BY),
    "longdouble": lambda x: x.astype(np.longdouble),
    "lists": lambda x: x.tolist(),
    "objects": lambda x: x.astype(object),
    "tuples of arrays": tuple,
    "decimals": lambda x: [[Decimal(value) for value in row] for row in x.tolist()],
    "fractions": lambda x: [[Fraction(value) for value in row] for row in x.tolist()],
    "matrix": lambda x: np.matrix(x),
    "fortran": np.asfortranarray,
    "tensor": Tensor,
}


@pytest.mark.parametrize("name", GOOD_INPUTS)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_inputs_of_any_provenance_train_alike(name):
    trainers = []
    for x in (X, GOOD_INPUTS[name](X)):
        trainer = new_trainer(preprocessing=Standardize())
        trainer.fit(x, Y, epochs=2, validation=(x, Y))
        trainer.fit([(x, Y)], epochs=1)
        trainer.step(x, Y)
        trainers.append((trainer.history["val_loss"][:2], trainer.history["loss"], trainer.model.predict(x).tolist()))
    for plain, other in zip(*trainers, strict=True):
        np.testing.assert_allclose(other, plain, rtol=1e-10)


def test_a_table_of_numbers_and_booleans():
    table = np.array([[value, bool(flag)] for value, flag in zip(X[:, 0], Y, strict=True)], object)
    trainer = new_trainer()
    np.testing.assert_array_equal(trainer.model.predict(table), trainer.model.predict(table.astype(float)))
    np.testing.assert_array_equal(Center().fit_transform(table), Center().fit_transform(table.astype(float)))


def test_tables_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": X[:, 0], "red": Y > 0})
    trainer, plain = new_trainer(), np.column_stack([X[:, 0], Y > 0])
    want = trainer.model.predict(plain)
    for table in (
        frame,
        frame.astype("Float64"),
        frame.astype({"red": "boolean"}),
        frame.astype({"red": "Int64"}),
        frame.astype({"red": int}).astype({"red": "category"}),
    ):
        np.testing.assert_allclose(trainer.model.predict(table), want)
        new_trainer().fit(table, pandas.Series(Y).astype("Int64"), epochs=1)
    missing = frame.astype({"red": "boolean"})
    missing.loc[3, "red"] = pandas.NA
    with pytest.raises(ValueError, match="x has a missing value, <NA>, in row 3, column 'red'"):
        trainer.fit(missing, Y, epochs=1)
    with pytest.raises(TypeError, match="such as 'a' in row 0, column 'red'; expected"):
        trainer.fit(frame.assign(red="a"), Y, epochs=1)
    dated = frame.assign(red=pandas.Timestamp("2020-01-01"))
    with pytest.raises(TypeError, match=r"x has dtype object, such as .* in row 0, column 'red'"):
        trainer.fit(dated, Y, epochs=1)
    labels = pandas.Series(Y).astype("Int64")
    labels[5] = pandas.NA
    with pytest.raises(ValueError, match=r"targets have a (missing value, <NA>,|NaN) in row 5"):
        trainer.fit(frame, labels, epochs=1)


def test_an_array_that_numpy_cannot_take_is_named():
    error = RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    with pytest.raises(TypeError, match=r"x is a Tensor that NumPy cannot convert: .*tensor\.detach\(\)"):
        new_trainer().fit(Tensor(X, error), Y, epochs=1)


BAD_LABELS = {
    "text with a gap": (
        np.where(np.arange(30) == 3, None, "a"),
        ValueError,
        "targets have a missing value, None.* row 3",
    ),
    "text with a NaN": (["a", float("nan"), *["b"] * 28], ValueError, "targets have a missing value, nan, in row 1"),
    "text and numbers": (
        np.array(["a", 1] * 15, object),
        TypeError,
        "targets have 1 in row 1 among labels that are text",
    ),
    "columns of text": (np.full((30, 2), "a"), ValueError, r"targets are text of shape \(30, 2\)"),
    "bytes": (np.full(30, b"a"), TypeError, "dtype |S1; CrossEntropyLoss expects class labels, numbered from 0"),
    "fractions": (Y + np.where(np.arange(30) == 3, 0.5, 0), ValueError, r"target \d.5 in row 3 is not a whole number"),
    "infinite": (Y + np.where(np.arange(30) == 3, np.inf, 0), ValueError, "target inf in row 3 is not a whole number"),
    "soft": (np.where(Y[:, None] > 0, [0.2, 0.8], [1, 0]), ValueError, r"target \[0.2 0.8\] in row \d+ is not a whole"),
    "two ones": (
        np.ones((30, 2), int),
        ValueError,
        r"shape \(30, 2\), and row 0 is not one-hot; Cross.*\(n, classes\)",
    ),
    "images": (np.zeros((30, 2, 2), int), ValueError, r"shape \(30, 2, 2\); .*one label per row, \(n,\), or one-hot"),
    "beyond int64": (
        Y.astype(np.uint64) + np.uint64(2**63),
        ValueError,
        r"target 922337\d* in row \d+ is out of range of int64",
    ),
    "huge": ([2**70, *Y[1:].tolist()], ValueError, "targets holds? an integer out of range of int64"),
    "masked": (np.ma.array(Y, mask=np.arange(30) == 3), ValueError, "targets.* 1 masked value.*in row 3"),
    "None": ([None, *Y[1:].tolist()], ValueError, "targets.* missing value, None, in row 0"),
    "sparse": (sparse.csr_matrix(np.eye(2)[Y]), TypeError, r"sparse csr_matrix"),
    "no class": (Y + 1, ValueError, r"target 2 in row \d+ is not a class: expected 0 to 1 for 2 outputs"),
    "one": (1, ValueError, r"targets have shape \(\); .*one label per row"),
    "too few": (Y[1:], ValueError, "x has 30 rows and y has 29"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
@pytest.mark.parametrize("use", ["fit", "batches", "validation", "evaluate", "step"])
def test_labels_that_are_none_are_refused(name, use):
    labels, error, said = BAD_LABELS[name]
    trainer = new_trainer(preprocessing=Standardize() if use == "fit" else None)
    if use == "batches":
        said = f"batch 1 of epoch 1: .*{said.removeprefix('x has 30 rows and y')}"
    if use == "validation":
        said = f"validation .*{said.removeprefix('x has 30 rows and y')}"
    with pytest.raises(error, match=said):
        {
            "fit": lambda: trainer.fit(X, labels, epochs=1),
            "batches": lambda: trainer.fit([(X, labels)], epochs=1),
            "validation": lambda: trainer.fit(X, Y, epochs=1, validation=(X, labels)),
            "evaluate": lambda: trainer.evaluate(X, labels),
            "step": lambda: trainer.step(X, labels),
        }[use]()
    assert trainer.steps == 0
    assert trainer.model.preprocessing is None or not trainer.model.preprocessing.is_fitted


@pytest.mark.parametrize(
    ("loss", "y", "error", "said"),
    [
        (pynn.MSELoss(), X, ValueError, r"shape \(30, 2\); .*\(n, 1\)$"),
        (pynn.BCEWithLogitsLoss(), X, ValueError, r"shape \(30, 2\); BCEWithLogitsLoss .*\(n, 1\)$"),
        (pynn.MSELoss(), X[:, 0].astype(str), TypeError, "MSELoss expects numbers"),
        (pynn.BCEWithLogitsLoss(), list("abc" * 10), ValueError, "are 3 classes, 'a', 'b', 'c'; expected 2 for 1 outp"),
        (pynn.BCEWithLogitsLoss(), 2 * Y[:, None], ValueError, r"target 2.0 in row \d+ is not in \[0, 1\]"),
        (pynn.MSELoss(), np.where(np.arange(30) == 3, 1e400, 0.0)[:, None], ValueError, "y has an infinity in row 3"),
        (pynn.MSELoss(), masked((30, 1)), ValueError, "1 masked values, the first in row 4"),
        (pynn.CrossEntropyLoss([1.0, 2.0]), Y, ValueError, "weight has 2 class weights; expected 1, one per output"),
        (lambda p, t: (0.0, p), masked((30, 1)), ValueError, "masked"),
    ],
)
def test_targets_that_do_not_fit_are_refused_before_training(loss, y, error, said):
    trainer = new_trainer(loss, outputs=1, preprocessing=Standardize())
    with pytest.raises(error, match=said):
        trainer.fit(X, y, epochs=1)
    assert trainer.steps == 0 and not trainer.model.preprocessing.is_fitted
    pipeline = Pipeline([Center(), MinMax()])
    trainer = new_trainer(loss, outputs=1, preprocessing=pipeline)
    with pytest.raises(error, match=said):
        trainer.fit(X, y, epochs=1)
    assert not pipeline.is_fitted


def test_a_fitted_preprocessing_stays_fitted():
    trainer = new_trainer(preprocessing=Standardize().fit(X + 5))
    with pytest.raises(ValueError, match="not a class"):
        trainer.fit(X, Y + 1, epochs=1)
    np.testing.assert_allclose(trainer.model.preprocessing.mean_, (X + 5).mean(axis=0))


# Predictions of what is missing


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("names", [None, ["benign", "malignant"]])
@pytest.mark.parametrize("loss", [pynn.CrossEntropyLoss(), pynn.HingeLoss()])
def test_a_missing_value_becomes_no_class(bad, names, loss, backend):
    trainer = new_trainer(loss)
    trainer.fit(X, Y, epochs=1)
    trainer.model.class_names = names
    x = X.copy()
    x[17, 1] = bad
    with pytest.raises(
        ValueError, match=r"the outputs for row 17 are .*, which determine no class; x has a NaN or an inf"
    ):
        trainer.model.predict_label(x)
    if loss.output_kind == "classes":
        with pytest.raises(ValueError, match="the outputs for row 17"):
            trainer.model.predict_proba(x)
    output = trainer.model.predict(x)
    assert not np.isfinite(output[17]).all() and np.isfinite(np.delete(output, 17, axis=0)).all()
    assert len(trainer.model.predict_label(np.delete(x, 17, axis=0))) == 29


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_missing_value_is_not_a_no(outputs):
    trainer = new_trainer(pynn.BCEWithLogitsLoss(), outputs=outputs)
    trainer.fit(X, np.repeat(Y[:, None], outputs, axis=1), epochs=1)
    x = np.where(np.arange(60).reshape(30, 2) == 35, np.nan, X)
    for use in (trainer.model.predict_label, trainer.model.predict_proba):
        with pytest.raises(ValueError, match="the outputs for row 17 are"):
            use(x)
    assert np.isnan(trainer.model.predict(x)[17]).all()


def test_a_network_that_overflows_is_told_from_missing_values():
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=1)
    trainer.model[0].weight[...] = 1e300
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"the outputs for row 0 are .*; they overflow"):
        trainer.model.predict_label(np.full((1, 2), 1e300))


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (pynn.CrossEntropyLoss(), [0, 1, 0]),
        (pynn.HingeLoss(), [0, 1, 0]),
        (pynn.BCEWithLogitsLoss(), [[0.0, 0], [1, 1], [0, 0]]),
    ],
)
@pytest.mark.parametrize("weights", [None, np.ones(3)])
def test_a_prediction_of_nan_is_not_right(loss, targets, weights, backend):
    prediction = np.array([[np.nan, np.nan], [np.nan, 1.0], [1.0, np.nan]])
    correct, counted = loss.count_correct(prediction, np.array(targets), weights)
    either = 2 if loss.output_kind == "binary" else 0  # single outputs that are numbers: 1 in row 1 is right
    assert correct == either / 2 and counted == np.size(targets)


def test_empty_inputs():
    with pytest.raises(ValueError, match=r"x is empty: its shape is \(0, 2\)"):
        new_trainer().fit(X[:0], Y[:0], epochs=1)
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=1)
    assert trainer.model.predict_label(X[:0]).shape == (0,)


MASKED = np.ma.array(np.ones((4, 3), np.float32), mask=np.arange(12).reshape(4, 3) == 7)
TAKEN = {
    "an op": lambda: pynn.ops.relu(MASKED),
    "weights of an op": lambda: pynn.ops.matmul(np.ones((2, 4), np.float32), MASKED),
    "labels of an op": lambda: pynn.ops.softmax_cross_entropy(
        np.ones((4, 3)), np.ma.array([0, 1, 2, 0], mask=MASKED[:, 1].mask)
    ),
    "a parameter": lambda: pynn.Linear(4, 3).weight.__setitem__(..., MASKED),
    "a state": lambda: pynn.Sequential(pynn.Linear(4, 3)).load_state_dict({"0.weight": MASKED, "0.bias": np.zeros(3)}),
    "perceptrons": lambda: pynn.MLPClassifier().fit(MASKED, [0, 1, 0, 1]),
    "perceptrons with categories": lambda: pynn.MLPClassifier(categorical_features=[0]).fit(MASKED, [0, 1, 0, 1]),
    "targets of perceptrons": lambda: pynn.MLPRegressor().fit(np.ones((4, 3)), MASKED[:, 1]),
    "recipes": lambda: pynn.TabularRegressor().fit(MASKED, np.arange(4.0)),
}


@pytest.mark.parametrize("taker", TAKEN)
def test_masked_values_are_refused_wherever_arrays_are_taken(taker):
    with pytest.raises(ValueError, match="1 masked value"):
        TAKEN[taker]()


def test_masked_arrays_without_masked_values_are_arrays():
    whole = np.ma.array(np.full((2, 3), -1.0), mask=False)
    np.testing.assert_array_equal(pynn.ops.relu(whole), 0)
    layer = pynn.Linear(2, 3)
    layer.weight[...] = whole
    np.testing.assert_array_equal(layer.weight, -1)
