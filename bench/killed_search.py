"""A search whose driver is killed at random moments: the finished trials that are lost or run again."""

import json
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pynn
from pynn import search

#: Names the file to which `build_noted` writes.
NOTES = "PYNN_BENCH_NOTES"


def build_noted(params):
    """Return a trainer, and record in a file that a trial has begun."""
    line = json.dumps([os.getpid(), params]) + "\n"
    handle = os.open(os.environ[NOTES], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)
    model = pynn.Sequential(pynn.Linear(64, 32, init="he_normal"), pynn.ReLU(), pynn.Linear(32, 10))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(params["lr"], weight_decay=params["weight_decay"]))


def search_noted(folder, data):
    """Run the search that is killed, or goes on."""
    space = {"lr": search.LogUniform(1e-4, 10.0), "weight_decay": search.LogUniform(1e-6, 1.0)}
    stages = (search.Stage(260, 5), search.Stage(40, 15, survivors=40))
    return search.run(build_noted, space, *data, stages=stages, workers=2, folder=folder, seed=7)


def killed(command, notes, delay):
    """Start a search, kill it `delay` seconds after its first trial begins, and return its pid; None if it ended."""
    notes.unlink(missing_ok=True)
    process = subprocess.Popen(command, env=os.environ | {NOTES: str(notes)})
    limit = time.monotonic() + 60
    while not notes.exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)  # it counts only if trials run
    time.sleep(delay)
    if process.poll() is not None:
        return None
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.2)  # its workers end with it
    return process.pid


def stored(folder):
    """Return the trials in a folder's journal, read without a lock."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = Path(folder) / "trials.journal"
    if not path.exists():
        return {}
    whole = path.read_bytes()
    copy = Path(folder) / "copy.journal"
    copy.write_bytes(whole[: whole.rfind(b"\n") + 1])
    try:
        storage = JournalStorage(JournalFileBackend(str(copy)))
        studies = optuna.get_all_study_names(storage)
        if not studies:
            return {}
        trials = optuna.load_study(study_name=studies[0], storage=storage).get_trials()
    finally:
        copy.unlink()
    records = [json.loads(trial.user_attrs["pynn.trial"]) for trial in trials]
    numbers = [record["number"] for record in records]
    assert len(set(numbers)) == len(numbers), "a trial is stored twice"
    return {record["number"]: record for record in records}


def needlessly(known, params):
    """Return whether a trial with these parameters began after all trials with them had ended."""
    ended = [record for record in known.values() if record["params"] == params]
    # A survivor's parameters run twice, once per stage.
    continued = {record["continues"] for record in known.values()}
    return bool(ended) and all(record["stage"] == 1 or record["number"] in continued for record in ended)


def comparable(trial):
    """Return what is the same in every run of a trial, as text: in text, NaN equals NaN."""
    record = trial.as_record()
    history = {name: column for name, column in record["history"].items() if name != "seconds"}
    return json.dumps({name: value for name, value in record.items() if name != "seconds"} | {"history": history})


def figures(kills, seed, command, data):
    """Kill `command`, which is given a folder and runs `search_noted`; return the counts of trials."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder, notes = Path(scratch) / "killed", Path(scratch) / "notes"
        lost = again = 0
        known, rows = {}, []
        while len(rows) < kills:
            driver = killed([*command, str(folder)], notes, chance.uniform(0.0, 0.1))
            if driver is None:
                break
            now = stored(folder)
            lost += sum(number not in now for number in known)
            begun = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
            # The driver itself builds only the best network, at the end.
            again += sum(needlessly(known, params) for pid, params in begun if pid != driver)
            rows.append({"ended before": len(known), "ended after": len(now), "begun": len(begun)})
            known = now
        notes.unlink(missing_ok=True)
        os.environ[NOTES] = str(notes)
        resumed, whole = search_noted(folder, data), search_noted(Path(scratch) / "whole", data)
    same = [comparable(a) == comparable(b) for a, b in zip(resumed.trials, whole.trials, strict=True)]
    return {
        "kills": len(rows),
        "trials": len(same),
        "finished trials lost": lost,
        "run again after they finished": again,
        "the same as in a search that was not killed": sum(same),
        "runs": rows,
    }
