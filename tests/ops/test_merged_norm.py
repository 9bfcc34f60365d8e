"""Batch norm over rows that several processes share is that of all rows, to rounding."""

import numpy as np
import pytest
import torch

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")
PARTS = ((0, 5), (5, 5), (5, 6), (6, 20))  # one without rows, and one of a single row


def batches(dtype, rng, places):
    shape = (20, 7) if places == 1 else (20, 7, 1, places)
    return rng.normal(50, 2, size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)


def shown(x, eps):
    """Return mean and 1 / sqrt(var + eps) of each part, NaN without elements, as ranks show them."""
    axes = (0, *range(2, x.ndim))
    rows = [x[start:stop] for start, stop in PARTS]
    moments = [
        [part.mean(axes), 1 / np.sqrt(part.var(axes) + eps)] if len(part) else np.full((2, 7), np.nan) for part in rows
    ]
    return np.array(moments, x.dtype)


@pytest.mark.parametrize("places", [1, 3])
def test_merged_statistics_are_those_of_all_rows(places, dtype, rng):
    x, _ = batches(dtype, rng, places)
    running = np.full(7, 0.5, dtype), np.full(7, 2.0, dtype)
    norm = torch.nn.BatchNorm2d(7, momentum=0.3, dtype=torch.float64)
    norm.running_mean.fill_(0.5), norm.running_var.fill_(2.0)
    wide = torch.tensor(x.astype(np.float64)).reshape(20, 7, 1, -1)
    norm(wide)
    counts = np.array([stop - start for start, stop in PARTS], float)
    mean, var = ops.merge_statistics(shown(x, 1e-5), counts, *running, each=places, momentum=0.3)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    expected = wide.mean((0, 2, 3)), wide.var((0, 2, 3), correction=0), norm.running_mean, norm.running_var
    for found, wanted in zip((mean, var, *running), expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=tolerance)


@pytest.mark.parametrize("activation", [None, "relu", "tanh", "gelu"])
@pytest.mark.parametrize("places", [1, 3])
def test_merged_input_gradients_are_those_of_all_rows(places, activation, dtype, rng):
    x, dy = batches(dtype, rng, places)
    gamma, beta = rng.normal(1, 0.3, size=(2, 7)).astype(dtype)
    wide = torch.tensor(x.astype(np.float64)).reshape(20, 7, 1, -1).requires_grad_()
    weights = torch.tensor(gamma).double(), torch.tensor(beta).double()
    y = torch.nn.functional.batch_norm(wide, None, None, *weights, training=True)
    y = y if activation is None else getattr(torch.nn.functional, activation)(y)
    y.backward(torch.tensor(dy.astype(np.float64)).reshape(wide.shape))
    axes = (0, *range(2, x.ndim))
    mean, rstd = x.mean(axes, np.float64).astype(dtype), (1 / np.sqrt(x.var(axes, np.float64) + 1e-5)).astype(dtype)
    statistics, options = (gamma, beta, mean, rstd), {"activation": activation}
    backward = ops.batch_norm_backward if x.ndim == 2 else ops.batch_norm2d_backward
    parts = [slice(*part) for part in PARTS if part[1] > part[0]]
    sums = [backward(dy[p], x[p], *statistics, training=False, need_dx=False, **options)[1:] for p in parts]
    means = ops.merge_gradients(np.array(sums), count=20 * places)
    dx = [ops.merged_input_gradient(dy[p], x[p], *statistics, means, **options) for p in parts]
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(np.concatenate(dx), wide.grad.numpy().reshape(x.shape), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"moments": np.ones((2, 3, 4))}, r"moments has shape \(2, 3, 4\); expected \(parts, 2, features\)"),
        ({"counts": np.ones(3)}, r"counts has shape \(3,\); expected \(2,\)"),
        ({"counts": np.ones(2, np.float32)}, "counts has dtype float32; expected float64"),
        ({"counts": np.array([1.0, 0.0])}, r"at least 2 elements to have a variance; counts is \[1. 0.\], each 1"),
        ({"counts": np.array([5.0, -1.0])}, "at least 2 elements"),
        ({"running_mean": np.ones(3)}, r"running_mean has shape \(3,\); expected \(4,\)"),
        ({"eps": 0.0}, "eps is 0.0; expected a positive number"),
    ],
)
def test_wrong_arguments_are_refused(changed, message):
    arguments = {"moments": np.ones((2, 2, 4)), "counts": np.ones(2)}
    arguments |= {"running_mean": np.zeros(4), "running_var": np.ones(4)} | changed
    with pytest.raises((TypeError, ValueError), match=message):
        ops.merge_statistics(**arguments)
