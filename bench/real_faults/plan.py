"""The plan of a training run: network, settings and data from the facts of a case, and the run made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import pynn
from bench.faults.cases import Run
from bench.faults.data import Split

from . import data, own_code

Init = str | Callable[[tuple[int, ...]], np.ndarray]
ACTIVATIONS: dict[str, Callable[[], pynn.Layer]] = {
    "relu": pynn.ReLU,
    "sigmoid": pynn.Sigmoid,
    "tanh": pynn.Tanh,
    "softmax": partial(pynn.Softmax, 1),  # over units, and over the channels of images
    "exponential": own_code.Exponential,
}
#: Epochs of a case, by data and optimiser; published runs take up to 300 on all rows.
EPOCHS = {"cars": 150, "circles": 300, "blobs": 300, "mnist": 6, "cifar": 8}
#: Epochs on the generated data with batches of one example: 700 steps each.
EPOCHS_ONE_BY_ONE = 40
#: Epochs of deep networks on images, with batches of 256.
EPOCHS_LARGE_BATCHES = 25


@dataclass
class Plan:
    """What a case trains; faults change it before `assemble` makes a run of it.

    Attributes
    ----------
    layers : list of dict
        As in the facts: "type", and "units", "filters", "act" ...
    init, last_init : str or callable
        Initialiser of hidden layers and of the last.
    regression : bool
    penalty : float
        Coefficient of the sum of squared weights in the loss.
    one_hot : bool
        Whether the targets become one-hot rows, as losses of the programs' own expect.
    """

    split: Split
    layers: list[dict[str, Any]]
    init: Init
    last_init: Init
    loss: Any
    optimizer: pynn.Optimizer
    batch: int
    epochs: int
    regression: bool = False
    penalty: float = 0.0
    one_hot: bool = False
    norm_momentum: float = 0.1
    tail: list[pynn.Layer] = field(default_factory=list)
    callbacks: list[pynn.Callback] = field(default_factory=list)
    augment: list[Callable[..., np.ndarray]] = field(default_factory=list)


def task_of(case: dict[str, Any]) -> str:
    """Return the data set of a case: "cars", "circles", "blobs", "mnist" or "cifar"."""
    public = case["data"].get("public", "")
    for word, name in (("auto-mpg", "cars"), ("MNIST", "mnist"), ("CIFAR", "cifar")):
        if word in public:
            return name
    return "circles" if "make_circles" in case["data"]["range"] else "blobs"


def plan_of(case: dict[str, Any]) -> Plan:
    """Return the plan of a case as its facts say, without what only the documented fault tells."""
    task, layers = task_of(case), [dict(layer) for layer in case["layers"]]
    init, last_init = _inits(case["init"])
    plan = Plan(_data(task), layers, init, last_init, None, _optimizer(case), case["batch"], EPOCHS[task])
    plan.penalty = next((layer["l2"] for layer in layers if "l2" in layer), 0.0)
    if case["batch"] == 1:
        plan.epochs = EPOCHS_ONE_BY_ONE
    elif case["batch"] == 256 and task in ("mnist", "cifar"):
        plan.epochs = EPOCHS_LARGE_BATCHES
    if case["task"] == "10-class MLP":
        plan.split = plan.split._replace(x=plan.split.x.reshape(-1, 784), xv=plan.split.xv.reshape(-1, 784))
    _set_loss(plan, task)
    return plan


def _data(task: str) -> Split:
    if task == "cars":
        return data.min_max(data.auto_mpg())
    if task in ("circles", "blobs"):
        return data.circles() if task == "circles" else data.blobs()
    return scaled_inputs(data.mnist() if task == "mnist" else data.cifar(), 1 / 255)


def scaled_inputs(split: Split, factor: float) -> Split:
    """Return all inputs times a factor."""
    return split._replace(x=split.x * np.float32(factor), xv=split.xv * np.float32(factor))


def _set_loss(plan: Plan, task: str) -> None:
    """Set the loss that belongs to the task; a last activation that pynn's losses include is left out."""
    last = plan.layers[-1]
    if task == "cars":
        plan.loss, plan.regression = pynn.MSELoss(), True
    elif task == "circles":
        plan.loss = pynn.BCEWithLogitsLoss()
        last["act"] = "linear"
    elif last.get("act") in ("softmax", "relu"):
        plan.loss = pynn.CrossEntropyLoss()
        last["act"] = "linear" if last["act"] == "softmax" else "relu"
    else:  # sigmoids, which Keras's cross-entropy divides by their sum
        plan.loss, plan.one_hot = own_code.normalised_cross_entropy, True


def _inits(text: str) -> tuple[Init, Init]:
    """Return the initialisers of hidden layers and of the last layer."""
    kinds: dict[str, Init] = {
        "he_normal": "he_normal",
        "he_uniform": "he_uniform",
        "glorot_uniform": "xavier_uniform",
        "RandomUniform(-0.05,0.05)": partial(pynn.init.uniform, limit=0.05),
        "constant": partial(pynn.init.constant, value=0.01),
        "RandomNormal(0,0.25)": partial(pynn.init.normal, std=0.25),
        "RandomNormal(0,0.1)": partial(pynn.init.normal, std=0.1),
        "RandomNormal(0,0.05)": partial(pynn.init.normal, std=0.05),
        "glorot output": "xavier_uniform",
        "zeros": "zeros",
    }
    hidden = next(kind for name, kind in kinds.items() if text.startswith(name))
    for mark in ("output", "hidden, "):  # "A; output B", "A hidden, B output"
        rest = text.partition(f"; {mark} " if mark == "output" else mark)[2]
        last = [kind for name, kind in kinds.items() if rest.startswith(name)]
        if last:
            return hidden, last[0]
    return hidden, hidden if "hidden" not in text else "xavier_uniform"


def _optimizer(case: dict[str, Any]) -> pynn.Optimizer:
    extra = case["optimizer_extra"] or ""
    if case["optimizer"] == "adagrad":
        return pynn.Adagrad(case["lr"])
    if case["optimizer"] == "adam":
        return pynn.Adam(case["lr"], eps=1e-16 if "epsilon" in extra else 1e-7)
    return pynn.SGD(case["lr"], momentum=0.9 if "momentum" in extra else 0.0)


def assemble(plan: Plan, seed: int) -> Run:
    """Return the run of a plan."""
    split = plan.split
    if plan.one_hot:
        classes = plan.layers[-1]["units"]
        split = split._replace(y=data.one_hot(split.y, classes), yv=data.one_hot(split.yv, classes))
    model = pynn.Sequential(*_layers(plan), *plan.tail)
    penalties = [pynn.L2(2 * plan.penalty)] if plan.penalty else []
    trainer = pynn.Trainer(model, plan.loss, plan.optimizer, regularizers=penalties, seed=seed)
    return Run(
        trainer,
        split.x,
        split.y,
        split.validation,
        plan.epochs,
        plan.batch,
        callbacks=plan.callbacks,
        augment=plan.augment,
        metric="r2" if plan.regression else "accuracy",
    )


def _layers(plan: Plan) -> Iterable[pynn.Layer]:
    """Yield the layers; shapes follow from the data."""
    shape: tuple[int, ...] = plan.split.x.shape[1:]
    for index, layer in enumerate(plan.layers):
        kind = layer["type"]
        init = plan.last_init if index == len(plan.layers) - 1 else plan.init
        if kind == "dense":
            yield pynn.Linear(shape[0], layer["units"], init=init)
            shape = (layer["units"],)
        elif kind == "conv2d":
            size, same = layer["kernel"], layer.get("padding") == "same"
            padding = size // 2 if same else 0
            yield pynn.Conv2d(
                shape[0], layer["filters"], size, padding=padding, bias=layer.get("bias", True), init=init
            )
            shape = (layer["filters"], *(side + 2 * padding - size + 1 for side in shape[1:]))
        elif kind == "maxpool":
            yield pynn.MaxPool2d(layer["pool"])
            shape = (shape[0], *(side // layer["pool"] for side in shape[1:]))
        elif kind == "flatten":
            yield pynn.Flatten()
            shape = (int(np.prod(shape)),)
        elif kind == "batchnorm":
            norm = pynn.BatchNorm2d if len(shape) == 3 else pynn.BatchNorm1d
            yield norm(shape[0], momentum=plan.norm_momentum)
        elif kind == "dropout":
            yield pynn.Dropout(layer["rate"])
        act = layer.get("act", "linear")
        if act != "linear":
            yield ACTIVATIONS[act]()
