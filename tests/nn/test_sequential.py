"""Sequential: structure, prediction, state, copies, and layers written by users."""

import copy
import pickle
import threading

import numpy as np
import pytest

import pynn
from pynn.preprocessing import Standardize
from pynn.utils.config import is_own

pytestmark = pytest.mark.usefixtures("backend")


def network(dtype="float32"):
    pynn.manual_seed(0)
    return pynn.Sequential(
        pynn.Linear(4, 8, dtype=dtype),
        pynn.BatchNorm1d(8, dtype=dtype),
        pynn.ReLU(),
        pynn.Dropout(0.3),
        pynn.Linear(8, 3, dtype=dtype),
    )


def test_a_nested_model_lists_its_layers_and_parameters():
    inner = pynn.Sequential(pynn.Linear(3, 3), pynn.Tanh())
    model = pynn.Sequential(pynn.Linear(4, 3), inner, pynn.PReLU())
    assert (len(model), model[1], list(model)[2]) == (3, inner, model[2])
    assert [name for name, _ in model.named_leaves()] == ["0", "1.0", "1.1", "2"]
    names = ["0.weight", "0.bias", "1.0.weight", "1.0.bias", "2.weight"]
    assert [name for name, _ in model.named_parameters()] == names
    assert "1.0" in model.summary()
    assert "PReLU(num_parameters=1, init=0.25)" in repr(model)


def test_summary_counts_and_names_frozen_parameters():
    model = network()
    model[0].freeze()
    lines = model.summary().splitlines()
    assert lines[1].split() == ["0", "Linear", "(n,", "8)", "40"]
    assert lines[-2].split() == ["total", "83"]
    assert lines[-1].split() == ["frozen", "40"]


class Twice(pynn.Layer):
    """Changes the width and says nothing about it."""

    def forward(self, x, ctx):
        return np.concatenate([x, x], axis=1)

    def backward(self, dy, ctx):
        half = dy.shape[1] // 2
        return dy[:, :half] + dy[:, half:]


def test_a_users_layer_may_change_the_width():
    model = pynn.Sequential(pynn.Linear(4, 8), Twice(), pynn.ReLU(), pynn.Linear(16, 3))
    assert model.predict(np.ones((2, 4))).shape == (2, 3)
    pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1)).step(np.ones((2, 4)), [0, 1])


def test_a_layer_belongs_to_one_model():
    shared = pynn.Linear(3, 3)
    pynn.Sequential(shared)
    fresh = pynn.Linear(3, 3)
    with pytest.raises(ValueError, match="already belongs to a model"):
        pynn.Sequential(fresh, shared)
    with pytest.raises(ValueError, match="occurs twice"):
        pynn.Sequential(fresh, fresh)
    assert len(pynn.Sequential(fresh)) == 1  # a failed construction does not keep its layers


def test_a_parameter_belongs_to_one_layer():
    class Borrower(Twice):
        def __init__(self, weight):
            super().__init__()
            self.weight = weight

    first = pynn.Linear(3, 3)
    with pytest.raises(ValueError, match=r"0.weight.*1.weight"):
        _ = pynn.Sequential(first, Borrower(first.weight)).flat
    model = pynn.Sequential(pynn.Linear(3, 3))
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.1))
    with pytest.raises(ValueError, match=r"0\.weight already belongs to another model"):
        _ = pynn.Sequential(Borrower(model[0].weight)).flat
    trainer.step(np.ones((2, 3)), np.ones((2, 3)))


def test_a_model_inside_another_trains_with_it_alone():
    body = pynn.Sequential(pynn.Linear(4, 3), pynn.Tanh())
    old = pynn.Trainer(body, pynn.MSELoss(), pynn.SGD(0.1))
    old.step(np.ones((2, 4)), np.ones((2, 3)))
    model = pynn.Sequential(body, pynn.Linear(3, 2))
    new = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.1))
    before = body[0].weight[...].copy()
    new.step(np.ones((2, 4)), np.ones((2, 2)))
    assert (body[0].weight[...] != before).any()
    with pytest.raises(RuntimeError, match="another model"):
        old.step(np.ones((2, 4)), np.ones((2, 3)))


def test_train_and_eval_decide_what_a_call_computes():
    model, x = network(), np.random.default_rng(0).normal(size=(6, 4))
    assert model.training is False
    np.testing.assert_array_equal(model(x), model(x))
    assert model.train() is model
    assert (model(x) != model(x)).any()
    np.testing.assert_array_equal(model.predict(x), model.eval()(x))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_predict_in_batches(batch_size, rng):
    model, x = network("float64"), rng.normal(size=(7, 4))
    np.testing.assert_allclose(model.predict(x, batch_size), model(x), rtol=1e-13)


def test_predict_of_nothing():
    assert network().predict(np.empty((0, 4))).shape == (0, 3)


@pytest.mark.parametrize(
    "make", [network, lambda: pynn.Sequential(pynn.Flatten()), lambda: pynn.Sequential(pynn.Dropout()), pynn.Sequential]
)
def test_results_are_the_callers(make, rng):
    model, x = make(), rng.normal(size=(5, 4)).astype(np.float32)
    first, second = model.predict(x), model(x)
    kept, given = first.copy(), x.copy()
    assert not np.shares_memory(first, x)
    assert not np.shares_memory(second, x)
    first += 1
    second += 1
    np.testing.assert_array_equal(x, given)
    np.testing.assert_array_equal(model.predict(x), kept)


def test_training_does_not_change_what_predict_returned(rng):
    model, x = network(), rng.normal(size=(5, 4))
    y = model.predict(x)
    kept = y.copy()
    pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.5)).step(x, [0, 1, 2, 0, 1])
    np.testing.assert_array_equal(y, kept)
    assert (model.predict(x) != kept).any()


def test_backward_needs_a_forward_pass():
    with pytest.raises(RuntimeError, match=r"y = model\(x\)"):
        network().backward(np.ones((1, 3)))


@pytest.mark.parametrize(
    ("x", "error", "said"),
    [
        (np.ones(4), ValueError, r"\(4,\).*x\[None\]"),
        (3.0, ValueError, r"\(\).*x\[None\]"),
        ([["a", "b", "c", "d"]], TypeError, "<U1; expected numbers"),
        (np.ones((2, 4), dtype=complex), TypeError, "complex128; expected numbers"),
        ([[None] * 4], ValueError, "x has a missing value, None, in row 0, column 0"),
        (np.ones((2, 5)), ValueError, r"\(2, 5\); expected \(batch, 4\)"),
    ],
)
def test_bad_inputs(x, error, said):
    for call in (network(), network().predict):
        with pytest.raises(error, match=said):
            call(x)


def test_proba_and_labels_of_classes(rng):
    model, x = network(), rng.normal(size=(20, 4))
    with pytest.raises(ValueError, match="has not been trained"):
        model.predict_proba(x)
    pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    scores = model.predict(x).astype(float)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(x), expected, rtol=1e-6)
    np.testing.assert_array_equal(model.predict_label(x), scores.argmax(axis=1))
    model.class_names = ["ant", "bee", "cat"]
    assert list(model.predict_label(x)) == [model.class_names[i] for i in scores.argmax(axis=1)]
    model[4].weight *= 1e4
    assert np.isfinite(model.predict_proba(x)).all()


def test_proba_and_labels_of_yes_or_no(rng):
    model, x = pynn.Sequential(pynn.Linear(4, 1)), 5 * rng.normal(size=(20, 4))
    pynn.Trainer(model, pynn.BCEWithLogitsLoss(), pynn.SGD(0.1))
    logits = model.predict(x).astype(float)
    np.testing.assert_allclose(model.predict_proba(x), 1 / (1 + np.exp(-logits)), rtol=1e-6)
    np.testing.assert_array_equal(model.predict_label(x), (logits[:, 0] > 0).astype(int))
    model.class_names = ["no", "yes"]
    assert set(model.predict_label(x).ravel()) == {"no", "yes"}


def test_scores_and_values_have_no_probabilities(rng):
    x = rng.normal(size=(5, 4))
    model = network()
    pynn.Trainer(model, pynn.HingeLoss(), pynn.SGD(0.1))
    with pytest.raises(ValueError, match=r"gives scores.*use predict"):
        model.predict_proba(x)
    assert model.predict_label(x).shape == (5,)
    model = network()
    pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.1))
    with pytest.raises(ValueError, match="values"):
        model.predict_label(x)


def test_state_dict_is_a_copy_and_loads_back():
    model, other = network(), network()
    pynn.init.apply(other, "normal")
    state = model.state_dict()
    assert list(state) == [name for name, _ in model.named_parameters()] + ["1.running_mean", "1.running_var"]
    other.load_state_dict({name: array.astype("float64") for name, array in state.items()})
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    state["0.weight"][...] = 0
    assert model[0].weight[...].any()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda s: s.pop("4.bias"), ValueError, r"missing \['4.bias'\]"),
        (lambda s: s.update(extra=np.ones(1)), ValueError, r"unknown \['extra'\]"),
        (lambda s: s.update({"4.bias": np.ones((1, 3))}), ValueError, r"4.bias has shape \(1, 3\); expected \(3,\)"),
        (lambda s: s.update({"4.bias": np.ones(3, int)}), TypeError, "4.bias has dtype int64; expected float32"),
        (lambda s: s.update({"1.running_var": np.ones(7)}), ValueError, "1.running_var"),
    ],
)
def test_load_state_dict_writes_all_or_nothing(change, error, said):
    model = network()
    before = model.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    change(state)
    with pytest.raises(error, match=said):
        model.load_state_dict(state)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_stands_alone(copied, trained, rng):
    model, x = network(), rng.normal(size=(6, 4))
    if trained:
        pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam()).step(x, [0, 1, 2, 0, 1, 2])
    expected = model.predict(x)
    other = copied(model)
    np.testing.assert_array_equal(other.predict(x), expected)
    pynn.Trainer(other, pynn.CrossEntropyLoss(), pynn.SGD(0.5)).step(x, [0, 1, 2, 0, 1, 2])
    assert (other.predict(x) != expected).any()
    np.testing.assert_array_equal(model.predict(x), expected)
    assert not np.shares_memory(other.flat.values, model.flat.values)


def test_concurrent_predict_equals_serial(rng):
    model = network()
    inputs = [rng.normal(size=(50 + 7 * i, 4)) for i in range(4)]
    expected = [model.predict(x) for x in inputs]
    faults = []

    def work(index):
        for _ in range(50):
            y = model.predict(inputs[index], batch_size=16 + index)
            if not np.allclose(y, expected[index], rtol=1e-6, atol=1e-7):
                faults.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


class Scale(pynn.Layer):
    """The example of `pynn.Layer`, in plain NumPy."""

    def __init__(self, features):
        super().__init__()
        self.features = features
        self.scale = pynn.Parameter(np.ones(features))

    def forward(self, x, ctx):
        ctx.x = x
        return x * self.scale

    def backward(self, dy, ctx):
        self.scale.grad[...] = (dy * ctx.x).sum(axis=0)
        return dy * self.scale


def test_a_users_layer_trains_saves_and_loads(tmp_path, rng):
    x = rng.normal(size=(60, 4))
    y = (x[:, 0] > 0).astype(int)
    model = pynn.Sequential(pynn.Linear(4, 8), Scale(8), pynn.ReLU(), pynn.Linear(8, 2))
    history = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(0.02)).fit(x, y, epochs=20)
    assert history["loss"][-1] < history["loss"][0] / 2
    assert (model[1].scale[...] != 1).all()
    model.save(tmp_path / "m.safetensors")
    again = pynn.load(tmp_path / "m.safetensors", custom=[Scale])
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    with pytest.raises(ValueError, match=r"'Scale'.*custom=\[Scale\]"):
        pynn.load(tmp_path / "m.safetensors")


def test_astype_casts_everything_until_a_trainer_holds_it(rng):
    model = pynn.Sequential(pynn.Linear(3, 4), pynn.BatchNorm1d(4), pynn.Linear(4, 2))
    single = model(rng.normal(size=(5, 3)))
    assert model.astype(np.float64) is model
    assert model.dtype == np.float64 and model[1].running_var.dtype == np.float64
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float64)}
    assert single.dtype == np.float32 and model(np.zeros((1, 3))).dtype == np.float64
    pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD())
    with pytest.raises(RuntimeError, match="trainer uses"):
        model.astype(np.float32)
    with pytest.raises(TypeError, match="float32 or float64"):
        pynn.Sequential(pynn.Linear(1, 1)).astype(np.int32)


def test_a_parameter_does_what_an_array_does():
    parameter = pynn.Parameter([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(np.ones((1, 2)) @ parameter.T, [[3, 7]])
    assert parameter.sum() == 10 and parameter.max() == 4 and parameter.copy() is not parameter.data
    with pytest.raises(AttributeError):
        parameter.no_such_thing  # noqa: B018


def test_class_names_must_be_as_many_as_the_outputs():
    model = pynn.Sequential(pynn.Linear(2, 3))
    model.class_names = ["a", "b"]
    with pytest.raises(ValueError, match="2 names; expected 3"):
        model.predict_label(np.zeros((1, 2)))


def test_a_model_within_a_model_is_pynns_own_class_everywhere():
    """Preflight, monitor and remedies treat the layers of the user's classes with care; these are none."""

    class Mine(pynn.ReLU):
        pass

    nested = pynn.Sequential(pynn.Sequential(pynn.Linear(2, 3), Mine()), pynn.Residual(pynn.Linear(3, 3)))
    assert [type(layer) for layer in nested.all_layers() if is_own(layer)] == [Mine]
    assert not is_own(pynn.CrossEntropyLoss()) and is_own(type("Own", (pynn.Loss,), {"__module__": "mine"})())


def test_a_summary_does_without_a_layer_that_refuses_zeros():
    class Picky(pynn.ReLU):
        def forward(self, x, ctx):
            raise RuntimeError("no zeros, please")

    summary = pynn.Sequential(pynn.Linear(4, 3), Picky()).summary()
    assert summary.splitlines()[2].split() == ["1", "Picky", "?", "0"]
    assert repr(summary) == str(summary)
    assert "<td>15</td>" in summary._repr_html_()


def test_moved_buffers_hold_the_parameters_and_what_is_written_to_them():
    model = pynn.Sequential(pynn.Linear(3, 2), pynn.Linear(2, 2))
    x = np.ones((1, 3), np.float32)
    before, values, version = model(x), model.flat.values.copy(), model.flat.version
    memory = np.full((2, len(values)), np.nan, np.float32)
    model.flat.move(*memory)
    np.testing.assert_array_equal(memory[0], values)
    np.testing.assert_array_equal(model(x), before)
    assert model.flat.version > version  # what is recorded reads the old buffers
    model[1].bias[...] = 5
    memory[0] *= 2
    np.testing.assert_array_equal(model[1].bias, [10, 10])
    model[0].weight.grad[...] = 7
    assert (memory[1] == 7).sum() == 6


@pytest.mark.parametrize("name", ["preprocessing", "target_preprocessing"])
def test_transformers_of_others_are_refused_when_assigned(name):
    scaler = pytest.importorskip("sklearn.preprocessing").StandardScaler
    model = pynn.Sequential(pynn.Linear(3, 2))
    for wrong in (scaler(), Standardize, np.log1p, "standardize"):
        with pytest.raises(TypeError, match=f"{name} is .*; expected a transformer of pynn.preprocessing"):
            setattr(model, name, wrong)
    for right in (Standardize(), None):
        setattr(model, name, right)
        assert getattr(model, name) is right
