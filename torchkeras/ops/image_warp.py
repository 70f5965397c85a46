"""Images read at other positions: affine, perspective and elastic transforms.

Letters: B batch, C channels, H and W sizes of an image, h and w of the result. Positions count
pixels: the center of the first one is 0, also where a transform treats x (along W) before y.

All of them end in `sample`, which reads a whole batch at once. Two dimensions with linear
interpolation run on torch's `grid_sample`; it takes positions relative to the image's size, which
costs one rounding of them. What must be exact (the nearest pixel) or that kernel lacks (wrapping
around, other ranks) is gathered.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..graph.infer import SizeMismatch
from ..graph.operation import op
from .common import as_tensor
from .image_common import IMAGE_PATH, as_images, check_choice, in_batches, in_floats
from .image_filter import blur

__all__ = [
    "affine_transform",
    "compute_homography_matrix",
    "elastic_transform",
    "map_coordinates",
    "perspective_transform",
    "sample",
]

_ORDERS = {"nearest": 0, "bilinear": 1}


# Reading -----------------------------------------------------------------------------------------


def _mirrored(index: Tensor, size: int) -> Tensor:
    last = size - 1
    return (torch.remainder(index + last, 2 * last) - last).abs() if last else index * 0


def _reflected(index: Tensor, size: int) -> Tensor:
    index = torch.remainder(index, 2 * size)
    return torch.minimum(index, 2 * size - 1 - index)


# Which pixel of an axis stands for an index that may be outside.
_INSIDE: dict[str, Callable[[Tensor, int], Tensor]] = {
    "constant": lambda index, size: index.clamp(0, size - 1),
    "nearest": lambda index, size: index.clamp(0, size - 1),
    "wrap": torch.remainder,
    "mirror": _mirrored,
    "reflect": _reflected,
}
# `padding_mode` and `align_corners` of the kernel that does the same.
_GRID_MODES = {
    "constant": ("zeros", False),
    "nearest": ("border", False),
    "mirror": ("reflection", True),
    "reflect": ("reflection", False),
}


def sample(
    images: Tensor,
    positions: Sequence[Tensor],
    order: int,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> Tensor:
    """Read images at positions of their own.

    Args:
        images: `(B, C, H, W)`, floats; integers too where `order` is 0.
        positions: Row and column of each pixel of the result, `(B, h, w)` each.
        order: 0 for the nearest pixel, 1 for linear interpolation.
        fill_mode: What lies outside: `constant`, `nearest`, `wrap`, `mirror` or `reflect`.
        fill_value: The constant.

    Returns:
        `(B, C, h, w)`.
    """
    if order == 0 or fill_mode not in _GRID_MODES:
        return _gathered(images, positions, order, fill_mode, fill_value)
    padding, corners = _GRID_MODES[fill_mode]
    grid = []
    dtype = torch.promote_types(positions[0].dtype, images.dtype)
    for position, size in zip(positions, images.shape[2:], strict=True):
        position = position.to(dtype)
        if corners:
            grid.append(position * (2 / max(size - 1, 1)) - 1)
        else:
            grid.append(position * (2 / size) + (1 / size - 1))
    relative = torch.stack(grid[::-1], -1).to(images.dtype)
    shift = fill_value if fill_mode == "constant" else 0  # the kernel fills with zeros
    images = images - shift if shift else images
    result = F.grid_sample(images, relative, "bilinear", padding, corners)
    return result + shift if shift else result


def _gathered(
    x: Tensor, positions: Sequence[Tensor], order: int, fill_mode: str, fill_value: float
) -> Tensor:
    """`sample` for any number of spatial axes: `x` is `(B, C, sizes...)`."""
    sizes = x.shape[2:]
    rows = x.movedim(1, -1).reshape(-1, x.shape[1])  # a pixel each
    start = torch.arange(x.shape[0], device=x.device) * sizes.numel()
    start = start.reshape(-1, *[1] * (positions[0].ndim - 1))
    result: Any = 0
    nodes = [_nodes(position, order) for position in positions]
    for corner in itertools.product(*nodes):
        place, inside, weight = start, None, None
        for axis, (index, part) in enumerate(corner):
            size = sizes[axis]
            place = place + _INSIDE[fill_mode](index, size) * sizes[axis + 1 :].numel()
            if fill_mode == "constant":
                valid = (index >= 0) & (index < size)
                inside = valid if inside is None else inside & valid
            if part is not None:
                weight = part if weight is None else weight * part
        value = rows.index_select(0, place.flatten()).unflatten(0, place.shape)
        if inside is not None:
            value = value.masked_fill(~inside.unsqueeze(-1), fill_value)
        if weight is not None:
            value = value * weight.unsqueeze(-1).to(value.dtype)
        result = value if len(nodes[0]) == 1 else result + value
    return result.movedim(-1, 1)


def _nodes(position: Tensor, order: int) -> list[tuple[Tensor, Tensor | None]]:
    """Return the indices of the pixels around each position, and their weights."""
    if order == 0:
        return [(torch.round(position).long(), None)]
    lower = torch.floor(position)
    weight = position - lower
    index = lower.long()
    return [(index, 1 - weight), (index + 1, weight)]


@op(path=IMAGE_PATH + "MapCoordinates")
def map_coordinates(
    inputs: Tensor,
    coordinates: Tensor,
    order: int,
    fill_mode: str = "constant",
    fill_value: float = 0,
) -> Tensor:
    """An array read at given positions.

    Args:
        inputs: An array of any rank n.
        coordinates: `(n, ...)`: for each axis, where along it.
        order: 0 for the nearest element, 1 for linear interpolation.
        fill_mode: What lies outside of `a b c d`: `constant` (`k k a b c d k k`), `nearest`
            (`a a a b c d d d`), `wrap` (`c d a b c d a b`), `mirror` (`c b a b c d c b`) or
            `reflect` (`b a a b c d d c`).
        fill_value: The constant.

    Returns:
        The shape of `coordinates` without its first axis, in the dtype of `inputs`.

    Raises:
        ValueError: The coordinates do not fit the array, or `fill_mode` is none of those.
        NotImplementedError: `order` is above 1.

    Example:
        >>> map_coordinates([0.0, 10.0, 20.0], [[0.5, 1.25, 4.0]], 1).tolist()
        [5.0, 12.5, 0.0]
    """
    inputs = as_tensor(inputs)
    places = [as_tensor(x, like=inputs) for x in coordinates]
    if len(places) != inputs.ndim:
        raise ValueError(
            "The first size of `coordinates` must be the same as the rank of `inputs`."
            f" Received: inputs.shape={tuple(inputs.shape)}, len(coordinates)={len(places)}"
        )
    if not places or places[0].ndim < 1:
        raise ValueError(
            "Invalid coordinates rank: expected at least rank 2."
            f" Received: coordinates.shape={(len(places),)}"
        )
    check_choice("fill_mode", fill_mode, _INSIDE)
    if order not in (0, 1):
        raise NotImplementedError(
            "map_coordinates interpolates with `order` 0 (nearest) or 1 (linear)."
            f" Received: order={order}"
        )
    places = [x.unsqueeze(0) if x.is_floating_point() else x.float()[None] for x in places]
    fill_value = fill_value if inputs.is_floating_point() else int(fill_value)

    def read(x: Tensor) -> Tensor:
        return _gathered(x[None, None], places, order, fill_mode, fill_value)[0, 0]

    return read(inputs) if order == 0 else in_floats(read, inputs)


def _warped(
    images: Tensor,
    positions: Callable[[int, int], Sequence[Tensor]],
    interpolation: str,
    fill_mode: str,
    fill_value: float,
    data_format: str | None,
) -> Tensor:
    """Read images where `positions(height, width)` says, in their dtype."""
    fill_value = fill_value if images.is_floating_point() else int(fill_value)

    def read(x: Tensor) -> Tensor:
        places = [place.expand(x.shape[0], -1, -1) for place in positions(*x.shape[2:])]
        return sample(x, places, _ORDERS[interpolation], fill_mode, fill_value)

    return in_floats(lambda x: in_batches(read, x, data_format), images)


def _pixels(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the columns `(1, 1, W)` and rows `(1, H, 1)` of pixels."""
    columns = torch.arange(width, dtype=like.dtype, device=like.device)
    rows = torch.arange(height, dtype=like.dtype, device=like.device)
    return columns[None, None], rows[None, :, None]


# Transforms --------------------------------------------------------------------------------------


@op(path=IMAGE_PATH + "AffineTransform")
def affine_transform(
    images: Tensor,
    transform: Tensor,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images moved, turned, scaled or sheared.

    Args:
        images: One image or a batch.
        transform: `[a0, a1, a2, b0, b1, b2, c0, c1]`, or one such row for each image: the pixel
            `(x, y)` of the result is read at `(a0 x + a1 y + a2, b0 x + b1 y + b2)`. As in Keras
            on torch, `c0` and `c1` count as 0.
        interpolation: `nearest` or `bilinear`.
        fill_mode: What lies outside, as in `map_coordinates`.
        fill_value: The constant of `fill_mode="constant"`.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Returns:
        As `images`.

    Raises:
        ValueError: A rank or a choice is none of those.

    Example:
        >>> image = torch.tensor([[[1.0], [2.0], [3.0]]])
        >>> affine_transform(image, [1.0, 0, 1.0, 0, 1.0, 0, 0, 0]).flatten().tolist()
        [2.0, 3.0, 0.0]
    """
    check_choice("interpolation", interpolation, _ORDERS)
    check_choice("fill_mode", fill_mode, _INSIDE)
    images = as_images(images)
    transform = as_tensor(transform, like=images)
    if transform.ndim not in (1, 2):
        raise ValueError(
            "Invalid transform rank: expected rank 1 (one transform) or rank 2 (a batch)."
            f" Received: transform.shape={tuple(transform.shape)}"
        )
    numbers = transform if transform.dtype is torch.float64 else transform.float()
    a0, a1, a2, b0, b1, b2 = numbers[..., :6].reshape(-1, 6, 1, 1).unbind(1)

    def positions(height: int, width: int) -> Sequence[Tensor]:
        x, y = _pixels(height, width, a0)
        return y * b1 + x * b0 + b2, y * a1 + x * a0 + a2

    return _warped(images, positions, interpolation, fill_mode, fill_value, data_format)


@op(path=IMAGE_PATH + "PerspectiveTransform")
def perspective_transform(
    images: Tensor,
    start_points: Tensor,
    end_points: Tensor,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images seen from elsewhere: four points of each go to four other places.

    Args:
        images: One image or a batch.
        start_points: `(4, 2)` or `(B, 4, 2)`: x and y of points in the images.
        end_points: Where they are in the result.
        interpolation: `nearest` or `bilinear`.
        fill_value: What lies outside.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Returns:
        As `images`.

    Raises:
        ValueError: A shape or `interpolation` is none of those.

    Example:
        >>> corners = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
        >>> swapped = [corners[i] for i in (1, 0, 3, 2)]
        >>> image = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])
        >>> perspective_transform(image, corners, swapped, "nearest").flatten().tolist()
        [2.0, 1.0, 4.0, 3.0]
    """
    check_choice("interpolation", interpolation, _ORDERS)
    images = as_images(images)
    start, end = (as_tensor(points, like=images) for points in (start_points, end_points))
    for name, points in (("start_points", start), ("end_points", end)):
        if points.ndim not in (2, 3) or tuple(points.shape[-2:]) != (4, 2):
            raise ValueError(
                f"Invalid {name} shape: expected (4,2) for one image, or (N,4,2) for a batch."
                f" Received: {name}.shape={tuple(points.shape)}"
            )
    if start.shape != end.shape:
        raise SizeMismatch(
            "start_points and end_points must have the same shape. Received:"
            f" start_points.shape={tuple(start.shape)}, end_points.shape={tuple(end.shape)}"
        )
    matrix = compute_homography_matrix(start.reshape(-1, 4, 2), end.reshape(-1, 4, 2))
    a0, a1, a2, a3, a4, a5, a6, a7 = matrix.reshape(-1, 8, 1, 1).unbind(1)

    def positions(height: int, width: int) -> Sequence[Tensor]:
        x, y = _pixels(height, width, a0)
        scale = a6 * x + a7 * y + 1.0
        return (a3 * x + a4 * y + a5) / scale, (a0 * x + a1 * y + a2) / scale

    return _warped(images, positions, interpolation, "constant", fill_value, data_format)


def compute_homography_matrix(start_points: Tensor, end_points: Tensor) -> Tensor:
    """The perspective transform that takes four end points back to their start points.

    Args:
        start_points: `(B, 4, 2)`, x and y.
        end_points: `(B, 4, 2)`.

    Returns:
        `(B, 8)`: the end point `(x, y)` comes from `((m0 x + m1 y + m2) / k,
        (m3 x + m4 y + m5) / k)` with `k = m6 x + m7 y + 1`. Not finite if three points of either
        lie on a line; finding out would wait for the device.
    """
    dtype = torch.promote_types(start_points.dtype, end_points.dtype)
    wide = torch.promote_types(dtype, torch.float32)
    start, end = start_points.to(wide), end_points.to(wide)
    x, y = end.unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    equations = []
    for axis, place in enumerate(start.unbind(-1)):
        ahead = [zero] * 3 * axis
        behind = [zero] * 3 * (1 - axis)
        equations.append(torch.stack([*ahead, x, y, one, *behind, -place * x, -place * y], -1))
    system = torch.stack(equations, 2).flatten(1, 2)  # (B, 8, 8): two rows for each point
    solution = torch.linalg.solve_ex(system, start.flatten(1).unsqueeze(-1)).result.squeeze(-1)
    return solution.to(dtype) if dtype.is_floating_point else solution


@op(path=IMAGE_PATH + "ElasticTransform")
def elastic_transform(
    images: Tensor,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """Images distorted at random, smoothly.

    Args:
        images: One image or a batch.
        alpha: How strongly.
        sigma: How smoothly: standard deviation, in pixels, of the filter that the random shifts
            go through; they are multiplied by it too.
        interpolation: `nearest` or `bilinear`.
        fill_mode: What lies outside, as in `map_coordinates`.
        fill_value: The constant of `fill_mode="constant"`.
        seed: An integer, a `SeedGenerator` or `None`.
        data_format: `channels_last` or `channels_first`. Default: `config.image_data_format()`.

    Returns:
        As `images`.

    Raises:
        ValueError: A rank or a choice is none of those.

    Source: Simard et al. 2003.

    Example:
        >>> elastic_transform(torch.ones(5, 6, 3), seed=1).shape
        torch.Size([5, 6, 3])
    """
    check_choice("interpolation", interpolation, _ORDERS)
    check_choice("fill_mode", fill_mode, _INSIDE)
    images = as_images(images)
    batch = images.shape[0] if images.ndim == 4 else 1
    dtype = images.dtype if images.dtype is torch.float64 else torch.float32
    size = int(6 * sigma) | 1

    def positions(height: int, width: int) -> Sequence[Tensor]:
        generator = _generator(seed, images.device)
        noise = [
            torch.randn(
                (batch, height, width), generator=generator, dtype=dtype, device=images.device
            )
            for _ in "xy"  # two draws give the numbers of Keras's
        ]
        noise = torch.stack(noise, 1)
        shift = alpha * blur(noise * sigma, (size, size), (sigma, sigma))
        x, y = _pixels(height, width, shift)
        return y + shift[:, 1], x + shift[:, 0]

    return _warped(images, positions, interpolation, fill_mode, fill_value, data_format)


def _generator(seed: Any, device: torch.device) -> torch.Generator | None:
    """Return a generator for one draw; `None`, for torch's own, where it cannot or need not be one.

    It gives the numbers of `random.generator_for`, which stands above this file.
    """
    if seed is None or device.type == "meta" or torch.compiler.is_compiling():
        return None
    number = seed if isinstance(seed, int) else seed.draw()
    return torch.Generator(device).manual_seed(number & 0xFFFFFFFF)
