"""Write the tables of README.md from the results: ``python -m bench.tables.report``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from .run import CONTESTANTS, NETWORKS, RESULTS

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- results: bench/tables/report.py -->\n", "<!-- end of results -->"
#: Resamples of the tables for the intervals.
RESAMPLES = 10_000


def means(results: dict[str, Any], contestants: Sequence[str] = CONTESTANTS) -> dict[str, np.ndarray]:
    """Return each table's score of each contestant, the mean over its splits."""
    return {
        name: np.mean([[split["scores"][c] for c in contestants] for split in table["splits"].values()], axis=0)
        for name, table in results.items()
    }


def interval(values: np.ndarray) -> str:
    """Return the mean of one value per table, with a 95% interval by resampling the tables."""
    rows = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[rows].mean(axis=1), [0.025, 0.975])
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def summary(results: dict[str, Any], contestants: Sequence[str] = CONTESTANTS) -> str:
    """Return ranks, paired differences and times of the contestants as a Markdown table; the first is pynn."""
    scores = np.array(list(means(results, contestants).values()))
    every = [split for table in results.values() for split in table["splits"].values()]
    by_table = np.array([_ranks(row) for row in scores])
    by_split = np.array(
        [
            np.mean([_ranks([s["scores"][c] for c in contestants]) for s in table["splits"].values()], axis=0)
            for table in results.values()
        ]
    )
    lines = [
        "| contestant | mean rank of single splits | mean rank of tables | pynn's score minus its score "
        "| processor time, s: median, longest |",
        "|---|---:|---:|---:|---:|",
    ]
    for index, name in enumerate(contestants):
        seconds = [split["seconds"][name] for split in every]
        gain = "" if index == 0 else interval(np.clip(scores[:, 0], -1, 1) - np.clip(scores[:, index], -1, 1))
        lines.append(
            f"| {name} | {interval(by_split[:, index])} | {interval(by_table[:, index])} | {gain} "
            f"| {np.median(seconds):.2f}, {max(seconds):.1f} |"
        )
    return "\n".join(lines)


def details(results: dict[str, Any]) -> str:
    """Return the mean scores of all tables as a Markdown table."""
    lines = ["| table | rows, inputs | score | " + " | ".join(CONTESTANTS) + " |", "|---|---|---|" + "---:|" * 5]
    for name, row in means(results).items():
        table = results[name]
        first = table["splits"]["0"]
        measure = "R2" if table["task"] == "regression" else "accuracy"
        figures = [f"**{v:.3f}**" if v == row.max() else f"{v:.3f}" for v in row]
        lines.append(f"| {name} | {first['rows']}, {first['columns']} | {measure} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


def networks(results: dict[str, Any]) -> str:
    """Return the summary of the networks alone, with RealMLP's time, or "" where RealMLP was not measured."""
    if not have_realmlp(results):
        return ""
    seconds = [split["seconds"] for table in results.values() for split in table["splits"].values()]
    ratio = np.exp(np.mean([np.log(each["realmlp"] / each["pynn"]) for each in seconds]))
    time = f"RealMLP takes {ratio:.1f} times pynn's processor time (geometric mean over the splits)."
    return f"Networks alone:\n\n{summary(results, NETWORKS)}\n\n{time}\n\n"


def have_realmlp(results: dict[str, Any]) -> bool:
    """Return whether RealMLP was measured on all splits."""
    return all("realmlp" in split["scores"] for table in results.values() for split in table["splits"].values())


def _ranks(scores: Any) -> np.ndarray:
    return rankdata(-np.round(scores, 5))


def main() -> None:
    """Run the command."""
    sections = []
    for part, heading in (("report", "Reported: no choice was made on these"), ("tune", "Tuned on")):
        path = RESULTS / f"{part}.json"
        if path.exists():
            results = json.loads(path.read_text())
            splits = sum(len(table["splits"]) for table in results.values())
            size = f"{len(results)} tables, {splits} splits"
            tables = f"{summary(results)}\n\n{networks(results)}{details(results)}"
            sections.append(f"## {heading}\n\n{size}:\n\n{tables}\n")
    text = README.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n" + "\n".join(sections) + f"\n{END}{after}")


if __name__ == "__main__":
    main()
