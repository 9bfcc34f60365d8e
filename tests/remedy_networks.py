"""Trainers for tests of diagnoses and remedies, and a callback that sets the rate."""

import itertools

import pynn


def network(*sizes, activation=pynn.ReLU, init="he_normal", norm=None, dropout=0.0, tail=()):
    pynn.manual_seed(0)
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers.append(pynn.Linear(fan_in, fan_out, init=init))
        if norm is not None:
            layers.append(pynn.BatchNorm1d(fan_out, momentum=norm))
        if activation is not None:
            layers.append(activation())
        if dropout:
            layers.append(pynn.Dropout(dropout))
    behind = (norm is not None) + (activation is not None) + bool(dropout)
    return pynn.Sequential(*layers[: len(layers) - behind], *tail)


def trainer_of(model, optimizer=None, loss=None, **settings):
    return pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), optimizer or pynn.SGD(0.1), **settings)


class RateAfter(pynn.Callback):
    def __init__(self, steps, lr):
        self.steps, self.lr = steps, lr

    def on_step_end(self, trainer):
        if trainer.steps == self.steps:
            trainer.optimizer.lr = self.lr
