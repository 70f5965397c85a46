"""How models were compiled and trained by Keras 1 and 2: `training_config`, optimizers' state.

The state has three generations. Keras up to 2.3 and tf.keras up to 2.10 (since then
`optimizers.legacy`) have the count of steps and then slots by kind: all first moments, then all
second ones. tf.keras from 2.11 has the count and then slots in today's order. Keras 3 has the
count, the learning rate, then slots. The first two differ from today's also in which slots there
are.
Read: `tf_keras.optimizers`, `tf_keras.optimizers.legacy`, `keras.optimizers` of Keras 2.2.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..optimizers import SGD, Nadam
from ..registry import CustomObjectScope, find_builtin, get_registered_object
from .budget import check_counts
from .errors import FileFormatError

__all__ = [
    "compile_as_saved",
    "constructor_parameters",
    "decode",
    "load_optimizer_state",
    "modernize_training",
    "multi_backend_version",
    "slots_by_kind",
]

_LOG = logging.getLogger(__name__)
_BASE_ARGUMENTS = frozenset({"name", "trainable", "dtype", "activity_regularizer", "autocast"})


def decode(value: Any) -> Any:
    """Resolve the special values of old JSON: tuples, bytes, arrays, ellipses, shapes.

    >>> decode({"class_name": "__tuple__", "items": [1, 2]})
    (1, 2)
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("class_name")
    if value.keys() == {"type", "value"} and value["type"] == "ndarray":  # until Keras 2.1
        return decode(value["value"])
    if kind == "__tuple__":
        return tuple(decode(item) for item in value.get("items", ()))
    if kind == "TensorShape":
        return decode(value.get("items"))
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__bytes__" and isinstance(value.get("value"), str):
        return value["value"].encode()
    return {key: decode(item) for key, item in value.items()}


def multi_backend_version(version: str) -> tuple[int, ...] | None:
    """Return the version of the Keras that ran on Theano and CNTK too, or `None` for tf.keras.

    It ended with 2.3; tf.keras noted its versions up to there with "-tf".

    >>> multi_backend_version("2.2.4"), multi_backend_version("2.2.4-tf")
    ((2, 2, 4), None)
    """
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    return None if version.endswith("-tf") or not () < numbers < (2, 4) else numbers


def constructor_parameters(cls: type) -> frozenset[str]:
    """Return what a class's constructor accepts, by its own parameters or its bases'."""
    names: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in base.__dict__:
            parameters = inspect.signature(base.__init__).parameters
            names.update(parameters)
            if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
                break
    else:
        names |= _BASE_ARGUMENTS
    return frozenset(names - {"self", "args", "kwargs"})


# Compilation -------------------------------------------------------------------------------------

_OPTIMIZER_RENAMES = {"lr": "learning_rate"}
_SPECIAL_METRICS = ("accuracy", "acc", "crossentropy", "ce")
# Names of functions that no string stands for any more.
_NAMES = {
    "keras.losses": {"cosine_proximity": "cosine_similarity", "huber_loss": "huber"},
    "keras.metrics": {
        "ACC": "accuracy",
        "cosine": "cosine_similarity",
        "cosine_proximity": "cosine_similarity",
        "kullback_leibler_divergence": "kl_divergence",
        "log_cosh": "log_cosh",
    },
}
# Of the configurations of optimizers, losses and metrics: what never changed any number.
_OBSOLETE = frozenset({"fn", "is_legacy_optimizer", "iterations", "jit_compile"})


def compile_as_saved(
    model: Any,
    training: Any,
    source: Any,
    custom_objects: Any,
    safe_mode: bool,
    version: str = "2.15.0",
) -> None:
    """Compile a model as it was.

    Args:
        model: The model.
        training: The `training_config` of its file, parsed; `None` if that has none.
        source: The file, for messages.
        custom_objects: Classes and functions by the names the file has for them.
        safe_mode: Refuse counts of absurd size.
        version: The version of Keras that wrote it.
    """
    if training is None:
        _LOG.warning(
            "No training configuration found in the save file, so the model was *not* compiled."
            " Compile it manually."
        )
        return
    if safe_mode:
        check_counts(training, source)
    outputs = len(getattr(model, "outputs", None) or [None])
    config = modernize_training(training, source, custom_objects, version, outputs)
    with CustomObjectScope(custom_objects or {}):
        model.compile_from_config(config)


def modernize_training(
    training: dict[str, Any],
    source: Any,
    custom_objects: Mapping[str, Any] | None = None,
    version: str = "2.15.0",
    outputs: int = 1,
) -> dict[str, Any]:
    """Turn the `training_config` of an `.h5` file into a compile configuration of Keras 3.

    Args:
        training: The parsed configuration.
        source: The file, for messages.
        custom_objects: The user's classes and functions, which keep their configuration.
        version: The version of Keras that wrote it.
        outputs: How many the model has.

    Raises:
        FileFormatError: It names no optimizer, or an argument that no longer exists.
    """
    modernizer = _TrainingModernizer(source, custom_objects or {}, version)
    return modernizer.training(decode(training), outputs)


class _TrainingModernizer:
    def __init__(self, source: Any, custom_objects: Mapping[str, Any], version: str) -> None:
        self.source = source
        self.custom_objects = custom_objects
        self.is_keras_3 = version.partition(".")[0] == "3"
        self.multi_backend = multi_backend_version(version)

    def training(self, training: dict[str, Any], outputs: int) -> dict[str, Any]:
        optimizer = training.get("optimizer_config") or training.get("optimizer")
        if optimizer is None:
            raise FileFormatError(
                self.source,
                "its training configuration names no optimizer",
                fix="load it with `compile=False` and compile the model yourself.",
            )
        config = {
            "optimizer": self._optimizer(optimizer),
            "loss": self._nested(training.get("loss"), "keras.losses"),
            "loss_weights": training.get("loss_weights"),
        }
        for key in ("metrics", "weighted_metrics"):
            value = self._nested(training.get(key), "keras.metrics")
            if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
                value = value[0]  # tf.keras has a list for each output, also for a single one
            is_flat = isinstance(value, list) and not any(isinstance(x, list) for x in value)
            if is_flat and value and outputs > 1 and not self.is_keras_3:
                value = [value] * outputs  # all are metrics of each output
            config[key] = value
        return config

    def _optimizer(self, config: Any) -> Any:
        if not isinstance(config, dict):
            return config
        name = config["class_name"]
        if get_registered_object(name, self.custom_objects) is not None:
            return {"module": None, "registered_name": name, **config}
        name = name.rpartition(">")[2]
        inner = {_OPTIMIZER_RENAMES.get(k, k): v for k, v in (config.get("config") or {}).items()}
        if name in ("LossScaleOptimizer", "LossScaleOptimizerV3") and "inner_optimizer" in inner:
            return self._loss_scale(inner)
        rate = inner.get("learning_rate")
        if isinstance(rate, dict):
            inner["learning_rate"] = _modernize_schedule(rate)
        elif isinstance(rate, int):  # today a rate has to be a float
            inner["learning_rate"] = rate = float(rate)
        home = "keras.optimizers"
        is_old = "decay" in inner or "schedule_decay" in inner
        decay = inner.pop("decay", None)
        if is_old and name in ("Adagrad", "Nadam", "RMSprop"):  # whose rule was another
            home = "keras.optimizers.legacy"
        if name == "Nadam":  # there it is how fast its momentum grows, always near 0.004
            if is_old:
                inner.setdefault("schedule_decay", 0.004 if decay is None else decay)
        elif decay and not isinstance(rate, dict):
            inner["learning_rate"] = _schedule(
                "InverseTimeDecay",
                {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay},
            )
        if inner.get("epsilon", 0) is None:
            inner["epsilon"] = 1e-7  # what `backend.epsilon()` was
        return self._object(home, name, inner)

    def _loss_scale(self, inner: dict[str, Any]) -> Any:
        optimizer = self._optimizer(inner["inner_optimizer"])
        if inner.pop("dynamic", True):
            arguments = {**inner, "inner_optimizer": optimizer}
            return self._object("keras.optimizers", "LossScaleOptimizer", arguments)
        optimizer["config"]["loss_scale_factor"] = inner.get("initial_scale")
        return optimizer

    def _nested(self, value: Any, home: str) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._nested(item, home) for item in value]
        if isinstance(value, str) and not get_registered_object(value, self.custom_objects):
            if value in ("cosine", "cosine_proximity") and self.multi_backend is not None:
                return self._cosine(value, home)
            name = _NAMES[home].get(value)
            return value if name is None else _named(name, value) if "metrics" in home else name
        if not isinstance(value, dict):
            return value
        if "class_name" not in value or not isinstance(value["class_name"], str):
            return {key: self._nested(item, home) for key, item in value.items()}
        if value["class_name"] == "function":
            return value
        return self._loss_or_metric(value, home)

    def _cosine(self, name: str, home: str) -> Any:
        """Return the cosine of Keras up to 2.3: of both signs, and once a mean over the axis."""
        if self.multi_backend is not None and self.multi_backend < (2, 0, 9):
            warnings.warn(
                f"The model was compiled with '{name}', which was the mean of the products until"
                " Keras 2.0.8; it is their sum since, larger by the size of the last axis.",
                stacklevel=2,
            )
        if "losses" in home:
            return "cosine_similarity"
        is_loss = self.multi_backend is not None and self.multi_backend < (2, 3)
        return _mean("cosine_similarity", name) if is_loss else _named("cosine_similarity", name)

    def _loss_or_metric(self, value: dict[str, Any], home: str) -> Any:
        name, inner = value["class_name"], dict(value.get("config") or {})
        if get_registered_object(name, self.custom_objects) is not None:
            return {"module": None, "registered_name": name, **value}
        name = name.rpartition(">")[2]
        if name == "MeanMetricWrapper" and isinstance(inner.get("fn"), str):
            fn = get_registered_object(inner["fn"], self.custom_objects)
            if fn is None and inner.get("name") in _SPECIAL_METRICS:
                return inner["name"]  # tf.keras had resolved "accuracy"; compile does it again
            name = _NAMES[home].get(inner["fn"])
            if fn is None and (name or inner.get("name") != inner["fn"]):
                return _named(name or inner["fn"], inner.get("name"))
            return inner["fn"]
        if inner.get("reduction") in ("auto", "AUTO"):
            inner["reduction"] = "sum_over_batch_size"
        return self._object(home, name, inner)

    def _object(self, home: str, name: str, inner: dict[str, Any]) -> dict[str, Any]:
        """Describe an object by the arguments that its class has today; refuse any other."""
        cls = find_builtin(f"{home}.{name}")
        known = inner.keys() if cls is None else constructor_parameters(cls)
        for key in sorted(inner.keys() - known - _OBSOLETE):
            if inner[key] is not None:
                raise FileFormatError(
                    self.source,
                    f"it was compiled with {name}({key}={inner[key]!r}), which no longer exists",
                    fix="load it with `compile=False` and compile the model yourself.",
                )
        inner = {key: _plain(value) for key, value in inner.items() if key in known}
        return {"module": home, "class_name": name, "config": inner, "registered_name": None}


def _plain(value: Any) -> Any:
    """Return the numbers of an array, as tf.keras wrote weights of labels into `.keras` files."""
    is_array = isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__")
    return value["config"]["value"] if is_array else value


def _named(function: str, name: str | None) -> dict[str, Any]:
    """Describe the metric of a function under the name that logs had it by."""
    if function != "cosine_similarity":
        return _mean(function, name)
    config = {"name": name or function}  # the loss of this name has the other sign
    return {"module": "keras.metrics", "class_name": "CosineSimilarity", "config": config,
            "registered_name": None}  # fmt: skip


def _mean(function: str, name: str | None) -> dict[str, Any]:
    return {
        "module": "keras.metrics",
        "class_name": "MeanMetricWrapper",
        "config": {
            "fn": {
                "module": "builtins",
                "class_name": "function",
                "config": function,
                "registered_name": "function",
            },
            "name": name or function,
        },
        "registered_name": None,
    }


def _modernize_schedule(config: dict[str, Any]) -> dict[str, Any]:
    if config.get("module") not in (None, "keras.optimizers.schedules"):
        return config
    inner = dict(config.get("config") or {})
    if inner.get("name", "") is None:  # Keras 2's default
        del inner["name"]
    return _schedule(config["class_name"], inner)


def _schedule(name: str, inner: dict[str, Any]) -> dict[str, Any]:
    return {
        "module": "keras.optimizers.schedules",
        "class_name": name,
        "config": inner,
        "registered_name": None,
    }


# Optimizer state ---------------------------------------------------------------------------------

# Keras 2's name of a kind of slot: how paths of today end.
_KINDS = {
    "m": "momentum",
    "v": "velocity",
    "vhat": "velocity_hat",
    "momentum": "momentum",
    "rms": "velocity",
    "mg": "average_gradient",
    "accumulator": "accumulator",
    "accum_grad": "accumulated_grad",
    "accum_var": "accumulated_delta_var",
    "linear": "linear",
    "momentum_cache": "product",
}
_KINDS_OF_CLASS = {"Adamax": {"v": "norm"}}


def load_optimizer_state(
    optimizer: Any, values: Sequence[Any], names: Sequence[str] | None, version: str
) -> bool:
    """Load the saved variables of an optimizer, whichever generation of Keras wrote them.

    Args:
        optimizer: A built optimizer.
        values: The saved arrays.
        names: Their names, if the file has them.
        version: The version of Keras that wrote them.

    Returns:
        Whether they fit; if not, a warning says so and the optimizer starts afresh.
    """
    variables = list(optimizer.variables)
    if not values:  # `.keras` files of tf.keras have none of `optimizers.legacy`
        warnings.warn(
            f"The file has no state of optimizer '{optimizer.name}'; it starts with a fresh state.",
            stacklevel=3,
        )
        return False
    if version.partition(".")[0] in ("1", "2"):
        fitting = _in_todays_order(optimizer, variables, list(values), list(names or ()))
    else:
        if len(values) == 2 < len(variables) and not np.any(values[0]):
            return True  # saved before the first step: there is no state to take up
        fitting = list(values)
    fits = len(fitting) == len(variables) and all(
        tuple(np.shape(value)) == tuple(variable.shape)
        for value, variable in zip(fitting, variables, strict=True)
    )
    if not fits:
        warnings.warn(
            f"The saved state of optimizer '{optimizer.name}' ({len(values)} variables) does not"
            f" fit this one ({len(variables)} variables); it starts with a fresh state.",
            stacklevel=3,
        )
        return False
    optimizer.load_own_variables({str(i): value for i, value in enumerate(fitting)})
    return True


def slots_by_kind(optimizer: Any) -> list[Any]:
    """Return the step count and then the slots kind by kind, as tf.keras had them until 2.10."""
    slots = [variable for variable in optimizer.variables if _is_slot(variable)]
    kinds = list(dict.fromkeys(map(_kind, slots)))
    return [optimizer._iterations, *sorted(slots, key=lambda slot: kinds.index(_kind(slot)))]


def _in_todays_order(
    optimizer: Any, variables: list[Any], values: list[Any], names: list[str]
) -> list[Any]:
    """Return a value for each variable of today's optimizer; none of them if there are too few."""
    steps: Any = np.int64(0)  # RMSprop and Adadelta did not count them before Keras 2.3
    if values and np.shape(values[0]) == ():
        steps, values, names = values[0], values[1:], names[1:]
    by_kind = bool(names) and not _is_kind_first(names[0])
    slots = [variable for variable in variables if _is_slot(variable)]
    kinds = [_kind(slot) for slot in slots]
    if isinstance(optimizer, SGD) and not optimizer.momentum:
        values = values[: len(slots)]  # momenta were written even where they were not used
    stored: dict[str, list[Any]] = {}
    for kind, value in _with_kinds(optimizer, kinds, values, names, by_kind):
        stored.setdefault(kind, []).append(value)
    ordered = []
    for variable in variables:
        if variable is optimizer.iterations:
            ordered.append(steps)
        elif _is_slot(variable):
            queue = stored.get(_kind(variable) if by_kind else "", ())
            if not queue:
                return []
            ordered.append(queue.pop(0))
        elif isinstance(optimizer, Nadam) and variable is variables[-1]:
            cached = stored.get("product")
            count = int(np.asarray(steps))
            ordered.append(cached[0] if cached else optimizer.momentum_product(count))
        else:  # the learning rate, and what stands for slots of Adafactor that vectors do not have
            ordered.append(variable.detach() if isinstance(variable, torch.Tensor) else variable)
    stored.pop("product", None)
    return [] if any(stored.values()) else ordered


def _is_kind_first(name: str) -> bool:
    """Whether it is named as tf.keras from 2.11 names slots: `Adam/m/dense/kernel`."""
    parts = name.split("/")
    return len(parts) > 2 and parts[1] in (*_KINDS, *_KINDS.values(), "r", "c", "u", "average")


def _is_slot(variable: Any) -> bool:
    path = variable.path
    return "/" in path and path.rpartition("/")[2] not in ("iteration", "learning_rate")


def _kind(slot: Any) -> str:
    ending = [kind for kind in ("norm", *_KINDS.values()) if slot.path.endswith(f"_{kind}")]
    return max(ending, key=len, default="")


def _with_kinds(
    optimizer: Any, kinds: list[str], values: list[Any], names: list[str], by_kind: bool
) -> Iterator[tuple[str, Any]]:
    """Yield the values with their kinds, by their names or else by the blocks they stand in."""
    if not by_kind:
        yield from (("", value) for value in values)
        return
    renamed = {**_KINDS, **_KINDS_OF_CLASS.get(type(optimizer).__name__, {})}
    tails = [name.rpartition("/")[2].partition(":")[0] for name in names]
    if all(tail in renamed for tail in tails):
        yield from ((renamed[tail], value) for tail, value in zip(tails, values, strict=True))
        return
    # Keras up to 2.3 numbers them. Adam had stand-ins of shape (1,) for the slots of AMSGrad.
    blocks = list(dict.fromkeys(kinds))
    size = len(kinds) // max(len(blocks), 1)
    kept = values[: len(kinds)]
    if any(np.shape(value) != (1,) for value in values[len(kinds) :]):
        kept = values
    yield from (
        (blocks[i // size] if size and i // size < len(blocks) else "?", value)
        for i, value in enumerate(kept)
    )
