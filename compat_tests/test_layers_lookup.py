"""`StringLookup` and `IntegerLookup` against Keras, and their files in both directions."""

import keras
import numpy as np
import pandas as pd
import pytest
import torch
from oracle import assert_same_config, assert_same_error, make_pair, to_numpy
from torch.utils.data import DataLoader

import torchkeras

tf = pytest.importorskip("tensorflow")

MODES = ["int", "one_hot", "multi_hot", "count", "tf_idf"]
WORDS = ["a", "bb", "é", "d"]
TEXT = np.array([["a", "é", "zz", "a"], ["bb", "", "yy", "[UNK]"], ["zz", "d", "d", "x"]])
NUMBERS = [12, -36, 1138, 4]
DATA = np.array([[12, 1138, 7, 12], [-36, 0, 8, -1], [7, 4, 4, 99]])


def assert_same_values(ours, theirs):
    """Same shapes and values; Keras gives integers where ours are floats, as its specs say."""
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(to_numpy(ours), to_numpy(theirs), rtol=1e-6)


def arguments(mode, vocabulary, **kwargs):
    kwargs = {"output_mode": mode, "vocabulary": vocabulary, **kwargs}
    if mode == "tf_idf":
        kwargs["idf_weights"] = [0.5, 2.0, 1.0, 0.25]
    return kwargs


OPTIONS = [
    {},
    {"num_oov_indices": 3},
    {"num_oov_indices": 3, "salt": [5, 7]},
    {"max_tokens": 9, "pad_to_max_tokens": True},
]


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_strings(mode, options, mask):
    options = {**options, "mask_token": ""} if mask else options
    ours, theirs = make_pair("StringLookup", arguments(mode, WORDS, **options))
    assert_same_config(ours, theirs)
    for x in (TEXT, TEXT[0], TEXT[:, :1], TEXT[None]):
        assert_same_values(ours(x), theirs(x))
    for x in (TEXT.tolist(), TEXT.astype(object), np.char.encode(TEXT, "utf-8")):
        assert_same_values(ours(x), theirs(TEXT))
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    assert ours.get_vocabulary(False) == theirs.get_vocabulary(False)
    assert ours.vocabulary_size() == theirs.vocabulary_size()


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("method", ["floormod", "farmhash"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_integers(mode, options, method, mask):
    options = {**options, "oov_method": method}
    if "salt" in options and method == "floormod":
        assert_same_error(lambda k: k.layers.IntegerLookup(**arguments(mode, NUMBERS, **options)))
        return
    options = {**options, "mask_token": 0} if mask else options
    ours, theirs = make_pair("IntegerLookup", arguments(mode, NUMBERS, **options))
    assert_same_config(ours, theirs)
    for x in (DATA, DATA[0], DATA[:, :1], DATA[None], torch.tensor(DATA).int()):
        assert_same_values(ours(x), theirs(x))
    assert_same_values(ours(DATA.tolist()), theirs(DATA))
    assert ours.get_vocabulary() == theirs.get_vocabulary()


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("make", [list, tuple, np.array], ids=["list", "tuple", "array"])
def test_vocabularies(make, special):
    words = make(["", "[UNK]", *WORDS] if special else WORDS)
    for invert in (False, True):
        kwargs = {"vocabulary": words, "mask_token": "", "invert": invert}
        ours, theirs = make_pair("StringLookup", kwargs)
        assert ours.get_vocabulary() == theirs.get_vocabulary()
    numbers = make([0, -1, *NUMBERS] if special else NUMBERS)
    for invert in (False, True):
        kwargs = {"vocabulary": numbers, "mask_token": 0, "invert": invert}
        ours, theirs = make_pair("IntegerLookup", kwargs)
        assert ours.get_vocabulary() == theirs.get_vocabulary()
        assert_same_config(ours, theirs)


@pytest.mark.parametrize("mask", [None, ""])
def test_inverted_strings(mask):
    kwargs = {"vocabulary": WORDS, "invert": True, "mask_token": mask}
    ours, theirs = make_pair("StringLookup", kwargs)
    assert ours(np.array([0, 1, 5, 99, -2])) == theirs(np.array([0, 1, 5, 99, -2]))
    matrix = ours(np.array([[2, 3], [1, 0]]))  # of which Keras on torch makes an error
    assert matrix.shape == (2, 2) and matrix[0].tolist() == theirs(np.array([2, 3]))


@pytest.mark.parametrize("mask", [None, 0])
def test_inverted_integers(mask):
    kwargs = {"vocabulary": NUMBERS, "invert": True, "mask_token": mask}
    ours, theirs = make_pair("IntegerLookup", kwargs)
    x = np.array([[0, 1, 5], [99, -2, 3]])
    assert_same_values(ours(x), theirs(x))


def test_a_file_as_vocabulary(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("a\nbb\r\nc c\u2028d\n".encode())
    ours, theirs = make_pair("StringLookup", {"vocabulary": str(path), "mask_token": "#"})
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    assert_same_config(ours, theirs)
    path.write_text("5\n-7\n")
    ours, theirs = make_pair("IntegerLookup", {"vocabulary": str(path)})
    assert ours.get_vocabulary() == theirs.get_vocabulary()


# Learning ----------------------------------------------------------------------------------------

CORPUS = np.array([["b", "a", "b"], ["c", "a", "[UNK]"], ["", "b", "é"], ["d", "d", "c"]])
CODES = np.array([[5, 3, 5], [8, 3, -1], [0, 5, -9], [4, 4, 8]])


@pytest.mark.parametrize("max_tokens", [None, 4])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["StringLookup", "IntegerLookup"])
def test_adapt(kind, mode, max_tokens):
    strings = kind == "StringLookup"
    data, mask = (CORPUS, "") if strings else (CODES, 0)
    options = ({}, {"mask_token": mask}, {"num_oov_indices": 2})
    for kwargs, whole in zip(options, (data, data.ravel(), data.tolist()), strict=True):
        kwargs = {"output_mode": mode, "max_tokens": max_tokens, **kwargs}
        if max_tokens and mode != "int":
            kwargs["pad_to_max_tokens"] = True
        ours, theirs = make_pair(kind, kwargs)
        for layer in (ours, theirs):
            layer.adapt(whole)
        assert ours.get_vocabulary() == theirs.get_vocabulary()
        assert_same_config(ours, theirs)
        assert_same_values(ours(data), theirs(data))
        if mode == "tf_idf":
            np.testing.assert_allclose(ours.idf_weights, theirs.idf_weights, rtol=1e-6)


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_adapt_to_batches(mode):
    theirs = keras.layers.StringLookup(output_mode=mode)
    theirs.adapt(tf.data.Dataset.from_tensor_slices(CORPUS).batch(2))
    sources = {
        "tf.data": tf.data.Dataset.from_tensor_slices(CORPUS).batch(2),
        "labelled tf.data": tf.data.Dataset.from_tensor_slices((CORPUS, np.zeros(4))).batch(2),
        "generator": (batch for batch in (CORPUS[:1], CORPUS[1:])),
        "endless": (CORPUS for _ in iter(int, 1)),
        "DataLoader": DataLoader([row.tolist() for row in CORPUS], 2, collate_fn=np.array),
    }
    for name, data in sources.items():
        ours = torchkeras.layers.StringLookup(output_mode=mode)
        ours.adapt(data, steps=1 if name == "endless" else None)
        assert ours.get_vocabulary() == theirs.get_vocabulary(), name
        if mode == "tf_idf":
            np.testing.assert_allclose(ours.idf_weights, theirs.idf_weights, rtol=1e-6)


def test_adapt_to_samples():
    kwargs = {}
    ours, theirs = make_pair("StringLookup", kwargs)
    ours.adapt(DataLoader(list("abcab"), 2))
    theirs.adapt(list("abcab"))
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    ours, theirs = make_pair("IntegerLookup", kwargs)
    ours.adapt(torch.utils.data.TensorDataset(torch.tensor([5, 6, 5]), torch.zeros(3)))
    theirs.adapt([5, 6, 5])
    assert ours.get_vocabulary() == theirs.get_vocabulary()


def test_adapt_to_pandas():
    ours, theirs = make_pair("StringLookup", {})
    ours.adapt(pd.Series(list("abcab")))
    theirs.adapt(list("abcab"))
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    assert ours(pd.Series(["b", "q"])).tolist() == [1, 0]


def test_adapt_replaces_what_was_learned():
    ours, theirs = make_pair("StringLookup", {})
    for layer in (ours, theirs):
        layer.set_vocabulary(["q"])
        layer.adapt(["a", "b"])
        layer.adapt(["c"])
    assert ours.get_vocabulary() == theirs.get_vocabulary() == ["[UNK]", "c"]


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.StringLookup(max_tokens=1),
        lambda k: k.layers.StringLookup(num_oov_indices=-1),
        lambda k: k.layers.StringLookup(pad_to_max_tokens=True),
        lambda k: k.layers.StringLookup(output_mode="binned"),
        lambda k: k.layers.StringLookup(invert=True, output_mode="count"),
        lambda k: k.layers.StringLookup(sparse=True, output_mode="count"),
        lambda k: k.layers.StringLookup(idf_weights=[1.0]),
        lambda k: k.layers.StringLookup(vocabulary=["a"], output_mode="tf_idf"),
        lambda k: k.layers.StringLookup(vocabulary=["a", "a"]),
        lambda k: k.layers.StringLookup(vocabulary=[]),
        lambda k: k.layers.StringLookup(vocabulary="no/such/file"),
        lambda k: k.layers.StringLookup(vocabulary=["a", "b"], max_tokens=2),
        lambda k: k.layers.StringLookup(vocabulary=["a", "#"], mask_token="#"),
        lambda k: k.layers.StringLookup(vocabulary=["a", "[UNK]"], invert=True),
        lambda k: k.layers.StringLookup(vocabulary=["a"]).adapt(["b"]),
        lambda k: k.layers.StringLookup(output_mode="count")(["a"]),
        lambda k: k.layers.StringLookup(vocabulary=["a"], output_mode="count").set_vocabulary("bc"),
        lambda k: k.layers.StringLookup(vocabulary=["a"], output_mode="count").set_vocabulary(
            ["b", "c"]
        ),
        lambda k: k.layers.StringLookup(some=1),
        lambda k: k.layers.IntegerLookup(vocabulary_dtype="int32"),
        lambda k: k.layers.IntegerLookup(oov_method="modulo"),
        lambda k: k.layers.IntegerLookup(salt=3),
        lambda k: k.layers.IntegerLookup(salt="x", oov_method="farmhash"),
    ],
)
def test_errors(action):
    assert_same_error(action)


# Symbolic tensors and TensorFlow's graphs --------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(1,), (4,), (None,)], ids=str)
def test_symbolic(shape, mode):
    found = []
    kwargs = arguments(mode, NUMBERS)
    for layer, library in zip(make_pair("IntegerLookup", kwargs), (torchkeras, keras), strict=True):
        y = layer(library.Input(shape, dtype="int64"))
        found.append((y.shape, y.dtype))
    assert found[0] == found[1]


@pytest.mark.parametrize("mode", ["int", "count"])
def test_in_tf_data(mode):
    layer = torchkeras.layers.StringLookup(vocabulary=WORDS, output_mode=mode)
    data = tf.data.Dataset.from_tensor_slices(TEXT).batch(2).map(layer)
    found = np.concatenate(list(data.as_numpy_iterator()))
    np.testing.assert_array_equal(found, layer(TEXT))
    inverse = torchkeras.layers.StringLookup(vocabulary=WORDS, invert=True)
    back = tf.data.Dataset.from_tensor_slices([[1, 3], [0, 2]]).map(inverse)
    assert [[s.decode() for s in row] for row in back.as_numpy_iterator()] == [
        ["a", "é"],
        ["[UNK]", "bb"],
    ]


# Files -------------------------------------------------------------------------------------------


def model(library, layer, dtype):
    return library.Sequential([library.Input((4,), dtype=dtype), layer])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("direction", ["to Keras", "from Keras"])
def test_files(tmp_path, direction, mode):
    kwargs = {"output_mode": mode, "name": "layer"}
    if mode == "count":
        kwargs |= {"max_tokens": 9, "pad_to_max_tokens": True}
    libraries = (torchkeras, keras) if direction == "to Keras" else (keras, torchkeras)
    layer = libraries[0].layers.IntegerLookup(**kwargs)
    layer.adapt(CODES)
    path = tmp_path / "model.keras"
    model(libraries[0], layer, "int64").save(path)
    again = libraries[1].saving.load_model(path).get_layer("layer")
    assert again.get_vocabulary() == layer.get_vocabulary()
    assert_same_values(again(DATA), layer(DATA))


@pytest.mark.parametrize("direction", ["to Keras", "from Keras"])
def test_assets(tmp_path, direction):
    ours, theirs = make_pair("StringLookup", {"mask_token": "", "output_mode": "int"})
    source, target = (ours, theirs) if direction == "to Keras" else (theirs, ours)
    source.adapt(CORPUS)
    source.save_assets(str(tmp_path))
    target.load_assets(str(tmp_path))
    assert target.get_vocabulary() == source.get_vocabulary()
