"""Dtype policies: the global one, maps, and conversion of inputs."""

import threading

import numpy as np
import pytest
import torch

from torchkeras import config, dtype_policies
from torchkeras.dtype_policies import DTypePolicy, DTypePolicyMap


@pytest.fixture(autouse=True)
def restored():
    yield
    dtype_policies.set_dtype_policy("float32")


def test_the_global_policy_belongs_to_a_thread_and_follows_floatx():
    dtype_policies.set_dtype_policy("mixed_float16")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(dtype_policies.dtype_policy().name))
    thread.start()
    thread.join()
    assert seen == ["float32"]
    config.run_clear_session_hooks()
    config.set_floatx("float64")
    try:
        assert DTypePolicy().name == "float64"
    finally:
        config.set_floatx("float32")


def test_equality_and_hash():
    assert DTypePolicy("float16") == dtype_policies.FloatDTypePolicy("float16")
    assert DTypePolicy("float16") != DTypePolicy("mixed_float16")
    assert len({DTypePolicy("float16"), DTypePolicy("float16")}) == 1
    assert DTypePolicy("float16") != "float16"


def test_inputs_are_cast_only_when_floating():
    policy = DTypePolicy("mixed_bfloat16")
    integers = torch.arange(3)
    assert policy.convert_input(integers, True, "bfloat16") is integers
    floats = torch.ones(3)
    assert policy.convert_input(floats, False, "bfloat16") is floats
    assert policy.convert_input(floats, True, "float32") is floats
    assert policy.convert_input(np.ones(3), True, "bfloat16").dtype == torch.bfloat16
    assert policy.convert_input("text", True, "bfloat16") == "text"
    assert policy.convert_input(torch.ones(3, device="meta"), True, "float16").is_meta


def test_errors():
    with pytest.raises(ValueError, match="'mixed_float32'"):
        DTypePolicy("mixed_float32")
    with pytest.raises(TypeError, match="a int"):
        DTypePolicy(3)
    with pytest.raises(ValueError, match="float16"):
        dtype_policies.get("int8_from_mixed_float16")
    with pytest.raises(ValueError, match="multiple dtype policy"):
        DTypePolicyMap("float32", {"a.*": "x", ".*b": "y"})["ab"]
    with pytest.raises(ValueError, match="as a dtype policy: 3.5"):
        DTypePolicyMap()["a"] = 3.5
