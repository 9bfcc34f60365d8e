"""What is kept of a search: it goes on, adds trials, is no other search's, and survives half an entry."""

import hashlib
import json
import math
import os
import re
import subprocess
import sys

import optuna
import pytest
from search_builds import SPACE, build, build_own, build_with_dropout, find, same

import pynn
from pynn.search import LogUniform, Stage, StoreError

pytestmark = pytest.mark.filterwarnings("ignore::pynn.search.SearchWarning")


class Counted:
    """Builds, and counts how often."""

    def __init__(self):
        self.count = 0

    def __call__(self, params):
        self.count += 1
        return build(params)


def study_in(folder):
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "trials.journal"))
    (study,) = optuna.get_all_study_names(optuna.storages.JournalStorage(backend))
    return optuna.load_study(study_name=study, storage=optuna.storages.JournalStorage(backend))


@pytest.mark.parametrize("sampler", ["random", "grid", "quasi-random", "tpe"])
def test_a_search_that_is_called_again_runs_nothing_again(tmp_path, sampler):
    make = Counted()
    stages = [Stage(4, 1), Stage(2, 2, survivors=1)]
    first = find(make, folder=tmp_path / "run", sampler=sampler, stages=stages)
    trained = make.count
    again = find(make, folder=tmp_path / "run", sampler=sampler, stages=stages)
    assert same(first, again)
    assert make.count - trained <= 1  # the best network alone
    assert again.best_model.predict([[0.0, 0.0]]).tolist() == first.best_model.predict([[0.0, 0.0]]).tolist()
    saved = pynn.load(tmp_path / "run" / "best.safetensors")
    assert saved.predict([[0.0, 0.0]]).tolist() == first.best_model.predict([[0.0, 0.0]]).tolist()


def test_more_trials_are_added_and_fewer_refused(tmp_path):
    first = find(folder=tmp_path, trials=4)
    more = find(folder=tmp_path, trials=7)
    assert len(more.trials) == 7
    assert [trial.params for trial in more.trials[:4]] == [trial.params for trial in first.trials]
    assert same(more, find(trials=7))
    with pytest.raises(StoreError, match=r"stages was \[\[7, 2, 0\]\] and is \[\[4, 2, 0\]\]"):
        find(folder=tmp_path, trials=4)


OTHERS = {
    "space": ({"space": SPACE | {"lr": LogUniform(1e-4, 2.0)}}, "space was"),
    "seed": ({"seed": 1}, "seed was 0 and is 1"),
    "sampler": ({"sampler": "grid"}, 'sampler was "random" and is "grid"'),
    "epochs": ({"epochs": 3}, "stages was [[6, 2, 0]] and is [[6, 3, 0]]"),
    "metric": ({"metric": "val_loss"}, 'metric was "val_accuracy" and is "val_loss"'),
    "batches": ({"batch_size": 16}, "batch_size was 32 and is 16"),
    "function": ({"make": build_with_dropout}, 'build was "build" and is "build_with_dropout"'),
}


@pytest.mark.parametrize(("settings", "message"), OTHERS.values(), ids=OTHERS)
def test_the_store_of_another_search_is_refused_and_left_alone(tmp_path, settings, message):
    find(folder=tmp_path)
    before = (tmp_path / "trials.journal").read_bytes()
    with pytest.raises(StoreError, match=f"belongs to another search: .*{re.escape(message)}"):
        find(folder=tmp_path, **settings)
    assert (tmp_path / "trials.journal").read_bytes() == before
    assert len(find(folder=tmp_path).trials) == 6


def test_a_folder_is_one_search_s_at_a_time(tmp_path):
    refused = []

    def search_meanwhile(params):
        with pytest.raises(StoreError, match="another search is running in"):
            find(folder=tmp_path)
        refused.append(True)
        return build(params)

    find(search_meanwhile, folder=tmp_path, trials=1)
    assert refused


def test_half_an_entry_is_cut_off_and_its_trial_run_again(tmp_path):
    whole = find(folder=tmp_path)
    journal = tmp_path / "trials.journal"
    content = journal.read_bytes()
    assert content.endswith(b"\n")
    for cut in (1, 200):  # the entry but for its end, and much less of it
        journal.write_bytes(content[:-cut])
        assert same(find(folder=tmp_path), whole)
        assert [json.loads(line) for line in journal.read_bytes().splitlines()]


def test_what_is_no_store_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file is a file; expected a folder"):
        find(folder=tmp_path / "file")
    (tmp_path / "garbage").mkdir()
    (tmp_path / "garbage" / "trials.journal").write_text("no journal\nat all\n")
    with pytest.raises(StoreError, match="cannot read the store"):
        find(folder=tmp_path / "garbage")
    with pytest.raises(StoreError, match="cannot read the store 'nosuch://db'"):
        find(store="nosuch://db")


def test_a_study_that_is_not_pynn_s_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'search.db'}"
    other = optuna.create_study(study_name="pynn", storage=url, direction="maximize")
    other.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(StoreError, match="the study 'pynn' was not written by pynn"):
        find(store=url)


def test_trials_can_be_kept_in_a_database(tmp_path):
    url = f"sqlite:///{tmp_path / 'search.db'}"
    make = Counted()
    first = find(make, store=url)
    trained = make.count
    assert same(first, find(make, store=url))
    assert make.count == trained
    assert same(first, find())
    assert [path.name for path in tmp_path.iterdir()] == ["search.db"]


def test_optuna_reads_the_store_with_the_course_of_each_trial(tmp_path):
    result = find(folder=tmp_path, epochs=3)
    study = study_in(tmp_path)
    assert study.best_value == result.best.score
    assert study.best_params == result.best_params
    for mine, theirs in zip(result.trials, study.trials, strict=True):
        assert theirs.params == mine.params
        assert list(theirs.intermediate_values.values()) == mine.history["val_accuracy"]
        assert theirs.duration.total_seconds() == pytest.approx(mine.seconds, abs=1e-3)


def test_only_checkpoints_that_may_be_needed_are_kept(tmp_path):
    result = find(folder=tmp_path, stages=[Stage(8, 1), Stage(2, 2, survivors=2)])
    kept = {int(path.stem) for path in (tmp_path / "checkpoints").iterdir()}
    assert result.best.number in kept
    assert len(kept) <= 3
    assert not list(tmp_path.rglob("*.part"))


def test_failures_are_kept_too(tmp_path):
    result = find(build_own, folder=tmp_path, trials=2)  # there is no accuracy to judge by
    assert {trial.ended for trial in result.trials} == {"failed"}
    make = Counted()
    with pytest.raises(StoreError, match="build was"):
        find(make, folder=tmp_path, trials=2)
    again = find(build_own, folder=tmp_path, trials=2)
    assert same(result, again)
    assert {trial.state.name for trial in study_in(tmp_path).trials} == {"FAIL"}


# Damage, other versions, other code.


def entries(folder):
    return (folder / "trials.journal").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("damage", [b"{", b"\x00" * 40, b"\xff\xfe{}", b"[]", b"[" * 100_000], ids=range(5))
def test_a_damaged_line_is_named_and_without_it_the_search_goes_on(tmp_path, damage):
    whole = find(folder=tmp_path)
    lines = entries(tmp_path)
    journal = tmp_path / "trials.journal"
    journal.write_bytes(b"".join((*lines[:4], damage + b"\n", *lines[5:])))
    with pytest.raises(StoreError, match=r"line 5 is damaged, .*; delete that line"):
        find(folder=tmp_path)
    journal.write_bytes(b"".join((*lines[:4], *lines[5:])))
    assert same(find(folder=tmp_path), whole)


def test_no_letter_of_a_record_changes_unnoticed(tmp_path):
    """Half of the letters of a journal, one by one: the same trials come of it, or a StoreError."""
    whole = find(folder=tmp_path, trials=2, epochs=1)
    journal = tmp_path / "trials.journal"
    content = journal.read_bytes()
    refused = 0
    for place in range(0, len(content), 29):
        journal.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            assert same(find(folder=tmp_path, trials=2, epochs=1), whole), content[place - 20 : place + 20]
        except StoreError:
            refused += 1
    assert refused > len(content) / 29 / 2


NOT_REAL = ("0.5", None, [1], {}, True)
NOT_A_COUNT = (*NOT_REAL, -1, 0.5, math.nan, math.inf)
INVALID = {
    "number": (*NOT_A_COUNT, 1, 77),
    "stage": (*NOT_A_COUNT, 0, 5),
    "epochs": (*NOT_A_COUNT, 3),
    "steps": NOT_A_COUNT,
    "continues": ("0", [1], {}, True, -1, 0.5, math.nan, None, 4, 77),
    "ended": ("", "Finished", None, 1, [], {}),
    "reason": (None, 1, []),
    "params": (None, 5, [1], "lr", {}, {"lr": 0.1}, {"lr": 0.1, "width": 8, "more": 1}),
    "params.lr": (*NOT_REAL, 0.0, 2.0, math.nan, math.inf),
    "params.width": (*NOT_REAL, 8.0, 3, 33),
    "score": (*NOT_REAL, math.nan, math.inf),
    "seconds": (*NOT_REAL, -1.0, math.nan, math.inf),
    "initial_loss": NOT_REAL,
    "history": (None, 5, [1], "x", {"loss": 0.5}, {"loss": [1.0] * 3}, {"loss": [1.0], "lr": []}),
    "history.loss": (None, 5, ["x"], [None], [True]),
    "more": (1,),
}


def changed_record(line, name, value):
    """Return a line of a journal with a field of its record replaced, and a digest that fits."""
    entry = json.loads(line)
    record = json.loads(entry["user_attrs"]["pynn.trial"])
    outer, _, inner = name.rpartition(".")
    (record[outer] if outer else record)[inner] = value
    text = json.dumps(record)
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    entry["user_attrs"] |= {"pynn.trial": text, "pynn.digest": digest}
    return json.dumps(entry).encode() + b"\n"


@pytest.mark.parametrize("name", INVALID)
def test_a_record_that_is_no_trial_of_the_search_is_named_whatever_its_digest(tmp_path, name):
    settings = {"folder": tmp_path, "stages": [Stage(3, 1), Stage(1, 2, survivors=1)]}
    find(**settings)
    *before, survivor, last = entries(tmp_path)
    for value in INVALID[name]:
        changed = changed_record(survivor, name, value)
        (tmp_path / "trials.journal").write_bytes(b"".join((*before, changed, last)))
        with pytest.raises(StoreError, match=r"has an invalid record, .*\{.number.: .*; delete its line") as caught:
            find(**settings)
        assert str(tmp_path) in str(caught.value)
        assert name.rpartition(".")[2] in str(caught.value)


def test_a_record_without_a_field_is_named(tmp_path):
    find(folder=tmp_path)
    *before, last = entries(tmp_path)
    for text in ("{}", "[]", "null", "{", "[" * 100_000):
        entry = json.loads(last)
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        entry["user_attrs"] |= {"pynn.trial": text, "pynn.digest": digest}
        (tmp_path / "trials.journal").write_bytes(b"".join((*before, json.dumps(entry).encode() + b"\n")))
        with pytest.raises(StoreError, match=r"has an invalid record, .*; delete its line"):
            find(folder=tmp_path)


def test_a_store_of_another_version_is_refused(tmp_path):
    find(folder=tmp_path)
    journal = tmp_path / "trials.journal"
    content = journal.read_text()
    for other, age in (('\\"format\\": 3', "a newer"), ('\\"x\\": 2', "an older")):
        changed = content.replace('\\"format\\": 2', other)
        assert changed != content
        journal.write_text(changed)
        with pytest.raises(StoreError, match=f"was written by {age} version of pynn.*choose another folder"):
            find(folder=tmp_path)
        assert journal.read_text() == changed


MODULE = """
import pynn
{constant}
def build(params):
    return pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(params["lr"]))
def network():
    {comment}
    return pynn.Sequential(pynn.Linear(2, WIDTH), {layer}, pynn.Linear(WIDTH, 3))
"""


def module(**parts):
    parts = {"constant": "WIDTH = 4", "comment": "", "layer": "pynn.ReLU()"} | parts
    names = {"__name__": "made"}
    exec(MODULE.format(**parts), names)
    return names["build"]


def test_a_changed_build_is_refused_and_a_changed_comment_is_not(tmp_path):
    settings = {"space": {"lr": LogUniform(1e-3, 0.1)}, "trials": 2, "folder": tmp_path}
    first = find(module(), **settings)
    assert same(find(module(comment="# said otherwise"), **settings), first)
    for change in ({"constant": "WIDTH = 5"}, {"layer": "pynn.Tanh()"}):
        with pytest.raises(StoreError, match=r"another search: code of build was .* and is"):
            find(module(**change), **settings)


def test_fixed_options_of_the_command_are_part_of_the_search(run):
    quick = ("search", "--trials", 2, "--epochs", 1, "--stages", 1, "--processes", 1, "-q", "--folder", "kept")
    run(*quick, "--width", 8)
    refused = run(*quick, "--width", 16, code=1)
    assert "code of build was" in refused.output
    run(*quick, "--width", 8)


def test_a_folder_may_be_renamed_and_called_anything(tmp_path):
    whole = find(folder=tmp_path / "run")
    for name in ("ünï %s {0} 'quoted'", "[red]", "a" * 200, "\udcff"):
        (tmp_path / "run").rename(tmp_path / name)
        assert same(find(folder=tmp_path / name), whole)
        (tmp_path / name).rename(tmp_path / "run")
    assert len(entries(tmp_path / "run")) == 2 + 6  # nothing was begun anew


def test_a_damaged_checkpoint_costs_time_only(tmp_path):
    stages = [Stage(3, 2), Stage(0, 4, survivors=2)]
    whole = find(build_with_dropout, {"lr": LogUniform(1e-3, 0.1)}, stages=stages)
    find(build_with_dropout, {"lr": LogUniform(1e-3, 0.1)}, stages=stages, folder=tmp_path)
    lines = entries(tmp_path)
    (tmp_path / "trials.journal").write_bytes(b"".join(lines[:-2]))  # the survivors' second stage is to be run again
    for path in (tmp_path / "checkpoints").iterdir():
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert same(find(build_with_dropout, {"lr": LogUniform(1e-3, 0.1)}, stages=stages, folder=tmp_path), whole)


def test_a_full_disk_is_named_and_what_is_stored_stays(tmp_path):
    resource = pytest.importorskip("resource")
    whole = find(folder=tmp_path / "whole")
    size = (tmp_path / "whole" / "trials.journal").stat().st_size
    script = (
        "import sys, resource, signal; sys.path.insert(0, sys.argv[1]); from search_builds import find\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size * 2 // 3}, {resource.RLIM_INFINITY}))\n"
        "try: find(folder=sys.argv[2])\n"
        "except OSError as error: print(error)\n"
    )
    tests, folder = os.path.dirname(os.path.dirname(__file__)), tmp_path / "run"
    done = subprocess.run([sys.executable, "-c", script, tests, folder], capture_output=True, text=True, timeout=120)
    assert "stored trials are kept" in done.stdout, done.stderr
    assert str(folder) in done.stdout
    begun = len(entries(folder))
    assert same(find(folder=folder), whole)
    assert entries(folder)[: begun - 1] == entries(tmp_path / "run")[: begun - 1]


def test_without_a_home_a_search_works(tmp_path):
    script = """
import sys
if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    from search_builds import find
    find(folder=sys.argv[2], workers=2)
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    command = [sys.executable, "-c", script, os.path.dirname(os.path.dirname(__file__)), tmp_path / "run"]
    subprocess.run(command, env=environment, check=True, timeout=120)


def test_a_database_that_fails_is_named_without_its_password(tmp_path):
    with pytest.raises(StoreError) as caught:
        find(store="nosuch://me:secret@host/db")
    assert "secret" not in str(caught.value)
    assert "nosuch://me@host/db" in str(caught.value)
