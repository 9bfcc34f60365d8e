"""Trials of the optimisers, and of what else goes over parameters and gradients; all work in place."""

import numpy as np
from fuzz.arrays import KINDS, SIZES
from fuzz.cases import Case, Numbers, Want, free, ops, want, wide
from fuzz.networks import pick

LENGTHS = (*SIZES, 129, 513)


class Update:
    """Buffers, their segments and rates, and terms with the error that rounding leaves in them."""

    def __init__(self, rng, dtype, states):
        self.make, self.dtype = Numbers(rng, dtype, tuple(k for k in KINDS if k != "special")), np.dtype(dtype)
        self.unit, self.tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).smallest_normal)
        n = pick(rng, *LENGTHS)
        self.param, self.grad = self.make.array(n), self.make.array(n)
        self.states = [self.make.plain(n) if signed else np.abs(self.make.plain(n)) for signed in states]
        cuts = np.sort(rng.integers(0, n + 1, 2 * int(rng.integers(0, 4))))
        self.bounds = cuts.reshape(-1, 2).astype(np.int64)
        self.rates = np.stack(
            [rng.uniform(0, 0.3, len(self.bounds)), rng.uniform(0, 0.1, len(self.bounds)) * rng.integers(0, 2)], axis=1
        )
        self.scale, self.watched = pick(rng, 1.0, 0.37), self.make.chance(0.3)
        self.covered = np.zeros(n, bool)
        self.lr, self.decay = np.zeros(n), np.zeros(n)
        for (start, stop), (lr, decay) in zip(self.bounds, self.rates, strict=True):
            self.covered[start:stop] = True
            self.lr[start:stop], self.decay[start:stop] = lr, decay
        self.w, self.g = wide(self.param), wide(self.grad) * self.scale

    def gradient(self, decay=True):
        """Return the gradient with weight decay, and its error."""
        decayed = self.decay * self.w * decay
        return self.g + decayed, 4 * self.unit * (np.abs(self.g) + np.abs(decayed)) + 4 * self.tiny

    def result(self, value, error, before):
        """Return the Want of a buffer of which only the segments are updated."""
        error = error + 4 * self.unit * np.abs(value) + 4 * self.tiny
        error = np.where(np.abs(value) > float(np.finfo(self.dtype).max) / 1e6, np.inf, error)
        error = np.where(np.isnan(error) | np.isnan(value), np.inf, error)
        return Want(np.where(self.covered, value, wide(before)), np.where(self.covered, error, 0.0), True)

    def root(self, square, error):
        """Return a square root and its error."""
        low, high = np.sqrt(np.maximum(square - error, 0)), np.sqrt(square + error)
        beyond = np.abs(square) > float(np.finfo(self.dtype).max) / 8
        root = np.sqrt(square)
        return root, np.where(beyond, np.inf, np.maximum(high - root, root - low) + 2 * self.unit * root)

    def quotient(self, top, top_error, bottom, bottom_error):
        """Return a quotient and its error."""
        value = np.divide(top, bottom)
        worst = np.maximum(bottom - bottom_error, 0)
        error = (top_error + np.abs(value) * bottom_error) / worst + 4 * self.unit * np.abs(value)
        return value, np.where(worst > 0, error, np.inf)

    def sums_of_squares(self, update, error):
        """Return the Want of `stats`; the parameter before the update may be what it is now and the update."""
        values, sizes = np.zeros((2, len(self.bounds), 3))
        slack = np.zeros_like(values)
        for row, (start, stop) in enumerate(self.bounds):
            part = slice(start, stop)
            w, g, step, off = self.w[part], self.g[part], update[part], error[part]
            values[row] = [(t**2).sum() for t in (w, g, step)]
            sizes[row] = ((np.abs(w) + np.abs(step)) ** 2).sum(), *values[row, 1:]
            slack[row, 2] = ((np.abs(step) + off) ** 2).sum() - values[row, 2]
        known = np.isfinite(slack) & (sizes < 1e36)
        result = want(values, sizes, self.dtype, 64 + len(self.w), True, 2 * np.nan_to_num(slack))
        return result._replace(tolerance=np.where(known, result.tolerance, np.inf))

    def case(self, call, update, update_error, states):
        """Return the Case of an op that subtracts `update`, given the Wants of its state buffers."""
        param = self.result(self.w - update, update_error + 4 * self.unit * np.abs(self.w), self.param)
        sums, stats = free(np.zeros((len(self.bounds), 3))), None
        if self.watched:
            sums, stats = self.sums_of_squares(update, update_error), np.zeros((len(self.bounds), 3))

        def run():
            param, buffers = self.param.copy(), [state.copy() for state in self.states]
            grad = self.grad.copy()
            call(param, grad, buffers, {"grad_scale": self.scale, "stats": stats})
            return param, *buffers, sums.value if stats is None else stats, grad

        return Case((), run, (param, *states, sums, self.grad), {})


def sgd(rng, dtype):
    momentum = pick(rng, 0.0, 0.9)
    u = Update(rng, dtype, (True,) * (momentum > 0))
    nesterov = momentum > 0 and u.make.chance()
    step, error = u.gradient()
    states = []
    if momentum:
        before = wide(u.states[0])
        v, v_error = momentum * before + step, error + 4 * u.unit * np.abs(before)
        states = [u.result(v, v_error, u.states[0])]
        step, error = (step + momentum * v, error + v_error + u.unit * np.abs(v)) if nesterov else (v, v_error)

    given = momentum if u.make.chance() else np.array([momentum])

    def call(w, g, state, options):
        velocity = state[0] if state else None
        ops.sgd(w, g, velocity, u.bounds, u.rates, momentum=given, nesterov=nesterov, **options)

    return u.case(call, u.lr * step, u.lr * (error + 4 * u.unit * np.abs(step)), states)


def adagrad(rng, dtype):
    u, eps = Update(rng, dtype, (False,)), pick(rng, 1e-10, 1e-3)
    step, error = u.gradient()
    s = wide(u.states[0]) + step**2
    s_error = 4 * u.unit * s + 2 * np.abs(step) * error
    root, root_error = u.root(s, s_error + u.tiny)
    update, update_error = u.quotient(u.lr * step, u.lr * error, root + eps, root_error + u.unit * eps)
    return u.case(
        lambda w, g, state, options: ops.adagrad(w, g, state[0], u.bounds, u.rates, eps=eps, **options),
        update, update_error, [u.result(s, s_error, u.states[0])],
    )  # fmt: skip


def rmsprop(rng, dtype):
    momentum, alpha, eps = pick(rng, 0.0, 0.5), pick(rng, 0.99, 0.5), pick(rng, 1e-8, 1e-3)
    u = Update(rng, dtype, (False, True) if momentum else (False,))
    step, error = u.gradient()
    s = alpha * wide(u.states[0]) + (1 - alpha) * step**2
    s_error = 8 * u.unit * s + 2 * (1 - alpha) * np.abs(step) * error
    root, root_error = u.root(s, s_error + u.tiny)
    step, error = u.quotient(step, error, root + eps, root_error + u.unit * eps)
    states = [u.result(s, s_error, u.states[0])]
    if momentum:
        before = wide(u.states[1])
        step, error = momentum * before + step, error + 4 * u.unit * (np.abs(before) + np.abs(step))
        states.append(u.result(step, error, u.states[1]))

    given = momentum if u.make.chance() else np.array([momentum])

    def call(w, g, state, options):
        velocity = state[1] if momentum else None
        options |= {"alpha": alpha, "momentum": given, "eps": eps}
        ops.rmsprop(w, g, state[0], velocity, u.bounds, u.rates, **options)

    return u.case(call, u.lr * step, u.lr * (error + 4 * u.unit * np.abs(step)), states)


def adam(rng, dtype):
    u, decoupled = Update(rng, dtype, (True, False)), bool(rng.integers(2))
    beta1, beta2, eps, count = pick(rng, 0.9, 0.5), pick(rng, 0.999, 0.9), pick(rng, 1e-8, 1e-3), pick(rng, 1, 2, 1000)
    g, error = u.gradient(decay=not decoupled)
    first, second = wide(u.states[0]), wide(u.states[1])
    m, m_error = first + (1 - beta1) * (g - first), 4 * u.unit * (np.abs(first) + np.abs(g)) + error
    v, v_error = beta2 * second + (1 - beta2) * g**2, 0.0
    v_error = 8 * u.unit * v + 2 * (1 - beta2) * np.abs(g) * error
    root, root_error = u.root(v, v_error + u.tiny)
    correction1, correction2 = 1 - beta1**count, np.sqrt(1 - beta2**count)
    bottom, bottom_error = root / correction2 + eps, root_error / correction2 + 4 * u.unit * eps
    update, update_error = u.quotient(u.lr / correction1 * m, u.lr / correction1 * m_error, bottom, bottom_error)
    if decoupled:
        update = update + u.lr * u.decay * u.w
        update_error = update_error + 4 * u.unit * u.lr * u.decay * np.abs(u.w)
    step = count if u.make.chance() else np.array([count])
    given = beta1 if u.make.chance() else np.array([beta1])

    def call(w, g, state, options):
        options |= {"step": step, "beta1": given, "beta2": beta2, "eps": eps, "decoupled": decoupled}
        ops.adam(w, g, *state, u.bounds, u.rates, **options)

    states = [u.result(m, m_error, u.states[0]), u.result(v, v_error, u.states[1])]
    return u.case(call, update, update_error, states)


def add_penalty(rng, dtype):
    u, l1, l2 = Update(rng, dtype, ()), pick(rng, 0.0, 0.1), pick(rng, 0.0, 0.2)
    slope = l1 * np.sign(u.w) + l2 * u.w
    error = 4 * u.unit * (np.abs(slope) + np.abs(wide(u.grad)) + l1)
    terms = np.where(u.covered, l1 * np.abs(u.w) + l2 * u.w**2 / 2, 0)
    total = want(terms.sum(), terms.sum(), dtype, 16 + len(terms), extra=0.0)
    beyond = terms.max(initial=0) > float(np.finfo(dtype).max) / 8

    def call():
        grad, param = u.grad.copy(), u.param.copy()
        penalty = ops.add_penalty(param, grad, u.bounds, l1=l1, l2=l2)
        return penalty, grad, param

    return Case((), call, (None if beyond else total, u.result(wide(u.grad) + slope, error, u.grad), u.param), {})


def gradient_norm(rng, dtype):
    grad = Numbers(rng, dtype).array(pick(rng, *LENGTHS, 1500))
    norm = np.sqrt((wide(grad) ** 2).sum())
    known = np.isfinite(norm) and (dtype == np.float32 or norm > 1e-140)
    return Case((), lambda: (ops.gradient_norm(grad),), (Want(norm, np.asarray(1e-5 * norm)) if known else None,), {})


def clip_values(rng, dtype):
    grad, limit = Numbers(rng, dtype).array(pick(rng, *LENGTHS)), pick(rng, 0.5, 1e-3, 10.0)

    def call():
        clipped = grad.copy()
        ops.clip_values(clipped, limit)
        return (clipped,)

    return Case((), call, (want(np.clip(wide(grad), -limit, limit), limit, dtype, 1),), {})


def zero(rng, dtype):
    out = Numbers(rng, dtype).array(pick(rng, *LENGTHS))

    def call():
        cleared = out.copy()
        ops.zero(cleared)
        return (cleared,)

    return Case((), call, (np.zeros_like(out),), {})


def clip_column_norms(rng, dtype):
    make = Numbers(rng, dtype, tuple(k for k in KINDS if k != "special"))
    weight, limit = make.array(pick(rng, *SIZES), pick(rng, *SIZES)), pick(rng, 0.5, 2.0)
    norm = np.sqrt((wide(weight) ** 2).sum(axis=0))
    value = wide(weight) * (limit / np.maximum(norm, limit))
    known = np.isfinite(norm) & (norm < float(np.finfo(np.float64).max) ** 0.5)

    def call():
        clipped = weight.copy()
        ops.clip_column_norms(clipped, limit)
        return (clipped,)

    result = want(value, np.abs(value), dtype, 16 + np.sqrt(len(weight)))
    return Case((), call, (result._replace(tolerance=np.where(known, result.tolerance, np.inf)),), {})


CASES = {
    "sgd": sgd,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "add_penalty": add_penalty,
    "gradient_norm": gradient_norm,
    "clip_values": clip_values,
    "zero": zero,
    "clip_column_norms": clip_column_norms,
}
