"""JAX: a whole training step under jit, with donated buffers. Its single ops cannot write to preallocated outputs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ..cases import WORKLOADS, Case, Workload
from ..data import batch, weights
from . import Run

_ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


def prepare(case: Case, _: str) -> Run | None:
    """Return a function that runs a step, or None."""
    if case.group != "step":
        return None
    workload = WORKLOADS[case.op]
    state = _initial(workload)
    x, target = (jax.device_put(array) for array in batch(workload))
    step = jax.jit(_make_step(workload), donate_argnums=0)

    def run() -> float:
        nonlocal state
        state, loss = step(state, x, target)
        return float(loss)

    run()
    return run


def _initial(workload: Workload) -> dict[str, Any]:
    widths = [stage.outputs for stage in workload.stages]
    parameters = [
        {"w": jnp.asarray(w), "b": jnp.zeros(width)} for w, width in zip(weights(workload), widths, strict=True)
    ]
    hidden = widths[:-1] * workload.batchnorm
    for layer, width in zip(parameters, hidden, strict=False):
        layer |= {"gamma": jnp.ones(width), "beta": jnp.zeros(width)}

    def zeros() -> Any:
        return jax.tree.map(jnp.zeros_like, parameters)

    running = [{"mean": jnp.zeros(width), "var": jnp.ones(width)} for width in hidden]
    return {"parameters": parameters, "m": zeros(), "v": zeros(), "running": running, "steps": jnp.zeros(())}


def _per_channel(values: Any, x: Any) -> Any:
    return values.reshape(-1, *[1] * (x.ndim - 2))


def _affine(x: Any, layer: dict[str, Any], padding: int) -> Any:
    if layer["w"].ndim == 4:
        return jax.lax.conv_general_dilated(x, layer["w"], (1, 1), [(padding, padding)] * 2) + _per_channel(
            layer["b"], x
        )
    return x.reshape(len(x), -1) @ layer["w"] + layer["b"]


def _sgd(state: Any, gradients: Any) -> dict[str, Any]:
    m = jax.tree.map(lambda m, g: 0.9 * m + g, state["m"], gradients)
    return {"parameters": jax.tree.map(lambda p, m: p - 0.01 * m, state["parameters"], m), "m": m, "v": state["v"]}


def _adam(state: Any, gradients: Any) -> dict[str, Any]:
    steps = state["steps"] + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["m"], gradients)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state["v"], gradients)
    scale, correction = 1e-3 / (1 - 0.9**steps), 1 / (1 - 0.999**steps)
    updated = jax.tree.map(lambda p, m, v: p - scale * m / (jnp.sqrt(v * correction) + 1e-8), state["parameters"], m, v)
    return {"parameters": updated, "m": m, "v": v}


def _make_step(workload: Workload) -> Any:
    activation = _ACTIVATIONS[workload.activation]

    def forward(parameters: Any, running: Any, x: Any, target: Any) -> Any:
        moved = []
        for index, layer in enumerate(parameters[:-1]):
            x = _affine(x, layer, workload.padding)
            if workload.batchnorm:
                axes = (0, *range(2, x.ndim))
                mean, var, n = x.mean(axes), x.var(axes), x.size // x.shape[1]
                centred = x - _per_channel(mean, x)
                x = centred * _per_channel(jax.lax.rsqrt(var + 1e-5) * layer["gamma"], x)
                x += _per_channel(layer["beta"], x)
                old = running[index]
                moved.append(
                    {"mean": 0.9 * old["mean"] + 0.1 * mean, "var": 0.9 * old["var"] + 0.1 * var * n / (n - 1)}
                )
            x = activation(x)
            if x.ndim == 4:
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        outputs = _affine(x, parameters[-1], workload.padding)
        if workload.loss == "mse":
            return jnp.square(outputs - target).mean(), moved
        chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), target[:, None], axis=1)
        return -chosen.mean(), moved

    def step(state: Any, x: Any, target: Any) -> Any:
        evaluate = jax.value_and_grad(forward, has_aux=True)
        (loss, running), gradients = evaluate(state["parameters"], state["running"], x, target)
        update = _sgd if workload.optimizer == "sgd" else _adam
        return update(state, gradients) | {"running": running, "steps": state["steps"] + 1}, loss

    return step
