"""Models written to ONNX files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike
from onnx import helper

from ... import preprocessing as pre
from ...datasets.tables.schema import feature_names
from ...nn.layers import LogSigmoid
from ...nn.sequential import Sequential
from ...utils.files import check_target, write_atomically
from ...utils.validation import choice, count, instance
from .building import Builder, Tensor
from .transformers import write_inverse, write_transform
from .writers import write_layer

#: Operator sets that can be written: from onnxruntime 1.7 of 2021 on.
OPSETS = (14, 26)
#: What the graph's output can be.
OUTPUTS = ("raw", "probabilities", "log_probabilities")
#: The most bytes of a message in the format that ONNX uses, less some for the graph.
LARGEST = 2**31 - 2**20


def export(
    model: Sequential,
    path: str | Path,
    *,
    opset: int = 20,
    output: str = "raw",
    input_shape: Sequence[int] | None = None,
    input_dtype: DTypeLike | None = None,
) -> None:
    """Write a model to an ONNX file: the network in inference mode, its preprocessing, class names.

    The file has one input, "input", and one output, named as `output`; the batch is of any size. What the graph
    computes is what `Sequential.predict` returns, up to rounding.

    Parameters
    ----------
    model : Sequential
        Layers of your own need a method ``to_onnx(graph, x)``; see docs/onnx.md.
    path : path-like
        The file is replaced atomically.
    opset : int
        The version of ONNX's operators, 14 to 26; old runtimes need an old one.
    output : {"raw", "probabilities", "log_probabilities"}
        "raw" is what `predict` returns, "probabilities" what `predict_proba` returns: the softmax over the classes, or
        the sigmoid of binary outputs.
    input_shape : sequence of int, optional
        The shape of one example, such as (3, 32, 32). By default it follows from the preprocessing or from the first
        layer; images need it.
    input_dtype : dtype, optional
        float32 or float64; that of the parameters by default. The preprocessing is computed in float64 in any case;
        with inputs of float64 it takes values that float32 cannot distinguish, such as 1.7e9 ± 900.

    Raises
    ------
    TypeError
        If a layer or transformer has no counterpart in ONNX; the message names it.
    ValueError
        If an argument is invalid, or the input shape does not follow from the model; also for probabilities of a model
        that gives none, and for models of more than 2 GB.

    Notes
    -----
    Of a model with an `input_schema`, the file takes the numbers that the table's columns become, not the table:
    reading dates and numbers, filling gaps and encoding categories is not in it. The names of these numbers are in the
    metadata "features". The metadata "class_names" is a JSON list, "output_kind" the model's.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(4, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.onnx")
    ...     pynn.onnx.export(model, path)
    ...     again = pynn.onnx.load(path)
    >>> x = np.ones((2, 4), dtype=np.float32)
    >>> bool(np.allclose(again.predict(x), model.predict(x)))
    True
    """
    instance(model, "model", Sequential)
    choice(output, "output", OUTPUTS)
    if not OPSETS[0] <= count(opset, "opset") <= OPSETS[1]:
        raise ValueError(f"opset is {opset}; expected {OPSETS[0]} to {OPSETS[1]}")
    if output != "raw" and model.output_kind not in ("classes", "binary"):
        raise ValueError(
            f"output is {output!r}, but the model's output_kind is {model.output_kind!r}; train it with a loss on "
            'classes, or set model.output_kind to "classes" or "binary"'
        )
    check_target(path)
    with model.flat.gate.between_steps():
        made = _model_proto(model, opset, output, input_shape, np.dtype(input_dtype or model.dtype))
    onnx.checker.check_model(made, full_check=True)
    write_atomically(path, made.SerializeToString())


def _model_proto(
    model: Sequential, opset: int, output: str, input_shape: Sequence[int] | None, dtype: np.dtype[Any]
) -> onnx.ModelProto:
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"input_dtype is {dtype}; expected float32 or float64")
    size = sum(array.nbytes for array in model.state_dict().values())
    if size > LARGEST:
        raise ValueError(f"the model has {size} bytes of parameters; an ONNX file holds at most {LARGEST}")
    shape = _input_shape(model, input_shape)
    graph = Builder(opset)
    x = Tensor(graph.unique("input"), np.zeros((1, *shape), dtype))
    graph.unique(output)
    y = _write(graph, model, x, output)
    _name_output(graph, x.name, y.name, output)
    made = helper.make_model(
        helper.make_graph(
            graph.nodes, "pynn", [_info("input", x.example)], [_info(output, y.example)], initializer=graph.constants
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        producer_name="pynn",
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", opset)]),
    )
    helper.set_model_props(made, _metadata(model, output))
    return made


def _write(graph: Builder, model: Sequential, x: Tensor, output: str) -> Tensor:
    """Add everything from the raw input to the output."""
    if model.preprocessing is not None:
        x = write_transform(graph, model.preprocessing, x, "preprocessing")
    graph.scope = ""
    if x.example.dtype != model.dtype:
        x = Tensor(graph.cast(x.name, model.dtype), x.example.astype(model.dtype))
    try:
        y = write_layer(graph, model, x, "")
    except ValueError as error:
        raise ValueError(f"{error}; pass input_shape=, the shape of one example") from error
    if model.target_preprocessing is not None:
        y = write_inverse(graph, model.target_preprocessing, y, "target_preprocessing")
    graph.scope = ""
    if output == "raw":
        return y
    if model.output_kind == "classes":
        return Tensor(graph.add("Softmax" if output == "probabilities" else "LogSoftmax", y.name, axis=1), y.example)
    if output == "probabilities":
        return Tensor(graph.add("Sigmoid", y.name), y.example)
    return write_layer(graph, LogSigmoid(), y, "")


def _name_output(graph: Builder, given: str, last: str, name: str) -> None:
    """Give the graph's output its name; a graph without a node gets one."""
    if last == given:
        last = graph.add("Identity", given)
    for node in graph.nodes:
        for names in (node.input, node.output):
            for index, held in enumerate(names):
                if held == last:
                    names[index] = name


def _info(name: str, example: np.ndarray) -> onnx.ValueInfoProto:
    code = helper.np_dtype_to_tensor_dtype(example.dtype)
    return helper.make_tensor_value_info(name, code, ["batch", *example.shape[1:]])


def _input_shape(model: Sequential, given: Sequence[int] | None) -> tuple[int, ...]:
    """Return the shape of one raw example."""
    if given is not None:
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            raise ValueError(f"input_shape is {given!r}; expected the shape of one example, such as (3, 32, 32)")
        return tuple(count(size, "input_shape") for size in given)
    transformer = model.preprocessing
    while isinstance(transformer, pre.Pipeline):
        transformer = transformer.steps[0]
    images = isinstance(transformer, pre.ChannelCenter | pre.ChannelStandardize)
    if transformer is not None and not images:
        return transformer.example_shape
    if not images and not any(hasattr(layer, "in_channels") for layer in model.all_layers()):
        for layer in model.all_layers():
            for name in ("in_features", "num_features", "num_channels"):
                if hasattr(layer, name):
                    return (getattr(layer, name),)
            if hasattr(layer, "normalized_shape"):
                return tuple(layer.normalized_shape)
    raise ValueError("the shape of an example does not follow from the model; pass input_shape=, such as (3, 32, 32)")


def _metadata(model: Sequential, output: str) -> dict[str, str]:
    metadata = {"output": output}
    if model.class_names is not None:
        metadata["class_names"] = json.dumps(model.class_names)
    if model.output_kind is not None:
        metadata["output_kind"] = model.output_kind
    if model.input_schema is not None:
        names = [name for column in model.input_schema["columns"] for name in feature_names(column)]
        metadata["features"] = json.dumps(names)
    return metadata
