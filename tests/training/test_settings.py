"""What a trainer is made of may be assigned, checked; what only tells of the run may not."""

import math

import numpy as np
import pytest

import pynn

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def new_trainer(optimizer=None, loss=None, **options):
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(3, 4), pynn.ReLU(), pynn.Linear(4, 2))
    return pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), optimizer or pynn.SGD(0.1), **options)


def assert_same(left, right):
    for name, array in left.model.state_dict().items():
        np.testing.assert_array_equal(array, right.model.state_dict()[name], err_msg=name)


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("lr", 1e-6, r"assign trainer\.optimizer\.lr"),
        ("seed", 3, "make a new Trainer"),
        ("model", pynn.Sequential(pynn.Linear(3, 2)), "make a new Trainer"),
        ("history", pynn.History(), "a new Trainer has a new one"),
    ],
)
def test_what_tells_of_the_run_cannot_be_assigned(name, value, advice):
    trainer = new_trainer()
    before = getattr(trainer, name)
    with pytest.raises(AttributeError, match=rf"trainer\.{name} cannot be assigned: .*{advice}"):
        setattr(trainer, name, value)
    assert getattr(trainer, name) is before


def test_the_rate_is_that_of_the_optimizer():
    trainer = new_trainer()
    trainer.optimizer.lr = 1e-6
    assert trainer.fit(X, Y, epochs=1)["lr"] == [1e-6]
    assert trainer.lr == 1e-6


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "fast", None, True])
def test_a_rate_that_is_none_is_refused(value):
    trainer = new_trainer()
    with pytest.raises(ValueError, match=r"lr is .*expected a number of at least 0"):
        trainer.optimizer.lr = value
    assert trainer.optimizer.lr == 0.1


def test_another_optimizer_starts_afresh(backend):
    trainer, fresh = new_trainer(pynn.Adam()), new_trainer(pynn.Adam())
    trainer.fit(X, Y, epochs=2)
    fresh.model.load_state_dict(trainer.model.state_dict())
    trainer.optimizer = pynn.Adam(0.01)
    fresh = pynn.Trainer(fresh.model, pynn.CrossEntropyLoss(), fresh.optimizer)
    fresh.optimizer.lr = 0.01
    for _ in range(4):
        assert trainer.step(X, Y) == fresh.step(X, Y)
    assert_same(trainer, fresh)


def test_the_old_optimizer_can_come_back(backend):
    trainer, old = new_trainer(pynn.SGD(0.1, momentum=0.9)), None
    trainer.fit(X, Y, epochs=1)
    old, velocity = trainer.optimizer, trainer.optimizer.state["velocity"].copy()
    trainer.optimizer = pynn.Adam()
    trainer.fit(X, Y, epochs=1)
    trainer.optimizer = old
    np.testing.assert_array_equal(old.state["velocity"], velocity)
    trainer.fit(X, Y, epochs=1)
    assert (old.state["velocity"] != velocity).any()


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("optimizer", "adam", TypeError, "optimizer is 'adam'; expected a pynn.Optimizer"),
        ("optimizer", pynn.Adam, TypeError, r"expected a pynn.Optimizer: write Adam\(...\)"),
        ("loss", "mse", TypeError, "loss is 'mse'; expected a pynn loss"),
        ("loss", pynn.MSELoss, TypeError, r"expected an instance: MSELoss\(\)"),
        ("schedule", 0.1, TypeError, "schedule is 0.1; expected a pynn.Schedule"),
        ("regularizers", [0.1], TypeError, "one of regularizers is 0.1"),
        ("regularizers", 0.1, TypeError, "regularizers is 0.1; expected a list"),
        ("clip_norm", -1.0, ValueError, "clip_norm is -1.0; expected a positive number"),
        ("clip_value", "1", ValueError, "clip_value is '1'; expected a positive number"),
        ("matmul_precision", "low", ValueError, "matmul_precision is 'low'; expected one of highest, high, medium"),
    ],
)
def test_a_setting_is_checked_when_it_is_assigned(name, value, error, said):
    trainer = new_trainer()
    before = getattr(trainer, name)
    with pytest.raises(error, match=said):
        setattr(trainer, name, value)
    assert getattr(trainer, name) is before
    trainer.fit(X, Y, epochs=1)


def test_an_optimizer_of_another_model_is_refused():
    trainer, other = new_trainer(), new_trainer()
    with pytest.raises(ValueError, match="this optimizer, SGD, is already bound to another model"):
        trainer.optimizer = other.optimizer
    trainer.fit(X, Y, epochs=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", pynn.CrossEntropyLoss([1.0, 3.0])),
        ("schedule", pynn.StepLR(1, 0.5)),
        ("schedule", None),
        ("regularizers", [pynn.L2(0.01)]),
        ("clip_norm", 0.01),
        ("clip_value", 0.001),
    ],
)
def test_a_setting_that_is_assigned_has_effect(name, value, backend):
    options = {} if name == "loss" else {name: value}
    made = new_trainer(loss=value if name == "loss" else None, **options)
    assigned, plain = new_trainer(), new_trainer()
    for trainer in (assigned, plain):  # a step is recorded before
        trainer.step(X, Y)
    for trainer in (assigned, plain):
        trainer.model.load_state_dict(made.model.state_dict())
        trainer.steps = 0
    setattr(assigned, name, value)
    for trainer in (made, assigned, plain):
        trainer.fit(X, Y, epochs=3)
    assert_same(made, assigned)
    if value is not None:
        assert made.history["loss"] != plain.history["loss"]


def test_another_loss_says_what_the_outputs_mean():
    trainer = new_trainer()
    trainer.loss = pynn.MSELoss()
    assert trainer.model.output_kind == "values"
    trainer.loss = lambda prediction, target: (0.0, np.zeros_like(prediction))
    assert trainer.step(X, Y) == 0
    assert trainer.model.output_kind is None


# A schedule that has ended


ENDED = {
    "cosine": lambda: pynn.CosineAnnealingLR(3),
    "cosine by steps": lambda: pynn.CosineAnnealingLR(6, by="step"),
    "steps": lambda: pynn.StepLR(1, 1e-4),
    "exponential": lambda: pynn.ExponentialLR(1e-4),
    "after warm-up": lambda: pynn.WarmupLR(2, then=pynn.CosineAnnealingLR(3)),
    "to nothing": lambda: pynn.StepLR(3, 0.0),
}


@pytest.mark.parametrize("name", ENDED)
@pytest.mark.parametrize("given", [False, True])
def test_a_fit_at_a_rate_of_zero_is_warned_of(name, given, recwarn):
    trainer = new_trainer(schedule=ENDED[name]())
    data = ([(X[:30], Y[:30]), (X[30:], Y[30:])],) if given else (X, Y)
    options = {} if given else {"batch_size": 30}
    trainer.fit(*data, epochs=3, **options)
    assert not [warning for warning in recwarn if issubclass(warning.category, pynn.TrainingWarning)]
    with pytest.warns(
        pynn.TrainingWarning, match="reaches a rate of 0: this fit, up to epoch 5, trains nothing in all"
    ):
        trainer.fit(*data, epochs=2, **options)
    trainer.schedule = None
    trainer.fit(*data, epochs=2, **options)
    assert len(recwarn) == 0


def test_epochs_after_the_end_of_a_schedule_are_warned_of():
    trainer = new_trainer(schedule=pynn.CosineAnnealingLR(4))
    with pytest.warns(pynn.TrainingWarning, match="up to epoch 10, trains nothing from epoch 5 on"):
        trainer.fit(X, Y, epochs=10)


@pytest.mark.parametrize(
    "schedule",
    [
        pynn.CosineAnnealingLR(5),
        pynn.CosineAnnealingLR(4),  # one epoch at the end, as PyTorch's T_max of epochs - 1 has it
        pynn.CosineAnnealingLR(2, eta_min=1e-6),
        pynn.StepLR(1, 0.1),
        pynn.WarmupLR(10**6),
        pynn.OneCycleLR(0.1, 5, cycle_momentum=False, by="epoch"),
        pynn.CosineAnnealingWarmRestarts(2),
    ],
)
@pytest.mark.filterwarnings("error")
def test_schedules_that_train_to_the_end_are_not_warned_of(schedule):
    new_trainer(schedule=schedule).fit(X, Y, epochs=5)


@pytest.mark.filterwarnings("error")
def test_a_rate_of_zero_that_was_asked_for_is_not_warned_of():
    new_trainer(pynn.SGD(0.0)).fit(X, Y, epochs=1)
    new_trainer(pynn.SGD(0.0), schedule=pynn.StepLR(1)).fit(X, Y, epochs=1)


class Wrong(pynn.Schedule):
    def __init__(self, value=-1.0):
        self.value = value

    def at(self, base, count):
        return self.value


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_schedule_that_gives_no_rate_is_refused(value):
    trainer = new_trainer(schedule=Wrong(value))
    with pytest.raises(ValueError, match=rf"the rate of Wrong\(.*\) after 0 epochs and 0 steps is {value}; exp"):
        trainer.fit(X, Y, epochs=1)
    assert trainer.steps == 0


@pytest.mark.parametrize("later", [-0.5, math.nan, math.inf, None, "0.1", np.ones(2)])
@pytest.mark.parametrize("by", ["epoch", "step"])
def test_rates_that_are_none_are_refused_when_they_come(later, by):
    """By steps of one's own as well: a negative rate climbs, and None stood for the optimiser's own."""
    trainer = new_trainer(schedule=pynn.LambdaLR(lambda count: 1.0 if count < 2 else later, by=by))
    for number in range(2):
        trainer.step(X, Y)
        trainer.epoch = number + 1
    before = trainer.model.state_dict()
    with pytest.raises(ValueError, match=r"the (factor|rate) of LambdaLR.* is .*; expected a number"):
        trainer.step(X, Y)
    assert trainer.steps == 2
    for name, array in trainer.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_rate_may_be_an_array_without_dimensions():
    trainer = new_trainer(schedule=pynn.LambdaLR(lambda epoch: np.where(epoch < 2, 1.0, 0.5)))
    assert trainer.fit(X, Y, epochs=3)["lr"] == [0.1, 0.1, 0.05]


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda p, y: float((p**2).mean()), r"the loss function returned 0\..*; expected \(loss, gradient\)"),
        (lambda p, y: None, "the loss function returned None; expected"),
        (lambda p, y: (p**2, p), r"the loss function returned \(array"),
    ],
)
def test_functions_that_are_no_losses(loss, said):
    trainer = new_trainer()
    trainer.loss = loss
    with pytest.raises(TypeError, match=said):
        trainer.step(X, Y)


def test_losses_of_pytorch_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"loss is PyTorch's MSELoss\(\); expected pynn's"):
        new_trainer().loss = torch.nn.MSELoss()


@pytest.mark.parametrize("value", [None, "x", np.ones(3)])
def test_metrics_that_are_no_numbers(value):
    def mine(y, predicted):
        return value

    with pytest.raises(TypeError, match=r"the metric mine returned .*; expected a number"):
        new_trainer().evaluate(X, Y, metrics=[mine])


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"compression": "gzip"}, ValueError, "compression is 'gzip'; expected"),
        ({"compression": 7}, (TypeError, ValueError), "compression is 7"),
        ({"compression": "bfloat16"}, ValueError, "pass their communicator, comm="),
    ],
)
def test_a_compression_that_cannot_be_is_refused_without_ranks_too(options, error, said):
    model = pynn.Sequential(pynn.Linear(2, 3))
    with pytest.raises(error, match=said):
        pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), **options)
