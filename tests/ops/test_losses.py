"""Losses against PyTorch's values, SciPy and finite differences; labels, weights and extreme scores."""

import itertools
from functools import partial

import numpy as np
import pytest
from cases import case
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

REDUCTIONS = ("mean", "sum")


def softmax_oracle(logits, labels):
    """Return the loss of every row and the gradient of their sum, in float64."""
    logits = logits.astype(np.float64)
    one_hot = np.eye(logits.shape[1])[labels]
    loss = special.logsumexp(logits, axis=1) - (logits * one_hot).sum(axis=1)
    return loss, special.softmax(logits, axis=1) - one_hot


#: The parameter of each kind of `ops.pointwise_loss`; "poisson", whose predictions are positive, is tried elsewhere.
POINTWISE = {
    "smooth_l1": 0.7,
    "huber": 0.7,
    "quantile": 0.8,
    "poisson_log": 0,
    "poisson_log_full": 0,
    "kl": 0,
    "kl_log": 0,
}
LABELLED = {
    "softmax_cross_entropy": ops.softmax_cross_entropy,
    "focal": partial(ops.softmax_cross_entropy, gamma=1.5),
    "nll": ops.nll,
    "multiclass_hinge": ops.multiclass_hinge,
}
LOSSES = {
    **LABELLED,
    "mse": ops.mse,
    "bce_with_logits": ops.bce_with_logits,
    **{name: partial(ops.pointwise_loss, kind=name, parameter=parameter) for name, parameter in POINTWISE.items()},
}
GRADIENTS = {"multiclass_hinge": "dscores", "nll": "dlog_probs", "mse": "dprediction"}
GRADIENTS |= dict.fromkeys(POINTWISE, "dprediction")


def call(name, scores, rng, **options):
    """Call the loss of that name with random targets made for the scores."""
    if name in LABELLED:
        targets = rng.integers(scores.shape[1], size=len(scores))
    else:
        targets = rng.uniform(size=scores.shape).astype(scores.dtype)
    return LOSSES[name](scores, targets, **options)


@pytest.fixture(scope="module")
def stored(torch_vectors):
    return torch_vectors("losses")


def assert_as_stored(stored, key, got, factor=1.0):
    loss, gradient = got
    np.testing.assert_allclose(loss, factor * stored[f"{key}.loss"], rtol=1e-12)
    np.testing.assert_allclose(gradient, factor * stored[f"{key}.grad"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("targets", ["labels", "some_ignored", "all_ignored"])
@pytest.mark.parametrize("weighted", [0, 1])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_agrees_with_torch(stored, reduction, targets, weighted, smoothing):
    got = ops.softmax_cross_entropy(
        stored["scores"],
        stored[targets],
        weight=stored["weight"] if weighted else None,
        label_smoothing=smoothing,
        reduction=reduction,
    )
    key = f"ce.{targets}.{weighted}.{smoothing}.{reduction}"
    if targets == "all_ignored" and reduction == "mean":  # PyTorch has 0/0
        assert np.isnan(stored[f"{key}.loss"])
        assert got[0] == 0 and not got[1].any()
        return
    assert_as_stored(stored, key, got)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("pos_weight", [None, 1.0, 2.5])
def test_bce_agrees_with_torch(stored, reduction, pos_weight):
    got = ops.bce_with_logits(stored["scores"], stored["soft"], pos_weight=pos_weight, reduction=reduction)
    assert_as_stored(stored, f"bce.{pos_weight or 1.0}.{reduction}", got)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("margin", [1.0, 0.5])
def test_hinge_is_torch_multi_margin_times_the_classes(stored, reduction, margin):
    got = ops.multiclass_hinge(stored["scores"], stored["labels"], margin=margin, reduction=reduction)
    assert_as_stored(stored, f"hinge.{margin}.{reduction}", got, factor=5)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_mse_agrees_with_torch(stored, reduction):
    assert_as_stored(stored, f"mse.{reduction}", ops.mse(stored["scores"], stored["real"], reduction=reduction))


@pytest.mark.parametrize("shape", [(1, 1), (1, 10), (3, 2), (33, 17), (64, 10), (5, 1000), (700, 3)], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_at_every_shape(dtype, tolerance, shape, reduction, rng):
    logits = (3 * rng.normal(size=shape)).astype(dtype)
    labels = rng.integers(shape[1], size=shape[0])
    loss, gradient = ops.softmax_cross_entropy(logits, labels, reduction=reduction)
    want, want_gradient = softmax_oracle(logits, labels)
    scale = 1 / len(labels) if reduction == "mean" else 1
    np.testing.assert_allclose(loss, scale * want.sum(), **tolerance)
    np.testing.assert_allclose(gradient, scale * want_gradient, **tolerance)
    assert type(loss) is float and gradient.dtype == dtype


@pytest.mark.parametrize("label_type", [np.int8, np.uint8, np.int32, np.uint64, list])
def test_any_integer_labels(label_type):
    labels = [2, 0, 1] if label_type is list else np.array([2, 0, 1], label_type)
    logits = np.arange(9.0).reshape(3, 3)
    want, _ = softmax_oracle(logits, [2, 0, 1])
    np.testing.assert_allclose(ops.softmax_cross_entropy(logits, labels)[0], want.mean(), rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient_is_the_finite_difference(name, reduction, numeric_gradient, rng):
    scores = 2 * rng.normal(size=(5, 4))
    options = {"reduction": reduction, "sample_weight": rng.uniform(0.5, 2, size=5)}
    if name == "softmax_cross_entropy":
        options |= {"weight": rng.uniform(0.5, 2, size=4), "label_smoothing": 0.2}
    if name == "bce_with_logits":
        options["pos_weight"] = 3.0
    _, gradient = call(name, scores, np.random.default_rng(3), **options)
    numeric = numeric_gradient(lambda at: call(name, at, np.random.default_rng(3), **options)[0], scores)
    assert np.linalg.norm(gradient - numeric) < 1e-7 * np.linalg.norm(numeric)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_sample_weight_is_a_number_of_repetitions(name, dtype, tolerance, reduction, rng):
    scores = rng.normal(size=(6, 4)).astype(dtype)
    labelled = name in LABELLED
    targets = rng.integers(4, size=6) if labelled else rng.uniform(size=(6, 4)).astype(dtype)
    times = np.array([1, 0, 3, 2, 1, 4])
    loss_of = partial(LOSSES[name], reduction=reduction)
    if name == "softmax_cross_entropy":
        loss_of = partial(loss_of, weight=rng.uniform(0.5, 2, size=4).astype(dtype), label_smoothing=0.1)
    loss, gradient = loss_of(scores, targets, sample_weight=times.astype(dtype))
    want, repeated = loss_of(np.repeat(scores, times, axis=0), np.repeat(targets, times, axis=0))
    np.testing.assert_allclose(loss, want, **tolerance)
    row = np.repeat(np.arange(6), times)
    want_gradient = np.zeros((6, 4))
    np.add.at(want_gradient, row, repeated)
    np.testing.assert_allclose(gradient, want_gradient, **tolerance)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_without_any_weight_loss_and_gradient_are_zero(name, reduction, dtype, rng):
    for scores in (np.ones((0, 3), dtype), rng.normal(size=(40, 3)).astype(dtype), np.full((2, 3), np.nan, dtype)):
        options = {"sample_weight": np.zeros(len(scores), dtype), "reduction": reduction}
        loss, gradient = call(name, scores, rng, **options)
        assert loss == 0
        np.testing.assert_array_equal(gradient, np.zeros_like(scores))
        assert call(name, scores, rng, need_gradient=False, **options)[0] == 0


@pytest.mark.parametrize("name", LOSSES)
def test_a_row_of_weight_zero_takes_no_part_whatever_it_holds(name, dtype, tolerance, rng):
    for reduction, rows, bad in itertools.product(REDUCTIONS, (2, 33, 70), (np.nan, np.inf, -np.inf)):
        with case(reduction, rows=rows, bad=bad):
            scores = rng.normal(size=(rows, 5)).astype(dtype)
            targets = rng.integers(5, size=rows) if name in LABELLED else rng.uniform(size=(rows, 5)).astype(dtype)
            weight = rng.uniform(0.5, 2, size=rows).astype(dtype)
            counted = np.arange(rows) % 3 != 1
            weight[~counted] = 0
            scores[~counted, 2] = bad
            op = partial(LOSSES[name], reduction=reduction)
            loss, gradient = op(scores, targets, sample_weight=weight)
            want, want_gradient = op(scores[counted], targets[counted], sample_weight=weight[counted])
            np.testing.assert_allclose(loss, want, **tolerance)
            np.testing.assert_allclose(gradient[counted], want_gradient, **tolerance)
            assert not gradient[~counted].any()
            alone, _ = op(scores, targets, sample_weight=weight, need_gradient=False)
            np.testing.assert_allclose(alone, want, **tolerance)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_classes_of_weight_zero(smoothing, dtype, tolerance, rng):
    logits = rng.normal(size=(6, 3)).astype(dtype)
    targets, weight = np.array([0, 1, 2, 1, 0, 1]), np.array([1, 0, 2], dtype)
    options = {"weight": weight, "label_smoothing": smoothing}
    only = ops.softmax_cross_entropy(logits, np.ones(6, int), **options)
    assert only[0] == 0 and not only[1].any()
    loss, gradient = ops.softmax_cross_entropy(logits, targets, **options)
    logs = -special.log_softmax(logits.astype(float), axis=1)
    spread = smoothing / 3 * (logs * weight).sum(axis=1)
    each = (1 - smoothing) * weight[targets] * logs[np.arange(6), targets] + spread
    np.testing.assert_allclose(loss, each[targets != 1].sum() / weight[targets].sum(), **tolerance)
    assert not gradient[targets == 1].any()
    logits[1, 1] = -np.inf  # an infinite loss of an example that does not count
    np.testing.assert_allclose(ops.softmax_cross_entropy(logits, targets, **options)[0], loss, **tolerance)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_array_handed_in_or_not_wanted(name, dtype, rng):
    scores = rng.normal(size=(7, 3)).astype(dtype)
    loss, gradient = call(name, scores, np.random.default_rng(3))
    into = np.full_like(scores, np.nan)
    keyword = GRADIENTS.get(name, "dlogits")
    same_loss, returned = call(name, scores, np.random.default_rng(3), **{keyword: into})
    assert returned is into and same_loss == loss
    np.testing.assert_array_equal(into, gradient)
    alone, nothing = call(name, scores, np.random.default_rng(3), need_gradient=False)
    np.testing.assert_allclose(alone, loss, rtol=1e-6)
    assert nothing is None


@pytest.mark.parametrize("name", LOSSES)
def test_nan_scores_give_a_nan_loss(name, dtype, rng):
    scores = rng.normal(size=(3, 4)).astype(dtype)
    scores[1] = np.nan  # the whole row, since `nll` reads only one of its columns
    loss, gradient = call(name, scores, rng)
    assert np.isnan(loss) and np.isfinite(gradient[[0, 2]]).all()
    assert name in ("nll", "multiclass_hinge") or np.isnan(gradient[1]).all()  # which count, and so have no NaN


@pytest.mark.parametrize("place", [0, 31, 40, 99])
def test_a_nan_anywhere_in_a_long_row_is_its_gradient_and_the_loss(place, dtype, rng):
    logits = rng.normal(size=(2, 100)).astype(dtype)
    logits[1, place] = np.nan
    loss, gradient = ops.softmax_cross_entropy(logits, [5, 50], reduction="sum")
    assert np.isnan(loss)
    assert np.isnan(gradient[1]).all() and np.isfinite(gradient[0]).all()


@pytest.mark.parametrize("place", [0, 15, 31, 32, 64, 99])
def test_the_largest_score_of_a_long_row_is_found_anywhere(place, dtype, rng):
    logits = rng.normal(size=(2, 100)).astype(dtype)
    logits[:, place] = 1000  # without it taken away, its exponential would be infinite
    loss, gradient = ops.softmax_cross_entropy(logits, [place, place])
    assert loss == 0
    assert not gradient.any()


def test_huge_logits_are_stable(dtype):
    huge = float(np.finfo(dtype).max) / 4
    logits = np.array([[huge, 0, -huge], [1e4, 1e4, -1e4]], dtype)
    loss, gradient = ops.softmax_cross_entropy(logits, [0, 1])
    np.testing.assert_allclose(loss, np.log(2) / 2, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0, 0, 0], [0.25, -0.25, 0]], atol=1e-7)
    loss, gradient = ops.softmax_cross_entropy(logits[:1], [2])
    np.testing.assert_allclose(loss, 2 * huge, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[1, 0, -1]])
    loss, gradient = ops.bce_with_logits(np.array([[huge, -huge]], dtype), [[1.0, 1.0]])
    np.testing.assert_allclose(loss, huge / 2, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0, -0.5]])


def test_a_class_ruled_out_by_minus_infinity(dtype):
    logits = np.array([[0, -np.inf, 0]], dtype)
    loss, gradient = ops.softmax_cross_entropy(logits, [0])
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(gradient, [[-0.5, 0, 0.5]])
    loss, gradient = ops.softmax_cross_entropy(logits, [1])
    assert loss == np.inf
    np.testing.assert_allclose(gradient, [[0.5, -1, 0.5]])


def test_a_confident_bce_keeps_its_small_loss(dtype):
    loss, gradient = ops.bce_with_logits(np.array([[30.0], [-30.0]], dtype), [[1.0], [0.0]])
    np.testing.assert_allclose(loss, np.exp(-30), rtol=1e-5)
    np.testing.assert_allclose(gradient[1], np.exp(-30) / 2, rtol=1e-5)


def test_hinge_of_equal_scores_is_the_number_of_other_classes(dtype):
    loss, gradient = ops.multiclass_hinge(np.zeros((4, 10), dtype), [0, 3, 9, 5])
    np.testing.assert_allclose(loss, 9)
    np.testing.assert_allclose(gradient[0], [-9 / 4] + 9 * [1 / 4])


@pytest.mark.parametrize("shape", [(5,), (5, 1), (2, 3, 4)], ids=str)
def test_mse_and_bce_take_any_shape(dtype, tolerance, shape, rng):
    x, t = rng.normal(size=shape).astype(dtype), rng.uniform(size=shape)
    loss, gradient = ops.mse(x, t)
    np.testing.assert_allclose(loss, np.square(x - t).mean(), **tolerance)
    np.testing.assert_allclose(gradient, 2 * (x - t) / x.size, **tolerance)
    loss, gradient = ops.bce_with_logits(x, t)
    p = special.expit(x.astype(np.float64))
    np.testing.assert_allclose(loss, (special.xlogy(-t, p) - special.xlog1py(1 - t, -p)).mean(), **tolerance)
    np.testing.assert_allclose(gradient, (p - t) / x.size, **tolerance)


@given(rows=st.integers(1, 40), classes=st.integers(1, 40), seed=st.integers(0, 2**32 - 1), scale=st.floats(0, 100))
def test_cross_entropy_of_any_logits(dtype, rows, classes, seed, scale):
    rng = np.random.default_rng(seed)
    logits = (scale * rng.normal(size=(rows, classes))).astype(dtype)
    labels = rng.integers(classes, size=rows)
    loss, gradient = ops.softmax_cross_entropy(logits, labels)
    want, want_gradient = softmax_oracle(logits, labels)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(loss, want.mean(), rtol=32 * eps, atol=eps * (4 * scale + 32))
    np.testing.assert_allclose(gradient, want_gradient / rows, rtol=1e-4, atol=(4 * scale + 32) * eps / rows)


def test_count_correct(dtype):
    scores = np.array([[1, 1, 0], [0, 1, 1], [3, 2, 1], [0, np.nan, 9], [0, 0, 1]], dtype)
    assert ops.count_correct(scores, [0, 2, 0, 1, -100]) == 2  # the first of equals wins; a row with a NaN has none
    assert ops.count_correct(scores, [0, 2, 0, 1, 2], ignore_index=2) == 2
    assert ops.count_correct(scores[:0], np.zeros(0, int)) == 0


@pytest.mark.parametrize("labels", [[0, 1, 3], [0, 1, -1], [0, 1, 10**12]])
@pytest.mark.parametrize("loss", [ops.softmax_cross_entropy, ops.multiclass_hinge])
def test_a_label_that_is_no_class_is_named_with_its_row(loss, labels):
    with pytest.raises(ValueError, match=f"target {labels[2]} in row 2 is not a class: expected 0 to 2"):
        loss(np.ones((3, 3)), labels)


def test_hinge_does_not_ignore_labels():
    with pytest.raises(ValueError, match="target -100 in row 1"):
        ops.multiclass_hinge(np.ones((2, 3)), [0, -100])


@pytest.mark.parametrize("target", [-0.1, 1.5, np.nan])
def test_bce_targets_must_be_probabilities(target):
    with pytest.raises(ValueError, match=r"in row 1 is not in \[0, 1\]"):
        ops.bce_with_logits(np.ones((2, 3)), [[0, 0, 1], [1, target, 0]])


@pytest.mark.parametrize(
    ("option", "value"), [("label_smoothing", 1.1), ("label_smoothing", -0.1), ("reduction", "none")]
)
def test_bad_option_raises(option, value):
    with pytest.raises(ValueError, match=option):
        ops.softmax_cross_entropy(np.ones((2, 3)), [0, 1], **{option: value})
