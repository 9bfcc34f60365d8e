"""Remedies in the network: how its weights start, and which layers it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...layers import SELU, BatchNorm1d, Dropout, Flatten, Layer, LeakyReLU, Linear, Maxout, PReLU, ReLU, Sigmoid, Tanh
from ...layers.activations import Activation
from .blueprint import Blueprint, initialise, is_own
from .trials import Remedy

#: By how much the weights of layers of the user's own are scaled down.
SHRINK = 0.1
#: Units that a hidden layer gets at least, and how many times more than it had.
WIDTH, WIDER = 64, 4
DROPOUT = 0.3
#: Of batch norm: the weight of the latest batch in its running statistics.
MOMENTUM = 0.1


def _follower(layers: list[Layer], index: int) -> Layer | None:
    """Return the activation behind the linear layer at `index`, before the next one."""
    for layer in layers[index + 1 :]:
        if isinstance(layer, Activation | PReLU):
            return layer
        if isinstance(layer, Linear | Maxout):
            return None
    return None


def _init_for(layers: list[Layer], index: int) -> str:
    """Return the initialisation that keeps the spread of signals through this layer; the last that of the others."""
    places = [i for i, layer in enumerate(layers) if isinstance(layer, Linear | Maxout)]
    if index == places[-1] and len(places) > 1:
        index = places[-2]
    follower = _follower(layers, index)
    plain = follower is None or isinstance(follower, SELU | Sigmoid | Tanh) or isinstance(layers[index], Maxout)
    return "lecun_normal" if plain else "he_normal"


def _initialise_all(blueprint: Blueprint) -> None:
    for index in blueprint.places(Linear, Maxout):
        layer = blueprint.layers[index]
        assert isinstance(layer, Linear | Maxout)
        initialise(layer, _init_for(blueprint.layers, index))


def initialised(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield weights drawn anew, with the spread that suits each activation, and biases of 0."""
    places = blueprint.places(Linear, Maxout)
    if places:
        names = dict.fromkeys(_init_for(blueprint.layers, index) for index in places)
        code = " or ".join(f'init="{name}"' for name in names)
        change = f"weights start as {' and '.join(names)}, biases at 0"
        yield Remedy(change, f"Linear(..., {code})", "weights", _initialise_all)


def own_weights_smaller(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield smaller initial weights in the user's own layers."""
    matrices = [layer for layer in blueprint.layers if is_own(layer) and any(p.decay for p in layer.parameters())]
    if not matrices:
        return

    def apply(target: Blueprint) -> None:
        for layer in target.layers:
            for parameter in layer.parameters() if is_own(layer) else ():
                if parameter.decay:
                    parameter[...] = SHRINK * parameter.data

    names = ", ".join(dict.fromkeys(type(layer).__name__ for layer in matrices))
    yield Remedy(f"the initial weights of {names} times {SHRINK:g}", f"{names}: weight *= {SHRINK:g}", "weights", apply)


def normalised(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield batch norm behind each hidden linear layer that has none."""

    def bare(layers: list[Layer], index: int) -> bool:
        return not isinstance(layers[index + 1], BatchNorm1d)

    if not any(bare(blueprint.layers, index) for index in blueprint.hidden()):
        return

    def apply(target: Blueprint) -> None:
        for index in reversed(target.hidden()):
            layer = target.layers[index]
            if bare(target.layers, index):
                assert isinstance(layer, Linear | Maxout)
                target.layers.insert(index + 1, BatchNorm1d(layer.out_features, dtype=target.dtype))

    yield Remedy("batch norm behind each hidden layer", "Linear(...), BatchNorm1d(...)", "norm", apply)


def activations(blueprint: Blueprint, old: type[Layer] | tuple[type[Layer], ...], new: type[Layer]) -> Iterator[Remedy]:
    """Yield another activation, with weights that suit it."""
    present = list(dict.fromkeys(type(blueprint.layers[index]).__name__ for index in _inner(blueprint, old)))
    if not present:
        return

    def apply(target: Blueprint) -> None:
        for index in _inner(target, old):
            target.layers[index] = new()
        _initialise_all(target)

    init = "lecun_normal" if new is Tanh else "he_normal"
    change = f"{new.__name__} instead of {' and '.join(present)}, with weights that suit it"
    yield Remedy(change, f'Linear(..., init="{init}"), {new.__name__}()', "activation and weights", apply)


def _inner(blueprint: Blueprint, kinds: type[Layer] | tuple[type[Layer], ...]) -> list[int]:
    """Return where activations stand that have a linear layer somewhere behind them."""
    last = max(blueprint.places(Linear, Maxout), default=0)
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    return [index for index in blueprint.places(*kinds) if index < last]


def nonlinear(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield a ReLU behind hidden linear layers that have nothing curved behind them."""

    def flat(layers: list[Layer]) -> list[int]:
        places = [index for index, layer in enumerate(layers) if isinstance(layer, Linear)][:-1]
        return [i for i in places if _follower(layers, i) is None and not is_own(layers[i + 1])]

    if not flat(blueprint.layers):
        return

    def apply(target: Blueprint) -> None:
        for index in reversed(flat(target.layers)):
            behind = index + 1 + isinstance(target.layers[index + 1], BatchNorm1d)
            target.layers.insert(behind, ReLU())
        _initialise_all(target)

    yield Remedy("ReLU between the linear layers", "Linear(...), ReLU(), Linear(...)", "activation and weights", apply)


def wider(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield more units in each hidden layer."""
    hidden = blueprint.hidden()
    if not hidden or not _resizable(blueprint.layers[hidden[0] :]):
        return
    widths = [blueprint.layers[index].out_features for index in hidden]  # type: ignore[attr-defined]
    new = [max(WIDTH, WIDER * width) if width < WIDTH else 2 * width for width in widths]

    def apply(target: Blueprint) -> None:
        layers, width = target.layers, 0
        sizes = iter(new)
        last = target.places(Linear, Maxout)[-1]
        for index, layer in enumerate(layers):
            if isinstance(layer, Linear | Maxout):
                out = layer.out_features if index == last else next(sizes)
                layers[index] = _resized(layer, width or layer.in_features, out)
                width = out
            elif isinstance(layer, BatchNorm1d) and width:
                layers[index] = BatchNorm1d(width, layer.eps, layer.momentum, dtype=target.dtype)

    change = f"hidden layers of {'-'.join(map(str, new))} units instead of {'-'.join(map(str, widths))}"
    yield Remedy(change, f"Linear(..., {new[0]})", "size", apply)


def _resizable(layers: list[Layer]) -> bool:
    known = (Linear, Maxout, BatchNorm1d, Dropout, Flatten, Activation)
    return all(isinstance(layer, known) or (isinstance(layer, PReLU) and layer.num_parameters == 1) for layer in layers)


def _resized(layer: Linear | Maxout, fan_in: int, fan_out: int) -> Linear | Maxout:
    # An initialisation that is a function need not suit another shape.
    init = layer.init if isinstance(layer.init, str) else None
    dtype = layer.weight.dtype
    if isinstance(layer, Maxout):
        return Maxout(fan_in, fan_out, layer.pieces, init=init, dtype=dtype)
    return Linear(fan_in, fan_out, layer.bias is not None, init=init, dtype=dtype)


def deeper(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield one more hidden layer, in front of the last."""
    places = blueprint.places(Linear)
    if not places:
        return
    fan_in = blueprint.layers[places[-1]].in_features  # type: ignore[attr-defined]
    width = max(WIDTH, fan_in if len(places) > 1 else 0)

    def apply(target: Blueprint) -> None:
        index = target.places(Linear)[-1]
        last = target.layers[index]
        assert isinstance(last, Linear)
        added = Linear(last.in_features, width, init="he_normal", dtype=target.dtype)
        target.layers[index : index + 1] = [added, ReLU(), _resized(last, width, last.out_features)]

    yield Remedy(f"one more hidden layer, of {width} units", f"Linear(..., {width}), ReLU()", "size", apply)


def more_dropout(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield dropout behind each hidden layer."""
    hidden = blueprint.hidden()
    if not hidden or blueprint.places(Dropout):
        return

    def apply(target: Blueprint) -> None:
        for index in reversed(target.places(Linear, Maxout)[1:]):
            target.layers.insert(index, Dropout(DROPOUT))

    yield Remedy(f"dropout {DROPOUT:g} behind each hidden layer", f"Dropout({DROPOUT:g})", "dropout", apply)


def norm_momentum(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield batch norm with the usual momentum."""
    others = {norm.momentum for norm in blueprint.layers if isinstance(norm, BatchNorm1d)} - {MOMENTUM}
    if not others:
        return

    def apply(target: Blueprint) -> None:
        for layer in target.layers:
            if isinstance(layer, BatchNorm1d):
                layer.momentum = MOMENTUM

    change = f"momentum of batch norm {', '.join(f'{m:g}' for m in sorted(others))} -> {MOMENTUM:g}"
    yield Remedy(change, f"BatchNorm1d(..., momentum={MOMENTUM:g})", "norm", apply)


def without_last(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield the network without a last layer that has no parameters: a softmax that the loss has as well."""
    last = blueprint.layers[-1]
    if len(blueprint.layers) > 1 and not last.parameters() and not isinstance(last, Flatten | Dropout):
        name = type(last).__name__
        yield Remedy(f"without {name} at the end", f"leave out {name}()", "own layers", _drop_last)


def _drop_last(blueprint: Blueprint) -> None:
    del blueprint.layers[-1]


def without_own(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield, for each kind of the user's layers without parameters, batch norm or ReLU in its place, and none."""
    kinds = dict.fromkeys(type(layer) for layer in blueprint.layers[:-1] if is_own(layer) and not layer.parameters())
    for kind in kinds:
        name = kind.__name__
        if any(layer.buffer_names for layer in blueprint.layers if type(layer) is kind):
            yield Remedy(f"BatchNorm1d instead of {name}", "BatchNorm1d(...)", "own layers", _replaced(kind, _norm))
            continue
        if any(_follower(blueprint.layers, i) is None for i in _before(blueprint.layers, kind)):
            yield Remedy(f"ReLU instead of {name}", "ReLU()", "own layers", _replaced(kind, _relu))
        yield Remedy(f"without {name}", f"leave out {name}()", "own layers", _replaced(kind, _nothing))


def _before(layers: list[Layer], kind: type[Layer]) -> Iterator[int]:
    """Yield where the linear layers stand that come before layers of this kind."""
    linear = None
    for index, layer in enumerate(layers):
        if isinstance(layer, Linear | Maxout):
            linear = index
        elif type(layer) is kind and linear is not None:
            yield linear


def _norm(blueprint: Blueprint, index: int) -> Layer | None:
    widths = [layer.out_features for layer in blueprint.layers[:index] if isinstance(layer, Linear | Maxout)]
    return BatchNorm1d(widths[-1], dtype=blueprint.dtype) if widths else None


def _relu(blueprint: Blueprint, index: int) -> Layer | None:
    return ReLU()


def _nothing(blueprint: Blueprint, index: int) -> Layer | None:
    return None


def _replaced(kind: type[Layer], instead: Callable[[Blueprint, int], Layer | None]) -> Callable[[Blueprint], None]:
    def apply(blueprint: Blueprint) -> None:
        new = [
            instead(blueprint, index) if type(layer) is kind else layer for index, layer in enumerate(blueprint.layers)
        ]
        blueprint.layers = [layer for layer in new if layer is not None]

    return apply


def leaky(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield leaky ReLU, which does not die, with fresh weights."""
    yield from activations(blueprint, ReLU, LeakyReLU)


def rectified(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield ReLU in place of what saturates."""
    yield from activations(blueprint, (Sigmoid, Tanh), ReLU)
