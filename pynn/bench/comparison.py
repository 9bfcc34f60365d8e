"""Runs contestants in turn, each in its own process, so that noise affects all of them equally."""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from typing import IO, Any, NamedTuple

from .cases import Case
from .limits import MachineLimits
from .worker import environment


class ContestantError(RuntimeError):
    """A contestant's process died, or a case failed in it."""


class Remote:
    """A contestant in its own process."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self._log: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pynn.bench.worker", name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(threads),
            text=True,
        )

    def ask(self, **request: Any) -> Any:
        """Send a request and return the answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise ContestantError(f"{self.name} ended: {self._last_output()}")
        reply = json.loads(line)
        if "error" in reply:
            raise ContestantError(f"{self.name}: {reply['error']}")
        return reply["value"]

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            self._process.communicate(json.dumps({"exit": True}) + "\n", timeout=5)
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _last_output(self) -> str:
        self._log.seek(0)
        return (self._log.read().strip().splitlines() or ["no word"])[-1]


class Row(NamedTuple):
    """Seconds per call of each contestant in a case, one figure per round; and the failures."""

    case: Case
    seconds: dict[str, list[float]]
    failures: dict[str, str]

    def ratio(self, against: str) -> tuple[float, float, float]:
        """Return the speed ratio of pynn: the median over the rounds, and the quartiles."""
        pairs = zip(self.seconds["pynn"], self.seconds[against], strict=True)
        low, middle, high = statistics.quantiles((theirs / ours for ours, theirs in pairs), n=4, method="inclusive")
        return middle, low, high


class Field:
    """All contestants, started together; a context manager."""

    def __init__(self, names: Iterable[str], threads: int) -> None:
        self.threads = threads
        self._remotes = [Remote(name, threads) for name in names]

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *details: object) -> None:
        for remote in self._remotes:
            remote.close()

    def limits(self) -> MachineLimits:
        """Measure the machine's peak in pynn's process, after all others have started."""
        for remote in self._remotes:
            with contextlib.suppress(ContestantError):  # the first case will report the reason
                remote.ask(ready=True)
        answer = self._remotes[0].ask(limits=True)
        return MachineLimits(answer["operations"], [(size, rate) for size, rate in answer["copies"]])

    def compare(self, case: Case, *, rounds: int, block_seconds: float) -> Row:
        """Time a case: in each round, every contestant runs one block, in random order."""
        calls: dict[Remote, int] = {}
        failures: dict[str, str] = {}
        for remote in self._remotes:
            try:
                seconds = remote.ask(prepare=case)
            except ContestantError as error:
                failures[remote.name] = str(error)
                continue
            if seconds is not None:
                calls[remote] = max(1, round(block_seconds / seconds))
        times: dict[str, list[float]] = {remote.name: [] for remote in calls}
        for turn in range(rounds):
            # Shuffled: what one leaves in the caches, the next may find or miss.
            for remote in random.Random(turn).sample(list(calls), len(calls)):
                try:
                    times[remote.name].append(remote.ask(time=calls[remote]))
                except ContestantError as error:
                    failures[remote.name] = str(error)
                    del calls[remote], times[remote.name]
        return Row(case, times, failures)
