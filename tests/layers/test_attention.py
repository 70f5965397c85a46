"""`MultiHeadAttention` against attention written out, and against `torch.nn`'s."""

import math

import pytest
import torch

from torchkeras import layers
from torchkeras.random import set_seed

DOUBLE = {"rtol": 1e-10, "atol": 1e-12}


def attend(layer, query, value, mask=None):
    """Attention head by head, in plain matrix products."""
    heads = []
    for n in range(layer.num_heads):
        q, k, v = (
            x @ dense.kernel[:, n] + dense.bias[n]
            for x, dense in (
                (query, layer.query_dense),
                (value, layer.key_dense),
                (value, layer.value_dense),
            )
        )
        scores = q @ k.transpose(1, 2) / math.sqrt(layer.key_dim)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        heads.append(torch.softmax(scores, -1) @ v @ layer.output_dense.kernel[n])
    return sum(heads) + layer.output_dense.bias


def make(**kwargs):
    set_seed(0)
    layer = layers.MultiHeadAttention(
        num_heads=2, key_dim=3, bias_initializer="random_normal", dtype="float64", **kwargs
    )
    query = torch.randn(2, 4, 6, dtype=torch.float64)
    value = torch.randn(2, 5, 6, dtype=torch.float64)
    layer(query, value)
    return layer, query, value


@pytest.mark.parametrize("kwargs", [{}, {"value_dim": 4}, {"dropout": 0.5}], ids=str)
def test_equals_attention_written_out(kwargs):
    layer, query, value = make(**kwargs)
    torch.testing.assert_close(layer(query, value), attend(layer, query, value), **DOUBLE)


@pytest.mark.parametrize("scores", [False, True])
def test_masks(scores):
    layer, query, value = make()
    mask = torch.rand(2, 4, 5) < 0.6
    mask[..., 0] = True
    value_mask = torch.tensor([[True, True, False, False, False], [True] * 5])
    causal = torch.ones(4, 5, dtype=torch.bool).tril()

    def run(**options):
        outputs = layer(query, value, return_attention_scores=scores, **options)
        return outputs[0] if scores else outputs

    both = mask & value_mask[:, None]
    for options, expected in (
        ({"attention_mask": mask}, mask),
        ({"value_mask": value_mask}, value_mask[:, None]),
        ({"key_mask": value_mask}, value_mask[:, None]),
        ({"use_causal_mask": True}, causal),
        ({"attention_mask": mask, "value_mask": value_mask}, both),
        ({"attention_mask": mask, "use_causal_mask": True}, mask & causal),
    ):
        torch.testing.assert_close(run(**options), attend(layer, query, value, expected), **DOUBLE)


@pytest.mark.parametrize("heads", [2, 1])
def test_gradients_where_a_query_may_see_nothing(heads):
    """It gets the mean of the values, whose gradient torch's kernel makes too large by itself."""
    set_seed(0)
    layer = layers.GroupedQueryAttention(3, 2, heads, dtype="float64")
    query = torch.randn(2, 4, 6, dtype=torch.float64, requires_grad=True)
    value = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(2, 4, 5) < 0.6
    mask[0, 1], mask[1] = False, False

    def run(query, value):
        return layer(query, value, attention_mask=mask)

    outputs = run(query, value)
    mean = layer._value_dense(value).mean(1).repeat_interleave(2 // heads, 1)
    expected = layer._output_dense(mean[:, None])
    torch.testing.assert_close(outputs[1], expected[1].expand(4, 6), **DOUBLE)
    assert torch.autograd.gradcheck(run, (query, value))


def test_sliding_window():
    layer, query, _ = make(sliding_window=2)
    near = (torch.arange(4)[:, None] - torch.arange(4)).abs() < 2
    torch.testing.assert_close(layer(query, query), attend(layer, query, query, near), **DOUBLE)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_fully_masked_queries(dropout):
    layer, query, value = make(dropout=dropout)
    mask = torch.ones(2, 4, 5, dtype=torch.bool)
    mask[0, 1] = False
    row = layer(query, value, attention_mask=mask)[0, 1]
    mean = value[0].mean(0, keepdim=True)[None]
    expected = attend(layer, mean, mean)[0, 0] if dropout == 0 else layer.output_dense.bias
    torch.testing.assert_close(row, expected.detach(), rtol=1e-6, atol=1e-6)
    for weight in layer.trainable_weights:
        weight.grad = None
    layer(query, value, attention_mask=mask, training=True).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in layer.trainable_weights)


def test_equals_torch_module():
    layer, query, _ = make()
    module = torch.nn.MultiheadAttention(6, 2, batch_first=True).double()
    rows = [
        d.kernel.reshape(6, 6).T for d in (layer.query_dense, layer.key_dense, layer.value_dense)
    ]
    biases = [d.bias.flatten() for d in (layer.query_dense, layer.key_dense, layer.value_dense)]
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat(rows))
        module.in_proj_bias.copy_(torch.cat(biases))
        module.out_proj.weight.copy_(layer.output_dense.kernel.reshape(6, 6).T)
        module.out_proj.bias.copy_(layer.output_dense.bias)
    expected, weights = module(query, query, query, average_attn_weights=False)
    outputs, scores = layer(query, query, return_attention_scores=True)
    torch.testing.assert_close(outputs, expected, **DOUBLE)
    torch.testing.assert_close(scores, weights, **DOUBLE)
    torch.testing.assert_close(layer(query, query), expected, **DOUBLE)


@pytest.mark.parametrize("seed", [None, 1])
def test_dropout_keeps_the_mean(seed):
    layer, query, value = make(dropout=0.3, seed=seed)
    outputs = torch.stack([layer(query, value, training=True) for _ in range(400)])
    error = outputs.std(0) / math.sqrt(400)
    assert ((outputs.mean(0) - layer(query, value)).abs() < 5 * error).all()
    assert (error > 0).all()


def test_a_seed_repeats_the_dropout():
    results = []
    for _ in range(2):
        layer, query, value = make(dropout=0.3, seed=1)
        results.append(layer(query, value, training=True))
    assert torch.equal(*results)


def test_gate_multiplies_the_heads():
    layer, query, value = make(use_gate=True)
    before = layer(query, value)
    for weight in layer._gate_dense.weights:
        weight.assign(torch.zeros_like(weight))  # sigmoid(0) = 1/2
    half = layer(query, value) - layer.output_dense.bias
    torch.testing.assert_close(
        2 * half + layer.output_dense.bias, attend(layer, query, value), **DOUBLE
    )
    assert not torch.allclose(before, layer(query, value))


def test_the_mask_of_the_query_goes_on_and_stays_on_the_input():
    layer, query, value = make()
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    query._keras_mask = mask
    assert torch.equal(layer(query, value)._keras_mask, mask)
    assert query._keras_mask is mask


def test_flash_attention_on_this_device():
    layer = layers.MultiHeadAttention(2, 4, flash_attention=True)
    x = torch.randn(2, 5, 8)
    plain = layers.MultiHeadAttention(2, 4)
    plain.build(x.shape, x.shape)
    expected = layer(x, x)
    plain.set_weights(layer.get_weights())
    torch.testing.assert_close(plain(x, x), expected)
    with pytest.raises(ValueError, match="flash"):
        layer(x, x, return_attention_scores=True)


def test_state_dict_uses_keras_names():
    layer, *_ = make()
    assert list(layer.state_dict()) == [
        f"_{part}_dense.{weight}"
        for part in ("query", "key", "value", "output")
        for weight in ("kernel", "bias")
    ]


def test_config_round_trip():
    layer = layers.MultiHeadAttention(
        2, 3, value_dim=4, output_shape=5, attention_axes=(1,), activity_regularizer="l2", seed=1
    )
    config = layer.get_config()
    assert layers.MultiHeadAttention.from_config(config).get_config() == config


@pytest.mark.parametrize("kwargs", [{}, {"dropout": 0.2}, {"dropout": 0.2, "seed": 1}], ids=str)
def test_meta(kwargs):
    with torch.device("meta"):
        layer = layers.MultiHeadAttention(2, 3, **kwargs)
        x = torch.zeros(2, 4, 6)
        mask = torch.ones((2, 4), dtype=torch.bool)
        for options in ({}, {"value_mask": mask, "use_causal_mask": True}):
            outputs = layer(x, x, training=True, **options)
            outputs.sum().backward()
    assert outputs.is_meta and all(w.grad.is_meta for w in layer.trainable_weights)


def test_compiles():
    layer, query, value = make()
    expected = layer(query, value)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(query, value), expected)


def test_value_and_key_must_match():
    layer = layers.MultiHeadAttention(2, 3, name="attention")
    with pytest.raises(ValueError, match="'attention'"):
        layer(torch.zeros(1, 4, 6), torch.zeros(1, 5, 6), torch.zeros(1, 3, 6))


@pytest.mark.parametrize("axes", [None, ()])
def test_attention_without_positions_is_refused(axes):
    x = torch.zeros(2, 3) if axes is None else torch.zeros(2, 4, 3)
    with pytest.raises(ValueError, match="no axis to attend over"):
        layers.MultiHeadAttention(2, 2, attention_axes=axes)(x, x)
