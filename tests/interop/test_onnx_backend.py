"""The backend interface of ONNX: its own test cases of single operators, and what is refused."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner, _normalize_tensor

import pynn
from pynn.interop.onnx.backend import UnsupportedModelError

Backend = pynn.onnx.Backend
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def outcomes():
    """Return ONNX's cases that pass, those that fail, and the reasons of those that are refused."""
    passed, failed, refused = [], {}, {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of the cases, as they are made
        cases = load_model_tests(kind="node")
    for case in cases:
        try:
            prepared = Backend.prepare(case.model)
        except UnsupportedModelError as error:
            refused[case.name] = str(error)
            continue
        try:
            for given, wanted in case.data_sets:
                got = prepared.run([_normalize_tensor(array) for array in given])
                wanted = [_normalize_tensor(array) for array in wanted]
                Runner.assert_similar_outputs(wanted, got, case.rtol, case.atol)
            passed.append(case)
        except Exception as error:
            failed[case.name] = f"{type(error).__name__}: {error}"
    return passed, failed, refused


def test_cases_of_onnx(outcomes):
    passed, failed, refused = outcomes
    assert failed == {}
    assert len(passed) >= 1400
    assert all("node '" in reason or "input '" in reason or "array '" in reason for reason in refused.values())


def test_every_operator_is_tried_by_a_case(outcomes):
    nodes = [node for case in outcomes[0] for node in case.model.graph.node]
    assert Backend.operators == {f"{node.domain}.{node.op_type}".removeprefix(".") for node in nodes}


def test_refusals_name_what_is_missing():
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 2])
    node = helper.make_node("Det", ["x"], ["y"], "last")
    model = helper.make_model(helper.make_graph([node], "g", [x], [y]))
    assert not Backend.is_compatible(model)
    with pytest.raises(UnsupportedModelError, match=r"node 'last' \(Det\): pynn has no such operator"):
        Backend.prepare(model)
    with pytest.raises(UnsupportedModelError, match=r'device is .CUDA.; expected "CPU"'):
        Backend.prepare(model, "CUDA")
    with pytest.raises(UnsupportedModelError, match="Det"):
        Backend.run_node(node, [np.ones((1, 2), np.float32)])


def test_inputs_are_checked():
    prepared = Backend.prepare(
        onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["": 18]> g (float[N, 2] x) => (float[N, 2] y) { y = Relu(x) }'
        )
    )
    np.testing.assert_array_equal(prepared.run({"x": np.float32([[-1, 2]])})["y"], [[0, 2]])
    with pytest.raises(ValueError, match=r"input 'x' is float64 of shape \(1, 2\); expected float32"):
        prepared.run([np.ones((1, 2))])
    with pytest.raises(ValueError, match=r"input 'x' is float32 of shape \(1, 3\)"):
        prepared.run([np.ones((1, 3), np.float32)])
    with pytest.raises(ValueError, match=r"the inputs are 2 arrays; expected 1: \['x'\]"):
        prepared.run([np.ones((1, 2), np.float32)] * 2)
    with pytest.raises(ValueError, match=r"the inputs are \['z'\]; expected 1"):
        prepared.run({"z": np.ones((1, 2), np.float32)})


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "message"),
    [
        ("Gather", [np.ones(3, np.float32), np.array([5])], {}, r"computed for inputs of shapes \(3,\), \(1,\)"),
        ("Reshape", [np.ones(3, np.float32), np.array([2, 2])], {}, "cannot be computed"),
        ("Transpose", [np.ones((2, 3), np.float32)], {"perm": [0, 5]}, "cannot be computed"),
        ("ConstantOfShape", [np.array([2**40, 2**40])], {}, "at most 2.*31 elements"),
        ("CenterCropPad", [np.ones(1, np.float32), np.array([2**31 + 1])], {}, "at most 2.*31 elements"),
        ("Expand", [np.ones(1, np.float32), np.array([2**31 + 1])], {}, "at most 2.*31 elements"),
        ("Tile", [np.ones(2, np.float32), np.array([2**30 + 1])], {}, "at most 2.*31 elements"),
        ("Range", [np.array(0), np.array(2**40), np.array(1)], {}, "at most 2.*31 elements"),
        ("Pad", [np.ones(2, np.float32), np.array([0, 2**40])], {}, "at most 2.*31 elements"),
        ("OneHot", [np.array([0]), np.array(2**40), np.array([0.0, 1.0])], {}, "at most 2.*31 elements"),
        ("Resize", [np.ones((1, 1, 2), np.float32), None, np.float32([1, 1, 2**31])], {}, "at most 2.*31 elements"),
        ("MaxPool", [np.ones((1, 1, 4), np.float32)], {"kernel_shape": [2], "pads": [0, 2**40]}, "at most 2.*31"),
        ("LRN", [np.ones((1, 2, 4), np.float32)], {"size": 2**40}, "at most 2.*31"),
        (
            "ConvTranspose",
            [np.ones((1, 1, 4), np.float32), np.ones((1, 1, 2), np.float32)], {"strides": [2**40]}, "at most 2.*31",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_named(op, inputs, attributes, message):
    names = ["" if array is None else f"i{k}" for k, array in enumerate(inputs)]
    node = helper.make_node(op, names, ["y"], "the node", **attributes)
    with pytest.raises(ValueError, match=rf"node 'the node' \({op}\).*{message}"):
        Backend.run_node(node, [array for array in inputs if array is not None], opset_version=20)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_that_of_pytorch(causal, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    q, k, v = (rng.normal(size=(2, heads, 7, size)).astype(np.float32) for heads, size in ((6, 5), (3, 5), (3, 4)))
    attend = torch.nn.functional.scaled_dot_product_attention
    wanted = attend(*map(torch.tensor, (q, k, v)), is_causal=causal, enable_gqa=True).numpy()
    node = helper.make_node("Attention", ["q", "k", "v"], ["y"], is_causal=int(causal))
    np.testing.assert_allclose(Backend.run_node(node, [q, k, v])[0], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resized_images_are_those_of_pytorch(mode, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = rng.normal(size=(2, 3, 5, 7)).astype(np.float32)
    how = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    wanted = torch.nn.functional.interpolate(torch.tensor(x), (8, 3), mode=how).numpy()
    options = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if mode == "nearest" else {}
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode=mode, **options)
    (got,) = Backend.run_node(node, [x, np.array([2, 3, 8, 3])], opset_version=20)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_run_node_and_run_model():
    node = helper.make_node("Gemm", ["a", "b"], ["y"], transB=1)
    a, b = np.float32([[1, 2]]), np.float32([[3, 4], [5, 6]])
    np.testing.assert_array_equal(Backend.run_node(node, [a, b])[0], a @ b.T)
    np.testing.assert_array_equal(Backend.run_node(node, [a, b], opset_version=13)[0], a @ b.T)


def test_networks_of_pynn_run_on_it(tmp_path, rng):
    model = pynn.Sequential(pynn.Conv2d(2, 4, 3), pynn.BatchNorm2d(4), pynn.SiLU(), pynn.Flatten(), pynn.Linear(64, 3))
    x = rng.normal(size=(5, 2, 6, 6)).astype(np.float32)
    pynn.onnx.export(model, tmp_path / "m.onnx", input_shape=(2, 6, 6))
    (got,) = Backend.run_model(onnx.load(tmp_path / "m.onnx"), [x])
    np.testing.assert_allclose(got, model.predict(x), rtol=1e-5, atol=1e-6)


def test_the_documentation_lists_the_operators():
    subprocess.run([sys.executable, ROOT / "docs" / "onnx_operators.py", "--check"], check=True)
