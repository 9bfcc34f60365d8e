"""Loss classes: values, what they refuse, and training runs that PyTorch took too."""

import math

import numpy as np
import pytest
from scipy import special

import pynn

pytestmark = pytest.mark.usefixtures("backend")

TORCH_RUNS = {
    "ce_weight": (lambda v: pynn.CrossEntropyLoss(weight=v["class_weight"]), "labels"),
    "ce_smoothing": (lambda v: pynn.CrossEntropyLoss(label_smoothing=0.1), "labels"),
    "ce_both_ignored": (lambda v: pynn.CrossEntropyLoss(v["class_weight"], label_smoothing=0.2), "labels_with_gaps"),
    "multi_margin": (lambda v: pynn.MultiMarginLoss(), "labels"),
    "mse": (lambda v: pynn.MSELoss(), "soft"),
    "bce": (lambda v: pynn.BCEWithLogitsLoss(pos_weight=2.5), "soft"),
    "l1": (lambda v: pynn.L1Loss(), "soft"),
    "smooth_l1": (lambda v: pynn.SmoothL1Loss(beta=0.3), "soft"),
    "huber": (lambda v: pynn.HuberLoss(delta=0.3), "soft"),
    "poisson": (lambda v: pynn.PoissonNLLLoss(full=True), "counts"),
    "kl": (lambda v: pynn.KLDivLoss("batchmean"), "soft"),
    "nll": (lambda v: pynn.NLLLoss(v["class_weight"]), "labels_with_gaps"),
}


@pytest.mark.parametrize("name", TORCH_RUNS)
def test_twenty_steps_agree_with_pytorch(name, torch_vectors):
    make, targets = TORCH_RUNS[name]
    stored = dict(torch_vectors("training"))
    stored["counts"] = np.floor(4 * stored["soft"])
    layers = [pynn.Linear(6, 8, bias=False, dtype="float64"), pynn.BatchNorm1d(8, dtype="float64"), pynn.ReLU()]
    model = pynn.Sequential(*layers, pynn.Linear(8, 3, dtype="float64"))
    for key, parameter in model.named_parameters():
        parameter[...] = stored[f"start.{key}"]
    trainer = pynn.Trainer(model, make(stored), pynn.SGD(0.1, momentum=0.9))
    losses = [trainer.step(x, y) for x, y in zip(stored["x"], stored[targets], strict=True)]
    np.testing.assert_allclose(losses, stored[f"{name}.losses"], rtol=1e-9)
    for key, array in model.state_dict().items():
        np.testing.assert_allclose(array, stored[f"{name}.{key}"], rtol=1e-8, atol=1e-10, err_msg=key)


@pytest.mark.parametrize("classes", [2, 10])
def test_losses_at_the_start_of_training(classes):
    scores, labels = np.zeros((6, classes)), [0, 1, 1, 0, 1, 0]
    assert math.isclose(pynn.CrossEntropyLoss()(scores, labels)[0], math.log(classes))
    assert math.isclose(pynn.HingeLoss()(scores, labels)[0], classes - 1)
    assert math.isclose(pynn.MultiMarginLoss()(scores, labels)[0], (classes - 1) / classes)
    assert math.isclose(pynn.BCEWithLogitsLoss()(scores, np.ones((6, classes)))[0], math.log(2))


def test_the_lectures_hinge_example():
    scores = [[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]]
    assert math.isclose(pynn.HingeLoss()(scores, [0, 1, 2])[0], (2.9 + 0 + 12.9) / 3)


def test_cross_entropy_reductions_weights_and_ignored_rows(dtype, tolerance, rng):
    scores = rng.normal(size=(6, 4)).astype(dtype)
    labels = np.array([0, 3, 7, 1, 1, 7])
    weight = np.array([0.5, 2, 1, 3])
    sample_weight = rng.uniform(size=6)
    logs = -special.log_softmax(scores.astype(float), axis=1)
    used = labels != 7
    each = logs[used, labels[used]] * weight[labels[used]]
    mean = pynn.CrossEntropyLoss(weight, ignore_index=7)
    np.testing.assert_allclose(mean(scores, labels)[0], each.sum() / weight[labels[used]].sum(), **tolerance)
    total = pynn.CrossEntropyLoss(weight, ignore_index=7, reduction="sum")
    np.testing.assert_allclose(total(scores, labels)[0], each.sum(), **tolerance)
    weighted = total(scores, labels, sample_weight.astype(dtype))[0]
    np.testing.assert_allclose(weighted, (each * sample_weight[used]).sum(), **tolerance)


def test_sample_weights_act_like_repeated_rows(rng):
    scores, labels, repeats = rng.normal(size=(5, 3)), np.array([0, 1, 2, 1, 0]), np.array([1, 2, 1, 3, 1])
    values = rng.normal(size=(5, 3))
    for loss, target in [
        (pynn.CrossEntropyLoss(), labels),
        (pynn.HingeLoss(), labels),
        (pynn.MultiMarginLoss(), labels),
        (pynn.MSELoss(), values),
        (pynn.BCEWithLogitsLoss(), special.expit(values)),
    ]:
        repeated, _ = loss(np.repeat(scores, repeats, axis=0), np.repeat(target, repeats, axis=0))
        assert math.isclose(loss(scores, target, repeats)[0], repeated, rel_tol=1e-12)


def test_losses_stay_finite_for_huge_scores(dtype):
    scores = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype)
    loss, gradient = pynn.CrossEntropyLoss()(scores, [0, 0])
    assert math.isclose(loss, 1e4)
    assert np.isfinite(gradient).all()
    loss, gradient = pynn.BCEWithLogitsLoss()(scores, [[1, 0], [1, 0]])
    assert math.isclose(loss, 5e3)
    assert np.isfinite(gradient).all()


def test_the_result_is_the_callers(rng):
    loss = pynn.CrossEntropyLoss()
    _, first = loss(rng.normal(size=(4, 3)), [0, 1, 2, 0])
    kept = first.copy()
    loss(rng.normal(size=(4, 3)), [2, 1, 0, 0])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("loss", "prediction", "target", "error", "said"),
    [
        (pynn.CrossEntropyLoss(), (4, 3), [0, 1, 3, 0], ValueError, "target 3 in row 2.*0 to 2"),
        (pynn.CrossEntropyLoss(), (4, 3), [0, -1, 2, 0], ValueError, "target -1 in row 1"),
        (pynn.CrossEntropyLoss(), (4, 3), [0, 1, 2], ValueError, r"\(3,\).*\(4,\)"),
        (pynn.CrossEntropyLoss(), (4, 3), [0.0, 1, 2.5, 0], ValueError, "target 2.5 in row 2 is not a whole number"),
        (pynn.CrossEntropyLoss(), (4, 3), list("abca"), TypeError, "<U1.*class labels"),
        (
            pynn.CrossEntropyLoss(),
            (4, 3),
            np.eye(4, 3, dtype=int),
            ValueError,
            r"\(4, 3\), and row 3 is.*one label per row",
        ),
        (pynn.CrossEntropyLoss(), (4, 3, 2), [0, 1, 2, 0], ValueError, r"\(4, 3, 2\).*classes"),
        (pynn.CrossEntropyLoss([1.0, 2.0]), (4, 3), [0, 1, 2, 0], ValueError, r"weight has shape \(2,\).*\(3,\)"),
        (pynn.HingeLoss(), (4, 3), [0, 1, 3, 0], ValueError, "target 3 in row 2"),
        (pynn.HingeLoss(), (4, 3), [0, 1, -100, 0], ValueError, "target -100 in row 2"),
        (pynn.MSELoss(), (4, 2), [0, 1, 2, 0], ValueError, r"\(4,\).*\(4, 2\)"),
        (pynn.MSELoss(), (4, 3), [["a"] * 3] * 4, TypeError, "MSELoss expects numbers"),
        (pynn.BCEWithLogitsLoss(), (4, 1), [[0], [1], [2], [0]], ValueError, r"target 2.0 in row 2.*\[0, 1\]"),
        (pynn.BCEWithLogitsLoss(), (4, 1), [[0], [1], [math.nan], [0]], ValueError, "row 2"),
    ],
)
def test_bad_targets(loss, prediction, target, error, said):
    with pytest.raises(error, match=said):
        loss(np.zeros(prediction), target)


def test_a_function_as_loss_trains_and_refuses_sample_weights(rng):
    def absolute(prediction, target):
        difference = prediction - target
        return float(np.abs(difference).mean()), np.sign(difference) / difference.size

    x = rng.normal(size=(64, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]]) + 0.25
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(3, 1)), absolute, pynn.Adam(0.03))
    history = trainer.fit(x, y, epochs=60, batch_size=16)
    assert history["loss"][-1] < 0.1 < history["loss"][0]
    assert "accuracy" not in history
    with pytest.raises(ValueError, match=r"subclass of pynn\.Loss"):
        trainer.step(x, y, np.ones(64))


def test_a_function_that_returns_a_gradient_of_the_wrong_shape():
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(3, 2)), lambda p, t: (1.0, np.ones(3)), pynn.SGD(0.1))
    with pytest.raises(ValueError, match=r"\(3,\); expected \(4, 2\)"):
        trainer.step(np.ones((4, 3)), np.zeros(4))


def test_counting_what_is_right():
    scores = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    assert pynn.CrossEntropyLoss(ignore_index=-1).count_correct(scores, np.array([0, 0, -1])) == (1, 2)
    assert pynn.CrossEntropyLoss(ignore_index=1).count_correct(scores, np.array([0, 0, 1])) == (1, 2)
    assert pynn.CrossEntropyLoss().count_correct(scores, np.array([0, 0, 0], np.int32))[1] == 3
    assert pynn.HingeLoss().count_correct(scores, np.array([0, 1, 1])) == (2, 3)
    assert pynn.BCEWithLogitsLoss().count_correct(scores - 0.5, np.array([[1.0, 1], [0, 0], [1, 1]])) == (4, 6)
    assert pynn.MSELoss().count_correct(scores, scores) is None


# Losses with weights that are finite in float64 alone, and targets for them.
HUGE = {
    "CrossEntropyLoss": (lambda: pynn.CrossEntropyLoss(weight=[1e39, 1, 1]), 3, "weight"),
    "CrossEntropyLoss, the last": (lambda: pynn.CrossEntropyLoss(weight=[1, 1, 3.5e38]), 3, "weight"),
    "NLLLoss": (lambda: pynn.NLLLoss(weight=[1e39, 1, 1]), 3, "weight"),
    "FocalLoss": (lambda: pynn.FocalLoss(alpha=[1e39, 1, 1]), 3, "weight"),
    "BCEWithLogitsLoss": (lambda: pynn.BCEWithLogitsLoss(pos_weight=1e39), 1, "pos_weight"),
}


@pytest.mark.parametrize("kind", HUGE)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_that_overflow_a_model_s_dtype_are_refused_where_they_meet_it(kind, reduction, backend):
    make, outputs, name = HUGE[kind]
    loss, x, y = make(), np.ones((4, 2)), np.array([0, 1, 1, 0])
    loss.reduction = reduction
    single = pynn.Sequential(pynn.Linear(2, outputs))
    trainer = pynn.Trainer(single, loss, pynn.SGD(0.1))
    before = single.state_dict()
    targets = y if outputs > 1 else y[:, None]
    for call in (lambda: trainer.step(x, targets), lambda: loss(single.predict(x), targets)):
        with pytest.raises(ValueError, match=rf"^{name} is .*, too large for float32; expected weights of at most"):
            call()
    assert all(np.array_equal(array, before[key]) for key, array in single.state_dict().items())
    double = pynn.Sequential(pynn.Linear(2, outputs, dtype="float64"))
    assert np.isfinite(pynn.Trainer(double, loss, pynn.SGD(1e-60)).step(x, targets))
