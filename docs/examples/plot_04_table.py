"""
A table with categories and missing values
==========================================

Titanic-like: numbers with gaps, categories, a date, an identifier. ``read_table`` says what it made of each column.
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
# on the rest, in turn, and averages the best.

model = pynn.TabularClassifier(random_state=0).fit(x, y)
print(f"accuracy on rows that nobody has seen: {model.score(x_test, y_test):.3f}")

# %%
# A new row is read by the same schema, whatever the order of its columns.

new_path = Path(folder.name, "new.csv")
new_path.write_text("cabin,age,fare,boarded\nfirst,30,$90.00,1912-04-10\nthird,30,$8.00,1912-04-10\n")
new = pynn.datasets.read_table(new_path, schema=filled.schema)
print([table.class_names[label] for label in model.predict(new.x)])
print(model.predict_proba(new.x).round(2))
folder.cleanup()
