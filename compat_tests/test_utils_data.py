"""Configs, images, splits and windows of `keras.utils`, against Keras."""

import io

import keras
import numpy as np
import pytest
import torch
from keras.preprocessing import image as their_image

import torchkeras
from torchkeras import utils
from torchkeras.preprocessing import image as our_image

rng = np.random.default_rng(0)


def pixels(image):
    return image.mode, image.size, np.asarray(image)


def assert_same_image(a, b):
    assert pixels(a)[:2] == pixels(b)[:2]
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


# Images -------------------------------------------------------------------------------------------


# Keras divides integers in place, which NumPy refuses.
@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(True, None), (True, "float64"), (False, None), (False, "float64"), (False, "uint8")],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("data_format", [None, "channels_first"])
def test_array_to_img(data_format, channels, scale, dtype):
    x = rng.uniform(0, 255, (channels, 5, 7) if data_format else (5, 7, channels))
    options = {"data_format": data_format, "scale": scale, "dtype": dtype}
    ours, theirs = utils.array_to_img(x, **options), keras.utils.array_to_img(x, **options)
    assert_same_image(ours, theirs)
    assert_same_image(utils.array_to_img(torch.from_numpy(x), **options), theirs)
    for form in (None, "channels_first"):
        a = utils.img_to_array(ours, form, dtype)
        b = keras.utils.img_to_array(theirs, form, dtype)
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(a, b)


def test_deep_gray_images_and_constant_ones():
    x = np.arange(12.0).reshape(3, 4, 1) * 100
    assert_same_image(utils.array_to_img(x, scale=False), keras.utils.array_to_img(x, scale=False))
    assert_same_image(utils.array_to_img(x * 0 + 3), keras.utils.array_to_img(x * 0 + 3))


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "p.png"
    keras.utils.save_img(path, rng.uniform(0, 1, (9, 14, 4)))
    return path


@pytest.mark.parametrize("color_mode", ["grayscale", "rgb", "rgba"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target_size": (5, 6)},
        {"target_size": (9, 14)},
        {"target_size": (5, 6), "keep_aspect_ratio": True},
        {"target_size": (20, 6), "keep_aspect_ratio": True, "interpolation": "bilinear"},
        {"target_size": (4, 20), "interpolation": "lanczos"},
        {"target_size": (4, 4), "interpolation": "hamming"},
    ],
)
def test_load_img(picture, color_mode, options):
    theirs = keras.utils.load_img(picture, color_mode, **options)
    data = io.BytesIO(picture.read_bytes())
    for path in (picture, str(picture), data):
        assert_same_image(utils.load_img(path, color_mode, **options), theirs)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.JPEG"])
@pytest.mark.parametrize("channels", [1, 3])
def test_save_img(tmp_path, name, channels):
    x = rng.uniform(0, 255, (6, 5, channels))
    utils.save_img(tmp_path / name, x)
    keras.utils.save_img(tmp_path / f"their_{name}", x)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"their_{name}").read_bytes()


def test_jpeg_has_no_transparency(tmp_path):
    x = rng.uniform(0, 255, (6, 5, 4))
    for library, name in ((torchkeras, "a.jpg"), (keras, "b.jpg")):
        with pytest.warns(UserWarning, match="JPEG format does not support RGBA"):
            library.utils.save_img(tmp_path / name, x)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


@pytest.mark.parametrize("shape", [(34, 50, 3), (50, 20, 1), (2, 9, 30, 3), (2, 1, 30, 3)])
@pytest.mark.parametrize("size", [(20, 20), (8, 31)])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_smart_resize(shape, size, interpolation):
    x = rng.uniform(0, 1, shape).astype("float32")
    ours = our_image.smart_resize(x, size, interpolation)
    theirs = their_image.smart_resize(x, size, interpolation)
    assert isinstance(ours, np.ndarray) and ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, atol=1e-5)  # float32, another order of sums
    first = np.moveaxis(x, -1, -3)
    ours = our_image.smart_resize(
        torch.from_numpy(first), size, interpolation, data_format="channels_first"
    )
    assert isinstance(ours, torch.Tensor)
    np.testing.assert_allclose(np.moveaxis(ours.numpy(), -3, -1), theirs, atol=1e-5)


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.utils.array_to_img(np.ones((3, 3))),
        lambda k: k.utils.array_to_img(np.ones((3, 3, 2))),
        lambda k: k.utils.array_to_img(np.ones((3, 3, 3)), data_format="last"),
        lambda k: k.utils.img_to_array(np.ones(3)),
        lambda k: k.utils.load_img(3),
        lambda k: k.utils.load_img("no_such_file.png"),
        lambda k: k.preprocessing.image.smart_resize(np.ones((3, 3, 3)), (3,)),
        lambda k: k.preprocessing.image.smart_resize(np.ones((3, 3)), (3, 3)),
        lambda k: k.preprocessing.image.smart_resize(np.ones((3, 3, 3)), (3, 3), answer=42),
    ],
)
def test_errors_of_images(action):
    with pytest.raises((TypeError, ValueError, OSError)) as expected:
        action(keras)
    with pytest.raises(expected.type):
        action(torchkeras)


@pytest.mark.parametrize(
    "options", [{"color_mode": "hsv"}, {"target_size": (2, 2), "interpolation": "cubic"}]
)
def test_unknown_options_of_load_img(picture, options):
    for library in (keras, torchkeras):
        with pytest.raises(ValueError, match="color_mode|cubic"):
            library.utils.load_img(picture, **options)


# Splits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes", [(0.8, None), (None, 0.3), (3, None), (None, 9), (0.25, 0.75), (4, 6)]
)
@pytest.mark.parametrize("form", ["array", "list", "dataset"])
def test_split_dataset_shuffled(form, sizes):
    x, y = np.arange(10.0), np.arange(10, 20)
    data = {
        "array": x,
        "list": [x, y],
        "dataset": torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y)),
    }[form]
    made = [k.utils.split_dataset(data, *sizes, shuffle=True, seed=3) for k in (torchkeras, keras)]
    for ours, theirs in zip(*made, strict=True):
        assert len(ours) == len(theirs)
        assert [[v.item() for v in s] for s in ours] == [[v.item() for v in s] for s in theirs]


@pytest.mark.parametrize(
    "sizes",
    [
        (None, None),
        (0.5, 0.6),
        (0, None),
        (1.0, None),
        (10, None),
        (8, 3),
        (-1, None),
        (0.01, None),
    ],
)
def test_sizes_that_do_not_fit(sizes):
    for library in (keras, torchkeras):
        with pytest.raises(ValueError, match="size"):
            library.utils.split_dataset(np.arange(10.0), *sizes)


@pytest.mark.parametrize("data", ["abc", {"x": np.arange(3.0)}, 3])
def test_data_that_cannot_be_split(data):
    for library in (keras, torchkeras):
        with pytest.raises(TypeError):
            library.utils.split_dataset(data, 0.5)


@pytest.mark.parametrize("shuffle", [False, True])
def test_split_of_a_tensorflow_dataset(shuffle):
    tensorflow = pytest.importorskip("tensorflow")
    x, y = np.arange(10.0), np.arange(10, 20)
    data = tensorflow.data.Dataset.from_tensor_slices((x, y)).batch(4)
    left, right = utils.split_dataset(data, 0.7, shuffle=shuffle, seed=1)
    assert isinstance(left, tensorflow.data.Dataset)
    expected = keras.utils.split_dataset(data, 0.7, shuffle=shuffle, seed=1)
    for ours, theirs in zip((left, right), expected, strict=True):
        batches = [[v.numpy().tolist() for v in batch] for batch in ours]
        assert batches == [[v.numpy().tolist() for v in batch] for batch in theirs]
    left, right = utils.split_dataset(data, 0.7, preferred_backend="torch")
    assert [int(b) for _, b in right] == [17, 18, 19]


# Windows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sequence_stride": 3},
        {"sampling_rate": 2, "batch_size": 4},
        {"start_index": 5, "end_index": 30, "sequence_stride": 2},
        {"batch_size": None, "sampling_rate": 3},
    ],
)
@pytest.mark.parametrize("features", [(), (3,)])
@pytest.mark.parametrize("with_targets", [True, False])
def test_windows(options, features, with_targets):
    pytest.importorskip("grain")
    data = rng.standard_normal((40, *features))
    targets = np.arange(40) if with_targets else None
    ours = list(utils.timeseries_dataset_from_array(data, targets, 4, **options))
    theirs = list(
        keras.utils.timeseries_dataset_from_array(data, targets, 4, format="grain", **options)
    )
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        pair = zip(a, b, strict=True) if with_targets else [(a, b)]
        for x, y in pair:
            assert isinstance(x, torch.Tensor) and x.device.type == "cpu"
            np.testing.assert_array_equal(x.numpy(), np.asarray(y))


@pytest.mark.parametrize(
    "options",
    [
        {"start_index": -1},
        {"start_index": 10},
        {"end_index": -1},
        {"end_index": 11},
        {"start_index": 5, "end_index": 5},
        {"sampling_rate": 0},
        {"sampling_rate": 10},
        {"sequence_stride": -1},
        {"sequence_stride": 10},
        {"format": "numpy"},
    ],
)
def test_windows_that_do_not_exist(options):
    for library in (keras, torchkeras):
        with pytest.raises(ValueError, match=list(options)[-1]):
            library.utils.timeseries_dataset_from_array(np.arange(10), None, 3, **options)


# Configs ------------------------------------------------------------------------------------------


def test_config():
    made = []
    for library in (torchkeras, keras):
        config = library.utils.Config(rate=0.1, momentum=0.9)
        config.seed = 3
        config["name"] = "a"
        config.update({"size": 2}, depth=1)
        seen = [config.as_dict(), config.to_json(), list(config), list(config.keys()), len(config)]
        seen += [list(config.values()), list(config.items()), "seed" in config, repr(config)]
        seen += [config.get("nothing"), config.get("nothing", 5), config.pop("seed"), config.frozen]
        del config["depth"]
        config.freeze()
        for change in (
            lambda c: setattr(c, "rate", 1),
            lambda c: c.update(rate=1),
            lambda c: c.pop("rate"),
            lambda c: c.__setitem__("rate", 1),
            lambda c: c.__delitem__("rate"),
        ):
            with pytest.raises(ValueError, match="frozen"):
                change(config)
        config.unfreeze()
        config.rate = 7
        with pytest.raises(AttributeError, match="rate"):
            config.rats  # noqa: B018
        made.append([*seen, config.as_dict()])
    assert made[0] == made[1]


# Sessions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", ["backend", "utils"])
def test_clear_session_starts_names_anew_and_keeps_settings(face):
    def names(k):
        k.layers.Dense(2)
        k.config.set_floatx("float64")
        try:
            getattr(k, face).clear_session(free_memory=False)
            made = [k.layers.Dense(2), k.layers.Dense(2), k.Sequential(), k.Model()]
            return [layer.name for layer in made], k.config.floatx()
        finally:
            k.config.set_floatx("float32")

    assert names(torchkeras) == names(keras)
