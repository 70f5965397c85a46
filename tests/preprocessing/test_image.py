"""`ImageDataGenerator` in training, in other processes, and what its errors say."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import torchkeras
from torchkeras import layers
from torchkeras.preprocessing import image

X = np.random.default_rng(0).uniform(0, 255, (20, 6, 6, 3)).astype("float32")
Y = (X.mean((1, 2, 3)) > 127).astype("float32")


def model():
    made = torchkeras.Sequential([layers.Flatten(), layers.Dense(1, activation="sigmoid")])
    made.compile("sgd", "binary_crossentropy")
    return made


def test_training():
    generator = image.ImageDataGenerator(
        rescale=1 / 255, horizontal_flip=True, validation_split=0.4
    )
    train = generator.flow(X, Y, batch_size=5, subset="training", ignore_class_split=True, seed=0)
    test = generator.flow(X, Y, batch_size=5, subset="validation", ignore_class_split=True)
    trained = model()
    history = trained.fit(train, epochs=3, validation_data=test, verbose=0).history
    assert len(history["val_loss"]) == 3 and train.total_batches_seen >= 9
    assert trained.evaluate(test, verbose=0) > 0
    plain = image.ImageDataGenerator(rescale=1 / 255).flow(X, batch_size=8, shuffle=False)
    np.testing.assert_allclose(
        trained.predict(plain, verbose=0), trained.predict(X / 255, verbose=0), rtol=1e-5
    )


def test_one_epoch_of_an_endless_iterator_has_every_image_once():
    batches = image.ImageDataGenerator().flow(X, np.arange(20), batch_size=6, seed=1)
    for _ in range(2):
        seen = np.concatenate([next(batches)[1] for _ in range(len(batches))])
        assert sorted(seen) == list(range(20)) and list(seen) != list(range(20))


@pytest.mark.filterwarnings("ignore:.*fork:Warning")
def test_other_processes(tmp_path):
    (tmp_path / "a").mkdir()
    for i in range(5):
        Image.new("RGB", (4, 4), (i, i, i)).save(tmp_path / "a" / f"{i}.png")
    batches = image.DirectoryIterator(tmp_path, None, (4, 4), batch_size=2, shuffle=False)
    copied = pickle.loads(pickle.dumps(batches))
    assert next(copied)[0][:, 0, 0, 0].tolist() == [0, 1]
    batches.workers, batches.use_multiprocessing = 2, True
    model().predict(batches, verbose=0)


def test_images_stay_as_they_are():
    generator = image.ImageDataGenerator(rescale=0.5, samplewise_center=True, rotation_range=9)
    before = X.copy()
    generator.fit(X, augment=True)
    next(generator.flow(X, batch_size=4))
    np.testing.assert_array_equal(X, before)
    batch = X.copy()
    assert generator.standardize(batch) is batch  # scripts rely on it
    assert abs(batch.mean()) < 1e-3


def test_weights_follow_their_images_into_a_subset():
    generator = image.ImageDataGenerator(validation_split=0.25)
    options = {"subset": "training", "ignore_class_split": True, "shuffle": False}
    x, y, weights = next(generator.flow(X, Y, 20, sample_weight=np.arange(20), **options))
    np.testing.assert_array_equal(weights, np.arange(5, 20))
    np.testing.assert_array_equal(x, X[5:])
    np.testing.assert_array_equal(y, Y[5:])


@pytest.mark.parametrize(
    "action, words",
    [
        (lambda: image.ImageDataGenerator(zoom_range=[1]), r"zoom_range=\(low, high\)"),
        (lambda: image.ImageDataGenerator().flow(X, Y[:3]), "images: 20"),
        (lambda: image.ImageDataGenerator().flow(X[0]), r"\(6, 6, 3\)"),
        (
            lambda: image.ImageDataGenerator(validation_split=0.5).flow(
                X, np.arange(20), subset="training"
            ),
            "ignore_class_split=True",
        ),
        (
            lambda: image.DataFrameIterator(pd.DataFrame({"filename": ["a"], "class": [1]})),
            'class_mode="raw"',
        ),
        (lambda: image.apply_affine_transform(X, 3), "one image"),
        (lambda: image.Iterator(4, 2, False, None)[0], "_get_batches_of_transformed_samples"),
    ],
)
def test_errors_say_what_to_do(action, words):
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=words):
        action()


def test_only_splines_need_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
    for mode in ("nearest", "constant", "reflect", "mirror", "wrap"):
        for order in (0, 1):
            image.apply_affine_transform(X[0], 30, fill_mode=mode, order=order, **axes)
    with pytest.raises(ImportError, match="pip install scipy, or take order 0 or 1"):
        image.apply_affine_transform(X[0], 30, order=2, **axes)
