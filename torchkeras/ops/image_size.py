"""Sizes of images: resizing, borders, patches, scaling along any axes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..dtypes import result_type
from ..graph.context import CONTEXT
from ..graph.infer import known_shape
from ..graph.operation import op
from .common import as_tensor
from .image_common import IMAGE_PATH, as_images, check_choice, in_batches, in_floats
from .windows import same_padding, standardize_padding, standardize_tuple, torch_padding

__all__ = [
    "crop_images",
    "extract_patches",
    "extract_patches_3d",
    "pad_images",
    "resize",
    "scale_and_translate",
]

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
# What Keras 2 and TensorFlow have besides; their `bicubic` is another curve than PyTorch's.
_FURTHER = ("area", "gaussian", "mitchellcubic", "keras2_bicubic")


@op(path=IMAGE_PATH + "Resize")
def resize(
    images: Tensor,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images in another size, in their dtype.

    Args:
        images: One image or a batch.
        size: Height and width of the result.
        interpolation: `nearest`, `bilinear`, `bicubic`, `lanczos3` or `lanczos5`; or, as in
            TensorFlow and Keras 2, `area`, `gaussian`, `mitchellcubic` or `keras2_bicubic`.
        antialias: Whether to smooth before making smaller.
        crop_to_aspect_ratio: Whether to cut off what does not fit the new shape.
        pad_to_aspect_ratio: Whether to fill up what is missing for it.
        fill_mode: How; only `constant`.
        fill_value: With what.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        ValueError: An argument is not one of those, or both ratios are asked for.

    Source: `tf.image.resize`; Keys 1981, with a = -0.5 (`keras2_bicubic`).

    Example:
        >>> resize(torch.ones(2, 2, 3), (4, 6)).shape
        torch.Size([4, 6, 3])
    """
    images = as_images(images)
    if len(size) != 2:
        raise ValueError(f"Expected `size` to be a tuple of 2 integers. Received: size={size}")
    if min(size) <= 0:
        raise ValueError(f"`size` must have positive height and width. Received: size={size}")
    check_choice("interpolation", interpolation, (*_INTERPOLATIONS, *_FURTHER))
    check_choice("fill_mode", fill_mode, ["constant"])
    if pad_to_aspect_ratio and crop_to_aspect_ratio:
        raise ValueError(
            "Only one of `pad_to_aspect_ratio` & `crop_to_aspect_ratio` can be `True`."
        )
    target = tuple(size)

    def scale(x: Tensor) -> Tensor:
        if crop_to_aspect_ratio:
            x = _cropped(x, target)
        elif pad_to_aspect_ratio:
            x = _padded(x, target, fill_value)
        return _resized(x, target, interpolation, antialias)

    return in_floats(lambda x: in_batches(scale, x, data_format), images)


def _resized(x: Tensor, size: tuple[int, ...], interpolation: str, antialias: bool) -> Tensor:
    if interpolation == "nearest":
        return F.interpolate(x, size, mode="nearest-exact")
    # torch's smoothing kernels (2.13) fill a result of one column with the value of its first row.
    faulty = antialias and size[1] == 1
    if interpolation in ("bilinear", "bicubic") and not faulty:
        mode = interpolation
        return F.interpolate(x, size, mode=mode, align_corners=False, antialias=antialias)
    for axis, (old, new) in zip((2, 3), zip(x.shape[2:], size, strict=True), strict=True):
        weights = _resize_weights(old, new, interpolation, antialias, x)
        x = torch.tensordot(x, weights.to(x.dtype), ([axis], [0])).movedim(-1, axis)
    return x


def _resize_weights(
    old: int, new: int, interpolation: str, antialias: bool, like: Tensor
) -> Tensor:
    """Return how much of each of `old` pixels is in each of `new` ones, `(old, new)`."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    ratio = torch.full((), new / old, dtype=dtype, device=like.device)
    pixels = torch.arange(old, dtype=dtype, device=like.device)[:, None]
    if interpolation == "area":  # how far the two overlap
        left = torch.arange(new, dtype=dtype, device=like.device) / ratio
        overlap = torch.minimum(pixels + 1, left + 1 / ratio) - torch.maximum(pixels, left)
        return overlap.clamp(min=0) * ratio
    # TensorFlow's cubic curve has a = -0.5, and is a table of 1024 steps a pixel unless it smooths.
    if interpolation == "keras2_bicubic" and not antialias:
        place = (torch.arange(new, dtype=dtype, device=like.device) + 0.5) / ratio - 0.5
        weights = _keys((torch.round(place * 1024) / 1024 - pixels).abs())
        return weights / weights.sum(0, keepdim=True)
    return _scale_weights(old, new, ratio, torch.zeros_like(ratio), interpolation, antialias)


def _cropped(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Cut images to the aspect ratio of `size`, from the middle."""
    height, width = x.shape[-2:]
    rows = max(min(height, int(width * size[0] / size[1])), 1)
    columns = max(min(width, int(height * size[1] / size[0])), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return x[:, :, top : top + rows, left : left + columns]


def _padded(x: Tensor, size: tuple[int, ...], fill_value: float) -> Tensor:
    """Fill images up to the aspect ratio of `size`, evenly on both sides."""
    height, width = x.shape[-2:]
    top = (max(height, int(width * size[0] / size[1])) - height) // 2
    left = (max(width, int(height * size[1] / size[0])) - width) // 2
    return F.pad(x, (left, left, top, top), value=fill_value)


# Patches -----------------------------------------------------------------------------------------


@op(path=IMAGE_PATH + "ExtractPatches")
def extract_patches(
    images: Tensor,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The windows of images, each laid out as channels.

    Args:
        images: One image or a batch; volumes, if `size` has three numbers.
        size: Of a window.
        strides: Step between windows. Default: `size`.
        dilation_rate: Step between the elements of a window.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        TypeError: `size` is no integer and no tuple.
        ValueError: It has another number of elements.

    Example:
        >>> extract_patches(torch.ones(4, 4, 3), 2).shape
        torch.Size([2, 2, 12])
    """
    if not isinstance(size, int):
        if not isinstance(size, (tuple, list)):
            raise TypeError(
                f"Invalid `size` argument. Expected an int or a tuple. Received: size={size!r}"
            )
        if len(size) not in (2, 3):
            raise ValueError(
                f"Invalid `size` argument. Expected a tuple of length 2 or 3. Received: size={size}"
            )
    rank = 2 if isinstance(size, int) else len(size)
    windows = standardize_tuple(size, rank, "size")
    steps = windows if not strides else standardize_tuple(strides, rank, "strides")
    dilation = standardize_tuple(dilation_rate, rank, "dilation_rate")
    padding = standardize_padding(padding)

    def patches(x: Tensor) -> Tensor:
        if padding == "same":
            sizes = zip(x.shape[2:], windows, steps, dilation, strict=True)
            x = F.pad(x, torch_padding([same_padding(*item) for item in sizes]))
        for i in range(rank):  # views; nothing is copied before the end
            extent = (windows[i] - 1) * dilation[i] + 1
            x = x.unfold(2 + i, extent, steps[i])[..., :: dilation[i]]
        x = x.movedim(1, -1)  # (B, spatial..., window..., C)
        return x.flatten(1 + rank).movedim(-1, 1)

    return in_batches(patches, as_images(images, rank), data_format, rank)


def extract_patches_3d(
    volumes: Tensor,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """`extract_patches` of volumes.

    Raises:
        TypeError: `size` is neither a number nor three.

    Example:
        >>> extract_patches_3d(torch.ones(4, 4, 4, 1), 2).shape
        torch.Size([2, 2, 2, 8])
    """
    size = (size,) * 3 if isinstance(size, int) else size
    if not isinstance(size, (tuple, list)) or len(size) != 3:
        raise TypeError(
            "Invalid `size` argument. Expected an int or a tuple of length 3."
            f" Received: size={size!r}"
        )
    return extract_patches(volumes, size, strides, dilation_rate, padding, data_format)


# Borders -----------------------------------------------------------------------------------------


def _margins(
    size: int, before: int | None, after: int | None, target: int | None, names: Sequence[str]
) -> tuple[int, int]:
    """Return how much is added (`pad_images`) before and after an axis.

    Of `before`, `after` and `target`, the size of the result, two must be given.
    """
    given = dict(zip(names, (before, after, target), strict=True))
    if list(given.values()).count(None) != 1:
        raise ValueError(f"Must specify exactly two of {', '.join(names)}. Received: {given}")
    for name, value in given.items():
        if value is not None and value < 0:
            raise ValueError(f"{name} must be >= 0. Received: {name}={value}")
    if before is None:
        before = target - after - size
    elif after is None:
        after = target - before - size
    return before, after


def _check_margins(margins: Sequence[int], names: Sequence[str], size: int | None) -> None:
    for name, margin in zip(names, margins, strict=True):
        if margin < 0 and size is not None:  # of an unknown size, any target may be right
            raise ValueError(f"{name} must be >= 0. Received: {name}={margin}, size={size}")


@op(path=IMAGE_PATH + "PadImages")
def pad_images(
    images: Tensor,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images with zeros around them; of each direction two numbers are given.

    Args:
        images: One image or a batch.
        top_padding, bottom_padding, target_height: Rows.
        left_padding, right_padding, target_width: Columns.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        ValueError: Not two numbers are given, one is negative, or the target is too small.

    Example:
        >>> rows = {"top_padding": 1, "target_height": 4}
        >>> pad_images(torch.ones(2, 2, 1), left_padding=0, target_width=3, **rows).shape
        torch.Size([4, 3, 1])
    """

    def pad(x: Tensor) -> Tensor:
        *_, height, width = x.shape
        *_, known_height, known_width = known_shape(x)
        names = ("top_padding", "bottom_padding", "target_height")
        rows = _margins(height, top_padding, bottom_padding, target_height, names)
        _check_margins(rows, names[:2], known_height)
        names = ("left_padding", "right_padding", "target_width")
        columns = _margins(width, left_padding, right_padding, target_width, names)
        _check_margins(columns, names[:2], known_width)
        return F.pad(x, (*columns, *rows))

    return in_batches(pad, as_images(images), data_format)


@op(path=IMAGE_PATH + "CropImages")
def crop_images(
    images: Tensor,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """A part of images; of each direction two numbers are given.

    Args:
        images: One image or a batch.
        top_cropping, bottom_cropping, target_height: Rows.
        left_cropping, right_cropping, target_width: Columns.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Raises:
        ValueError: Not two numbers are given, one is negative, or the part is not inside.

    Example:
        >>> rows = {"top_cropping": 1, "target_height": 2}
        >>> crop_images(torch.ones(4, 4, 1), left_cropping=0, target_width=3, **rows).shape
        torch.Size([2, 3, 1])
    """

    def crop(x: Tensor) -> Tensor:
        *_, height, width = x.shape
        *_, known_height, known_width = known_shape(x)
        names = ("top_cropping", "bottom_cropping", "target_height")
        top, bottom = _cut(height, top_cropping, bottom_cropping, target_height, names)
        names = ("left_cropping", "right_cropping", "target_width")
        left, right = _cut(width, left_cropping, right_cropping, target_width, names)
        _check_cut("height", top, bottom, known_height)
        _check_cut("width", left, right, known_width)
        if known_height is None or known_width is None:
            # A stand-in's size may be too small for the part; negative padding cuts in any case.
            return F.pad(x, (-left, right - width, -top, bottom - height))
        return x[:, :, top:bottom, left:right]

    return in_batches(crop, as_images(images), data_format)


def _cut(
    size: int, before: int | None, after: int | None, target: int | None, names: Sequence[str]
) -> tuple[int, int]:
    """Return where the part of an axis begins and ends."""
    given = dict(zip(names, (before, after, target), strict=True))
    if list(given.values()).count(None) != 1:
        raise ValueError(f"Must specify exactly two of {', '.join(names)}. Received: {given}")
    for name, value in given.items():
        if value is not None and value < 0:
            raise ValueError(f"{name} must be >= 0. Received: {name}={value}")
    if before is None:
        before = size - after - target
    return before, before + target if target is not None else size - after


def _check_cut(name: str, start: int, end: int, size: int | None) -> None:
    if size is None or 0 <= start <= end <= size:
        return
    side, other = ("top", "bottom") if name == "height" else ("left", "right")
    if start < 0:
        raise ValueError(
            f"{side}_cropping must be >= 0. Received: {side}_cropping={start}, {name}={size}"
        )
    if end < start:
        raise ValueError(
            f"target_{name} must be >= 0. Received: target_{name}={end - start}, {name}={size}"
        )
    raise ValueError(
        f"{other}_cropping must be >= 0: the part ends at {end}, outside the images."
        f" Received: {name}={size}"
    )


# Scaling -----------------------------------------------------------------------------------------


def _triangle(x: Tensor) -> Tensor:
    return (1 - x).clamp(min=0)


def _keys(x: Tensor) -> Tensor:
    near = ((1.5 * x - 2.5) * x) * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return torch.where(x < 1.0, near, torch.where(x < 2.0, far, 0.0))


def _lanczos(x: Tensor, radius: int) -> Tensor:
    window = torch.sinc(x) * torch.sinc(x / radius)
    return torch.where(x > radius, 0.0, torch.where(x > 1e-3, window, 1.0))


def _gaussian(x: Tensor) -> Tensor:
    return torch.where(x < 1.5, torch.exp(-2.0 * x * x), 0.0)


def _mitchell(x: Tensor) -> Tensor:
    near = (7 / 6 * x - 2.0) * x * x + 8 / 9
    far = ((-7 / 18 * x + 2.0) * x - 10 / 3) * x + 16 / 9
    return torch.where(x < 1.0, near, torch.where(x < 2.0, far, 0.0))


# Weight of a sample at a distance from it.
_KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), _triangle),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), _keys),
    "lanczos3": functools.partial(_lanczos, radius=3),
    "lanczos5": functools.partial(_lanczos, radius=5),
}
_FURTHER_KERNELS = {"gaussian": _gaussian, "mitchellcubic": _mitchell, "keras2_bicubic": _keys}


@op(path=IMAGE_PATH + "ScaleAndTranslate")
def scale_and_translate(
    images: Tensor,
    output_shape: Sequence[int] | Tensor,
    scale: Tensor,
    translation: Tensor,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Tensor:
    """Images resampled after scaling and moving them along some of their axes.

    Position `p` of an axis goes to `p * scale + translation`, pixels being unit intervals: pixel
    `i` is centered at `i + 0.5`.

    Args:
        images: An array of any rank.
        output_shape: The shape of the result.
        scale: A factor for each axis of `spatial_dims`.
        translation: A shift for each, in pixels of the result.
        spatial_dims: The axes; the others keep their size.
        method: `linear`, `cubic`, `lanczos3` or `lanczos5`; or `bilinear`, `trilinear`,
            `triangle`, `bicubic` or `tricubic`, which mean the first two.
        antialias: Whether to smooth before making smaller.

    Raises:
        ValueError: `method` is none of those.

    Source: `jax.image.scale_and_translate`; Keys 1981 (cubic), Duchon 1979 (Lanczos).

    Example:
        >>> x = torch.tensor([[1.0, 2.0]])
        >>> scale_and_translate(x, (1, 4), [2.0], [0.0], (1,), "linear").tolist()
        [[1.0, 1.25, 1.75, 2.0]]
    """
    check_choice("method", method, _KERNELS)
    images = as_tensor(images)
    if CONTEXT.meta and isinstance(output_shape, (list, tuple)):
        pairs = zip(images.shape, known_shape(images), output_shape, strict=True)
        images = images.new_empty([b if a is None and b else size for size, a, b in pairs])
    dtype = result_type(*(getattr(x, "dtype", float) for x in (scale, translation)))
    scale, translation = as_tensor(scale, dtype, images), as_tensor(translation, dtype, images)
    integer = not images.is_floating_point()
    result = images.float() if integer else images
    for i, axis in enumerate(spatial_dims):
        size = output_shape[axis]
        result = _resampled(result, axis, size, scale[i], translation[i], method, antialias)
    if not integer or not spatial_dims:
        return result.to(images.dtype)
    return torch.round(result).clamp(images.amin(), images.amax()).to(images.dtype)


def _resampled(
    x: Tensor, axis: int, size: int, scale: Tensor, shift: Tensor, method: str, antialias: bool
) -> Tensor:
    """Scale and move one axis, which gets another size; `scale` and `shift` are scalars."""
    weights = _scale_weights(x.shape[axis], size, scale, shift, method, antialias)
    return torch.tensordot(x, weights.to(x.dtype), ([axis], [0])).movedim(-1, axis)


def _scale_weights(
    old: int, size: int, scale: Tensor, shift: Tensor, method: str, antialias: bool
) -> Tensor:
    """Return how much of each of `old` pixels is in each of `size` ones, `(old, size)`."""
    inverse = 1.0 / scale
    place = torch.arange(size, dtype=inverse.dtype, device=scale.device) + 0.5
    place = place * inverse - shift * inverse - 0.5
    distance = (place - torch.arange(old, dtype=place.dtype, device=place.device)[:, None]).abs()
    if antialias:
        distance = distance / inverse.clamp(min=1.0)
    weights = (_KERNELS.get(method) or _FURTHER_KERNELS[method])(distance)
    total = weights.sum(0, keepdim=True)
    covered = total.abs() > 1000.0 * torch.finfo(torch.float32).eps
    weights = torch.where(covered, weights / torch.where(covered, total, 1.0), 0.0)
    return torch.where((place >= -0.5) & (place <= old - 0.5), weights, 0.0)
