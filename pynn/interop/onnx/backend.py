"""ONNX's backend interface: graphs run operator by operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx import helper
from onnx.backend import base
from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

from ...utils.validation import shortened
from .errors import UnsupportedError
from .graph import DTYPES, Graph, Node, read_model
from .operators import OPERATORS

#: The newest operator set whose definitions were implemented.
NEWEST_OPSET = 28


class UnsupportedModelError(UnsupportedError, BackendIsNotSupposedToImplementIt):
    """The model has an operator, or a type, that `Backend` does not have; the message names it."""


class Prepared(base.BackendRep):
    """A graph that was checked, to be run any number of times.

    Attributes
    ----------
    graph : Graph
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return the outputs for the inputs, which are a sequence in the graph's order, or a dictionary by name.

        Raises
        ------
        ValueError
            If an input is missing, superfluous, or has another dtype or shape than the graph says; if a node cannot be
            computed, whose name the message tells; or if it makes an array of more than 2**31 elements of the sizes in
            the model.
        """
        names = [value.name for value in self.graph.inputs]
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        given = inputs if isinstance(inputs, Mapping) else dict(zip(names, inputs, strict=False))
        if set(given) != set(names) or len(given) != len(inputs):
            shown = sorted(given) if isinstance(inputs, Mapping) else f"{len(inputs)} arrays"
            raise ValueError(f"the inputs are {shown}; expected {len(names)}: {names}")
        values = dict(self.graph.constants)
        for value in self.graph.inputs:
            values[value.name] = array = np.asarray(given[value.name])
            fits = value.shape is None or (
                array.ndim == len(value.shape)
                and all(size in (None, n) for n, size in zip(array.shape, value.shape, strict=True))
            )
            if not fits or array.dtype != value.dtype:
                raise ValueError(
                    f"input {value.name!r} is {array.dtype} of shape {array.shape}; expected {value.dtype} of shape "
                    f"{value.shape}"
                )
        with np.errstate(all="ignore"):  # NaN and infinities pass through, as in every runtime
            for node in self.graph.nodes:
                compute(node, values)
        results = [values[value.name] for value in self.graph.outputs]
        return base.namedtupledict("Outputs", [value.name for value in self.graph.outputs])(*results)


def compute(node: Node, values: dict[str, Any]) -> None:
    """Compute the outputs of one node from values by name."""
    given = [values[name] if name else None for name in node.inputs]
    try:
        result = OPERATORS[node.op](node, *given)
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        shapes = ", ".join("nothing" if array is None else str(np.shape(array)) for array in given)
        raise ValueError(shortened(f"{node} cannot be computed for inputs of shapes {shapes}: {error}")) from error
    results = result if isinstance(result, tuple) else (result,)
    if any(node.outputs[len(results) :]):
        raise ValueError(f"{node} has {len(node.outputs)} outputs; pynn computes {len(results)}")
    values.update((name, array) for name, array in zip(node.outputs, results, strict=False) if name)


def refusal(graph: Graph) -> str | None:
    """Return what of a graph cannot be run, by name, or None."""
    for value in graph.inputs:
        if value.dtype is None:
            return f"input {value.name!r} has an element type that NumPy does not have"
    for node in graph.nodes:
        reason = _refused(node, graph)
        if reason:
            return f"{node}: {reason}"
    return None


def _refused(node: Node, graph: Graph) -> str | None:
    if node.op not in OPERATORS:
        return "pynn has no such operator"
    if node.op in ("Conv", "ConvInteger", "QLinearConv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"):
        shapes = [value.shape for value in graph.inputs if value.name == node.inputs[0]]
        if len(node.get("kernel_shape", [1])) > 2 or any(shape is not None and len(shape) > 4 for shape in shapes):
            return "it is over more than two dimensions; expected sequences or images"
    if node.op in ("BatchNormalization", "Dropout") and node.opset < 7 and not node.get("is_test", 0):
        return "it is in training mode"
    if node.op == "Dropout" and len(node.inputs) > 2 and node.inputs[2]:
        training = graph.constants.get(node.inputs[2])
        if training is None or training.any():
            return "it is in training mode, whose random numbers are not defined"
    if node.op in ("Cast", "BitCast") and node.get("to") not in DTYPES:
        return "it converts to an element type that NumPy does not have"
    if any(node.get(name, 0) not in (0, *DTYPES) for name in ("output_dtype", "precision", "softmax_precision")):
        return "it computes in or returns an element type that NumPy does not have"
    return None


class Backend(base.Backend):
    """Runs ONNX models on `pynn.ops`, operator by operator (ONNX's ``onnx.backend.base.Backend``).

    The operators are those in docs/onnx.md. A model with another one is refused by `prepare`, by name; `is_compatible`
    tells whether it would be.

    Examples
    --------
    >>> import numpy as np, onnx.parser, pynn.onnx
    >>> model = onnx.parser.parse_model(
    ...     '<ir_version: 8, opset_import: ["": 18]> double (float[N, 2] x) => (float[N, 2] y) { y = Add(x, x) }'
    ... )
    >>> pynn.onnx.Backend.run_model(model, [np.ones((1, 2), np.float32)])[0]
    array([[2., 2.]], dtype=float32)
    """

    operators: ClassVar[frozenset[str]] = frozenset(OPERATORS)

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Return whether `prepare` would take the model."""
        try:
            cls.prepare(model, device)
        except UnsupportedError:
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        """Check a model and return what runs it.

        Raises
        ------
        UnsupportedModelError
            If it has an operator or a type that pynn does not have; the message names it. It is a ValueError.
        onnx.checker.ValidationError
            If it is not a valid model.
        """
        if not cls.supports_device(device):
            raise UnsupportedModelError(f'device is {device!r}; expected "CPU"')
        newest = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
        if newest > NEWEST_OPSET:
            raise UnsupportedModelError(f"the model has opset {newest}; expected at most {NEWEST_OPSET}")
        super().prepare(model, device)
        try:
            graph = read_model(model)
        except UnsupportedError as error:
            raise UnsupportedModelError(shortened(error)) from None
        reason = refusal(graph)
        if reason:
            raise UnsupportedModelError(shortened(reason))
        return Prepared(graph)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Return the outputs of one node; ``opset_version=`` says by which operator set, the newest by default."""
        arrays = [np.asarray(array) for array in inputs]
        names = [name for name in node.input if name]
        given = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, arrays, strict=True)
        ]
        results = [helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in node.output]
        opset = kwargs.get("opset_version", min(NEWEST_OPSET, onnx.defs.onnx_opset_version()))
        graph = helper.make_graph([node], "node", given, [helper.make_empty_tensor_value_info(n.name) for n in results])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        reason = refusal(read := read_model(model))
        if reason:
            raise UnsupportedModelError(shortened(reason))
        return Prepared(read).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Return whether the device is a CPU."""
        return device.split(":")[0] == "CPU"
