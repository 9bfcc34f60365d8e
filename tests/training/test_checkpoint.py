"""Interrupting and continuing: a resumed run equals the one that was never interrupted, bit for bit."""

import os
import signal
import threading

import numpy as np
import pytest
from image_runs import AtStep

import pynn

X = np.random.default_rng(2).normal(size=(70, 6))
Y = np.random.default_rng(3).integers(3, size=70)
OPTIMIZERS = {
    "sgd": lambda: pynn.SGD(0.1),
    "momentum": lambda: pynn.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adagrad": lambda: pynn.Adagrad(0.05, lr_decay=0.01),
    "rmsprop": lambda: pynn.RMSprop(0.005, momentum=0.5),
    "adam": lambda: pynn.Adam(0.01, betas=(0.8, 0.95)),
    "adamw": lambda: pynn.AdamW(0.01, decay_all=False),
}


def new_trainer(optimizer="adam", **options):
    pynn.manual_seed(0)
    layers = [pynn.Linear(6, 9), pynn.BatchNorm1d(9), pynn.ReLU(), pynn.Dropout(0.3), pynn.Maxout(9, 5), pynn.PReLU(5)]
    model = pynn.Sequential(*layers, pynn.Sequential(pynn.Linear(5, 3)))
    options = {"schedule": pynn.WarmupLR(4, then=pynn.CosineAnnealingLR(30, by="step"))} | options
    options = {"regularizers": [pynn.L2(1e-3), pynn.MaxNorm(2)], "clip_norm": 1.0, "clip_value": 0.5} | options
    return pynn.Trainer(
        model, pynn.CrossEntropyLoss([1, 2, 1], label_smoothing=0.1), OPTIMIZERS[optimizer](), **options
    )


def assert_same_run(left, right):
    assert (left.epoch, left.steps, left.lr, left.last_loss) == (right.epoch, right.steps, right.lr, right.last_loss)
    assert left.history.epoch == right.history.epoch
    for name in left.history.history.keys() - {"seconds"}:
        assert left.history[name] == right.history[name], name
    for name, array in left.model.state_dict().items():
        np.testing.assert_array_equal(array, right.model.state_dict()[name], err_msg=name)
    for name, array in left.optimizer.state.items():
        np.testing.assert_array_equal(array, right.optimizer.state[name], err_msg=name)


FIT = {"epochs": 4, "batch_size": 16, "validation": (X[:20], Y[:20])}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("step", [5, 8, 10, 1])  # at the end of an epoch, in the middle, before the end of all
def test_resume_from_a_checkpoint(optimizer, step, backend, tmp_path):
    whole = new_trainer(optimizer)
    whole.fit(X, Y, **FIT)
    cut = new_trainer(optimizer)
    cut.fit(
        X,
        Y,
        **FIT,
        callbacks=[AtStep(step, lambda t: t.save(tmp_path / "run.ckpt")), AtStep(step + 3, pynn.Trainer.stop)],
    )
    pynn.manual_seed(99)
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt")
    assert resumed.steps == step
    resumed.fit(X, Y, validation=FIT["validation"])
    assert_same_run(resumed, whole)


def test_resume_from_the_end_of_an_epoch_by_model_checkpoint(backend, tmp_path):
    whole = new_trainer()
    whole.fit(X, Y, **FIT)
    cut = new_trainer()
    checkpoint = pynn.ModelCheckpoint(tmp_path / "run.ckpt", monitor=None, whole=True)
    cut.fit(X, Y, **FIT, callbacks=[checkpoint, AtStep(12, pynn.Trainer.stop)])
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt")
    assert (resumed.epoch, resumed.steps, resumed.target_epoch) == (2, 10, 4)
    resumed.fit(X, Y, validation=FIT["validation"])
    assert_same_run(resumed, whole)


def test_resume_remembers_that_data_was_not_shuffled(tmp_path):
    whole = new_trainer()
    whole.fit(X, Y, **FIT, shuffle=False)
    cut = new_trainer()
    cut.fit(X, Y, **FIT, shuffle=False, callbacks=[AtStep(8, pynn.Trainer.stop)])
    cut.save(tmp_path / "run.ckpt")
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt")
    resumed.fit(X, Y, validation=FIT["validation"])
    assert_same_run(resumed, whole)


def test_a_second_resume(tmp_path):
    whole = new_trainer()
    whole.fit(X, Y, **FIT)
    trainer = new_trainer()
    trainer.fit(X, Y, **FIT, callbacks=[AtStep(3, pynn.Trainer.stop)])
    for step in (9, 13):
        trainer.save(tmp_path / "run.ckpt")
        trainer = pynn.Trainer.resume(tmp_path / "run.ckpt")
        trainer.fit(X, Y, validation=FIT["validation"], callbacks=[AtStep(step, pynn.Trainer.stop)])
    trainer.fit(X, Y, validation=FIT["validation"])
    assert_same_run(trainer, whole)


def test_everything_about_the_trainer_is_restored(tmp_path):
    trainer = new_trainer(seed=7, matmul_precision="medium")
    trainer.model.class_names = ["a", "b", "c"]
    trainer.model[0].freeze()
    trainer.model[4].weight.lr_factor = 0.5
    trainer.model[0].bias.decay, trainer.model[4].weight.decay = True, False
    trainer.optimizer.lr = 0.02
    trainer.fit(X, Y, epochs=1)
    trainer.save(tmp_path / "run.ckpt")
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt")
    parts = ("model", "loss", "optimizer", "schedule", "regularizers", "clip_norm", "clip_value", "matmul_precision")
    for part in (*parts, "seed"):
        assert repr(getattr(resumed, part)) == repr(getattr(trainer, part))
    assert resumed.model.class_names == ["a", "b", "c"]
    assert resumed.model.output_kind == "classes"
    assert resumed.model[0].weight.frozen
    assert not resumed.model[1].weight.frozen
    assert resumed.model[4].weight.lr_factor == 0.5
    decays = [[p.decay for p in each.model.parameters()] for each in (resumed, trainer)]
    assert decays[0] == decays[1]
    assert resumed.optimizer.lr == 0.02
    assert_same_run(resumed, trainer)
    resumed.fit(X, Y, epochs=1)
    trainer.fit(X, Y, epochs=1)
    assert_same_run(resumed, trainer)


@pytest.mark.parametrize("step", [1, 7, 10, 20])
def test_ctrl_c_ends_at_a_step_and_fit_finishes_the_run(step, backend):
    whole = new_trainer()
    whole.fit(X, Y, **FIT)
    handler = signal.getsignal(signal.SIGINT)
    trainer = new_trainer()
    history = trainer.fit(X, Y, **FIT, callbacks=[AtStep(step, lambda t: os.kill(os.getpid(), signal.SIGINT))])
    assert history.interrupted
    assert trainer.steps == step
    assert signal.getsignal(signal.SIGINT) is handler
    assert trainer.model.predict(X).shape == (70, 3)
    assert not trainer.fit(X, Y, validation=FIT["validation"]).interrupted
    assert_same_run(trainer, whole)


def test_ctrl_c_does_not_put_back_early_stoppings_weights():
    whole = new_trainer()
    whole.fit(X, Y, **FIT)
    trainer = new_trainer()
    callbacks = [pynn.EarlyStopping(patience=50), AtStep(13, lambda t: os.kill(os.getpid(), signal.SIGINT))]
    trainer.fit(X, Y, **FIT, callbacks=callbacks)
    trainer.fit(X, Y, validation=FIT["validation"])
    assert_same_run(trainer, whole)


def test_ctrl_c_then_a_checkpoint(tmp_path):
    whole = new_trainer()
    whole.fit(X, Y, **FIT)
    trainer = new_trainer()
    trainer.fit(X, Y, **FIT, callbacks=[AtStep(7, lambda t: os.kill(os.getpid(), signal.SIGINT))])
    trainer.save(tmp_path / "run.ckpt")
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt")
    resumed.fit(X, Y, validation=FIT["validation"])
    assert_same_run(resumed, whole)


def test_a_second_ctrl_c_raises_at_once():
    def twice(trainer):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    trainer = new_trainer()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, Y, **FIT, callbacks=[AtStep(3, twice)])
    trainer.step(X, Y)  # not stuck


def test_ctrl_c_during_the_last_epochs_end_is_not_an_interruption():
    class AtEnd(pynn.Callback):
        def on_epoch_end(self, trainer):
            if trainer.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    trainer = new_trainer()
    assert not trainer.fit(X, Y, epochs=2, callbacks=[AtEnd()]).interrupted
    assert trainer.epoch == 2


def test_ctrl_c_between_epochs_starts_no_further_step():
    class AtEnd(pynn.Callback):
        def on_epoch_end(self, trainer):
            os.kill(os.getpid(), signal.SIGINT)

    trainer = new_trainer()
    assert trainer.fit(X, Y, **FIT, callbacks=[AtEnd()]).interrupted
    assert (trainer.epoch, trainer.steps) == (1, 5)


def test_fit_outside_the_main_thread():
    whole, trainer = new_trainer(), new_trainer()
    whole.fit(X, Y, **FIT)
    thread = threading.Thread(target=trainer.fit, args=(X, Y), kwargs=FIT)
    thread.start()
    thread.join()
    assert_same_run(trainer, whole)


def test_a_program_with_a_handler_of_its_own_keeps_it():
    received = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: received.append(number))
    try:
        trainer = new_trainer()
        trainer.fit(X, Y, epochs=1, callbacks=[AtStep(1, lambda t: os.kill(os.getpid(), signal.SIGINT))])
    finally:
        signal.signal(signal.SIGINT, previous)
    assert received == [signal.SIGINT]
    assert trainer.epoch == 1


def test_finishing_with_other_data_is_refused():
    trainer = new_trainer()
    trainer.fit(X, Y, **FIT, callbacks=[AtStep(2, pynn.Trainer.stop)])
    with pytest.raises(ValueError, match=r"had 70 examples in batches of 16; got 60 examples in batches of 16"):
        trainer.fit(X[:60], Y[:60])
    with pytest.raises(ValueError, match=r"got 70 examples in batches of 8"):
        trainer.fit(X, Y, batch_size=8)
    trainer.fit(X, Y)
    assert trainer.epoch == 4
    with pytest.raises(ValueError, match="no interrupted run"):
        trainer.fit(X, Y)


def test_a_refused_fit_does_not_forget_the_interrupted_run():
    whole, trainer = new_trainer(), new_trainer()
    whole.fit(X, Y, **FIT)
    trainer.fit(X, Y, **FIT, callbacks=[AtStep(7, pynn.Trainer.stop)])
    for bad in (X[:, :5], np.full_like(X, np.nan)):
        with pytest.raises(ValueError):
            trainer.fit(bad, Y, epochs=9)
    trainer.fit(X, Y, validation=FIT["validation"])
    assert_same_run(trainer, whole)


def test_a_loss_that_is_a_function_must_be_given_again(tmp_path):
    def squared(prediction, target):
        difference = prediction - target
        return float((difference**2).mean()), 2 * difference / difference.size

    trainers = [pynn.Trainer(pynn.Sequential(pynn.Linear(6, 2, init="zeros")), squared, pynn.Adam()) for _ in range(2)]
    whole, cut = trainers
    whole.fit(X, X[:, :2], epochs=3)
    cut.fit(X, X[:, :2], epochs=3, callbacks=[AtStep(4, pynn.Trainer.stop)])
    cut.save(tmp_path / "run.ckpt")
    with pytest.raises(ValueError, match="loss="):
        pynn.Trainer.resume(tmp_path / "run.ckpt")
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt", loss=squared)
    resumed.fit(X, X[:, :2])
    assert_same_run(resumed, whole)


class Huber(pynn.Loss):
    def __init__(self, delta=1.0):
        self.delta = delta

    def forward(self, prediction, target, sample_weight=None, gradient_out=None):
        difference = prediction - target
        small = np.abs(difference) < self.delta
        cost = np.where(small, difference**2 / 2, self.delta * (np.abs(difference) - self.delta / 2))
        return float(cost.mean()), np.where(small, difference, self.delta * np.sign(difference)) / difference.size


class Half(pynn.Schedule):
    def at(self, base, count):
        return base / 2**count


def test_losses_and_schedules_of_your_own(tmp_path):
    model = pynn.Sequential(pynn.Linear(6, 2))
    trainer = pynn.Trainer(model, Huber(0.5), pynn.SGD(0.1), schedule=Half())
    trainer.fit(X, X[:, :2], epochs=2)
    trainer.save(tmp_path / "run.ckpt")
    with pytest.raises(ValueError, match=r"custom=\[H"):
        pynn.Trainer.resume(tmp_path / "run.ckpt")
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt", custom=[Huber, Half])
    assert resumed.loss.delta == 0.5
    trainer.fit(X, X[:, :2], epochs=1)
    resumed.fit(X, X[:, :2], epochs=1)
    assert_same_run(resumed, trainer)


def test_resuming_on_another_backend_warns(tmp_path):
    trainer = new_trainer()
    with pynn.use_backend("numpy"):
        trainer.fit(X, Y, **FIT, callbacks=[AtStep(7, pynn.Trainer.stop)])
        trainer.save(tmp_path / "run.ckpt")
    others = [name for name in pynn.available_backends() if name != "numpy"]
    for name in others:
        with pynn.use_backend(name), pytest.warns(RuntimeWarning, match=f"backend numpy.*backend {name}"):
            pynn.Trainer.resume(tmp_path / "run.ckpt")
