"""Masks, and other things that tensors carry along as Python attributes.

A mask is a bool tensor, true where a time step counts; `_keras_mask` of the tensor it belongs to.
"""

from __future__ import annotations

from typing import Any

__all__ = ["get_keras_mask", "get_tensor_attr", "set_keras_mask", "set_tensor_attr"]


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


def set_keras_mask(x: Any, mask: Any) -> None:
    """Attach a mask to a tensor; `None` takes it away."""
    if mask is None:
        if getattr(x, "_keras_mask", None) is not None:
            x._keras_mask = None
    else:
        x._keras_mask = mask
