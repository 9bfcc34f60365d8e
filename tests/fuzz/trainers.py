"""Random trainers: of random networks, with random losses, optimisers, regularisers and schedules."""

from fuzz.networks import network, pick

import pynn


def half_of_the_squares(prediction, target):
    """Return a loss as a plain function."""
    return float(((prediction - target) ** 2).sum() / 2), prediction - target


#: Each makes a loss for so many outputs; and what its targets are: labels, values, or numbers in [0, 1].
LOSSES = {
    "CrossEntropyLoss": (
        lambda rng, outputs: pynn.CrossEntropyLoss(
            weight=pick(rng, None, tuple(rng.uniform(0.1, 2, outputs))),
            ignore_index=pick(rng, -100, 0),
            reduction=pick(rng, "mean", "sum"),
            label_smoothing=pick(rng, 0.0, 0.1),
        ),
        "labels",
    ),
    "HingeLoss": (
        lambda rng, outputs: pynn.HingeLoss(pick(rng, 1.0, 0.3), reduction=pick(rng, "mean", "sum")),
        "labels",
    ),
    "MultiMarginLoss": (lambda rng, outputs: pynn.MultiMarginLoss(), "labels"),
    "MSELoss": (lambda rng, outputs: pynn.MSELoss(pick(rng, "mean", "sum")), "values"),
    "BCEWithLogitsLoss": (
        lambda rng, outputs: pynn.BCEWithLogitsLoss(pick(rng, "mean", "sum"), pos_weight=pick(rng, None, 2.0)),
        "shares",
    ),
    "NLLLoss": (
        lambda rng, outputs: pynn.NLLLoss(pick(rng, None, tuple(rng.uniform(0.1, 2, outputs))), pick(rng, -100, 0)),
        "labels",
    ),
    "FocalLoss": (
        lambda rng, outputs: pynn.FocalLoss(pick(rng, 2.0, 0.5), reduction=pick(rng, "mean", "sum")),
        "labels",
    ),
    "L1Loss": (lambda rng, outputs: pynn.L1Loss(pick(rng, "mean", "sum")), "values"),
    "SmoothL1Loss": (lambda rng, outputs: pynn.SmoothL1Loss(beta=pick(rng, 0.0, 0.5)), "values"),
    "HuberLoss": (lambda rng, outputs: pynn.HuberLoss(pick(rng, "mean", "sum"), pick(rng, 0.5, 2.0)), "values"),
    "QuantileLoss": (
        lambda rng, outputs: pynn.QuantileLoss(pick(rng, 0.9, tuple(rng.uniform(0.1, 0.9, outputs)))),
        "values",
    ),
    "PoissonNLLLoss": (lambda rng, outputs: pynn.PoissonNLLLoss(full=pick(rng, False, True)), "shares"),
    "KLDivLoss": (lambda rng, outputs: pynn.KLDivLoss(pick(rng, "mean", "batchmean", "sum")), "shares"),
    "a function": (lambda rng, outputs: half_of_the_squares, "values"),
}

OPTIMIZERS = {
    "SGD": lambda rng, **common: pynn.SGD(
        momentum=(momentum := pick(rng, 0.0, 0.9)), nesterov=momentum > 0 and bool(rng.integers(2)), **common
    ),
    "Adagrad": lambda rng, **common: pynn.Adagrad(lr_decay=pick(rng, 0.0, 0.1), **common),
    "RMSprop": lambda rng, **common: pynn.RMSprop(momentum=pick(rng, 0.0, 0.5), **common),
    "Adam": lambda rng, **common: pynn.Adam(betas=pick(rng, (0.9, 0.999), (0.5, 0.9)), **common),
    "AdamW": lambda rng, **common: pynn.AdamW(**common),
}

REGULARIZERS = {
    "L1": lambda rng: pynn.L1(pick(rng, 1e-3, 0.1)),
    "L2": lambda rng: pynn.L2(pick(rng, 1e-3, 0.1)),
    "MaxNorm": lambda rng: pynn.MaxNorm(pick(rng, 0.3, 2.0)),
}

SCHEDULES = {
    "StepLR": lambda _: pynn.StepLR(1, 0.5),
    "ExponentialLR": lambda _: pynn.ExponentialLR(0.7),
    "WarmupLR": lambda _: pynn.WarmupLR(4),
    "CosineAnnealingLR": lambda _: pynn.CosineAnnealingLR(8),
    "CosineAnnealingWarmRestarts": lambda _: pynn.CosineAnnealingWarmRestarts(2),
    "OneCycleLR": lambda optimizer: pynn.OneCycleLR(0.1, 9, cycle_momentum=optimizer.own_momentum is not None),
}


def trainer(rng, dtype):
    """Return a random trainer, the shape of an example, the number of outputs, and what targets are."""
    model, shape, outputs = network(rng, dtype)
    make, kind = pick(rng, *LOSSES.values())
    optimizer = pick(rng, *OPTIMIZERS.values())(
        rng, lr=pick(rng, 1e-2, 0.1), weight_decay=pick(rng, 0.0, 1e-2), decay_all=bool(rng.integers(2))
    )
    regularizers = [make_one(rng) for make_one in REGULARIZERS.values() if rng.random() < 0.15]
    made = pynn.Trainer(
        model,
        make(rng, outputs),
        optimizer,
        schedule=pick(rng, *SCHEDULES.values())(optimizer) if rng.random() < 0.2 else None,
        regularizers=regularizers,
        clip_norm=pick(rng, 0.1, 5.0) if rng.random() < 0.2 else None,
        clip_value=0.05 if rng.random() < 0.15 else None,
        seed=int(rng.integers(100)),
    )
    return made, shape, outputs, kind
