"""The hooks by which a monitor sees a PyTorch training loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .. import ops
from ..babysit.monitor.recorder import MIN_FAN_IN
from ..interop.torch.package import pytorch
from .functions import FunctionCalls
from .network import Network
from .optimizers import updated
from .run import Data, TorchRun
from .tensors import array, first_tensor, one_signed_units

if TYPE_CHECKING:
    from ..babysit import Monitor
    from ..babysit.monitor.recorder import Recorder
    from ..nn.layers import Layer


@dataclass
class SeenStep:
    """What was seen of the current step so far.

    Attributes
    ----------
    forward : bool
        Whether its forward pass has been seen; of several, the first.
    x : ndarray or None
        The inputs of that pass.
    output : Tensor or None
        What the pass returned.
    losses : list of float
    loss_arguments : (Tensor, Tensor), optional
        Prediction and target, as the loss got them.
    """

    forward: bool = False
    x: np.ndarray | None = None
    output: Any = None
    losses: list[float] = field(default_factory=list)
    loss_arguments: tuple[Any, Any] | None = None


class LoopHooks:
    """Makes the calls of `nn.observer.Observer` from hooks on a module, its loss and its optimiser.

    The hooks on layers exist only during a watched forward pass. The first of these finds out which modules are called,
    in which order. The methods below `close` are called by PyTorch, in their order.

    Parameters
    ----------
    module, optimizer, loss
        See `watch_torch`.
    monitor : Monitor
    data : dict
        Under "train" and "validation": inputs and targets, or None.
    epochs : int or None
    """

    def __init__(
        self,
        module: Any,
        optimizer: Any,
        loss: Any,
        monitor: Monitor,
        data: dict[str, Data | None],
        epochs: int | None,
    ) -> None:
        self.monitor = monitor
        self._module, self._optimizer, self._criterion = module, optimizer, loss
        self._data = data
        self._epochs = epochs
        self._run: TorchRun | None = None
        self._wanted = True  # whether to watch the current step
        self._in_forward = False  # whether a watched forward pass is running
        self._layer_hooks: list[Any] = []  # while a watched forward pass runs
        self._functions = FunctionCalls(self._see_function)
        self._uses: dict[int, int] = {}  # uses of each module in the running pass
        self._calls: list[tuple[str, Any, int, Any]] = []  # of the first pass: path, module, use, output
        self._seen = SeenStep()
        self._before: list[tuple[int, Any, np.ndarray]] = []  # of each weight: index, tensor, values before a step
        self._layout = -1  # version of the parameters that `_before` has
        self._finite = True  # whether the last loss was
        self._epoch_rows: list[tuple[float, float]] = []  # loss and accuracy of the watched steps
        self._hooks = [
            module.register_forward_pre_hook(self._begin, with_kwargs=True),
            module.register_forward_hook(self._end, always_call=True),
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]
        if loss is not None:
            self._hooks.append(loss.register_forward_hook(self._see_loss))

    def __deepcopy__(self, memo: dict[int, Any]) -> LoopHooks:
        """Return itself: a copy of the module, such as one for an average of its weights, copies its hooks."""
        return self

    def close(self) -> None:
        """Stop watching and remove the hooks; the findings stay."""
        for hook in (*self._hooks, *self._layer_hooks):
            hook.remove()
        self._functions.end()
        self._hooks, self._layer_hooks = [], []
        if self._run is not None:
            self.monitor.on_train_end(self._run)
        self.monitor.unwatch()

    def _begin(self, module: Any, args: Any, kwargs: Any) -> None:
        """See the start of a forward pass."""
        idle = self._seen.forward or not self._wanted
        if idle or module is not self._module or not module.training or not pytorch().is_grad_enabled():
            return
        x = first_tensor((args, kwargs))
        if x is not None and not x.numel():
            return  # a minibatch of no examples
        self._seen.forward = True
        self._uses.clear()
        self._seen.x = None if x is None else np.atleast_1d(array(x))
        if self._run is None:
            inner = [(path, part) for path, part in module.named_modules() if part is not module]
            self._layer_hooks = [part.register_forward_hook(partial(self._collect_call, path)) for path, part in inner]
            plain = [part for _, part in inner if not any(True for _ in part.children())]
            self._layer_hooks += [part.register_forward_pre_hook(self._enter) for part in plain]
            self._layer_hooks += [part.register_forward_hook(self._leave) for part in plain]
        else:
            self._follow(self._run)
            self._see_inputs()
            self._layer_hooks = [part.register_forward_hook(self._see) for part in self._watched]
        self._in_forward = True
        self._functions.begin()

    def _enter(self, module: Any, args: Any) -> None:
        """See the start of a module without inner ones in the first pass: the functions that it calls are its own."""
        self._functions.depth += 1

    def _leave(self, module: Any, args: Any, output: Any) -> None:
        """See the end of a module without inner ones in the first pass."""
        self._functions.depth -= 1

    def _follow(self, run: TorchRun) -> None:
        """Follow parameters that were frozen, released or moved, and allocate copies of the trained weights."""
        run.model.refresh(updated(self._optimizer))
        recorder = self._recorder
        if recorder.version != run.model.flat.version:
            recorder.wants(run)  # lays out its rows, at the latest before the next step
        if self._layout == recorder.version:
            return
        self._layout = recorder.version
        weights = [(index, parameter) for index, (_, parameter) in enumerate(recorder.parameters) if parameter.decay]
        tensors = [(index, run.model.tensor_of(parameter)) for index, parameter in weights]
        # With the values: an optimiser that calls a closure has begun its first step by now.
        self._before = [(index, tensor, array(tensor).copy()) for index, tensor in tensors]

    def _see_inputs(self) -> None:
        """See the inputs of a minibatch; categories have no scale."""
        if self._seen.x is not None and self._seen.x.dtype.kind == "f":
            self._recorder.inputs(self._seen.x)

    def _collect_call(self, path: str, module: Any, args: Any, output: Any) -> None:
        """Note a module that the first pass calls."""
        use = self._uses.get(id(module), 0)
        self._uses[id(module)] = use + 1
        self._calls.append((path, module, use, first_tensor(output)))

    def _see(self, module: Any, args: Any, output: Any) -> None:
        """See the output of a module."""
        use = self._uses.get(id(module), 0)
        self._uses[id(module)] = use + 1
        layer = self._layers.get((id(module), use))
        if layer is not None:
            self._record(layer, first_tensor(output))

    def _see_function(self, name: str, module: Any, use: int, output: Any) -> None:
        """See the output of an activation that is called as a function, with the module that computes the same."""
        if self._run is None:
            self._calls.append((name, module, use, output))
        elif (id(module), use) in self._layers:
            self._record(self._layers[id(module), use], output)

    def _record(self, layer: Layer, output: Any) -> None:
        if output is None or not output.is_floating_point() or not output.numel() or output.ndim < 2:
            return
        assert self._run is not None
        y = array(output)
        flat = y.reshape(-1, y.shape[-1]) if y.ndim > 2 and id(layer) in self._run.model.units_last else y
        self._recorder.output(layer, flat)
        if flat is not y:  # figures are per example, which has several places
            watched = self._output_of[id(layer)]
            watched.per_example = y.size // len(y)
        if output.requires_grad:
            output.register_hook(partial(self._see_gradient, layer))

    def _see_gradient(self, layer: Layer, gradient: Any) -> None:
        """See the gradient of an output."""
        if self._hooks and self._wanted:
            self._recorder.gradient(layer, array(gradient))

    def _end(self, module: Any, args: Any, output: Any) -> None:
        """See the end of a forward pass, also of one that failed."""
        if not self._in_forward or module is not self._module:
            return
        self._in_forward = False
        self._functions.end()
        for hook in self._layer_hooks:
            hook.remove()
        self._layer_hooks = []
        self._seen.output = first_tensor(output)
        if self._seen.output is None:
            self._seen.forward = False
            self._calls.clear()
        elif self._run is None:
            self._collect_call("", module, args, output)
            self._attach()
        else:
            self._see(module, args, output)

    def _attach(self) -> None:
        """Hand the network of the first forward pass to the monitor."""
        own = {id(part): {id(inner) for inner in part.modules()} - {id(part)} for _, part, _, _ in self._calls}
        called = {id(part) for _, part, _, _ in self._calls}
        uses = [
            (path, part, use)
            for path, part, use, _ in self._calls
            if not own[id(part)] & called and not (use and any(True for _ in part.parameters()))
        ]
        network = Network(self._module, uses, updated(self._optimizer))
        self._run = TorchRun(network, self._criterion, self._optimizer, self._epochs)
        self.monitor.watch(self._run)
        self._layers = {key: layer for key, layer in network.layers.items() if id(layer) in network.watched()}
        self._output_of = {id(output.layer): output for output in self._recorder.outputs}
        self._layers = {key: layer for key, layer in self._layers.items() if id(layer) in self._output_of}
        self._functions.listing = False
        unhooked = {id(self._module), *map(id, self._functions.modules)}
        self._watched = [part for _, part, use in uses if not use and self._any_use(part) and id(part) not in unhooked]
        self._wanted = self._recorder.wants(self._run)
        if self._wanted:
            self._follow(self._run)
            self._see_inputs()
            for _, part, use, output in self._calls:
                if (id(part), use) in self._layers:
                    self._record(self._layers[id(part), use], output)
        self._calls.clear()

    def _any_use(self, part: Any) -> bool:
        return any(key == id(part) for key, _ in self._layers)

    @property
    def _recorder(self) -> Recorder:
        assert self._run is not None
        return cast("Recorder", self._run.observer)

    def _see_loss(self, criterion: Any, args: Any, value: Any) -> None:
        """See the loss of a minibatch."""
        value = first_tensor(value)
        if self._seen.forward and self._wanted and value is not None and value.requires_grad:
            self._seen.losses.append(float(value.detach().mean()))
            if self._seen.loss_arguments is None and len(args) > 1 and first_tensor(args[:1]) is args[0]:
                self._seen.loss_arguments = args[0], first_tensor(args[1:2])

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """See the weights before an update."""
        if self._wanted and self._run is not None:
            for _, tensor, before in self._before:
                np.copyto(before, array(tensor))

    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """See an update, and finish the step."""
        run = self._run
        if run is not None:
            run.batches_done += 1
            if self._wanted and self._seen.forward:
                self._finish(run)
            else:
                run.steps += 1
            self._wanted = self._recorder.wants(run)
        self._seen = SeenStep()

    def _finish(self, run: TorchRun) -> None:
        """Tell the monitor of a finished step."""
        if not self._seen.losses:
            raise RuntimeError(
                "watch_torch saw a step but no loss: give it the loss module that the loop calls, as loss=, or call "
                "watch.loss(value) before optimizer.step()"
            )
        output, target = self._seen.loss_arguments or (self._seen.output, None)
        prediction = np.atleast_1d(array(output))
        x = prediction if self._seen.x is None else self._seen.x
        made = run.see(x, prediction, target)
        if self._data:
            run.take(self._data.pop("train"), self._data.pop("validation"))
        loss = sum(self._seen.losses) / (1 if run.loss.reduction == "sum" else len(self._seen.losses))
        recorder, trainer = self._recorder, run
        if not math.isfinite(loss):
            if self._finite:
                recorder.failed(trainer, x, made, loss)
            self._finite, run.steps = False, run.steps + 1
            return
        self._finite = True
        self._see_updates(recorder)
        recorder.scores(run.loss, run.prediction, made)
        counted = run.loss.count_correct(run.prediction, made)
        self._epoch_rows.append((loss, counted[0] / counted[1] if counted and counted[1] else math.nan))
        run.steps += 1
        recorder.end(trainer, x, made, loss, 1.0)

    def _see_updates(self, recorder: Recorder) -> None:
        """Record the sums of squares of weights, gradients and updates, and the signs of the gradients."""
        sums = recorder.updates
        for index, tensor, before in self._before:
            row, after = sums[index], array(tensor)
            ops.square_sum(before, row[:1])
            row[1] = 0.0
            if tensor.grad is not None:
                gradient = array(tensor.grad)
                ops.square_sum(gradient, row[1:2])
                if gradient.ndim == 2 and gradient.shape == after.shape and gradient.shape[1] >= MIN_FAN_IN:
                    recorder.zigzag[index] = one_signed_units(gradient)
            with np.errstate(invalid="ignore"):  # behind a tanh, a loss is finite although weights are not
                np.subtract(after, before, out=before)
            ops.square_sum(before, row[2:])
