"""Averages of the weights over the steps or epochs of training, which often predict better than the last weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..utils.config import Configurable
from ..utils.validation import count, fraction


class Averaging(Configurable):
    """Base class of weight averages, an argument of `Trainer`.

    It averages parameters and the running statistics of batch norm alike. From the end of an epoch until the next step
    the model holds the average: it is what `fit` validates, callbacks see, `EarlyStopping` restores, and files hold.
    Training goes on from its own weights, which a checkpoint holds beside the average. If you assign or load others in
    between, or `EarlyStopping` restores the best, training and the average go on from those.

    Attributes
    ----------
    taken : int
        Number of weights averaged.

    Examples
    --------
    >>> import pynn
    >>> issubclass(pynn.EMA, pynn.Averaging), issubclass(pynn.SWA, pynn.Averaging)
    (True, True)
    """

    #: Whether every step counts, otherwise every epoch.
    by_step = True

    def __init__(self) -> None:
        self.taken = 0
        #: The number of the step or epoch that was counted last.
        self.last = 0
        #: Whether the model holds the average, and `arrays` the weights of training.
        self.shown = False
        self.arrays: list[np.ndarray] = []
        #: While the model holds the average, a copy of it.
        self._spare: list[np.ndarray] = []
        self._owner: object | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_owner": None}

    def claim(self, owner: object) -> None:
        """Belong to a trainer; raise ValueError if it belongs to another one, whose weights it averages."""
        if self._owner not in (None, owner):
            raise ValueError(f"this averaging, {self!r}, is that of another trainer; make a new one")
        self._owner = owner

    def share(self, number: int) -> float:
        """Return the share of the weights after step or epoch `number` in the average; 0 to leave them out."""
        raise TypeError(f"{type(self).__name__} does not define share(self, number)")

    def take(self, live: Sequence[np.ndarray], number: int) -> None:
        """Count the model's arrays after step or epoch `number`, once; only the first call allocates memory."""
        if number <= self.last:
            return
        share = self.share(number)
        if not self.arrays:
            self.prepare(live)
        if not share:
            self.last = number
            return
        for array, average, new in zip(live, self.arrays, self._spare, strict=True):
            if self.taken:
                np.subtract(array, average, out=new)
                new *= share
                new += average
            else:
                new[...] = array
        # No call between these: an interrupt finds all of them assigned, or none.
        self.arrays, self._spare, self.taken, self.last = self._spare, self.arrays, self.taken + 1, number

    def prepare(self, live: Sequence[np.ndarray]) -> None:
        """Allocate the arrays of the average."""
        self.arrays, self._spare = ([array.copy() for array in live] for _ in range(2))

    def progress(self) -> dict[str, int | bool]:
        """Return the state that a checkpoint holds beside `arrays`."""
        return {"taken": self.taken, "last": self.last, "shown": self.shown}

    def resume(self, taken: int, last: int, shown: bool) -> None:
        """Restore the state of `progress`; raise ValueError if it is none."""
        if (taken > 0 or shown) and not self.arrays:
            raise ValueError("the average of the weights has no arrays")
        self.taken, self.last = count(taken, "taken", minimum=0), count(last, "last", minimum=0)
        self.shown = bool(shown)

    def show(self, live: Sequence[np.ndarray], shown: bool) -> None:
        """Let the model hold the average, or the weights of training; do nothing if it does, or there is none."""
        if shown == self.shown or not self.taken:
            return
        self.adopt(live)
        for array, kept, spare in zip(live, self.arrays, self._spare, strict=True):
            spare[...] = array
            array[...] = kept
        self.arrays, self._spare, self.shown = self._spare, self.arrays, shown

    def adopt(self, live: Sequence[np.ndarray]) -> None:
        """If arrays of the model were assigned while it held the average, let training and average go on from them."""
        for array, training, average in zip(live, self.arrays, self._spare, strict=True):
            if self.shown and not np.array_equal(array, average):
                training[...] = average[...] = array


class EMA(Averaging):
    """Exponential moving average: after each step, average = decay average + (1 - decay) weights.

    As PyTorch's ``AveragedModel`` with ``get_ema_multi_avg_fn``: the first weights are taken whole.

    Parameters
    ----------
    decay : float
        In [0, 1): 0.999 averages over about the last thousand steps.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), averaging=pynn.EMA(0.9))
    >>> len(trainer.fit(x, y, epochs=3)), trainer.averaging.shown
    (3, True)
    """

    def __init__(self, decay: float = 0.999) -> None:
        super().__init__()
        self.decay = fraction(decay, "decay", one=False)

    def share(self, number: int) -> float:
        return 1 - self.decay


class SWA(Averaging):
    """Stochastic weight averaging: the mean of the weights after epochs `start`, start + every, ...

    Until then, the model's own weights are validated and saved. Best with a rate that stays high: Izmailov et al. 2018.

    Parameters
    ----------
    start : int
        The first epoch that counts, from 1.
    every : int

    Examples
    --------
    >>> SWA(start=3, every=2)
    SWA(start=3, every=2)
    """

    by_step = False

    def __init__(self, start: int = 1, every: int = 1) -> None:
        super().__init__()
        self.start = count(start, "start")
        self.every = count(every, "every")

    def share(self, number: int) -> float:
        counts = number >= self.start and (number - self.start) % self.every == 0
        return 1 / (self.taken + 1) if counts else 0.0
