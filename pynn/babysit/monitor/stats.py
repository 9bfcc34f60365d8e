"""The figures that a monitor records per step, in bounded memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ...nn.traversal import parts
from ..activations import RELU_LIKE, SATURATING_CODES
from .recorder import OUTPUT_COLUMNS, PARAMETER_COLUMNS, SCALE, STEP, STEP_COLUMNS

if TYPE_CHECKING:
    from .recorder import Recorder

#: Maximum number of rows, and of bytes.
MAX_ROWS, FEWEST_ROWS, MAX_BYTES = 2048, 256, 16_000_000
#: How often to copy the rows again, after this number of seconds, because a training thread has just added some.
ATTEMPTS, PAUSE = 100, 1e-4
#: Columns of the rows that are figures of the whole run.
COURSE = ("loss", "lr", "accuracy")


class Stats:
    """The figures of the watched steps; beyond the limit, means over groups of 2, 4, 8 ... steps.

    ``stats["loss"]``, ``["lr"]``, ``["accuracy"]`` and ``["input_norm"]`` (of an example's inputs, root mean square
    over the minibatch) are arrays with one entry per row; ``stats[layer]`` is a dict of such arrays. NaN marks figures
    that were not measured.

    Attributes
    ----------
    steps : ndarray of int64
        The last step of each row.
    layers : list of str
        In network order.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> x = x / x.std()
    >>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor()
    >>> history = trainer.fit(x, y, epochs=5, callbacks=[monitor])
    >>> monitor.stats.layers
    ['0.Linear', '1.ReLU', '2.Linear']
    >>> sorted(monitor.stats["1.ReLU"])
    ['dead_fraction', 'gradient_rms', 'mean', 'saturated_fraction', 'std', 'zero_fraction']
    >>> len(monitor.stats.steps) == trainer.steps
    True
    """

    def __init__(self) -> None:
        self.layers: list[str] = []
        self._recorder: Recorder | None = None
        self._names: list[str] = []
        self._columns: dict[str, slice] = {}
        self._rows = np.empty((0, 0))
        self._used = 0
        self._group = 1  # steps per row
        self._sum = np.empty(0)  # over the steps of the incomplete group
        self._waiting, self._last = 0, 0.0  # their number, and the last step
        self._changes = 0  # odd while rows are added

    def __getstate__(self) -> dict[str, Any]:
        if self._recorder is not None:
            raise TypeError(
                "a monitor that has watched a trainer cannot be copied or pickled; keep what it says: "
                "monitor.findings, monitor.to_dict() or monitor.to_html(path)"
            )
        return self.__dict__

    def lay_out(self, recorder: Recorder) -> None:
        """Allocate columns for the rows of a recorder."""
        self._recorder = recorder
        self._names = [name for name, _ in recorder.parameters]
        self._columns = recorder.columns
        self.layers = [part.label for part in parts(recorder.model)]
        width = recorder.rows.shape[1]
        rows = int(np.clip(MAX_BYTES // (8 * width), FEWEST_ROWS, MAX_ROWS)) // 2 * 2
        self._rows = np.empty((rows, width))
        self._sum = np.zeros(width)
        self._used, self._group, self._waiting = 0, 1, 0

    def follow(self, recorder: Recorder) -> None:
        """Continue with a new recorder of the same network."""
        self._recorder = recorder

    def _follow_parameters(self, recorder: Recorder) -> None:
        """Add columns for parameters after a freeze or release; the others keep their columns."""
        before, columns, rows, group, used = self._names, self._columns, self._rows, self._group, self._used
        total, waiting = self._sum, self._waiting
        self.lay_out(recorder)
        self._rows = np.full((len(rows), recorder.rows.shape[1]), np.nan)
        self._group, self._used, self._waiting = group, used, waiting
        if waiting:
            self._sum[:] = np.nan
        places = [(slice(0, len(STEP_COLUMNS)),) * 2]
        places += [(columns[part], recorder.columns[part]) for part in ("outputs", "dead")]
        width = len(PARAMETER_COLUMNS)
        for new, name in enumerate(self._names):
            if name in before:
                old = before.index(name)
                for part, size in (("parameters", width), ("zigzag", 1)):
                    starts = columns[part].start + old * size, recorder.columns[part].start + new * size
                    places.append((slice(starts[0], starts[0] + size), slice(starts[1], starts[1] + size)))
        for source, target in places:
            self._rows[:used, target] = rows[:used, source]
            self._sum[target] = total[source]

    def copied(self) -> Stats:
        """Return the figures as they are now, of one length, also while another thread trains."""
        copy = Stats()
        for _ in range(ATTEMPTS):
            before = self._changes
            copy.__dict__ |= self.__dict__
            copy._rows, copy._sum = copy._rows[: copy._used + 1].copy(), copy._sum.copy()
            if before % 2 == 0 and self._changes == before:
                break
            time.sleep(PAUSE)
        return copy

    def append(self, rows: np.ndarray) -> None:
        """Add the rows of a recorder."""
        self._changes += 1
        try:
            self._add(rows)
        finally:
            self._changes += 1

    def _add(self, rows: np.ndarray) -> None:
        assert self._recorder is not None
        if self._names != [name for name, _ in self._recorder.parameters]:
            self._follow_parameters(self._recorder)
        while len(rows):
            if not self._waiting and len(rows) >= self._group:
                whole = min(len(rows) // self._group, len(self._rows) - self._used) * self._group
                self._store(self._grouped(rows[:whole], self._group))
                rows = rows[whole:]
                continue
            taken = rows[: self._group - self._waiting]
            self._sum += taken.sum(axis=0)
            self._waiting, self._last = self._waiting + len(taken), float(taken[-1, STEP])
            rows = rows[len(taken) :]
            if self._waiting == self._group:
                self._store(self._unfinished)
                self._sum[:] = 0
                self._waiting = 0

    def _store(self, rows: np.ndarray) -> None:
        """Store rows, and halve the resolution when the buffer is full."""
        self._rows[self._used : self._used + len(rows)] = rows
        self._used += len(rows)
        if self._used == len(self._rows):
            self._used //= 2
            self._rows[: self._used] = self._grouped(self._rows, 2)
            self._group *= 2

    @property
    def _unfinished(self) -> np.ndarray:
        """The mean of the incomplete group, as rows."""
        row = self._sum / self._waiting
        row[STEP] = self._last
        return row[None]

    @staticmethod
    def _grouped(rows: np.ndarray, size: int) -> np.ndarray:
        if size == 1:
            return rows
        groups = rows.reshape(-1, size, rows.shape[1])
        means = groups.mean(axis=1)
        means[:, STEP] = groups[:, -1, STEP]  # a group is labelled with its last step
        return means

    @property
    def _kept(self) -> np.ndarray:
        kept = self._rows[: self._used]
        return np.concatenate([kept, self._unfinished]) if self._waiting else kept

    @property
    def nbytes(self) -> int:
        """Memory of the record in bytes."""
        return self._rows.nbytes + self._sum.nbytes

    @property
    def steps(self) -> np.ndarray:
        return self._kept[:, STEP].astype(np.int64) if self._rows.size else np.empty(0, np.int64)

    def __getitem__(self, name: str) -> np.ndarray | dict[str, np.ndarray]:
        known = [*COURSE, "input_norm", *self.layers]
        if not isinstance(name, str) or name not in known:
            raise KeyError(f"nothing is recorded under {name!r}; expected one of {', '.join(known)}")
        if name in COURSE:
            return self._column(name)
        if name == "input_norm":
            squares, examples = (self._column("inputs"), self._column("examples"))
            with np.errstate(all="ignore"):
                return np.sqrt(squares / examples)
        with np.errstate(all="ignore"):
            return self._of_output(name) | self._of_weights(name)

    def _column(self, name: str) -> np.ndarray:
        return self._kept[:, STEP_COLUMNS.index(name)].copy() if self._rows.size else np.empty(0)

    def _of_output(self, name: str) -> dict[str, np.ndarray]:
        assert self._recorder is not None
        for index, output in enumerate(self._recorder.outputs):
            if output.name == name and output.units is not None:
                return output_figures(self._kept, self._recorder, index)
        return {}

    def _of_weights(self, name: str) -> dict[str, np.ndarray]:
        assert self._recorder is not None
        prefix = name.rpartition(".")[0]
        for index, (parameter_name, parameter) in enumerate(self._recorder.parameters):
            if parameter_name.rpartition(".")[0] == prefix and parameter.decay:
                return weight_figures(self._kept, self._recorder, index)
        return {}


def output_figures(rows: np.ndarray, recorder: Recorder, index: int) -> dict[str, np.ndarray]:
    """Return the figures of output `index` of a recorder from its rows."""
    output = recorder.outputs[index]
    start = recorder.columns["outputs"].start + index * len(OUTPUT_COLUMNS)
    total, squares, active, saturated, gradient = rows[:, start : start + len(OUTPUT_COLUMNS)].T / output.per_example
    figures = {"mean": total, "std": np.sqrt(np.maximum(squares - total * total, 0)), "gradient_rms": np.sqrt(gradient)}
    relu, saturates = output.code in RELU_LIKE, output.code in SATURATING_CODES
    missing = np.full(len(rows), np.nan)
    figures["zero_fraction"] = 1 - active if relu else missing
    figures["saturated_fraction"] = saturated if saturates else missing
    figures["dead_fraction"] = rows[:, recorder.columns["dead"].start + index].copy() if relu else missing
    return figures


def weight_figures(rows: np.ndarray, recorder: Recorder, index: int) -> dict[str, np.ndarray]:
    """Return the figures of parameter `index` of a recorder from its rows."""
    start = recorder.columns["parameters"].start + index * len(PARAMETER_COLUMNS)
    weight, gradient, update = np.sqrt(rows[:, start : start + len(PARAMETER_COLUMNS)]).T
    scale = rows[:, SCALE]
    return {
        "weight_norm": weight,
        "gradient_norm": gradient / scale,
        "update_ratio": np.divide(update, weight, out=np.full(len(rows), np.nan), where=weight > 0),
        "zigzag": rows[:, recorder.columns["zigzag"].start + index].copy(),
    }
