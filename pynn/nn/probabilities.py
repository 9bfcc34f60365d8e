"""Probabilities from logits, without overflow for any of them."""

from __future__ import annotations

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of each row, in the dtype of the logits (n, classes).

    Examples
    --------
    >>> softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-logit)), in the dtype of the logits.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0]))
    array([0. , 0.5])
    """
    small = np.exp(-np.abs(logits))
    return np.where(logits < 0, small, 1) / (1 + small)


def even_log_probabilities(like: np.ndarray) -> np.ndarray:
    """Return the logarithms of equal probabilities of all classes, in the shape of `like` (..., classes).

    Examples
    --------
    >>> even_log_probabilities(np.zeros((1, 2))).round(4)
    array([[-0.6931, -0.6931]])
    """
    return np.full_like(like, -np.log(max(like.shape[-1], 1)))
