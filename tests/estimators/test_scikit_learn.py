"""scikit-learn's own tests of its perceptron, with the estimators imported from pynn."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

#: Tests that differ, each with its reason.
DIFFERENT = {
    "test_gradient": "calls the private _loss_grad_lbfgs",
    "test_learning_rate_warmstart": "reads the private _optimizer.learning_rate",
    "test_adaptive_learning_rate": "reads the private _optimizer.learning_rate",
}


def test_all_pass_but_those_of_private_names(tmp_path):
    package = Path(find_spec("sklearn").submodule_search_locations[0])
    source = (package / "neural_network/tests/test_mlp.py").read_text()
    changed = source.replace("from sklearn.neural_network import", "from pynn import")
    assert changed != source
    (tmp_path / "test_mlp.py").write_text(changed)
    command = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "sklearn.conftest",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "test_mlp.py",
    ]
    run = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
    failed = set(re.findall(r"^(?:FAILED|ERROR) test_mlp\.py::(\w+)", run.stdout, re.MULTILINE))
    assert failed == set(DIFFERENT), run.stdout
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) > 50
