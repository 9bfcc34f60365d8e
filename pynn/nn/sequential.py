"""Sequential: a network as a chain of layers."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.config import parameters_of
from ..utils.validation import choice, class_names, flag, shortened
from .context import Context
from .fusion import fold, plan
from .inference import Inference
from .layers import Layer
from .layers.container import check_free
from .parameters import FlatParameters
from .random import Stream, initial_generator
from .recording import replayable
from .replays import Replays
from .saving import LAYERS, save_model
from .state import StateDict, arrays_of, check_layout, write_arrays
from .summary import Summary, summarize
from .widths import check_widths

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from ..datasets import Schema
    from ..preprocessing import Transformer
    from .loss import OutputKind


#: The possible meanings of the outputs.
OUTPUT_KINDS = ("classes", "scores", "binary", "values")


class Sequential(Inference):
    """A chain of layers; each takes the output of the previous one.

    Parameters
    ----------
    *layers : Layer
        May include a `Sequential`. A layer belongs to only one model.

    Attributes
    ----------
    training : bool
        The mode of ``model(x)``: True after `train`, False initially and after `eval`.
    preprocessing : Transformer or None
        If set, `predict`, `predict_proba`, `predict_label`, `Trainer.fit` and `Trainer.evaluate` take raw data and
        apply it; `fit` fits it on the training data if it is not fitted yet. ``model(x)`` and ``trainer.step`` do not
        apply it.
    target_preprocessing : Transformer or None
        If set, `Trainer.fit` and `evaluate` take raw regression targets and transform them in float64; `fit` fits it
        if it is not fitted yet. `predict` returns raw values in float64. With `Standardize`, targets such as
        1.7e9 ± 900, which float32 cannot distinguish, are learnt to their last digit.
    class_names : list of text or numbers, or None
        The class names that `predict_label` returns, and that number the labels given to a trainer as text. `fit` sets
        them if it is given text and they are None. Arrays, such as those of `numpy.unique`, become lists.
    input_schema : dict or None
        How to read a table of raw data: `Table.schema` of `pynn.datasets.read_table`. ``pynn predict`` uses it.
    output_kind : {"classes", "scores", "binary", "values"} or None
        The meaning of the outputs; the trainer sets it from its loss.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.manual_seed(0)
    >>> model = pynn.Sequential(pynn.Linear(4, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> model(np.zeros((2, 4))).shape
    (2, 3)
    >>> model[0]
    Linear(in_features=4, out_features=8, bias=True, init=None)
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        for layer in layers:
            if not isinstance(layer, Layer):
                hint = f": write {layer.__name__}()" if isinstance(layer, type) else ""
                raise TypeError(f"Sequential takes layers; got {layer!r}{hint}")
        self.layers = layers
        self.training = False
        self.preprocessing: Transformer | None = None
        self.target_preprocessing: Transformer | None = None
        self._class_names: list[Any] | None = None
        self.input_schema: Schema | None = None
        self._output_kind: OutputKind | None = None
        self._flat: FlatParameters | None = None
        self._last: Context | None = None
        self._stream: Stream | None = None
        self._links = plan(layers)
        check_widths(self.named_leaves())
        self._take_possession()

    def _take_possession(self) -> None:
        check_free(self.layers)
        for layer in self.layers:
            layer.owner = self
            for inner in _outermost(layer):
                inner._release()

    def _release(self) -> None:
        """Release the flat buffers: the parameters now belong to those of a larger model."""
        if self._flat is not None:
            self._flat = None
            for parameter in self.parameters():
                parameter.flat = None

    @property
    def class_names(self) -> list[Any] | None:
        return self._class_names

    @class_names.setter
    def class_names(self, names: Iterable[Any] | None) -> None:
        self._class_names = class_names(names)

    @property
    def output_kind(self) -> OutputKind | None:
        return self._output_kind

    @output_kind.setter
    def output_kind(self, kind: OutputKind | None) -> None:
        self._output_kind = None if kind is None else choice(kind, "output_kind", OUTPUT_KINDS)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("preprocessing", "target_preprocessing") and not _is_transformer(value):
            raise TypeError(
                f"{name} is {shortened(repr(value))}; expected a transformer of pynn.preprocessing, such as "
                "Standardize(), or None"
            )
        super().__setattr__(name, value)

    def config(self) -> dict[str, Any]:
        # A subclass whose arguments are not its layers is rebuilt from those arguments.
        return {"layers": self.layers} if type(self)._takes_layers() else super().config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sequential:
        made = cls(*config["layers"]) if cls._takes_layers() else cls(**config)
        assert isinstance(made, Sequential)
        return made

    @classmethod
    def _takes_layers(cls) -> bool:
        kinds = [parameter.kind for parameter in parameters_of(cls).values()]
        return kinds == [inspect.Parameter.VAR_POSITIONAL]

    def children(self) -> Iterator[tuple[str, Layer]]:
        for index, layer in enumerate(self.layers):
            yield str(index), layer

    def named_leaves(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield the layers that are not themselves Sequential, by dotted name, in order."""
        for name, layer in self.children():
            if isinstance(layer, Sequential):
                yield from layer.named_leaves(f"{prefix}{name}.")
            else:
                yield prefix + name, layer

    def leaves(self) -> list[Layer]:
        """Return the layers that are not themselves Sequential, in order."""
        return [layer for _, layer in self.named_leaves()]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    @property
    def flat(self) -> FlatParameters:
        """The flat parameter and gradient buffers, created lazily; a nested model shares those of the outer one."""
        if self._flat is not None and self.owner is None:
            return self._flat  # fast path of every step
        root: Layer = self
        while root.owner is not None:
            root = root.owner
        if isinstance(root, Sequential) and root is not self:
            return root.flat
        if self._flat is None:
            self._flat = FlatParameters(self.named_parameters())
        return self._flat

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the parameters, to which inputs are cast; float32 without parameters."""
        return self.flat.values.dtype

    def astype(self, dtype: DTypeLike) -> Sequential:
        """Cast all parameters and running statistics to float32 or float64; return the model.

        Raises RuntimeError once a trainer holds them.
        """
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise TypeError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
        if self.owner is not None:
            raise RuntimeError("this model is part of another one; cast that one")
        if any(p.flat is not None and p.flat.bound for p in self.parameters()):
            raise RuntimeError("a trainer uses this model's parameters; cast the model before making the trainer")
        for parameter in self.parameters():
            parameter.flat = None
            parameter.data, parameter.grad = parameter.data.astype(dtype), parameter.grad.astype(dtype)
        for layer in self.all_layers():
            for name in layer.buffer_names:
                setattr(layer, name, getattr(layer, name).astype(dtype))
        self._flat = None
        return self

    def train(self, mode: bool = True) -> Sequential:
        """Make ``model(x)`` a training pass: dropout drops, batch norm uses the batch; return the model."""
        self.training = flag(mode, "mode")
        return self

    def eval(self) -> Sequential:
        """Make ``model(x)`` an inference pass; return the model."""
        return self.train(False)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        contexts, folded = ctx.children(len(self.layers), chained=True), None
        for link in self._links:
            if link is folded:
                continue
            inner, activation = contexts[link.place], link.activation
            if ctx.output_only and link.norm is not None:
                inner.folded = fold(link.layer, link.norm.layer, x)
                if inner.folded is not None:
                    folded, activation = link.norm, link.norm.activation
            inner.activation = None if activation is None else activation.spec()
            x = link.layer.forward(x, inner)
            if ctx.observer is not None:
                ctx.observer.output(activation or link.layer, x)
        return x

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context | None = None) -> np.ndarray | None:
        """Write all gradients, given that of the output, and return that of the input.

        Without a context, this is the backward pass of the last ``model(x)``.
        """
        if ctx is None:
            if self._last is None:
                raise RuntimeError("backward needs a forward pass first: y = model(x)")
            return self._last.owned(self.backward(np.ascontiguousarray(dy, dtype=self.dtype), self._last))
        contexts, sums_to_zero = ctx.children(len(self.layers), chained=True), ctx.dy_sums_to_zero
        for link in reversed(self._links):
            inner = contexts[link.place]
            inner.needs_dx = ctx.needs_dx or link.needs_dx
            # A fused activation lies between: what it passes on to the bias no longer sums to zero.
            inner.dy_sums_to_zero = sums_to_zero and link.activation is None
            if ctx.observer is not None:
                ctx.observer.gradient(link.activation or link.layer, dy)
            gradient = link.layer.backward(dy, inner)
            if ctx.finished is not None:
                ctx.finished(link.layer)
            if not inner.needs_dx:
                return None
            if gradient is None:
                kind = type(link.layer).__name__
                raise TypeError(f"backward of layer {link.place} ({kind}) returned no gradient")
            dy, sums_to_zero = gradient, inner.dx_sums_to_zero
        ctx.dx_sums_to_zero = sums_to_zero
        return dy if ctx.needs_dx else None

    def __call__(self, x: ArrayLike) -> np.ndarray:
        if self._stream is None:
            self._stream = Stream(int(initial_generator().integers(2**63)))
        if self.training:
            self._last = Context(training=True, random=self._stream)
            return self._owned(x, self.forward(self.as_input(x), self._last))
        y, self._last = self._passed(x, random=self._stream)
        return y

    def state_dict(self) -> StateDict:
        """Return copies of all parameters and running statistics by name, such as "0.weight"."""
        return StateDict((name, array.copy()) for name, array in arrays_of(self).items())

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Load parameters and running statistics from `state`; if anything does not fit, load none.

        `state` is a `pynn.StateDict`, or another dictionary in pynn's layout. Raises ValueError if it is a state dict
        of PyTorch's, whose `Linear` weights are transposed, or could be one: see `pynn.load_torch_state`.
        """
        check_layout(self, state)
        write_arrays(arrays_of(self), state)

    def summary(self, input_shape: tuple[int, ...] | None = None) -> Summary:
        """Return a table of the layers: name, kind, output shape if known, parameters.

        It is text; as the last line of a notebook cell, it shows itself as a table.

        `input_shape` is the shape of one example, such as (3, 32, 32); a network without convolutions takes it from
        its first layer.
        """
        return summarize(self, list(self.named_leaves()), self.dtype, input_shape)

    def save(self, path: str | Path) -> None:
        """Write the model to a safetensors file: architecture, parameters, preprocessing, class names, input schema.

        The file is replaced atomically. `pynn.load` reads it.
        """
        save_model(self, path, KNOWN_LAYERS)

    def __deepcopy__(self, memo: dict[int, Any]) -> Sequential:
        # A nested model is copied with the outer one, under the same gate.
        gated = self.owner is None and self._flat is not None
        with self.flat.gate.between_steps() if gated else contextlib.nullcontext():
            return self.copied(memo)

    def copied(self, memo: dict[int, Any]) -> Sequential:
        """Do the work of `copy.deepcopy`, for callers that hold the gate."""
        made = memo[id(self)] = object.__new__(type(self))
        made.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return made

    def __getstate__(self) -> dict[str, Any]:
        # The copy's parameters get new buffers.
        return super().__getstate__() | {"_flat": None, "_last": None, "_replays": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state | {"_replays": Replays()})
        for layer in self.layers:
            layer.owner = self

    def __repr__(self) -> str:
        lines = "".join(f"  ({name}): {layer!r}\n".replace("\n", "\n  ").rstrip(" ") for name, layer in self.children())
        return f"Sequential(\n{lines})"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def _is_transformer(value: Any) -> bool:
    used = ("fit", "transform", "is_fitted")
    return value is None or (not isinstance(value, type) and all(hasattr(value, name) for name in used))


def _outermost(layer: Layer) -> Iterator[Sequential]:
    """Yield the outermost models in a layer: only those may have flat buffers."""
    if isinstance(layer, Sequential):
        yield layer
        return
    for _, child in layer.children():
        yield from _outermost(child)


#: Layers that files may name.
KNOWN_LAYERS = (Sequential, *LAYERS)
