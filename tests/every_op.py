"""Every public op that writes arrays: what it reads, what it writes, and where it may write onto what it reads."""

from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from pynn import ops

ROWS, UNITS, INPUTS, CLASSES = 6, 8, 5, 4
LINES, IMAGES, LINE = (ROWS, UNITS), (2, 4, 6, 5), (UNITS,)
FILTERS, GRID = (4, 4, 3, 3), (2, 4, 4, 3)
FLAT = (24,)


class Call(NamedTuple):
    """A call whose arrays are all given by keyword. Shapes are of the op's own dtype unless a dtype is named."""

    op: object
    reads: dict
    writes: dict
    options: dict = MappingProxyType({})
    onto: tuple = ()  # (written, read): may be the same array

    def arrays(self, dtype, rng):
        """Return arrays for all keywords, with contents that the op accepts."""
        return {name: self.content(name, dtype, rng) for name in (*self.reads, *self.writes)}

    def layout(self, name, dtype):
        """Return shape and dtype of an array."""
        shape = {**self.reads, **self.writes}[name]
        return shape if isinstance(shape[-1], np.dtype) else (shape, np.dtype(dtype))

    def content(self, name, dtype, rng):
        shape, kind = self.layout(name, dtype)
        if name in KNOWN:
            return np.array(KNOWN[name], kind)
        if name == "targets" and kind.kind == "i":
            return rng.integers(CLASSES, size=shape)
        return rng.uniform(0.1, 0.9, size=shape).astype(kind)

    def __call__(self, arrays):
        return self.op(**arrays, **self.options)


#: Arrays that steer an op instead of being computed with.
KNOWN = {
    "bounds": [[0, 10], [12, 24]],
    "rates": [[0.1, 0.01], [0.2, 0.0]],
    "step": [3],
    "counts": [2, 1, 0, 3],
    "draw": [7, 100],
    "stream": [7, 100],
    "index": np.zeros((2, 4, 3, 2)),
    "indices": [[9, 3], [9, 0], [9, 1], [9, 3], [9, 2], [9, 0]],
}

INT64, UINT64, FLOAT64, UINT16 = (np.dtype(name) for name in ("int64", "uint64", "float64", "uint16"))
STATS = ((4, UNITS), FLOAT64)
ONE = ((1,), FLOAT64)
SEGMENTS = {"bounds": ((2, 2), INT64), "rates": ((2, 2), FLOAT64)}
MOMENTS = {"mean_out": LINE, "rstd_out": LINE}
CHANNELS, CHANNEL = {"gamma": (4,), "beta": (4,)}, (4,)


def _forward(op, **options):
    return Call(op, {"x": LINES}, {"out": LINES}, options, (("out", "x"),))


def _backward(op, saved, **options):
    return Call(op, {"dy": LINES, saved: LINES}, {"out": LINES}, options, (("out", "dy"), ("out", saved)))


def _update(op, *state, step=False, **options):
    reads = {"grad": FLAT, **SEGMENTS, **({"step": ((1,), INT64)} if step else {})}
    writes = {"param": FLAT, **dict.fromkeys(state, FLAT), "stats": ((2, 3), FLOAT64)}
    return Call(op, reads, writes, options)


_INPUT = {"gelu", "silu", "mish", "hardswish"}
CALLS = {
    **{name: _forward(getattr(ops, name)) for name in ops.ACTIVATIONS if name != "gelu_tanh"},
    **{
        f"{name}_backward": _backward(
            getattr(ops, f"{name}_backward"), "x" if name in _INPUT or "relu" in name else "y"
        )
        for name in ops.ACTIVATIONS
        if name != "gelu_tanh"
    },
    "hardtanh": _forward(ops.hardtanh),
    "hardtanh_backward": _backward(ops.hardtanh_backward, "x"),
    "softmax": _forward(ops.softmax),
    "softmax_backward": _backward(ops.softmax_backward, "y"),
    "log_softmax": _forward(ops.log_softmax),
    "log_softmax_backward": _backward(ops.log_softmax_backward, "y"),
    "add": Call(ops.add, {"a": LINES, "b": LINES}, {"out": LINES}, onto=(("out", "a"), ("out", "b"))),
    "prelu": Call(ops.prelu, {"x": LINES, "slope": LINE}, {"out": LINES}, onto=(("out", "x"),)),
    "prelu_backward": Call(
        ops.prelu_backward,
        {"dy": LINES, "x": LINES, "slope": LINE},
        {"dx": LINES, "dslope": LINE},
        onto=(("dx", "dy"),),
    ),
    "maxout": Call(ops.maxout, {"x": LINES}, {"out": (ROWS, 4)}, {"pieces": 2}),
    "maxout_backward": Call(ops.maxout_backward, {"dy": (ROWS, 4), "x": LINES}, {"out": LINES}, {"pieces": 2}),
    "glu": Call(ops.glu, {"x": LINES}, {"out": (ROWS, 4)}),
    "glu_backward": Call(ops.glu_backward, {"dy": (2, 2, 6, 5), "x": IMAGES}, {"out": IMAGES}, {"axis": 1}),
    "dropout": Call(
        ops.dropout, {"x": LINES, "draw": ((2,), UINT64)}, {"out": LINES}, {"p": 0.5}, onto=(("out", "x"),)
    ),
    "dropout_backward": Call(
        ops.dropout_backward, {"dy": LINES, "draw": ((2,), UINT64)}, {"out": LINES}, {"p": 0.5}, (("out", "dy"),)
    ),
    "dropout2d": Call(
        ops.dropout2d, {"x": IMAGES, "draw": ((2,), UINT64)}, {"out": IMAGES}, {"p": 0.5}, onto=(("out", "x"),)
    ),
    "dropout2d_backward": Call(
        ops.dropout2d_backward, {"dy": IMAGES, "draw": ((2,), UINT64)}, {"out": IMAGES}, {"p": 0.5}, (("out", "dy"),)
    ),
    "advance": Call(ops.advance, {}, {"stream": ((2,), UINT64), "out": ((2,), UINT64)}, {"count": 3}),
    "zero": Call(ops.zero, {}, {"out": LINE}),
    "matmul": Call(
        ops.matmul,
        {"a": (ROWS, INPUTS), "b": (INPUTS, UNITS), "bias": LINE},
        {"out": LINES, "pre_out": LINES},
        {"activation": "gelu"},
    ),
    "linear_backward": Call(
        ops.linear_backward,
        {"dy": LINES, "x": (ROWS, INPUTS), "w": (INPUTS, UNITS), "saved": LINES},
        {"dw": (INPUTS, UNITS), "db": LINE, "dx": (ROWS, INPUTS), "dz": LINES},
        {"activation": "tanh"},
        (("dz", "dy"), ("dz", "saved")),
    ),
    "conv2d": Call(
        ops.conv2d,
        {"x": IMAGES, "w": FILTERS, "bias": CHANNEL},
        {"out": GRID, "pre_out": GRID},
        {"activation": "silu"},
    ),
    "conv2d_backward": Call(
        ops.conv2d_backward,
        {"dy": GRID, "x": IMAGES, "w": FILTERS, "saved": GRID},
        {"dw": FILTERS, "db": CHANNEL, "dx": IMAGES, "dz": GRID},
        {"activation": "sigmoid"},
        (("dz", "dy"), ("dz", "saved")),
    ),
    "conv_transpose2d": Call(ops.conv_transpose2d, {"x": GRID, "w": FILTERS, "bias": CHANNEL}, {"out": IMAGES}),
    "conv_transpose2d_backward": Call(
        ops.conv_transpose2d_backward,
        {"dy": IMAGES, "x": GRID, "w": FILTERS},
        {"dw": FILTERS, "db": CHANNEL, "dx": GRID},
    ),
    "upsample": Call(ops.upsample, {"x": IMAGES}, {"out": (2, 4, 9, 3)}, {"size": (9, 3), "mode": "bilinear"}),
    "upsample_backward": Call(
        ops.upsample_backward, {"dy": (2, 4, 9, 3)}, {"out": IMAGES}, {"shape": IMAGES, "size": (9, 3)}
    ),
    "pixel_shuffle": Call(ops.pixel_shuffle, {"x": IMAGES}, {"out": (2, 1, 12, 10)}, {"upscale_factor": 2}),
    "pixel_unshuffle": Call(ops.pixel_unshuffle, {"x": (2, 1, 12, 10)}, {"out": IMAGES}, {"downscale_factor": 2}),
    "copy_columns": Call(ops.copy_columns, {"source": (ROWS, UNITS)}, {"out": (ROWS, 3)}, {"start": 2, "width": 3}),
    "embed": Call(ops.embed, {"indices": (ROWS, 2), "table": (CLASSES, UNITS)}, {"out": LINES}, {"column": 1}),
    "embed_backward": Call(
        ops.embed_backward, {"dy": LINES, "indices": (ROWS, 2)}, {"dtable": (CLASSES, UNITS)}, {"column": 1}
    ),
    "max_pool2d": Call(
        ops.max_pool2d, {"x": IMAGES}, {"out": (2, 4, 3, 2), "index_out": ((2, 4, 3, 2), UINT16)}, {"kernel": 2}
    ),
    "max_pool2d_backward": Call(
        ops.max_pool2d_backward,
        {"dy": (2, 4, 3, 2), "index": ((2, 4, 3, 2), UINT16)},
        {"out": IMAGES},
        {"shape": IMAGES, "kernel": 2},
    ),
    "avg_pool2d": Call(ops.avg_pool2d, {"x": IMAGES}, {"out": (2, 4, 3, 2)}, {"kernel": 2}),
    "avg_pool2d_backward": Call(
        ops.avg_pool2d_backward, {"dy": (2, 4, 3, 2)}, {"out": IMAGES}, {"shape": IMAGES, "kernel": 2}
    ),
    "adaptive_avg_pool2d": Call(ops.adaptive_avg_pool2d, {"x": IMAGES}, {"out": (2, 4, 2, 3)}, {"size": (2, 3)}),
    "adaptive_avg_pool2d_backward": Call(
        ops.adaptive_avg_pool2d_backward, {"dy": (2, 4, 2, 3)}, {"out": IMAGES}, {"shape": IMAGES}
    ),
    "batch_norm": Call(
        ops.batch_norm,
        {"x": LINES, "gamma": LINE, "beta": LINE},
        {"running_mean": LINE, "running_var": LINE, "out": LINES, **MOMENTS},
        {"activation": "relu"},
    ),
    "batch_norm_backward": Call(
        ops.batch_norm_backward,
        {"dy": LINES, "x": LINES, "gamma": LINE, "beta": LINE, "mean": LINE, "rstd": LINE},
        {"dx": LINES, "dgamma": LINE, "dbeta": LINE},
        {"activation": "tanh"},
    ),
    "merge_statistics": Call(
        ops.merge_statistics,
        {"moments": (4, 2, UNITS), "counts": ((4,), FLOAT64)},
        {"running_mean": LINE, "running_var": LINE, "mean_out": LINE, "var_out": LINE},
    ),
    "merge_gradients": Call(
        ops.merge_gradients,
        {"sums": (4, 2, UNITS)},
        {"out": (2, UNITS)},
        {"count": 6},
    ),
    "merged_input_gradient": Call(
        ops.merged_input_gradient,
        {"dy": LINES, "x": LINES, "gamma": LINE, "beta": LINE, "mean": LINE, "rstd": LINE, "means": (2, UNITS)},
        {"dx": LINES},
        {"activation": "tanh"},
    ),
    "batch_norm2d": Call(
        ops.batch_norm2d,
        {"x": IMAGES, **CHANNELS},
        {
            "running_mean": CHANNEL,
            "running_var": CHANNEL,
            "out": IMAGES,
            "mean_out": CHANNEL,
            "rstd_out": CHANNEL,
        },
    ),
    "batch_norm2d_backward": Call(
        ops.batch_norm2d_backward,
        {"dy": IMAGES, "x": IMAGES, **CHANNELS, "mean": CHANNEL, "rstd": CHANNEL},
        {"dx": IMAGES, "dgamma": CHANNEL, "dbeta": CHANNEL},
        {"activation": "relu"},
    ),
    "group_norm": Call(
        ops.group_norm,
        {"x": IMAGES, **CHANNELS},
        {"out": IMAGES, "mean_out": (2, 2), "rstd_out": (2, 2)},
        {"groups": 2},
    ),
    "group_norm_backward": Call(
        ops.group_norm_backward,
        {"dy": IMAGES, "x": IMAGES, "gamma": CHANNEL, "mean": (2, 2), "rstd": (2, 2)},
        {"dx": IMAGES, "dgamma": CHANNEL, "dbeta": CHANNEL},
    ),
    "layer_norm": Call(
        ops.layer_norm,
        {"x": LINES, "gamma": LINE, "beta": LINE},
        {"out": LINES, "mean_out": (ROWS, 1), "rstd_out": (ROWS, 1)},
        {"shape": LINE},
    ),
    "layer_norm_backward": Call(
        ops.layer_norm_backward,
        {"dy": LINES, "x": LINES, "gamma": LINE, "mean": (ROWS, 1), "rstd": (ROWS, 1)},
        {"dx": LINES, "dgamma": LINE, "dbeta": LINE},
        {"shape": LINE},
    ),
    "rms_norm": Call(ops.rms_norm, {"x": LINES, "gamma": LINE}, {"out": LINES, "rstd_out": (ROWS, 1)}, {"shape": LINE}),
    "rms_norm_backward": Call(
        ops.rms_norm_backward,
        {"dy": LINES, "x": LINES, "gamma": LINE, "rstd": (ROWS, 1)},
        {"dx": LINES, "dgamma": LINE},
        {"shape": LINE},
    ),
    "softmax_cross_entropy": Call(
        ops.softmax_cross_entropy,
        {"logits": (ROWS, CLASSES), "targets": ((ROWS,), INT64), "weight": (CLASSES,), "sample_weight": (ROWS,)},
        {"dlogits": (ROWS, CLASSES)},
    ),
    "nll": Call(
        ops.nll,
        {"log_probs": (ROWS, CLASSES), "targets": ((ROWS,), INT64), "weight": (CLASSES,), "sample_weight": (ROWS,)},
        {"dlog_probs": (ROWS, CLASSES)},
    ),
    "multiclass_hinge": Call(
        ops.multiclass_hinge,
        {"scores": (ROWS, CLASSES), "targets": ((ROWS,), INT64), "sample_weight": (ROWS,)},
        {"dscores": (ROWS, CLASSES)},
    ),
    "mse": Call(ops.mse, {"prediction": LINES, "target": LINES, "sample_weight": (ROWS,)}, {"dprediction": LINES}),
    "bce_with_logits": Call(
        ops.bce_with_logits, {"logits": LINES, "targets": LINES, "sample_weight": (ROWS,)}, {"dlogits": LINES}
    ),
    "pointwise_loss": Call(
        ops.pointwise_loss,
        {"prediction": LINES, "target": LINES, "parameter": ((UNITS,), FLOAT64), "sample_weight": (ROWS,)},
        {"dprediction": LINES},
        {"kind": "quantile"},
    ),
    "share_correct": Call(ops.share_correct, {"scores": (ROWS, CLASSES), "targets": ((ROWS,), INT64)}, {"out": ONE}),
    "unit_stats": Call(ops.unit_stats, {"y": LINES}, {"stats": STATS, "total": ((4,), FLOAT64)}),
    "square_sum": Call(ops.square_sum, {"x": LINES}, {"out": ONE}),
    "one_signed": Call(ops.one_signed, {"grad": LINES}, {"out": ONE}),
    "sgd": _update(ops.sgd, "velocity", momentum=0.9),
    "adagrad": _update(ops.adagrad, "square_sum"),
    "rmsprop": _update(ops.rmsprop, "square_avg", "velocity", momentum=0.9),
    "adam": _update(ops.adam, "exp_avg", "exp_avg_sq", step=True),
    "add_penalty": Call(ops.add_penalty, {"param": FLAT, "bounds": SEGMENTS["bounds"]}, {"grad": FLAT}, {"l1": 0.1}),
    "clip_values": Call(ops.clip_values, {}, {"grad": FLAT}, {"limit": 0.5}),
    "clip_column_norms": Call(ops.clip_column_norms, {}, {"weight": LINES}, {"limit": 0.5}),
}
