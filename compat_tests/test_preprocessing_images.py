"""`ImageDataGenerator`, its iterators and random changes, against Keras's under the same seeds."""

import warnings

import numpy as np
import pandas as pd
import pytest
from keras.src.legacy.preprocessing import image as theirs
from PIL import Image

from torchkeras.preprocessing import image as ours

LAST = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}


@pytest.fixture(autouse=True)
def scipys_old_name():
    with warnings.catch_warnings():  # Keras takes a function from a module that SciPy retires
        warnings.filterwarnings("ignore", "Please import `affine_transform`", DeprecationWarning)
        yield


def picture(shape=(9, 13, 3), dtype="float32", seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(dtype)


def assert_close(actual, expected, atol=1e-3):
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    np.testing.assert_allclose(
        actual.astype("float64"), expected.astype("float64"), rtol=1e-5, atol=atol
    )


MOVES = {
    "turn": {"theta": 33},
    "quarter": {"theta": 90},
    "shift": {"tx": 2.3, "ty": -7.7},
    "whole shift": {"tx": 1, "ty": -2},
    "shear": {"shear": 20},
    "zoom": {"zx": 2.7, "zy": 0.6},
    "all": {"theta": -100, "tx": 20, "ty": -31.5, "shear": 11, "zx": 1.7, "zy": 0.8},
    "nothing": {},
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("mode", ["nearest", "constant", "reflect", "mirror", "wrap", "grid-wrap"])
def test_affine_transform(move, mode):
    for order in (0, 1, 3):
        for shape, axes in [
            ((9, 13, 3), (0, 1, 2)),
            ((3, 8, 6), (1, 2, 0)),
            ((7, 5, 1), (1, 0, 2)),
        ]:
            options = dict(zip(LAST, axes, strict=True), fill_mode=mode, cval=7.0, order=order)
            args = (picture(shape),)
            expected = theirs.apply_affine_transform(*args, **options, **MOVES[move])
            assert_close(ours.apply_affine_transform(*args, **options, **MOVES[move]), expected)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_affine_transform_of_other_dtypes(dtype):
    args, options = (picture(dtype=dtype), 33, 2.25), {**LAST, "fill_mode": "constant"}
    # Halves between whole numbers may go either way, since they are sums of other products.
    atol = 0 if dtype == "float64" else 1
    assert_close(
        ours.apply_affine_transform(*args, **options),
        theirs.apply_affine_transform(*args, **options),
        atol,
    )


@pytest.mark.parametrize(
    "name, args",
    [
        ("random_rotation", (40,)),
        ("random_shift", (0.3, 0.4)),
        ("random_shear", (25,)),
        ("random_zoom", ((0.6, 1.7),)),
        ("random_zoom", ((1, 1),)),
        ("random_channel_shift", (50.0,)),
        ("random_brightness", ((0.4, 1.6),)),
        ("random_brightness", ((0.4, 1.6), False)),
        ("apply_brightness_shift", (0.7, True)),
        ("apply_channel_shift", (-33.0, 2)),
    ],
)
def test_single_changes(name, args):
    for scale in (1, 3):  # the second goes beyond 255
        x = picture() * scale - 20
        options = LAST if "brightness" not in name and "channel" not in name else {}
        np.random.seed(3)
        expected = getattr(theirs, name)(x, *args, **options)
        np.random.seed(3)
        actual = getattr(ours, name)(x, *args, **options)
        assert_close(actual, np.asarray(expected, actual.dtype))


OPTIONS = {
    "nothing": {},
    "moved": {
        "rotation_range": 30,
        "width_shift_range": 0.2,
        "height_shift_range": 3.5,
        "shear_range": 15,
        "zoom_range": 0.3,
        "fill_mode": "constant",
        "cval": 9.0,
    },
    "steps": {"width_shift_range": [1, 2], "height_shift_range": 4, "zoom_range": [0.7, 0.9]},
    "flipped": {"horizontal_flip": True, "vertical_flip": True, "interpolation_order": 0},
    "colors": {"channel_shift_range": 40.0, "brightness_range": (0.5, 1.5), "rescale": 1 / 255},
    "samplewise": {"samplewise_center": True, "samplewise_std_normalization": True},
    "featurewise": {"featurewise_center": True, "featurewise_std_normalization": True},
    "whitened": {"featurewise_center": True, "zca_whitening": True, "rescale": 0.01},
    "function": {"preprocessing_function": lambda x: x[..., ::-1] * 2.0, "rescale": 0.5},
    "double": {"dtype": "float64", "rotation_range": 10},
    "first": {"data_format": "channels_first", "rotation_range": 10, "featurewise_center": True},
}


def generators(name):
    return ours.ImageDataGenerator(**OPTIONS[name]), theirs.ImageDataGenerator(**OPTIONS[name])


def assert_same_batches(ours, theirs, count=4, atol=2e-3):
    assert len(ours) == len(theirs)
    for iterate in (lambda it, i: it[i % len(it)], lambda it, i: next(it)):
        for i in range(count):
            np.random.seed(i)
            expected = iterate(theirs, i)
            np.random.seed(i)
            actual = iterate(ours, i)
            assert type(actual) is type(expected)
            actual, expected = (b if isinstance(b, tuple) else (b,) for b in (actual, expected))
            for a, b in zip(actual, expected, strict=True):
                for c, d in zip(*(v if isinstance(v, list) else [v] for v in (a, b)), strict=True):
                    assert_close(c, d, atol)
        for iterator in (ours, theirs):
            np.random.seed(0)
            iterator.on_epoch_end()
            iterator.reset()


@pytest.mark.parametrize("name", OPTIONS)
def test_flow(name):
    shape = (10, 3, 8, 6) if name == "first" else (10, 8, 6, 3)
    x, y = picture(shape), np.arange(10) % 3
    pair = generators(name)
    for generator in pair:
        generator.fit(x, augment=name == "featurewise", rounds=2, seed=1)
    for statistic in ("mean", "std", "zca_whitening_matrix"):
        actual, expected = (getattr(generator, statistic) for generator in pair)
        assert (actual is None) == (expected is None)
        if actual is not None:
            assert_close(actual, expected)
    a, b = (g.flow(x, y, batch_size=4, seed=5, sample_weight=y * 0.5) for g in pair)
    assert_same_batches(a, b)


def test_flow_with_further_inputs_subsets_and_no_seed():
    x, y, other = picture((10, 4, 4, 1)), np.arange(10) % 2, np.arange(10.0)
    pair = [m.ImageDataGenerator(validation_split=0.4, rotation_range=9) for m in (ours, theirs)]
    for options in (
        {"x": (x, other), "subset": "training"},
        {"x": [x, [other, other * 2]], "y": y, "shuffle": False},
        {"x": x, "y": y, "subset": "validation"},
        {"x": x, "y": np.arange(10), "subset": "training", "ignore_class_split": True},
    ):
        assert_same_batches(*(g.flow(batch_size=3, **options) for g in pair))


def test_single_images():
    for a, b in map(generators, ("moved", "colors", "flipped")):
        x = picture((8, 6, 3))
        assert a.get_random_transform(x.shape, seed=4) == b.get_random_transform(x.shape, seed=4)
        assert_close(a.random_transform(x, seed=4), b.random_transform(x, seed=4))
        parameters = {"theta": 12, "flip_horizontal": True, "brightness": 0.5}
        assert_close(a.apply_transform(x, parameters), b.apply_transform(x, parameters))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("pictures")
    for number in range(12):
        place = top / "abc"[number % 3] / ("deeper" if number > 9 else "")
        place.mkdir(parents=True, exist_ok=True)
        pixels = picture((11, 9 + number % 2, 3), "uint8", number)
        Image.fromarray(pixels).save(place / f"{number}.{'png' if number % 2 else 'bmp'}")
    (top / "a" / "notes.txt").write_text("no image")
    return top


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_mode": "sparse", "color_mode": "grayscale", "subset": "training"},
        {"class_mode": "binary", "classes": ["c", "a"], "subset": "validation"},
        {"class_mode": "input", "interpolation": "bilinear", "keep_aspect_ratio": True},
        {"class_mode": None, "color_mode": "rgba", "shuffle": False},
    ],
)
def test_flow_from_directory(folder, options, capsys):
    settings = {"rotation_range": 20, "rescale": 1 / 255, "validation_split": 0.3}
    found = []
    for module in (ours, theirs):
        generator = module.ImageDataGenerator(**settings)
        options = {"target_size": (8, 6), "batch_size": 5, "seed": 2, **options}
        found.append(generator.flow_from_directory(str(folder), **options))
    a, b = found
    for name in ("filenames", "filepaths", "class_indices", "samples", "num_classes", "n"):
        assert getattr(a, name) == getattr(b, name)
    assert a.image_shape == b.image_shape
    np.testing.assert_array_equal(a.classes, b.classes)
    np.testing.assert_array_equal(a.labels, b.labels)
    assert_same_batches(a, b)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == said[1]


def table(folder):
    names = [str(p.relative_to(folder)) for p in sorted(folder.rglob("*.png"))]
    names += [str(p.relative_to(folder)) for p in sorted(folder.rglob("*.bmp"))]
    count = len(names)
    return pd.DataFrame(
        {
            "filename": names,
            "class": ["abc"[i % 3] for i in range(count)],
            "two": ["no", "yes"] * (count // 2),
            "many": [["x"], ["x", "y"], ["z"]] * (count // 3),
            "size": np.arange(count) * 1.5,
            "weight": np.linspace(0, 1, count),
        }
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"y_col": "two", "class_mode": "binary", "weight_col": "weight"},
        {"class_mode": "sparse", "classes": ["c", "a"]},
        {"y_col": "many"},
        {"y_col": "many", "classes": ["y", "z"]},
        {"y_col": "size", "class_mode": "raw", "subset": "training"},
        {"y_col": ["size", "weight"], "class_mode": "raw", "subset": "validation"},
        {"y_col": ["size", "weight"], "class_mode": "multi_output", "weight_col": "weight"},
        {"class_mode": "input"},
        {"class_mode": None, "validate_filenames": False},
    ],
)
def test_flow_from_dataframe(folder, options, capsys):
    data = table(folder)
    if options.get("validate_filenames", True):
        data.loc[2, "filename"] = "missing.png"
    found = []
    for module in (ours, theirs):
        generator = module.ImageDataGenerator(zoom_range=0.2, validation_split=0.3)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*invalid image filename", UserWarning)
            found.append(
                generator.flow_from_dataframe(
                    data, str(folder), target_size=(8, 6), batch_size=5, seed=2, **options
                )
            )
    a, b = found
    assert a.filepaths == b.filepaths
    if hasattr(b, "class_indices"):
        assert a.class_indices == b.class_indices and a.classes == b.classes
    assert_same_batches(a, b)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == said[1]


def test_files_are_saved_under_the_same_names(folder, tmp_path):
    names = []
    for module in (ours, theirs):
        place = tmp_path / module.__name__
        place.mkdir()
        options = {"save_to_dir": str(place), "save_prefix": "p", "save_format": "png"}
        generator = module.ImageDataGenerator(rotation_range=10)
        next(generator.flow(picture((3, 5, 5, 3)), batch_size=2, seed=1, **options))
        next(generator.flow_from_directory(str(folder), (4, 4), batch_size=2, seed=1, **options))
        names.append(sorted(path.name for path in place.iterdir()))
    assert names[0] == names[1] and len(names[0]) == 4


X = np.zeros((4, 5, 5, 3))


@pytest.mark.parametrize(
    "action",
    [
        lambda m: m.ImageDataGenerator(data_format="channels_middle"),
        lambda m: m.ImageDataGenerator(validation_split=1.5),
        lambda m: m.ImageDataGenerator(zoom_range=(1, 2, 3)),
        lambda m: m.ImageDataGenerator(brightness_range=0.5),
        lambda m: m.ImageDataGenerator().fit(X[0]),
        lambda m: m.ImageDataGenerator().flow(X[0]),
        lambda m: m.ImageDataGenerator().flow(X, np.arange(3)),
        lambda m: m.ImageDataGenerator().flow((X, np.arange(3))),
        lambda m: m.ImageDataGenerator().flow(X, np.arange(4), sample_weight=np.ones(3)),
        lambda m: m.ImageDataGenerator(validation_split=0.5).flow(X, subset="test"),
        lambda m: m.ImageDataGenerator(validation_split=0.5).flow(
            X, [0, 0, 1, 1], subset="training"
        ),
        lambda m: m.ImageDataGenerator().flow(X, batch_size=2)[2],
        lambda m: m.ImageDataGenerator().flow_from_directory(".", class_mode="raw"),
        lambda m: m.ImageDataGenerator().flow_from_directory(".", color_mode="cmyk"),
        lambda m: m.ImageDataGenerator().flow_from_directory(".", subset="test"),
        lambda m: m.DataFrameIterator(pd.DataFrame({"filename": [1], "class": ["a"]})),
        lambda m: m.DataFrameIterator(pd.DataFrame({"filename": ["a"], "class": [1]})),
        lambda m: m.DataFrameIterator(
            pd.DataFrame({"filename": ["a"], "class": ["b"]}), class_mode="binary"
        ),
        lambda m: m.DataFrameIterator(
            pd.DataFrame({"filename": ["a"], "class": ["b"]}), class_mode="multi_output"
        ),
        lambda m: m.DataFrameIterator(
            pd.DataFrame({"filename": ["a"], "class": ["b"]}), weight_col="class"
        ),
        lambda m: m.apply_affine_transform(np.zeros((3, 3)), theta=1),
        lambda m: m.apply_affine_transform(np.zeros((3, 3, 3)), theta=1, channel_axis=1),
        lambda m: m.apply_affine_transform(X[0], theta=1, row_axis=0, col_axis=2, channel_axis=1),
        lambda m: m.random_zoom(X[0], (1,)),
        lambda m: m.random_brightness(X[0], (1,)),
    ],
)
def test_errors(action):
    with pytest.raises((ValueError, TypeError)) as expected:
        action(theirs)
    with pytest.raises(expected.type):
        action(ours)


@pytest.mark.parametrize(
    "make",
    [
        lambda m: m.ImageDataGenerator(zca_whitening=True),
        lambda m: m.ImageDataGenerator(featurewise_std_normalization=True),
        lambda m: m.ImageDataGenerator(samplewise_std_normalization=True),
        lambda m: m.ImageDataGenerator(featurewise_center=True).standardize(X[0].copy()),
        lambda m: m.ImageDataGenerator().flow(np.zeros((2, 4, 4, 2))),
    ],
)
def test_warnings(make):
    for module in (theirs, ours):
        with pytest.warns(UserWarning):
            make(module)
