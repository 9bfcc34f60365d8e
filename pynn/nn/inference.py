"""Prediction with a trained network: outputs, probabilities and labels, batch by batch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.arrays import first_row, numeric
from ..utils.validation import count, ready
from .context import Context
from .inputs import Inputs
from .layers import Layer
from .probabilities import sigmoid, softmax
from .replays import Replays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..datasets import Schema
    from ..preprocessing import Transformer
    from .loss import OutputKind
    from .parameters import FlatParameters
    from .random import Stream

#: Examples per inference batch, and the approximate number of elements that limits it for images: 85 of 3x32x32.
BATCH, IMAGE_BATCH = 1024, 1 << 18


class Inference(Layer):
    """A network as its users apply it; `Sequential` describes the attributes."""

    preprocessing: Transformer | None
    target_preprocessing: Transformer | None
    class_names: list[Any] | None
    output_kind: OutputKind | None
    input_schema: Schema | None

    def __init__(self) -> None:
        super().__init__()
        self._replays = Replays()

    @property
    @abstractmethod
    def flat(self) -> FlatParameters:
        """The flat parameter and gradient buffers."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype:
        """The dtype of the parameters, to which inputs are cast."""

    def as_input(self, x: ArrayLike) -> np.ndarray:
        """Return `x` as a batch of the model's dtype; `x` itself if it already is one."""
        if type(x) is np.ndarray and x.ndim > 1 and x.dtype == self.dtype and x.flags.carray:  # fast path of every step
            return x
        array = numeric(x, "x")
        if array.ndim < 2:
            raise ValueError(f"x has shape {array.shape}; expected a batch, (n, ...); for one example pass x[None]")
        return ready(array, self.dtype)

    def rows_of(self, x: Any) -> Any:
        """Return the features of a data frame of pandas or polars, read by `input_schema`; other data unchanged.

        The target may be a column of the frame or not; columns may come in any order.

        Raises ValueError if the frame lacks a column.
        """
        if self.input_schema is None or not (hasattr(x, "columns") and hasattr(x, "dtypes")):
            return x
        from ..datasets import read_table  # it loads polars

        target = self.input_schema["target"]["name"]
        return read_table(x[[name for name in x.columns if name != target]], schema=self.input_schema).x

    def predict(self, x: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return the network's output for data (n, ...), preprocessed if the model has a preprocessing.

        A model with an `input_schema` takes data frames of pandas and polars, too.

        With a `target_preprocessing`, the output is transformed back to raw values, float64.
        Always an inference pass; safe to call from several threads at once. The data may be memory-mapped: they are
        read and preprocessed lazily, batch by batch. The default batch size is 1024, and smaller for images. A NaN
        propagates to the outputs of its example; `predict_proba` and `predict_label` raise an error for it.
        """
        x = self.rows_of(x)
        output = self.infer(x if self.preprocessing is None else Inputs(numeric(x, "x"), self), batch_size)
        return output if self.target_preprocessing is None else self.in_target_units(output)

    def in_target_units(self, output: np.ndarray) -> np.ndarray:
        """Return outputs in the target's units, float64; a single target may have several, such as quantiles."""
        amounts = output.astype(np.float64)
        if self.target_preprocessing is None:
            return amounts
        if amounts.ndim == 2 and self.target_preprocessing.n_features_in_ == 1:
            return self.target_preprocessing.inverse_transform(amounts.reshape(-1, 1)).reshape(amounts.shape)
        return self.target_preprocessing.inverse_transform(amounts)

    def infer(self, x: ArrayLike | Inputs, batch_size: int | None = None) -> np.ndarray:
        """Return the network's output for preprocessed inputs, or for lazily preprocessed ones."""
        if batch_size is None:
            replayed = self._replays.replay(self.flat, x, True)
            if replayed is not None:
                return replayed[0]
        if batch_size is not None:
            count(batch_size, "batch_size")
        if not isinstance(x, Inputs):
            x = numeric(x, "x")
            if x.ndim == 0:
                return self._passed(x, output_only=True)[0]
        size = batch_size or _usual_batch(x)
        if len(x) <= size:
            return self._passed(x if isinstance(x, np.ndarray) else x.all(), output_only=True)[0]
        output = None
        for start in range(0, len(x), size):
            y = self.forward(self.as_input(x[start : start + size]), Context(output_only=True))
            if output is None:
                output = np.empty((len(x), *y.shape[1:]), y.dtype)
            output[start : start + len(y)] = y
        assert output is not None
        return output

    def _passed(
        self, x: ArrayLike, *, output_only: bool = False, random: Stream | None = None
    ) -> tuple[np.ndarray, Context]:
        """Return the output of an inference pass for `x`, which the caller owns, and the context of the pass."""
        passed = self._replays.replay(self.flat, x, output_only)
        if passed is None:
            batch = self.as_input(x)
            passed = self._replays.record(self, self.flat, batch, output_only, random)
            if passed is None:
                context = Context(random=random, output_only=output_only)
                passed = self._owned(x, self.forward(batch, context)), context
        return passed

    def _owned(self, x: ArrayLike, y: np.ndarray) -> np.ndarray:
        """Return an output for `x` as an array that the caller owns, even if every layer returns x itself."""
        return y.copy() if isinstance(x, np.ndarray) and np.may_share_memory(x, y) else y

    def _predicted(self, x: ArrayLike, batch_size: int | None) -> np.ndarray:
        """Return the result of `predict`, or raise ValueError naming the first example without a class."""
        x = self.rows_of(x)
        output = self.predict(x, batch_size)
        # Class scores need a maximum; a single logit, even an infinite one, needs only a sign.
        wrong = np.isnan(output) if self.output_kind == "binary" else ~np.isfinite(output.max(axis=1, initial=-np.inf))
        row = first_row(wrong)
        if row >= 0:
            missing = not np.isfinite(numeric(x, "x")[row]).all()
            cause = "x has a NaN or an infinity there: fill it, or remove the row" if missing else "they overflow"
            raise ValueError(f"the outputs for row {row} are {output[row]}, which determine no class; {cause}")
        return output

    def predict_proba(self, x: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return probabilities: softmax over the classes, or the sigmoid of binary outputs.

        Raises ValueError, naming the example, if its outputs are NaN.
        """
        if self.output_kind not in ("classes", "binary"):
            reason = "has not been trained" if self.output_kind is None else f"gives {self.output_kind}"
            raise ValueError(f"this model {reason}, so its outputs are not log-probabilities; use predict")
        logits = self._predicted(x, batch_size).astype(np.float64)
        if self.output_kind == "binary":
            return sigmoid(logits).astype(self.dtype)
        return softmax(logits).astype(self.dtype)

    def predict_label(self, x: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return the most probable class of each example: its name if `class_names` is set, else its number.

        Names of several types, such as ``[0, 1, "other"]``, come in an array of objects.

        Raises ValueError, naming the example, if its outputs are NaN.
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
        return _as_names(self.class_names)[labels]


def _as_names(names: Sequence[Any]) -> np.ndarray:
    """Return class names as an array, of objects if an array of NumPy's own types would hold others."""
    array = np.asarray(names)
    held = array.tolist()
    same = all(type(name) is type(given) and name == given for name, given in zip(held, names, strict=True))
    return array if same else np.array(names, dtype=object)


def _usual_batch(x: np.ndarray | Inputs) -> int:
    """Return the inference batch size: smaller for images, whose activations are large."""
    shape = x.shape
    return BATCH if len(shape) <= 2 else max(1, min(BATCH, IMAGE_BATCH // max(1, math.prod(shape[1:]))))
