"""`Embedding` and `Masking` against Keras."""

import keras
import numpy as np
import pytest
import torch
from oracle import (
    assert_close,
    assert_same_config,
    assert_same_error,
    compare_layer,
    make_pair,
    random_input,
    run,
    run_on_meta,
)

import torchkeras

INDICES = np.array([[0, 3, 1, 1], [2, 0, 0, 6]])

EMBEDDINGS = [
    {"input_dim": 7, "output_dim": 3},
    {"input_dim": 7, "output_dim": 1, "mask_zero": True},
    {
        "input_dim": 9,
        "output_dim": 2,
        "embeddings_initializer": "glorot_normal",
        "embeddings_regularizer": "l2",
        "embeddings_constraint": "max_norm",
        "trainable": False,
    },
    {"input_dim": 7, "output_dim": 3, "activity_regularizer": "l1"},
]


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32"])
@pytest.mark.parametrize("kwargs", EMBEDDINGS, ids=str)
def test_embedding(kwargs, dtype):
    compare_layer(
        "Embedding",
        kwargs,
        inputs=INDICES.astype(dtype),
        gradients=kwargs.get("trainable", True),
        output_shapes=[(None, 4), (None, None), (2,), (None, 2, 3)],
    )


@pytest.mark.parametrize("shape", [(3,), (2, 0), (2, 3, 2)])
def test_any_shape_of_indices(shape):
    inputs = np.random.default_rng(0).integers(0, 7, shape)
    compare_layer("Embedding", {"input_dim": 7, "output_dim": 3}, inputs=inputs)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64", "bfloat16"])
def test_dtype_policies(policy):
    kwargs = {"input_dim": 7, "output_dim": 3, "dtype": policy}
    # Keras adds up the gradients of a row used twice in the compute dtype: one rounding more.
    loose = {"mixed_float16": 1e-3, "mixed_bfloat16": 1e-2}.get(policy)
    tolerance = {"rtol": loose} if loose else {}
    ours, theirs = compare_layer("Embedding", kwargs, inputs=INDICES, **tolerance)
    assert ours.embeddings.dtype == theirs._embeddings.value.dtype


def test_weights_argument():
    matrix = np.arange(8, dtype="float32").reshape(4, 2)
    for weights in (matrix, [matrix]):
        ours, theirs = make_pair("Embedding", {"input_dim": 4, "output_dim": 2, "weights": weights})
        assert ours.built and theirs.built
        assert_close(ours.weights, theirs.weights)
        assert_same_config(ours, theirs)


def test_input_length_is_ignored_with_a_warning():
    for library in (keras, torchkeras):
        with pytest.warns(UserWarning, match="input_length"):
            layer = library.layers.Embedding(4, 2, input_length=5)
        assert "input_length" not in layer.get_config()
        assert tuple(layer(torch.zeros((1, 3), dtype=torch.int32)).shape) == (1, 3, 2)


@pytest.mark.parametrize("bad", [0, -1, 2.5, "3", True, None])
def test_sizes_must_be_positive_integers(bad):
    assert_same_error(lambda k: k.layers.Embedding(bad, 2), "input_dim")
    assert_same_error(lambda k: k.layers.Embedding(2, bad), "output_dim")


def test_lora():
    # Keras forgets the constructor's `lora_alpha` at build; ours keeps it (tests/layers).
    kwargs = {"input_dim": 7, "output_dim": 3, "lora_rank": 2}

    def prepare(layer):
        values = np.random.default_rng(0).normal(size=(2, 3))
        layer.lora_embeddings_b.assign(values.astype("float32"))

    ours, theirs = compare_layer("Embedding", kwargs, inputs=INDICES, prepare=prepare)
    stores = {}, {}
    ours.save_own_variables(stores[0])
    theirs.save_own_variables(stores[1])
    assert_close(stores[0]["0"], stores[1]["0"])
    for layer, store in zip((ours, theirs), stores, strict=True):
        layer.load_own_variables({"0": store["0"].detach()})
    assert_close(ours.weights, theirs.weights)
    assert_close(run(ours, INDICES, False).outputs, run(theirs, INDICES, False).outputs)


def test_lora_errors():
    assert_same_error(lambda k: k.layers.Embedding(4, 2).enable_lora(2), "build")

    def twice(library):
        layer = library.layers.Embedding(4, 2, lora_rank=2)
        layer.build()
        layer.enable_lora(2)

    assert_same_error(twice, "already")

    def constrained(library):
        layer = library.layers.Embedding(4, 2, embeddings_constraint="non_neg")
        layer.build()
        layer.enable_lora(2)

    assert_same_error(constrained, "constraint")


# ReversibleEmbedding -----------------------------------------------------------------------------

REVERSIBLE = [
    {},
    {"tie_weights": False, "embeddings_initializer": "he_normal"},
    {"mask_zero": True},
    {"logit_soft_cap": 0.05, "embeddings_regularizer": "l2"},
    {"reverse_dtype": "float16"},
    {"lora_rank": 2},
    {"dtype": "mixed_bfloat16", "tie_weights": False},
]


@pytest.mark.parametrize("kwargs", REVERSIBLE, ids=str)
def test_reversible(kwargs):
    kwargs = {"input_dim": 7, "output_dim": 3, **kwargs}
    half = "16" in str(kwargs)
    bound = {"rtol": 0.05, "atol": 0.02} if half else {}
    ours, theirs = compare_layer("ReversibleEmbedding", kwargs, inputs=INDICES, **bound)
    x = random_input((2, 5, 3))
    a, b = run(ours, x, reverse=True), run(theirs, x, reverse=True)
    assert_close(a.outputs, b.outputs, **bound)
    assert_close(a.input_grads, b.input_grads, **bound)
    assert_close(a.weight_grads, b.weight_grads, **bound)
    assert a.masks == b.masks == [None]
    for shape in ((2, 3), (None, 4, 3)):
        ours_shape = ours.compute_output_shape(shape, reverse=True)
        assert tuple(ours_shape) == tuple(theirs.compute_output_shape(shape, reverse=True))


@pytest.mark.parametrize("kwargs", REVERSIBLE[:4], ids=str)
def test_reversible_in_a_model(kwargs):
    def model(library):
        library.utils.set_random_seed(0)
        x = library.Input((4,))  # floating indices, as old scripts have them
        layer = library.layers.ReversibleEmbedding(7, 3, **kwargs)
        hidden = library.layers.LSTM(3, return_sequences=True)(layer(x))
        return library.Model(x, layer(hidden, reverse=True))

    ids = torch.tensor([[1, 0, 3, 0], [6, 5, 0, 2]])
    ours, theirs = model(torchkeras), model(keras)
    assert ours.output.shape == theirs.output.shape
    assert_close(ours(ids), theirs(ids))


SEQUENCES = np.array([[[1, 2], [0, 0], [3, 0]], [[0, 0], [0, 0], [np.nan, 1]]], dtype="float32")


@pytest.mark.parametrize("value", [0.0, 1.0, -1, [0.0, 0.0], [3.0, 0.0]], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_masking(value, dtype):
    inputs = np.nan_to_num(SEQUENCES).astype(dtype)
    if isinstance(value, list):
        value = np.array(value, dtype=dtype)
    compare_layer(
        "Masking",
        {"mask_value": value},
        inputs=inputs,
        config=not isinstance(value, np.ndarray),
        output_shapes=[(None, 3, 2), (None, None, None)],
        symbolic=not isinstance(value, np.ndarray),
    )


def test_masking_keeps_nan_and_the_policy():
    compare_layer("Masking", {"dtype": "mixed_float16"}, inputs=SEQUENCES)


def test_masks_reach_the_next_layer():
    def model(library):
        library.utils.set_random_seed(0)
        return library.Sequential(
            [
                library.layers.Embedding(7, 4, mask_zero=True),
                library.layers.LSTM(3, return_sequences=True),
                library.layers.LSTM(2),
            ]
        )

    outputs = [model(library)(torch.tensor(INDICES)) for library in (torchkeras, keras)]
    assert_close(*outputs)


def test_embedding_trains_on_meta():
    layer = run_on_meta("Embedding", {"input_dim": 7, "output_dim": 3}, INDICES)
    assert layer.embeddings.grad.is_meta
