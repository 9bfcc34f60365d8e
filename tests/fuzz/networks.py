"""Random networks of all layers."""

import numpy as np

import pynn

WIDTHS = (1, 2, 3, 5, 7, 8, 9, 16, 17)


def pick(rng, *choices):
    """Return one of the choices."""
    return choices[int(rng.integers(len(choices)))]


class Categories(pynn.Layer):
    """A layer of the user's own that makes whole numbers from 0 to 2 of its input."""

    def forward(self, x, ctx):
        ctx.shape = x.shape
        return np.where(np.isfinite(x), np.floor(np.abs(x)) % 3, 0).astype(x.dtype)

    def backward(self, dy, ctx):
        return np.zeros(ctx.shape, dy.dtype)


class Doubled(pynn.Layer):
    """A layer of the user's own, which computes with NumPy: it cannot be recorded."""

    def forward(self, x, ctx):
        return 2 * x

    def backward(self, dy, ctx):
        return 2 * dy


def groups_of(rng, channels):
    """Return a number of groups that divides the channels."""
    return pick(rng, *(g for g in range(1, channels + 1) if channels % g == 0))


# Each maker is called with a random generator, the shape of an example and a dtype. It returns a layer and the shape of
# its output, or None where the layer does not take such examples.


def elementwise(make):
    return lambda rng, shape, dtype: (make(rng), shape)


def prelu(rng, shape, dtype):
    return pynn.PReLU(pick(rng, 1, shape[0]), init=pick(rng, 0.25, -0.5), dtype=dtype), shape


def linear(rng, shape, dtype):
    width = pick(rng, *WIDTHS)
    layer = pynn.Linear(shape[-1], width, bool(rng.integers(2)), init=pick(rng, None, "he_normal"), dtype=dtype)
    return layer, (*shape[:-1], width)


def maxout(rng, shape, dtype):
    if len(shape) > 1:
        return None
    width = pick(rng, *WIDTHS)
    return pynn.Maxout(shape[0], width, pieces=pick(rng, 1, 2, 3), dtype=dtype), (width,)


def batchnorm(rng, shape, dtype):
    kind = pynn.BatchNorm2d if len(shape) == 3 else pynn.BatchNorm1d
    return kind(shape[0], eps=pick(rng, 1e-5, 1e-3), momentum=pick(rng, 0.1, 0.5, 1.0), dtype=dtype), shape


def layernorm(rng, shape, dtype):
    over = shape[int(rng.integers(len(shape))) :]
    return pynn.LayerNorm(over, elementwise_affine=bool(rng.integers(2)), dtype=dtype), shape


def rmsnorm(rng, shape, dtype):
    over = shape[int(rng.integers(len(shape))) :]
    return pynn.RMSNorm(over, pick(rng, None, 1e-3), elementwise_affine=bool(rng.integers(2)), dtype=dtype), shape


def glu(rng, shape, dtype):
    axis = int(rng.integers(len(shape)))
    if shape[axis] % 2:
        return None
    dim = axis + 1 if rng.integers(2) else axis - len(shape)
    return pynn.GLU(dim), (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])


def shuffled(rng, shape, dtype):
    if len(shape) != 3:
        return None
    channels, height, width = shape
    r = pick(rng, 1, 2)
    if rng.integers(2) and channels % r**2 == 0 and max(height, width) < 12:
        return pynn.PixelShuffle(r), (channels // r**2, height * r, width * r)
    if height % r or width % r:
        return None
    return pynn.PixelUnshuffle(r), (channels * r**2, height // r, width // r)


def groupnorm(rng, shape, dtype):
    return pynn.GroupNorm(groups_of(rng, shape[0]), shape[0], affine=bool(rng.integers(2)), dtype=dtype), shape


def conv(rng, shape, dtype):
    if len(shape) == 1:
        return None
    channels, *positions = shape
    groups = groups_of(rng, channels)
    filters = groups * pick(rng, 1, 2, 3)
    kernel, stride, dilation = pick(rng, 1, 2, 3), pick(rng, 1, 1, 2), pick(rng, 1, 1, 2)
    padding = pick(rng, 0, 1, 2, "same" if stride == 1 else "valid")
    kind = pynn.Conv1d if len(shape) == 2 else pynn.Conv2d
    layer = kind(channels, filters, kernel, stride, padding, dilation, groups, bool(rng.integers(2)), dtype=dtype)
    reach = (kernel - 1) * dilation
    border = {"same": reach, "valid": 0}.get(padding, 2 * padding if isinstance(padding, int) else 0)
    sizes = [(size + border - reach - 1) // stride + 1 for size in positions]
    return (layer, (filters, *sizes)) if min(sizes) > 0 else None


def pooled(kind):
    def make(rng, shape, dtype):
        if len(shape) != 1 + len(kind.positions) or min(shape[1:]) < 3:
            return None
        kernel, stride, padding, ceil = pick(rng, 2, 3), pick(rng, None, 1, 2), pick(rng, 0, 1), bool(rng.integers(2))
        layer = kind(kernel, stride, padding, ceil_mode=ceil)
        y = pynn.Sequential(kind(kernel, stride, padding, ceil_mode=ceil))(np.zeros((1, *shape), np.float32))
        return layer, y.shape[1:]

    return make


def adaptive(kind):
    def make(rng, shape, dtype):
        size, dimensions = pick(rng, 1, 2, 3), len(kind.positions)
        uneven = issubclass(kind, pynn.AdaptiveMaxPool2d) and any(n % size for n in shape[1:])
        return (kind(size), (shape[0], *(size,) * dimensions)) if len(shape) == 1 + dimensions and not uneven else None

    return make


def zeros(kind):
    def make(rng, shape, dtype):
        if len(shape) != 1 + len(kind.positions) or max(shape[1:]) > 20:
            return None
        sides = [[pick(rng, 0, 1, 3, -1 if size > 2 else 2) for _ in range(2)] for size in shape[1:]]
        padding = tuple(size for pair in sides[::-1] for size in pair)
        return kind(padding), (shape[0], *(n + sum(pair) for n, pair in zip(shape[1:], sides, strict=True)))

    return make


def instancenorm(rng, shape, dtype):
    if len(shape) == 1 or np.prod(shape[1:]) < 2:
        return None
    kind = pynn.InstanceNorm2d if len(shape) == 3 else pynn.InstanceNorm1d
    return kind(shape[0], pick(rng, 1e-5, 1e-3), affine=bool(rng.integers(2)), dtype=dtype), shape


def unflatten(rng, shape, dtype):
    if len(shape) > 2:
        return None
    return pynn.Unflatten(1, (shape[0], 1)), (shape[0], 1, *shape[1:])


def transposed(rng, shape, dtype):
    if len(shape) == 1 or max(shape[1:]) > 12:
        return None
    groups = groups_of(rng, shape[0])
    filters, kernel, stride = groups * pick(rng, 1, 2), pick(rng, 1, 2, 3), pick(rng, 1, 2)
    padding, dilation = pick(rng, 0, 1), pick(rng, 1, 2)
    extra = pick(rng, 0, stride - 1)
    sizes = [(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1 for size in shape[1:]]
    kind = pynn.ConvTranspose2d if len(shape) == 3 else pynn.ConvTranspose1d
    layer = kind(
        shape[0], filters, kernel, stride, padding, extra, groups, bool(rng.integers(2)), dilation, dtype=dtype
    )
    return (layer, (filters, *sizes)) if min(sizes) > 0 else None


def upsample(rng, shape, dtype):
    if len(shape) != 3 or max(shape[1:]) > 12:
        return None
    corners = bool(rng.integers(2))
    layer = pick(
        rng,
        pynn.Upsample(size=(5, 4), mode=pick(rng, "nearest", "bilinear")),
        pynn.Upsample(scale_factor=1.5, mode="bilinear", align_corners=corners),
    )
    sizes = (5, 4) if layer.size else [int(size * 1.5) for size in shape[1:]]
    return layer, (shape[0], *sizes)


def embed_columns(rng, shape, dtype):
    """Categories made of whatever there is: nothing but a first layer takes them from the data."""
    if len(shape) > 1:
        return None
    cardinalities = [pick(rng, 0, 3) for _ in range(shape[0])]
    layer = pynn.EmbedColumns(cardinalities, pick(rng, 1, 2), dtype=dtype)
    whole = pynn.Sequential(Categories(), layer)
    return whole, (layer.out_features,)


def embedding(rng, shape, dtype):
    if len(shape) > 2:  # nothing takes more than images
        return None
    layer = pynn.Embedding(3, 2, pick(rng, None, 1), dtype=dtype)
    return pynn.Sequential(Categories(), layer), (*shape, 2)


def concat(rng, shape, dtype):
    if len(shape) == 1:
        branches = [pynn.Linear(shape[0], pick(rng, 1, 3), dtype=dtype), pynn.Sequential(pynn.ReLU()), pynn.Identity()]
        branches = branches[: int(rng.integers(1, 4))]
        given = branches[0].out_features + (len(branches) - 1) * shape[0]
        return pynn.Concat(*branches), (given,)
    return pynn.Concat(pynn.Tanh(), pynn.Identity()), (2 * shape[0], *shape[1:])


def flatten(rng, shape, dtype):
    return pynn.Flatten(), (int(np.prod(shape)),)


def dropout2d(rng, shape, dtype):
    return (pynn.Dropout2d(pick(rng, 0.0, 0.5)), shape) if len(shape) > 1 else None


def residual(rng, shape, dtype):
    inner, given = chain(rng, shape, dtype, int(rng.integers(1, 3)))
    if given == shape:
        shortcut = pick(rng, None, pynn.ReLU(), pynn.Sequential(Doubled()))
    elif len(shape) == len(given) == 1:
        shortcut = pynn.Linear(shape[0], given[0], dtype=dtype)
    else:
        return None
    return pynn.Residual(pynn.Sequential(*inner), shortcut), given


def average(rng, shape, dtype):
    if len(shape) > 1:
        return None
    branches = [pynn.Linear(shape[0], 3, dtype=dtype), pynn.Sequential(pynn.Linear(shape[0], 3, dtype=dtype))]
    return pynn.Average(*branches, weights=pick(rng, None, [1, 3])), (3,)


def nested(rng, shape, dtype):
    inner, given = chain(rng, shape, dtype, int(rng.integers(1, 4)))
    return pynn.Sequential(*inner), given


MAKERS = {
    "ReLU": elementwise(lambda rng: pynn.ReLU()),
    "LeakyReLU": elementwise(lambda rng: pynn.LeakyReLU(pick(rng, 0.01, 0.3))),
    "ELU": elementwise(lambda rng: pynn.ELU(pick(rng, 1.0, 0.4))),
    "SELU": elementwise(lambda rng: pynn.SELU()),
    "Sigmoid": elementwise(lambda rng: pynn.Sigmoid()),
    "Tanh": elementwise(lambda rng: pynn.Tanh()),
    "Softplus": elementwise(lambda rng: pynn.Softplus(pick(rng, 1.0, 3.0))),
    "GELU": elementwise(lambda rng: pynn.GELU(pick(rng, "none", "tanh"))),
    "SiLU": elementwise(lambda rng: pynn.SiLU()),
    "Mish": elementwise(lambda rng: pynn.Mish()),
    "LogSigmoid": elementwise(lambda rng: pynn.LogSigmoid()),
    "CELU": elementwise(lambda rng: pynn.CELU(pick(rng, 1.0, 0.4))),
    "ReLU6": elementwise(lambda rng: pynn.ReLU6()),
    "Hardsigmoid": elementwise(lambda rng: pynn.Hardsigmoid()),
    "Hardswish": elementwise(lambda rng: pynn.Hardswish()),
    "Softsign": elementwise(lambda rng: pynn.Softsign()),
    "Hardtanh": elementwise(lambda rng: pynn.Hardtanh(pick(rng, -1.0, 0.0), pick(rng, 0.5, 6.0))),
    "Softmax": elementwise(lambda rng: pynn.Softmax(pick(rng, -1, 1))),
    "LogSoftmax": elementwise(lambda rng: pynn.LogSoftmax(pick(rng, -1, 1))),
    "Identity": elementwise(lambda rng: pynn.Identity()),
    "Unflatten": unflatten,
    "InstanceNorm1d": instancenorm,
    "InstanceNorm2d": instancenorm,
    "PReLU": prelu,
    "Linear": linear,
    "Maxout": maxout,
    "BatchNorm1d": batchnorm,
    "BatchNorm2d": batchnorm,
    "LayerNorm": layernorm,
    "GroupNorm": groupnorm,
    "RMSNorm": rmsnorm,
    "GLU": glu,
    "PixelShuffle": shuffled,
    "PixelUnshuffle": shuffled,
    "Conv1d": conv,
    "Conv2d": conv,
    "MaxPool1d": pooled(pynn.MaxPool1d),
    "MaxPool2d": pooled(pynn.MaxPool2d),
    "AvgPool1d": pooled(pynn.AvgPool1d),
    "AvgPool2d": pooled(pynn.AvgPool2d),
    "AdaptiveAvgPool1d": adaptive(pynn.AdaptiveAvgPool1d),
    "AdaptiveAvgPool2d": adaptive(pynn.AdaptiveAvgPool2d),
    "AdaptiveMaxPool1d": adaptive(pynn.AdaptiveMaxPool1d),
    "AdaptiveMaxPool2d": adaptive(pynn.AdaptiveMaxPool2d),
    "ConvTranspose1d": transposed,
    "ConvTranspose2d": transposed,
    "ZeroPad1d": zeros(pynn.ZeroPad1d),
    "ZeroPad2d": zeros(pynn.ZeroPad2d),
    "Upsample": upsample,
    "Embedding": embedding,
    "EmbedColumns": embed_columns,
    "Concat": concat,
    "Flatten": flatten,
    "Dropout": elementwise(lambda rng: pynn.Dropout(pick(rng, 0.0, 0.3, 0.5, 1.0))),
    "Dropout2d": dropout2d,
    "Residual": residual,
    "Average": average,
    "Sequential": nested,
    "a user's own": elementwise(lambda rng: Doubled()),
}
_MAKERS = tuple(MAKERS.values())
#: These layers turn recording off, so that they must be rare.
_CHANCES = np.array(
    [0.2 if name in ("Average", "Embedding", "EmbedColumns", "a user's own") else 1.0 for name in MAKERS]
)
_CHANCES /= _CHANCES.sum()


def block(rng, shape):
    """Return makers of a linear layer or convolution, an activation, and a batch norm, in any order: some are fused."""
    activation = MAKERS[pick(rng, "ReLU", "Tanh", "GELU", "PReLU", "Identity")]
    makers = [linear if len(shape) == 1 else conv, activation, batchnorm]
    return [makers[place] for place in rng.permutation(3)]


def chain(rng, shape, dtype, count):
    """Return at least `count` random layers for examples of that shape, and the shape of what they give."""
    layers = []
    while len(layers) < count:
        if rng.random() < 0.1:
            for maker in block(rng, shape):
                layer, shape = maker(rng, shape, dtype) or (pynn.Identity(), shape)
                layers.append(layer)
            continue
        made = _MAKERS[int(rng.choice(len(_MAKERS), p=_CHANCES))](rng, shape, dtype)
        if made is not None:
            layers.append(made[0])
            shape = made[1]
    return layers, shape


def network(rng, dtype):
    """Return a random model, the shape of an example, and the number of outputs."""
    shape = pick(
        rng,
        (pick(rng, *WIDTHS),),
        (pick(rng, *WIDTHS),),
        (pick(rng, 1, 2, 4), pick(rng, 3, 8, 17)),
        (pick(rng, 1, 2, 3, 4), pick(rng, 3, 6, 8), pick(rng, 3, 7, 8)),
    )
    layers, given = chain(rng, shape, dtype, int(rng.integers(0, 5)))
    if len(given) > 1:
        layers.append(pynn.Flatten())
    autoencoder = len(shape) == 1 and rng.random() < 0.3
    outputs = shape[0] if autoencoder else pick(rng, 1, 2, 3, 10)
    layers.append(pynn.Linear(int(np.prod(given)), outputs, dtype=dtype))
    if rng.random() < 0.15:
        layers.append(pick(rng, pynn.ReLU(), pynn.Sigmoid(), pynn.GELU()))
    model = pynn.Sequential(*layers)
    for layer in model.all_layers():
        if rng.random() < 0.1:
            layer.freeze()
    return model, shape, outputs
