"""Training data: bundled digits, synthetic problems, MNIST and CIFAR-10, and your own files."""

from .columns import Schema
from .digits import load_digits
from .fetch import load_cifar10, load_mnist
from .generators import blobs, moons, spiral
from .readers import read_cifar10, read_idx, read_npz
from .split import train_test_split
from .table import Table, read_csv

__all__ = [
    "Schema",
    "Table",
    "blobs",
    "load_cifar10",
    "load_digits",
    "load_mnist",
    "moons",
    "read_cifar10",
    "read_csv",
    "read_idx",
    "read_npz",
    "spiral",
    "train_test_split",
]
