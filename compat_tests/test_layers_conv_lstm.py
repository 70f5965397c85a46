"""Convolutional LSTMs, and their cell, against Keras."""

import keras
import numpy as np
import pytest
import torch
from keras.src.layers.rnn.conv_lstm import ConvLSTM as KerasConvLSTM
from keras.src.layers.rnn.conv_lstm import ConvLSTMCell as KerasConvLSTMCell
from oracle import (
    assert_close,
    assert_same_config,
    assert_same_error,
    assert_same_variables,
    compare_layer,
    copy_weights,
    random_input,
    run,
    seed_both,
)

import torchkeras
from torchkeras.layers.conv_lstm import ConvLSTM, ConvLSTMCell

FORMATS = ["channels_last", "channels_first"]
SPATIAL = {1: (7,), 2: (5, 6), 3: (3, 4, 3)}


def shape_of(rank, data_format, batch=2, time=3, channels=2):
    if data_format == "channels_first":
        return (batch, time, channels, *SPATIAL[rank])
    return (batch, time, *SPATIAL[rank], channels)


VARIANTS = [
    {},
    {"padding": "same", "return_sequences": True},
    {"padding": "same", "kernel_size": 3, "strides": 2, "return_state": True},
    {"return_sequences": True, "return_state": True, "go_backwards": True},
    {"dilation_rate": 2, "use_bias": False},
    {"unit_forget_bias": False, "recurrent_activation": "hard_sigmoid", "activation": "relu"},
    {"kernel_regularizer": "l2", "recurrent_constraint": "max_norm", "bias_regularizer": "l1"},
    {"unroll": True, "activity_regularizer": "l2", "recurrent_initializer": "glorot_uniform"},
]


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_conv_lstm(rank, variant, data_format):
    kwargs = {"filters": 3, "kernel_size": 2, "data_format": data_format, **variant}
    shape = shape_of(rank, data_format)
    shapes = [shape, (None, *shape[1:]), (None, None, *shape[2:])]
    compare_layer(f"ConvLSTM{rank}D", kwargs, shape, output_shapes=shapes)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_masks(return_sequences, zeros, data_format):
    kwargs = {
        "filters": 3,
        "kernel_size": 2,
        "padding": "same",
        "data_format": data_format,
        "return_sequences": return_sequences,
        "zero_output_for_mask": zeros,
        "return_state": True,
    }
    mask = np.array([[True, False, True], [False, True, False]])
    compare_layer("ConvLSTM2D", kwargs, shape_of(2, data_format), mask=mask)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    "rates",
    [
        {"dropout": 0.4},
        {"recurrent_dropout": 0.4},
        {"dropout": 0.3, "recurrent_dropout": 0.2},
        {"dropout": 0.3, "seed": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("training", [False, True])
def test_dropout(rates, training, data_format):
    kwargs = {"filters": 3, "kernel_size": 2, "padding": "same", "data_format": data_format}
    kwargs.update(rates, return_sequences=True)
    compare_layer("ConvLSTM2D", kwargs, shape_of(2, data_format), training=training, calls=2)


@pytest.mark.parametrize("data_format", FORMATS)
def test_stateful(data_format):
    kwargs = {"filters": 3, "kernel_size": 2, "stateful": True, "data_format": data_format}
    compare_layer("ConvLSTM1D", kwargs, shape_of(1, data_format), calls=3, symbolic=False)


def test_initial_state():
    kwargs = {"filters": 3, "kernel_size": 2, "padding": "same", "return_state": True}
    states = [torch.tensor(random_input((2, 5, 6, 3), seed=i)) for i in (5, 6)]
    compare_layer(
        "ConvLSTM2D", kwargs, shape_of(2, "channels_last"), call_kwargs={"initial_state": states}
    )


@pytest.mark.parametrize("dtype", ["float64", "mixed_float16"])
def test_dtypes(dtype):
    kwargs = {"filters": 3, "kernel_size": 2, "dtype": dtype, "return_sequences": True}
    # Sums of 12 products in float16, over three steps.
    bound = {"rtol": 1e-2, "atol": 1e-2} if "16" in dtype else {}
    compare_layer("ConvLSTM2D", kwargs, shape_of(2, "channels_last"), **bound)


def test_inference_without_gradients_is_the_same():
    layer = torchkeras.layers.ConvLSTM2D(3, 2, padding="same", return_sequences=True)
    x = torch.tensor(random_input(shape_of(2, "channels_last")))
    expected = layer(x)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected.detach())


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("training", [False, True])
def test_cell(training, data_format):
    kwargs = {"padding": "same", "data_format": data_format, "dropout": 0.2, "seed": 3}
    kwargs.update(recurrent_dropout=0.3, name="cell")
    seed_both()
    ours = ConvLSTMCell(2, 3, 2, **kwargs)
    seed_both()
    theirs = KerasConvLSTMCell(2, 3, 2, **kwargs)
    assert ours.get_config() == theirs.get_config()
    step = shape_of(2, data_format)[:1] + shape_of(2, data_format)[2:]
    for cell in (ours, theirs):
        seed_both(1)
        cell.build(step)
    assert_same_variables(ours, theirs)
    assert_close(ours.get_initial_state(2), theirs.get_initial_state(2))
    state = random_input(tuple(ours.get_initial_state(2)[0].shape), seed=4)
    x = torch.tensor(random_input(step))
    for _ in range(2):
        results = [cell(x, [torch.tensor(state)] * 2, training=training) for cell in (ours, theirs)]
        assert_close(*results)
        for cell in (ours, theirs):
            cell.reset_dropout_mask()
            cell.reset_recurrent_dropout_mask()
    assert ours.compute_output_shape(step) == theirs.compute_output_shape(step)


def test_cell_in_a_recurrent_layer():
    """What a library does that subclasses the cell: the layer runs it step by step."""
    results = []
    for base, cell_class in ((ConvLSTM, ConvLSTMCell), (KerasConvLSTM, KerasConvLSTMCell)):

        class Doubled(cell_class):
            def call(self, inputs, states, training=False):
                h, states = super().call(inputs, states, training=training)
                return 2 * h, states

        class Layer(base):
            cell_type = Doubled

            def __init__(self, **kwargs):
                super().__init__(2, 3, 2, **kwargs)
                self.cell = self.cell_type(2, 3, 2)

        seed_both()
        layer = Layer(return_sequences=True)
        x = random_input(shape_of(2, "channels_last"))
        layer.build(x.shape)
        results.append((layer, x))
    (ours, x), (theirs, _) = results
    copy_weights(theirs, ours)
    assert_close(run(ours, x).outputs, run(theirs, x).outputs)


def test_base_configs():
    ours, theirs = ConvLSTM(2, 3, 2, name="base"), KerasConvLSTM(2, 3, 2, name="base")
    assert ours.get_config() == theirs.get_config()
    assert_same_config(
        torchkeras.layers.ConvLSTM2D(3, 2, seed=1, name="c"),
        keras.layers.ConvLSTM2D(3, 2, seed=1, name="c"),
    )


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.ConvLSTM2D(3, (2, 2, 2)),
        lambda k: k.layers.ConvLSTM2D(3, 2, strides=2, dilation_rate=2),
        lambda k: k.layers.ConvLSTM2D(3, 2, padding="causal"),
        lambda k: k.layers.ConvLSTM2D(3, 2, data_format="last"),
        lambda k: k.layers.ConvLSTM2D(3, 2)(torch.ones(2, 5, 5, 3)),
        lambda k: k.layers.ConvLSTM2D(3, 2)(k.Input((3, None, 5, 3))),
        lambda k: k.layers.ConvLSTM2D(3, 2)(k.Input((3, 5, 5, None))),
    ],
)
def test_errors(action):
    assert_same_error(action)


def test_too_many_axes():
    for cell in (KerasConvLSTMCell, ConvLSTMCell):
        with pytest.raises(ValueError, match="(?i)rank"):
            cell(4, 3, 2)
