"""Optimiser updates over a flat parameter buffer, and other passes over parameters or gradients.

`bounds` is int64 (segments, 2): start and stop of each segment that is updated; `rates` is float64 (segments, 2): its
learning rate and weight decay. Gradients are multiplied by `grad_scale` first (1, or less where the norm is clipped).
`stats`, unless None, is float64 (segments, 3) and receives the sums of squares of parameter (before the update),
scaled gradient (without weight decay) and update. `momentum` and Adam's `beta1` are float64 (1,), like `step` arrays
because recorded updates read them again.
"""

import math

import numpy as np

from .absent import or_empty
from .compiled import FMA, REORDERED, njit
from .reductions import absolute_total, square_total

#: Elements updated at a time: all short loops over a chunk find it in the L1 cache, so that memory is read once. The
#: statistics have separate loops and change no bit of the update.
CHUNK = 1024


def sgd(param, grad, velocity, bounds, rates, momentum, nesterov, grad_scale, stats):
    """Update by v = momentum v + g; w -= lr v, or lr (g + momentum v) (Nesterov); no `velocity` without momentum."""
    _sgd(
        param,
        grad,
        or_empty(velocity, param.dtype),
        bounds,
        rates,
        float(momentum[0]),
        bool(nesterov),
        float(grad_scale),
        or_empty(stats, np.float64, 2),
    )


def adagrad(param, grad, square_sum, bounds, rates, eps, grad_scale, stats):
    """Update by s += g^2; w -= lr g / (sqrt(s) + eps)."""
    _adagrad(param, grad, square_sum, bounds, rates, float(eps), float(grad_scale), or_empty(stats, np.float64, 2))


def rmsprop(param, grad, square_avg, velocity, bounds, rates, alpha, momentum, eps, grad_scale, stats):
    """Update by s = alpha s + (1 - alpha) g^2; step = g / (sqrt(s) + eps); with momentum v = momentum v + step."""
    _rmsprop(
        param,
        grad,
        square_avg,
        or_empty(velocity, param.dtype),
        bounds,
        rates,
        float(alpha),
        float(momentum[0]),
        float(eps),
        float(grad_scale),
        or_empty(stats, np.float64, 2),
    )


def adam(param, grad, exp_avg, exp_avg_sq, bounds, rates, beta1, beta2, eps, step, decoupled, grad_scale, stats):
    """Update by Adam (Kingma & Ba 2015); `decoupled` decay makes it AdamW (Loshchilov 2019).

    `step`, int64 (1,), counts from 1.
    """
    _adam(
        param,
        grad,
        exp_avg,
        exp_avg_sq,
        bounds,
        rates,
        float(beta1[0]),
        float(beta2),
        float(eps),
        1 - float(beta1[0]) ** int(step[0]),
        1 - beta2 ** int(step[0]),
        bool(decoupled),
        float(grad_scale),
        or_empty(stats, np.float64, 2),
    )


def sum_of_squares(x):
    """Return the sum of squares, accumulated in float64."""
    return square_total(x.reshape(-1))


def clip_values(x, limit):
    """Clip `x` in place to [-limit, limit]."""
    _clip_values(x.reshape(-1), float(limit))


def add_penalty(param, grad, bounds, l1, l2):
    """Add l1 sign(w) + l2 w to the gradient of each segment; return the sum of l1 |w| + l2 w^2 / 2."""
    return _add_penalty(param, grad, bounds, float(l1), float(l2))


def clip_column_norms(w, limit):
    """Scale every column of the 2-D `w` whose Euclidean norm exceeds `limit` down to `limit`, in place."""
    _clip_column_norms(w, float(limit))


@njit(fastmath=FMA)
def _clear(stats, segment):
    if stats.size:
        stats[segment, 0] = stats[segment, 1] = stats[segment, 2] = 0.0


@njit(fastmath=FMA)
def _scale_gradient(g, grad_scale, w, decay, step):
    """Write the scaled gradient plus decay * w to `step`; without decay, w may be anything."""
    factor, weight = g.dtype.type(grad_scale), g.dtype.type(decay)
    for i in range(g.size):
        step[i] = g[i] * factor
    if decay != 0:
        for i in range(g.size):
            step[i] += weight * w[i]


@njit(fastmath=FMA)
def _apply(w, g, grad_scale, update, segment, stats):
    """Subtract `update` from the parameters; add the old parameters and the update to the statistics."""
    if stats.size:
        stats[segment, 0] += square_total(w)
        stats[segment, 1] += _scaled_square_total(g, g.dtype.type(grad_scale))
        stats[segment, 2] += square_total(update)
    for i in range(w.size):
        w[i] -= update[i]


@njit(fastmath=REORDERED)
def _scaled_square_total(g, factor):
    result = 0.0
    for i in range(g.size):
        value = np.float64(g[i] * factor)
        result += value * value
    return result


@njit(fastmath=FMA)
def _sgd(param, grad, velocity, bounds, rates, momentum, nesterov, grad_scale, stats):
    f = param.dtype.type
    beta = f(momentum)
    chunk = np.empty(CHUNK, param.dtype)
    for segment in range(bounds.shape[0]):
        _clear(stats, segment)
        lr, decay = f(rates[segment, 0]), rates[segment, 1]
        for start in range(bounds[segment, 0], bounds[segment, 1], CHUNK):
            here = slice(start, min(start + CHUNK, bounds[segment, 1]))
            w, g, v = param[here], grad[here], velocity[here]
            step = chunk[: w.size]
            _scale_gradient(g, grad_scale, w, decay, step)
            if velocity.size and nesterov:
                for i in range(step.size):
                    v[i] = v[i] * beta + step[i]
                    step[i] = lr * (step[i] + beta * v[i])
            elif velocity.size:
                for i in range(step.size):
                    v[i] = v[i] * beta + step[i]
                    step[i] = lr * v[i]
            else:
                for i in range(step.size):
                    step[i] *= lr
            _apply(w, g, grad_scale, step, segment, stats)


@njit(fastmath=FMA)
def _adagrad(param, grad, square_sum, bounds, rates, eps, grad_scale, stats):
    f = param.dtype.type
    epsilon = f(eps)
    chunk = np.empty(CHUNK, param.dtype)
    for segment in range(bounds.shape[0]):
        _clear(stats, segment)
        lr, decay = f(rates[segment, 0]), rates[segment, 1]
        for start in range(bounds[segment, 0], bounds[segment, 1], CHUNK):
            here = slice(start, min(start + CHUNK, bounds[segment, 1]))
            w, g, s = param[here], grad[here], square_sum[here]
            step = chunk[: w.size]
            _scale_gradient(g, grad_scale, w, decay, step)
            for i in range(step.size):
                s[i] += step[i] * step[i]
                step[i] = lr * step[i] / (np.sqrt(s[i]) + epsilon)
            _apply(w, g, grad_scale, step, segment, stats)


@njit(fastmath=FMA)
def _rmsprop(param, grad, square_avg, velocity, bounds, rates, alpha, momentum, eps, grad_scale, stats):
    f = param.dtype.type
    keep, take, beta, epsilon = f(alpha), f(1 - alpha), f(momentum), f(eps)
    chunk = np.empty(CHUNK, param.dtype)
    for segment in range(bounds.shape[0]):
        _clear(stats, segment)
        lr, decay = f(rates[segment, 0]), rates[segment, 1]
        for start in range(bounds[segment, 0], bounds[segment, 1], CHUNK):
            here = slice(start, min(start + CHUNK, bounds[segment, 1]))
            w, g, s, v = param[here], grad[here], square_avg[here], velocity[here]
            step = chunk[: w.size]
            _scale_gradient(g, grad_scale, w, decay, step)
            for i in range(step.size):
                s[i] = s[i] * keep + take * step[i] * step[i]
                step[i] /= np.sqrt(s[i]) + epsilon
            if velocity.size:
                for i in range(step.size):
                    v[i] = v[i] * beta + step[i]
                    step[i] = v[i]
            for i in range(step.size):
                step[i] *= lr
            _apply(w, g, grad_scale, step, segment, stats)


@njit(fastmath=FMA)
def _adam(
    param,
    grad,
    exp_avg,
    exp_avg_sq,
    bounds,
    rates,
    beta1,
    beta2,
    eps,
    correction1,
    correction2,
    decoupled,
    grad_scale,
    stats,
):
    f = param.dtype.type
    take1, keep2, take2 = f(1 - beta1), f(beta2), f(1 - beta2)
    epsilon, root_correction = f(eps), f(math.sqrt(correction2))
    chunk = np.empty(CHUNK, param.dtype)
    for segment in range(bounds.shape[0]):
        _clear(stats, segment)
        lr, decay = rates[segment, 0], rates[segment, 1]
        rate, shrink = f(lr / correction1), f(lr * decay)
        for start in range(bounds[segment, 0], bounds[segment, 1], CHUNK):
            here = slice(start, min(start + CHUNK, bounds[segment, 1]))
            w, g, m, v = param[here], grad[here], exp_avg[here], exp_avg_sq[here]
            step = chunk[: w.size]
            _scale_gradient(g, grad_scale, w, 0.0 if decoupled else decay, step)
            for i in range(step.size):
                m[i] += take1 * (step[i] - m[i])
                v[i] = v[i] * keep2 + take2 * step[i] * step[i]
                step[i] = rate * m[i] / (np.sqrt(v[i]) / root_correction + epsilon)
            if decoupled:
                for i in range(step.size):
                    step[i] += shrink * w[i]
            _apply(w, g, grad_scale, step, segment, stats)


@njit()
def _clip_values(x, limit):
    high = x.dtype.type(limit)
    for i in range(x.size):
        value = high if x[i] > high else x[i]
        x[i] = -high if value < -high else value


@njit(fastmath=FMA)
def _add_penalty(param, grad, bounds, l1, l2):
    f = param.dtype.type
    zero, one, slope1, slope2 = f(0), f(1), f(l1), f(l2)
    penalty = 0.0
    for segment in range(bounds.shape[0]):
        for start in range(bounds[segment, 0], bounds[segment, 1], CHUNK):
            here = slice(start, min(start + CHUNK, bounds[segment, 1]))
            w, g = param[here], grad[here]
            penalty += l1 * absolute_total(w) + 0.5 * l2 * square_total(w)
            for i in range(w.size):
                sign = one if w[i] > zero else (-one if w[i] < zero else w[i])  # w is 0 or NaN
                g[i] += slope1 * sign + slope2 * w[i]
    return penalty


@njit(fastmath=FMA)
def _large_norm(x):
    """Return the norm of numbers whose squares overflow float64, from 1e154 on."""
    largest = 0.0
    for i in range(x.size):
        largest = max(largest, abs(np.float64(x[i])))
    total = 0.0
    for i in range(x.size):
        total += (x[i] / largest) * (x[i] / largest)
    return math.sqrt(total) * largest if largest < math.inf else math.inf


@njit()
def _clip_column_norms(w, limit):
    squares = np.zeros(w.shape[1])
    for i in range(w.shape[0]):
        row = w[i]
        for j in range(row.size):
            squares[j] += np.float64(row[j]) * np.float64(row[j])
    factor = np.empty(w.shape[1], w.dtype)
    for j in range(factor.size):
        norm = math.sqrt(squares[j])
        if norm == math.inf:
            norm = _large_norm(w[:, j])
        factor[j] = 1.0 if norm <= limit else limit / norm
    for i in range(w.shape[0]):
        row = w[i]
        for j in range(row.size):
            row[j] *= factor[j]
