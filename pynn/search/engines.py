"""Executors of other engines: an adapter to Ray, and how the data of a search get to the workers of an engine."""

from __future__ import annotations

import concurrent.futures as futures
from collections.abc import Callable
from typing import Any


class RayExecutor(futures.Executor):
    """Runs calls as tasks on a Ray cluster, one processor each.

    Call ``ray.init()`` first; by default it starts a cluster on this machine. A call whose process dies raises an
    error, and is not tried again by Ray.

    Raises ImportError if Ray is not installed, and RuntimeError if it has not been initialised.
    """

    def __init__(self) -> None:
        try:
            import ray
        except ImportError as error:
            raise ImportError("RayExecutor needs Ray: pip install 'pynn-kernels[ray]'") from error
        if not ray.is_initialized():
            raise RuntimeError("RayExecutor needs a cluster: call ray.init() first")
        self._task = ray.remote(num_cpus=1, max_retries=0)(_called)
        self.put = ray.put

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> futures.Future:
        """Start a call; references among the arguments become the objects that they refer to."""
        return self._task.remote(function, *arguments, **named).future()


def _called(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    return function(*arguments, **named)


def sent_once(executor: Any, thing: Any) -> Any | None:
    """Send an object to an engine's workers, each of which receives it at most once; return a reference for tasks.

    Returns None for an executor that knows no such references.
    """
    if isinstance(executor, RayExecutor):
        return executor.put(thing)
    if type(executor).__module__.partition(".")[0] == "distributed":
        return executor._client.scatter(thing, broadcast=True, hash=False)
    return None
