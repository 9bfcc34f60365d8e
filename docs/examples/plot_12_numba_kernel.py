"""
A custom kernel in Numba
========================

An activation that pynn does not have, first in NumPy, then as a fused loop in Numba, checked and timed.
"""

import time

import numba
import numpy as np

import pynn

# %%
# Squareplus (Barron 2021), (x + sqrt(x^2 + 4)) / 2, is a smooth ReLU without an exponential. Its derivative is
# (1 + x / sqrt(x^2 + 4)) / 2. The NumPy version is the specification: one line per formula, and a pass over memory for
# each operation in it.


class Squareplus(pynn.Layer):
    def forward(self, x, ctx):
        ctx.x = x
        return (x + np.sqrt(x * x + 4)) / 2

    def backward(self, dy, ctx):
        return dy * (1 + ctx.x / np.sqrt(ctx.x * ctx.x + 4)) / 2


# %%
# The Numba version makes one pass: it reads an element, computes, and writes the result. The constants have the array's
# type, so that float32 is not computed in float64. NumPy's error model lets a division by zero give infinity, as in
# NumPy; a check for it would keep the compiler from using vectors. ``fastmath`` stays off, because it would change what
# happens to NaN.


@numba.njit(error_model="numpy")
def squareplus(x, out):
    two, four = x.dtype.type(2), x.dtype.type(4)
    for i in range(x.size):
        out[i] = (x[i] + np.sqrt(x[i] * x[i] + four)) / two


@numba.njit(error_model="numpy")
def squareplus_backward(dy, x, out):
    one, two, four = x.dtype.type(1), x.dtype.type(2), x.dtype.type(4)
    for i in range(x.size):
        out[i] = dy[i] * (one + x[i] / np.sqrt(x[i] * x[i] + four)) / two


class FusedSquareplus(pynn.Layer):
    def forward(self, x, ctx):
        ctx.x = x
        out = ctx.buffer("y", x.shape, x.dtype)
        squareplus(x.reshape(-1), out.reshape(-1))
        return out

    def backward(self, dy, ctx):
        out = ctx.gradient("dx", dy.shape, dy.dtype, dy)
        squareplus_backward(dy.reshape(-1), ctx.x.reshape(-1), out.reshape(-1))
        return out


# %%
# Equal to the specification? And is the gradient that of what it computes?

x = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
expected, found = Squareplus().forward(x, pynn.Context()), FusedSquareplus().forward(x, pynn.Context())
print("largest difference", np.abs(expected - found).max())

pynn.manual_seed(0)
model = pynn.Sequential(pynn.Linear(1, 16), FusedSquareplus(), pynn.Linear(16, 1))
for check in pynn.gradcheck(model, pynn.MSELoss(), x[:6, :1], x[:6, 1:2]):
    print(check)

# %%
# How fast? The buffers of ``ctx`` are reused between steps, so a step allocates nothing.


def microseconds(layer):
    ctx = pynn.Context(reuse=True)
    found = []
    for _ in range(50):
        start = time.perf_counter()
        layer.forward(x, ctx)
        layer.backward(x, ctx)
        found.append(time.perf_counter() - start)
    return 1e6 * min(found)


print(
    f"NumPy {microseconds(Squareplus()):.0f} us, Numba {microseconds(FusedSquareplus()):.0f} us, forward and backward"
)

# %%
# It trains like pynn's own layers: three arms of a spiral, told apart.

import matplotlib.pyplot as plt

pynn.manual_seed(0)
points, arms = pynn.datasets.spiral(seed=0)
model = pynn.Sequential(
    *(pynn.Linear(2, 64), FusedSquareplus(), pynn.Linear(64, 64), FusedSquareplus(), pynn.Linear(64, 3))
)
trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(lr=1e-2))
trainer.fit(points, arms, epochs=100)
print(trainer.evaluate(points, arms))

grid = np.stack(np.meshgrid(np.linspace(-1.5, 1.5, 150), np.linspace(-1.5, 1.5, 150)), axis=-1)
regions = model.predict_label(grid.reshape(-1, 2)).reshape(150, 150)
plt.figure(figsize=(5, 4.5))
plt.contourf(grid[..., 0], grid[..., 1], regions, levels=[-0.5, 0.5, 1.5, 2.5], alpha=0.3)
plt.scatter(*points.T, c=arms, s=8)
