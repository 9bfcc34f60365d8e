"""MLflow and Weights & Biases hold what a run was, read back by their own packages; no network is used."""

import json
import sys

import numpy as np
import pytest

import pynn


def trained(*callbacks, monitor=None, epochs=3, lr=1e-4):
    pynn.manual_seed(0)
    x, y = pynn.datasets.blobs(seed=0)
    model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr, momentum=0.9))
    before = [] if monitor is None else [monitor]
    trainer.fit(100 * x, y, epochs=epochs, batch_size=30, validation=(x, y), callbacks=[*before, *callbacks])
    return trainer


@pytest.fixture
def monitor():
    return pynn.Monitor(on_problem="silent")


# MLflow


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())  # MLflow makes it, with experiment 0
    yield mlflow
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)


def runs(mlflow):
    return mlflow.MlflowClient().search_runs(["0"])


STORE = pytest.mark.filterwarnings("ignore:.*filesystem (tracking|model registry).*:FutureWarning")


@STORE
def test_mlflow_has_settings_figures_and_findings(mlflow, monitor):
    trainer = trained(pynn.MLflowLogger(monitor, every=4), monitor=monitor)
    [run] = runs(mlflow)
    assert run.info.status == "FINISHED"
    assert mlflow.active_run() is None
    assert {name: run.data.params[name] for name in ("optimizer", "optimizer.lr", "batch_size", "epochs")} == {
        "optimizer": "SGD",
        "optimizer.lr": "0.0001",
        "batch_size": "30",
        "epochs": "3",
    }
    client = mlflow.MlflowClient()
    for name, column in trainer.history.history.items():
        stored = client.get_metric_history(run.info.run_id, name)
        np.testing.assert_array_equal([metric.value for metric in stored], column)
        assert [metric.step for metric in stored] == [10, 20, 30]
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "step/loss")] == [*range(4, 31, 4)]
    assert run.data.metrics["faults"] == len(monitor.verdict) > 0
    text = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/findings.txt")
    assert text.splitlines() == [str(finding) for finding in monitor.findings]


@STORE
def test_mlflow_keeps_the_active_run_active(mlflow, monitor):
    with mlflow.start_run(run_name="mine") as mine:
        mlflow.log_param("seed", "that of the data")
        trained(pynn.MLflowLogger(monitor), monitor=monitor)
        trained(pynn.MLflowLogger(), lr=2e-4)
        assert mlflow.active_run().info.run_id == mine.info.run_id
    [run] = runs(mlflow)
    assert (run.data.params["seed"], run.data.params["optimizer.lr"]) == ("that of the data", "0.0001")
    assert "val_loss" in run.data.metrics and "step/loss" not in run.data.metrics


@STORE
def test_mlflow_takes_losses_that_are_no_numbers(mlflow, monitor):
    class Exploded(pynn.Callback):
        def on_epoch_end(self, trainer):
            trainer.history.history["val_loss"][-1] = float("nan")

    trained(Exploded(), pynn.MLflowLogger(), monitor=monitor)
    [run] = runs(mlflow)
    assert np.isnan(run.data.metrics["val_loss"])
    assert "faults" not in run.data.metrics


@STORE
def test_mlflow_is_told_of_an_error(mlflow, monitor):
    try:
        raise KeyError
    except KeyError:
        with pytest.raises(pynn.NonFiniteError):
            trained(pynn.MLflowLogger(monitor), monitor=monitor, lr=10.0)
        trained(pynn.MLflowLogger())
    assert [run.info.status for run in runs(mlflow)] == ["FINISHED", "FAILED"]


# Weights & Biases


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    for name, value in {"MODE": "offline", "SILENT": "true", "DIR": str(tmp_path), "ERROR_REPORTING": "false"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    yield wandb
    wandb.teardown()  # reads the environment once


def records(content):
    """Yield the records of a run's file: LevelDB's log format behind a header of 7 bytes, in blocks of 32 KiB."""
    start, record = 7, b""
    while start + 7 <= len(content):
        if 2**15 - start % 2**15 < 7:  # too short for another header
            start += 2**15 - start % 2**15
            continue
        length, kind = int.from_bytes(content[start + 4 : start + 6], "little"), content[start + 6]
        record += content[start + 7 : start + 7 + length]
        start += 7 + length
        if kind in (1, 4):  # a whole record, or the end of one
            yield record
            record = b""


def written(folder):
    """Return the history and the config in the only offline run of a folder."""
    import wandb
    from wandb.proto import wandb_internal_pb2

    wandb.teardown()  # ends the process that writes the file
    [path] = folder.glob("wandb/offline-run-*/*.wandb")
    rows, config = [], {}
    for content in records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        if record.HasField("history"):
            items = record.history.item
            rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
        for item in [*record.config.update, *record.run.config.update]:
            config[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return rows, config


def test_wandb_has_settings_figures_and_findings(wandb, monitor, tmp_path):
    trainer = trained(pynn.WandbLogger(monitor, every=4), monitor=monitor)
    assert wandb.run is None
    rows, config = written(tmp_path)
    assert (config["optimizer"], config["optimizer.lr"], config["batch_size"]) == ("SGD", 1e-4, 30)
    epochs = [row for row in rows if "epoch" in row]
    assert [row["step"] for row in epochs] == [10, 20, 30]
    for name, column in trainer.history.history.items():
        np.testing.assert_array_equal([row[name] for row in epochs], column)
    assert [row["step"] for row in rows if "step/loss" in row] == [*range(4, 31, 4)]
    assert epochs[-1]["faults"] == len(monitor.verdict) > 0
    [path] = tmp_path.glob("wandb/offline-run-*/files/media/table/findings*.json")
    assert json.loads(path.read_text())["data"] == [[str(finding)] for finding in monitor.findings]


def test_wandb_keeps_the_active_run_active(wandb, monitor, tmp_path):
    with wandb.init(project="mine") as mine:
        trained(pynn.WandbLogger(), monitor=monitor)
        trained(pynn.WandbLogger(), lr=2e-4)
        assert wandb.run is mine
    rows, config = written(tmp_path)
    assert config["optimizer.lr"] == 2e-4
    assert [row["step"] for row in rows if "epoch" in row] == [10, 20, 30, 10, 20, 30]


# Both


@pytest.mark.parametrize(("make", "package"), [("MLflowLogger", "mlflow"), ("WandbLogger", "wandb")])
def test_without_the_package_the_error_says_what_to_install(make, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'{make} needs {package}: pip install "pynn-kernels\[{package}\]"'):
        getattr(pynn, make)()


@pytest.mark.parametrize(("make", "package"), [("MLflowLogger", "mlflow"), ("WandbLogger", "wandb")])
def test_the_interval_is_checked(make, package, monkeypatch):
    pytest.importorskip(package)
    with pytest.raises(ValueError, match="every is 0; expected a positive integer"):
        getattr(pynn, make)(every=0)
