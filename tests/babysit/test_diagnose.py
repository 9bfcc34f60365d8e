"""diagnose: what is wrong is found and cured, nothing of the caller's is touched, arguments and time are heeded."""

import copy
import signal
import time

import numpy as np
import pytest
from preflight_networks import SoftmaxLayer
from remedy_networks import RateAfter, network, trainer_of

import pynn
from pynn.babysit.remedies import diagnose
from pynn.babysit.remedies.blueprint import Blueprint
from pynn.babysit.remedies.diagnosis import MOST_PRINTED
from pynn.utils import interrupt

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def surface():
    """Return a curved regression, standardised: training part and validation part."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((900, 6)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + x[:, 3])[:, None]
    y = ((y - y.mean()) / y.std()).astype(np.float32)
    return (x[:700], y[:700]), (x[700:], y[700:])


class WrongSign(pynn.Layer):
    def forward(self, x, ctx):
        ctx.x, ctx.gate = x, 1 / (1 + np.exp(-x))
        return x * ctx.gate

    def backward(self, dy, ctx):
        return -dy * ctx.gate * (1 + ctx.x * (1 - ctx.gate))


# What is found and cured


def test_a_rate_far_too_high_is_lowered(blobs):
    data, validation = blobs
    trainer = trainer_of(network(10, 32, 32, 3), pynn.SGD(50.0))
    diagnosis = diagnose(trainer, *data, validation=validation, epochs=4)
    assert diagnosis.verdict[0].symptom == "lr_too_high"
    assert diagnosis.baseline.score < 0.6
    assert diagnosis.best.score > 0.85
    assert diagnosis.best.remedy.subject.startswith("rate")
    assert "lr_too_high" in diagnosis.gone(diagnosis.best)


def test_units_that_are_all_alike_get_random_weights(blobs):
    data, validation = blobs
    diagnosis = diagnose(trainer_of(network(10, 32, 3, init="zeros")), *data, validation=validation, epochs=4)
    assert diagnosis.verdict[0].symptom == "symmetric_units"
    assert diagnosis.best.remedy.code == 'Linear(..., init="he_normal")'
    assert diagnosis.best.verdict == []
    assert diagnosis.advice.startswith("Weights start as he_normal, biases at 0 (accuracy ")


def test_raw_inputs_are_standardised_in_validation_too(blobs):
    (x, y), (xv, yv) = blobs
    trainer = trainer_of(network(10, 32, 3), pynn.SGD(0.05, momentum=0.9))
    diagnosis = diagnose(trainer, x + 300, y, validation=(xv + 300, yv), epochs=4)
    assert diagnosis.verdict[0].symptom == "input_not_normalised"
    assert diagnosis.best.remedy.code == "model.preprocessing = pynn.preprocessing.Standardize()"
    assert diagnosis.best.score > diagnosis.baseline.score + 0.3


def test_a_softmax_before_a_loss_that_has_one_is_left_out(blobs):
    data, validation = blobs
    trainer = trainer_of(network(10, 32, 3, tail=[SoftmaxLayer()]), pynn.SGD(0.02))
    diagnosis = diagnose(trainer, *data, validation=validation, epochs=5)
    changes = [trial.remedy.change for trial in diagnosis.trials]
    assert "without SoftmaxLayer at the end" in changes
    trial = diagnosis.trials[changes.index("without SoftmaxLayer at the end")]
    assert "plateau" in diagnosis.gone(trial)


def test_a_layer_with_a_wrong_gradient_is_replaced(blobs):
    data, validation = blobs
    model = network(10, 32, 32, 3, activation=WrongSign)
    diagnosis = diagnose(trainer_of(model, pynn.SGD(0.3)), *data, validation=validation, epochs=8)
    assert diagnosis.best.remedy.change == "ReLU instead of WrongSign"


def test_targets_in_thousands_are_standardised_and_scored_in_their_own_units(surface):
    (x, y), (xv, yv) = surface
    trainer = trainer_of(network(6, 32, 1), pynn.SGD(0.01), pynn.MSELoss())
    diagnosis = diagnose(trainer, x, 3000 + 500 * y, validation=(xv, 3000 + 500 * yv), epochs=12, batch_size=16)
    assert diagnosis.metric == "R2"
    best = diagnosis.best
    assert best.remedy.change.startswith("standardised targets")
    assert best.score > 0.3
    # The loss is that of predictions in thousands: (1 - R2) times the variance.
    assert best.loss == pytest.approx((1 - best.score) * np.var(3000 + 500.0 * yv), rel=1e-4)


def test_rare_positives_are_weighted_and_judged_by_balanced_accuracy(rng):
    x = rng.standard_normal((2500, 6)).astype(np.float32)
    y = (np.arange(2500) % 50 == 0).astype(np.float32)[:, None]
    x += 1.2 * y
    trainer = trainer_of(network(6, 16, 1), pynn.SGD(0.02), pynn.BCEWithLogitsLoss())
    diagnosis = diagnose(trainer, x, y, epochs=5)
    assert diagnosis.metric == "balanced accuracy"
    assert diagnosis.baseline.score < 0.6
    assert diagnosis.best.remedy.change.startswith("positives weighted")
    assert diagnosis.best.score > 0.75


def test_sorted_examples_are_shuffled(blobs):
    (x, y), validation = blobs
    order = np.argsort(y, kind="stable")
    trainer = trainer_of(network(10, 32, 3))
    diagnosis = diagnose(trainer, x[order], y[order], validation=validation, epochs=6, shuffle=False)
    assert diagnosis.best.remedy.code.startswith("fit(..., shuffle=True)")


def test_a_callback_that_ruins_the_rate_is_held_off(blobs):
    data, validation = blobs
    callback = RateAfter(60, 30.0)
    diagnosis = diagnose(
        trainer_of(network(10, 32, 32, 3)), *data, validation=validation, epochs=6, callbacks=[callback]
    )
    assert {finding.symptom for finding in diagnosis.verdict} & {"lr_too_high", "diverging", "non_finite"}
    assert diagnosis.best.remedy.change == "a constant learning rate, whatever callbacks do"
    assert "RateAfter" in diagnosis.best.remedy.code


def test_two_faults_at_once_are_cured_together(blobs):
    data, validation = blobs
    trainer = trainer_of(network(10, 32, 32, 3, init="zeros"), pynn.SGD(1e-5))
    diagnosis = diagnose(trainer, *data, validation=validation, epochs=4)
    assert diagnosis.best.score > 0.85
    assert set(diagnosis.best.remedy.subject.split(" and ")) >= {"weights", "rate"}


def test_a_cured_run_that_simple_learners_beat_is_changed_further(blobs):
    data, validation = blobs
    diagnosis = diagnose(trainer_of(network(10, 1, 3, init="zeros")), *data, validation=validation, epochs=4)
    first = next(trial for trial in diagnosis.trials if trial.remedy.subject == "weights")
    assert first.score < diagnosis.best.score - 0.1
    assert {"weights", "size"} <= set(diagnosis.best.remedy.subject.split(" and "))


def test_targets_that_do_not_belong_are_not_cured_by_any_setting(blobs, rng):
    (x, _), (xv, _) = blobs
    labels = rng.integers(0, 3, 1000)
    trainer = trainer_of(network(10, 32, 3), pynn.SGD(0.02))
    diagnosis = diagnose(trainer, x, labels[:800], validation=(xv, labels[800:]), epochs=8)
    assert diagnosis.verdict[0].symptom == "not_learning"
    assert diagnosis.best is None
    assert "check that targets belong to their inputs" in diagnosis.advice


def test_validation_inputs_prepared_otherwise_are_beyond_any_setting(blobs):
    data, (xv, yv) = blobs
    diagnosis = diagnose(trainer_of(network(10, 16, 3)), *data, validation=(10 * xv + 5, yv), epochs=3)
    assert diagnosis.best is None
    assert diagnosis.advice.startswith("No setting cures this: validation inputs have a root mean square of 1")


def test_missing_values_are_named_without_training(blobs):
    (x, y), validation = blobs
    x = x.copy()
    x[17, 3] = np.nan
    diagnosis = diagnose(trainer_of(network(10, 16, 3)), x, y, validation=validation)
    assert diagnosis.baseline is None and diagnosis.trials == []
    assert "x has a NaN in row 17, column 3" in str(diagnosis)


def test_a_healthy_run_is_called_healthy(blobs):
    data, validation = blobs
    diagnosis = diagnose(trainer_of(network(10, 32, 3)), *data, validation=validation, epochs=5)
    assert diagnosis.verdict == []
    assert str(diagnosis).startswith("verdict: nothing wrong\n")
    assert diagnosis.advice.startswith("Nothing is wrong")


# Nothing of the caller's is touched


def test_trainer_random_numbers_and_data_stay_as_they_were(blobs):
    (x, y), validation = blobs
    trainer = trainer_of(network(10, 16, 3, dropout=0.2), pynn.SGD(20.0, momentum=0.9))
    callback = RateAfter(5, 0.3)
    before = trainer.model.state_dict(), copy.deepcopy(trainer.progress_state()), vars(callback).copy(), x.copy()
    pynn.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002 - what must not be disturbed
    expected = pynn.Linear(3, 3).weight[...].copy(), np.random.random()  # noqa: NPY002
    pynn.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    diagnose(trainer, x, y, validation=validation, epochs=2, callbacks=[callback])
    np.testing.assert_array_equal(pynn.Linear(3, 3).weight[...], expected[0])
    assert np.random.random() == expected[1]  # noqa: NPY002
    state = trainer.model.state_dict()
    assert all(np.array_equal(state[name], before[0][name]) for name in state)
    assert str(trainer.progress_state()) == str(before[1])
    assert vars(callback) == before[2]
    np.testing.assert_array_equal(x, before[3])
    assert trainer.observer is None and trainer.optimizer.lr == 20.0 and trainer.optimizer.steps == 0


def test_files_that_callbacks_write_are_not_written(blobs, tmp_path):
    data, validation = blobs
    callbacks = [pynn.CSVLogger(tmp_path / "log.csv"), pynn.ModelCheckpoint(tmp_path / "m.safetensors")]
    diagnose(trainer_of(network(10, 8, 3)), *data, validation=validation, epochs=1, callbacks=callbacks)
    assert list(tmp_path.iterdir()) == []


def test_the_same_arguments_give_the_same_diagnosis(blobs):
    data, validation = blobs
    first, second = (
        diagnose(trainer_of(network(10, 16, 3), pynn.SGD(30.0)), *data, validation=validation, epochs=2, seed=3)
        for _ in range(2)
    )
    assert str(first) == str(second)


def test_a_trained_trainer_is_diagnosed_from_its_start(blobs):
    data, validation = blobs
    trainer = trainer_of(network(10, 16, 3, init="zeros", norm=0.1))
    trainer.fit(*data, epochs=3, batch_size=50)
    diagnosis = diagnose(trainer, *data, validation=validation)
    assert diagnosis.baseline.epochs == 3
    assert diagnosis.baseline.steps == 3 * 16
    assert diagnosis.verdict[0].symptom == "symmetric_units"


def test_layers_of_a_trained_trainer_start_anew_but_frozen_ones_stay(blobs):
    (data, _), wide = blobs, 5.0
    pynn.manual_seed(0)
    layers = [
        pynn.Linear(10, 16, init=lambda shape: np.full(shape, wide)),
        pynn.ReLU(),
        pynn.Linear(16, 16),
        pynn.ReLU(),
        pynn.Linear(16, 3),
    ]
    trainer = trainer_of(pynn.Sequential(*layers), pynn.SGD(1e-3))
    layers[2].freeze()
    trainer.fit(*data, epochs=1)
    blueprint = Blueprint.of(trainer, epochs=1, batch_size=32, shuffle=True, callbacks=())
    assert (blueprint.layers[0].weight.data == wide).all()
    assert not (layers[0].weight.data == wide).all()
    np.testing.assert_array_equal(blueprint.layers[2].weight.data, layers[2].weight.data)
    assert blueprint.layers[2].weight.frozen
    assert blueprint.optimizer.steps == 0


# Arguments and time


def test_without_validation_a_fifth_is_set_aside_class_by_class(blobs):
    data, _ = blobs
    diagnosis = diagnose(trainer_of(network(10, 8, 3)), *data, epochs=1, batch_size=32)
    assert diagnosis.baseline.steps == 20  # 640 examples
    assert len(diagnosis.baseline.credits) == 160


def test_when_time_runs_out_what_was_not_tried_is_named(blobs):
    data, validation = blobs
    diagnosis = diagnose(
        trainer_of(network(10, 16, 3)),
        *data,
        validation=validation,
        epochs=100_000,
        seconds=0.4,
        on_trial=lambda remedy, number, total: time.sleep(0.1),
    )
    assert diagnosis.baseline.ended == "cut short"
    assert len(diagnosis.trials) <= 3
    assert f"no time for: {diagnosis.untried[0].change}" in str(diagnosis)


def test_the_text_lists_the_best_and_names_the_others(blobs):
    data, validation = blobs
    diagnosis = diagnose(trainer_of(network(10, 16, 3), pynn.SGD(20.0)), *data, validation=validation, epochs=1)
    text, changes = " ".join(str(diagnosis).split()), [trial.remedy.change for trial in diagnosis.trials]
    assert len(changes) > MOST_PRINTED
    codes = [trial.remedy.code for trial in diagnosis.trials]
    assert all(" ".join(code.split()) in text for code in codes[:MOST_PRINTED])
    assert f"also tried, and no better: {'; '.join(changes[MOST_PRINTED:])}" in text


def test_every_trial_is_announced_by_its_number(blobs):
    data, validation = blobs
    told = []
    diagnosis = diagnose(
        trainer_of(network(10, 8, 3)),
        *data,
        validation=validation,
        epochs=1,
        on_trial=lambda remedy, number, total: told.append((remedy, number, total)),
    )
    assert told[0] == (None, 0, 0)
    assert [number for _, number, _ in told[1:]] == list(range(1, len(diagnosis.trials) + 1))
    assert all(number <= total for _, number, total in told)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"seconds": 0}, "seconds"),
        ({"seed": -1}, "seed"),
        ({"validation": 3}, "validation is 3; expected a pair"),
    ],
)
def test_wrong_arguments_are_refused(blobs, wrong, message):
    data, _ = blobs
    with pytest.raises(ValueError, match=message):
        diagnose(trainer_of(network(10, 8, 3)), *data, **wrong)


def test_data_that_do_not_fit_are_refused_as_fit_refuses_them(blobs):
    (x, y), _ = blobs
    with pytest.raises(ValueError, match="is not a class"):
        diagnose(trainer_of(network(10, 8, 2)), x, y)
    with pytest.raises(TypeError, match="trainer"):
        diagnose("trainer", x, y)


def test_of_a_handful_nothing_is_held_out():
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    y = np.array([[0], [1], [1], [0]], np.float32)
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(2, 8), pynn.Sigmoid(), pynn.Linear(8, 1))
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.01))
    diagnosis = pynn.diagnose(trainer, x, y, epochs=800, batch_size=4)
    assert diagnosis.verdict[0].symptom == "lr_too_low"
    assert diagnosis.best.score > 0.9 > 0.1 > diagnosis.baseline.score


def test_rows_that_are_not_shuffled_keep_their_order_when_some_are_held_out():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((800, 6)).astype(np.float32)
    y = (x[:, :1] + np.sin(2 * x[:, 1:2])).astype(np.float32)
    order = np.argsort(y[:, 0])
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(6, 32), pynn.ReLU(), pynn.Linear(32, 1))
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.05))
    diagnosis = diagnose(trainer, x[order], y[order], epochs=10, shuffle=False)
    assert diagnosis.verdict[0].symptom == "oscillating"
    assert "examples shuffled in every epoch" in diagnosis.best.remedy.change


class Signalled(pynn.CrossEntropyLoss):
    """Sends a signal to its own process in the 30th pass."""

    passes, number = 0, signal.SIGINT

    def forward(self, *arguments, **options):
        Signalled.passes += 1
        if Signalled.passes == 30:
            signal.raise_signal(Signalled.number)
        return super().forward(*arguments, **options)


@pytest.mark.parametrize("number", interrupt.ENDING)
def test_a_signal_that_ends_a_run_ends_the_diagnosis_by_its_number(blobs, number, monkeypatch):
    data, _ = blobs
    monkeypatch.setattr(Signalled, "passes", 0)
    monkeypatch.setattr(Signalled, "number", number)
    with pytest.raises(KeyboardInterrupt) as caught, interrupt.termination_heeded():
        diagnose(trainer_of(network(10, 8, 3), loss=Signalled()), *data, epochs=3)
    assert caught.value.args == (() if number == signal.SIGINT else (number,))
