"""Callbacks: when they are called, early stopping, checkpoints, logs, and the progress display."""

import copy
import csv
import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

import pynn
from pynn.training.progress_bar import ProgressBar

X = np.random.default_rng(0).normal(size=(48, 4))
Y = np.arange(48) % 3


def new_trainer(lr=0.05):
    pynn.manual_seed(0)
    return pynn.Trainer(pynn.Sequential(pynn.Linear(4, 3)), pynn.CrossEntropyLoss(), pynn.SGD(lr))


class Recorder(pynn.Callback):
    def __init__(self):
        self.calls = []

    def on_train_begin(self, trainer):
        self.calls.append("train_begin")

    def on_epoch_begin(self, trainer):
        self.calls.append(("epoch_begin", trainer.epoch, trainer.batches_per_epoch))

    def on_step_end(self, trainer):
        self.calls.append(("step_end", trainer.steps, trainer.batches_done))

    def on_epoch_end(self, trainer):
        self.calls.append(("epoch_end", trainer.epoch, len(trainer.history)))

    def on_train_end(self, trainer):
        self.calls.append("train_end")


def test_order_of_calls():
    recorder = Recorder()
    new_trainer().fit(X, Y, epochs=2, batch_size=24, callbacks=[recorder])
    assert recorder.calls == [
        "train_begin",
        ("epoch_begin", 0, 2),
        ("step_end", 1, 1),
        ("step_end", 2, 2),
        ("epoch_end", 1, 1),
        ("epoch_begin", 1, 2),
        ("step_end", 3, 1),
        ("step_end", 4, 2),
        ("epoch_end", 2, 2),
        "train_end",
    ]


def test_an_error_in_a_callback_ends_the_run_and_frees_the_trainer():
    class Failing(pynn.Callback):
        def on_step_end(self, trainer):
            raise RuntimeError("mine")

    trainer, recorder = new_trainer(), Recorder()
    with pytest.raises(RuntimeError, match="mine"):
        trainer.fit(X, Y, epochs=1, callbacks=[recorder, Failing()])
    assert recorder.calls[-1] == "train_end"
    trainer.fit(X, Y, epochs=1)


class Losses(pynn.Callback):
    """Write given figures over the history's, and number the weights by epoch."""

    def __init__(self, figures):
        self.figures = figures

    def on_epoch_end(self, trainer):
        trainer.history["val_loss"][-1] = self.figures[trainer.epoch - 1]
        trainer.model[0].weight[...] = trainer.epoch


def stopped_after(figures, lr=0.0, **options):
    trainer, stopping = new_trainer(lr), pynn.EarlyStopping(**options)
    trainer.fit(X, Y, epochs=len(figures), validation=(X, Y), callbacks=[Losses(figures), stopping])
    return trainer.epoch, stopping.stopped_epoch, int(trainer.model[0].weight[0, 0])


@pytest.mark.parametrize(
    ("figures", "options", "expected"),
    [
        ([3, 2, 1, 1.5, 1.4, 9, 9], {"patience": 2}, (5, 5, 3)),
        ([3, 2, 1, 1.5, 1.4, 9, 9], {"patience": 2, "restore_best_weights": False}, (5, 5, 5)),
        ([3, 2, 1, 1, 1], {"patience": 2}, (5, 5, 3)),
        ([5, 4, 3, 2, 1], {"patience": 1}, (5, None, 5)),
        ([5, 6, 4, 6, 3], {"patience": 2}, (5, None, 5)),
        ([5, 4.9, 4.8, 4.7, 4.6], {"patience": 2, "min_delta": 0.5}, (3, 3, 1)),
        ([1, 2, 3, 2, 1], {"patience": 2, "mode": "max"}, (5, 5, 3)),
        ([1, float("nan"), float("nan"), 0.5, 0.5], {"patience": 2}, (3, 3, 1)),
        ([float("nan"), 2, 3, 4, 5], {"patience": 2}, (4, 4, 2)),
    ],
)
def test_early_stopping(figures, options, expected):
    assert stopped_after(figures, **options) == expected


def test_early_stopping_knows_that_more_accuracy_is_better():
    trainer = new_trainer(0.0)
    stopping = pynn.EarlyStopping("accuracy", patience=3)
    trainer.fit(X, Y, epochs=9, callbacks=[stopping])
    assert stopping.stopped_epoch == 4


def test_monitoring_what_is_not_there():
    with pytest.raises(
        ValueError, match="no 'val_loss' to monitor among loss, accuracy, lr, seconds; pass validation="
    ):
        new_trainer().fit(X, Y, epochs=1, callbacks=[pynn.EarlyStopping()])


@pytest.mark.parametrize("make", [pynn.EarlyStopping, pynn.ReduceLROnPlateau, lambda m: pynn.ModelCheckpoint("m", m)])
def test_of_a_metric_of_ones_own_only_the_user_knows_what_is_better(make):
    def score(y, predicted):
        return 1.0

    with pytest.raises(ValueError, match='mode is "auto"; expected "min" or "max" for \'val_score\''):
        new_trainer().fit(X, Y, epochs=1, validation=(X, Y), metrics=[score], callbacks=[make("val_score")])


def test_a_column_that_is_always_nan_is_told(tmp_path):
    nan = [float("nan")] * 5
    callbacks = [Losses(nan), pynn.EarlyStopping(patience=2), pynn.ModelCheckpoint(tmp_path / "best.safetensors")]
    with pytest.warns(pynn.TrainingWarning) as told:
        new_trainer().fit(X, Y, epochs=5, validation=(X, Y), callbacks=callbacks)
    assert [str(warning.message) for warning in told] == [
        "val_loss is NaN in all 2 epochs of this run: early stopping ends it, and restores no weights",
        "val_loss is NaN in all 2 epochs of this run: no epoch is the best, and best.safetensors is not written",
    ]
    assert not list(tmp_path.iterdir())


class Failing(pynn.Callback):
    """Fails once, at a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer):
        if trainer.steps == self.step:
            self.step = 0
            raise OSError("no space")


def test_after_an_error_early_stopping_leaves_the_weights_that_the_run_goes_on_from():
    runs = []
    for failing in ([], [Failing(7)]):
        trainer, stopping = new_trainer(0.5), pynn.EarlyStopping("val_accuracy", patience=20)
        options = {"epochs": 4, "batch_size": 10, "validation": (X, Y)}
        if failing:
            with pytest.raises(OSError, match="no space"):
                trainer.fit(X, Y, **options, callbacks=[*failing, stopping])
            options.pop("epochs")
        trainer.fit(X, Y, **options, callbacks=[stopping])
        runs.append((trainer.history["loss"], trainer.model[0].weight.data.tobytes()))
    assert runs[0] == runs[1]


def test_after_a_loss_that_is_no_number_early_stopping_restores_the_best_weights():
    trainer = new_trainer(0.1)
    kept = []
    keep = pynn.Callback()
    keep.on_epoch_end = lambda trainer: kept.append(trainer.model[0].weight.data.copy())

    def batches(epoch):
        return [(X, Y)] if epoch == 0 else [(X, Y), (X * np.float32(1e38), Y)]

    with np.errstate(all="ignore"), pytest.raises(pynn.NonFiniteError):
        trainer.fit(batches, epochs=3, validation=(X, Y), callbacks=[keep, pynn.EarlyStopping()])
    np.testing.assert_array_equal(trainer.model[0].weight.data, kept[0])


def test_early_stopping_can_serve_two_runs():
    stopping = pynn.EarlyStopping("loss", patience=1)
    for _ in range(2):
        trainer = new_trainer(0.0)
        trainer.fit(X, Y, epochs=5, shuffle=False, callbacks=[stopping])
        assert (trainer.epoch, stopping.stopped_epoch) == (2, 2)


def test_model_checkpoint_keeps_the_best(tmp_path):
    figures = [3, 1, 2, 0.5, 0.7]
    trainer = new_trainer(0.0)
    checkpoint = pynn.ModelCheckpoint(tmp_path / "best")
    trainer.fit(X, Y, epochs=5, validation=(X, Y), callbacks=[Losses(figures), checkpoint])
    assert (pynn.load(tmp_path / "best")[0].weight[...] == 4).all()
    every = pynn.ModelCheckpoint(tmp_path / "last", monitor=None, whole=True)
    trainer.fit(X, Y, epochs=1, callbacks=[every])
    assert pynn.Trainer.resume(tmp_path / "last").epoch == 6


def test_another_column_may_be_monitored_in_the_middle_of_a_run():
    """The best epoch is then that of the other column, from the first epoch on."""
    stopping = pynn.EarlyStopping("val_loss", patience=2, restore_best_weights=False)
    history = pynn.History()
    trainer = SimpleNamespace(history=history, history_start=0, epoch=0, stopped=False)
    trainer.stop = lambda: setattr(trainer, "stopped", True)
    for epoch, (loss, accuracy) in enumerate(((1.0, 0.9), (0.5, 0.5), (0.25, 0.5)), 1):
        history.append(epoch, {"val_loss": loss, "val_accuracy": accuracy})
        if epoch == 3:
            stopping.monitor = "val_accuracy"
        stopping.on_epoch_end(trainer)
    assert trainer.stopped


def test_csv_logger(tmp_path):
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=2, callbacks=[pynn.CSVLogger(tmp_path / "log.csv")])
    trainer.save(tmp_path / "run.ckpt")
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt")
    resumed.fit(X, Y, epochs=1, callbacks=[pynn.CSVLogger(tmp_path / "log.csv")])
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "lr", "seconds"]
    for name in ("loss", "accuracy", "lr", "seconds"):
        assert [float(row[name]) for row in rows] == resumed.history[name]
    assert [path.name for path in tmp_path.glob("*.csv*")] == ["log.csv"]


def test_csv_logger_writes_columns_that_come_later(tmp_path):
    logger, history = pynn.CSVLogger(tmp_path / "log.csv"), pynn.History()
    trainer = SimpleNamespace(history=history, rank=0)
    for epoch, row in enumerate(({"loss": 1.0}, {"loss": 0.5, "val_f1": 0.25}, {"loss": 0.125}), 1):
        history.append(epoch, row)
        logger.on_epoch_end(trainer)
    assert (tmp_path / "log.csv").read_text().split() == ["epoch,loss,val_f1", "1,1.0,nan", "2,0.5,0.25", "3,0.125,nan"]


def test_progress_where_there_is_no_terminal(capsys):
    new_trainer().fit(X, Y, epochs=3, validation=(X, Y), progress=True)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert [line[:11] for line in lines] == ["epoch 1/3  ", "epoch 2/3  ", "epoch 3/3  "]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "lr 0.05"):
        assert all(name in line for line in lines)
    assert "\x1b" not in captured.err


def test_nothing_is_printed_unless_asked(capsys):
    new_trainer().fit(X, Y, epochs=1)
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal():
    text = io.StringIO()
    console = Console(force_terminal=True, file=text, width=100)
    bar = ProgressBar(console)
    trainer = new_trainer()
    for _ in range(2):
        trainer.fit(X, Y, epochs=2, batch_size=6, callbacks=[bar])
    shown = text.getvalue()
    assert "epoch 1/2" in shown
    assert "100%" in shown
    assert [line.count("accuracy") for line in shown.splitlines() if "accuracy" in line] == [1] * 4
    assert shown.endswith("\x1b[2K")  # the bar is gone, the lines stay
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is back


def test_progress_ends_cleanly_when_training_fails():
    text = io.StringIO()
    bar = ProgressBar(Console(force_terminal=True, file=text, width=100))
    trainer = pynn.Trainer(
        pynn.Sequential(pynn.Linear(4, 3)), lambda p, t: (float("nan"), np.zeros_like(p)), pynn.SGD(0.1)
    )
    with pytest.raises(pynn.NonFiniteError):
        trainer.fit(X, Y, epochs=1, callbacks=[bar])
    shown = text.getvalue()
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1


def test_a_method_assigned_to_a_callback_is_called_after_steps():
    callback, steps = pynn.Callback(), []
    callback.on_step_end = lambda trainer: steps.append(trainer.steps)
    new_trainer().fit(X, Y, epochs=1, batch_size=16, callbacks=[callback])
    assert steps == [1, 2, 3]


def test_early_stopping_copied_within_a_run_restores_the_copied_model():
    class Copy(pynn.Callback):
        def on_epoch_end(self, trainer):
            if trainer.epoch == 2:
                trainer.stop()
                copies.extend(copy.deepcopy((trainer, stopping)))

    copies, stopping = [], pynn.EarlyStopping("loss", mode="max", patience=9)  # the first epoch is the best
    trainer = new_trainer()
    trainer.fit(X, Y, epochs=2, callbacks=[stopping, Copy()])
    best = trainer.model.state_dict()
    copied, callback = copies
    callback.on_train_end(copied)
    for name, array in copied.model.state_dict().items():
        np.testing.assert_array_equal(array, best[name])
