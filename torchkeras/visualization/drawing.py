"""Boxes and segmentation masks on images.

Letters: B batch, H height, W width, C channels, N boxes, K classes. Colors are 0 to 255 and have
three channels, of which gray images take the first. Names of classes are written with Pillow.
Source: `keras.visualization` (names, arguments, colors); its lines are OpenCV's, as are these: all
that is not further from the outline than half the thickness, rounded up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..config import image_data_format
from ..dtypes import as_tensor, standardize_dtype, to_numpy
from ..layers.bounding_boxes import convert_format
from ..naming import explain

__all__ = ["as_images", "draw_bounding_boxes", "draw_segmentation_masks"]

_PALETTE_STEP = np.array([2**25 - 1, 2**15 - 1, 2**21 - 1])
_FONT_PIXELS = 28  # the size of Pillow's font that is as high as OpenCV's at scale 1
_TEXT_GAP = 8  # between a box and the text above it
Color = Sequence[int]


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: Mapping[str, Any],
    bounding_box_format: str,
    class_mapping: Mapping[int, str] | None = None,
    color: Color = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Draw boxes, with the names of their classes, on copies of images.

    Args:
        images: `(B, H, W, C)`, from 0 to 255, or floats up to 1.
        bounding_boxes: A dict of `boxes`, `(B, N, 4)`, `labels`, `(B, N)`, of which -1 is no box,
            and perhaps `confidences`, `(B, N)`.
        bounding_box_format: As in `keras.utils.bounding_boxes`, such as `"xyxy"`.
        class_mapping: Names by labels; others are not written.
        color: Of boxes and names.
        line_thickness: In pixels; a negative one fills the boxes.
        text_thickness: Of the strokes of names.
        font_scale: 1 is 21 pixels for capitals.
        data_format: `"channels_last"` or `"channels_first"`, which are then `(B, C, H, W)`.

    Returns:
        Images like those given, uint8.

    Raises:
        ValueError: The images are no batch, or boxes or labels are missing.
        TypeError: `bounding_boxes` is no dict.
        ImportError: Names are to be written, and Pillow is not installed.

    Example:
        >>> boxes = {"boxes": [[[1, 1, 3, 3]]], "labels": [[0]]}
        >>> image = np.zeros((1, 5, 5, 1))
        >>> draw_bounding_boxes(image, boxes, "xyxy", color=(7, 7, 7), line_thickness=1)[0, :, :, 0]
        array([[0, 0, 0, 0, 0],
               [0, 7, 7, 7, 0],
               [0, 7, 0, 7, 0],
               [0, 7, 7, 7, 0],
               [0, 0, 0, 0, 0]], dtype=uint8)
    """
    data_format = data_format or image_data_format()
    images = _as_bytes(as_images(images, data_format))
    if not isinstance(bounding_boxes, Mapping):
        raise TypeError(
            explain(
                "`bounding_boxes` should be a dict.",
                given=f"{bounding_boxes!r} (of type {type(bounding_boxes).__name__})",
                expected="a dict with 'boxes' and 'labels'",
            )
        )
    if "boxes" not in bounding_boxes or "labels" not in bounding_boxes:
        raise ValueError(
            "`bounding_boxes` should be a dict containing 'boxes' and 'labels' keys; it has"
            f" {sorted(bounding_boxes)}."
        )
    boxes = convert_format(bounding_boxes["boxes"], bounding_box_format, "xyxy", *images.shape[1:3])
    corners = to_numpy(boxes).astype("int32")
    labels = to_numpy(as_tensor(bounding_boxes["labels"])).astype("int64")
    confidences = bounding_boxes.get("confidences")
    confidences = None if confidences is None else to_numpy(as_tensor(confidences))
    names = class_mapping or {}
    shade = np.asarray(color, "uint8")[: images.shape[-1]]
    for i, n in zip(*np.nonzero(labels != -1), strict=True):
        _outline(images[i], corners[i, n], shade, line_thickness)
        name = names.get(int(labels[i, n]))
        if name is None:
            continue
        text = name if confidences is None else f"{name} | {confidences[i, n]:.2f}"
        strokes = text_thickness or line_thickness
        _write(images[i], text, corners[i, n, :2], shade, font_scale, strokes)
    return images if data_format == "channels_last" else images.transpose(0, 3, 1, 2)


def _outline(image: np.ndarray, box: np.ndarray, shade: np.ndarray, thickness: int) -> None:
    """Draw the outline of a box; what is outside of the image is left out."""
    left, right = sorted(box[0::2].tolist())
    top, bottom = sorted(box[1::2].tolist())
    reach = 0 if thickness == 1 else (thickness + 1) // 2
    height, width = image.shape[:2]
    rows = np.arange(max(top - reach, 0), min(bottom + reach + 1, height))[:, None]
    columns = np.arange(max(left - reach, 0), min(right + reach + 1, width))
    # How far inside of the box a pixel is, by each axis; negative outside.
    down = np.minimum(rows - top, bottom - rows)
    across = np.minimum(columns - left, right - columns)
    outside = np.minimum(down, 0) ** 2 + np.minimum(across, 0) ** 2
    line = outside <= max(reach, 0) ** 2
    if thickness >= 0:
        line &= np.minimum(down, across) <= reach
    if line.size:
        image[rows[0, 0] : rows[-1, 0] + 1, columns[0] : columns[-1] + 1][line] = shade


def _write(
    image: np.ndarray,
    text: str,
    corner: np.ndarray,
    shade: np.ndarray,
    font_scale: float,
    thickness: int,
) -> None:
    """Write text above the corner of a box, or into the box where there is no room above."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ImportError(
            "Writing the names of classes requires Pillow. Fix: `pip install pillow`, or leave out"
            " `class_mapping`."
        ) from error
    x, y = corner.tolist()
    line = int(font_scale * 12)
    if y - _TEXT_GAP - 2 * line > 0:
        place = (x, y - _TEXT_GAP)
    else:
        place = (x + 3, y + 2 * line + thickness + 3)
    mask = Image.new("1", image.shape[1::-1])
    font = ImageFont.load_default(max(1, round(_FONT_PIXELS * font_scale)))
    stroke = (thickness - 1) // 2
    ImageDraw.Draw(mask).text(place, text, fill=1, font=font, anchor="ls", stroke_width=stroke)
    image[np.asarray(mask)] = shade


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Mapping[int, Color] | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """Color the pixels of images by their classes.

    Args:
        images: `(B, H, W, 3)`, from 0 to 255.
        segmentation_masks: Classes from 0 to K, `(B, H, W)` or `(B, H, W, 1)`, integers. Pixels of
            other classes stay as they are.
        num_classes: K; by default the highest class there is.
        color_mapping: Colors by classes; classes without one stay as they are. By default they have
            different colors, 0 black.
        alpha: From 0, only the image, to 1, only the color.
        blend: Whether `alpha` counts; else it is 1.
        ignore_index: A class whose pixels stay as they are.
        data_format: `"channels_last"` or `"channels_first"`, which are then `(B, 3, H, W)`.

    Returns:
        Images `(B, H, W, 3)`, uint8.

    Raises:
        ValueError: The images are no batch.
        TypeError: The masks are no integers.

    Example:
        >>> image, mask = np.full((1, 1, 3, 3), 100), np.array([[[0, 1, -1]]])
        >>> draw_segmentation_masks(image, mask, color_mapping={1: (200, 0, 50)}, alpha=0.5)[0, 0]
        array([[100, 100, 100],
               [150,  50,  75],
               [100, 100, 100]], dtype=uint8)
    """
    data_format = data_format or image_data_format()
    pixels = torch.as_tensor(as_images(images, data_format)).float()
    masks = as_tensor(segmentation_masks)
    dtype = standardize_dtype(masks.dtype)
    if masks.is_floating_point() or dtype == "bool":
        raise TypeError(
            explain(
                "`segmentation_masks` must be in integer dtype.",
                given=dtype,
                fix="cast them, for example with `.astype('int32')`.",
            )
        )
    masks = masks.to(pixels.device, torch.long)
    if masks.dim() == 4:
        masks = masks.squeeze(1 if data_format == "channels_first" else -1)
    if num_classes is None:
        num_classes = int(masks.max())
    colors, known = _palette(num_classes, color_mapping)
    inside = (masks >= 0) & (masks <= num_classes) & (masks != ignore_index)
    classes = torch.where(inside, masks, 0)
    colored = inside & torch.as_tensor(known)[classes]
    alpha = alpha if blend else 1.0
    mixed = pixels * (1 - alpha) + torch.as_tensor(colors)[classes] * alpha
    return to_numpy(torch.where(colored[..., None], mixed, pixels).to(torch.uint8))


def _palette(
    num_classes: int, color_mapping: Mapping[int, Color] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The colors `(K + 1, 3)` of the classes, and which classes have one `(K + 1,)`."""
    classes = np.arange(num_classes + 1)
    if color_mapping is None:
        return (classes[:, None] * _PALETTE_STEP % 255).astype("float32"), classes >= 0
    colors = [color_mapping.get(int(i), (0, 0, 0)) for i in classes]
    return np.array(colors, "float32"), np.isin(classes, list(color_mapping))


def as_images(images: Any, data_format: str) -> np.ndarray:
    """A batch of images as an array `(B, H, W, C)`.

    Raises:
        ValueError: They are no batch.
    """
    if len(getattr(images, "shape", ())) != 4:
        raise ValueError(
            explain(
                "`images` must be batched 4D tensor.",
                given=tuple(getattr(images, "shape", ())),
                fix="for one image pass `image[None]`.",
            )
        )
    images = to_numpy(images) if isinstance(images, torch.Tensor) else np.asarray(images)
    return images.transpose(0, 2, 3, 1) if data_format == "channels_first" else images


def _as_bytes(images: np.ndarray) -> np.ndarray:
    """A copy with values of 0 to 255; floats up to 1 are taken for parts of 255."""
    if images.dtype.kind == "f" and images.size:
        images = np.clip(images * 255 if images.max() <= 1 else images, 0, 255)
    return np.array(images, "uint8", order="C")
