"""A graph of ONNX as it is built, node by node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike
from onnx import helper, numpy_helper


@dataclass
class Tensor:
    """A value of the graph: its name, and what one example gives, which tells shape and dtype."""

    name: str
    example: np.ndarray


class Builder:
    """Collects nodes and constants; what a layer's `to_onnx` gets as `graph`.

    Attributes
    ----------
    opset : int
        The version of the operators.
    scope : str
        The name of the current layer, with which names of nodes and constants begin.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.scope = ""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: set[str] = set()

    def unique(self, name: str) -> str:
        """Return a name in the current scope that nothing has yet."""
        wanted = full = f"{self.scope}.{name}" if self.scope else name
        number = 1
        while full in self._names:
            number += 1
            full = f"{wanted}_{number}"
        self._names.add(full)
        return full

    def constant(self, values: ArrayLike, name: str = "constant", dtype: DTypeLike | None = None) -> str:
        """Add an array and return its name."""
        array = np.ascontiguousarray(values, dtype) if np.ndim(values) else np.asarray(values, dtype)
        full = self.unique(name)
        self.constants.append(numpy_helper.from_array(array, full))
        return full

    def parameters(self, layer: Any) -> list[str]:
        """Add the weight of a layer, and its bias if it has one, and return their names."""
        weight = self.constant(layer.weight.data, "weight")
        return [weight] if layer.bias is None else [weight, self.constant(layer.bias.data, "bias")]

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of its output.

        Parameters
        ----------
        op : str
            An operator of ONNX, such as "Mul".
        *inputs : str
            Names of values: of other nodes' outputs, of constants; "" for one that is absent.
        **attributes
            The operator's attributes.
        """
        name = self.unique(op)
        self.nodes.append(helper.make_node(op, list(inputs), [name], name, **attributes))
        return name

    def reduce(self, op: str, x: str, axes: list[int], keepdims: bool) -> str:
        """Add a reduction over axes, which became an input in opset 18."""
        if self.opset >= 18:
            return self.add(op, x, self.constant(np.array(axes, np.int64), "axes"), keepdims=int(keepdims))
        return self.add(op, x, axes=axes, keepdims=int(keepdims))

    def reshape(self, x: str, *sizes: int) -> str:
        """Add a Reshape; 0 keeps a size, -1 is what remains."""
        return self.add("Reshape", x, self.constant(np.array(sizes, np.int64), "shape"))

    def split(self, x: str, axis: int, sizes: list[int]) -> list[str]:
        """Add a Split and return the names of its outputs."""
        name = self.unique("Split")
        outputs = [self.unique("part") for _ in sizes]
        inputs = [x, self.constant(np.array(sizes, np.int64), "sizes")]
        self.nodes.append(helper.make_node("Split", inputs, outputs, name, axis=axis))
        return outputs

    def cast(self, x: str, dtype: DTypeLike) -> str:
        """Add a conversion to a dtype."""
        return self.add("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


#: Writes a layer that is not a container; returns the name of its output.
Writer = Callable[[Builder, Any, Tensor], str]
