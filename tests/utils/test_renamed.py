"""Names of earlier versions still work, and say what the new ones are."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

import pynn
from pynn.search.space import LogUniform, Space
from pynn.search.state import Trials
from pynn.utils.renamed import MODULES


@pytest.fixture
def unimported(monkeypatch):
    """Forget what was imported by a former name, as in a new process."""
    for name in list(sys.modules):
        if name in MODULES or name.rpartition(".")[0] in MODULES:
            monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("old", MODULES)
@pytest.mark.usefixtures("unimported")
@pytest.mark.filterwarnings("ignore:.* is now:DeprecationWarning")  # of the package that the module lies in
def test_a_module_is_found_by_its_former_name(old):
    with pytest.warns(DeprecationWarning, match=f"^{old} is now {MODULES[old]}; "):
        module = importlib.import_module(old)
    assert module is importlib.import_module(MODULES[old])
    assert module.__name__ == MODULES[old]
    assert module.__spec__.name == MODULES[old]


@pytest.mark.usefixtures("unimported")
def test_what_lies_in_a_package_is_found_too():
    with pytest.warns(DeprecationWarning) as caught:
        from pynn.layers.linear import Linear
    assert [str(warning.message).partition(";")[0] for warning in caught] == [
        "pynn.layers is now pynn.nn.layers",
        "pynn.layers.linear is now pynn.nn.layers.linear",
    ]
    assert Linear is pynn.Linear


def test_an_attribute_of_the_package_in_a_new_process():
    code = (
        "import pynn\n"
        "assert pynn.layers.base.Layer is pynn.Layer\n"
        "assert pynn.backend.BackendError is pynn.BackendError\n"
        "from pynn.files import FileFormatError\n"
        "assert FileFormatError is pynn.FileFormatError"
    )
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], check=True)


def test_no_former_name_hides_what_the_package_exports():
    assert not {old.removeprefix("pynn.") for old in MODULES} & set(pynn.__all__)


def test_a_module_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match=r"pynn\.filing"):
        importlib.import_module("pynn.filing")
    with pytest.raises(AttributeError, match="filing"):
        _ = pynn.filing


def test_ops_by_their_former_names():
    x, one = np.arange(6.0).reshape(3, 2), np.ones(2)
    with pytest.warns(DeprecationWarning, match="pynn.ops.batchnorm_forward is now pynn.ops.batch_norm;") as caught:
        y = pynn.ops.batchnorm_forward(x, one, 0 * one, 0 * one, one.copy())[0]
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(y, pynn.ops.batch_norm(x, one, 0 * one, 0 * one, one.copy())[0])
    with pytest.raises(AttributeError, match="batch_norm3d"):
        _ = pynn.ops.batch_norm3d


def test_a_method_by_its_former_name(tmp_path):
    monitor = pynn.Monitor()
    model = pynn.Sequential(pynn.Linear(2, 2))
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(lr=0.1))
    trainer.fit(np.ones((4, 2)), np.ones((4, 2)), epochs=1, callbacks=[monitor])
    with pytest.warns(DeprecationWarning, match=r"Monitor\.report is now Monitor\.to_html") as caught:
        monitor.report(tmp_path / "run.html")
    assert caught[0].filename == __file__
    assert "<html" in (tmp_path / "run.html").read_text("utf8")


def test_an_attribute_by_its_former_name():
    space = Space({"lr": LogUniform(1e-4, 1e-1)})
    trials = Trials(
        trials=[], space=space, metric="loss", maximize=True, stages=(), sampler="grid", interrupted=False, edges=[]
    )
    with pytest.warns(DeprecationWarning, match=r"Trials\.maximise is now Trials\.maximize") as caught:
        assert trials.maximise is True
    assert caught[0].filename == __file__
