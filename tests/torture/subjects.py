"""What is tortured: trainers of several kinds, their batches, and all that a step may change, to compare bit by bit."""

import numpy as np

import pynn

ROWS, FEATURES, CLASSES = 24, 6, 3


def everything():
    """Return a trainer of layers, optimiser and settings that all keep a state of their own; its steps are recorded."""
    model = pynn.Sequential(
        pynn.Linear(FEATURES, 16), pynn.BatchNorm1d(16), pynn.ReLU(), pynn.Dropout(0.3), pynn.Linear(16, CLASSES)
    )
    return pynn.Trainer(
        model, pynn.CrossEntropyLoss(), pynn.Adam(lr=0.05), schedule=pynn.StepLR(2, 0.5), clip_norm=0.5,
        regularizers=[pynn.L2(0.01), pynn.MaxNorm(0.4)], seed=3,
    )  # fmt: skip


def plain():
    """Return a trainer whose update is recorded as well."""
    model = pynn.Sequential(pynn.Linear(FEATURES, 16), pynn.BatchNorm1d(16), pynn.ReLU(), pynn.Linear(16, CLASSES))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1, momentum=0.9))


def op_by_op():
    """Return a trainer whose loss is a function of the user's, and whose steps are not recorded."""

    def loss(prediction, target):
        error = prediction - np.eye(CLASSES, dtype=prediction.dtype)[target.astype(int).ravel()]
        return float(np.square(error).mean()), 2 * error / error.size

    model = pynn.Sequential(
        pynn.Linear(FEATURES, 16), pynn.BatchNorm1d(16), pynn.Tanh(), pynn.Dropout(0.3), pynn.Linear(16, CLASSES)
    )
    return pynn.Trainer(model, loss, pynn.RMSprop(lr=0.01, momentum=0.5), clip_value=0.1, regularizers=[pynn.L1(0.01)])


def convolutional():
    """Return a trainer of a small image network."""
    model = pynn.Sequential(
        pynn.Conv2d(1, 4, 3, padding=1), pynn.BatchNorm2d(4), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Dropout2d(0.2),
        pynn.Flatten(), pynn.Linear(4 * 2 * 2, CLASSES),
    )  # fmt: skip
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.AdamW(lr=0.01), clip_norm=1.0)


def wide():
    """Return a trainer all of whose arrays are larger than what Python asks for itself."""
    model = pynn.Sequential(
        pynn.Linear(FEATURES, 1100), pynn.BatchNorm1d(1100), pynn.ReLU(), pynn.Dropout(0.3), pynn.Linear(1100, CLASSES)
    )
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(lr=0.01), clip_norm=0.5)


KINDS = [function.__name__ for function in (everything, plain, op_by_op, convolutional)]


def new(kind):
    """Return a trainer of this kind, the same one each time."""
    pynn.manual_seed(1)
    return globals()[kind]()


def batch(kind, step):
    """Return inputs and labels of a step: every third batch is a short one."""
    rng = np.random.default_rng([7, step])
    rows = ROWS // 3 if step % 3 == 2 else ROWS
    shape = (rows, 1, 4, 4) if kind == "convolutional" else (rows, FEATURES)
    return rng.normal(size=shape).astype(np.float32), rng.integers(0, CLASSES, rows)


def data(kind, count=70):
    """Return examples and labels to `fit`."""
    rng = np.random.default_rng(11)
    shape = (count, 1, 4, 4) if kind == "convolutional" else (count, FEATURES)
    return rng.normal(size=shape).astype(np.float32), rng.integers(0, CLASSES, count)


def state(trainer):
    """Return copies of everything that a step may change, by name."""
    found = {f"parameter {name}": p.data.copy() for name, p in trainer.model.named_parameters()}
    found |= {f"buffer {name}": array.copy() for name, array in trainer.model.named_buffers()}
    found |= {f"optimiser {name}": array.copy() for name, array in trainer.optimizer.state.items()}
    progress = trainer.progress_state()
    # What `fit` counts; a history holds times of day.
    for name in ("history", "run", "batch", "sums", "epoch"):
        del progress[name]
    return found | progress


def differences(one, other):
    """Return the names of what is not the same, bit for bit."""
    assert one.keys() == other.keys()
    return [name for name in one if not same(one[name], other[name])]


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return repr(one) == repr(other)  # a NaN is like itself


class Undisturbed:
    """What a trainer of this kind is like after so many steps that nothing disturbed."""

    def __init__(self, kind):
        self.kind = kind
        self._twin = new(kind)
        self._states = [state(self._twin)]

    def after(self, steps):
        while len(self._states) <= steps:
            self._twin.step(*batch(self.kind, len(self._states) - 1))
            self._states.append(state(self._twin))
        return self._states[steps]

    def check(self, trainer, told=""):
        """Fail unless the trainer is as it would be after as many steps, undisturbed."""
        different = differences(self.after(trainer.steps), state(trainer))
        assert not different, f"{told} these differ from an undisturbed run of as many steps: {different}"
