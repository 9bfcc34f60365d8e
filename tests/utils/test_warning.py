"""Warnings name the line of the user's code that led to them."""

import pytest

import pynn


def test_a_warning_points_at_the_users_call_however_deep_its_cause():
    x, y = pynn.datasets.blobs(seed=0)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(1e-3))
    with pytest.warns(pynn.BabysitterWarning) as caught:
        trainer.fit(1000 * x, y, epochs=2, callbacks=[pynn.Monitor()])
    assert {warning.filename for warning in caught} == {__file__}

    trainer.schedule = pynn.CosineAnnealingLR(2)
    with pytest.warns(pynn.TrainingWarning, match="trains nothing") as caught:
        trainer.fit(x, y, epochs=3)
    assert [warning.filename for warning in caught] == [__file__]


def test_in_a_loop_of_pytorch_the_users_line():
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(4, 2)
    optimizer, loss = torch.optim.SGD(module.parameters(), lr=0.01), torch.nn.CrossEntropyLoss()
    with pynn.watch_torch(module, optimizer, loss), pytest.warns(pynn.BabysitterWarning, match="input") as caught:
        for _ in range(4):
            optimizer.zero_grad()
            loss(module(1e4 * torch.ones(32, 4)), torch.arange(32) % 2).backward()
            optimizer.step()
    assert {warning.filename for warning in caught} == {__file__}
