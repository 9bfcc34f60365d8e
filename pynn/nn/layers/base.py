"""The base class of layers: parameters, one forward and one backward method."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import CO_VARARGS
from typing import TYPE_CHECKING, Any

import numpy as np

from ...utils.config import Configurable, parameters_of
from ..context import Context
from ..parameters import Parameter, native
from ..random import unobserved

if TYPE_CHECKING:
    from ..parameters import FlatParameters


class Layer(Configurable):
    """Base class of all layers; derive your own from it.

    Subclasses hold `Parameter` attributes and define

    * ``forward(x, ctx)``: return the output; store what backward needs as attributes of `ctx`;
    * ``backward(dy, ctx)``: write every parameter's gradient to ``parameter.grad[...]``, and return the gradient of x.

    Both may write to ``ctx.buffer(name, shape, dtype)`` instead of new arrays, which avoids allocations in training;
    backward may return ``ctx.gradient(name, shape, dtype, dy)``, memory that layers share.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> class Scale(pynn.Layer):
    ...     def __init__(self, features):
    ...         super().__init__()
    ...         self.features = features
    ...         self.scale = pynn.Parameter(np.ones(features))
    ...
    ...     def forward(self, x, ctx):
    ...         ctx.x = x
    ...         return x * self.scale
    ...
    ...     def backward(self, dy, ctx):
    ...         self.scale.grad[...] = (dy * ctx.x).sum(axis=0)
    ...         return dy * self.scale
    >>> model = pynn.Sequential(pynn.Linear(3, 2), Scale(2))
    >>> model(np.ones((4, 3), dtype=np.float32)).shape
    (4, 2)
    """

    #: Names of array attributes that are untrained state, such as running statistics.
    buffer_names: tuple[str, ...] = ()

    #: The layer that contains this one.
    owner: Layer | None = None

    #: The parameters of the model of which a pass was recorded; their version counts changes of the layer's attributes.
    _recorded_in: FlatParameters | None = None

    def __init_subclass__(cls) -> None:
        """Raise TypeError if a method lacks an argument, as PyTorch's ``forward(self, x)`` lacks `ctx`."""
        super().__init_subclass__()
        for name, first in (("forward", "x"), ("backward", "dy")):
            code = getattr(cls.__dict__.get(name), "__code__", None)
            if code is not None and code.co_argcount < 3 and not code.co_flags & CO_VARARGS:
                taken = ", ".join(code.co_varnames[: code.co_argcount])
                raise TypeError(
                    f"{cls.__name__}.{name}({taken}) lacks an argument; expected {name}(self, {first}, ctx)"
                )

    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        """Return the layer's output for the batch `x`."""
        raise TypeError(f"{type(self).__name__} does not define forward(self, x, ctx)")

    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        """Write the parameters' gradients and return the gradient of the input."""
        raise TypeError(f"{type(self).__name__} does not define backward(self, dy, ctx)")

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the inner layers by name."""
        # A copy, because another thread may train, and layers keep what they need for the backward pass.
        for name, value in tuple(vars(self).items()):
            if isinstance(value, Layer) and name != "owner":
                yield name, value

    def all_layers(self) -> Iterator[Layer]:
        """Yield this layer and all inner layers, at any depth."""
        yield self
        for _, child in self.children():
            yield from child.all_layers()

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield all parameters, the inner layers' included, by dotted name."""
        for name, value in tuple(vars(self).items()):
            if isinstance(value, Parameter):
                yield prefix + name, value
        for name, child in self.children():
            yield from child.named_parameters(f"{prefix}{name}.")

    def parameters(self) -> list[Parameter]:
        """Return all parameters."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
        """Yield all untrained state arrays by dotted name."""
        for name in self.buffer_names:
            yield prefix + name, getattr(self, name)
        for name, child in self.children():
            yield from child.named_buffers(f"{prefix}{name}.")

    def check_examples(self, x: np.ndarray, start: int = 0) -> None:
        """Raise ValueError if the layer takes only some values, and examples that it is to be trained on hold others.

        Only a network's first layer is asked, before training starts; `start` is the number of the first row of `x`.
        """

    def freeze(self, frozen: bool = True) -> Layer:
        """Exclude all parameters from updates (or include them again); return the layer.

        A frozen batch norm also uses its running statistics in training, and does not update them.
        """
        for parameter in self.parameters():
            parameter.frozen = frozen
        return self

    def config(self) -> dict[str, Any]:
        config = super().config()
        if callable(config.get("init")) and parameters_of(type(self))["init"].default is None:
            config["init"] = None  # a file holds no functions, and the values that this one gave
        return config

    def __getstate__(self) -> dict[str, Any]:
        # A copied layer belongs to no model; a copied model claims its layers again. An `init` function is no longer
        # needed once the weights exist, and pickle supports few functions.
        used = {"init": None} if callable(self.__dict__.get("init")) else {}
        return self.__dict__ | {"owner": None, "_recorded_in": None} | used

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = {name: native(value) for name, value in state.items() if isinstance(value, np.ndarray)}
        self.__dict__.update(state | arrays)

    def __copy__(self) -> Layer:
        state = self.__getstate__()
        if any(isinstance(value, Parameter | Layer | np.ndarray) for value in state.values()) or self.parameters():
            raise TypeError(
                f"copy.copy would make a {type(self).__name__} that shares its parameters with this one; "
                "use copy.deepcopy instead"
            )
        copied = object.__new__(type(self))
        copied.__setstate__(state)
        return copied

    def checked_setting(self, name: str, value: Any) -> Any:
        kind = type(self).__name__
        if self._holds_layers():
            raise TypeError(f"{name} of {kind} is fixed, because layers depend on it; make a new {kind}")
        with unobserved():
            return super().checked_setting(name, value)

    def _holds_layers(self) -> bool:
        return next(self.children(), None) is not None

    def setting_of(self, made: Layer, name: str) -> Any:
        shapes = [{other: parameter.shape for other, parameter in one.named_parameters()} for one in (self, made)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{name} is fixed, because shapes of parameters depend on it; make a new layer: {made!r}")
        return super().setting_of(made, name)

    def __setattr__(self, name: str, value: Any) -> None:
        held = self.__dict__.get(name)
        if isinstance(held, Parameter) and not isinstance(value, Parameter) and value is not held:
            raise TypeError(f"{name} is a Parameter; write its values with `layer.{name}[...] = values`")
        if name != "owner" and held is not value and (_has_parameters(held) or _has_parameters(value)):
            self._refuse_if_in_use(name)
        if isinstance(value, Parameter) or held is value:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)
        if not name.startswith("_") and held is not value:
            flat = self._recorded_in
            if flat is not None:
                flat.version += 1

    def _refuse_if_in_use(self, name: str) -> None:
        """Raise RuntimeError if a model holds the layer's parameters: it would neither train nor save another one."""
        if self._recorded_in is not None or any(parameter.flat is not None for parameter in self.parameters()):
            raise RuntimeError(
                f"{name} of {type(self).__name__} holds parameters, and a model already has those of this layer in its "
                "buffers; set it before the model is used, or make a new model"
            )


def _has_parameters(value: Any) -> bool:
    return isinstance(value, Parameter) or (isinstance(value, Layer) and bool(value.parameters()))
