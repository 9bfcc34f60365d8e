"""The option ``--class-weight``."""

from __future__ import annotations


def class_weights(given: str, names: list[str], counts: list[int]) -> list[float]:
    """Return the weights of classes for ``--class-weight``: "balanced", or "name=weight,name=weight".

    Balanced weights are n / (C n_c), with n_c of n examples in class c of C; classes that are not named weigh 1. Names
    may contain commas, and blanks may surround what commas separate.

    Raises
    ------
    ValueError
        If a name is no class or occurs twice, or a weight no number of at least 0.

    Examples
    --------
    >>> class_weights("balanced", ["no", "yes"], [30, 10])
    [0.6666666666666666, 2.0]
    >>> class_weights("yes=5", ["no", "yes"], [30, 10])
    [1.0, 5.0]
    >>> class_weights("no=2, yes, please=5", ["no", "yes, please"], [30, 10])
    [2.0, 5.0]
    """
    if given == "balanced":
        return [sum(counts) / (len(counts) * n) if n else 0.0 for n in counts]
    weights = dict.fromkeys(names, 1.0)
    named: set[str] = set()
    for item in _items(given, names):
        name, text = _name(item, names), item.rpartition("=")[2]
        if name in named:
            raise ValueError(f"class weight {item!r} names {name!r} a second time")
        named.add(name)
        if name not in weights:
            raise ValueError(f"class weight {item!r} names no class; expected balanced, or NAME=WEIGHT of {names}")
        try:
            weights[name] = float(text)
        except ValueError:
            weights[name] = -1.0
        if not 0 <= weights[name] < float("inf"):
            raise ValueError(f"class weight {item!r}: expected a number of at least 0 after the =")
    return list(weights.values())


def _items(given: str, names: list[str]) -> list[str]:
    """Return what commas separate, of which those within the name of a class separate nothing."""
    pieces = given.split(",")
    items = []
    while pieces:
        joined = (count for count in range(1, len(pieces) + 1) if _name(",".join(pieces[:count]), names) in names)
        count = next(joined, 1)
        items.append(",".join(pieces[:count]))
        pieces = pieces[count:]
    return items


def _name(item: str, names: list[str]) -> str:
    """Return the name of a class in "name=weight"; blanks around it count only if they are those of a class."""
    name = item.rpartition("=")[0]
    return name if name in names else name.strip()
