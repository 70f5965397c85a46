"""The data sets, from small files in the formats of the true ones, and where these are kept."""

import gzip
import io
import json
import pickle
import struct
import tarfile

import numpy as np
import pytest

from torchkeras import config
from torchkeras.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

RNG = np.random.default_rng(0)


def images(*shape):
    return RNG.integers(0, 256, shape, "uint8")


def texts(*items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


@pytest.fixture
def layout():
    before = config.image_data_format()
    yield config.set_image_data_format
    config.set_image_data_format(before)


def test_mnist(source, cache):
    arrays = {
        "x_train": images(5, 28, 28),
        "y_train": images(5),
        "x_test": images(2, 28, 28),
        "y_test": images(2),
    }
    np.savez_compressed(source.folder / "mnist.npz", **arrays)
    source.expect(mnist, "mnist.npz")
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    for name, array in zip(arrays, (x_train, y_train, x_test, y_test), strict=True):
        np.testing.assert_array_equal(array, arrays[name])
    assert (cache / "mnist.npz").exists()
    (source.folder / "mnist.npz").unlink()
    mnist.load_data()  # from the cache
    with pytest.raises(OSError):
        mnist.load_data("other.npz")


def test_a_file_with_another_hash_is_not_read(source, cache):
    np.savez(source.folder / "mnist.npz", x_train=images(1))
    with pytest.raises(ValueError, match="Incomplete or corrupted"):
        mnist.load_data()
    assert not (cache / "mnist.npz").exists()


def test_fashion_mnist(source, cache):
    expected = {}
    for part, count in (("train", 4), ("t10k", 2)):
        for name, shape in (("labels-idx1", (count,)), ("images-idx3", (count, 28, 28))):
            x = images(*shape)
            header = bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape)
            content = gzip.compress(header + x.tobytes())
            (source.folder / f"{part}-{name}-ubyte.gz").write_bytes(content)
            expected[part, name] = x
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    np.testing.assert_array_equal(x_train, expected["train", "images-idx3"])
    np.testing.assert_array_equal(y_train, expected["train", "labels-idx1"])
    np.testing.assert_array_equal(x_test, expected["t10k", "images-idx3"])
    np.testing.assert_array_equal(y_test, expected["t10k", "labels-idx1"])
    assert len(list((cache / "fashion-mnist").iterdir())) == 4


class Python2Pickler(pickle._Pickler):
    """Writes strings as Python 2 did, in bytes of unknown encoding."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_string


def tar(path, folder, members):
    """Write pickles in a folder of an archive."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            file = io.BytesIO()
            Python2Pickler(file, protocol=2).dump(content)
            data = file.getvalue()
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_cifar10(source, cache, layout, data_format):
    layout(data_format)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    batches = {
        name: {b"data": images(2, 3072), b"labels": [i, 9 - i]} for i, name in enumerate(names)
    }
    tar(source.folder / "c.tar.gz", "cifar-10-batches-py", batches)
    source.expect(cifar10, "c.tar.gz")
    (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    last = data_format == "channels_last"
    assert x_train.shape == ((10, 32, 32, 3) if last else (10, 3, 32, 32))
    assert x_test.shape[0] == 2 and x_test.dtype == y_test.dtype == y_train.dtype == "uint8"
    assert y_train.ravel().tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    pixels = x_test.transpose(0, 3, 1, 2) if last else x_test
    np.testing.assert_array_equal(pixels.reshape(2, -1), batches["test_batch"][b"data"])
    assert (cache / "cifar-10-batches-py-target" / "cifar-10-batches-py" / "test_batch").exists()


def test_cifar100(source, cache):
    parts = {
        name: {b"data": images(2, 3072), b"fine_labels": [n, 99], b"coarse_labels": [n, 19]}
        for n, name in enumerate(("train", "test"))
    }
    tar(source.folder / "c.tar.gz", "cifar-100-python", parts)
    source.expect(cifar100, "c.tar.gz")
    (x_train, y_train), (_, y_test) = cifar100.load_data()
    assert x_train.shape == (2, 32, 32, 3)
    assert y_train.tolist() == [[0], [99]] and y_test.tolist() == [[1], [99]]
    assert cifar100.load_data("coarse")[0][1].tolist() == [[0], [19]]
    with pytest.raises(ValueError, match="'fine' or 'coarse'"):
        cifar100.load_data("all")


@pytest.fixture
def reviews(source):
    np.savez(
        source.folder / "imdb.npz",
        x_train=texts([1, 5], [2, 3, 4], [7]),
        y_train=np.array([0, 1, 1]),
        x_test=texts([9, 9, 9, 9], [1]),
        y_test=np.array([0, 1]),
    )
    source.expect(imdb, "imdb.npz")


def sorted_texts(x):
    return sorted(x.tolist())


def test_imdb(reviews):
    (x_train, y_train), (x_test, y_test) = imdb.load_data(num_words=100)
    assert sorted_texts(x_train) == [[1, 4, 8], [1, 5, 6, 7], [1, 10]]
    assert sorted_texts(x_test) == [[1, 4], [1, 12, 12, 12, 12]]
    labels = {tuple(text): label for text, label in zip(x_train, y_train, strict=True)}
    assert labels[1, 4, 8] == 0 and labels[1, 10] == 1
    assert sorted(y_test.tolist()) == [0, 1]


def test_imdb_replaces_words(reviews):
    (x_train, _), _ = imdb.load_data(num_words=8, skip_top=5)
    assert sorted_texts(x_train) == [[2, 2, 2], [2, 2], [2, 5, 6, 7]] or sorted_texts(
        x_train
    ) == sorted([[2, 2, 2], [2, 5, 6, 7], [2, 2]])
    (x_train, _), _ = imdb.load_data(num_words=8, skip_top=5, oov_char=None)
    assert sorted_texts(x_train) == [[], [], [5, 6, 7]]
    (x_train, _), _ = imdb.load_data(num_words=8, start_char=None, index_from=0)
    assert sorted_texts(x_train) == [[1, 5], [2, 3, 4], [7]]


def test_imdb_leaves_out_long_reviews(reviews):
    (x_train, y_train), (x_test, _) = imdb.load_data(maxlen=4, num_words=100)
    assert sorted_texts(x_train) == [[1, 4, 8], [1, 10]] and len(y_train) == 2
    assert sorted_texts(x_test) == [[1, 4]]
    with pytest.raises(ValueError, match="no sequence was kept"):
        imdb.load_data(maxlen=2)


def test_imdb_refuses_arguments_it_does_not_know(reviews):
    with pytest.raises(TypeError, match="nb_words"):
        imdb.load_data(nb_words=3)


def test_reuters(source):
    np.savez(
        source.folder / "reuters.npz",
        x=texts(*([i] * (1 + i % 3) for i in range(1, 11))),
        y=np.arange(1, 11),
    )
    source.expect(reuters, "reuters.npz")
    (x_train, y_train), (x_test, y_test) = reuters.load_data(num_words=100)
    assert (len(x_train), len(x_test)) == (8, 2)
    for x, y in ((x_train, y_train), (x_test, y_test)):
        for text, topic in zip(x, y, strict=True):
            assert text == [1] + [topic + 3] * (1 + topic % 3)
    assert len(reuters.load_data(test_split=0.5)[1][0]) == 5


@pytest.mark.parametrize("module, name", [(imdb, "imdb"), (reuters, "reuters")])
def test_word_indices(source, module, name):
    file = f"{name}_word_index.json"
    (source.folder / file).write_text(json.dumps({"the": 1, "é": 2}), encoding="utf-8")
    source.expect(module, file, "_INDEX_HASH")
    assert module.get_word_index() == {"the": 1, "é": 2}


def test_names_of_topics():
    names = reuters.get_label_names()
    assert len(names) == len(set(names)) == 46 and names[-1] == "lead"


@pytest.mark.parametrize(
    "module, name, rows", [(boston_housing, "boston", 10), (california_housing, "california", 700)]
)
def test_housing(source, module, name, rows):
    x = RNG.standard_normal((rows, 8))
    np.savez(source.folder / f"{name}_housing.npz", x=x, y=x.sum(-1))
    source.expect(module, f"{name}_housing.npz")
    (x_train, y_train), (x_test, y_test) = module.load_data()
    assert (len(x_train), len(x_test)) == (int(rows * 0.8), rows - int(rows * 0.8))
    np.testing.assert_array_equal(x_train.sum(-1), y_train)
    np.testing.assert_array_equal(np.sort(np.concatenate([y_train, y_test])), np.sort(x.sum(-1)))
    other, again = (module.load_data(seed=seed)[0][1].tolist() for seed in (1, 113))
    assert other != y_train.tolist() and again == y_train.tolist()
    with pytest.raises(ValueError, match="less than 1"):
        module.load_data(test_split=1.0)


def test_the_small_version_of_california_housing(source):
    x = np.arange(700.0)[:, None]
    np.savez(source.folder / "california_housing.npz", x=x, y=x[:, 0])
    source.expect(california_housing, "california_housing.npz")
    (_, y_train), (_, y_test) = california_housing.load_data("small")
    assert sorted([*y_train, *y_test]) == list(range(600))
    with pytest.raises(ValueError, match="'small' or 'large'"):
        california_housing.load_data("medium")
