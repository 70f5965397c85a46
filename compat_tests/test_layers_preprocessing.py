"""`Rescaling`, `Normalization` and `TorchModuleWrapper` against Keras."""

import copy

import keras
import numpy as np
import pytest
import torch
from oracle import (
    assert_close,
    assert_same_config,
    assert_same_error,
    assert_same_symbolic,
    assert_same_variables,
    compare_layer,
    make_pair,
    random_input,
    rounded,
    run,
    to_numpy,
)
from torch.utils.data import DataLoader, TensorDataset

import torchkeras
from torchkeras.registry import deserialize_keras_object, serialize_keras_object


@pytest.mark.parametrize("input_dtype", ["float32", "uint8", "int64", "float64"])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"scale": 1 / 255},
        {"scale": 2, "offset": -1.0},
        {"scale": [1.0, 2.0, 3.0], "offset": [0.5, 0.0, -0.5]},
        {"scale": np.array([1.0, 2.0, 3.0]), "offset": 0.5},
    ],
    ids=str,
)
def test_rescaling(kwargs, input_dtype):
    compare_layer("Rescaling", kwargs, (2, 4, 3), input_dtype=input_dtype, config=_plain(kwargs))


def _plain(kwargs):
    return not any(isinstance(value, np.ndarray) for value in kwargs.values())


def test_rescaling_config_with_arrays():
    ours, theirs = make_pair("Rescaling", {"scale": np.array([1.0, 2.0])})
    config = theirs.get_config()
    assert rounded(ours.get_config()) == rounded(config)
    assert type(ours).from_config(config).scale.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", ["float16", "mixed_bfloat16", "float64"])
def test_rescaling_dtypes(dtype):
    compare_layer("Rescaling", {"scale": 0.5, "offset": 1.0, "dtype": dtype}, (2, 3))


def test_rescaling_of_channels_first():
    former = keras.config.image_data_format()
    try:
        for library in (keras, torchkeras):
            library.config.set_image_data_format("channels_first")
        compare_layer("Rescaling", {"scale": [1.0, 2.0, 3.0]}, (2, 3, 4, 4))
    finally:
        for library in (keras, torchkeras):
            library.config.set_image_data_format(former)


# Normalization -----------------------------------------------------------------------------------

GIVEN = [
    ({"mean": 3.0, "variance": 2.0}, (2, 3)),
    ({"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 9.0]}, (2, 3)),
    ({"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 0.0], "invert": True}, (2, 4, 3)),
    ({"mean": 3.0, "variance": 2.0, "axis": None}, (2, 3)),
    ({"mean": [1.0, 2.0], "variance": [1.0, 2.0], "axis": 1}, (3, 2, 4)),
    ({"mean": [1.0, 2.0], "variance": [1.0, 2.0], "axis": (1, 2)}, (3, 4, 2)),
    ({"mean": [[1.0, 2.0]] * 3, "variance": [[1.0, 2.0]] * 3, "axis": (1, -1)}, (4, 3, 2)),
]


@pytest.mark.parametrize(("kwargs", "shape"), GIVEN, ids=str)
def test_given_statistics(kwargs, shape):
    compare_layer("Normalization", kwargs, shape, output_shapes=[(None, *shape[1:])])


AXES = [-1, 1, (1, 2), None, (-1,), [0], 2]


def adapted(kwargs, data):
    pair = make_pair("Normalization", kwargs)
    for layer in pair:
        layer.adapt(data)
    return pair


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_adapt_to_an_array(axis, invert):
    data = random_input((6, 3, 4))
    ours, theirs = adapted({"axis": axis, "invert": invert}, data)
    # One pass here, two in NumPy.
    assert_close(ours.weights, theirs.weights, rtol=1e-5, atol=1e-6)
    assert_same_variables(ours, theirs, values=False)
    a, b = run(ours, data), run(theirs, data)
    assert_close(a.outputs, b.outputs, rtol=1e-4, atol=1e-5)
    assert_close(a.input_grads, b.input_grads, rtol=1e-4, atol=1e-5)
    assert_same_config(ours, theirs)
    full = keras.saving.serialize_keras_object(theirs)
    assert rounded(serialize_keras_object(ours)) == rounded(full)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float64", "float16"])
def test_adapt_to_other_dtypes(dtype):
    data = random_input((20, 3), dtype, high=9)
    ours, theirs = adapted({}, data)
    bound = {"rtol": 2e-3, "atol": 2e-3} if dtype == "float16" else {"rtol": 1e-5, "atol": 1e-6}
    assert_close(ours.weights, theirs.weights, **bound)


def test_adapt_to_a_tensor():
    data = torch.tensor(random_input((20, 3)))
    ours, theirs = adapted({}, data)
    assert_close(ours.weights, theirs.weights, rtol=1e-5, atol=1e-6)


# Keras on torch adapts to batches only where TensorFlow is installed, so these compare with data
# adapted to as a whole.


def adapted_to_batches(kwargs, batches, whole):
    ours = torchkeras.layers.Normalization(**kwargs)
    ours.adapt(batches)
    theirs = keras.layers.Normalization(**kwargs)
    theirs.adapt(whole)
    assert_close(ours.weights, theirs.weights, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("axis", [-1, None, (1, 2)], ids=str)
def test_adapt_to_batches(axis):
    data = [random_input((n, 3, 4), seed=n) for n in (5, 2, 7)]
    adapted_to_batches({"axis": axis}, data, np.concatenate(data))
    adapted_to_batches({"axis": axis}, (batch for batch in data), np.concatenate(data))


def test_adapt_to_a_data_loader():
    x = random_input((20, 3))
    data = TensorDataset(torch.tensor(x), torch.zeros(20))
    adapted_to_batches({}, DataLoader(data, batch_size=6), x)


def test_adapt_replaces_what_was_learned():
    ours, theirs = adapted({}, random_input((4, 3)))
    for layer in (ours, theirs):
        layer.adapt(random_input((4, 3), seed=3))
    assert_close(ours.weights, theirs.weights, rtol=1e-5, atol=1e-6)


def test_adapt_after_a_symbolic_call():
    ours, theirs = make_pair("Normalization")
    for layer, library in ((ours, torchkeras), (theirs, keras)):
        layer(library.Input(shape=(3,)))
        layer.adapt(random_input((9, 3)))
    x = random_input((2, 3), seed=5)
    assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_unadapted_is_the_identity_in_both():
    compare_layer("Normalization", {}, (2, 3), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "mixed_bfloat16", "float64"])
def test_normalization_dtypes(dtype):
    bound = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float64" else {}
    data = random_input((9, 3))
    ours, theirs = adapted({"dtype": dtype}, data)
    assert_close(ours.weights, theirs.weights, **{"rtol": 1e-5, "atol": 1e-6, **bound})
    assert_close(ours(data), theirs(data), **bound)


@pytest.mark.parametrize("direction", ["to Keras", "from Keras"])
def test_files_carry_the_statistics(direction):
    kwargs = {"axis": (1, 2)}
    pair = adapted(kwargs, random_input((6, 3, 4)))
    fresh = make_pair("Normalization", kwargs)
    source, target = (pair[0], fresh[1]) if direction == "to Keras" else (pair[1], fresh[0])
    target.build((None, 3, 4))
    store = {}
    source.save_own_variables(store)
    target.load_own_variables({key: to_numpy(value) for key, value in store.items()})
    x = random_input((2, 3, 4), seed=8)
    assert_close(target(x), source(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.layers.Normalization(mean=1.0),
        lambda k: k.layers.Normalization(variance=1.0),
        lambda k: k.layers.Normalization(mean=[1.0, 2.0], variance=1.0),
        lambda k: k.layers.Normalization(mean=[[1.0]], variance=[[1.0]]),
        lambda k: k.layers.Normalization(axis=3)(torch.ones(2, 3)),
        lambda k: k.layers.Normalization(axis=0)(k.Input(shape=(3,))),
        lambda k: k.layers.Normalization()(k.Input(shape=(None,))),
        lambda k: _adapted(k).adapt(np.ones((4, 5))),
    ],
)
def test_normalization_errors(action):
    assert_same_error(action)


def _adapted(k):
    layer = k.layers.Normalization()
    layer.adapt(np.ones((4, 3)))
    return layer


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ([], ValueError),
        (3, TypeError),
        (["a"], TypeError),
        ([np.ones((4, 3)), np.ones((4, 5))], ValueError),
        ([np.ones((4, 3)), np.ones(3)], ValueError),
    ],
)
def test_data_that_adapt_refuses(data, error):
    with pytest.raises(error, match="Normalization"):
        torchkeras.layers.Normalization().adapt(data)


def test_adapt_refuses_given_statistics():
    with pytest.raises(ValueError, match="mean"):
        torchkeras.layers.Normalization(mean=1.0, variance=1.0).adapt(np.ones((2, 3)))


# TorchModuleWrapper ------------------------------------------------------------------------------


def network():
    torch.manual_seed(0)
    nn = torch.nn
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))


@pytest.mark.parametrize("training", [False, True])
def test_wrapped_module(training):
    results = []
    for layer in make_pair(lambda k: k.layers.TorchModuleWrapper(network(), name="layer")):
        torch.manual_seed(1)
        result = run(layer, random_input((5, 4)), gradients=False, training=training)
        results.append([result.outputs, *layer.module.state_dict().values()])
        assert len(layer.trainable_weights) == 4
    assert_close(*results)


def test_wrapper_saves_the_whole_state():
    ours, theirs = make_pair(lambda k: k.layers.TorchModuleWrapper(network(), name="layer"))
    stores = ({}, {})
    for layer, store in zip((ours, theirs), stores, strict=True):
        layer(torch.ones(5, 4), training=True)
        layer.save_own_variables(store)
    assert list(stores[0]) == list(stores[1])
    fresh = torchkeras.layers.TorchModuleWrapper(network())
    fresh.load_own_variables(stores[1])
    for key, value in fresh.module.state_dict().items():
        np.testing.assert_allclose(value.numpy(), stores[1][key], rtol=1e-6)


def test_wrapper_output_shape():
    kwargs = {"module": torch.nn.Linear(4, 3)}
    layer = torchkeras.layers.TorchModuleWrapper(**kwargs)
    assert layer.compute_output_shape((None, 4)) == (None, 3)
    assert layer(torchkeras.Input(shape=(4,))).shape == (None, 3)
    given = torchkeras.layers.TorchModuleWrapper(**kwargs, output_shape=(None, 3))
    assert given.compute_output_shape((None, 4)) == (None, 3)


@pytest.mark.parametrize("writer", [keras, torchkeras])
def test_wrapper_pickles_interchange(writer):
    torch.manual_seed(0)
    module = torch.nn.Linear(4, 3)
    layer = writer.layers.TorchModuleWrapper(module, name="wrapped")
    config = writer.saving.serialize_keras_object(layer)
    for reader in (keras, torchkeras):
        with pytest.raises(ValueError, match="arbitrary code execution"):
            reader.saving.deserialize_keras_object(copy.deepcopy(config))
        loaded = reader.saving.deserialize_keras_object(copy.deepcopy(config), safe_mode=False)
        assert loaded.name == "wrapped" and loaded.module.weight.equal(module.weight)


def test_wrapper_takes_the_module_it_is_offered():
    theirs = keras.layers.TorchModuleWrapper(torch.nn.Linear(4, 3), name="wrapped")
    config = keras.saving.serialize_keras_object(theirs)
    module = torch.nn.Linear(4, 3)
    layer = deserialize_keras_object(config, custom_objects={"wrapped": module})
    assert layer.module is module and layer.name == "wrapped"
    layer = deserialize_keras_object(config, custom_objects={"Linear": lambda: module})
    assert layer.module is module


def test_lazy_modules():
    assert_same_error(lambda k: k.layers.TorchModuleWrapper(torch.nn.LazyLinear(3)))


def test_symbolic_normalization():
    assert_same_symbolic("Normalization", {"axis": None}, random_input((2, 3)))
