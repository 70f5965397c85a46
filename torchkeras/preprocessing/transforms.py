"""Random changes of single images, which scripts for Keras 2 go on using.

An image is an array of rank 3 with its channels first or last. All draws are NumPy's `np.random`,
in Keras's order, so that the same seed gives the same images. Angles are in degrees, shifts in
pixels. As in Keras, `tx` and `zx` act along columns, `ty` and `zy` along rows, if `col_axis` is the
greater of the two; else the other way round.

Values between pixels are interpolated as SciPy's `ndimage.affine_transform` does it; orders 0
(nearest) and 1 (linear) run on torch, the splines of orders 2 to 5 need SciPy itself.
Source: `tf.keras.preprocessing.image` for names, defaults and results.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..dtypes import to_numpy
from ..naming import explain
from ..utils.images import array_to_img, img_to_array

__all__ = [
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
]

# What lies beyond the edges, by SciPy's names: those that need no SciPy. "wrap" repeats with the
# distance between the outermost pixels, which is one less than their number, as it does in SciPy.
_FILL_MODES = ("nearest", "constant", "reflect", "mirror", "wrap")


def apply_affine_transform(
    x: Any,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """Turn, shift, shear and zoom an image about its middle, in this order.

    Args:
        x: The image, of rank 3.
        theta: Angle by which to turn it.
        tx, ty: Shift, in pixels.
        shear: Angle by which to shear it.
        zx, zy: Zoom; values above 1 show more of it, in smaller.
        row_axis, col_axis, channel_axis: The axes; that of channels is 0 or 2.
        fill_mode: What lies beyond the edges: `"nearest"`, `"constant"`, `"reflect"`, `"mirror"`,
            `"wrap"`, or another name of SciPy's, which needs it.
        cval: The value of `"constant"`.
        order: Of the interpolation, from 0 to 5; those above 1 need SciPy.

    Returns: Array of the shape and dtype of `x`.

    Raises:
        ValueError: Another rank, axes that are not these, or an unknown `fill_mode`.
        ImportError: SciPy is needed and not installed.

    Example:
        >>> image = np.arange(4.0).reshape(2, 2, 1)
        >>> axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
        >>> apply_affine_transform(image, theta=180, **axes)[..., 0].round().tolist()
        [[3.0, 2.0], [1.0, 0.0]]
    """
    x = to_numpy(x) if isinstance(x, torch.Tensor) else np.asarray(x)
    _check_axes(x, row_axis, col_axis, channel_axis)
    matrix = _matrix(theta, tx, ty, shear, zx, zy)
    if matrix is None:
        return x
    height, width = x.shape[row_axis], x.shape[col_axis]
    matrix = _about_the_middle(matrix, height, width)
    if col_axis > row_axis:  # the matrix is made for columns before rows
        matrix = matrix[[1, 0, 2]][:, [1, 0, 2]]
    images = np.moveaxis(x, channel_axis, 0)
    if order in (0, 1) and fill_mode in _FILL_MODES:
        images = _sample(images, matrix, fill_mode, cval, order)
    else:
        images = _sample_splines(images, matrix, fill_mode, cval, order)
    return np.moveaxis(images, 0, channel_axis)


def _check_axes(x: np.ndarray, *axes: int) -> None:
    if x.ndim != 3:
        raise ValueError(
            explain(
                "apply_affine_transform: the image must have rows, columns and channels.",
                shape=x.shape,
                fix="pass one image, with an axis of size 1 for channels if it is gray.",
            )
        )
    if sorted(axes) != [0, 1, 2] or axes[2] == 1:
        raise ValueError(
            explain(
                "apply_affine_transform: the axes do not describe an image.",
                given=f"row_axis={axes[0]}, col_axis={axes[1]}, channel_axis={axes[2]}",
                expected="0, 1 and 2, each once, with channels first or last",
            )
        )


def _matrix(
    theta: float, tx: float, ty: float, shear: float, zx: float, zy: float
) -> np.ndarray | None:
    """From places in the result to places in the image; `None` where nothing moves."""
    parts = []
    if theta:
        cos, sin = np.cos(np.deg2rad(theta)), np.sin(np.deg2rad(theta))
        parts.append([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    if tx or ty:
        parts.append([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    if shear:
        cos, sin = np.cos(np.deg2rad(shear)), np.sin(np.deg2rad(shear))
        parts.append([[1, -sin, 0], [0, cos, 0], [0, 0, 1]])
    if zx != 1 or zy != 1:
        parts.append([[zx, 0, 0], [0, zy, 0], [0, 0, 1]])
    if not parts:
        return None
    product = np.eye(3)
    for part in parts:
        product = product @ np.array(part, dtype="float64")
    return product


def _about_the_middle(matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    to_middle, back = np.eye(3), np.eye(3)
    to_middle[:2, 2] = height / 2 - 0.5, width / 2 - 0.5
    back[:2, 2] = -to_middle[:2, 2]
    return to_middle @ matrix @ back


def _sample(
    images: np.ndarray, matrix: np.ndarray, fill_mode: str, cval: float, order: int
) -> np.ndarray:
    """Look up images `(C, A, B)` at the places that `matrix` gives, in double precision."""
    _, rows, columns = images.shape
    a = torch.arange(rows, dtype=torch.float64, device="cpu")[:, None]
    b = torch.arange(columns, dtype=torch.float64, device="cpu")
    (aa, ab, a0), (ba, bb, b0), _ = matrix.tolist()
    along_a, out_a = _inside(aa * a + ab * b + a0, rows, fill_mode, order)
    along_b, out_b = _inside(ba * a + bb * b + b0, columns, fill_mode, order)
    # `grid_sample` counts from -1 to 1, from the middle of the first pixel to that of the last.
    grid = torch.stack(
        [along_b * (2 / max(1, columns - 1)) - 1, along_a * (2 / max(1, rows - 1)) - 1], dim=-1
    )
    source = torch.from_numpy(images.astype("float64"))
    found = F.grid_sample(source[None], grid[None], padding_mode="border", align_corners=True)[0]
    if fill_mode == "constant":
        found.masked_fill_(out_a | out_b, cval)
    return _as_dtype(found.numpy(), images.dtype)


def _inside(
    at: torch.Tensor, size: int, fill_mode: str, order: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bring places along an axis between 0 and `size - 1`; also tell which were beyond."""
    last = size - 1
    beyond = (at < 0) | (at > last)
    if fill_mode == "wrap" and last:
        at = torch.where(beyond, at.remainder(last), at)
    elif fill_mode == "mirror" and last:
        at = last - (at.remainder(2 * last) - last).abs()
    elif fill_mode == "reflect":  # at the edges, which lie half a pixel beyond the last one
        at = size - ((at + 0.5).remainder(2 * size) - size).abs() - 0.5
    if order == 0:
        at = (at + 0.5).floor()
    return at.clamp(0, last), beyond


def _as_dtype(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind in "iu":  # to the nearest whole number, halves away from zero
        values = np.where(values < 0, np.ceil(values - 0.5), np.floor(values + 0.5))
        limits = np.iinfo(dtype)
        values = values.clip(limits.min, limits.max)
    return values.astype(dtype)


def _sample_splines(
    images: np.ndarray, matrix: np.ndarray, fill_mode: str, cval: float, order: int
) -> np.ndarray:
    try:
        from scipy import ndimage
    except ImportError:
        raise ImportError(
            f"An affine transform of order {order} with fill_mode={fill_mode!r} needs SciPy. Fix:"
            f" pip install scipy, or take order 0 or 1 and one of {', '.join(_FILL_MODES)}."
        ) from None
    options = {"order": order, "mode": fill_mode, "cval": cval}
    return np.stack(
        [ndimage.affine_transform(c, matrix[:2, :2], matrix[:2, 2], **options) for c in images]
    )


# Random ones --------------------------------------------------------------------------------------


def random_rotation(
    x: Any,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """Turn an image by an angle between `-rg` and `rg` degrees.

    Args:
        x: The image, of rank 3.
        rg: The largest angle.
        row_axis, col_axis, channel_axis, fill_mode, cval: As for `apply_affine_transform`.
        interpolation_order: Its `order`.

    Returns: Array of the shape of `x`.

    Example:
        >>> random_rotation(np.ones((1, 4, 6)), 20).shape
        (1, 4, 6)
    """
    theta = np.random.uniform(-rg, rg)
    axes = (row_axis, col_axis, channel_axis)
    return _moved(x, axes, fill_mode, cval, interpolation_order, theta=theta)


def random_shift(
    x: Any,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """Shift an image, by at most the fraction `wrg` of its width and `hrg` of its height.

    Args:
        x: The image, of rank 3.
        wrg, hrg: The largest fractions.
        row_axis, col_axis, channel_axis, fill_mode, cval: As for `apply_affine_transform`.
        interpolation_order: Its `order`.

    Returns: Array of the shape of `x`.
    """
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    axes = (row_axis, col_axis, channel_axis)
    return _moved(x, axes, fill_mode, cval, interpolation_order, tx=tx, ty=ty)


def random_shear(
    x: Any,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """Shear an image by an angle between `-intensity` and `intensity` degrees.

    Args:
        x: The image, of rank 3.
        intensity: The largest angle.
        row_axis, col_axis, channel_axis, fill_mode, cval: As for `apply_affine_transform`.
        interpolation_order: Its `order`.

    Returns: Array of the shape of `x`.
    """
    shear = np.random.uniform(-intensity, intensity)
    axes = (row_axis, col_axis, channel_axis)
    return _moved(x, axes, fill_mode, cval, interpolation_order, shear=shear)


def random_zoom(
    x: Any,
    zoom_range: Sequence[float],
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """Zoom an image by a factor for each of its two directions.

    Args:
        x: The image, of rank 3.
        zoom_range: The smallest factor and the largest.
        row_axis, col_axis, channel_axis, fill_mode, cval: As for `apply_affine_transform`.
        interpolation_order: Its `order`.

    Returns: Array of the shape of `x`.

    Raises:
        ValueError: `zoom_range` is no pair.
    """
    low, high = pair(zoom_range, "zoom_range")
    zx, zy = (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)
    axes = (row_axis, col_axis, channel_axis)
    return _moved(x, axes, fill_mode, cval, interpolation_order, zx=zx, zy=zy)


def _moved(
    x: Any, axes: tuple[int, int, int], fill_mode: str, cval: float, order: int, **how: float
) -> np.ndarray:
    row_axis, col_axis, channel_axis = axes
    return apply_affine_transform(
        x,
        **how,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=order,
    )


def pair(value: Any, name: str) -> tuple[float, float]:
    """Return the two numbers of an argument.

    Raises:
        ValueError: They are not two.
    """
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise ValueError(
            explain(
                f"`{name}` should be a tuple or list of two floats.",
                given=repr(value),
                fix=f"pass `{name}=(low, high)`.",
            )
        )
    return value[0], value[1]


# Channels and brightness --------------------------------------------------------------------------


def apply_channel_shift(x: Any, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """Add a number to all values, which stay between the image's smallest and largest.

    Args:
        x: The image, of rank 3.
        intensity: The number.
        channel_axis: Not needed, since all channels have the same bounds; kept for scripts.

    Returns: Array of the shape of `x`.

    Example:
        >>> apply_channel_shift(np.array([[[0.0, 2.0, 4.0]]]), 1.0).tolist()
        [[[1.0, 3.0, 4.0]]]
    """
    x = np.asarray(x)
    return np.clip(x + intensity, x.min(), x.max())


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """Apply `apply_channel_shift` with a number between `-intensity_range` and `intensity_range`.

    Args:
        x: The image, of rank 3.
        intensity_range: The largest number.
        channel_axis: Not needed.

    Returns: Array of the shape of `x`.
    """
    intensity = np.random.uniform(-intensity_range, intensity_range)
    return apply_channel_shift(x, intensity, channel_axis)


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> np.ndarray:
    """Multiply the brightness of an image, in whole numbers from 0 to 255, with Pillow.

    Args:
        x: The image, of rank 3, in the global data format.
        brightness: The factor; 0 gives black.
        scale: Stretch the values to 0 to 255 first. Without it, that is done where values lie
            outside, and undone at the end.

    Returns: Array of the shape of `x`, of dtype `config.floatx()`.

    Raises:
        ImportError: Pillow is not installed.
    """
    x = np.asarray(x)
    low, high = x.min(), x.max()
    outside = bool(low < 0 or high > 255)
    image = array_to_img(x, scale=outside or scale)
    from PIL import ImageEnhance

    changed = img_to_array(ImageEnhance.Brightness(image).enhance(brightness))
    return changed / 255 * (high - low) + low if outside and not scale else changed


def random_brightness(x: Any, brightness_range: Sequence[float], scale: bool = True) -> np.ndarray:
    """Apply `apply_brightness_shift` with a factor from a range.

    Args:
        x: The image, of rank 3, in the global data format.
        brightness_range: The smallest factor and the largest.
        scale: As for `apply_brightness_shift`.

    Returns: Array of the shape of `x`.

    Raises:
        ValueError: `brightness_range` is no pair.
        ImportError: Pillow is not installed.
    """
    low, high = pair(brightness_range, "brightness_range")
    return apply_brightness_shift(x, np.random.uniform(low, high), scale)
