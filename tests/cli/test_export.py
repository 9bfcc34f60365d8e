"""``pynn export``."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from scipy import special

import pynn


def test_export_of_a_table(run, tmp_path):
    lines = [f"{k % 7},{'red' if k % 3 else 'blue'},{'yes' if k % 7 > 3 else 'no'}" for k in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["size,colour,y", *lines]))
    run("train", "--data", "t.csv", "--target", "y", "--epochs", 2, "-q", "--save", "m.safetensors")
    result = run("export", "m.safetensors", "m.onnx", "--output", "probabilities")
    assert "m.onnx: opset 20, output 'probabilities'" in result.stderr
    assert "numbers that the table's columns become" in result.stderr
    model = pynn.load("m.safetensors")
    x = pynn.datasets.read_csv("t.csv", schema=model.input_schema).x.astype(np.float32)
    got = onnxruntime.InferenceSession("m.onnx").run(None, {"input": x})[0]
    want = model.predict_proba(x)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    metadata = {entry.key: entry.value for entry in onnx.load("m.onnx").metadata_props}
    assert len(json.loads(metadata["features"])) == x.shape[1]
    assert json.loads(metadata["class_names"]) == ["no", "yes"]


def test_export_of_images(run, rng):
    model = pynn.Sequential(pynn.Conv2d(1, 2, 3), pynn.Flatten(), pynn.Linear(8, 3))
    model.output_kind = "classes"
    model.save("m.safetensors")
    run("export", "m.safetensors", "m.onnx", "--input-shape", "1,4,4", "--opset", 17, "--output", "log_probabilities")
    x = rng.normal(size=(3, 1, 4, 4)).astype(np.float32)
    got = onnxruntime.InferenceSession("m.onnx").run(None, {"input": x})[0]
    np.testing.assert_allclose(got, special.log_softmax(model.predict(x), axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 1, "the shape of an example does not follow from the model; pass input_shape="),
        (("--input-shape", "1,x"), 2, "'1,x' is no list of whole numbers; expected one such as 3,32,32"),
        (("--input-shape", "2,4,4"), 1, "pass input_shape=, the shape of one example"),
        (("--opset", "3", "--input-shape", "1,4,4"), 1, "opset is 3; expected 14 to 26"),
        (("--output", "probabilities", "--input-shape", "1,4,4"), 1, "the model's output_kind is None"),
    ],
)
def test_errors(run, arguments, code, message):
    pynn.Sequential(pynn.Conv2d(1, 2, 3)).save("m.safetensors")
    result = run("export", "m.safetensors", "m.onnx", *arguments, code=code)
    assert message in " ".join(result.stderr.split())
