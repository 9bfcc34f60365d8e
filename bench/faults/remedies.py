"""Diagnose every curable fault of the corpus, and report how often the proposed remedy cures it.

    PYNN_DATA=folder python -m bench.faults.remedies --part tune       # while choosing remedies
    PYNN_DATA=folder python -m bench.faults.remedies                   # all; writes bench/faults/remedies.json
    python -m bench.faults.remedies --only rate_3x --seeds 0 --show    # one case, with the diagnosis

A fault counts as cured if the run with the first remedy reaches 90% of the healthy twin's validation score. One
half of the validation part selects the remedies, the other half gives all scores.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import dataclasses
import json
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import pynn
from pynn.babysit.remedies import Diagnosis, Remedy, diagnose
from pynn.babysit.remedies.blueprint import Blueprint
from pynn.utils.files import write_atomically

from .cases import Run, part
from .corpus import FAULTS
from .data import available
from .run import parse_seeds
from .score import CURED, share
from .training import score, train

RESULTS = Path(__file__).with_name("remedies.json")
METRICS = {"accuracy": "accuracy", "balanced accuracy": "balanced", "R2": "r2"}

#: Faults that no setting cures, with reasons. The last four lack data that their twin has; they run for the record.
BEYOND = {
    "only_training_part_normalised": "the validation part is not prepared as the training part is",
    "validation_rows_in_training": "the data",
    "labels_shuffled": "the labels",
    "labels_off_by_one_row": "the labels",
    "wrong_target_column": "the labels",
    "missing_values_as_9999": "the user's loop",
    "nan_in_a_batch": "the user's loop",
    "augmentation_returns_raw": "the user's loop",
    "leak_across_the_batch": "a bug that training does not show",
}
TOO_FEW = {
    "overfitting_label_noise": "150 examples, a third mislabelled, against 1437",
    "overfitting_cifar": "1000 examples against 10 000",
    "overfitting_moons": "40 examples, 30% mislabelled, against 900",
    "overfitting_regression": "60 examples against 1200",
}


@dataclass
class Outcome:
    """One diagnosed fault; scores are those of the half of the validation part without selection."""

    case: str
    part: str
    seed: int
    curable: bool
    metric: str
    twin: float
    sick: float
    cured: float
    remedy: str | None
    verdict: list[str]
    left: list[str]
    trials: int
    seconds: float

    @property
    def was_sick(self) -> bool:
        """Whether the run scored too low to count as cured."""
        return self.sick < CURED * self.twin

    @property
    def recovered(self) -> bool:
        """Whether the run with the proposed remedy counts as cured."""
        return self.cured >= CURED * self.twin


def measure(name: str, seed: int, seconds: float) -> tuple[Outcome, str]:
    """Train the healthy twin, diagnose the sick run."""
    pynn.set_num_threads(1)
    fault = next(fault for fault in FAULTS if fault.name == name)
    began = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        twin, sick = fault.build(seed, False), fault.build(seed, True)
        train(twin, None)
        diagnosis = diagnosed(sick, seconds)
        best = diagnosis.best
        remedy = None if best is None else best.remedy
        as_it_is = again(sick, None, diagnosis.metric)
        twin = dataclasses.replace(twin, metric=METRICS[diagnosis.metric], validation=half(twin, 1))
        outcome = Outcome(
            case=name,
            part=part(fault.data, seed),
            seed=seed,
            curable=name not in TOO_FEW,
            metric=diagnosis.metric,
            twin=score(twin),
            sick=as_it_is,
            cured=as_it_is if remedy is None else again(sick, remedy, diagnosis.metric),
            remedy=None if remedy is None else remedy.change,
            verdict=[finding.symptom for finding in diagnosis.verdict],
            left=[] if best is None else [finding.symptom for finding in best.verdict],
            trials=len(diagnosis.trials),
            seconds=round(time.perf_counter() - began, 2),
        )
    return outcome, f"{name}, seed {seed}; twin {outcome.twin:.3f}, cured {outcome.cured:.3f}\n{diagnosis}\n"


def half(run: Run, which: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one of the two halves of a run's validation part."""
    x, y = run.validation
    return x[which::2], y[which::2]


def diagnosed(run: Run, seconds: float) -> Diagnosis:
    """Return the diagnosis of a run of the corpus, by the first half of its validation part."""
    return diagnose(run.trainer, run.x, run.y, validation=half(run, 0), seconds=seconds, **run.settings)


def again(run: Run, remedy: Remedy | None, metric: str) -> float:
    """Return the score of a run with or without a remedy, on the second half of the validation part."""
    trained = with_remedy(run, remedy, half(run, 0), half(run, 1))
    return 0.0 if trained is None else score(dataclasses.replace(trained, metric=METRICS[metric]))


def with_remedy(
    run: Run,
    remedy: Remedy | None,
    watched: tuple[np.ndarray, np.ndarray],
    scored: tuple[np.ndarray, np.ndarray],
) -> Run | None:
    """Train with or without a remedy; return the run with the part to score, as its network takes it.

    `watched` is the validation part while it trains. None if the run breaks off.
    """
    blueprint = Blueprint.of(run.trainer, **run.settings)
    pynn.manual_seed(0)
    if remedy is not None:
        remedy.apply(blueprint)
    shift, scale = (0, 1) if blueprint.target is None else blueprint.target

    def scaled(y: np.ndarray) -> np.ndarray:
        return y if blueprint.target is None else (y - shift) / scale

    trainer = blueprint.trainer()
    try:
        trainer.fit(
            run.x,
            scaled(run.y),
            epochs=run.epochs,
            batch_size=blueprint.batch_size,
            validation=(watched[0], scaled(watched[1])),
            shuffle=blueprint.shuffle,
            callbacks=blueprint.callbacks,
            augment=blueprint.augment,
        )
    except pynn.NonFiniteError:
        return None
    x, y = scored
    if trainer.model.preprocessing is not None:
        x = trainer.model.preprocessing.transform(x)
    return dataclasses.replace(run, trainer=trainer, validation=(x, scaled(y)))


def details(outcomes: list[Outcome]) -> Table:
    """Return the table of all faults, seeds side by side."""
    table = Table(title=f"cured: {CURED:.0%} of the healthy twin's score")
    for heading in ("fault", "twin", "sick", "with the remedy", "cured", "first remedy, by seed"):
        table.add_column(heading)
    for name in dict.fromkeys(outcome.case for outcome in outcomes):
        runs = [outcome for outcome in outcomes if outcome.case == name]
        scores = [[f"{getattr(run, key):.2f}" for run in runs] for key in ("twin", "sick", "cured")]
        cured = f"{sum(run.recovered for run in runs)} of {len(runs)}"
        remedies = "\n".join(dict.fromkeys(str(run.remedy) for run in runs))
        table.add_row(
            name if runs[0].curable else f"({name})",
            *(" ".join(row) for row in scores),
            cured,
            remedies,
            style=None if all(run.recovered for run in runs) else "bold",
        )
    return table


def figures(outcomes: list[Outcome]) -> Table:
    """Return the shares of cured runs, with their intervals."""
    table = Table(title="cured by the first remedy, with 95% intervals")
    parts = [name for name in ("tune", "report") if any(outcome.part == name for outcome in outcomes)]
    table.add_column("")
    for name in parts:
        table.add_column(name)
    curable = [outcome for outcome in outcomes if outcome.curable]
    groups = {
        "curable faults, runs": curable,
        "of these, below 90% of the twin as they are": [outcome for outcome in curable if outcome.was_sick],
        "too few examples, for the record": [outcome for outcome in outcomes if not outcome.curable],
    }
    for title, group in groups.items():
        own = [[outcome.recovered for outcome in group if outcome.part == name] for name in parts]
        table.add_row(title, *(str(share(sum(cured), len(cured))) for cured in own))
    whole = []
    for name in parts:
        runs = [outcome for outcome in curable if outcome.part == name]
        cases = dict.fromkeys(outcome.case for outcome in runs)
        always = [all(outcome.recovered for outcome in runs if outcome.case == case) for case in cases]
        whole.append(str(share(sum(always), len(always))))
    table.add_row("curable faults cured with every seed", *whole)
    return table


@click.command()
@click.option("--seeds", default="0,1,2,5,6,7", show_default=True, help='"0-4" or "1,3".')
@click.option("--only", multiple=True, help="A fault, or part of the names of several.")
@click.option("--part", "only_part", type=click.Choice(["tune", "report", "all"]), default="all", show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--seconds", default=60.0, show_default=True, help="Time limit per diagnosis.")
@click.option("--show", is_flag=True, help="Print the diagnoses.")
def main(seeds: str, only: tuple[str, ...], only_part: str, jobs: int, seconds: float, show: bool) -> None:
    """Measure how often the first proposed remedy cures the fault."""
    chosen = [fault for fault in FAULTS if fault.name not in BEYOND]
    chosen = [fault for fault in chosen if not only or any(text in fault.name for text in only)]
    names = [fault.name for fault in chosen if available(fault.data)]
    if len(names) < len(chosen):
        click.echo(f"PYNN_DATA is not set: {len(chosen) - len(names)} faults are skipped", err=True)
    tasks = [
        (fault.name, seed)
        for fault in chosen
        for seed in parse_seeds(seeds)
        if fault.name in names and only_part in ("all", part(fault.data, seed))
    ]
    console = Console(stderr=True)
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(measure, name, seed, seconds) for name, seed in tasks]
        for _ in track(as_completed(futures), "diagnosing", len(futures), console=console):
            pass
        results = [future.result() for future in futures]
    outcomes = [outcome for outcome, _ in results]
    if show:
        click.echo("\n".join(text for _, text in results))
    out = Console(width=160)
    out.print(details(outcomes))
    out.print(figures(outcomes))
    if not only and only_part == "all" and len(names) == len(chosen):
        rows = [json.dumps(dataclasses.asdict(outcome)) for outcome in outcomes]
        write_atomically(RESULTS, ("[\n" + ",\n".join(rows) + "\n]\n").encode())


if __name__ == "__main__":
    main()
