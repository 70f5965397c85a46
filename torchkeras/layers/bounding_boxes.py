"""`keras.utils.bounding_boxes`: formats of boxes, overlaps, and boxes relative to anchors.

A box is four numbers on the last axis, in one of these formats:

    xyxy, yxyx                  left, top, right and bottom, or top and left first
    xywh                        left, top, width, height
    center_xywh, center_yxhw    center and size
    rel_xyxy, rel_yxyx, rel_xywh, rel_center_xywh    the same as parts of the image's size

Boxes of images are a dict of `boxes`, `(N, 4)` or `(B, N, 4)`, and `labels`, `(N,)` or `(B, N)`;
the label -1 marks what is no box. B is the batch, N and M are numbers of boxes.
Sources: `keras.utils.bounding_boxes` (names, formats, results); Zheng et al. 2020 (complete IoU).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..config import epsilon
from ..dtypes import as_tensor, to_torch
from ..graph.infer import known_shape
from ..naming import explain
from .data_layer import also_in_tf_graphs

__all__ = [
    "FORMATS",
    "affine_transform",
    "clip_to_image_size",
    "compute_ciou",
    "compute_iou",
    "convert_format",
    "crop",
    "decode_deltas_to_boxes",
    "densify_bounding_boxes",
    "encode_box_to_deltas",
    "pad",
    "validate_bounding_boxes",
]

FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
)
Boxes = Any  # a tensor, or a dict with `boxes` and `labels`


# Formats -----------------------------------------------------------------------------------------


@also_in_tf_graphs
def convert_format(
    boxes: Boxes,
    source: str,
    target: str,
    height: Any = None,
    width: Any = None,
    dtype: Any = "float32",
) -> Boxes:
    """Boxes in another format.

    Args:
        boxes: `(..., 4)`, or a dict with such `boxes`.
        source: Their format, one of `FORMATS`.
        target: The format wanted.
        height: Of the images; needed between relative and absolute formats.
        width: Of the images.
        dtype: Of the result.

    Returns:
        Like `boxes`.

    Raises:
        ValueError: An unknown format, no four numbers, or no size of the images.

    Example:
        >>> convert_format([[10, 20, 30, 60]], "xyxy", "center_xywh").tolist()
        [[20.0, 40.0, 20.0, 40.0]]
    """
    if isinstance(boxes, Mapping):
        changed = convert_format(boxes["boxes"], source, target, height, width, dtype)
        return {**boxes, "boxes": changed}
    boxes = as_tensor(boxes)
    if boxes.shape[-1] != 4:
        raise ValueError(
            "`boxes` must be a tensor with the last dimension of 4."
            f" Received: boxes.shape={known_shape(boxes)}"
        )
    source, target = source.lower(), target.lower()
    for name, value in (("source", source), ("target", target)):
        if value not in FORMATS:
            raise ValueError(
                f"Invalid {name} format: {value!r}. Supported formats: {', '.join(FORMATS)}."
            )
    from_relative, to_relative = source.startswith("rel_"), target.startswith("rel_")
    if (from_relative or to_relative) and (height is None or width is None):
        raise ValueError(
            "convert_format() must receive `height` and `width` of the images for relative formats."
            f" Received: source={source!r}, target={target!r}, height={height}, width={width}"
        )
    boxes = boxes.to(to_torch(dtype))
    if source == target:
        return boxes
    corners = _corners(boxes, source.removeprefix("rel_"))
    if from_relative and not to_relative:
        corners = [x * n for x, n in zip(corners, (width, height) * 2, strict=True)]
    layout = target.removeprefix("rel_")
    result = _from_corners(corners, layout)
    if to_relative and not from_relative:
        sizes = (height, width) if _is_down_first(layout) else (width, height)
        result = [x / n for x, n in zip(result, sizes * 2, strict=True)]
    return torch.cat(result, -1).to(boxes.dtype)


def _corners(boxes: Tensor, layout: str) -> list[Tensor]:
    """Return left, top, right and bottom, each with a last axis of one."""
    a, b, c, d = boxes.split(1, -1)
    if _is_down_first(layout):
        a, b, c, d = b, a, d, c
    if layout.startswith("center"):
        return [a - c / 2, b - d / 2, a + c / 2, b + d / 2]
    return [a, b, a + c, b + d] if layout == "xywh" else [a, b, c, d]


def _from_corners(corners: Sequence[Tensor], layout: str) -> list[Tensor]:
    """The inverse of `_corners`."""
    left, top, right, bottom = corners
    width, height = right - left, bottom - top
    if layout.startswith("center"):
        a, b, c, d = left + width / 2, top + height / 2, width, height
    elif layout == "xywh":
        a, b, c, d = left, top, width, height
    else:
        a, b, c, d = corners
    return [b, a, d, c] if _is_down_first(layout) else [a, b, c, d]


def _is_down_first(layout: str) -> bool:
    return layout.removeprefix("center_").startswith("yx")


def _xyxy_only(bounding_box_format: str, *others: str) -> None:
    if bounding_box_format not in ("xyxy", *others):
        raise NotImplementedError(
            explain(
                f"This is computed in the format {' or '.join(('xyxy', *others))}.",
                given=bounding_box_format,
                fix="convert the boxes with `convert_format` first.",
            )
        )


# Cutting and moving ------------------------------------------------------------------------------


@also_in_tf_graphs
def clip_to_image_size(
    bounding_boxes: Mapping[str, Any],
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> dict[str, Any]:
    """Cut off what lies outside of the images; boxes of which nothing is left get the label -1.

    Args:
        bounding_boxes: `boxes` and, perhaps, `labels`.
        height: Of the images, for the format `xyxy`.
        width: Of the images.
        bounding_box_format: `xyxy` or `rel_xyxy`.

    Raises:
        NotImplementedError: The boxes have another format.
        ValueError: The size of the images is needed and not given.

    Example:
        >>> boxes = {"boxes": [[-5.0, 0.0, 5.0, 9.0], [20.0, 0.0, 30.0, 9.0]], "labels": [1, 2]}
        >>> clipped = clip_to_image_size(boxes, height=8, width=10)
        >>> clipped["boxes"].tolist(), clipped["labels"].tolist()
        ([[0.0, 0.0, 5.0, 8.0], [10.0, 0.0, 10.0, 8.0]], [1, -1])
    """
    _xyxy_only(bounding_box_format, "rel_xyxy")
    if bounding_box_format == "rel_xyxy":
        height = width = 1.0
    elif height is None or width is None:
        raise ValueError(
            "`height` and `width` must be given with the format 'xyxy'."
            f" Received: height={height}, width={width}"
        )
    boxes = _clamped(as_tensor(bounding_boxes["boxes"]), 0, 0, height, width)
    result = {**bounding_boxes, "boxes": boxes}
    if bounding_boxes.get("labels") is not None:
        labels = as_tensor(bounding_boxes["labels"], device=boxes.device)
        left, top, right, bottom = boxes.unbind(-1)
        result["labels"] = torch.where((right - left) * (bottom - top) > 0, labels, -1)
    return result


def _clamped(boxes: Tensor, top: Any, left: Any, height: Any, width: Any) -> Tensor:
    """Return boxes relative to a window, and cut to it; its numbers may be tensors."""
    parts = []
    for x, start, size in zip(
        boxes.split(1, -1), (left, top) * 2, (width, height) * 2, strict=True
    ):
        size = size.to(x.dtype) if isinstance(size, Tensor) else size
        parts.append((x - start).clamp(min=0).clamp(max=size))
    return torch.cat(parts, -1)


@also_in_tf_graphs
def crop(
    boxes: Any, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy"
) -> Tensor:
    """Boxes within a part of their images.

    Args:
        boxes: `(..., 4)`.
        top, left: Where the part begins.
        height, width: Its size.
        bounding_box_format: `xyxy`.

    Raises:
        NotImplementedError: The boxes have another format.

    Example:
        >>> crop([[1.0, 2.0, 6.0, 8.0]], top=4, left=0, height=3, width=5).tolist()
        [[1.0, 0.0, 5.0, 3.0]]
    """
    _xyxy_only(bounding_box_format)
    return _clamped(as_tensor(boxes), top, left, height, width)


@also_in_tf_graphs
def pad(
    boxes: Any,
    top: Any,
    left: Any,
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """Boxes in images that have got a border.

    Args:
        boxes: `(..., 4)`.
        top, left: Sizes of the border.
        height, width: Not needed.
        bounding_box_format: `xyxy`.

    Raises:
        NotImplementedError: The boxes have another format.

    Example:
        >>> pad([[1.0, 2.0, 6.0, 8.0]], top=4, left=1).tolist()
        [[2.0, 6.0, 7.0, 12.0]]
    """
    _xyxy_only(bounding_box_format)
    shifts = zip(as_tensor(boxes).split(1, -1), (left, top) * 2, strict=True)
    return torch.cat([x + shift for x, shift in shifts], -1)


@also_in_tf_graphs
def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """The boxes around what an affine transform of the images makes of boxes.

    Args:
        boxes: `(B, N, 4)`.
        angle: `(B,)`, in degrees.
        translate_x, translate_y: `(B,)`, as parts of the images' size.
        scale: `(B,)`.
        shear_x, shear_y: `(B,)`, in degrees.
        height, width: Of the images.
        center_x, center_y: The fixed point, as parts of the images' size. Default: the middle.
        bounding_box_format: `xyxy`.

    Returns:
        `(B, N, 4)`; not cut to the images.

    Raises:
        NotImplementedError: The boxes have another format.

    Example:
        >>> zero, one = torch.zeros(1), torch.ones(1)
        >>> box = [[[0.0, 0.0, 2.0, 1.0]]]
        >>> turned = affine_transform(box, 90 * one, zero, zero, one, zero, zero, 5, 5)
        >>> turned.round(decimals=3).abs().tolist()
        [[[0.0, 2.0, 1.0, 4.0]]]
    """
    _xyxy_only(bounding_box_format)
    angle = as_tensor(angle)
    numbers = (translate_x, translate_y, scale, shear_x, shear_y)
    shift_x, shift_y, scale, shear_x, shear_y = (
        as_tensor(x, angle.dtype, angle.device) for x in numbers
    )
    turn, shear_x, shear_y = (-x * (math.pi / 180) for x in (angle, shear_x, shear_y))
    # The inverse of rotation times shear has determinant 1; `m` is that inverse.
    cos, sin = torch.cos(turn - shear_y) / torch.cos(shear_y), torch.sin(turn - shear_y)
    sin = sin / torch.cos(shear_y)
    slope = torch.tan(shear_x)
    m = [
        [torch.cos(turn) + sin * slope, -(cos * slope + torch.sin(turn))],
        [sin, cos],
    ]
    center = [
        (0.5 if middle is None else middle) * (size - 1)
        for middle, size in ((center_x, width), (center_y, height))
    ]
    moved = [
        center[0] - shift_x * (width - 1),
        center[1] - shift_y * (height - 1),
    ]
    left, top, right, bottom = as_tensor(boxes, angle.dtype, angle.device).unbind(-1)
    x = torch.stack([left, right, right, left], -1)
    y = torch.stack([top, top, bottom, bottom], -1)
    ends = []
    for (a, b), fixed in zip(m, center, strict=True):
        a, b = a * scale, b * scale
        shift = fixed - a * moved[0] - b * moved[1]
        a, b, shift = (number[:, None, None] for number in (a, b, shift))
        ends.append(a * x + b * y + shift)
    low, high = ([end.amin(-1) for end in ends], [end.amax(-1) for end in ends])
    return torch.stack([*low, *high], -1)


# Overlaps ----------------------------------------------------------------------------------------


def _size(image_shape: Sequence[int] | None, bounding_box_format: str) -> tuple[Any, Any]:
    if image_shape is not None:
        return image_shape[0], image_shape[1]
    if "rel" in bounding_box_format:
        raise ValueError(
            f"`image_shape` must be given with the relative format {bounding_box_format!r}."
        )
    return None, None


def _overlap(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Return the area that two boxes share, given as left, top, right and bottom."""
    width = torch.minimum(first[2], second[2]) - torch.maximum(first[0], second[0])
    height = torch.minimum(first[3], second[3]) - torch.maximum(first[1], second[1])
    return width.clamp(min=0) * height.clamp(min=0)


@also_in_tf_graphs
def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: float = -1,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    """Intersection over union of each box with each.

    Args:
        boxes1: `(N, 4)` or `(B, N, 4)`.
        boxes2: `(M, 4)` or `(B, M, 4)`.
        bounding_box_format: Of both.
        use_masking: Whether pairs with a box of negative numbers get `mask_val`.
        mask_val: That value.
        image_shape: `(H, W, C)`, for relative formats.

    Returns:
        `(N, M)`, or `(B, N, M)`.

    Raises:
        ValueError: A rank is none of those, or `image_shape` is missing.

    Example:
        >>> ious = compute_iou([[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0]], "xyxy")
        >>> ious.round(decimals=4).tolist()
        [[0.33329999446868896]]
    """
    boxes = [as_tensor(boxes1), as_tensor(boxes2)]
    for name, item in zip(("boxes1", "boxes2"), boxes, strict=True):
        if item.ndim not in (2, 3):
            raise ValueError(
                f"compute_iou() expects {name} to have rank 2, or 3 with a batch."
                f" Received: {name}.shape={known_shape(item)}"
            )
    height, width = _size(image_shape, bounding_box_format)
    first, second = (
        convert_format(item, bounding_box_format, "xyxy", height, width) for item in boxes
    )
    first, second = first.unsqueeze(-2), second.unsqueeze(-3)
    ends1, ends2 = first.unbind(-1), second.unbind(-1)
    shared = _overlap(ends1, ends2)
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (ends1, ends2)]
    result = shared / (areas[0] + areas[1] - shared + epsilon())
    if not use_masking:
        return result
    background = (first.amax(-1) < 0) | (second.amax(-1) < 0)
    return result.masked_fill(background, mask_val)


@also_in_tf_graphs
def compute_ciou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    """Complete intersection over union of pairs: it counts distance and shape too.

    Args:
        boxes1: `(..., 4)`.
        boxes2: `(..., 4)`.
        bounding_box_format: Of both; an absolute one.
        image_shape: Not needed.

    Returns:
        `(...)`.

    Raises:
        ValueError: The format is relative.

    Source: Zheng et al. 2020.

    Example:
        >>> ciou = compute_ciou([0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0], "xyxy")
        >>> round(ciou.item(), 4)
        1.0
    """
    if "rel" in bounding_box_format:
        raise ValueError(
            f"compute_ciou() needs an absolute format. Received: {bounding_box_format!r};"
            " convert the boxes with `convert_format` and the image's size first."
        )
    tiny = epsilon()
    pair = [
        convert_format(item, bounding_box_format, "xyxy").unbind(-1) for item in (boxes1, boxes2)
    ]
    first, second = pair
    widths = [right - left for left, _, right, _ in pair]
    heights = [bottom - top + tiny for _, top, _, bottom in pair]
    shared = _overlap(first, second)
    union = widths[0] * heights[0] + widths[1] * heights[1] - shared + 2 * tiny
    iou = shared / union
    across = torch.maximum(first[2], second[2]) - torch.minimum(first[0], second[0])
    down = torch.maximum(first[3], second[3]) - torch.minimum(first[1], second[1])
    diagonal = across**2 + down**2 + tiny
    apart_x = (first[0] + first[2] - second[0] - second[2]) / 2
    apart_y = (first[1] + first[3] - second[1] - second[3]) / 2
    angles = [torch.atan(w / h) for w, h in zip(widths, heights, strict=True)]
    shape = (4 / math.pi**2) * (angles[1] - angles[0]) ** 2
    weight = shape / (shape - iou + (1 + tiny))
    return iou - ((apart_x**2 + apart_y**2) / diagonal + shape * weight)


# Anchors -----------------------------------------------------------------------------------------


def _variance(variance: Any, like: Tensor) -> Tensor | float:
    if variance is None:
        return 1.0
    variance = as_tensor(variance, "float32", like.device)
    if variance.shape[-1] != 4:
        raise ValueError(f"`variance` must be length 4, got {known_shape(variance)}")
    return variance


def _check_encoding(name: str, value: str) -> None:
    if value not in ("center_xywh", "center_yxhw"):
        raise ValueError(
            f"`{name}` should be one of 'center_xywh' or 'center_yxhw'. Received: {value!r}"
        )


@also_in_tf_graphs
def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    """What takes anchors to boxes: moves in units of the anchor, and logarithms of size ratios.

    Args:
        anchors: `(N, 4)`.
        boxes: `(N, 4)` or `(B, N, 4)`.
        anchor_format: Format of the anchors.
        box_format: Format of the boxes.
        encoding_format: `center_yxhw` or `center_xywh`: the order of the result.
        variance: Four numbers that the result is divided by.
        image_shape: `(H, W, C)`, for relative formats.

    Returns:
        As `boxes`.

    Raises:
        ValueError: `encoding_format` or `variance` is none of those.

    Example:
        >>> anchor, box = [[0.0, 0.0, 10.0, 10.0]], [[5.0, 0.0, 15.0, 10.0]]
        >>> encode_box_to_deltas(anchor, box, "xyxy", "xyxy", "center_xywh").tolist()
        [[0.5, 0.0, 0.0, 0.0]]
    """
    _check_encoding("encoding_format", encoding_format)
    height, width = (None, None) if image_shape is None else image_shape[:2]
    anchors = convert_format(anchors, anchor_format, encoding_format, height, width)
    boxes = convert_format(boxes, box_format, encoding_format, height, width)
    anchor_size, box_size = anchors[..., 2:].clamp(min=epsilon()), boxes[..., 2:]
    moves = (boxes[..., :2] - anchors[..., :2]) / anchor_size
    ratios = torch.log(box_size.clamp(min=epsilon()) / anchor_size)
    return torch.cat([moves, ratios], -1) / _variance(variance, boxes)


@also_in_tf_graphs
def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Any:
    """The inverse of `encode_box_to_deltas`.

    Args:
        anchors: `(N, 4)`, or a dict of those, one for each level of a pyramid.
        boxes_delta: `(N, 4)` or `(B, N, 4)`, or a dict of those.
        anchor_format: Format of the anchors.
        box_format: Format of the result.
        encoded_format: `center_yxhw` or `center_xywh`: the order in `boxes_delta`.
        variance: Four numbers that the deltas were divided by.
        image_shape: `(H, W, C)`, for relative formats.

    Returns:
        As `boxes_delta`.

    Raises:
        ValueError: `encoded_format` or `variance` is none of those.

    Example:
        >>> anchor, delta = [[0.0, 0.0, 10.0, 10.0]], [[0.5, 0.0, 0.0, 0.0]]
        >>> decode_deltas_to_boxes(anchor, delta, "xyxy", "xyxy", "center_xywh").tolist()
        [[5.0, 0.0, 15.0, 10.0]]
    """
    _check_encoding("encoded_format", encoded_format)
    if isinstance(anchors, Mapping) and isinstance(boxes_delta, Mapping):
        options = (anchor_format, box_format, encoded_format, variance, image_shape)
        return {
            level: decode_deltas_to_boxes(anchor, boxes_delta[level], *options)
            for level, anchor in anchors.items()
        }
    height, width = (None, None) if image_shape is None else image_shape[:2]
    anchors = convert_format(anchors, anchor_format, encoded_format, height, width)
    deltas = as_tensor(boxes_delta, device=anchors.device)
    deltas = deltas * _variance(variance, deltas)
    size = anchors[..., 2:]
    boxes = torch.cat(
        [deltas[..., :2] * size + anchors[..., :2], torch.exp(deltas[..., 2:]) * size], -1
    )
    return convert_format(boxes, encoded_format, box_format, height, width)


# Checking ----------------------------------------------------------------------------------------


def validate_bounding_boxes(bounding_boxes: Any) -> None:
    """Check that boxes and labels are there and belong together.

    Raises:
        ValueError: They do not.
    """
    if not isinstance(bounding_boxes, Mapping) or not {"boxes", "labels"} <= set(bounding_boxes):
        raise ValueError(
            "Expected `bounding_boxes` to be a dict with the keys 'boxes' and 'labels'."
            f" Received: bounding_boxes={bounding_boxes}"
        )
    boxes, labels = bounding_boxes["boxes"], bounding_boxes["labels"]
    if isinstance(boxes, (list, tuple)):
        if not isinstance(labels, (list, tuple)) or len(boxes) != len(labels):
            raise ValueError(
                "If `bounding_boxes['boxes']` is a list, `bounding_boxes['labels']` must be one of"
                f" the same length. Received: {len(boxes)} boxes, labels={labels}"
            )
        return
    ranks = {2: (1, 2), 3: (2, 3)}.get(len(boxes.shape))
    if ranks is None:
        raise ValueError(
            "Expected `bounding_boxes['boxes']` to have rank 2 or 3, with shape (num_boxes, 4) or"
            f" (batch_size, num_boxes, 4). Received: boxes.shape={tuple(boxes.shape)}"
        )
    if len(labels.shape) not in ranks:
        raise ValueError(
            f"With `bounding_boxes['boxes']` of shape {tuple(boxes.shape)}, expected"
            f" `bounding_boxes['labels']` to have rank {ranks[0]} or {ranks[1]}."
            f" Received: labels.shape={tuple(labels.shape)}"
        )


def densify_bounding_boxes(
    bounding_boxes: Mapping[str, Any],
    is_batched: bool = False,
    max_boxes: int | None = None,
    boxes_default_value: float = 0,
    labels_default_value: float = -1,
    backend: Any = None,
) -> dict[str, Any]:
    """Boxes and labels as tensors; of lists with a different number for each image too.

    Args:
        bounding_boxes: `boxes` and `labels`.
        is_batched: Whether there is a batch of images.
        max_boxes: How many boxes an image gets where they are lists. Default: the most of any.
        boxes_default_value: What shorter lists of boxes are filled up with.
        labels_default_value: What shorter lists of labels are filled up with.
        backend: Not used.

    Raises:
        ValueError: Boxes and labels do not belong together.

    Example:
        >>> ragged = {"boxes": [[[0, 0, 1, 1]], []], "labels": [[3], []]}
        >>> densify_bounding_boxes(ragged, is_batched=True)["labels"].tolist()
        [[3], [-1]]
    """
    validate_bounding_boxes(bounding_boxes)
    boxes, labels = bounding_boxes["boxes"], bounding_boxes["labels"]
    if isinstance(boxes, (list, tuple)):
        batch = is_batched or (
            len(boxes) and len(boxes[0]) and not isinstance(boxes[0][0], (int, float))
        )
        if not batch:
            boxes, labels = [boxes], [labels]
        boxes = _filled(
            [as_tensor(b, "float32").reshape(-1, 4) for b in boxes], boxes_default_value, max_boxes
        )
        labels = _filled(
            [as_tensor(n, "int32").reshape(-1) for n in labels], labels_default_value, max_boxes
        )
        if not batch:
            boxes, labels = boxes[0], labels[0]
    return {**bounding_boxes, "boxes": as_tensor(boxes, "float32"), "labels": as_tensor(labels)}


def _filled(rows: Sequence[Tensor], value: float, length: int | None) -> Tensor:
    if length is None:
        return pad_sequence(rows, batch_first=True, padding_value=value)
    result = rows[0].new_full((len(rows), length, *rows[0].shape[1:]), value)
    for i, row in enumerate(rows):
        result[i, : len(row)] = row[:length]
    return result
