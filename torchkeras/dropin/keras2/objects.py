"""What layers, models, optimizers and metrics of Keras 2 had, set on our classes.

It is set when the first module of a legacy root is imported, and taken away by
`dropin.uninstall`; a program that imports `keras` alone has none of it. Objects are the same under
all names, so a program that imports both has it on all of them. `OBJECTS` is the whole of it.
"""

from __future__ import annotations

from typing import Any

from ...callbacks import CallbackList
from ...layers import Layer, Normalization
from ...layers.state import HiddenByAttribute
from ...losses import Reduction
from ...metrics import Metric
from ...models import Model
from ...naming import explain
from ...optimizers import Optimizer
from ...preprocessing.iterators import Iterator
from .layer_members import LAYER
from .model_members import MODEL, MODEL_OF_KERAS_2
from .optimizer_members import METRIC, OPTIMIZER

__all__ = [
    "OBJECTS",
    "REFUSED_MEMBERS",
    "WHERE_KERAS_2",
    "HiddenByAttribute",
    "install_objects",
    "remove_objects",
]


# The whole: class -> name -> what it becomes. What `wraps` marks gets what was there.
OBJECTS: dict[type, dict[str, Any]] = {
    Layer: LAYER,
    Model: MODEL,
    Optimizer: OPTIMIZER,
    Metric: METRIC,
    Iterator: {"next": lambda iterator: next(iterator)},
}
# The same where Keras 2 is meant.
WHERE_KERAS_2: dict[type, dict[str, Any]] = {Model: MODEL_OF_KERAS_2}

_NO_LAYER = "a metric is no layer since Keras 3"
# What objects no longer have; the sentence says what to use.
REFUSED_MEMBERS: dict[type, dict[str, str]] = {
    CallbackList: {"make_logs": "logs are made by `fit`"},
    Layer: {
        "constraints": "the wrapped layer has them",
        "convolution_op": "override `call`",
        "implementation": "there is one implementation",
        "normalize_weights": "call the layer in training",
        "vocab_size": "call `vocabulary_size()`",
    },
    Model: {
        "autotune_steps_per_execution": "pass `steps_per_execution` to `compile`",
        "distribute_reduction_method": "losses of processes are averaged",
        "distribute_strategy": "start with `torchrun`: see docs/scaling.md",
    },
    Normalization: {
        "reset_state": "call `adapt`, which starts from nothing",
        "update_state": "call `adapt` on all of the data",
    },
    Optimizer: {
        "add_slot": "make slots in `build`, with `add_variable_from_reference`",
        "add_weight": "use `add_variable`",
        "get_updates": "there are no graphs: call `apply_gradients`",
    },
    Metric: dict.fromkeys(
        "activity_regularizer add_loss add_metric add_update build build_from_config call"
        " compute_dtype compute_mask compute_output_shape compute_output_signature count_params"
        " dtype_policy dynamic finalize_state get_build_config get_input_at get_input_mask_at"
        " get_input_shape_at get_output_at get_output_mask_at get_output_shape_at inbound_nodes"
        " input input_mask input_shape input_spec load_own_variables losses merge_state metrics"
        " outbound_nodes output output_mask output_shape save_own_variables stateful"
        " supports_masking trainable variable_dtype".split(),
        _NO_LAYER,
    ),
    Reduction: dict.fromkeys(("all", "validate"), "the reductions are strings"),
}


def _refusal(cls: type, name: str, fix: str) -> HiddenByAttribute:
    def refuse(instance: Any) -> Any:
        raise AttributeError(
            explain(f"'{type(instance).__name__}' has no '{name}' since Keras 3.", fix=fix + ".")
        )

    return HiddenByAttribute(refuse)


# What the classes had before, by class, name and whether it is of `WHERE_KERAS_2`; empty while
# nothing is set.
_FORMER: dict[tuple[type, str, bool], Any] = {}
_MISSING = object()


def install_objects(keras_2: bool = False) -> None:
    """Set `OBJECTS`; where Keras 2 is meant, also what means something else there."""
    if not _FORMER:
        _set(OBJECTS)
        for cls, names in REFUSED_MEMBERS.items():
            absent = {name: fix for name, fix in names.items() if not hasattr(cls, name)}
            _set({cls: {name: _refusal(cls, name, absent[name]) for name in absent}})
    if keras_2 and not any(where_keras_2 for _, _, where_keras_2 in _FORMER):
        _set(WHERE_KERAS_2, where_keras_2=True)


def _set(tables: dict[type, dict[str, Any]], where_keras_2: bool = False) -> None:
    for cls, table in tables.items():
        for name, value in table.items():
            # Where it is defined: elsewhere a class of the library would seem to override it.
            owner = next((base for base in cls.__mro__ if name in base.__dict__), cls)
            former = owner.__dict__.get(name, _MISSING)
            if getattr(value, "wraps_former", False):
                value = value(former)
            elif isinstance(value, HiddenByAttribute):
                value.name = name
            _FORMER[cls, name, where_keras_2] = (owner, former)
            setattr(owner, name, value)


def remove_objects() -> None:
    """Undo `install_objects`."""
    for (_, name, _), (owner, former) in reversed(_FORMER.items()):
        if former is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, former)
    _FORMER.clear()
