"""Training data: bundled digits, synthetic problems, MNIST and CIFAR-10, and your own files."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .digits import load_digits
from .fetch import load_cifar10, load_mnist
from .generators import blobs, moons, spiral
from .readers import read_cifar10, read_idx, read_npz
from .split import train_test_split
from .tables.schema import Schema

if TYPE_CHECKING:
    from .tables.convert import TableWarning
    from .tables.table import Table, read_csv, read_table

__all__ = [
    "Schema",
    "Table",
    "TableWarning",
    "blobs",
    "load_cifar10",
    "load_digits",
    "load_mnist",
    "moons",
    "read_cifar10",
    "read_csv",
    "read_idx",
    "read_npz",
    "read_table",
    "spiral",
    "train_test_split",
]

# Where to find what needs polars, whose import takes a quarter of a second.
_TABLES = {"Table": "table", "TableWarning": "convert", "read_csv": "table", "read_table": "table"}


def __getattr__(name: str) -> Any:
    if name not in _TABLES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".tables.{_TABLES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_TABLES})
