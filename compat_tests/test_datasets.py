"""`keras.datasets` against Keras: the same file gives the same arrays, for all options."""

import importlib
import inspect

import keras
import numpy as np
import pytest

import torchkeras

RNG = np.random.default_rng(0)


def texts(count):
    array = np.empty(count, dtype=object)
    array[:] = [RNG.integers(1, 30, 2 + i % 7).tolist() for i in range(count)]
    return array


CONTENTS = {
    "boston_housing": {"x": RNG.standard_normal((20, 13)), "y": RNG.standard_normal(20)},
    "california_housing": {"x": RNG.standard_normal((700, 8)), "y": RNG.standard_normal(700)},
    "imdb": {
        "x_train": texts(12),
        "y_train": RNG.integers(0, 2, 12),
        "x_test": texts(9),
        "y_test": RNG.integers(0, 2, 9),
    },
    "mnist": {
        "x_train": RNG.integers(0, 256, (4, 28, 28), "uint8"),
        "y_train": RNG.integers(0, 10, 4, "uint8"),
        "x_test": RNG.integers(0, 256, (2, 28, 28), "uint8"),
        "y_test": RNG.integers(0, 10, 2, "uint8"),
    },
    "reuters": {"x": texts(15), "y": RNG.integers(0, 46, 15)},
}
WORDS = [
    {},
    {"num_words": 20},
    {"num_words": 20, "skip_top": 6},
    {"num_words": 20, "oov_char": None, "skip_top": 6},
    {"maxlen": 6},
    {"start_char": None},
    {"start_char": None, "index_from": 0},
    {"start_char": 5, "index_from": 10, "oov_char": 0, "seed": 7},
]
CASES = [
    ("mnist", {}),
    ("boston_housing", {}),
    ("boston_housing", {"test_split": 0.33, "seed": 1}),
    ("california_housing", {}),
    ("california_housing", {"version": "small", "seed": 3}),
    *(("imdb", options) for options in WORDS),
    *(("reuters", options) for options in WORDS),
    ("reuters", {"test_split": 0.5}),
]


@pytest.mark.parametrize("name, options", CASES)
def test_arrays(name, options, tmp_path, monkeypatch):
    np.savez(tmp_path / "file.npz", **CONTENTS[name])
    theirs = importlib.import_module(f"keras.src.datasets.{name}")
    monkeypatch.setattr(theirs, "get_file", lambda *args, **kwargs: str(tmp_path / "file.npz"))
    ours = getattr(torchkeras.datasets, name)
    monkeypatch.setattr(ours, "fetch", lambda *args, **kwargs: str(tmp_path / "file.npz"))
    for expected, actual in zip(
        theirs.load_data(**options), ours.load_data(**options), strict=True
    ):
        for a, b in zip(expected, actual, strict=True):
            assert a.dtype == b.dtype
            assert a.tolist() == b.tolist()


@pytest.mark.parametrize("name", torchkeras.datasets.__all__)
def test_files_are_those_of_keras(name, monkeypatch):
    """Same URL, name in the cache, folder and hash of each file."""

    class Asked(Exception):
        pass

    def ask(fname=None, origin=None, file_hash=None, cache_subdir="datasets", extract=False, **_):
        raise Asked(fname, origin, file_hash, cache_subdir, extract)

    ours = getattr(torchkeras.datasets, name)
    theirs = importlib.import_module(f"keras.src.datasets.{name}")
    monkeypatch.setattr(torchkeras.datasets.storage, "get_file", ask)
    for module in (ours, theirs):
        monkeypatch.setattr(module, "get_file", ask, raising=False)
    for function in ("load_data", "get_word_index"):
        if not hasattr(theirs, function):
            continue
        asked = []
        for module in (theirs, ours):
            with pytest.raises(Asked) as error:
                getattr(module, function)()
            asked.append(error.value.args)
        assert asked[0] == asked[1]
        signatures = [inspect.signature(getattr(m, function)).parameters for m in (theirs, ours)]
        assert [(p.name, p.default) for p in signatures[0].values()] == [
            (p.name, p.default) for p in signatures[1].values()
        ]


def test_names_of_topics():
    names = [k.datasets.reuters.get_label_names() for k in (keras, torchkeras)]
    assert names[0] == names[1]
