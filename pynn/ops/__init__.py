"""One checked, documented function per operation: layers reach kernels only through these.

Every op checks its arguments once and calls the kernel of the backend in use. Arrays are float32 or float64, all of one
op in the same dtype; inputs may have any memory layout. Every output can be passed in; it must then be C-contiguous. An
array that is written (including running statistics, optimiser state and `stats`) must not overlap another array of the
call, read or written: that raises, except that elementwise ops may work in place, and `dz` may be `dy`.

The Cython kernels of products, convolutions, optimisers, the softmax loss and all activations with an exponential (from
ELU on) flush denormals to zero (numbers below 1.2e-38 in float32 and 2.2e-308 in float64): arithmetic on them takes up
to a hundred times as long. The other kernels and backends keep them.
"""

from ..utils.renamed import attributes
from .activations import (
    ACTIVATIONS,
    add,
    celu,
    celu_backward,
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    logsigmoid,
    logsigmoid_backward,
    mish,
    mish_backward,
    selu,
    selu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from .batchnorm import batch_norm, batch_norm_backward
from .channels import batch_norm2d, batch_norm2d_backward
from .columns import copy_columns, embed, embed_backward
from .conv import conv2d, conv2d_backward
from .conv_transpose import conv_transpose2d, conv_transpose2d_backward
from .dropout import advance, dropout, dropout2d, dropout2d_backward, dropout_backward
from .glu import glu, glu_backward
from .groupnorm import (
    group_norm,
    group_norm_backward,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from .losses import count_correct, multiclass_hinge, nll, share_correct, softmax_cross_entropy
from .matmul import linear_backward, matmul, zero
from .merged_norm import merge_gradients, merge_statistics, merged_input_gradient
from .optim import adagrad, adam, add_penalty, clip_column_norms, clip_values, gradient_norm, rmsprop, sgd
from .parametric import maxout, maxout_backward, prelu, prelu_backward
from .piecewise import (
    hardsigmoid,
    hardsigmoid_backward,
    hardswish,
    hardswish_backward,
    hardtanh,
    hardtanh_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu6,
    relu6_backward,
    relu_backward,
    softsign,
    softsign_backward,
)
from .pixel_shuffle import pixel_shuffle, pixel_unshuffle
from .pointwise_losses import bce_with_logits, mse, pointwise_loss
from .pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from .softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from .upsample import upsample, upsample_backward
from .watch import one_signed, square_sum, unit_stats

__getattr__ = attributes(
    __name__,
    {
        "batchnorm2d_backward": "batch_norm2d_backward",
        "batchnorm2d_forward": "batch_norm2d",
        "batchnorm_backward": "batch_norm_backward",
        "batchnorm_forward": "batch_norm",
    },
)

__all__ = [
    "ACTIVATIONS",
    "adagrad",
    "adam",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "add",
    "add_penalty",
    "advance",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm2d",
    "batch_norm2d_backward",
    "batch_norm_backward",
    "bce_with_logits",
    "celu",
    "celu_backward",
    "clip_column_norms",
    "clip_values",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "copy_columns",
    "count_correct",
    "dropout",
    "dropout2d",
    "dropout2d_backward",
    "dropout_backward",
    "elu",
    "elu_backward",
    "embed",
    "embed_backward",
    "gelu",
    "gelu_backward",
    "glu",
    "glu_backward",
    "gradient_norm",
    "group_norm",
    "group_norm_backward",
    "hardsigmoid",
    "hardsigmoid_backward",
    "hardswish",
    "hardswish_backward",
    "hardtanh",
    "hardtanh_backward",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "logsigmoid",
    "logsigmoid_backward",
    "matmul",
    "max_pool2d",
    "max_pool2d_backward",
    "maxout",
    "maxout_backward",
    "merge_gradients",
    "merge_statistics",
    "merged_input_gradient",
    "mish",
    "mish_backward",
    "mse",
    "multiclass_hinge",
    "nll",
    "one_signed",
    "pixel_shuffle",
    "pixel_unshuffle",
    "pointwise_loss",
    "prelu",
    "prelu_backward",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "rms_norm",
    "rms_norm_backward",
    "rmsprop",
    "selu",
    "selu_backward",
    "sgd",
    "share_correct",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
    "softplus",
    "softplus_backward",
    "softsign",
    "softsign_backward",
    "square_sum",
    "tanh",
    "tanh_backward",
    "unit_stats",
    "upsample",
    "upsample_backward",
    "zero",
]
