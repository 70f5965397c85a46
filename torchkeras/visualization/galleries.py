"""Galleries: images in rows and columns, drawn by matplotlib, which is imported when it is used.

Letters: B batch, H height, W width, C channels.
Source: `keras.visualization` (names, arguments).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..config import image_data_format
from ..dtypes import to_numpy
from .drawing import Color, as_images, draw_bounding_boxes, draw_segmentation_masks

__all__ = [
    "plot_bounding_box_gallery",
    "plot_image_gallery",
    "plot_segmentation_mask_gallery",
]


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Mapping[int, str] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: tuple[float, float] = (0, 255),
    scale: float = 2,
    path: Any = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: int = 60,
    legend_handles: Sequence[Any] | None = None,
    data_format: str | None = None,
) -> None:
    """Show images, or write a picture of them.

    Args:
        images: `(B, H, W, C)`.
        y_true: Labels `(B,)`, written above the images.
        y_pred: Predicted labels `(B,)`, likewise.
        label_map: Names of the labels.
        rows: By default about as many as columns.
        cols: By default as many as it takes; with fewer, the last images are left out.
        value_range: The values of black and white.
        scale: The size of an image, in inches.
        path: A file to write to.
        show: Whether to show it on the screen; by default if there is no `path`.
        transparent: Whether the file has a transparent background.
        dpi: Dots per inch in the file.
        legend_handles: Patches of matplotlib, for a legend.
        data_format: `"channels_last"` or `"channels_first"`, which are then `(B, C, H, W)`.

    Raises:
        ValueError: The images are no batch, both `path` and `show` are given, or labels without
            their names.
        ImportError: matplotlib is not installed.
    """
    plt = _pyplot("plot_image_gallery")
    if path is not None and show:
        raise ValueError("Give either `path`, or `show=True`, not both: a file is not shown.")
    if (y_true is not None or y_pred is not None) and label_map is None:
        raise ValueError("With `y_true` or `y_pred`, a `label_map` must be given: names by labels.")
    images = _as_bytes(as_images(images, data_format or image_data_format()), value_range)
    if rows is None:
        rows = math.ceil(len(images) / cols) if cols else math.ceil(math.sqrt(len(images)))
    cols = cols or math.ceil(len(images) / rows)
    figure, axes = plt.subplots(
        rows,
        cols,
        figsize=(cols * scale, rows * scale),
        frameon=False,
        layout="tight",
        squeeze=False,
    )
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    labels = {
        title: np.asarray(_array(values)).tolist()
        for title, values in (("Label", y_true), ("Pred", y_pred))
        if values is not None
    }
    for i, place in enumerate(axes.flat):
        place.axis("off")
        place.margins(0)
        if i >= len(images):
            continue
        place.imshow(images[i].squeeze(-1) if images.shape[-1] == 1 else images[i], **_gray(images))
        parts = [
            f"{title}: {label_map.get(values[i], 'Unknown')}"
            for title, values in labels.items()
            if i < len(values)
        ]
        if parts:
            place.set_title("  ".join(parts), fontsize=8)
    if path is not None:
        figure.savefig(path, pad_inches=0, bbox_inches="tight", transparent=transparent, dpi=dpi)
        plt.close(figure)
    elif show is None or show:
        plt.show()
        plt.close(figure)


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Mapping[str, Any] | None = None,
    y_pred: Mapping[str, Any] | None = None,
    value_range: tuple[float, float] = (0, 255),
    true_color: Color = (0, 188, 212),
    pred_color: Color = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Mapping[int, str] | None = None,
    ground_truth_mapping: Mapping[int, str] | None = None,
    prediction_mapping: Mapping[int, str] | None = None,
    legend: bool = False,
    legend_handles: Sequence[Any] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Show images with boxes, those there are and those predicted.

    Args:
        images: `(B, H, W, C)`.
        bounding_box_format: As in `keras.utils.bounding_boxes`, such as `"xyxy"`.
        y_true: Boxes and labels as in `draw_bounding_boxes`.
        y_pred: Predicted ones.
        value_range: The values of black and white.
        true_color: Of the boxes in `y_true`.
        pred_color: Of those in `y_pred`.
        line_thickness: In pixels.
        font_scale: Of the names of classes.
        text_thickness: By default `line_thickness`.
        class_mapping: Names by labels.
        ground_truth_mapping: Those for `y_true`.
        prediction_mapping: Those for `y_pred`.
        legend: Whether to say which color is which.
        legend_handles: A legend of one's own.
        rows: As in `plot_image_gallery`.
        cols: As there.
        data_format: As there.
        kwargs: Further arguments of `plot_image_gallery`.

    Raises:
        ValueError: The images are no batch, or both `legend` and `legend_handles` are given.
        ImportError: matplotlib is not installed; or names are to be written, and Pillow is not.
    """
    _pyplot("plot_bounding_box_gallery")
    if legend and legend_handles:
        raise ValueError("Give either `legend=True` or `legend_handles`, not both.")
    images = _as_bytes(as_images(images, data_format or image_data_format()), value_range)
    for boxes, color, names in (
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    ):
        if boxes is not None:
            images = draw_bounding_boxes(
                images,
                boxes,
                bounding_box_format,
                class_mapping=names,
                color=color,
                line_thickness=line_thickness,
                text_thickness=text_thickness or line_thickness,
                font_scale=font_scale,
                data_format="channels_last",
            )
    if legend:
        legend_handles = _legend({"Ground Truth": true_color, "Prediction": pred_color})
    plot_image_gallery(
        images,
        legend_handles=legend_handles,
        rows=rows,
        cols=cols,
        data_format="channels_last",
        **kwargs,
    )


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: tuple[float, float] = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Mapping[int, Color] | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Show a row for each image: the image, its true mask, and the predicted one.

    Args:
        images: `(B, H, W, 3)`.
        num_classes: The highest class.
        value_range: The values of black and white.
        y_true: Masks `(B, H, W)` or `(B, H, W, 1)`.
        y_pred: Predicted ones.
        color_mapping: Colors by classes, as in `draw_segmentation_masks`.
        blend: As there.
        alpha: As there.
        ignore_index: As there.
        data_format: `"channels_last"` or `"channels_first"`, for masks too.
        kwargs: Further arguments of `plot_image_gallery`.

    Raises:
        ValueError: The images are no batch.
        ImportError: matplotlib is not installed.
    """
    _pyplot("plot_segmentation_mask_gallery")
    data_format = data_format or image_data_format()
    images = _as_bytes(as_images(images, data_format), value_range)
    columns = [images]
    for masks in (y_true, y_pred):
        if masks is None:
            continue
        masks = np.asarray(_array(masks)).astype("int32")
        if masks.ndim == 4:
            masks = masks.squeeze(1 if data_format == "channels_first" else -1)
        drawn = draw_segmentation_masks(
            images,
            masks,
            num_classes=num_classes,
            color_mapping=color_mapping,
            alpha=alpha,
            blend=blend,
            ignore_index=ignore_index,
            data_format="channels_last",
        )
        columns.append(drawn)
    gallery = np.stack(columns, 1).reshape(-1, *images.shape[1:])
    plot_image_gallery(
        gallery, rows=len(images), cols=len(columns), data_format="channels_last", **kwargs
    )


def _pyplot(function: str) -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f"keras.visualization.{function} requires matplotlib. Fix: `pip install matplotlib`."
        ) from error
    return pyplot


def _legend(colors: Mapping[str, Color]) -> list[Any]:
    from matplotlib.patches import Patch

    return [Patch(color=np.array(c) / 255.0, label=label) for label, c in colors.items()]


def _array(x: Any) -> Any:
    return to_numpy(x) if isinstance(x, torch.Tensor) else x


def _as_bytes(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Map values of a range to 0 to 255."""
    low, high = value_range
    if (low, high) != (0, 255):
        images = (images.astype("float32") - low) / (high - low) * 255
    return np.clip(images, 0, 255).astype("uint8")


def _gray(images: np.ndarray) -> dict[str, Any]:
    """How matplotlib is to show images of one channel."""
    return {"cmap": "gray", "vmin": 0, "vmax": 255} if images.shape[-1] == 1 else {}
