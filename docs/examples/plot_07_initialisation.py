"""
Ten initialisations compared
============================

How the first weights decide what the last layer of a deep network sees.
"""

import matplotlib.pyplot as plt
import numpy as np

import pynn

initialisers = {
    "normal, 0.01": lambda shape: np.random.default_rng(0).normal(0, 0.01, shape),
    "normal, 1": lambda shape: np.random.default_rng(0).normal(0, 1, shape),
    **{name: name for name in ("zeros", "constant", "xavier_normal", "xavier_uniform", "lecun_normal")},
    **{name: name for name in ("he_normal", "he_uniform", "orthogonal")},
}
x = np.random.default_rng(1).normal(size=(1000, 256)).astype(np.float32)


def sizes(init):
    """Return the root mean square of the output of each of ten ReLU layers."""
    pynn.manual_seed(0)
    found, values = [], x
    for _ in range(10):
        values = pynn.Sequential(pynn.Linear(256, 256, init=init), pynn.ReLU())(values)
        found.append(float(np.sqrt((values.astype(np.float64) ** 2).mean())))
    return found


# %%
# Only He's weights, with variance 2 / fan_in, keep the scale through ReLU layers. Xavier's lose half of the variance in
# every layer, those of 0.01 lose everything, those of 1 explode.

figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
for (name, init), style in zip(initialisers.items(), ("-", "--", "-.", ":", "-") * 2, strict=True):
    axis.plot(range(1, 11), np.maximum(sizes(init), 1e-25), style, label=name)
axis.set_yscale("log")
axis.set_xlabel("layer")
axis.set_ylabel("rms of the activations")
axis.legend(fontsize=8, ncols=2)

# %%
# What that does to training: the accuracy on digits after five epochs.

digits, labels = pynn.datasets.load_digits()
digits, test, labels, test_labels = pynn.datasets.train_test_split(digits, labels)
for name, init in initialisers.items():
    pynn.manual_seed(0)
    hidden = [part for width in (64,) * 6 for part in (pynn.Linear(64, width, init=init), pynn.ReLU())]
    model = pynn.Sequential(*hidden, pynn.Linear(64, 10, init=init))
    model.preprocessing = pynn.preprocessing.Standardize()
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.02, momentum=0.9), clip_norm=10)
    monitor = pynn.Monitor(on_problem="silent")
    try:
        trainer.fit(digits, labels, epochs=5, batch_size=64, callbacks=[monitor])
        score = f"{trainer.evaluate(test, test_labels)['accuracy']:.1%}"
    except pynn.NonFiniteError:
        score = "not finite"
    print(f"{name:15}{score:>11}  {', '.join(finding.symptom for finding in monitor.verdict) or 'healthy'}")
