"""Instance normalisation: group norm with one group per channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...utils.validation import count
from ..context import Context
from ..recording import replayable
from .groupnorm import GroupNorm

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class InstanceNorm(GroupNorm):
    """Base class of `InstanceNorm1d` and `InstanceNorm2d`."""

    #: Names of the dimensions after the channels, for error messages.
    positions: tuple[str, ...] = ()

    def __init__(
        self, num_features: int, eps: float = 1e-5, *, affine: bool = False, dtype: DTypeLike = np.float32
    ) -> None:
        self.num_features = count(num_features, "num_features")
        super().__init__(num_features, num_features, eps, affine, dtype=dtype)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        kind = type(self).__name__
        if x.ndim != 2 + len(self.positions):
            expected = ", ".join(["batch", str(self.num_features), *self.positions])
            raise ValueError(f"{kind} got an input of shape {x.shape}; expected ({expected})")
        if x[:1, :1].size == 1 and ctx.training:
            raise ValueError(
                f"{kind} got an input of shape {x.shape}: a single position has no variance; expected more"
            )
        return super().forward(x, ctx)


class InstanceNorm1d(InstanceNorm):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with the statistics of each channel of each example.

    There are no running statistics, as in PyTorch with ``track_running_stats=False``, its default: training and
    inference are the same.

    Parameters
    ----------
    num_features : int
        Number of channels.
    eps : float
    affine : bool
        Whether to learn gamma and beta, one each per channel; keyword only.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    weight, bias : Parameter, shape (num_features,), or None
        gamma and beta, initialised to 1 and 0.

    Notes
    -----
    x is (batch, num_features, length), with a length of at least 2 in training. Ulyanov et al., Instance
    Normalization, 2016.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.InstanceNorm1d(2))(np.array([[[1.0, 3.0], [10.0, 30.0]]])).round(2)
    array([[[-1.,  1.],
            [-1.,  1.]]], dtype=float32)
    """

    positions = ("length",)


class InstanceNorm2d(InstanceNorm):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with the statistics of each channel of each image.

    Parameters
    ----------
    num_features, eps, affine, dtype
        As in `InstanceNorm1d`.

    Notes
    -----
    x is (batch, num_features, height, width), with at least 2 pixels in training.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.InstanceNorm2d(1))(np.array([[[[1.0, 3.0]]]])).round(2)
    array([[[[-1.,  1.]]]], dtype=float32)
    """

    positions = ("height", "width")
