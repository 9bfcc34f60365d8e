"""JAX: a whole training step under jit, its buffers donated. Its single ops cannot write to prepared outputs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ..cases import WORKLOADS, Case, Workload
from ..data import batch, weights
from . import Run

_ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


def prepare(case: Case, _: str) -> Run | None:
    """Return what does a step, or None."""
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
    parameters = [{"w": jnp.asarray(w), "b": jnp.zeros(w.shape[1])} for w in weights(workload)]
    if workload.batchnorm:
        for layer, width in zip(parameters, workload.hidden, strict=False):
            layer |= {"gamma": jnp.ones(width), "beta": jnp.zeros(width)}

    def zeros() -> Any:
        return jax.tree.map(jnp.zeros_like, parameters)

    running = [{"mean": jnp.zeros(width), "var": jnp.ones(width)} for width in workload.hidden * workload.batchnorm]
    return {"parameters": parameters, "m": zeros(), "v": zeros(), "running": running, "steps": jnp.zeros(())}


def _make_step(workload: Workload) -> Any:
    activation = _ACTIVATIONS[workload.activation]

    def forward(parameters: Any, running: Any, x: Any, target: Any) -> Any:
        moved = []
        for index, layer in enumerate(parameters[:-1]):
            x = x @ layer["w"] + layer["b"]
            if workload.batchnorm:
                mean, var = x.mean(axis=0), x.var(axis=0)
                x = (x - mean) * jax.lax.rsqrt(var + 1e-5) * layer["gamma"] + layer["beta"]
                old, n = running[index], x.shape[0]
                moved.append(
                    {"mean": 0.9 * old["mean"] + 0.1 * mean, "var": 0.9 * old["var"] + 0.1 * var * n / (n - 1)}
                )
            x = activation(x)
        logits = x @ parameters[-1]["w"] + parameters[-1]["b"]
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), target[:, None], axis=1)
        return -chosen.mean(), moved

    def sgd(state: Any, gradients: Any) -> dict[str, Any]:
        m = jax.tree.map(lambda m, g: 0.9 * m + g, state["m"], gradients)
        return {"parameters": jax.tree.map(lambda p, m: p - 0.01 * m, state["parameters"], m), "m": m, "v": state["v"]}

    def adam(state: Any, gradients: Any) -> dict[str, Any]:
        steps = state["steps"] + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["m"], gradients)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state["v"], gradients)
        scale, correction = 1e-3 / (1 - 0.9**steps), 1 / (1 - 0.999**steps)
        updated = jax.tree.map(
            lambda p, m, v: p - scale * m / (jnp.sqrt(v * correction) + 1e-8), state["parameters"], m, v
        )
        return {"parameters": updated, "m": m, "v": v}

    def step(state: Any, x: Any, target: Any) -> Any:
        evaluate = jax.value_and_grad(forward, has_aux=True)
        (loss, running), gradients = evaluate(state["parameters"], state["running"], x, target)
        update = sgd if workload.optimizer == "sgd" else adam
        return update(state, gradients) | {"running": running, "steps": state["steps"] + 1}, loss

    return step
