"""Write the reference values of layers that the tests compare with; needs PyTorch (those stored are from 2.13.0, CPU).

``layers.npz`` holds for each case the input, the output, its gradient, those of the input and of the parameters.
Run ``python make_torch_layer_vectors.py``; the file lands beside this script.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent

MAPS, SEQUENCES = (2, 4, 5, 6), (3, 4, 9)
#: Name -> layer, shape of the input.
CASES = {
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3), MAPS),
    "transposed stride": (
        lambda: nn.ConvTranspose2d(4, 3, (3, 2), stride=(2, 3), padding=1, output_padding=(1, 2)),
        MAPS,
    ),
    "transposed groups": (lambda: nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1, groups=2, bias=False), MAPS),
    "transposed dilation": (lambda: nn.ConvTranspose2d(4, 2, 3, padding=2, dilation=2), MAPS),
    "nearest size": (lambda: nn.Upsample(size=(7, 3)), MAPS),
    "nearest factor": (lambda: nn.Upsample(scale_factor=2.5), MAPS),
    "nearest pair": (lambda: nn.Upsample(scale_factor=(3, 0.5)), MAPS),
    "bilinear factor": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), MAPS),
    "bilinear fraction": (lambda: nn.Upsample(scale_factor=1.7, mode="bilinear"), MAPS),
    "bilinear smaller": (lambda: nn.Upsample(size=(3, 4), mode="bilinear"), MAPS),
    "bilinear corners": (lambda: nn.Upsample(size=(9, 11), mode="bilinear", align_corners=True), MAPS),
    "bilinear to one": (lambda: nn.Upsample(size=(1, 2), mode="bilinear", align_corners=True), MAPS),
    "instance 1d": (lambda: nn.InstanceNorm1d(4), (3, 4, 7)),
    "instance 2d": (lambda: nn.InstanceNorm2d(4, eps=1e-3, affine=True), MAPS),
    "softmax channels": (lambda: nn.Softmax(1), MAPS),
    "log softmax": (lambda: nn.LogSoftmax(-1), (5, 9)),
    "mish": (nn.Mish, (5, 9)),
    "hardswish": (nn.Hardswish, (5, 9)),
    "hardsigmoid": (nn.Hardsigmoid, (5, 9)),
    "hardtanh": (lambda: nn.Hardtanh(-0.5, 2.0), (5, 9)),
    "relu6": (nn.ReLU6, (5, 9)),
    "celu": (lambda: nn.CELU(0.5), (5, 9)),
    "softsign": (nn.Softsign, (5, 9)),
    "logsigmoid": (nn.LogSigmoid, (5, 9)),
    "embedding": (lambda: nn.Embedding(7, 3, padding_idx=2), "indices"),
    "transposed 1d": (lambda: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2, dilation=2), SEQUENCES),
    "max pool 1d": (lambda: nn.MaxPool1d(3, 2, 1, ceil_mode=True), SEQUENCES),
    "max pool 1d dilation": (lambda: nn.MaxPool1d(3, 1, dilation=2), SEQUENCES),
    "avg pool 1d": (lambda: nn.AvgPool1d(4, 2, 1, ceil_mode=True), SEQUENCES),
    "avg pool 1d alone": (lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False), SEQUENCES),
    "adaptive avg 1d": (lambda: nn.AdaptiveAvgPool1d(4), SEQUENCES),
    "adaptive max 1d": (lambda: nn.AdaptiveMaxPool1d(3), SEQUENCES),
    "adaptive max 2d": (lambda: nn.AdaptiveMaxPool2d((1, 3)), MAPS),
    "zeros 1d": (lambda: nn.ZeroPad1d((2, 1)), SEQUENCES),
    "zeros 1d cut": (lambda: nn.ZeroPad1d((-2, 3)), SEQUENCES),
    "zeros 2d": (lambda: nn.ZeroPad2d((1, 2, 3, 0)), MAPS),
    "zeros 2d rows": (lambda: nn.ZeroPad2d((0, 0, 1, 2)), MAPS),
    "zeros 2d columns": (lambda: nn.ZeroPad2d((3, 1, 0, 0)), MAPS),
    "zeros 2d cut": (lambda: nn.ZeroPad2d((-1, 2, 1, -2)), MAPS),
    "rms": (lambda: nn.RMSNorm(6), MAPS),
    "rms of maps": (lambda: nn.RMSNorm((5, 6), 1e-2, elementwise_affine=False), MAPS),
    "glu": (nn.GLU, MAPS),
    "glu channels": (lambda: nn.GLU(1), SEQUENCES),
    "shuffle": (lambda: nn.PixelShuffle(2), MAPS),
    "unshuffle": (lambda: nn.PixelUnshuffle(2), (2, 3, 4, 6)),
}


def vectors() -> dict[str, np.ndarray]:
    """Return the arrays of all cases, in float64."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    result = {}
    for name, (make, shape) in CASES.items():
        layer = make().double()
        if shape == "indices":
            x = torch.tensor(rng.integers(7, size=(6, 4)))
        else:
            x = torch.tensor(4 * rng.normal(size=shape), requires_grad=True)
        y = layer(x)
        dy = torch.tensor(rng.normal(size=y.shape))
        y.backward(dy)
        result |= {f"{name}.x": x.detach().numpy(), f"{name}.y": y.detach().numpy(), f"{name}.dy": dy.numpy()}
        if x.grad is not None:
            result[f"{name}.dx"] = x.grad.numpy()
        for parameter, value in layer.named_parameters():
            result[f"{name}.{parameter}"] = value.detach().numpy()
            result[f"{name}.d{parameter}"] = value.grad.numpy()
    return result


if __name__ == "__main__":
    np.savez_compressed(HERE / "layers.npz", **vectors())
