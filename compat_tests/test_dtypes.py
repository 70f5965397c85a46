"""Dtype names, promotion and conversion to tensors, against Keras."""

import itertools

import keras
import ml_dtypes
import numpy as np
import pytest
import torch
from keras.src import backend
from keras.src.backend.common import dtypes as theirs

from torchkeras import config
from torchkeras import dtypes as ours

NAMES = sorted(theirs.ALLOWED_DTYPES)
PROMOTED = [n for n in NAMES if n not in ("string", *theirs.FLOAT8_TYPES)]
WEAK = [int, float, bool, None]
SPELLINGS = [
    *NAMES,
    *(getattr(torch, n) for n in NAMES if hasattr(torch, n)),
    *(np.dtype(n) for n in PROMOTED if n != "bfloat16"),
    *(getattr(np, n) for n in PROMOTED if hasattr(np, n)),
    np.dtype(ml_dtypes.bfloat16),
    bool,
    int,
    float,
    complex,
    str,
    "int",
    None,
]


@pytest.fixture(params=["float32", "float16", "bfloat16", "float64"])
def floatx(request):
    keras.config.set_floatx(request.param)
    config.set_floatx(request.param)
    yield request.param
    keras.config.set_floatx("float32")
    config.set_floatx("float32")


@pytest.mark.parametrize("dtype", SPELLINGS, ids=repr)
def test_names(dtype):
    expected = backend.standardize_dtype(dtype)
    assert ours.standardize_dtype(dtype) == expected
    assert ours.standardize_dtype(dtype) == expected  # the remembered one
    assert ours.is_float(dtype) == backend.is_float_dtype(dtype)
    assert ours.is_integer(dtype) == backend.is_int_dtype(dtype)


@pytest.mark.parametrize("dtype", SPELLINGS, ids=repr)
def test_torch_dtypes(dtype):
    to_torch = backend.torch.core.to_torch_dtype
    if backend.standardize_dtype(dtype) in ("string", "uint64"):
        for convert in (to_torch, ours.to_torch):
            with pytest.raises(ValueError):
                convert(dtype)
    else:
        assert ours.to_torch(dtype) is to_torch(dtype) is ours.to_torch(dtype)


@pytest.mark.parametrize("dtype", ["float", "float31", "Float32", "", 3, 1.5, [], len], ids=repr)
def test_bad_names(dtype):
    with pytest.raises((ValueError, TypeError)):
        backend.standardize_dtype(dtype)
    for function in (ours.standardize_dtype, ours.to_torch, ours.is_float, ours.result_type):
        with pytest.raises(ValueError):
            function(dtype)


def test_all_pairs(floatx):
    for pair in itertools.product(PROMOTED + WEAK, repeat=2):
        assert ours.result_type(*pair) == theirs.result_type(*pair), pair


def test_one_and_none(floatx):
    for dtype in (*PROMOTED, *WEAK, torch.float16, np.int8):
        assert ours.result_type(dtype) == theirs.result_type(dtype), dtype
    assert ours.result_type() == theirs.result_type() == floatx


def test_triples():
    short = [
        "bool",
        "uint8",
        "int8",
        "uint32",
        "int64",
        "bfloat16",
        "float16",
        "float64",
        int,
        float,
    ]
    for triple in itertools.product(short, repeat=3):
        assert ours.result_type(*triple) == theirs.result_type(*triple), triple


@pytest.mark.parametrize(
    "pair", [("float8_e4m3fn", "float32"), ("string", "float32"), ("float8_e5m2",)]
)
def test_what_does_not_mix(pair):
    for function in (theirs.result_type, ours.result_type):
        with pytest.raises(ValueError):
            function(*pair)


VALUES = [
    True,
    3,
    -(2**31),
    2**31,
    2.5,
    1 + 2j,
    [],
    [1, 2],
    [True, False],
    [1, 2.5],
    [[1.0, 2.0], [3.0, 4.0]],
    (1, 2),
    [np.float32(1), np.float32(2)],
    [np.float64(1), 2],
    [np.int64(1)],
    [np.ones(2, "float16"), np.zeros(2, "float16")],
    np.arange(3),
    np.arange(3.0),
    np.float32(3),
    np.arange(6, dtype="uint8").reshape(2, 3)[::-1, ::2],
    np.arange(3, dtype="uint16"),
    np.arange(3, dtype="uint32"),
    np.array([True, False]),
    np.array([1, 2], ml_dtypes.bfloat16),
    np.broadcast_to(np.float32(3), (2, 2)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy")  # Keras's
def test_conversion_to_tensors(value):
    actual, expected = ours.as_tensor(value), backend.convert_to_tensor(value)
    assert actual.dtype == expected.dtype
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("dtype", ["float64", "int32", "bfloat16", "uint8", torch.int16])
def test_conversion_to_a_dtype(dtype):
    for value in (
        1,
        2.0,
        True,
        [1, 2],
        [[1.0], [3.0]],
        np.arange(3),
        np.arange(3.0),
        torch.ones(2),
    ):
        actual, expected = ours.as_tensor(value, dtype), backend.convert_to_tensor(value, dtype)
        assert actual.dtype == expected.dtype
        assert torch.equal(actual, expected)


def test_conversion_with_another_floatx(floatx):
    for value in (2.5, [2.5], np.float32(2.5), np.float64(2.5), [1, 2]):
        assert ours.as_tensor(value).dtype == backend.convert_to_tensor(value).dtype
