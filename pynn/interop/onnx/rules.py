"""ONNX's own rules for a graph, as the package onnx has them: attributes, numbers of inputs, shapes that fit."""

from __future__ import annotations

import math
import re

import onnx
from onnx import checker, helper, shape_inference

#: Arrays of more elements count by their shapes only: what says axes, sizes or borders has fewer.
_SMALL = 1024
#: What the package's messages say beside the fault.
_TAGS = re.compile(r"\[\w+\]|Inference error\(s\):")


def check_rules(model: onnx.ModelProto) -> None:
    """Raise ValueError if a node has attributes or inputs that its operator lacks, or inputs whose shapes do not fit.

    A graph with an operator that ONNX does not define, or with graphs in attributes, is not checked; readers refuse it
    by name.
    """
    opsets = {entry.domain: entry.version for entry in model.opset_import} or {"": 1}
    opsets.setdefault("", opsets.get("ai.onnx", 1))
    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = model.ir_version, opsets
    if not all(_is_plain(node, opsets) for node in model.graph.node):
        return
    try:
        for node in model.graph.node:
            checker.check_node(node, context)
        shape_inference.infer_shapes(_skeleton(model), strict_mode=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        raise ValueError(" ".join(_TAGS.sub("", str(error)).split())) from None


def _is_plain(node: onnx.NodeProto, opsets: dict[str, int]) -> bool:
    """Return whether ONNX defines the operator of a node, which holds no graph."""
    if any(entry.HasField("g") or entry.graphs for entry in node.attribute) or node.domain not in opsets:
        return False
    try:
        onnx.defs.get_schema(node.op_type, opsets[node.domain], node.domain)
    except onnx.defs.SchemaError:
        return False
    return True


def _skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of the same nodes and inputs, without large arrays, and without what the file claims of results.

    Shapes of results may be stale, as where somebody changed those of the inputs, which harms nothing.
    """
    skeleton = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    skeleton.graph.name = "rules"
    skeleton.graph.node.extend(model.graph.node)
    arrays = {array.name: array for array in model.graph.initializer}
    skeleton.graph.input.extend(given for given in model.graph.input if given.name not in arrays)
    for name, array in arrays.items():
        if math.prod(array.dims) <= _SMALL and array.data_location != onnx.TensorProto.EXTERNAL:
            skeleton.graph.initializer.append(array)
        else:
            skeleton.graph.input.append(helper.make_tensor_value_info(name, array.data_type, array.dims))
    skeleton.graph.output.extend(helper.make_empty_tensor_value_info(given.name) for given in model.graph.output)
    return skeleton
