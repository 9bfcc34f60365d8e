"""Proposes the parameters of trials: Optuna's samplers, or a grid."""

from __future__ import annotations

import contextlib
import itertools
import math
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from .space import Choice, Integer, Params, Space, Value
from .trial import Trial

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study

Sampler = Union[str, "BaseSampler"]

SAMPLERS = ("random", "grid", "quasi-random", "tpe")
#: Samplers whose proposals depend only on the seed, not on the results of trials.
REPEATABLE = ("random", "grid", "quasi-random")
INSTALL_HINT = 'pip install "pynn-kernels[search]"'


def load_optuna() -> Any:
    """Return Optuna, or raise ImportError with the install command."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, in a notebook; nothing uses its bars
            import optuna
    except ImportError as error:
        raise ImportError(f"a search needs Optuna: {INSTALL_HINT}") from error
    return optuna


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Within the block, silence Optuna's log and warnings; then restore its verbosity."""
    logging = load_optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental samplers
            yield
    finally:
        logging.set_verbosity(before)


def proposer(
    sampler: Sampler, space: Space, trials: int, entropy: tuple[int, ...], *, maximize: bool
) -> GridProposer | StudyProposer:
    """Return the proposer of a stage; the same arguments give the same proposals."""
    if sampler == "grid":
        return GridProposer(space, trials)
    return StudyProposer(sampler, space, entropy, maximize=maximize)


def check_sampler(sampler: Sampler) -> str:
    """Return the name of a sampler, or raise an error that lists the known ones."""
    from optuna.samplers import BaseSampler

    if isinstance(sampler, BaseSampler):
        return type(sampler).__name__
    if sampler not in SAMPLERS:
        known = ", ".join(f'"{name}"' for name in SAMPLERS)
        raise ValueError(f"sampler is {sampler!r}; expected one of {known}, or an optuna.samplers.BaseSampler")
    return sampler


class StudyProposer:
    """Proposes with an Optuna sampler, in a study in memory."""

    def __init__(self, sampler: Sampler, space: Space, entropy: tuple[int, ...], *, maximize: bool) -> None:
        optuna = load_optuna()
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        self.space, self.maximize = space, maximize
        #: Whether proposals depend only on the seed.
        self.fixed = sampler in REPEATABLE
        with quiet_optuna():
            if sampler == "random":
                sampler = optuna.samplers.RandomSampler(seed=seed)
            elif sampler == "quasi-random":
                sampler = _quasi_random(space, seed)
            elif sampler == "tpe":
                # Running trials count as bad, so that concurrent trials do not try the same point.
                sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            self._study: Study = optuna.create_study(
                sampler=sampler, direction="maximize" if maximize else "minimize", storage=None
            )
        self._asked: list[Any] = []

    def ask(self) -> Params:
        """Return the parameters of the next trial."""
        with quiet_optuna():
            trial = self._study.ask()
            params: Params = {}
            for name, parameter in self.space:
                if self.space.exists(name, params):
                    params[name] = parameter.suggest(name, trial)
        self._asked.append((trial, params))
        return params

    def tell(self, trial: Trial) -> None:
        """Record the end of a trial that `ask` proposed."""
        state = load_optuna().trial.TrialState
        index = next(i for i, (_, params) in enumerate(self._asked) if params == trial.params)
        asked, _ = self._asked.pop(index)
        with quiet_optuna():
            if trial.ended == "finished":
                self._study.tell(asked, trial.score)
            else:
                self._study.tell(asked, state=state.PRUNED if trial.ended == "early" else state.FAIL)

    def add(self, trial: Trial) -> None:
        """Add an earlier trial: one that finished in an earlier run, or a survivor."""
        with quiet_optuna():
            self._study.add_trial(frozen(trial, self.space))


class GridProposer:
    """Proposes the points of a grid, with the methods of `StudyProposer`."""

    fixed = True

    def __init__(self, space: Space, trials: int) -> None:
        self._points = iter(grid(space, trials) if trials else [])  # a stage may have only survivors

    def ask(self) -> Params:
        return next(self._points)

    def tell(self, trial: Trial) -> None:
        pass

    add = tell


def grid(space: Space, trials: int) -> list[Params]:
    """Return the points of a grid, at most `trials` of them.

    A grid has all options of each choice. Ranges gain one point at a time, in turn, while the product stays within
    `trials`. The points are the midpoints of equal parts of a range.

    Raises
    ------
    ValueError
        If the choices alone need more trials.

    Examples
    --------
    >>> from pynn.search import LogUniform, Space
    >>> [round(point["lr"], 4) for point in grid(Space({"lr": LogUniform(1e-4, 1)}), 2)]
    [0.001, 0.1]
    """
    sizes = {name: len(parameter.options) if isinstance(parameter, Choice) else 1 for name, parameter in space}
    axes = {name: parameter.points(sizes[name]) for name, parameter in space}
    if len(_product(space, axes)) > trials:
        raise ValueError(f"a grid needs at least {len(_product(space, axes))} trials for its choices; got {trials}")
    growing = list(space.ranges)
    while growing:
        for name in list(growing):
            wider = axes | {name: space[name].points(len(axes[name]) + 1)}
            if len(wider[name]) == len(axes[name]) or math.prod(map(len, wider.values())) > 64 * trials:
                growing.remove(name)
            elif len(_product(space, wider)) <= trials:
                axes = wider
            else:
                growing.remove(name)
    return _product(space, axes)


def _product(space: Space, axes: dict[str, list[Value]]) -> list[Params]:
    found: dict[tuple[Any, ...], Params] = {}
    for values in itertools.product(*axes.values()):
        params: Params = {}
        for name, value in zip(axes, values, strict=True):
            if space.exists(name, params):
                params[name] = value
        found.setdefault(tuple(map(repr, params.items())), params)
    return list(found.values())


def _quasi_random(space: Space, seed: int) -> BaseSampler:
    from optuna.samplers import QMCSampler

    distributions = distributions_of(space)

    class Sobol(QMCSampler):
        """Optuna's sampler over the whole space; Optuna limits it to the parameters of the first finished trial."""

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return distributions

    return Sobol(scramble=True, seed=seed, warn_independent_sampling=False)


def distributions_of(space: Space) -> dict[str, Any]:
    """Return Optuna's distributions for a space."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for name, parameter in space:
        if isinstance(parameter, Choice):
            found[name] = CategoricalDistribution(parameter.options)
        elif isinstance(parameter, Integer):
            found[name] = IntDistribution(parameter.low, parameter.high, log=parameter.is_log)
        else:
            ranged = space.ranges[name]
            found[name] = FloatDistribution(ranged.low, ranged.high, log=ranged.is_log)
    return found


def frozen(trial: Trial, space: Space, attributes: dict[str, Any] | None = None, metric: str | None = None) -> Any:
    """Return a trial as an Optuna trial; with a metric, also its value per epoch."""
    optuna = load_optuna()
    states = optuna.trial.TrialState
    state = {"finished": states.COMPLETE, "early": states.PRUNED}.get(trial.ended, states.FAIL)
    distributions = distributions_of(space)
    course = trial.history.get(metric, []) if metric else []
    found = optuna.trial.create_trial(
        state=state,
        value=trial.score if trial.ended == "finished" else None,
        params=trial.params,
        distributions={name: distributions[name] for name in trial.params},
        user_attrs=attributes or {},
        intermediate_values={epoch: value for epoch, value in enumerate(course, 1) if math.isfinite(value)},
    )
    found.datetime_start = found.datetime_complete - timedelta(seconds=trial.seconds)
    return found
