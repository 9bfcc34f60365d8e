"""Checks of batches: examples must be independent, and training and inference must agree."""

from __future__ import annotations

import math

import numpy as np

from ...nn.context import Context
from ...nn.layers import BatchNorm, Layer
from ...nn.parameters import Parameter
from ...nn.random import Stream
from ...nn.traversal import parts
from ...utils.config import is_own
from ..isolation import seed_generators
from .case import Case
from .report import Check, failed, passed, skipped, warned
from .walk import Walk, uses_batch_statistics

#: Size of the batch whose rows are exchanged in turn.
BATCH = 8
#: Minimum number of examples in a pass that updates running statistics.
SETTLING = 16


def batch_independence(case: Case) -> Check:
    """Check that the prediction for one example does not depend on the rest of its batch."""
    name = "batch independence"
    if case.size < 2:
        return skipped(name, "needs at least two examples")
    advice = "Look for a mean, maximum, sort or reshape along axis 0, the batch, in the layer."
    model = case.copy_model()
    part = case.take(case.rows(BATCH, stream=7))
    checked = 0  # in two modes
    for training in (False, True):
        walk = Walk(model, part.x, training=training, seed=case.seed)
        for (label, layer), x in zip(walk.layers, walk.inputs, strict=True):
            uses_batch = any(map(uses_batch_statistics, layer.all_layers()))
            if not is_own(layer) or (training and uses_batch):
                continue
            checked += 1
            leak = _leak(layer, x, training, case.seed)
            if leak is None:
                continue
            mode = "training" if training else "inference"
            evidence = f"in {mode}, exchanging example {leak[0]} changes the output of {leak[1]} others"
            evidence += f", by up to {leak[2]:.3g} where outputs have rms {leak[3]:.3g}"
            # A custom batch norm without named running statistics rightly uses the batch in training.
            report = warned if training and _keeps_arrays(layer) else failed
            return report(name, "not_learning", evidence, advice, label)
    leak = _leak(model, part.x, False, case.seed)
    if leak is not None:
        evidence = f"exchanging example {leak[0]} changes the prediction of {leak[1]} others, by up to {leak[2]:.3g}"
        return failed(name, "not_learning", evidence, advice)
    evidence = f"exchanging each of {len(part.x)} examples changes its own prediction only"
    return passed(name, f"{evidence}; {checked // 2} custom layers checked individually" if checked else evidence)


def _leak(layer: Layer, x: np.ndarray, training: bool, seed: int) -> tuple[int, int, float, float] | None:
    """Return the leaking example, the number of changed others, the largest change, and the outputs' rms."""

    def run(inputs: np.ndarray) -> np.ndarray:
        seed_generators(seed)
        return layer.forward(inputs, Context(training=training, random=Stream(seed))).copy()

    base = run(x.copy())
    if not np.array_equal(base, run(x.copy()), equal_nan=True) or len(base) != len(x):
        return None if len(base) == len(x) else (0, len(x) - 1, float(len(base)), float(len(x)))
    size = float(np.sqrt(np.mean(np.square(base, dtype=np.float64)))) or 1.0
    flat = x.reshape(len(x), -1).astype(np.float64)
    for row in range(len(x)):
        other = int(np.abs(flat - flat[row]).sum(axis=1).argmax())
        exchanged = x.copy()
        exchanged[row] = x[other]
        change = np.abs(run(exchanged) - base).reshape(len(x), -1).max(axis=1)
        change[row] = 0
        if change.max() > 1e-4 * size:
            return row, int((change > 1e-4 * size).sum()), float(change.max()), size
    return None


def _keeps_arrays(layer: Layer) -> bool:
    return any(isinstance(value, np.ndarray) and not isinstance(value, Parameter) for value in vars(layer).values())


def modes_agree(case: Case) -> Check:
    """Check that inference agrees with training once running statistics have settled."""
    name, symptom = "training and inference", "batchnorm_mismatch"
    norms = [(label, layer) for label, layer in _batchnorms(case) if not layer.weight.frozen]
    doubtful = [layer for _, layer in norms] + [layer for layer in case.model.all_layers() if is_own(layer)]
    doubtful = [layer for layer in doubtful if layer is not case.model]
    if not doubtful:
        return skipped(name, "no layer but dropout behaves differently in training and in inference")
    if case.size < 8:
        return skipped(name, "too few examples to tell")
    momentum = "Set the momentum, the weight of each batch in the running statistics, to about 0.1."
    for label, layer in norms:
        if layer.momentum == 0:
            return failed(name, symptom, "momentum 0 never updates the running statistics", momentum, label)
        if layer.momentum < 0.001:
            evidence = (
                f"momentum {layer.momentum:g} needs {3 / layer.momentum:.0f} steps to forget the initial statistics"
            )
            return warned(name, symptom, evidence, momentum, label)
    model = case.copy_model()
    stale = _differences(case, model) if case.known.trained else []
    _settle(case, model, _passes(case, norms, len(doubtful) > len(norms)))
    settled = _differences(case, model)
    advice = (
        "In inference, use running means of the statistics used in training, and scale random layers to the same mean."
    )
    for differences, report, when in (
        (settled, None, "after the statistics have settled"),
        (stale, warned, "as it is"),
    ):
        worst = max(differences, default=(0.0, ""))
        evidence = f"training and inference outputs differ by {worst[0]:.2g} standard deviations {when} (worst layer)"
        if math.isinf(worst[0]):
            evidence = (
                "two inference passes over the same examples differ, or their shape differs from that in training"
            )
        if worst[0] > 0.5:
            return (report or failed)(name, symptom, evidence, advice, worst[1])
        if worst[0] > 0.25 and report is None:
            return warned(name, symptom, evidence, advice, worst[1])
    worst = max(settled, default=(0.0, ""))
    return passed(name, f"outputs differ by {worst[0]:.2g} standard deviations at most, in {len(settled)} layers")


def _batchnorms(case: Case) -> list[tuple[str, BatchNorm]]:
    return [(part.label, part.layer) for part in parts(case.model) if isinstance(part.layer, BatchNorm)]


def _passes(case: Case, norms: list[tuple[str, BatchNorm]], own: bool) -> int:
    """Return the number of passes after which running statistics have settled.

    Few will do for pynn's batch norms, whose initial statistics can be removed; not for `own` layers.
    """
    minimum = min((layer.momentum for _, layer in norms), default=0.1)
    return case.steps(0.2, SETTLING, 40 if own else 4, max(60, min(600, int(4 / minimum))))


def _settle(case: Case, model: Layer, passes: int) -> None:
    """Run training passes, which only update running statistics, and remove the effect of their initial values.

    Otherwise a feature of small variance would need hundreds of passes to forget the initial variance of 1.
    """
    rng = case.generator(8)
    batch = min(case.affordable(128, SETTLING), case.size)
    norms = [layer for layer in model.all_layers() if isinstance(layer, BatchNorm) and not layer.weight.frozen]
    before = [(layer.running_mean.copy(), layer.running_var.copy()) for layer in norms]
    for index in range(passes):
        rows = rng.permutation(case.size)[:batch] if case.size <= 2000 else rng.integers(0, case.size, batch)
        ctx = Context(training=True, random=Stream(case.seed + index))
        model.forward(np.ascontiguousarray(case.examples.x[rows]), ctx)
    for layer, starts in zip(norms, before, strict=True):
        left = (1 - layer.momentum) ** passes
        for running, start in zip((layer.running_mean, layer.running_var), starts, strict=True):
            running[...] = (running - left * start) / (1 - left)


def _differences(case: Case, model: Layer) -> list[tuple[float, str]]:
    """Return the distance between the two modes' outputs, per layer that may differ."""
    part = case.take(case.rows(case.affordable(512), stream=9))
    walk = Walk(model, part.x, training=True, seed=case.seed)  # type: ignore[arg-type]
    found = []
    for (label, layer), x, trained in zip(walk.layers, walk.inputs, walk.outputs, strict=True):
        uses_batch = any(map(uses_batch_statistics, layer.all_layers()))
        if not (is_own(layer) or uses_batch):
            continue
        inferred = layer.forward(x.copy(), Context(random=Stream(case.seed)))
        if inferred.shape != trained.shape or not _repeats(case, layer, x, inferred, training=False):
            found.append((math.inf, label))
            continue
        if not uses_batch and not _repeats(case, layer, x, trained, training=True):
            found.append((_bias(layer, x, inferred, case.seed), label))
            continue
        difference = np.square(trained.astype(np.float64) - inferred).reshape(len(x), -1).mean(axis=0)
        spread = trained.astype(np.float64).var(axis=0).reshape(-1)
        varies = spread > 1e-8 * max(float(spread.max(initial=0)), 1e-20)
        if varies.any():
            found.append((float(np.median(np.sqrt(difference[varies] / spread[varies]))), label))
    return found


def _repeats(case: Case, layer: Layer, x: np.ndarray, output: np.ndarray, *, training: bool) -> bool:
    """Return whether another pass with other random numbers gives the same output; pynn's batch norms draw none."""
    if isinstance(layer, BatchNorm) and not is_own(layer):
        return True
    again = layer.forward(x.copy(), Context(training=training, random=Stream(case.seed + 1)))
    return np.allclose(again, output, rtol=1e-3, atol=1e-6, equal_nan=True)


def _bias(layer: Layer, x: np.ndarray, inferred: np.ndarray, seed: int) -> float:
    """Return the relative difference of a random layer's mean training output from its inference output."""
    mean = np.zeros(inferred.shape)
    draws = 30
    for index in range(draws):
        mean += layer.forward(x.copy(), Context(training=True, random=Stream(seed + 100 + index))) / draws
    reference = inferred.astype(np.float64)
    squares = float(np.vdot(reference, reference))
    return 2 * abs(float(np.vdot(mean, reference)) / squares - 1) if squares else 0.0
