"""Results of experiments, and their file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.files import FileFormatError, write_atomically
from .catalogue import experiments
from .definition import Experiment, Outcome

#: Format marker of the file.
FORMAT = "pynn.lecture 1"


@dataclass(frozen=True)
class Measurement:
    """One run of an experiment.

    Attributes
    ----------
    seed : int
    figures : dict of str to float
    curves : dict of str to list of float
        Sequences to draw.
    seconds : float
        Duration of the run.

    Examples
    --------
    >>> from pynn.lecture import experiments, run
    >>> [result] = run([experiments()["he-relu"]], seeds=2)
    >>> result.trials[0].seed, sorted(result.trials[0].figures)[:1]
    (0, ['mean square, factor per layer'])
    """

    seed: int
    figures: Mapping[str, float]
    curves: Mapping[str, list[float]]
    seconds: float

    @classmethod
    def of(cls, seed: int, returned: Mapping[str, Any], seconds: float) -> Measurement:
        """Return the measurement for the numbers and sequences that a run returned."""
        figures = {name: float(value) for name, value in returned.items() if np.ndim(value) == 0}
        curves = {name: [float(v) for v in value] for name, value in returned.items() if np.ndim(value) == 1}
        if len(figures) + len(curves) < len(returned):
            others = sorted(returned.keys() - figures.keys() - curves.keys())
            raise ValueError(f"expected numbers and sequences of them; got {others}")
        return cls(seed, figures, curves, seconds)


@dataclass
class ExperimentResult:
    """The result of an experiment.

    Attributes
    ----------
    experiment : Experiment
    trials : list of Measurement
        One per seed.
    failure : str
        Error of a failed run, or empty.
    settings : dict
        Settings that differ from the experiment's defaults.

    Examples
    --------
    >>> from pynn.lecture import experiments, run
    >>> [result] = run([experiments()["he-relu"]], seeds=2)
    >>> result.outcome, len(result.trials)
    ('reproduced', 2)
    """

    experiment: Experiment
    trials: list[Measurement] = field(default_factory=list)
    failure: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, list[float]]:
        """Values of each figure over the seeds; figures with bands come first."""
        names = dict.fromkeys([band.figure for band in self.experiment.bands])
        names |= dict.fromkeys(name for trial in self.trials for name in trial.figures)
        return {name: [trial.figures[name] for trial in self.trials] for name in names if self.trials}

    @property
    def curves(self) -> dict[str, list[list[float]]]:
        """Values of each sequence: one list per seed."""
        names = dict.fromkeys(name for trial in self.trials for name in trial.curves)
        return {name: [trial.curves[name] for trial in self.trials] for name in names}

    @property
    def outcome(self) -> Outcome | None:
        """Whether the claim is reproduced; None if a run failed or none has finished."""
        return self.experiment.outcome(self.figures) if self.trials and not self.failure else None

    @property
    def seconds(self) -> float:
        """Total time of the runs."""
        return math.fsum(trial.seconds for trial in self.trials)

    def __repr__(self) -> str:
        outcome = self.failure or self.outcome or "not run"
        return f"ExperimentResult({self.experiment.name}: {outcome}, {len(self.trials)} seeds)"

    def _repr_html_(self) -> str:
        from .entry import notebook

        return notebook(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the result ready for JSON, with claim and bands for readers without pynn."""
        experiment = self.experiment
        return {
            "name": experiment.name,
            "section": experiment.section,
            "claim": experiment.claim,
            "source": experiment.source,
            "setup": experiment.setup,
            "analogue": experiment.analogue,
            "remark": experiment.remark,
            "outcome": self.outcome,
            "failure": self.failure,
            "settings": dict(self.settings),
            "bands": [
                {"figure": band.figure, "at_least": _plain(band.at_least), "at_most": _plain(band.at_most)}
                | {"why": band.why, "partly": band.partly and [_plain(end) for end in band.partly]}
                | {"outcome": band.outcome(self.figures[band.figure]) if self.trials else None}
                for band in experiment.bands
            ],
            "trials": [
                {"seed": trial.seed, "seconds": round(trial.seconds, 3)}
                | {"figures": {name: _plain(value) for name, value in trial.figures.items()}}
                | {"curves": {name: [_short(value) for value in values] for name, values in trial.curves.items()}}
                for trial in self.trials
            ],
        }


def save(results: Iterable[ExperimentResult], path: Path) -> None:
    """Write results to a JSON file, one line each; the file is replaced atomically.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pynn.lecture import experiments, load, run, save
    >>> results = run([experiments()["he-relu"]], seeds=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(results, Path(folder, "results.json"))
    ...     again = load(Path(folder, "results.json"))
    >>> [result.outcome for result in again]
    ['reproduced']
    """
    lines = [json.dumps(result.as_dict(), ensure_ascii=False, allow_nan=False) for result in results]
    head = json.dumps({"format": FORMAT, "results": []})[:-2]
    write_atomically(path, (head + "\n" + ",\n".join(lines) + "\n]}\n").encode())


def load(path: Path) -> list[ExperimentResult]:
    """Read the results of existing experiments from a file of `save`, judged by the current bands.

    Raises
    ------
    FileFormatError
        If the file has another content.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pynn.lecture import experiments, load, run, save
    >>> results = run([experiments()["he-relu"]], seeds=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(results, Path(folder, "results.json"))
    ...     again = load(Path(folder, "results.json"))
    >>> [result.outcome for result in again]
    ['reproduced']
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise FileFormatError(f"{path} does not hold results of 'pynn lecture'; choose another folder")
        known = experiments()
        return [_result(known[item["name"]], item) for item in content["results"] if item["name"] in known]
    except FileFormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileFormatError(f"{path} cannot be read as results of 'pynn lecture' ({error})") from None


def _result(experiment: Experiment, item: dict[str, Any]) -> ExperimentResult:
    trials = [
        Measurement(
            int(trial["seed"]),
            {name: _number(value) for name, value in trial["figures"].items()},
            {name: [_number(value) for value in values] for name, values in trial["curves"].items()},
            float(trial["seconds"]),
        )
        for trial in item["trials"]
    ]
    missing = [band.figure for band in experiment.bands if any(band.figure not in trial.figures for trial in trials)]
    if missing:  # the experiment has changed since
        return ExperimentResult(experiment, failure=f"the stored run has no {missing[0]!r}; run it again")
    return ExperimentResult(experiment, trials, str(item["failure"]), dict(item["settings"]))


def _plain(value: float) -> float | str:
    """Return a number ready for JSON: non-finite ones as text."""
    return value if math.isfinite(value) else str(value)


def _short(value: float) -> float | str:
    return _plain(float(f"{value:.5g}"))


def _number(value: float | str) -> float:
    return float(value)
