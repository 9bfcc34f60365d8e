"""ONNX's own rules for a graph, as the package onnx has them: attributes, numbers of inputs, shapes that fit."""

from __future__ import annotations

import math
import re

import onnx
from onnx import checker, helper, shape_inference

from .graph import DOMAINS

#: Arrays of more elements count by their shapes only: what says axes, sizes or borders has fewer.
_SMALL = 1024
#: What onnxruntime's optimiser writes in older operator sets as well.
_EARLY = frozenset({"LayerNormalization"})
#: What the package's messages say beside the fault.
_TAGS = re.compile(r"\[\w+\]|Inference error\(s\):")


def check_rules(model: onnx.ModelProto) -> None:
    """Raise ValueError if the graph breaks one of ONNX's rules.

    The file's operator set must have each operator, and an operator the attributes and inputs of its node; the shapes
    of the inputs must fit. Of a graph with graphs in attributes only the operators are checked: readers refuse it.
    """
    opsets = {DOMAINS.get(entry.domain, entry.domain): entry.version for entry in model.opset_import}
    opsets.setdefault("", 1)
    skeleton = _skeleton(model)
    defined = [_is_defined(node, opsets) for node in skeleton.graph.node]
    if not all(defined) or any(entry.HasField("g") or entry.graphs for n in model.graph.node for entry in n.attribute):
        return
    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = model.ir_version, opsets
    try:
        for node in skeleton.graph.node:
            checker.check_node(node, context)
        shape_inference.infer_shapes(skeleton, strict_mode=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        raise ValueError(" ".join(_TAGS.sub("", str(error)).split())) from None


def _is_defined(node: onnx.NodeProto, opsets: dict[str, int]) -> bool:
    """Return whether the file's operator sets have the operator of a node, or raise ValueError."""
    has = f"node {node.name or node.output[0]!r} has the operator {node.op_type}"
    if node.domain not in opsets:
        raise ValueError(f"{has} of {node.domain}, of which the file names no operator set")
    try:
        onnx.defs.get_schema(node.op_type, opsets[node.domain], node.domain)
    except onnx.defs.SchemaError:
        if node.domain == "" and node.op_type in _EARLY:
            return False
        raise ValueError(f"{has}, which operator set {opsets[node.domain]} lacks") from None
    return True


def _skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of the same nodes and inputs, without large arrays, and without what the file claims of results.

    Shapes of results may be stale, as where somebody changed those of the inputs, which harms nothing.
    """
    skeleton = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    skeleton.graph.name = "rules"
    skeleton.graph.node.extend(model.graph.node)
    for node in skeleton.graph.node:
        node.domain = DOMAINS.get(node.domain, node.domain)
    arrays = {array.name: array for array in model.graph.initializer}
    skeleton.graph.input.extend(given for given in model.graph.input if given.name not in arrays)
    for name, array in arrays.items():
        if math.prod(array.dims) <= _SMALL and array.data_location != onnx.TensorProto.EXTERNAL:
            skeleton.graph.initializer.append(array)
        else:
            skeleton.graph.input.append(helper.make_tensor_value_info(name, array.data_type, array.dims))
    skeleton.graph.output.extend(helper.make_empty_tensor_value_info(given.name) for given in model.graph.output)
    return skeleton
