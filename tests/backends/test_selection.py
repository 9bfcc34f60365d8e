"""The choice of the backend, and that all backends have the same functions."""

import inspect
import itertools
import os
import subprocess
import sys
from importlib import import_module

import pytest
from pynn.kernels import MODULES

import pynn
from pynn.backends import selection as backend_module


def described(function):
    return str(inspect.signature(function)), inspect.getdoc(function).partition("\n")[0]


@pytest.mark.parametrize("family", MODULES)
def test_every_backend_has_the_functions_of_numpy(backend, family):
    specification = import_module(f"pynn.kernels.numpy.{family}")
    own = {
        name: function
        for name, function in inspect.getmembers(specification, inspect.isfunction)
        if function.__module__ == specification.__name__ and not name.startswith("_")
    }
    module = getattr(backend_module.kernels(), family)
    assert own
    for name, function in own.items():
        assert described(getattr(module, name)) == described(function)


def test_fixture_runs_the_backend_it_names(backend):
    assert pynn.get_backend() == backend
    assert backend in pynn.available_backends()
    assert backend_module.describe() == {
        "backend": backend,
        "instruction_set": backend_module.instruction_set() or "-",
        "matmul_precision": pynn.get_matmul_precision(),
    }
    assert (backend_module.instruction_set() is not None) == (backend == "cython")


def test_context_manager_restores_also_after_an_error(backend):
    with pynn.use_backend("numpy"):
        assert pynn.get_backend() == "numpy"
        with pytest.raises(KeyError), pynn.use_backend(backend):
            assert pynn.get_backend() == backend
            raise KeyError
        assert pynn.get_backend() == "numpy"
    assert pynn.get_backend() == backend


def test_a_call_lasts_until_the_next(backend):
    with pynn.use_backend(backend):
        pynn.use_backend("numpy")
        assert pynn.get_backend() == "numpy"
    assert pynn.get_backend() == backend


@pytest.mark.parametrize("ends", list(itertools.permutations(range(3))))
def test_blocks_may_end_in_any_order(backend, ends):
    """As those of threads and tasks do: what was chosen before all of them is restored."""
    with pynn.use_backend(backend):
        blocks = []
        for name in ("numpy", "numba", "cython"):
            blocks.append(pynn.use_backend(name))
            blocks[-1].__enter__()
        open_blocks = dict(enumerate(("numpy", "numba", "cython")))
        for place in ends:
            blocks[place].__exit__(None, None, None)
            del open_blocks[place]
            assert pynn.get_backend() == (open_blocks[max(open_blocks)] if open_blocks else backend)


def test_a_choice_can_be_used_again(backend):
    chosen = pynn.use_backend("numpy")
    with chosen:
        pass
    assert pynn.get_backend() == backend
    with chosen, pynn.use_backend(backend), chosen:
        assert pynn.get_backend() == "numpy"
    assert pynn.get_backend() == backend


def test_unknown_backend_raises_and_changes_nothing(backend):
    with pytest.raises(ValueError, match="unknown backend 'cuda'; expected one of auto, cython, numba, numpy"):
        pynn.use_backend("cuda")
    assert pynn.get_backend() == backend


def test_missing_numba_raises_instead_of_falling_back(backend, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "numba" not in pynn.available_backends()
    with pytest.raises(pynn.BackendError, match=r'pip install "pynn-kernels\[numba\]"'):
        pynn.use_backend("numba")
    assert pynn.get_backend() == backend


def test_without_compiled_kernels_auto_warns_and_cython_raises(backend, monkeypatch):
    monkeypatch.setattr("pynn.kernels.cython.BUILT", False)
    assert "cython" not in pynn.available_backends()
    with pytest.raises(pynn.BackendError, match="were not compiled"):
        pynn.use_backend("cython")
    with pytest.warns(RuntimeWarning, match="NumPy alone, .* times slower"), pynn.use_backend("auto"):
        assert pynn.get_backend() == "numpy"
    assert pynn.get_backend() == backend


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_environment_makes_the_first_choice():
    done = run_python("import pynn; print(pynn.get_backend())", PYNN_BACKEND="numpy")
    assert (done.stdout, done.stderr) == ("numpy\n", "")
    done = run_python("import pynn; pynn.get_backend()", PYNN_BACKEND="cuda")
    assert "ValueError: unknown backend 'cuda'" in done.stderr


def test_importing_pynn_imports_numpy_alone():
    """Polars 2.1, for one, has Ctrl-C wait until a thread that waits for a lock wakes up."""
    others = [
        *("numba", "polars", "pandas", "matplotlib", "scipy", "sklearn", "torch", "onnx"),
        *("optuna", "mpi4py", "dask", "ray", "pooch", "rich", "click"),
    ]
    done = run_python(f"import sys, pynn; print([name for name in {others} if name in sys.modules])")
    assert done.stdout == "[]\n"
