"""The function that searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from ..backends.processors import usable_processors
from ..training.callbacks import Mode
from ..training.metrics import Metric
from ..utils.validation import count, flag
from .driver import SearchDriver
from .objective import Objective
from .result import SearchResult
from .samplers import Sampler, load_optuna
from .space import Parameter, Space
from .stages import Stage, checked
from .task import Build, SearchData

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def run(
    build: Build,
    space: Mapping[str, Parameter],
    train: tuple[ArrayLike, ArrayLike],
    validation: tuple[ArrayLike, ArrayLike],
    *,
    trials: int | None = None,
    epochs: int | None = None,
    stages: Sequence[Stage] | None = None,
    sampler: Sampler = "random",
    batch_size: int = 32,
    metric: Metric | None = None,
    mode: Mode = "auto",
    end_early: bool = True,
    seed: int = 0,
    workers: int | None = None,
    executor: Executor | None = None,
    folder: str | Path | None = None,
    store: str | None = None,
    shared: bool = False,
    progress: bool = False,
) -> SearchResult:
    """Search for the hyperparameters that give the best score on the validation data.

    The same arguments give the same trials, bit for bit, for any number of workers. The exception is a model-based
    sampler, which depends on the order in which trials end: it is reproducible with one worker.

    A trial ends early when the loss of five consecutive steps exceeds 3x the first one, when the loss is not finite,
    or, in trials longer than a tenth of a second, when the monitor finds an error that more training cannot fix. The
    search records a trial that raises an error as failed, with the message, and a trial whose process crashes three
    times as lost; it continues in both cases. Ctrl-C stops the search within seconds and keeps the trials that ended.

    Parameters
    ----------
    build : callable
        ``build(params)`` returns a new `pynn.Trainer` that shares no object with other trials. The search seeds the
        global random generators of pynn, NumPy and Python before each call and restores them after it. With several
        workers, define `build` with ``def`` in a module or script, where other processes can import it. If trials run
        in this process, the search calls `build` twice for the first trial, to check that it creates new objects.
    space : dict of str to Parameter
        `Uniform`, `LogUniform`, `Integer`, `Choice`. A parameter named "batch_size" also sets the batch size.
    train, validation : (x, y)
        Arrays of numbers. Do not write to them while the search runs.
    trials, epochs : int
        Number of trials, and epochs of each trial; 60 and 5 by default. Omit them if you pass `stages`.
    stages : sequence of Stage
        Stages of trials from coarse to fine; see `coarse_to_fine`.
    sampler : {"random", "grid", "quasi-random", "tpe"} or optuna.samplers.BaseSampler
        "grid" takes as many points per axis as the number of trials allows, "quasi-random" uses a scrambled Sobol
        sequence, "tpe" uses Optuna's tree-structured Parzen estimator.
    batch_size : int
    metric : str or callable, optional
        The score, a figure of the validation data after the last epoch: by default "val_accuracy" for integer targets,
        else "val_loss"; also without the prefix, as "accuracy" and "loss". Also a metric of `pynn.training.metrics`,
        such as "f1", "roc_auc" or "r2", "seconds", or a function of targets and predictions; with several workers, one
        that is defined with ``def``.
    mode : {"auto", "min", "max"}
        Whether the smallest or the largest score is the best; "auto" knows the metrics that have names.
    end_early : bool
        Whether hopeless trials end early. A trial whose loss is not finite always ends early.
    seed : int
    workers : int, optional
        Number of concurrent trials; by default, one per processor. One worker runs in this process; several run in
        separate processes with one kernel thread each.
    executor : concurrent.futures.Executor, optional
        Runs the trials instead of pynn's own processes: ``distributed.Client(...).get_executor(pure=False)`` (Dask),
        `RayExecutor`, ``mpi4py.futures.MPIPoolExecutor``. See docs/cluster.md.
    folder : path-like, optional
        Keep trials (an Optuna journal), checkpoints and the best model here. The same call then resumes after the last
        completed trial; with a larger number of trials, it adds trials. The search rejects a folder that belongs to a
        search with another space, other data or other code of `build` (within the module of `build`).
    store : str, optional
        Keep the trials in this database instead of the journal: "sqlite:///search.db" or another SQLAlchemy URL.
    shared : bool
        Whether other drivers run the same search at the same time, with the same `store`: each trial is run by one of
        them, and all return the same result. Not for "tpe". See docs/cluster.md.
    progress : bool
        Show a live table on a terminal, elsewhere a line per trial, on standard error.

    Returns
    -------
    SearchResult

    Raises
    ------
    ValueError
        If a space, stage or argument is invalid; if `build` returns an object that belongs to another trial; if the
        data change during the search; if the store is damaged or belongs to another search or version (`StoreError`).
    RuntimeError
        If processes cannot start, or the executor is broken; the store keeps its trials.
    ImportError
        If Optuna is not installed.

    Warns
    -----
    SearchWarning
        If the best values lie at the edge of a range; the warning names a range to try.

    Notes
    -----
    Coarse to fine, log scales, the factor of 3 and the check of the edges come from CS231n, Training Neural Networks,
    Part 1, "Hyperparameter Optimization"; random search comes from Bergstra & Bengio 2012, JMLR 13.

    Examples
    --------
    >>> import pynn
    >>> from pynn import search
    >>> x, y = pynn.datasets.blobs(n=300, classes=3, seed=0)
    >>> def build(params):
    ...     model = pynn.Sequential(pynn.Linear(2, 16), pynn.ReLU(), pynn.Linear(16, 3))
    ...     return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(params["lr"]))
    >>> space = {"lr": search.LogUniform(1e-5, 1.0)}
    >>> result = search.run(build, space, (x[:200], y[:200]), (x[200:], y[200:]), trials=6, epochs=2, workers=1)
    >>> result.best.score > 0.9
    True
    """
    load_optuna()
    if stages is None:
        stages = (Stage(60 if trials is None else trials, 5 if epochs is None else epochs),)
    elif trials is not None or epochs is not None:
        raise ValueError("stages sets the number of trials and epochs; omit trials and epochs")
    if not callable(build):
        raise TypeError(f"build is {build!r}; expected a function of the parameters that returns a pynn.Trainer")
    data = SearchData.of(train, validation)
    search = SearchDriver(
        build,
        Space(space),
        data,
        stages=checked(stages),
        sampler=sampler,
        batch_size=count(batch_size, "batch_size"),
        objective=Objective.of(metric, mode, data.validation[1]),
        end_early=end_early,
        seed=count(seed, "seed", minimum=0),
    )
    return search.run(
        usable_processors() if workers is None else count(workers, "workers"),
        executor,
        None if folder is None else Path(folder),
        store,
        shared=flag(shared, "shared"),
        progress=flag(progress, "progress"),
    )
