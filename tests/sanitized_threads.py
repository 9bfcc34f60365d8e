"""Uses the team of threads in every way at once, for a build that watches for data races (see `.ci/sanitize-threads`).

Several Python threads call kernels that share out work, train networks, and change how many threads there may be; in
between the process forks, and the child does the same. Results must be those of one thread. Not collected by pytest.
"""

import itertools
import os
import sys
import threading

import numpy as np

import pynn
from pynn import ops
from pynn.backends import selection

ROUNDS = 20  # or as many as the command line says
CALLERS = 4
COUNTS = (1, 2, 3, 4)

selection.eager_threads = True  # whatever they cost


def kernels(seed):
    """Return what kernels of every kind give that share out work."""
    rng = np.random.default_rng(seed)
    a, b, x = (rng.standard_normal(shape, np.float32) for shape in ((150, 200), (200, 170), (400, 90)))
    images, filters = rng.standard_normal((4, 8, 16, 16), np.float32), rng.standard_normal((12, 8, 3, 3), np.float32)
    columns = [rng.standard_normal(90, np.float32) for _ in range(4)]
    forward = ops.batch_norm(x, *columns[:3], np.abs(columns[3]), activation="relu")
    maps = ops.conv2d(images, filters, padding=1)
    w, g, m, v = (np.abs(rng.standard_normal(50_000, np.float32)) for _ in range(4))
    ops.adam(w, g, m, v, np.array([[0, w.size]]), np.array([[0.1, 0.01]]), step=2, stats=np.zeros((1, 3)))
    return [
        ops.matmul(a, b, activation="tanh"),
        *ops.linear_backward(ops.matmul(a, b), a, b),
        *forward,
        *ops.batch_norm_backward(x, x, *columns[:2], *forward[1:]),
        maps,
        *ops.conv2d_backward(maps, images, filters, padding=1),
        ops.gelu(rng.standard_normal(100_000, np.float32)),
        ops.softmax_cross_entropy(x, rng.integers(0, 90, 400))[1],
        ops.max_pool2d(images, 2)[0],
        w,
    ]


def training(seed):
    """Return the weights after a few steps, most of them recorded ones."""
    rng = np.random.default_rng(seed)
    layers = (pynn.Linear(40, 120, init=np.ones), pynn.BatchNorm1d(120), pynn.ReLU(), pynn.Dropout(0.2))
    model = pynn.Sequential(*layers, pynn.Linear(120, 5, init=lambda shape: np.eye(*shape)))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(lr=0.1, momentum=0.9))
    x, y = rng.standard_normal((256, 40), np.float32), rng.integers(0, 5, 256)
    for _ in range(6):
        trainer.step(x, y)
    return [np.array(parameter) for parameter in model.parameters()]


WORK = (kernels, training)


def same(results, expected):
    return all(np.array_equal(got, want) for got, want in zip(results, expected, strict=True))


def caller(number, rounds, expected, wrong):
    """Do all the work again and again, and note what comes out differently."""
    for turn in range(rounds):
        work = WORK[(number + turn) % len(WORK)]
        if not same(work(number), expected[work, number]):
            wrong.append(f"{work.__name__} of thread {number}, round {turn}")


def fork(expected):
    """Fork while the team may be at work; the child must compute as before, with a team of its own."""
    child = os.fork()
    if child == 0:
        pynn.set_num_threads(2)
        os._exit(0 if same(kernels(0), expected[kernels, 0]) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(rounds=ROUNDS):
    """Compute on one thread first; then at once, with forks and changes of the team's size in between."""
    pynn.use_backend("cython")
    pynn.set_num_threads(1)
    expected = {(work, number): work(number) for work in WORK for number in range(CALLERS)}
    wrong = []
    threads = [threading.Thread(target=caller, args=(number, rounds, expected, wrong)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    forks = 0
    for count in itertools.cycle(COUNTS):
        if not any(thread.is_alive() for thread in threads):
            break
        pynn.set_num_threads(count)
        if forks < rounds:
            status, forks = fork(expected), forks + 1
            if status:
                wrong.append(f"a forked child ended with {status}")
    if wrong:
        sys.exit("; ".join(wrong))
    sys.stdout.write(f"{CALLERS} threads, {rounds} rounds each, {forks} forks: the results of one thread\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
