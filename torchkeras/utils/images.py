"""Images: files, Pillow's images and arrays, from one to the other, and `smart_resize`.

Letters: H height, W width, C channels. Arrays are `(H, W, C)`, or `(C, H, W)` under
`"channels_first"`; Pillow counts sizes as `(W, H)`. Pillow is imported on first use.
Sources: `keras.utils` and `keras.preprocessing.image` for names, defaults and results.
"""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import numpy as np
import torch

from ..config import floatx, standardize_data_format
from ..dtypes import as_tensor, to_numpy
from ..naming import explain, nearest
from ..ops.image import resize

# Keras's functions of images; folders share `GRAY` and `read_image` with `load_img`.
__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]

# Modes of Pillow that `"grayscale"` leaves as they are, so that 16 and 32 bits survive.
GRAY = ("L", "I;16", "I")
_COLOR_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "Could not import PIL.Image, which images need. Fix: pip install pillow"
        ) from None
    return Image


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """Make a Pillow image of an array.

    Args:
        x: Array or tensor of shape `(H, W, C)` with 1, 3 or 4 channels.
        data_format: `"channels_last"` or `"channels_first"`; `None` for the global setting.
        scale: Stretch the values so that the smallest is 0 and the largest 255; else they are cut
            to whole numbers.
        dtype: In which to compute; by default `config.floatx()`.

    Returns: `PIL.Image.Image` of mode L, RGB or RGBA; of mode I for gray values above 255.

    Raises:
        ValueError: Another rank or number of channels.
        ImportError: Pillow is not installed.

    Example:
        >>> array_to_img(np.zeros((4, 6, 3))).size
        (6, 4)
    """
    image = _pillow()
    channels_first = standardize_data_format(data_format) == "channels_first"
    dtype = floatx() if dtype is None else dtype
    x = np.asarray(to_numpy(x) if isinstance(x, torch.Tensor) else x, dtype=dtype)
    if x.ndim != 3:
        raise ValueError(
            f"Expected image array to have rank 3 (single image). Got array with shape: {x.shape}"
        )
    if channels_first:
        x = x.transpose(1, 2, 0)
    if scale:
        x = x - x.min()
        largest = x.max()
        x = (x / largest if largest else x) * 255
    channels = x.shape[-1]
    if channels == 1:
        x = x[:, :, 0]
    elif channels not in (3, 4):
        raise ValueError(f"Unsupported channel number: {channels}. An image has 1, 3 or 4.")
    deep = channels == 1 and x.max() > 255
    return image.fromarray(np.ascontiguousarray(x.astype("int32" if deep else "uint8")))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """Make an array of a Pillow image.

    Args:
        img: The image, or an array of shape `(H, W)` or `(H, W, C)`.
        data_format: `"channels_last"` or `"channels_first"`; `None` for the global setting.
        dtype: Of the result; by default `config.floatx()`.

    Returns: Array of shape `(H, W, C)` or `(C, H, W)`.

    Raises:
        ValueError: `img` has another rank.

    Example:
        >>> img_to_array(array_to_img(np.zeros((4, 6, 1)))).shape
        (4, 6, 1)
    """
    channels_first = standardize_data_format(data_format) == "channels_first"
    x = np.asarray(img, dtype=floatx() if dtype is None else dtype)
    if x.ndim not in (2, 3):
        raise ValueError(f"Unsupported image shape: {x.shape}. Expected (H, W) or (H, W, C).")
    if x.ndim == 2:
        x = x[:, :, None]
    return x.transpose(2, 0, 1) if channels_first else x


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array to an image file.

    Args:
        path: Path or file object.
        x, data_format, scale: As for `array_to_img`.
        file_format: Such as `"png"`; by default what the extension says. A file object needs it.
        kwargs: For Pillow's `save`, such as `quality=90`.
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = os.path.splitext(os.fspath(path))[1][1:].lower()
    if file_format and file_format.lower() == "jpg":
        file_format = "jpeg"
    img = array_to_img(x, data_format=data_format, scale=scale)
    if img.mode == "RGBA" and file_format == "jpeg":
        warnings.warn(
            "The JPEG format does not support RGBA images, converting to RGB.", stacklevel=2
        )
        img = img.convert("RGB")
    img.save(path, format=file_format, **kwargs)


def read_image(path: Any) -> Any:
    """Read an image file as it is."""
    with _pillow().open(path) as img:
        img.load()  # reads the file to its end; then it may be closed
    return img


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Read an image file.

    Args:
        path: Path, or a `BytesIO` with the file's content.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
        target_size: `(H, W)` to bring the image to; `None` leaves it.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"hamming"`, `"box"` or `"lanczos"`.
        keep_aspect_ratio: Cut the image's edges first, so that nothing is distorted.

    Returns: `PIL.Image.Image`.

    Raises:
        TypeError: `path` is neither.
        ValueError: An unknown `color_mode` or `interpolation`.
        ImportError: Pillow is not installed.
    """
    if not isinstance(path, (io.BytesIO, str, bytes, os.PathLike)):
        raise TypeError(f"path should be path-like or io.BytesIO, not {type(path)}")
    if color_mode not in _COLOR_MODES:
        raise ValueError(
            f'color_mode must be "grayscale", "rgb", or "rgba". Received: {color_mode!r}'
        )
    img = read_image(path)
    mode = _COLOR_MODES[color_mode]
    if img.mode != mode and not (color_mode == "grayscale" and img.mode in GRAY):
        img = img.convert(mode)
    if target_size is None or img.size == (target_size[1], target_size[0]):
        return img
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            explain(
                f"Invalid interpolation method {interpolation} specified.",
                expected=f"one of {', '.join(_INTERPOLATIONS)}",
                fix=nearest(interpolation, _INTERPOLATIONS) or None,
            )
        )
    height, width = target_size
    box = _crop_box(img.height, img.width, height, width) if keep_aspect_ratio else None
    resampling = _pillow().Resampling[interpolation.upper()]
    return img.resize((width, height), resampling, box=box)


def _crop_box(height: int, width: int, to_height: int, to_width: int) -> tuple[int, ...]:
    """The largest box in the middle that has the proportions of `to_height` and `to_width`."""
    high = min(height, width * to_height // to_width)
    wide = min(width, height * to_width // to_height)
    top, left = (height - high) // 2, (width - wide) // 2
    return left, top, left + wide, top + high


def smart_resize(
    x: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
    **kwargs: Any,
) -> Any:
    """Bring images to a size without distorting them: cut the edges, then resize.

    Args:
        x: Array or tensor, one image `(H, W, C)` or a batch `(B, H, W, C)`.
        size: `(H, W)` of the result.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns: Array for an array, tensor for a tensor.

    Raises:
        ValueError: `size` is no pair, or `x` has another rank.
        TypeError: Further arguments.

    Example:
        >>> smart_resize(np.ones((34, 50, 3)), (20, 20)).shape
        (20, 20, 3)
    """
    if kwargs:
        raise TypeError(f"smart_resize() got unexpected keyword arguments: {list(kwargs)}")
    if len(size) != 2:
        raise ValueError(f"Expected `size` to be a tuple of 2 integers, but got: {size}.")
    images = x if isinstance(x, torch.Tensor) else as_tensor(np.asarray(x))
    if images.ndim not in (3, 4):
        raise ValueError(
            "Expected an image array with shape `(height, width, channels)`, or `(batch_size,"
            " height, width, channels)`, but got input with incorrect rank, of shape"
            f" {tuple(images.shape)}."
        )
    rows = images.ndim - (3 if data_format == "channels_last" else 2)
    height, width = images.shape[rows : rows + 2]
    high = max(1, min(height, int(width * size[0] / size[1])))
    wide = max(1, min(width, int(height * size[1] / size[0])))
    images = images.narrow(rows, (height - high) // 2, high)
    images = images.narrow(rows + 1, (width - wide) // 2, wide)
    images = resize(images, tuple(size), interpolation=interpolation, data_format=data_format)
    return to_numpy(images) if isinstance(x, np.ndarray) else images
