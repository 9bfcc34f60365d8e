"""Digest of `build`: its code, the code of everything it calls in its own module, and its constants."""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

#: Immutable values: they count as part of a function.
PLAIN = (type(None), bool, int, float, complex, str, bytes)


def fingerprint(build: Any) -> str:
    """Return a digest of the code of `build` and of what it uses in its own module.

    Comments and line numbers do not change it. The digest depends on the version of Python.

    Examples
    --------
    >>> fingerprint(lambda params: 1) == fingerprint(lambda params: 2)
    False
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in _parts(build, set()):
        digest.update(f"{part}\n".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _parts(value: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(value, PLAIN):
        yield f"{type(value).__name__} {value!r}"
    elif isinstance(value, tuple):
        for item in value:
            yield from _parts(item, seen)
    elif id(value) in seen:
        return
    elif isinstance(value, functools.partial):
        yield from _parts((value.func, value.args, *sorted(value.keywords.items())), seen | {id(value)})
    elif isinstance(value, MethodType):
        yield from _parts((value.__func__, value.__self__), seen | {id(value)})
    elif isinstance(value, FunctionType):
        seen.add(id(value))
        yield from _function(value, seen)
    elif isinstance(value, type):
        seen.add(id(value))
        yield value.__qualname__
        for name, member in sorted(vars(value).items()):
            if isinstance(member, FunctionType):
                yield name
                yield from _function(member, seen)
    else:
        yield from _instance(value, seen)


def _instance(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield the parts of a callable object: its class's code, and its attributes if it is a frozen dataclass."""
    kind = type(value)
    yield kind.__qualname__
    call = getattr(kind, "__call__", None)  # noqa: B004 - the function is wanted
    if isinstance(call, FunctionType):
        yield from _parts(call, seen)
    if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        for field in dataclasses.fields(kind):
            if field.compare:
                yield field.name
                yield from _parts(getattr(value, field.name), seen)


def _function(function: FunctionType, seen: set[int]) -> Iterator[str]:
    yield from _code(function.__code__)
    yield from _parts(function.__defaults__ or (), seen)
    yield from _parts(tuple(sorted((function.__kwdefaults__ or {}).items())), seen)
    for cell in function.__closure__ or ():
        try:
            yield from _used(cell.cell_contents, function.__module__, seen)
        except ValueError:  # still empty
            continue
    names: set[Any] = set()
    changed: set[Any] = set()
    for code in _nested(function.__code__):
        for instruction in dis.get_instructions(code):
            (changed if instruction.opname == "STORE_GLOBAL" else names).add(instruction.argval)
    for name in sorted(name for name in names - changed if isinstance(name, str) and name in function.__globals__):
        yield name
        yield from _used(function.__globals__[name], function.__module__, seen)


def _used(value: Any, module: str, seen: set[int]) -> Iterator[str]:
    """Yield the parts of a value that a function uses: a constant, or a function or class of its module."""
    constant = isinstance(value, PLAIN) or (isinstance(value, tuple) and all(isinstance(item, PLAIN) for item in value))
    if constant or (isinstance(value, FunctionType | type) and value.__module__ == module):
        yield from _parts(value, seen)


def _code(code: CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:  # the order of a set differs between processes
            yield repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)
