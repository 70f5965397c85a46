"""What the families share: the frame around a network, and small blocks.

A family gives the *body* of its networks, a function from the image to the last feature map.
`assemble` puts around it what Keras puts around each: the image, the *top* (the classifier) or in
its place the *tail* (a pooling, or nothing), and trained weights. `application` makes of a body the
public function of a network, with the arguments that most of them have.

Layers are made, and called, in Keras's order: names that Keras numbers, and initial weights for a
seed, depend on it. A network with trained weights is the one that Keras's file was made for, so
names, sizes and epsilons are facts of those files.
Sources: `keras.applications` for arguments, names and files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..config import image_data_format
from ..graph.keras_tensor import KerasTensor
from ..graph.sources import get_source_inputs
from ..layers import (
    BatchNormalization,
    Dense,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    Layer,
)
from ..models import Functional
from ..naming import explain
from ..utils.files import get_file
from .imagenet_utils import Shape, obtain_input_shape, validate_activation

__all__ = [
    "Release",
    "Request",
    "application",
    "assemble",
    "chain",
    "channel_axis",
    "channels_of",
    "dense_top",
    "describe",
    "divisible",
    "kernels",
    "norm",
    "pooled",
    "require_channels_last",
]

Body = Callable[[KerasTensor], KerasTensor]
End = Callable[["Request"], Iterable[Layer]]

_STORAGE = "https://storage.googleapis.com/tensorflow/keras-applications"


class Release(NamedTuple):
    """The two files with trained weights: of the network with its top, and without.

    Args:
        files: Their names in the cache.
        folder: Where they are, below Keras's storage, or a whole URL.
        hashes: Of the files, MD5 or SHA-256; `None` where Keras knows none.
        remote: Their names in the folder, where they are others.
    """

    files: tuple[str, str]
    folder: str
    hashes: tuple[str | None, str | None] = (None, None)
    remote: tuple[str, str] | None = None

    def fetch(self, include_top: bool) -> str:
        """Return the path of a file, after downloading it if need be."""
        i = 0 if include_top else 1
        folder = self.folder if "://" in self.folder else f"{_STORAGE}/{self.folder}"
        url = f"{folder}/{(self.remote or self.files)[i]}"
        return get_file(self.files[i], url, cache_subdir="models", file_hash=self.hashes[i])


def kernels(stem: str, folder: str, *hashes: str) -> Release:
    """Give the release whose files are named in the way of Keras's first networks."""
    files = [f"{stem}_weights_tf_dim_ordering_tf_kernels{end}.h5" for end in ("", "_notop")]
    return Release((files[0], files[1]), folder, (hashes[0], hashes[1]))


@dataclass(frozen=True)
class Request:
    """What a caller asks of a network, by Keras's names; see `describe` for what they mean.

    Raises:
        ValueError: `weights` is no file, or does not go with `classes` or the activation.
    """

    include_top: bool
    weights: str | os.PathLike[str] | None
    input_tensor: KerasTensor | None
    input_shape: Shape | None
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str | None

    def __post_init__(self) -> None:
        if not (self.weights in ("imagenet", None) or os.path.exists(self.weights)):
            raise ValueError(
                explain(
                    "The `weights` argument should be `None` (random ones), 'imagenet' (trained on"
                    " it) or the path of an existing file.",
                    received=repr(self.weights),
                )
            )
        if self.include_top and self.weights == "imagenet" and self.classes != 1000:
            raise ValueError(
                explain(
                    "With `weights='imagenet'` and `include_top=True`, `classes` should be 1000.",
                    received=self.classes,
                    fix="pass `include_top=False` and put a classifier of your own on the model.",
                )
            )
        if self.include_top:
            validate_activation(self.classifier_activation, self.weights)

    def sized(self, size: int, min_size: int) -> Request:
        """Return the request with its `input_shape` checked or, if there is none, chosen."""
        shape = obtain_input_shape(
            self.input_shape,
            size,
            min_size,
            image_data_format(),
            self.include_top,
            self.weights,
        )
        return self.shaped(shape)

    def shaped(self, shape: Shape) -> Request:
        """Return the request for images of a shape."""
        return replace(self, input_shape=shape)

    def named(self, name: str) -> Request:
        """Return the request with a name, if it has none."""
        return self if self.name is not None else replace(self, name=name)

    def image(self) -> KerasTensor:
        """Give the symbolic image that the network begins with."""
        if isinstance(self.input_tensor, KerasTensor):
            return self.input_tensor
        return Input(shape=self.input_shape, tensor=self.input_tensor)


# The frame ---------------------------------------------------------------------------------------


def dense_top(request: Request, pool: str | None = "avg_pool") -> Iterable[Layer]:
    """Give the usual top: the mean of each feature map, and a dense layer.

    Args:
        request: What was asked for.
        pool: What the layer of the means is called.
    """
    yield GlobalAveragePooling2D(name=pool)
    yield Dense(request.classes, activation=request.classifier_activation, name="predictions")


def pooled(request: Request, names: bool = True) -> Iterable[Layer]:
    """Give the usual tail: the pooling that was asked for.

    Args:
        request: What was asked for.
        names: Whether the layer is called `avg_pool` or `max_pool`, or is numbered.
    """
    if request.pooling == "avg":
        yield GlobalAveragePooling2D(name="avg_pool" if names else None)
    elif request.pooling == "max":
        yield GlobalMaxPooling2D(name="max_pool" if names else None)


def assemble(
    request: Request,
    body: Body,
    release: Release,
    top: End = dense_top,
    tail: End = pooled,
) -> Functional:
    """Make the model that was asked for.

    Args:
        request: With an `input_shape`, unless it has an `input_tensor`.
        body: The network up to the last feature map.
        release: The files of `weights="imagenet"`.
        top: The layers after the body if the top is included.
        tail: Those if it is not.
    """
    image = request.image()
    x = chain(body(image), *(top if request.include_top else tail)(request))
    inputs = image if request.input_tensor is None else get_source_inputs(image)
    model = Functional(inputs, x, name=request.name)
    if request.weights == "imagenet":
        model.load_weights(release.fetch(request.include_top))
    elif request.weights is not None:
        model.load_weights(request.weights)
    return model


def application(
    title: str,
    module: str,
    body: Body,
    release: Release,
    trained: Body | None = None,
    name: str | None = None,
    size: int = 224,
    min_size: int = 32,
    source: str = "",
    **ends: Any,
) -> Callable[..., Functional]:
    """Make the public function of a network whose arguments are the usual ones.

    Args:
        title: Its name in `keras.applications`.
        module: Where it is defined.
        body: See `assemble`, as for `release`.
        trained: The body with ImageNet's weights, where it is another.
        name: What the model is called by default; by default the title in small letters.
        size: Height and width of the images that the network was trained on.
        min_size: The least height and width.
        source: The paper.
        ends: `top` and `tail` of `assemble`, where they are not the usual ones.
    """
    name = name or title.lower()

    def build(
        include_top: bool = True,
        weights: str | os.PathLike[str] | None = "imagenet",
        input_tensor: KerasTensor | None = None,
        input_shape: Shape | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = name,
    ) -> Functional:
        request = Request(
            include_top,
            weights,
            input_tensor,
            input_shape,
            pooling,
            classes,
            classifier_activation,
            name,
        )
        chosen = trained if trained and weights == "imagenet" else body
        return assemble(request.sized(size, min_size), chosen, release, **ends)

    return describe(build, title, module, size, min_size, source)


_DOC = """Make {title}, a classifier of images.

Args:
    include_top: Whether it ends in the classifier; if not, in its last feature map.
    weights: `"imagenet"` downloads those trained on ImageNet, a path loads a file, `None` leaves
        them random.
    input_tensor: A symbolic image to start from, in place of a new one.
    input_shape: Sizes of an image without the batch axis. By default {size} by {size} pixels,
        without the top {free}; at least {min_size} by {min_size}.
    pooling: Without the top, `"avg"` or `"max"` reduces each feature map to a number.
    classes: How many classes the top tells apart; 1000 with ImageNet's weights.
    classifier_activation: Of the top; `None` gives logits.
    name: Of the model.{more}

Shapes:
    images: `(batch, height, width, channels)`, or in the order of the image data format; prepare
        them by `preprocess_input` of this module. Result: `(batch, classes)`; without the top
        `(batch, height, width, features)`, pooled `(batch, features)`.

Returns: The model.

Raises:
    ValueError: `input_shape`, `classes` or the activation do not fit the network or the weights, or
        `weights` is no file.

Source: {source}.
"""


def describe(
    build: Callable[..., Functional],
    title: str,
    module: str,
    size: int,
    min_size: int,
    source: str,
    free: str = "any size",
    **arguments: str,
) -> Callable[..., Functional]:
    """Name and document the public function of a network.

    Args:
        build: The function.
        title: Its name.
        module: Where it is defined.
        size: See `application`, as for `min_size` and `source`.
        free: What the size is by default without the top.
        arguments: What those of its arguments mean that are its own.
    """
    more = "".join(f"\n    {name}: {meaning}" for name, meaning in arguments.items())
    build.__name__ = build.__qualname__ = title
    build.__module__ = module
    build.__doc__ = _DOC.format(
        title=title, size=size, min_size=min_size, source=source, free=free, more=more
    )
    return build


# Blocks ------------------------------------------------------------------------------------------


def chain(x: KerasTensor, *layers: Layer) -> KerasTensor:
    """Call layers one after the other."""
    for layer in layers:
        x = layer(x)
    return x


def channel_axis(last: int = 3) -> int:
    """Give the axis of the channels in a batch of images.

    Args:
        last: What it is called under `"channels_last"`, 3 or -1: configs hold it as Keras has it.
    """
    return 1 if image_data_format() == "channels_first" else last


def channels_of(x: KerasTensor) -> int:
    """Count the channels of a batch of images."""
    return x.shape[channel_axis()]


def norm(name: str | None = None, last: int = 3, **options: Any) -> BatchNormalization:
    """Make a batch normalization of the channels; see `channel_axis` for `last`."""
    return BatchNormalization(axis=channel_axis(last), name=name, **options)


def divisible(count: float, divisor: int = 8) -> int:
    """Round a number of channels to a multiple of `divisor`, down by no more than a tenth.

    >>> divisible(37.4), divisible(11)
    (40, 16)
    """
    rounded = max(divisor, int(count + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * count else rounded


def require_channels_last(family: str) -> None:
    """Refuse the format that a family is not made for.

    Raises:
        ValueError: The global image data format is another.
    """
    if image_data_format() != "channels_last":
        raise ValueError(
            explain(
                f"{family} does not support the `channels_first` image data format.",
                fix="call `keras.config.set_image_data_format('channels_last')` first.",
            )
        )
