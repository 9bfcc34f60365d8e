"""Write the reference values for images that the op tests compare with; needs PyTorch (the stored ones: 2.13.0, CPU).

One flat key per case and array, such as ``conv2.dx``; all float64. Run ``python make_torch_conv_vectors.py``; the file
lands beside this script. The cases are read by the tests from the file itself, as keys ``<case>.spec``.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

HERE = Path(__file__).parent

#: Shape of x, then filters, kernel, and arguments.
CONV = [
    ((2, 3, 7, 6), 4, (3, 3), {"padding": 1}),
    ((2, 4, 9, 7), 6, (3, 2), {"stride": 2, "padding": (1, 0), "groups": 2}),
    ((1, 4, 8, 8), 4, (3, 3), {"stride": (1, 2), "padding": 2, "dilation": (1, 2), "groups": 4}),
    ((3, 2, 5, 5), 3, (1, 1), {"stride": 2}),
    ((2, 2, 6, 7), 3, (4, 3), {"padding": "same", "dilation": (1, 2)}),
]
MAX = [
    ((2, 2, 7, 6), {"kernel_size": 2}),
    ((1, 2, 9, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ((1, 2, 8, 9), {"kernel_size": (3, 2), "stride": (1, 2), "dilation": (2, 1)}),
]
AVG = [
    ((2, 2, 7, 6), {"kernel_size": 2, "ceil_mode": True}),
    ((1, 2, 9, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    ((1, 2, 9, 8), {"kernel_size": (3, 4), "stride": (2, 3), "padding": (1, 2), "ceil_mode": True}),
]
ADAPTIVE = [((2, 2, 7, 5), 1), ((1, 2, 7, 9), (3, 4))]
GROUP = [((3, 6, 4, 3), 3), ((2, 4), 2)]
LAYER = [((4, 7), (7,)), ((2, 3, 4, 5), (4, 5))]


def tensors(rng: np.random.Generator, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    """Return normal numbers that want gradients."""
    return [torch.tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]


def record(name: str, spec: object, arrays: dict[str, torch.Tensor], y: torch.Tensor, rng: np.random.Generator) -> dict:
    """Return inputs, output, and the gradients for a given one of the output."""
    dy = rng.normal(size=tuple(y.shape))
    y.backward(torch.tensor(dy))
    result = {f"{name}.spec": np.array(json.dumps(spec)), f"{name}.y": y.detach().numpy(), f"{name}.dy": dy}
    for key, value in arrays.items():
        result |= {f"{name}.{key}": value.detach().numpy(), f"{name}.d{key}": value.grad.numpy()}
    return result


def main() -> None:
    """Write all cases to conv.npz."""
    rng, result = np.random.default_rng(5), {}
    for index, (shape, filters, kernel, options) in enumerate(CONV):
        x, w, b = tensors(rng, shape, (filters, shape[1] // options.get("groups", 1), *kernel), (filters,))
        y = functional.conv2d(x, w, b, **options)
        result |= record(f"conv{index}", options, {"x": x, "w": w, "b": b}, y, rng)
    for kind, cases, function in (("max", MAX, functional.max_pool2d), ("avg", AVG, functional.avg_pool2d)):
        for index, (shape, options) in enumerate(cases):
            (x,) = tensors(rng, shape)
            result |= record(f"{kind}{index}", options, {"x": x}, function(x, **options), rng)
    for index, (shape, size) in enumerate(ADAPTIVE):
        (x,) = tensors(rng, shape)
        result |= record(f"adaptive{index}", size, {"x": x}, functional.adaptive_avg_pool2d(x, size), rng)
    for index, (shape, groups) in enumerate(GROUP):
        x, gamma, beta = tensors(rng, shape, shape[1:2], shape[1:2])
        y = functional.group_norm(x, groups, gamma, beta)
        result |= record(f"group{index}", groups, {"x": x, "gamma": gamma, "beta": beta}, y, rng)
    for index, (shape, normalized) in enumerate(LAYER):
        x, gamma, beta = tensors(rng, shape, normalized, normalized)
        y = functional.layer_norm(x, normalized, gamma, beta)
        result |= record(f"layer{index}", normalized, {"x": x, "gamma": gamma, "beta": beta}, y, rng)
    x, gamma, beta = tensors(rng, (3, 4, 5, 2), (4,), (4,))
    mean, var = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    y = functional.batch_norm(x, mean, var, gamma, beta, training=True)
    result |= record("batch0", None, {"x": x, "gamma": gamma, "beta": beta}, y, rng)
    result |= {"batch0.running_mean": mean.numpy(), "batch0.running_var": var.numpy()}
    np.savez_compressed(HERE / "conv.npz", **result)


if __name__ == "__main__":
    main()
