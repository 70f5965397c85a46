"""Image layers against Keras: the same draws for a seed, the same results for the same draws."""

import copy
import random
import warnings

import keras
import numpy as np
import pytest
import torch
from oracle import assert_close, assert_same_config, make_pair, rounded, seed_both

import torchkeras

# Positions on both sides go through float32: differently rounded by what a few of its units in the
# last place make, at 8 pixels and values up to 255.
WARPED = {"rtol": 1e-4, "atol": 2e-3}
CLOSE = {"rtol": 2e-5, "atol": 2e-4}

COLORS = [
    ("RandomBrightness", {"factor": 0.3}),
    ("RandomBrightness", {"factor": (-0.9, -0.2), "value_range": (20, 200)}),
    ("RandomContrast", {"factor": 0.7}),
    ("RandomContrast", {"factor": (0.1, 0.6)}),
    ("RandomColorDegeneration", {"factor": 0.8}),
    ("RandomGrayscale", {"factor": 0.5}),
    ("RandomHue", {"factor": 0.9}),
    ("RandomHue", {"factor": (0.2, 0.4), "value_range": (0, 300)}),
    ("RandomSaturation", {"factor": 0.8}),
    ("RandomSaturation", {"factor": (0.4, 0.6), "value_range": (0, 1)}),
    ("RandomInvert", {"factor": 0.9}),
    ("RandomPosterization", {"factor": 6}),
    ("RandomPosterization", {"factor": (3, 3), "value_range": (0, 300)}),
    ("RandomSharpness", {"factor": 0.9}),
    ("RandomGaussianBlur", {"factor": 0.9, "kernel_size": 5, "sigma": 0.9}),
    ("Solarization", {"addition_factor": 0.3, "threshold_factor": (0.2, 0.9)}),
    ("Solarization", {"threshold_factor": 0.5, "value_range": (0, 300)}),
    ("RandomColorJitter", {"brightness_factor": 0.2, "contrast_factor": 0.3}),
    ("RandomColorJitter", {"saturation_factor": 0.6, "hue_factor": 0.3}),
]
TABLES = [
    ("AutoContrast", {}),
    ("AutoContrast", {"value_range": (0, 300)}),
    ("Equalization", {}),
    ("Equalization", {"bins": 64, "value_range": (0, 300)}),
    ("ContrastLimitedAdaptiveHistogramEqualization", {}),
    ("ContrastLimitedAdaptiveHistogramEqualization", {"clip_limit": 0, "tile_grid_size": (3, 2)}),
]
MOVES = [
    ("RandomFlip", {"mode": "horizontal"}),
    ("RandomFlip", {"mode": "vertical"}),
    ("RandomFlip", {}),
    ("RandomRotation", {"factor": 0.4}),
    ("RandomRotation", {"factor": (0.1, 0.2), "fill_mode": "constant", "fill_value": 7.0}),
    ("RandomShear", {"x_factor": 0.5, "y_factor": (0.1, 0.3)}),
    ("RandomShear", {"x_factor": 0.9, "fill_mode": "nearest"}),
    ("RandomTranslation", {"height_factor": 0.4, "width_factor": (0.1, 0.7)}),
    ("RandomTranslation", {"height_factor": 0.4, "width_factor": 0.2, "fill_mode": "wrap"}),
    ("RandomZoom", {"height_factor": 0.5}),
    ("RandomZoom", {"height_factor": (-0.3, 0.8), "width_factor": 0.2, "fill_mode": "constant"}),
    ("RandomPerspective", {"factor": 0.9, "scale": 0.4}),
]
MIXES = [
    ("MixUp", {"alpha": 0.4}),
    ("CutMix", {"factor": 0.8}),
    ("RandomErasing", {"factor": 0.9}),
    ("RandomErasing", {"scale": 0.7, "fill_value": (1, 2, 3), "value_range": (0, 2)}),
    ("RandomErasing", {"fill_value": 9}),
]
SIZES = [
    ("Resizing", {"height": 6, "width": 11}),
    ("Resizing", {"height": 5, "width": 11, "interpolation": "nearest"}),
    ("Resizing", {"height": 4, "width": 9, "crop_to_aspect_ratio": True, "antialias": True}),
    ("Resizing", {"height": 5, "width": 9, "pad_to_aspect_ratio": True, "fill_value": 3.0}),
    ("CenterCrop", {"height": 5, "width": 4}),
    ("CenterCrop", {"height": 12, "width": 4}),
    ("RandomCrop", {"height": 5, "width": 4}),
    ("RandomCrop", {"height": 9, "width": 12}),
]
POLICIES = [
    ("RandAugment", {}),
    ("RandAugment", {"num_ops": 4, "factor": (0.2, 0.8)}),
    ("AugMix", {}),
    ("AugMix", {"num_chains": 2, "chain_depth": 2, "all_ops": False}),
]
ALL = [*COLORS, *TABLES, *MOVES, *MIXES, *SIZES, *POLICIES]
DRAWN = [*COLORS, *MOVES, *MIXES, *SIZES]
UNSEEDED = ("AutoContrast", "Equalization", "ContrastLimited", "Resizing", "CenterCrop", "MaxNum")


def ids(cases):
    return [f"{name}-{'-'.join(map(str, kwargs.values()))}" for name, kwargs in cases]


def seeded(name, kwargs, **more):
    """The constructor arguments of a case, with a seed where the layer has one."""
    seed = {} if name.startswith(UNSEEDED) else {"seed": 3}
    return {**kwargs, **seed, **more}


def images(batch=5, channels_first=False, seed=0):
    """Colored images of 8 by 10 pixels."""
    shape = (batch, 3, 8, 10) if channels_first else (batch, 8, 10, 3)
    return np.random.default_rng(seed).integers(0, 256, shape).astype("float32")


def quietly(function, *args, **kwargs):
    """Call Keras, which calls torch in ways that torch warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def make_both(name, kwargs):
    """The layer in both libraries; Keras's `RandomBrightness` no longer overwrites its input."""
    ours, theirs = make_pair(name, kwargs)
    for layer in (theirs, getattr(theirs, "random_brightness", None)):
        if isinstance(layer, keras.layers.RandomBrightness):
            transform = layer.transform_images
            layer.transform_images = lambda x, *args, f=transform, **options: f(
                x.clone(), *args, **options
            )
    return ours, theirs


def tolerance(name):
    warps = ("RandomRot", "RandomSh", "RandomTr", "RandomZ", "RandomPer", "Rand", "AugMix")
    return WARPED if name.startswith(warps) else CLOSE


@pytest.mark.parametrize(("name", "kwargs"), ALL, ids=ids(ALL))
def test_same_results_for_a_seed(name, kwargs):
    ours, theirs = make_both(name, seeded(name, kwargs))
    for call in range(3):
        x = torch.tensor(images(seed=call))
        random.seed(call)
        expected = quietly(theirs, x.clone(), training=True)
        random.seed(call)
        actual = ours(x, training=True)
        if name == "RandAugment":  # a warp's rounding may move a pixel to another color of a table
            near = np.isclose(actual.numpy(), expected.numpy(), **WARPED)
            assert near.mean() > 0.97
        else:
            assert_close(actual, expected, **tolerance(name))
    for v, w in zip(ours.variables, theirs.variables, strict=True):
        assert_close(v, w, "seeds")


@pytest.mark.parametrize(("name", "kwargs"), ALL, ids=ids(ALL))
def test_inference(name, kwargs):
    ours, theirs = make_both(name, seeded(name, kwargs))
    x = torch.tensor(images())
    expected = quietly(theirs, x.clone(), training=False)
    assert_close(ours(x, training=False), expected, **tolerance(name))
    for v, w in zip(ours.variables, theirs.variables, strict=True):
        assert_close(v, w, "seeds")


# Where Keras treats channels first like channels last, or its inner layers by the global setting.
OWN_WAY_FIRST = ("AutoContrast", "RandomColorJitter", "RandAugment", "AugMix")


@pytest.mark.parametrize(("name", "kwargs"), ALL, ids=ids(ALL))
def test_channels_first(name, kwargs):
    first = seeded(name, kwargs, data_format="channels_first")
    if name == "RandomErasing" and isinstance(kwargs.get("fill_value"), tuple):
        pytest.skip("Keras fills channels last")
    x = images(channels_first=True)
    if name in OWN_WAY_FIRST:
        seed_both()
        ours = getattr(torchkeras.layers, name)(**first)(x, training=True)
        seed_both()
        last = seeded(name, kwargs, data_format="channels_last")
        swapped = np.moveaxis(x, 1, -1)
        expected = getattr(torchkeras.layers, name)(**last)(swapped, training=True)
        assert_close(ours, expected.movedim(-1, 1), **tolerance(name))
        return
    ours, theirs = make_both(name, first)
    expected = quietly(theirs, torch.tensor(x), training=True)
    assert_close(ours(torch.tensor(x), training=True), expected, **tolerance(name))


@pytest.mark.parametrize(("name", "kwargs"), ALL, ids=ids(ALL))
def test_one_image(name, kwargs):
    ours, theirs = make_both(name, seeded(name, kwargs))
    x = torch.tensor(images(1)[0])
    random.seed(0)
    expected = quietly(theirs, x.clone(), training=True)
    random.seed(0)
    assert_close(ours(x, training=True), expected, **tolerance(name))


@pytest.mark.parametrize(("name", "kwargs"), DRAWN, ids=ids(DRAWN))
def test_keras_draws_in_our_transforms(name, kwargs):
    ours, theirs = make_both(name, seeded(name, kwargs))
    x = torch.tensor(images())
    if name == "RandomColorJitter":
        pytest.skip("draws while it transforms")
    drawn = theirs.get_random_transformation(x, training=True)
    for method in ("transform_images", "transform_segmentation_masks"):
        if name == "MixUp" and method == "transform_segmentation_masks":
            continue  # Keras mixes pixels of the flattened batch
        if name in ("CenterCrop", "RandomCrop") and "mask" in method:
            continue  # Keras mixes neighbours where it resizes
        # Copies: Keras's `affine_transform` overwrites the matrix of a rotation.
        expected = quietly(getattr(theirs, method), x.clone(), copy.deepcopy(drawn))
        actual = getattr(ours, method)(x, drawn)
        assert_close(actual, expected, method, **tolerance(name))


SERIALIZED = [*ALL, ("RandomElasticTransform", {"scale": 0.5, "fill_mode": "mirror"})]


@pytest.mark.parametrize(("name", "kwargs"), SERIALIZED, ids=ids(SERIALIZED))
def test_configs(name, kwargs):
    boxes = {"bounding_box_format": "rel_xyxy", "data_format": "channels_first"}
    for more in ({}, boxes):
        ours, theirs = make_both(name, seeded(name, kwargs, **more))
        if name == "RandomGrayscale":  # Keras forgets the seed
            theirs.get_config = lambda get=theirs.get_config: {**get(), "seed": 3}
        assert rounded(ours.get_config()) == rounded(theirs.get_config())
        again = type(ours).from_config(theirs.get_config())
        assert rounded(again.get_config()) == rounded(theirs.get_config())
        if name not in (
            "RandomGrayscale",
            "RandomShear",
        ):  # Keras cannot load its own `RandomShear`
            assert_same_config(ours, theirs)
        assert ours.built == theirs.built


def test_config_of_max_num_bounding_boxes():
    ours, theirs = make_pair("MaxNumBoundingBoxes", {"max_number": 4, "fill_value": -2})
    # Keras forgets the fill value.
    assert ours.get_config() == {**theirs.get_config(), "fill_value": -2}
    assert keras.layers.MaxNumBoundingBoxes.from_config(ours.get_config()).fill_value == -2


def test_pipelines_interchange():
    def make(k):
        return k.layers.Pipeline([k.layers.AutoContrast(), k.layers.CenterCrop(4, 5)], name="p")

    ours, theirs = make(torchkeras), make(keras)
    x = images()
    assert_close(ours(x), theirs(x), **CLOSE)
    again = torchkeras.layers.Pipeline.from_config(theirs.get_config())
    assert_close(again(x), theirs(x), **CLOSE)
    back = keras.layers.Pipeline.from_config(ours.get_config())
    assert_close(ours(x), back(x), **CLOSE)


# Boxes, labels and masks -------------------------------------------------------------------------

BOXED = [
    *[case for case in MOVES if case[0] != "RandomPerspective"],
    ("CenterCrop", {"height": 5, "width": 4}),
    ("CenterCrop", {"height": 12, "width": 4}),
    *SIZES[:4],
    ("RandomBrightness", {"factor": 0.2}),
]


def boxes(batch=5, count=4):
    """Boxes within images of 8 by 10 pixels, the last one of each image none."""
    rng = np.random.default_rng(1)
    start = rng.uniform(0, 5, (batch, count, 2))
    corners = np.concatenate([start, start + rng.uniform(1, 3, (batch, count, 2))], -1)
    labels = rng.integers(0, 9, (batch, count))
    return {"boxes": corners.astype("float32"), "labels": labels.astype("int32")}


@pytest.mark.parametrize("box_format", ["xyxy", "center_xywh", "rel_xywh"])
@pytest.mark.parametrize(("name", "kwargs"), BOXED, ids=ids(BOXED))
def test_boxes_labels_and_masks(name, kwargs, box_format):
    if name == "RandomRotation" and box_format != "xyxy":
        pytest.skip("Keras takes boxes of any format for xyxy")
    if name == "RandomFlip" and box_format != "rel_xywh":
        box_format = box_format.replace("center_xywh", "yxyx")
    ours, theirs = make_both(name, seeded(name, kwargs, bounding_box_format=box_format))
    found = boxes()
    convert = torchkeras.utils.bounding_boxes.convert_format
    found = convert(found, "xyxy", box_format, height=8, width=10)
    data = {
        "images": torch.tensor(images()),
        "bounding_boxes": {k: torch.as_tensor(v) for k, v in found.items()},
        "labels": torch.eye(5),
        "segmentation_masks": torch.tensor(images(seed=2)[..., :1]),
    }

    def copy():
        return {**data, "bounding_boxes": dict(data["bounding_boxes"])}

    expected = quietly(theirs, copy(), training=True)
    actual = ours(copy(), training=True)
    # Keras mixes neighbours in masks that it resizes, and turns them by an overwritten matrix.
    if kwargs.get("height") == 12 or name == "RandomRotation":
        actual.pop("segmentation_masks"), expected.pop("segmentation_masks")
    assert_close(actual, expected, **WARPED)


def test_max_num_bounding_boxes():
    for number in (2, 4, 7):
        layer = {"max_number": number, "bounding_box_format": "xyxy"}
        ours, theirs = make_pair("MaxNumBoundingBoxes", layer)
        data = {"images": images(), "bounding_boxes": boxes()}
        assert_close(ours(data), theirs(data))


FORMATS = (
    "xyxy yxyx xywh center_xywh center_yxhw rel_xyxy rel_yxyx rel_xywh rel_center_xywh".split()
)


@pytest.mark.parametrize("source", FORMATS)
def test_box_formats(source):
    numbers = np.random.default_rng(0).uniform(0, 1, (2, 3, 4))
    for target in FORMATS:
        a, b = (
            k.utils.bounding_boxes.convert_format(numbers, source, target, height=30, width=20)
            for k in (torchkeras, keras)
        )
        assert_close(a, b)


def test_boxes_moved_and_compared():
    first, second = boxes()["boxes"], boxes(count=3)["boxes"] + 0.5
    angle = np.float32([0, 30, -70, 180, 90])
    part = np.float32([0, 0.1, -0.2, 0.3, 0.05])
    calls = [
        lambda u: u.affine_transform(first, angle, part, -part, 1 + part, angle / 9, part, 8, 10),
        lambda u: u.affine_transform(first, angle, part, part, 1 + part, angle, part, 8, 9, 0, 1),
        lambda u: u.crop(first, 1, 2, 3, 4),
        lambda u: u.pad(first, 1, 2),
        lambda u: u.clip_to_image_size({"boxes": first * 2 - 3, "labels": boxes()["labels"]}, 4, 5),
        lambda u: u.clip_to_image_size({"boxes": first / 4 - 0.5}, bounding_box_format="rel_xyxy"),
        lambda u: u.compute_iou(first, second, "xyxy"),
        lambda u: u.compute_iou(first[0], second, "yxyx"),
        lambda u: u.compute_iou(first, second[0], "center_xywh"),
        lambda u: u.compute_iou(first - 3, second - 4, "xywh", use_masking=True),
        lambda u: u.compute_iou(first[0] - 3, second[0] - 4, "xyxy", True, -7),
        lambda u: u.compute_iou(first[0], second[0], "rel_xyxy", image_shape=(8, 10, 3)),
        lambda u: u.compute_ciou(first[:, :3], second, "xyxy"),
        lambda u: u.encode_box_to_deltas(first[0], first + 0.1, "xyxy", "xywh"),
        lambda u: u.encode_box_to_deltas(
            first[0], first, "xyxy", "rel_xyxy", "center_xywh", [1, 2, 3, 4], (8, 10, 3)
        ),
        lambda u: u.decode_deltas_to_boxes(
            first[0], torch.tensor(second[0, :1] / 9), "xyxy", "xywh"
        ),
        lambda u: u.decode_deltas_to_boxes(
            {1: first[0]},
            {1: torch.tensor(first / 9)},
            "xyxy",
            "rel_xyxy",
            "center_xywh",
            [1, 2, 3, 4],
            (8, 10, 3),
        ),
    ]
    for call in calls:
        assert_close(
            call(torchkeras.utils.bounding_boxes), call(keras.utils.bounding_boxes), **CLOSE
        )


def test_mixed_labels():
    for name in ("MixUp", "CutMix"):
        ours, theirs = make_both(name, {"seed": 1})
        data = {"images": torch.tensor(images()), "labels": torch.eye(5)}
        assert_close(ours(dict(data)), theirs(dict(data)), **CLOSE)


# Within TensorFlow's pipelines -------------------------------------------------------------------


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


ONE_EACH = list({name: (name, kwargs) for name, kwargs in ALL}.values())


@pytest.mark.parametrize(("name", "kwargs"), ONE_EACH, ids=ids(ONE_EACH))
def test_tf_data(tf, name, kwargs):
    layer = getattr(torchkeras.layers, name)(**seeded(name, kwargs))
    x = images(4).astype("uint8")
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(3).map(layer)
    shape = layer.compute_output_shape((None, 8, 10, 3))
    assert tuple(dataset.element_spec.shape) == tuple(shape)
    assert dataset.element_spec.dtype == tf.float32
    batches = list(dataset)
    assert [len(batch) for batch in batches] == [3, 1]
    again = getattr(torchkeras.layers, name)(**seeded(name, kwargs))
    random.seed(0)
    expected = again(x[:3].astype("float32"))
    random.seed(0)
    layer = getattr(torchkeras.layers, name)(**seeded(name, kwargs))
    first = next(iter(tf.data.Dataset.from_tensors(x[:3]).map(layer)))
    np.testing.assert_allclose(first.numpy(), expected.numpy(), rtol=1e-6)


def test_tf_data_with_all_parts(tf):
    layer = torchkeras.layers.RandomFlip("horizontal", seed=1, bounding_box_format="xyxy")
    data = {
        "images": images(4),
        "bounding_boxes": boxes(4),
        "labels": np.arange(4),
        "segmentation_masks": images(4),
    }
    expected = torchkeras.layers.RandomFlip("horizontal", seed=1, bounding_box_format="xyxy")(data)
    result = next(iter(tf.data.Dataset.from_tensor_slices(data).batch(4).map(layer)))
    for part in ("images", "segmentation_masks"):
        np.testing.assert_array_equal(result[part].numpy(), expected[part].numpy())
    for part in ("boxes", "labels"):
        actual = result["bounding_boxes"][part].numpy()
        np.testing.assert_array_equal(actual, expected["bounding_boxes"][part].numpy())


def test_methods_and_pipelines_in_tf_data(tf):
    layer = torchkeras.layers.RandomBrightness(0.5, seed=1)

    def twice(x):
        drawn = layer.get_random_transformation(x)
        return layer.transform_images(x, drawn), layer.transform_images(x, drawn)

    for a, b in tf.data.Dataset.from_tensor_slices(images(4)).batch(2).map(twice):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    layers = [torchkeras.layers.Rescaling(1 / 255), torchkeras.layers.Resizing(4, 4)]
    dataset = tf.data.Dataset.from_tensor_slices(images(4)).batch(2)
    dataset = dataset.map(torchkeras.layers.Pipeline(layers), num_parallel_calls=2)
    assert dataset.element_spec.shape == (None, 4, 4, 3)
    assert all(batch.numpy().max() <= 1 for batch in dataset)
