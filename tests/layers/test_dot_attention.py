"""`Attention` and `AdditiveAttention` against attention written out."""

import pytest
import torch

from torchkeras import Model, layers

QUERY, VALUE, KEY = (2, 3, 4), (2, 5, 6), (2, 5, 4)
MASK = torch.tensor([[True, True, False, True, False], [False] * 4 + [True]])


def inputs(dtype=torch.float64):
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in (QUERY, VALUE, KEY)]


def attend(scores, value, mask=None, causal=False):
    seen = torch.ones(3, 5, dtype=torch.bool)
    if causal:
        seen = seen.tril()
    if mask is not None:
        seen = seen & mask[:, None]
    return torch.softmax(scores.masked_fill(~seen, -torch.inf), -1) @ value


@pytest.mark.parametrize("scores_wanted", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scale", [False, True])
def test_dot_products(scale, masked, scores_wanted):
    layer = layers.Attention(use_scale=scale, dtype="float64")
    query, value, key = tensors = inputs()
    layer.build([t.shape for t in tensors])
    if scale:
        layer.scale.assign(0.3)
    mask = [None, MASK] if masked else None
    outputs = layer(tensors, mask=mask, return_attention_scores=scores_wanted)
    scores = query @ key.transpose(1, 2) * (0.3 if scale else 1.0)
    expected = attend(scores, value, MASK if masked else None)
    if scores_wanted:
        outputs, weights = outputs
        torch.testing.assert_close(weights @ value, outputs)
    torch.testing.assert_close(outputs, expected)
    found, wanted = (torch.autograd.grad(t.cos().sum(), tensors) for t in (outputs, expected))
    torch.testing.assert_close(found, wanted)


def test_sums_of_tanh():
    layer = layers.AdditiveAttention(dtype="float64")
    query, value, key = tensors = inputs()
    outputs = layer(tensors, use_causal_mask=True)
    scores = (layer.scale * torch.tanh(query[:, :, None] + key[:, None])).sum(-1)
    torch.testing.assert_close(outputs, attend(scores, value, causal=True))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("scores_wanted", [False, True])
@pytest.mark.parametrize("make", [layers.Attention, layers.AdditiveAttention])
def test_nothing_to_attend_to_gives_numbers(make, scores_wanted, dtype):
    layer, tensors = make(dtype=dtype), inputs(getattr(torch, dtype))
    mask = [None, torch.zeros(2, 5, dtype=torch.bool)]
    outputs = layer(tensors, mask=mask, return_attention_scores=scores_wanted)
    outputs = outputs[0] if scores_wanted else outputs
    outputs.sum().backward()
    assert outputs.isfinite().all() and all(t.grad.isfinite().all() for t in tensors)


@pytest.mark.parametrize("seed", [None, 1])
def test_dropout_keeps_the_mean(seed):
    layer = layers.Attention(dropout=0.5, seed=seed)
    query, value = torch.zeros(1, 2000, 4), torch.ones(1, 8, 4)
    outputs = layer([query, value], training=True)
    assert outputs.std() > 0.1 and abs(outputs.mean() - 1) < 0.05
    assert torch.equal(layer([query, value]), torch.ones(1, 2000, 4))


def test_masks_of_queries_blank_the_result_and_go_on():
    tensors = inputs()
    tensors[0]._keras_mask = mask = torch.tensor([[True, False, True], [False, True, True]])
    outputs = layers.Attention(dtype="float64")(tensors)
    assert not outputs[~mask].any() and outputs[mask].all()
    assert torch.equal(outputs._keras_mask, mask)


def test_errors_tell_what_was_given():
    with pytest.raises(ValueError, match="inputs: a tuple of 2"):
        layers.Attention()((torch.ones(QUERY), torch.ones(VALUE)))
    with pytest.raises(ValueError, match="inputs: a list of 1"):
        layers.Attention()([torch.ones(QUERY)])
    with pytest.raises(ValueError, match="score_mode='cosine'"):
        layers.Attention(score_mode="cosine")


@pytest.mark.parametrize("make", [layers.Attention, layers.AdditiveAttention])
def test_compiles(make):
    layer, tensors = make(), inputs(torch.float32)
    expected = layer(tensors, use_causal_mask=True)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(tensors, use_causal_mask=True), expected)


def test_a_model_calls_the_layer_on_a_fast_path():
    layer = layers.Attention()
    a, b = layers.Input((3, 4)), layers.Input((5, 4))
    model = Model([a, b], layer([a, b]))
    model([torch.ones(2, 3, 4), torch.ones(2, 5, 4)])
    assert layer._call_plan is not None
