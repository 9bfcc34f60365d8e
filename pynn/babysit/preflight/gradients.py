"""Checks of gradients by finite differences: of the loss, every parameter tensor, and each layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...nn.context import Context
from ...nn.layers import EmbedColumns, Embedding, Residual
from ...nn.loss import Loss
from ...nn.random import Stream
from ...nn.sequential import Sequential
from ...training.examples import Examples
from ...utils.config import is_own
from ..isolation import seed_generators
from .case import MULTIPLIES, Case
from .report import Check, failed, passed, skipped
from .walk import Walk

EXAMPLES = 8
#: Steps of the finite differences, tried in order; later ones serve slopes with a kink nearby, or layers that round to
#: float32 internally.
STEPS = {np.dtype(np.float64): (1e-6, 3e-5, 1e-3), np.dtype(np.float32): (1e-2, 3e-2)}
#: Factors of the last layer's weights, for outputs at which to check the loss: it may be made of pieces.
GAINS = (1.0, 0.2, 5.0)
#: Probabilities this near to 0 and 1 are left out: losses clip them, and rightly give a gradient there all the same.
CLIPPED = 0.01
TOLERANCE = {np.dtype(np.float64): 1e-3, np.dtype(np.float32): 0.25}


@dataclass
class Mismatch:
    """A wrong slope of the gradient, in its worst direction."""

    name: str
    analytic: float
    numeric: float

    @property
    def error(self) -> float:
        """The difference relative to the larger slope."""
        return abs(self.analytic - self.numeric) / max(abs(self.analytic), abs(self.numeric))

    def __str__(self) -> str:
        return f"{self.name}: {self.analytic:.4g} where finite differences give {self.numeric:.4g}"


def gradient_check(case: Case) -> Check:
    """Check that the gradient of each parameter tensor is that of the loss, by finite differences."""
    name = "gradient check"
    part = case.take(case.rows(EXAMPLES, stream=5))
    problem = _Problem(case, part, np.dtype(np.float64))
    try:
        problem.run()
    except Exception:  # a custom layer or loss with float32 arrays, which ops refuse to mix
        problem = _Problem(case, part, case.model.dtype)
        try:
            problem.run()
        except Exception:
            if problem.training or len(part.x) < 2:
                raise
            return skipped(name, "two training passes differ, and inference mode has no backward pass")
    if not problem.repeatable:
        return skipped(name, "two passes over the same examples differ, so finite differences mean nothing")
    advice = "Derive the backward pass again; pynn.nn.gradcheck shows every tensor's error."
    wrong = problem.loss_mismatch()
    if wrong is not None:
        evidence = f"{type(case.loss).__name__} with respect to the prediction, {wrong}"
        return failed(name, "not_learning", evidence, "Derive the loss's gradient again, its sign first.")
    if problem.accumulates:
        label = problem.accumulates[0]
        evidence = f"a second backward pass over the same examples gives another gradient of {label}"
        return failed(name, "not_learning", evidence, "Overwrite parameter.grad[...] instead of adding to it.", label)
    checked, mismatches = problem.parameter_mismatches()
    own = [mismatch for mismatch in problem.layer_mismatches(everywhere=bool(mismatches)) if mismatch is not None]
    if not mismatches and not own:
        return passed(
            name, f"{checked} tensors agree with finite differences ({problem.dtype}, {len(part.x)} examples)"
        )
    if not own:
        worst = max(mismatches, key=lambda mismatch: mismatch.error)
        evidence = f"{len(mismatches)} of {checked} tensors differ, worst {worst}"
        return failed(name, "not_learning", evidence, advice, worst.name)
    label, found = own[-1]
    evidence = f"{found}; {len(mismatches)} of {checked} parameter tensors get a wrong gradient"
    return failed(name, "not_learning", evidence, advice, label)


class _Problem:
    """A copy of the model with signals of order one, and its loss on a few examples."""

    def __init__(self, case: Case, part: Examples, dtype: np.dtype) -> None:
        self.loss: Loss = case.loss
        self.dtype = dtype
        self.seed = case.seed
        self.rng = case.generator(6)
        self.model = case.copy_model(dropout=True).astype(dtype)
        self.x = np.ascontiguousarray(part.x, dtype=dtype)
        self.target = case.loss.as_target(part.y, dtype)
        self.weights = None if part.weights is None else part.weights.astype(dtype)
        self.training = len(self.x) > 1
        # Each evaluation is a forward pass, so large networks use fewer directions per tensor.
        self.few = case.multiplications > 200_000
        self.accumulates: list[str] = []
        self.repeatable = True

    def run(self) -> None:
        """Compute the gradients away from the current weights: a dead network would hide wrong gradients."""
        given = self.model.state_dict()
        _scatter(self.model, self.x, self.rng)
        self.buffers = [(buffer, buffer.copy()) for _, buffer in self.model.named_buffers()]
        if not np.isfinite(self.evaluate()):
            self.model.load_state_dict(given)
        if self.training and not np.isclose(self.evaluate(), self.evaluate(), rtol=1e-12):
            self.training = False
        self.repeatable = bool(np.isclose(self.evaluate(), self.evaluate(), rtol=1e-12))
        first = self.gradients()
        self.analytic = self.gradients()
        for name, gradient in self.analytic.items():
            if not np.allclose(gradient, first[name], rtol=1e-3, atol=1e-12) and self.repeatable:
                self.accumulates.append(name)

    def forward(self, ctx: Context) -> np.ndarray:
        """Return the prediction, always with the same random numbers and running statistics."""
        self._rewind()
        return self.model.forward(self.x, ctx)

    def _rewind(self) -> None:
        """Restore the random numbers and the running statistics with which each pass begins."""
        seed_generators(self.seed)
        for buffer, original in self.buffers:
            buffer[...] = original

    def context(self) -> Context:
        """Return a context for one pass, always with the same dropout."""
        return Context(training=self.training, random=Stream(self.seed))

    def evaluate(self) -> float:
        """Return the loss."""
        return float(self.loss.forward(self.forward(self.context()), self.target, self.weights)[0])

    def gradients(self) -> dict[str, np.ndarray]:
        """Return the gradient of every parameter from the backward pass."""
        ctx = self.context()
        ctx.needs_dx = False
        prediction = self.forward(ctx)
        gradient = self.loss.forward(prediction, self.target, self.weights)[1]
        if gradient is None:
            raise ValueError("the loss returned no gradient")
        self.model.backward(np.array(gradient, dtype=self.dtype, order="C"), ctx)
        return {name: parameter.grad.copy() for name, parameter in self.model.named_parameters()}

    def without_ties(self, x: np.ndarray) -> np.ndarray:
        """Return inputs nearby, all different: max pooling has a kink at equal ones, such as the zeros of a ReLU."""
        return x + (1e-3 * x.std() * self.rng.standard_normal(x.shape)).astype(x.dtype)

    def loss_mismatch(self) -> Mismatch | None:
        """Return a mismatch of the loss's gradient, or None: where the network's outputs are small, usual and large."""
        last = next((layer for layer in reversed(list(self.model.all_layers())) if isinstance(layer, MULTIPLIES)), None)
        for gain in GAINS if last is not None else (1.0,):
            if last is not None:
                given = last.weight.data.copy()
                last.weight[...] = gain * given
            prediction = self.forward(self.context()).copy()
            if last is not None:
                last.weight[...] = given
            if prediction.min() >= 0 and prediction.max() <= 1:
                prediction = np.clip(prediction, CLIPPED, 1 - CLIPPED)

            def value(prediction=prediction) -> float:  # type: ignore[no-untyped-def]
                return float(self.loss.forward(prediction.copy(), self.target, self.weights)[0])

            gradient = self.loss.forward(prediction.copy(), self.target, self.weights)[1]
            mismatch = compare("gradient of the loss", value, prediction, np.asarray(gradient), self.rng)
            if mismatch is not None:
                return mismatch
        return None

    def parameter_mismatches(self) -> tuple[int, list[Mismatch]]:
        """Return the number of checked tensors, and the mismatches.

        The tensors of a large network are moved together, and one by one only if that shows a mismatch.
        """
        trained = [(name, parameter) for name, parameter in self.model.named_parameters() if not parameter.frozen]
        if self.few and not self._wrong_together():
            return len(trained), []
        mismatches = [
            compare(name, self.evaluate, parameter.data, self.analytic[name], self.rng, few=self.few)
            for name, parameter in trained
        ]
        return len(trained), [mismatch for mismatch in mismatches if mismatch is not None]

    def _wrong_together(self) -> bool:
        """Return whether the gradient of all parameters together has a mismatch."""
        flat = self.model.flat
        analytic, moved = np.zeros_like(flat.values), np.zeros_like(flat.values)
        for name, parameter, start, stop in flat.slots:
            if not parameter.frozen:
                analytic[start:stop], moved[start:stop] = self.analytic[name].reshape(-1), 1
        name = "all parameters"
        return compare(name, self.evaluate, flat.values, analytic, self.rng, few=True, moved=moved) is not None

    def layer_mismatches(self, *, everywhere: bool) -> list[tuple[str, Mismatch]]:
        """Return the layers with a wrong backward pass; pynn's layers are checked only if `everywhere`."""
        self.forward(self.context())
        walk = Walk(self.model, self.x, training=self.training, seed=self.seed)
        found = []
        for (label, layer), x, y in zip(walk.layers, walk.inputs, walk.outputs, strict=True):
            if not (everywhere or is_own(layer)) or (layer is walk.layers[0][1] and not layer.parameters()):
                continue
            if isinstance(layer, Residual):  # a sum; its branches are checked individually
                continue
            slope = self.rng.standard_normal(y.shape).astype(y.dtype)
            categories = isinstance(layer, Embedding | EmbedColumns)
            inputs = x.copy() if categories or layer is walk.layers[0][1] else self.without_ties(x)

            def run(layer=layer, inputs=inputs) -> tuple[np.ndarray, Context]:  # type: ignore[no-untyped-def]
                self._rewind()
                ctx = self.context()
                return layer.forward(inputs.copy(), ctx), ctx

            def value(run=run, slope=slope) -> float:  # type: ignore[no-untyped-def]
                return float(np.vdot(slope, run()[0]))

            _, ctx = run()
            dx = layer.backward(slope.copy(), ctx)
            tensors = {}
            if not categories and layer is not walk.layers[0][1]:
                tensors["gradient of its input"] = (inputs, dx)
            for name, parameter in layer.named_parameters():
                if not parameter.frozen:
                    tensors[f"gradient of {name}"] = (parameter.data, parameter.grad.copy())
            for name, (values, analytic) in tensors.items():
                mismatch = compare(name, value, values, np.asarray(analytic), self.rng, few=self.few)
                if mismatch is not None:
                    found.append((label, mismatch))
                    break
        return found


def _scatter(model: Sequential, x: np.ndarray, rng: np.random.Generator) -> None:
    """Set all parameters so that signals of order one pass through the network."""
    scale = max(1.0, float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))))
    for layer in model.all_layers():
        if isinstance(layer, MULTIPLIES):
            assert layer.weight.fans is not None
            fan_in, _ = layer.weight.fans
            layer.weight[...] = rng.standard_normal(layer.weight.shape) * np.sqrt(1.5 / fan_in) / scale
            if layer.bias is not None:
                layer.bias[...] = 0.1 * rng.standard_normal(layer.bias.shape)
            scale = 1.0
        else:
            for parameter in vars(layer).values():
                if hasattr(parameter, "grad") and not parameter.frozen:
                    noise = rng.standard_normal(parameter.shape)
                    parameter[...] = parameter.data * (1 + 0.1 * noise) + 0.02 * np.abs(noise) * (parameter.data == 0)


def compare(
    name: str,
    evaluate: Callable[[], float],
    values: np.ndarray,
    analytic: np.ndarray,
    rng: np.random.Generator,
    *,
    few: bool = False,
    moved: np.ndarray | float = 1.0,
) -> Mismatch | None:
    """Return a mismatch of `analytic` with the gradient of `evaluate` at `values`, or None; restores `values`.

    Compares slopes along random directions, which cover all elements, and along single coordinates; only where `moved`
    is 1.
    """
    if analytic.shape != values.shape:
        raise ValueError(f"{name} has shape {analytic.shape}; expected {values.shape}")
    centre, original = evaluate(), values.copy()
    worst = None
    for direction in _directions(analytic, rng, few):
        direction = direction * moved
        expected = float(np.vdot(analytic.astype(np.float64), direction))
        numeric = _wrong_slope(evaluate, values, original, direction, expected, centre)
        values[...] = original
        if numeric is not None:
            found = Mismatch(name, expected, numeric)
            worst = found if worst is None or found.error > worst.error else worst
    return worst


def _directions(analytic: np.ndarray, rng: np.random.Generator, few: bool) -> list[np.ndarray]:
    size = analytic.size
    norm = float(np.linalg.norm(analytic.astype(np.float64)))
    directions = [analytic / norm] if np.isfinite(norm) and norm > 0 else []
    for _ in range(1 if few else 2):
        random_direction = rng.standard_normal(analytic.shape)
        directions.append(random_direction / np.linalg.norm(random_direction))
    count = 1 if few else 2
    chosen = {*np.argsort(-np.abs(analytic), axis=None)[:count].tolist(), *rng.permutation(size)[:count].tolist()}
    for index in sorted(chosen):
        unit = np.zeros(size)
        unit[index] = 1
        directions.append(unit.reshape(analytic.shape))
    return directions


def _wrong_slope(
    evaluate: Callable[[], float],
    values: np.ndarray,
    original: np.ndarray,
    direction: np.ndarray,
    expected: float,
    centre: float,
) -> float | None:
    """Return the measured slope if it certainly differs from the expected one."""
    dtype = values.dtype
    before: float | None = None
    for step in STEPS[dtype]:
        values[...] = original + step * direction
        above = evaluate()
        values[...] = original - step * direction
        below = evaluate()
        numeric = (above - below) / (2 * step)
        noise = 50 * float(np.finfo(dtype).eps) * max(abs(centre), abs(above), abs(below)) / step
        error = abs(numeric - expected)
        if not np.isfinite(error) or error <= TOLERANCE[dtype] * max(abs(numeric), abs(expected)) + noise:
            return None
        # A kink within the step changes the difference by half of this amount.
        bend = abs(above - 2 * centre + below) / step
        crossed = error < 1.01 * bend
        # Two steps that agree are conclusive; a single one may have measured rounding in a layer.
        if before is not None and not crossed and abs(numeric - before) < 0.1 * error:
            return numeric
        before = None if crossed else numeric
    return None
