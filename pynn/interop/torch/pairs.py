"""The layers that pynn and PyTorch both have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...nn import layers
from ...nn.layers import Layer
from ...utils.config import parameters_of


class Pair(NamedTuple):
    """A layer and its counterpart. Settings have the same names and meanings in both, and so do arrays.

    Attributes
    ----------
    layer : type
    module : str
        The name of the class in `torch.nn`.
    fixed : mapping of str to tuple
        PyTorch's settings that pynn lacks, and the values at which both compute the same; `to_torch` takes the first.
    """

    layer: type[Layer]
    module: str
    fixed: Mapping[str, tuple[object, ...]] = {}

    @property
    def settings(self) -> list[str]:
        """The settings that both have."""
        weighted = "dtype" in parameters_of(self.layer)
        own = {"dtype", "init"} if weighted and self.layer is not layers.PReLU else {"dtype"}
        own |= {"sync"}  # for training on several ranks, which PyTorch has another class for
        return [name for name in parameters_of(self.layer) if name not in own]


_CONVOLUTION = {"padding_mode": ("zeros",)}
_NO_INDICES = {"return_indices": (False,)}
_RESIZED = {"recompute_scale_factor": (None, False)}
_ZEROS = {"value": (0,)}
_EMBEDDING = {"max_norm": (None,), "scale_grad_by_freq": (False,), "sparse": (False,)}
_INSTANCE_NORM = {"track_running_stats": (False,)}
_BATCH_NORM = {"affine": (True,), "track_running_stats": (True,)}

#: Where several modules stand for one layer, the last is what `to_torch` makes.
PAIRS = (
    Pair(layers.Linear, "Linear"),
    Pair(layers.Conv1d, "Conv1d", _CONVOLUTION),
    Pair(layers.Conv2d, "Conv2d", _CONVOLUTION),
    Pair(layers.ConvTranspose1d, "ConvTranspose1d", _CONVOLUTION),
    Pair(layers.ConvTranspose2d, "ConvTranspose2d", _CONVOLUTION),
    Pair(layers.ZeroPad1d, "ConstantPad1d", _ZEROS),
    Pair(layers.ZeroPad2d, "ConstantPad2d", _ZEROS),
    Pair(layers.ZeroPad1d, "ZeroPad1d"),
    Pair(layers.ZeroPad2d, "ZeroPad2d"),
    Pair(layers.Embedding, "Embedding", _EMBEDDING),
    Pair(layers.BatchNorm1d, "BatchNorm1d", _BATCH_NORM),
    Pair(layers.BatchNorm2d, "BatchNorm2d", _BATCH_NORM),
    Pair(layers.InstanceNorm1d, "InstanceNorm1d", _INSTANCE_NORM),
    Pair(layers.InstanceNorm2d, "InstanceNorm2d", _INSTANCE_NORM),
    Pair(layers.GroupNorm, "GroupNorm"),
    Pair(layers.LayerNorm, "LayerNorm"),
    Pair(layers.RMSNorm, "RMSNorm"),
    Pair(layers.MaxPool1d, "MaxPool1d", _NO_INDICES),
    Pair(layers.MaxPool2d, "MaxPool2d", _NO_INDICES),
    Pair(layers.AvgPool1d, "AvgPool1d"),
    Pair(layers.AvgPool2d, "AvgPool2d", {"divisor_override": (None,)}),
    Pair(layers.AdaptiveAvgPool1d, "AdaptiveAvgPool1d"),
    Pair(layers.AdaptiveAvgPool2d, "AdaptiveAvgPool2d"),
    Pair(layers.AdaptiveMaxPool1d, "AdaptiveMaxPool1d", _NO_INDICES),
    Pair(layers.AdaptiveMaxPool2d, "AdaptiveMaxPool2d", _NO_INDICES),
    Pair(layers.Upsample, "UpsamplingNearest2d", _RESIZED),
    Pair(layers.Upsample, "UpsamplingBilinear2d", _RESIZED),
    Pair(layers.Upsample, "Upsample", _RESIZED),
    Pair(layers.PixelShuffle, "PixelShuffle"),
    Pair(layers.PixelUnshuffle, "PixelUnshuffle"),
    Pair(layers.Dropout, "Dropout"),
    Pair(layers.Dropout2d, "Dropout1d"),
    Pair(layers.Dropout2d, "Dropout2d"),
    Pair(layers.Flatten, "Flatten", {"start_dim": (1,), "end_dim": (-1,)}),
    Pair(layers.Unflatten, "Unflatten"),
    Pair(layers.Identity, "Identity"),
    Pair(layers.Softmax, "Softmax"),
    Pair(layers.LogSoftmax, "LogSoftmax"),
    Pair(layers.ReLU, "ReLU"),
    Pair(layers.ReLU6, "ReLU6"),
    Pair(layers.LeakyReLU, "LeakyReLU"),
    Pair(layers.PReLU, "PReLU"),
    Pair(layers.ELU, "ELU"),
    Pair(layers.CELU, "CELU"),
    Pair(layers.SELU, "SELU"),
    Pair(layers.Sigmoid, "Sigmoid"),
    Pair(layers.LogSigmoid, "LogSigmoid"),
    Pair(layers.Hardsigmoid, "Hardsigmoid"),
    Pair(layers.Tanh, "Tanh"),
    Pair(layers.Hardtanh, "Hardtanh"),
    Pair(layers.Softsign, "Softsign"),
    # Beyond the threshold PyTorch returns x: at 40 that is exact in float64, at its default of 20 in float32.
    Pair(layers.Softplus, "Softplus", {"threshold": (40, 20)}),
    Pair(layers.GELU, "GELU"),
    Pair(layers.SiLU, "SiLU"),
    Pair(layers.GLU, "GLU"),
    Pair(layers.Hardswish, "Hardswish"),
    Pair(layers.Mish, "Mish"),
)

#: Layers that torch.nn does not have, and why.
WITHOUT: dict[type[Layer], str] = {
    layers.Average: "torch.nn has no average of branches",
    layers.Concat: "torch.nn has no concatenation of branches",
    layers.EmbedColumns: "torch.nn has no embedding of some columns",
    layers.Maxout: "torch.nn has no maxout",
    layers.Residual: "torch.nn has no residual block",
}

MODULE_OF = {pair.layer: pair for pair in PAIRS}
LAYER_OF = {pair.module: pair for pair in PAIRS}
