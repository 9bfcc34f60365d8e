"""Parameters, and the flat buffers that contain all of a model's parameters and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.arrays import as_array
from ..utils.validation import flag, number
from .gate import StepGate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


class OwnedError(ValueError):
    """`part`, a layer or an optimiser, already belongs to a model."""

    def __init__(self, message: str, part: object) -> None:
        super().__init__(message)
        self.part = part


class Parameter(np.lib.mixins.NDArrayOperatorsMixin):
    """A trainable array with its gradient.

    It behaves like a NumPy array: ``np.asarray(p)``, ``p[...] = values``, ``x * p``.

    Parameters
    ----------
    values : array_like
        Initial values, copied.
    dtype : dtype
        float32 or float64; the same for all parameters of a model.
    decay : bool, optional
        Whether weight decay and penalties apply to it; by default True for two or more dimensions.
    fans : (int, int), optional
        fan_in and fan_out for initialisation; by default the shape if it is 2-D.

    Attributes
    ----------
    data, grad : ndarray
        Values and gradient, of the same shape; views into the model's flat buffers once a trainer has bound it.
    frozen : bool
        A frozen parameter is not updated.
    lr_factor : float
        Multiplies the learning rate for this parameter.
    unit_axis : int or None
        The dimension that numbers the units whose incoming weights `MaxNorm` limits. None, the default, is the last one
        of a matrix and the first one of more dimensions.
    groups : int
        Number of equal parts of the first dimension that belong to different units, as in a grouped `ConvTranspose2d`.

    Examples
    --------
    >>> import numpy as np
    >>> p = Parameter(np.zeros((2, 2)))
    >>> p[0] = 1
    >>> (p + 1).sum()
    np.float32(6.0)
    """

    unit_axis: int | None = None
    groups: int = 1

    def __init__(
        self,
        values: ArrayLike,
        dtype: DTypeLike = np.float32,
        *,
        decay: bool | None = None,
        fans: tuple[int, int] | None = None,
    ) -> None:
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise TypeError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
        array = native(np.array(values, dtype=dtype, order="C"))
        self.data: np.ndarray = array
        self.grad: np.ndarray = np.zeros_like(array)
        self._decay = array.ndim >= 2 if decay is None else flag(decay, "decay")
        self.fans = fans if fans is not None else (array.shape if array.ndim == 2 else None)
        self._frozen = False
        self._lr_factor = 1.0
        self.flat: FlatParameters | None = None

    @property
    def frozen(self) -> bool:
        """Whether updates skip this parameter."""
        return self._frozen

    @frozen.setter
    def frozen(self, value: bool) -> None:
        self._frozen = flag(value, "frozen")
        self._settings_changed()

    @property
    def decay(self) -> bool:
        """Whether weight decay and penalties apply to this parameter; by default not to vectors."""
        return self._decay

    @decay.setter
    def decay(self, value: bool) -> None:
        self._decay = flag(value, "decay")
        self._settings_changed()

    @property
    def lr_factor(self) -> float:
        """Multiplier of the learning rate for this parameter: a finite number of at least 0."""
        return self._lr_factor

    @lr_factor.setter
    def lr_factor(self, value: float) -> None:
        self._lr_factor = number(value, "lr_factor", minimum=0)
        self._settings_changed()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the values."""
        return self.data.dtype

    @property
    def size(self) -> int:
        """The number of values."""
        return self.data.size

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.data.ndim

    @property
    def T(self) -> np.ndarray:  # noqa: N802 - NumPy's name
        """The transposed values."""
        return self.data.T

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("data", "grad") and self.__dict__.get("flat") is not None:
            raise AttributeError(
                f"{name} is a view of its model's flat buffer and cannot be replaced; write to it with "
                f"{'parameter[...] = values' if name == 'data' else 'parameter.grad[...] = values'}"
            )
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        # All other array attributes: sum, mean, copy, reshape and so on.
        if name.startswith("_") or name == "data":
            raise AttributeError(f"Parameter has no attribute {name!r}")
        return getattr(self.data, name)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: Any) -> Any:
        return self.data[key]

    def __setitem__(self, key: Any, value: ArrayLike) -> None:
        self.data[key] = as_array(value, "the value")

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [x.data if isinstance(x, Parameter) else x for x in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(x.data if isinstance(x, Parameter) else x for x in kwargs["out"])
        result = getattr(ufunc, method)(*plain, **kwargs)
        # `p += x` must leave p a Parameter.
        written = kwargs.get("out", ())
        return next((x for x in inputs if isinstance(x, Parameter) and any(x.data is w for w in written)), result)

    def __getstate__(self) -> dict[str, Any]:
        # A copy is standalone: copied views would no longer belong to a flat buffer.
        return self.__dict__ | {"data": self.data.copy(), "grad": self.grad.copy(), "flat": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"data": native(state["data"]), "grad": native(state["grad"])})

    def __repr__(self) -> str:
        return f"Parameter({self.data!r}{', frozen' if self.frozen else ''})"

    def _settings_changed(self) -> None:
        if self.flat is not None:
            self.flat.version += 1


class FlatParameters:
    """All parameters of a model in one buffer, and their gradients in another.

    Every parameter becomes a contiguous, cache-line-aligned view; the gaps stay zero. So the optimiser, the gradient
    norm and a checkpoint each make one pass over one array.

    Parameters
    ----------
    parameters : iterable of (str, Parameter)
        In the order of the layers, all of one dtype.

    Attributes
    ----------
    values, grads : ndarray, 1-D
    slots : list of (name, parameter, start, stop)
    version : int
        Grows when a parameter's `frozen`, `decay` or `lr_factor` changes, or a public attribute of a layer that is
        trained; invalidates recorded steps.
    bound : bool
        Whether an optimiser updates these buffers.
    gate : StepGate
        Held during a training step.
    """

    def __init__(self, parameters: Iterable[tuple[str, Parameter]]) -> None:
        named = list(parameters)
        dtypes = {p.dtype for _, p in named} or {np.dtype(np.float32)}
        if len(dtypes) > 1:
            kinds = ", ".join(f"{name} {p.dtype}" for name, p in named)
            raise TypeError(f"the parameters of a model must have one dtype; got {kinds}")
        first_name: dict[int, str] = {}
        for name, parameter in named:
            if first_name.setdefault(id(parameter), name) != name:
                raise ValueError(
                    f"{first_name[id(parameter)]} and {name} are the same Parameter; make a separate one for each"
                )
            if parameter.flat is not None:
                raise ValueError(f"{name} already belongs to another model; make a new Parameter")
        dtype = dtypes.pop()
        per_line = ALIGNMENT // dtype.itemsize
        self.version = 0
        self.bound = False
        self.gate = StepGate()
        self.slots: list[tuple[str, Parameter, int, int]] = []
        self._weight_bounds = -1, np.empty((0, 2), np.int64)  # the version that they are of
        stop = 0
        for name, parameter in named:
            start = -(-stop // per_line) * per_line
            stop = start + parameter.size
            self.slots.append((name, parameter, start, stop))
        length = -(-stop // per_line) * per_line
        self.values = aligned_zeros((length,), dtype)
        self.grads = aligned_zeros((length,), dtype)
        for _, parameter, start, stop in self.slots:
            shape = parameter.shape
            self.values[start:stop] = parameter.data.reshape(-1)
            self.grads[start:stop] = parameter.grad.reshape(-1)
            parameter.data = self.values[start:stop].reshape(shape)
            parameter.grad = self.grads[start:stop].reshape(shape)
            parameter.flat = self

    def move(self, values: np.ndarray, grads: np.ndarray) -> None:
        """Move all values and gradients to other buffers, such as memory that several processes share."""
        values[...], grads[...] = self.values, self.grads
        self.values, self.grads = values, grads
        for _, parameter, start, stop in self.slots:
            parameter.flat = None
            parameter.data = values[start:stop].reshape(parameter.shape)
            parameter.grad = grads[start:stop].reshape(parameter.shape)
            parameter.flat = self
        self.version += 1

    def segments(self, settings: Callable[[Parameter], Hashable] | None = None) -> tuple[np.ndarray, list[Parameter]]:
        """Return the bounds of the segments to update, int64 (segments, 2), and one parameter of each.

        Neighbouring parameters for which `settings` returns the same value form one segment; without `settings` each
        parameter is a segment. Frozen parameters are in no segment.
        """
        bounds: list[list[int]] = []
        owners: list[Parameter] = []
        for _, parameter, start, stop in self.slots:
            if parameter.frozen:
                continue
            touches = bounds and start - bounds[-1][1] < ALIGNMENT // parameter.dtype.itemsize
            if settings is not None and touches and settings(parameter) == settings(owners[-1]):
                bounds[-1][1] = stop
            else:
                bounds.append([start, stop])
                owners.append(parameter)
        return np.array(bounds, dtype=np.int64).reshape(-1, 2), owners

    def weight_bounds(self) -> np.ndarray:
        """Return the bounds of every unfrozen weight (see `Parameter.decay`), int64 (weights, 2)."""
        if self._weight_bounds[0] != self.version:
            bounds = np.empty((sum(p.decay and not p.frozen for _, p, _, _ in self.slots), 2), np.int64)
            bounds[:] = [(start, stop) for _, p, start, stop in self.slots if p.decay and not p.frozen] or 0
            self._weight_bounds = self.version, bounds
        return self._weight_bounds[1]


def data_of(parameter: Parameter | None) -> np.ndarray | None:
    """Return the values of a parameter that a layer may have; None without one."""
    return None if parameter is None else parameter.data


def grad_of(parameter: Parameter | None) -> np.ndarray | None:
    """Return the gradient of a parameter that a layer may have; None without one."""
    return None if parameter is None else parameter.grad


def native(array: np.ndarray) -> np.ndarray:
    """Return the array with NumPy's canonical dtype object; the array itself if it already has it.

    An unpickled array has an equal but not identical dtype object, and the ops skip a copy only for the identical one.
    """
    dtype = np.dtype(array.dtype.char) if array.dtype.isnative and array.dtype.kind in "biuf" else array.dtype
    return array if array.dtype is dtype else array.view(dtype)


def aligned_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return an array of zeros whose first element lies on a cache line."""
    dtype = np.dtype(np.dtype(dtype).char)  # NumPy's canonical object, see `native`
    count = math.prod(shape)
    raw = np.zeros(count * dtype.itemsize + ALIGNMENT, dtype=np.uint8)
    skip = -raw.ctypes.data % ALIGNMENT  # __array_interface__ crashes where it finds no memory (NumPy 2.4)
    return raw[skip : skip + count * dtype.itemsize].view(dtype).reshape(shape)
