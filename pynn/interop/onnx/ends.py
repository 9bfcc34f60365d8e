"""Both ends of a graph: what precedes the network becomes its preprocessing, what follows it says what outputs mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import preprocessing as pre
from ...nn import layers
from .drafts import Affine, Draft, Limits, Step, Unflattened, dtype_of
from .errors import UnsupportedError
from .graph import Graph

#: Maximum number of features to which a single constant of the file is broadcast.
MOST = 2**20


def take_preprocessing(steps: list[Step], shape: tuple[int | None, ...] | None) -> pre.Transformer | None:
    """Remove the affine maps and limits before the first layer, and return them as a transformer."""
    found: list[pre.Transformer] = []
    while steps:
        axes, taken, shape_after = _axes_of(steps, shape)
        if axes is not None:
            found.append(axes)
            shape = shape_after
            del steps[:taken]
            continue
        first = steps[0]
        if not isinstance(first, Affine | Limits):
            break
        affine = first if isinstance(first, Affine) else Affine(np.ones(()), np.zeros(()), first.node, np.dtype("f8"))
        limits = next((step for step in steps[: 2 if affine is first else 1] if isinstance(step, Limits)), None)
        if affine is not first and not limits.soft:  # type: ignore[union-attr]
            break  # a layer
        transformer = _transformer(affine, limits, shape)
        if transformer is None and affine is first and limits is not None:
            limits = None  # a layer
            transformer = _transformer(affine, None, shape)
        if transformer is None:
            return None if not found else _chained(found)
        del steps[: (affine is first) + (limits is not None)]
        found.append(transformer)
    return _chained(found) if found else None


def _axes_of(
    steps: list[Step], shape: tuple[int | None, ...] | None
) -> tuple[pre.Transformer | None, int, tuple[int | None, ...] | None]:
    """Return the PCA, whitening or ZCA that the first steps compute, how many steps, and the shape of what it gives.

    Only matrices of another dtype than the network's: one of the same dtype is a trained layer.
    """
    none = (None, 0, None)
    flat = bool(steps) and isinstance(steps[0], Draft) and steps[0].kind is layers.Flatten
    rest = steps[1:] if flat else steps
    if len(rest) < 2 or not isinstance(rest[0], Affine) or not isinstance(rest[1], Draft) or shape is None:
        return none
    affine, linear = rest[0], rest[1]
    matrix = linear.arrays.get("weight")
    plain = linear.kind is layers.Linear and "bias" not in linear.arrays and (affine.scale == 1).all()
    if not plain or not (flat or len(shape) == 2) or matrix is None or affine.shift.shape != matrix.shape[:1]:
        return none
    if matrix.dtype == dtype_of(rest[2:]) and not flat:
        return none
    back = rest[2] if len(rest) > 2 and isinstance(rest[2], Unflattened) else None
    size = shape[1:]
    if None in size or np.prod([float(n) for n in size if n is not None]) != len(matrix):
        return none
    transformer = _decorrelation(matrix, -affine.shift.reshape(size), whole=back is not None)  # type: ignore[arg-type]
    if transformer is None:
        return none
    after = size if isinstance(transformer, pre.ZCA) else matrix.shape[1:]
    return transformer, 2 + flat + (back is not None), (None, *after)


def _decorrelation(matrix: np.ndarray, mean: np.ndarray, whole: bool) -> pre.Transformer | None:
    """Return the transformer that multiplies centred examples by a matrix, if that is orthonormal axes times gains.

    With `whole` the result has the shape of the examples.
    """
    symmetric = matrix.shape[0] == matrix.shape[1] and np.allclose(matrix, matrix.T, atol=1e-12 * np.abs(matrix).max())
    if symmetric and (whole or mean.ndim == 1):
        gains, vectors = np.linalg.eigh(matrix)
        if gains.min() > 0:
            return pre.ZCA(eps=0.0).load_state(_axes_state(vectors.T[::-1], gains[::-1], mean))
    if whole:
        return None
    gains = np.sqrt(np.square(matrix).sum(axis=0))
    if not gains.all():
        return None
    axes = (matrix / gains).T
    if not np.allclose(axes @ axes.T, np.eye(len(axes)), atol=1e-9):
        return None
    rotates = np.allclose(gains, 1, rtol=1e-9)
    transformer = pre.PCA(len(axes)) if rotates else pre.PCAWhiten(len(axes), eps=0.0)
    return transformer.load_state(_axes_state(matrix.T if rotates else axes, gains, mean))


def _axes_state(axes: np.ndarray, gains: np.ndarray, mean: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "n_samples_seen": np.array(2),
        "mean": np.ascontiguousarray(mean),
        "components": np.ascontiguousarray(axes),
        "explained_variance": gains**-2.0,
    }


def _chained(found: list[pre.Transformer]) -> pre.Transformer:
    return found[0] if len(found) == 1 else pre.Pipeline(found)


def _transformer(affine: Affine, limits: Limits | None, shape: tuple[int | None, ...] | None) -> pre.Transformer | None:
    """Return the transformer for an affine map and limits, or None if none computes them."""
    if not (affine.scale > 0).all() or not np.isfinite([affine.scale.max(), np.abs(affine.shift).max()]).all():
        return None
    arrays = np.broadcast_arrays(affine.scale, affine.shift)
    channels = shape is not None and len(shape) == 4 and all(a.size == 1 or a.shape[-2:] == (1, 1) for a in arrays)
    wanted = None if shape is None else shape[1:2] if channels else shape[1:]
    if wanted is None or None in wanted or np.prod([float(size) for size in wanted if size]) > MOST:
        return None
    scale, shift = (np.broadcast_to(a.reshape(-1) if channels else a, wanted).copy() for a in arrays)  # type: ignore[arg-type]
    if limits is not None and not limits.soft:
        return None if channels else _min_max(scale, shift, limits)
    state = {"n_samples_seen": np.array(1), "mean": -shift / scale, "m2": scale**-2.0}
    kind: Any = pre.ChannelStandardize if channels else pre.Standardize
    if limits is None and (scale == 1).all():
        kind = pre.ChannelCenter if channels else pre.Center
        del state["m2"]
    if channels and limits is not None:
        return None
    transformer: pre.Transformer = kind() if limits is None else kind(limit=limits.high)
    return transformer.load_state(state)


def _min_max(scale: np.ndarray, shift: np.ndarray, limits: Limits) -> pre.Transformer | None:
    low, high = limits.low, limits.high
    if not np.isfinite([low, high]).all() or not low < high:
        return None
    state = {"n_samples_seen": np.array(1), "data_min": (low - shift) / scale, "data_max": (high - shift) / scale}
    return pre.MinMax((low, high), clip=True).load_state(state)


def take_target_preprocessing(steps: list[Step], width: int | None) -> pre.Transformer | None:
    """Remove an affine map that could not be folded into the last layer, and return the transformer that it inverts."""
    last = steps[-1] if steps else None
    if not isinstance(last, Affine) or len(steps) < 2 or width is None:
        return None
    inverse = Affine(1 / last.scale, -last.shift / last.scale, last.node, last.dtype)
    transformer = _transformer(inverse, None, (None, width))
    if transformer is not None:
        del steps[-1]
    return transformer


def fold_into_first(steps: list[Step]) -> None:
    """Fold an affine map before the first layer into it, if that is linear."""
    if len(steps) < 2 or not isinstance(steps[0], Affine):
        return
    affine, first = steps[0], steps[1]
    if not isinstance(first, Draft) or first.kind not in (layers.Linear, layers.Maxout) or affine.scale.ndim > 1:
        return
    weight = first.arrays["weight"]
    bias = first.arrays.get("bias", np.zeros(weight.shape[1], weight.dtype))
    scale, shift = (np.broadcast_to(a.reshape(-1), weight.shape[:1]) for a in (affine.scale, affine.shift))
    first.arrays |= {
        "bias": (bias + shift @ weight).astype(weight.dtype),
        "weight": (weight * scale[:, None]).astype(weight.dtype),
    }
    del steps[0]


class Ending:
    """What a graph's outputs mean: the value that is the network's output, its kind, and the names of classes."""

    def __init__(self, graph: Graph) -> None:
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        self.constants = graph.constants
        self.kind: str | None = None
        self.class_names: list[Any] | None = None
        names = [value.name for value in graph.outputs]
        labelled = [(name, found) for name in names if (found := self._labels(name)) is not None]
        if len(names) == 2 and len(labelled) == 1:
            _, (scores, self.class_names) = labelled[0]
            self.value = self._logits(scores)
            return
        if len(names) != 1:
            raise UnsupportedError(f"the graph has the outputs {names}; expected one, or labels and probabilities")
        self.value = names[0]
        if names[0] in ("probabilities", "log_probabilities") and graph.metadata.get("output") == names[0]:
            self.value = self._logits(names[0])

    def _through(self, name: str, *ops: str) -> str:
        """Return the value that `name` is made of by these operators alone, which change its form only."""
        while (node := self.makers.get(name)) is not None and node.op in ops:
            name = node.inputs[0]
        return name

    def _labels(self, name: str) -> tuple[str, list[Any]] | None:
        """Return the scores and the names of the classes, if an output is the class with the largest score."""
        picked = self.makers.get(self._through(name, "Cast", "Reshape", "Identity"))
        if picked is None or picked.op != "ai.onnx.ml.ArrayFeatureExtractor":
            return None
        largest, classes = self.makers.get(picked.inputs[1]), self.constants.get(picked.inputs[0])
        if largest is None or largest.op != "ArgMax" or classes is None or largest.get("axis", 0) not in (1, -1):
            return None
        return largest.inputs[0], classes.reshape(-1).tolist()

    def _logits(self, scores: str) -> str:
        """Return the value whose softmax or sigmoid the scores are, and note which."""
        scores = self._through(scores, "Identity", "ai.onnx.ml.ZipMap")
        node = self.makers.get(scores)
        if node is not None and node.op == "One minus":
            node = self.makers.get(node.inputs[0])
        if node is None:
            return scores
        if node.op in ("Softmax", "LogSoftmax"):
            self.kind = "classes"
            return node.inputs[0]
        if node.op in ("Sigmoid", "LogSigmoid"):
            self.kind = "binary"
            return node.inputs[0]
        self.kind = "scores"
        return scores
