"""`InputLayer` and `Input`: where a graph begins."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ..config import floatx
from ..dtypes import standardize_dtype
from ..graph.keras_tensor import KerasTensor
from ..graph.operation import Node
from ..naming import explain
from ..ops import operators as _operators  # noqa: F401 - gives symbolic tensors Python's operators
from ..registry import builtin
from ..variables import standardize_shape
from .layer import Layer

__all__ = ["Input", "InputLayer"]


@builtin("keras.layers.InputLayer")
class InputLayer(Layer):
    """The entry of a graph.

    Args:
        shape: Sizes without the batch axis.
        batch_size: The size of the batch axis, where it is fixed.
        dtype: The dtype name of the data. Default: `config.floatx()`.
        sparse: Must not be true.
        ragged: Must not be true.
        batch_shape: Sizes with the batch axis, instead of `shape`.
        input_tensor: A symbolic tensor to use as the entry.
        optional: Whether `None` may be fed.
        name: Default: `input_layer`, `input_layer_1`, …

    Raises:
        ValueError: None or both of `shape` and `batch_shape` are given, or the name of an unknown
            argument; or `sparse` or `ragged`, since torch's layers take dense tensors.
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name)
        if "input_shape" in kwargs:
            warnings.warn(
                "Argument `input_shape` is deprecated. Use `shape` instead.", stacklevel=2
            )
            shape = kwargs.pop("input_shape")
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        if kwargs:
            self._refuse(kwargs)
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                raise ValueError(
                    "Argument `input_tensor` must be a KerasTensor."
                    f" Received invalid type: input_tensor={input_tensor!r}"
                )
            _check_entry(input_tensor, shape, batch_size, batch_shape, dtype, sparse)
            shape, batch_size, batch_shape = None, None, input_tensor.shape
            dtype = input_tensor.dtype
        for kind, given in (("sparse", sparse), ("ragged", ragged)):
            if given:
                raise ValueError(
                    f"InputLayer '{self.name}': `{kind}=True` is not supported with torch; feed"
                    " dense tensors."
                )
        self.batch_shape = _full_shape(shape, batch_size, batch_shape)
        self._input_dtype = standardize_dtype(dtype or floatx())
        self.sparse = bool(sparse)
        self.ragged = bool(ragged)
        self.optional = optional
        self.built = True
        tensor = input_tensor
        if tensor is None:
            # Without a name given the tensor is not called after the layer; clones show its name.
            tensor = KerasTensor(self.batch_shape, self._input_dtype, name=name)
        Node(self, outputs=tensor)

    @property
    def dtype(self) -> str:
        """The dtype of the data."""
        return self._input_dtype

    def call(self) -> None:
        """Compute nothing; a model puts the data that it is fed in this layer's place."""

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }


def Input(  # noqa: N802 - Keras's name
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
) -> KerasTensor:
    """Return a symbolic tensor to call layers on.

    Args:
        shape: Sizes without the batch axis; `None` where unknown.
        batch_size: The size of the batch axis, where it is fixed.
        dtype: The dtype name of the data. Default: `config.floatx()`.
        sparse: Must not be true.
        ragged: Must not be true.
        batch_shape: Sizes with the batch axis, instead of `shape`.
        name: Default: `input_layer`, `input_layer_1`, …
        tensor: A symbolic tensor to use as the entry.
        optional: Whether `None` may be fed.

    Example:
        >>> Input((32,), name="x").shape
        (None, 32)
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        name=name,
        input_tensor=tensor,
        optional=optional,
    )
    return layer.output


def _check_entry(
    tensor: KerasTensor,
    shape: Any,
    batch_size: int | None,
    batch_shape: Any,
    dtype: Any,
    sparse: bool | None,
) -> None:
    """Raise where an argument contradicts the tensor that is to be the entry."""
    for name, given, expected in (
        ("shape", None if shape is None else standardize_shape(shape), tensor.shape[1:]),
        ("batch_size", batch_size, tensor.shape[0] if tensor.shape else None),
        (
            "batch_shape",
            None if batch_shape is None else standardize_shape(batch_shape),
            tensor.shape,
        ),
        ("dtype", None if dtype is None else standardize_dtype(dtype), tensor.dtype),
        ("sparse", sparse, False),
    ):
        if given is not None and given != expected:
            raise ValueError(
                explain(
                    f"With the `input_tensor` argument, you cannot provide an incompatible `{name}`"
                    " argument.",
                    given=given,
                    expected=expected,
                )
            )


def _full_shape(shape: Any, batch_size: int | None, batch_shape: Any) -> tuple[int | None, ...]:
    if shape is not None and batch_shape is not None:
        raise ValueError("You cannot pass both `shape` and `batch_shape` at the same time.")
    if batch_size is not None and batch_shape is not None:
        raise ValueError("You cannot pass both `batch_size` and `batch_shape` at the same time.")
    if shape is None and batch_shape is None:
        raise ValueError(
            explain("You must pass a `shape` argument.", fix="for example Input(shape=(32,)).")
        )
    if batch_shape is not None:
        return standardize_shape(batch_shape)
    if isinstance(shape, int):
        raise ValueError(
            explain("A shape must be a sequence.", given=shape, fix=f"write shape=({shape},).")
        )
    return (batch_size, *standardize_shape(shape))
