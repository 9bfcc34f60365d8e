"""What `watch_torch` and its methods cannot use is refused by name, and leaves no hook in the loop."""

import pytest
from odd_arguments import among, refused

import pynn

torch = pytest.importorskip("torch")


def loop():
    module = torch.nn.Linear(4, 3)
    return module, torch.optim.SGD(module.parameters(), 0.1), torch.nn.CrossEntropyLoss()


@pytest.mark.parametrize(
    ("name", "but"),
    [
        ("module", among()),
        ("optimizer", among()),
        ("loss", among(None)),
        ("monitor", among(None)),
        ("train", among(None)),
        ("validation", among(None)),
        ("epochs", among(None, 3)),
    ],
)
def test_arguments(name, but):
    module, optimizer, criterion = loop()
    given = {"module": module, "optimizer": optimizer, "loss": criterion}
    refused(lambda value: pynn.watch_torch(**given | {name: value}), name, but=but)
    assert not module._forward_hooks and not criterion._forward_hooks and not optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize("name", ["train", "validation"])
def test_data_of_other_sizes(name):
    module, optimizer, criterion = loop()
    x, y = torch.zeros(5, 4), torch.zeros(5)
    for wrong, message in [
        ((x, y[:4]), f"{name} has 5 inputs and 4 targets; expected as many"),
        ((x[:0], y[:0]), f"{name} has 0 inputs and 0 targets"),
        ((x, y.tolist()), f"a part of {name} is .*; expected a tensor or an array"),
        ((x, y, y), f"{name} has 3 parts"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            pynn.watch_torch(module, optimizer, criterion, **{name: wrong})


def test_what_the_loop_tells():
    module, optimizer, criterion = loop()
    with pynn.watch_torch(module, optimizer, monitor=pynn.Monitor(on_problem="silent")) as watch:
        number = lambda value: isinstance(value, int | float) and value is not True  # noqa: E731
        refused(watch.loss, "value", but=number)
        refused(
            lambda value: watch.loss(1.0, value), "target", but=lambda value: value is None or hasattr(value, "shape")
        )
        watch._seen.losses.clear()
        loss = criterion(module(torch.randn(8, 4)), torch.zeros(8, dtype=torch.long))
        loss.backward()
        watch.loss(loss)
        optimizer.step()
        refused(lambda value: watch.epoch(val_loss=value), "val_loss", but=number)
        assert not len(watch.monitor.history)
        watch.epoch(val_loss=loss.detach())
