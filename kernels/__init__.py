"""Kernels: one subpackage per backend, with the same modules, functions and arguments in each.

Contract of every kernel
------------------------
* Arrays are C-contiguous, of one floating dtype (float32 or float64), and do not overlap unless the function says so;
  labels and bounds are int64. `pynn.ops` checks this once; kernels trust it.
* The caller passes every output, and the kernel writes all of it; kernels return no arrays and keep no state between
  calls.
* Absent optional arrays are ``None``.
* An elementwise activation inside another kernel is given by an `ActivationCode` and its one parameter `alpha`.
"""

#: The modules of every backend, one per line: CMakeLists.txt reads this list.
MODULES = (
    "activations",
    "batchnorm",
    "channels",
    "columns",
    "conv",
    "dropout",
    "glu",
    "groupnorm",
    "labels",
    "losses",
    "matmul",
    "optim",
    "parametric",
    "pixel_shuffle",
    "pointwise_losses",
    "pooling",
    "softmax",
    "upsample",
    "watch",
)
