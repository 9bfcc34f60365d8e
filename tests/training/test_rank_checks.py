"""What ranks compare before each epoch: everything that a callback may have changed on one of them."""

import pytest

import pynn
from pynn.training import rank_checks

CHANGES = {
    "optimizer": lambda trainer: setattr(trainer.optimizer, "lr", 5.0),
    "schedule": lambda trainer: setattr(trainer, "schedule", pynn.StepLR(3)),
    "regularizers": lambda trainer: setattr(trainer, "regularizers", (pynn.L2(0.1),)),
    "loss": lambda trainer: setattr(trainer.loss, "label_smoothing", 0.1),
    "clipping": lambda trainer: setattr(trainer, "clip_norm", 1.0),
    "layers": lambda trainer: setattr(trainer.model[1], "p", 0.1),
    "layers: frozen": lambda trainer: trainer.model[0].freeze(),
    "layers: rate": lambda trainer: setattr(trainer.model[0].weight, "lr_factor", 0.5),
    "weights": lambda trainer: trainer.model[0].weight.__setitem__((0, 0), 1e-3),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_one_rank_changes_is_named(what):
    model = pynn.Sequential(pynn.Linear(3, 4), pynn.Dropout(0.5), pynn.Linear(4, 2))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    before = rank_checks.between_epochs(trainer)
    CHANGES[what](trainer)
    after = rank_checks.between_epochs(trainer)
    assert [name for name in before if before[name] != after[name]] == [what.partition(":")[0]]
