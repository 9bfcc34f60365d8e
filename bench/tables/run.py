"""Measure the contestants: ``python -m bench.tables.run --part tune`` or ``--part report``.

Each table is split several times into 75% to train on and 25% to score on: R2, or accuracy. Results are added to
``results/PART.json`` as they come; a run that was ended continues. `report.py` makes the tables of README.md.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import pynn
from pynn.tabular.fitting import SmallTable
from pynn.utils.json_values import write_json

from .corpus import Part, TableSource, part, read
from .encoding import encode
from .peers import Contestant, peer

RESULTS = Path(__file__).parent / "results"
CONTESTANTS = ("pynn", "mlp", "mlp early stopping", "linear", "boosting")
#: The networks among all contestants; RealMLP is measured with ``--contestant realmlp``, where pytabkit is installed.
NETWORKS = ("pynn", "mlp", "mlp early stopping", "realmlp")
TEST = 0.25


def contestant(name: str, task: str) -> Contestant:
    """Return a contestant by its name."""
    if name != "pynn":
        return peer(name, task)

    def predict(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
        classes = None if task == "regression" else int(y.max()) + 1
        output = SmallTable(x, y, classes, {}, seed=seed).cross_fit().model.predict(x_test)
        return output[:, 0] if classes is None else output.argmax(axis=1)

    return predict


def measure(
    source: TableSource, frame: Any, split: int, known: dict[str, Any], contestants: tuple[str, ...]
) -> dict[str, Any]:
    """Return score and processor time on one split of a table, of what is `known` and of these contestants."""
    from sklearn.metrics import accuracy_score, r2_score
    from sklearn.model_selection import train_test_split

    regression = source.task == "regression"
    target = frame[source.target]
    y = target.to_numpy(float) if regression else np.unique(target.astype(str), return_inverse=True)[1]
    strata = None if regression else y
    train, test = train_test_split(np.arange(len(y)), test_size=TEST, random_state=split, stratify=strata)
    inputs = frame.drop(columns=source.target)
    x_train, x_test = encode(inputs.iloc[train], inputs.iloc[test])
    scores, seconds = dict(known.get("scores", {})), dict(known.get("seconds", {}))
    for name in contestants:
        if name in scores:
            continue
        began = time.process_time()
        predicted = contestant(name, source.task)(x_train, y[train], x_test, split)
        seconds[name] = round(time.process_time() - began, 3)
        scores[name] = round(float((r2_score if regression else accuracy_score)(y[test], predicted)), 5)
    return {"rows": len(train), "columns": x_train.shape[1], "scores": scores, "seconds": seconds}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("tune", "report"), default="tune")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--contestant", choices=(*CONTESTANTS, "realmlp"), help="this one alone; all but RealMLP")
    parser.add_argument("--again", action="store_true", help="measure the --contestant anew")
    arguments = parser.parse_args()
    if arguments.again and not arguments.contestant:
        parser.error("--again needs a --contestant")
    contestants = (arguments.contestant,) if arguments.contestant else CONTESTANTS
    if arguments.again:
        forget(arguments.part, arguments.contestant)
    pynn.set_num_threads(1)
    with threadpool_limits(1):
        run(arguments.part, arguments.splits, contestants)


def forget(name: Part, contestant: str) -> None:
    """Delete a contestant from the results of a part."""
    path = RESULTS / f"{name}.json"
    results: dict[str, Any] = json.loads(path.read_text())
    for table in results.values():
        for done in table["splits"].values():
            for figures in (done["scores"], done["seconds"]):
                figures.pop(contestant, None)
    write_json(path, results)


def run(name: Part, splits: int, contestants: tuple[str, ...] = CONTESTANTS) -> None:
    """Measure what is missing in the results of a part."""
    path = RESULTS / f"{name}.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    sources = part(name)
    frames = {source.name: read(source) for source in sources}
    for split in range(splits):
        for source in sources:
            done = results.setdefault(source.name, {"task": source.task, "splits": {}})["splits"]
            known = done.get(str(split), {})
            if not set(contestants) <= set(known.get("scores", ())):
                done[str(split)] = measure(source, frames[source.name], split, known, contestants)
                print(source.name, split, done[str(split)]["scores"], flush=True)
                write_json(path, results)


if __name__ == "__main__":
    main()
