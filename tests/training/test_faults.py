"""Faults in data and in the arithmetic: what raises, what it says, and what stays whole."""

import math

import numpy as np
import pytest

import pynn

pytestmark = pytest.mark.usefixtures("backend")
X = np.random.default_rng(0).normal(size=(40, 5))
Y = np.arange(40) % 3


def trainer(loss=None, **options):
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(5, 6), pynn.BatchNorm1d(6), pynn.ReLU(), pynn.Linear(6, 3))
    return pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), pynn.SGD(0.1, momentum=0.9), **options)


def assert_same_state(model, before):
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@pytest.mark.parametrize(("value", "said"), [(np.nan, "a NaN"), (np.inf, "an infinity"), (-np.inf, "an infinity")])
def test_fit_names_the_row_that_is_not_finite(value, said):
    x = X.copy()
    x[17, 3] = value
    with pytest.raises(ValueError, match=f"^x has {said} in row 17, column 3$"):
        trainer().fit(x, Y, epochs=1)
    with pytest.raises(ValueError, match=f"^validation x has {said} in row 17, column 3$"):
        trainer().fit(X, Y, epochs=1, validation=(x, Y))
    with pytest.raises(ValueError, match=f"^x has {said} in row 17, column 3$"):
        trainer().evaluate(x, Y)


def test_fit_names_the_row_of_a_bad_target():
    y = np.zeros((40, 3))
    y[9, 1] = np.nan
    with pytest.raises(ValueError, match=r"^y has a NaN in row 9, column 1$"):
        trainer(pynn.MSELoss()).fit(X, y, epochs=1)


def test_rows_are_found_in_a_large_array_and_in_images():
    x = np.zeros((9000, 2, 3), dtype=np.float32)
    x[8191, 1, 2] = np.nan
    model = pynn.Sequential(pynn.Flatten(), pynn.Linear(6, 2))
    with pytest.raises(ValueError, match=r"row 8191, column 1, 2$"):
        pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD()).fit(x, np.zeros(9000, int), epochs=1)


def test_a_value_too_large_for_the_models_dtype_is_named():
    x = X.copy()
    x[17, 3] = 1e300
    with pytest.raises(ValueError, match="row 17, column 3"):
        trainer().fit(x, Y, epochs=1)


class Watch(pynn.Callback):
    def __init__(self):
        self.losses, self.steps, self.ended = [], [], 0

    def on_step_end(self, trainer):
        self.losses.append(trainer.last_loss)
        self.steps.append(trainer.steps)

    def on_train_end(self, trainer):
        self.ended += 1


def test_a_non_finite_loss_is_shown_then_raised_and_changes_nothing():
    run, watch = trainer(lambda p, t: (math.nan, np.ones_like(p))), Watch()
    before = run.model.state_dict()
    with pytest.raises(pynn.NonFiniteError, match=r"the loss is nan at step 1, epoch 1: .*lr=0.1") as caught:
        run.fit(X, Y, epochs=2, callbacks=[watch])
    assert isinstance(caught.value, FloatingPointError)
    assert [math.isnan(loss) for loss in watch.losses] == [True]
    assert (watch.steps, watch.ended) == ([0], 1)
    assert_same_state(run.model, before)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_step_on_bad_data_names_the_row_and_changes_nothing(value):
    run = trainer()
    run.step(X, Y)
    before = run.model.state_dict()
    x = X.copy()
    x[11, 2] = value
    with pytest.raises(pynn.NonFiniteError, match="row 11 of the batch's inputs"):
        run.step(x, Y)
    assert_same_state(run.model, before)
    assert math.isfinite(run.step(X, Y))


def test_a_step_on_bad_targets_says_that_they_are():
    y = np.zeros((40, 3))
    y[9, 1] = np.nan
    with pytest.raises(pynn.NonFiniteError, match="row 9 of the batch's targets"):
        trainer(pynn.MSELoss()).step(X, y)


def test_a_non_finite_penalty_changes_nothing():
    class Infinite(pynn.Regularizer):
        def add_gradient(self, flat):
            return math.inf

    run = trainer(regularizers=[Infinite()])
    before = run.model.state_dict()
    with pytest.raises(pynn.NonFiniteError, match="the loss is inf"):
        run.step(X, Y)
    assert_same_state(run.model, before)


def test_divergence_is_reported_and_the_model_stays_finite():
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(5, 50), pynn.ReLU(), pynn.Linear(50, 1))
    run = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(50.0))
    with pytest.raises(pynn.NonFiniteError, match=r"lr=50"):
        run.fit(X, X[:, :1], epochs=100)
    assert run.steps > 0


def test_a_gradient_that_is_not_finite_is_not_applied():
    run = trainer(lambda p, t: (1.0, np.full_like(p, np.inf)), clip_norm=1.0)
    before = run.model.state_dict()
    with pytest.raises(pynn.NonFiniteError, match="norm of the gradient is"):
        run.step(X, Y)
    assert_same_state(run.model, before)


@pytest.mark.parametrize(
    ("x", "y", "error", "said"),
    [
        (X[:0], Y[:0], ValueError, r"empty.*\(0, 5\)"),
        (X[:3], Y[:2], ValueError, "x has 3 rows and y has 2"),
        (X[:3], [0, 1, 3], ValueError, "target 3 in row 2 is not a class: expected 0 to 2"),
        (X[:3], [0, 1, -1], ValueError, "target -1 in row 2"),
        (X[:3], [b"cat", b"dog", b"cat"], TypeError, "CrossEntropyLoss expects class labels"),
        (X[:3], [0.0, 1.5, 2.0], ValueError, "target 1.5 in row 1 is not a whole number"),
        (X[:3], [[0, 1], [1, 1], [0, 2]], ValueError, r"\(3, 2\), and row 1 is not one-hot.*one label per row"),
        (X[:3].astype(str), Y[:3], TypeError, "expected numbers"),
        (X[:3] + 1j, Y[:3], TypeError, "complex128; expected numbers"),
        (X[0], Y[:1], ValueError, r"\(5,\).*x\[None\]"),
        (X[:3, :4], Y[:3], ValueError, r", 4\); expected \(batch, 5\)"),
    ],
)
def test_data_that_cannot_be_used(x, y, error, said):
    run = trainer()
    for call in (run.step, run.evaluate, lambda x, y: run.fit(x, y, epochs=1)):
        before = {name: parameter.data.copy() for name, parameter in run.model.named_parameters()}
        with pytest.raises(error, match=said):
            call(x, y)
        for name, parameter in run.model.named_parameters():
            np.testing.assert_array_equal(parameter.data, before[name], err_msg=name)


def test_a_label_out_of_range_is_found_before_training_in_its_own_row():
    y = Y.copy()
    y[33] = 7
    run = trainer()
    with pytest.raises(ValueError, match="target 7 in row 33 is not a class: expected 0 to 2"):
        run.fit(X, y, epochs=1, batch_size=8)
    assert run.steps == 0


def test_a_minibatch_whose_labels_are_all_ignored_has_no_effect():
    run = trainer()
    before = run.model.state_dict()
    assert run.step(X, np.full(40, -100)) == 0
    for name in ("0.weight", "0.bias"):
        np.testing.assert_array_equal(run.model.state_dict()[name], before[name])


def test_array_likes_of_all_sorts_train_alike():
    results = []
    for x, y in [
        (X, Y),
        (X.tolist(), Y.tolist()),
        (np.asfortranarray(X), Y.astype(np.uint8)),
        (np.repeat(X, 2, axis=1)[:, ::2], np.repeat(Y, 2)[::2]),
        (X.astype(X.dtype.newbyteorder()), Y.astype(">i4")),
    ]:
        run = trainer()
        run.fit(x, y, epochs=2)
        results.append(run.model.state_dict())
    for other in results[1:]:
        for name, array in results[0].items():
            np.testing.assert_array_equal(other[name], array)


def test_the_data_is_not_changed():
    x, y = X.astype(np.float32), Y.astype(np.int64)
    x.flags.writeable = y.flags.writeable = False
    run = trainer()
    run.fit(x, y, epochs=1)
    run.step(x, y)
    run.evaluate(x, y)
    np.testing.assert_array_equal(x, X.astype(np.float32))
