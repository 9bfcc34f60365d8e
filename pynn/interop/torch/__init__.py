"""Networks and weights from and for PyTorch: `from_torch`, `to_torch` and `load_torch_state`.

The layers that both have are listed in `docs/pytorch.md`.
"""

from .modules import from_torch, to_torch
from .states import load_torch_state

__all__ = ["from_torch", "load_torch_state", "to_torch"]
