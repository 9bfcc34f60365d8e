"""Activations that a forward pass calls as functions are watched as the modules that do the same."""

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch")
nn = torch.nn
F = nn.functional

from torch_loops import data, hooks, silent, tensors, train  # noqa: E402 - it imports PyTorch

CALLS = {
    "ReLU": [F.relu, torch.relu, torch.Tensor.relu, lambda x: F.relu(x, inplace=True), torch.relu_],
    "ReLU6": [F.relu6],
    "LeakyReLU": [F.leaky_relu, lambda x: F.leaky_relu(x, negative_slope=0.2), lambda x: F.leaky_relu(input=x)],
    "ELU": [F.elu, lambda x: F.elu(x, 0.5)],
    "SELU": [F.selu],
    "CELU": [F.celu],
    "GELU": [F.gelu, lambda x: F.gelu(x, approximate="tanh")],
    "SiLU": [F.silu],
    "Mish": [F.mish],
    "Softplus": [F.softplus, lambda x: F.softplus(x, 2.0)],
    "Hardswish": [F.hardswish],
    "Sigmoid": [F.sigmoid, torch.sigmoid, torch.Tensor.sigmoid],
    "LogSigmoid": [F.logsigmoid],
    "Hardsigmoid": [F.hardsigmoid],
    "Tanh": [F.tanh, torch.tanh, torch.Tensor.tanh, torch.Tensor.tanh_],
    "Hardtanh": [F.hardtanh, lambda x: F.hardtanh(x, -2.0, 2.0)],
    "Softsign": [F.softsign],
}


class Net(nn.Module):
    """Three linear layers with an activation between them: two functions, or two modules."""

    def __init__(self, act):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.last = nn.Linear(8, 32), nn.Linear(32, 16), nn.Linear(16, 3)
        self.act = act  # registered only if it is a module

    def forward(self, x):
        return self.last(self.act(self.second(self.act(self.first(x)))))


class Own(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


@pytest.mark.parametrize(("kind", "call"), [(kind, call) for kind, calls in CALLS.items() for call in calls])
def test_an_activation_is_known_by_any_name_of_its_function(kind, call):
    stats = train(Net(call), *data(), steps=2).monitor.stats
    name = kind.lower().replace("logsig", "log_sig").replace("leakyrelu", "leaky_relu")
    assert stats.layers == ["first.Linear", f"{name}.{kind}", "second.Linear", f"{name}(2).{kind}", "last.Linear"]


def test_figures_are_those_of_the_modules():
    of_functions = train(Net(F.relu), *data(), steps=30).monitor.stats
    of_modules = train(Net(nn.ReLU()), *data(), steps=30).monitor.stats
    names = {"relu.ReLU": "act.ReLU", "relu(2).ReLU": "act(2).ReLU"}
    for layer in of_functions.layers:
        expected = of_modules[names.get(layer, layer)]
        for name, values in of_functions[layer].items():
            np.testing.assert_array_equal(values, expected[name], err_msg=f"{layer} {name}")


def test_settings_of_a_call_are_those_of_its_module():
    def steep(x):
        return F.leaky_relu(x, 0.3)

    watch = train(Net(steep), *data(), steps=1)
    slopes = [layer.negative_slope for layer in watch._run.model.leaves() if isinstance(layer, pynn.LeakyReLU)]
    assert slopes == [0.3, 0.3]


def test_dead_units_behind_a_function_are_found():
    net = Net(F.relu)
    with torch.no_grad():
        net.first.bias -= 100
    monitor = train(net, *data(), steps=60).monitor
    assert ("dead_units", "relu.ReLU") in [(finding.symptom, finding.layer) for finding in monitor.findings]


def test_functions_that_modules_call_are_not_seen_a_second_time():
    assert train(Net(nn.ReLU()), *data(), steps=2).monitor.stats.layers.count("act.ReLU") == 1
    layers = train(Net(Own()), *data(), steps=2).monitor.stats.layers
    assert layers == ["first.Linear", "act.Own", "second.Linear", "act(2).Own", "last.Linear"]


def test_changes_no_bit_of_the_training_and_leaves_no_trace():
    states = []
    for watch in (False, True):
        net = Net(F.gelu)
        train(net, *data(), watch=watch)
        states.append(net.state_dict())
        assert hooks(net) == 0
    for plain, seen in zip(*(state.values() for state in states), strict=True):
        assert torch.equal(plain, seen)
    assert torch.overrides._len_torch_function_stack() == 0


def test_a_pass_that_fails_or_takes_another_way_does_no_harm():
    class Changing(Net):
        def forward(self, x):
            self.act = torch.tanh if self.steps % 3 == 1 else F.relu
            return super().forward(x)

    net, criterion = Changing(F.relu), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    x, y = tensors(*data())
    with pynn.watch_torch(net, optimizer, criterion, monitor=silent()) as watch:
        for net.steps in range(6):
            with pytest.raises(RuntimeError):
                net(x[:, :5])
            assert torch.overrides._len_torch_function_stack() == 0
            optimizer.zero_grad()
            criterion(net(x), y).backward()
            optimizer.step()
    assert watch.monitor.stats.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert len(watch.monitor.stats["relu.ReLU"]["mean"]) == 6
