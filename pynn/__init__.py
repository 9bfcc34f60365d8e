"""pynn trains neural networks on a CPU, fast, and tells you whether the training is healthy."""

from importlib.util import find_spec as _find_spec

if _find_spec("pynn.kernels") is None:
    raise ImportError(
        "this is pynn's source folder, which has no kernels: install it with 'pip install -e .', "
        "or leave the folder to use the installed package"
    )

from . import ops
from .backend import BackendError, available_backends, get_backend, use_backend

__version__ = "0.1.0"

__all__ = [
    "BackendError",
    "available_backends",
    "get_backend",
    "ops",
    "use_backend",
]
