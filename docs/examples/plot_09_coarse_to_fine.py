"""
Coarse to fine
==============

A search for learning rate, width and weight decay: many short trials over wide ranges, then longer ones in the ranges
around the best.
"""

import pynn
from pynn import search

x, y = pynn.datasets.load_digits()
x, x_validation, y, y_validation = pynn.datasets.train_test_split(x, y)


def build(params):
    width = params["width"]
    model = pynn.Sequential(pynn.Linear(64, width), pynn.BatchNorm1d(width), pynn.ReLU(), pynn.Linear(width, 10))
    model.preprocessing = pynn.preprocessing.Standardize()
    optimizer = pynn.SGD(params["lr"], momentum=0.9, weight_decay=params["decay"])
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), optimizer)


space = {
    "lr": search.LogUniform(1e-5, 10.0),
    "width": search.Integer(8, 128, log=True),
    "decay": search.LogUniform(1e-6, 1e-1),
}
stages = search.coarse_to_fine(trials=24, epochs=6)
for stage in stages:
    print(stage)

# %%
# One worker searches in this process; ``workers=2`` would use two.

result = search.run(build, space, (x, y), (x_validation, y_validation), stages=stages, workers=1)
print(result.best_params, f"{result.best.score:.2%}")

# %%
# Every trial is a point. The learning rate matters, and its good values span a decade out of six.

result.plot()

# %%
# How much of the variation of the score each parameter explains:

print(result.importance())
