"""
Reading a roofline
==================

A kernel can be no faster than the processor multiplies, and no faster than the memory delivers. This page measures
both limits on the machine that built it, and places matrix products and activations below them.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import pynn
from pynn.bench.limits import measure

limits = measure(threads=1)
peak = limits.operations["float32"]
bandwidth = limits.copies[-1][1]
print(f"{peak / 1e9:.0f} GFLOP/s, {bandwidth / 1e9:.1f} GB/s from memory")

# %%
# An op has an arithmetic intensity: the operations for each byte that must move. The product of (m, k) and (k, n) does
# 2mkn operations on 4(mk + kn + mn) bytes, ReLU one operation on 8 bytes.


def seconds(call):
    """Return the shortest time of a call, of several."""
    call()
    found = []
    for _ in range(15):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


rng = np.random.default_rng(0)
points = []
with pynn.use_backend("auto"):
    threads = pynn.get_num_threads()
    pynn.set_num_threads(1)
    for m, k, n in ((1, 784, 256), (8, 784, 256), (64, 784, 256), (256, 1024, 1024), (512, 2048, 2048)):
        a, b = rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)
        out = np.empty((m, n), np.float32)
        time_taken = seconds(lambda a=a, b=b, out=out: pynn.ops.matmul(a, b, out=out))
        work, moved = 2 * m * k * n, 4 * (m * k + k * n + m * n)
        points.append((f"product ({m}, {k}) x ({k}, {n})", work / moved, work / time_taken))
    big = rng.normal(size=(4096, 4096)).astype(np.float32)
    out = np.empty_like(big)
    points.append(("ReLU of 64 MB", 1 / 8, big.size / seconds(lambda: pynn.ops.relu(big, out=out))))
    pynn.set_num_threads(threads)

figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
intensity = np.logspace(-1.5, 3, 100)
axis.plot(intensity, np.minimum(peak, bandwidth * intensity) / 1e9, "k", label="the roof, from memory")
axis.plot(intensity, np.minimum(peak, limits.copies[0][1] * intensity) / 1e9, "k:", label="from the L2 cache")
for (name, place, rate), marker in zip(points, "osD^vX", strict=True):
    axis.plot(place, rate / 1e9, marker, label=name)
axis.set_xscale("log")
axis.set_yscale("log")
axis.set_xlabel("operations per byte")
axis.set_ylabel("GFLOP/s, one thread")
axis.legend(fontsize=8)

# %%
# How to read it. Below the slanted part, memory decides: ReLU, and a product with one row, which reads every weight for
# two operations. There, fusing helps: an op that is joined to the one before it moves no bytes of its own. Below the
# flat part, arithmetic decides, and the distance to the roof is what a better kernel could still gain. A point between
# the two slanted lines works on data that are in the cache. :doc:`/benchmarks` has the plot for every op of the suite.
