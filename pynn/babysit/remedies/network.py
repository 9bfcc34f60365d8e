"""Remedies that change the network: its initial weights and its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ...nn.layers import (
    SELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    Hardsigmoid,
    Hardtanh,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    Maxout,
    MaxPool2d,
    PReLU,
    ReLU,
    Residual,
    Sigmoid,
    Softmax,
    Softsign,
    Tanh,
    ZeroPad2d,
)
from ...nn.layers.activations import Activation
from ...utils.config import is_own
from .blueprint import WEIGHTED, Blueprint, Weighted, initialize
from .trials import Remedy

#: Activations between layers whose slope vanishes for large inputs.
SQUASHING = (Sigmoid, Tanh, Softmax, Hardsigmoid, Hardtanh, Softsign)
#: Scale factor for the weights of custom layers.
SHRINK = 0.1
#: Minimum units of a widened hidden layer, and the factor of widening.
WIDTH, WIDER = 64, 4
DROPOUT = 0.3
#: Momentum of batch norm: the weight of the latest batch in its running statistics.
MOMENTUM = 0.1


def _follower(layers: list[Layer], index: int) -> Layer | None:
    """Return the activation that follows the layer with weights at `index`, before the next one."""
    for layer in layers[index + 1 :]:
        if isinstance(layer, Activation | Hardtanh | PReLU):
            return layer
        if isinstance(layer, (*WEIGHTED, Residual)):
            return None
    return None


def _places(layers: list[Layer]) -> list[int]:
    """Return the indices of layers with weights."""
    return [index for index, layer in enumerate(layers) if isinstance(layer, WEIGHTED)]


def _hidden(layers: list[Layer], within: bool) -> list[int]:
    """Return the indices of hidden layers with weights; the last one of the main path is the output layer."""
    places = _places(layers)
    return places if within else places[:-1]


def _init_for(layers: list[Layer], index: int, within: bool) -> str:
    """Return the initialisation that preserves the variance of signals; the last layer uses that of the others."""
    places = _places(layers)
    if index == places[-1] and len(places) > 1 and not within:
        index = places[-2]
    follower = _follower(layers, index)
    plain = (
        follower is None
        or isinstance(follower, SELU | Sigmoid | Tanh | Softsign | Hardtanh)
        or isinstance(layers[index], Maxout)
    )
    return "lecun_normal" if plain else "he_normal"


def _initialize_all(blueprint: Blueprint) -> None:
    for layers, within in blueprint.chains():
        for index in _places(layers):
            layer = layers[index]
            assert isinstance(layer, Weighted)
            initialize(layer, _init_for(layers, index, within))


def _kinds(layers: Iterable[Layer]) -> list[str]:
    return list(dict.fromkeys(type(layer).__name__ for layer in layers))


def initialized(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield redrawn weights, with the variance for each activation, and biases of 0."""
    inits: dict[str, dict[str, None]] = {}  # by kind of layer
    for layers, within in blueprint.chains():
        for index in _places(layers):
            inits.setdefault(type(layers[index]).__name__, {})[_init_for(layers, index, within)] = None
    if inits:
        names = dict.fromkeys(name for of_kind in inits.values() for name in of_kind)
        options = {kind: " or ".join(f'init="{name}"' for name in of_kind) for kind, of_kind in inits.items()}
        code = ", ".join(f"{kind}(..., {option})" for kind, option in options.items())
        yield Remedy(f"weights start as {' and '.join(names)}, biases at 0", code, "weights", _initialize_all)


def own_weights_smaller(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield smaller initial weights in custom layers."""
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


def _norm_for(layer: Layer, dtype: np.dtype) -> BatchNorm:
    """Return a batch norm for the output of a layer with weights."""
    if isinstance(layer, Conv2d):
        kind = BatchNorm1d if isinstance(layer, Conv1d) else BatchNorm2d
        return kind(layer.out_channels, dtype=dtype)
    assert isinstance(layer, Linear | Maxout)
    return BatchNorm1d(layer.out_features, dtype=dtype)


def normalized(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield batch norm after each hidden layer with weights that has none."""

    def bare(layers: list[Layer], within: bool) -> list[int]:
        return [i for i in _hidden(layers, within) if not any(isinstance(b, BatchNorm) for b in layers[i + 1 : i + 2])]

    places = [layers[index] for layers, within in blueprint.chains() for index in bare(layers, within)]
    if not places:
        return

    def add(layers: list[Layer], within: bool) -> list[Layer]:
        for index in reversed(bare(layers, within)):
            layers.insert(index + 1, _norm_for(layers[index], layers[index].parameters()[0].dtype))
        return layers

    pairs = {f"{type(p).__name__}(...), {type(_norm_for(p, blueprint.dtype)).__name__}(...)" for p in places}
    change = "batch norm after each hidden layer"
    yield Remedy(change, "; ".join(sorted(pairs)), "norm", lambda target: target.rewrite(add))


def activations(blueprint: Blueprint, old: type[Layer] | tuple[type[Layer], ...], new: type[Layer]) -> Iterator[Remedy]:
    """Yield another activation, with matching weights."""
    present = _kinds(layers[i] for layers, within in blueprint.chains() for i in _inner(layers, within, old))
    if not present:
        return

    def exchange(layers: list[Layer], within: bool) -> list[Layer]:
        places = set(_inner(layers, within, old))
        return [new() if index in places else layer for index, layer in enumerate(layers)]

    def apply(target: Blueprint) -> None:
        target.rewrite(exchange)
        _initialize_all(target)

    init = "lecun_normal" if new is Tanh else "he_normal"
    kinds = _kinds(layer for layer in blueprint.all_layers() if isinstance(layer, WEIGHTED))
    code = ", ".join([*(f'{kind}(..., init="{init}")' for kind in kinds), f"{new.__name__}()"])
    change = f"{new.__name__} instead of {' and '.join(present)}, with weights that suit it"
    yield Remedy(change, code, "activation and weights", apply)


def _inner(layers: list[Layer], within: bool, kinds: type[Layer] | tuple[type[Layer], ...]) -> list[int]:
    """Return the indices of activations that precede a layer with weights."""
    last = len(layers) if within else max(_places(layers), default=0)
    return [index for index, layer in enumerate(layers[:last]) if isinstance(layer, kinds)]


def nonlinear(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield a ReLU after hidden layers with weights that no non-linearity follows."""

    def flat(layers: list[Layer]) -> list[int]:
        places = [index for index, layer in enumerate(layers) if isinstance(layer, Linear | Conv2d)][:-1]
        return [i for i in places if _follower(layers, i) is None and not is_own(layers[i + 1])]

    if not flat(blueprint.layers):
        return

    def apply(target: Blueprint) -> None:
        for index in reversed(flat(target.layers)):
            behind = index + 1 + isinstance(target.layers[index + 1], BatchNorm)
            target.layers.insert(behind, ReLU())
        _initialize_all(target)

    kinds = _kinds(blueprint.layers[index] for index in flat(blueprint.layers))
    code = ", ".join(f"{kind}(...), ReLU()" for kind in kinds)
    yield Remedy("ReLU between the linear layers", code, "activation and weights", apply)


def wider(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield more units or filters in each hidden layer."""
    hidden = blueprint.hidden()
    if not hidden or not _resizable(blueprint.layers[hidden[0] :]):
        return
    widths = [_width(blueprint.layers[index]) for index in hidden]
    new = [max(WIDTH, WIDER * width) if width < WIDTH else 2 * width for width in widths]

    def apply(target: Blueprint) -> None:
        layers, before, width = target.layers, 1, 1
        sizes = iter(new)
        last = target.places(*WEIGHTED)[-1]
        for index, layer in enumerate(layers):
            if isinstance(layer, Weighted):
                given = layer.in_channels if isinstance(layer, Conv2d) else layer.in_features
                out = _width(layer) if index == last else next(sizes)
                layers[index] = _resized(layer, given // before * width, out)  # channels times positions, after Flatten
                before, width = _width(layer), out
            elif isinstance(layer, BatchNorm) and index > hidden[0]:
                layers[index] = type(layer)(width, layer.eps, layer.momentum, dtype=target.dtype)

    change = f"hidden layers of {'-'.join(map(str, new))} units instead of {'-'.join(map(str, widths))}"
    yield Remedy(change, f"{type(blueprint.layers[hidden[0]]).__name__}(..., {new[0]})", "size", apply)


def _width(layer: Layer) -> int:
    return layer.out_channels if isinstance(layer, Conv2d) else layer.out_features  # type: ignore[attr-defined]


def _resizable(layers: list[Layer]) -> bool:
    by_channel = (MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, AdaptiveMaxPool2d, ZeroPad2d)
    known = (Linear, Maxout, Conv2d, BatchNorm, Dropout, Flatten, Identity, Activation, Hardtanh, *by_channel)
    return all(
        (isinstance(layer, known) and getattr(layer, "groups", 1) == 1)
        or (isinstance(layer, PReLU) and layer.num_parameters == 1)
        for layer in layers
    )


def _resized(layer: Weighted, fan_in: int, fan_out: int) -> Weighted:
    # A custom initialisation function may not support another shape.
    init = layer.init if isinstance(layer.init, str) else None
    dtype = layer.weight.dtype
    if isinstance(layer, Maxout):
        return Maxout(fan_in, fan_out, layer.pieces, init=init, dtype=dtype)
    if isinstance(layer, Conv2d):
        settings = layer.config() | {"in_channels": fan_in, "out_channels": fan_out, "init": init, "dtype": dtype}
        return type(layer)(**settings)
    return Linear(fan_in, fan_out, layer.bias is not None, init=init, dtype=dtype)


def deeper(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield one more hidden layer, before the last layer."""
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
    """Yield dropout after each hidden layer; between convolutions, it drops whole channels."""
    hidden = blueprint.hidden()
    if not hidden or any(isinstance(layer, Dropout) for layer in blueprint.all_layers()):
        return

    def dropout(behind: Layer) -> Dropout:
        return (Dropout2d if isinstance(behind, Conv2d) else Dropout)(DROPOUT)

    def apply(target: Blueprint) -> None:
        for index in reversed(target.places(*WEIGHTED)[1:]):
            target.layers.insert(index, dropout(target.layers[index]))

    kinds = _kinds(dropout(blueprint.layers[index]) for index in blueprint.places(*WEIGHTED)[1:])
    code = ", ".join(f"{kind}({DROPOUT:g})" for kind in kinds)
    yield Remedy(f"dropout {DROPOUT:g} after each hidden layer", code, "dropout", apply)


def norm_momentum(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield batch norm with the usual momentum."""
    norms = [layer for layer in blueprint.all_layers() if isinstance(layer, BatchNorm)]
    others = {norm.momentum for norm in norms} - {MOMENTUM}
    if not others:
        return

    def apply(target: Blueprint) -> None:
        for layer in target.all_layers():
            if isinstance(layer, BatchNorm):
                layer.momentum = MOMENTUM

    change = f"momentum of batch norm {', '.join(f'{m:g}' for m in sorted(others))} -> {MOMENTUM:g}"
    code = ", ".join(f"{kind}(..., momentum={MOMENTUM:g})" for kind in _kinds(norms))
    yield Remedy(change, code, "norm", apply)


def without_own(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield, for each kind of custom layer without parameters: batch norm, ReLU, tanh, or nothing in its place."""
    kinds = dict.fromkeys(type(layer) for layer in blueprint.layers[:-1] if is_own(layer) and not layer.parameters())
    for kind in kinds:
        name = kind.__name__
        if any(layer.buffer_names for layer in blueprint.layers if type(layer) is kind):
            place = next(index for index, layer in enumerate(blueprint.layers) if type(layer) is kind)
            norm = _kinds([_norm(blueprint, place) or BatchNorm1d(1)])[0]
            yield Remedy(f"{norm} instead of {name}", f"{norm}(...)", "own layers", _replaced(kind, _norm))
            continue
        if any(_follower(blueprint.layers, i) is None for i in _before(blueprint.layers, kind)):
            yield Remedy(f"ReLU instead of {name}", "ReLU()", "own layers", _replaced(kind, lambda *_: ReLU()))
            # Bounded, which ReLU is not: in deep stacks of few units it does not die, either.
            yield Remedy(f"Tanh instead of {name}", "Tanh()", "own layers", _replaced(kind, lambda *_: Tanh()))
        yield Remedy(f"without {name}", f"leave out {name}()", "own layers", _replaced(kind, lambda *_: None))


def _before(layers: list[Layer], kind: type[Layer]) -> Iterator[int]:
    """Yield the indices of layers with weights that precede layers of this kind."""
    weighted = None
    for index, layer in enumerate(layers):
        if isinstance(layer, WEIGHTED):
            weighted = index
        elif type(layer) is kind and weighted is not None:
            yield weighted


def _norm(blueprint: Blueprint, index: int) -> Layer | None:
    before = [layer for layer in blueprint.layers[:index] if isinstance(layer, WEIGHTED)]
    return _norm_for(before[-1], blueprint.dtype) if before else None


def _replaced(kind: type[Layer], instead: Callable[[Blueprint, int], Layer | None]) -> Callable[[Blueprint], None]:
    def apply(blueprint: Blueprint) -> None:
        new = [
            instead(blueprint, index) if type(layer) is kind else layer for index, layer in enumerate(blueprint.layers)
        ]
        blueprint.layers = [layer for layer in new if layer is not None]

    return apply


def leaky(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield leaky ReLU, which does not die, with redrawn weights."""
    yield from activations(blueprint, ReLU, LeakyReLU)


def rectified(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield ReLU in place of activations that saturate."""
    yield from activations(blueprint, SQUASHING, ReLU)
