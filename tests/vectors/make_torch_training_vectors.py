"""Write the training runs that test_optim.py and test_losses.py compare with; needs PyTorch (stored ones: 2.13.0, CPU).

A Linear-BatchNorm-ReLU-Linear network takes 20 steps in float64 from stored weights on stored batches, once per
optimiser and once per loss. Run ``python make_torch_training_vectors.py``; training.npz lands beside this script.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim import lr_scheduler

STEPS, BATCH, WIDTHS = 20, 16, (6, 8, 3)

OPTIMIZERS = {
    "sgd": ("SGD", {"lr": 0.1}),
    "sgd_decay": ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    "sgd_momentum": ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}),
    "sgd_nesterov": ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    "adagrad": ("Adagrad", {"lr": 0.1}),
    "adagrad_decay": ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.03}),
    "rmsprop": ("RMSprop", {"lr": 0.01}),
    "rmsprop_momentum": ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.7, "eps": 1e-6, "weight_decay": 0.02}),
    "adam": ("Adam", {"lr": 0.02}),
    "adam_decay": ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    "adamw": ("AdamW", {"lr": 0.02, "betas": (0.9, 0.99), "weight_decay": 0.1}),
    "adamw_default": ("AdamW", {}),
}
PLATEAUS = {
    "plain": {"patience": 1, "factor": 0.5},
    "abs": {"patience": 0, "threshold": 0.1, "threshold_mode": "abs", "factor": 0.5},
    "cooldown": {"patience": 1, "cooldown": 3, "min_lr": 0.05},
    "max": {"patience": 2, "mode": "max", "threshold": 0.01, "threshold_mode": "abs", "factor": 0.3},
}

EPOCHS, BASE_RATE = 25, 0.3

one_cycle = partial(lr_scheduler.OneCycleLR, max_lr=0.7, total_steps=EPOCHS)
SCHEDULES = {
    "step": partial(lr_scheduler.StepLR, step_size=7, gamma=0.3),
    "exponential": partial(lr_scheduler.ExponentialLR, gamma=0.9),
    "cosine": partial(lr_scheduler.CosineAnnealingLR, T_max=EPOCHS, eta_min=0.01),
    "restarts": partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=3, T_mult=2, eta_min=0.01),
    "restarts_alike": partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=4),
    "one_cycle": partial(one_cycle, pct_start=0.3),
    "one_cycle_linear": partial(one_cycle, anneal_strategy="linear", div_factor=10, final_div_factor=100),
    "one_cycle_three_phases": partial(one_cycle, three_phase=True),
    "lambda": partial(lr_scheduler.LambdaLR, lr_lambda=lambda epoch: 1 / (1 + epoch)),
    "warmup": partial(lr_scheduler.LinearLR, start_factor=0.1, total_iters=9),
}


def arrays() -> dict[str, np.ndarray]:
    """Initial weights, batches and targets."""
    rng = np.random.default_rng(0)
    start = {
        "0.weight": rng.normal(size=WIDTHS[:2]) / 2,
        "1.weight": rng.uniform(0.5, 1.5, size=WIDTHS[1]),
        "1.bias": rng.normal(size=WIDTHS[1]) / 4,
        "3.weight": rng.normal(size=WIDTHS[1:]) / 2,
        "3.bias": rng.normal(size=WIDTHS[2]) / 4,
    }
    x = rng.normal(size=(STEPS, BATCH, WIDTHS[0]))
    labels = rng.integers(WIDTHS[2], size=(STEPS, BATCH))
    soft = rng.uniform(size=(STEPS, BATCH, WIDTHS[2]))
    labels_with_gaps = labels.copy()
    labels_with_gaps[:, ::5] = -100
    made = {"x": x, "labels": labels, "soft": soft, "class_weight": np.array([0.5, 2.0, 1.25])}
    return made | {f"start.{name}": array for name, array in start.items()} | {"labels_with_gaps": labels_with_gaps}


def run(given, name, loss, targets, optimizer_name, options, schedule=None) -> dict[str, np.ndarray]:
    """The losses of all steps and the final state, under names that begin with `name`."""
    layers = [nn.Linear(*WIDTHS[:2], bias=False), nn.BatchNorm1d(WIDTHS[1]), nn.ReLU(), nn.Linear(*WIDTHS[1:])]
    model = nn.Sequential(*layers).double()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(torch.tensor(given[f"start.{key}"].T))
    optimizer = getattr(torch.optim, optimizer_name)(model.parameters(), **options)
    scheduler = None if schedule is None else schedule(optimizer)
    losses = []
    for batch, target in zip(torch.tensor(given["x"]), torch.tensor(targets), strict=True):
        optimizer.zero_grad()
        value = loss(model(batch), target)
        value.backward()
        optimizer.step()
        losses.append(value.item())
        if scheduler is not None:
            scheduler.step()
    state = {key: tensor.numpy().copy() for key, tensor in model.state_dict().items()}
    state = {key: array.T if array.ndim == 2 else array for key, array in state.items() if array.ndim}
    return {f"{name}.{key}": array for key, array in ({"losses": np.array(losses)} | state).items()}


def optimizer_runs(given) -> dict[str, np.ndarray]:
    """One run per optimiser; of some also under a schedule of rate and momentum."""
    result = {}
    for name, (optimizer_name, options) in OPTIMIZERS.items():
        result |= run(given, name, nn.CrossEntropyLoss(), given["labels"], optimizer_name, options)
    for name in ("sgd_momentum", "sgd_nesterov", "rmsprop_momentum", "adam_decay", "adamw"):
        schedule = partial(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=STEPS)
        result |= run(given, f"cycled_{name}", nn.CrossEntropyLoss(), given["labels"], *OPTIMIZERS[name], schedule)
    return result


def loss_runs(given) -> dict[str, np.ndarray]:
    """One run per loss."""
    labels, soft, gaps = given["labels"], given["soft"], given["labels_with_gaps"]
    weight = torch.tensor(given["class_weight"])
    losses = {
        "ce_weight": (nn.CrossEntropyLoss(weight=weight), labels),
        "ce_smoothing": (nn.CrossEntropyLoss(label_smoothing=0.1), labels),
        "ce_both_ignored": (nn.CrossEntropyLoss(weight=weight, label_smoothing=0.2), gaps),
        "multi_margin": (nn.MultiMarginLoss(), labels),
        "mse": (nn.MSELoss(), soft),
        "bce": (nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.5, dtype=torch.float64)), soft),
        "l1": (nn.L1Loss(), soft),
        "smooth_l1": (nn.SmoothL1Loss(beta=0.3), soft),
        "huber": (nn.HuberLoss(delta=0.3), soft),
        "poisson": (nn.PoissonNLLLoss(full=True), np.floor(4 * soft)),
        "kl": (nn.KLDivLoss(reduction="batchmean"), soft),
        "nll": (nn.NLLLoss(weight=weight), gaps),
    }
    result = {}
    for name, (loss, targets) in losses.items():
        result |= run(given, name, loss, targets, "SGD", {"lr": 0.1, "momentum": 0.9})
    return result


def schedules() -> dict[str, np.ndarray]:
    """The rates of each schedule over 25 epochs, and the momenta of those that change it."""
    result = {}
    for name, make in SCHEDULES.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE_RATE)
        scheduler = make(optimizer)
        taken = []
        for _ in range(EPOCHS):
            taken.append([optimizer.param_groups[0][setting] for setting in ("lr", "momentum")])
            optimizer.step()
            scheduler.step()
        rates, momenta = np.array(taken).T
        result[f"schedule.{name}"] = rates
        if momenta.any():
            result[f"momentum.{name}"] = momenta
    return result


def plateaus() -> dict[str, np.ndarray]:
    """The rates of ReduceLROnPlateau for figures that stall, improve, and are NaN once."""
    figures = np.repeat([3.0, 2.0, 2.0 - 1e-5, 1.9, 1.9, 1.95, 1.85, np.nan, 1.84, 1.2], [1, 2, 3, 1, 4, 2, 5, 1, 6, 2])
    result = {"plateau.figures": figures}
    for name, options in PLATEAUS.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE_RATE)
        scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        rates = []
        for figure in figures:
            rates.append(optimizer.param_groups[0]["lr"])
            scheduler.step(1 - figure if options.get("mode") == "max" else figure)
        result[f"plateau.{name}"] = np.array(rates)
    return result


def main() -> None:
    given = arrays()
    result = given | optimizer_runs(given) | loss_runs(given) | schedules() | plateaus()
    np.savez_compressed(Path(__file__).parent / "training.npz", **result)


if __name__ == "__main__":
    main()
