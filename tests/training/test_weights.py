"""Weights of examples: what 0 means, what the history's loss is the mean of, and which are refused."""

import itertools
import math
import warnings
from functools import partial

import numpy as np
import pytest
from cases import case
from hypothesis import given
from hypothesis import strategies as st

import pynn

RNG = np.random.default_rng(5)
X = RNG.normal(size=(41, 3))
LABELS = RNG.integers(0, 3, 41)
VALUES = RNG.normal(size=(41, 3))
YES_NO = (VALUES > 0).astype(float)
WEIGHTS = RNG.uniform(0.1, 5, 41)
SOME = np.where(np.arange(41) % 3 == 0, 0.0, WEIGHTS)
GAPS = np.where((np.arange(41) < 20) & (np.arange(41) % 4 != 0), -100, LABELS)

#: Loss, targets, and whether labels can be ignored.
LOSSES = {
    "cross-entropy": (lambda **options: pynn.CrossEntropyLoss(**options), LABELS),
    "class weights": (lambda **options: pynn.CrossEntropyLoss([0.5, 0, 3], **options), LABELS),
    "smoothing": (lambda **options: pynn.CrossEntropyLoss(label_smoothing=0.2, **options), LABELS),
    "ignored": (lambda **options: pynn.CrossEntropyLoss([1, 2, 3], **options), GAPS),
    "hinge": (lambda **options: pynn.HingeLoss(**options), LABELS),
    "multi-margin": (lambda **options: pynn.MultiMarginLoss(**options), LABELS),
    "mse": (lambda **options: pynn.MSELoss(**options), VALUES),
    "nll": (lambda **options: pynn.NLLLoss([1, 2, 3], **options), GAPS),
    "focal": (lambda **options: pynn.FocalLoss(1.5, [1, 2, 3], **options), GAPS),
    "l1": (lambda **options: pynn.L1Loss(**options), VALUES),
    "smooth l1": (lambda **options: pynn.SmoothL1Loss(**options), VALUES),
    "huber": (lambda **options: pynn.HuberLoss(delta=0.5, **options), VALUES),
    "quantiles": (lambda **options: pynn.QuantileLoss([0.1, 0.5, 0.9], **options), VALUES[:, 0]),
    "poisson": (lambda **options: pynn.PoissonNLLLoss(**options), np.abs(VALUES)),
    "kl": (lambda **options: pynn.KLDivLoss(**options), np.abs(VALUES)),
    "bce": (lambda **options: pynn.BCEWithLogitsLoss(**options), YES_NO),
    "bce, pos_weight": (lambda **options: pynn.BCEWithLogitsLoss(pos_weight=2.5, **options), YES_NO),
}


def new_trainer(loss, optimizer=None, **options):
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(3, 3, dtype="float64"))
    return pynn.Trainer(model, loss, optimizer or pynn.SGD(0.0), **options)


def as_batches(size, *arrays):
    return [tuple(array[start : start + size] for array in arrays) for start in range(0, len(arrays[0]), size)]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", [None, WEIGHTS, SOME], ids=["none", "all", "some"])
def test_at_a_rate_of_zero_the_history_has_the_loss_of_evaluate(name, weights):
    make, targets = LOSSES[name]
    parts = (X, targets) if weights is None else (X, targets, weights)
    for reduction, size in itertools.product(("mean", "sum"), (1, 4, 16, 50)):
        trainer = new_trainer(make(reduction=reduction))
        want = trainer.evaluate(X, targets, sample_weight=weights)
        trainer.fit(X, targets, epochs=1, batch_size=size, sample_weight=weights)
        told = trainer.fit(as_batches(size, *parts), epochs=1, validation=parts)
        for column in want:
            with case(column, reduction=reduction, size=size):
                np.testing.assert_allclose(told[column], [want[column]] * 2, rtol=1e-10)
                np.testing.assert_allclose(told[f"val_{column}"][-1], want[column], rtol=1e-10)


@pytest.mark.parametrize("supplied", [False, True], ids=["arrays", "batches"])
@pytest.mark.parametrize(
    "change",
    [
        lambda trainer: setattr(trainer.loss, "weight", [1.0, 5.0, 25.0]),
        lambda trainer: setattr(trainer.loss, "ignore_index", 1),
        lambda trainer: setattr(trainer.loss, "reduction", "sum"),
        lambda trainer: setattr(trainer, "loss", pynn.CrossEntropyLoss([9.0, 1.0, 4.0])),
    ],
    ids=["weight", "ignore_index", "reduction", "another"],
)
def test_a_loss_that_a_callback_changes_weighs_the_next_epoch(change, supplied):
    class Change(pynn.Callback):
        def on_epoch_end(self, trainer):
            change(trainer)

    trainer = new_trainer(pynn.CrossEntropyLoss())
    data = (as_batches(16, X, LABELS),) if supplied else (X, LABELS)
    told = trainer.fit(*data, epochs=2, validation=(X, LABELS), callbacks=[Change()])
    assert told["val_loss"][0] != told["loss"][1]
    trainer.fit(X, LABELS, epochs=1, batch_size=16)
    np.testing.assert_allclose(told["loss"][1], told["loss"][2], rtol=1e-10)
    np.testing.assert_allclose(told["loss"][2], trainer.evaluate(X, LABELS)["loss"], rtol=1e-10)


def test_accuracy_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    trainer = new_trainer(pynn.CrossEntropyLoss())
    predicted = trainer.model.predict(X).argmax(axis=1)
    want = metrics.accuracy_score(LABELS, predicted, sample_weight=SOME)
    assert math.isclose(trainer.evaluate(X, LABELS, sample_weight=SOME)["accuracy"], want)
    kept = GAPS != -100
    want = metrics.accuracy_score(LABELS[kept], predicted[kept], sample_weight=SOME[kept])
    assert math.isclose(trainer.evaluate(X, GAPS, sample_weight=SOME)["accuracy"], want)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_examples_of_weight_zero_might_as_well_not_be_there(name, reduction, backend):
    make, targets = LOSSES[name]
    counted = SOME > 0
    with_them, without = (new_trainer(make(reduction=reduction), pynn.SGD(0.01)) for _ in range(2))
    for trainer, rows in ((with_them, slice(None)), (without, counted)):
        trainer.fit(X[rows], targets[rows], epochs=3, batch_size=50, shuffle=False, sample_weight=SOME[rows])
    np.testing.assert_allclose(with_them.history["loss"], without.history["loss"], rtol=1e-9)
    np.testing.assert_allclose(with_them.model[0].weight[...], without.model[0].weight[...], rtol=1e-9)


OPTIMIZERS = {
    "sgd": lambda: pynn.SGD(0.1),
    "momentum and decay": lambda: pynn.SGD(0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda: pynn.Adam(),
    "adamw": lambda: pynn.AdamW(),
    "rmsprop": lambda: pynn.RMSprop(momentum=0.5),
    "adagrad": lambda: pynn.Adagrad(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_minibatch_without_weight_is_a_step_with_a_gradient_of_zero(name, backend):
    for optimizer, clip_norm in itertools.product(OPTIMIZERS, (None, 1.0)):
        with case(optimizer, clip_norm=clip_norm):
            check_steps_without_weight(name, optimizer, clip_norm)


def check_steps_without_weight(name, optimizer, clip_norm):
    make, targets = LOSSES[name]
    trainer = new_trainer(make(), OPTIMIZERS[optimizer](), clip_norm=clip_norm)
    by_hand = new_trainer(make(), OPTIMIZERS[optimizer](), clip_norm=clip_norm)
    for step in range(6):  # the first of each kind are taken op by op, the later ones repeat recorded calls
        if step % 2:
            assert trainer.step(X, targets, np.zeros(41)) == 0
            assert not trainer.model.flat.grads.any()
            by_hand.model.flat.grads[...] = 0
            by_hand.optimizer.step()
        else:
            assert trainer.step(X, targets, SOME) == by_hand.step(X, targets, SOME)
        np.testing.assert_array_equal(trainer.model[0].weight[...], by_hand.model[0].weight[...])
    if optimizer == "sgd":
        before = trainer.model[0].weight[...].copy()
        trainer.step(X, targets, np.zeros(41))
        np.testing.assert_array_equal(trainer.model[0].weight[...], before)


@pytest.mark.parametrize("how", ["sample_weight", "labels", "class"])
@pytest.mark.parametrize("monitored", [False, True])
def test_a_fit_with_minibatches_without_weight(how, monitored, backend):
    few = np.arange(41) < 5
    weights, labels, loss = None, LABELS % 2, pynn.CrossEntropyLoss()
    if how == "sample_weight":
        weights = few.astype(float)
    elif how == "labels":
        labels = np.where(few, labels, -100)
    else:
        labels, loss = np.where(few, 1, 2), pynn.CrossEntropyLoss([1, 1, 0])
    trainer = new_trainer(loss, pynn.SGD(0.1))
    callbacks = [pynn.Monitor(on_problem="silent")] if monitored else []
    history = trainer.fit(X, labels, epochs=3, batch_size=4, sample_weight=weights, callbacks=callbacks)
    assert np.isfinite(history["loss"]).all() and history["loss"][-1] < history["loss"][0]
    assert trainer.steps == 33


@given(st.integers(1, 41), st.data())
def test_any_weights_in_any_batches(size, data):
    weights = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.25, 1, 3]), min_size=41, max_size=41)))
    labels = np.where(data.draw(st.lists(st.booleans(), min_size=41, max_size=41)), GAPS, LABELS)
    trainer = new_trainer(pynn.CrossEntropyLoss())
    if not (weights * (labels != -100)).any():
        with pytest.raises(ValueError, match="all examples of x have weight 0"):
            trainer.fit(X, labels, epochs=1, sample_weight=weights)
        return
    told = trainer.fit(X, labels, epochs=1, batch_size=size, sample_weight=weights)
    want = trainer.evaluate(X, labels, sample_weight=weights)
    assert math.isclose(told["loss"][0], want["loss"], rel_tol=1e-10)
    assert math.isclose(told["accuracy"][0], want["accuracy"], rel_tol=1e-10)


@pytest.mark.parametrize(
    ("labels", "weights", "loss"),
    [
        (LABELS, np.zeros(41), pynn.CrossEntropyLoss()),
        (np.full(41, -100), None, pynn.CrossEntropyLoss()),
        (np.full(41, 2), None, pynn.CrossEntropyLoss([1, 1, 0])),
        (VALUES, np.zeros(41), pynn.MSELoss()),
        (YES_NO, np.zeros(41, int), pynn.BCEWithLogitsLoss()),
    ],
)
def test_data_without_any_weight_are_refused(labels, weights, loss):
    trainer = new_trainer(loss, pynn.SGD(0.1))
    before = trainer.model.state_dict()["0.weight"]
    good = (X, VALUES if loss.output_kind == "values" else YES_NO if loss.output_kind == "binary" else LABELS % 2)
    held_out = (X, labels) if weights is None else (X, labels, weights)
    with pytest.raises(ValueError, match="all examples of x have weight 0"):
        trainer.fit(X, labels, epochs=1, sample_weight=weights)
    with pytest.raises(ValueError, match="all examples of x have weight 0"):
        trainer.evaluate(X, labels, sample_weight=weights)
    with pytest.raises(ValueError, match="all examples of validation x have weight 0"):
        trainer.fit(*good, epochs=1, validation=held_out)
    assert trainer.steps == 0
    np.testing.assert_array_equal(trainer.model[0].weight[...], before)


def test_an_epoch_of_given_batches_without_any_weight_is_told():
    trainer = new_trainer(pynn.CrossEntropyLoss(), pynn.SGD(0.1))

    def batches(epoch):
        yield X, LABELS, np.full(41, float(epoch != 1))

    with pytest.warns(pynn.TrainingWarning, match="epoch 2 trained nothing, and its loss is NaN: all its examples"):
        history = trainer.fit(batches, epochs=3)
    assert np.isnan(history["loss"]).tolist() == [False, True, False]
    assert np.isnan(history["accuracy"]).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("value", "said"),
    [(-1.0, "-1.0 in row 7"), (math.nan, "nan in row 7"), (math.inf, "inf in row 7"), (1e300, r"1e\+300 in row 7")],
)
def test_bad_weights_are_named_with_their_row(value, said):
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(3, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    bad, match = WEIGHTS.copy(), f"sample_weight is {said}; expected a finite number of at least 0"
    bad[7] = value
    for use in (
        lambda: trainer.fit(X, LABELS, epochs=1, sample_weight=bad),
        lambda: trainer.evaluate(X, LABELS, sample_weight=bad),
        lambda: trainer.step(X, LABELS, bad),
        lambda: trainer.fit([(X, LABELS, bad)], epochs=1),
        lambda: trainer.fit(X, LABELS, epochs=1, validation=(X, LABELS, bad)),
        lambda: pynn.CrossEntropyLoss()(np.zeros((41, 3), np.float32), LABELS, bad),
    ):
        with pytest.raises(ValueError, match=match):
            use()
    assert trainer.steps == 0


@pytest.mark.parametrize("weights", [np.ones((41, 1)), np.ones(40), 1.0])
def test_weights_of_another_shape(weights):
    trainer = new_trainer(pynn.CrossEntropyLoss())
    for use in (
        lambda: trainer.step(X, LABELS, weights),
        lambda: trainer.fit(X, LABELS, epochs=1, sample_weight=weights),
    ):
        with pytest.raises(ValueError, match=r"sample_weight has shape .*; expected \(41,\), one weight per example"):
            use()


def test_a_mask_is_a_weight():
    mask = np.arange(41) < 20
    trainer = new_trainer(pynn.CrossEntropyLoss())
    assert trainer.evaluate(X, LABELS, sample_weight=mask) == pytest.approx(trainer.evaluate(X[:20], LABELS[:20]))


class Forgetful(pynn.Loss):
    """A squared error that makes nothing of the weights it is given."""

    def forward(self, prediction, target, sample_weight=None, gradient_out=None):
        difference = prediction - target
        return float((difference**2).mean()), 2 * difference / difference.size


class Weighing(Forgetful):
    def forward(self, prediction, target, sample_weight=None, gradient_out=None):
        weights = np.ones(len(prediction)) if sample_weight is None else sample_weight
        share = weights[:, None] / (weights.sum() or 1) / prediction.shape[1]
        difference = prediction - target
        return float((share * difference**2).sum()), 2 * share * difference


def test_a_loss_of_ones_own_must_make_something_of_weights():
    with pytest.raises(ValueError, match="Forgetful ignores sample_weight"):
        new_trainer(Forgetful()).fit(X, VALUES, epochs=1, sample_weight=WEIGHTS)
    with pytest.raises(ValueError, match="takes no sample_weight"):
        new_trainer(lambda p, t: (0.0, p)).fit(X, VALUES, epochs=1, sample_weight=WEIGHTS)
    ours = new_trainer(pynn.MSELoss(), pynn.SGD(0.1)).fit(X, VALUES, epochs=2, batch_size=8, sample_weight=SOME)
    own = new_trainer(Weighing(), pynn.SGD(0.1)).fit(X, VALUES, epochs=2, batch_size=8, sample_weight=SOME)
    np.testing.assert_allclose(own["loss"], ours["loss"], rtol=1e-10)
    assert len(new_trainer(Forgetful()).fit(X, VALUES, epochs=1)) == 1


def test_weights_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new_trainer(pynn.CrossEntropyLoss()).fit(X, LABELS, epochs=2, batch_size=4, sample_weight=SOME)


@pytest.mark.parametrize(
    ("weight", "labels", "said"),
    [
        ([1.0], [0, 1, 1], "weight has 1 class weights; expected 2, one per output"),
        ([1.0, 2.0], [0, 5, 1], "target 5 in row 1 is not a class: expected 0 to 1 for 2 outputs"),
        ([1.0, 2.0], [0, -7, 1], "target -7 in row 1 is not a class: expected 0 to 1 for 2 outputs"),
    ],
)
@pytest.mark.parametrize("kind", [pynn.CrossEntropyLoss, pynn.NLLLoss, partial(pynn.FocalLoss, 2.0)])
def test_class_weights_that_do_not_fit(kind, weight, labels, said):
    model = pynn.Sequential(pynn.Linear(2, 2), pynn.LogSoftmax())
    trainer = pynn.Trainer(model, kind(weight), pynn.SGD(0.1))
    x = np.zeros((3, 2), np.float32)
    fit = partial(trainer.fit, epochs=1)
    for call in (fit, partial(fit, sample_weight=[1, 1, 0])):
        with pytest.raises(ValueError, match=said):
            call(x, labels)
    for call in (trainer.evaluate, trainer.step):
        with pytest.raises(ValueError, match=r"weight has (shape|1)|is not a class"):
            call(x, labels)
    with pytest.raises(ValueError, match=said):
        fit(x, [0] * 3, validation=(x, labels))
