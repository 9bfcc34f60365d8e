"""Training leaves no thread behind."""

import threading

import pytest


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pynn-batches")]
