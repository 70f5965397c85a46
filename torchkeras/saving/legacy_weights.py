"""Weights of Keras 1 and 2 that lie otherwise in today's layers.

Keras 1 had weights for each gate, and kernels in the order of the data ("th": filters first).
Theano turned kernels by 180 degrees.
Letters: I inputs, U units, F filters.
Read: `keras.engine.saving` of Keras 2.2, `tf_keras.saving.legacy.hdf5_format` (what is stored how).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..layers.bidirectional import Bidirectional
from ..layers.conv_lstm import ConvLSTM2D
from ..layers.convolutional import Conv1D, Conv2D, Conv3D
from ..layers.depthwise import SeparableConv2D
from ..layers.recurrent import GRU, LSTM
from ..layers.transposed import Conv2DTranspose
from ..layers.wrapper import TimeDistributed

__all__ = ["WeightsConverter"]

# Depthwise kernels are no part of it: Keras turned them before it gave them to Theano.
_CONVOLUTIONS = (Conv1D, Conv2D, Conv3D, Conv2DTranspose, ConvLSTM2D)


class WeightsConverter:
    """Brings the stored weights of layers into today's order.

    Args:
        version: Of Keras that wrote the file.
        backend: What it ran on, if the file says so.
        read: Reads a stored weight, which has its shape before.
    """

    def __init__(self, version: str, backend: str | None, read: Callable[[Any], Any]) -> None:
        major = version.partition(".")[0]
        self.is_keras_1 = major == "1"
        self.is_old = major in ("1", "2")
        self.backend = backend
        self._read = read
        self._told = False

    def convert(self, layer: Any, values: Sequence[Any]) -> list[Any]:
        """Return the weights of a layer, those inside of it included, for the layer of today.

        What needs no change is not read.
        """
        values = list(values)
        if not self.is_old or not values:
            return values
        if isinstance(layer, Bidirectional):
            half = len(values) // 2
            return [
                *self.convert(layer.forward_layer, values[:half]),
                *self.convert(layer.backward_layer, values[half:]),
            ]
        if isinstance(layer, TimeDistributed):
            return self.convert(layer.layer, values)
        if any(base.__name__ == "Model" for base in type(layer).__mro__):
            return self._model(layer, values)
        if self.is_keras_1:
            values = self._from_keras_1(layer, values)
        if isinstance(layer, _CONVOLUTIONS):
            values = self._turned(layer, values)
        return values

    def tell_of_padding(self, model: Any) -> None:
        """Warn of layers that Theano padded otherwise: evenly on both sides."""
        if self.backend != "theano" or not self.is_old:
            return
        names = [layer.name for layer in _within(model) if _is_padded_otherwise(layer)]
        if names:
            warnings.warn(
                f"Theano trained the model, and padded 'same' evenly on both sides: {names} give"
                " other numbers at borders unless sizes are such that TensorFlow pads so, too.",
                stacklevel=4,
            )

    def _model(self, model: Any, values: list[Any]) -> list[Any]:
        """Convert the weights of a model inside a layer: all that are trained, then all others."""
        layers = [layer for layer in model.layers if layer.weights]
        counts = [(len(x.trainable_weights), len(x.non_trainable_weights)) for x in layers]
        if self.is_keras_1 and sum(map(sum, counts)) != len(values):
            gates = [_gates(getattr(layer, "forward_layer", layer)) or 1 for layer in layers]
            counts = [(a * n, b * n) for (a, b), n in zip(counts, gates, strict=True)]
        if sum(map(sum, counts)) != len(values):
            return values  # it does not fit, and is told so
        trained, others = values[: sum(c[0] for c in counts)], values[sum(c[0] for c in counts) :]
        new_trained, new_others = [], []
        for layer, (a, b) in zip(layers, counts, strict=True):
            new = self.convert(layer, [*trained[:a], *others[:b]])
            new_trained += new[: len(layer.trainable_weights)]
            new_others += new[len(layer.trainable_weights) :]
            trained, others = trained[a:], others[b:]
        return new_trained + new_others

    def _from_keras_1(self, layer: Any, values: list[Any]) -> list[Any]:
        gates = _gates(layer)
        if gates and len(values) == 3 * gates:  # kernel, recurrent kernel and bias of each
            arrays = [self._read(value) for value in values]
            order = (0, 2, 1, 3) if gates == 4 else (0, 1, 2)  # i, c, f, o: today i, f, c, o
            values = [
                np.concatenate([_kernel_of_keras_1(layer, arrays[3 * g + i]) for g in order], -1)
                for i in range(3)
            ]
        elif isinstance(layer, (*_CONVOLUTIONS, SeparableConv2D)):
            kernels = _kernels(layer)
            found = [_kernel_of_keras_1(layer, self._read(value)) for value in values[:kernels]]
            values = [*found, *values[kernels:]]
        return values

    def _turned(self, layer: Any, values: list[Any]) -> list[Any]:
        """Turn the kernels of Theano, which convolved where others correlate."""
        kernels = _kernels(layer)
        if self.backend == "theano":
            for i, kernel in enumerate(values[:kernels]):
                array = kernel if isinstance(kernel, np.ndarray) else self._read(kernel)
                places = tuple(range(array.ndim - 2))
                values[i] = np.flip(array, places).copy()
        elif self.is_keras_1 and self.backend is None and not self._told:
            self._told = max(values[0].shape[:-2], default=1) > 1
            if self._told:
                warnings.warn(
                    f"The file does not say whether TensorFlow or Theano trained '{layer.name}'"
                    f" ({type(layer).__name__}); its convolutions are read as TensorFlow's. If it"
                    " was Theano, reverse their kernels along each axis of the window:"
                    " `kernel[::-1, ::-1]`.",
                    stacklevel=2,
                )
        return values


def _within(layer: Any) -> Iterator[Any]:
    """Yield the layers of a model, also those within models and wrappers."""
    for inner in getattr(layer, "layers", None) or [getattr(layer, "layer", None)]:
        if inner is not None:
            yield inner
            yield from _within(inner)


def _is_padded_otherwise(layer: Any) -> bool:
    if getattr(layer, "padding", None) != "same":
        return False
    window = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", ())
    strides = getattr(layer, "strides", ())
    return any(size % 2 == 0 for size in window) or any(stride > 1 for stride in strides)


def _gates(layer: Any) -> int:
    """Return how many gates a layer has that Keras 1 kept the weights of one by one."""
    return 4 if isinstance(layer, (LSTM, ConvLSTM2D)) else 3 if isinstance(layer, GRU) else 0


def _kernels(layer: Any) -> int:
    return 2 if isinstance(layer, (ConvLSTM2D, SeparableConv2D)) else 1


def _kernel_of_keras_1(layer: Any, kernel: np.ndarray) -> np.ndarray:
    """Return a kernel with the places of its window first."""
    if kernel.ndim < 4:
        return kernel
    if isinstance(layer, Conv1D):  # (length, 1, I, F), until Keras 1.0 (F, I, length, 1)
        length, *others = layer.kernel.shape
        kernel = kernel if kernel.shape == (length, 1, *others) else kernel.transpose(2, 3, 1, 0)
        return kernel[:, 0]
    is_first = layer.data_format == "channels_first"
    if isinstance(layer, Conv2DTranspose):
        return kernel.transpose((2, 3, 0, 1) if is_first else (0, 1, 3, 2))
    return kernel.transpose(*range(2, kernel.ndim), 1, 0) if is_first else kernel
