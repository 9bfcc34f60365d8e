"""Models read from ONNX files, to be trained on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ...nn.rebuilding import rebuilt_from
from ...nn.sequential import Sequential
from ...utils.files import FileFormatError
from ...utils.validation import shortened
from .chains import Chain
from .drafts import dtype_of, made
from .ends import Ending, fold_into_first, take_preprocessing, take_target_preprocessing
from .errors import UnsupportedError
from .graph import Graph, Node, read_file
from .operators import OPERATORS
from .patterns import fuse
from .reading import Reading
from .rules import check_rules
from .sizes import MOVES, Sizes, split_off
from .spans import READERS

#: What only gives constants another form.
FORMS = frozenset(
    {"Cast", "Concat", "Constant", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)
#: What PyTorch computes sizes of padding and of new shapes with, from constants.
WHOLE = frozenset({"Add", "ConstantOfShape", "Mod", "Mul", "Sub"})

#: Operators that are layers, or parts of some.
READABLE = frozenset(READERS) | MOVES | {"Resize", "Shape", "Transpose"}


def load(path: str | Path) -> Sequential:
    """Return the network of an ONNX file, ready for prediction and for further training.

    The graph must be a chain of operators that are layers of pynn, whose branches meet in sums, as in residual blocks.
    Constants that are subtracted and multiplied before the first layer become the model's preprocessing, those after a
    network of float32 in float64 its target preprocessing, others part of the neighbouring layer. A graph that gives
    labels and probabilities, as skl2onnx writes it, and one that `export` wrote, becomes a classifier: `predict_proba`
    and `predict_label` return what the graph does, and `predict` returns logits, which losses take.

    Parameters
    ----------
    path : path-like
        Arrays in other files are read only from the same folder.

    Raises
    ------
    FileFormatError
        If the file is not a valid ONNX file, or truncated. It is a ValueError.
    ValueError
        If something in the graph has no counterpart; the message names node, operator and attribute. Such a graph may
        still run on `Backend`.

    Notes
    -----
    Nothing in the file is executed. Sizes are checked before memory is taken.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Conv2d(1, 4, 3), pynn.ReLU(), pynn.Flatten(), pynn.Linear(16, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pynn.onnx.export(model, os.path.join(folder, "m.onnx"), input_shape=(1, 4, 4))
    ...     again = pynn.onnx.load(os.path.join(folder, "m.onnx"))
    >>> trainer = pynn.Trainer(again, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> history = trainer.fit(np.ones((8, 1, 4, 4)), np.zeros(8, dtype=int), epochs=1)
    """
    graph, model = read_file(path)
    try:
        network = _network(graph)
        check_rules(model)  # last: readers name what has no counterpart
        return network
    except UnsupportedError as error:
        more = _without_layer(graph, str(error))
        raise UnsupportedError(f"{path} cannot be read as a network of pynn: {shortened(error)}{more}") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise FileFormatError(f"{path} has a graph that makes no network: {shortened(error)}") from error


def _without_layer(graph: Graph, named: str) -> str:
    """Return the end of an error that names one operator: which others of the graph no layer computes."""
    others = sorted({node.op for node in graph.nodes if node.op not in READABLE and node.op not in named})
    return f"; nor has pynn a layer for {shortened(', '.join(others))}" if others else ""


def _network(graph: Graph) -> Sequential:
    numbers = sum(array.size for array in graph.constants.values() if array.dtype != object)
    _fold_constants(graph, numbers)
    fuse(graph)
    ending = Ending(graph)
    if len(graph.inputs) != 1:
        raise UnsupportedError(f"the graph has the inputs {[value.name for value in graph.inputs]}; expected one")
    _keep_needed(graph, ending.value)
    read = Reading(graph)
    sizes = Sizes(split_off(graph), read)
    (given,) = graph.inputs
    steps = Chain(graph, sizes, read, ending.value).steps(given.name)
    preprocessing = take_preprocessing(steps, given.shape)
    fold_into_first(steps)
    dtype, shape = dtype_of(steps), read.shapes.get(ending.value)
    width = shape[-1] if shape is not None and len(shape) == 2 else None
    target = take_target_preprocessing(steps, width)
    with rebuilt_from(4 * numbers + len(graph.nodes)):  # the four arrays of a batch norm may be one
        model = Sequential(*made(steps, dtype))
    if model.parameters() and any(p.data.dtype != dtype for p in model.parameters()):
        model.astype(dtype)
    model.preprocessing, model.target_preprocessing = preprocessing, target
    _describe(model, graph, ending)
    return model


def _describe(model: Sequential, graph: Graph, ending: Ending) -> None:
    """Set what outputs mean and the names of classes."""
    names: Any = ending.class_names
    if names is None and "class_names" in graph.metadata:
        names = json.loads(graph.metadata["class_names"])
    model.class_names = names
    model.output_kind = ending.kind or graph.metadata.get("output_kind")  # type: ignore[assignment]


def _fold_constants(graph: Graph, numbers: int) -> None:
    """Compute the nodes that only give constants another form, or whole numbers of whole numbers."""
    left, rest = 4 * numbers + 4096, []
    for node in graph.nodes:
        inputs = [graph.constants.get(name) for name in node.inputs]
        given = [array for array in inputs if array is not None]
        constant = len(given) == sum(map(bool, node.inputs))
        whole = node.op in WHOLE and all(array.dtype.kind in "iu" for array in given)
        if not constant or not (whole or node.op in FORMS):
            rest.append(node)
            continue
        left -= sum(array.size for array in given) + (_size_of_result(node, given) if whole else 0) + 1
        if left < 0:
            raise UnsupportedError(f"{node}: the graph copies its constants too often")
        with np.errstate(divide="ignore"):
            graph.constants[node.outputs[0]] = np.asarray(OPERATORS[node.op](node, *inputs))
    graph.nodes = rest


def _size_of_result(node: Node, given: list[np.ndarray]) -> int:
    """Return how many numbers a node of `WHOLE` computes."""
    if node.op == "ConstantOfShape":
        return math.prod(map(int, given[0].flat))
    return math.prod(np.broadcast_shapes(*(array.shape for array in given)))


def _keep_needed(graph: Graph, output: str) -> None:
    """Remove the nodes on which the output does not depend."""
    needed, kept = {output}, []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    graph.nodes = kept[::-1]
