"""`Attention` and `AdditiveAttention` against Keras."""

import keras
import numpy as np
import pytest
import torch
from oracle import as_list, assert_close, assert_same_error, compare_layer, make_pair, seed_both

import torchkeras

PAIR = [(2, 3, 4), (2, 5, 4)]
TRIPLE = [(2, 3, 4), (2, 5, 6), (2, 5, 4)]
# No query is left without a position to attend to, a causal mask included.
MASK = [
    np.array([[1, 1, 0], [1, 0, 1]], bool),
    np.array([[1, 1, 0, 0, 1], [1, 0, 1, 0, 0]], bool),
]
VARIANTS = [
    ("Attention", {}),
    ("Attention", {"use_scale": True}),
    ("Attention", {"score_mode": "concat"}),
    ("Attention", {"score_mode": "concat", "use_scale": True}),
    ("Attention", {"dropout": 0.5}),
    ("Attention", {"dropout": 0.5, "seed": 3}),
    ("AdditiveAttention", {}),
    ("AdditiveAttention", {"use_scale": False}),
    ("AdditiveAttention", {"dropout": 0.5, "seed": 3}),
]


@pytest.mark.parametrize("options", [{}, {"use_causal_mask": True}], ids=str)
@pytest.mark.parametrize("shapes", [PAIR, TRIPLE], ids=["value", "key and value"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize(("name", "kwargs"), VARIANTS, ids=str)
def test_variants(name, kwargs, mask, shapes, options):
    compare_layer(
        name,
        kwargs,
        shapes,
        training=True,
        mask=mask,
        call_kwargs=options,
        calls=2,
        output_shapes=[[(None, 3, 4), (None, None, 6)]],
    )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize(("name", "kwargs"), VARIANTS, ids=str)
def test_scores(name, kwargs, mask, causal):
    options = {"return_attention_scores": True, "use_causal_mask": causal}
    compare_layer(name, kwargs, PAIR, mask=mask, call_kwargs=options, symbolic=False)


@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_dtype_policies(name, mask, policy):
    bound = {"rtol": 0.05, "atol": 0.05} if policy == "mixed_bfloat16" else {}
    compare_layer(name, {"dtype": policy, "use_scale": True}, PAIR, mask=mask, **bound)


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_a_sample_without_any_value(name):
    ours, theirs = make_pair(name)
    query, value = (torch.randn(shape, requires_grad=True) for shape in PAIR)
    mask = [None, torch.tensor([[True] * 5, [False] * 5])]
    results = []
    for layer in (ours, theirs):
        seed_both(0)
        layer.build(PAIR)
        output = layer([query, value], mask=mask)
        gradients = torch.autograd.grad(output[1].square().sum(), (query, value))
        results.append((output, gradients[1]))
    assert_close(results[0][0], results[1][0])
    expected = value[1].mean(0).detach()
    torch.testing.assert_close(results[0][0][1], expected.expand(3, 4))
    if name == "Attention":  # the gradient of that mean, through the value as a value only
        torch.testing.assert_close(results[0][1][1], (3 * 2 / 5 * expected).expand(5, 4))


@pytest.mark.parametrize("kind", ["int32", "bool"])
def test_masks_of_other_dtypes(kind):
    mask = [m.astype(kind) for m in MASK]
    compare_layer("Attention", {}, PAIR, mask=mask)


@pytest.mark.parametrize("batch", [(2, 3), ()], ids=str)
def test_more_or_fewer_axes(batch):
    compare_layer(
        "Attention", {"use_scale": True}, [(*batch, 3, 4), (*batch, 5, 4)], symbolic=False
    )


def test_masks_come_from_the_inputs_and_go_on():
    ids = torch.tensor([[1, 2, 0, 0], [3, 4, 1, 0]])

    def model(library):
        library.utils.set_random_seed(0)
        x = library.Input((4,), dtype="int32")
        embedded = library.layers.Embedding(5, 6, mask_zero=True)(x)
        attended = library.layers.Attention()([embedded, embedded])
        added = library.layers.AdditiveAttention()([attended, embedded])
        return library.Model(x, library.layers.LSTM(2)(added))

    assert_close(*(model(library)(ids) for library in (torchkeras, keras)))
    embedded = torch.randn(2, 4, 6)
    embedded._keras_mask = ids != 0
    for layer in make_pair("Attention"):
        assert torch.equal(layer([embedded, embedded])._keras_mask, ids != 0)


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_symbolic_call_with_scores(name):
    specs = []
    for library in (torchkeras, keras):
        query, value = library.Input((None, 4)), library.Input((5, 4))
        layer = getattr(library.layers, name)()
        outputs = layer([query, value], return_attention_scores=True)
        specs.append([(tuple(t.shape), t.dtype) for t in as_list(outputs)])
    assert specs[0] == specs[1]


@pytest.mark.parametrize(
    ("action", "match"),
    [
        (lambda k: k.layers.Attention(score_mode="scaled_dot"), "{'dot', 'concat'}"),
        (lambda k: k.layers.Attention()(torch.ones(2, 3, 4)), "called on a list"),
        (lambda k: k.layers.Attention()([torch.ones(2, 3, 4)]), "length 2 or 3"),
        (lambda k: k.layers.Attention()([torch.ones(2, 3, 4)] * 4), "length 2 or 3"),
        (
            lambda k: k.layers.Attention()([torch.ones(2, 3, 4)] * 2, mask=torch.ones(2, 3)),
            "mask must be a list",
        ),
        (
            lambda k: k.layers.Attention()([torch.ones(2, 3, 4)] * 2, mask=[torch.ones(2, 3)]),
            "length 2 or 3",
        ),
    ],
)
def test_errors(action, match):
    assert_same_error(action, match)


def test_a_subclass_with_its_own_scores():
    def make(library):
        class Distances(library.layers.Attention):
            def _calculate_scores(self, query, key):
                return -torch.cdist(query, key)

        return Distances(name="layer")

    ours, theirs = make_pair(make)
    query, value = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    assert_close(ours([query, value]), theirs([query, value]))
