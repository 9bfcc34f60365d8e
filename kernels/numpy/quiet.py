"""Silence NumPy's floating-point warnings: kernels may overflow to infinity or propagate NaN, as compiled ones do."""

import numpy as np

#: Decorates every kernel.
quiet = np.errstate(all="ignore")
