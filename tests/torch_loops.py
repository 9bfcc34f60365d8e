"""Training loops in PyTorch, with or without a watch on them."""

import numpy as np
import torch
from torch import nn

import pynn

STEPS = 60


def data(features=8, classes=3, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x = (scale * rng.normal(size=(192, features))).astype(np.float32)
    return x, (x[:, :classes] @ rng.normal(size=(classes, classes))).argmax(axis=1)


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


def silent(**settings):
    return pynn.Monitor(on_problem="silent", **settings)


def network(seed=0, *, dropout=0.0, inplace=False):
    torch.manual_seed(seed)
    hidden = [nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(inplace=inplace), nn.Dropout(dropout), nn.Linear(32, 16)]
    return nn.Sequential(*hidden, nn.Tanh(), nn.Linear(16, 3))


def train(module, x, y, *, steps=STEPS, lr=0.05, criterion=None, batch=32, watch=True, **settings):
    """Train in minibatches; return the watch."""
    criterion = criterion or nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr, momentum=0.9)
    watched = pynn.watch_torch(module, optimizer, criterion, **{"monitor": silent()} | settings) if watch else None
    x, y = tensors(x, y)
    for step in range(steps):
        rows = slice(step * batch % len(x), step * batch % len(x) + batch)
        optimizer.zero_grad()
        criterion(module(x[rows]), y[rows]).backward()
        optimizer.step()
    if watched is not None:
        watched.close()
    return watched


def hooks(*parts):
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    names += ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
    modules = [inner for part in parts for inner in (part.modules() if isinstance(part, nn.Module) else [part])]
    return sum(len(getattr(module, name, ())) for module in modules for name in names)
