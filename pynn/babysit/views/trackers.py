"""Runs in MLflow and in Weights & Biases, by their own packages."""

from __future__ import annotations

import importlib
import re
import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from ...training.callbacks import Callback
from ...utils.config import Configurable
from ...utils.validation import count
from .reading import checked

if TYPE_CHECKING:
    from ...training.trainer import Trainer
    from ..monitor.monitor import Monitor


class Tracker(Configurable, Callback):
    """Base class of `MLflowLogger` and `WandbLogger`: what both log."""

    def __init__(self, monitor: Monitor | None, every: int | None) -> None:
        self.monitor = None if monitor is None else checked(monitor)
        self.every = None if every is None else count(every, "every")
        self._run: Any = None
        self._handled: BaseException | None = None

    @abstractmethod
    def _start(self, settings: dict[str, Any]) -> Any:
        """Return the run that is active, or a new one, with the settings."""

    @abstractmethod
    def _log(self, figures: dict[str, float], step: int) -> None:
        """Add figures at an optimiser step."""

    @abstractmethod
    def _finish(self, findings: list[str], outcome: str) -> None:
        """Add the findings, and end the run if `_start` began it; `outcome` is FINISHED, KILLED or FAILED."""

    def on_train_begin(self, trainer: Trainer) -> None:
        self._handled = sys.exception()
        self._run = self._start(_settings(trainer))

    def on_step_end(self, trainer: Trainer) -> None:
        if self.every is not None and trainer.steps % self.every == 0:
            self._log({"step/loss": trainer.last_loss, "step/lr": trainer.lr}, trainer.steps)

    def on_epoch_end(self, trainer: Trainer) -> None:
        figures = {"epoch": float(trainer.epoch)}
        figures |= {re.sub(r"[^\w\-. /]", "_", name): column[-1] for name, column in trainer.history.history.items()}
        if self.monitor is not None:
            figures["faults"] = float(len(self.monitor.verdict))
        self._log(figures, trainer.steps)

    def on_train_end(self, trainer: Trainer) -> None:
        findings = [] if self.monitor is None else [str(finding) for finding in self.monitor.findings]
        failed = sys.exception() is not self._handled
        outcome = "KILLED" if trainer.history.interrupted else "FAILED" if failed else "FINISHED"
        try:
            self._finish(findings, outcome)
        finally:
            self._run = None


class MLflowLogger(Tracker):
    """Log a run to MLflow: settings as parameters, figures as metrics over optimiser steps, findings as a text.

    It logs to the active run, or starts one and ends it. Where runs are stored is MLflow's own setting
    (``mlflow.set_tracking_uri``, ``MLFLOW_TRACKING_URI``).

    Parameters
    ----------
    monitor : Monitor, optional
        Its number of faults becomes the metric "faults", its findings the artifact "findings.txt". It must come before
        the logger among the callbacks.
    every : int, optional
        Interval between steps whose loss and rate are logged, as "step/loss" and "step/lr"; None for epochs alone.

    Raises
    ------
    ImportError
        If MLflow is not installed.

    Examples
    --------
    Where to log and under which name is for MLflow to say::

        with mlflow.start_run(run_name="first"):
            trainer.fit(x, y, epochs=20, callbacks=[monitor, pynn.MLflowLogger(monitor)])
    """

    def __init__(self, monitor: Monitor | None = None, every: int | None = None) -> None:
        super().__init__(monitor, every)
        self._mlflow = _package("mlflow", "MLflowLogger")
        self._own = False

    def _start(self, settings: dict[str, Any]) -> Any:
        active = self._mlflow.active_run()
        self._own = active is None
        run = self._mlflow.start_run() if active is None else active
        # A parameter cannot change: a second fit in the same run leaves the first one's.
        known = self._mlflow.get_run(run.info.run_id).data.params
        self._mlflow.log_params({name: value for name, value in settings.items() if name not in known})
        return run

    def _log(self, figures: dict[str, float], step: int) -> None:
        self._mlflow.log_metrics(figures, step=step, run_id=self._run.info.run_id)

    def _finish(self, findings: list[str], outcome: str) -> None:
        if findings:
            self._mlflow.log_text("\n".join(findings) + "\n", "findings.txt", run_id=self._run.info.run_id)
        if self._own:
            self._mlflow.end_run(outcome)


class WandbLogger(Tracker):
    """Log a run to Weights & Biases: settings as its config, figures over optimiser steps, findings as a table.

    It logs to the active run, ``wandb.run``, or starts one and finishes it. Project, name and mode ("offline") are
    those of ``wandb.init`` or of the environment (``WANDB_PROJECT``, ``WANDB_MODE``).

    Parameters
    ----------
    monitor : Monitor, optional
        Its number of faults becomes the figure "faults", its findings the table "findings". It must come before the
        logger among the callbacks.
    every : int, optional
        Interval between steps whose loss and rate are logged, as "step/loss" and "step/lr"; None for epochs alone.

    Raises
    ------
    ImportError
        If wandb is not installed.

    Examples
    --------
    Where to log and under which name is for wandb to say::

        with wandb.init(project="digits", mode="offline"):
            trainer.fit(x, y, epochs=20, callbacks=[monitor, pynn.WandbLogger(monitor)])
    """

    def __init__(self, monitor: Monitor | None = None, every: int | None = None) -> None:
        super().__init__(monitor, every)
        self._wandb = _package("wandb", "WandbLogger")
        self._own = False

    def _start(self, settings: dict[str, Any]) -> Any:
        self._own = self._wandb.run is None
        run = self._wandb.init() if self._own else self._wandb.run
        run.config.update(settings, allow_val_change=True)
        # Not wandb's own count of steps, which grows with every call.
        run.define_metric("*", step_metric="step")
        return run

    def _log(self, figures: dict[str, float], step: int) -> None:
        self._run.log(figures | {"step": step})

    def _finish(self, findings: list[str], outcome: str) -> None:
        if findings:
            self._run.log({"findings": self._wandb.Table(columns=["finding"], data=[[text] for text in findings])})
        if self._own:
            self._run.finish(exit_code=0 if outcome == "FINISHED" else 1)


def _settings(trainer: Trainer) -> dict[str, Any]:
    """Return what a tracker shows of a run's settings."""
    plan = trainer.plan
    settings = {
        "loss": repr(trainer.loss),
        "optimizer": type(trainer.optimizer).__name__,
        **{f"optimizer.{name}": value for name, value in trainer.optimizer.config().items()},
        "schedule": repr(trainer.schedule),
        "parameters": sum(parameter.size for parameter in trainer.model.parameters()),
        "seed": trainer.seed,
    }
    if plan is not None:
        settings |= {"epochs": plan.until, "batch_size": plan.batch_size}
    return settings


def _package(name: str, wanted_by: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'{wanted_by} needs {name}: pip install "pynn-kernels[{name}]"') from error
