"""The NumPy backend: the specification of every kernel. Clarity before speed; always available."""

from importlib import import_module

from .. import MODULES

globals().update({name: import_module(f".{name}", __name__) for name in MODULES})
