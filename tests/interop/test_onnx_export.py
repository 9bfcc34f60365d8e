"""Networks written to ONNX, computed by onnxruntime and by ONNX's reference evaluator."""

import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from fuzz.tried import each_seed
from onnx.reference import ReferenceEvaluator
from onnx_networks import LAYERS, of_layer, random_network
from scipy import special

import pynn
from pynn import preprocessing as pre
from pynn.interop.onnx.exporting import OPSETS
from pynn.interop.onnx.writers import CONTAINERS, WRITERS
from pynn.nn import layers

onnxruntime.set_default_logger_severity(3)


def close(got, want, tolerance=2e-6):
    """Check dtype, shape, and values relative to the largest one."""
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * max(np.abs(want).max(initial=0), 1e-30))


def reference(path, x):
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(onnx.load(path)).run(None, {"input": x})[0]


def is_known_to_the_reference(model):
    """Return whether the evaluator computes a model right: not weights in groups, negative pads, pads of sequences."""
    known = []
    for layer in model.all_layers():
        known.append(not isinstance(layer, pynn.ConvTranspose2d) or layer.groups == 1)
        known.append(not isinstance(layer, pynn.ZeroPad2d) or min(layer.padding) >= 0)
        known.append(not isinstance(layer, pynn.MaxPool1d) or layer.padding == (0,) or layer.stride != (1,))
    return all(known)


def runtime(path, x):
    return onnxruntime.InferenceSession(path).run(None, {"input": x})[0]


def test_every_layer_has_an_export():
    """A layer that is new must be added to writers.py, to `LAYERS` of onnx_networks.py, and to what `load` reads."""
    for name in layers.__all__:
        kind = getattr(layers, name)
        if kind is not layers.Layer:
            assert any(base in WRITERS or base in CONTAINERS for base in kind.__mro__), name
            assert any(case.partition(",")[0] == name for case in LAYERS), name


@pytest.mark.parametrize("opset", [OPSETS[0], 17, 20, OPSETS[1]])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_the_same_in_onnx(name, opset, tmp_path, rng):
    path = tmp_path / "m.onnx"
    for dtype in (np.float32, np.float64):
        model, x = of_layer(name, dtype, rng)
        if not model.parameters() and dtype == np.float64:
            continue  # without parameters, a model computes in float32
        pynn.onnx.export(model, path, opset=opset, input_shape=x.shape[1:])
        # Attributes, such as the alpha of ELU, are float32 in ONNX.
        if is_known_to_the_reference(model):
            close(reference(path, x), model.predict(x), 1e-6 if dtype == np.float32 else 2e-7)
        if dtype == np.float32:
            close(runtime(path, x), model.predict(x), 1e-6)


def test_random_networks(tmp_path):
    path = tmp_path / "m.onnx"

    def check(seed):
        rng = np.random.default_rng(seed)
        pynn.manual_seed(seed % 2**31)
        model, x = random_network(rng, np.float32 if seed % 3 else np.float64)
        opset = int(rng.integers(OPSETS[0], OPSETS[1] + 1))
        pynn.onnx.export(model, path, opset=opset, input_shape=x.shape[1:])
        if is_known_to_the_reference(model):
            close(reference(path, x), model.predict(x))
        if x.dtype == np.float32:
            close(runtime(path, x), model.predict(x))

    each_seed(25, check)


def digits_network():
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(4, 8), pynn.ReLU(), pynn.Linear(8, 3))
    model.class_names, model.output_kind = ["a", "b", "ü"], "classes"
    return model


def test_probabilities_and_names(tmp_path, rng):
    model, x, path = digits_network(), rng.normal(size=(6, 4)).astype(np.float32), tmp_path / "m.onnx"
    for output, want in (("probabilities", special.softmax), ("log_probabilities", special.log_softmax)):
        pynn.onnx.export(model, path, output=output)
        close(runtime(path, x), want(model.predict(x), axis=1), 1e-6)
        assert [info.name for info in onnx.load(path).graph.output] == [output]
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(metadata["class_names"]) == ["a", "b", "ü"]
    assert metadata["output_kind"] == "classes"


def test_probabilities_of_binary_outputs(tmp_path, rng):
    model, path = pynn.Sequential(pynn.Linear(2, 1)), tmp_path / "m.onnx"
    model.output_kind = "binary"
    x = (30 * rng.normal(size=(20, 2))).astype(np.float32)
    pynn.onnx.export(model, path, output="probabilities")
    close(runtime(path, x), special.expit(model.predict(x)), 1e-6)
    pynn.onnx.export(model, path, output="log_probabilities")
    close(runtime(path, x), special.log_expit(model.predict(x)), 1e-6)


def test_the_batch_is_of_any_size(tmp_path, rng):
    path = tmp_path / "m.onnx"
    pynn.onnx.export(digits_network(), path)
    for size in (1, 7, 300):
        assert runtime(path, np.zeros((size, 4), np.float32)).shape == (size, 3)


def test_raw_data_that_float32_does_not_distinguish(tmp_path, rng):
    x = 1.7e9 + 900 * rng.normal(size=(50, 3))
    model = pynn.Sequential(pynn.Linear(3, 2))
    model.preprocessing = pre.Standardize().fit(x)
    model.target_preprocessing = pre.Standardize().fit(1.7e9 + rng.normal(size=(9, 2)))
    pynn.onnx.export(model, tmp_path / "m.onnx", input_dtype=np.float64)
    got = runtime(tmp_path / "m.onnx", x)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, model.predict(x), rtol=0, atol=1e-5)


def test_a_table_names_its_features(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("size,colour,y\n" + "".join(f"{k},{'red' if k % 2 else 'blue'},{k % 3}\n" for k in range(12)))
    read = pynn.datasets.read_csv(table)
    model = pynn.Sequential(pynn.Linear(read.x.shape[1], 3))
    model.input_schema = read.schema
    pynn.onnx.export(model, tmp_path / "m.onnx")
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "m.onnx").metadata_props}
    features = json.loads(metadata["features"])
    assert len(features) == read.x.shape[1]
    assert features[0] == "size"


def test_a_layer_of_the_users_own(tmp_path, rng):
    class Scale(pynn.Layer):
        def __init__(self):
            super().__init__()
            self.scale = pynn.Parameter(np.arange(1, 4))

        def forward(self, x, ctx):
            return x * self.scale

    class Written(Scale):
        def to_onnx(self, graph, x):
            return graph.add("Mul", x, graph.constant(self.scale.data, "scale"))

    with pytest.raises(TypeError, match=r"layer 1 is a Scale, which has no counterpart in ONNX; give it .* to_onnx"):
        pynn.onnx.export(pynn.Sequential(pynn.Linear(2, 3), Scale()), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
    model, x = pynn.Sequential(pynn.Linear(2, 3), Written()), rng.normal(size=(3, 2)).astype(np.float32)
    pynn.onnx.export(model, tmp_path / "m.onnx")
    close(runtime(tmp_path / "m.onnx", x), model.predict(x))


def test_a_subclass_that_computes_something_else_is_refused(tmp_path):
    class Odd(pynn.Linear):
        def forward(self, x, ctx):
            return super().forward(x, ctx) + 1

    with pytest.raises(TypeError, match="layer 0 is a Odd"):
        pynn.onnx.export(pynn.Sequential(Odd(2, 2)), tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"opset": 9}, "opset is 9; expected 14 to 26"),
        ({"output": "logits"}, 'output is .logits.; expected "raw", "probabilities" or "log_probabilities"'),
        ({"output": "probabilities"}, "output is 'probabilities', but the model's output_kind is None"),
        ({"input_shape": 3}, r"input_shape is 3; expected the shape of one example, such as \(3, 32, 32\)"),
        ({"input_shape": (5,)}, r"expected \(batch, 4\); pass input_shape="),
        ({"input_dtype": np.int64}, "input_dtype is int64; expected float32 or float64"),
    ],
)
def test_arguments(settings, message, tmp_path):
    model = digits_network()
    model.output_kind = None
    with pytest.raises(ValueError, match=message):
        pynn.onnx.export(model, tmp_path / "m.onnx", **settings)
    assert not list(tmp_path.iterdir())


def test_images_need_their_shape(tmp_path):
    with pytest.raises(ValueError, match=r"does not follow from the model; pass input_shape=, such as \(3, 32, 32\)"):
        pynn.onnx.export(pynn.Sequential(pynn.Conv2d(1, 2, 3)), tmp_path / "m.onnx")
    with pytest.raises(FileNotFoundError):
        pynn.onnx.export(digits_network(), tmp_path / "none" / "m.onnx")
    with pytest.raises(TypeError, match=r"expected a pynn.Sequential"):
        pynn.onnx.export(pynn.Linear(2, 2), tmp_path / "m.onnx")
    model = digits_network()
    model.preprocessing = pre.Standardize()
    with pytest.raises(pre.NotFittedError):
        pynn.onnx.export(model, tmp_path / "m.onnx")


def test_onnx_is_imported_when_it_is_used():
    code = "import sys, pynn, pynn.onnx; assert not {'onnx', 'google.protobuf'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_onnx_the_error_says_what_to_install():
    code = "import sys, pynn; sys.modules['onnx'] = None; pynn.onnx.export"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'ImportError: pynn.onnx needs onnx: pip install "pynn-kernels[onnx]"' in result.stderr
