"""A faulty program with its healthy twin, and collections of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.faults.cases import Run

Build = Callable[[bool], Run]
Score = Callable[[Run], float]


@dataclass(frozen=True)
class Program:
    """A faulty program.

    Attributes
    ----------
    name, about : str
    tags : tuple of str
        Its documented causes, tags of `accepted.ACCEPTED`.
    build : callable
        ``build(sick)`` returns the run, or with ``sick=False`` that of the healthy twin.
    threshold : float
        Output above which a single output says yes.
    needs_images : bool
        Whether it needs MNIST or CIFAR-10.
    score : callable, optional
        Returns the score of a run, for which accuracy and R2 do not fit.
    """

    name: str
    about: str
    tags: tuple[str, ...]
    build: Build
    threshold: float = 0.0
    needs_images: bool = False
    score: Score | None = None


class Programs(dict[str, Program]):
    """Programs by name."""

    def program(
        self,
        *tags: str,
        threshold: float = 0.0,
        images: bool = False,
        score: Score | None = None,
    ) -> Callable[[Build], Build]:
        """Return a decorator that adds a function ``sick -> Run`` with its documented causes."""

        def add(build: Build) -> Build:
            about = (build.__doc__ or "").strip()
            self[build.__name__] = Program(build.__name__, about, tags, build, threshold, images, score)
            return build

        return add
