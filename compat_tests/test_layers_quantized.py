"""Quantized `Dense`, `EinsumDense` and embeddings against Keras: weights, outputs, files."""

import warnings

import keras
import numpy as np
import pytest
import torch
from oracle import (
    assert_close,
    assert_same_config,
    assert_same_error,
    assert_same_variables,
    copy_weights,
    make_pair,
    random_input,
    run,
    to_numpy,
)

import torchkeras

LIBRARIES = {"ours": torchkeras, "theirs": keras}
IDS = np.array([[0, 3], [6, 1]])
EINSUM = {"equation": "abc,cde->abde", "output_shape": (None, 3, 5), "bias_axes": "de"}
# Name, arguments, inputs.
KERNELS = {
    "dense": ("Dense", {"units": 3}, random_input((2, 9))),
    "dense 3d": (
        "Dense",
        {"units": 6, "use_bias": False, "activation": "relu"},
        random_input((2, 5, 4)),
    ),
    "one axis": ("EinsumDense", EINSUM, random_input((2, 3, 4))),
    "two axes": (
        "EinsumDense",
        {"equation": "btnh,nhd->btd", "output_shape": (None, 6), "bias_axes": "d"},
        random_input((2, 3, 2, 4)),
    ),
    "batched": (
        "EinsumDense",
        {"equation": "abc,bcd->abd", "output_shape": (3, 5)},
        random_input((2, 3, 4)),
    ),
    "turned": (
        "EinsumDense",
        {"equation": "ab,cb->ac", "output_shape": 5, "activation": "tanh"},
        random_input((2, 4)),
    ),
}
EMBEDDINGS = {
    "embedding": ("Embedding", {"input_dim": 7, "output_dim": 6}, IDS),
    "odd": ("Embedding", {"input_dim": 7, "output_dim": 5, "mask_zero": True}, IDS),
    "tied": ("ReversibleEmbedding", {"input_dim": 7, "output_dim": 6}, IDS),
    "untied": ("ReversibleEmbedding", {"input_dim": 7, "output_dim": 5, "tie_weights": False}, IDS),
}
LAYERS = {**KERNELS, **EMBEDDINGS}
MODES = {
    "int8": lambda q: "int8",
    "int8 weights": lambda q: q.Int8QuantizationConfig(activation_quantizer=None),
    "int8 narrow": lambda q: q.Int8QuantizationConfig(
        activation_quantizer=q.AbsMaxQuantizer(value_range=(-15, 15))
    ),
    "int4": lambda q: "int4",
    "int4 blocks": lambda q: q.Int4QuantizationConfig(block_size=2),
    "int4 channels": lambda q: q.Int4QuantizationConfig(block_size=None),
    "int4 inputs": lambda q: q.Int4QuantizationConfig(None, q.AbsMaxQuantizer(), block_size=-1),
}
FLOAT8 = {"float8": lambda q: "float8"}


def spread(layer):
    """Give the weights numbers on both sides of zero in any block; others Keras ruins."""
    for i, weight in enumerate(layer.weights):
        value = np.abs(random_input(tuple(weight.shape), seed=i)) + 0.1
        odd = value.shape[-1] % 2 or (value.ndim == 2 and value.shape[0] % 2)
        number = (
            np.arange(value.size).reshape(value.shape) if odd else np.indices(value.shape).sum(0)
        )
        weight.assign(value * (1 - 2 * (number % 2)))


def quantized_pair(case, mode, policy="float32", prepare=spread):
    name, kwargs, x = LAYERS[case]
    layers = make_pair(name, {**kwargs, "dtype": policy})
    for layer, library in zip(layers, (torchkeras, keras), strict=True):
        layer.build(x.shape)
        prepare(layer)
        how = {**MODES, **FLOAT8}[mode](library.quantizers)
        layer.quantize(**{"mode" if isinstance(how, str) else "config": how})
    return (*layers, x)


CASES = [(c, m) for c in LAYERS for m in {**MODES, **(FLOAT8 if c in KERNELS else {})}]
# Keras lays the scales out such that it cannot multiply by them.
BROKEN = [("batched", "int8 weights"), ("turned", "int8 weights")]
CASES = [case for case in CASES if case not in BROKEN]


def bounds(policy):
    return {} if policy == "float32" else {"rtol": 0.05, "atol": 0.05}


def chosen(*modes):
    return pytest.mark.parametrize(("case", "mode"), [case for case in CASES if case[1] in modes])


@pytest.mark.parametrize(("case", "mode"), CASES)
def test_quantize(case, mode):
    compare(case, mode, "float32")


@chosen("int8", "int4", "int4 inputs", "float8")
def test_mixed_precision(case, mode):
    compare(case, mode, "mixed_bfloat16")


def compare(case, mode, policy):
    ours, theirs, x = quantized_pair(case, mode, policy)
    assert_same_variables(ours, theirs)
    assert ours.dtype_policy.name == theirs.dtype_policy.name
    assert_same_config(ours, theirs)
    results = [run(layer, x) for layer in (ours, theirs)]
    assert_close(results[0].outputs, results[1].outputs, **bounds(policy))
    assert_close(results[0].input_grads, results[1].input_grads, **bounds(policy))
    assert_close(results[0].weight_grads, results[1].weight_grads, **bounds(policy))


@pytest.mark.filterwarnings("ignore:(?s).*use of `x.T`")  # in Keras
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", ["tied", "untied"])
def test_the_way_back(case, mode):
    ours, theirs, _ = quantized_pair(case, mode)
    x = random_input((2, 3, ours.output_dim))
    outputs = [layer(torch.tensor(x), reverse=True) for layer in (ours, theirs)]
    assert_close(*outputs)


@pytest.mark.parametrize("mode", ["int8", "int4", "int4/2", "float8", "gptq/4/2", "awq/4/-1"])
@pytest.mark.parametrize("case", LAYERS)
def test_built_by_policy(case, mode):
    name, kwargs, x = LAYERS[case]
    ours, theirs = make_pair(name, {**kwargs, "dtype": f"{mode}_from_float32"})
    if case in EMBEDDINGS and mode[0] in "fga":
        for layer in (ours, theirs):
            with pytest.raises(NotImplementedError):
                layer.build(x.shape)
        return
    for layer in (ours, theirs):
        layer.build(x.shape)
    assert_same_variables(ours, theirs)
    if mode[0] in "if":
        copy_weights(theirs, ours)
        assert_close(run(ours, x).outputs, run(theirs, x).outputs)


@pytest.mark.parametrize("mode", ["gptq", "awq"])
@pytest.mark.parametrize("case", [c for c in KERNELS if c != "batched"])
def test_calibrated_modes(case, mode):
    name, kwargs, x = LAYERS[case]
    layers = make_pair(name, kwargs)
    for layer, library in zip(layers, (torchkeras, keras), strict=True):
        layer.build(x.shape)
        cls = library.quantizers.GPTQConfig if mode == "gptq" else library.quantizers.AWQConfig
        layer.quantize(config=cls(None, None, group_size=2))
    assert_same_variables(*layers)
    assert_close(*(run(layer, x).outputs for layer in layers))
    # A calibrated layer comes from a file.
    store = {}
    rng = np.random.default_rng(0)
    pair = make_pair(name, {**kwargs, "dtype": f"{mode}/4/2_from_float32"})
    for layer in pair:
        layer.build(x.shape)
    names = pair[1].variable_serialization_spec[mode]
    for i, name in enumerate(n for n in names if getattr(pair[1], n) is not None):
        value = to_numpy(getattr(pair[1], name))
        random = rng.uniform(0.1, 1, value.shape) * (15 if value.dtype == np.uint8 else 1)
        store[str(i)] = random.astype(value.dtype)
    for layer in pair:
        layer.load_own_variables(store)
    # Ours writes what both read; Keras forgets the zero points of these modes.
    np.testing.assert_equal(_saved(pair[0]), list(store.values()))
    assert_close(*(run(layer, x).outputs for layer in pair))
    assert_close(*(layer.kernel for layer in pair))


def _saved(layer):
    store = {}
    layer.save_own_variables(store)
    return [to_numpy(value) for value in store.values()]


# Files -------------------------------------------------------------------------------------------


def build_model(library, case, mode, rank=None):
    name, kwargs, x = LAYERS[case]
    layer = getattr(library.layers, name)(**kwargs, name="layer")
    inputs = library.Input(x.shape[1:], dtype=str(x.dtype))
    model = library.Model(inputs, layer(inputs))
    spread(layer)
    if rank:
        layer.enable_lora(rank)
        target = "embeddings" if "mbedding" in name else "kernel"
        for side in "ab":
            adapter = getattr(layer, f"lora_{target}_{side}")
            adapter.assign(random_input(tuple(adapter.shape)) / 4)
    how = {**MODES, **FLOAT8}[mode](library.quantizers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inputs cannot be quantized
        model.quantize(**{"mode" if isinstance(how, str) else "config": how})
    return model, x


@pytest.mark.parametrize(("writer", "reader"), [("ours", "theirs"), ("theirs", "ours")])
@chosen("int8", "int4", "int4 channels", "float8")
def test_files(tmp_path, case, mode, writer, reader):
    model, x = build_model(LIBRARIES[writer], case, mode)
    expected = model(x)
    model.save(str(tmp_path / "model.keras"))
    model.save_weights(str(tmp_path / "m.weights.h5"))
    loaded = LIBRARIES[reader].saving.load_model(str(tmp_path / "model.keras"))
    assert_close(loaded(x), expected)
    other, _ = build_model(LIBRARIES[reader], case, mode)
    for weight in other.weights:
        weight.assign(np.zeros(tuple(weight.shape)))
    other.load_weights(str(tmp_path / "m.weights.h5"))
    assert_close(other(x), expected)


@pytest.mark.parametrize("mode", ["int8", "int4", "int4 blocks", "int4 channels"])
@pytest.mark.parametrize("case", ["dense", "one axis", "two axes", "embedding", "tied"])
def test_adapters(tmp_path, case, mode):
    (ours, x), (theirs, _) = (build_model(k, case, mode, rank=2) for k in (torchkeras, keras))
    assert_close(ours(x), theirs(x))
    # Files hold the weight quantized anew with its adapters: the same in both.
    stores = [_saved(model.get_layer("layer")) for model in (ours, theirs)]
    assert_close(*stores)
    ours.save(str(tmp_path / "model.keras"))
    loaded = [k.saving.load_model(str(tmp_path / "model.keras")) for k in LIBRARIES.values()]
    assert_close(*(model(x) for model in loaded))
    assert all(model.get_layer("layer").lora_enabled for model in loaded)


@pytest.mark.parametrize("case", ["dense", "one axis", "embedding"])
@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_adapters_of_quantized_layers(case, mode):
    ours, theirs, x = quantized_pair(case, mode)
    for layer in (ours, theirs):
        layer.enable_lora(2)
        for weight in layer.trainable_weights:
            weight.assign(random_input(tuple(weight.shape)))
    assert_same_variables(ours, theirs)
    results = [run(layer, x) for layer in (ours, theirs)]
    assert_close(results[0].outputs, results[1].outputs)
    assert_close(results[0].weight_grads, results[1].weight_grads)


# Training in float8 ------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")  # Keras says so
def test_float8_training():
    models = []
    x, y = random_input((32, 4)), random_input((32, 3), seed=2)
    for library in (torchkeras, keras):
        library.utils.set_random_seed(0)
        model = library.Sequential([library.layers.Dense(3, name="d")])
        model.build((None, 4))
        model.quantize("float8")
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        models.append(model)
    ours, theirs = models
    assert_close(ours.get_weights(), theirs.get_weights(), atol=1e-4)
    assert_close(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-4)


# Errors ------------------------------------------------------------------------------------------


def _dense(k, quantize="int8", **kwargs):
    layer = k.layers.Dense(2, **kwargs)
    layer.build((None, 3))
    layer.quantize(quantize)
    return layer


def _subclass(k):
    class Mine(k.layers.Dense):
        pass

    return _dense(type("k", (), {"layers": type("l", (), {"Dense": Mine})}))


@pytest.mark.parametrize(
    "action",
    [
        lambda k: _dense(k, "int7"),
        lambda k: _dense(k, "gptq"),
        lambda k: _dense(k, dtype="float16"),
        lambda k: _dense(k).quantize("int8"),
        lambda k: k.layers.Dense(2).quantize("int8"),
        lambda k: k.layers.Layer().quantize("int8"),
        lambda k: setattr(k.layers.Embedding(3, 2, name="e"), "dtype_policy", "int7_from_float32"),
        lambda k: k.layers.ReLU().quantize("int8"),
        lambda k: k.layers.Embedding(3, 2, weights=np.ones((3, 2))).quantize("float8"),
        _subclass,
        lambda k: k.layers.ReLU(dtype="int8_from_float32")(np.ones((2, 3))),
        lambda k: k.Sequential([k.layers.Dense(2)]).quantize("int8"),
        lambda k: k.Sequential([k.Input((2,)), k.layers.Dense(2)]).quantize("int8", filters=3),
        lambda k: k.Sequential([k.Input((2,)), k.layers.Dense(2)]).quantize("int8", what=3),
    ],
)
def test_errors(action):
    assert_same_error(action)
