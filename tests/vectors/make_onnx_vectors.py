"""Writes networks of PyTorch and scikit-learn as ONNX files, with inputs and what the networks give for them.

Run with torch, onnxscript and skl2onnx installed: ``python tests/vectors/make_onnx_vectors.py``. The files are
``onnx/NAME.onnx``; ``onnx.npz`` holds NAME.x, NAME.y and, for classifiers, NAME.labels.
"""

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

FOLDER = Path(__file__).parent / "onnx"


class Block(nn.Module):
    """A residual block, as in He et al. 2016."""

    def __init__(self, channels, filters=None):
        super().__init__()
        filters = filters or channels
        self.inner = nn.Sequential(
            nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
            nn.Conv2d(filters, filters, 3, padding=1), nn.BatchNorm2d(filters),
        )  # fmt: skip
        self.shortcut = nn.Conv2d(channels, filters, 1) if filters != channels else nn.Identity()

    def forward(self, x):
        return torch.relu(self.inner(x) + self.shortcut(x))


class Added(nn.Module):
    """x + activation(A x + b), so that the signal survives many activations."""

    def __init__(self, activation):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 6), activation)

    def forward(self, x):
        return x + self.inner(x)


class View(nn.Module):
    """Flattening by hand."""

    def forward(self, x):
        return x.view(x.size(0), -1)


def networks():
    """Return the networks of PyTorch and the shapes of their inputs."""
    activations = [
        nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.SELU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Softplus(2.0),
        nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.PReLU(), nn.PReLU(6), nn.CELU(0.7), nn.Hardsigmoid(), nn.Hardswish(),
        nn.Hardtanh(-0.5, 0.5), nn.LogSigmoid(), nn.Mish(), nn.ReLU6(), nn.Softsign(), nn.Softmax(1), nn.LogSoftmax(-1),
    ]  # fmt: skip
    return {
        "activations": (nn.Sequential(*map(Added, activations)), (5, 6)),
        "perceptron": (
            nn.Sequential(
                nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.LayerNorm(8), nn.Tanh(),
                nn.Linear(8, 8, bias=False), nn.LayerNorm(8, elementwise_affine=False), nn.Linear(8, 3),
            ),
            (5, 4),
        ),
        "images": (
            nn.Sequential(
                nn.Conv2d(3, 6, 3, padding="same"), nn.BatchNorm2d(6), nn.SiLU(), nn.MaxPool2d(3, 2, 1, ceil_mode=True),
                nn.GroupNorm(3, 6), nn.InstanceNorm2d(6, affine=True), Block(6), nn.Softmax(1),
                nn.Dropout2d(), nn.AvgPool2d(2), Block(6, 4),
                nn.Conv2d(4, 8, 3, groups=2, dilation=2, padding=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                nn.Linear(8, 2),
            ),
            (2, 3, 12, 12),
        ),
        "pooling": (
            nn.Sequential(
                nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2, count_include_pad=False), nn.AdaptiveAvgPool2d(2),
                View(),
            ),
            (2, 2, 17, 17),
        ),
        "sequences": (
            nn.Sequential(
                nn.Conv1d(3, 4, 3, padding=1), nn.BatchNorm1d(4), nn.InstanceNorm1d(4), nn.ReLU(),
                nn.Conv1d(4, 4, 3, 2), nn.GELU(), View(), nn.Linear(16, 2),
            ),
            (3, 3, 9),
        ),
    }  # fmt: skip


def scramble(network):
    """Give running statistics and the weights of norms values that are not 0 and 1."""
    for module in network.modules():
        for name, values in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            if values.dtype == torch.float32 and values.ndim == 1:
                low = 0.5 if name in ("running_var", "weight") else -0.5
                values.data.uniform_(low, low + 1)


def write_torch(arrays):
    """Write the networks by both exporters of PyTorch, and by the older one in an old version of the operators."""
    for name, (network, shape) in networks().items():
        scramble(network)
        network.eval()
        x = torch.randn(shape)
        usual = {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}, "dynamo": False}
        torch.onnx.export(network, (x,), FOLDER / f"{name}-old.onnx", opset_version=13, **usual)
        torch.onnx.export(network, (x,), FOLDER / f"{name}.onnx", opset_version=20, **usual)
        torch.onnx.export(
            network, (x,), FOLDER / f"{name}-dynamo.onnx", dynamic_shapes=({0: "batch"},), dynamo=True,
            external_data=False, verbose=False,
        )  # fmt: skip
        without_stack_traces(FOLDER / f"{name}-dynamo.onnx")
        torch.onnx.export(network, (x,), FOLDER / f"{name}-fixed.onnx", dynamo=False)
        arrays |= {f"{name}.x": x.numpy(), f"{name}.y": network(x).detach().numpy()}


def without_stack_traces(path):
    """Remove what PyTorch says of the lines of Python that led to each node: paths of this machine."""
    proto = onnx.load(path)
    for node in [*proto.graph.node, *(node for function in proto.functions for node in function.node)]:
        kept = [entry for entry in node.metadata_props if not entry.key.endswith("stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(proto, path)


def write_sklearn(arrays):
    """Write perceptrons of scikit-learn."""
    rng = np.random.default_rng(0)
    x = rng.normal(3, [1, 10, 0.1, 5], size=(60, 4)).astype(np.float32)
    classes = rng.integers(3, size=60)
    usual = {"hidden_layer_sizes": (5, 4), "max_iter": 3, "random_state": 0}
    # skl2onnx gives two targets the shape (2 n, 1); such a graph must be refused.
    cases = {
        "classifier": (make_pipeline(StandardScaler(), MLPClassifier(**usual)), classes, {}),
        "words": (
            make_pipeline(MinMaxScaler(), MLPClassifier(activation="tanh", **usual)),
            np.array(["red", "green", "blue"])[classes],
            {"zipmap": False},
        ),
        "binary": (MLPClassifier(activation="logistic", **usual), classes > 0, {"zipmap": False}),
        "regressor": (make_pipeline(StandardScaler(), MLPRegressor(**usual)), x @ [1, 2, 3, 4], {}),
        "two-targets": (MLPRegressor(activation="identity", **usual), x[:, :2], {}),
    }
    for name, (model, y, options) in cases.items():
        model.fit(x, y)
        made = to_onnx(model, x[:1], options=options or None)
        (FOLDER / f"sklearn-{name}.onnx").write_bytes(made.SerializeToString())
        classifies = hasattr(model, "predict_proba")
        arrays[f"sklearn-{name}.x"] = x[:7]
        arrays[f"sklearn-{name}.y"] = model.predict_proba(x[:7]) if classifies else model.predict(x[:7])
        if classifies:
            arrays[f"sklearn-{name}.labels"] = model.predict(x[:7])


def main():
    """Write all files."""
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    arrays = {}
    write_torch(arrays)
    write_sklearn(arrays)
    np.savez_compressed(FOLDER.with_suffix(".npz"), **arrays)


main()
