"""What in a PyTorch module cannot be converted, by the path of the layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .package import pytorch
from .pairs import LAYER_OF, Pair

if TYPE_CHECKING:
    import torch

#: The attributes in which modules and tensors keep their hooks.
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def obstacles(module: torch.nn.Module) -> Iterator[str]:
    """Yield what in a module pynn cannot represent: path, class and reason."""
    for path, part in _parts(module, ""):
        kind = type(part).__name__
        reasons = _of_any(part) if is_chain(part) else _of_leaf(part, module.training)
        yield from (f"{path}: {kind} {reason}" if path else f"{kind} {reason}" for reason in reasons)
    yield from _shared(module)
    dtypes = {str(tensor.dtype) for _, tensor in _tensors(module)}
    if len(dtypes) > 1:
        yield f"the module's arrays have the dtypes {' and '.join(sorted(dtypes))}; expected one"


def is_chain(module: Any) -> bool:
    """Return whether a module passes its input through its children, in order."""
    sequential = pytorch().nn.Sequential
    return isinstance(module, sequential) and type(module).forward is sequential.forward


def leaves(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield by path, in order and as often as they occur, the modules that are not chains."""
    return ((path, part) for path, part in _parts(module, "") if not is_chain(part))


def arrays_in(leaf: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a layer's own parameters and running statistics by name."""
    own = {**dict(leaf.named_parameters(recurse=False)), **dict(leaf.named_buffers(recurse=False))}
    return {name: tensor for name, tensor in own.items() if name != "num_batches_tracked"}


def _parts(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, module
    if is_chain(module):
        for name, child in module._modules.items():
            yield from _parts(child, f"{path}.{name}".removeprefix("."))


def _tensors(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arrays of all layers by name."""
    for path, leaf in leaves(module):
        if type(leaf).__name__ in LAYER_OF:
            yield from ((f"{path}.{name}".removeprefix("."), tensor) for name, tensor in arrays_in(leaf).items())


def _of_any(module: Any) -> Iterator[str]:
    """Yield why a module computes something else than its class does."""
    if any(getattr(module, hooks, None) for hooks in HOOKS):
        yield "has hooks, which pynn does not call; remove them"
    if "forward" in vars(module):
        yield "has a forward of its own"


def _of_leaf(module: Any, training: bool) -> Iterator[str]:
    kind = type(module)
    pair = LAYER_OF.get(kind.__name__)
    if pair is None or kind is not getattr(pytorch().nn, pair.module):
        yield _unknown(module)
        return
    yield from _of_any(module)
    for name, accepted in pair.fixed.items():
        value = getattr(module, name)
        if value not in accepted:
            yield f"has {name}={value!r}; expected {' or '.join(map(repr, accepted))}"
    for name, tensor in arrays_in(module).items():
        reason = _of_tensor(tensor)
        if reason:
            yield f"has a {name} {reason}"
    yield from _of_mode(module, pair, training)


def _unknown(module: Any) -> str:
    """Return why a class of modules has no counterpart."""
    bases = [base.__name__ for base in type(module).__mro__[1:]]
    if hasattr(module, "parametrizations"):
        return "is parametrized; apply torch.nn.utils.parametrize.remove_parametrizations"
    known = next((base for base in bases if base in LAYER_OF), None)
    if known is not None:
        return f"is derived from {known}, and may compute otherwise"
    if "Sequential" in bases or ("forward" in vars(type(module)) and not type(module).__module__.startswith("torch.")):
        return (
            "has a forward of its own; make the network in pynn and load the weights with "
            "pynn.load_torch_state(model, module.state_dict(), names=...)"
        )
    return "has no counterpart in pynn"


def _of_tensor(tensor: Any) -> str:
    """Return why the values of a tensor cannot be taken, or an empty text."""
    torch = pytorch()
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        return f"that is a {type(tensor).__name__}; expected a plain tensor"
    if tensor.device.type != "cpu":
        return f"on the device {tensor.device}; expected cpu"
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return f"that is {tensor.dtype}, {tensor.layout}; expected a dense tensor"
    if tensor.dtype not in (torch.float32, torch.float64):
        return f"of {tensor.dtype}; expected float32 or float64: call module.float()"
    if any(getattr(tensor, hooks) for hooks in TENSOR_HOOKS):
        return "with hooks, which pynn does not call; remove them"
    return ""


def _of_mode(module: Any, pair: Pair, training: bool) -> Iterator[str]:
    """Yield why a layer's mode or frozen parameters do not fit: a pynn model has one mode for all layers."""
    if pair.module.startswith("BatchNorm"):
        frozen = module.weight is not None and not module.weight.requires_grad
        if training and module.training == frozen:
            yield (
                "has a frozen weight and uses the statistics of the batch, which pynn's does not; call its eval()"
                if frozen
                else "is in eval mode in a module in training mode; freeze its weight by requires_grad_(False) as well"
            )
        elif not training and module.training:
            yield "is in training mode in a module in eval mode"
    elif pair.module.startswith("Dropout") and module.training != training:
        modes = ("training", "eval") if module.training else ("eval", "training")
        yield f"is in {modes[0]} mode in a module in {modes[1]} mode"


def _shared(module: Any) -> Iterator[str]:
    """Yield the arrays that lie in the same memory, such as those of a layer that occurs twice."""
    spans = sorted(
        (*np.lib.array_utils.byte_bounds(tensor.detach().numpy()), name)
        for name, tensor in _tensors(module)
        if not _of_tensor(tensor) and tensor.numel()
    )
    reached, holder = 0, ""
    for start, stop, name in spans:
        if start < reached:
            yield f"{holder} and {name} share their values, which pynn's layers cannot"
        if stop > reached:
            reached, holder = stop, name
