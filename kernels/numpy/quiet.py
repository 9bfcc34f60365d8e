"""Silence for results that NumPy warns of: a kernel may overflow to infinity or pass a NaN on, as compiled ones do."""

import numpy as np

#: Decorates every kernel.
quiet = np.errstate(all="ignore")
