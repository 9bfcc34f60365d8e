"""Fit scikit-learn's perceptron and pynn's on 20 tables with the same settings, and compare scores and times.

Run from the project's folder; each table's fits take turns, on one thread each, and only their ratios count:

    python -m bench.estimators.run --output bench/estimators/results.json
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.neural_network
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import pynn
from pynn.utils.json_values import write_json

from ..tables.corpus import TableSource, part, read
from ..tables.encoding import encode

SEEDS = 3
#: How often the kernel calls of a step are repeated; their median counts.
REPEATS = 30
#: Resamples of the interval of a mean over tables.
RESAMPLES = 10_000


def main() -> None:
    """Measure, print a table, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=20)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # most runs end at max_iter
    pynn.set_num_threads(1)
    with threadpool_limits(1):
        rows = [measured(source) for source in chosen(options.tables)]
    print(summary(rows))
    if options.output:
        write_json(options.output, rows)


def chosen(count: int) -> list[TableSource]:
    """Return tables of both tasks, half of them of each."""
    tables = part("tune")
    values, classes = ([table for table in tables if table.task == task] for task in ("regression", "classification"))
    return values[: count // 2] + classes[: count - count // 2]


def measured(source: TableSource) -> dict[str, Any]:
    """Return scores and times of both on one table."""
    frame = read(source)
    y = frame[source.target]
    y = y.to_numpy(np.float64) if source.task == "regression" else y.astype(str).to_numpy()
    row: dict[str, Any] = {"table": source.name, "rows": len(frame)}
    runs: dict[str, list[tuple[float, ...]]] = {"sklearn": [], "pynn": []}
    for seed in range(SEEDS):
        train, test = train_test_split(np.arange(len(y)), test_size=0.25, random_state=seed)
        inputs = frame.drop(columns=source.target)
        x = encode(inputs.iloc[train], inputs.iloc[test])
        scaler = StandardScaler().fit(x[0])
        data = scaler.transform(x[0]), scaler.transform(x[1]), *_targets(y[train], y[test])
        for name, module in (("sklearn", sklearn.neural_network), ("pynn", pynn)):
            runs[name].append(_fitted(module, source.task, seed, data))
    row["features"] = data[0].shape[1]
    for name, figures in runs.items():
        row[name] = dict(zip(("score", "cpu", "wall", "kernels"), np.mean(figures, axis=0).tolist(), strict=False))
    return row


def _targets(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return targets, values standardised: neither perceptron learns thousands in 200 epochs."""
    if train.dtype.kind != "f":
        return train, test
    return (train - train.mean()) / train.std(), (test - train.mean()) / train.std()


def _fitted(module: Any, task: str, seed: int, data: tuple[np.ndarray, ...]) -> tuple[float, ...]:
    """Return score, processor time and wall time of one fit; for pynn also the time of its kernel calls alone."""
    kind = module.MLPRegressor if task == "regression" else module.MLPClassifier
    model = kind(random_state=seed)
    x, x_test, y, y_test = data
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(x, y)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    times = model.score(x_test, y_test), cpu, wall
    return (*times, _kernel_seconds(model, x, y)) if module is pynn else times


def _kernel_seconds(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Return the wall time of the kernel calls of a fit: of its recorded steps, repeated on minibatches in place."""
    trainer = model._trainer
    targets = model._in_loss_form(model._targets(y, first=False, incremental=True), x.dtype)
    sizes = [min(200, len(x) - first) for first in range(0, len(x), 200)]  # of an epoch's minibatches

    def step(size: int) -> None:
        trainer._step.passes.forward(trainer.loss, x[:size], targets[:size], None)
        trainer._step.passes.backward()
        trainer.regularizers[0].add_gradient(trainer.model.flat)
        trainer.optimizer.step()

    def seconds(size: int) -> float:
        start = time.perf_counter()
        step(size)
        return time.perf_counter() - start

    medians = {size: float(np.median([seconds(size) for _ in range(REPEATS)])) for size in set(sizes)}
    return model.n_iter_ * sum(medians[size] for size in sizes)


def summary(rows: list[dict[str, Any]]) -> str:
    """Return the results as a Markdown table, with the means and their 95% intervals."""
    lines = [
        "| table | rows | features | scikit-learn | pynn | times less | kernels alone |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        scores = f"{row['sklearn']['score']:.4f} | {row['pynn']['score']:.4f}"
        share = row["pynn"]["kernels"] / row["pynn"]["wall"]
        size = f"{row['rows']} | {row['features']}"
        lines.append(f"| {row['table']} | {size} | {scores} | {_ratio(row, 'wall'):.1f} | {share:.2f} |")
    gains = np.array([row["pynn"]["score"] - row["sklearn"]["score"] for row in rows])
    low, high = _interval(gains)
    lines.append(
        f"\nScore of pynn minus scikit-learn's, mean over tables: {gains.mean():+.1e} [{low:+.1e}, {high:+.1e}]."
    )
    bounds = [row["sklearn"]["wall"] / row["pynn"]["kernels"] for row in rows]
    for name, ratios in (
        ("Time of scikit-learn over pynn's", [_ratio(row, "wall") for row in rows]),
        ("Processor time of scikit-learn over pynn's", [_ratio(row, "cpu") for row in rows]),
        ("Time of scikit-learn over that of pynn's kernel calls", bounds),
    ):
        logs = np.log(ratios)
        low, high = np.exp(_interval(logs))
        lines.append(f"{name}, geometric mean: {np.exp(logs.mean()):.1f} [{low:.1f}, {high:.1f}].")
    return "\n".join(lines)


def _ratio(row: dict[str, Any], clock: str) -> float:
    return row["sklearn"][clock] / row["pynn"][clock]


def _interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of the mean, by resampling tables."""
    random = np.random.default_rng(0)
    means = values[random.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    return tuple(np.quantile(means, [0.025, 0.975]).tolist())


if __name__ == "__main__":
    main()
