"""
Digits in ten lines
===================

The shortest complete run: data, a network, training, a score.
"""

import pynn

pynn.manual_seed(0)
x, y = pynn.datasets.load_digits()
x_train, x_test, y_train, y_test = pynn.datasets.train_test_split(x, y)

model = pynn.Sequential(pynn.Linear(64, 128), pynn.BatchNorm1d(128), pynn.ReLU(), pynn.Linear(128, 10))
model.preprocessing = pynn.preprocessing.Standardize()
trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(lr=2e-3))
history = trainer.fit(x_train, y_train, epochs=20, batch_size=64, validation=(x_test, y_test))
print(trainer.evaluate(x_test, y_test))

# %%
# ``pynn.plots`` draws the learning curves. Training and validation are close together: no overfitting.

pynn.plots.plot_history(history)

# %%
# Which digits are confused? The table has a row for each class.

print(pynn.class_scores(trainer, x_test, y_test))

# %%
# These are the mistakes, with the label that the network gives.

import matplotlib.pyplot as plt
import numpy as np

wrong = np.flatnonzero(model.predict_label(x_test) != y_test)[:8]
figure, axes = plt.subplots(1, 8, figsize=(8, 1.5), layout="constrained")
for axis in axes:
    axis.axis("off")
for axis, index in zip(axes, wrong, strict=False):
    axis.imshow(x_test[index].reshape(8, 8), cmap="gray_r")
    axis.set_title(f"{y_test[index]}, not {model.predict_label(x_test[index : index + 1])[0]}", fontsize=8)
