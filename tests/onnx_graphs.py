"""ONNX models from the text of their nodes, read as networks."""

import numpy as np
import onnx
from onnx import numpy_helper

import pynn


def close(got, want, tolerance=1e-6):
    """Compare arrays, relative to the largest wanted element."""
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * max(np.abs(want).max(initial=0), 1e-30))


def graph(text, shape="N, 3", opset=17, **constants):
    """Return a model with one input x and one output y, from the text of its nodes."""
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": {opset}]> g (float[{shape}] x) => (float[N, M] y) {{ {text} }}'
    )
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in constants.items())
    return model


def loaded(model, tmp_path):
    path = tmp_path / "g.onnx"
    path.write_bytes(model.SerializeToString())
    return pynn.onnx.load(path)


W = np.arange(12).reshape(3, 4)
