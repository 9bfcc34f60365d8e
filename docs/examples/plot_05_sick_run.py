"""
A sick run found and cured
==========================

A network that does not learn, what the monitor says about it, and which remedy helps.
"""

import textwrap

import pynn

pynn.manual_seed(0)
x, y = pynn.datasets.load_digits()
x_train, x_test, y_train, y_test = pynn.datasets.train_test_split(x, y)


def network():
    pynn.manual_seed(0)
    layers = [part for width in (64, 64, 64, 64) for part in (pynn.Linear(64, width, init="normal"), pynn.Sigmoid())]
    return pynn.Sequential(*layers, pynn.Linear(64, 10))


trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1, momentum=0.9))
monitor = pynn.Monitor(on_problem="silent")
trainer.fit(x_train, y_train, epochs=10, batch_size=64, validation=(x_test, y_test), callbacks=[monitor])
print(trainer.evaluate(x_test, y_test))

# %%
# An accuracy of 10% is chance. The verdict lists the causes, the likeliest first.

for finding in monitor.verdict:
    print(textwrap.fill(str(finding), 88, subsequent_indent="    "))

# %%
# The figure behind it: how large the gradient is in each layer.

pynn.plots.plot_gradients(monitor)

# %%
# ``diagnose`` repeats the run with each remedy that may help.

diagnosis = pynn.diagnose(trainer, x_train, y_train, validation=(x_test, y_test), epochs=10, batch_size=64, seconds=5)
diagnosis

# %%
# So mend it, and look again. (The remedy here is written by hand: batch norm before each activation.)

cured = pynn.Sequential(
    *(
        part
        for width in (64, 64, 64, 64)
        for part in (pynn.Linear(64, width, init="xavier_normal"), pynn.BatchNorm1d(64), pynn.Sigmoid())
    ),
    pynn.Linear(64, 10),
)
cured.preprocessing = pynn.preprocessing.Standardize()
trainer = pynn.Trainer(cured, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1, momentum=0.9))
monitor = pynn.Monitor(on_problem="silent")
trainer.fit(x_train, y_train, epochs=10, batch_size=64, validation=(x_test, y_test), callbacks=[monitor])
print(trainer.evaluate(x_test, y_test), monitor.verdict)
