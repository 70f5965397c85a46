"""`Dense`, `EinsumDense`, `Identity`, `Lambda` against Keras."""

import keras
import numpy as np
import pytest
import torch
from oracle import (
    assert_close,
    assert_same_error,
    assert_same_output_shape,
    assert_same_symbolic,
    compare_layer,
    make_pair,
    random_input,
    run,
)

import torchkeras
from torchkeras.registry import deserialize_keras_object, serialize_keras_object

DENSE = [
    {"units": 3},
    {"units": 1, "use_bias": False},
    {"units": 5, "activation": "relu"},
    {"units": 5, "activation": "softmax", "kernel_initializer": "he_normal"},
    {
        "units": 2,
        "bias_initializer": "ones",
        "kernel_regularizer": "l2",
        "bias_constraint": "non_neg",
    },
    {"units": 4, "trainable": False},
    {"units": 3, "activity_regularizer": "l1", "activation": "tanh"},
]


@pytest.mark.parametrize("shape", [(2, 4), (1, 1), (2, 3, 4), (2, 1, 3, 4), (0, 4)])
@pytest.mark.parametrize("kwargs", DENSE, ids=str)
def test_dense(kwargs, shape):
    compare_layer("Dense", kwargs, shape, output_shapes=[(None, 4), (None, None, 4), (2, 3, 4)])


DTYPES = ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 8), (2, 3, 8)])
def test_dense_dtypes(dtype, shape):
    compare_layer("Dense", {"units": 3, "activation": "relu", "dtype": dtype}, shape)


@pytest.mark.parametrize("shape", [(4, 8), (2, 3, 8)])
def test_dense_in_float64(shape):
    # Keras rounds float64 products to float32; here they are exact. Hence the bound.
    kwargs = {"units": 3, "dtype": "float64"}
    compare_layer("Dense", kwargs, shape, input_dtype="float64", rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("input_dtype", ["int32", "uint8", "bool", "float64", "float16"])
def test_dense_input_dtypes(input_dtype):
    compare_layer("Dense", {"units": 3}, (2, 4), input_dtype=input_dtype)


def test_dense_without_autocast_promotes():
    compare_layer("Dense", {"units": 3, "autocast": False}, (2, 4), input_dtype="float64")


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.Dense(0),
        lambda k: k.layers.Dense(-1),
        lambda k: k.layers.Dense("3"),
        lambda k: k.layers.Dense(2.5),
        lambda k: k.layers.Dense(None),
        lambda k: k.layers.Dense(3, activation="no_such"),
        lambda k: k.layers.Dense(3, kernel_initializer="no_such"),
        lambda k: k.layers.Dense(3, kernel_regularizer="no_such"),
        lambda k: k.layers.Dense(3, bias_constraint="no_such"),
        lambda k: k.layers.Dense(3, no_such=1),
        lambda k: k.layers.Dense(3)(torch.ones(4)),
        lambda k: k.layers.Dense(3)(k.Input(shape=())),
        lambda k: _after(k.layers.Dense(3), torch.ones(2, 4))(torch.ones(2, 5)),
        lambda k: _after(k.layers.Dense(3), torch.ones(2, 4))(k.Input(shape=(5,))),
    ],
)
def test_dense_errors(action):
    assert_same_error(action)


def _after(layer, x):
    layer(x)
    return layer


def test_dense_accepts_numpy_sizes_which_keras_refuses():
    layer = torchkeras.layers.Dense(np.int64(3))
    assert layer.units == 3 and type(layer.units) is int


def test_state_dict_names():
    layer = torchkeras.layers.Dense(3)
    layer.build((None, 4))
    assert list(layer.state_dict()) == ["kernel", "bias"]


def test_activation_may_be_replaced():
    ours, theirs = make_pair("Dense", {"units": 3})
    x = random_input((2, 4))
    for layer in (ours, theirs):
        layer.build((None, 4))
    theirs.set_weights(ours.get_weights())
    ours.activation = torchkeras.activations.tanh
    theirs.activation = keras.activations.tanh
    assert_close(ours(x), theirs(x))


# EinsumDense -------------------------------------------------------------------------------------

EINSUM = [
    ({"equation": "ab,bc->ac", "output_shape": 5, "bias_axes": "c"}, (2, 4)),
    ({"equation": "abc,cd->abd", "output_shape": (None, 5), "bias_axes": "d"}, (2, 3, 4)),
    ({"equation": "...x,xy->...y", "output_shape": 5, "bias_axes": "y"}, (2, 3, 3, 4)),
    ({"equation": "...x,xy->...y", "output_shape": 5}, (2, 4)),
    ({"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "bias_axes": "de"}, (2, 5, 4)),
    ({"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "bias_axes": "e"}, (2, 5, 4)),
    ({"equation": "abcd,cde->abe", "output_shape": (None, 6), "bias_axes": "e"}, (2, 5, 4, 3)),
    ({"equation": "abc,cd->abd", "output_shape": (3, 5), "bias_axes": "bd"}, (2, 3, 4)),
    ({"equation": "abc,bd->acd", "output_shape": (4, 5), "bias_axes": "d"}, (2, 3, 4)),
    ({"equation": "ab...,bc->ac...", "output_shape": 5, "bias_axes": "c"}, (2, 3, 4)),
    ({"equation": "abc,bd->adc", "output_shape": (5, 4)}, (2, 3, 4)),
    ({"equation": "ab,cb->ac", "output_shape": 5, "activation": "relu"}, (2, 4)),
    (
        {
            "equation": "abc,cde->abde",
            "output_shape": (None, 2, 3),
            "kernel_initializer": "he_uniform",
            "kernel_constraint": "max_norm",
            "activity_regularizer": "l2",
        },
        (2, 5, 4),
    ),
]


@pytest.mark.parametrize(("kwargs", "shape"), EINSUM, ids=lambda v: str(v)[:60])
def test_einsum_dense(kwargs, shape):
    unknown = (None, *shape[1:])
    compare_layer("EinsumDense", kwargs, shape, output_shapes=[shape, unknown])


@pytest.mark.parametrize("dtype", ["float16", "mixed_bfloat16", "float64"])
def test_einsum_dense_dtypes(dtype):
    kwargs = {"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "bias_axes": "de"}
    compare_layer("EinsumDense", {**kwargs, "dtype": dtype}, (2, 5, 4))


@pytest.mark.parametrize(
    ("equation", "output_shape", "bias_axes", "shape"),
    [
        ("abc", 5, None, (2, 3, 4)),
        ("ab,bc", 5, None, (2, 3)),
        ("a...b,bc->a...c", 5, None, (2, 3, 4)),
        ("abc,cd->abd", (7, 5), None, (2, 3, 4)),
        ("ab,bc->ad", 5, None, (2, 3)),
        ("ab,bcd->ac", 5, None, (2, 3)),
        ("ab,bc->ac", 5, "z", (2, 3)),
    ],
)
def test_einsum_dense_errors(equation, output_shape, bias_axes, shape):
    def action(k):
        k.layers.EinsumDense(equation, output_shape, bias_axes=bias_axes)(torch.ones(shape))

    assert_same_error(action)


# Identity, Lambda --------------------------------------------------------------------------------


@pytest.mark.parametrize("input_dtype", ["float32", "int64", "bool"])
def test_identity(input_dtype):
    compare_layer("Identity", {}, (2, 3), input_dtype=input_dtype, output_shapes=[(None, 3)])


def test_identity_of_structures():
    compare_layer("Identity", {}, [(2, 3), (2,)], symbolic=False)


def double(x):
    return x * 2


def shifted(x, by=1.0, training=None, mask=None):
    x = x + by
    return x * 10 if training else x


@pytest.mark.parametrize("training", [None, False, True])
def test_lambda_calls_the_function(training):
    compare_layer(
        lambda k: k.layers.Lambda(shifted, arguments={"by": 2.0}, name="layer"),
        None,
        (2, 3),
        training=training,
        config=False,
        output_shapes=[(None, 3), (2, 3)],
    )


@pytest.mark.parametrize("output_shape", [(4,), (None, 2), lambda s: (s[0], 9)])
def test_lambda_output_shape(output_shape):
    ours, theirs = make_pair(lambda k: k.layers.Lambda(double, output_shape=output_shape))
    assert_same_output_shape(ours, theirs, (None, 3), (2, 3))


def test_lambda_masks():
    def build(k):
        return k.layers.Lambda(double, mask=lambda x, m: m, name="layer")

    ours, theirs = make_pair(build)
    for layer in (ours, theirs):
        x = torch.ones(2, 3)
        x._keras_mask = torch.tensor([True, False])
        assert layer(x)._keras_mask.tolist() == [True, False]


def test_lambda_config_of_a_lambda_is_kerass():
    ours, theirs = make_pair(
        lambda k: k.layers.Lambda(
            lambda x, n=3: x + n, output_shape=(3,), arguments={"n": 4}, name="layer"
        )
    )
    config = theirs.get_config()
    # The code objects differ in their line numbers' file positions only if they are two lambdas.
    assert set(ours.get_config()) == set(config)
    code = ours.get_config()["function"]
    assert code["class_name"] == "__lambda__"
    assert set(code["config"]) == {"code", "defaults", "closure"}
    assert code == config["function"]


def test_lambda_code_is_refused_unless_asked_for():
    _, theirs = make_pair(lambda k: k.layers.Lambda(lambda x: x + 1, name="layer"))
    config = keras.saving.serialize_keras_object(theirs)
    with pytest.raises(ValueError, match="safe_mode=False"):
        deserialize_keras_object(config)
    with pytest.raises(ValueError, match="safe_mode=False"):
        torchkeras.layers.Lambda.from_config(config["config"])
    layer = deserialize_keras_object(config, safe_mode=False)
    assert layer(torch.zeros(2)).tolist() == [1.0, 1.0]


def test_keras_reads_our_lambda():
    ours, _ = make_pair(lambda k: k.layers.Lambda(lambda x: x + 1, name="layer"))
    theirs = keras.saving.deserialize_keras_object(serialize_keras_object(ours), safe_mode=False)
    assert theirs(torch.zeros(2)).tolist() == [1.0, 1.0]


def test_lambda_of_a_registered_function():
    @torchkeras.registry.register_keras_serializable("test_layers_core")
    def plus_one(x):
        return x + 1

    config = serialize_keras_object(torchkeras.layers.Lambda(plus_one))
    assert deserialize_keras_object(config)(torch.zeros(1)).tolist() == [1.0]


def test_lambda_of_a_torch_function():
    layer = torchkeras.layers.Lambda(torch.relu)
    assert layer(torch.tensor([-1.0, 1.0])).tolist() == [0.0, 1.0]


def test_symbolic_lambda():
    assert_same_symbolic(lambda k: k.layers.Lambda(double), None, random_input((2, 3)))


def test_run_reports_gradients():
    ours, _ = make_pair("Dense", {"units": 2})
    result = run(ours, random_input((2, 3)))
    assert [g.shape for g in result.weight_grads] == [(3, 2), (2,)]


# InputLayer and Wrapper --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda k: k.layers.InputLayer(), "`shape`"),
        (lambda k: k.layers.InputLayer((2,), batch_shape=(1, 2)), "`batch_shape`"),
        (lambda k: k.layers.InputLayer(batch_size=1, batch_shape=(1, 2)), "`batch_size`"),
        (lambda k: k.layers.InputLayer((2,), sparse=True), "`sparse=True` is not supported"),
        (lambda k: k.layers.InputLayer((2,), ragged=True), "`ragged=True` is not supported"),
        (lambda k: k.layers.InputLayer(input_tensor=np.ones(2)), "`input_tensor`"),
        *(
            (
                lambda k, options=options: k.layers.InputLayer(
                    input_tensor=k.KerasTensor((2, 3)), **options
                ),
                f"incompatible `{next(iter(options))}`",
            )
            for options in (
                {"shape": (2,)},
                {"batch_shape": (3, 3)},
                {"batch_size": 4},
                {"dtype": "int32"},
                {"sparse": True},
            )
        ),
        (lambda k: k.layers.Wrapper("Dense"), "Dense"),
    ],
)
def test_what_an_entry_cannot_be(make, match):
    assert_same_error(make, match)


def test_an_entry_made_of_a_tensor():
    options = {"shape": (3,), "batch_size": 2, "dtype": "float32", "sparse": False}
    for library in (torchkeras, keras):
        tensor = library.KerasTensor((2, 3))
        layer = library.layers.InputLayer(input_tensor=tensor, **options)
        assert layer.output is tensor and layer.batch_shape == (2, 3) and layer.call() is None
