"""`keras.quantizers` against Keras: functions, quantizers and configs."""

import itertools

import keras
import numpy as np
import pytest
import torch
from keras.src.quantizers import quantizers as theirs
from oracle import assert_close, assert_same_error, to_numpy

import torchkeras
from torchkeras import registry
from torchkeras.quantizers import affine, gptq
from torchkeras.quantizers import config as configs

OURS, THEIRS = torchkeras.quantizers, keras.quantizers
RNG = np.random.default_rng(0)


def normal(*shape, dtype="float32", scale=1.0):
    values = np.random.default_rng(shape).standard_normal(shape) * scale
    return torch.tensor(values, dtype=getattr(torch, dtype))


def straddling(rows, columns):
    """Numbers on both sides of zero by turns: groups on one side Keras ruins."""
    return normal(rows, columns).abs() * (1 - 2 * (torch.arange(columns) % 2))


# Functions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("to_numpy", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize(
    ("axis", "value_range"), [(-1, (-127, 127)), (0, (-8, 7)), ((0, 2), (-127, 127)), (1, (-3, 3))]
)
def test_abs_max_quantize(axis, value_range, dtype, to_numpy):
    x = normal(4, 6, 5, dtype=dtype)
    if to_numpy and dtype in ("bfloat16", "float16"):
        pytest.skip("NumPy rounds half types otherwise than torch")
    ours = OURS.abs_max_quantize(x, axis, value_range, to_numpy=to_numpy)
    assert_close(ours, THEIRS.abs_max_quantize(x, axis, value_range, to_numpy=to_numpy))


@pytest.mark.parametrize("to_numpy", [False, True])
@pytest.mark.parametrize(("rows", "block"), [(8, 4), (10, 4), (5, 8), (8, 8), (7, 2)])
def test_abs_max_quantize_grouped(rows, block, to_numpy):
    x = straddling(50, rows).t()
    ours = OURS.abs_max_quantize_grouped_with_zero_point(x, block, to_numpy=to_numpy)
    expected = THEIRS.abs_max_quantize_grouped_with_zero_point(x, block, to_numpy=to_numpy)
    assert_close(ours, expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((5, 8), 0), ((4, 7), -1), ((2, 5, 3), 1), ((3,), 0), ((2, 3, 4, 5), -2)]
)
def test_pack_and_unpack(shape, axis, dtype):
    low, high = (-8, 8) if dtype == "int8" else (0, 16)
    x = torch.tensor(RNG.integers(low, high, shape), dtype=getattr(torch, dtype))
    ours = OURS.pack_int4(x, axis, dtype)
    expected = THEIRS.pack_int4(x, axis, dtype)
    assert ours[1:] == expected[1:]
    assert_close(ours[0], expected[0])
    unpacked = OURS.unpack_int4(expected[0], expected[2], axis, dtype)
    assert_close(unpacked, x)
    assert_close(unpacked, THEIRS.unpack_int4(ours[0], ours[2], axis, dtype))


@pytest.mark.parametrize(
    "action",
    [
        lambda k: k.quantizers.pack_int4(np.zeros(3, "int8"), dtype="int16"),
        lambda k: k.quantizers.pack_int4(np.zeros(3, "int8"), dtype="uint8"),
        lambda k: k.quantizers.unpack_int4(np.zeros(3, "int8"), 3, dtype="float32"),
        lambda k: k.quantizers.unpack_int4(torch.zeros(3), 3),
        lambda k: k.quantizers.AbsMaxQuantizer(value_range=(-300, 300)),
        lambda k: k.quantizers.get("typo"),
        lambda k: k.quantizers.Quantizer().get_config(),
        lambda k: k.quantizers.QuantizationConfig().mode,
        lambda k: k.quantizers.Int4QuantizationConfig(block_size=0),
        lambda k: k.quantizers.Int4QuantizationConfig(k.quantizers.AbsMaxQuantizer()),
        lambda k: k.quantizers.Int4QuantizationConfig(
            k.quantizers.AbsMaxQuantizer(), block_size=None
        ),
        lambda k: k.quantizers.Int8QuantizationConfig(
            k.quantizers.AbsMaxQuantizer(output_dtype="int16")
        ),
        lambda k: k.quantizers.GPTQConfig(None, None, weight_bits=5),
        lambda k: k.quantizers.GPTQConfig(None, None, group_size=0),
        lambda k: k.quantizers.GPTQConfig(None, None, hessian_damping=2),
        lambda k: k.quantizers.AWQConfig(None, None, weight_bits=8),
        lambda k: k.quantizers.AWQConfig(None, None, num_grid_points=0),
    ],
)
def test_errors(action):
    assert_same_error(action)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("epsilon", [0.0, 1e-3])
@pytest.mark.parametrize("group", [-1, 4, 5, 12])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_compute_quantization_parameters(bits, symmetric, per_channel, group, epsilon, signed):
    x = straddling(7, 12)
    options = {
        "bits": bits,
        "symmetric": symmetric,
        "per_channel": per_channel,
        "group_size": group,
        "epsilon": epsilon,
        "signed": signed,
    }
    ours = affine.compute_quantization_parameters(x, **options)
    expected = theirs.compute_quantization_parameters(x, **options)
    assert_close(ours, expected)


@pytest.mark.parametrize("x", [None, np.zeros(3, "float32"), np.zeros((0, 3), "float32")])
def test_parameters_of_no_matrix(x):
    modules = {torchkeras: affine, keras: theirs}
    assert_same_error(lambda k: modules[k].compute_quantization_parameters(x, bits=4))


@pytest.mark.parametrize("axis", [0, -1])
def test_quantizing_with_zero_points(axis):
    x = normal(6, 6)
    scale = normal(2, 6).abs() if axis == 0 else normal(6, 2).abs()
    zero = torch.tensor(RNG.integers(0, 15, tuple(scale.shape)), dtype=torch.uint8)
    groups = torch.tensor([0, 1, 1, 0, 1, 0])
    levels = affine.quantize_with_sz_map(x, scale, zero, groups, 15.0, axis)
    expected = theirs.quantize_with_sz_map(x, scale, zero, groups, 15.0, axis)
    assert_close(levels, expected)
    assert_close(
        affine.dequantize_with_sz_map(levels, scale, zero, groups.float(), axis),
        theirs.dequantize_with_sz_map(levels, scale, zero, groups.float(), axis),
    )
    one = torch.tensor([0.3, 0.0, 2.0, 0.1, 1.0, 5.0])
    assert_close(
        affine.quantize_with_zero_point(x, one, zero[0, :1], torch.tensor(7.0)),
        theirs.quantize_with_zero_point(x, one, zero[0, :1], torch.tensor(7.0)),
    )
    assert_close(
        affine.dequantize_with_zero_point(levels, one, zero[0, :1]),
        theirs.dequantize_with_zero_point(levels, one, zero[0, :1]),
    )


@pytest.mark.parametrize("amax", [3.0, 0.0, float("inf"), float("nan")])
def test_compute_float8_scale(amax):
    for margin in (0, 2):
        ours = OURS.compute_float8_scale(amax, 4.0, 448.0, margin)
        assert_close(ours, THEIRS.compute_float8_scale(amax, 4.0, 448.0, margin))


@pytest.mark.parametrize("length", [1, 2, 5])
def test_compute_float8_amax_history(length):
    ours = expected = torch.zeros(length)
    for i in range(7):
        x = normal(3, 4, scale=i)
        ours = OURS.compute_float8_amax_history(x, ours)
        expected = THEIRS.compute_float8_amax_history(x, expected)
        assert_close(ours, expected)


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
@pytest.mark.parametrize("small", ["float8_e4m3fn", "float8_e5m2"])
def test_quantize_and_dequantize(small, compute):
    x = normal(50, scale=300.0, dtype=compute)
    for scale in (1.0, 0.01, torch.tensor(3.0)):
        ours = OURS.quantize_and_dequantize(x, scale, small, compute)
        assert_close(ours, THEIRS.quantize_and_dequantize(x, scale, small, compute))


RANGES = {
    "scalar": (-0.1, 1.3, None),
    "one": ([-2.0], [0.5], None),
    "positive": (0.5, 2.0, None),
    "channels": ([-1.0, 0.0, -3.0, 0.2], [1.0, 2.0, -0.5, 3.0], -1),
}


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("bits", "narrow"), [(8, False), (8, True), (4, False), (3, True)])
@pytest.mark.parametrize("name", RANGES)
def test_fake_quant(name, bits, narrow, dtype):
    low, high, axis = RANGES[name]
    results = []
    for library in (OURS, THEIRS):
        x = normal(9, 4, dtype=dtype, scale=2.0).requires_grad_()
        ends = [torch.tensor(end, requires_grad=True) for end in (low, high)]
        y = library.fake_quant_with_min_max_vars(x, *ends, bits, narrow, axis)
        y.backward(torch.linspace(0.5, 2.0, y.numel()).view(y.shape).to(y.dtype))
        results.append([y, x.grad, *(end.grad for end in ends)])
    bounds = {} if dtype == "float32" else {"rtol": 0.02, "atol": 0.02}
    assert_close(*results, **bounds)


def test_fake_quant_of_a_symbolic_tensor_keeps_its_settings():
    # In Keras's form they are lost there.
    x = torchkeras.Input((4,))
    y = OURS.fake_quant_with_min_max_vars(x, -1.0, 1.0, num_bits=2)
    model = torchkeras.Model(x, y)
    data = normal(3, 4)
    expected = THEIRS.fake_quant_with_min_max_vars(data, -1.0, 1.0, num_bits=2)
    assert_close(model(data), expected)
    assert_close(torchkeras.Model.from_config(model.get_config())(data), expected)


# Quantizers and configs --------------------------------------------------------------------------

MAKERS = {
    "plain": lambda q: q.AbsMaxQuantizer(),
    "axis": lambda q: q.AbsMaxQuantizer(axis=0, value_range=(-8, 7), epsilon=1e-3),
    "axes": lambda q: q.AbsMaxQuantizer(axis=[0, 1]),
    "int8": lambda q: q.Int8QuantizationConfig(),
    "int8 weights": lambda q: q.Int8QuantizationConfig(q.AbsMaxQuantizer(axis=0), None),
    "int4": lambda q: q.Int4QuantizationConfig(),
    "int4 channels": lambda q: q.Int4QuantizationConfig(
        q.AbsMaxQuantizer(axis=0, value_range=(-8, 7)), q.AbsMaxQuantizer(), block_size=None
    ),
    "float8": lambda q: q.Float8QuantizationConfig(),
    "gptq": lambda q: q.GPTQConfig([1], len, weight_bits=3, symmetric=True, group_size=-1),
    "awq": lambda q: q.AWQConfig([1], len, num_samples=7, group_size=32),
}


@pytest.mark.parametrize("name", MAKERS)
def test_configs(name):
    ours, expected = MAKERS[name](OURS), MAKERS[name](THEIRS)
    assert OURS.serialize(ours) == THEIRS.serialize(expected)
    for attribute in ("mode", "axis", "value_range", "output_dtype", "block_size"):
        assert getattr(ours, attribute, 0) == getattr(expected, attribute, 0)
    if name in ("gptq", "awq"):
        assert ours.dtype_policy_string() == expected.dtype_policy_string()
    again = OURS.deserialize(THEIRS.serialize(expected))
    assert type(again) is type(ours) and again.get_config() == ours.get_config()
    assert type(registry.deserialize_keras_object(OURS.serialize(ours))) is type(ours)


def test_quantizers_are_called_alike():
    x = normal(5, 6)
    for arguments in ({}, {"axis": 0}, {"axis": (0, 1), "to_numpy": True}):
        for maker in ("plain", "axis"):
            ours = MAKERS[maker](OURS)(x, **arguments)
            assert_close(ours, MAKERS[maker](THEIRS)(x, **arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        (None, None),
        ("int7", None),
        ("gptq", None),
        ("awq", None),
        ("int8", {"a": 1}),
        (None, "int9"),
        ("int8", lambda q: q.Int4QuantizationConfig()),
        ("gptq", lambda q: q.Int8QuantizationConfig()),
        (None, lambda q: q.QuantizationConfig()),
    ],
)
def test_configs_that_do_not_fit(arguments):
    mode, config = arguments
    resolve = {
        torchkeras: configs.validate_and_resolve_config,
        keras: keras.src.quantizers.quantization_config.validate_and_resolve_config,
    }
    assert_same_error(
        lambda k: resolve[k](mode, config(k.quantizers) if callable(config) else config)
    )


# Calibration -------------------------------------------------------------------------------------


def _hessian(n):
    x = normal(4 * n, n) @ (torch.eye(n) + 0.1 * normal(n, n))
    return x.T @ x / len(x) + 0.1 * torch.eye(n)


@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize(("group", "block"), [(-1, 128), (4, 128), (4, 8), (8, 8)])
def test_gptq_quantize_matrix(group, block, order):
    weights, inverse = straddling(6, 16), torch.linalg.inv(_hessian(16))
    results = []
    for module, quantizers in ((gptq, gptq), (keras.src.quantizers.gptq, theirs)):
        library = keras.quantizers if quantizers is theirs else OURS
        quantizer = quantizers.GPTQQuantizer(library.GPTQConfig(None, None, group_size=group))
        results.append(
            module.gptq_quantize_matrix(
                weights,
                inverse,
                blocksize=block,
                group_size=group,
                activation_order=order,
                order_metric=torch.arange(16.0),  # keeps the turns
                compute_scale_zero=quantizer.find_params,
            )
        )
    ours, expected = results
    assert_close(ours[:3], expected[:3])
    assert_close(ours[3], torch.floor(expected[3]))  # of Keras's, only whole parts count


def test_gptq_statistics():
    layers = []
    for library, module in ((torchkeras, gptq), (keras, keras.src.quantizers.gptq)):
        layer = library.layers.Dense(5)
        layer.build((None, 7))
        observer = module.GPTQ(layer)
        for n in (3, 10):
            observer.update_hessian_with_batch(normal(n, 2, 7))
        layers.append(observer)
    ours, expected = layers
    assert_close(ours.hessian, expected.hessian)
    for name in ("num_samples", "rows", "columns"):
        assert getattr(ours, name) == getattr(expected, name)


@pytest.mark.parametrize("group", [-1, 4])
def test_awq_quantize_matrix(group):
    awq = keras.src.quantizers.awq
    weights, largest = straddling(9, 16), normal(16).abs() * torch.logspace(-1, 1, 16)
    ours = torchkeras.quantizers.awq.awq_quantize_matrix(weights, largest, group_size=group)
    expected = awq.awq_quantize_matrix(weights, largest, group_size=group)
    assert_close(ours, expected)


def test_dataloader():
    dataset = [[1, 2, 3], np.arange(10), [7]]
    for strategy, seed in itertools.product(("linspace", "random"), (0, 1)):
        settings = {"strategy": strategy, "seed": seed, "num_samples": 9}
        ours = torchkeras.quantizers.calibration.get_dataloader(None, 4, dataset, **settings)
        expected = keras.src.quantizers.gptq_core.get_dataloader(None, 4, dataset, **settings)
        np.testing.assert_array_equal(ours, expected)
        assert to_numpy(ours).dtype == expected.dtype
