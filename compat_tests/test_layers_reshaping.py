"""Reshaping layers against Keras."""

import jax
import pytest
import torch
from oracle import assert_close, assert_same_error, compare_layer, random_input

import torchkeras

FORMATS = ["channels_last", "channels_first"]


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 3, 4), (2, 3, 1, 4), (0, 3, 4)])
def test_flatten(shape, data_format):
    shapes = [shape, (None, *shape[1:]), (None, None, 3)]
    compare_layer("Flatten", {"data_format": data_format}, shape, output_shapes=shapes)


@pytest.mark.parametrize("input_dtype", ["int32", "bool", "uint8"])
@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("Flatten", {}),
        ("Reshape", {"target_shape": (4, 3)}),
        ("Permute", {"dims": (2, 1)}),
        ("ZeroPadding1D", {}),
        ("Cropping1D", {}),
        ("UpSampling1D", {}),
    ],
)
def test_other_dtypes(name, kwargs, input_dtype):
    compare_layer(name, kwargs, (2, 3, 4), input_dtype=input_dtype)


@pytest.mark.parametrize("target", [(12,), (3, 4), (-1,), (-1, 2, 3), (2, -1), [6, 2], (1, 12, 1)])
@pytest.mark.parametrize("shape", [(2, 12), (2, 4, 3)])
def test_reshape(target, shape):
    shapes = [shape, (None, *shape[1:]), (None, None, 3), (2, None, 3), (2, 5)]
    compare_layer("Reshape", {"target_shape": target}, shape, output_shapes=shapes)


@pytest.mark.parametrize("dims", [(1, 2, 3), (3, 1, 2), [2, 1, 3]])
def test_permute(dims):
    compare_layer("Permute", {"dims": dims}, (2, 3, 4, 5), output_shapes=[(None, 3, None, 5)])


def test_repeat_vector():
    compare_layer("RepeatVector", {"n": 3}, (2, 4), output_shapes=[(None, 4), (2, None)])


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    ("rank", "padding"),
    [(1, 2), (1, (1, 0)), (2, 1), (2, (1, 2)), (2, ((0, 1), (2, 0))), (3, 1), (3, ((1, 0),) * 3)],
)
def test_zero_padding(rank, padding, data_format):
    shape = (2, 3, 4, 5, 2)[: rank + 2]
    kwargs = {"padding": padding, "data_format": data_format}
    unknown = (None,) * (rank + 2)
    compare_layer(f"ZeroPadding{rank}D", kwargs, shape, output_shapes=[shape, unknown])


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    ("rank", "cropping"),
    [(1, 1), (1, (1, 0)), (2, 1), (2, (1, 0)), (2, ((0, 1), (2, 0))), (3, 1), (3, ((1, 0),) * 3)],
)
def test_cropping(rank, cropping, data_format):
    shape = (2, 4, 5, 4, 5)[: rank + 2]
    kwargs = {"cropping": cropping}
    if rank > 1:
        kwargs["data_format"] = data_format
    shapes = [shape, (None,) * (rank + 2), (2,) * (rank + 2)]
    compare_layer(f"Cropping{rank}D", kwargs, shape, output_shapes=shapes)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(("rank", "size"), [(1, 2), (2, 2), (2, (1, 3)), (3, 2), (3, (1, 2, 3))])
def test_up_sampling(rank, size, data_format):
    shape = (2, 3, 4, 3, 2)[: rank + 2]
    kwargs = {"size": size}
    if rank > 1:
        kwargs["data_format"] = data_format
    compare_layer(f"UpSampling{rank}D", kwargs, shape, output_shapes=[(None,) * (rank + 2)])


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "BILINEAR"])
def test_interpolation(interpolation, data_format):
    kwargs = {"size": (2, 3), "interpolation": interpolation, "data_format": data_format}
    compare_layer("UpSampling2D", kwargs, (2, 4, 5, 3))
    compare_layer("UpSampling2D", kwargs, (2, 4, 5, 3), input_dtype="int32")


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("interpolation", ["lanczos3", "lanczos5"])
def test_interpolation_that_keras_on_torch_lacks(interpolation, data_format):
    """JAX, to which Keras on JAX passes this on, is the reference."""
    x = random_input((2, 4, 5, 3))
    layer = torchkeras.layers.UpSampling2D((2, 3), data_format, interpolation)
    size = layer.compute_output_shape(x.shape)
    expected = jax.image.resize(x, size, interpolation)
    assert_close(layer(x), torch.tensor(expected.tolist()))


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.Flatten(data_format="last"),
        lambda k: k.layers.Reshape((-1, -1)),
        lambda k: k.layers.Reshape((-2, 3)),
        lambda k: k.layers.Reshape((5,))(torch.ones(2, 6)),
        lambda k: k.layers.Reshape((5, -1))(torch.ones(2, 6)),
        lambda k: k.layers.Reshape((5,))(k.Input(shape=(6,))),
        lambda k: k.layers.Permute((0, 1)),
        lambda k: k.layers.Permute((1, 3)),
        lambda k: k.layers.Permute((2, 1))(torch.ones(2, 3)),
        lambda k: k.layers.RepeatVector(1.5),
        lambda k: k.layers.RepeatVector(True),
        lambda k: k.layers.RepeatVector(0),
        lambda k: k.layers.RepeatVector(2)(torch.ones(2, 3, 4)),
        lambda k: k.layers.ZeroPadding1D((1, 2, 3)),
        lambda k: k.layers.ZeroPadding2D((1, 2, 3)),
        lambda k: k.layers.ZeroPadding2D(None),
        lambda k: k.layers.ZeroPadding2D(((1, 2, 3), 1)),
        lambda k: k.layers.ZeroPadding3D((1, 2)),
        lambda k: k.layers.Cropping1D(2)(torch.ones(1, 4, 2)),
        lambda k: k.layers.Cropping1D(-1),
        lambda k: k.layers.Cropping2D(-1),
        lambda k: k.layers.Cropping2D((1, 2, 3)),
        lambda k: k.layers.Cropping2D(2)(torch.ones(1, 4, 9, 2)),
        lambda k: k.layers.Cropping3D((1, 2)),
        lambda k: k.layers.UpSampling1D(0),
        lambda k: k.layers.UpSampling1D("2"),
        lambda k: k.layers.UpSampling2D((1, 2, 3)),
        lambda k: k.layers.UpSampling2D(2, interpolation="no_such")(torch.ones(1, 2, 2, 1)),
    ],
)
def test_errors(action):
    assert_same_error(action)
