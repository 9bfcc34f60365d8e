"""What layers that contain other layers share: each inner layer has one owner."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..parameters import OwnedError
from .base import Layer


def check_free(layers: Iterable[Layer]) -> None:
    """Raise OwnedError if a layer belongs to a model already, or ValueError if one occurs twice."""
    seen: set[int] = set()
    for layer in layers:
        if layer.owner is not None:
            raise OwnedError(f"{layer!r} already belongs to a model; make a new layer", layer)
        if id(layer) in seen:
            raise ValueError(f"{layer!r} occurs twice; make a second layer")
        seen.add(id(layer))


class Container(Layer):
    """Base class of layers that own the layers in them; a subclass calls `_take_possession` once it has them all."""

    def _take_possession(self) -> None:
        for _, layer in self.children():
            layer.owner = self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._take_possession()
