"""`Tokenizer`, `TimeseriesGenerator` and `skipgrams`, against what real Keras keeps of them."""

import json
import random

import keras
import numpy as np
import pytest
from keras._tf_keras.keras.preprocessing import sequence as their_sequence
from keras._tf_keras.keras.preprocessing import text as their_text

from torchkeras.preprocessing import sequence, text

TEXTS = ["The cat sat on the mat.", "A dog; the DOG!\tsat", "", "cat cat-cat\nbird", "the the the"]
NEW = ["the bird saw a cat", "nothing known here", "mat, mat & dog"]
SETTINGS = {
    "plain": {},
    "few": {"num_words": 4},
    "unknown": {"oov_token": "<OOV>"},
    "few_and_unknown": {"num_words": 4, "oov_token": "<OOV>"},
    "characters": {"char_level": True},
    "cased": {"lower": False, "filters": "."},
    "commas": {"split": ",", "filters": " "},
    "analyzer": {"analyzer": lambda t: t.split("t")},
    "cased_characters": {"char_level": True, "lower": False, "num_words": 9},
}


def fitted(module, settings):
    tokenizer = module.Tokenizer(**SETTINGS[settings])
    tokenizer.fit_on_texts(TEXTS)
    tokenizer.fit_on_texts([["Two", "Words", "cat"]])
    return tokenizer


@pytest.mark.parametrize("settings", SETTINGS)
def test_tokenizer(settings):
    ours, theirs = fitted(text, settings), fitted(their_text, settings)
    for name in ("word_counts", "word_docs", "index_docs", "word_index", "index_word"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert list(ours.word_index) == list(theirs.word_index)
    assert ours.document_count == theirs.document_count == 6
    sequences = theirs.texts_to_sequences(NEW + [["cat", "Two", "no"]])
    assert ours.texts_to_sequences(NEW + [["cat", "Two", "no"]]) == sequences
    back = [[1, 2, 3, 4, 5, 6], [], [99, 1]]
    assert ours.sequences_to_texts(back) == theirs.sequences_to_texts(back)
    for mode in ("binary", "count", "freq", "tfidf"):
        np.testing.assert_allclose(
            ours.texts_to_matrix(NEW, mode), theirs.texts_to_matrix(NEW, mode), rtol=1e-12
        )


@pytest.mark.parametrize("settings", [name for name in SETTINGS if name != "analyzer"])
def test_tokenizers_cross_over_as_json(settings):
    ours, theirs = fitted(text, settings), fitted(their_text, settings)
    from_theirs = text.tokenizer_from_json(theirs.to_json())
    from_ours = their_text.tokenizer_from_json(ours.to_json())
    expected = theirs.texts_to_sequences(NEW)
    assert from_theirs.texts_to_sequences(NEW) == expected
    assert from_ours.texts_to_sequences(NEW) == expected
    assert from_theirs.index_word == from_ours.index_word == theirs.index_word
    mine, other = json.loads(ours.to_json()), json.loads(theirs.to_json())
    mine["config"].pop("word_docs"), other["config"].pop("word_docs")  # in the order of a set
    mine["config"].pop("index_docs"), other["config"].pop("index_docs")
    assert mine == other


def test_fit_on_sequences():
    matrices = []
    for module in (text, their_text):
        tokenizer = module.Tokenizer(num_words=5)
        tokenizer.fit_on_sequences([[1, 2, 2], [2, 3], [9]])
        matrices.append(tokenizer.sequences_to_matrix([[2, 2, 1], [4, 9]], "tfidf"))
    np.testing.assert_allclose(matrices[0], matrices[1], rtol=1e-12)


@pytest.mark.parametrize("mode", ["tfidf", "binary", "nonsense"])
def test_matrices_that_cannot_be(mode):
    for module in (text, their_text):
        with pytest.raises(ValueError):
            module.Tokenizer().sequences_to_matrix([[1]], mode)
        with pytest.raises(TypeError):
            module.Tokenizer(nonsense=1)


def test_hashes_and_words():
    for t in TEXTS + NEW:
        assert text.text_to_word_sequence(t) == their_text.text_to_word_sequence(t)
        arguments = dict(filters="!", lower=False, split=";")
        assert text.text_to_word_sequence(t, **arguments) == their_text.text_to_word_sequence(
            t, **arguments
        )
        assert text.one_hot(t, 20) == their_text.one_hot(t, 20)
        for function in (None, "md5", len):
            ours = text.hashing_trick(t, 30, function)
            assert ours == their_text.hashing_trick(t, 30, function)


WINDOWS = {
    "plain": dict(length=3, batch_size=4),
    "sampled": dict(length=6, sampling_rate=2, batch_size=3),
    "strides": dict(length=4, stride=3, batch_size=2),
    "range": dict(length=2, start_index=3, end_index=15, batch_size=5),
    "reverse": dict(length=3, reverse=True, batch_size=7),
    "shuffle": dict(length=3, shuffle=True, batch_size=6),
    "one": dict(length=19, batch_size=4),
    "strided_ends": dict(length=1, stride=2, end_index=5, batch_size=2),
}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("width", [None, 2])
def test_timeseries_generator(name, width):
    data = np.arange(20.0) if width is None else np.arange(40.0).reshape(20, 2)
    targets = np.arange(20) * 10
    passes = []
    for module in (sequence, their_sequence):
        np.random.seed(3)
        generator = module.TimeseriesGenerator(data, targets, **WINDOWS[name])
        passes.append([generator[i] for i in range(len(generator))])
    assert len(passes[0]) == len(passes[1])
    for ours, theirs in zip(*passes, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_a_model_is_fitted_on_windows():
    import torchkeras

    series = np.sin(np.arange(60) / 5)
    losses = []
    for library, module in ((torchkeras, sequence), (keras, their_sequence)):
        library.utils.set_random_seed(1)
        generator = module.TimeseriesGenerator(series, series, length=5, batch_size=8)
        model = library.Sequential([library.layers.Input((5,)), library.layers.Dense(1)])
        model.compile("sgd", "mse")
        history = model.fit(generator, epochs=2, shuffle=False, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_windows_that_cannot_be():
    for module in (sequence, their_sequence):
        with pytest.raises(ValueError, match="of(?: the)? same length"):
            module.TimeseriesGenerator([1, 2], [1], length=1)
        with pytest.raises(ValueError):
            module.TimeseriesGenerator([1, 2], [1, 2], length=2)
    generator = sequence.TimeseriesGenerator([1, 2, 3], [4, 5, 6], length=1)
    config = json.loads(generator.to_json())["config"]
    assert (config["data"], config["length"], config["batch_size"]) == ("[1, 2, 3]", 1, 128)
    with pytest.raises(TypeError, match="JSON"):
        sequence.TimeseriesGenerator([1, {2}], [3, 4], length=1).to_json()


@pytest.mark.parametrize(
    "settings",
    [
        dict(seed=5),
        dict(seed=5, window_size=1, negative_samples=0),
        dict(seed=5, negative_samples=2.5, categorical=True),
        dict(shuffle=False),
        dict(seed=5, sampling_table=np.linspace(0.1, 1, 10)),
    ],
)
def test_skipgrams(settings):
    results = []
    for module in (sequence, their_sequence):
        random.seed(11)
        results.append(module.skipgrams([3, 0, 5, 7, 7, 1, 9, 2], 10, **settings))
    assert results[0] == results[1]


def test_skipgrams_without_a_seed():  # Keras draws one in a way that Python 3.12 refuses
    couples, labels = sequence.skipgrams([3, 5, 7, 1], 10)
    assert len(couples) == len(labels) == 24 and sum(labels) == 12


@pytest.mark.parametrize("factor", [1e-5, 1e-2])
def test_make_sampling_table(factor):
    np.testing.assert_allclose(
        sequence.make_sampling_table(50, factor),
        their_sequence.make_sampling_table(50, factor),
        rtol=1e-12,
    )
