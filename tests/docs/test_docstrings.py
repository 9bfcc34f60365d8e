"""What docstrings say of arguments: those that they describe exist."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import pynn

PACKAGE = Path(pynn.__file__).parent
FOLDERS = sorted({path.parent for path in PACKAGE.rglob("*.py")})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def described(docstring):
    """Return the names in the section Parameters."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^(\S.*)$", section[1], re.MULTILINE) if section else []
    names = (name.strip("* ") for head in heads for name in head.split(" : ")[0].split(","))
    return {name for name in names if name.isidentifier()}


def arguments(function):
    given = function.args
    several = [argument for argument in (given.vararg, given.kwarg) if argument]
    return {argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs, *several)}


def documented(tree):
    """Yield name, docstring and function of everything with a docstring and arguments: of a class, its constructor."""
    for node in ast.walk(tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and ast.get_docstring(node):
            function = node
            if isinstance(node, ast.ClassDef):
                function = next((item for item in node.body if getattr(item, "name", "") == "__init__"), None)
            if function is not None and function.args.kwarg is None:
                yield node.name, inspect.cleandoc(ast.get_docstring(node)), function


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_described_arguments_exist(folder):
    for path in folder.glob("*.py"):
        for name, docstring, function in documented(ast.parse(path.read_text(encoding="utf-8"))):
            assert described(docstring) <= arguments(function), (path.name, name)
