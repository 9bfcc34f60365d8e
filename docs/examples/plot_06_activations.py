"""
Choosing an activation
======================

The same network with eight activations, three seeds each.
"""

import matplotlib.pyplot as plt
import numpy as np

import pynn

x, y = pynn.datasets.load_digits()
x_train, x_test, y_train, y_test = pynn.datasets.train_test_split(x, y)
activations = [pynn.Sigmoid, pynn.Tanh, pynn.ReLU, pynn.LeakyReLU, pynn.ELU, pynn.GELU, pynn.SiLU, pynn.Softplus]

# %%
# First, the functions and their derivatives. The derivative of a sigmoid is at most 1/4, and 0 far from 0: that is
# where its gradients vanish.

line = np.linspace(-4, 4, 161, dtype=np.float32)[:, None]
figure, axes = plt.subplots(2, 4, figsize=(9, 4), sharex=True, sharey=True, layout="constrained")
for axis, activation in zip(axes.flat, activations, strict=True):
    layer, ctx = activation(), pynn.Context()
    value = layer.forward(line, ctx)
    axis.plot(line, value, label="f")
    axis.plot(line, layer.backward(np.ones_like(line), ctx), "--", label="f'")
    axis.set_title(activation.__name__, fontsize=10)
    axis.set_ylim(-1.2, 2.5)
axes[0, 0].legend()

# %%
# Then a network of four hidden layers with each of them, at one learning rate.


def accuracy(activation, seed):
    pynn.manual_seed(seed)
    init = "he_normal" if activation in (pynn.ReLU, pynn.LeakyReLU) else "xavier_normal"
    hidden = [part for width in (64, 64, 64, 64) for part in (pynn.Linear(64, width, init=init), activation())]
    model = pynn.Sequential(*hidden, pynn.Linear(64, 10))
    model.preprocessing = pynn.preprocessing.Standardize()
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.03, momentum=0.9), seed=seed)
    history = trainer.fit(x_train, y_train, epochs=10, batch_size=64, validation=(x_test, y_test))
    return history["val_accuracy"]


figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
for activation, style in zip(activations, ("-", "--", "-.", ":") * 2, strict=True):
    curves = np.mean([accuracy(activation, seed) for seed in range(3)], axis=0)
    axis.plot(range(1, 11), curves, style, label=f"{activation.__name__}: {curves[-1]:.1%}")
axis.set_xlabel("epoch")
axis.set_ylabel("accuracy on test digits, mean of 3 seeds")
axis.legend(fontsize=8)

# %%
# ``pynn lecture which-activation`` asks the same question with bands that were fixed beforehand.
