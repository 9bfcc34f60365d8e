"""Runs a function in a forked child, which a crash ends without taking the torture with it."""

import os
import pickle
import signal
import sys
import traceback
from pathlib import Path

from torture.harness import watch_fork_for_hangs


def in_child(function, *arguments):
    """Return what the function returns in a forked child, and raise AssertionError with what went wrong there."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        answer_and_exit(writer, function, arguments)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        content = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise AssertionError(f"the child was ended by {signal.Signals(os.WTERMSIG(status)).name}")
    assert content, f"the child ended with {os.waitstatus_to_exitcode(status)}, and no answer"
    failed, result = pickle.loads(content)
    if failed:
        raise AssertionError(result)
    return result


def answer_and_exit(writer, function, arguments):
    """Write what a function returns, or how it fails, to a pipe, and end this process."""
    status = 1
    try:
        watch_fork_for_hangs()
        try:
            answer = (False, function(*arguments))
        except BaseException as error:
            answer = (True, summary(error))
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def summary(error):
    """Return what went wrong in a few words: the error, what came before it, and where they were raised."""
    parts = []
    while error is not None:
        places = [
            f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-3:]
        ]
        parts.append(f"{type(error).__name__}: {error} ({' > '.join(places)})")
        error = error.__cause__ or error.__context__
    return ", after ".join(parts)
