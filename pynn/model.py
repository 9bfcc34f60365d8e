"""Sequential: a network as a chain of layers."""

from __future__ import annotations

import contextlib
import copy
import inspect
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import choice, class_names, count, ready
from .arrays import first_row, numeric
from .config import parameters_of
from .context import Context
from .examples import Inputs
from .folding import fold, foldable, joined
from .layers import Layer
from .layers.base import replayable
from .parameters import FlatParameters, OwnedError
from .random import Stream, initial_generator
from .state import arrays_of, write_arrays
from .summary import summarize
from .widths import check_widths

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from .datasets import Schema
    from .layers.activations import Activation
    from .losses import OutputKind
    from .preprocessing import Transformer


#: Examples of an inference batch; of images, as many as have about so many numbers: 85 of 3x32x32.
BATCH, IMAGE_BATCH = 1024, 1 << 18
#: What outputs can mean.
OUTPUT_KINDS = ("classes", "scores", "binary", "values")


class Sequential(Layer):
    """A chain of layers, each fed with the output of the one before.

    Parameters
    ----------
    *layers : Layer
        A `Sequential` may be among them. A layer belongs to one model.

    Attributes
    ----------
    training : bool
        The mode of ``model(x)``: True after `train`, False (the start) after `eval`.
    preprocessing : Transformer or None
        If set, `predict` and its relatives and `Trainer.fit` and `evaluate` take raw data and apply it; `fit` fits it,
        if it is not fitted yet, on the training part. ``model(x)`` and ``trainer.step`` are the bare network.
    target_preprocessing : Transformer or None
        If set, `Trainer.fit` and `evaluate` take raw targets of a regression and train the network to what it makes of
        them, in float64; `fit` fits it, if it is not fitted yet. `predict` gives raw values back, as float64. With
        `Standardize`, targets such as 1.7e9 ± 900, which float32 cannot tell apart, are learnt to their last digit.
    class_names : list of text or numbers, or None
        What `predict_label` calls the classes. Arrays, such as those of `numpy.unique`, become lists.
    input_schema : dict or None
        How to read a CSV file of raw data: `Table.schema` of `pynn.datasets.read_csv`. ``pynn predict`` uses it.
    output_kind : {"classes", "scores", "binary", "values"} or None
        What the outputs mean; set by the trainer from its loss.

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
        self._joined = joined(layers)
        self._foldable = [foldable(*pair) for pair in itertools.pairwise(layers)] + [False]
        check_widths(self.named_leaves())
        self._take_possession()
        # In front of the first layer that has parameters nothing needs a gradient, unless the caller wants that of x.
        with_parameters = (i for i, layer in enumerate(layers) if _has_parameters(layer))
        self._first_trained = next(with_parameters, len(layers))

    def _take_possession(self) -> None:
        seen: set[int] = set()
        for layer in self.layers:
            if layer.owner is not None:
                raise OwnedError(f"{layer!r} already belongs to a model; a layer belongs to one", layer)
            if id(layer) in seen:
                raise ValueError(f"{layer!r} occurs twice; make a second layer")
            seen.add(id(layer))
        for layer in self.layers:
            layer.owner = self
            for inner in _outermost(layer):
                inner._release()

    def _release(self) -> None:
        """Give up the flat buffers: the parameters now belong to those of a larger model."""
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

    def config(self) -> dict[str, Any]:
        # A subclass whose arguments are not its layers is made again from these arguments.
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
        """The flat parameter and gradient buffers, made at first use; a model inside another one shares its."""
        if self._flat is not None and self.owner is None:
            return self._flat  # at every step
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
            raise RuntimeError("a trainer holds this model's parameters; cast the model before making the trainer")
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
        self.training = mode
        return self

    def eval(self) -> Sequential:
        """Make ``model(x)`` an inference pass; return the model."""
        return self.train(False)

    def as_input(self, x: ArrayLike) -> np.ndarray:
        """Return `x` as a batch of the model's dtype, itself where it is one already."""
        if type(x) is np.ndarray and x.ndim > 1 and x.dtype == self.dtype and x.flags.carray:  # at every step
            return x
        array = numeric(x, "x")
        if array.ndim < 2:
            raise ValueError(f"x has shape {array.shape}; expected a batch, (n, ...), also for one example: x[None]")
        return ready(array, self.dtype)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        follower: Activation | None
        inner_contexts, folded = ctx.children(len(self.layers)), None
        for index, (layer, inner, follower) in enumerate(zip(self.layers, inner_contexts, self._joined, strict=True)):
            if follower is layer or folded is not None:
                folded = None
                continue  # the layer before has done its work
            if ctx.output_only and self._foldable[index]:
                folded = inner.folded = fold(layer, self.layers[index + 1], x)
                if folded is not None:
                    follower = self._joined[index + 1]
            inner.activation = None if follower is None else follower.spec()
            x = layer.forward(x, inner)
            if ctx.watch is not None:
                ctx.watch.output(follower or layer, x)
        return x

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context | None = None) -> np.ndarray | None:
        """Write all gradients, given that of the output, and return that of the input.

        Without a context, goes back through the last ``model(x)``.
        """
        if ctx is None:
            if self._last is None:
                raise RuntimeError("backward needs a forward pass first: y = model(x)")
            ctx, dy = self._last, np.ascontiguousarray(dy, dtype=self.dtype)
        inner = ctx.children(len(self.layers), lend=True)
        stop = 0 if ctx.needs_dx else self._first_trained
        sums_to_zero = ctx.dy_sums_to_zero
        for index in range(len(self.layers) - 1, stop - 1, -1):
            inner[index].needs_dx = ctx.needs_dx or index > stop
            inner[index].dy_sums_to_zero = sums_to_zero
            if self._joined[index] is self.layers[index]:
                continue
            if ctx.watch is not None:
                ctx.watch.gradient(self._joined[index] or self.layers[index], dy)
            gradient = self.layers[index].backward(dy, inner[index])
            if not inner[index].needs_dx:
                return None
            if gradient is None:
                raise TypeError(f"backward of layer {index} ({type(self.layers[index]).__name__}) returned no gradient")
            dy, sums_to_zero = gradient, inner[index].dx_sums_to_zero
        ctx.dx_sums_to_zero = sums_to_zero
        return dy if ctx.needs_dx else None

    def __call__(self, x: ArrayLike) -> np.ndarray:
        if self._stream is None:
            self._stream = Stream(int(initial_generator().integers(2**63)))
        self._last = Context(training=self.training, random=self._stream)
        return self._owned(x, self._last)

    def predict(self, x: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return the network's output for data (n, ...), preprocessed if the model has a preprocessing.

        With a `target_preprocessing`, it is turned back into raw values, float64.
        Always an inference pass; safe to call from several threads at once. The data may lie in a mapped file: they
        are read and preprocessed batch by batch. A batch has 1024 examples unless told, and fewer if these are images.
        A NaN goes through the network, to the outputs of its example; `predict_proba` and `predict_label` refuse it.
        """
        output = self.infer(x if self.preprocessing is None else Inputs(numeric(x, "x"), self), batch_size)
        if self.target_preprocessing is None:
            return output
        return self.target_preprocessing.inverse_transform(output.astype(np.float64))

    def infer(self, x: ArrayLike | Inputs, batch_size: int | None = None) -> np.ndarray:
        """Return the network's output for inputs that are preprocessed already, or are as they are taken."""
        if batch_size is not None:
            count(batch_size, "batch_size")
        if not isinstance(x, Inputs):
            x = numeric(x, "x")
            if x.ndim == 0:
                return self._owned(x, Context(output_only=True))
        size = batch_size or _usual_batch(x)
        if len(x) <= size:
            return self._owned(x if isinstance(x, np.ndarray) else x.all(), Context(output_only=True))
        output = None
        for start in range(0, len(x), size):
            y = self.forward(self.as_input(x[start : start + size]), Context(output_only=True))
            if output is None:
                output = np.empty((len(x), *y.shape[1:]), y.dtype)
            output[start : start + len(y)] = y
        assert output is not None
        return output

    def _owned(self, x: ArrayLike, ctx: Context) -> np.ndarray:
        """Return the output for `x` as an array that is the caller's alone, also where every layer passes x on."""
        y = self.forward(self.as_input(x), ctx)
        return y.copy() if isinstance(x, np.ndarray) and np.may_share_memory(x, y) else y

    def _predicted(self, x: ArrayLike, batch_size: int | None) -> np.ndarray:
        """Return what `predict` does, or raise ValueError that names the first example without a class."""
        output = self.predict(x, batch_size)
        # Of class scores one must be the largest; a single logit, also an infinite one, is on one side of 0.
        wrong = np.isnan(output) if self.output_kind == "binary" else ~np.isfinite(output.max(axis=1, initial=-np.inf))
        row = first_row(wrong)
        if row >= 0:
            missing = not np.isfinite(numeric(x, "x")[row]).all()
            cause = "x has a NaN or an infinity there: fill it, or leave the row out" if missing else "they overflow"
            raise ValueError(f"the outputs for row {row} are {output[row]}, which tell no class; {cause}")
        return output

    def predict_proba(self, x: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return probabilities: softmax over the classes, or the sigmoid of yes-or-no outputs.

        Raises ValueError for an example, which it names, whose outputs are NaN.
        """
        if self.output_kind not in ("classes", "binary"):
            reason = "has not been trained" if self.output_kind is None else f"gives {self.output_kind}"
            raise ValueError(f"this model {reason}, so its outputs are not log-probabilities; use predict")
        logits = self._predicted(x, batch_size).astype(np.float64)
        if self.output_kind == "binary":
            small = np.exp(-np.abs(logits))
            return (np.where(logits < 0, small, 1) / (1 + small)).astype(self.dtype)
        exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (exponential / exponential.sum(axis=1, keepdims=True)).astype(self.dtype)

    def predict_label(self, x: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return the likeliest class of each example: its name if the model knows names, else its number.

        Raises ValueError for an example, which it names, whose outputs are NaN: it has no likeliest class.
        """
        if self.output_kind == "values":
            raise ValueError("this model was trained to predict values, which have no labels; use predict")
        output = self._predicted(x, batch_size)
        if self.output_kind == "binary":
            labels, classes = (output > 0).astype(np.int64), 2
            if output.ndim == 2 and output.shape[1] == 1:
                labels = labels[:, 0]
        else:
            labels, classes = output.argmax(axis=1), output.shape[1]
        if self.class_names is None:
            return labels
        if len(self.class_names) != classes:
            raise ValueError(f"class_names has {len(self.class_names)} names; expected {classes}")
        return np.asarray(self.class_names)[labels]

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all parameters and running statistics by name, such as "0.weight"."""
        return {name: array.copy() for name, array in arrays_of(self).items()}

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Write parameters and running statistics from `state`, all or, if anything does not fit, none."""
        write_arrays(arrays_of(self), state)

    def summary(self, input_shape: tuple[int, ...] | None = None) -> str:
        """Return a table of the layers: name, kind, output shape where it is known, parameters.

        `input_shape` is that of one example, such as (3, 32, 32); a network of features knows its own.
        """
        return summarize(self, input_shape)

    def save(self, path: str | Path) -> None:
        """Write the model to a safetensors file: architecture, parameters, preprocessing, class names, input schema.

        The file is replaced as a whole or not at all. `pynn.load` reads it.
        """
        from .persistence import save_model

        save_model(self, path)

    def __deepcopy__(self, memo: dict[int, Any]) -> Sequential:
        # A model within another is copied with it, under the same gate.
        gated = self.owner is None and self._flat is not None
        with self.flat.gate.between_steps() if gated else contextlib.nullcontext():
            return self.copied(memo)

    def copied(self, memo: dict[int, Any]) -> Sequential:
        """Return what `copy.deepcopy` does, for callers that hold the gate."""
        made = memo[id(self)] = object.__new__(type(self))
        made.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return made

    def __getstate__(self) -> dict[str, Any]:
        # The copy's parameters get buffers of their own.
        return super().__getstate__() | {"_flat": None, "_last": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for layer in self.layers:
            layer.owner = self

    def __repr__(self) -> str:
        lines = "".join(f"  ({name}): {layer!r}\n".replace("\n", "\n  ").rstrip(" ") for name, layer in self.children())
        return f"Sequential(\n{lines})"


def _usual_batch(x: np.ndarray | Inputs) -> int:
    """Return how many examples are taken at a time: fewer if they are images, whose activations are large."""
    shape = x.shape
    return BATCH if len(shape) <= 2 else max(1, min(BATCH, IMAGE_BATCH // max(1, math.prod(shape[1:]))))


def _has_parameters(layer: Layer) -> bool:
    if isinstance(layer, Sequential):
        return layer._first_trained < len(layer.layers)
    return any(True for _ in layer.named_parameters())


def _outermost(layer: Layer) -> Iterator[Sequential]:
    """Yield the models in a layer that lie within no other: those may have flat buffers."""
    if isinstance(layer, Sequential):
        yield layer
        return
    for _, child in layer.children():
        yield from _outermost(child)
