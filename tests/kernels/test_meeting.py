"""The barrier of compiled kernels, at which ranks of one host wait for each other."""

import threading

import numpy as np
import pytest

from pynn.backends.selection import kernels

pytestmark = pytest.mark.skipif(not hasattr(kernels(), "meet"), reason="needs compiled kernels")
ROUNDS = 300


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("spins", [0, 1000])
def test_all_see_what_each_wrote_before_it_met_the_others(count, spins):
    arrivals, memory = np.zeros((count, 8), np.int64), np.zeros((2, count))
    wrong = []

    def work(own):
        for step in range(1, ROUNDS + 1):
            memory[step % 2, own] = step
            kernels().meet(arrivals, own, memory, spins)
            if not (memory[step % 2] == step).all():
                wrong.append((own, step))

    threads = [threading.Thread(target=work, args=(own,)) for own in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert arrivals[:, 0].tolist() == [ROUNDS] * count


def test_a_recording_meets_again_and_knows_what_the_others_wrote():
    from pynn import ops

    arrivals, memory, out = np.zeros((2, 8), np.int64), np.ones((2, 3)), np.zeros(3)
    arrivals[1] = 1 << 40  # the other is always there
    with kernels().Recording((), list) as recording:
        kernels().meet(arrivals, 0, memory, 0)
        ops.add(memory[0], memory[1], out=out)
    assert recording.complete
    memory[1] = 5
    recording.run()
    assert out.tolist() == [6.0] * 3
    assert arrivals[0, 0] == 2


@pytest.mark.parametrize(
    ("arrivals", "own", "message"),
    [
        (np.zeros((2, 4), np.int64), 0, r"arrivals is \(2, 4\) of int64; expected \(processes, 8\) of int64"),
        (np.zeros((2, 8)), 0, "of float64; expected"),
        (np.zeros((2, 8), np.int64), 2, "own is 2; expected 0 to 1"),
    ],
)
def test_wrong_arguments_are_refused(arrivals, own, message):
    with pytest.raises(ValueError, match=message):
        kernels().meet(arrivals, own, arrivals, 0)
