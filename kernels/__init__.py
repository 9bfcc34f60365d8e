"""Kernels: one subpackage per backend, with the same modules, functions and arguments in each.

Contract of every kernel
------------------------
* Arrays are C-contiguous, of one floating dtype (float32 or float64), and do not overlap unless the function says so;
  labels and bounds are int64. `pynn.ops` checks this once; kernels trust it.
* Every output is handed in and written completely; kernels never return arrays and keep no state between calls.
* An optional array that is absent is ``None``.
* An elementwise activation inside another kernel is named by an `ActivationCode` and its one parameter `alpha`.
"""
