"""Scaled dot-product attention and rotary embeddings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import ops
from ..graph import DTYPES, Node
from .floats import computed


def _attention(
    node: Node,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None = None,
    past_key: np.ndarray | None = None,
    past_value: np.ndarray | None = None,
    valid: np.ndarray | None = None,
) -> tuple[np.ndarray, ...]:
    dtype, rows = q.dtype, q.ndim == 3
    if rows:  # (batch, length, heads * size)
        q = _heads(q, node.get("q_num_heads"))
        k, v = (_heads(array, node.get("kv_num_heads")) for array in (k, v))
    before = 0
    if past_key is not None and past_value is not None:
        before = past_key.shape[2]
        k, v = np.concatenate([past_key, k], axis=2), np.concatenate([past_value, v], axis=2)
    keys, values = (np.repeat(array, q.shape[1] // k.shape[1], axis=1) for array in (k, v))
    root = dtype.type(math.sqrt(node.get("scale", 1 / math.sqrt(q.shape[3]))))
    scores = _product(node, q * root, (keys * root).swapaxes(2, 3))
    mode, shown = node.get("qk_matmul_output_mode", 0), scores
    cap = node.get("softcap", 0.0)
    if cap > 0:
        scores = dtype.type(cap) * np.tanh(scores / dtype.type(cap))
    shown = scores if mode == 1 else shown
    bias = _bias(node, scores.shape, mask, before, valid).astype(dtype)
    scores = scores + bias
    shown = scores if mode == 2 else shown
    shares = _softmax(scores, node.get("softmax_precision"))
    # A query that may attend no key gets zeros.
    shares = np.where(np.isneginf(bias.max(axis=-1, keepdims=True, initial=-np.inf)), 0, shares).astype(dtype)
    shown = shares if mode == 3 else shown
    y = _product(node, shares, values)
    if rows:
        y = y.swapaxes(1, 2).reshape(len(y), y.shape[2], -1)
    return y, k, v, shown.astype(dtype)


def _product(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    left, right = computed(node, a, b)
    return np.matmul(left, right).astype(a.dtype, copy=False)


def _heads(x: np.ndarray, heads: int) -> np.ndarray:
    """Return (batch, length, heads * size) as (batch, heads, length, size)."""
    return x.reshape(*x.shape[:2], heads, x.shape[2] // heads).swapaxes(1, 2)


def _softmax(scores: np.ndarray, precision: int | None) -> np.ndarray:
    """Return the softmax over the keys, in another precision if the node asks for one that NumPy has."""
    logits = scores.astype(DTYPES[precision] if precision else scores.dtype, copy=False)
    if logits.dtype != np.float16 and logits.size:
        return ops.softmax(logits, -1)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))  # the rounding of every step
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _bias(
    node: Node, shape: tuple[int, ...], mask: np.ndarray | None, before: int, valid: np.ndarray | None
) -> np.ndarray:
    """Return what is added to the scores: the mask, and minus infinity for keys that a query may not attend."""
    _, _, queries, keys = shape
    bias: np.ndarray = np.zeros((queries, keys))
    if mask is not None:
        added = np.where(mask, 0, -np.inf) if mask.dtype == bool else mask.astype(np.float64)
        short = keys - added.shape[-1]
        bias = bias + np.pad(added, [(0, 0)] * (added.ndim - 1) + [(0, short)], constant_values=-np.inf)
    column = np.arange(keys)
    offset: Any = before if valid is None else valid.reshape(-1, 1, 1, 1) - queries
    place = np.arange(queries)[:, None] + offset  # of each query among the keys
    left, right = node.get("left_window_size", -1), node.get("right_window_size", -1)
    allowed = np.ones((queries, keys), bool)
    if node.get("is_causal", 0):
        allowed = allowed & (column <= place)
    if left >= 0:
        allowed = allowed & (column >= place - left)
    if right >= 0:
        allowed = allowed & (column <= place + right)
    if valid is not None:
        allowed = allowed & (column < valid.reshape(-1, 1, 1, 1))
    return np.broadcast_to(np.where(allowed, bias, -np.inf), shape)


def _rotary_embedding(
    node: Node, x: np.ndarray, cosines: np.ndarray, sines: np.ndarray, positions: np.ndarray | None = None
) -> np.ndarray:
    heads = x.swapaxes(1, 2) if x.ndim == 4 else x.reshape(*x.shape[:2], node.get("num_heads"), -1)
    size = node.get("rotary_embedding_dim", 0) or heads.shape[-1]
    turned, rest = heads[..., :size], heads[..., size:]
    cos, sin = ((array if positions is None else array[positions])[:, :, None] for array in (cosines, sines))
    together = bool(node.get("interleaved", 0))
    a, b = (turned[..., 0::2], turned[..., 1::2]) if together else np.split(turned, 2, axis=-1)
    parts = cos * a - sin * b, sin * a + cos * b
    y = np.stack(parts, axis=-1).reshape(turned.shape) if together else np.concatenate(parts, axis=-1)
    y = np.concatenate([y, rest], axis=-1)
    return (y.swapaxes(1, 2) if x.ndim == 4 else y.reshape(x.shape)).astype(x.dtype, copy=False)


OPERATORS: dict[str, Callable[..., Any]] = {"Attention": _attention, "RotaryEmbedding": _rotary_embedding}
