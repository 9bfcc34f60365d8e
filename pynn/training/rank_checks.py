"""What all ranks must have in common before they train together, as text that an error can name."""

from __future__ import annotations

import hashlib
import platform
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import selection
from ..utils.arrays import digest
from ..utils.config import describe

if TYPE_CHECKING:
    from .fitting import Fit
    from .state import TrainingState

#: Inputs of up to this many bytes are compared whole; of larger ones, SAMPLE rows, so that a file is not read twice.
WHOLE, SAMPLE = 1 << 24, 256


def machine() -> dict[str, str]:
    """Return what determines the last bits of a result."""
    own = {"pynn": _version(), "NumPy": np.__version__, "processor": platform.machine()}
    return own | {name.replace("_", " "): value for name, value in selection.describe().items()}


def _version() -> str:
    from importlib import metadata  # 14 ms, which `import pynn` need not wait for

    try:
        return metadata.version("pynn-kernels")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"


def training(trainer: TrainingState, fit: Fit) -> dict[str, str]:
    """Return what a `fit` begins with: settings, weights and state, arguments and data."""
    found = between_epochs(trainer) | {"seed": str(trainer.seed), "steps taken": str(trainer.steps)}
    found["arguments of fit"] = str(vars(fit.plan))
    found["state"] = digest(
        [*(buffer for _, buffer in trainer.model.named_buffers()), *trainer.optimizer.state.values()]
    )
    for name, examples in (("training data", fit.examples), ("validation data", fit.held_out)):
        if examples is None:
            found[name] = "none"
            continue
        x, y, weights = examples
        rows: Any = slice(None)
        if len(x) * x[:1].nbytes > WHOLE:
            rows = np.linspace(0, len(x) - 1, SAMPLE).astype(int)
        content = digest([x[rows], y, *([] if weights is None else [weights])])
        found[name] = f"of shape {tuple(x.shape)} with digest {content}"
    return found


def between_epochs(trainer: TrainingState) -> dict[str, str]:
    """Return what may be assigned between steps, for example by a callback on one rank only."""
    parts = {"optimizer": trainer.optimizer, "schedule": trainer.schedule, "regularizers": trainer.regularizers}
    found = {name: _described(part) for name, part in parts.items()}
    model = trainer.model
    flags = [(p.frozen, p.lr_factor, p.decay) for p in model.parameters()]
    return found | {
        "loss": _described(trainer.loss),
        "clipping": f"{trainer.clip_norm}, {trainer.clip_value}",
        "layers": f"with digest {digest_of_text((_described(model), flags))}",
        "weights": f"with checksum {zlib.crc32(model.flat.values.data):08x}",  # a fifth of the digest's time
    }


def _described(part: Any) -> str:
    try:
        return str(describe(part))
    except TypeError:  # a class or function of the user's
        return type(part).__name__


def digest_of_text(thing: Any) -> str:
    """Return a digest of ``str(thing)``."""
    return hashlib.blake2b(str(thing).encode(), digest_size=8).hexdigest()
