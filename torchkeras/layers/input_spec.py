"""`InputSpec`: what a layer demands of its inputs, and the check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..dtypes import standardize_dtype
from ..graph.infer import known_shape
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..tree import flatten
from ..variables import standardize_shape

__all__ = ["InputSpec", "assert_input_compatibility"]


class InputSpec:
    """Constraints on one input of a layer; `None` leaves a property free.

    Args:
        dtype: The dtype name.
        shape: The whole shape, with `None` for free sizes.
        ndim: The number of axes.
        max_ndim: The largest number of axes.
        min_ndim: The smallest number of axes.
        axes: Sizes by axis.
        allow_last_axis_squeeze: Whether a last axis of size 1 may be missing or added.
        name: The name of the input, where inputs are a dict.
        optional: Whether `None` may be given.

    Raises:
        ValueError: An axis in `axes` is outside of the rank.

    Example:
        >>> InputSpec(min_ndim=2, axes={-1: 16})
        InputSpec(min_ndim=2, axes={-1: 16})
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = standardize_dtype(dtype) if dtype is not None else None
        self.shape = standardize_shape(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.name = name
        self.optional = optional
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        rank = self.ndim if self.ndim is not None else self.max_ndim
        if rank is not None and self.axes and max(self.axes) >= rank:
            raise ValueError(
                f"Axis {max(self.axes)} of `axes` is outside of the rank; the last is {rank - 1}."
            )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """Make one from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        given = {key: value for key, value in self.get_config().items() if value not in (None, {})}
        return f"InputSpec({', '.join(f'{key}={value}' for key, value in given.items())})"


def assert_input_compatibility(input_spec: Any, inputs: Any, layer_name: str) -> None:
    """Check that inputs meet the specs of a layer.

    Args:
        input_spec: One `InputSpec` or a nested structure of them, or `None`.
        inputs: A tensor or a structure of tensors.
        layer_name: For messages.

    Raises:
        ValueError: An input does not meet its spec.
    """
    if not input_spec:
        return
    if type(input_spec) is InputSpec and isinstance(inputs, (torch.Tensor, KerasTensor)):
        _check(input_spec, inputs, 0, layer_name)
        return
    specs = flatten(input_spec)
    if isinstance(inputs, Mapping) and all(spec.name for spec in specs):
        missing = [s.name for s in specs if s.name not in inputs and not s.optional]
        if missing:
            raise ValueError(f'Missing data for input "{missing[0]}" of layer "{layer_name}".')
        flat = [inputs.get(spec.name) for spec in specs]
    else:
        flat = flatten(inputs)
    if len(flat) != len(specs):
        raise ValueError(
            explain(
                f"Layer '{layer_name}' expects {len(specs)} input(s), but received {len(flat)}.",
                given=[_shape(x) for x in flat],
                fix=f"pass {len(specs)} tensor(s), in the order the layer takes them.",
            )
        )
    for index, (x, spec) in enumerate(zip(flat, specs, strict=True)):
        if spec is not None:
            _check(spec, x, index, layer_name)


def _check(spec: InputSpec, x: Any, index: int, layer_name: str) -> None:
    """Check that one input meets its spec."""
    if x is None and spec.optional:
        return
    if not hasattr(x, "shape"):
        raise ValueError(
            f"Inputs to layer '{layer_name}' must be tensors; input {index} is {x!r} (of type"
            f" {type(x).__name__})."
        )
    shape = known_shape(x)
    problem = _mismatch(spec, shape, x)
    if problem:
        raise ValueError(
            explain(
                f"Input {index} of layer '{layer_name}' is incompatible with the layer:"
                f" {problem}. Full shape received: {shape}",
                fix=_fix(spec, shape),
            )
        )


def _shape(x: Any) -> Any:
    return known_shape(x) if hasattr(x, "shape") else x


def _fix(spec: InputSpec, shape: tuple[int | None, ...]) -> str:
    """Say what to do about inputs of a rank or size that the layer does not take."""
    rank = len(shape)
    least = spec.ndim if spec.ndim is not None else spec.min_ndim
    most = spec.ndim if spec.ndim is not None else spec.max_ndim
    if least is not None and rank == least - 1:
        return (
            "an axis is missing: the first one is the batch (`x[None]` makes a batch of one"
            " sample), the last one holds features or channels (`x[..., None]`)."
        )
    if least is not None and rank < least:
        return f"pass inputs with {least} axes, the batch among them."
    if most is not None and rank > most:
        return "there are axes too many: flatten or reshape the inputs, or use `TimeDistributed`."
    return "pass inputs of the size the layer was built for, or make a new layer for this size."


def _mismatch(spec: InputSpec, shape: tuple[int | None, ...], x: Any) -> str | None:
    """Say how a shape and dtype fail a spec; `None` if they meet it."""
    rank = len(shape)
    if spec.ndim is not None and not spec.allow_last_axis_squeeze and rank != spec.ndim:
        return f"expected ndim={spec.ndim}, found ndim={rank}"
    if spec.max_ndim is not None and rank > spec.max_ndim:
        return f"expected max_ndim={spec.max_ndim}, found ndim={rank}"
    if spec.min_ndim is not None and rank < spec.min_ndim:
        return f"expected min_ndim={spec.min_ndim}, found ndim={rank}"
    if spec.dtype is not None and standardize_dtype(x.dtype) != spec.dtype:
        return f"expected dtype={spec.dtype}, found dtype={standardize_dtype(x.dtype)}"
    for axis, size in spec.axes.items():
        if size is not None and -rank <= axis < rank and shape[axis] not in (size, None):
            return (
                f"expected axis {axis} of input shape to have value {size}, but received input with"
                f" shape {shape}"
            )
    if spec.shape is not None:
        wanted = spec.shape
        if spec.allow_last_axis_squeeze:
            wanted = wanted[:-1] if wanted and wanted[-1] == 1 else wanted
            shape = shape[:-1] if shape and shape[-1] == 1 else shape
        if len(wanted) != len(shape) or any(
            None not in (a, b) and a != b for a, b in zip(wanted, shape, strict=False)
        ):
            return f"expected shape={spec.shape}, found shape={shape}"
    return None
