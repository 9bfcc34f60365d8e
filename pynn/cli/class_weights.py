"""The option ``--class-weight``."""

from __future__ import annotations


def class_weights(given: str, names: list[str], counts: list[int]) -> list[float]:
    """Return the weights of classes for ``--class-weight``: "balanced", or "name=weight,name=weight".

    Balanced weights are n / (C n_c), with n_c of n examples in class c of C; classes that are not named weigh 1.

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
    """
    if given == "balanced":
        return [sum(counts) / (len(counts) * n) if n else 0.0 for n in counts]
    weights = dict.fromkeys(names, 1.0)
    named: set[str] = set()
    for item in given.split(","):
        name, _, text = item.rpartition("=")
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
