"""
A table with categories and missing values
==========================================

Passengers with prices, ages with gaps, categories, dates and an identifier. ``read_table`` shows what it made of each
column.
"""

import tempfile
from pathlib import Path

import numpy as np

import pynn

rng = np.random.default_rng(0)
lines = ["id,fare,age,cabin,boarded,survived"]
for number in range(600):
    cabin = rng.choice(["first", "second", "third"])
    fare = {"first": 80, "second": 25, "third": 9}[cabin] * rng.lognormal(sigma=0.3)
    age = "" if rng.random() < 0.2 else f"{rng.integers(1, 75)}"
    chance = {"first": 0.8, "second": 0.5, "third": 0.2}[cabin]
    survived = "yes" if rng.random() < chance else "no"
    lines.append(f'{number},"${fare:,.2f}",{age},{cabin},1912-04-{rng.integers(2, 11):02},{survived}')

folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "passengers.csv")
path.write_text("\n".join(lines))
table = pynn.datasets.read_table(path, target="survived")
table

# %%
# Split the rows, and fill the gaps by the means of the training rows only.

rows, test_rows, y, y_test = pynn.datasets.train_test_split(np.arange(len(table.x)), table.y)
filled = table.fit_fill(rows)
x, x_test = filled.x[rows], filled.x[test_rows]

# %%
# For a table of this size ``TabularClassifier`` trains several kinds of networks on four fifths of the rows, tests each
# on the last fifth, in turn, and averages the best.

model = pynn.TabularClassifier(random_state=0).fit(x, y)
print(f"accuracy on the test rows: {model.score(x_test, y_test):.3f}")

# %%
# A new row is read by the same schema, whatever the order of its columns.

new_path = Path(folder.name, "new.csv")
new_path.write_text("cabin,age,fare,boarded\nfirst,30,$90.00,1912-04-10\nthird,30,$8.00,1912-04-10\n")
new = pynn.datasets.read_table(new_path, schema=filled.schema)
print([table.class_names[label] for label in model.predict(new.x)])
print(model.predict_proba(new.x).round(2))
folder.cleanup()

# %%
# What the model has learnt: the predicted chance by cabin, beside the one by which the rows were drawn.
import matplotlib.pyplot as plt

cabins = ["cabin=first", "cabin=second", "cabin=third"]
chances = model.predict_proba(x_test)[:, table.class_names.index("yes")]
members = [x_test[:, table.feature_names.index(cabin)] == 1 for cabin in cabins]
plt.boxplot([chances[rows] for rows in members], tick_labels=[cabin.removeprefix("cabin=") for cabin in cabins])
plt.plot([1, 2, 3], [0.8, 0.5, 0.2], "o", label="drawn with")
plt.ylabel("predicted chance of survival")
plt.ylim(0, 1)
plt.legend()
