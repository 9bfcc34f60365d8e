"""Networks and preprocessing that are written to ONNX and read again: of every layer and random ones."""

import numpy as np
from fuzz import networks

import pynn
from pynn import preprocessing as pre


class Doubled(networks.Doubled):
    """A layer of the user's own that says what it is in ONNX."""

    def to_onnx(self, graph, x):
        return graph.add("Add", x, x)


def varied(model, rng):
    """Give norms and running statistics values that are not 0 and 1; return the model."""
    for layer in model.all_layers():
        for name, low in (("running_mean", -1), ("running_var", 0.5)):
            if hasattr(layer, name):
                getattr(layer, name)[...] = rng.uniform(low, low + 1.5, layer.running_mean.shape)
    for parameter in model.parameters():
        if parameter.data.ndim == 1:
            parameter.data[...] = rng.normal(size=parameter.data.shape)
    return model


def _exportable(layer):
    """Return the layer with the user's own layers replaced by those that can be written."""
    for inner in layer.all_layers():
        if type(inner) is networks.Doubled:
            inner.__class__ = Doubled
    return layer


def random_network(rng, dtype):
    """Return a random network, perhaps with preprocessing of data and targets, and a batch of raw data."""
    jumps = True
    while jumps:  # categories of computed numbers change with their last digit
        model, shape, outputs = networks.network(rng, np.dtype(dtype))
        jumps = any(isinstance(layer, networks.Categories) for layer in model.all_layers())
    x = rng.normal(3, 2, size=(40, *shape))
    transformers = [
        None, None, pre.Center(), pre.Standardize(), pre.Standardize(limit=1.5), pre.MinMax((-1, 1), clip=True),
        pre.PCA(), pre.PCAWhiten(), pre.ZCA(), pre.Pipeline([pre.Standardize(), pre.PCAWhiten(eps=0.1)]),
    ]  # fmt: skip
    if len(shape) == 3:
        transformers += [pre.ChannelStandardize(), pre.ChannelCenter()]
    transformer = networks.pick(rng, *transformers)
    if transformer is not None and transformer.fit(x).transform(x).shape == x.shape:
        model.preprocessing = transformer
    if rng.random() < 0.2:
        model.target_preprocessing = pre.Standardize().fit(rng.normal(1e3, 5, size=(20, outputs)))
    return varied(_exportable(model), rng), x[:5].astype(dtype)


def of(*layers):
    return pynn.Sequential(*layers)


#: A network for each layer, and the shape of an example.
LAYERS = {
    "AdaptiveAvgPool2d": (lambda: of(pynn.AdaptiveAvgPool2d(1)), (3, 7, 6)),
    "AdaptiveAvgPool2d, even": (lambda: of(pynn.AdaptiveAvgPool2d((2, 3))), (3, 8, 6)),
    "AdaptiveAvgPool2d, uneven": (lambda: of(pynn.AdaptiveAvgPool2d((3, 4))), (3, 7, 6)),
    "AdaptiveAvgPool1d": (lambda: of(pynn.AdaptiveAvgPool1d(1)), (3, 7)),
    "AdaptiveAvgPool1d, even": (lambda: of(pynn.AdaptiveAvgPool1d(3)), (3, 6)),
    "AdaptiveAvgPool1d, uneven": (lambda: of(pynn.AdaptiveAvgPool1d(3)), (3, 7)),
    "AdaptiveMaxPool1d": (lambda: of(pynn.AdaptiveMaxPool1d(1)), (3, 7)),
    "AdaptiveMaxPool1d, of parts": (
        lambda: of(pynn.Linear(4, 6), pynn.Unflatten(1, (2, 3)), pynn.AdaptiveMaxPool1d(1), pynn.Flatten()), (4,)
    ),
    "AdaptiveMaxPool2d": (lambda: of(pynn.AdaptiveMaxPool2d(1)), (3, 7, 6)),
    "AdaptiveMaxPool2d, even": (lambda: of(pynn.AdaptiveMaxPool2d((2, 3))), (3, 8, 6)),
    "Average": (lambda: of(pynn.Average(pynn.Linear(4, 2), of(pynn.Linear(4, 2), pynn.ReLU()), weights=[1, 3])), (4,)),
    "Average, of one": (lambda: of(pynn.Average(of(pynn.Linear(4, 2), pynn.ReLU()))), (4,)),
    "AvgPool1d": (lambda: of(pynn.AvgPool1d(3, 2, 1), pynn.AvgPool1d(2, 1, ceil_mode=True)), (2, 11)),
    "AvgPool1d, ceil": (lambda: of(pynn.AvgPool1d(3, 2, 1, ceil_mode=True)), (2, 8)),
    "AvgPool2d": (lambda: of(pynn.AvgPool2d(3, 2, 1)), (2, 7, 8)),
    "AvgPool2d, ceil": (lambda: of(pynn.AvgPool2d(3, 2, 1, ceil_mode=True)), (2, 8, 7)),
    "AvgPool2d, alone": (lambda: of(pynn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)), (2, 8, 7)),
    "BatchNorm1d": (lambda: of(pynn.BatchNorm1d(5, eps=1e-3)), (5,)),
    "BatchNorm1d, sequences": (lambda: of(pynn.Conv1d(2, 5, 3), pynn.BatchNorm1d(5)), (2, 7)),
    "BatchNorm2d": (lambda: of(pynn.BatchNorm2d(3)), (3, 4, 5)),
    "CELU": (lambda: of(pynn.CELU(0.7), pynn.CELU()), (4,)),
    "Concat": (lambda: of(pynn.Concat(pynn.Linear(3, 2), pynn.Identity(), of(pynn.Tanh())), pynn.Linear(8, 2)), (3,)),
    "Concat, of one": (lambda: of(pynn.Concat(pynn.ReLU())), (3,)),
    "Concat, images": (lambda: of(pynn.Concat(pynn.Conv2d(2, 3, 3, padding=1), pynn.ReLU())), (2, 4, 5)),
    "Conv1d": (lambda: of(pynn.Conv1d(4, 6, 3, 2, 1, 2, 2)), (4, 13)),
    "Conv2d": (lambda: of(pynn.Conv2d(4, 6, (3, 2), (1, 2), (2, 1), groups=2)), (4, 9, 8)),
    "Conv2d, same": (lambda: of(pynn.Conv2d(2, 3, (2, 3), padding="same", bias=False)), (2, 5, 6)),
    "ConvTranspose1d": (lambda: of(pynn.ConvTranspose1d(4, 6, 3, 2, 1, 1, dilation=2), pynn.Tanh()), (4, 5)),
    "ConvTranspose2d": (lambda: of(pynn.ConvTranspose2d(4, 6, 3, 2, 1, 1, dilation=2)), (4, 5, 6)),
    "ConvTranspose2d, groups": (lambda: of(pynn.ConvTranspose2d(4, 6, 3, 2, 1, groups=2)), (4, 5, 6)),
    "ConvTranspose2d, plain": (lambda: of(pynn.ConvTranspose2d(2, 3, (2, 3), bias=False), pynn.Tanh()), (2, 5, 6)),
    "Dropout": (lambda: of(pynn.Linear(3, 3), pynn.Dropout(0.5)), (3,)),
    "Dropout2d": (lambda: of(pynn.Conv2d(2, 2, 1), pynn.Dropout2d()), (2, 3, 3)),
    "ELU": (lambda: of(pynn.ELU(0.5)), (4,)),
    "EmbedColumns": (lambda: of(pynn.EmbedColumns([0, 4, 0, 3], [2, 5]), pynn.Linear(9, 2)), (4,)),
    "Embedding": (lambda: of(pynn.Embedding(3, 2), pynn.Flatten(), pynn.Linear(8, 2)), (4,)),
    "Flatten": (lambda: of(pynn.Flatten()), (2, 3, 4)),
    "GELU": (lambda: of(pynn.GELU(), pynn.GELU("tanh")), (4,)),
    "GroupNorm": (lambda: of(pynn.GroupNorm(2, 6), pynn.GroupNorm(3, 6, affine=False)), (6, 3, 4)),
    "GroupNorm, vectors": (lambda: of(pynn.GroupNorm(2, 6, eps=0.1)), (6,)),
    "GLU": (lambda: of(pynn.Linear(3, 8), pynn.GLU(), pynn.GLU(1)), (3,)),
    "GLU, channels": (lambda: of(pynn.GLU(1), pynn.GLU()), (4, 3, 6)),
    "Hardsigmoid": (lambda: of(pynn.Hardsigmoid()), (9,)),
    "Hardswish": (lambda: of(pynn.Linear(3, 9), pynn.Hardswish()), (3,)),
    "Hardtanh": (lambda: of(pynn.Hardtanh(-0.5, 0.8), pynn.Hardtanh()), (9,)),
    "Identity": (lambda: of(pynn.Identity(), pynn.Linear(3, 2)), (3,)),
    "InstanceNorm1d": (lambda: of(pynn.InstanceNorm1d(3), pynn.InstanceNorm1d(3, 0.1, affine=True)), (3, 7)),
    "InstanceNorm2d": (lambda: of(pynn.InstanceNorm2d(3), pynn.InstanceNorm2d(3, 0.1, affine=True)), (3, 4, 5)),
    "LayerNorm": (lambda: of(pynn.LayerNorm(4), pynn.LayerNorm((3, 4)), pynn.LayerNorm(4, 0.1, False)), (3, 4)),
    "LeakyReLU": (lambda: of(pynn.LeakyReLU(0.3)), (4,)),
    "Linear": (lambda: of(pynn.Linear(3, 5), pynn.Linear(5, 2, bias=False)), (3,)),
    "Linear, rows": (
        lambda: of(pynn.Linear(3, 5), pynn.ReLU(), pynn.Linear(5, 4), pynn.Linear(4, 2, bias=False)), (6, 3)
    ),
    "Linear, images": (lambda: of(pynn.Linear(3, 5), pynn.Tanh(), pynn.Flatten(), pynn.Linear(40, 2)), (4, 2, 3)),
    "LogSigmoid": (lambda: of(pynn.LogSigmoid()), (9,)),
    "LogSoftmax": (lambda: of(pynn.Conv2d(2, 3, 1), pynn.LogSoftmax(1)), (2, 4, 4)),
    "MaxPool1d": (lambda: of(pynn.MaxPool1d(3, 2, 1, ceil_mode=True), pynn.MaxPool1d(2, 1, dilation=2)), (2, 10)),
    "MaxPool2d": (lambda: of(pynn.MaxPool2d(3, 2, 1, ceil_mode=True), pynn.MaxPool2d(2, 1, dilation=2)), (2, 9, 10)),
    "Maxout": (lambda: of(pynn.Maxout(3, 4, pieces=3)), (3,)),
    "Mish": (lambda: of(pynn.Mish()), (9,)),
    "PReLU": (lambda: of(pynn.PReLU(), pynn.Conv2d(2, 3, 1), pynn.PReLU(3)), (2, 4, 4)),
    "PixelShuffle": (lambda: of(pynn.PixelShuffle(2), pynn.Conv2d(2, 9, 1), pynn.PixelShuffle(3)), (8, 3, 2)),
    "PixelUnshuffle": (lambda: of(pynn.PixelUnshuffle(2), pynn.ReLU(), pynn.PixelUnshuffle(1)), (2, 6, 4)),
    "RMSNorm": (lambda: of(pynn.RMSNorm(4), pynn.RMSNorm((3, 4), 0.1), pynn.RMSNorm(4, None, False)), (3, 4)),
    "ReLU": (lambda: of(pynn.ReLU()), (4,)),
    "ReLU6": (lambda: of(pynn.Linear(3, 30), pynn.ReLU6()), (3,)),
    "Residual": (
        lambda: of(
            pynn.Residual(of(pynn.Conv2d(2, 4, 3, padding=1), pynn.ReLU()), pynn.Conv2d(2, 4, 1)),
            pynn.Residual(of(pynn.Tanh())),
        ),
        (2, 5, 5),
    ),
    "Residual, nested": (
        lambda: of(pynn.Residual(of(pynn.Residual(pynn.Linear(3, 3)), pynn.Dropout()), pynn.ReLU())), (3,)
    ),
    "Residual, of nothing": (lambda: of(pynn.ReLU(), pynn.Residual(pynn.Dropout())), (3,)),
    "SELU": (lambda: of(pynn.SELU()), (4,)),
    "SiLU": (lambda: of(pynn.SiLU()), (4,)),
    "Sequential": (lambda: of(of(of(pynn.Linear(3, 3)), pynn.ReLU()), of()), (3,)),
    "Sigmoid": (lambda: of(pynn.Sigmoid()), (4,)),
    "Softmax": (lambda: of(pynn.Linear(3, 4), pynn.Softmax(), pynn.Linear(4, 4), pynn.Softmax(1)), (3,)),
    "Softplus": (lambda: of(pynn.Softplus(), pynn.Softplus(2)), (4,)),
    "Softsign": (lambda: of(pynn.Softsign()), (4,)),
    "Tanh": (lambda: of(pynn.Tanh()), (4,)),
    "Unflatten": (lambda: of(pynn.Linear(3, 24), pynn.Unflatten(1, (2, 12)), pynn.Unflatten(2, (3, 4))), (3,)),
    "Upsample": (lambda: of(pynn.Upsample(scale_factor=2), pynn.Upsample((9, 7))), (2, 3, 4)),
    "Upsample, bilinear": (
        lambda: of(pynn.Upsample(None, (2, 1.5), "bilinear"), pynn.Upsample((5, 9), None, "bilinear", True)),
        (2, 3, 4),
    ),
    "ZeroPad1d": (lambda: of(pynn.ZeroPad1d((2, 0)), pynn.ReLU(), pynn.ZeroPad1d((1, 3))), (2, 5)),
    "ZeroPad1d, cut": (lambda: of(pynn.ZeroPad1d((-1, 3))), (2, 5)),
    "ZeroPad2d": (lambda: of(pynn.ZeroPad2d((1, 2, 0, 3)), pynn.ReLU(), pynn.ZeroPad2d((2, 0, 0, 1))), (2, 5, 4)),
    "ZeroPad2d, cut": (lambda: of(pynn.ZeroPad2d((2, -1, -2, 1))), (2, 5, 4)),
    "ZeroPad2d, pooled": (lambda: of(pynn.ZeroPad2d(2), pynn.AvgPool2d(2), pynn.AvgPool2d(3, 1, 1)), (2, 5, 4)),
    "ZeroPad2d, uncounted": (
        lambda: of(pynn.ZeroPad2d(1), pynn.AvgPool2d(3, 1, 1, count_include_pad=False), pynn.ReLU()), (2, 5, 4)
    ),
}  # fmt: skip


def of_layer(name, dtype, rng):
    """Return the network of `LAYERS` by that name, and a batch."""
    make, shape = LAYERS[name]
    pynn.manual_seed(3)
    model = make()
    if model.parameters():
        model.astype(dtype)
    x = rng.integers(3, size=(5, *shape)) if name.startswith("Embed") else rng.normal(size=(5, *shape))
    return varied(model, rng), x.astype(dtype)
