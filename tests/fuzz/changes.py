"""What users change between two training steps, and what they do there: each must be seen by the next step."""

import contextlib

import numpy as np
from fuzz.networks import pick

import pynn

#: Attributes of layers that are numbers, and what they may become.
LAYER_NUMBERS = {
    "negative_slope": (0.05, 0.5),
    "alpha": (0.3, 1.7),
    "beta": (0.5, 2.0),
    "approximate": ("none", "tanh"),
    "p": (0.0, 0.2, 0.7),
    "eps": (1e-4, 1e-2),
    "momentum": (0.01, 0.9),
}
LOSS_NUMBERS = {
    "label_smoothing": (0.0, 0.3),
    "margin": (0.2, 2.0),
    "reduction": ("mean", "sum"),
    "pos_weight": (None, 3.0),
    "ignore_index": (-100, 1),
}
OPTIMIZER_NUMBERS = {
    "lr": (0.0, 0.03, 0.3),
    "weight_decay": (0.0, 0.1),
    "decay_all": (True, False),
    "eps": (1e-6, 1e-3),
    "alpha": (0.5, 0.9),
    "betas": ((0.8, 0.9), (0.9, 0.99)),
    "lr_decay": (0.0, 0.5),
    "nesterov": (False,),
}


def set_one(rng, thing, choices):
    """Give one of the attributes that `thing` has another value."""
    known = [name for name in choices if hasattr(thing, name)]
    if known:
        name = pick(rng, *known)
        setattr(thing, name, pick(rng, *choices[name]))


def layer_number(rng, trainer):
    layers = [layer for layer in trainer.model.all_layers() if any(hasattr(layer, name) for name in LAYER_NUMBERS)]
    if layers:
        set_one(rng, pick(rng, *layers), LAYER_NUMBERS)


def momentum(rng, trainer):
    if getattr(trainer.optimizer, "momentum", 0):
        trainer.optimizer.momentum = pick(rng, 0.3, 0.8)


def freeze(rng, trainer):
    pick(rng, *trainer.model.all_layers()).freeze(bool(rng.integers(2)))


def parameter(rng, trainer):
    parameter = pick(rng, *trainer.model.parameters())
    name, value = pick(rng, ("frozen", True), ("frozen", False), ("decay", True), ("decay", False), ("lr_factor", 0.5))
    setattr(parameter, name, value)


def weights(rng, trainer):
    parameter = pick(rng, *trainer.model.parameters())
    parameter[...] = parameter[...] * 0.5


def buffers(rng, trainer):
    """Replace a batch norm's running statistics by other arrays."""
    norms = [layer for layer in trainer.model.all_layers() if layer.buffer_names]
    if norms:
        norm = pick(rng, *norms)
        norm.running_mean = norm.running_mean + 1


def backend(rng, trainer):
    pynn.use_backend(pick(rng, "cython", "numpy", "cython"))


def threads(rng, trainer):
    pynn.set_num_threads(pick(rng, 1, 2, 3))


def clipping(rng, trainer):
    trainer.clip_norm, trainer.clip_value = pick(rng, None, 0.2), pick(rng, None, 0.03)


def penalty(rng, trainer):
    trainer.regularizers = [] if trainer.regularizers else [pynn.L2(0.05)]


def state_dict(rng, trainer):
    trainer.model.load_state_dict(pynn.StateDict({n: np.array(a) for n, a in trainer.model.state_dict().items()}))


def forward_pass(rng, trainer):
    """Use the model for something else."""
    x = trainer.minibatch  # what the last step was given
    if x:
        trainer.model.predict(np.array(x[0]))
        with contextlib.suppress(ValueError):  # batch norm of a single example
            trainer.model.train(bool(rng.integers(2)))(np.array(x[0]))


def epoch(rng, trainer):
    """Train for an epoch on what the last step was given, watched or not."""
    x = trainer.minibatch
    if x:
        callbacks = [pynn.Monitor(on_problem="silent", every=1)] if rng.integers(2) else []
        with contextlib.suppress(ValueError, TypeError, pynn.NonFiniteError):
            trainer.fit(np.array(x[0]), np.array(x[1]), epochs=1, batch_size=pick(rng, 2, 3, 4), callbacks=callbacks)


def failing_step(rng, trainer):
    """Try a step that cannot be taken."""
    x = trainer.minibatch
    if x:
        bad = np.full_like(x[0], np.nan) if rng.integers(2) else np.zeros((len(x[0]), 99, 1, 1, 1), np.float32)
        with contextlib.suppress(ValueError, TypeError, pynn.NonFiniteError):
            trainer.step(bad, x[1])


CHANGES = {
    "the rate": lambda rng, trainer: set_one(rng, trainer.optimizer, {"lr": (0.0, 0.03, 0.3)}),
    "the optimiser": lambda rng, trainer: set_one(rng, trainer.optimizer, OPTIMIZER_NUMBERS),
    "the momentum": momentum,
    "a layer's number": layer_number,
    "the loss": lambda rng, trainer: set_one(rng, trainer.loss, LOSS_NUMBERS),
    "what is frozen": freeze,
    "a parameter's settings": parameter,
    "weights": weights,
    "running statistics": buffers,
    "the backend": backend,
    "the number of threads": threads,
    "clipping": clipping,
    "penalties": penalty,
    "load_state_dict": state_dict,
    "another use of the model": forward_pass,
    "an epoch of fit": epoch,
    "a step that fails": failing_step,
}


def change(rng, trainer):
    """Make one of the changes, and return its name."""
    name = pick(rng, *CHANGES)
    CHANGES[name](rng, trainer)
    return name
