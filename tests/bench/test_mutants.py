"""Mutants of ordinary programs: each can be built, and differs from its program."""

import numpy as np
import pytest
from cases import case

from bench.faults import data
from bench.real_faults import accepted
from bench.real_faults.mutants import OPERATORS, mutants
from bench.real_faults.ordinary import PROGRAMS


@pytest.fixture
def without_downloads(monkeypatch):
    def noise(seed, features, n=300):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(0, 255, (n, features)).astype(np.float32), np.arange(n) % 10
        return data.Split(x, y, x[:50], y[:50])

    monkeypatch.setattr(data, "mnist", lambda seed, n: noise(seed, 784))
    monkeypatch.setattr(data, "cifar_images", lambda seed, n: data.as_images(noise(seed, 768), 3, 16, 16))


def seen(run):
    """Return all that decides how a run goes."""
    trainer = run.trainer
    layers = [repr(layer) for layer in trainer.model]
    settings = [repr(each) for each in (trainer.optimizer, trainer.loss, trainer.regularizers)]
    numbers = [run.x.shape, run.x.sum(), run.y.sum(), run.validation[0][0].tobytes(), trainer.model.flat.values.sum()]
    rest = [run.epochs, run.batch_size, run.shuffle, trainer.clip_norm, trainer.clip_value]
    return [*layers, *settings, *map(str, numbers), *map(str, rest)]


def test_a_mutant_can_be_built_and_differs_from_its_program(without_downloads):
    programs = {name: build().run() for name, build in PROGRAMS.items()}
    for mutant in mutants():
        with case(mutant.name):
            setup = PROGRAMS[mutant.program]()
            mutant.change(setup)
            run = setup.run()
            assert seen(run) != seen(programs[mutant.program])
            with np.errstate(all="ignore"):
                outputs = run.trainer.model.infer(run.x[:8])
            assert outputs.shape == programs[mutant.program].trainer.model.infer(run.validation[0][:8]).shape


def test_names_are_unique_and_every_operator_has_answers_and_mutants():
    names = [mutant.name for mutant in mutants()]
    assert len(set(names)) == len(names) and {mutant.operator for mutant in mutants()} == set(OPERATORS)
    for _, tags in OPERATORS.values():
        assert set(tags) <= set(accepted.ACCEPTED)
