"""Trials of the losses: value and gradient of a batch from float64 formulas, and what is counted."""

import numpy as np
from fuzz.arrays import KINDS, SIZES, SMALL
from fuzz.cases import Case, Numbers, Want, ops, want, wide
from fuzz.networks import pick
from scipy import special

FINITE = tuple(kind for kind in KINDS if kind != "special")


class Batch:
    """Rows, their weights, and what a loss is divided by."""

    def __init__(self, make, kept=None, factor=1.0):
        rng = make.rng
        self.rows, self.columns = pick(rng, *SMALL[1:], 67), pick(rng, *SIZES[1:])
        self.weight = np.abs(make.plain(self.rows)) + np.asarray(0.1, make.dtype) if make.chance(0.4) else None
        self.reduction = pick(rng, "mean", "sum")
        self.shares = np.ones(self.rows) if self.weight is None else wide(self.weight)

    def divisor(self, total):
        return total if self.reduction == "mean" else 1.0


def loss_case(op, inputs, value, size, gradient, gradient_size, dtype, rows, need, outputs, extra=0.0):
    """Return the Case of an op that returns a loss, of the terms' absolute size, and its gradient."""
    ulps = 16 + np.sqrt(rows)
    wants = (want(value, size, dtype, ulps, loose=True), want(gradient, gradient_size, dtype, ulps, True, extra))
    return Case(inputs, op, (wants[0], wants[1] if need else None), outputs if need else {})


def softmax_cross_entropy(rng, dtype):
    make = Numbers(rng, dtype)
    batch = Batch(make)
    rows, classes = batch.rows, batch.columns
    logits, smoothing, need = make.array(rows, classes), pick(rng, 0.0, 0.0, 0.1, 1.0), make.chance(0.8)
    targets = rng.integers(0, classes, rows)
    kept = np.ones(rows, bool)
    if rows > 1 and make.chance(0.3):
        kept[: rng.integers(1, rows)] = False
    labels = np.where(kept, targets, -100).astype(pick(rng, np.int64, np.int32, np.int16))
    weight = np.abs(make.plain(classes)) + np.asarray(0.1, dtype) if make.chance(0.4) else None
    w = np.ones(classes) if weight is None else wide(weight)
    factor = batch.shares * kept
    total = batch.divisor((factor * w[targets]).sum())
    share = np.full((rows, classes), smoothing / classes) * w
    share[np.arange(rows), targets] += (1 - smoothing) * w[targets]
    x = wide(logits)
    shifted = x - x.max(axis=1, keepdims=True)  # before anything is added, which a huge score would swallow
    log_p = shifted - special.logsumexp(shifted, axis=1, keepdims=True)
    terms = np.where(share == 0, 0, -share * log_p)
    value = (factor * terms.sum(axis=1))[kept].sum() / total
    spread = np.abs(shifted) + 1
    size = (factor * (share * (spread + np.log(classes) + 1)).sum(axis=1))[kept].sum() / total
    p, sums = np.exp(log_p), share.sum(axis=1, keepdims=True)
    scale = (factor / total)[:, None]
    gradient = np.where(kept[:, None], scale * (p * sums - share), 0)
    gradient_size = np.where(kept[:, None], scale * (np.where(p == 0, 0, p * spread) * sums + share), 0)
    odd = ~np.isfinite(x).all(axis=1)
    result = loss_case(None, (), value, size, gradient, gradient_size, dtype, classes + rows, True, {})
    loss, slope = result.wants
    slope = slope._replace(tolerance=np.where(odd[:, None], np.inf, slope.tolerance))
    if (odd & kept).any():
        loss = loss._replace(tolerance=np.asarray(np.inf))

    def call(logits, weight, sample_weight, **out):
        return ops.softmax_cross_entropy(
            logits, labels, weight=weight, sample_weight=sample_weight, label_smoothing=smoothing,
            reduction=batch.reduction, need_gradient=need, **out,
        )  # fmt: skip

    return Case((logits, weight, batch.weight), call, (loss, slope if need else None), {"dlogits": 1} if need else {})


def multiclass_hinge(rng, dtype):
    make = Numbers(rng, dtype, FINITE)
    batch = Batch(make)
    rows, classes = batch.rows, batch.columns
    scores, margin, need = make.array(rows, classes), pick(rng, 1.0, 0.5, 3.0), make.chance(0.8)
    targets = rng.integers(0, classes, rows)
    x, at = wide(scores), np.arange(rows)
    excess = x - x[at, targets][:, None] + margin
    excess[at, targets] = 0
    size = np.abs(x) + np.abs(x[at, targets])[:, None] + margin
    total = batch.divisor(batch.shares.sum())
    unclear = np.abs(excess) <= 4 * float(np.finfo(dtype).eps) * size
    unclear[at, targets] = False
    violated = (excess > 0) * (batch.shares / total)[:, None]
    extra = unclear * (batch.shares / total)[:, None]
    violated[at, targets] = -violated.sum(axis=1)
    extra[at, targets] = extra.sum(axis=1)
    value = (batch.shares * np.maximum(excess, 0).sum(axis=1)).sum() / total

    def call(scores, sample_weight, **out):
        options = {"margin": margin, "reduction": batch.reduction, "need_gradient": need}
        return ops.multiclass_hinge(scores, targets, sample_weight=sample_weight, **options, **out)

    return loss_case(
        call, (scores, batch.weight), value, (batch.shares * size.sum(axis=1)).sum() / total, violated,
        np.abs(violated), dtype, rows * classes, need, {"dscores": 1}, extra,
    )  # fmt: skip


def paired_shape(rng, batch):
    return pick(rng, (batch.rows, batch.columns), (batch.rows, 2, batch.columns), (batch.rows,))


def mse(rng, dtype):
    make = Numbers(rng, dtype)
    batch = Batch(make)
    shape, need = paired_shape(rng, batch), make.chance(0.8)
    prediction, target = make.array(*shape), make.array(*shape)
    shares = batch.shares.reshape(-1, *(1,) * (len(shape) - 1))
    columns = prediction.size // batch.rows
    total = batch.divisor(batch.shares.sum() * columns)
    difference = wide(prediction) - wide(target)
    terms = np.abs(wide(prediction)) + np.abs(wide(target))
    value = (shares * difference**2).sum() / total
    limit = float(np.finfo(dtype).max) / 8
    size = (shares * terms**2).sum() / total

    def call(prediction, target, sample_weight, **out):
        options = {"reduction": batch.reduction, "need_gradient": need}
        return ops.mse(prediction, target, sample_weight=sample_weight, **options, **out)

    made = loss_case(
        call, (prediction, target, batch.weight), value, np.where(np.isfinite(size), np.minimum(size, limit), size),
        2 * shares / total * difference, 2 * shares / total * terms + terms, dtype, prediction.size, need,
        {"dprediction": 1},
    )  # fmt: skip
    if size > limit:  # the sum is in float64, and need not be: nothing is said of it
        made = made._replace(wants=(Want(np.asarray(value), np.asarray(np.inf)), made.wants[1]))
    return made


def bce_with_logits(rng, dtype):
    make = Numbers(rng, dtype)
    batch = Batch(make)
    shape, need, positive = paired_shape(rng, batch), make.chance(0.8), pick(rng, None, 0.5, 3.0)
    logits = make.array(*shape)
    targets = pick(rng, rng.random(shape), (rng.random(shape) < 0.5)).astype(dtype)
    shares = batch.shares.reshape(-1, *(1,) * (len(shape) - 1))
    total = batch.divisor(batch.shares.sum() * (logits.size // batch.rows))
    x, t, p = wide(logits), wide(targets), 1.0 if positive is None else positive
    softplus = lambda z: np.logaddexp(0, z)  # noqa: E731
    terms = np.where(t == 1, 0, (1 - t) * softplus(x)) + np.where(t == 0, 0, p * t * softplus(-x))
    size = (shares * (1 + p) * (np.abs(x) + 1)).sum() / total
    gradient = shares / total * ((1 - t) * special.expit(x) - p * t * special.expit(-x))
    sizes = shares / total * ((1 - t) * special.expit(x) + p * t * special.expit(-x)) + 0 * x

    def call(logits, targets, sample_weight, **out):
        options = {"reduction": batch.reduction, "need_gradient": need, "pos_weight": positive}
        return ops.bce_with_logits(logits, targets, sample_weight=sample_weight, **options, **out)

    made = loss_case(
        call, (logits, targets, batch.weight), (shares * terms).sum() / total, size, gradient, sizes, dtype,
        logits.size, need, {"dlogits": 1},
    )  # fmt: skip
    if not np.isfinite(x).all():
        loss, slope = made.wants
        slope = slope and slope._replace(tolerance=np.where(np.isfinite(x), slope.tolerance, np.inf))
        made = made._replace(wants=(loss._replace(tolerance=np.asarray(np.inf)), slope))
    return made


def nll(rng, dtype):
    make = Numbers(rng, dtype, FINITE)
    batch = Batch(make)
    rows, classes, need = batch.rows, batch.columns, make.chance(0.8)
    logs, targets = make.array(rows, classes), rng.integers(0, classes, batch.rows)
    weight = np.abs(make.plain(classes)) + np.asarray(0.1, dtype) if make.chance(0.4) else None
    factor = batch.shares * (1 if weight is None else wide(weight)[targets])
    factor = factor / batch.divisor(factor.sum())
    each = wide(logs)[np.arange(rows), targets]
    gradient = np.zeros((rows, classes))
    gradient[np.arange(rows), targets] = -factor

    def call(logs, weight, sample_weight, **out):
        options = {"weight": weight, "sample_weight": sample_weight, "reduction": batch.reduction}
        return ops.nll(logs, targets, need_gradient=need, **options, **out)

    return loss_case(
        call, (logs, weight, batch.weight), -(factor * each).sum(), (factor * np.abs(each)).sum(), gradient,
        np.abs(gradient), dtype, rows, need, {"dlog_probs": 1},
    )  # fmt: skip


def pointwise_formula(kind, x, t, p):
    """Return loss and derivative of elements, and the sizes of their terms."""
    d, size = x - t, np.abs(x) + np.abs(t)
    if kind in ("smooth_l1", "huber"):
        scale, near = (p if kind == "huber" else 1.0), np.abs(d) < p
        cost = np.where(near, d * (d / p if p else d) / 2, np.abs(d) - p / 2)
        return scale * cost, scale * np.where(near, d / p if p else d, np.sign(d)), scale * (size + p), scale + 0 * d
    if kind == "quantile":
        return np.maximum(-p * d, (1 - p) * d), np.where(d == 0, 0, (d > 0) - p), size, 1 + 0 * d
    if kind == "poisson_log":
        return np.exp(x) - t * x, np.exp(x) - t, np.exp(x) * (1 + np.abs(x)) + np.abs(t * x), np.exp(x) + t
    log_t = np.log(np.where(t > 0, t, 1))
    return t * (log_t - x), -t + 0 * x, t * (np.abs(log_t) + np.abs(x)), t


def pointwise_loss(rng, dtype):
    make = Numbers(rng, dtype, FINITE)
    batch = Batch(make)
    kind = pick(rng, "smooth_l1", "huber", "quantile", "poisson_log", "kl")
    parameter = {"smooth_l1": pick(rng, 0.0, 0.5), "huber": pick(rng, 0.5, 3.0), "quantile": 0.75}.get(kind, 0.0)
    shape, need = paired_shape(rng, batch), make.chance(0.8)
    prediction, target = make.array(*shape), make.array(*shape)
    if kind in ("poisson_log", "kl"):
        target = np.abs(target)
    shares = batch.shares.reshape(-1, *(1,) * (len(shape) - 1))
    total = batch.divisor(batch.shares.sum() * (prediction.size // batch.rows))
    cost, slope, sizes, slopes = pointwise_formula(kind, wide(prediction), wide(target), parameter)

    def call(prediction, target, sample_weight, **out):
        options = {"reduction": batch.reduction, "need_gradient": need}
        return ops.pointwise_loss(prediction, target, kind, parameter, sample_weight=sample_weight, **options, **out)

    return loss_case(
        call, (prediction, target, batch.weight), (shares * cost).sum() / total, (shares * sizes).sum() / total,
        shares / total * slope, shares / total * slopes, dtype, prediction.size, need, {"dprediction": 1},
    )  # fmt: skip


def counted(rng, dtype):
    make = Numbers(rng, dtype, FINITE)
    rows, classes = pick(rng, *SMALL, 67), pick(rng, *SIZES)
    scores = make.array(rows, classes)
    targets = rng.integers(0, max(classes, 1), rows)
    targets[rng.random(rows) < 0.2] = -100
    right = int((scores.argmax(axis=1) == targets).sum()) if classes else 0
    return scores, targets, right, int((targets != -100).sum())


def count_correct(rng, dtype):
    scores, targets, right, _ = counted(rng, dtype)
    return Case((scores,), lambda scores: (ops.count_correct(scores, targets),), (right,), {})


def share_correct(rng, dtype):
    scores, targets, right, rows = counted(rng, dtype)

    def call(scores):
        out = np.empty(1)
        ops.share_correct(scores, targets, out)
        return (out,)

    return Case((scores,), call, (np.array([right / rows if rows else np.nan]),), {})


CASES = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "multiclass_hinge": multiclass_hinge,
    "mse": mse,
    "nll": nll,
    "pointwise_loss": pointwise_loss,
    "bce_with_logits": bce_with_logits,
    "count_correct": count_correct,
    "share_correct": share_correct,
}
