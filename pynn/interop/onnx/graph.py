"""An ONNX model as plain Python: nodes, constants, inputs, outputs. Sizes in a file are checked before use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from ...utils.files import FileFormatError
from ...utils.validation import shortened
from .errors import UnsupportedError
from .external import Beside

#: The element types that NumPy has, by their codes in ONNX.
DTYPES: dict[int, np.dtype[Any]] = {
    helper.np_dtype_to_tensor_dtype(np.dtype(name)): np.dtype(name)
    for name in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
}
#: The domains of the operators of networks, of those of classical machine learning, and of optimisers.
DOMAINS = {"": "", "ai.onnx": ""} | {name: name for name in ("ai.onnx.ml", "ai.onnx.preview.training")}


@dataclass
class Node:
    """One operator applied to named values."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]
    opset: int

    def __str__(self) -> str:
        return f"node {self.name or self.outputs[0]!r} ({self.op})"

    def get(self, attribute: str, default: Any = None) -> Any:
        """Return the value of an attribute."""
        return self.attributes.get(attribute, default)


@dataclass
class Value:
    """An input or output of the graph; dtype and shape are None, as sizes are, where the file does not say them."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | None, ...] | None


@dataclass
class Graph:
    """A model's nodes, in an order in which they can be computed, and what they start from."""

    nodes: list[Node]
    constants: dict[str, np.ndarray]
    inputs: list[Value]
    outputs: list[Value]
    metadata: dict[str, str] = field(default_factory=dict)


def read_file(path: str | Path) -> tuple[Graph, onnx.ModelProto]:
    """Return the graph of an ONNX file, and the model as the file has it.

    Raises
    ------
    FileFormatError
        If it is not a valid ONNX file.
    UnsupportedError
        If it has types or structures without a counterpart in NumPy.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(Path(path).read_bytes())
    except DecodeError as error:
        raise FileFormatError(f"{path} is not an ONNX file, or is truncated ({error})") from None
    if not model.ir_version or not model.graph.node:
        raise FileFormatError(f"{path} is not an ONNX file, or has an empty graph")
    try:
        return read_model(model, Path(path).parent), model
    except UnsupportedError:
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, UnicodeError) as error:
        raise FileFormatError(f"{path} is not a valid ONNX file: {shortened(error)}") from None


def read_model(model: onnx.ModelProto, folder: Path | None = None) -> Graph:
    """Return the graph of a model; `folder` is where its file lies, for arrays in files beside it."""
    if model.functions:
        raise UnsupportedError(f"function {model.functions[0].name!r}: inline it with onnx.inliner first")
    if model.graph.sparse_initializer:
        raise UnsupportedError("the graph has a sparse initializer")
    _check_names("array", (tensor.name for tensor in model.graph.initializer))
    _check_names("input", (info.name for info in model.graph.input))
    _check_names("output", (info.name for info in model.graph.output))
    _check_names("operator set", (imported.domain for imported in model.opset_import))
    opsets = {DOMAINS.get(imported.domain): imported.version for imported in model.opset_import}
    beside = Beside(folder)
    constants = {tensor.name: array_of(tensor, beside) for tensor in model.graph.initializer}
    nodes = [_node(proto, opsets, beside) for proto in model.graph.node]
    inputs = [_value(info) for info in model.graph.input if info.name not in constants]
    graph = Graph(nodes, constants, inputs, [_value(info) for info in model.graph.output])
    graph.metadata = {entry.key: entry.value for entry in model.metadata_props}
    _check_order(graph)
    return graph


def _check_text(names: Iterable[str | bytes]) -> None:
    """Raise ValueError for a name that is not UTF-8, which Protobuf returns as bytes."""
    for name in names:
        if isinstance(name, bytes):
            raise ValueError(f"the name {name!r} is not UTF-8")


def _check_names(what: str, names: Iterable[str]) -> None:
    """Raise ValueError if there are two of a name, of which one would be lost."""
    seen: set[str] = set()
    for name in names:
        _check_text([name])
        if name in seen:
            raise ValueError(f"there are two {what}s of the name {name!r}")
        seen.add(name)


def _node(proto: onnx.NodeProto, opsets: Mapping[str | None, int], beside: Beside) -> Node:
    _check_text([proto.domain, proto.op_type, proto.name, *proto.input, *proto.output])
    domain = DOMAINS.get(proto.domain)
    op = proto.op_type if not domain else f"{domain}.{proto.op_type}"
    if not proto.output:
        raise ValueError(f"node {proto.name!r} ({proto.op_type}) has no output")
    if domain is None:
        raise UnsupportedError(f"node {proto.name!r} has the operator {proto.domain}.{proto.op_type}")
    _check_names("attribute", (entry.name for entry in proto.attribute))
    attributes = {entry.name: _attribute(entry, beside) for entry in proto.attribute}
    return Node(op, proto.name, list(proto.input), list(proto.output), attributes, opsets.get(domain, 1))


def _attribute(entry: onnx.AttributeProto, beside: Beside) -> Any:
    value = helper.get_attribute_value(entry)
    if isinstance(value, onnx.TensorProto):
        return array_of(value, beside)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list | tuple) or hasattr(value, "__iter__"):
        return [item.decode() if isinstance(item, bytes) else item for item in value]
    return value


def _value(info: onnx.ValueInfoProto) -> Value:
    kind = info.type.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        return Value(info.name, None, None)  # a list or dictionary; what uses it is refused
    tensor = info.type.tensor_type
    sizes = (d.dim_value if d.WhichOneof("value") == "dim_value" else None for d in tensor.shape.dim)
    shape = tuple(sizes) if tensor.HasField("shape") else None
    return Value(info.name, DTYPES.get(tensor.elem_type), shape)


def _check_order(graph: Graph) -> None:
    """Raise ValueError if a value is computed twice, or used before it is computed."""
    known = {"", *graph.constants, *(value.name for value in graph.inputs)}
    for node in graph.nodes:
        missing = [name for name in node.inputs if name not in known]
        if missing:
            raise ValueError(f"{node} uses {missing[0]!r}, which nothing before it computes")
        for name in filter(None, node.outputs):
            if name in known:
                raise ValueError(f"{node} computes {name!r}, which exists already")
            known.add(name)
    for value in graph.outputs:
        if value.name not in known:
            raise ValueError(f"nothing computes the output {value.name!r}")


def array_of(tensor: onnx.TensorProto, beside: Beside) -> np.ndarray:
    """Return a tensor as an array, after a check that the file holds as many numbers as its shape says."""
    if tensor.data_type == onnx.TensorProto.STRING:
        if len(tensor.string_data) != math.prod(tensor.dims):
            raise ValueError(f"array {tensor.name!r} has {len(tensor.string_data)} texts and the shape {tensor.dims}")
        return np.array([text.decode() for text in tensor.string_data], dtype=object).reshape(tensor.dims)
    dtype = DTYPES.get(tensor.data_type)
    if dtype is None:
        raise UnsupportedError(f"array {tensor.name!r} has the element type {_type_name(tensor.data_type)}")
    shape = tuple(tensor.dims)
    if min(shape, default=0) < 0:
        raise ValueError(f"array {tensor.name!r} has the shape {shape}")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return _from_bytes(beside.read(tensor, dtype, shape), dtype, shape, tensor.name)
    if tensor.HasField("raw_data"):
        return _from_bytes(tensor.raw_data, dtype, shape, tensor.name)
    field_name = helper.tensor_dtype_to_field(tensor.data_type)
    if len(getattr(tensor, field_name)) != math.prod(shape):
        raise ValueError(f"array {tensor.name!r} has {len(getattr(tensor, field_name))} numbers and the shape {shape}")
    return np.array(numpy_helper.to_array(tensor), dtype)


def _from_bytes(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], name: str) -> np.ndarray:
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"array {name!r} has {len(content)} bytes; expected those of {dtype} of shape {shape}")
    little = np.frombuffer(content, dtype.newbyteorder("<")).reshape(shape)
    return little.astype(dtype)


def _type_name(code: int) -> str:
    return onnx.TensorProto.DataType.Name(code) if code in onnx.TensorProto.DataType.values() else f"number {code}"
