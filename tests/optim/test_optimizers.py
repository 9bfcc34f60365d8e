"""Optimisers, schedules and regularisers as a trainer uses them; PyTorch's runs are the reference."""

import copy

import numpy as np
import pytest

import pynn
from pynn.backends.selection import kernels

pytestmark = pytest.mark.usefixtures("backend")

OPTIMIZERS = {
    "sgd": lambda: pynn.SGD(0.1),
    "sgd_decay": lambda: pynn.SGD(0.1, weight_decay=0.05),
    "sgd_momentum": lambda: pynn.SGD(0.05, 0.9, 0.01),
    "sgd_nesterov": lambda: pynn.SGD(0.05, momentum=0.8, nesterov=True, weight_decay=0.01),
    "adagrad": lambda: pynn.Adagrad(0.1),
    "adagrad_decay": lambda: pynn.Adagrad(0.1, lr_decay=0.1, weight_decay=0.03),
    "rmsprop": lambda: pynn.RMSprop(0.01),
    "rmsprop_momentum": lambda: pynn.RMSprop(0.01, alpha=0.9, momentum=0.7, eps=1e-6, weight_decay=0.02),
    "adam": lambda: pynn.Adam(0.02),
    "adam_decay": lambda: pynn.Adam(0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    "adamw": lambda: pynn.AdamW(0.02, betas=(0.9, 0.99), weight_decay=0.1),
    "adamw_default": pynn.AdamW,
}


def twenty_steps(name, optimizer, schedule, torch_vectors):
    """Take the steps of a stored run, and compare losses and weights with it."""
    stored = torch_vectors("training")
    layers = [pynn.Linear(6, 8, bias=False, dtype="float64"), pynn.BatchNorm1d(8, dtype="float64"), pynn.ReLU()]
    model = pynn.Sequential(*layers, pynn.Linear(8, 3, dtype="float64"))
    for key, parameter in model.named_parameters():
        parameter[...] = stored[f"start.{key}"]
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), optimizer, schedule=schedule)
    losses = [trainer.step(x, y) for x, y in zip(stored["x"], stored["labels"], strict=True)]
    np.testing.assert_allclose(losses, stored[f"{name}.losses"], rtol=1e-9)
    for key, array in model.state_dict().items():
        np.testing.assert_allclose(array, stored[f"{name}.{key}"], rtol=1e-8, atol=1e-10, err_msg=key)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_agree_with_pytorch(name, torch_vectors):
    twenty_steps(name, OPTIMIZERS[name](), None, torch_vectors)


@pytest.mark.parametrize("name", ["sgd_momentum", "sgd_nesterov", "rmsprop_momentum", "adam_decay", "adamw"])
def test_a_cycle_of_rate_and_momentum_agrees_with_pytorch(name, torch_vectors):
    twenty_steps(f"cycled_{name}", OPTIMIZERS[name](), pynn.OneCycleLR(0.1, 20), torch_vectors)


@pytest.mark.parametrize("make", [lambda: pynn.SGD(0.1, 0.9), lambda: pynn.RMSprop(momentum=0.5), pynn.Adam])
def test_updates_with_a_cycled_momentum_are_replayed(make, rng):
    """The replayed updates are those of kernels called one by one, also where the cycle begins and ends."""
    x, y = rng.normal(size=(8, 4)).astype(np.float32), rng.integers(3, size=8)
    weights, replays = [], []
    for replayed in (True, False):
        pynn.manual_seed(0)
        optimizer = make()
        trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(4, 3)), pynn.CrossEntropyLoss(), optimizer)
        for step in range(12):
            trainer.schedule = pynn.OneCycleLR(0.1, 12, base_momentum=0.0) if 3 <= step < 9 else None
            if not replayed:
                optimizer._plans.clear()
            trainer.step(x, y)
        weights.append(trainer.model.flat.values.copy())
        replays.append(sum(plan.recording.runs for plan in optimizer._plans.values() if plan.recording is not None))
    np.testing.assert_array_equal(*weights)
    assert replays == [11 if hasattr(kernels(), "Recording") else 0, 0]


def test_a_schedule_whose_momentum_is_none_is_named():
    class Odd(pynn.Schedule):
        def at(self, base, count):
            return base

        def momentum(self, epoch, step):
            return 1.5

    with pytest.raises(ValueError, match=r"momentum is 1\.5"):
        step_taken(one_layer(pynn.SGD(0.1, momentum=0.9), schedule=Odd()))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_owners_of_parts_make_the_whole_update_together(name):
    """Bit for bit; the first part ends within a weight, the second is empty."""
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=112).astype(np.float32), rng.normal(size=(3, 112)).astype(np.float32)
    found = []
    for part in (None, slice(0, 32), slice(32, 32), slice(32, 112)):
        optimizer, flat = OPTIMIZERS[name](), pynn.Sequential(pynn.Linear(6, 8), pynn.Linear(8, 3)).flat
        optimizer.bind(flat)
        flat.values[...] = start
        stats = np.full((4, 3), np.nan)
        for gradient in gradients:
            flat.grads[...] = gradient
            optimizer.step(stats=stats, part=part)
        rest = np.ones(112, bool)
        rest[part] = False
        np.testing.assert_array_equal(flat.values[rest], start[rest])
        found.append((np.array([flat.values, *optimizer.state.values()])[:, part or slice(0, 112)], stats))
    whole, *parts = found
    np.testing.assert_array_equal(np.concatenate([arrays for arrays, _ in parts], axis=1), whole[0])
    np.testing.assert_allclose(sum(stats for _, stats in parts), whole[1], rtol=1e-6)


def one_layer(optimizer, **options):
    """Return a trainer whose gradient is the mean of x, times 2 / 3, whatever the weights' effect on the loss."""

    def loss(prediction, target):
        return float(prediction.mean()), np.full_like(prediction, 1 / prediction.size)

    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(4, 3, dtype="float64"))
    return pynn.Trainer(model, loss, optimizer, **options)


X = np.random.default_rng(1).normal(size=(5, 4)) * 10
GRADIENT = np.repeat(X.mean(axis=0)[:, None] / 3, 3, axis=1)
BIAS_GRADIENT = np.full(3, 1 / 3)


def step_taken(trainer):
    """Return the change of weight and bias in one step at rate 1, with the sign of the gradient."""
    layer = trainer.model[0]
    weight, bias = layer.weight[...].copy(), layer.bias[...].copy()
    trainer.step(X, np.zeros((5, 3)))
    return weight - layer.weight[...], bias - layer.bias[...], weight


def test_clip_norm():
    norm = np.sqrt((GRADIENT**2).sum() + (BIAS_GRADIENT**2).sum())
    dw, db, _ = step_taken(one_layer(pynn.SGD(1.0), clip_norm=norm / 3))
    np.testing.assert_allclose(dw, GRADIENT / 3, rtol=1e-12)
    np.testing.assert_allclose(db, BIAS_GRADIENT / 3, rtol=1e-12)
    dw, db, _ = step_taken(one_layer(pynn.SGD(1.0), clip_norm=norm * 1.01))
    np.testing.assert_allclose(dw, GRADIENT, rtol=1e-12)


def test_clip_norm_leaves_frozen_parameters_out():
    trainer = one_layer(pynn.SGD(1.0), clip_norm=0.1)
    trainer.model[0].weight.frozen = True
    dw, db, _ = step_taken(trainer)
    assert not dw.any()
    np.testing.assert_allclose(np.linalg.norm(db), 0.1, rtol=1e-12)


def test_clip_value():
    dw, db, _ = step_taken(one_layer(pynn.SGD(1.0), clip_value=0.3))
    np.testing.assert_allclose(dw, np.clip(GRADIENT, -0.3, 0.3), rtol=1e-12)
    np.testing.assert_allclose(db, np.clip(BIAS_GRADIENT, -0.3, 0.3), rtol=1e-12)


def test_clip_value_comes_before_clip_norm():
    dw, db, _ = step_taken(one_layer(pynn.SGD(1.0), clip_value=0.3, clip_norm=0.2))
    clipped = np.clip(GRADIENT, -0.3, 0.3), np.clip(BIAS_GRADIENT, -0.3, 0.3)
    norm = np.sqrt(sum((array**2).sum() for array in clipped))
    np.testing.assert_allclose(dw, clipped[0] * 0.2 / norm, rtol=1e-12)
    np.testing.assert_allclose(db, clipped[1] * 0.2 / norm, rtol=1e-12)


@pytest.mark.parametrize("make", [pynn.SGD, pynn.Adagrad, pynn.RMSprop, pynn.Adam, pynn.AdamW])
@pytest.mark.parametrize("decay_all", [True, False])
def test_decay_all(make, decay_all):
    plain, decayed = make(0.1, weight_decay=0.0), make(0.1, weight_decay=0.5, decay_all=decay_all)
    results = []
    for optimizer in (plain, decayed):
        pynn.manual_seed(0)
        layers = [pynn.Linear(4, 3), pynn.BatchNorm1d(3), pynn.PReLU(3), pynn.Linear(3, 3)]
        model = pynn.Sequential(*layers)
        model[0].bias[...] = 0.1
        model[1].bias[...] = 0.1
        trainer = pynn.Trainer(model, pynn.MSELoss(), optimizer)
        trainer.step(X, np.ones((5, 3)))
        results.append(model.state_dict())
    changed = {name for name in results[0] if (results[0][name] != results[1][name]).any()}
    weights = {"0.weight", "3.weight"}
    spared = {"0.bias", "1.weight", "1.bias", "2.weight", "3.bias"}
    if make in (pynn.SGD, pynn.AdamW):  # the others' first step is the sign of the gradient, whatever its size
        assert changed == (weights | spared if decay_all else weights)
    else:
        assert bool(changed & spared) is decay_all


def test_lr_factor():
    trainer = one_layer(pynn.SGD(1.0))
    trainer.model[0].weight.lr_factor = 0.25
    dw, db, _ = step_taken(trainer)
    np.testing.assert_allclose(dw, 0.25 * GRADIENT, rtol=1e-12)
    np.testing.assert_allclose(db, BIAS_GRADIENT, rtol=1e-12)
    trainer.model[0].weight.lr_factor = 0
    dw, db, _ = step_taken(trainer)
    assert not dw.any()
    assert db.any()


def test_l1_and_l2_act_on_weights_and_show_in_the_loss():
    plain = one_layer(pynn.SGD(1.0))
    weight = plain.model[0].weight[...].copy()
    base = plain.step(X, np.zeros((5, 3)))
    trainer = one_layer(pynn.SGD(1.0), regularizers=[pynn.L1(0.3), pynn.L2(0.2)])
    dw, db, _ = step_taken(trainer)
    np.testing.assert_allclose(dw, GRADIENT + 0.3 * np.sign(weight) + 0.2 * weight, rtol=1e-12)
    np.testing.assert_allclose(db, BIAS_GRADIENT, rtol=1e-12)
    penalty = 0.3 * np.abs(weight).sum() + 0.1 * (weight**2).sum()
    np.testing.assert_allclose(trainer.last_loss, base + penalty, rtol=1e-12)
    current, bias = trainer.model[0].weight[...], trainer.model[0].bias[...]
    np.testing.assert_allclose(trainer.evaluate(X, np.zeros((5, 3)))["loss"], (X @ current + bias).mean(), rtol=1e-12)


def test_l1_drives_weights_to_zero_and_l2_does_not(rng):
    x = rng.normal(size=(200, 10))
    y = x[:, :1] * 2
    small = {}
    for kind in (pynn.L1, pynn.L2):
        pynn.manual_seed(0)
        model = pynn.Sequential(pynn.Linear(10, 1))
        pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.002), regularizers=[kind(0.2)]).fit(x, y, epochs=100)
        small[kind] = (np.abs(model[0].weight[1:]) < 0.002).mean()
    assert small[pynn.L1] > 0.8
    assert small[pynn.L2] < 0.5


def test_max_norm():
    trainer = one_layer(pynn.SGD(1.0), regularizers=[pynn.MaxNorm(0.8)])
    trainer.model[0].weight[:, 0] = 0.01
    _, _, weight = step_taken(trainer)
    expected = weight - GRADIENT
    norms = np.linalg.norm(expected, axis=0)
    np.testing.assert_allclose(trainer.model[0].weight, expected * np.minimum(1, 0.8 / norms), rtol=1e-12)
    assert np.linalg.norm(trainer.model[0].weight[...], axis=0).max() <= 0.8 * (1 + 1e-12)


def test_regularizers_leave_frozen_weights_alone():
    trainer = one_layer(pynn.SGD(1.0), regularizers=[pynn.L1(0.3), pynn.L2(0.2), pynn.MaxNorm(0.01)])
    trainer.model[0].weight.frozen = True
    dw, _, _ = step_taken(trainer)
    assert not dw.any()
    assert trainer.last_loss == one_layer(pynn.SGD(1.0)).step(X, np.zeros((5, 3)))


SCHEDULES = {
    "step": lambda: pynn.StepLR(7, gamma=0.3),
    "exponential": lambda: pynn.ExponentialLR(0.9),
    "cosine": lambda: pynn.CosineAnnealingLR(25, eta_min=0.01),
    "restarts": lambda: pynn.CosineAnnealingWarmRestarts(3, 2, eta_min=0.01),
    "restarts_alike": lambda: pynn.CosineAnnealingWarmRestarts(4),
    "one_cycle": lambda: pynn.OneCycleLR(0.7, 25, by="epoch"),
    "one_cycle_linear": lambda: pynn.OneCycleLR(
        0.7, 25, anneal_strategy="linear", div_factor=10, final_div_factor=100, by="epoch"
    ),
    "one_cycle_three_phases": lambda: pynn.OneCycleLR(0.7, 25, three_phase=True, by="epoch"),
    "lambda": lambda: pynn.LambdaLR(lambda epoch: 1 / (1 + epoch)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_agree_with_pytorch(name, torch_vectors):
    expected = torch_vectors("training")[f"schedule.{name}"]
    schedule = SCHEDULES[name]()
    trainer = one_layer(pynn.SGD(0.3, 0.9), schedule=schedule)
    history = trainer.fit(X, np.zeros((5, 3)), epochs=25, batch_size=2)
    np.testing.assert_allclose(history["lr"], expected, rtol=1e-12)
    momenta = torch_vectors("training").get(f"momentum.{name}")
    assert (momenta is not None) == name.startswith("one_cycle")
    if momenta is not None:
        np.testing.assert_allclose([schedule.momentum(n, 3 * n) for n in range(25)], momenta, rtol=1e-12)
        assert pynn.WarmupLR(3, then=schedule).momentum(7, 0) == schedule.momentum(7, 0)


def test_a_cycle_of_the_momentum_needs_one():
    cycle, expected = pynn.OneCycleLR(0.1, 20), r"OneCycleLR sets the momentum, which SGD\(lr=0.3, momentum=0.0"
    with pytest.raises(ValueError, match=expected):
        one_layer(pynn.SGD(0.3), schedule=cycle)
    trainer = one_layer(pynn.SGD(0.3))
    with pytest.raises(ValueError, match=expected):
        trainer.schedule = cycle
    trainer.schedule = pynn.OneCycleLR(0.1, 20, cycle_momentum=False)
    with pytest.raises(ValueError, match="which Adagrad"):
        one_layer(pynn.Adagrad(), schedule=pynn.WarmupLR(2, then=cycle))


def test_warmup_agrees_with_pytorch(torch_vectors):
    expected = torch_vectors("training")["schedule.warmup"]
    warmup = pynn.WarmupLR(10)
    np.testing.assert_allclose([warmup.rate(0.3, 0, step) for step in range(25)], expected, rtol=1e-12)


def test_schedules_by_step_and_warmup_with_one_behind():
    trainer = one_layer(pynn.SGD(1.0), schedule=pynn.WarmupLR(4, then=pynn.StepLR(3, 0.5, by="step")))
    rates = []
    for _ in range(9):
        trainer.step(X, np.zeros((5, 3)))
        rates.append(trainer.lr)
    assert rates == [0.25, 0.5, 0.75, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_cosine_stays_at_its_end():
    assert pynn.CosineAnnealingLR(10, 0.1).at(1.0, 25) == 0.1


def test_a_schedule_of_your_own():
    class Half(pynn.Schedule):
        by = "step"

        def at(self, base, count):
            return base / 2**count

    trainer = one_layer(pynn.SGD(1.0), schedule=Half())
    dw, _, _ = step_taken(trainer)
    again, _, _ = step_taken(trainer)
    np.testing.assert_allclose(again, dw / 2, rtol=1e-12)


def test_an_optimiser_of_your_own():
    class SignSGD(pynn.Optimizer):
        def __init__(self, lr):
            super().__init__(lr, weight_decay=0.0, decay_all=True)

        def update(self, flat, bounds, rates, grad_scale):
            for (start, stop), (lr, _) in zip(bounds, rates, strict=True):
                flat.values[start:stop] -= lr * np.sign(flat.grads[start:stop])

    dw, _, _ = step_taken(one_layer(SignSGD(0.125)))
    np.testing.assert_allclose(dw, 0.125 * np.sign(GRADIENT), rtol=1e-12)


def test_lr_may_be_assigned_between_steps():
    trainer = one_layer(pynn.SGD(1.0))
    dw, _, _ = step_taken(trainer)
    trainer.optimizer.lr = 0.5
    again, _, _ = step_taken(trainer)
    np.testing.assert_allclose(again, dw / 2, rtol=1e-12)


def test_an_optimiser_serves_one_model():
    optimizer = pynn.SGD(0.1)
    one_layer(optimizer)
    with pytest.raises(ValueError, match="SGD, is already bound to another model"):
        one_layer(optimizer)
    with pytest.raises(RuntimeError, match="Trainer"):
        pynn.SGD(0.1).step()


@pytest.mark.parametrize(
    ("optimizer", "name", "value", "message"),
    [
        (pynn.SGD(0.1), "weight_decay", -1, "weight_decay is -1; expected a number of at least 0"),
        (pynn.SGD(0.1), "momentum", None, "momentum is None; expected a number in"),
        (pynn.SGD(0.1, momentum=0.9), "momentum", 3, "momentum is 3; expected a number in"),
        (pynn.SGD(0.1), "nesterov", True, "nesterov=True needs a momentum above 0"),
        (pynn.Adam(), "betas", 0.9, "betas is 0.9; expected two numbers"),
        (pynn.Adam(), "eps", -1, "eps is -1; expected a number of at least 0"),
        (pynn.RMSprop(), "alpha", 2, "alpha is 2; expected"),
        (pynn.Adagrad(), "lr_decay", "fast", "lr_decay is 'fast'; expected"),
    ],
)
def test_assigned_settings_are_checked_as_those_of_the_constructor(optimizer, name, value, message):
    before = repr(optimizer)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 2)), pynn.CrossEntropyLoss(), copy.deepcopy(optimizer))
    for one in (optimizer, trainer.optimizer):
        with pytest.raises(ValueError, match=message):
            setattr(one, name, value)
        assert repr(one) == before


@pytest.mark.parametrize("optimizer", [pynn.SGD(0.1), pynn.RMSprop()])
def test_a_momentum_may_be_assigned_before_it_needs_other_state(optimizer, rng):
    optimizer = copy.deepcopy(optimizer)
    kind, lr = type(optimizer), optimizer.lr
    optimizer.momentum = 0.9
    x, y = rng.normal(size=(16, 2)), np.arange(16) % 2
    results = []
    for one in (optimizer, kind(lr, momentum=0.9), kind(lr)):
        pynn.manual_seed(0)
        trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 2)), pynn.CrossEntropyLoss(), one)
        results.append([trainer.step(x, y) for _ in range(4)])
    assert results[0] == results[1] != results[2]
    with pytest.raises(ValueError, match=rf"momentum is 0.5, .* trainer.optimizer = {kind.__name__}\(.*momentum=0.5"):
        one.momentum = 0.5
    optimizer.momentum = 0.5  # the same state


def test_settings_that_do_not_exist_cannot_be_assigned():
    with pytest.raises(AttributeError, match="SGD has no setting 'learning_rate'; it has lr, momentum"):
        pynn.SGD(0.1).learning_rate = 0.01

    class Own(pynn.SGD):
        pass

    own = Own(0.1)
    own.anything = 3
    assert own.anything == 3
