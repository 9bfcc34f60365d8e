"""The networks of the command line: fully connected, and convolutional for images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..nn import layers
from ..nn.sequential import Sequential
from ..preprocessing import ChannelStandardize, Standardize, Transformer
from ..training.named import ACTIVATIONS, make_hidden_layers
from .data import LoadedData

if TYPE_CHECKING:
    from ..datasets.tables.schema import Schema

# Defaults of the options.
DEFAULTS: dict[str, dict[str, Any]] = {
    "dense": {"hidden": (256, 128), "epochs": 40, "batch_size": 32},
    "cnn": {"hidden": (32, 64, 128), "epochs": 25, "batch_size": 64},
}

# Among features that share a unit, such as pixels, nearly constant ones carry little information and must not be scaled
# up to the size of the others: each variance is raised by this share of the mean variance.
VARIANCE_FLOOR = 0.1


def network(data: LoadedData, options: dict[str, Any]) -> Sequential:
    """Return the network that the options describe, with its preprocessing fitted to the training part."""
    convolutional = options["model"] == "cnn"
    outputs = len(data.class_names) if data.class_names else 1
    model = (_cnn if convolutional else _dense)(data, outputs, options)
    model.preprocessing = ChannelStandardize().fit(data.train[0]) if convolutional else _features(data)
    if data.class_names is None:
        model.target_preprocessing = Standardize().fit(data.train[1][:, None])
    model.class_names, model.input_schema = data.class_names, schema_of(data, options)
    return model


def schema_of(data: LoadedData, options: dict[str, Any]) -> Schema | None:
    """Return the schema of a table, which says by which loss its target is predicted unless that is the usual one."""
    if data.schema is None or options["loss"] is None:
        return data.schema
    return {**data.schema, "target": {**data.schema["target"], "loss": options["loss"]}}


def describe(model: Sequential, data: LoadedData, options: dict[str, Any]) -> str:
    """Return the network in a few words: "network 64-256-128-10", "cnn 3x32x32-32-64-128-10"."""
    shape = "x".join(map(str, data.train[0].shape[1:]))
    widths = [shape, *options["hidden"], len(data.class_names) if data.class_names else 1]
    parameters = sum(p.size for p in model.parameters())
    kind = "cnn" if options["model"] == "cnn" else "network"
    return f"{kind} {'-'.join(map(str, widths))}, {parameters:,} parameters"


def _dense(data: LoadedData, outputs: int, options: dict[str, Any]) -> Sequential:
    features = data.train[0].shape[1]
    dropout = _share(options["dropout"], 0.0 if data.class_names is None else 0.3)
    chain: list[layers.Layer] = []
    _add_dropout(chain, _share(options["input_dropout"], 0.1 if data.one_unit else 0.0))
    chain += make_hidden_layers(
        features, options["hidden"], options["activation"], batchnorm=options["batchnorm"], dropout=dropout
    )
    return Sequential(*chain, layers.Linear((features, *options["hidden"])[-1], outputs))


def _cnn(data: LoadedData, outputs: int, options: dict[str, Any]) -> Sequential:
    """Return stages of 3x3 convolutions, each followed by 2x2 pooling, then global average pooling and a linear layer.

    A stage has two convolutions (Simonyan & Zisserman 2015); the first has one, because its images are the largest.
    """
    make_activation, init = ACTIVATIONS[options["activation"]]
    if make_activation is None:
        raise click.BadOptionUsage("--activation", "--activation maxout is for --model dense")
    channels, *pixels = data.train[0].shape[1:]
    chain: list[layers.Layer] = []
    _add_dropout(chain, _share(options["input_dropout"], 0.0))
    for stage, width in enumerate(options["hidden"]):
        if min(pixels) < 2 ** (stage + 1):
            raise click.BadOptionUsage(
                "--hidden",
                f"images of {pixels[0]}x{pixels[1]} pixels can be halved {stage} times; --hidden has "
                f"{len(options['hidden'])} stages",
            )
        for _ in range(1 if stage == 0 else 2):
            chain.append(layers.Conv2d(channels, width, 3, padding=1, bias=not options["batchnorm"], init=init))
            if options["batchnorm"]:
                chain.append(layers.BatchNorm2d(width))
            chain.append(make_activation())
            channels = width
        chain.append(layers.MaxPool2d(2))
    chain += [layers.AdaptiveAvgPool2d(1), layers.Flatten()]
    _add_dropout(chain, _share(options["dropout"], 0.0))
    return Sequential(*chain, layers.Linear(channels, outputs))


def _share(given: float | None, usual: float) -> float:
    return usual if given is None else given


def _add_dropout(chain: list[layers.Layer], share: float) -> None:
    if share:
        chain.append(layers.Dropout(share))


def _features(data: LoadedData) -> Transformer:
    standardize = Standardize().fit(data.train[0])
    if data.one_unit:
        standardize.eps = VARIANCE_FLOOR * float(standardize.var_.mean())
    return standardize
