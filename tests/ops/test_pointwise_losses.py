"""Losses of elements, the focal loss and the log-likelihood: PyTorch's and SciPy's values, and edges."""

import numpy as np
import pytest
from pynn.kernels.codes import LossCode
from scipy import special, stats

from pynn import ops
from pynn.ops.pointwise_losses import LOSSES

pytestmark = pytest.mark.usefixtures("backend")

#: Kind, parameter and targets.
CASES = [
    ("smooth_l1", "0.0", "real"),
    ("smooth_l1", "0.7", "real"),
    ("huber", "0.7", "real"),
    ("quantile", "0.8", "real"),
    ("poisson_log", "0.0", "counts"),
    ("poisson_log_full", "0.0", "counts"),
    ("poisson", "0.1", "counts"),
    ("poisson_full", "0.1", "counts"),
]


@pytest.fixture(scope="module")
def stored(torch_vectors):
    return torch_vectors("losses")


def assert_as_stored(stored, key, got, factor=1.0):
    np.testing.assert_allclose(got[0], stored[f"{key}.loss"], rtol=1e-12)
    np.testing.assert_allclose(factor * got[1], stored[f"{key}.grad"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("kind", "parameter", "target"), CASES)
def test_agrees_with_torch(stored, kind, parameter, target, reduction):
    scores, positive = stored["scores"], kind.startswith("poisson") and "log" not in kind
    got = ops.pointwise_loss(
        np.abs(scores) if positive else scores, stored[target], kind, float(parameter), reduction=reduction
    )
    assert_as_stored(stored, f"{kind}.{parameter}.{reduction}", got, np.sign(scores) if positive else 1.0)


@pytest.mark.parametrize("reduction", ["mean", "sum", "batchmean"])
@pytest.mark.parametrize(("kind", "target"), [("kl", "shares"), ("kl", "labels_as_shares"), ("kl_log", "log_shares")])
def test_divergence_agrees_with_torch(stored, kind, target, reduction):
    got = ops.pointwise_loss(stored["scores"], stored[target], kind, reduction=reduction)
    assert_as_stored(stored, f"{kind}.{target}.{reduction}", got)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("target", ["labels", "some_ignored"])
@pytest.mark.parametrize("weighted", [0, 1])
def test_nll_and_focal_loss_agree_with_torch(stored, target, weighted, reduction):
    options = {"weight": stored["weight"] if weighted else None, "reduction": reduction}
    scores, labels = stored["scores"], stored[target]
    assert_as_stored(stored, f"nll.{target}.{weighted}.{reduction}", ops.nll(scores, labels, **options))
    for gamma in (0.5, 2.0):
        got = ops.softmax_cross_entropy(scores, labels, gamma=gamma, **options)
        assert_as_stored(stored, f"focal.{gamma}.{target}.{weighted}.{reduction}", got)


@pytest.mark.parametrize("kind", LOSSES)
def test_both_dtypes_and_all_shapes_have_the_sum_of_the_elements(kind, dtype, tolerance, rng):
    for shape in ((1, 1), (33, 17), (5, 1000), (4, 3, 2), (7,)):
        x, t = rng.uniform(0.5, 2, size=(2, *shape)).astype(dtype)
        loss, gradient = ops.pointwise_loss(x, t, kind, 0.25, reduction="sum")
        alone = [ops.pointwise_loss([float(a)], [float(b)], kind, 0.25) for a, b in zip(x.flat, t.flat, strict=True)]
        np.testing.assert_allclose(loss, sum(value for value, _ in alone), **tolerance, err_msg=f"{shape}")
        slopes = np.reshape([slope for _, slope in alone], shape)
        np.testing.assert_allclose(gradient, slopes, **tolerance, err_msg=f"{shape}")
        assert type(loss) is float and gradient.dtype == dtype and gradient.shape == shape


def test_each_column_has_its_own_quantile(dtype, tolerance, rng):
    x, t, q = rng.normal(size=(20, 3)).astype(dtype), rng.normal(size=(20, 3)).astype(dtype), np.array([0.1, 0.5, 0.9])
    loss, gradient = ops.pointwise_loss(x, t, "quantile", q, reduction="sum")
    error = t.astype(float) - x
    np.testing.assert_allclose(loss, np.maximum(q * error, (q - 1) * error).sum(), **tolerance)
    np.testing.assert_allclose(gradient, np.where(error > 0, -q, 1 - q), **tolerance)


@pytest.mark.parametrize(("kind", "parameter"), [("smooth_l1", 0.0), ("quantile", 0.9), ("huber", 1.0)])
def test_no_error_has_no_gradient(kind, parameter, dtype):
    loss, gradient = ops.pointwise_loss(np.ones((3, 2), dtype), np.ones((3, 2), dtype), kind, parameter)
    assert loss == 0 and not gradient.any()


def test_full_poisson_loss_is_minus_the_logarithm_of_the_probability():
    counts = np.arange(2.0, 40)
    for rate in (0.5, 3.0, 20.0):
        got = ops.pointwise_loss(np.full(38, np.log(rate)), counts, "poisson_log_full", reduction="sum")[0]
        np.testing.assert_allclose(got, -stats.poisson.logpmf(counts, rate).sum(), atol=38 / 24)  # Stirling's error


@pytest.mark.parametrize("x", [88.0, 200.0, 1000.0])
def test_a_large_logarithm_of_a_rate_overflows_to_infinity_and_nothing_else(dtype, x):
    loss, gradient = ops.pointwise_loss(np.array([[x, 0.0]], dtype), np.array([[1.0, 2.0]], dtype), "poisson_log")
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(loss, (np.exp(x) - x + 1) / 2, rtol=1e-6)
        np.testing.assert_allclose(gradient, (np.exp([[x, 0]]) / 2 - [[0.5, 1]]).astype(dtype), rtol=1e-6)


def test_a_divergence_from_zero_is_zero_whatever_is_predicted(dtype):
    loss, gradient = ops.pointwise_loss(np.array([[-np.inf, 0.0]], dtype), np.array([[0, 1]], dtype), "kl")
    assert loss == 0
    np.testing.assert_array_equal(gradient, [[0, -0.5]])
    log_target = np.array([[-np.inf, 0.0]], dtype)
    assert ops.pointwise_loss(np.array([[-3.0, 0.0]], dtype), log_target, "kl_log")[0] == 0


def test_divergence_is_that_of_scipy(dtype, tolerance, rng):
    p, q = (special.softmax(rng.normal(size=(6, 4)), axis=1).astype(dtype) for _ in range(2))
    got = ops.pointwise_loss(np.log(q), p, "kl", reduction="batchmean", sample_weight=np.arange(6).astype(dtype))[0]
    each = special.rel_entr(p.astype(float), q.astype(float)).sum(axis=1)
    np.testing.assert_allclose(got, each @ np.arange(6) / 15, **tolerance)


def test_focal_loss_of_certain_and_hopeless_rows(dtype):
    logits = np.array([[200.0, 0.0], [-200.0, 0.0]], dtype)
    loss, gradient = ops.softmax_cross_entropy(logits, [0, 0], gamma=0.5, reduction="sum")
    np.testing.assert_allclose(loss, 200, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0, 0], [-1, 1]], atol=1e-20)
    logits[1, 0] = -np.inf
    loss, gradient = ops.softmax_cross_entropy(logits, [0, 0], gamma=2.0)
    assert loss == np.inf
    np.testing.assert_allclose(gradient, [[0, 0], [-0.5, 0.5]], atol=1e-20)


def test_focal_loss_keeps_small_losses():
    loss, gradient = ops.softmax_cross_entropy([[15.0, 0.0]], [0], gamma=2.0)
    np.testing.assert_allclose(loss, special.expit(-15) ** 2 * np.log1p(np.exp(-15)), rtol=1e-8)
    np.testing.assert_allclose(gradient, [[-3 * np.exp(-45), 3 * np.exp(-45)]], rtol=1e-5)


@pytest.mark.parametrize("target", [-1.0, np.nan])
@pytest.mark.parametrize("kind", ["poisson_log", "poisson_full", "kl"])
def test_targets_must_not_be_negative(kind, target):
    with pytest.raises(ValueError, match=f"target {target} in row 1 is not at least 0"):
        ops.pointwise_loss(np.ones((2, 3)), [[0, 0, 1], [1, target, 0]], kind)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "hubris"}, "kind is 'hubris'; expected one of smooth_l1, huber"),
        ({"kind": "huber", "parameter": [1.0, 2.0]}, r"parameter has shape \(2,\)"),
        ({"kind": "huber", "parameter": 1.0, "reduction": "none"}, "reduction is 'none'"),
    ],
)
def test_bad_options(options, said):
    with pytest.raises(ValueError, match=said):
        ops.pointwise_loss(np.ones((2, 3)), np.ones((2, 3)), **options)
    with pytest.raises(ValueError, match="gamma is -1"):
        ops.softmax_cross_entropy(np.ones((2, 3)), [0, 1], gamma=-1)


def test_every_code_has_a_kind():
    assert sorted(LOSSES.values()) == sorted(LossCode)
