"""Layers that are several nodes in a row, and what only its neighbours explain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...nn import layers
from ...nn.sequential import Sequential
from . import images, readers
from .drafts import Draft, Step, Unflattened
from .graph import Node, UnsupportedError
from .reading import Reader, Reading, Shape, floats
from .sizes import Sizes
from .writers import shares


def span_readers(sizes: Sizes, steps_before: list[Step]) -> dict[str, Reader]:
    """Return the readers of nodes that look at shapes, at the next nodes, or at the layer before them."""

    def reshape(read: Reading, node: Node) -> tuple[Step | None, Shape]:
        wanted, shape = sizes.wanted(node), read.shape(node)
        assert shape is not None
        if len(wanted) == 3 and read.following(node, "InstanceNormalization"):
            return _group_norm(read, node, wanted, sizes)
        if len(wanted) == 3 and read.following(node, "ReduceMax"):
            return _maxout(read, node, wanted, steps_before)
        if wanted[1:] == shape[1:] and None not in wanted[1:]:
            return None, shape
        if len(wanted) == 2:
            return Draft(layers.Flatten, node=node), wanted
        more = len(wanted) - len(shape)
        for dim in range(1, len(shape) if more > 0 and None not in (*shape[1:], *wanted[1:]) else 1):
            if wanted[:dim] == (None, *shape[1:dim]) and wanted[dim + more + 1 :] == shape[dim + 1 :]:
                return Unflattened(dim, wanted[dim : dim + more + 1], node), wanted  # type: ignore[arg-type]
        raise UnsupportedError(f"{node} gives an input of shape {shape} the shape {wanted}")

    def resize(read: Reading, node: Node) -> tuple[Step, Shape]:
        return _resize(read, node, sizes)

    return {**READERS, "Reshape": reshape, "Resize": resize}


def _matmul(read: Reading, node: Node) -> tuple[Step | None, Shape]:
    """Read a linear layer; or two products with the shares of rows and of columns, an adaptive average pooling."""
    shape, second = read.shape(node), read.following(node, "MatMul")
    if node.inputs[0] not in read.constants or shape is None or len(shape) != 4 or second is None:
        return readers.READERS["MatMul"](read, node)
    rows, columns = read.array(node, 0), read.array(second, 1)
    sizes = [(n, m.shape) for n, m in zip(shape[2:], (rows.T, columns), strict=True)]
    if any(n is None or len(s) != 2 or s[0] != n or not s[1] for n, s in sizes):
        raise UnsupportedError(f"{node} multiplies images by arrays of shapes {rows.shape} and {columns.shape}")
    for matrix in (rows, columns.T):
        if not np.allclose(matrix, shares(matrix.shape[1], matrix.shape[0], matrix.dtype), rtol=1e-6, atol=0):
            raise UnsupportedError(f"{node} is no adaptive average pooling, which it looks like")
    read.reached = second
    size = (rows.shape[0], columns.shape[1])
    return Draft(layers.AdaptiveAvgPool2d, {"output_size": size}, node=node), (*shape[:2], *size)


def _resize(read: Reading, node: Node, sizes: Sizes) -> tuple[Step, Shape]:
    """Read nearest or linear interpolation of images, as PyTorch defines them."""
    shape = read.shape(node)
    if shape is None or len(shape) != 4 or node.get("axes") or node.get("antialias", 0):
        raise UnsupportedError(f"{node} has an input of shape {shape}, axes or antialias; expected images")
    where = node.get("coordinate_transformation_mode", "half_pixel")
    how = (node.get("mode", "nearest"), where, node.get("nearest_mode", "round_prefer_floor"))
    settings: dict[str, Any] = {"mode": "bilinear", "align_corners": where == "align_corners"}
    if how == ("nearest", "asymmetric", "floor"):
        settings = {}
    elif how[0] != "linear" or where not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise UnsupportedError(f"{node} has {', '.join(how)}; expected nearest, asymmetric, floor, or linear")
    scales = read.optional(node, 2)
    if scales is not None and scales.size:
        if scales.size != 4 or (scales[:2] != 1).any():
            raise UnsupportedError(f"{node} has scales {scales.tolist()}; expected 1 for the batch and the channels")
        settings["scale_factor"] = tuple(scales[2:].tolist())
        grown = tuple(None if n is None else math.floor(n * f) for n, f in zip(shape[2:], scales[2:], strict=True))
    else:
        grown = sizes.images(node, 3)
        settings["size"] = grown
    if where == "pytorch_half_pixel" and (None in grown or 1 in grown):
        raise UnsupportedError(f"{node} has coordinate_transformation_mode {where}; expected half_pixel")
    return Draft(layers.Upsample, settings, node=node), (*shape[:2], *grown)


def _gather(read: Reading, node: Node) -> tuple[Step | None, Shape]:
    """Read rows of a constant matrix as an embedding."""
    if node.inputs[0] not in read.constants or node.get("axis", 0) != 0:
        raise UnsupportedError(f"{node} does not take rows of a constant")
    table, shape = read.array(node, 0), read.shape(node)
    if table.ndim != 2 or shape is None:
        raise UnsupportedError(f"{node} takes rows of an array of shape {table.shape}; expected a matrix")
    settings = {"num_embeddings": table.shape[0], "embedding_dim": table.shape[1]}
    return Draft(layers.Embedding, settings, {"weight": floats(node, table)}, node=node), (*shape, table.shape[1])


def _cast(read: Reading, node: Node) -> tuple[Step | None, Shape]:
    """Read a conversion to floats, or to whole numbers before an embedding, as nothing."""
    if node.get("to") in (6, 7) and read.following(node, "Gather"):
        return None, read.shape(node)
    return readers.READERS["Cast"](read, node)


def _group_norm(read: Reading, node: Node, wanted: tuple[int | None, ...], sizes: Sizes) -> tuple[Step, Shape]:
    """Read Reshape, InstanceNormalization, Reshape back; gamma and beta may follow as a product and a sum."""
    shape, normalized = read.shape(node), read.following(node, "InstanceNormalization")
    assert normalized is not None and shape is not None
    gamma, beta = read.array(normalized, 1), read.array(normalized, 2)
    back = read.following(normalized, "Reshape")
    read.shapes[normalized.outputs[0]] = wanted
    channels = shape[1]
    if back is None or channels is None or not (gamma == 1).all() or beta.any() or gamma.shape != wanted[1:2]:
        raise UnsupportedError(f"{normalized} is not between two Reshapes as in a group norm")
    if sizes.wanted(back)[1:] != shape[1:]:
        raise UnsupportedError(f"{back} does not restore the shape {shape}")
    read.reached = back
    settings = {
        "num_groups": wanted[1],
        "num_channels": channels,
        "eps": normalized.get("epsilon", 1e-5),
        "affine": False,
    }
    return Draft(layers.GroupNorm, settings, node=normalized, rank=len(shape) - 1), shape


def _axes(read: Reading, node: Node) -> tuple[int, ...]:
    given = read.optional(node, 1, "axes", [])
    return tuple(sorted(int(axis) % read.rank(node) for axis in given))


def _maxout(read: Reading, node: Node, wanted: tuple[int | None, ...], before: list[Step]) -> tuple[Step, Shape]:
    reduced = read.following(node, "ReduceMax")
    assert reduced is not None
    read.shapes[node.outputs[0]] = wanted
    last = before[-1] if before else None
    linear = isinstance(last, Draft) and last.kind is layers.Linear
    if not linear or _axes(read, reduced) != (1,) or reduced.get("keepdims", 1) or None in wanted[1:]:
        raise UnsupportedError(f"{reduced} is not behind a linear layer and over its pieces, as in Maxout")
    assert isinstance(last, Draft)
    before.pop()
    read.reached = reduced
    weight = last.arrays["weight"]
    arrays = {"bias": np.zeros(weight.shape[1], weight.dtype)} | last.arrays
    settings = {"in_features": weight.shape[0], "pieces": wanted[1], "out_features": wanted[2]}
    return Draft(layers.Maxout, settings, arrays, node=reduced), (None, wanted[2])


def _reduce_mean(read: Reading, node: Node) -> tuple[Step, Shape]:
    shape, axes = read.shape(node), _axes(read, node)
    if shape is None or len(shape) != 4 or axes != (2, 3):
        raise UnsupportedError(f"{node} is over the dimensions {axes}; expected height and width of images")
    pooled = Draft(layers.AdaptiveAvgPool2d, {"output_size": 1}, node=node)
    if node.get("keepdims", 1):
        return pooled, (*shape[:2], 1, 1)
    both = Draft(Sequential, inner={"0": [pooled, Draft(layers.Flatten, node=node)]}, node=node)
    return both, shape[:2]


def _pad(read: Reading, node: Node) -> tuple[Step | None, Shape]:
    """Read a border of zeros as the padding of the average pooling behind it."""
    pads, shape = [int(size) for size in read.optional(node, 1, "pads", [])], read.shape(node)
    pool = read.following(node, "AveragePool")
    zeros = node.get("mode", "constant") == "constant" and not np.any(read.optional(node, 2, "value", 0.0))
    if shape is None or len(shape) != 4 or pool is None or not zeros or len(pads) != 8 or pads[:4] != pads[4:]:
        raise UnsupportedError(f"{node} is not a border of zeros before an average pooling")
    if any(pads[:2]) or pool.get("count_include_pad", 0):
        raise UnsupportedError(f"{node} and {pool} are no average pooling of pynn")
    after = list(pool.get("pads") or [0] * 4)
    merged = Node(pool.op, pool.name, node.inputs[:1], pool.outputs, dict(pool.attributes), pool.opset)
    merged.attributes |= {
        "pads": [pads[2] + after[0], pads[3] + after[1], pads[2] + after[2], pads[3] + after[3]],
        "count_include_pad": 1,
    }
    read.reached = pool
    return images.READERS["AveragePool"](read, merged)


#: All readers but that of Reshape, which needs the shapes.
READERS: dict[str, Reader] = {
    **readers.READERS,
    **images.READERS,
    "Cast": _cast,
    "Gather": _gather,
    "MatMul": _matmul,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
}
