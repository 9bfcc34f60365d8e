"""Remedies that change the training: rate, optimiser, loss, regularisation, data."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...augment import name_of
from ...nn.layers import Dropout
from ...nn.loss import Loss
from ...nn.losses import BCEWithLogitsLoss, CrossEntropyLoss
from ...nn.traversal import amounts
from ...optim.base import Optimizer
from ...optim.optimizers import SGD, Adam
from ...optim.regularizers import L1, L2
from ...preprocessing import ChannelStandardize, Standardize
from ...training.callbacks import Callback, EarlyStopping
from ...utils.config import Configurable, is_own, parameters_of
from .blueprint import Blueprint
from .trials import Remedy

if TYPE_CHECKING:
    from ...training.trainer import Trainer

#: If no feature's standard deviation exceeds this multiple of the median one, features share one unit, as pixels do.
#: Then nearly constant ones are not scaled up (a share of the mean variance is added to each variance).
ONE_UNIT, VARIANCE_FLOOR, MANY_FEATURES = 30.0, 0.1, 32
DROPOUT, DECAY = 0.2, 1e-3
#: Steps of an epoch that are so few that smaller batches are tried.
FEW_STEPS = 8


def written(thing: Configurable) -> str:
    """Return the constructor call of an object, without default arguments except the learning rate."""
    try:
        config = thing.config()
    except TypeError:
        return f"{type(thing).__name__}(...)"
    parameters = inspect.signature(type(thing)).parameters
    shown = {name: value for name, value in config.items() if value != parameters[name].default or name == "lr"}
    return f"{type(thing).__name__}({', '.join(f'{name}={_number(value)}' for name, value in shown.items())})"


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else repr(value)


def _setting(attribute: str, value: Any) -> Callable[[Blueprint], None]:
    def apply(blueprint: Blueprint) -> None:
        setattr(blueprint, attribute, copy.deepcopy(value))

    return apply


def _optimizer(blueprint: Blueprint, change: str, subject: str, **settings: Any) -> Remedy:
    def apply(target: Blueprint) -> None:
        if settings.get("momentum") == 0 and isinstance(target.optimizer, SGD):
            target.optimizer.nesterov = False  # it needs a momentum
        for name, value in settings.items():
            setattr(target.optimizer, name, value)

    shown = copy.deepcopy(blueprint.optimizer)
    apply_to = copy.copy(blueprint)
    apply_to.optimizer = shown
    apply(apply_to)
    return Remedy(change, written(shown), subject, apply)


def rate(blueprint: Blueprint, lr: float) -> Remedy:
    """Return another learning rate."""
    return _optimizer(blueprint, f"learning rate {blueprint.given_lr:.3g} -> {lr:.3g}", "rate", lr=lr)


def times(blueprint: Blueprint, *factors: float) -> Iterator[Remedy]:
    """Yield the learning rate times each factor, if the rate is above 0."""
    for factor in factors:
        if blueprint.optimizer.lr > 0:
            yield rate(blueprint, float(f"{blueprint.optimizer.lr * factor:.1g}"))


def momentum(blueprint: Blueprint, value: float) -> Iterator[Remedy]:
    """Yield a smaller momentum."""
    optimizer = blueprint.optimizer
    cycled = blueprint.schedule is not None and blueprint.schedule.momentum(0, 0) is not None
    if isinstance(optimizer, SGD) and optimizer.momentum > value and not cycled:
        change = f"momentum {optimizer.momentum:g} -> {value:g}"
        yield _optimizer(blueprint, change, "rate", momentum=value)


def adam(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield Adam at its default rate."""
    if not isinstance(blueprint.optimizer, Adam):
        change = f"Adam instead of {type(blueprint.optimizer).__name__}"
        yield Remedy(change, "Adam()", "rate", _setting("optimizer", Adam()))


def known_optimizer(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield the optimiser of pynn from which a custom one is derived, or else Adam."""
    own = blueprint.optimizer
    if not is_own(own):
        return
    base = next(kind for kind in type(own).__mro__ if kind.__module__.startswith("pynn."))
    instead = Adam() if base is Optimizer else base(**{name: getattr(own, name) for name in parameters_of(base)})
    change = f"{type(instead).__name__} instead of {type(own).__name__}"
    yield Remedy(change, written(instead), "optimizer", _setting("optimizer", instead))


def clip_norm(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield a limit to the norm of the gradient."""
    if blueprint.clip_norm is None or blueprint.clip_norm > 1:
        change = "gradient clipped to a norm of 1"
        yield Remedy(change, "Trainer(..., clip_norm=1.0)", "clipping", _setting("clip_norm", 1.0))


class HoldRate(Callback):
    """Undoes changes of the learning rate by earlier callbacks."""

    def on_train_begin(self, trainer: Trainer) -> None:
        self.lr = trainer.optimizer.lr

    def on_step_end(self, trainer: Trainer) -> None:
        trainer.optimizer.lr = self.lr

    on_epoch_begin = on_epoch_end = on_step_end


def constant_rate(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield a constant rate, without schedule and rate-setting callbacks."""

    def apply(target: Blueprint) -> None:
        target.schedule = None
        target.callbacks.append(HoldRate())

    if blueprint.schedule is not None:
        code = f"Trainer(..., schedule=None), instead of {written(blueprint.schedule)}"
        yield Remedy("a constant learning rate, without the schedule", code, "schedule", apply)
    elif blueprint.callbacks:
        code = f"no callback that sets the rate ({_names(blueprint.callbacks)})"
        yield Remedy("a constant learning rate, whatever callbacks do", code, "schedule", apply)


def _names(things: Iterable[object]) -> str:
    return ", ".join(type(thing).__name__ for thing in things)


def no_callbacks(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield the run without the user's callbacks."""
    if blueprint.callbacks:
        change = f"without the callbacks {_names(blueprint.callbacks)}"
        yield Remedy(change, "fit(..., callbacks=[])", "schedule", _setting("callbacks", []))


def no_augmentation(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield the run without augmentation."""
    if blueprint.augment:
        names = ", ".join(name_of(change) for change in blueprint.augment)
        yield Remedy(f"without the augmentation {names}", "fit(..., augment=())", "augment", _setting("augment", []))


def standardize(blueprint: Blueprint, x: np.ndarray) -> Iterator[Remedy]:
    """Yield standardised inputs."""
    if blueprint.preprocessing is not None or amounts(blueprint.layers, x).shape != np.shape(x):
        return  # with numbers of categories among them
    if np.ndim(x) == 4:
        code = "model.preprocessing = pynn.preprocessing.ChannelStandardize()"
        yield Remedy("each channel standardised", code, "inputs", _setting("preprocessing", ChannelStandardize()))
        return
    spread = np.asarray(x, np.float64).std(axis=0).reshape(-1)
    varying = spread[spread > 0]
    if not len(varying):
        return
    one_unit = len(spread) >= MANY_FEATURES and varying.max() < ONE_UNIT * float(np.median(varying))
    eps = float(f"{VARIANCE_FLOOR * np.mean(spread * spread):.2g}") if one_unit else 0.0
    code = f"model.preprocessing = pynn.preprocessing.Standardize({f'eps={eps:g}' if eps else ''})"
    yield Remedy("each input feature standardised", code, "inputs", _setting("preprocessing", Standardize(eps)))


def standardize_targets(blueprint: Blueprint, y: np.ndarray) -> Iterator[Remedy]:
    """Yield regression targets with mean 0 and standard deviation 1."""
    y = np.asarray(y, np.float64)
    shift, scale = y.mean(axis=0), y.std(axis=0)
    if not np.all(scale > 0) or (np.all(np.abs(shift) < scale) and np.all((scale > 0.3) & (scale < 3))):
        return
    dtype = blueprint.dtype
    code = f"y = (y - {np.ravel(shift)[0]:.4g}) / {np.ravel(scale)[0]:.4g}, undone in the predictions"
    if np.size(shift) > 1:
        code = "y = (y - y.mean(axis=0)) / y.std(axis=0), undone in the predictions"
    pair = (shift.astype(dtype), scale.astype(dtype))
    yield Remedy("standardised targets", code, "targets", _setting("target", pair))


def new_loss(change: str, loss: Loss, subject: str = "loss") -> Remedy:
    """Return another loss."""
    return Remedy(change, written(loss), subject, _setting("loss", loss))


def mean_loss(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield the mean over the batch instead of the sum."""
    if getattr(blueprint.loss, "reduction", "mean") == "sum":
        loss = copy.deepcopy(blueprint.loss)
        loss.reduction = "mean"
        name = type(loss).__name__
        yield Remedy("loss averaged over the batch", f'{name}(reduction="mean")', "loss", _setting("loss", loss))


def class_weights(blueprint: Blueprint, counts: np.ndarray | None) -> Iterator[Remedy]:
    """Yield class weights that balance all classes."""
    loss = blueprint.loss
    if counts is None or not counts.sum() or np.count_nonzero(counts) < 2:
        return
    if isinstance(loss, CrossEntropyLoss) and loss.weight is None:
        weights = np.where(counts > 0, counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1)), 1.0)
        weighted: Loss = copy.deepcopy(loss)
        weighted.weight = tuple(float(f"{weight:.3g}") for weight in weights)
        yield new_loss("classes weighted against their frequency", weighted)
    elif isinstance(loss, BCEWithLogitsLoss) and loss.pos_weight is None and len(counts) == 2:
        weighted = copy.deepcopy(loss)
        weighted.pos_weight = float(f"{counts[0] / counts[1]:.3g}")
        yield new_loss("positives weighted against their frequency", weighted)


def less_regularization(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield the run without weight decay and penalties, then with little dropout, then both."""
    decay = blueprint.optimizer.weight_decay
    penalties = [p for p in blueprint.regularizers if isinstance(p, L1 | L2)]
    remedies = []
    if decay or penalties:
        parts = [f"weight decay {decay:g} -> 0"] if decay else []
        parts += [f"no {written(penalty)}" for penalty in penalties]

        def undecayed(target: Blueprint) -> None:
            target.optimizer.weight_decay = 0.0
            target.regularizers = [p for p in target.regularizers if not isinstance(p, L1 | L2)]

        code = "weight_decay=0" if decay else "Trainer(..., regularizers=())"
        remedies.append(Remedy(", ".join(parts), code, "decay", undecayed))
    maximum = max((layer.p for layer in blueprint.all_layers() if isinstance(layer, Dropout)), default=0.0)
    if maximum > DROPOUT:

        def drop_less(target: Blueprint) -> None:
            for layer in target.all_layers():
                if isinstance(layer, Dropout):
                    layer.p = min(layer.p, DROPOUT)

        remedies.append(Remedy(f"dropout {maximum:g} -> {DROPOUT:g}", f"Dropout({DROPOUT:g})", "dropout", drop_less))
    yield from remedies
    if len(remedies) == 2:
        yield remedies[0] + remedies[1]


def more_regularization(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield early stopping at the best epoch, and weight decay."""
    patience = max(3, blueprint.epochs // 5)

    def stop_early(target: Blueprint) -> None:
        target.callbacks.append(EarlyStopping(patience=patience))

    code = f"fit(..., callbacks=[EarlyStopping(patience={patience})])"
    yield Remedy("training ends at the best epoch", code, "stopping", stop_early)
    decay = max(DECAY, 10 * blueprint.optimizer.weight_decay)
    if not isinstance(blueprint.optimizer, SGD):
        decay *= 10
    change = f"weight decay {blueprint.optimizer.weight_decay:g} -> {decay:g}"
    yield _optimizer(blueprint, change, "decay", weight_decay=decay)


def shuffled(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield shuffled examples."""
    if not blueprint.shuffle:
        yield Remedy("examples shuffled in every epoch", "fit(..., shuffle=True)", "order", _setting("shuffle", True))


def larger_batch(blueprint: Blueprint, size: int) -> Iterator[Remedy]:
    """Yield larger batches."""
    if blueprint.batch_size < size:
        yield _batch_of(blueprint, size)


def smaller_batch(blueprint: Blueprint, examples: int, size: int) -> Iterator[Remedy]:
    """Yield smaller batches, where an epoch has few steps."""
    if blueprint.batch_size > size and examples < FEW_STEPS * blueprint.batch_size:
        yield _batch_of(blueprint, size)


def _batch_of(blueprint: Blueprint, size: int) -> Remedy:
    change = f"batch size {blueprint.batch_size} -> {size}"
    return Remedy(change, f"fit(..., batch_size={size})", "batch", _setting("batch_size", size))
