"""A monitor for the training loops of other libraries: `pynn.watch_torch` watches PyTorch's.

`watch` is what the user calls, and `hooks` what PyTorch calls; `run` is what the monitor reads in place of a trainer;
`network`, `losses` and `optimizers` show PyTorch's objects to it as pynn's.
"""

from .watch import TorchWatch, watch_torch

__all__ = ["TorchWatch", "watch_torch"]
