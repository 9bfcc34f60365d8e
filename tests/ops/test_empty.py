"""Arrays without elements: every backend gives the empty answer (parameters have gradient 0), or a ValueError."""

import numpy as np
import pytest
from cases import case

import pynn
from pynn import ops
from pynn.ops.watch import unit_count


def norm_arguments(features, kind):
    """Return gamma, beta, running mean and running variance."""
    return np.ones(features, kind), np.zeros(features, kind), np.zeros(features, kind), np.ones(features, kind)


def ops_of_any_shape(kind):
    """Yield name and call of ops of any shape, with every size that may be 0."""
    for shape in ((0,), (0, 3), (3, 0), (0, 2, 5, 5), (2, 0, 5, 5), (2, 3, 0, 5)):
        x = np.ones(shape, kind)
        for name, activation in ops.ACTIVATIONS.items():
            if name != "gelu_tanh":
                yield f"{name} {shape}", lambda x=x, name=name: getattr(ops, name)(x)
                yield f"{name}_backward {shape}", lambda x=x, name=name: getattr(ops, f"{name}_backward")(x, x)
            assert activation
        yield f"add {shape}", lambda x=x: ops.add(x, x)
        yield f"hardtanh {shape}", lambda x=x: ops.hardtanh(x)
        yield f"hardtanh_backward {shape}", lambda x=x: ops.hardtanh_backward(x, x)
        yield f"dropout {shape}", lambda x=x: ops.dropout(x, 0.5, (1, 2))
        yield f"mse {shape}", lambda x=x: ops.mse(x, x)
        yield f"mse sum {shape}", lambda x=x: ops.mse(x, x, reduction="sum")
        yield f"bce {shape}", lambda x=x: ops.bce_with_logits(x, x)
        yield f"huber {shape}", lambda x=x: ops.pointwise_loss(x, x, "huber", 1.0)
        yield f"prelu {shape}", lambda x=x: ops.prelu(x, np.ones(1, x.dtype))
        yield f"prelu_backward {shape}", lambda x=x: ops.prelu_backward(x, x, np.ones(1, x.dtype))
        yield f"unit_stats {shape}", lambda x=x: stats_of(x)
        yield f"square_sum {shape}", lambda x=x: written(lambda out: ops.square_sum(x, out))
        yield f"gradient_norm {shape}", lambda x=x: ops.gradient_norm(x.reshape(-1))


def ops_of_rows(kind):
    """Yield name and call of ops of rows."""
    for shape in ((0, 4), (3, 0), (0, 0)):
        x, labels = np.ones(shape, kind), np.zeros(shape[0], int)
        ignored = np.full(shape[0], -100)
        for name in ("softmax", "log_softmax"):
            yield f"{name} {shape}", lambda x=x, name=name: getattr(ops, name)(x)
            yield f"{name}_backward {shape}", lambda x=x, name=name: getattr(ops, f"{name}_backward")(x, x)
        yield f"cross entropy {shape}", lambda x=x, t=labels: ops.softmax_cross_entropy(x, t)
        yield f"softmax ignored {shape}", lambda x=x, t=ignored: ops.softmax_cross_entropy(x, t, label_smoothing=0.1)
        yield f"softmax sum {shape}", lambda x=x, t=labels: ops.softmax_cross_entropy(x, t, reduction="sum")
        yield f"nll {shape}", lambda x=x, t=labels: ops.nll(x, t)
        yield f"focal {shape}", lambda x=x, t=ignored: ops.softmax_cross_entropy(x, t, gamma=2.0)
        yield f"hinge {shape}", lambda x=x, t=labels: ops.multiclass_hinge(x, t)
        yield f"count_correct {shape}", lambda x=x, t=labels: ops.count_correct(x, t)
        yield f"share_correct {shape}", lambda x=x, t=labels: written(lambda out: ops.share_correct(x, t, out))
        yield f"maxout {shape}", lambda x=x: ops.maxout(x, 2)
        yield f"maxout of many {shape}", lambda x=x: ops.maxout(x, 2**62)
        yield f"maxout_backward {shape}", lambda x=x: ops.maxout_backward(ops.maxout(x, 2), x, 2)
        yield f"one_signed {shape}", lambda x=x: written(lambda out: ops.one_signed(x, out))
        yield f"clip_column_norms {shape}", lambda x=x: ops.clip_column_norms(x, 1.0)
        args = norm_arguments(shape[1], kind)
        yield f"batchnorm eval {shape}", lambda x=x, a=args: ops.batch_norm(x, *a, training=False)
        yield f"batchnorm {shape}", lambda x=x, a=args: ops.batch_norm(x, *a)
        yield f"batch_norm_backward {shape}", lambda x=x, a=args: ops.batch_norm_backward(x, x, *a, training=False)
        yield f"batch_norm_backward training {shape}", lambda x=x, a=args: ops.batch_norm_backward(x, x, *a)
        yield f"layer_norm {shape}", lambda x=x: ops.layer_norm(x, x.shape[1:])
        gamma, one = np.ones(shape[1], kind), np.ones((shape[0], 1), kind)
        yield (
            f"layer_norm_backward {shape}",
            lambda x=x, g=gamma, one=one: ops.layer_norm_backward(x, x, x.shape[1:], g, one, one),
        )


def products(kind):
    """Yield name and call of matrix products."""
    for m, k, n in ((0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)):
        a, b, bias = np.ones((m, k), kind), np.ones((k, n), kind), np.ones(n, kind)
        yield f"matmul {m, k, n}", lambda a=a, b=b, bias=bias: ops.matmul(a, b, bias=bias, activation="relu")
        yield f"matmul transposed {m, k, n}", lambda a=a, b=b: ops.matmul(a.T.copy(), b, trans_a=True)
        dy = np.ones((m, n), kind)
        yield f"linear_backward {m, k, n}", lambda dy=dy, a=a, b=b: ops.linear_backward(dy, a, b)


def image_ops(kind):
    """Yield name and call of ops of images."""
    for shape in ((0, 4, 5, 5), (2, 0, 5, 5), (2, 4, 0, 5), (2, 4, 5, 0), (0, 0, 0, 0)):
        x, channels = np.ones(shape, kind), shape[1]
        for groups in (1, 2, max(channels, 1)):
            w = np.ones((4, channels // groups, 3, 3), kind)
            pad = {"padding": 2, "groups": groups}
            yield f"conv2d {shape} {groups}", lambda x=x, w=w, o=pad: ops.conv2d(x, w, bias=np.ones(4, x.dtype), **o)
            yield (
                f"conv2d_backward {shape} {groups}",
                lambda x=x, w=w, o=pad: ops.conv2d_backward(ops.conv2d(x, w, **o), x, w, **o),
            )
        for padding in (0, 1):
            yield f"max_pool2d {shape} {padding}", lambda x=x, p=padding: ops.max_pool2d(x, 2, padding=p)
            yield f"avg_pool2d {shape} {padding}", lambda x=x, p=padding: ops.avg_pool2d(x, 2, padding=p)
            yield f"max_pool2d_backward {shape} {padding}", lambda x=x, p=padding: max_pool_both_ways(x, p)
            yield (
                f"avg_pool2d_backward {shape} {padding}",
                lambda x=x, p=padding: ops.avg_pool2d_backward(ops.avg_pool2d(x, 2, padding=p), x.shape, 2, padding=p),
            )
        yield f"adaptive_avg_pool2d {shape}", lambda x=x: ops.adaptive_avg_pool2d(x, (2, 3))
        for grid in ((2, 3), (0, 3), (2, 0)):
            dy = np.ones((*shape[:2], *grid), kind)
            yield (
                f"adaptive_avg_pool2d_backward {shape} {grid}",
                lambda dy=dy, s=shape: ops.adaptive_avg_pool2d_backward(dy, s),
            )
        args, mean = norm_arguments(channels, kind), np.ones((shape[0], 2), kind)
        yield f"batchnorm2d eval {shape}", lambda x=x, a=args: ops.batch_norm2d(x, *a, training=False)
        yield f"batchnorm2d {shape}", lambda x=x, a=args: ops.batch_norm2d(x, *a)
        yield f"batch_norm2d_backward {shape}", lambda x=x, a=args: ops.batch_norm2d_backward(x, x, *a, training=False)
        yield f"group_norm {shape}", lambda x=x, a=args: ops.group_norm(x, 2, *a[:2])
        yield f"group_norm_backward {shape}", lambda x=x, a=args, m=mean: ops.group_norm_backward(x, x, a[0], m, m)
        yield f"dropout2d {shape}", lambda x=x: ops.dropout2d(x, 0.5, (1, 2))


def max_pool_both_ways(x, padding):
    y, index = ops.max_pool2d(x, 2, padding=padding)
    return ops.max_pool2d_backward(y, index, x.shape, 2, padding=padding)


def stats_of(x):
    stats, total = np.zeros((4, unit_count(x))), np.empty(4)
    ops.unit_stats(x, stats, total=total)
    return stats, total


def written(call):
    out = np.full(1, 7.0)
    call(out)
    return out


def answer(call, backend):
    """Return what the op gives as a list, or the kind of its error."""
    with pynn.use_backend(backend):
        try:
            result = call()
        except ValueError as error:
            assert str(error)
            return ValueError
    return [None if part is None else np.asarray(part) for part in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize("calls", [ops_of_any_shape, ops_of_rows, products, image_ops])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_all_backends_give_the_same_answer_for_nothing(calls, kind):
    for name, call in calls(kind):
        want = answer(call, "numpy")
        for backend in pynn.available_backends():
            with case(name, backend):
                assert_same_answer(answer(call, backend), want)


def assert_same_answer(got, want):
    assert (got is ValueError) == (want is ValueError), f"got {got}, NumPy gives {want}"
    if want is ValueError:
        return
    for mine, theirs in zip(got, want, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_array_equal(mine, theirs)
            assert mine.shape == theirs.shape and mine.dtype == theirs.dtype
