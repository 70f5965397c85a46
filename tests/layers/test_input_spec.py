import pytest
import torch

from torchkeras.layers import InputSpec
from torchkeras.layers.input_spec import assert_input_compatibility


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        ({"ndim": 2}, (2, 3, 4), "expected ndim=2, found ndim=3"),
        ({"min_ndim": 3}, (2, 3), "expected min_ndim=3, found ndim=2"),
        ({"max_ndim": 1}, (2, 3), "expected max_ndim=1, found ndim=2"),
        ({"axes": {-1: 4}}, (2, 3), "expected axis -1 .* value 4"),
        ({"shape": (None, 4)}, (2, 3), r"expected shape=\(None, 4\), found shape=\(2, 3\)"),
        ({"dtype": "int32"}, (2, 3), "expected dtype=int32, found dtype=float32"),
    ],
)
def test_each_demand(spec, shape, message):
    with pytest.raises(ValueError, match=f"Input 0 of layer 'l' is incompatible.*{message}"):
        assert_input_compatibility(InputSpec(**spec), torch.ones(shape), "l")


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ({"ndim": 2, "axes": {-1: 3, 0: None}}, (2, 3)),
        ({"shape": (None, 3)}, (2, 3)),
        ({"shape": (None, 3, 1), "allow_last_axis_squeeze": True}, (2, 3)),
        ({"shape": (None, 3), "allow_last_axis_squeeze": True}, (2, 3, 1)),
        ({}, ()),
    ],
)
def test_what_fits(spec, shape):
    assert_input_compatibility(InputSpec(**spec), torch.ones(shape), "l")


def test_several_inputs():
    specs = [InputSpec(ndim=1), InputSpec(ndim=2, optional=True)]
    assert_input_compatibility(specs, [torch.ones(1), None], "l")
    with pytest.raises(ValueError, match=r"expects 2 input\(s\), but received 1"):
        assert_input_compatibility(specs, [torch.ones(1)], "l")
    with pytest.raises(ValueError, match="Input 1"):
        assert_input_compatibility(specs, [torch.ones(1), torch.ones(1)], "l")
    with pytest.raises(ValueError, match="must be tensors"):
        assert_input_compatibility(InputSpec(), "text", "l")
    named = [InputSpec(name="a"), InputSpec(name="b")]
    with pytest.raises(ValueError, match='Missing data for input "b"'):
        assert_input_compatibility(named, {"a": torch.ones(1)}, "l")


def test_config_round_trip():
    spec = InputSpec(min_ndim=2, axes={-1: 3})
    assert InputSpec.from_config(spec.get_config()).get_config() == spec.get_config()
    with pytest.raises(ValueError, match="outside of the rank"):
        InputSpec(ndim=2, axes={2: 3})
