"""Damage to files: flipped bits, cuts, zeros, numbers that claim too much, and values that make no sense."""

import copy
import re

import numpy as np
from fuzz.networks import pick

#: What a number in a header may become. Nothing between thousands and billions: that is only slow.
CLAIMS = (-1, 0, 1, 2, 3, 7, 255, 2**31 - 1, 2**31, 2**32, 2**53, 2**61, 2**63 - 1, 2**63, 2**64, 10**30)
VALUES = (
    None, True, False, 0, 1, -1, 2, 3, 2**40, 2**61, 2**63, -(2**63), 10**30, 0.5, -0.5, 1e308, float("nan"),
    float("inf"), "", "x", "same", "float64", "int8", "\x00", "Linear", "é" * 300, [], {}, [[]], [1, 2], [0, 0],
    [2**61, 2**61], [None], {"class": "Sequential"}, {"class": "os.system", "config": {}}, {"x": 1}, ["a", "a"],
)  # fmt: skip


def flipped(rng, content):
    data = bytearray(content)
    for _ in range(pick(rng, 1, 1, 2, 8)):
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(data)


def cut(rng, content):
    return content[: int(rng.integers(len(content)))]


def longer(rng, content):
    return content + rng.bytes(int(rng.integers(1, 64)))


def overwritten(rng, content):
    start, size = int(rng.integers(len(content))), int(rng.integers(1, 16))
    filling = pick(rng, b"\x00" * size, b"\xff" * size, rng.bytes(size), content[:size])
    return content[:start] + filling + content[start + size :]


def spliced(rng, content):
    a, b, c = np.sort(rng.integers(0, len(content) + 1, 3))
    return pick(rng, content[:a] + content[b:], content[:b] + content[a:], content[:a] + content[b:c] + content[a:])


def claiming(rng, content):
    """Replace a number that is written out, or four or eight bytes, by one that claims too much."""
    numbers = list(re.finditer(rb"\d+", content[:4000]))
    claim = pick(rng, *CLAIMS)
    if numbers and rng.random() < 0.6:
        found = pick(rng, *numbers)
        return content[: found.start()] + str(claim).encode() + content[found.end() :]
    size, order = pick(rng, 4, 8), pick(rng, "little", "big")
    at = int(rng.integers(min(len(content), 64)))
    return content[:at] + (claim % 2 ** (8 * size)).to_bytes(size, order) + content[at + size :]


DAMAGES = (flipped, flipped, cut, longer, overwritten, spliced, claiming, claiming)


def damaged(rng, content):
    """Return the bytes with one kind of damage, sometimes with two."""
    for _ in range(pick(rng, 1, 1, 1, 2)):
        if content:
            content = pick(rng, *DAMAGES)(rng, content)
    return content


def places(tree, path=()):
    """Yield the paths of all values of nested dicts and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(rng, description):
    """Return a copy of a JSON description in which one value is another, is missing, or is one too many."""
    tree = copy.deepcopy(description)
    found = list(places(tree))
    *path, key = pick(rng, *found)
    parent = tree
    for step in path:
        parent = parent[step]
    kind = rng.random()
    if kind < 0.1:
        del parent[key]
    elif kind < 0.2 and isinstance(parent, dict):
        parent[pick(rng, "x", "class", "config", "layers")] = pick(rng, *VALUES)
    elif kind < 0.3:
        *other, last = pick(rng, *found)
        value = description
        for step in (*other, last):
            value = value[step]
        parent[key] = copy.deepcopy(value)
    else:
        parent[key] = pick(rng, *VALUES)
    return tree


def changed_tensors(rng, tensors):
    """Return arrays of which one has another shape, dtype or name, holds other numbers, is missing or is new."""
    tensors = dict(tensors)
    name = pick(rng, *tensors) if tensors else "model.0.weight"
    array = tensors.pop(name, np.zeros(3, np.float32))
    replaced = (
        None,
        array.T,
        array.reshape(-1),
        array[None],
        array.reshape(-1)[:0],
        array.astype(pick(rng, np.float64, np.float16, np.int8, np.int64, np.bool_)),
        np.full_like(array, pick(rng, np.nan, np.inf, -1)),
        np.zeros((0, 2**40), np.float32),
    )
    with np.errstate(all="ignore"):
        value = replaced[int(rng.integers(len(replaced)))]
    if value is not None:
        tensors[pick(rng, name, name, name, "model.99.weight", "x", "model.")] = np.ascontiguousarray(value)
    return tensors
