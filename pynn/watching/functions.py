"""Activations that a forward pass calls as functions, such as ``F.relu``, seen as the modules that compute the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from ..interop.torch.package import pytorch

#: Modules by the name of the function, also of the one in place: `F.relu`, `torch.relu`, `Tensor.relu` and `relu_`.
MODULES = {
    "relu": "ReLU",
    "relu6": "ReLU6",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "softplus": "Softplus",
    "hardswish": "Hardswish",
    "sigmoid": "Sigmoid",
    "log_sigmoid": "LogSigmoid",  # PyTorch's own name of F.logsigmoid
    "hardsigmoid": "Hardsigmoid",
    "tanh": "Tanh",
    "hardtanh": "Hardtanh",
    "softsign": "Softsign",
}
#: Arguments of the functions that the modules lack.
FUNCTIONS_ONLY = ("input", "out")


class FunctionCalls:
    """The activations that forward passes call as functions, told apart by their order.

    The first pass makes a module of each call; in later ones, the n-th call is that of the n-th module.

    Parameters
    ----------
    see : callable
        Called with name, module, how often the pass had called the function before, and output.
    """

    def __init__(self, see: Callable[[str, Any, int, Any], None]) -> None:
        self._see = see
        self._calls: list[tuple[str, Any]] = []  # of the first pass: name, and module or None
        self._mode: Any = None
        self._next = 0
        self.listing = True
        #: Depth of modules without inner ones, which are seen by their own hooks; set in the first pass.
        self.depth = 0

    @property
    def modules(self) -> list[Any]:
        """The modules made in the first pass."""
        return [module for _, module in self._calls if module is not None]

    def begin(self) -> None:
        """Start to see calls."""
        self._next = self.depth = 0
        if self.listing:
            self._calls.clear()
        if self.listing or self.modules:
            self._mode = _mode()(self._called)
            self._mode.__enter__()

    def end(self) -> None:
        """Stop seeing calls."""
        if self._mode is not None:
            self._mode.__exit__(None, None, None)
            self._mode = None

    def _called(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], output: Any) -> None:
        place = self._next
        self._next += 1
        if self.listing:
            self._calls.append((name, None if self.depth else _module(name, args, kwargs)))
        if place >= len(self._calls) or self._calls[place][0] != name:  # the pass took another way
            return
        module = self._calls[place][1]
        if module is not None:
            use = sum(known == name and other is not None for known, other in self._calls[:place])
            self._see(name, module, use, output)


def _module(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the module that does what a call did; None for arguments that it lacks."""
    settings = {key: value for key, value in kwargs.items() if key not in FUNCTIONS_ONLY}
    try:
        return getattr(pytorch().nn, MODULES[name])(*args[1:], **settings)
    except TypeError:
        return None


@cache
def _mode() -> Any:
    """Return the `TorchFunctionMode` that reports calls of activations; PyTorch is imported when needed."""
    from torch.overrides import TorchFunctionMode

    class Calls(TorchFunctionMode):
        def __init__(self, called: Callable[..., None]) -> None:
            super().__init__()
            self.called = called

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = function(*args, **(kwargs or {}))
            name = getattr(function, "__name__", "").removesuffix("_")
            if name in MODULES:
                self.called(name, args, kwargs or {}, output)
            return output

    return Calls
