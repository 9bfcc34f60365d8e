"""The operators of ONNX that pynn has: each a function of a node and its input arrays that returns its output."""

from . import (
    activations,
    attention,
    convolutions,
    elementwise,
    indexing,
    losses,
    normalization,
    products,
    quantization,
    reductions,
    resize,
    shapes,
    updates,
)

#: Every operator by name. Those of layers are computed by `pynn.ops`, arithmetic and shapes by NumPy.
OPERATORS = {
    **activations.OPERATORS,
    **attention.OPERATORS,
    **convolutions.OPERATORS,
    **normalization.OPERATORS,
    **products.OPERATORS,
    **quantization.OPERATORS,
    **losses.OPERATORS,
    **elementwise.OPERATORS,
    **indexing.OPERATORS,
    **reductions.OPERATORS,
    **resize.OPERATORS,
    **shapes.OPERATORS,
    **updates.OPERATORS,
}
