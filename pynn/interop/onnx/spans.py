"""Layers that are several nodes in a row, and what only its neighbours explain."""

from __future__ import annotations

import numpy as np

from ...nn import layers
from ...nn.sequential import Sequential
from . import images, readers
from .drafts import Draft, Step, Unflattened
from .graph import Node, UnsupportedError
from .reading import Reader, Reading, Shape
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

    return {**READERS, "Reshape": reshape}


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
    "MatMul": _matmul,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
}
