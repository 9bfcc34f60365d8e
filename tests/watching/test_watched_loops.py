"""What loops in PyTorch do to `pynn.watch_torch`: errors, evaluation, accumulation, frozen and repeated layers."""

import warnings

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch")
nn = torch.nn

from torch_loops import STEPS, data, hooks, network, silent, tensors, train  # noqa: E402 - it imports PyTorch


def test_removes_its_hooks_also_after_an_error():
    module, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    x, y = tensors(*data())
    with pytest.raises(RuntimeError), pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        criterion(module(x), y).backward()
        optimizer.step()
        module(x[:, :5])
    assert hooks(module, criterion, optimizer) == 0
    assert watch.monitor.stats.steps.tolist() == [1]


def test_goes_on_after_a_forward_pass_that_failed():
    module, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    x, y = tensors(*data())
    with pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        for _ in range(3):
            with pytest.raises(RuntimeError):
                module(x[:, :5])
            criterion(module(x), y).backward()
            optimizer.step()
    assert watch.monitor.stats.steps.tolist() == [1, 2, 3]
    assert len(watch.monitor.stats["6.Linear"]["mean"]) == 3


def test_passes_that_train_nothing_do_not_count():
    x, y = data()
    module, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), 0.05, momentum=0.9)
    inputs, targets = tensors(x, y)
    with pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        for step in range(STEPS):
            rows = slice(step * 32 % len(x), step * 32 % len(x) + 32)
            module.eval()
            criterion(module(100 * inputs), targets)
            with torch.no_grad():
                criterion(module(inputs), targets)
            module.train()
            optimizer.zero_grad()
            criterion(module(inputs[rows]), targets[rows]).backward()
            optimizer.step()
    plain = train(network(), x, y).monitor.stats
    np.testing.assert_array_equal(watch.monitor.stats["loss"], plain["loss"])
    np.testing.assert_array_equal(watch.monitor.stats["5.Tanh"]["std"], plain["5.Tanh"]["std"])


def test_accumulated_gradients_are_one_step():
    x, y = data()
    module, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    inputs, targets = tensors(x, y)
    losses = []
    with pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        for _ in range(4):
            parts = []
            optimizer.zero_grad()
            for rows in (slice(0, 64), slice(64, 128), slice(128, 192)):
                value = criterion(module(inputs[rows]), targets[rows])
                (value / 3).backward()
                parts.append(float(value.detach()))
            losses.append(np.mean(parts))
            optimizer.step()
    np.testing.assert_allclose(watch.monitor.stats["loss"], losses)


def test_follows_layers_that_are_frozen_and_released():
    x, y = tensors(*data())
    module, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        for step in range(30):
            module[0].requires_grad_(not 10 <= step < 20)
            optimizer.zero_grad()
            criterion(module(x), y).backward()
            optimizer.step()
    ratios = watch.monitor.stats["0.Linear"]["update_ratio"]
    assert np.isnan(ratios[10:20]).all() and np.isfinite(ratios[20:]).all()
    assert np.isfinite(watch.monitor.stats["4.Linear"]["update_ratio"]).all()


class Twice(nn.Module):
    """One activation and one matrix, each used twice."""

    def __init__(self):
        super().__init__()
        self.first, self.shared, self.last = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.last(self.shared(self.act(self.shared(self.act(self.first(x))))))


def test_a_module_used_twice_is_seen_at_each_use_and_its_weights_once():
    module = Twice()
    monitor = train(module, *data()).monitor
    assert monitor.stats.layers == ["first.Linear", "act.ReLU", "shared.Linear", "act(2).ReLU", "last.Linear"]
    assert np.isfinite(monitor.stats["act.ReLU"]["zero_fraction"]).all()
    assert not np.allclose(monitor.stats["act(2).ReLU"]["std"], monitor.stats["act.ReLU"]["std"])
    assert not monitor.verdict


def test_half_precision_by_autocast():
    x, y = tensors(*data())
    module, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        for _ in range(20):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                value = criterion(module(x), y)
            value.backward()
            optimizer.step()
    assert np.isfinite(watch.monitor.stats["5.Tanh"]["gradient_rms"]).all()
    assert not watch.verdict


def test_a_loss_that_is_no_module_is_told():
    x, y = tensors(*data())
    module = network()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with pynn.watch_torch(module, optimizer, nn.CrossEntropyLoss(), monitor=silent()) as watch:
        for _ in range(20):
            optimizer.zero_grad()
            value = nn.functional.cross_entropy(module(x), y)
            value.backward()
            watch.loss(value, y)
            optimizer.step()
    stats = watch.monitor.stats
    assert stats["loss"][-1] == pytest.approx(float(value.detach()))
    assert np.isfinite(stats["accuracy"]).all()


def test_a_loss_without_targets_is_enough_for_the_other_rules():
    x, y = tensors(*data(scale=100.0))
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(module.parameters(), 1e-4)
    with pynn.watch_torch(module, optimizer, nn.CrossEntropyLoss(), monitor=silent()) as watch:
        for _ in range(20):
            optimizer.zero_grad()
            value = nn.functional.cross_entropy(module(x), y)
            value.backward()
            watch.loss(value)
            optimizer.step()
    assert watch.verdict[0].symptom == "input_not_normalised"
    assert np.isnan(watch.monitor.stats["accuracy"]).all()


def test_a_copy_of_the_module_is_not_watched():
    x, y = tensors(*data())
    module, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        average = torch.optim.swa_utils.AveragedModel(module)
        for _ in range(10):
            average(100 * x)
            optimizer.zero_grad()
            criterion(module(x), y).backward()
            optimizer.step()
            average.update_parameters(module)
    np.testing.assert_allclose(watch.monitor.stats["input_norm"], float(x.square().sum(1).mean().sqrt()), rtol=1e-5)


def test_freezing_while_steps_are_skipped():
    x, y = tensors(*data())
    module, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with pynn.watch_torch(module, optimizer, criterion, monitor=silent(every=7)) as watch:
        for step in range(300):
            module[0].requires_grad_(step < 100)
            optimizer.zero_grad()
            criterion(module(x), y).backward()
            optimizer.step()
    late = watch.monitor.stats.steps > 110
    assert late.any()
    assert not np.isfinite(watch.monitor.stats["0.Linear"].get("update_ratio", np.full(len(late), np.nan))[late]).any()
    ratios = watch.monitor.stats["4.Linear"]["update_ratio"]
    assert np.isfinite(ratios[late]).all() and (ratios[late] > 0).all()
    norm = float(module[4].weight.detach().norm())
    assert watch.monitor.stats["4.Linear"]["weight_norm"][-1] == pytest.approx(norm, rel=0.05)


def test_an_optimizer_with_a_closure():
    x, y = tensors(*data())
    module, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.LBFGS(module.parameters(), max_iter=3)

    def closure():
        optimizer.zero_grad()
        value = criterion(module(x), y)
        value.backward()
        return value

    with pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        for _ in range(5):
            optimizer.step(closure)
    assert watch.monitor.stats.steps.tolist() == [1, 2, 3, 4, 5]


def test_infinite_weights_behind_a_tanh_raise_no_warning():
    x, y = tensors(*data())
    module, criterion = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3)), nn.CrossEntropyLoss()
    with torch.no_grad():
        module[0].weight[0, 0] = torch.inf
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        criterion(module(x), y).backward()
        optimizer.step()
    assert np.isfinite(watch.monitor.stats["loss"]).all()


def test_stopping_is_left_to_the_loop():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pynn.BabysitterWarning)
        module = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
        watch = train(module, *data(scale=1e4), steps=5, monitor=pynn.Monitor(on_problem="stop"))
    assert watch.asks_to_stop


def test_skips_steps_to_stay_within_a_budget():
    watch = train(network(), *data(), steps=300, monitor=silent(budget=0.1))
    assert 0 < len(watch.monitor.stats.steps) < 300


def test_the_first_loss_within_a_budget_is_that_of_the_initial_weights():
    x, y = data(scale=20)
    watch = train(network()[0:1], x, y, lr=3.0, monitor=silent(budget=0.1))
    assert watch.monitor.stats.steps[0] == 1
    assert watch.verdict[0].symptom != "bad_initial_loss"
    assert repr(watch).startswith("TorchWatch(Monitor(")


def test_data_are_taken_at_the_first_step_that_is_watched():
    x, y = data()
    module, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    inputs, targets = tensors(x, y)
    with pynn.watch_torch(
        module, optimizer, criterion, validation=(x, y)
    ) as watch:  # steps 1, 3, 7, ... within its budget
        for _ in range(9):
            optimizer.zero_grad()
            criterion(module(inputs), targets).backward()
            optimizer.step()
        watch.epoch()
    module.eval()
    assert watch.monitor.history["val_loss"] == pytest.approx([float(criterion(module(inputs), targets).detach())])


def test_a_step_without_a_loss_is_an_error():
    module = network()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    x, y = tensors(*data())
    told = pytest.raises(RuntimeError, match="saw a step but no loss")
    with pynn.watch_torch(module, optimizer, monitor=silent()), told:
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()


class ReturnsItsLoss(nn.Module):
    """Calls a network and returns its loss, beside its logits or alone; also takes a temperature, a scalar."""

    def __init__(self, alone=False):
        super().__init__()
        self.network, self.alone = network(), alone

    def forward(self, temperature, x, labels):
        logits = self.network(x) / temperature
        loss = nn.functional.cross_entropy(logits, labels)
        return loss if self.alone else {"loss": loss, "logits": logits}


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("told", [False, True], ids=["without targets", "with targets"])
def test_a_module_may_return_its_loss(alone, told):
    module = ReturnsItsLoss(alone)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    x, y = tensors(*data())
    losses = []
    with pynn.watch_torch(module, optimizer, nn.CrossEntropyLoss(), monitor=silent()) as watch:
        for _ in range(3):
            optimizer.zero_grad()
            result = module(torch.tensor(1.0), x, y)
            loss = result if alone else result["loss"]
            loss.backward()
            losses.append(float(loss.detach()))
            watch.loss(loss, y if told else None)
            optimizer.step()
        watch.epoch()
    stats = watch.monitor.stats
    np.testing.assert_allclose(stats["loss"], losses, rtol=1e-6)
    assert len(stats["network.6.Linear"]["mean"]) == 3
    assert np.isfinite(stats["accuracy"]).all() == (told and not alone)


def test_minibatches_without_examples_do_not_count():
    x, y = tensors(*data())
    module, criterion = network(), nn.CrossEntropyLoss(reduction="sum")
    optimizer = torch.optim.SGD(module.parameters(), 1e-3)
    with pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        for rows in (64, 0, 64):
            module.train(rows > 0)  # batch norm takes no empty batch
            optimizer.zero_grad()
            module.training = True
            criterion(module(x[:rows]), y[:rows]).backward()
            optimizer.step()
    assert watch.monitor.stats.steps.tolist() == [1, 3]
