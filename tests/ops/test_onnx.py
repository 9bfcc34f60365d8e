"""Ops against the reference evaluator of ONNX, whose operators have written definitions."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")


def onnx_run(operator, inputs, outputs=1, **attributes):
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
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
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
    "Gelu": (ops.gelu, {}),
    "Gelu tanh": (lambda x: ops.gelu(x, "tanh"), {"approximate": "tanh"}),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name, dtype, rng):
    function, attributes = ACTIVATIONS[name]
    x = (3 * rng.normal(size=(9, 14))).astype(dtype)
    want = onnx_run(name.split()[0], [x], **attributes)
    np.testing.assert_allclose(function(x), want, rtol=1e-6, atol=1e-6)  # its attributes are float32


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


def batchnorm_arguments(dtype, rng):
    x = (2 + 3 * rng.normal(size=(19, 7))).astype(dtype)
    gamma, var = rng.uniform(0.5, 2, size=(2, 7)).astype(dtype)
    beta, mean = rng.normal(size=(2, 7)).astype(dtype)
    return x, gamma, beta, mean, var


def test_batchnorm_inference(dtype, rng):
    arguments = batchnorm_arguments(dtype, rng)
    y, *_ = ops.batchnorm_forward(*arguments, eps=0.01, training=False)
    np.testing.assert_allclose(y, onnx_run("BatchNormalization", arguments, epsilon=0.01), rtol=1e-5, atol=1e-5)


def test_batchnorm_training(dtype, rng):
    # ONNX weights the old statistics by its momentum, and keeps the variance over n, where ours is over n - 1.
    arguments = batchnorm_arguments(dtype, rng)
    want = onnx_run("BatchNormalization", arguments, 3, epsilon=0.01, momentum=0.75, training_mode=1)
    n = len(arguments[0])
    x, gamma, beta, mean, var = (array.copy() for array in arguments)
    y, *_ = ops.batchnorm_forward(x, gamma, beta, mean, var, eps=0.01, momentum=0.25)
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
