"""Every public name, command and environment variable has its place in the reference."""

import importlib.util
import inspect
import re
import types
from importlib import import_module
from pathlib import Path

import pytest

import pynn
from pynn.cli import COMMANDS

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"
MODULES = [name for name in pynn.__all__ if inspect.ismodule(getattr(pynn, name))]
MODULES += ["babysit", "lecture"]  # not part of `pynn.__all__`, but code on the site imports from them

#: Names that the example of another shows, and what needs a cluster: docs/cluster.md shows it.
SHOWN_ELSEWHERE = {"get_matmul_precision", "Remedy", "RemedyTrial", "TorchWatch", "RayExecutor"}


def extension(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = extension("reference_pages").pages()


@pytest.mark.parametrize("module", ["", *MODULES])
def test_every_public_name_has_a_page_and_is_listed(module):
    home = import_module(f"pynn.{module}".rstrip("."))
    names = [name for name in home.__all__ if module or name not in MODULES]
    assert len(names) > 2
    for name in names:
        full = "pynn" if getattr(pynn, name, None) is getattr(home, name) else home.__name__
        assert re.search(rf"^\.\. (auto\w+|py:type):: {name}$", PAGES[f"api/{full}.{name}.rst"], re.MULTILINE)
        assert any(f"   {name} <{full}.{name}>\n" in text for text in PAGES.values())


@pytest.mark.parametrize("module", ["", *MODULES])
def test_every_public_name_has_an_example(module):
    home = import_module(f"pynn.{module}".rstrip("."))
    items = {name: getattr(home, name) for name in home.__all__}
    documented = {name: item for name, item in items.items() if inspect.isclass(item) or inspect.isroutine(item)}
    assert len(documented) > 2
    own = {name: inspect.cleandoc(item.__doc__ or "") for name, item in documented.items()}  # not that of a base class
    without = {name for name, text in own.items() if "Examples\n---" not in text}
    assert without <= SHOWN_ELSEWHERE


@pytest.mark.parametrize("module", MODULES)
def test_every_constant_has_a_comment(module):
    home = import_module(f"pynn.{module}")
    for name in home.__all__:
        value = getattr(home, name)
        if isinstance(value, tuple | dict | str | types.GenericAlias | types.UnionType):
            assert extension("reference_pages").comment_on(name, value), name


def test_what_the_site_imports_is_public():
    pages = [page for page in DOCS.rglob("*.md") if "_build" not in page.parts]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    found = re.findall(r"^from (pynn[\w.]*) import ([\w, ]+)$", text, re.MULTILINE)
    assert len(found) > 5
    for module, names in found:
        assert module.removeprefix("pynn").strip(".") in ("", *MODULES)
        assert set(names.split(", ")) <= set(import_module(module).__all__)


def test_a_name_is_listed_once():
    listed = [entry for text in PAGES.values() for entry in re.findall(r"<(pynn\.[\w.]+)>\n", text)]
    assert len(listed) == len(set(listed))


def test_every_command_is_shown():
    for name in COMMANDS:
        assert f"\npynn {name}\n---" in PAGES["commands.rst"]
        assert f"Usage: pynn {name}" in PAGES["commands.rst"]


def test_every_environment_variable_is_explained():
    sources = [path.read_text(encoding="utf-8") for path in (PROJECT / "pynn").rglob("*.py")]
    sources += [path.read_text(encoding="utf-8") for path in (PROJECT / "kernels").rglob("*.py")]
    sources.append((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    read = {name for text in sources for name in re.findall(r"(?:environ(?:\.get)?[(\[]|env\W+)\W*(PYNN_\w+)", text)}
    explained = set(re.findall(r"^\| `(PYNN_\w+)`", (DOCS / "reference" / "environment.md").read_text(), re.MULTILINE))
    assert {"PYNN_BACKEND", "PYNN_ISA"} <= read
    assert explained >= read


def test_source_pages_are_one_list():
    inner = "<ul><li><a href='b'>pynn.b</a></li>\n</ul>"
    nested = f"<h1>A</h1><ul><li><a href='a'>pynn</a></li>\n{inner}<li><a>types</a></li></ul>"
    shown = "<h1>A</h1><ul><li><a href='a'>pynn</a></li><li><a href='b'>pynn.b</a></li></ul>"
    assert extension("source_pages").flat(nested) == shown


def test_a_class_names_the_nearest_bases_that_have_a_page():
    module = extension("reference_pages")
    assert module._bases(pynn.Conv2d) == [pynn.Layer]
    assert module._bases(pynn.Trainer) == []
    assert module._bases(pynn.NonFiniteError) == [FloatingPointError]
    assert "show-inheritance" in PAGES["api/pynn.Conv2d.rst"]
    assert "show-inheritance" not in PAGES["api/pynn.Trainer.rst"]
