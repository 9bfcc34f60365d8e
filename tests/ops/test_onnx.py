"""Ops against the reference evaluator of ONNX, whose operators have written definitions."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import pynn
from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")


def onnx_run(operator, inputs, outputs=1, opset=20, **attributes):
    """Evaluate one ONNX operator; absent inputs are None."""
    names = ["" if array is None else f"x{i}" for i, array in enumerate(inputs)]
    results = [f"y{i}" for i in range(outputs)]
    feeds = {name: array for name, array in zip(names, inputs, strict=True) if name}
    graph = helper.make_graph(
        [helper.make_node(operator, names, results, **attributes)],
        "one",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in feeds.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in results],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    got = ReferenceEvaluator(model).run(None, feeds)
    return got if outputs > 1 else got[0]


ACTIVATIONS = {
    "Relu": (ops.relu, {}),
    "LeakyRelu": (lambda x: ops.leaky_relu(x, 0.2), {"alpha": 0.2}),
    "Elu": (lambda x: ops.elu(x, 0.7), {"alpha": 0.7}),
    "Selu": (ops.selu, {}),
    "Sigmoid": (ops.sigmoid, {}),
    "Tanh": (ops.tanh, {}),
    "Softplus": (ops.softplus, {}),
    "Mish": (ops.mish, {}),
    "Celu": (lambda x: ops.celu(x, 0.7), {"alpha": 0.7}),
    "HardSigmoid": (ops.hardsigmoid, {"alpha": 1 / 6, "beta": 0.5}),
    "HardSwish": (ops.hardswish, {}),
    "Softsign": (ops.softsign, {}),
    "Softmax": (ops.softmax, {}),
    "LogSoftmax": (ops.log_softmax, {}),
    "Softmax 0": (lambda x: ops.softmax(x[None], 1)[0], {"axis": 0}),
    "Gelu": (ops.gelu, {}),
    "Gelu tanh": (lambda x: ops.gelu(x, "tanh"), {"approximate": "tanh"}),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name, dtype, rng):
    function, attributes = ACTIVATIONS[name]
    x = (3 * rng.normal(size=(9, 14))).astype(dtype)
    want = onnx_run(name.split()[0], [x], **attributes)
    np.testing.assert_allclose(function(x), want, rtol=1e-6, atol=1e-6)  # its attributes are float32


def test_hardtanh(dtype, rng):
    x, low, high = (3 * rng.normal(size=(9, 14))).astype(dtype), dtype.type(-0.5), dtype.type(2)
    want = onnx_run("Clip", [x, np.array(low), np.array(high)])
    np.testing.assert_array_equal(ops.hardtanh(x, -0.5, 2.0), want)


def test_prelu(dtype, rng):
    x, slope = rng.normal(size=(9, 14)).astype(dtype), rng.normal(size=14).astype(dtype)
    np.testing.assert_array_equal(ops.prelu(x, slope), onnx_run("PRelu", [x, slope]))
    np.testing.assert_array_equal(ops.prelu(x, slope[:1]), onnx_run("PRelu", [x, slope[:1]]))


def test_matmul(dtype, tolerance, rng):
    a, b = rng.normal(size=(17, 23)).astype(dtype), rng.normal(size=(23, 9)).astype(dtype)
    np.testing.assert_allclose(ops.matmul(a, b), onnx_run("MatMul", [a, b]), **tolerance)


@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", [False, True])
def test_gemm(dtype, tolerance, trans_a, trans_b, rng):
    a = rng.normal(size=(23, 17) if trans_a else (17, 23)).astype(dtype)
    b = rng.normal(size=(9, 23) if trans_b else (23, 9)).astype(dtype)
    bias = rng.normal(size=9).astype(dtype)
    want = onnx_run("Gemm", [a, b, bias], transA=int(trans_a), transB=int(trans_b))
    np.testing.assert_allclose(ops.matmul(a, b, trans_a=trans_a, trans_b=trans_b, bias=bias), want, **tolerance)


CONVOLUTIONS = {
    "plain": ((2, 3, 9, 8), (4, 3, 3, 3), {}),
    "stride and padding": ((2, 3, 10, 9), (5, 3, 3, 2), {"stride": (2, 3), "padding": (1, 2)}),
    "dilation": ((1, 2, 11, 12), (3, 2, 3, 3), {"dilation": (2, 3), "padding": 2}),
    "groups": ((2, 6, 8, 8), (4, 3, 3, 3), {"groups": 2, "padding": 1}),
    "depthwise": ((2, 5, 9, 9), (5, 1, 3, 3), {"groups": 5, "stride": 2, "padding": 1}),
    "1x1": ((2, 7, 5, 6), (3, 7, 1, 1), {"stride": 2}),
}


def both_ways(value):
    return (value, value) if isinstance(value, int) else value


def onnx_geometry(kernel_shape, stride=1, padding=0, dilation=1, **others):
    """Return what ONNX calls the geometry of windows: pads are those of the beginnings, then those of the ends."""
    padding = both_ways(padding)
    named = {"strides": both_ways(stride), "pads": [*padding, *padding], "dilations": both_ways(dilation)}
    return {"kernel_shape": kernel_shape} | named | {name.replace("groups", "group"): v for name, v in others.items()}


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_conv2d(name, biased, dtype, tolerance, rng):
    shape, filters, geometry = CONVOLUTIONS[name]
    x, w = rng.normal(size=shape).astype(dtype), rng.normal(size=filters).astype(dtype)
    bias = rng.normal(size=filters[0]).astype(dtype) if biased else None
    want = onnx_run("Conv", [x, w] + ([bias] if biased else []), **onnx_geometry(filters[2:], **geometry))
    np.testing.assert_allclose(ops.conv2d(x, w, bias=bias, **geometry), want, **tolerance)


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 3, 1, 2), (1, 2, 3, 1)])
def test_conv1d(stride, padding, dilation, groups, dtype, tolerance, rng):
    layer = pynn.Conv1d(4, 6, 3, stride, padding, dilation, groups, dtype=dtype)
    x = rng.normal(size=(2, 4, 13)).astype(dtype)
    geometry = {"strides": [stride], "pads": [padding, padding], "dilations": [dilation], "group": groups}
    want = onnx_run("Conv", [x, layer.weight.data, layer.bias.data], kernel_shape=[3], **geometry)
    np.testing.assert_allclose(layer.forward(x, pynn.Context()), want, **tolerance)


# With `ceil_mode` only where a last window that begins in the padding, which ours leave out, does not occur.
POOLINGS = [
    {"kernel": (2, 2), "stride": 2},
    {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    {"kernel": (3, 3), "stride": 2, "padding": 1},
    {"kernel": (3, 3), "stride": 2, "ceil_mode": True},
]


def pooled(operator, x, case, **more):
    case = dict(case)
    geometry = onnx_geometry(case.pop("kernel"), case.pop("stride"), case.pop("padding", 0), case.pop("dilation", 1))
    return onnx_run(operator, [x], ceil_mode=int(case.pop("ceil_mode", False)), **geometry, **more)


@pytest.mark.parametrize("case", [*POOLINGS, {"kernel": (2, 3), "stride": 1, "dilation": 2, "padding": 1}], ids=str)
def test_max_pool2d(case, dtype, rng):
    x = rng.normal(size=(2, 3, 10, 8)).astype(dtype)
    np.testing.assert_array_equal(ops.max_pool2d(x, **case)[0], pooled("MaxPool", x, case))


@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("case", POOLINGS, ids=str)
def test_avg_pool2d(case, count_include_pad, dtype, tolerance, rng):
    x = rng.normal(size=(2, 3, 10, 8)).astype(dtype)
    want = pooled("AveragePool", x, case, count_include_pad=int(count_include_pad))
    np.testing.assert_allclose(ops.avg_pool2d(x, **case, count_include_pad=count_include_pad), want, **tolerance)


def test_global_average(dtype, tolerance, rng):
    x = rng.normal(size=(3, 4, 7, 5)).astype(dtype)
    np.testing.assert_allclose(ops.adaptive_avg_pool2d(x, 1), onnx_run("GlobalAveragePool", [x]), **tolerance)


@pytest.mark.parametrize("shape", [(8,), (5, 8), (3, 5, 8)], ids=str)
@pytest.mark.parametrize("affine", [False, True])
def test_layer_norm(shape, affine, dtype, rng):
    x = (2 + 3 * rng.normal(size=(2, 3, 5, 8))).astype(dtype)
    gamma, beta = rng.normal(size=(2, *shape)).astype(dtype) if affine else (np.ones(shape, dtype), None)
    want = onnx_run("LayerNormalization", [x, gamma, *([beta] if affine else [])], axis=-len(shape), epsilon=0.01)
    y, *_ = ops.layer_norm(x, shape, gamma if affine else None, beta, eps=0.01)
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm(groups, dtype, rng):
    x = (2 + 3 * rng.normal(size=(3, 6, 5, 4))).astype(dtype)
    gamma, beta = rng.normal(size=(2, 6)).astype(dtype)
    # From opset 21 on there is a gamma per channel.
    want = onnx_run("GroupNormalization", [x, gamma, beta], opset=21, num_groups=groups, epsilon=0.01)
    np.testing.assert_allclose(ops.group_norm(x, groups, gamma, beta, eps=0.01)[0], want, rtol=1e-5, atol=1e-5)


def test_instance_norm(dtype, rng):
    layer = pynn.InstanceNorm2d(6, eps=0.01, affine=True, dtype=dtype)
    layer.weight[...], layer.bias[...] = rng.normal(size=(2, 6))
    x = (2 + 3 * rng.normal(size=(3, 6, 5, 4))).astype(dtype)
    want = onnx_run("InstanceNormalization", [x, layer.weight.data, layer.bias.data], epsilon=0.01)
    np.testing.assert_allclose(layer.forward(x, pynn.Context()), want, rtol=1e-5, atol=1e-5)


def batchnorm_arguments(dtype, rng, positions=()):
    x = (2 + 3 * rng.normal(size=(19, 7, *positions))).astype(dtype)
    gamma, var = rng.uniform(0.5, 2, size=(2, 7)).astype(dtype)
    beta, mean = rng.normal(size=(2, 7)).astype(dtype)
    return x, gamma, beta, mean, var


@pytest.mark.parametrize(("forward", "positions"), [(ops.batch_norm, ()), (ops.batch_norm2d, (4, 5))], ids=["1d", "2d"])
def test_batchnorm_inference(forward, positions, dtype, rng):
    arguments = batchnorm_arguments(dtype, rng, positions)
    y, *_ = forward(*arguments, eps=0.01, training=False)
    np.testing.assert_allclose(y, onnx_run("BatchNormalization", arguments, epsilon=0.01), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("forward", "positions"), [(ops.batch_norm, ()), (ops.batch_norm2d, (4, 5))], ids=["1d", "2d"])
def test_batchnorm_training(forward, positions, dtype, rng):
    # ONNX weights the old statistics by its momentum, and keeps the variance over n, where ours is over n - 1.
    arguments = batchnorm_arguments(dtype, rng, positions)
    want = onnx_run("BatchNormalization", arguments, 3, epsilon=0.01, momentum=0.75, training_mode=1)
    n = arguments[0].size // 7
    x, gamma, beta, mean, var = (array.copy() for array in arguments)
    y, *_ = forward(x, gamma, beta, mean, var, eps=0.01, momentum=0.25)
    biased_var = 0.75 * arguments[4] + (var - 0.75 * arguments[4]) * (n - 1) / n
    for got, reference in zip((y, mean, biased_var), want, strict=True):
        np.testing.assert_allclose(got, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_index", [None, 2])
def test_softmax_cross_entropy(dtype, tolerance, reduction, weighted, ignore_index, rng):
    logits, labels = (2 * rng.normal(size=(21, 6))).astype(dtype), rng.integers(6, size=21)
    weight = rng.uniform(0.3, 2, size=6).astype(dtype) if weighted else None
    ignoring = {} if ignore_index is None else {"ignore_index": ignore_index}
    inputs = [logits, labels] + ([weight] if weighted else [])
    want = onnx_run("SoftmaxCrossEntropyLoss", inputs, reduction=reduction, **ignoring)
    loss, _ = ops.softmax_cross_entropy(logits, labels, weight=weight, reduction=reduction, **ignoring)
    np.testing.assert_allclose(loss, want, **tolerance)
