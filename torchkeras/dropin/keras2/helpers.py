"""Classes and functions of Keras 2 that Keras 3 has no more, and what their calls need."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

# `from ... import` would import the package's root as well.
import torchkeras.activations as activations
import torchkeras.constraints as constraints
import torchkeras.regularizers as regularizers

from ...callbacks import Callback
from ...callbacks import ModelCheckpoint as TodaysCheckpoint
from ...dtypes import as_tensor, to_numpy
from ...layers import GRU, LSTM, BatchNormalization, Layer
from ...metrics import Mean, Metric
from ...models import model_from_json
from ...registry import builtin, get_registered_object
from ...saving.legacy_config import OLD_VALUES, is_old_config, modernize
from .calls import alias_of

__all__ = [
    "AbstractRNNCell",
    "BaseLogger",
    "CuDNNGRU",
    "CuDNNLSTM",
    "MeanRelativeError",
    "MeanTensor",
    "ModelCheckpoint",
    "SyncBatchNormalization",
    "deserialize_activation",
    "deserialize_constraint",
    "deserialize_regularizer",
    "drop_legacy_format",
    "get_activation",
    "get_constraint",
    "get_regularizer",
    "model_checkpoint",
    "model_from_config",
    "numpy_categories",
    "old_input",
    "old_layer_config",
    "summed_reduction",
    "to_ordinal",
]


# Calls -------------------------------------------------------------------------------------------


def drop_legacy_format(kwargs: dict[str, Any]) -> None:
    """Let `use_legacy_format` be false; Keras 3's functions write and read the form of today."""
    if kwargs.pop("use_legacy_format", False):
        raise ValueError(
            "`use_legacy_format=True` is Keras 2's form.\nFix: use the functions of"
            " `keras.utils.legacy`, which write and read it."
        )
    if "name" in kwargs and "config" not in kwargs:
        kwargs["config"] = kwargs.pop("name")


def old_layer_config(kwargs: dict[str, Any]) -> None:
    """Take configs of Keras 2, which name no module, too; `use_legacy_format` may be false."""
    drop_legacy_format(kwargs)
    config = kwargs.get("config")
    if isinstance(config, dict) and "class_name" in config and is_old_config(config):
        custom = kwargs.get("custom_objects")
        kwargs["config"] = modernize(config, "the config of a layer", "2.15.0", custom)


def summed_reduction(kwargs: dict[str, Any]) -> None:
    """Take "auto" for what it means outside of distribution strategies."""
    if kwargs.get("reduction") in ("auto", "AUTO"):
        kwargs["reduction"] = "sum_over_batch_size"


def numpy_categories(kwargs: dict[str, Any]) -> None:
    """Let `to_categorical` return an array, whatever it is given."""
    kwargs.pop("dtype", None)
    if isinstance(kwargs.get("x"), torch.Tensor):
        kwargs["x"] = to_numpy(kwargs["x"])


def old_input(kwargs: dict[str, Any]) -> None:
    """Give `Input` the batch's size and the others as Keras 2 had them."""
    if kwargs.get("batch_input_shape") is not None:
        kwargs["batch_shape"] = kwargs.pop("batch_input_shape")


_MODEL_ENDINGS = (".keras", ".h5", ".hdf5", ".safetensors")
_WEIGHTS_ENDINGS = (".weights.h5", ".safetensors")


def model_checkpoint(kwargs: dict[str, Any]) -> None:
    """Give `ModelCheckpoint` a path that it can write to, in place of a folder."""
    path = os.fspath(kwargs["filepath"]) if "filepath" in kwargs else None
    weights = kwargs.get("save_weights_only")
    endings = _WEIGHTS_ENDINGS if weights else _MODEL_ENDINGS
    if path is not None and not path.endswith(endings):
        kwargs["filepath"] = path = path.rstrip("/") + endings[0]
        warnings.warn(
            f"ModelCheckpoint: no folder and no checkpoint of TensorFlow is written; the file is"
            f" '{path}'.",
            stacklevel=4,
        )


# Names -------------------------------------------------------------------------------------------


def _with_old_names(function: Callable[..., Any], kind: str) -> Callable[..., Any]:
    """Return a `get` or `deserialize` that takes names for what they were in Keras 2."""
    meant, signature = OLD_VALUES[kind], inspect.signature(function)
    first = next(iter(signature.parameters))

    def call(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        name, custom = given[first], given.get("custom_objects")
        if isinstance(name, str) and get_registered_object(name, custom) is None:
            given[first] = meant.get(name, name)
        return function(**given)

    call.__name__, call.__signature__ = function.__name__, signature
    call.__doc__ = (function.__doc__ or "").partition("    Example:")[0]  # which is of today's
    return call


get_activation = _with_old_names(activations.get, "activation")
deserialize_activation = _with_old_names(activations.deserialize, "activation")
get_constraint = _with_old_names(constraints.get, "constraint")
deserialize_constraint = _with_old_names(constraints.deserialize, "constraint")
get_regularizer = _with_old_names(regularizers.get, "regularizer")
deserialize_regularizer = _with_old_names(regularizers.deserialize, "regularizer")


def model_from_config(config: Any, custom_objects: Any = None) -> Any:
    """Build the model that a config, as a dict, describes."""
    if not isinstance(config, dict):
        raise TypeError(
            f"`model_from_config` expects a dictionary, not {type(config).__name__}. Fix: for the"
            " config of a `Sequential` use `Sequential.from_config`."
        )
    if "module" not in config and not is_old_config(config):  # what `get_config` gives today
        named = {"module": "keras", "registered_name": None}
        if config.get("class_name") in ("Functional", "Model"):
            module = "keras.src.models.functional"
            named = dict(module=module, class_name="Functional", registered_name="Functional")
        config = {**config, **named}
    return model_from_json(config, custom_objects)


def to_ordinal(y: Any, num_classes: int | None = None, dtype: str = "float32") -> np.ndarray:
    """Turn class numbers into rows with a one for each class below.

    >>> to_ordinal([0, 2]).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    classes = np.asarray(to_numpy(y) if isinstance(y, torch.Tensor) else y, dtype="int64")
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    size = (num_classes or int(classes.max()) + 1) - 1
    return (np.arange(size) < classes[..., None]).astype(dtype)


class AbstractRNNCell(Layer):
    """A cell of `RNN`; a subclass says `state_size`, `output_size` and what a step computes."""

    @property
    def state_size(self) -> Any:
        """The size or sizes of the states."""
        raise NotImplementedError

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        raise NotImplementedError

    def call(self, inputs: Any, states: Any) -> Any:
        """Compute one step: the output, and the new states."""
        raise NotImplementedError

    def get_initial_state(self, batch_size: Any = None, **options: Any) -> Any:
        """Zeros for each state."""
        sizes = self.state_size
        made = [
            torch.zeros(batch_size or 1, *np.atleast_1d(size))
            for size in (sizes if isinstance(sizes, (list, tuple)) else [sizes])
        ]
        return made if isinstance(sizes, (list, tuple)) else made[0]


SyncBatchNormalization = alias_of(
    BatchNormalization, lambda args, kwargs: (args, {**kwargs, "synchronized": True})
)


def CuDNNLSTM(units: int, **kwargs: Any) -> LSTM:  # noqa: N802
    """Make the `LSTM` that the layer of Keras 2 was."""
    return LSTM(units, **kwargs)


def CuDNNGRU(units: int, **kwargs: Any) -> GRU:  # noqa: N802
    """Make the `GRU` that the layer of Keras 2 was: it resets after the product."""
    return GRU(units, reset_after=True, **kwargs)


class ModelCheckpoint(TodaysCheckpoint):
    """`keras.callbacks.ModelCheckpoint` that may save at every so many epochs.

    Args:
        period: How many. Others: those of `keras.callbacks.ModelCheckpoint`.
    """

    def __init__(self, *args: Any, period: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.period = period
        self._epochs = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save if it is time to."""
        self._epochs += 1
        if self.save_freq != "epoch" or self._epochs >= self.period:
            self._epochs = 0
            super().on_epoch_end(epoch, logs)


ModelCheckpoint.__init__.__signature__ = inspect.signature(TodaysCheckpoint.__init__)


class BaseLogger(Callback):
    """Nothing: `fit` averages what it logs by itself."""

    def __init__(self, stateful_metrics: Any = None) -> None:
        super().__init__()


@builtin("keras.metrics.MeanRelativeError")
class MeanRelativeError(Mean):
    """The mean of `abs(y_pred - y_true) / normalizer`, 0 where `normalizer` is.

    Args:
        normalizer: Of the shape of the predictions.
        name, dtype: See `Metric`.
    """

    def __init__(self, normalizer: Any, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name or "mean_relative_error", dtype=dtype)
        self.normalizer = normalizer

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Take in a batch."""
        y_true, y_pred = as_tensor(y_true, self.dtype), as_tensor(y_pred, self.dtype)
        by = as_tensor(self.normalizer, self.dtype).to(y_pred.device)
        error = torch.where(by == 0, 0.0, (y_pred - y_true).abs() / torch.where(by == 0, 1.0, by))
        return super().update_state(error, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "normalizer": np.asarray(self.normalizer).tolist()}


@builtin("keras.metrics.MeanTensor")
class MeanTensor(Metric):
    """The mean of each element of the tensors that come in.

    Args:
        name, dtype: See `Metric`.
        shape: Of the tensors. Default: that of the first.
    """

    def __init__(self, name: str = "mean_tensor", dtype: Any = None, shape: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.shape = shape
        self.total = self.count = None
        if shape is not None:
            self._make(shape)

    def _make(self, shape: Any) -> None:
        self.total = self.add_weight(shape=tuple(shape), initializer="zeros", name="total")
        self.count = self.add_weight(shape=tuple(shape), initializer="zeros", name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in a tensor."""
        values = as_tensor(values, self.dtype)
        if self.total is None:
            self._make(values.shape)
        weight = torch.ones_like(values)
        if sample_weight is not None:
            given = as_tensor(sample_weight, self.dtype)
            weight = weight * given.reshape(*given.shape, *(1,) * (values.dim() - given.dim()))
        self.total.assign_add(values * weight)
        self.count.assign_add(weight)

    def result(self) -> Any:
        """Return the mean."""
        if self.total is None:
            raise ValueError("MeanTensor does not have any value yet: call it on a tensor first.")
        return torch.where(self.count == 0, 0.0, self.total / self.count.clamp(min=1e-38))

    def reset_state(self) -> None:
        """Start from nothing."""
        for variable in self.variables:
            variable.assign(torch.zeros_like(variable))
