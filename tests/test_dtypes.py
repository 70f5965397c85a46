"""Dtypes: laws of promotion, and conversion to tensors."""

import itertools

import numpy as np
import pytest
import torch

from torchkeras import config, dtypes

NAMES = sorted(set(dtypes.TORCH_DTYPES) - set(dtypes.FLOAT8_TYPES))


def test_promotion_is_commutative_and_idempotent():
    for a, b in itertools.product(NAMES, repeat=2):
        assert dtypes.result_type(a, b) == dtypes.result_type(b, a)
    for a in NAMES:
        once = dtypes.result_type(a)
        assert dtypes.result_type(a, a) == once == dtypes.result_type(once, a)


def test_promotion_of_narrow_types_is_associative():
    narrow = ["bool", "uint8", "int8", "int16", "int32", "float16", "bfloat16", "float32"]
    for a, b, c in itertools.product(narrow, repeat=3):
        left = dtypes.result_type(dtypes.result_type(a, b), c)
        assert left == dtypes.result_type(a, dtypes.result_type(b, c))


def test_promotion_of_floats_agrees_with_torch():
    floats = ["float16", "bfloat16", "float32"]
    for a, b in itertools.product(floats, repeat=2):
        expected = torch.promote_types(getattr(torch, a), getattr(torch, b))
        assert dtypes.to_torch(dtypes.result_type(a, b)) is expected


def test_python_scalars_do_not_widen_tensors():
    for name in ("float16", "bfloat16", "float32"):
        assert dtypes.result_type(name, float) == dtypes.result_type(name, int) == name
    assert dtypes.result_type("int8", int) == "int8"
    assert dtypes.result_type("int8", float) == config.floatx()


def test_there_and_back():
    for dtype in (torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.complex64):
        assert dtypes.to_torch(dtypes.standardize_dtype(dtype)) is dtype


def test_none_follows_floatx():
    assert dtypes.to_torch(None) is torch.float32
    config.set_floatx("float64")
    try:
        assert dtypes.to_torch(None) is torch.float64
        assert dtypes.standardize_dtype(None) == "float64"
        assert dtypes.as_tensor(1.5).dtype is torch.float64
    finally:
        config.set_floatx("float32")


def test_errors_name_the_dtype():
    with pytest.raises(ValueError, match="'float99'"):
        dtypes.standardize_dtype("float99")
    with pytest.raises(ValueError, match="float8"):
        dtypes.result_type("float8_e5m2", "float32")
    with pytest.raises(ValueError, match="'string'"):
        dtypes.to_torch("string")


def test_tensors_are_returned_as_they_are():
    x = torch.ones(2, device="meta")
    assert dtypes.as_tensor(x) is x
    assert dtypes.as_tensor(x, "float16").dtype is torch.float16
    mixed = dtypes.as_tensor([torch.ones(()), 2.0])
    assert mixed.tolist() == [1.0, 2.0]


def test_results_lie_on_the_default_device():
    for value in (1, 2.5, True, [1, 2], np.ones(3), np.float32(1)):
        with torch.device("meta"):
            assert dtypes.as_tensor(value).is_meta
        with config.device("meta"):
            assert dtypes.as_tensor(value).is_meta
        assert dtypes.as_tensor(value, device=torch.device("meta")).is_meta


def test_arrays_that_torch_refuses():
    x = np.arange(6.0)
    assert dtypes.as_tensor(x[::-1]).tolist() == [5, 4, 3, 2, 1, 0]
    frozen = np.arange(2)
    frozen.setflags(write=False)
    assert dtypes.as_tensor(frozen).tolist() == [0, 1]
    with pytest.raises(ValueError):
        dtypes.as_tensor([[1], [1, 2]])
    with pytest.raises((TypeError, ValueError)):
        dtypes.as_tensor("text")
