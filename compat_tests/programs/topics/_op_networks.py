"""Calls of `keras.ops` that networks and images need."""

from __future__ import annotations

from ._op_registry import CALLS, calls
from ._operands import Writer

__all__: list[str] = []

# Networks.


@calls("conv")
def _conv(w: Writer) -> str:
    rank, cin = w.draw.whole(1, 3), w.draw.whole(1, 3)
    x = w.floating((w.draw.whole(1, 2), *w.draw.shape(rank, 3, 5), cin))
    kernel = w.array((*w.draw.shape(rank, 1, 3), cin, 2), w.operands[0].dtype)
    return f"{x}, {kernel}" + w.optional(
        strides=w.draw.one(["1", "2", str((1,) * rank)]), padding="'same'"
    )


@calls("depthwise_conv", "separable_conv")
def _depthwise_conv(w: Writer) -> str:
    rank = w.draw.whole(1, 2)
    x = w.floating((w.draw.whole(1, 2), *w.draw.shape(rank, 3, 5), 2))
    kernel = w.array((*w.draw.shape(rank, 1, 3), 2, 2), w.operands[0].dtype)
    return f"{x}, {kernel}" + w.optional(strides="2", padding="'same'")


def _separable_conv(w: Writer) -> str:
    rank = w.draw.whole(1, 2)
    x = w.floating((w.draw.whole(1, 2), *w.draw.shape(rank, 3, 5), 2))
    kernel = w.array((*w.draw.shape(rank, 1, 3), 2, 2), w.operands[0].dtype)
    points = w.array((*(1,) * rank, 4, 3), w.operands[0].dtype)
    return f"{x}, {kernel}, {points}" + w.optional(padding="'same'")


CALLS["separable_conv"] = _separable_conv


@calls("conv_transpose")
def _conv_transpose(w: Writer) -> str:
    rank = w.draw.whole(1, 2)
    x = w.floating((w.draw.whole(1, 2), *w.draw.shape(rank, 2, 4), 2))
    kernel = w.array((*w.draw.shape(rank, 2, 3), 3, 2), w.operands[0].dtype)
    return f"{x}, {kernel}, strides={w.draw.whole(1, 2)}" + w.optional(padding="'same'")


@calls("max_pool", "average_pool")
def _pool(w: Writer) -> str:
    rank = w.draw.whole(1, 3)
    x = w.floating((w.draw.whole(1, 2), *w.draw.shape(rank, 2, 5), 2))
    return f"{x}, {w.draw.one(['2', str((2,) * rank)])}" + w.optional(
        strides=w.draw.one(["1", "2"]), padding="'same'"
    )


@calls("adaptive_average_pool", "adaptive_max_pool")
def _adaptive_pool(w: Writer) -> str:
    rank = w.draw.whole(1, 3)
    x = w.array((w.draw.whole(1, 2), *w.draw.shape(rank, 2, 5), 2), "float32")
    return f"{x}, {w.draw.one(['2', str((2,) * rank), '1'])}"


@calls("batch_normalization")
def _batch_normalization(w: Writer) -> str:
    width = w.draw.whole(1, 4)
    x = w.floating((2, *w.shape(0, 2), width))
    mean, variance = w.floating((width,)), w.floating((width,), "positive")
    options = {"offset": w.floating((width,)), "scale": w.floating((width,))}
    return f"{x}, {mean}, {variance}, axis=-1" + w.optional(**options, epsilon="1e-2")


@calls("layer_normalization")
def _layer_normalization(w: Writer) -> str:
    shape = (*w.shape(1, 2), w.draw.whole(2, 4))
    x = w.floating(shape)
    width = shape[-1:]
    return x + w.optional(gamma=w.floating(width), beta=w.floating(width), epsilon="1e-2")


@calls("rms_normalization")
def _rms_normalization(w: Writer) -> str:
    shape = w.shape(1, 3)
    return w.floating(shape) + w.optional(scale=w.floating(shape[-1:]), epsilon="1e-2")


@calls("one_hot")
def _one_hot(w: Writer) -> str:
    shape = w.shape(0, 2)
    x = w.index(shape, 4)
    dtype = repr(w.draw.one(["int32", "float16", "bool"]))
    return f"{x}, {w.draw.whole(4, 5)}" + w.optional(axis=str(w.axis(len(shape) + 1)), dtype=dtype)


@calls("multi_hot")
def _multi_hot(w: Writer) -> str:
    return f"{w.index(w.shape(1, 2), 4)}, {w.draw.whole(4, 5)}" + w.optional(dtype="'int32'")


@calls("binary_crossentropy")
def _binary_crossentropy(w: Writer) -> str:
    shape = w.shape(1, 3)
    if w.draw.chance():
        return f"{w.floating(shape, 'probability')}, {w.floating(shape)}, from_logits=True"
    return f"{w.floating(shape, 'probability')}, {w.floating(shape, 'probability')}"


@calls("categorical_crossentropy")
def _categorical_crossentropy(w: Writer) -> str:
    shape = (*w.shape(0, 2), w.draw.whole(2, 4))
    target, output = w.floating(shape, "probability"), w.floating(shape, "probability")
    return f"{target}, {output}" + w.flag("from_logits")


@calls("sparse_categorical_crossentropy")
def _sparse_categorical_crossentropy(w: Writer) -> str:
    shape, classes = w.shape(0, 2), w.draw.whole(2, 4)
    target, output = w.index(shape, classes), w.floating((*shape, classes), "probability")
    return f"{target}, {output}" + w.flag("from_logits")


@calls("ctc_loss")
def _ctc_loss(w: Writer) -> str:
    target = f"{w.array((2, 2), 'int32', below=3)} + 1"
    return f"{target}, {w.array((2, 6, 5), 'float32')}, [2, 1], [6, 5]"


@calls("ctc_decode")
def _ctc_decode(w: Writer) -> str:
    w.single = False
    strategy = w.draw.one(["'greedy'", "'beam_search', beam_width=4"])
    return f"{w.array((2, 5, 4), 'float32')}, [5, 3], strategy={strategy}"


@calls("dot_product_attention")
def _dot_product_attention(w: Writer) -> str:
    dtype = w.draw.one(w.floats)
    q, k, v = (w.array((1, length, 2, 4), dtype) for length in (3, 3, 3))
    options = {"is_causal": "True", "scale": "0.7"}
    if w.draw.chance(0.3):
        return f"{q}, {k}, {v}, mask=np.tri(3, dtype=bool)[None, None]"
    return f"{q}, {k}, {v}" + w.optional(**options)


@calls("unfold")
def _unfold(w: Writer) -> str:
    return f"{w.floating((1, 2, 4, 5))}, 2" + w.optional(stride="2", padding="1", dilation="1")


@calls("fold")
def _fold(w: Writer) -> str:
    return f"{w.floating((1, 8, 12))}, (4, 5), 2"


@calls("psnr")
def _psnr(w: Writer) -> str:
    shape = w.shape(1, 3)
    return f"{w.array(shape, 'float32')}, {w.array(shape, 'float32')}, 1.0"


# Images.


def _image(w: Writer, channels: int = 3) -> str:
    shape = (*w.draw.one([(), (2,)]), w.draw.whole(4, 6), w.draw.whole(4, 6), channels)
    return w.array(shape, w.draw.one(w.floats), "probability")


@calls("image.rgb_to_grayscale", "image.rgb_to_hsv", "image.hsv_to_rgb")
def _of_image(w: Writer) -> str:
    return _image(w)


@calls("image.gaussian_blur", "image.sobel_edges")
def _filtered(w: Writer) -> str:  # Keras on torch forgets the default of `data_format`
    x = w.array((2, 4, 5, 3), w.draw.one(w.floats), "probability")
    return f"{x}, data_format='channels_last'"


@calls("image.resize")
def _resize(w: Writer) -> str:  # "lanczos3" and "lanczos5" are not there in Keras on torch
    how = w.draw.one(["bilinear", "nearest", "bicubic"])
    how = f", interpolation={how!r}" if w.draw.chance(0.7) else ""
    fit = w.draw.one(["", "", ", antialias=True", ", crop_to_aspect_ratio=True",
                      ", pad_to_aspect_ratio=True"])  # fmt: skip
    return f"{_image(w)}, {w.draw.one(['(3, 7)', '(8, 8)', '(4, 2)'])}{how}{fit}"


@calls("image.affine_transform")
def _affine_transform(w: Writer) -> str:
    x = _image(w)
    batch = (2,) if len(w.operands[0].shape) == 4 else ()
    transform = f"np.array([1.0, 0.1, 0.3, 0.05, 0.9, -0.2, 0.0, 0.0]) * np.ones({(*batch, 8)})"
    mode = w.draw.one(["constant", "nearest", "wrap", "mirror", "reflect"])
    return f"{x}, ({transform}).astype('float32')" + w.optional(
        interpolation="'nearest'", fill_mode=repr(mode), fill_value="0.5"
    )


@calls("image.perspective_transform")
def _perspective_transform(w: Writer) -> str:
    x = _image(w)
    batch = (2,) if len(w.operands[0].shape) == 4 else ()
    start = f"np.array([[0.0, 0], [0, 3], [3, 0], [3, 3]], 'float32') * np.ones({(*batch, 4, 2)}, 'float32')"  # noqa: E501
    return f"{x}, {start}, {start} + np.array([[0.3, 0.1], [0.2, -0.3], [-0.1, 0.2], [0.1, 0.3]], 'float32')"  # noqa: E501


@calls("image.map_coordinates")
def _map_coordinates(w: Writer) -> str:
    mode = w.draw.one(["constant", "nearest", "wrap", "mirror", "reflect"])
    x = w.number((4, 5))
    coordinates = f"ops.abs({w.array((2, 3), 'float32')}) + 0.2"
    return f"{x}, {coordinates}, {w.draw.one(['0', '1'])}" + w.optional(fill_mode=repr(mode))


@calls("image.extract_patches")
def _extract_patches(w: Writer) -> str:
    return f"{_image(w)}, {w.draw.one(['2', '(2, 3)'])}" + w.optional(strides="1", padding="'same'")


@calls("image.extract_patches_3d")
def _extract_patches_3d(w: Writer) -> str:
    return f"{w.floating((1, 4, 4, 4, 2))}, {w.draw.one(['2', '(2, 2, 1)'])}"


@calls("image.crop_images")
def _crop(w: Writer) -> str:
    x = _image(w)
    return f"{x}, " + w.draw.one(
        ["1, 1, 1, 1", "top_cropping=1, left_cropping=0, target_height=2, target_width=3",
         "bottom_cropping=1, right_cropping=1, target_height=2, target_width=2"]
    )  # fmt: skip


@calls("image.pad_images")
def _pad_images(w: Writer) -> str:
    x = _image(w)
    return f"{x}, " + w.draw.one(
        ["1, 2, 0, 1", "top_padding=1, left_padding=2, target_height=9, target_width=9"]
    )


@calls("image.scale_and_translate")
def _scale_and_translate(w: Writer) -> str:
    method = w.draw.one(["linear", "cubic", "lanczos3", "lanczos5"])
    return (
        f"{w.array((4, 5, 2), 'float32')}, (6, 7, 2), np.array([1.5, 1.2], 'float32'),"
        f" np.array([0.3, -0.2], 'float32'), (0, 1), {method!r}"
    ) + w.optional(antialias="False")


@calls("image.ssim")
def _ssim(w: Writer) -> str:
    shape = (*w.draw.one([(), (2,)]), 8, 8, 2)
    x, y = (w.array(shape, "float32", "probability") for _ in range(2))
    return f"{x}, {y}, filter_size={w.draw.one([3, 5])}"
