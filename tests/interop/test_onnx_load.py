"""Networks read from ONNX files: those that pynn, PyTorch and scikit-learn wrote, and those that no layer computes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from fuzz.tried import each_seed
from onnx import helper, numpy_helper
from onnx_graphs import W, close, graph, loaded
from onnx_networks import LAYERS, of_layer, random_network

import pynn

VECTORS = Path(__file__).parent.parent / "vectors"
WANTED = np.load(VECTORS / "onnx.npz")
#: skl2onnx gives two targets the shape (2 n, 1).
REFUSED = "sklearn-two-targets"


@pytest.mark.parametrize("opset", [14, 17, 20])
@pytest.mark.parametrize("name", LAYERS)
def test_layer_comes_back(name, opset, tmp_path, rng):
    for dtype in (np.float32, np.float64):
        model, x = of_layer(name, dtype, rng)
        pynn.onnx.export(model, tmp_path / "m.onnx", opset=opset, input_shape=x.shape[1:])
        again = pynn.onnx.load(tmp_path / "m.onnx")
        assert again.dtype == model.dtype
        close(again.predict(x), model.predict(x))


@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_the_same(name, tmp_path, rng):
    model, x = of_layer(name, np.float32, rng)
    pynn.onnx.export(model, tmp_path / "m.onnx", input_shape=x.shape[1:])
    again = pynn.onnx.load(tmp_path / "m.onnx")
    if name.endswith((", even", "of one")):  # windows of one size; branches that are alone
        return
    kinds = [[type(layer).__name__ for layer in made.leaves()] for made in (again, model)]
    assert kinds[0] == [kind for kind in kinds[1] if not kind.startswith(("Dropout", "Identity"))]


def test_random_networks(tmp_path):
    def check(seed):
        rng = np.random.default_rng(seed)
        pynn.manual_seed(seed % 2**31)
        model, x = random_network(rng, np.float32 if seed % 3 else np.float64)
        pynn.onnx.export(model, tmp_path / "m.onnx", opset=int(rng.integers(14, 26)), input_shape=x.shape[1:])
        again = pynn.onnx.load(tmp_path / "m.onnx")
        assert again.predict(x).dtype == model.predict(x).dtype
        close(again.predict(x), model.predict(x), 2e-6)

    each_seed(25, check)


@pytest.mark.parametrize("path", sorted((VECTORS / "onnx").glob("*.onnx")), ids=lambda path: path.stem)
def test_other_libraries(path):
    name = next(key for key in (path.stem, path.stem.rpartition("-")[0]) if f"{key}.x" in WANTED)
    x, y = WANTED[f"{name}.x"], WANTED[f"{name}.y"]
    if name == REFUSED:
        with pytest.raises(ValueError, match=r"node 'Reshape' \(Reshape\) .* expected the batch first"):
            pynn.onnx.load(path)
        return
    model = pynn.onnx.load(path)
    if model.output_kind is None:
        got = model.predict(x).reshape(y.shape)
    else:
        np.testing.assert_array_equal(model.predict_label(x), WANTED[f"{name}.labels"])
        got = model.predict_proba(x)
    close(np.hstack([1 - got, got]) if model.output_kind == "binary" else got, y)


def test_what_was_loaded_is_trained_further(tmp_path, rng):
    x, y = rng.normal(size=(60, 2, 6, 6)).astype(np.float32), rng.integers(3, size=60)
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv2d(2, 4, 3, padding=1), pynn.BatchNorm2d(4), pynn.ReLU(),
        pynn.Residual(pynn.Sequential(pynn.Conv2d(4, 4, 3, padding=1), pynn.Tanh())), pynn.MaxPool2d(2),
        pynn.Flatten(), pynn.Linear(36, 3),
    )  # fmt: skip
    pynn.onnx.export(model, tmp_path / "m.onnx", input_shape=(2, 6, 6))
    losses = []
    for network in (model, pynn.onnx.load(tmp_path / "m.onnx")):
        trainer = pynn.Trainer(network, pynn.CrossEntropyLoss(), pynn.Adam(1e-2), seed=0)
        losses.append(trainer.fit(x, y, epochs=8, batch_size=20)["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[1][-1] < 0.7 * losses[1][0]


def test_a_classifier_comes_back_as_it_was(tmp_path, rng):
    x, y = pynn.datasets.blobs(seed=0)
    model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    model.preprocessing = pynn.preprocessing.Standardize()
    model.class_names = ["a", "b", "c"]
    pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1)).fit(x, y, epochs=2)
    for output in ("raw", "probabilities", "log_probabilities"):
        pynn.onnx.export(model, tmp_path / "m.onnx", output=output)
        again = pynn.onnx.load(tmp_path / "m.onnx")
        assert (again.class_names, again.output_kind) == (["a", "b", "c"], "classes")
        close(again.predict(x), model.predict(x))
        close(again.predict_proba(x), model.predict_proba(x))
        np.testing.assert_array_equal(again.predict_label(x), model.predict_label(x))
    again.save(tmp_path / "m.safetensors")
    close(pynn.load(tmp_path / "m.safetensors").predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("text", "constants", "want"),
    [
        ("y = Gemm <transB = 1, alpha = 2.0, beta = 0.5> (x, w, b)", {"w": W.T, "b": [1, 2, 3, 4]},
         lambda x: 2 * x @ W + 0.5 * np.array([1, 2, 3, 4])),
        ("a = MatMul(x, w) \n y = Add(b, a)", {"w": W, "b": [[1, 2, 3, 4]]}, lambda x: x @ W + [1, 2, 3, 4]),
        ("a = MatMul(x, w) \n c = Mul(a, s) \n y = Sub(b, c)", {"w": W, "s": 3, "b": [1, 2, 3, 4]},
         lambda x: [1, 2, 3, 4] - 3 * (x @ W)),
        ("v = Transpose <perm = [1, 0]> (w) \n y = MatMul(x, v)", {"w": W.T}, lambda x: x @ W),
        ("a = Mul(x, s) \n y = MatMul(a, w)", {"s": [-1, 0, 2], "w": W}, lambda x: x * [-1, 0, 2] @ W),
        ("a = Clip(x, l, h) \n y = MatMul(a, w)", {"l": -1, "h": 0.5, "w": W}, lambda x: x.clip(-1, 0.5) @ W),
        ("a = Max(z, x) \n b = Max(a, z) \n y = MatMul(b, w)", {"z": 0, "w": W}, lambda x: x.clip(0) @ W),
        ("a = Relu(x) \n b = Sigmoid(x) \n c = Add(a, x) \n d = Sum(c, b) \n y = MatMul(d, w)", {"w": W},
         lambda x: (x.clip(0) + x + 1 / (1 + np.exp(-x))) @ W),
    ],
)  # fmt: skip
def test_forms_of_arithmetic(text, constants, want, tmp_path, rng):
    x = rng.normal(size=(5, 3))
    close(loaded(graph(text, **constants), tmp_path).predict(x.astype(np.float32)), want(x))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y = Sin(x)", r"node 'y' \(Sin\): no layer of pynn computes it$"),
        ("a = Transpose(x) \n b = Sin(a) \n c = Cos(b) \n y = Relu(c)", r"\(Transpose\).* a layer for Cos, Sin$"),
        ("y = Max(x, s)", r"node 'y' \(Max\): no layer of pynn computes it"),
        ("a = Relu(x) \n y = Mul(a, x)", r"node 'y' \(Mul\) combines branches; expected their sum"),
        ("a = Relu(x) \n y = Add(a, w)", r"node 'y' \(Add\) has a constant of shape \(3, 3\), which tells"),
        ("a = Relu(x) \n b = Add(a, s) \n y = Relu(b)", r"\(Add\) multiplies or adds constants where no neighb"),
        ("a = Relu(x) \n y = Clip(a, s)", r"node 'y' \(Clip\) limits values on one side where no neighbouring"),
        ("y = Div(s, x)", r"node 'y' \(Div\) divides by its input, or by 0"),
        ("y = Gemm <transA = 1> (x, w)", r"node 'y' \(Gemm\) transposes its input"),
        ("y = Flatten <axis = 2> (x)", r"node 'y' \(Flatten\) has axis 2; expected 1"),
        ("y = MatMul(w, x)", r"node 'y' \(MatMul\) multiplies a constant by its input"),
        ("y = Cast <to = 6> (x)", r"node 'y' \(Cast\) converts to another type than float32 and float64"),
        ("a = Relu(x) \n y = Neg(w)", r"nothing uses 'x', which is not the output 'y'"),
        ("y = Selu <alpha = 2.0> (x)", r"node 'y' \(Selu\) has alpha 2.0; expected 1.67326"),
        ("y = Clip(x, s, s)", r"node 'y' \(Clip\): min_val is 2.0 and max_val 2.0; expected min_val below"),
        ("y = Swish.odd(x)", None),
    ],
)  # fmt: skip
def test_what_no_layer_computes_is_named(text, message, tmp_path):
    if message is None:
        model = graph("y = Relu(x)")
        model.graph.node[0].domain = "odd"
        message = r"node '' has the operator odd.Relu"
    else:
        model = graph(text, w=np.ones((3, 3)), s=2)
    with pytest.raises(ValueError, match=message):
        loaded(model, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m = ReduceMean(x, last) \n y = Add(x, m)", r"combines values of shapes \(None, 2, 5\) and \(None, 2, 1\)"),
        ("m = ReduceMean(x, last) \n y = Sum(m, x)", "combines values of shapes"),
        (
            "q = Mul(x, x) \n m = ReduceMean <keepdims = 0> (q, last) \n e = Add(m, s) \n r = Sqrt(e) \n y = Div(x, r)",
            r"node 'q' \(Mul\) combines branches",
        ),
        ("a, b = Split <axis = 2, num_outputs = 2> (x) \n g = Sigmoid(b) \n y = Mul(a, g)", "splits 5 elements"),
    ],
)
def test_values_that_would_be_repeated_are_refused(text, message, tmp_path):
    model = graph(text, shape="N, 2, 5", opset=18, s=1e-3)
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1]), "last"))
    with pytest.raises(ValueError, match=message):
        loaded(model, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y = Conv <kernel_shape = [5, 5]> (x, w)", r"kernel_shape \[5, 5\] and a kernel of shape \[3, 3\]"),
        ("y = Conv <kernel_shape = [3]> (x, w)", r"kernel_shape \[3\] and a kernel of shape \[3, 3\]"),
        ('y = Conv <auto_pad = "VALID", pads = [1, 1, 1, 1]> (x, w)', "auto_pad 'VALID' and pads"),
        ('y = Conv <auto_pad = "SAME"> (x, w)', "auto_pad 'SAME'; expected one of NOTSET, VALID"),
        ("y = Conv <strides = [0, 0]> (x, w)", r"has strides \[0, 0\]; expected positive numbers"),
        ("y = Conv <stride = [2, 2]> (x, w)", "Unrecognized attribute: stride for operator Conv"),
        ("y = ConvTranspose <kernel_shape = [2, 2]> (x, w)", "and a kernel of shape"),
        ("y = Softmax <axis = 4> (x)", r"\(Softmax\) has axis 4 of 4 dimensions; expected -4 to 3"),
        ("y = LogSoftmax <axis = -5> (x)", r"\(LogSoftmax\) has axis -5 of 4 dimensions"),
        ("y = Flatten <axis = 9> (x)", r"\(Flatten\) has axis 9; expected 1"),
        ("y = Gemm <transB = 1> (x, m)", "Input 0 expected to have rank 2 but has rank 4"),
        ("y = Sigmoid <alpha = 2.0> (x)", "Unrecognized attribute: alpha for operator Sigmoid"),
        ("y = Gelu(x)", "node 'y' has the operator Gelu, which operator set 17 lacks"),
        ("y = Swish(x)", "node 'y' has the operator Swish, which operator set 17 lacks"),
        ("y = Softsign <odd = 1> (x) \n unused = Mish(x)", "which operator set 17 lacks"),
        ("y = Dropout(x, half, true)", r"\(Dropout\) is in training mode"),
        ("y, mean, var = BatchNormalization <training_mode = 1> (x, c, c, c, c)", "is in training mode"),
    ],
)
def test_attributes_that_contradict_each_other_or_onnx_are_refused(text, message, tmp_path):
    arrays = {"w": np.ones((2, 2, 3, 3)), "m": np.ones((2, 3)), "c": np.ones(2), "half": 0.5}
    model = graph(text, shape="N, 2, 8, 8", **arrays)
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "true"))
    with pytest.raises(ValueError, match=message):
        loaded(model, tmp_path)


def test_what_onnxruntime_writes_in_older_operator_sets(tmp_path, rng):
    x = rng.normal(size=(5, 3)).astype(np.float32)
    centred = x - x.mean(axis=1, keepdims=True)
    wanted = 2 * centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    model = graph("y = LayerNormalization(x, c)", opset=11, c=np.full(3, 2.0))
    np.testing.assert_allclose(loaded(model, tmp_path).predict(x), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("op", "opset"), [("Softmax", 11), ("LogSoftmax", 11), ("LayerNormalization", 17)])
def test_axes_are_checked_where_the_rank_is_known_late(op, opset, rng):
    text = f"a = Reshape(x, s) \n y = {op} <axis = 4> (a{', c' if op == 'LayerNormalization' else ''})"
    model = graph(text, opset=opset, c=np.ones(3))
    model.graph.input.append(helper.make_tensor_value_info("s", onnx.TensorProto.INT64, ["R"]))
    with pytest.raises(ValueError, match=r"has axis 4 of 2 dimensions; expected -2 to 1"):
        pynn.onnx.Backend.run_model(model, [rng.normal(size=(2, 3)).astype(np.float32), np.array([2, 3])])


@pytest.mark.parametrize("op", ["BatchNormalization", "Dropout"])
def test_before_opset_7_an_attribute_says_that_a_node_does_not_train(op, tmp_path, rng):
    x = rng.normal(size=(2, 3)).astype(np.float32)
    more = ", c, c, c, c" if op == "BatchNormalization" else ""
    trains, infers = (graph(f"y = {op} <is_test = {test}> (x{more})", opset=6, c=np.ones(3)) for test in (0, 1))
    with pytest.raises(ValueError, match=rf"\({op}\) is in training mode"):
        loaded(trains, tmp_path)
    wanted = x if op == "Dropout" else (x - 1) / np.sqrt(1 + 1e-5) + 1
    np.testing.assert_allclose(loaded(infers, tmp_path).predict(x), wanted, rtol=1e-5, atol=1e-6)


def test_shapes_that_a_file_claims_of_results_need_not_fit(tmp_path, rng):
    x = rng.normal(size=(5, 3)).astype(np.float32)
    model = graph("a = Relu(x) \n y = Tanh(a)")
    model.graph.value_info.append(helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [1, 3]))
    np.testing.assert_allclose(loaded(model, tmp_path).predict(x), np.tanh(np.maximum(x, 0)), rtol=1e-5, atol=1e-6)


def test_several_inputs_or_outputs_are_named(tmp_path):
    model = graph("y = Relu(x)")
    model.graph.output.append(helper.make_tensor_value_info("x", 1, None))
    with pytest.raises(ValueError, match=r"the graph has the outputs \['y', 'x'\]; expected one, or labels and prob"):
        loaded(model, tmp_path)
    model = graph("y = Add(x, z)")
    model.graph.input.append(helper.make_tensor_value_info("z", 1, ["N", 3]))
    with pytest.raises(ValueError, match=r"the graph has the inputs \['x', 'z'\]; expected one"):
        loaded(model, tmp_path)
