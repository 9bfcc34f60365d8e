"""One checked, documented function per operation: the only door from layers to kernels.

Every op checks its arguments once and calls the kernel of the backend in use. Arrays are float32 or float64, all of one
op in the same dtype; any memory layout is read. Every output can be handed in; it must then be C-contiguous, and an
output array that overlaps an input array raises, except that elementwise ops may write onto their input.
"""

from .activations import (
    ACTIVATIONS,
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
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
from .batchnorm import batchnorm_backward, batchnorm_forward
from .dropout import advance, dropout, dropout_backward
from .losses import (
    bce_with_logits,
    count_correct,
    mse,
    multiclass_hinge,
    share_correct,
    softmax_cross_entropy,
)
from .matmul import linear_backward, matmul
from .optim import (
    adagrad,
    adam,
    add_penalty,
    clip_column_norms,
    clip_values,
    gradient_norm,
    rmsprop,
    sgd,
)
from .parametric import maxout, maxout_backward, prelu, prelu_backward
from .watch import one_signed, square_sum, unit_stats

__all__ = [
    "ACTIVATIONS",
    "adagrad",
    "adam",
    "add_penalty",
    "advance",
    "batchnorm_backward",
    "batchnorm_forward",
    "bce_with_logits",
    "clip_column_norms",
    "clip_values",
    "count_correct",
    "dropout",
    "dropout_backward",
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "gradient_norm",
    "leaky_relu",
    "leaky_relu_backward",
    "linear_backward",
    "matmul",
    "maxout",
    "maxout_backward",
    "mse",
    "multiclass_hinge",
    "one_signed",
    "prelu",
    "prelu_backward",
    "relu",
    "relu_backward",
    "rmsprop",
    "selu",
    "selu_backward",
    "sgd",
    "share_correct",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax_cross_entropy",
    "softplus",
    "softplus_backward",
    "square_sum",
    "tanh",
    "tanh_backward",
    "unit_stats",
]
