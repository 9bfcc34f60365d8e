"""
Writing a layer, a loss, a callback and a rule
==============================================

The four things that people add, each in a dozen lines.
"""

import matplotlib.pyplot as plt
import numpy as np

import pynn

# %%
# A layer
# -------
# It multiplies each feature by a learned number. ``ctx`` carries from the forward pass what the backward pass needs.


class Scale(pynn.Layer):
    def __init__(self, features):
        super().__init__()
        self.features = features
        self.scale = pynn.Parameter(np.ones(features))

    def forward(self, x, ctx):
        ctx.x = x
        return x * self.scale

    def backward(self, dy, ctx):
        self.scale.grad[...] = (dy * ctx.x).sum(axis=0)
        return dy * self.scale


pynn.manual_seed(0)
x, y = pynn.datasets.load_digits()
x_train, x_test, y_train, y_test = pynn.datasets.train_test_split(x, y)
model = pynn.Sequential(Scale(64), pynn.Linear(64, 32), pynn.ReLU(), pynn.Linear(32, 10))
for check in pynn.gradcheck(model, pynn.CrossEntropyLoss(), x[:8] / 16, y[:8]):
    print(check)

# %%
# A loss
# ------
# A function that returns the loss and its gradient: here the cross-entropy of probabilities that are mixed with a
# little of the uniform distribution, which bounds what one wrong label can cost.


def robust(logits, labels, epsilon=0.01):
    shifted = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    mixed = (1 - epsilon) * p[rows, labels] + epsilon / p.shape[1]
    gradient = (p[rows, labels] * (1 - epsilon) / mixed)[:, None] * p
    gradient[rows, labels] -= p[rows, labels] * (1 - epsilon) / mixed
    return float(-np.log(mixed).mean()), gradient / len(labels)


# %%
# A callback
# ----------
# It records the learned scales after every epoch.


class Scales(pynn.Callback):
    def __init__(self):
        self.values = []

    def on_epoch_end(self, trainer):
        self.values.append(np.array(trainer.model[0].scale))


# %%
# A rule
# ------
# A rule is a function of the run so far, which yields what it detects. This one sees updates that are tiny although the
# loss is high. Its findings appear in the verdict and in the reports like pynn's own.

from pynn.babysit import Detection


def stuck(state):
    if state.age >= 20 and state.recent_loss() > 1:
        for name, weights in state.window.weights.items():
            if weights.ratio < 1e-4:
                evidence = f"updates are {weights.ratio:.1e} of the weights, and the loss is {state.recent_loss():.2f}"
                yield Detection("stuck", "warning", evidence, "raise the learning rate", name)


for lr in (0.1, 1e-5):
    pynn.manual_seed(0)
    model = pynn.Sequential(Scale(64), pynn.Linear(64, 32), pynn.ReLU(), pynn.Linear(32, 10))
    model.preprocessing = pynn.preprocessing.MinMax()
    trainer = pynn.Trainer(model, robust, pynn.SGD(lr=lr, momentum=0.9))
    monitor, scales = pynn.Monitor(rules=[stuck], on_problem="silent"), Scales()
    trainer.fit(x_train, y_train, epochs=8, batch_size=32, callbacks=[monitor, scales])
    accuracy = (model.predict(x_test).argmax(axis=1) == y_test).mean()
    print(f"lr {lr:g}: accuracy {accuracy:.1%}")
    for finding in monitor.verdict:
        if finding.symptom == "stuck":
            print(finding)
    if lr == 0.1:
        learned = scales.values[-1]

# %%
# The learned scales, as a picture of 8 x 8 pixels: the network turns up the pixels that tell digits apart.

plt.imshow(learned.reshape(8, 8))
plt.colorbar()
