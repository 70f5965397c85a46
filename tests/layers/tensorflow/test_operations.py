"""Layers of TensorFlow's functions: graphs, sizes, names. Numbers: `compat_tests.legacy`."""

import pytest
import torch

from torchkeras import Input, Model
from torchkeras.layers.tensorflow import SlicingOpLambda, TFOpLambda, find_function
from torchkeras.models import load_model


def test_what_is_not_provided_is_named():
    with pytest.raises(ValueError, match="tf.strings.lower"):
        find_function("strings.lower")
    with pytest.raises(ValueError, match="'nn.relu'"):
        TFOpLambda("nn.relu7")


def test_constants_take_the_dtype_of_the_tensor():
    x = torch.tensor([1.0, 2.0], dtype=torch.float16)
    assert TFOpLambda("math.multiply")(x, y=[3.0, 4.0]).dtype is torch.float16
    assert TFOpLambda("math.truediv")(torch.tensor([1]), y=2).dtype is torch.float64
    with pytest.raises(TypeError, match="one dtype"):
        TFOpLambda("math.multiply")(x, y=torch.tensor([1, 2]))


def sized(x):
    """Join the first two axes, by their sizes at run time."""
    size = TFOpLambda("shape", name="s")(x)
    first = SlicingOpLambda("__operators__.getitem", name="a")(size, slice_spec=0)
    product = TFOpLambda("math.multiply", name="m")(first, y=3)
    return TFOpLambda("reshape", name="r")(x, shape=[product, 4])


def test_sizes_are_known_as_far_as_the_inputs_are():
    assert sized(Input((3, 4), batch_size=2)).shape == (6, 4)
    assert sized(Input((3, 4))).shape == (None, 4)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_models_are_saved_and_loaded(tmp_path, ending):
    x = Input((3, 4))
    spec = [Ellipsis, {"start": 1, "stop": None, "step": 2}]
    picked = SlicingOpLambda("__operators__.getitem", name="g")(sized(x), slice_spec=spec)
    model = Model(x, picked)
    path = tmp_path / f"m.{ending}"
    model.save(path)
    loaded, data = load_model(path), torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(loaded(data), data.reshape(6, 4)[:, 1::2])
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]


def test_a_seed_does_not_repeat_the_numbers():
    for name, x in (("random.normal", [50]), ("nn.dropout", torch.ones(50))):
        layer, options = TFOpLambda(name), {"seed": 1} | ({"rate": 0.5} if "nn" in name else {})
        assert not torch.equal(layer(x, **options), layer(x, **options))
