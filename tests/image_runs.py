"""Fits on a few random images, and callbacks that act once: for tests of batches, checkpoints and interrupted fits."""

import numpy as np

import pynn
from pynn.augment import RandomCrop, RandomHorizontalFlip
from pynn.preprocessing import ChannelStandardize

X = np.random.default_rng(0).integers(0, 256, size=(90, 3, 8, 8)).astype(np.uint8)
Y = np.random.default_rng(1).integers(4, size=90)
AUGMENT = [RandomCrop(1), RandomHorizontalFlip()]


def new_trainer(preprocessing=ChannelStandardize, **options):
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv2d(3, 6, 3), pynn.BatchNorm2d(6), pynn.ReLU(), pynn.Flatten(), pynn.Dropout(0.1), pynn.Linear(216, 4)
    )
    model.preprocessing = None if preprocessing is None else preprocessing()
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(1e-3), **options)


def fitted(x=X, y=Y, trainer=None, **options):
    trainer = trainer or new_trainer()
    trainer.fit(x, y, **{"epochs": 3, "batch_size": 16} | options)
    return trainer


def assert_same(left, right):
    assert left.history["loss"] == right.history["loss"]
    for name, array in left.model.state_dict().items():
        np.testing.assert_array_equal(array, right.model.state_dict()[name], err_msg=name)


class AtStep(pynn.Callback):
    """Does something after one step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_step_end(self, trainer):
        if trainer.steps == self.step:
            self.action(trainer)


class AtEpoch(pynn.Callback):
    """Does something after one epoch."""

    def __init__(self, epoch, action):
        self.epoch, self.action = epoch, action

    def on_epoch_end(self, trainer):
        if trainer.epoch == self.epoch:
            self.action(trainer)
