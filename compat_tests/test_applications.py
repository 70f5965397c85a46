"""The networks of `keras.applications` against Keras's own: structure, weights, results, files.

Structures are compared on the `meta` device, which holds no numbers, so that all networks are, at
their full size. Numbers are compared for one network of each family, on small images.
"""

import importlib
import inspect
import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")

import h5py
import keras
import numpy as np
import pytest
import torch
from keras.src.applications import imagenet_utils as keras_utils
from keras.src.applications import nasnet as keras_nasnet
from keras.src.legacy.saving import legacy_h5_format
from oracle import assert_same_error, copy_weights, describe, seed_both, to_numpy

import torchkeras
from torchkeras.applications import _builder, imagenet_utils

SMALL = {"include_top": False, "input_shape": (32, 32, 3)}
# Of each family, a network and arguments that keep it small; its last feature map is one pixel, so
# that a pooling hides nothing.
FAMILIES = {
    "ConvNeXtTiny": {**SMALL, "pooling": "max"},
    "DenseNet121": {**SMALL, "pooling": "avg"},
    "EfficientNetB0": {**SMALL, "pooling": "max"},
    "EfficientNetV2B0": SMALL,
    "InceptionResNetV2": {**SMALL, "input_shape": (75, 75, 3)},
    "InceptionV3": {**SMALL, "input_shape": (75, 75, 3), "pooling": "avg"},
    "MobileNet": {"alpha": 0.25, "input_shape": (32, 32, 3), "classes": 5},
    "MobileNetV2": {"alpha": 0.35, "input_shape": (32, 32, 3), "classes": 5},
    "MobileNetV3Small": {"alpha": 0.5, "input_shape": (32, 32, 3), "classes": 5},
    "NASNetMobile": SMALL,
    "ResNet50": SMALL,
    "ResNet50V2": SMALL,
    "VGG16": SMALL,
    "Xception": {**SMALL, "input_shape": (71, 71, 3), "pooling": "max"},
}
CHANNELS_LAST_ONLY = ("ConvNeXt", "DenseNet", "NASNet")
MODELS = [
    name
    for name in dir(keras.applications)
    if name[0].isupper() and inspect.isfunction(getattr(keras.applications, name))
]


def keras_nasnet_mobile(input_shape=None, include_top=True, name="nasnet_mobile", **kwargs):
    """Keras refuses to make this one on torch, but for no reason of its structure."""
    if input_shape is None and not include_top:
        input_shape = (224, 224, 3)
    sizes = {"penultimate_filters": 1056, "num_blocks": 4, "stem_block_filters": 32}
    return keras_nasnet.NASNet(
        input_shape,
        **sizes,
        skip_reduction=False,
        default_size=224,
        include_top=include_top,
        name=name,
        **kwargs,
    )


@pytest.fixture(autouse=True)
def _fresh_names():
    clear()
    yield
    clear()


def clear():
    for library in (torchkeras, keras):
        library.utils.clear_session(free_memory=False)
        library.config.set_image_data_format("channels_last")


def make(library, title, /, weights=None, **kwargs):
    if library is keras and title == "NASNetMobile":
        return keras_nasnet_mobile(weights=weights, **kwargs)
    return getattr(library.applications, title)(weights=weights, **kwargs)


def make_pair(title, /, device=None, data_format="channels_last", **kwargs):
    made = []
    for library in (torchkeras, keras):
        clear()
        library.config.set_image_data_format(data_format)
        seed_both(0)
        if device is None:
            made.append(make(library, title, **kwargs))
        else:
            with library.device(device):
                made.append(make(library, title, **kwargs))
    return made


def normal(x):
    """A config as JSON holds it, floats in single precision, and without what nodes do not need.

    Keras records that a node's call was not in training, and had no mask; neither means anything.
    """
    if isinstance(x, float):
        return float(np.float32(x))
    if isinstance(x, dict):
        kept = {k: v for k, v in x.items() if not (k in ("mask", "training") and not v)}
        return {key: normal(value) for key, value in kept.items()}
    return [normal(value) for value in x] if isinstance(x, (list, tuple)) else x


def assert_same_structure(ours, theirs):
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    expected, actual = normal(theirs.get_config()), normal(ours.get_config())
    assert actual.keys() == expected.keys()
    for a, b in zip(actual["layers"], expected["layers"], strict=True):
        assert a == b
    assert actual == expected
    assert describe(ours.weights) == describe(theirs.weights)


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined or non-square")
@pytest.mark.parametrize("name", MODELS)
def test_structure_for_trained_weights(name, monkeypatch):
    """The file that both would load is the same, and so is what it is loaded into."""
    asked = []

    def get_file(fname=None, origin=None, **kwargs):
        asked.append({"fname": fname, "origin": origin, "file_hash": None, **kwargs})
        return "file"

    monkeypatch.setattr(keras.src.utils.file_utils, "get_file", get_file)
    monkeypatch.setattr(_builder, "get_file", get_file)
    for library in (torchkeras, keras):
        monkeypatch.setattr(library.Model, "load_weights", lambda model, path: None)
    ours, theirs = make_pair(name, device="meta", weights="imagenet")
    assert asked[0] == asked[1]
    assert_same_structure(ours, theirs)


@pytest.mark.parametrize("name", MODELS)
def test_trained_weights_without_the_top(name, monkeypatch):
    """Name and hash of the file stand in Keras's source; no network is made."""
    build = getattr(torchkeras.applications, name)
    releases = []
    for module in {"torchkeras.applications._builder", build.__module__}:
        stub = lambda *args, **kwargs: releases.append(args[2])  # noqa: E731
        monkeypatch.setattr(sys.modules[module], "assemble", stub, raising=False)
    build(include_top=False)
    family = build.__module__.rpartition(".")[2].replace("resnet_v2", "resnet")
    family = "inception_resnet_v2" if name == "InceptionResNetV2" else family
    source = inspect.getsource(importlib.import_module(f"keras.src.applications.{family}"))
    (release,) = releases
    if not name.startswith("MobileNetV") and name != "MobileNet":
        assert release.hashes[1] in source
    ends = ("_notop.h5", "_no_top.h5", "_no_top_v2.h5", "-no-top.h5")
    assert (release.remote or release.files)[1].endswith(ends)


# Arguments that change a structure, beside those that `test_numbers` gives.
VARIATIONS = [
    ("ConvNeXtTiny", {"include_preprocessing": False, "name": "mine", "classes": 3}),
    ("EfficientNetV2B0", {"include_preprocessing": False}),
    ("EfficientNetV2B0", {"include_top": False, "input_shape": (64, 63, 4)}),
    ("MobileNet", {"depth_multiplier": 2, "dropout": 0.5, "classifier_activation": None}),
    ("MobileNet", {"include_top": False, "pooling": "avg"}),
    ("MobileNetV2", {"alpha": 1.4, "input_shape": (160, 160, 3), "name": "mine"}),
    ("MobileNetV2", {"include_top": False, "pooling": "max"}),
    ("MobileNetV3Large", {"minimalistic": True, "dropout_rate": 0}),
    ("MobileNetV3Small", {"alpha": 1.25, "include_preprocessing": False}),
    ("MobileNetV3Small", {"include_top": False, "pooling": "avg"}),
    ("ResNet50", {"include_top": False, "pooling": "avg", "input_shape": (None, None, 1)}),
    ("VGG16", {"classes": 3, "classifier_activation": "sigmoid", "input_shape": (48, 32, 3)}),
]


@pytest.mark.filterwarnings("ignore:This model usually expects 1 or 3 input channels")
@pytest.mark.parametrize(("name", "kwargs"), VARIATIONS)
def test_structure_of_variations(name, kwargs):
    ours, theirs = make_pair(name, device="meta", **kwargs)
    assert_same_structure(ours, theirs)


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - {"InceptionResNetV2", "VGG16"}))
def test_structure_of_channels_first(name):
    if name.startswith(CHANNELS_LAST_ONLY):
        torchkeras.config.set_image_data_format("channels_first")
        with pytest.raises(ValueError, match="does not support the `channels_first`"):
            make(torchkeras, name)
        return
    ours, theirs = make_pair(name, device="meta", data_format="channels_first")
    assert_same_structure(ours, theirs)


@pytest.mark.parametrize(
    "name", ["EfficientNetB0", "MobileNetV2", "MobileNetV3Small", "NASNetMobile"]
)
def test_structure_on_an_input_tensor(name):
    made = []
    for library in (torchkeras, keras):
        clear()
        with library.device("meta"):
            image = library.Input((70, 61, 4), name="image")
            x = library.layers.Conv2D(3, 2, name="first")(image)
            made.append(make(library, name, include_top=False, input_tensor=x))
    assert_same_structure(*made)


@pytest.mark.parametrize("name", FAMILIES)
def test_numbers(name):
    """Initial weights for a seed agree bit for bit, outputs to rounding; each reads the other."""
    ours, theirs = make_pair(name, **FAMILIES[name])
    assert_same_structure(ours, theirs)
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b), err_msg=b.path)
    x = np.random.default_rng(0).uniform(0, 255, (2, *ours.input_shape[1:])).astype("float32")
    with torch.no_grad():
        actual, expected = (to_numpy(model(torch.tensor(x))) for model in (ours, theirs))
    # Both sides run the same kernels; what differs is the order in which some sum.
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_configs_with_layers_of_the_families():
    def build(k):
        L, families = k.layers, k.applications if k is torchkeras else k.src.applications
        x = L.Input((3,))
        y = families.convnext.LayerScale(0.5, 3, name="scale")(x)
        y = families.convnext.StochasticDepth(0.5, name="depth")(y)
        return k.Model(x, families.inception_resnet_v2.CustomScaleLayer(0.1, name="sum")([x, y]))

    clear()
    theirs = build(keras)
    clear()
    ours = build(torchkeras)
    assert_same_structure(ours, theirs)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(theirs)))
    assert normal(torchkeras.saving.serialize_keras_object(ours)) == normal(config)
    clear()
    assert_same_structure(torchkeras.saving.deserialize_keras_object(config), theirs)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("ConvNeXtTiny", "legacy"), ("EfficientNetV2B0", "legacy"), ("MobileNetV3Small", "v3")],
)
def test_weights_come_from_files_of_keras(name, kind, tmp_path):
    """As those of ImageNet do, which are legacy files: layer after layer, whatever the names."""
    kwargs = FAMILIES[name]
    theirs = make(keras, name, **kwargs)
    path = str(tmp_path / "w.weights.h5")
    if kind == "v3":
        theirs.save_weights(path)
    else:
        with h5py.File(path, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, theirs)
    ours = make(torchkeras, name, **kwargs, weights=path)
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b), err_msg=b.path)


# Errors --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined or non-square")
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "kwargs",
    [
        {"weights": "no_such_file.h5"},
        {"weights": "imagenet", "classes": 2},
        {"weights": None, "include_top": False, "input_shape": (16, 16, 3)},
        {"weights": None, "input_tensor": np.zeros((1, 64, 64, 3)), "input_shape": (64, 64, 3)},
    ],
    ids=["no_file", "classes", "small", "array"],
)
def test_errors(name, kwargs):
    with torch.device("meta"):
        assert_same_error(lambda k: getattr(k.applications, name)(**kwargs))


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.applications.MobileNet(alpha=0.3),
        # Keras finds it at the end of a network, these before the beginning of any.
        lambda k: k.applications.MobileNet(classifier_activation="relu"),
        lambda k: k.applications.MobileNetV3Small((224, 224, 3), classifier_activation="relu"),
        lambda k: k.applications.MobileNet(depth_multiplier=2),
        lambda k: k.applications.MobileNetV2(alpha=0.3),
        lambda k: k.applications.MobileNetV3Small(alpha=0.5),
        lambda k: k.applications.MobileNetV3Large(alpha=0.75, minimalistic=True),
        lambda k: k.applications.MobileNetV2(
            weights=None, input_shape=(64, 64, 3), input_tensor=k.Input((32, 32, 3))
        ),
        lambda k: k.applications.MobileNetV3Small(weights=None, input_shape=(16, 16, 3)),
        lambda k: k.applications.NASNetLarge(include_top=False, input_shape=(None, None, 3)),
        lambda k: k.applications.VGG16(weights=None, input_shape=(None, None, 3)),
        lambda k: k.applications.VGG16(include_top=False, input_shape=(64, 64, 1)),
        lambda k: k.applications.VGG16(input_shape=(64, 64, 3)),
        lambda k: k.applications.imagenet_utils.preprocess_input(np.zeros((2, 2, 3)), mode="no"),
        lambda k: k.applications.imagenet_utils.preprocess_input(np.zeros((2, 2, 3)), "no"),
        lambda k: k.applications.imagenet_utils.decode_predictions(np.zeros((2, 10))),
    ],
)
def test_more_errors(action):
    with torch.device("meta"):
        assert_same_error(action)


# imagenet_utils ------------------------------------------------------------------------------

MODES = pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
FORMATS = pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])


def images(shape, data_format, dtype="float32"):
    x = np.random.default_rng(0).uniform(0, 255, shape).astype(dtype)
    return x if data_format == "channels_last" else np.moveaxis(x, -1, -3).copy()


@MODES
@FORMATS
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("shape", [(2, 4, 5, 3), (4, 5, 3)])
def test_preprocess_arrays(mode, data_format, dtype, shape):
    x = images(shape, data_format, dtype)
    given, given_to_keras = x.copy(), x.copy()
    actual = imagenet_utils.preprocess_input(given, data_format, mode)
    expected = keras_utils.preprocess_input(given_to_keras, data_format, mode)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(given, given_to_keras)  # floats are overwritten, in both


@MODES
@FORMATS
@pytest.mark.parametrize("shape", [(2, 4, 5, 3), (4, 5, 3)])
def test_preprocess_tensors(mode, data_format, shape):
    x = images(shape, data_format)
    given = torch.tensor(x)
    actual = imagenet_utils.preprocess_input(given, data_format, mode)
    expected = keras_utils.preprocess_input(torch.tensor(x), data_format, mode)
    # the mean in single precision, one rounding apart
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-5)
    assert (given.numpy() == x).all()  # unlike in Keras, a tensor is not overwritten


@MODES
@FORMATS
def test_preprocess_symbolic(mode, data_format):
    x = images((2, 4, 5, 3), data_format)
    results = []
    for library in (torchkeras, keras):
        image = library.Input(x.shape[1:])
        preprocess = library.applications.imagenet_utils.preprocess_input
        model = library.Model(image, preprocess(image, data_format, mode))
        results.append(to_numpy(model(torch.tensor(x))))
    np.testing.assert_allclose(*results, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    "module",
    "convnext densenet efficientnet efficientnet_v2 inception_resnet_v2 inception_v3 mobilenet"
    " mobilenet_v2 mobilenet_v3 nasnet resnet resnet50 resnet_v2 vgg16 vgg19 xception".split(),
)
def test_each_family_prepares_as_keras(module):
    x = images((2, 4, 5, 3), "channels_last")
    actual, expected = (
        getattr(library.applications, module).preprocess_input(x.copy())
        for library in (torchkeras, keras)
    )
    np.testing.assert_array_equal(actual, expected)


def test_decode_predictions(monkeypatch, tmp_path):
    path = tmp_path / "classes.json"
    path.write_text(json.dumps({str(i): [f"n{i:05}", f"class {i}"] for i in range(1000)}))
    asked = []

    def get_file(*args, **kwargs):
        asked.append((args, kwargs))
        return str(path)

    monkeypatch.setattr(keras_utils.file_utils, "get_file", get_file)
    monkeypatch.setattr(keras_utils, "CLASS_INDEX", None)
    monkeypatch.setattr(imagenet_utils, "get_file", get_file)
    monkeypatch.setattr(imagenet_utils, "_classes", imagenet_utils._classes.__wrapped__)
    preds = np.random.default_rng(0).permuted(np.arange(3000.0).reshape(3, 1000), axis=1)
    for top in (5, 1, 1000):
        expected = keras_utils.decode_predictions(preds, top)
        assert imagenet_utils.decode_predictions(preds, top) == expected
        assert imagenet_utils.decode_predictions(torch.tensor(preds), top) == expected
    assert asked[0] == asked[1]


@FORMATS
@pytest.mark.parametrize("weights", [None, "imagenet"])
@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize(
    "shape", [None, (64, 64, 3), (224, 224, 3), (64, None, 3), (64, 64, 1), (16, 64, 3), (64, 64)]
)
def test_obtain_input_shape(shape, top, weights, data_format):
    if shape is not None and data_format == "channels_first":
        shape = (shape[-1], *shape[:-1])
    results = []
    for module in (imagenet_utils, keras_utils):
        try:
            results.append(module.obtain_input_shape(shape, 224, 32, data_format, top, weights))
        except ValueError:
            results.append(ValueError)
    assert results[0] == results[1]


@pytest.mark.parametrize("size", [(8, 9), (7, 8), (None, None)])
@pytest.mark.parametrize("kernel", [3, (5, 3)])
def test_correct_pad(size, kernel):
    x = torchkeras.Input((*size, 3))
    assert imagenet_utils.correct_pad(x, kernel) == keras_utils.correct_pad(x, kernel)


def test_copied_weights_give_the_same_gradients():
    """The layers of ConvNeXt and InceptionResNetV2 learn as Keras's."""
    for layer in ("LayerScale(0.5, 3)", "StochasticDepth(0.5)"):
        ours = eval(f"torchkeras.applications.convnext.{layer}")
        theirs = eval(f"keras.src.applications.convnext.{layer}")
        for built in (ours, theirs):
            built.build((None, 3))
        copy_weights(theirs, ours)
        results = []
        for built in (ours, theirs):
            seed_both(1)
            x = torch.ones(8, 3, requires_grad=True)
            y = built(x, training=True) if "Depth" in layer else built(x)
            y.sum().backward()
            results.append((y, x.grad))
        torch.testing.assert_close(results[0], results[1])
