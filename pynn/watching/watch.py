"""`watch_torch`: a monitor that sees a PyTorch training loop through hooks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..babysit import Finding, Monitor
from ..interop.torch.package import pytorch
from ..utils.validation import count, instance
from .hooks import LoopHooks
from .run import Data, checked_data
from .tensors import check_array, check_scalar

if TYPE_CHECKING:
    import torch


#: The share of the training time that watching may take, unless a monitor is given.
BUDGET = 0.1


def watch_torch(
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[..., Any] | None = None,
    *,
    monitor: Monitor | None = None,
    train: Data | None = None,
    validation: Data | None = None,
    epochs: int | None = None,
) -> TorchWatch:
    """Watch a PyTorch training loop, and report its faults as `pynn.Monitor` does.

    The loop stays as it is. Hooks see the outputs of the layers and their gradients, the loss and the update of each
    step, and change nothing: the trained weights are the same to the last bit.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU, in float32 or float64. Layers that pynn does not know are watched by their outputs, as are
        activations that the forward pass calls as functions, such as ``F.relu``.
    optimizer : torch.optim.Optimizer
        Each of its steps is a step of the run. What lies between two steps is one of them: with accumulated gradients,
        the layers are watched in the first forward pass.
    loss : torch.nn.Module, optional
        The loss that the loop calls, ``loss(prediction, target)``. If the loop computes its loss in another way, it
        tells it with `TorchWatch.loss`; with a module given here as well, its kind is still known.
    monitor : Monitor, optional
        By default ``Monitor(budget=0.1)``, which skips steps so that watching takes at most a tenth of the time.
        With "stop" or "restore" as its `on_problem`, the loop must end itself: see `TorchWatch.asks_to_stop`.
    train, validation : (x, y), optional
        Tensors or arrays that `TorchWatch.epoch` evaluates. They let rules tell overfitting from a lack of fitting.
    epochs : int, optional
        How many epochs the loop will run.

    Returns
    -------
    TorchWatch
        A context manager; without ``with``, call its `close` after the loop.

    Raises
    ------
    ValueError
        For a compiled or scripted module, and for parameters in half precision or on other devices.
    ImportError
        If PyTorch is not installed.

    Examples
    --------
    >>> import torch, pynn
    >>> _ = torch.manual_seed(0)
    >>> x = 1000 * torch.randn(256, 8)
    >>> y = (x[:, 0] > 0).long()
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
    >>> criterion, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), 0.01)
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> with pynn.watch_torch(model, optimizer, criterion, monitor=monitor) as watch:
    ...     for step in range(20):
    ...         optimizer.zero_grad()
    ...         criterion(model(x), y).backward()
    ...         optimizer.step()
    >>> watch.verdict[0].symptom
    'input_not_normalised'
    """
    torch = pytorch("watch_torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module is {module!r}; expected a torch.nn.Module")
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer is {optimizer!r}; expected a torch.optim.Optimizer")
    if loss is not None and not isinstance(loss, torch.nn.Module):
        raise TypeError(
            f"loss is {loss!r}; expected a torch.nn.Module such as torch.nn.CrossEntropyLoss(). Leave a function out, "
            "and tell its values with watch.loss(value, target) before optimizer.step()"
        )
    for name, part in module.named_modules():
        _refuse_compiled(name, part, torch)
    monitor = Monitor(budget=BUDGET) if monitor is None else instance(monitor, "monitor", Monitor)
    data = {"train": checked_data(train, "train"), "validation": checked_data(validation, "validation")}
    epochs = None if epochs is None else count(epochs, "epochs")
    return TorchWatch(module, optimizer, loss, monitor, data, epochs)


def _refuse_compiled(name: str, part: Any, torch: Any) -> None:
    where = f"module.{name}" if name else "module"
    if type(part).__name__ == "OptimizedModule" or getattr(part, "_compiled_call_impl", None) is not None:
        raise ValueError(f"{where} is compiled by torch.compile, which leaves no layers to watch; watch it uncompiled")
    if isinstance(part, torch.jit.ScriptModule):
        raise ValueError(f"{where} is a ScriptModule, which leaves no layers to watch; watch it before torch.jit")


class TorchWatch(LoopHooks):
    """A PyTorch loop under a monitor; made by `watch_torch`.

    Attributes
    ----------
    monitor : Monitor
        Holds findings, statistics and the report: ``watch.monitor.to_html("run.html")``.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.monitor!r})"

    def __enter__(self) -> TorchWatch:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._run is not None:
            self._run.history.interrupted = error is not None
        self.close()

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of discovery."""
        return self.monitor.findings

    @property
    def verdict(self) -> list[Finding]:
        """The findings that claim a fault, likeliest cause first."""
        return self.monitor.verdict

    @property
    def asks_to_stop(self) -> bool:
        """Whether a monitor with ``on_problem="stop"`` or "restore" has seen an error, so that the loop should end."""
        return self._run is not None and self._run.asks_to_stop

    def loss(self, value: Any, target: Any = None) -> None:
        """Tell the loss of a minibatch, before the optimiser's step, in a loop that does not call a loss module.

        Parameters
        ----------
        value : float or scalar tensor
        target : tensor, optional
            The targets; with a loss module given to `watch_torch`, its accuracy and reference losses follow.
        """
        check_scalar(value, "value")
        if target is not None:
            check_array(target, "target")
        if self._wanted:
            self._seen.losses.append(float(value.detach() if hasattr(value, "detach") else value))
            if target is not None and self._seen.loss_arguments is None:
                self._seen.loss_arguments = self._seen.output, target

    def epoch(self, **figures: float) -> None:
        """End an epoch: add a row to the history, and apply the rules that judge epochs.

        Parameters
        ----------
        **figures : float
            ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy`` as the loop has measured them. Training figures are
            by default means over the watched steps, validation figures those of the data given to `watch_torch`, which
            is evaluated in eval mode.
        """
        known = ("loss", "accuracy", "val_loss", "val_accuracy")
        unknown = sorted(figures.keys() - set(known))
        if unknown:
            raise TypeError(f"epoch() got {', '.join(unknown)}; expected any of {', '.join(known)}")
        for name, value in figures.items():
            check_scalar(value, name)
        run = self._run
        if run is None:
            raise RuntimeError("epoch() was called before a step was seen; call it after the steps of an epoch")
        row = {}
        if self._epoch_rows:
            loss, accuracy = np.mean(self._epoch_rows, axis=0).tolist()
            row = {"loss": loss} if math.isnan(accuracy) else {"loss": loss, "accuracy": accuracy}
            self._epoch_rows.clear()
        if run.held_out is not None and "val_loss" not in figures:
            loss, accuracy = run.scores(run.held_out)
            row |= {"val_loss": loss} if math.isnan(accuracy) else {"val_loss": loss, "val_accuracy": accuracy}
        run.end_epoch(row | {name: float(value) for name, value in figures.items()})
        self.monitor.on_epoch_end(run)
