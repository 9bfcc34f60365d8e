"""
Batch norm at work
==================

The same deep network with and without batch norm, at learning rates over four decades.
"""

import matplotlib.pyplot as plt
import numpy as np

import pynn

x, y = pynn.datasets.load_digits()
x_train, x_test, y_train, y_test = pynn.datasets.train_test_split(x, y)


def network(batchnorm):
    pynn.manual_seed(0)
    layers = []
    for width in (64,) * 5:
        layers += [pynn.Linear(64, width), *([pynn.BatchNorm1d(64)] if batchnorm else []), pynn.Tanh()]
    model = pynn.Sequential(*layers, pynn.Linear(64, 10))
    model.preprocessing = pynn.preprocessing.Standardize()
    return model


def accuracy(batchnorm, lr):
    trainer = pynn.Trainer(network(batchnorm), pynn.CrossEntropyLoss(), pynn.SGD(lr=lr))
    try:
        trainer.fit(x_train, y_train, epochs=3, batch_size=64)
    except pynn.NonFiniteError:
        return 0.1
    return trainer.evaluate(x_test, y_test)["accuracy"]


rates = np.logspace(-3, 1.5, 10)
figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
for batchnorm, label, style in ((True, "with batch norm", "o-"), (False, "without", "s--")):
    axis.plot(rates, [accuracy(batchnorm, lr) for lr in rates], style, label=label)
axis.set_xscale("log")
axis.set_xlabel("learning rate")
axis.set_ylabel("test accuracy after 3 epochs")
axis.legend()

# %%
# Why: the distribution of what the last hidden layer gets, before any training. Without batch norm the signal has
# shrunk; with it, every layer starts at variance 1.

inputs = pynn.preprocessing.Standardize().fit(x_train).transform(x_train).astype(np.float32)
figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for axis, batchnorm in zip(axes, (False, True), strict=True):
    values = inputs
    model = network(batchnorm).train()
    for layer in list(model)[:-2]:
        values = layer.forward(values, pynn.Context(training=True))
    axis.hist(values.ravel(), bins=60)
    axis.set_title(f"{'with' if batchnorm else 'without'} batch norm, std {values.std():.2f}")
    axis.set_xlabel("input of the last activation")
