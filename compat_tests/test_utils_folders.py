"""`image_`, `text_` and `audio_dataset_from_directory`, against Keras with grain."""

import functools
import sys
import types
import wave

import keras
import numpy as np
import pytest
import torch

import torchkeras
from torchkeras import dropin, layers, utils
from torchkeras.dropin.beside import as_tf_dataset
from torchkeras.utils import folders, pipelines

pytest.importorskip("grain")
rng = np.random.default_rng(0)


@pytest.fixture
def pictures(tmp_path):
    """Write 3 classes with 4, 6 and 5 images, some of them deeper; and files of other kinds."""
    for label, (name, count) in enumerate({"a": 4, "b": 6, "c": 5}.items()):
        (tmp_path / name / "deep").mkdir(parents=True)
        for i in range(count):
            folder = tmp_path / name / ("deep" if i % 3 == 2 else ".")
            pixels = rng.uniform(0, 255, (9 + i, 12 - i, 3))
            pixels[0, 0] = label
            utils.save_img(folder / f"{i}.{'png' if i % 2 else 'PNG'}", pixels, file_format="png")
        (tmp_path / name / "notes.md").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


@pytest.fixture
def texts(tmp_path):
    for name, count in {"neg": 5, "pos": 4}.items():
        (tmp_path / name).mkdir()
        for i in range(count):
            (tmp_path / name / f"{i}.txt").write_text(f"{name} text {i} – ü\n" * 3, "utf-8")
    return tmp_path


def both(name, *args, **options):
    function = f"{name}_dataset_from_directory"
    options = {"format": "grain", "verbose": False, **options}
    return [getattr(k.utils, function)(*args, **options) for k in (torchkeras, keras)]


def assert_same_data(ours, theirs):
    assert ours.class_names == theirs.class_names
    ours, theirs = list(ours), list(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        parts = zip(a, b, strict=True) if isinstance(b, tuple) else [(a, b)]
        for x, y in parts:
            if isinstance(x, torch.Tensor):
                assert x.dtype == y.dtype and x.shape == y.shape
                np.testing.assert_allclose(x.numpy(), y.numpy(), atol=2e-3)  # of 255
            else:
                assert list(np.atleast_1d(x)) == list(np.atleast_1d(y))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_mode": "categorical", "batch_size": 4},
        {"label_mode": None, "color_mode": "grayscale"},
        {"labels": None, "batch_size": None},
        {"labels": [i % 3 for i in range(15)], "interpolation": "nearest"},
        {"class_names": ["c", "a"], "label_mode": "binary", "color_mode": "rgba"},
        {"data_format": "channels_first", "image_size": 7},
        {"crop_to_aspect_ratio": True},
        {"pad_to_aspect_ratio": True, "interpolation": "bicubic"},
    ],
)
def test_images(pictures, options):
    options = {"image_size": (6, 8), "shuffle": False, **options}
    ours, theirs = both("image", pictures, **options)
    assert_same_data(ours, theirs)
    assert ours.file_paths == theirs.file_paths


@pytest.mark.parametrize("subset", ["training", "validation", "both"])
@pytest.mark.parametrize("labels", ["inferred", None, [i % 3 for i in range(15)]])
def test_with_the_same_seed_subsets_are_those_of_keras(pictures, subset, labels):
    options = {"validation_split": 0.3, "subset": subset, "seed": 7, "labels": labels}
    ours, theirs = both("image", pictures, image_size=(4, 4), **options)
    pairs = zip(ours, theirs, strict=True) if subset == "both" else [(ours, theirs)]
    for a, b in pairs:
        assert a.file_paths == b.file_paths
        if labels is not None:
            a_labels = np.concatenate([y for _, y in a])
            assert sorted(a_labels) == sorted(np.concatenate([y for _, y in b]))


@pytest.mark.parametrize(
    "options",
    [{}, {"max_length": 7, "batch_size": 4}, {"label_mode": "binary"}, {"labels": None}],
)
def test_texts(texts, options):
    ours, theirs = both("text", texts, shuffle=False, **options)
    assert_same_data(ours, theirs)
    single, _ = both("text", texts, shuffle=False, **{**options, "batch_size": None})
    sample = next(iter(single))
    assert isinstance(sample if options.get("labels", "x") is None else sample[0], str)


def test_texts_go_into_text_vectorization(texts):
    data = utils.text_dataset_from_directory(texts, verbose=False, shuffle=False)
    layer = layers.TextVectorization(output_sequence_length=4)
    layer.adapt(next(iter(data))[0])
    assert layer(next(iter(data))[0]).shape == (9, 4)


def write_wav(path, values, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(values.shape[1])
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(values.tobytes())


@pytest.fixture
def sounds(tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        for i in range(3):
            values = rng.integers(-(2**15), 2**15, (20 + 5 * i, 2)).astype("<i2")
            write_wav(tmp_path / name / f"{i}.wav", values)
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"output_sequence_length": 22, "batch_size": 4},
        {"label_mode": "binary"},
        {"labels": None, "batch_size": None},
    ],
)
def test_sounds(sounds, options):
    pytest.importorskip("tensorflow")
    ours, theirs = (
        k.utils.audio_dataset_from_directory(sounds, shuffle=False, verbose=False, **options)
        for k in (torchkeras, keras)
    )
    assert ours.class_names == theirs.class_names
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip(a, b, strict=True) if isinstance(b, tuple) else [(a, b)]:
            np.testing.assert_allclose(x.numpy(), y.numpy(), atol=1e-6)


# Beside a real TensorFlow, the drop-in's loaders return datasets of TensorFlow's.


def assert_same_tf_dataset(ours, theirs, free_rows=True):
    """Same elements, and a spec which says as much, or more; rows are batches of any size."""
    assert getattr(ours, "class_names", None) == getattr(theirs, "class_names", None)
    assert len(ours) == len(theirs)
    specs = [s if isinstance(s, tuple) else (s,) for s in (ours.element_spec, theirs.element_spec)]
    for a, b in zip(*specs, strict=True):
        assert a.dtype == b.dtype and a.shape.is_compatible_with(b.shape)
        assert type(a) is type(b) and (not free_rows or a.shape[0] is None)
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip(a, b, strict=True) if isinstance(b, tuple) else [(a, b)]:
            assert type(x) is type(y) and x.shape == y.shape
            if x.dtype.name == "string":
                assert x.numpy().tolist() == y.numpy().tolist()
            else:
                x, y = (t.to_tensor() if hasattr(t, "to_tensor") else t for t in (x, y))
                np.testing.assert_allclose(x.numpy(), y.numpy(), atol=2e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"label_mode": "categorical"},
        {"labels": None, "batch_size": None},
        {"output_sequence_length": 22, "batch_size": 4},
        {"ragged": True, "label_mode": "binary"},
    ],
)
def test_sounds_beside_tensorflow(sounds, options):
    tensorflow = pytest.importorskip("tensorflow")
    ours, theirs = (
        k.utils.audio_dataset_from_directory(sounds, shuffle=False, verbose=False, **options)
        for k in (torchkeras, keras)
    )
    free = options.get("batch_size", 1) is not None
    assert_same_tf_dataset(as_tf_dataset(ours, tensorflow), theirs, free)


def test_images_texts_and_windows_beside_tensorflow(pictures, texts):
    tensorflow = pytest.importorskip("tensorflow")
    options = {"shuffle": False, "format": "tf", "class_names": ["a", "b"], "batch_size": 4}
    ours, theirs = both("image", pictures, image_size=(6, 8), **options)
    assert_same_tf_dataset(as_tf_dataset(ours, tensorflow), theirs)
    ours, theirs = both("text", texts, **{**options, "class_names": ["neg", "pos"]})
    assert_same_tf_dataset(as_tf_dataset(ours, tensorflow), theirs)
    data = np.arange(20, dtype="float32").reshape(10, 2)
    ours, theirs = (
        k.utils.timeseries_dataset_from_array(data, data[:, 0], 3, batch_size=4)
        for k in (torchkeras, keras)
    )
    ours = as_tf_dataset(ours, tensorflow)
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x.numpy(), y.numpy())
    model = torchkeras.Sequential([layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    scaled = ours.map(lambda x, y: (x / 20.0, y / 20.0)).prefetch(1)
    assert len(model.fit(scaled, shuffle=False, verbose=0).history["loss"]) == 1


def test_what_the_drop_in_returns(sounds, monkeypatch):
    tensorflow = pytest.importorskip("tensorflow")
    make = functools.partial(utils.audio_dataset_from_directory, sounds, verbose=False)
    monkeypatch.setattr(pipelines, "_SHOW", [(dropin._as_dataset, False)])
    assert isinstance(make(), tensorflow.data.Dataset)
    first, last = utils.split_dataset(np.zeros(4), 0.5)
    assert isinstance(first, torch.utils.data.Subset) and len(last) == 2
    monkeypatch.delitem(sys.modules, "tensorflow")
    assert isinstance(make(), pipelines.Pipeline)


def test_sounds_of_other_widths_and_ragged_batches(sounds):
    (data,) = [utils.audio_dataset_from_directory(sounds, ragged=True, shuffle=False)]
    batch, _ = next(iter(data))
    assert batch.is_nested and [len(x) for x in batch.unbind()] == [20, 25, 30] * 2
    loud = np.array([[-(2**31)], [2**30]], "<i4")
    write_wav(sounds / "w.wav", loud, 4)
    assert folders._read_wav(str(sounds / "w.wav"), None).tolist() == [[-1.0], [0.5]]
    write_wav(sounds / "b.wav", np.array([[0], [192]], "u1"), 1)
    assert folders._read_wav(str(sounds / "b.wav"), 3).tolist() == [[-1.0], [0.5], [0.0]]
    (sounds / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"bad\.wav"):
        folders._read_wav(str(sounds / "bad.wav"), None)


def test_resampled_sounds(sounds, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio.functional", None)
    with pytest.raises(ImportError, match="torchaudio"):
        utils.audio_dataset_from_directory(sounds, sampling_rate=16000)
    functional = types.ModuleType("torchaudio.functional")
    functional.resample = lambda sound, old, new: sound[..., :: old // new]
    monkeypatch.setitem(sys.modules, "torchaudio", types.ModuleType("torchaudio"))
    monkeypatch.setitem(sys.modules, "torchaudio.functional", functional)
    options = {"labels": None, "batch_size": None, "shuffle": False, "output_sequence_length": 6}
    plain, halved = (
        next(iter(utils.audio_dataset_from_directory(sounds, **options, sampling_rate=rate)))
        for rate in (None, 4000)
    )
    assert halved.shape == (6, 2) and halved[:3].equal(plain[::2])


@pytest.mark.parametrize(
    "options",
    [
        {"labels": "other"},
        {"label_mode": "other"},
        {"label_mode": "binary"},
        {"color_mode": "hsv"},
        {"image_size": (3,)},
        {"interpolation": "cubic"},
        {"format": "numpy"},
        {"class_names": ["a", "z"]},
        {"labels": [0] * 15, "class_names": ["a", "b", "c"]},
        {"labels": None, "class_names": ["a"]},
        {"validation_split": 2},
        {"validation_split": 0.2},
        {"subset": "training"},
        {"validation_split": 0.2, "subset": "test"},
        {"validation_split": 0.2, "subset": "training"},
    ],
)
def test_errors(pictures, options):
    for library in (keras, torchkeras):
        with pytest.raises(ValueError):
            library.utils.image_dataset_from_directory(
                pictures, **{"format": "grain", "verbose": False, **options}
            )


def test_labels_of_another_number(pictures):
    # Keras leaves a pool of threads behind here, which is a warning of its own.
    with pytest.raises(ValueError, match=r"len\(labels\) is 2 while we found 15"):
        utils.image_dataset_from_directory(pictures, labels=[0, 1])


def test_folders_without_files(tmp_path, texts):
    for library in (keras, torchkeras):
        with pytest.raises(ValueError, match="No images found"):
            library.utils.image_dataset_from_directory(texts, format="grain")
        with pytest.raises(FileNotFoundError):
            library.utils.text_dataset_from_directory(tmp_path / "nothing", format="grain")


def test_each_pass_has_its_order(pictures):
    def first_labels(format):
        data = utils.image_dataset_from_directory(
            pictures, image_size=(2, 2), seed=1, format=format, verbose=False
        )
        return [tuple(next(iter(data))[1].tolist()) for _ in range(3)]

    assert len(set(first_labels("tf"))) > 1
    assert len(set(first_labels("grain"))) == 1
    assert first_labels("tf") == first_labels("tf")


def test_fit_takes_them(pictures, capsys):
    train, test = utils.image_dataset_from_directory(
        pictures, image_size=(8, 8), validation_split=0.2, subset="both", seed=0, batch_size=4
    )
    out = capsys.readouterr().out
    assert "Found 15 files belonging to 3 classes" in out and "Using 3 files for val" in out
    model = torchkeras.Sequential(
        [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(train, epochs=2, validation_data=test, verbose=0)
    assert len(history.history["val_loss"]) == 2
    assert model.predict(test, verbose=0).shape == (3, 3)
    assert len(train.take(2)) == 2
