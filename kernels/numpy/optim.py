"""Optimiser updates over a flat parameter buffer, and other passes over parameters or gradients.

`bounds` is int64 (segments, 2): start and stop of each segment that is updated; `rates` is float64 (segments, 2): its
learning rate and weight decay. Gradients are multiplied by `grad_scale` first (1, or less where the norm is clipped).
`stats`, unless None, is float64 (segments, 3) and receives the sums of squares of parameter (before the update),
scaled gradient (without weight decay) and update. `momentum` and Adam's `beta1` are float64 (1,), like `step` arrays
because recorded updates read them again.
"""

import numpy as np

from .quiet import quiet


@quiet
def sgd(param, grad, velocity, bounds, rates, momentum, nesterov, grad_scale, stats):
    """Update by v = momentum v + g; w -= lr v, or lr (g + momentum v) (Nesterov); no `velocity` without momentum."""
    beta = float(momentum[0])
    for segment, (w, g, lr, decay) in enumerate(_segments(param, grad, bounds, rates)):
        step = g * grad_scale
        raw = step
        if decay:
            step = step + decay * w
        if velocity is not None:
            v = velocity[slice(*bounds[segment])]
            v *= beta
            v += step
            step = step + beta * v if nesterov else v
        _apply(w, raw, lr * step, segment, stats)


@quiet
def adagrad(param, grad, square_sum, bounds, rates, eps, grad_scale, stats):
    """Update by s += g^2; w -= lr g / (sqrt(s) + eps)."""
    for segment, (w, g, lr, decay) in enumerate(_segments(param, grad, bounds, rates)):
        raw = g * grad_scale
        step = raw + decay * w if decay else raw
        s = square_sum[slice(*bounds[segment])]
        s += step * step
        _apply(w, raw, lr * step / (np.sqrt(s) + eps), segment, stats)


@quiet
def rmsprop(param, grad, square_avg, velocity, bounds, rates, alpha, momentum, eps, grad_scale, stats):
    """Update by s = alpha s + (1 - alpha) g^2; step = g / (sqrt(s) + eps); with momentum v = momentum v + step."""
    beta = float(momentum[0])
    for segment, (w, g, lr, decay) in enumerate(_segments(param, grad, bounds, rates)):
        raw = g * grad_scale
        step = raw + decay * w if decay else raw
        here = slice(*bounds[segment])
        s = square_avg[here]
        s *= alpha
        s += (1 - alpha) * step * step
        step = step / (np.sqrt(s) + eps)
        if velocity is not None:
            v = velocity[here]
            v *= beta
            v += step
            step = v
        _apply(w, raw, lr * step, segment, stats)


@quiet
def adam(param, grad, exp_avg, exp_avg_sq, bounds, rates, beta1, beta2, eps, step, decoupled, grad_scale, stats):
    """Update by Adam (Kingma & Ba 2015); `decoupled` decay makes it AdamW (Loshchilov 2019).

    `step`, int64 (1,), counts from 1.
    """
    keep = float(beta1[0])
    correction1 = 1 - keep ** int(step[0])
    correction2 = 1 - beta2 ** int(step[0])
    for segment, (w, g, lr, decay) in enumerate(_segments(param, grad, bounds, rates)):
        raw = g * grad_scale
        gradient = raw + decay * w if decay and not decoupled else raw
        here = slice(*bounds[segment])
        m, v = exp_avg[here], exp_avg_sq[here]
        m += (1 - keep) * (gradient - m)
        v *= beta2
        v += (1 - beta2) * gradient * gradient
        update = (lr / correction1) * m / (np.sqrt(v) / correction2**0.5 + eps)
        if decoupled:
            update += lr * decay * w
        _apply(w, raw, update, segment, stats)


@quiet
def sum_of_squares(x):
    """Return the sum of squares, accumulated in float64."""
    return float(np.square(x, dtype=np.float64).sum())


@quiet
def clip_values(x, limit):
    """Clip `x` in place to [-limit, limit]."""
    np.clip(x, -limit, limit, out=x)


@quiet
def add_penalty(param, grad, bounds, l1, l2):
    """Add l1 sign(w) + l2 w to the gradient of each segment; return the sum of l1 |w| + l2 w^2 / 2."""
    penalty = 0.0
    for start, stop in bounds:
        w = param[start:stop]
        penalty += l1 * float(np.abs(w).sum(dtype=np.float64)) + 0.5 * l2 * sum_of_squares(w)
        grad[start:stop] += l1 * np.sign(w) + l2 * w
    return penalty


@quiet
def clip_column_norms(w, limit):
    """Scale every column of the 2-D `w` whose Euclidean norm exceeds `limit` down to `limit`, in place."""
    norm = np.sqrt(np.square(w, dtype=np.float64).sum(axis=0))
    for column in np.flatnonzero(np.isinf(norm)):  # squares overflow from 1e154 on
        largest = float(np.abs(w[:, column]).max())
        norm[column] = np.sqrt(np.square(w[:, column] / largest, dtype=np.float64).sum()) * largest
    w *= (limit / np.maximum(norm, limit)).astype(w.dtype)


def _segments(param, grad, bounds, rates):
    for (start, stop), (lr, decay) in zip(bounds, rates.tolist(), strict=True):
        yield param[start:stop], grad[start:stop], lr, decay


def _apply(w, gradient, update, segment, stats):
    if stats is not None:
        stats[segment] = sum_of_squares(w), sum_of_squares(gradient), sum_of_squares(update)
    w -= update
