"""Optimizers, and how names, configs and PyTorch's optimizers become them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..naming import explain
from ..registry import Namespace
from . import keras2 as _keras2  # noqa: F401 - files name its classes
from . import legacy, schedules
from .adafactor import Adafactor
from .adagrad import Adadelta, Adagrad, Ftrl
from .adam import Adam, AdamW
from .adam_variants import Adamax, Lamb, Nadam, ScheduleFreeAdamW
from .lion import Lion
from .loss_scale import LossScaleOptimizer
from .multi import MultiOptimizer, OptimizerMap
from .muon import Muon
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD
from .torch_optimizer import TorchOptimizer, is_torch_optimizer

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "ScheduleFreeAdamW",
    "TorchOptimizer",
    "deserialize",
    "get",
    "legacy",
    "schedules",
    "serialize",
]

_NAMESPACE = Namespace("optimizers", kind="optimizer", base=Optimizer)
for _cls in (
    Optimizer, SGD, RMSprop, Adam, AdamW, Adamax, Nadam, Lamb, ScheduleFreeAdamW, Adagrad, Adadelta,
    Ftrl, Adafactor, Lion, Muon, MultiOptimizer, OptimizerMap, LossScaleOptimizer,
):  # fmt: skip
    _NAMESPACE.register(_cls, _cls.__name__.lower())


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return the config of an optimizer.

    Example:
        >>> serialize(SGD())["class_name"]
        'SGD'
    """
    return _NAMESPACE.serialize(optimizer)


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Optimizer:
    """Make an optimizer from its config.

    Args:
        config: What `serialize` returned. The name of a built-in class may be in any case, and its
            `module` may be missing.
        custom_objects: Classes by the names the config uses for them.

    Raises:
        ValueError: The class is unknown.
    """
    name = config.get("class_name")
    folded = name.lower() if isinstance(name, str) else None
    if folded in _NAMESPACE.objects and not (custom_objects and name in custom_objects):
        config = {**config, "class_name": _NAMESPACE.objects[folded].__name__}
    return _NAMESPACE.deserialize(config, custom_objects)


def get(identifier: Any) -> Optimizer | None:
    """Return the optimizer that `identifier` stands for.

    Args:
        identifier: `None` (returned as it is), a name in any case, a config, an optimizer or a
            class of optimizers; or of `torch.optim` an optimizer, a class, a `functools.partial` of
            a class, or a scheduler.

    Raises:
        ValueError: It stands for no optimizer.

    Example:
        >>> get("adamw").weight_decay
        0.004
    """
    if is_torch_optimizer(identifier):
        return TorchOptimizer(identifier)
    if isinstance(identifier, str):
        identifier = {"class_name": identifier, "config": {}}
    if isinstance(identifier, dict):
        return deserialize(identifier)
    found = _NAMESPACE.get(identifier)
    if found is not None and not isinstance(found, Optimizer):
        raise ValueError(
            explain(
                f"Could not interpret optimizer identifier: {identifier!r}",
                expected="a name, a config, an optimizer, or a torch.optim optimizer or class",
            )
        )
    return found
