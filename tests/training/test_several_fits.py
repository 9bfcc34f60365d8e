"""State over several fits: what callbacks judge by, what is told before the first epoch, what an interrupt leaves."""

import os
import signal

import numpy as np
import pytest
from image_runs import AtEpoch, AtStep

import pynn
from pynn.preprocessing import Standardize

RNG = np.random.default_rng(1)
X, X_VAL = RNG.normal(size=(41, 3)), RNG.normal(size=(200, 3))
Y, Y_VAL = (X[:, 0] > 0).astype(int), RNG.integers(0, 2, 200)
VALIDATION = (X_VAL, Y_VAL)  # has nothing to do with the training data: its loss rises soon


def new_trainer(lr=0.5):
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(3, 8), pynn.ReLU(), pynn.Linear(8, 2))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr))


class Figures(pynn.Callback):
    """Write given figures over the history's val_loss, and number the weights by epoch."""

    def __init__(self, figures):
        self.figures = figures

    def on_epoch_end(self, trainer):
        trainer.history["val_loss"][-1] = self.figures[trainer.epoch - 1]
        trainer.model[0].weight[...] = trainer.epoch


def ctrl_c(trainer):
    os.kill(os.getpid(), signal.SIGINT)


# A second fit


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("lr", [0.01, 0.0, 5.0])
def test_a_second_fit_has_its_full_patience_and_ends_no_worse(shared, lr):
    trainer = new_trainer()
    stopping = pynn.EarlyStopping(patience=3)
    trainer.fit(X, Y, epochs=50, validation=VALIDATION, callbacks=[stopping])
    assert trainer.epoch < 50
    first, before = len(trainer.history), trainer.evaluate(*VALIDATION)["loss"]
    trainer.optimizer.lr = lr
    stopping = stopping if shared else pynn.EarlyStopping(patience=3)
    trainer.fit(X, Y, epochs=50, validation=VALIDATION, callbacks=[stopping])
    assert len(trainer.history) - first >= 3
    assert stopping.stopped_epoch is None or stopping.stopped_epoch == trainer.epoch
    after = trainer.evaluate(*VALIDATION)["loss"]
    assert after <= before + 1e-7
    assert after <= min(trainer.history["val_loss"][first:]) + 1e-7


def test_a_second_fit_is_judged_by_its_own_validation_data():
    trainer, stopping = new_trainer(), pynn.EarlyStopping(patience=4)
    trainer.fit(X, Y, epochs=8, validation=(X, Y), callbacks=[stopping])  # a loss close to 0
    with pytest.warns(pynn.TrainingWarning, match="had a val_loss of"):
        trainer.fit(X, Y, epochs=30, validation=VALIDATION, callbacks=[stopping])
    assert trainer.epoch >= 8 + 4
    assert trainer.evaluate(*VALIDATION)["loss"] <= min(trainer.history["val_loss"][8:]) + 1e-7


def test_the_plan_is_that_of_the_last_fit_or_of_the_run_that_it_finishes():
    trainer = new_trainer()
    assert trainer.plan is None
    trainer.fit(X, Y, epochs=2, batch_size=8)
    trainer.fit(X, Y, epochs=3, shuffle=False, callbacks=[AtStep(13, pynn.Trainer.stop)])
    begun = trainer.plan
    assert (begun.until, begun.batch_size, begun.shuffle, begun.since) == (5, 32, False, 2)
    trainer.fit(X, Y)
    assert trainer.plan == begun and trainer.epoch == 5


def test_a_second_fit_saves_its_own_best_model(tmp_path):
    figures = [1, 2, 9, 7, 8]
    trainer = new_trainer()
    checkpoint = pynn.ModelCheckpoint(tmp_path / "best")
    for epochs, best in ((2, 1), (3, 4)):
        trainer.fit(X, Y, epochs=epochs, validation=VALIDATION, callbacks=[Figures(figures), checkpoint])
        assert (pynn.load(tmp_path / "best")[0].weight[...] == best).all()


def test_a_callback_on_another_trainer_begins_afresh():
    stopping = pynn.EarlyStopping(patience=2)
    alone = []
    for _ in range(2):
        trainer = new_trainer()
        trainer.fit(X, Y, epochs=30, validation=VALIDATION, callbacks=[stopping])
        alone.append((trainer.epoch, trainer.model.state_dict()["0.weight"].tolist()))
    assert alone[0] == alone[1]
    interrupted = new_trainer()
    interrupted.fit(X, Y, epochs=30, validation=VALIDATION, callbacks=[stopping, AtEpoch(2, ctrl_c)])
    other = new_trainer()
    other.fit(X, Y, epochs=30, validation=VALIDATION, callbacks=[stopping])
    assert (other.epoch, other.model.state_dict()["0.weight"].tolist()) == alone[0]


# An interrupted run


@pytest.mark.parametrize("epoch", [1, 3, 4])
@pytest.mark.parametrize("same", [True, False])
def test_an_interrupted_run_that_is_finished_is_one_run(epoch, same, tmp_path):
    whole, part = new_trainer(), new_trainer()
    stopping = pynn.EarlyStopping(patience=6, restore_best_weights=False)
    whole.fit(X, Y, epochs=30, validation=VALIDATION, callbacks=[stopping])
    assert 6 < whole.epoch < 30
    stopping = pynn.EarlyStopping(patience=6, restore_best_weights=False)
    part.fit(X, Y, epochs=30, validation=VALIDATION, callbacks=[stopping, AtEpoch(epoch, ctrl_c)])
    assert part.history.interrupted and part.epoch == epoch
    if not same:
        part.save(tmp_path / "run")
        part, stopping = pynn.Trainer.resume(tmp_path / "run"), pynn.EarlyStopping("val_loss", 6, 0, "auto", False)
    part.fit(X, Y, validation=VALIDATION, callbacks=[stopping])
    assert part.history["val_loss"] == whole.history["val_loss"]
    assert part.history_start == whole.history_start == 0


def test_the_best_weights_of_an_interrupted_run_are_kept_in_the_callback():
    whole, part, stopping = new_trainer(), new_trainer(), pynn.EarlyStopping(patience=3)
    whole.fit(X, Y, epochs=30, validation=VALIDATION, callbacks=[pynn.EarlyStopping(patience=3)])
    best = int(np.argmin(whole.history["val_loss"])) + 1
    part.fit(X, Y, epochs=30, validation=VALIDATION, callbacks=[stopping, AtEpoch(best + 1, ctrl_c)])
    part.fit(X, Y, validation=VALIDATION, callbacks=[stopping])
    assert part.epoch == whole.epoch
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(part.model.state_dict()[name], array)


@pytest.mark.parametrize("epochs", [None, 20])
def test_best_weights_that_are_lost_are_told(epochs, tmp_path):
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=12, validation=VALIDATION)
    column = trainer.history["val_loss"]
    best = int(np.argmin(column)) + 1
    assert best < 8 and column[best - 1] < min(column[best:])
    trainer = new_trainer()
    action = ctrl_c if epochs is None else pynn.Trainer.stop
    trainer.fit(X, Y, epochs=12, validation=VALIDATION, callbacks=[AtEpoch(best + 2, action)])
    trainer.save(tmp_path / "run")
    resumed, stopping = pynn.Trainer.resume(tmp_path / "run"), pynn.EarlyStopping(patience=9)
    said = f"epoch {best} had a val_loss of .*, better than the .* of the final weights.*were not kept"
    with pytest.warns(pynn.TrainingWarning, match=said):
        resumed.fit(X, Y, epochs=epochs, validation=VALIDATION, callbacks=[stopping])
    end = resumed.evaluate(*VALIDATION)["loss"]
    assert end == pytest.approx(
        min(resumed.history["val_loss"][best + 1 :])
    )  # the best that it saw, its start included


@pytest.mark.filterwarnings("error")
def test_nothing_is_told_where_the_best_weights_come_later():
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=2, validation=(X, Y))
    trainer.fit(X, Y, epochs=5, validation=(X, Y), callbacks=[pynn.EarlyStopping(patience=3)])
    assert trainer.evaluate(X, Y)["loss"] == pytest.approx(min(trainer.history["val_loss"]))


def test_interrupts_errors_and_the_history():
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=3, callbacks=[AtEpoch(2, ctrl_c)])
    assert (trainer.history.interrupted, trainer.history.epoch) == (True, [1, 2])

    def fail(trainer):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trainer.fit(X, Y, epochs=5, callbacks=[AtEpoch(4, fail)])
    assert (trainer.history.interrupted, trainer.history.epoch) == (False, [1, 2, 3, 4])
    trainer.fit(X, Y)  # what was begun is finished
    assert trainer.history.epoch == [1, 2, 3, 4, 5, 6, 7]
    assert all(len(column) == 7 for column in trainer.history.history.values())
    with pytest.raises(ValueError, match="no interrupted run"):
        trainer.fit(X, Y)


def test_a_second_ctrl_c_leaves_an_interrupted_run():
    trainer, stopping = new_trainer(), pynn.EarlyStopping(patience=3)

    def twice(trainer):
        ctrl_c(trainer)
        ctrl_c(trainer)

    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, Y, epochs=9, validation=VALIDATION, callbacks=[stopping, AtEpoch(4, twice)])
    assert trainer.history.interrupted
    last = trainer.evaluate(*VALIDATION)["loss"]  # not yet the best weights: the run can go on from here
    assert last == pytest.approx(trainer.history["val_loss"][-1])


# What is told before the first epoch


class Untouched:
    """Within the block, fit raises before anything has changed."""

    def __init__(self, trainer):
        self.trainer, self.before = trainer, trainer.model.state_dict()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.trainer.steps == 0 and len(self.trainer.history) == 0
        for name, array in self.trainer.model.state_dict().items():
            np.testing.assert_array_equal(array, self.before[name])
        preprocessing = self.trainer.model.preprocessing
        assert preprocessing is None or not preprocessing.is_fitted


@pytest.mark.parametrize("make", [pynn.EarlyStopping, lambda name: pynn.ModelCheckpoint("best", name)])
@pytest.mark.parametrize(
    ("name", "validation", "said"),
    [
        ("val_loss", None, "no 'val_loss' to monitor among loss, accuracy, lr, seconds; pass validation= to fit"),
        ("val_acc", (X, Y), "no 'val_acc' to monitor among loss, accuracy, val_loss, val_accuracy, lr, seconds$"),
        ("f1", None, "no 'f1' to monitor"),
    ],
)
def test_a_column_that_will_not_come_is_told_before_the_first_epoch(
    make, name, validation, said, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    trainer = new_trainer()
    trainer.model.preprocessing = Standardize()
    with Untouched(trainer), pytest.raises(ValueError, match=said):
        trainer.fit(X, Y, epochs=3, validation=validation, callbacks=[make(name)])
    assert not list(tmp_path.iterdir())


def test_regression_has_no_accuracy():
    pynn.manual_seed(0)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(3, 1)), pynn.MSELoss(), pynn.SGD(0.01))
    with Untouched(trainer), pytest.raises(ValueError, match=r"no 'accuracy' to monitor among loss, lr, seconds$"):
        trainer.fit(X, Y[:, None], epochs=1, callbacks=[pynn.EarlyStopping("accuracy")])


WRITERS = {
    "model": pynn.ModelCheckpoint,
    "whole": lambda path: pynn.ModelCheckpoint(path, None, whole=True),
    "log": pynn.CSVLogger,
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("none/best", FileNotFoundError, "none/best"),
        ("file/best", NotADirectoryError, "file/best"),
        ("folder", IsADirectoryError, "folder"),
    ],
)
def test_a_path_that_cannot_be_written_is_told_before_the_first_epoch(writer, path, error, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    trainer = new_trainer()
    trainer.model.preprocessing = Standardize()
    with Untouched(trainer), pytest.raises(error, match=said):
        trainer.fit(X, Y, epochs=1, validation=VALIDATION, callbacks=[WRITERS[writer](path)])


def test_a_folder_that_may_not_be_written_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_, **__: False)  # root may write anywhere
    trainer = new_trainer()
    with Untouched(trainer), pytest.raises(PermissionError, match=r"log.csv"):
        trainer.fit(X, Y, epochs=1, callbacks=[pynn.CSVLogger(tmp_path / "log.csv")])


def test_a_run_that_a_callback_refuses_to_finish_can_still_be_finished(tmp_path):
    whole, part = new_trainer(), new_trainer()
    whole.fit(X, Y, epochs=4)
    part.fit(X, Y, epochs=4, batch_size=32, callbacks=[AtStep(3, pynn.Trainer.stop)])
    for wrong in (pynn.EarlyStopping(), pynn.CSVLogger(tmp_path / "none" / "log")):
        with pytest.raises((ValueError, OSError)):
            part.fit(X, Y, epochs=9, callbacks=[wrong])
        with pytest.raises((ValueError, OSError)):
            part.fit(X, Y, callbacks=[wrong])
    part.fit(X, Y)
    assert part.history["loss"] == whole.history["loss"]


def test_a_callback_that_is_not_in_a_list():
    with pytest.raises(TypeError, match=r"expected a list: \[CSVLogger\(path=.*\)\]"):
        new_trainer().fit(X, Y, epochs=1, callbacks=pynn.CSVLogger("log.csv"))


def test_every_callback_ends_whatever_the_others_raise():
    class Ending(pynn.Callback):
        ended = 0

        def on_train_end(self, trainer):
            self.ended += 1
            raise ValueError("of mine")

    class Refusing(pynn.Callback):
        def on_train_begin(self, trainer):
            raise KeyError("not today")

    ending = [Ending(), Ending()]
    trainer = new_trainer()
    with pytest.raises(ValueError, match="of mine"):
        trainer.fit(X, Y, epochs=1, callbacks=ending)
    assert [callback.ended for callback in ending] == [1, 1]
    with pytest.raises(ValueError, match="of mine"):  # which hides that the third refused: it is its context
        trainer.fit(X, Y, epochs=1, callbacks=[*ending, Refusing()])
    assert [callback.ended for callback in ending] == [2, 2]
    trainer.fit(X, Y, epochs=1)
