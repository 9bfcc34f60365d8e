"""A training run as editable parts from which trainers are built."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...nn import initializers
from ...nn.layers import Conv2d, Layer, Linear, Maxout, Residual
from ...nn.sequential import Sequential
from ...training.callbacks import Callback, CSVLogger, ModelCheckpoint
from ...utils.config import describe, make
from ..monitor.monitor import Monitor

if TYPE_CHECKING:
    from ...augment import Augment
    from ...nn.loss import Loss
    from ...optim.base import Optimizer
    from ...optim.regularizers import Regularizer
    from ...optim.schedules import Schedule
    from ...preprocessing import Transformer
    from ...training.trainer import Trainer

#: Layers with weights that remedies support.
WEIGHTED = (Linear, Maxout, Conv2d)
Weighted = Linear | Maxout | Conv2d
#: Takes the layers of the main path, or with True of a residual branch, and returns their replacement.
Change = Callable[[list[Layer], bool], list[Layer]]
#: Callbacks that trials omit, besides `ProgressBar`: they write files, or belong to one trainer.
LEFT_OUT = (CSVLogger, ModelCheckpoint, Monitor)


@dataclass
class Blueprint:
    """All parts of a run except its data.

    Attributes
    ----------
    layers : list of Layer
        Untrained layers without a model; nested `Sequential` are flattened.
    preprocessing : Transformer or None
    loss, optimizer, schedule, regularizers, clip_norm, clip_value, seed, matmul_precision
        The trainer's.
    callbacks : list of Callback
        The user's callbacks, except those that write or display.
    epochs, batch_size, shuffle, augment
        Arguments of `Trainer.fit`.
    given_lr : float
        The trainer's learning rate, which remedies may have changed in the optimiser.
    target : (ndarray, ndarray) or None
        Shift and scale: the network trains on (y - shift) / scale.
    """

    layers: list[Layer]
    preprocessing: Transformer | None
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule | None
    regularizers: Sequence[Regularizer]
    clip_norm: float | None
    clip_value: float | None
    epochs: int
    batch_size: int
    shuffle: bool
    seed: int
    given_lr: float
    matmul_precision: str | None = None
    callbacks: list[Callback] = field(default_factory=list)
    augment: list[Augment] = field(default_factory=list)
    target: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def of(
        cls,
        trainer: Trainer,
        *,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        callbacks: Iterable[Callback],
        augment: Iterable[Augment] = (),
    ) -> Blueprint:
        """Return the blueprint of the trainer's run from its start; shares nothing with the trainer."""
        trained = trainer.steps > 0
        model = trainer.model
        whole = type(model).forward is not Sequential.forward  # a custom forward
        layers = [model] if whole else [part for inner in model.layers for part in _chain(inner)]
        return cls(
            layers=[_untrained(layer, model.dtype) if trained else copy.deepcopy(layer) for layer in layers],
            preprocessing=copy.deepcopy(model.preprocessing),
            loss=copy.deepcopy(trainer.loss),
            optimizer=trainer.optimizer.unbound(),
            schedule=copy.deepcopy(trainer.schedule),
            regularizers=copy.deepcopy(trainer.regularizers),
            clip_norm=trainer.clip_norm,
            clip_value=trainer.clip_value,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=trainer.seed,
            given_lr=trainer.optimizer.lr,
            matmul_precision=trainer.matmul_precision,
            callbacks=_taken_along(callbacks),
            augment=copy.deepcopy(list(augment)),
        )

    def copy(self) -> Blueprint:
        """Return an independent copy."""
        return copy.deepcopy(self)

    def trainer(self) -> Trainer:
        """Build a trainer from the parts, and transfer their ownership to it."""
        from ...training.trainer import Trainer

        only = self.layers[0]
        model = only if len(self.layers) == 1 and isinstance(only, Sequential) else Sequential(*self.layers)
        model.preprocessing = self.preprocessing
        return Trainer(
            model,
            self.loss,
            self.optimizer,
            schedule=self.schedule,
            regularizers=self.regularizers,
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            seed=self.seed,
            matmul_precision=self.matmul_precision,
        )

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the parameters."""
        return next((p.dtype for layer in self.layers for p in layer.parameters()), np.dtype(np.float32))

    def places(self, *kinds: type[Layer]) -> list[int]:
        """Return the indices of layers of these kinds."""
        return [index for index, layer in enumerate(self.layers) if isinstance(layer, kinds)]

    def hidden(self) -> list[int]:
        """Return the indices of the layers with weights on the main path, except the last."""
        return self.places(*WEIGHTED)[:-1]

    def all_layers(self) -> Iterator[Layer]:
        """Yield all layers, including nested ones."""
        for layer in self.layers:
            yield from layer.all_layers()

    def chains(self) -> Iterator[tuple[list[Layer], bool]]:
        """Yield the layers of the main path, and of each residual branch with True."""
        yield self.layers, False
        for layer in self.all_layers():
            if type(layer) is Residual:
                for branch in (layer.inner, layer.shortcut):
                    if branch is not None:
                        yield _chain(branch), True

    def rewrite(self, change: Change) -> None:
        """Change the main path, and each residual branch."""
        self.layers = _rewritten(self.layers, change, False)


def _taken_along(callbacks: Iterable[Callback]) -> list[Callback]:
    from ...training.progress_bar import ProgressBar  # imports rich

    return copy.deepcopy([callback for callback in callbacks if not isinstance(callback, (*LEFT_OUT, ProgressBar))])


def _rewritten(layers: list[Layer], change: Change, within: bool) -> list[Layer]:
    return change([_rebuilt(layer, change) if type(layer) is Residual else layer for layer in layers], within)


def _rebuilt(block: Residual, change: Change) -> Residual:
    """Return a residual block with changed branches."""
    branches = []
    for branch in (block.inner, block.shortcut):
        if branch is None:
            continue
        layers = _chain(branch)
        for layer in layers:
            layer.owner = None
        branches.append(Sequential(*_rewritten(layers, change, True)))
    return Residual(*branches)


def initialize(layer: Weighted, init: initializers.Init | None) -> None:
    """Redraw the weights of a layer as its constructor does; frozen ones stay."""
    weight, bias = layer.weight, layer.bias
    if weight.frozen:
        return
    layer.init = init
    weight[...] = initializers.make(init or "torch_linear", weight.shape, fans=weight.fans, dtype=weight.dtype)
    if bias is not None:
        start = "zeros" if init else "torch_linear"
        bias[...] = initializers.make(start, bias.shape, fans=weight.fans, dtype=bias.dtype)


def _chain(layer: Layer) -> list[Layer]:
    """Return a layer as a list; a `Sequential` is flattened."""
    return [part for inner in layer.layers for part in _chain(inner)] if type(layer) is Sequential else [layer]


def _untrained(layer: Layer, dtype: np.dtype) -> Layer:
    """Return an untrained layer of the same configuration; a layer without one is copied."""
    if any(parameter.frozen for parameter in layer.parameters()):
        return copy.deepcopy(layer)
    try:
        twin: Any = make(describe(layer), {type(inner) for inner in layer.all_layers()}, dtype=dtype)
    except (TypeError, ValueError):
        return copy.deepcopy(layer)
    for fresh, inner in zip(twin.all_layers(), layer.all_layers(), strict=True):
        if isinstance(inner, Weighted):
            initialize(fresh, inner.init)
    for (_, own), (_, theirs) in zip(twin.named_parameters(), layer.named_parameters(), strict=True):
        own.lr_factor, own.decay = theirs.lr_factor, theirs.decay
    return twin
