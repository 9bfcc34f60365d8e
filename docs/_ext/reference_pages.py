"""Writes the pages of the reference before Sphinx looks for pages: one for each public name, and the command line's."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sphinx.pycode import ModuleAnalyzer

import pynn
import pynn.babysit
from pynn.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

#: A section of the reference of `pynn` itself, and the modules whose names it holds. A name goes to the first section
#: with a module that begins its own; the last section takes all.
SECTIONS = {
    "Networks": [
        *("nn.sequential", "nn.layers.base", "nn.parameters", "nn.context", "nn.state", "nn.loading", "nn.random"),
        "utils.files",
    ],
    "Fully connected layers, embeddings and branches": [
        *("nn.layers.linear", "nn.layers.maxout", "nn.layers.embedding", "nn.layers.dropout", "nn.layers.shaping"),
        *("nn.layers.residual", "nn.layers.concat", "nn.layers.average"),
    ],
    "Convolution and pooling": ["nn.layers.conv", "nn.layers.pooling", "nn.layers.upsample", "nn.layers.pixel_shuffle"],
    "Normalisation": ["nn.layers.batchnorm", "nn.layers.groupnorm", "nn.layers.instancenorm"],
    "Activations": ["nn.layers.activations", "nn.layers.softmax", "nn.layers.glu", "nn.layers"],
    "Losses": ["nn.loss", "nn.regression_losses"],
    "Optimisers": ["optim.optimizers", "optim.base"],
    "Schedules": ["optim.schedules", "training.plateau"],
    "Regularisers and averages of the weights": ["optim"],
    "Training": ["training"],
    "Babysitting": ["babysit", "watching", "nn.gradcheck"],
    "scikit-learn estimators": ["estimators"],
    "PyTorch": ["interop"],
    "Backends and threads": ["backends"],
    "Others": [""],
}
#: Titles of the lists of names of pynn's public modules.
MODULES = {
    "augment": "Augmentation",
    "datasets": "Data sets and tables",
    "init": "Initialisation",
    "onnx": "ONNX",
    "ops": "Ops",
    "plots": "Plots",
    "preprocessing": "Preprocessing",
    "search": "Hyperparameter search",
    "babysit": "Rules, checks and remedies",
    "lecture": "The lecture's experiments",
}


def groups() -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield title, file name, module and names of each page that lists names."""
    names = [name for name in pynn.__all__ if not inspect.ismodule(getattr(pynn, name))]
    for title, modules in SECTIONS.items():
        prefixes = tuple(f"pynn.{module}" for module in modules)
        found = [name for name in names if getattr(pynn, name).__module__.startswith(prefixes)]
        names = [name for name in names if name not in found]
        if found:
            yield title, title.lower().replace(",", "").replace(" ", "-"), "pynn", found
    modules = [name for name in pynn.__all__ if inspect.ismodule(getattr(pynn, name))]
    for module in (*modules, "babysit", "lecture"):
        home = import_module(f"pynn.{module}")
        own = [name for name in home.__all__ if getattr(pynn, name, None) is not getattr(home, name)]
        yield MODULES.get(module, module.capitalize()), f"pynn.{module}", f"pynn.{module}", own


def pages() -> dict[str, str]:
    """Return the text of each page by its path below the folder of the reference."""
    found = {}
    for title, file, module, names in groups():
        found[f"api/{file}.rst"] = _list_of(title, module, names)
        found.update({f"api/{module}.{name}.rst": _page_of(module, name) for name in names})
    found["api/index.rst"] = _index()
    found["commands.rst"] = _commands()
    found["checks.rst"] = _checks()
    return found


def _heading(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n\n"


def _indented(lines: list[str]) -> str:
    return "".join(f"   {line}\n" for line in lines)


def _list_of(title: str, module: str, names: list[str]) -> str:
    parts = [_heading(title), f".. currentmodule:: {module}\n\n"]
    if module != "pynn":
        parts.append(f".. automodule:: {module}\n   :no-members:\n   :no-index:\n\n")
    home = import_module(module)
    # Sphinx cannot summarise an alias of a type.
    entries = _indented([name for name in names if not isinstance(getattr(home, name), types.GenericAlias)])
    parts.append(f".. autosummary::\n   :nosignatures:\n\n{entries}\n")
    parts.append(".. toctree::\n   :hidden:\n\n" + _indented([f"{name} <{module}.{name}>" for name in names]))
    return "".join(parts)


def _index() -> str:
    files = [file for _, file, _, _ in groups()]
    words = "Every public name of pynn, each on its page, from its docstring. Tests run the examples.\n\n"
    return _heading("Names") + words + ".. toctree::\n   :maxdepth: 1\n\n" + _indented(files)


def _page_of(module: str, name: str) -> str:
    item = getattr(import_module(module), name)
    heading = _heading(f"{module}.{name}") + f".. currentmodule:: {module}\n\n"
    if isinstance(item, types.GenericAlias):
        return f"{heading}.. py:type:: {name}\n   :canonical: {item}\n\n" + _indented(comment_on(name, item))
    kind = "class" if inspect.isclass(item) else "function" if inspect.isroutine(item) else "data"
    options = []
    if kind == "class":
        options = [f"   :members: {_inherited(item)}".rstrip(), *(["   :show-inheritance:"] if _bases(item) else [])]
        if hasattr(item, "_fields"):  # whose docstrings are "Alias for field number 0"
            options.append(f"   :exclude-members: {', '.join(item._fields)}")
    return heading + "\n".join([f".. auto{kind}:: {name}", *options, ""])


@functools.cache
def _with_pages() -> set[type]:
    found = (getattr(import_module(module), name) for _, _, module, names in groups() for name in names)
    return {item for item in found if inspect.isclass(item)}


def _bases(item: type) -> list[type]:
    """Return the nearest base classes of a class that have a page, or that are another library's."""
    found = []
    for base in item.__bases__:
        shown = (kind for kind in base.__mro__ if kind in _with_pages() or not kind.__module__.startswith("pynn."))
        found.append(next(shown))
    return [kind for kind in dict.fromkeys(found) if kind is not object]


def _show_bases(app: Sphinx, name: str, item: type, options: object, bases: list[type]) -> None:
    bases[:] = _bases(item)


def comment_on(name: str, value: object) -> list[str]:
    """Return the lines of the comment with which a module defines a constant."""
    for module in [module for key, module in sys.modules.items() if key.startswith("pynn.")]:
        if vars(module).get(name) is value:
            lines = ModuleAnalyzer.for_module(module.__name__).find_attr_docs().get(("", name))
            if lines:
                return lines
    return []


def _describe_constants(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Replace the docstring of a constant's type, such as tuple, by the comment on the constant."""
    if what == "data":
        lines[:] = comment_on(name.rpartition(".")[2], value)


def _inherited(item: type) -> str:
    """Return the methods of an estimator, most of which its base classes define, without those of scikit-learn's."""
    if not item.__module__.startswith("pynn.estimators"):
        return ""
    classes = [base for base in item.__mro__ if base.__module__.startswith("pynn.")]
    names = {name for base in classes for name in vars(base) if not name.startswith("_")}
    return ", ".join(sorted(name for name in names if not re.fullmatch("set_.*_request", name)))


def _commands() -> str:
    parts = [
        _heading("Command line"),
        "What ``pynn COMMAND --help`` prints. Exit codes are 0 for success, 1 for a failure and 2 for wrong options; a "
        "command that has more names them.\n\n",
    ]
    # Without its settings, click would remember no -h. Lines of 72 columns fit between the page's two sidebars.
    context = click.Context(main, info_name="pynn", terminal_width=72, **main.context_settings)
    parts.append(_help_of(context))
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        parts.append(_heading(f"pynn {name}", "-"))
        parts.append(_help_of(click.Context(command, info_name=name, parent=context, **command.context_settings)))
    return "".join(parts)


def _checks() -> str:
    """Return the table of the checks before training, from the docstrings of their functions."""
    preflight = sys.modules["pynn.babysit.preflight"]  # `pynn.babysit.preflight` is the function of that name
    rows = "".join(
        f"   * - {name}\n     - {inspect.getdoc(check).split(chr(10) * 2)[0].removeprefix('Check that ').strip()}\n"
        for name, check in preflight.OF_DATA + preflight.OF_NETWORK
    ).replace("\n       ", " ")
    return (
        _heading("Checks before training")
        + "`pynn.preflight` and ``pynn check`` run these checks. First they check that the data can be used at all: "
        "finite values, targets that fit the loss, and one training step that works. Each check passes, warns, fails, "
        "or is skipped where it does not apply, and reports figures and advice.\n\n"
        f".. list-table::\n   :header-rows: 1\n   :widths: 25 75\n\n   * - check\n     - passes if\n{rows}"
    )


def _help_of(context: click.Context) -> str:
    return ".. code-block:: text\n\n" + _indented(context.get_help().splitlines()) + "\n"


def write(folder: Path) -> None:
    """Write the pages that differ from those in the folder, so that Sphinx reads no other again; remove old ones."""
    found = {folder / "reference" / name: text for name, text in pages().items()}
    for path in (folder / "reference" / "api").glob("*.rst"):
        if path not in found:
            path.unlink()
    for path, text in found.items():
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages."""
    write(Path(app.srcdir))
    app.connect("autodoc-process-bases", _show_bases)
    app.connect("autodoc-process-docstring", _describe_constants)
    return {"parallel_read_safe": True}
