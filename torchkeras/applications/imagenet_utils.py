"""What all classifiers of ImageNet share: preparing images, naming classes, checking arguments.

Letters: B batch, H height, W width. Images are RGB, `(B, H, W, 3)` or `(H, W, 3)`, under
`"channels_first"` `(B, 3, H, W)` or `(3, H, W)`, with values from 0 to 255.
The modes of preparing: "tf" maps the values to [-1, 1]; "torch" maps them to [0, 1], then
subtracts ImageNet's mean and divides by its deviation, per channel; "caffe" makes BGR of RGB and
subtracts ImageNet's mean.
Sources: `keras.applications.imagenet_utils` for names, defaults, constants and results.
"""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..activations import get as get_activation
from ..config import floatx, image_data_format, standardize_data_format
from ..dtypes import is_float, standardize_dtype, to_numpy
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..ops import cast, convert_to_tensor, flip
from ..utils.files import get_file

__all__ = [
    "correct_pad",
    "decode_predictions",
    "obtain_input_shape",
    "preprocess_input",
    "validate_activation",
]

Shape = tuple["int | None", ...]

_CLASSES_URL = (
    "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
)
_CLASSES_HASH = "c2c37ea517e94d9795004a39431a14cb"
# Mode -> what to divide by, the mean then to subtract, the deviation then to divide by, each per
# channel or for all of them.
_MODES: dict[str, tuple[float | None, Any, Any]] = {
    "caffe": (None, (103.939, 116.779, 123.68), None),
    "tf": (127.5, 1.0, None),
    "torch": (255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Prepare images as a network was trained to see them.

    Args:
        x: Array, tensor or symbolic tensor. An array of floats is overwritten, as in Keras; give a
            copy to keep it. Tensors are not.
        data_format: `"channels_last"` or `"channels_first"`; `None` for the global setting.
        mode: `"caffe"`, `"tf"` or `"torch"`, as described above.

    Returns: The prepared images, of the same shape; floats stay in their dtype, others become
    `config.floatx()`.

    Raises:
        ValueError: `mode` or `data_format` is unknown.

    Example:
        >>> preprocess_input(np.array([[[0.0, 127.5, 255.0]]]), mode="tf").tolist()
        [[[-1.0, 0.0, 1.0]]]
    """
    if mode not in _MODES:
        raise ValueError(
            explain(
                f"Expected mode to be one of 'caffe', 'tf' or 'torch', got {mode!r}.",
                fix="take `preprocess_input` of the network's own module, which knows its mode.",
            )
        )
    axis = -3 if standardize_data_format(data_format) == "channels_first" else -1
    if isinstance(x, np.ndarray):
        return _prepare_array(x, axis, mode)
    return _prepare_tensor(x, axis, mode)


def _per_channel(values: Sequence[float] | float, axis: int, dtype: Any) -> Any:
    """Let numbers, one for each channel or one for all, broadcast along `axis`."""
    if isinstance(values, float):
        return values
    return np.reshape(np.asarray(values, dtype), (-1,) + (1,) * (-1 - axis))


def _prepare_array(x: np.ndarray, axis: int, mode: str) -> np.ndarray:
    divisor, mean, deviation = _MODES[mode]
    if not np.issubdtype(x.dtype, np.floating):
        x = x.astype(floatx())
    if mode == "caffe":
        x = np.flip(x, axis)  # a view: what is written to it is written to the array given
    if divisor is not None:
        x /= divisor
    x -= _per_channel(mean, axis, x.dtype)
    if deviation is not None:
        x /= _per_channel(deviation, axis, x.dtype)
    return x


def _prepare_tensor(x: Tensor | KerasTensor, axis: int, mode: str) -> Any:
    divisor, mean, deviation = _MODES[mode]
    dtype = standardize_dtype(x.dtype)
    if not is_float(dtype):
        dtype = floatx()
        x = cast(x, dtype)
    if mode == "caffe":
        x = flip(x, axis)
    if divisor is not None:
        x = x / divisor
    if mode == "tf":
        return x - mean
    x = x - convert_to_tensor(_per_channel(mean, axis, "float32"), dtype)
    if deviation is None:
        return x
    return x / convert_to_tensor(_per_channel(deviation, axis, "float32"), dtype)


def preprocessor(mode: str | None) -> Callable[..., Any]:
    """Make the `preprocess_input` of a family of networks.

    Args:
        mode: See the module; `None` for networks that take images as they are.
    """

    def preprocess(x: Any, data_format: str | None = None) -> Any:
        return x if mode is None else preprocess_input(x, data_format, mode)

    what = "as they are: the model itself prepares them" if mode is None else f"by mode {mode!r}"
    preprocess.__name__ = preprocess.__qualname__ = "preprocess_input"
    preprocess.__doc__ = (
        f"Return images for the networks of this module, {what}; see `imagenet_utils`."
    )
    return preprocess


@functools.cache
def _classes() -> list[tuple[str, str]]:
    """WordNet's id and the name of each class, by number."""
    path = get_file(
        "imagenet_class_index.json", _CLASSES_URL, cache_subdir="models", file_hash=_CLASSES_HASH
    )
    with open(path, encoding="utf-8") as file:
        classes = json.load(file)
    return [tuple(classes[str(number)]) for number in range(len(classes))]


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """Name the most likely classes of ImageNet.

    The names are downloaded once, to the folder `models` of the cache (see `keras.utils.get_file`).

    Args:
        preds: Array or tensor of shape `(B, 1000)`, as the networks with their top return.
        top: How many classes to name.

    Returns: For each image the classes, the likeliest first: WordNet's id, the name, the score.

    Raises:
        ValueError: Another shape.
        OSError: The names cannot be downloaded.
    """
    shape = tuple(preds.shape)
    if len(shape) != 2 or shape[1] != 1000:
        raise ValueError(
            explain(
                "`decode_predictions` expects a batch of predictions of ImageNet's 1000 classes.",
                expected="(samples, 1000)",
                received=shape,
                fix="for classes of your own, take `preds.argsort()`.",
            )
        )
    classes = _classes()
    preds = to_numpy(preds) if isinstance(preds, Tensor) else np.asarray(preds)
    best = np.argsort(preds, axis=1)[:, ::-1][:, :top]
    return [
        [(*classes[i], row[i]) for i in chosen] for row, chosen in zip(preds, best, strict=True)
    ]


def image_shape(height: int | None, width: int | None, channels: int, data_format: str) -> Shape:
    """Order the sizes of an image as a data format does."""
    first = data_format == "channels_first"
    return (channels, height, width) if first else (height, width, channels)


def spatial_sizes(shape: Sequence[int | None], data_format: str) -> Shape:
    """Give height and width of an image's shape, whether or not it begins with a batch axis."""
    return tuple(shape[-2:] if data_format == "channels_first" else shape[-3:-1])


def obtain_input_shape(
    input_shape: Sequence[int | None] | None,
    default_size: int | None,
    min_size: int,
    data_format: str,
    require_flatten: bool,
    weights: Any = None,
) -> Shape:
    """Check the shape of the images that a network is to take, or choose it.

    Args:
        input_shape: Sizes without the batch axis, or `None`.
        default_size: Height and width to choose.
        min_size: The least height and width.
        data_format: `"channels_last"` or `"channels_first"`.
        require_flatten: Whether the network ends in a classifier.
        weights: `"imagenet"` asks for three channels, and in front of a classifier for the
            default size.

    Returns: Sizes without the batch axis; `None` where any size will do.

    Raises:
        ValueError: It does not fit.

    Example:
        >>> obtain_input_shape(None, 224, 32, "channels_last", require_flatten=True)
        (224, 224, 3)
    """
    pretrained = weights == "imagenet"
    shape = tuple(input_shape) if input_shape else None
    channels = 3
    if shape and not pretrained and len(shape) == 3:
        channels = shape[0 if data_format == "channels_first" else -1]
        if channels not in (1, 3):
            warnings.warn(
                "This model usually expects 1 or 3 input channels; `input_shape` has"
                f" {channels} input channels.",
                stacklevel=2,
            )
    default = image_shape(default_size, default_size, channels, data_format)
    if pretrained and require_flatten:
        if shape not in (None, default):
            raise ValueError(
                explain(
                    "With `include_top=True` and ImageNet's weights, `input_shape` is given.",
                    received=shape,
                    expected=default,
                    fix="leave it out, or pass `include_top=False`.",
                )
            )
        return default
    if shape is None:
        size = default_size if require_flatten else None
        shape = image_shape(size, size, channels, data_format)
    else:
        _check_shape(shape, min_size, data_format, pretrained)
    if require_flatten and None in shape:
        raise ValueError(
            explain(
                "With `include_top=True` all sizes of `input_shape` must be known.",
                received=shape,
                fix="pass numbers, or `include_top=False`.",
            )
        )
    return shape


def _check_shape(shape: Shape, min_size: int, data_format: str, pretrained: bool) -> None:
    if len(shape) != 3:
        raise ValueError(f"`input_shape` must be a tuple of three integers, got {shape}.")
    if pretrained and shape[0 if data_format == "channels_first" else -1] != 3:
        raise ValueError(
            f"The input must have 3 channels for ImageNet's weights, got input_shape={shape}."
        )
    if any(size is not None and size < min_size for size in spatial_sizes(shape, data_format)):
        raise ValueError(
            f"Input size must be at least {min_size}x{min_size}, got input_shape={shape}."
        )


def correct_pad(inputs: Any, kernel_size: int | Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Say how much to pad an image before a convolution of stride 2 that itself does not pad.

    The result is that of TensorFlow's "same", for which the trained weights were made.

    Args:
        inputs: The image, in the global data format.
        kernel_size: Of the convolution.

    Returns: For height and for width, how much before and how much after.

    Example:
        >>> correct_pad(KerasTensor((None, 224, 223, 3)), 3)
        ((0, 1), (1, 1))
    """
    kernel = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    sizes = spatial_sizes(inputs.shape, image_data_format())
    # What is not known is taken for even, as is usual.
    before = (k // 2 - ((size or 0) % 2 == 0) for k, size in zip(kernel, sizes, strict=True))
    return tuple(zip(before, (k // 2 for k in kernel), strict=True))


def validate_activation(classifier_activation: Any, weights: Any) -> None:
    """Refuse activations of the classifier that it was not trained with.

    Args:
        classifier_activation: A name or function.
        weights: `None` for random ones, with which all activations go.

    Raises:
        ValueError: Something else than `None` or softmax for trained weights.
    """
    if weights is None:
        return
    if get_activation(classifier_activation) not in (
        get_activation("softmax"),
        get_activation(None),
    ):
        raise ValueError(
            explain(
                "With pretrained weights and `include_top=True`, `classifier_activation` can only"
                " be `None` or 'softmax'.",
                received=classifier_activation,
            )
        )
