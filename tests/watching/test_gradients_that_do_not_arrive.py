"""Layers or losses that are detached from the rest of a PyTorch network are named."""

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from torch_loops import data, silent, tensors  # noqa: E402 - it imports PyTorch

import pynn  # noqa: E402


class Encoded(nn.Module):
    def __init__(self, detached):
        super().__init__()
        self.detached = detached
        self.encoder = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 8), nn.Tanh())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        code = self.encoder(x)
        return self.head(code.detach() if self.detached else code)


def verdict(detached=False, loss_made_anew=False):
    torch.manual_seed(0)
    module, criterion = Encoded(detached), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    x, y = tensors(*data())
    with pynn.watch_torch(module, optimizer, criterion, monitor=silent()) as watch:
        for _ in range(120):
            optimizer.zero_grad()
            loss = criterion(module(x), y)
            if loss_made_anew:
                loss = torch.tensor(loss.item(), requires_grad=True)
            loss.backward()
            optimizer.step()
    return watch.verdict


def test_layers_behind_a_detached_output_are_named():
    finding = verdict(detached=True)[0]
    assert (finding.symptom, finding.layer, finding.severity) == ("vanishing_gradient", "encoder.2.Linear", "error")
    assert "arrived at encoder.0.Linear, encoder.2.Linear" in finding.evidence


def test_a_loss_that_no_gradient_leaves_is_named():
    finding = verdict(loss_made_anew=True)[0]
    assert (finding.symptom, finding.severity) == ("plateau", "error")
    assert "no gradient has arrived at any weight" in finding.evidence


def test_a_network_that_learns_is_left_in_peace():
    assert not verdict()
