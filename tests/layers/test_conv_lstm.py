"""Convolutional LSTMs: the LSTM they contain, errors, and reuse."""

import pytest
import torch

from torchkeras import layers
from torchkeras.layers.conv_lstm import ConvLSTMCell


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_one_pixel_is_an_lstm(data_format):
    options = {"return_sequences": True, "return_state": True}
    lstm = layers.LSTM(4, **options)
    x = torch.randn(2, 5, 3)
    expected = lstm(x)
    layer = layers.ConvLSTM2D(4, 1, data_format=data_format, **options)
    place = (..., None, None, slice(None)) if data_format == "channels_last" else (..., None, None)
    pixel = x[place]
    layer(pixel)
    kernel, recurrent, bias = lstm.get_weights()
    layer.set_weights([kernel[None, None], recurrent[None, None], bias])
    for actual, wanted in zip(layer(pixel), expected, strict=True):
        torch.testing.assert_close(actual, wanted[place])


def test_dropped_inputs_do_not_matter():
    """A feature that is dropped for all gates cannot reach the output."""
    layer = layers.ConvLSTM1D(2, 3, padding="same", dropout=0.99, seed=1)
    x = torch.randn(1, 4, 6, 8, requires_grad=True)
    layer(x, training=True).sum().backward()
    assert (x.grad == 0).float().mean() > 0.9
    # The same elements at all steps.
    dropped = x.grad[0] == 0
    assert bool((dropped == dropped[:1]).all())


def test_a_single_step_of_the_cell_is_one_of_the_layer():
    layer = layers.ConvLSTM2D(3, 2, padding="same", return_state=True)
    x = torch.randn(2, 1, 4, 4, 2)
    output, h, c = layer(x)
    again, states = layer.cell(x[:, 0], layer.cell.get_initial_state(2))
    torch.testing.assert_close([output, h, c], [again, *states])


def test_compiles():
    layer = layers.ConvLSTM1D(2, 2, padding="same")
    x = torch.randn(1, 2, 4, 3)
    expected = layer(x)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)


def test_errors():
    with pytest.raises(ValueError, match="(?s)only the batch size.*None"):
        layers.ConvLSTM2D(3, 2).build((None, 3, None, 4, 2))
    with pytest.raises(ValueError, match="strides > 1"):
        layers.ConvLSTM2D(3, 2, strides=2, dilation_rate=2)
    with pytest.raises(ValueError, match="rank: 4"):
        ConvLSTMCell(4, 3, 2)
    layer = layers.ConvLSTM2D(3, 2)
    layer(torch.ones(1, 2, 4, 4, 2))
    with pytest.raises(ValueError, match="conv_lstm2d"):
        layer(torch.ones(1, 2, 4, 4, 3))
