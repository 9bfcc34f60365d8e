"""Embeddings: a learned vector per category."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops
from ...ops.columns import no_category
from ...utils.validation import count
from .. import initializers
from ..context import Context
from ..parameters import Parameter
from ..recording import replayable
from .base import Layer
from .container import Container

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: Maximum number of categories: float32 holds all whole numbers up to it.
MAX_CATEGORIES = 2**24


def _table(rows: int, width: int, init: initializers.Init | None, dtype: DTypeLike) -> Parameter:
    table = Parameter(initializers.make("normal" if init is None else init, (rows, width), dtype=dtype), dtype)
    table.unit_axis = 0
    return table


def _check_categories(x: np.ndarray, categories: int, start: int, column: int | None = None) -> None:
    """Raise ValueError that names the first element which is no category; `column` is that of x in its table."""
    bad = np.argwhere((x != np.floor(x)) | (x < 0) | (x >= categories))
    if len(bad):
        row, *within = bad[0].tolist() + ([] if column is None else [column])
        place = f"row {start + row}" + (
            f", column {within[0]}" if len(within) == 1 else f", place {within}" * bool(within)
        )
        raise ValueError(no_category(x[tuple(bad[0])], place, categories))


def _categories(value: Any, name: str, *, minimum: int = 1) -> int:
    number = count(value, name, minimum=minimum)
    if number > MAX_CATEGORIES:
        raise ValueError(f"{name} is {number}; expected at most 2**24, which float32 can number")
    return number


class Embedding(Layer):
    """Row x of a learned table, for each whole number x.

    Parameters
    ----------
    num_embeddings : int
        Rows of the table: x is in [0, num_embeddings).
    embedding_dim : int
        Columns of the table.
    padding_idx : int, optional
        A row that starts at 0 and is not trained, for what only fills up sequences.
    init : str or callable, optional
        Initialiser, as in `Linear`. By default N(0, 1), as in PyTorch.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape (num_embeddings, embedding_dim)

    Notes
    -----
    x is (batch, ...), y (batch, ..., embedding_dim). x holds integers or whole floats; anything else raises an error
    that names the value. It has no gradient: the layer is usually the first, and passes back zeros otherwise.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Embedding(10, 3), pynn.Flatten(), pynn.Linear(6, 2))
    >>> model(np.array([[1, 2], [9, 0]])).shape
    (2, 2)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        init: initializers.Init | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.num_embeddings = _categories(num_embeddings, "num_embeddings")
        self.embedding_dim = count(embedding_dim, "embedding_dim")
        if padding_idx is not None and count(padding_idx, "padding_idx", minimum=0) >= self.num_embeddings:
            raise ValueError(f"padding_idx is {padding_idx}; expected less than num_embeddings={num_embeddings}")
        self.padding_idx = padding_idx
        self.init = init
        self.weight = _table(self.num_embeddings, self.embedding_dim, init, dtype)
        if padding_idx is not None:
            self.weight[padding_idx] = 0

    def check_examples(self, x: np.ndarray, start: int = 0) -> None:
        _check_categories(x, self.num_embeddings, start)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        ctx.x = x
        y = ctx.buffer("y", (*x.shape, self.embedding_dim), x.dtype)
        try:
            ops.embed(x.reshape(x.size, 1), self.weight.data, y.reshape(x.size, self.embedding_dim))
        except ValueError:
            self.check_examples(x)  # names the place in x
            raise
        return y

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        x = ctx.x
        rows = dy.reshape(x.size, self.embedding_dim)
        ops.embed_backward(rows, x.reshape(x.size, 1), self.weight.grad, padding_idx=self.padding_idx)
        if not ctx.needs_dx:
            return None
        dx = ctx.gradient("dx", x.shape, x.dtype, dy)
        ops.zero(dx.reshape(-1))
        return dx


class EmbedColumns(Container):
    """Replace some columns of a table by learned vectors per category, and pass the others on.

    Parameters
    ----------
    cardinalities : sequence of int
        One entry per column: 0 for a column of numbers, otherwise its number of categories.
    embedding_dims : int or sequence of int
        Length of the vectors: of all, or one entry per column with categories.
    init : str or callable, optional
        Initialiser, as in `Embedding`.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    in_features, out_features : int
        Columns of x and of y.
    embeddings : tuple of Embedding
        One per column with categories.

    Notes
    -----
    x is (batch, in_features). y holds the columns of numbers first, in their order, then the vectors of the others. A
    column with categories holds whole numbers in [0, cardinality); anything else raises an error that names it.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> layer = pynn.EmbedColumns([0, 4, 0], 2, init="zeros")
    >>> pynn.Sequential(layer)(np.array([[0.5, 3, 7.0]]))
    array([[0.5, 7. , 0. , 0. ]], dtype=float32)
    """

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dims: int | Sequence[int],
        *,
        init: initializers.Init | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.cardinalities = tuple(_categories(size, "cardinalities", minimum=0) for size in cardinalities)
        sizes = [size for size in self.cardinalities if size]
        given = [embedding_dims] * len(sizes) if isinstance(embedding_dims, int) else list(embedding_dims)
        if len(given) != len(sizes):
            raise ValueError(
                f"embedding_dims has {len(given)} entries; expected {len(sizes)}, one per column with categories"
            )
        self.embedding_dims = tuple(count(dim, "embedding_dims") for dim in given)
        self.init = init
        self.in_features = count(len(self.cardinalities), "the number of cardinalities")
        self.out_features = self.in_features - len(sizes) + sum(self.embedding_dims)
        shapes = zip(sizes, self.embedding_dims, strict=True)
        self.embeddings = tuple(Embedding(*shape, init=init, dtype=dtype) for shape in shapes)
        self._take_possession()

    def children(self) -> Iterator[tuple[str, Layer]]:
        for index, embedding in enumerate(self.embeddings):
            yield str(index), embedding

    def _placed(self) -> Iterator[tuple[int, int, Embedding]]:
        """Yield the column of each embedding in x, where its vectors begin in y, and the embedding."""
        start = self.in_features - len(self.embeddings)
        columns = [column for column, size in enumerate(self.cardinalities) if size]
        for column, embedding in zip(columns, self.embeddings, strict=True):
            yield column, start, embedding
            start += embedding.embedding_dim

    def _numbers(self) -> Iterator[tuple[int, int]]:
        """Yield the place of each column of numbers in x and in y."""
        numbers = [column for column, size in enumerate(self.cardinalities) if not size]
        yield from ((column, place) for place, column in enumerate(numbers))

    def check_examples(self, x: np.ndarray, start: int = 0) -> None:
        for column, _, embedding in self._placed():
            _check_categories(x[:, column], embedding.num_embeddings, start, column)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ValueError(f"EmbedColumns got an input of shape {x.shape}; expected (batch, {self.in_features})")
        ctx.x = x
        y = ctx.buffer("y", (len(x), self.out_features), x.dtype)
        for column, place in self._numbers():
            ops.copy_columns(x, y, start=column, width=1, out_start=place)
        for column, start, embedding in self._placed():
            ops.embed(x, embedding.weight.data, y, column=column, out_start=start)
        return y

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        for column, start, embedding in self._placed():
            ops.embed_backward(dy, ctx.x, embedding.weight.grad, column=column, start=start)
        if not ctx.needs_dx:
            return None
        dx = ctx.gradient("dx", ctx.x.shape, dy.dtype, dy)
        ops.zero(dx.reshape(-1))  # categories have no gradient
        for column, place in self._numbers():
            ops.copy_columns(dy, dx, start=place, width=1, out_start=column)
        return dx
