"""Runs every op on every size from 0 to 67, for a build whose memory accesses are watched (see `.ci/sanitize`).

Arrays come from the C library, so that a read or write beyond one ends the program; values are not checked here, other
tests do that. Not collected by pytest.
"""

import itertools
import sys

import numpy as np
from pynn.kernels.codes import ActivationCode

import pynn
from pynn import ops
from pynn.backends.selection import instruction_set
from pynn.ops import ACTIVATIONS
from pynn.ops.pointwise_losses import LOSSES

SIZES = range(68)
#: Sizes of the dimensions of products: around the tiles' widths, and 0.
EDGES = (0, 1, 2, 3, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 31, 32, 33, 48, 49, 63, 64, 65, 67)
DTYPES = (np.float32, np.float64)
RNG = np.random.default_rng(0)


def array(*shape, dtype=np.float32):
    """Return normal numbers in memory of their own."""
    return RNG.normal(size=shape).astype(dtype)


def shifted(x):
    """Return a copy that starts one element after what the C library gave, and ends where that ends."""
    memory = np.empty(x.size + 1, x.dtype)
    copy = memory[1:].reshape(x.shape)
    copy[...] = x
    return copy


def refused(function, *arguments, **named):
    """Call what must raise because its output overlaps an input."""
    try:
        function(*arguments, **named)
    except ValueError:
        return
    raise AssertionError(f"{function.__name__} accepted an output that overlaps an input")


def products(dtype):
    """Multiply all edge sizes, transposed in every way, with every activation in turn."""
    activations = itertools.cycle((None, *ACTIVATIONS))
    for m, n, k in itertools.product(EDGES, repeat=3):
        trans_a, trans_b, activation = bool(m & 1), bool(n & 1), next(activations)
        a = array(*((k, m) if trans_a else (m, k)), dtype=dtype)
        b = array(*((n, k) if trans_b else (k, n)), dtype=dtype)
        pre = np.empty((m, n), dtype)
        ops.matmul(
            a, b, trans_a=trans_a, trans_b=trans_b, bias=array(n, dtype=dtype), activation=activation, pre_out=pre
        )
        ops.matmul(shifted(a), shifted(b), trans_a=trans_a, trans_b=trans_b)
    for m, k, n in itertools.product((1, 17, 35), (1, 33, 200), (1, 2, 3, 4, 7, 10, 34, 66)):  # few columns
        w, bias = array(k, n, dtype=dtype), array(n, dtype=dtype)
        ops.matmul(shifted(array(m, k, dtype=dtype)), shifted(w), bias=bias, activation="relu")
        ops.matmul(shifted(array(k, m, dtype=dtype)), shifted(w), trans_a=True)
    for n in SIZES:
        x, w, dy = (array(*shape, dtype=dtype) for shape in ((n, 9), (9, n), (n, n)))
        ops.linear_backward(dy, x, w, activation="relu", saved=dy)
    # Blocks in all three directions, and their remainders.
    ops.matmul(array(150, 600, dtype=dtype), array(600, 3100, dtype=dtype))
    ops.matmul(array(600, 150, dtype=dtype), array(601, 600, dtype=dtype), trans_a=True, trans_b=True)
    ops.matmul(shifted(array(70, 10, dtype=dtype)), shifted(array(301, 10, dtype=dtype)), trans_b=True)  # by rows of C
    square = array(20, 20, dtype=dtype)
    refused(ops.matmul, square, square, out=square)
    refused(ops.matmul, square[:10], square, out=square[5:15])


def elementwise(dtype):
    """Apply every activation and its derivative, in place as well, and what else goes over single elements."""
    for n, name in itertools.product((*SIZES, 301), ACTIVATIONS):  # the last in blocks
        forward, backward = getattr(ops, name, None), getattr(ops, f"{name}_backward", None)
        x, dy = array(n, dtype=dtype), array(n, dtype=dtype)
        if forward is None:  # a variant that only a fused op offers
            continue
        forward(shifted(x))
        y = forward(x)
        backward(dy, x if ACTIVATIONS[name].needs_input else y)
        backward(dy, y, out=dy)
        forward(x, out=x)
    for n in SIZES:
        x = array(3, n, dtype=dtype)
        y = ops.dropout(x, 0.5, (1, n))
        ops.dropout_backward(y, 0.5, (1, n))
        ops.unit_stats(x, np.zeros((4, n)))
        slope = array(n, dtype=dtype)
        ops.prelu(x, slope)
        ops.prelu_backward(x, x, slope)
        ops.maxout_backward(array(3, n, dtype=dtype), array(3, 2 * n, dtype=dtype), 2)
        ops.hardtanh_backward(x, ops.hardtanh(shifted(x)))
    for n, positions in itertools.product((1, 2, 31, 127, 128, 129, 300), (1, 2, 128, 131)):
        x = array(3, n, positions, dtype=dtype)
        ops.softmax_backward(x, ops.softmax(shifted(x), 1), 1)
        ops.log_softmax_backward(x, ops.log_softmax(shifted(x), 1), 1)
        gates = array(3, 2 * n, positions, dtype=dtype)
        ops.glu_backward(ops.glu(shifted(gates), 1), gates, 1)
    line = array(40, dtype=dtype)
    refused(ops.relu, line[:30], out=line[5:35])


def columns_and_tables(dtype):
    """Copy columns and look up rows, of all widths and at all places."""
    for n, width, start in itertools.product((0, 1, 5, 33), (0, 1, 7, 16), (0, 3)):
        source, out = array(n, start + width, dtype=dtype), array(n, width + 2, dtype=dtype)
        ops.copy_columns(shifted(source), out, start=start, width=width, out_start=2)
        indices = RNG.integers(9, size=(n, 2)).astype(dtype)
        table = array(9, width, dtype=dtype)
        ops.embed(indices, shifted(table), out, column=1, out_start=2)
        ops.embed_backward(shifted(out), indices, table, column=1, start=2, padding_idx=8)


def resampling(dtype):
    """Resample images and transpose convolutions, of many sizes."""
    for height, width, size in itertools.product((1, 2, 7), (1, 3, 17), ((1, 1), (5, 3), (16, 33))):
        x = array(2, 3, height, width, dtype=dtype)
        for how in ({}, {"mode": "bilinear"}, {"mode": "bilinear", "align_corners": True}):
            y = ops.upsample(shifted(x), size, **how)
            ops.upsample_backward(shifted(y), x.shape, size, **how)
        for r in (1, 2, 3):
            blocks = array(2, 2 * r**2, height, width, dtype=dtype)
            ops.pixel_unshuffle(shifted(ops.pixel_shuffle(shifted(blocks), r)), r)
        w, bias = array(3, 4, 3, 2, dtype=dtype), array(4, dtype=dtype)
        for options in ({}, {"stride": (2, 3), "output_padding": 1}, {"dilation": 2}):
            y = ops.conv_transpose2d(shifted(x), shifted(w), bias=bias, **options)
            ops.conv_transpose2d_backward(shifted(y), shifted(x), w, **options)


def batch_norms(dtype):
    """Normalise batches of all widths and a few heights, and tall and wide ones that are cut into strips."""
    activations = itertools.cycle((None, "relu", "tanh", "gelu"))
    shapes = [*itertools.product((2, 3, 5, 8, 9, 67), SIZES), (3000, 70), (33, 2000), (1030, 257)]
    for rows, columns in shapes:
        x, dy = array(rows, columns, dtype=dtype), array(rows, columns, dtype=dtype)
        gamma, beta, mean = (array(columns, dtype=dtype) for _ in range(3))
        var, activation = np.ones(columns, dtype), next(activations)
        for training in (True, False):
            _, *used = ops.batch_norm(x, gamma, beta, mean, var, training=training, activation=activation)
            ops.batch_norm_backward(dy, x, gamma, beta, *used, training=training, activation=activation)
        ops.batch_norm(shifted(x), gamma, beta, mean, var)
        shown = array(3, 2, columns, dtype=dtype)
        ops.merge_statistics(shifted(shown), np.array([2.0, 0.0, 1.0]), mean, var)
        means = ops.merge_gradients(shifted(shown), count=3)
        ops.merged_input_gradient(dy, shifted(x), gamma, beta, mean, var, means, activation=activation)
    refused(ops.batch_norm, x, gamma, beta, mean, var, out=x)


def convolutions(dtype):
    """Convolve images of many sizes, with all strides, dilations, paddings and groups in turn."""
    geometries = itertools.cycle(
        (stride, padding, dilation, groups)
        for stride in (1, 2, (1, 3)) for padding in (0, 1, (2, 1), "valid")
        for dilation in (1, 2) for groups in (1, 2, 4)
    )  # fmt: skip
    activations = itertools.cycle((None, "relu", "gelu"))
    channels, filters = itertools.cycle((4, 8, 20)), itertools.cycle((4, 12, 16, 28, 36))
    for height, width, kernel in itertools.product((1, 2, 5, 8, 16), (3, 8, 16, 33, 47), (1, 2, 3)):
        for _ in range(3):
            stride, padding, dilation, groups = next(geometries)
            x = array(3, next(channels), height, width, dtype=dtype)
            w = array(next(filters), x.shape[1] // groups, kernel, kernel, dtype=dtype)
            options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            try:
                y = ops.conv2d(shifted(x), w, **options)
            except ValueError:  # the window does not fit
                continue
            pre, activation = np.empty_like(y), next(activations)
            ops.conv2d(x, w, bias=array(len(w), dtype=dtype), activation=activation, pre_out=pre, **options)
            ops.conv2d_backward(array(*y.shape, dtype=dtype), x, w, **options)
    for height, width, padding in itertools.product((3, 8), (3, 4, 8, 17, 34, 150), (0, 1, 2)):  # Winograd's
        x, w = array(3, 25, height, width, dtype=dtype), array(27, 25, 3, 3, dtype=dtype)
        y = ops.conv2d(shifted(x), w, padding=padding, activation="relu")
        ops.conv2d_backward(shifted(y), shifted(x), w, padding=padding)
    for shape, stride, kernel in itertools.product(((2, 7, 5, 9), (3, 20, 60, 70), (2, 33, 4, 3)), (1, 2, 5), (1, 3)):
        x, w = array(*shape, dtype=dtype), array(shape[1], 1, kernel, kernel, dtype=dtype)  # a filter for each channel
        options = {"stride": stride, "padding": kernel, "groups": shape[1]}
        y = ops.conv2d(shifted(x), w, activation="relu", **options)
        ops.conv2d_backward(shifted(y), shifted(x), w, **options)
    for shape, filters in (((2, 3, 70, 90), 5), ((40, 130, 6, 6), 70)):  # blocks in all directions
        x, w = array(*shape, dtype=dtype), array(filters, shape[1], 3, 3, dtype=dtype)
        ops.conv2d_backward(ops.conv2d(x, w, padding=1), x, w, padding=1)


def images(dtype):
    """Pool and normalise images of all widths."""
    for width, height in itertools.product(SIZES[1:], (1, 2, 5, 8)):
        x = array(2, 6, height, width, dtype=dtype)
        for kernel, stride, padding, ceil in ((2, 2, 0, False), (3, 2, 1, True), (1, 3, 0, False), (3, 1, 1, False)):
            if min(height, width) + 2 * padding < kernel:
                continue
            y, index = ops.max_pool2d(x, kernel, stride=stride, padding=padding, ceil_mode=ceil)
            ops.max_pool2d_backward(y, index, x.shape, kernel, stride=stride, padding=padding)
            y = ops.avg_pool2d(x, kernel, stride=stride, padding=padding, ceil_mode=ceil, count_include_pad=ceil)
            ops.avg_pool2d_backward(y, x.shape, kernel, stride=stride, padding=padding)
        ops.adaptive_avg_pool2d_backward(ops.adaptive_avg_pool2d(x, (2, 3)), x.shape)
        gamma, beta, mean, var = (array(6, dtype=dtype) for _ in range(4))
        for activation in (None, "relu", "tanh"):
            _, *used = ops.batch_norm2d(x, gamma, beta, mean, var, activation=activation)
            ops.batch_norm2d_backward(x, x, gamma, beta, *used, activation=activation)
            means = array(2, 6, dtype=dtype)
            ops.merged_input_gradient(x, shifted(x), gamma, beta, *used, means, activation=activation)
        _, *used = ops.group_norm(x, 3, gamma, beta)
        ops.group_norm_backward(x, x, gamma, *used)
        _, *used = ops.layer_norm(x, (width,))
        ops.layer_norm_backward(x, x, (width,), None, *used)
        line = array(width, dtype=dtype)
        _, rstd = ops.rms_norm(shifted(x), (width,), line)
        ops.rms_norm_backward(x, x, (width,), line, rstd)
        ops.dropout2d(x, 0.5, (1, width), out=x)
        ops.unit_stats(x, np.zeros((4, 6)), code=ActivationCode.TANH, total=np.zeros(4))
        ops.add(x, x, out=x)


def losses(dtype):
    """Take every loss of all numbers of classes."""
    for rows, classes in itertools.product((1, 3, 8, 67), SIZES[1:]):
        scores, target = array(rows, classes, dtype=dtype), RNG.integers(0, classes, rows)
        ops.softmax_cross_entropy(scores, target, label_smoothing=0.1, dlogits=np.empty_like(scores))
        ops.softmax_cross_entropy(scores, target, gamma=2.0)
        ops.nll(scores, target)
        ops.multiclass_hinge(scores, target)
        ops.count_correct(scores, target)
        ops.mse(scores, array(rows, classes, dtype=dtype))
        ops.bce_with_logits(scores, (scores > 0).astype(dtype))
        for kind in LOSSES:
            ops.pointwise_loss(scores, np.abs(scores), kind, np.full(classes, 0.5))
        for label in (-1, classes, 2**40):
            refused(ops.softmax_cross_entropy, scores, np.full(rows, label))


def watching(dtype):
    """Look at outputs and gradients of all widths and a few heights."""
    for rows, columns in itertools.product((0, 1, 7, 8, 9, 67), SIZES):
        x, total, out = array(rows, columns, dtype=dtype), np.zeros(4), np.zeros(1)
        for code in (ActivationCode.RELU, ActivationCode.TANH, ActivationCode.SIGMOID):
            ops.unit_stats(x, np.zeros((4, columns)), code=code, total=total)
        ops.unit_stats(shifted(x), np.zeros((4, columns)))
        ops.square_sum(x, out)
        ops.one_signed(x, out)
        ops.one_signed(np.abs(x), out)
        if columns:
            ops.share_correct(x, RNG.integers(0, columns, rows), out)
    for size in (511, 512, 513, 1500):
        ops.square_sum(shifted(array(size, dtype=dtype)), out)


def updates(dtype):
    """Update buffers of all sizes, in segments, with every rule, watched."""
    for n in (*SIZES, 1023, 1024, 1025, 3000):
        bounds = np.array([[0, n // 3], [n // 3, n - n // 5]])
        rates = np.full((2, 2), 0.1)
        w, g, *state = (array(n, dtype=dtype) for _ in range(4))
        state = [np.abs(values) for values in state]
        common = {"grad_scale": 0.5, "stats": np.zeros((2, 3))}
        ops.sgd(w, g, None, bounds, rates, **common)
        ops.sgd(w, g, state[0], bounds, rates, momentum=0.9, nesterov=True, **common)
        ops.adagrad(w, g, state[0], bounds, rates, **common)
        ops.rmsprop(w, g, state[0], state[1], bounds, rates, momentum=0.9, **common)
        for decoupled in (False, True):
            ops.adam(w, g, *state, bounds, rates, step=2, decoupled=decoupled, **common)
        ops.gradient_norm(g)
        ops.clip_values(g, 0.1)
        ops.add_penalty(w, g, bounds, l1=0.1, l2=0.2)
        ops.clip_column_norms(array(7, n, dtype=dtype), 0.5)


def training():
    """Record and repeat the steps of a network with a short last batch."""
    model = pynn.Sequential(
        pynn.Linear(13, 33), pynn.BatchNorm1d(33), pynn.ReLU(), pynn.Dropout(0.3), pynn.Linear(33, 17), pynn.GELU(),
        pynn.Linear(17, 3),
    )  # fmt: skip
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(), clip_norm=0.5)
    x, y = array(70, 13), RNG.integers(0, 3, 70)
    trainer.fit(x, y, epochs=4, batch_size=32)
    trainer.fit(x, y, epochs=4, batch_size=32, callbacks=[pynn.Monitor(on_problem="silent")])


PARTS = (
    *(products, elementwise, columns_and_tables, resampling, batch_norms),
    *(convolutions, images, losses, watching, updates),
)


def main():
    """Run the parts that the arguments name, or all of it, on one thread and on three."""
    chosen = [part for part in PARTS if part.__name__ in sys.argv[1:]]
    pynn.use_backend("cython")
    with np.errstate(all="ignore"):
        for threads in (1, 3):
            pynn.set_num_threads(threads)
            for dtype in DTYPES:
                for part in chosen or PARTS:
                    part(dtype)
            training()
    tried = ", ".join(sys.argv[1:]) or "every kernel"
    sys.stdout.write(f"{instruction_set()}: {tried}, sizes 0 to {SIZES[-1]}, no bad access\n")


if __name__ == "__main__":
    main()
