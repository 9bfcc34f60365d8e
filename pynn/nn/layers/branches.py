"""What layers of several branches share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .base import Layer
from .container import Container, check_free


class Branches(Container):
    """Base class of layers that give x to several branches.

    Attributes
    ----------
    branches : tuple of Layer
    """

    def __init__(self, *branches: Layer) -> None:
        super().__init__()
        if not branches:
            raise ValueError(f"{type(self).__name__} got no branches; expected at least one layer")
        for index, branch in enumerate(branches):
            if not isinstance(branch, Layer):
                raise TypeError(f"branch {index} is {branch!r}; expected a pynn.Layer")
        check_free(branches)
        self.branches = branches
        self._take_possession()

    def children(self) -> Iterator[tuple[str, Layer]]:
        for index, branch in enumerate(self.branches):
            yield str(index), branch

    def config(self) -> dict[str, Any]:
        return {"branches": self.branches}
