"""Labels and targets are taken for what they are: text, floats, booleans, columns, one-hot rows."""

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pynn
from pynn.preprocessing import Standardize

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0.5)
NAMES = np.array(["ant", "bee", "cat"])
NUMBERS = {
    "integers": Y,
    "a list": Y.tolist(),
    "small integers": Y.astype(np.uint8),
    "floats": Y.astype(np.float64),
    "float32": Y.astype(np.float32),
    "a column": Y[:, None],
    "a column of floats": Y[:, None].astype(float),
    "one-hot": np.eye(3, dtype=int)[Y],
    "one-hot floats": np.eye(3)[Y],
    "one-hot booleans": np.eye(3, dtype=bool)[Y],
    "objects": Y.astype(object),
    "a pandas series": pandas.Series(Y, index=np.arange(60) + 7),
    "nullable integers": pandas.Series(Y, dtype="Int64"),
    "a data frame of one column": pandas.DataFrame({"y": Y}),
    "one-hot columns": pandas.get_dummies(pandas.Series(NAMES[Y])),
    "a polars series": polars.Series(Y),
}
TEXT = {
    "an array": NAMES[Y],
    "a list": NAMES[Y].tolist(),
    "a column": NAMES[Y][:, None],
    "objects": NAMES[Y].astype(object),
    "variable width": NAMES[Y].astype(np.dtypes.StringDType()),
    "a pandas series": pandas.Series(NAMES[Y]),
    "categories": pandas.Series(NAMES[Y], dtype="category"),
    "a polars series": polars.Series(NAMES[Y]),
}


def new_trainer(loss=None, outputs=3, **settings):
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(3, 8), pynn.ReLU(), pynn.Linear(8, outputs))
    for name, value in settings.items():
        setattr(model, name, value)
    return pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), pynn.Adam(0.05))


def all_uses(trainer, x, y):
    """Return the figures of everything that takes targets."""
    weights = np.linspace(0.5, 1.5, len(x))
    trainer.fit(x, y, epochs=3, sample_weight=weights, validation=(x, y))
    figures = [*trainer.history["loss"], *trainer.history["val_loss"], *trainer.evaluate(x, y).values()]
    return [*figures, *trainer.evaluate(x, y, sample_weight=weights).values(), trainer.step(x, y, weights)]


@pytest.mark.parametrize("loss", [pynn.CrossEntropyLoss(label_smoothing=0.1), pynn.HingeLoss()])
@pytest.mark.parametrize("form", NUMBERS)
def test_numbers_of_any_form_train_as_integers_do(form, loss):
    trainer = new_trainer(loss)
    assert all_uses(trainer, X, NUMBERS[form]) == all_uses(new_trainer(loss), X, Y)
    assert trainer.model.class_names is None


@pytest.mark.parametrize("loss", [pynn.CrossEntropyLoss(), pynn.HingeLoss()])
@pytest.mark.parametrize("form", TEXT)
def test_text_trains_as_numbers_do_and_names_the_classes(form, loss, tmp_path):
    trainer = new_trainer(loss)
    assert all_uses(trainer, X, TEXT[form]) == all_uses(new_trainer(loss), X, Y)
    assert trainer.model.class_names == ["ant", "bee", "cat"]
    labels = trainer.model.predict_label(X)
    assert np.mean(labels == NAMES[Y]) == trainer.evaluate(X, Y)["accuracy"] > 0.5
    trainer.save(tmp_path / "t.safetensors")
    trainer.model.save(tmp_path / "m.safetensors")
    for model in (pynn.Trainer.resume(tmp_path / "t.safetensors").model, pynn.load(tmp_path / "m.safetensors")):
        np.testing.assert_array_equal(model.predict_label(X), labels)


@pytest.mark.parametrize("y", [Y > 0, (Y > 0)[:, None], np.where(Y > 0, "yes", "no"), (Y > 0).astype(int)])
@pytest.mark.parametrize(("loss", "outputs"), [(pynn.BCEWithLogitsLoss(), 1), (pynn.CrossEntropyLoss(), 2)])
def test_two_classes_of_any_form(loss, outputs, y):
    column = (Y > 0)[:, None].astype(np.float32)
    expected = all_uses(new_trainer(loss, outputs), X, column)
    trainer = new_trainer(loss, outputs)
    assert all_uses(trainer, X, y) == expected
    right = np.mean(trainer.model.predict_label(X) == np.asarray(y).ravel())
    assert right == trainer.evaluate(X, y)["accuracy"] > 0.8


@pytest.mark.parametrize("scale", [None, Standardize()])
def test_a_regression_compares_each_target_with_its_own_prediction(scale):
    y = X @ [1.0, -2.0, 0.5]
    trainer = new_trainer(pynn.MSELoss(), 1)
    assert all_uses(trainer, X, y) == all_uses(new_trainer(pynn.MSELoss(), 1), X, y[:, None])
    error = np.mean((trainer.model.predict(X)[:, 0] - y.astype(np.float32)) ** 2)
    np.testing.assert_allclose(trainer.evaluate(X, y)["loss"], error, rtol=1e-6)
    for other in (y.tolist(), pandas.Series(y), polars.Series(y), (10 * y).astype(int)):
        trainer.step(X, other)
    model = new_trainer(pynn.MSELoss(), 1, target_preprocessing=scale)
    assert model.fit(X, y, epochs=2)["loss"][-1] < model.history["loss"][0]


def test_a_loss_alone_compares_rows_not_all_pairs():
    prediction, target = RNG.normal(size=(5, 1)), RNG.normal(size=5)
    assert pynn.MSELoss()(prediction, target)[0] == pytest.approx(np.mean((prediction[:, 0] - target) ** 2))
    assert pynn.MSELoss()(prediction[:, 0], target)[0] == pytest.approx(np.mean((prediction[:, 0] - target) ** 2))
    model = pynn.Sequential(pynn.Linear(3, 1))
    assert all(check.ok() for check in pynn.gradcheck(model, pynn.MSELoss(), X[:5], target))


def test_labels_are_looked_up_in_names_that_are_set():
    trainer = new_trainer(class_names=["cat", "bee", "ant"])
    assert all_uses(trainer, X, NAMES[Y]) == all_uses(new_trainer(), X, 2 - Y)
    assert trainer.model.class_names == ["cat", "bee", "ant"]
    trainer.fit([(X, NAMES[Y])], epochs=1)


@pytest.mark.parametrize("use", ["fit", "validation", "evaluate", "step", "batches"])
def test_an_unknown_label_is_named_with_its_row(use):
    trainer = new_trainer(class_names=["ant", "bee", "cat"])
    y = np.where(np.arange(60) == 41, "dog", NAMES[Y])
    before = trainer.model.state_dict()
    with pytest.raises(
        ValueError, match="targets have 'dog' in row 41; expected one of the classes 'ant', 'bee', 'cat'"
    ):
        {
            "fit": lambda: trainer.fit(X, y, epochs=1),
            "validation": lambda: trainer.fit(X, NAMES[Y], epochs=1, validation=(X, y)),
            "evaluate": lambda: trainer.evaluate(X, y),
            "step": lambda: trainer.step(X, y),
            "batches": lambda: trainer.fit([(X, y)], epochs=1),
        }[use]()
    assert trainer.steps == 0
    for name, value in trainer.model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_fit_that_fails_leaves_no_names_behind():
    trainer = new_trainer()
    with pytest.raises(ValueError, match=r"validation x has 3 rows and validation y has 2"):
        trainer.fit(X, NAMES[Y], epochs=1, validation=(X[:3], NAMES[Y][:2]))
    assert trainer.model.class_names is None
    with pytest.raises(ValueError, match=r"are text, such as 'cat'.*no class names.*set model.class_names"):
        trainer.fit([(X[Y == 2], NAMES[Y[Y == 2]])], epochs=1)


def test_there_are_as_many_classes_as_outputs():
    trainer = new_trainer(outputs=4)
    with pytest.raises(ValueError, match="are 3 classes, 'ant', 'bee', 'cat'; expected 4 for 4 outputs"):
        trainer.fit(X, NAMES[Y], epochs=1)


def test_preflight_and_diagnose_take_what_fit_takes():
    trainer = new_trainer()
    report = pynn.preflight(trainer, X, NAMES[Y], validation=(X[:9], NAMES[Y][:9]))
    by_number = pynn.preflight(trainer, X, Y, validation=(X[:9], Y[:9]))
    assert [(check.name, check.status) for check in report] == [(check.name, check.status) for check in by_number]
    assert trainer.model.class_names is None
    report = pynn.preflight(trainer, X, np.where(np.arange(60) == 3, None, "ant"))
    assert report["data values"].status == "fail"
    assert "missing value, None, in row 3" in report["data values"].evidence
    for y in (NAMES[Y], np.eye(3)[Y], Y.astype(float)):
        assert pynn.diagnose(trainer, X, y, epochs=2, seconds=0.5).metric == "accuracy"


@settings(max_examples=40, deadline=None)
@given(
    # NumPy's arrays of text drop a NUL at its end.
    names=st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=5),
        min_size=2,
        max_size=6,
        unique=True,
    ),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_any_text_is_numbered_in_its_order(names, seed, data):
    rows = data.draw(st.lists(st.sampled_from(names), min_size=len(names), max_size=30)) + names
    x = np.random.default_rng(seed).normal(size=(len(rows), 2))
    model = pynn.Sequential(pynn.Linear(2, len(names)))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    trainer.fit(x, rows, epochs=1)
    assert model.class_names == sorted(names)
    loss = pynn.CrossEntropyLoss()(model.predict(x), [sorted(names).index(name) for name in rows])[0]
    np.testing.assert_allclose(trainer.evaluate(x, rows)["loss"], loss, rtol=1e-6)
    assert set(model.predict_label(x)) <= set(names)
