"""pynn trains neural networks on a CPU, fast, and tells you whether the training is healthy."""

from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _find_spec("pynn.kernels") is None:
    raise ImportError(
        "this is pynn's source folder, which has no kernels: install it with 'pip install -e .', "
        "or leave the folder to use the installed package"
    )

from . import augment, init, ops, preprocessing
from .backends.precision import get_matmul_precision, set_matmul_precision
from .backends.selection import (
    BackendError,
    available_backends,
    get_backend,
    get_num_threads,
    set_num_threads,
    use_backend,
)
from .nn.context import Context
from .nn.gradcheck import GradientCheck, gradcheck
from .nn.layers import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    Average,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Dropout,
    Dropout2d,
    EmbedColumns,
    Embedding,
    Flatten,
    GroupNorm,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    Identity,
    InstanceNorm1d,
    InstanceNorm2d,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSigmoid,
    LogSoftmax,
    Maxout,
    MaxPool1d,
    MaxPool2d,
    Mish,
    PixelShuffle,
    PixelUnshuffle,
    PReLU,
    ReLU,
    ReLU6,
    Residual,
    RMSNorm,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    Unflatten,
    Upsample,
    ZeroPad1d,
    ZeroPad2d,
)
from .nn.loading import load
from .nn.loss import Loss
from .nn.losses import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    FocalLoss,
    HingeLoss,
    MSELoss,
    MultiMarginLoss,
    NLLLoss,
)
from .nn.parameters import Parameter
from .nn.random import manual_seed
from .nn.regression_losses import HuberLoss, KLDivLoss, L1Loss, PoissonNLLLoss, QuantileLoss, SmoothL1Loss
from .nn.sequential import Sequential
from .nn.state import StateDict
from .optim.averaging import EMA, SWA, Averaging
from .optim.base import Optimizer
from .optim.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .optim.regularizers import L1, L2, MaxNorm, Regularizer
from .optim.schedules import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    OneCycleLR,
    Schedule,
    StepLR,
    WarmupLR,
)
from .training.callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint
from .training.history import History
from .training.plateau import ReduceLROnPlateau
from .training.settings import TrainingWarning
from .training.step import NonFiniteError
from .training.trainer import Trainer
from .utils import renamed as _renamed
from .utils.files import FileFormatError

if _TYPE_CHECKING:
    from . import datasets, onnx, plots, search
    from .babysit import BabysitterWarning, Finding, Monitor, preflight
    from .babysit.remedies import Diagnosis, diagnose
    from .babysit.views.tensorboard import TensorBoardLogger
    from .babysit.views.trackers import MLflowLogger, WandbLogger
    from .estimators import (
        MLPClassifier,
        MLPRegressor,
        NetworkClassifier,
        NetworkRegressor,
        TabularClassifier,
        TabularRegressor,
    )
    from .interop.torch import from_torch, load_torch_state, to_torch
    from .training.class_scores import ClassScores, class_scores
    from .watching import TorchWatch, watch_torch

__version__ = "0.1.0"


#: Loaded when first used: readers, fetcher and babysitter would be half of the time that importing pynn takes.
_LATER = {
    "datasets": "pynn.datasets",
    "BabysitterWarning": "pynn.babysit",
    "ClassScores": "pynn.training.class_scores",
    "Diagnosis": "pynn.babysit.remedies",
    "class_scores": "pynn.training.class_scores",
    "MLPClassifier": "pynn.estimators",
    "MLPRegressor": "pynn.estimators",
    "NetworkClassifier": "pynn.estimators",
    "NetworkRegressor": "pynn.estimators",
    "TabularClassifier": "pynn.estimators",
    "TabularRegressor": "pynn.estimators",
    "Finding": "pynn.babysit",
    "Monitor": "pynn.babysit",
    "MLflowLogger": "pynn.babysit.views.trackers",
    "TensorBoardLogger": "pynn.babysit.views.tensorboard",
    "TorchWatch": "pynn.watching",
    "WandbLogger": "pynn.babysit.views.trackers",
    "diagnose": "pynn.babysit.remedies",
    "onnx": "pynn.onnx",
    "from_torch": "pynn.interop.torch",
    "load_torch_state": "pynn.interop.torch",
    "plots": "pynn.plots",
    "preflight": "pynn.babysit",
    "search": "pynn.search",
    "to_torch": "pynn.interop.torch",
    "watch_torch": "pynn.watching",
}


_renamed.install()


def __getattr__(name: str) -> _Any:
    if _renamed.module_name(f"pynn.{name}"):
        return _import_module(f"pynn.{name}")
    if name not in _LATER:
        raise AttributeError(f"module 'pynn' has no attribute {name!r}")
    module = _import_module(_LATER[name])
    return module if name in ("datasets", "onnx", "plots", "search") else getattr(module, name)


__all__ = [
    "CELU",
    "ELU",
    "EMA",
    "GELU",
    "GLU",
    "L1",
    "L2",
    "SELU",
    "SGD",
    "SWA",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "Average",
    "Averaging",
    "AvgPool1d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BabysitterWarning",
    "BackendError",
    "BatchNorm1d",
    "BatchNorm2d",
    "CSVLogger",
    "Callback",
    "ClassScores",
    "Concat",
    "Context",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CrossEntropyLoss",
    "Diagnosis",
    "Dropout",
    "Dropout2d",
    "EarlyStopping",
    "EmbedColumns",
    "Embedding",
    "ExponentialLR",
    "FileFormatError",
    "Finding",
    "Flatten",
    "FocalLoss",
    "GradientCheck",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeLoss",
    "History",
    "HuberLoss",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "KLDivLoss",
    "L1Loss",
    "LambdaLR",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "Loss",
    "MLPClassifier",
    "MLPRegressor",
    "MLflowLogger",
    "MSELoss",
    "MaxNorm",
    "MaxPool1d",
    "MaxPool2d",
    "Maxout",
    "Mish",
    "ModelCheckpoint",
    "Monitor",
    "MultiMarginLoss",
    "NLLLoss",
    "NetworkClassifier",
    "NetworkRegressor",
    "NonFiniteError",
    "OneCycleLR",
    "Optimizer",
    "PReLU",
    "Parameter",
    "PixelShuffle",
    "PixelUnshuffle",
    "PoissonNLLLoss",
    "QuantileLoss",
    "RMSNorm",
    "RMSprop",
    "ReLU",
    "ReLU6",
    "ReduceLROnPlateau",
    "Regularizer",
    "Residual",
    "Schedule",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Softsign",
    "StateDict",
    "StepLR",
    "TabularClassifier",
    "TabularRegressor",
    "Tanh",
    "TensorBoardLogger",
    "TorchWatch",
    "Trainer",
    "TrainingWarning",
    "Unflatten",
    "Upsample",
    "WandbLogger",
    "WarmupLR",
    "ZeroPad1d",
    "ZeroPad2d",
    "augment",
    "available_backends",
    "class_scores",
    "datasets",
    "diagnose",
    "from_torch",
    "get_backend",
    "get_matmul_precision",
    "get_num_threads",
    "gradcheck",
    "init",
    "load",
    "load_torch_state",
    "manual_seed",
    "onnx",
    "ops",
    "plots",
    "preflight",
    "preprocessing",
    "search",
    "set_matmul_precision",
    "set_num_threads",
    "to_torch",
    "use_backend",
    "watch_torch",
]
