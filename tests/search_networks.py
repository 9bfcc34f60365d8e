"""Networks of every layer, with every loss, for searches that other processes run: found by name, in tiny sizes."""

import numpy as np

import pynn
from pynn import search

#: Shapes of an example.
VECTOR, SEQUENCE, IMAGE = (6,), (3, 8), (2, 6, 6)
ROWS, OUTPUTS = 48, 3


class Categories(pynn.Layer):
    """A layer of the user's own that makes whole numbers from 0 to 2 of its input."""

    def forward(self, x, ctx):
        ctx.shape = x.shape
        return (np.floor(np.abs(x)) % 3).astype(x.dtype)

    def backward(self, dy, ctx):
        return np.zeros(ctx.shape, dy.dtype)


def own_loss(prediction, target):
    return float(((prediction - target) ** 2).mean()), 2 * (prediction - target) / prediction.size


# Layers, by what an example is like. Each stands first, where it sees the data itself, and again further on.
VECTORS = {
    "Linear": lambda n: pynn.Linear(n, n),
    "Maxout": lambda n: pynn.Maxout(n, n, pieces=2),
    "PReLU": lambda n: pynn.PReLU(n),
    "BatchNorm1d": lambda n: pynn.BatchNorm1d(n),
    "LayerNorm": lambda n: pynn.LayerNorm(n),
    "RMSNorm": lambda n: pynn.RMSNorm(n),
    "GLU": lambda n: pynn.Sequential(pynn.Linear(n, 2 * n), pynn.GLU()),
    "GroupNorm": lambda n: pynn.GroupNorm(2, n),
    "Dropout": lambda n: pynn.Dropout(0.3),
    "ReLU": lambda n: pynn.ReLU(),
    "LeakyReLU": lambda n: pynn.LeakyReLU(),
    "ELU": lambda n: pynn.ELU(),
    "SELU": lambda n: pynn.SELU(),
    "GELU": lambda n: pynn.GELU(),
    "SiLU": lambda n: pynn.SiLU(),
    "Mish": lambda n: pynn.Mish(),
    "LogSigmoid": lambda n: pynn.LogSigmoid(),
    "CELU": lambda n: pynn.CELU(),
    "ReLU6": lambda n: pynn.ReLU6(),
    "Hardsigmoid": lambda n: pynn.Hardsigmoid(),
    "Hardswish": lambda n: pynn.Hardswish(),
    "Hardtanh": lambda n: pynn.Hardtanh(),
    "Softsign": lambda n: pynn.Softsign(),
    "Softmax": lambda n: pynn.Softmax(),
    "LogSoftmax": lambda n: pynn.LogSoftmax(),
    "Identity": lambda n: pynn.Identity(),
    "Sigmoid": lambda n: pynn.Sigmoid(),
    "Softplus": lambda n: pynn.Softplus(),
    "Tanh": lambda n: pynn.Tanh(),
    "Flatten": lambda n: pynn.Flatten(),
    "Unflatten": lambda n: pynn.Sequential(pynn.Unflatten(1, (2, n // 2)), pynn.Flatten()),
    "Residual": lambda n: pynn.Residual(pynn.Sequential(pynn.Linear(n, n), pynn.ReLU())),
    "Average": lambda n: pynn.Average(pynn.Linear(n, n), pynn.Sequential(pynn.Linear(n, n), pynn.ReLU())),
    "Concat": lambda n: pynn.Sequential(pynn.Concat(pynn.Linear(n, 3), pynn.Linear(n, n - 3))),
    "Embedding": lambda n: pynn.Sequential(Categories(), pynn.Embedding(3, 1), pynn.Flatten()),
    "EmbedColumns": lambda n: pynn.Sequential(Categories(), pynn.EmbedColumns([3] * n, 1)),
    "Sequential": lambda n: pynn.Sequential(pynn.Linear(n, n), pynn.Tanh()),
}
SEQUENCES = {
    "Conv1d": lambda n: pynn.Conv1d(n, n, 3, padding=1),
    "BatchNorm1d": lambda n: pynn.BatchNorm1d(n),
    "ConvTranspose1d": lambda n: pynn.ConvTranspose1d(n, n, 3, padding=1),
    "MaxPool1d": lambda n: pynn.MaxPool1d(3, 1, 1),
    "AvgPool1d": lambda n: pynn.AvgPool1d(3, 1, 1),
    "AdaptiveAvgPool1d": lambda n: pynn.AdaptiveAvgPool1d(SEQUENCE[1]),
    "AdaptiveMaxPool1d": lambda n: pynn.AdaptiveMaxPool1d(SEQUENCE[1]),
    "ZeroPad1d": lambda n: pynn.ZeroPad1d((1, -1)),
    "GroupNorm": lambda n: pynn.GroupNorm(1, n),
    "InstanceNorm1d": lambda n: pynn.InstanceNorm1d(n),
    "LayerNorm": lambda n: pynn.LayerNorm((n, SEQUENCE[1])),
}
IMAGES = {
    "Conv2d": lambda n: pynn.Conv2d(n, n, 3, padding=1),
    "Conv2d, 1 x 1": lambda n: pynn.Conv2d(n, n, 1),
    "Conv2d by channels": lambda n: pynn.Conv2d(n, n, 3, padding=1, groups=n),
    "BatchNorm2d": lambda n: pynn.BatchNorm2d(n),
    "GroupNorm": lambda n: pynn.GroupNorm(2, n),
    "InstanceNorm2d": lambda n: pynn.InstanceNorm2d(n, affine=True),
    "LayerNorm": lambda n: pynn.LayerNorm((n, *IMAGE[1:])),
    "PReLU": lambda n: pynn.PReLU(n),
    "Dropout2d": lambda n: pynn.Dropout2d(0.3),
    "ConvTranspose2d": lambda n: pynn.ConvTranspose2d(n, n, 3, padding=1),
    "PixelShuffle": lambda n: pynn.Sequential(pynn.PixelUnshuffle(2), pynn.PixelShuffle(2)),
    "PixelUnshuffle": lambda n: pynn.Sequential(pynn.PixelUnshuffle(3), pynn.PixelShuffle(3)),
    "Upsample": lambda n: pynn.Upsample(IMAGE[1:], mode="bilinear"),
    "MaxPool2d": lambda n: pynn.MaxPool2d(3, 1, 1),
    "AvgPool2d": lambda n: pynn.AvgPool2d(3, 1, 1),
    "AdaptiveAvgPool2d": lambda n: pynn.AdaptiveAvgPool2d(IMAGE[1]),
    "AdaptiveMaxPool2d": lambda n: pynn.AdaptiveMaxPool2d(IMAGE[1]),
    "ZeroPad2d": lambda n: pynn.ZeroPad2d((1, -1, -1, 1)),
    "Residual": lambda n: pynn.Residual(pynn.Sequential(pynn.Conv2d(n, n, 3, padding=1), pynn.ReLU())),
}
LAYERS = {VECTOR: VECTORS, SEQUENCE: SEQUENCES, IMAGE: IMAGES}

#: Losses, by what the targets are.
LOSSES = {
    "labels": {
        "CrossEntropyLoss": lambda: pynn.CrossEntropyLoss(),
        "CrossEntropyLoss, smoothed": lambda: pynn.CrossEntropyLoss(label_smoothing=0.1),
        "FocalLoss": lambda: pynn.FocalLoss(),
        "NLLLoss": lambda: pynn.NLLLoss(),
        "HingeLoss": lambda: pynn.HingeLoss(),
        "MultiMarginLoss": lambda: pynn.MultiMarginLoss(),
    },
    "values": {
        "MSELoss": lambda: pynn.MSELoss(),
        "L1Loss": lambda: pynn.L1Loss(),
        "SmoothL1Loss": lambda: pynn.SmoothL1Loss(),
        "HuberLoss": lambda: pynn.HuberLoss(),
        "QuantileLoss": lambda: pynn.QuantileLoss(0.8),
        "FunctionLoss": lambda: own_loss,
    },
    "shares": {
        "BCEWithLogitsLoss": lambda: pynn.BCEWithLogitsLoss(),
        "PoissonNLLLoss": lambda: pynn.PoissonNLLLoss(),
        "KLDivLoss": lambda: pynn.KLDivLoss(),
    },
}
OPTIMIZERS = {"sgd": pynn.SGD, "adam": pynn.Adam, "rmsprop": pynn.RMSprop, "adagrad": pynn.Adagrad, "adamw": pynn.AdamW}


def data(shape, targets, dtype=np.float32):
    """Return ROWS examples, two thirds of them to train on."""
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(size=(ROWS, *shape)).astype(dtype)
    scores = x.reshape(ROWS, -1) @ rng.normal(size=(int(np.prod(shape)), OUTPUTS)).astype(dtype)
    y = {"labels": scores.argmax(1), "values": scores, "shares": (scores > 0).astype(dtype)}[targets]
    split = 2 * ROWS // 3
    return (x[:split], y[:split]), (x[split:], y[split:])


def build(params):
    shape, targets = tuple(map(int, params["shape"].split())), params["targets"]
    make, channels = LAYERS[shape][params["layer"]], shape[0]
    mix = {1: pynn.Linear, 2: pynn.Conv1d, 3: pynn.Conv2d}[len(shape)]
    between = mix(channels, channels, *(() if len(shape) == 1 else (1,)))
    head = pynn.Linear(int(np.prod(shape)), OUTPUTS)
    model = pynn.Sequential(make(channels), between, make(channels), pynn.Flatten(), head)
    optimizer = OPTIMIZERS[params["optimizer"]](1e-2)
    return pynn.Trainer(model, LOSSES[targets][params["loss"]](), optimizer, clip_norm=5.0, seed=1)


def space(shape, targets, **fixed):
    """Return a space with all layers and losses that take such examples and targets."""
    options = {
        "shape": [" ".join(map(str, shape))],
        "targets": [targets],
        "layer": list(LAYERS[shape]),
        "loss": list(LOSSES[targets]),
        "optimizer": ["sgd"],
    }
    return {name: search.Choice(*choices) for name, choices in (options | fixed).items()}


def find(shape, targets, given=None, **settings):
    """Search through all layers and losses for such examples, some of them trained on."""
    searched = space(shape, targets, **settings.pop("fixed", {}))
    trials = int(np.prod([len(parameter.options) for parameter in searched.values()]))
    stages = (search.Stage(trials, 2), search.Stage(0, 3, survivors=3))
    settings = {"sampler": "grid", "metric": "val_loss", "batch_size": 7, "end_early": False} | settings
    train, validation = data(shape, targets) if given is None else given
    return search.run(build, searched, train, validation, stages=stages, **settings)
