"""Layers that are several nodes in a row, and what only its neighbours explain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...nn import layers
from ...nn.sequential import Sequential
from . import images, readers
from .drafts import Draft, Step, Unflattened
from .errors import UnsupportedError
from .graph import Node
from .image_writers import shares
from .operators.limits import dimension
from .reading import Reader, Reading, Shape, floats
from .sizes import Sizes


def span_readers(sizes: Sizes, steps_before: list[Step]) -> dict[str, Reader]:
    """Return the readers of nodes that look at shapes, at the next nodes, or at the layer before them."""

    def reshape(read: Reading, node: Node) -> tuple[Step | None, Shape]:
        wanted, shape = sizes.wanted(node), read.shape(node)
        assert shape is not None
        if len(wanted) == 3 and read.following(node, "InstanceNormalization"):
            return _group_norm(read, node, wanted, sizes)
        if len(wanted) == 3 and _is_over_pieces(read, node):
            return _maxout(read, node, wanted, steps_before)
        if len(wanted) == 6 and len(shape) == 4:
            return _pixel_unshuffle(read, node, wanted, sizes)
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
    """Read a linear layer; or products with the shares of rows and of columns, an adaptive average pooling."""
    shape, last = read.shape(node), node
    if shape is not None and len(shape) == 4 and node.inputs[0] in read.constants:
        found = read.following(node, "MatMul")
        last = node if found is None else found
    if shape is None or (len(shape) != 3 and last is node):
        return readers.READERS["MatMul"](read, node)
    if last is node and not _averages(read.array(node, 1).T, shape[2]):
        return readers.READERS["MatMul"](read, node)
    matrices = [read.array(last, 1).T] if last is node else [read.array(node, 0), read.array(last, 1).T]
    for matrix, n in zip(matrices, shape[2:], strict=True):
        if not _averages(matrix, n):
            raise UnsupportedError(f"{node} is no adaptive average pooling of {n} positions, which it looks like")
    read.reached = last
    size = tuple(len(matrix) for matrix in matrices)
    kind = layers.AdaptiveAvgPool1d if len(size) == 1 else layers.AdaptiveAvgPool2d
    return Draft(kind, {"output_size": size}, node=node), (*shape[:2], *size)


def _averages(matrix: np.ndarray, n: int | None) -> bool:
    """Return whether a product with a matrix is an adaptive average pooling of n positions."""
    if n is None or matrix.ndim != 2 or matrix.shape[1] != n or not len(matrix):
        return False
    return np.allclose(matrix, shares(n, len(matrix), matrix.dtype), rtol=1e-6, atol=0)


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


def _pixel_unshuffle(read: Reading, node: Node, wanted: tuple[int | None, ...], sizes: Sizes) -> tuple[Step, Shape]:
    """Read Reshape, Transpose and Reshape of r x r blocks to r x r channels."""
    shape, moved = read.shape(node), read.following(node, "Transpose")
    back = None if moved is None else read.following(moved, "Reshape")
    r = wanted[3]
    if shape is None or moved is None or back is None or r is None or wanted[5] != r:
        raise UnsupportedError(f"{node} gives an input of shape {shape} the shape {wanted}")
    channels, height, width = wanted[1], wanted[2], wanted[4]
    given, blocks = shape[1:], (channels, *(None if n is None else n * r for n in (height, width)))
    if channels is None or given != blocks or list(moved.get("perm") or []) != [0, 1, 3, 5, 2, 4]:
        raise UnsupportedError(f"{moved} does not make channels of blocks of {r} x {r} pixels")
    read.shapes[moved.outputs[0]] = (None, channels, r, r, height, width)
    made = (None, channels * r**2, height, width)
    if sizes.wanted(back)[1:] != made[1:]:
        raise UnsupportedError(f"{back} does not make channels of blocks of {r} x {r} pixels")
    read.reached = back
    return Draft(layers.PixelUnshuffle, {"downscale_factor": r}, node=node), made


def _axes(read: Reading, node: Node) -> tuple[int, ...]:
    given = read.optional(node, 1, "axes", [])
    return tuple(sorted(dimension(node, axis, read.rank(node)) for axis in given))


def _is_over_pieces(read: Reading, node: Node) -> bool:
    """Return whether a maximum over the first dimension of three follows a Reshape to them."""
    reduced = read.following(node, "ReduceMax")
    if reduced is None:
        return False
    given = read.optional(reduced, 1, "axes", [])
    return [int(axis) % 3 for axis in given] == [1]


def _maxout(read: Reading, node: Node, wanted: tuple[int | None, ...], before: list[Step]) -> tuple[Step, Shape]:
    reduced = read.following(node, "ReduceMax")
    assert reduced is not None
    read.shapes[node.outputs[0]] = wanted
    last = before[-1] if before else None
    linear = isinstance(last, Draft) and last.kind is layers.Linear
    if not linear or last.rank > 1 or reduced.get("keepdims", 1) or None in wanted[1:]:  # type: ignore[union-attr]
        raise UnsupportedError(f"{reduced} does not follow a linear layer, or is not over its pieces, as in Maxout")
    assert isinstance(last, Draft)
    before.pop()
    read.reached = reduced
    weight = last.arrays["weight"]
    arrays = {"bias": np.zeros(weight.shape[1], weight.dtype)} | last.arrays
    settings = {"in_features": weight.shape[0], "pieces": wanted[1], "out_features": wanted[2]}
    return Draft(layers.Maxout, settings, arrays, node=reduced), (None, wanted[2])


def _reduction(of: str) -> Reader:
    """Return the reader of a mean ("Avg") or maximum ("Max") over all positions."""

    def reduction(read: Reading, node: Node) -> tuple[Step, Shape]:
        shape, axes = read.shape(node), _axes(read, node)
        if shape is None or len(shape) not in (3, 4) or axes != tuple(range(2, len(shape))):
            raise UnsupportedError(f"{node} is over the dimensions {axes}; expected those after the channels")
        pooled, given = images.over_all_positions(of)(read, node)
        assert pooled is not None
        if node.get("keepdims", 1):
            return pooled, given
        both = Draft(Sequential, inner={"0": [pooled, Draft(layers.Flatten, node=node)]}, node=node)
        return both, shape[:2]

    return reduction


def _pad(read: Reading, node: Node) -> tuple[Step | None, Shape]:
    """Read a border of zeros as a layer, or as the padding of the average pooling after it."""
    pads, shape = [int(size) for size in read.optional(node, 1, "pads", [])], read.shape(node)
    zeros = node.get("mode", "constant") == "constant" and not np.any(read.optional(node, 2, "value", 0.0))
    rank = 0 if shape is None else len(shape) - 2
    if rank not in (1, 2) or not zeros or len(pads) != 4 + 2 * rank or read.optional(node, 3) is not None:
        raise UnsupportedError(f"{node} is not a border of zeros around sequences or images")
    before, after = pads[2 : 2 + rank], pads[4 + rank :]
    if any(pads[:2]) or any(pads[2 + rank : 4 + rank]):
        raise UnsupportedError(f"{node} adds examples or channels")
    pool = read.following(node, "AveragePool")
    if pool is not None and before == after:
        try:
            return _padded_pool(read, node, pool, before)
        except UnsupportedError:
            pass  # a layer of its own, then
    assert shape is not None
    sizes = [None if n is None else n + b + a for n, b, a in zip(shape[2:], before, after, strict=True)]
    if any(n is not None and n < 1 for n in sizes):
        raise UnsupportedError(f"{node} leaves nothing of an input of shape {shape}")
    padding = [size for sides in zip(before[::-1], after[::-1], strict=True) for size in sides]
    kind = layers.ZeroPad2d if rank == 2 else layers.ZeroPad1d
    return Draft(kind, {"padding": tuple(padding)}, node=node), (*shape[:2], *sizes)


def _padded_pool(read: Reading, node: Node, pool: Node, border: list[int]) -> tuple[Step | None, Shape]:
    """Read a border and an average pooling as one layer, which counts the zeros of the border only."""
    rank, kernel = len(border), pool.get("kernel_shape") or []
    beyond = list(pool.get("pads") or [0] * 2 * rank)
    fits = len(kernel) == rank and all(0 <= 2 * size <= k for size, k in zip(border, kernel, strict=True))
    if not fits or len(beyond) != 2 * rank or any(beyond[:rank]) or pool.get("count_include_pad", 0):
        raise UnsupportedError(f"{node} and {pool} are no average pooling of pynn")
    merged = Node(pool.op, pool.name, node.inputs[:1], pool.outputs, dict(pool.attributes), pool.opset)
    after = [size + more for size, more in zip(border, beyond[rank:], strict=True)]
    merged.attributes |= {"pads": [*border, *after], "count_include_pad": 1}
    read_as = images.READERS["AveragePool"](read, merged)
    read.reached = pool
    return read_as


#: All readers but that of Reshape, which needs the shapes.
READERS: dict[str, Reader] = {
    **readers.READERS,
    **images.READERS,
    "Cast": _cast,
    "Gather": _gather,
    "MatMul": _matmul,
    "Pad": _pad,
    "ReduceMax": _reduction("Max"),
    "ReduceMean": _reduction("Avg"),
}
