"""Low-rank adapters of `Dense`, `EinsumDense` and `Embedding` against Keras."""

import keras
import numpy as np
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
    to_numpy,
)

import torchkeras

IDS = np.array([[0, 3], [6, 1]])
# Name, arguments, inputs, the adapted weight.
LAYERS = [
    ("Dense", {"units": 3}, random_input((2, 4)), "kernel"),
    (
        "Dense",
        {"units": 3, "use_bias": False, "activation": "relu"},
        random_input((2, 5, 4)),
        "kernel",
    ),
    (
        "EinsumDense",
        {"equation": "abc,cde->abde", "output_shape": (None, 3, 5), "bias_axes": "de"},
        random_input((2, 3, 4)),
        "kernel",
    ),
    (
        "EinsumDense",
        {"equation": "abc,bcd->abd", "output_shape": (3, 5)},
        random_input((2, 3, 4)),
        "kernel",
    ),
    ("Embedding", {"input_dim": 7, "output_dim": 5}, IDS, "embeddings"),
    (
        "ReversibleEmbedding",
        {"input_dim": 7, "output_dim": 5},
        IDS,
        "embeddings",
    ),
]
LAYERS = [pytest.param(*layer, id=f"{i} {layer[0]}") for i, layer in enumerate(LAYERS)]
POLICIES = ["float32", "mixed_bfloat16", "float16"]


def fill(target):
    def prepare(layer):
        for side, seed in (("a", 3), ("b", 4)):
            adapter = getattr(layer, f"lora_{target}_{side}")
            adapter.assign(random_input(tuple(adapter.shape), seed=seed))

    return prepare


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("name", "kwargs", "x", "target"), LAYERS)
def test_by_argument(name, kwargs, x, target, policy):
    # Without `lora_alpha`, which Keras's `Dense` and `Embedding` forget at build.
    kwargs = {**kwargs, "lora_rank": 2, "dtype": policy}
    bound = {} if policy == "float32" else {"rtol": 0.05, "atol": 0.05}
    ours, theirs = compare_layer(name, kwargs, inputs=x, prepare=fill(target), **bound)
    assert ours.lora_enabled and (ours.lora_rank, ours.lora_alpha) == (2, 2)
    assert_close(getattr(ours, target), getattr(theirs, target), **bound)
    assert_close(getattr(ours, f"_{target}"), getattr(theirs, f"_{target}"))


@pytest.mark.parametrize(("name", "kwargs", "x", "target"), LAYERS)
def test_enabled_later(name, kwargs, x, target):
    ours, theirs = make_pair(name, {**kwargs, f"{target}_regularizer": "l2"})
    for layer in (ours, theirs):
        seed_both(1)
        layer.build(x.shape)
        layer.enable_lora(2, lora_alpha=3.0, a_initializer="he_normal", b_initializer="ones")
    assert ours.lora_alpha == 3.0
    assert_same_variables(ours, theirs)
    a, b = run(ours, x), run(theirs, x)
    assert_close(a.outputs, b.outputs)
    assert_close(a.weight_grads, b.weight_grads)
    assert_close(sum(ours.losses), sum(theirs.losses))
    config = theirs.get_config()
    assert ours.get_config() == config and config["lora_rank"] == 2


@pytest.mark.parametrize(("name", "kwargs", "x", "target"), LAYERS)
def test_state(name, kwargs, x, target):
    """Files hold the sum, and nothing of the adapters; they start at zero when it is loaded."""
    ours, theirs = make_pair(name, {**kwargs, "lora_rank": 2})
    stores = {}, {}
    for layer, store in zip((ours, theirs), stores, strict=True):
        seed_both(1)
        layer.build(x.shape)
        fill(target)(layer)
        layer.save_own_variables(store)
    assert list(stores[0]) == list(stores[1])
    assert_close(list(stores[0].values()), list(stores[1].values()))
    before = ours(torch.tensor(x))
    for layer, store in ((ours, stores[1]), (theirs, stores[0])):
        layer.load_own_variables({key: to_numpy(value) for key, value in store.items()})
    assert_close(ours.weights, theirs.weights)
    assert_close(ours(torch.tensor(x)), before)
    plain = make_pair(name, kwargs)[0]
    plain.build(x.shape)
    plain.load_own_variables(stores[0])
    assert_close(plain(torch.tensor(x)), before)


@pytest.mark.parametrize("library", [torchkeras, keras], ids=["ours", "theirs"])
@pytest.mark.parametrize("other", [torchkeras, keras], ids=["ours", "theirs"])
def test_fine_tuned_files(tmp_path, library, other):
    def build(library, rank):
        library.utils.set_random_seed(0)
        x = library.Input((4,), dtype="int32")
        y = library.layers.Embedding(7, 6, lora_rank=rank)(x)
        y = library.layers.EinsumDense("abc,cd->abd", (None, 5), lora_rank=rank)(y)
        return library.Model(x, library.layers.Dense(3, lora_rank=rank)(y))

    model = build(library, 2)
    model.compile("adam", "mse")
    ids = np.array([[0, 3, 1, 2], [6, 1, 5, 5]])
    frozen = model.layers[-1]._kernel.numpy().copy()
    model.fit(ids, random_input((2, 4, 3)), epochs=3, verbose=0)
    assert np.array_equal(model.layers[-1]._kernel.numpy(), frozen)
    expected = model.predict(ids, verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    plain = build(other, None)
    plain.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_allclose(plain.predict(ids, verbose=0), expected, rtol=1e-4, atol=1e-5)
    plain.save_weights(tmp_path / "plain.weights.h5")
    adapted = build(library, 2)
    adapted.load_weights(tmp_path / "plain.weights.h5")
    np.testing.assert_allclose(adapted.predict(ids, verbose=0), expected, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "m.keras")
    loaded = other.saving.load_model(tmp_path / "m.keras")
    assert all(layer.lora_enabled for layer in loaded.layers[1:])
    np.testing.assert_allclose(loaded.predict(ids, verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda k, **o: k.layers.Dense(3, **o), "kernel"),
        (lambda k, **o: k.layers.EinsumDense("ab,bc->ac", 3, **o), "kernel"),
    ],
    ids=["dense", "einsum"],
)
def test_errors(make, word):
    assert_same_error(lambda k: make(k).enable_lora(2), "isn't yet built")

    def constrained(library):
        layer = make(library, kernel_constraint="max_norm")
        layer.build((2, 4))
        layer.enable_lora(2)

    def twice(library):
        layer = make(library, lora_rank=2)
        layer.build((2, 4))
        layer.enable_lora(2)

    assert_same_error(constrained, f"incompatible with {word} constraints")
    assert_same_error(twice, "already enabled")
