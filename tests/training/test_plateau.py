"""ReduceLROnPlateau: PyTorch's rates, resumed runs, and schedules that a file cannot hold."""

import numpy as np
import pytest

import pynn

X = np.random.default_rng(0).normal(size=(24, 3))
Y = np.arange(24) % 2
OPTIONS = {
    "plain": {"patience": 1, "factor": 0.5},
    "abs": {"patience": 0, "threshold": 0.1, "threshold_mode": "abs", "factor": 0.5},
    "cooldown": {"patience": 1, "cooldown": 3, "min_lr": 0.05},
    "max": {"patience": 2, "mode": "max", "threshold": 0.01, "threshold_mode": "abs", "factor": 0.3},
}


def new_trainer(lr=0.3, **options):
    pynn.manual_seed(0)
    return pynn.Trainer(pynn.Sequential(pynn.Linear(3, 2)), pynn.CrossEntropyLoss(), pynn.SGD(lr, 0.9), **options)


def told(figures):
    """Return a metric that gives the next figure at every call."""
    coming = iter(figures)

    def figure(truth, predicted):
        return next(coming)

    return figure


def rates(trainer, figures, **options):
    plateau = pynn.ReduceLROnPlateau("val_figure", **{"mode": "min"} | options)
    return trainer.fit(X, Y, epochs=len(figures), validation=(X, Y), metrics=[told(figures)], callbacks=[plateau])["lr"]


@pytest.mark.parametrize("name", OPTIONS)
def test_rates_are_those_of_pytorch(name, torch_vectors):
    stored = torch_vectors("training")
    figures = stored["plateau.figures"]
    figures = 1 - figures if name == "max" else figures
    np.testing.assert_allclose(rates(new_trainer(), figures, **OPTIONS[name]), stored[f"plateau.{name}"], rtol=1e-12)


def test_a_schedule_scales_the_lowered_rate():
    got = rates(new_trainer(schedule=pynn.ExponentialLR(0.5)), [1.0] * 4, patience=1, factor=0.1)
    np.testing.assert_allclose(got, [0.3, 0.15, 0.075, 0.00375])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("middle", [True, False])
def test_a_resumed_run_takes_the_same_rates(first, stop, middle, tmp_path):
    """Saved after an epoch or inside one, by a callback before or after this one."""

    class Save(pynn.Callback):
        def on_step_end(self, trainer):
            if middle and trainer.epoch == stop and trainer.batches_done == 1:
                trainer.save(tmp_path / "run")

        def on_epoch_end(self, trainer):
            if not middle and trainer.epoch == stop:
                trainer.save(tmp_path / "run")

    def callbacks(*others):
        plateau = pynn.ReduceLROnPlateau("loss", patience=0, threshold=0.2, factor=0.5)
        return [*others, plateau] if first else [plateau, *others]

    whole = new_trainer().fit(X, Y, epochs=6, batch_size=8, callbacks=callbacks(Save()))
    resumed = pynn.Trainer.resume(tmp_path / "run")
    again = resumed.fit(X, Y, callbacks=callbacks())
    assert again["lr"] == whole["lr"] and again["loss"] == whole["loss"]
    assert whole["lr"][-1] < whole["lr"][0]


def test_a_second_fit_counts_anew():
    trainer = new_trainer()
    assert rates(trainer, [1.0] * 3, patience=1)[-1] == 0.3
    assert rates(trainer, [1.0] * 3, patience=1)[-3:] == [0.3] * 3


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"there is no 'val_loss' to monitor among.*; pass validation="):
        new_trainer().fit(X, Y, epochs=1, callbacks=[pynn.ReduceLROnPlateau()])


def test_a_schedule_with_a_function_trains_but_is_not_saved(tmp_path):
    trainer = new_trainer(schedule=pynn.LambdaLR(lambda epoch: 0.5**epoch))
    np.testing.assert_allclose(trainer.fit(X, Y, epochs=3)["lr"], [0.3, 0.15, 0.075])
    with pytest.raises(TypeError, match=r"LambdaLR cannot be saved.*subclass of pynn\.Schedule"):
        trainer.save(tmp_path / "run")
    with pytest.raises(TypeError, match=r"lr_lambda is 0\.5; expected a function"):
        pynn.LambdaLR(0.5)


@pytest.mark.parametrize("schedule", [pynn.CosineAnnealingWarmRestarts(2, 3), pynn.OneCycleLR(0.1, 9)], ids=repr)
def test_a_checkpoint_holds_the_schedule(schedule, tmp_path):
    new_trainer(schedule=schedule).save(tmp_path / "run")
    assert repr(pynn.Trainer.resume(tmp_path / "run").schedule) == repr(schedule)


def test_an_epoch_that_fails_before_its_first_step_lowers_the_rate_once():
    def rates_of(failing):
        def batches(epoch):
            if epoch in failing:
                failing.remove(epoch)
                raise OSError("no data")
            return [(X, Y)]

        trainer, plateau = new_trainer(), pynn.ReduceLROnPlateau("loss", patience=0, threshold=0.9, factor=0.5)
        try:
            trainer.fit(batches, epochs=6, callbacks=[plateau])
        except OSError:
            trainer.fit(batches, callbacks=[plateau])
        return trainer.history["lr"]

    assert rates_of([3]) == rates_of([])
