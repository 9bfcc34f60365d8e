"""Runs of many short epochs under a monitor."""

import numpy as np
import pytest

import pynn


@pytest.mark.parametrize("stopped", [False, True])
def test_of_many_epochs_ever_fewer_are_evaluated_and_the_last_one_always(stopped):
    """Otherwise an epoch of one step would cost more the longer the run: rules read all epochs."""
    seen = []

    def note(state):
        seen.append((len(state.evaluations), state.evaluations[-1].reached if state.evaluations else np.nan))
        return ()

    x = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    trainer = pynn.Trainer(
        pynn.Sequential(pynn.Linear(3, 4), pynn.ReLU(), pynn.Linear(4, 1)), pynn.MSELoss(), pynn.SGD(0.01)
    )
    stopping = [pynn.EarlyStopping(patience=450, min_delta=1e9, restore_best_weights=False)] if stopped else []
    monitor = pynn.Monitor(on_problem="silent", rules=[note])
    history = trainer.fit(
        x, x[:, :1], epochs=1000, batch_size=16, validation=(x, x[:, :1]), callbacks=[monitor, *stopping]
    )
    evaluated = [epochs for epochs, score in seen if not np.isnan(score)]
    assert set(range(1, 101)) <= set(evaluated)
    assert len(set(evaluated)) < 320
    assert evaluated[-1] == len(history) == (451 if stopped else 1000)


@pytest.mark.parametrize("last", [150, 151])  # one of the two is evaluated after the run only
def test_weights_that_were_restored_are_known_to_be_also_where_a_run_is_stopped(last):
    restored = []

    class Stop(pynn.Callback):
        def on_epoch_end(self, trainer):
            if trainer.epoch == last:
                trainer.stop()

    def note(state):
        restored.append((len(state.evaluations), state.settings.restores))
        return ()

    x = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(3, 1)), pynn.MSELoss(), pynn.SGD(0.01))
    callbacks = [pynn.EarlyStopping(patience=1000), Stop(), pynn.Monitor(on_problem="silent", rules=[note])]
    trainer.fit(x, x[:, :1], epochs=1000, batch_size=16, validation=(x, x[:, :1]), callbacks=callbacks)
    assert restored[-1] == (last, True)
