"""Keras's API on PyTorch: layers and models are `torch.nn.Module`s, weights `torch.nn.Parameter`s.

`import torchkeras as keras` gives the names of `import keras`. Each is loaded on first use, so
the import itself costs next to nothing over `import torch`.
To run a script that says `import keras` or `from tensorflow import keras` unchanged, start it with
`python -m torchkeras run script.py`, or call `torchkeras.dropin.install()` before it imports them;
in a notebook, `%load_ext torchkeras` does so.
"""

import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING
from typing import Any as _Any

from . import config
from .naming import nearest as _nearest

if TYPE_CHECKING:
    from . import (
        activations,
        applications,
        backend,
        callbacks,
        constraints,
        datasets,
        distillation,
        distribution,
        dtype_policies,
        export,
        initializers,
        layers,
        legacy,
        losses,
        metrics,
        mixed_precision,
        models,
        ops,
        optimizers,
        preprocessing,
        quantizers,
        random,
        regularizers,
        saving,
        tree,
        utils,
        visualization,
        wrappers,
    )
    from .config import device
    from .dtype_policies import DTypePolicy, FloatDTypePolicy
    from .graph.function import Function
    from .graph.keras_tensor import KerasTensor
    from .graph.operation import Operation
    from .graph.remat import RematScope, remat
    from .graph.scopes import StatelessScope, SymbolicScope
    from .initializers import Initializer
    from .layers import Input, InputSpec, Layer
    from .losses import Loss
    from .metrics import Metric
    from .models import Model, Sequential
    from .naming import name_scope
    from .ops.operators import Variable
    from .optimizers import Optimizer
    from .quantizers import Quantizer
    from .regularizers import Regularizer

__all__ = [
    "DTypePolicy",
    "FloatDTypePolicy",
    "Function",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Operation",
    "Optimizer",
    "Quantizer",
    "Regularizer",
    "RematScope",
    "Sequential",
    "StatelessScope",
    "SymbolicScope",
    "Variable",
    "activations",
    "applications",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "device",
    "distillation",
    "distribution",
    "dtype_policies",
    "export",
    "initializers",
    "layers",
    "legacy",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "name_scope",
    "ops",
    "optimizers",
    "preprocessing",
    "quantizers",
    "random",
    "regularizers",
    "remat",
    "saving",
    "tree",
    "utils",
    "version",
    "visualization",
    "wrappers",
]

__version__ = "0.1.0"

# Where the names that are no modules come from; the other names of `__all__` are modules.
_HOMES = {
    "DTypePolicy": "dtype_policies",
    "FloatDTypePolicy": "dtype_policies",
    "Function": "graph.function",
    "Initializer": "initializers",
    "Input": "layers",
    "InputSpec": "layers",
    "KerasTensor": "graph.keras_tensor",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Operation": "graph.operation",
    "Optimizer": "optimizers",
    "Quantizer": "quantizers",
    "Regularizer": "regularizers",
    "RematScope": "graph.remat",
    "Sequential": "models",
    "StatelessScope": "graph.scopes",
    "SymbolicScope": "graph.scopes",
    "Variable": "ops.operators",  # where it has got them
    "device": "config",
    "load_ipython_extension": "dropin",
    "name_scope": "naming",
    "remat": "graph.remat",
    "unload_ipython_extension": "dropin",
}
# Parts of `keras.config` that floors above `config` define.
_CONFIG_HOMES = {
    "dtype_policy": "dtype_policies",
    "enable_unsafe_deserialization": "registry",
    "set_dtype_policy": "dtype_policies",
}


def version() -> str:
    """Return torchkeras's version; after `dropin.install`, `keras.version()` is the Keras API's."""
    return __version__


def _load(module: str, homes: dict[str, str], name: str) -> _Any:
    """Fetch a lazily loaded name and keep it in the namespace of `module`."""
    value = getattr(_import_module(f"{__name__}.{homes[name]}"), name)
    _sys.modules[module].__dict__[name] = value
    return value


def __getattr__(name: str) -> _Any:
    if name in _HOMES:
        return _load(__name__, _HOMES, name)
    if name in __all__ or name == "dropin":
        return _import_module(f"{__name__}.{name}")
    hint = "" if name.startswith("_") else _nearest(name, __all__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}. {hint}".rstrip())


def __dir__() -> list[str]:
    return [*__all__, "__version__", "dropin"]


def _config_getattr(name: str) -> _Any:
    if name in _CONFIG_HOMES:
        return _load(config.__name__, _CONFIG_HOMES, name)
    raise AttributeError(f"module {config.__name__!r} has no attribute {name!r}")


config.__dict__["__getattr__"] = _config_getattr
config.__all__.extend(_CONFIG_HOMES)
