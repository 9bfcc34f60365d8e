"""Networks in ONNX, the format that other libraries and runtimes read: written, read, run.

Needs onnx (``pip install "pynn-kernels[onnx]"``), which is imported when one of the three is first used.

Examples
--------
>>> import os, tempfile
>>> import numpy as np, pynn
>>> model = pynn.Sequential(pynn.Linear(2, 3), pynn.Tanh())
>>> with tempfile.TemporaryDirectory() as folder:
...     pynn.onnx.export(model, os.path.join(folder, "model.onnx"))
...     again = pynn.onnx.load(os.path.join(folder, "model.onnx"))
>>> again
Sequential(
  (0): Linear(in_features=2, out_features=3, bias=True, init=None)
  (1): Tanh()
)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .interop.onnx.backend import Backend
    from .interop.onnx.exporting import export
    from .interop.onnx.loading import load

_MODULES = {"Backend": "backend", "export": "exporting", "load": "loading"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"pynn.interop.onnx.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise ImportError('pynn.onnx needs onnx: pip install "pynn-kernels[onnx]"') from error


__all__ = ["Backend", "export", "load"]
