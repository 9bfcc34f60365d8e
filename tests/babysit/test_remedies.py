"""Remedies: what is wrong is found, what may cure it is tried on copies, and what did cure it is said."""

import copy
import itertools
import time

import numpy as np
import pytest

import pynn
from pynn.babysit.findings import SYMPTOMS
from pynn.babysit.remedies import Diagnosis, Remedy, diagnose
from pynn.babysit.remedies.blueprint import Blueprint
from pynn.babysit.remedies.candidates import CURES, Situation, candidates
from pynn.babysit.remedies.settings import written
from pynn.babysit.remedies.trials import Judge, RemedyTrial, ranked


@pytest.fixture(autouse=True)
def one_thread():
    """Train on one thread: networks are small, and a second one waits where the machine is busy."""
    threads = pynn.get_num_threads()
    pynn.set_num_threads(1)
    yield
    pynn.set_num_threads(threads)


@pytest.fixture(scope="module")
def blobs():
    """Return three clouds in ten dimensions, standardised: training part and validation part."""
    x, y = pynn.datasets.blobs(n=1000, classes=3, features=10, std=6.0, seed=0)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    return (x[:800], y[:800]), (x[800:], y[800:])


@pytest.fixture(scope="module")
def surface():
    """Return a curved regression, standardised: training part and validation part."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((900, 6)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + x[:, 3])[:, None]
    y = ((y - y.mean()) / y.std()).astype(np.float32)
    return (x[:700], y[:700]), (x[700:], y[700:])


def network(*sizes, activation=pynn.ReLU, init="he_normal", norm=None, dropout=0.0, tail=()):
    pynn.manual_seed(0)
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers.append(pynn.Linear(fan_in, fan_out, init=init))
        if norm is not None:
            layers.append(pynn.BatchNorm1d(fan_out, momentum=norm))
        if activation is not None:
            layers.append(activation())
        if dropout:
            layers.append(pynn.Dropout(dropout))
    behind = (norm is not None) + (activation is not None) + bool(dropout)
    return pynn.Sequential(*layers[: len(layers) - behind], *tail)


def trainer_of(model, optimizer=None, loss=None, **settings):
    return pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), optimizer or pynn.SGD(0.1), **settings)


def situation_of(trainer, data, *, kind="classes", counts=None, ratio=np.nan, **told):
    told = {"epochs": 5, "batch_size": 32, "shuffle": True, "callbacks": ()} | told
    return Situation(Blueprint.of(trainer, **told), *data, kind, counts, ratio)


def changes_for(trainer, data, *symptoms, probabilities=False, **known):
    found = candidates(situation_of(trainer, data, **known), symptoms, ends_in_probabilities=probabilities)
    return [remedy.change for remedy in found]


class Softmax(pynn.Layer):
    def forward(self, x, ctx):
        exponential = np.exp(x - x.max(axis=1, keepdims=True))
        ctx.y = exponential / exponential.sum(axis=1, keepdims=True)
        return ctx.y

    def backward(self, dy, ctx):
        return ctx.y * (dy - (dy * ctx.y).sum(axis=1, keepdims=True))


class WrongSign(pynn.Layer):
    def forward(self, x, ctx):
        ctx.x, ctx.gate = x, 1 / (1 + np.exp(-x))
        return x * ctx.gate

    def backward(self, dy, ctx):
        return -dy * ctx.gate * (1 + ctx.x * (1 - ctx.gate))


class RateAfter(pynn.Callback):
    def __init__(self, steps, lr):
        self.steps, self.lr = steps, lr

    def on_step_end(self, trainer):
        if trainer.steps == self.steps:
            trainer.optimizer.lr = self.lr


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
    trainer = trainer_of(network(10, 32, 3, tail=[Softmax()]), pynn.SGD(0.02))
    diagnosis = diagnose(trainer, *data, validation=validation, epochs=5)
    changes = [trial.remedy.change for trial in diagnosis.trials]
    assert "without Softmax at the end" in changes
    trial = diagnosis.trials[changes.index("without Softmax at the end")]
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
        ({"validation": 3}, "validation must be a pair"),
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


# Which remedies are tried


def test_every_symptom_has_remedies():
    assert set(CURES) == set(SYMPTOMS)
    assert all(CURES.values())


def test_remedies_of_the_likeliest_cause_are_tried_first(blobs):
    data, _ = blobs
    changes = changes_for(trainer_of(network(10, 16, 3)), data, "lr_too_high", "dead_units")
    assert changes[0] == "learning rate 0.1 -> 0.01"
    assert changes.index("learning rate 0.1 -> 0.01") < changes.index(
        "LeakyReLU instead of ReLU, with weights that suit it"
    )
    assert len(changes) == len(set(changes))


def test_a_rate_that_moves_nothing_is_fitted_to_the_size_of_the_first_step(blobs):
    data, _ = blobs
    changes = changes_for(trainer_of(network(10, 16, 3), pynn.SGD(1e-6)), data, "lr_too_low", ratio=2e-7)
    assert changes[0] == "learning rate 1e-06 -> 0.1"


@pytest.mark.parametrize(
    ("model", "settings", "symptom", "expected"),
    [
        ({"activation": pynn.Sigmoid}, {}, "vanishing_gradient", "ReLU instead of Sigmoid, with weights that suit it"),
        ({"activation": pynn.Sigmoid}, {}, "zigzag", "Tanh instead of Sigmoid, with weights that suit it"),
        ({}, {}, "saturated_units", "batch norm after each hidden layer"),
        ({"activation": None}, {}, "underfitting", "ReLU between the linear layers"),
        ({}, {}, "underfitting", "hidden layers of 64-64 units instead of 16-8"),
        ({}, {}, "overfitting", "training ends at the best epoch"),
        ({}, {}, "overfitting", "dropout 0.3 after each hidden layer"),
        ({"norm": 1e-4}, {}, "batchnorm_mismatch", "momentum of batch norm 0.0001 -> 0.1"),
        ({"dropout": 0.9}, {}, "regularisation_too_strong", "dropout 0.9 -> 0.2"),
        ({}, {"regularizers": [pynn.L2(1.0)]}, "regularisation_too_strong", "no L2(coefficient=1)"),
        ({}, {"optimizer": pynn.SGD(0.1, weight_decay=1.0)}, "regularisation_too_strong", "weight decay 1 -> 0"),
        ({}, {"optimizer": pynn.SGD(0.1, momentum=0.99)}, "oscillating", "momentum 0.99 -> 0.9"),
        ({}, {"optimizer": pynn.SGD(1e-4)}, "lr_too_low", "Adam instead of SGD"),
        ({}, {"schedule": pynn.StepLR(1)}, "plateau", "a constant learning rate, without the schedule"),
        ({}, {"loss": pynn.CrossEntropyLoss(reduction="sum")}, "bad_initial_loss", "loss averaged over the batch"),
        ({}, {"loss": lambda p, t: (0.0, p)}, "bad_initial_loss", "CrossEntropyLoss instead of the loss of your own"),
        ({}, {}, "exploding_gradient", "gradient clipped to a norm of 1"),
    ],
)
def test_a_symptom_brings_its_remedy_and_the_network_runs_with_it(blobs, model, settings, symptom, expected):
    data, validation = blobs
    settings = {name: copy.deepcopy(value) for name, value in settings.items()}
    situation = situation_of(trainer_of(network(10, 16, 8, 3, **model), **settings), data)
    found = candidates(situation, [symptom], ends_in_probabilities=False)
    remedy = next(remedy for remedy in found if remedy.change == expected)
    blueprint = situation.blueprint.copy()
    remedy.apply(blueprint)
    trainer = blueprint.trainer()
    trainer.fit(*data, epochs=1, validation=validation, callbacks=blueprint.callbacks)
    assert trainer.steps == 25
    assert trainer.model.predict(data[0][:2]).shape == (2, 3)


def test_a_constant_rate_keeps_the_rate_that_another_remedy_sets(blobs):
    data, _ = blobs
    situation = situation_of(trainer_of(network(10, 16, 3)), data, callbacks=[RateAfter(3, 9.0)])
    held, lower = candidates(situation, ["lr_too_high"], ends_in_probabilities=False)[:2]
    (held + lower).apply(situation.blueprint)
    trainer = situation.blueprint.trainer()
    trainer.fit(*data, epochs=1, callbacks=situation.blueprint.callbacks)
    assert trainer.lr == pytest.approx(0.01)


def test_class_weights_make_classes_count_alike(blobs):
    counts = np.array([700, 90, 10])
    situation = situation_of(trainer_of(network(10, 16, 3)), blobs[0], counts=counts)
    first = candidates(situation, ["class_imbalance"], ends_in_probabilities=False)[0]
    first.apply(situation.blueprint)
    np.testing.assert_allclose(np.array(situation.blueprint.loss.weight) * counts, 800 / 3, rtol=0.01)


def test_a_remedy_changes_nothing_but_its_blueprint(blobs):
    trainer = trainer_of(network(10, 16, 3), pynn.SGD(0.1, momentum=0.9))
    situation = situation_of(trainer, blobs[0])
    for remedy in candidates(situation, SYMPTOMS, ends_in_probabilities=False):
        remedy.apply(situation.blueprint.copy())
    blueprint = situation.blueprint
    assert written(blueprint.optimizer) == "SGD(lr=0.1, momentum=0.9)"
    assert [type(layer).__name__ for layer in blueprint.layers] == ["Linear", "ReLU", "Linear"]
    np.testing.assert_array_equal(blueprint.layers[0].weight.data, trainer.model[0].weight.data)


def test_nested_models_are_taken_apart():
    inner = pynn.Sequential(pynn.Linear(4, 8), pynn.Sequential(pynn.ReLU(), pynn.Linear(8, 8)))
    trainer = trainer_of(pynn.Sequential(inner, pynn.Tanh(), pynn.Linear(8, 2)))
    blueprint = Blueprint.of(trainer, epochs=1, batch_size=8, shuffle=True, callbacks=())
    assert [type(layer).__name__ for layer in blueprint.layers] == ["Linear", "ReLU", "Linear", "Tanh", "Linear"]
    assert blueprint.trainer().model(np.zeros((2, 4), np.float32)).shape == (2, 2)


def test_a_remedy_that_does_not_fit_the_network_is_left_out_and_named(rng):
    class Halve(pynn.Layer):
        def forward(self, x, ctx):
            return np.ascontiguousarray(x[:, ::2])

        def backward(self, dy, ctx):
            dx = np.zeros((len(dy), 2 * dy.shape[1]), dy.dtype)
            dx[:, ::2] = dy
            return dx

    model = pynn.Sequential(pynn.Linear(6, 8), Halve(), pynn.Linear(4, 2))
    x = rng.standard_normal((200, 6)).astype(np.float32)
    diagnosis = diagnose(trainer_of(model), x, (x[:, 0] > 0).astype(np.int64), epochs=2)
    assert "without Halve" in [remedy.change for remedy in diagnosis.unfit]
    assert "does not fit the network" in str(diagnosis)


# Scores and their order


def trial_of(credits, verdict=(), ended="finished", name="x"):
    remedy = Remedy(name, "", name, lambda blueprint: None)
    credits = np.asarray(credits, float)
    return RemedyTrial(
        remedy, credits.mean(), 0.0, list(verdict), ended, 1, 1, 1, 0.1, np.nan, credits, np.zeros(len(credits), int)
    )


def finding(symptom="dead_units", severity="warning"):
    return pynn.Finding(symptom, None, 1, 1, severity, "evidence", "advice")


def test_among_trials_that_do_as_well_the_first_tried_comes_first():
    right = np.ones(400)
    right[:20] = 0
    one_more = right.copy()
    one_more[0] = 1
    early, late, bad = trial_of(right, name="a"), trial_of(one_more, name="b"), trial_of(1 - right, name="c")
    assert ranked([bad, early, late]) == [early, late, bad]


def test_among_trials_that_do_as_well_a_healthy_one_comes_first():
    right = np.ones(400)
    right[:20] = 0
    sick, healthy = trial_of(right, [finding()], name="a"), trial_of(right, name="b")
    assert ranked([sick, healthy])[0] is healthy


def test_a_trial_that_broke_off_comes_last():
    broken, poor = trial_of(np.ones(50), ended="not finite", name="a"), trial_of(np.zeros(50), name="b")
    assert ranked([broken, poor]) == [poor, broken]


def test_a_gain_must_be_larger_than_chance_brings_the_best_of_so_many():
    before = np.tile([1.0, 0.0], 100)
    after = before.copy()
    after[1:63:2] = 1  # 31 more are right, and 15 no longer: 2.4 standard errors
    after[0:30:2] = 0
    baseline, better = trial_of(before), trial_of(after)
    gain, error = better.gain_over(baseline)
    assert gain / error == pytest.approx(2.40, abs=0.01)
    assert Diagnosis([], baseline=baseline, trials=[better]).best is better
    assert Diagnosis([], baseline=baseline, trials=[better, *[baseline] * 9]).best is None


def test_a_symptom_cured_at_the_same_score_counts():
    baseline, cured = trial_of(np.ones(50), [finding()]), trial_of(np.ones(50))
    assert Diagnosis([finding()], baseline=baseline, trials=[cured]).best is cured
    assert Diagnosis([], baseline=trial_of(np.ones(50)), trials=[cured]).best is None


def test_scores_are_means_of_credits():
    x = np.zeros((6, 2), np.float32)
    labels = np.array([0, 0, 0, 0, 0, 1])
    prediction = np.array([[1.0, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1]])
    plain = Judge(pynn.CrossEntropyLoss(), (x, labels), 2, np.array([5, 1]))
    assert plain.metric == "accuracy"
    assert plain.credits(prediction).mean() == pytest.approx(5 / 6)
    balanced = Judge(pynn.CrossEntropyLoss(), (x, labels), 2, np.array([80, 10]))
    assert balanced.metric == "balanced accuracy"
    assert balanced.credits(prediction).mean() == pytest.approx((4 / 5 + 1) / 2)
    values = np.array([[1.0], [2], [3], [4], [5], [9]])
    judge = Judge(pynn.MSELoss(), (x, values), 1, None)
    errors = np.array([[0.0], [1], [0], [0], [0], [0]])
    assert judge.credits(values + errors).mean() == pytest.approx(1 - 1 / np.square(values - 4).sum())


def test_rows_to_be_ignored_are_not_scored():
    x, labels = np.zeros((3, 2), np.float32), np.array([1, -1, 0])
    judge = Judge(pynn.CrossEntropyLoss(ignore_index=-1), (x, labels), 2, None)
    assert judge.y.tolist() == [1, 0]
