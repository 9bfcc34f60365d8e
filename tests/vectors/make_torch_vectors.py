"""Write the reference values that the op tests compare with; needs PyTorch (the stored ones are from 2.13.0, CPU).

Each .npz holds the inputs, and one flat key per case and result, such as ``adam.step3`` or ``ce.weight.mean.grad``.
Run ``python make_torch_vectors.py``; the files land beside this script.
"""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

HERE = Path(__file__).parent
STEPS = 6

OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"lr": 0.1}),
    "sgd_decay": (torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.05}),
    "sgd_momentum": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}),
    "sgd_nesterov": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    "adagrad": (torch.optim.Adagrad, {"lr": 0.2, "eps": 1e-10, "weight_decay": 0.03}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 0.02, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.03}),
    "rmsprop_momentum": (torch.optim.RMSprop, {"lr": 0.02, "alpha": 0.95, "eps": 1e-6, "momentum": 0.7}),
    "adam": (torch.optim.Adam, {"lr": 0.01}),
    "adam_decay": (torch.optim.Adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
    "adamw": (torch.optim.AdamW, {"lr": 0.02, "betas": (0.9, 0.99), "weight_decay": 0.1}),
}


def optimizer_vectors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Parameters after each of some steps with given gradients."""
    start, gradients = rng.normal(size=37), rng.normal(size=(STEPS, 37))
    result = {"start": start, "gradients": gradients}
    for name, (optimizer_class, options) in OPTIMIZERS.items():
        parameter = torch.tensor(start, requires_grad=True)
        optimizer = optimizer_class([parameter], **options)
        for step, gradient in enumerate(gradients, start=1):
            parameter.grad = torch.tensor(gradient)
            optimizer.step()
            result[f"{name}.step{step}"] = parameter.detach().numpy().copy()
    return result


def loss_vectors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Losses and gradients with respect to the scores."""
    scores, weight = 2 * rng.normal(size=(13, 5)), rng.uniform(0.2, 3, size=5)
    labels, soft, real = rng.integers(5, size=13), rng.uniform(size=(13, 5)), rng.normal(size=(13, 5))
    some_ignored, all_ignored = labels.copy(), np.full(13, -100)
    some_ignored[[0, 4, 12]] = -100
    arrays = {"scores": scores, "weight": weight, "labels": labels, "soft": soft, "real": real}
    arrays |= {"some_ignored": some_ignored, "all_ignored": all_ignored}
    exponential = np.exp(real)
    arrays |= {"counts": np.floor(6 * soft), "shares": exponential / exponential.sum(axis=1, keepdims=True)}
    arrays |= {"log_shares": np.log(arrays["shares"]), "labels_as_shares": np.eye(5)[labels]}
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    result = dict(arrays)

    def record(key, function, target, **options):
        x = tensors["scores"].clone().requires_grad_()
        loss = function(x, tensors[target], **options)
        loss.backward()
        result[f"{key}.loss"], result[f"{key}.grad"] = loss.detach().numpy(), x.grad.numpy()

    record_class_losses(record, tensors["weight"])
    record_losses_of_elements(record)
    return result


def record_class_losses(record: Callable[..., None], weight: torch.Tensor) -> None:
    for reduction in ("mean", "sum"):
        for target, weighted, smoothing in product(("labels", "some_ignored", "all_ignored"), (0, 1), (0.0, 0.1, 1.0)):
            record(
                f"ce.{target}.{weighted}.{smoothing}.{reduction}",
                functional.cross_entropy,
                target,
                weight=weight if weighted else None,
                label_smoothing=smoothing,
                reduction=reduction,
            )
        for margin in (1.0, 0.5):
            hinge = functional.multi_margin_loss
            record(f"hinge.{margin}.{reduction}", hinge, "labels", margin=margin, reduction=reduction)
        for target, weighted in product(("labels", "some_ignored"), (0, 1)):
            options = {"weight": weight if weighted else None, "reduction": reduction}
            record(f"nll.{target}.{weighted}.{reduction}", functional.nll_loss, target, **options)
            for gamma in (0.5, 2.0):
                record(f"focal.{gamma}.{target}.{weighted}.{reduction}", focal, target, gamma=gamma, **options)


def record_losses_of_elements(record: Callable[..., None]) -> None:
    for reduction in ("mean", "sum"):
        for p in (1.0, 2.5):
            bce, pos_weight = functional.binary_cross_entropy_with_logits, torch.tensor(p, dtype=torch.float64)
            record(f"bce.{p}.{reduction}", bce, "soft", pos_weight=pos_weight, reduction=reduction)
        record(f"mse.{reduction}", functional.mse_loss, "real", reduction=reduction)
        for beta in (0.0, 0.7):
            record(f"smooth_l1.{beta}.{reduction}", functional.smooth_l1_loss, "real", beta=beta, reduction=reduction)
        record(f"huber.0.7.{reduction}", functional.huber_loss, "real", delta=0.7, reduction=reduction)
        record(f"quantile.0.8.{reduction}", pinball, "real", q=0.8, reduction=reduction)
        for full in (False, True):
            name, poisson = "_full" if full else "", functional.poisson_nll_loss
            record(f"poisson_log{name}.0.0.{reduction}", poisson, "counts", full=full, reduction=reduction)
            options = {"log_input": False, "eps": 0.1, "full": full, "reduction": reduction}
            record(f"poisson{name}.0.1.{reduction}", rates(poisson), "counts", **options)
    for reduction in ("mean", "sum", "batchmean"):
        for target in ("shares", "labels_as_shares"):
            record(f"kl.{target}.{reduction}", functional.kl_div, target, reduction=reduction)
        record(f"kl_log.log_shares.{reduction}", functional.kl_div, "log_shares", log_target=True, reduction=reduction)


def focal(x, target, gamma, weight, reduction):
    """The focal loss, which PyTorch has not, by its formula; a mean as that of the cross-entropy."""
    kept = target != -100
    x, target = x[kept], target[kept]
    nll = functional.cross_entropy(x, target, reduction="none")
    share = torch.ones_like(nll) if weight is None else weight[target]
    total = (share * (1 - torch.exp(-nll)) ** gamma * nll).sum()
    return total / share.sum() if reduction == "mean" else total


def pinball(x, target, q, reduction):
    """The quantile loss, which PyTorch has not, by its formula."""
    error = target - x
    return getattr(torch.maximum(q * error, (q - 1) * error), reduction)()


def rates(loss):
    """Return the loss of the scores' absolute values, for one of rates."""
    return lambda x, *arguments, **options: loss(x.abs(), *arguments, **options)


def batchnorm_vectors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Batch norm in both modes: output, running statistics and gradients, three batches in a row."""
    x = rng.normal(rng.normal(size=6), rng.uniform(0.1, 5, size=6), size=(3, 17, 6))
    dy = rng.normal(size=x.shape)
    gamma, beta = rng.uniform(0.5, 2, size=6), rng.normal(size=6)
    result = {"x": x, "dy": dy, "gamma": gamma, "beta": beta}
    layer = torch.nn.BatchNorm1d(6, momentum=0.2, eps=1e-4, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(gamma))
        layer.bias.copy_(torch.tensor(beta))
    for mode, batch in (("train", 0), ("train", 1), ("eval", 2)):
        layer.train(mode == "train")
        layer.zero_grad()
        inputs = torch.tensor(x[batch], requires_grad=True)
        y = layer(inputs)
        y.backward(torch.tensor(dy[batch]))
        values = {"y": y.detach(), "mean": layer.running_mean, "var": layer.running_var}
        values |= {"dx": inputs.grad, "dgamma": layer.weight.grad, "dbeta": layer.bias.grad}
        result |= {f"{batch}.{name}": value.numpy().copy() for name, value in values.items()}
    return result


if __name__ == "__main__":
    for name, make in (("optim", optimizer_vectors), ("losses", loss_vectors), ("batchnorm", batchnorm_vectors)):
        np.savez_compressed(HERE / f"{name}.npz", **make(np.random.default_rng(0)))
