"""Averages of the weights: their values, what holds them when, and runs that are resumed or copied."""

import copy
import pickle

import numpy as np
import pytest

import pynn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
AVERAGES = {"ema": lambda: pynn.EMA(0.8), "swa": lambda: pynn.SWA(start=2)}


def new_trainer(averaging=None):
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(4, 8), pynn.BatchNorm1d(8), pynn.Dropout(0.2), pynn.Linear(8, 2))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1, 0.9), averaging=averaging)


class Weights(pynn.Callback):
    """Keeps the model's arrays after each step and epoch."""

    def __init__(self):
        self.steps, self.epochs = [], []

    def on_step_end(self, trainer):
        self.steps.append(trainer.model.state_dict())

    def on_epoch_end(self, trainer):
        self.epochs.append(trainer.model.state_dict())


def fitted(averaging, **options):
    trainer, seen = new_trainer(averaging), Weights()
    trainer.fit(X, Y, epochs=4, batch_size=8, validation=(X, Y), callbacks=[seen], **options)
    return trainer, seen


def assert_equal(got, expected, **tolerance):
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, err_msg=name, **tolerance)


@pytest.mark.parametrize("name", AVERAGES)
def test_training_is_not_changed(name):
    _, plain = fitted(None)
    _, averaged = fitted(AVERAGES[name]())
    for got, expected in zip(averaged.steps, plain.steps, strict=True):
        assert_equal(got, expected, rtol=0)


def test_the_moving_average_is_that_of_the_formula():
    _, plain = fitted(None)
    trainer, seen = fitted(pynn.EMA(0.8))
    wanted = {name: array.astype(float) for name, array in plain.steps[0].items()}
    for number, state in enumerate(plain.steps[1:], 2):
        wanted = {name: 0.8 * wanted[name] + 0.2 * state[name] for name in wanted}
        if number % 5 == 0:
            assert_equal(seen.epochs[number // 5 - 1], wanted, rtol=1e-4, atol=1e-6)
    assert_equal(trainer.model.state_dict(), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("start", "every", "epochs"), [(1, 1, [1, 2, 3, 4]), (2, 2, [2, 4]), (9, 1, [])])
def test_the_mean_over_epochs(start, every, epochs):
    _, plain = fitted(None)
    trainer, seen = fitted(pynn.SWA(start, every))
    used = [plain.epochs[epoch - 1] for epoch in epochs] or plain.epochs[-1:]
    wanted = {name: np.mean([state[name] for state in used], axis=0) for name in used[0]}
    assert_equal(trainer.model.state_dict(), wanted, rtol=1e-4, atol=1e-6)
    assert_equal(seen.epochs[0], plain.epochs[0], rtol=1e-6)


@pytest.mark.parametrize("name", AVERAGES)
def test_the_average_is_validated_saved_and_restored(name, tmp_path):
    trainer = new_trainer(AVERAGES[name]())
    saved = pynn.ModelCheckpoint(tmp_path / "best", None)
    history = trainer.fit(X, Y, epochs=4, batch_size=8, validation=(X, Y), callbacks=[saved])
    assert np.isclose(trainer.evaluate(X, Y)["loss"], history["val_loss"][-1])
    assert_equal(pynn.load(tmp_path / "best").state_dict(), trainer.model.state_dict(), rtol=0)


@pytest.mark.parametrize("name", AVERAGES)
@pytest.mark.parametrize("where", [3, 5, 7, 10, 12])
def test_a_resumed_run_is_an_uninterrupted_one(name, where, tmp_path):
    """Saved inside the first epoch, at its end, and so on."""

    class Save(pynn.Callback):
        def on_step_end(self, trainer):
            if trainer.steps == where and where % 5:
                trainer.save(tmp_path / "run")

        def on_epoch_end(self, trainer):
            if trainer.steps == where:
                trainer.save(tmp_path / "run")

    whole = new_trainer(AVERAGES[name]())
    whole.fit(X, Y, epochs=4, batch_size=8, validation=(X, Y), callbacks=[Save()])
    again = pynn.Trainer.resume(tmp_path / "run")
    again.fit(X, Y, validation=(X, Y))
    assert again.history["val_loss"] == whole.history["val_loss"]
    assert_equal(again.model.state_dict(), whole.model.state_dict(), rtol=0)
    for trainer in (whole, again):
        trainer.fit(X, Y, epochs=1, batch_size=8)
    assert_equal(again.model.state_dict(), whole.model.state_dict(), rtol=0)


@pytest.mark.parametrize("name", AVERAGES)
@pytest.mark.parametrize("make", [copy.deepcopy, lambda trainer: pickle.loads(pickle.dumps(trainer))])
def test_a_copy_goes_on_alike(name, make):
    trainer, _ = fitted(AVERAGES[name]())
    other = make(trainer)
    for each in (trainer, other):
        each.fit(X, Y, epochs=2, batch_size=8)
    assert_equal(other.model.state_dict(), trainer.model.state_dict(), rtol=0)


def assigned(trainer):
    for parameter in trainer.model.parameters():
        parameter[...] = np.linspace(-1, 1, parameter.size).reshape(parameter.shape)


def loaded(trainer):
    trainer.model.load_state_dict(new_trainer().model.state_dict())


def trained(trainer):
    pynn.Trainer(trainer.model, pynn.CrossEntropyLoss(), pynn.SGD(0.1)).fit(X, Y, epochs=2)


@pytest.mark.parametrize("change", [assigned, loaded, trained])
@pytest.mark.parametrize("name", AVERAGES)
def test_training_and_average_go_on_from_changed_weights(change, name, tmp_path):
    """As if they had been those of training; also if the trainer is saved, or copied, before it goes on."""
    trainer, _ = fitted(AVERAGES[name]())
    change(trainer)
    changed, taken = trainer.model.state_dict(), trainer.averaging.taken
    trainer.save(tmp_path / "run")
    for each in (pynn.Trainer.resume(tmp_path / "run"), copy.deepcopy(trainer), trainer):
        each.optimizer.lr, each.schedule = 0.0, None
        each.fit(X, Y, epochs=1, batch_size=8)
        assert each.averaging.taken > taken
        weights = {key: value for key, value in changed.items() if "running" not in key}
        assert_equal(each.model.state_dict(), weights, rtol=1e-6)
        each.step(X, Y)
        assert_equal(each.model.state_dict(), weights, rtol=0)


def test_early_stopping_restores_what_training_goes_on_from():
    trainer = new_trainer(pynn.EMA(0.5))
    trainer.optimizer.lr = 5.0
    stop = pynn.EarlyStopping(patience=1)
    trainer.fit(X, Y, epochs=9, batch_size=8, validation=(X, Y), callbacks=[stop])
    assert trainer.history["val_loss"][-1] > min(trainer.history["val_loss"])
    restored = np.array(trainer.model[0].weight)
    trainer.optimizer.lr = 0.0
    trainer.step(X, Y)
    np.testing.assert_array_equal(trainer.model[0].weight, restored)


def test_an_averaging_belongs_to_one_trainer():
    trainer, _ = fitted(pynn.EMA(0.8))
    trainer.averaging = trainer.averaging
    with pytest.raises(ValueError, match=r"EMA\(decay=0\.8\), is that of another trainer; make a new one"):
        new_trainer(trainer.averaging)


@pytest.mark.parametrize("other", [None, pynn.SWA()], ids=["none", "another"])
@pytest.mark.parametrize("name", AVERAGES)
def test_without_its_average_the_model_holds_the_weights_of_training(name, other):
    trainer, seen = fitted(AVERAGES[name]())
    trainer.averaging = copy.deepcopy(other)
    assert_equal(trainer.model.state_dict(), seen.steps[-1])


def test_own_loops_average_too():
    trainer = new_trainer(pynn.EMA(0.5))
    first = trainer.step(X, Y)
    assert np.isfinite(first) and trainer.averaging.taken == 1


def test_a_loss_that_is_not_finite_leaves_the_average():
    trainer = new_trainer(pynn.EMA(0.5))
    trainer.fit(X, Y, epochs=1, batch_size=8)
    kept = [array.copy() for array in trainer.averaging.arrays]
    with pytest.raises(pynn.NonFiniteError):
        trainer.step(np.full_like(X, np.nan), Y)
    assert trainer.averaging.taken == 5
    for array, spare in zip(trainer.averaging.arrays, kept, strict=True):
        assert array.shape == spare.shape and np.isfinite(array).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: pynn.EMA(1.0), r"decay is 1.0; expected a number in \[0, 1\)"),
        (lambda: pynn.SWA(0), "start is 0; expected a positive integer"),
        (lambda: new_trainer(averaging=0.9), r"averaging is 0\.9; expected a pynn\.Averaging"),
    ],
)
def test_wrong_arguments(make, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make()
