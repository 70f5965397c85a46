"""Masks, and other things that tensors carry along as Python attributes.

A mask is a bool tensor, true where a time step counts; `_keras_mask` of the tensor it belongs to.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "FIRST_MASK",
    "get_keras_mask",
    "get_tensor_attr",
    "is_first_mask",
    "set_keras_mask",
    "set_tensor_attr",
]


# As `mask` of a call: the one that the first argument carries. So it was in Keras 2 at all calls;
# in Keras 3 a layer gets no mask where further arguments are tensors, such as `initial_state`.
FIRST_MASK = "keras2_first_mask"


def get_tensor_attr(tensor: Any, attr: str) -> Any:
    """Return an attribute that a tensor carries, or `None`."""
    return getattr(tensor, attr, None)


def set_tensor_attr(tensor: Any, attr: str, value: Any) -> None:
    """Let a tensor carry an attribute; `None` takes it away."""
    if value is not None or getattr(tensor, attr, None) is not None:
        setattr(tensor, attr, value)


def get_keras_mask(x: Any) -> Any:
    """Return the mask attached to a tensor, or `None`."""
    return getattr(x, "_keras_mask", None)


def is_first_mask(mask: Any) -> bool:
    """Whether the `mask` of a call is `FIRST_MASK`."""
    return isinstance(mask, str) and mask == FIRST_MASK


def set_keras_mask(x: Any, mask: Any) -> None:
    """Attach a mask to a tensor; `None` takes it away."""
    if mask is None:
        if getattr(x, "_keras_mask", None) is not None:
            x._keras_mask = None
    else:
        x._keras_mask = mask
