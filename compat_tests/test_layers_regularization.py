"""Dropout, noise and `ActivityRegularization` against Keras."""

import keras
import pytest
import torch
from oracle import (
    assert_close,
    assert_same_error,
    assert_same_variables,
    compare_layer,
    make_pair,
    random_input,
    run,
    seed_both,
)

import torchkeras

SEEDED = [
    ("Dropout", {"rate": 0.5, "seed": 3}),
    ("Dropout", {"rate": 0.3, "seed": 3, "noise_shape": (None, 1, None)}),
    ("Dropout", {"rate": 0.3, "noise_shape": [2, 1, 4]}),
    ("SpatialDropout1D", {"rate": 0.4, "seed": 3}),
    ("GaussianNoise", {"stddev": 0.5, "seed": 3}),
    ("GaussianNoise", {"stddev": 0.5}),
    ("GaussianDropout", {"rate": 0.5, "seed": 3}),
    ("AlphaDropout", {"rate": 0.5, "seed": 3}),
    ("AlphaDropout", {"rate": 0.5, "seed": 3, "noise_shape": (None, 1, 4)}),
]


@pytest.mark.parametrize("training", [None, False, True])
@pytest.mark.parametrize(("name", "kwargs"), SEEDED, ids=str)
def test_same_random_numbers(name, kwargs, training):
    compare_layer(name, kwargs, (2, 3, 4), training=training, calls=3, output_shapes=[(None, 3, 4)])


@pytest.mark.parametrize("training", [None, True])
def test_unseeded_dropout(training):
    compare_layer("Dropout", {"rate": 0.5}, (4, 5), training=training, calls=2)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("rank", "shape"), [(2, (2, 3, 4, 5)), (3, (2, 3, 4, 2, 3))])
@pytest.mark.parametrize("seed", [None, 1])
def test_spatial_dropout(rank, shape, data_format, seed):
    kwargs = {"rate": 0.5, "data_format": data_format, "seed": seed}
    compare_layer(f"SpatialDropout{rank}D", kwargs, shape, training=True, calls=2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "mixed_bfloat16"])
@pytest.mark.parametrize(("name", "kwargs"), SEEDED, ids=str)
def test_dtypes(name, kwargs, dtype):
    compare_layer(name, {**kwargs, "dtype": dtype}, (2, 3, 4), training=True)


@pytest.mark.parametrize("rate", [0, 0.0, 1, 1.0])
def test_extreme_rates(rate):
    compare_layer("Dropout", {"rate": rate}, (2, 3), training=True)


def test_state_is_a_saved_variable():
    ours, theirs = make_pair("Dropout", {"rate": 0.5})
    assert_same_variables(ours, theirs)
    assert len(ours.variables) == 1 and not ours.weights


def test_state_advances_alike():
    ours, theirs = make_pair("Dropout", {"rate": 0.5, "seed": 1})
    x = random_input((2, 3))
    for _ in range(2):
        run(ours, x, training=True), run(theirs, x, training=True)
    assert_close(ours.variables, theirs.variables)


def test_activity_regularization():
    for kwargs in ({}, {"l1": 0.1}, {"l2": 0.2}, {"l1": 0.1, "l2": 0.2}):
        ours, theirs = compare_layer("ActivityRegularization", kwargs, (2, 3))
        x = random_input((2, 3))
        ours(x), theirs(x)
        assert_close(sum(ours.losses), sum(theirs.losses), "loss")


def test_masks_pass_through():
    for layer in make_pair("Dropout", {"rate": 0.5}):
        x = torch.ones(2, 3)
        x._keras_mask = torch.tensor([True, False])
        assert layer(x, training=True)._keras_mask.tolist() == [True, False]


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.Dropout(-0.1),
        lambda k: k.layers.Dropout(1.1),
        lambda k: k.layers.Dropout(0.5, noise_shape="ab"),
        lambda k: k.layers.Dropout(0.5, noise_shape=3),
        lambda k: k.layers.Dropout(0.5, noise_shape=(1.5, 2)),
        lambda k: k.layers.Dropout(0.5, noise_shape=(0, 2)),
        lambda k: k.layers.GaussianNoise(-1),
        lambda k: k.layers.GaussianNoise(2),
        lambda k: k.layers.GaussianDropout(2),
        lambda k: k.layers.AlphaDropout(2),
        lambda k: k.layers.SpatialDropout1D(0.5)(torch.ones(2, 3)),
        lambda k: k.layers.SpatialDropout2D(0.5, data_format="last"),
        lambda k: k.layers.SpatialDropout1D(0.5, trainable=False),
    ],
)
def test_errors(action):
    assert_same_error(action)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda k: k.layers.Conv1D(4, 2), (5, 3)),
        (lambda k: k.layers.Conv1D(4, 2, activation="softmax"), (5, 3)),
        (lambda k: k.layers.Conv2D(4, 2), (4, 5, 3)),
        (lambda k: k.layers.MaxPooling1D(2), (6, 3)),
        (lambda k: k.layers.TimeDistributed(k.layers.Dense(2)), (3, 4)),
        (lambda k: k.layers.Bidirectional(k.layers.LSTM(2, return_sequences=True)), (3, 4)),
        (lambda k: k.layers.LSTM(2, return_sequences=True), (3, 4)),
        (lambda k: k.layers.GRU(2, return_sequences=True), (3, 4)),
        (lambda k: k.layers.SimpleRNN(2), (3, 4)),
        (lambda k: k.layers.GroupNormalization(1), (2, 3, 4)),
        (lambda k: k.layers.AdaptiveMaxPooling1D(2), (6, 3)),
        (lambda k: k.layers.Permute((2, 1)), (5, 3)),
        (lambda k: k.Sequential([k.layers.Conv1D(4, 2), k.layers.UpSampling1D()]), (5, 3)),
        (lambda k: k.Sequential([k.layers.Conv1D(4, 2), k.layers.Cropping1D()]), (5, 3)),
        (
            lambda k: k.Sequential([k.layers.MaxPooling2D(), k.layers.UpSampling2D(2)]),
            (4, 4, 3),
        ),
        (lambda k: k.Sequential([k.layers.MaxPooling2D(), k.layers.Reshape((-1, 3))]), (4, 4, 3)),
        (lambda k: k.Sequential([k.layers.RepeatVector(3), k.layers.Permute((2, 1))]), (4,)),
        (
            lambda k: k.Sequential([k.layers.GRU(2, return_sequences=True), k.layers.Masking()]),
            (5, 3),
        ),
        (lambda k: k.layers.EinsumDense("abc,bd->adc", (2, None)), (5, 3)),
        (lambda k: k.layers.Conv1D(4, 2, data_format="channels_first"), (5, 3)),
        (lambda k: k.layers.Conv2D(4, 2, data_format="channels_first"), (5, 3, 4)),
        (lambda k: k.layers.UpSampling2D(2, data_format="channels_first"), (5, 3, 4)),
        (
            lambda k: k.Sequential([k.layers.Conv1D(4, 2), k.layers.Dropout(0.5, seed=1)]),
            (5, 3),
        ),
    ],
)
def test_unseeded_dropout_draws_in_the_order_of_keras_memory(make, shape):
    x, outputs = random_input((2, *shape)), []
    for library in (torchkeras, keras):
        seed_both()
        inputs = library.Input(shape)
        hidden = library.layers.ReLU()(make(library)(inputs))
        model = library.Model(inputs, library.layers.Dropout(0.5)(hidden))
        outputs.append(model(x, training=True))
    assert_close(*outputs)


def net_of(library):
    class Net(library.Model):
        def __init__(self, layers):
            super().__init__()
            self.pooling, self.permute = layers.MaxPooling1D(2), layers.Permute((2, 1))
            self.one = layers.Identity()
            self.dropout, self.dense = layers.Dropout(0.5), layers.Dense(8)

        def call(self, x, training=None):
            x = self.one(self.permute(self.pooling(x)))
            x = library.ops.reshape(self.dropout(x, training=training), (-1, 9))
            return self.dropout(self.dense(x), training=training)  # of another rank

    return Net(library.layers)


def test_dropout_in_a_subclassed_model_draws_in_the_order_of_keras_memory():
    x, outputs = random_input((2, 6, 3)), []
    for library in (torchkeras, keras):
        seed_both()
        model = net_of(library)
        model(x)
        outputs.append([model(x, training=True) for _ in range(2)])
    for ours, theirs in zip(*outputs, strict=True):
        assert_close(ours, theirs)
