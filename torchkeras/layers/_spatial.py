"""Shapes that convolutions and pooling give; the rest of their window arithmetic is in `ops`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..naming import current_path, explain

__all__ = ["conv_output_shape", "pool_output_shape"]

Shape = Sequence["int | None"]


def conv_output_shape(
    shape: Shape,
    filters: int | None,
    kernel_size: Sequence[int],
    strides: Sequence[int],
    padding: str,
    data_format: str,
    dilation_rate: Sequence[int],
) -> tuple[int | None, ...]:
    """Shape that a convolution gives; unknown axes stay `None`.

    Raises:
        ValueError: The rank is wrong, or an output axis would be empty.
    """
    windows = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation_rate, strict=True)]
    facts = {
        "input_shape": tuple(shape),
        "kernel_size": tuple(kernel_size),
        "strides": tuple(strides),
        "dilation_rate": tuple(dilation_rate),
        "padding": repr(padding),
        "data_format": repr(data_format),
    }
    return _window_output_shape(shape, filters, windows, strides, padding, data_format, facts)


def pool_output_shape(
    shape: Shape, pool_size: Sequence[int], strides: Sequence[int], padding: str, data_format: str
) -> tuple[int | None, ...]:
    """Shape that pooling gives; unknown axes stay `None`.

    Raises:
        ValueError: The rank is wrong, or an output axis would be empty.
    """
    channels = shape[-1] if data_format == "channels_last" else shape[1]
    facts = {
        "input_shape": tuple(shape),
        "pool_size": tuple(pool_size),
        "strides": tuple(strides),
        "padding": repr(padding),
        "data_format": repr(data_format),
    }
    return _window_output_shape(shape, channels, pool_size, strides, padding, data_format, facts)


def _window_output_shape(
    shape: Shape,
    channels: int | None,
    windows: Sequence[int],
    strides: Sequence[int],
    padding: str,
    data_format: str,
    facts: dict[str, Any],
) -> tuple[int | None, ...]:
    name = current_path().rpartition("/")[2]
    layer = f"Layer '{name}'" if name else "The layer"
    last = data_format == "channels_last"
    spatial = shape[1:-1] if last else shape[2:]
    if len(spatial) != len(windows):
        raise ValueError(
            explain(
                f"{layer} expects inputs with {len(windows) + 2} axes, got {len(shape)}.",
                **facts,
                fix="the axes are the batch, the spatial ones and the channels; add with"
                " `x[None]` or `x[..., None]` what is missing.",
            )
        )
    sizes: list[int | None] = []
    for size, window, stride in zip(spatial, windows, strides, strict=True):
        if size is None:
            sizes.append(None)
            continue
        used = size - window + 1 if padding == "valid" else size
        sizes.append(-(-used // stride))
        if sizes[-1] <= 0 and padding == "valid":
            raise ValueError(
                explain(
                    f"{layer}: the output would have no elements, as the window is larger than"
                    " the input.",
                    **facts,
                    fix="use a smaller window, padding='same', or larger inputs"
                    " (or check `data_format`).",
                )
            )
    return (shape[0], *sizes, channels) if last else (shape[0], channels, *sizes)
