"""Sequential: a network as a chain of layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import count, ready
from .context import Context
from .examples import Inputs
from .folding import fold, foldable
from .layers import AdaptiveAvgPool2d, AvgPool2d, Dropout, Flatten, Layer, LayerNorm, MaxPool2d, PReLU
from .layers.activations import Activation
from .layers.base import replayable
from .parameters import FlatParameters
from .random import Stream, initial_generator
from .summary import summarize

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from .datasets import Schema
    from .losses import OutputKind
    from .preprocessing import Transformer


#: Examples of an inference batch; of images, as many as have about so many numbers: 85 of 3x32x32.
BATCH, IMAGE_BATCH = 1024, 1 << 18
#: Layers that change no width; another layer that does not name its `out_features` or `out_channels` may.
KEEP_WIDTH = (Activation, AdaptiveAvgPool2d, AvgPool2d, Dropout, Flatten, LayerNorm, MaxPool2d, PReLU)


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
    class_names : list of str or None
        What `predict_label` calls the classes.
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
        self.class_names: list[str] | None = None
        self.input_schema: Schema | None = None
        self.output_kind: OutputKind | None = None
        self._flat: FlatParameters | None = None
        self._last: Context | None = None
        self._stream: Stream | None = None
        self._joined = _join(layers)
        self._foldable = [foldable(*pair) for pair in itertools.pairwise(layers)] + [False]
        self._check_widths()
        self._take_possession()
        # In front of the first layer that has parameters nothing needs a gradient, unless the caller wants that of x.
        with_parameters = [i for i, layer in enumerate(layers) if layer.parameters()]
        self._first_trained = with_parameters[0] if with_parameters else len(layers)

    def _take_possession(self) -> None:
        for index, layer in enumerate(self.layers):
            if layer.owner is not None:
                raise ValueError(f"{layer!r} already belongs to a model; a layer belongs to one")
            if any(layer is other for other in self.layers[:index]):
                raise ValueError(f"{layer!r} occurs twice; make a second layer")
        for layer in self.layers:
            layer.owner = self
            for inner in layer.all_layers():
                if isinstance(inner, Sequential):
                    inner._release()

    def _release(self) -> None:
        """Give up the flat buffers: the parameters now belong to those of a larger model."""
        if self._flat is not None:
            self._flat = None
            for parameter in self.parameters():
                parameter.flat = None

    def _check_widths(self) -> None:
        width, source, images = None, "", False
        for name, layer in self.named_leaves():
            expected = input_width(layer)
            if expected is not None and width is not None and expected != width:
                what = "channels" if images else "features"
                raise ValueError(
                    f"layer {name} ({type(layer).__name__}) expects {expected} {what}, but {source} gives {width}"
                )
            given = getattr(layer, "out_features", getattr(layer, "out_channels", None))
            if given is not None:
                width, images = given, hasattr(layer, "out_channels")
            elif isinstance(layer, Flatten) and images:
                width, images = None, False  # channels times positions
            elif expected is not None or not isinstance(layer, KEEP_WIDTH):
                width = expected
            source = f"layer {name} ({type(layer).__name__})"

    def config(self) -> dict[str, Any]:
        return {"layers": self.layers}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sequential:
        return cls(*config["layers"])

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
        array = x if type(x) is np.ndarray else np.asarray(x)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"x has dtype {array.dtype}; expected numbers")
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

        Always an inference pass; safe to call from several threads at once. The data may lie in a mapped file: they
        are read and preprocessed batch by batch. A batch has 1024 examples unless told, and fewer if these are images.
        """
        return self.infer(x if self.preprocessing is None else Inputs(np.asarray(x), self), batch_size)

    def infer(self, x: ArrayLike | Inputs, batch_size: int | None = None) -> np.ndarray:
        """Return the network's output for inputs that are preprocessed already, or are as they are taken."""
        if batch_size is not None:
            count(batch_size, "batch_size")
        if not isinstance(x, Inputs):
            x = np.asarray(x)
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

    def predict_proba(self, x: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return probabilities: softmax over the classes, or the sigmoid of yes-or-no outputs."""
        if self.output_kind not in ("classes", "binary"):
            reason = "has not been trained" if self.output_kind is None else f"gives {self.output_kind}"
            raise ValueError(f"this model {reason}, so its outputs are not log-probabilities; use predict")
        logits = self.predict(x, batch_size).astype(np.float64)
        if self.output_kind == "binary":
            small = np.exp(-np.abs(logits))
            return (np.where(logits < 0, small, 1) / (1 + small)).astype(self.dtype)
        exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (exponential / exponential.sum(axis=1, keepdims=True)).astype(self.dtype)

    def predict_label(self, x: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return the likeliest class of each example: its name if the model knows names, else its number."""
        if self.output_kind == "values":
            raise ValueError("this model was trained to predict values, which have no labels; use predict")
        output = self.predict(x, batch_size)
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
        state = {name: parameter.data.copy() for name, parameter in self.named_parameters()}
        return state | {name: buffer.copy() for name, buffer in self.named_buffers()}

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Write parameters and running statistics from `state`, all or, if anything does not fit, none."""
        own = {name: p.data for name, p in self.named_parameters()} | dict(self.named_buffers())
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unknown:
            raise ValueError(f"the state does not fit the model: missing {missing}, unknown {unknown}")
        values = {name: np.asarray(state[name]) for name in own}
        for name, array in values.items():
            if array.shape != own[name].shape:
                raise ValueError(f"{name} has shape {array.shape}; expected {own[name].shape}")
            if array.dtype.kind != "f":
                raise TypeError(f"{name} has dtype {array.dtype}; expected {own[name].dtype}")
        for name, array in values.items():
            own[name][...] = array

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

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_flat": None, "_last": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for layer in self.layers:
            layer.owner = self

    def __repr__(self) -> str:
        lines = "".join(f"  ({name}): {layer!r}\n".replace("\n", "\n  ").rstrip(" ") for name, layer in self.children())
        return f"Sequential(\n{lines})"


def input_width(layer: Layer) -> int | None:
    """Return how many features or channels the layer takes, if it says so."""
    for name in ("in_features", "num_features", "in_channels", "num_channels"):
        if hasattr(layer, name):
            return getattr(layer, name)
    return None


def _usual_batch(x: np.ndarray | Inputs) -> int:
    """Return how many examples are taken at a time: fewer if they are images, whose activations are large."""
    shape = x.shape
    return BATCH if len(shape) <= 2 else max(1, min(BATCH, IMAGE_BATCH // max(1, math.prod(shape[1:]))))


def _join(layers: tuple[Layer, ...]) -> list[Activation | None]:
    """Return for each layer the activation that it applies to its result, and for one so applied itself."""
    joined: list[Activation | None] = [None] * len(layers)
    for index, (layer, follower) in enumerate(itertools.pairwise(layers)):
        methods = (layer.forward, layer.backward)
        if not all(getattr(method, "applies_activation", False) for method in methods):
            continue
        own = (type(follower).forward, type(follower).backward)
        if isinstance(follower, Activation) and own == (Activation.forward, Activation.backward):
            joined[index] = joined[index + 1] = follower
    return joined
