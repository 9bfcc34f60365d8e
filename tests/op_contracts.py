"""Ops by name, as functions of positional arrays: the shapes that they take and the outputs that can be handed in."""

from typing import NamedTuple

import numpy as np

from pynn import ops

ROWS, INPUTS, UNITS = 6, 5, 4


class Op(NamedTuple):
    """An op as a function of positional arrays and of output keywords."""

    call: object
    shapes: tuple  # of the arrays; "labels" stands for one integer label per row
    outputs: dict  # keyword -> position in the result
    cast: tuple = ()  # positions of float arrays that may have another dtype
    two_dimensional: bool = False


def elementwise(call):
    return Op(call, ((ROWS, UNITS),), {"out": 0})


def elementwise_backward(call):
    return Op(call, ((ROWS, UNITS), (ROWS, UNITS)), {"out": 0})


def batch_norm(x, gamma, beta, **options):
    dtype = np.asarray(x).dtype.type
    return ops.batch_norm(x, gamma, beta, np.zeros(UNITS, dtype), np.ones(UNITS, dtype), **options)


def merge_statistics(moments, **options):
    dtype = np.asarray(moments).dtype.type
    return ops.merge_statistics(moments, np.full(3, 2.0), np.zeros(UNITS, dtype), np.ones(UNITS, dtype), **options)


IMAGES, FILTERS = (2, 4, 6, 5), (4, 4, 3, 3)


def batch_norm2d(x, gamma, beta, **options):
    dtype = np.asarray(x).dtype.type
    return ops.batch_norm2d(x, gamma, beta, np.zeros(UNITS, dtype), np.ones(UNITS, dtype), **options)


OPS = {
    "relu": elementwise(ops.relu),
    "gelu": elementwise(ops.gelu),
    "sigmoid": elementwise(ops.sigmoid),
    "hardtanh": elementwise(ops.hardtanh),
    "softmax": elementwise(ops.softmax),
    "log_softmax": elementwise(ops.log_softmax),
    "relu_backward": elementwise_backward(ops.relu_backward),
    "hardtanh_backward": elementwise_backward(ops.hardtanh_backward),
    "softmax_backward": elementwise_backward(ops.softmax_backward),
    "log_softmax_backward": elementwise_backward(ops.log_softmax_backward),
    "gelu_backward": elementwise_backward(ops.gelu_backward),
    "dropout": elementwise(lambda x, **options: ops.dropout(x, 0.5, (4, 0), **options)),
    "prelu": Op(ops.prelu, ((ROWS, UNITS), (UNITS,)), {"out": 0}),
    "prelu_backward": Op(
        ops.prelu_backward,
        ((ROWS, UNITS), (ROWS, UNITS), (UNITS,)),
        {"dx": 0, "dslope": 1},
    ),
    "maxout": Op(lambda x, **options: ops.maxout(x, 2, **options), ((ROWS, UNITS),), {"out": 0}, (), True),
    "maxout_backward": Op(
        lambda dy, x, **options: ops.maxout_backward(dy, x, 2, **options),
        ((ROWS, UNITS), (ROWS, 2 * UNITS)),
        {"out": 0},
        two_dimensional=True,
    ),
    "glu": Op(ops.glu, ((ROWS, UNITS),), {"out": 0}),
    "glu_backward": Op(ops.glu_backward, ((ROWS, UNITS), (ROWS, 2 * UNITS)), {"out": 0}),
    "matmul": Op(
        lambda a, b, bias, **options: ops.matmul(a, b, bias=bias, **options),
        ((ROWS, INPUTS), (INPUTS, UNITS), (UNITS,)),
        {"out": 0, "pre_out": 0},
        two_dimensional=True,
    ),
    "matmul_transposed": Op(
        lambda a, b, **options: ops.matmul(a, b, trans_a=True, activation="silu", **options),
        ((INPUTS, ROWS), (INPUTS, UNITS)),
        {"out": 0},
        two_dimensional=True,
    ),
    "linear_backward": Op(
        ops.linear_backward,
        ((ROWS, UNITS), (ROWS, INPUTS), (INPUTS, UNITS)),
        {"dw": 0, "db": 1, "dx": 2},
        two_dimensional=True,
    ),
    "batch_norm": Op(
        batch_norm,
        ((ROWS, UNITS), (UNITS,), (UNITS,)),
        {"out": 0, "mean_out": 1, "rstd_out": 2},
        two_dimensional=True,
    ),
    "batch_norm_backward": Op(
        lambda *arrays, **options: ops.batch_norm_backward(*arrays, activation="tanh", **options),
        ((ROWS, UNITS), (ROWS, UNITS), (UNITS,), (UNITS,), (UNITS,), (UNITS,)),
        {"dx": 0, "dgamma": 1, "dbeta": 2},
        two_dimensional=True,
    ),
    "merge_statistics": Op(merge_statistics, ((3, 2, UNITS),), {"mean_out": 0, "var_out": 1}),
    "merge_gradients": Op(
        lambda sums, **options: ops.merge_gradients(sums, count=6, **options), ((3, 2, UNITS),), {"out": 0}
    ),
    "merged_input_gradient": Op(
        lambda *arrays, **options: ops.merged_input_gradient(*arrays, activation="tanh", **options),
        (*[(ROWS, UNITS)] * 2, *[(UNITS,)] * 4, (2, UNITS)),
        {"dx": 0},
    ),
    "add": Op(ops.add, ((ROWS, UNITS), (ROWS, UNITS)), {"out": 0}),
    "conv2d": Op(
        lambda x, w, bias, **options: ops.conv2d(x, w, bias=bias, padding=1, stride=2, **options),
        (IMAGES, FILTERS, (4,)),
        {"out": 0, "pre_out": 0},
    ),
    "conv2d_backward": Op(
        lambda dy, x, w, **options: ops.conv2d_backward(dy, x, w, padding=1, stride=2, **options),
        ((2, 4, 3, 3), IMAGES, FILTERS),
        {"dw": 0, "db": 1, "dx": 2},
    ),
    "max_pool2d": Op(lambda x, **options: ops.max_pool2d(x, 2, **options)[0], (IMAGES,), {"out": 0}),
    "avg_pool2d": Op(lambda x, **options: ops.avg_pool2d(x, 3, padding=1, **options), (IMAGES,), {"out": 0}),
    "adaptive_avg_pool2d": Op(lambda x, **options: ops.adaptive_avg_pool2d(x, 2, **options), (IMAGES,), {"out": 0}),
    "avg_pool2d_backward": Op(
        lambda dy, **options: ops.avg_pool2d_backward(dy, IMAGES, 2, **options), ((2, 4, 3, 2),), {"out": 0}
    ),
    "batch_norm2d": Op(
        batch_norm2d,
        (IMAGES, (UNITS,), (UNITS,)),
        {"out": 0, "mean_out": 1, "rstd_out": 2},
    ),
    "batch_norm2d_backward": Op(
        lambda *arrays, **options: ops.batch_norm2d_backward(*arrays, activation="tanh", **options),
        (IMAGES, IMAGES, (UNITS,), (UNITS,), (UNITS,), (UNITS,)),
        {"dx": 0, "dgamma": 1, "dbeta": 2},
    ),
    "group_norm": Op(
        lambda x, gamma, beta, **options: ops.group_norm(x, 2, gamma, beta, **options),
        (IMAGES, (UNITS,), (UNITS,)),
        {"out": 0, "mean_out": 1, "rstd_out": 2},
    ),
    "group_norm_backward": Op(
        ops.group_norm_backward,
        (IMAGES, IMAGES, (UNITS,), (2, 2), (2, 2)),
        {"dx": 0, "dgamma": 1, "dbeta": 2},
    ),
    "layer_norm": Op(
        lambda x, gamma, beta, **options: ops.layer_norm(x, (UNITS,), gamma, beta, **options),
        ((ROWS, UNITS), (UNITS,), (UNITS,)),
        {"out": 0, "mean_out": 1, "rstd_out": 2},
    ),
    "rms_norm": Op(
        lambda x, gamma, **options: ops.rms_norm(x, (UNITS,), gamma, **options),
        ((ROWS, UNITS), (UNITS,)),
        {"out": 0, "rstd_out": 1},
    ),
    "dropout2d": Op(lambda x, **options: ops.dropout2d(x, 0.5, (4, 0), **options), (IMAGES,), {"out": 0}),
    "softmax_cross_entropy": Op(
        lambda logits, targets, weight, sample_weight, **options: ops.softmax_cross_entropy(
            logits, targets, weight=weight, sample_weight=sample_weight, **options
        ),
        ((ROWS, UNITS), "labels", (UNITS,), (ROWS,)),
        {"dlogits": 1},
        two_dimensional=True,
    ),
    "nll": Op(
        lambda log_probs, targets, weight, sample_weight, **options: ops.nll(
            log_probs, targets, weight=weight, sample_weight=sample_weight, **options
        ),
        ((ROWS, UNITS), "labels", (UNITS,), (ROWS,)),
        {"dlog_probs": 1},
        two_dimensional=True,
    ),
    "multiclass_hinge": Op(
        lambda scores, targets, sample_weight, **options: ops.multiclass_hinge(
            scores, targets, sample_weight=sample_weight, **options
        ),
        ((ROWS, UNITS), "labels", (ROWS,)),
        {"dscores": 1},
        two_dimensional=True,
    ),
    "mse": Op(ops.mse, ((ROWS, UNITS), (ROWS, UNITS)), {"dprediction": 1}, cast=(1,)),
    "bce_with_logits": Op(ops.bce_with_logits, ((ROWS, UNITS), (ROWS, UNITS)), {"dlogits": 1}, cast=(1,)),
    "pointwise_loss": Op(
        lambda prediction, target, **options: ops.pointwise_loss(prediction, target, "huber", 0.5, **options),
        ((ROWS, UNITS), (ROWS, UNITS)),
        {"dprediction": 1},
        cast=(1,),
    ),
    "count_correct": Op(ops.count_correct, ((ROWS, UNITS), "labels"), {}, two_dimensional=True),
}

OUTPUTS = [(name, keyword) for name, op in OPS.items() for keyword in op.outputs]


def arguments(op, dtype, rng):
    return [
        rng.integers(UNITS, size=ROWS) if shape == "labels" else rng.uniform(0.1, 0.9, size=shape).astype(dtype)
        for shape in op.shapes
    ]


def results(op, arrays, **outputs):
    result = op.call(*arrays, **outputs)
    return result if isinstance(result, tuple) else (result,)


def expected_output(name, keyword, dtype, rng):
    """Return the op, its arguments and what it should write to the keyword's array."""
    op = OPS[name]
    arrays = arguments(op, dtype, rng)
    return op, arrays, results(op, arrays)[op.outputs[keyword]]
