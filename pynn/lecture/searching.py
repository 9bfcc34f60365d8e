"""Shared helpers of the experiments on search."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import search
from ..training.trainer import Trainer
from .data import LectureData


def search_on(
    data: LectureData,
    build: Callable[[search.space.Params], Trainer],
    space: Mapping[str, search.Parameter],
    **options: Any,
) -> search.SearchResult:
    """Search with one worker, without warnings about the edges of ranges."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", search.SearchWarning)
        return search.run(build, space, (data.x, data.y), data.validation, workers=1, **options)


def scores(result: search.SearchResult) -> np.ndarray:
    """Return the accuracy of each trial; 0 for unfinished ones."""
    return np.array([trial.score if trial.ended == "finished" else 0.0 for trial in result.trials])
