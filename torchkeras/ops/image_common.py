"""What the ops on images share: checks, and the two layouts.

Letters: B batch, H height, W width, C channels. An image is `(H, W, C)`, or `(C, H, W)` with
channels first; a batch has B before that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..config import standardize_data_format
from .common import as_tensor
from .core import saturate_cast

__all__ = ["IMAGE_PATH", "as_images", "channel_axis", "check_choice", "in_batches", "in_floats"]

IMAGE_PATH = "keras.src.ops.image."  # where Keras's operation classes of images are


def as_images(x: Any, rank: int = 2, name: str = "images") -> Tensor:
    """Return images as a tensor.

    Args:
        x: One image or a batch.
        rank: How many spatial axes there are.
        name: The argument's name, for the message.

    Raises:
        ValueError: They are neither one image nor a batch.
    """
    x = as_tensor(x)
    if x.ndim not in (rank + 1, rank + 2):
        raise ValueError(
            f"Invalid {name} rank: expected rank {rank + 1} (one image) or rank {rank + 2} (a"
            f" batch). Received: {name}.shape={tuple(x.shape)}"
        )
    return x


def channel_axis(data_format: str | None) -> int:
    """Return where the channels of images are, counted from the end."""
    return -1 if standardize_data_format(data_format) == "channels_last" else -3


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Check an argument that is one of several strings.

    Raises:
        ValueError: It is not.
    """
    if value not in choices:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected one of {sorted(choices)}."
            f" Received: {name}={value!r}"
        )


def in_batches(
    function: Callable[[Tensor], Tensor], x: Tensor, data_format: str | None, rank: int = 2
) -> Tensor:
    """Apply a function on `(B, C, spatial...)` to one image or a batch, of either layout."""
    last = standardize_data_format(data_format) == "channels_last"
    single = x.ndim == rank + 1
    x = x.unsqueeze(0) if single else x
    result = function(x.movedim(-1, 1)).movedim(1, -1) if last else function(x)
    return result.squeeze(0) if single else result


def in_floats(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function that needs single or double precision, and return the dtype of `x`.

    Integers are rounded, and kept within the range of their dtype.
    """
    if x.dtype in (torch.float32, torch.float64):
        return function(x)
    result = function(x.float())
    if x.is_floating_point():
        return result.to(x.dtype)
    return saturate_cast(torch.round(result), x.dtype)
