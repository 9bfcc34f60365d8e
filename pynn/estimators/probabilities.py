"""Probabilities of classes, from a network's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.loss import Loss
from ..nn.probabilities import sigmoid, softmax

if TYPE_CHECKING:
    from .targets import Labels


def gives_probabilities(estimator: Any) -> bool:
    """Return whether the loss makes the outputs log-probabilities; raise AttributeError otherwise."""
    loss = getattr(estimator, "loss", None)
    if loss == "hinge" or (isinstance(loss, Loss) and loss.output_kind not in ("classes", "binary")):
        raise AttributeError(f"the loss {loss!r} gives scores without probabilities; use predict")
    return True


def probabilities(outputs: np.ndarray, labels: Labels) -> np.ndarray:
    """Return softmax or sigmoid of outputs; a single output becomes the columns of two classes."""
    if outputs.shape[1] > 1 and not labels.multilabel:
        return softmax(outputs)
    positive = sigmoid(outputs)
    if labels.multilabel:
        return positive
    if labels.count == 1:
        return np.ones_like(positive)
    return np.hstack([1 - positive, positive])
