"""`pynn.watch_torch` beside a pynn trainer's monitor and formulas in PyTorch; what it finds, and what it refuses."""

import math

import numpy as np
import pytest

import pynn
from pynn.watching.tensors import one_signed_units

torch = pytest.importorskip("torch")
nn = torch.nn

from torch_loops import STEPS, data, network, silent, tensors, train  # noqa: E402 - it imports PyTorch


def test_records_what_a_pynn_trainer_records():
    x, y = data()
    module = network()
    model = pynn.from_torch(module)
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.05, momentum=0.9))
    ours = silent()
    ours.watch(trainer)
    for step in range(STEPS):
        rows = slice(step * 32 % len(x), step * 32 % len(x) + 32)
        trainer.step(x[rows], y[rows])
    ours.unwatch()
    theirs = train(module, x, y).monitor
    assert theirs.stats.steps.tolist() == ours.stats.steps.tolist()
    for name in ("loss", "lr", "accuracy"):
        np.testing.assert_allclose(theirs.stats[name], ours.stats[name], rtol=1e-3, err_msg=name)
    assert theirs.stats.layers == ours.stats.layers
    for layer in ours.stats.layers:
        figures = ours.stats[layer]
        assert set(theirs.stats[layer]) == set(figures), layer
        for name, values in figures.items():
            error = f"{layer} {name}"
            np.testing.assert_allclose(theirs.stats[layer][name], values, rtol=5e-3, atol=1e-4, err_msg=error)


def test_figures_are_those_of_the_formulas():
    x, y = data()
    module, reference = network(), network()
    monitor = train(module, x, y, steps=1).monitor
    inputs, targets = tensors(x[:32], y[:32])
    hidden = reference[:6](inputs)
    hidden.retain_grad()
    before = reference[4].weight.detach().double().clone()
    nn.CrossEntropyLoss()(reference[6](hidden), targets).backward()
    gradient = reference[4].weight.grad.double()
    figures, weights = monitor.stats["5.Tanh"], monitor.stats["4.Linear"]
    values = hidden.detach().double()
    assert figures["mean"][0] == pytest.approx(float(values.mean()), rel=1e-5)
    assert figures["std"][0] == pytest.approx(float(values.std(correction=0)), rel=1e-5)
    assert figures["gradient_rms"][0] == pytest.approx(float(hidden.grad.double().square().mean().sqrt()), rel=1e-5)
    assert weights["weight_norm"][0] == pytest.approx(float(before.norm()), rel=1e-5)
    assert weights["gradient_norm"][0] == pytest.approx(float(gradient.norm()), rel=1e-4)
    assert weights["update_ratio"][0] == pytest.approx(float(0.05 * gradient.norm() / before.norm()), rel=1e-3)


@pytest.mark.parametrize("epochs", [False, True])
def test_changes_no_bit_of_the_training(epochs):
    x, y = data()
    states = []
    for watch in (False, True):
        module, criterion = network(dropout=0.3), nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(module.parameters())
        inputs, targets = tensors(x, y)
        given = {"train": (x, y), "validation": (x, y)} if epochs else {}
        watched = pynn.watch_torch(module, optimizer, criterion, monitor=silent(), **given) if watch else None
        torch.manual_seed(1)
        for step in range(40):
            rows = torch.randperm(len(x))[:48]
            optimizer.zero_grad()
            criterion(module(inputs[rows]), targets[rows]).backward()
            optimizer.step()
            if watched is not None and epochs and step % 10 == 9:
                watched.epoch()
        states.append([*module.state_dict().values(), torch.get_rng_state()])
    for plain, seen in zip(*states, strict=True):
        assert torch.equal(plain, seen)


class Recurrent(nn.Module):
    """Layers that pynn lacks, on sequences of tokens."""

    def __init__(self):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(50, 16), nn.LSTM(16, 24, batch_first=True)
        self.attention, self.norm = nn.MultiheadAttention(24, 2, batch_first=True), nn.LayerNorm(24)
        self.wide, self.act, self.head = nn.Linear(24, 40), nn.GELU(), nn.Linear(40, 3)

    def forward(self, tokens):
        states, _ = self.lstm(self.embed(tokens))
        states = self.norm(states + self.attention(states, states, states)[0])
        return self.head(self.act(self.wide(states)).mean(1))


def test_layers_that_pynn_lacks_are_watched_by_their_outputs():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 50, (192, 7))
    watch = train(Recurrent(), tokens, tokens[:, 0] % 3, steps=40)
    stats = watch.monitor.stats
    expected = ["embed.Embedding", "lstm.LSTM", "attention.MultiheadAttention", "norm.LayerNorm", "wide.Linear"]
    assert stats.layers == [*expected, "act.GELU", "head.Linear"]
    for layer in ("lstm.LSTM", "act.GELU", "head.Linear"):
        assert np.isfinite(stats[layer]["std"]).all() and np.isfinite(stats[layer]["gradient_rms"]).all()
    assert np.isfinite(stats["lstm.LSTM"]["update_ratio"]).all()
    assert not watch.verdict  # numbers of tokens are no inputs of a wrong scale


def test_a_unit_of_a_sequence_is_a_feature_not_a_place():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Flatten(), nn.Linear(30, 3))
    with torch.no_grad():
        module[0].bias[:2] = -1000
    x = np.random.default_rng(0).normal(size=(192, 5, 4)).astype(np.float32)
    monitor = train(module, x, np.arange(192) % 3, steps=150).monitor
    assert monitor.stats["1.ReLU"]["dead_fraction"][-1] == pytest.approx(2 / 6)
    with torch.no_grad():
        values = module[:2](torch.from_numpy(x[96:128]))  # of step 148, with the last weights
    assert monitor.stats["1.ReLU"]["std"][147] == pytest.approx(float(values.std()), rel=0.05)


class Swish(nn.Module):
    """An activation that pynn knows by another name."""

    def forward(self, x):
        return x * x.sigmoid()


def test_a_convolution_has_channels_also_behind_an_activation_of_ones_own():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1), Swish()]
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(45, 3))
    x = np.random.default_rng(0).normal(size=(192, 1, 8, 8)).astype(np.float32)
    watch = train(module, x, np.arange(192) % 3, steps=20)
    assert {"1.ReLU", "4.Swish"} <= watch.monitor.channels
    assert watch.monitor._units["4.Swish"].sums.shape == (4, 5)  # four sums for each of the channels
    assert np.isfinite(watch.monitor.stats["0.Conv2d"]["update_ratio"]).all()
    assert watch.monitor.first_weights.shape == (9, 4)


def test_a_loss_that_is_not_finite_is_found_once():
    x, y = data()
    x[40, 2] = np.nan
    watch = train(network(), x, y, steps=12)
    found = [finding for finding in watch.findings if finding.symptom == "non_finite"]
    assert len(found) == 1 and found[0].step == 2 and "a NaN" in found[0].evidence


@pytest.mark.parametrize(
    ("settings", "scale", "symptom"),
    [({}, 100.0, "input_not_normalised"), ({"lr": 30.0}, 1.0, "lr_too_high"), ({"lr": 1e-6}, 1.0, "lr_too_low")],
)
def test_names_the_fault(settings, scale, symptom):
    watch = train(
        nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3)), *data(scale=scale), steps=400, **settings
    )
    assert watch.verdict[0].symptom == symptom
    assert watch.monitor.to_html() is not None


def test_epochs_are_judged_with_and_without_data():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 20)).astype(np.float32), rng.integers(0, 2, 64)
    both = {"train": (x[:32], y[:32]), "validation": (x[32:], y[32:]), "epochs": 60}
    for given in (both, {}):
        torch.manual_seed(0)
        module, criterion = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2)), nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(module.parameters(), 0.01)
        inputs, targets = tensors(x, y)
        with pynn.watch_torch(module, optimizer, criterion, monitor=silent(), **given) as watch:
            for _ in range(60):
                for rows in (slice(0, 16), slice(16, 32)):
                    optimizer.zero_grad()
                    criterion(module(inputs[rows]), targets[rows]).backward()
                    optimizer.step()
                module.eval()
                with torch.no_grad():
                    val_loss = float(criterion(module(inputs[32:]), targets[32:]))
                module.train()
                watch.epoch(**({} if given else {"val_loss": val_loss}))
        assert watch.monitor.history["val_loss"][-1] == pytest.approx(val_loss, rel=1e-4)
        assert len(watch.monitor.history) == 60
        assert [finding.symptom for finding in watch.verdict] == ["overfitting"]


def test_refuses_what_it_cannot_watch():
    module = network()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with pytest.raises(ValueError, match=r"module is compiled by torch\.compile"):
        pynn.watch_torch(torch.compile(module, backend="eager"), optimizer)
    outer = nn.Sequential(torch.compile(nn.Linear(8, 8), backend="eager"), nn.Linear(8, 3))
    with pytest.raises(ValueError, match=r"module\.0 is compiled by torch\.compile"):
        pynn.watch_torch(outer, optimizer)
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module"):
        pynn.watch_torch(pynn.Sequential(), optimizer)
    with pytest.raises(TypeError, match=r"expected a torch\.optim\.Optimizer"):
        pynn.watch_torch(module, pynn.SGD(0.1))
    with pytest.raises(TypeError, match=r"watch\.loss\(value, target\)"):
        pynn.watch_torch(module, optimizer, nn.functional.cross_entropy)
    half = nn.Linear(8, 3).bfloat16()
    with (
        pytest.raises(ValueError, match=r"is torch\.bfloat16 on cpu"),
        pynn.watch_torch(half, torch.optim.SGD(half.parameters(), 0.1)),
    ):
        half(torch.zeros(4, 8, dtype=torch.bfloat16))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_units_whose_gradients_have_one_sign(sign):
    rng = np.random.default_rng(0)
    gradient = rng.normal(size=(40, 100)) * (rng.random((40, 100)) < 0.5)
    gradient[:9] = np.abs(gradient[:9])
    gradient[9:12] = 0
    gradient[12, :50], gradient[12, 50:] = 1, -1
    out = np.empty(1)
    pynn.ops.one_signed(np.ascontiguousarray(sign * gradient.T), out)
    assert one_signed_units(sign * gradient) == out[0] == 9 / 37
    assert math.isnan(one_signed_units(np.zeros((3, 4))))
