"""Small parts of Keras's layers and graphs: each does what its name says."""

import inspect

import numpy as np
import pytest
import torch

from torchkeras import Input, dtype_policies, layers, losses, metrics, optimizers
from torchkeras.dropin import parts
from torchkeras.quantizers.config import Int4QuantizationConfig


def test_tables_are_read_only_and_know_aliases():
    found = {"Mean": metrics.Mean, "MeanSquaredError": metrics.MeanSquaredError}
    found |= {name: getattr(metrics, name) for name in parts._ALIASES["metrics"].values()}
    table = parts.all_objects("metrics", found | {"get": metrics.get})
    assert table["mean"] is table["Mean"] is metrics.Mean
    assert table["mse"] is table["MSE"] is metrics.MeanSquaredError
    assert "get" not in table
    with pytest.raises(TypeError):
        table["mine"] = 1


@pytest.mark.parametrize(
    "made",
    [layers.Dense(1), metrics.Mean(), losses.MeanSquaredError(), optimizers.SGD()],
    ids=lambda made: type(made).__name__,
)
def test_what_is_saveable(made):
    assert isinstance(made, parts.KerasSaveable)
    assert issubclass(type(made), parts.KerasSaveable)


def test_what_is_not_saveable():
    assert not isinstance([], parts.KerasSaveable) and not issubclass(int, parts.KerasSaveable)
    both = type("Both", (layers.Layer, parts.KerasSaveable), {})
    assert isinstance(both(), layers.Layer)


def test_call_spec_tells_tensors_from_other_arguments():
    def call(query, value, mask=None, rate=0.5):
        pass

    x = torch.ones(2, 3)
    spec = parts.CallSpec(
        inspect.signature(call), ("training",), (x,), {"value": [x, None], "training": True}
    )
    assert spec.user_arguments_dict.keys() == {"training", "query", "value"}
    assert spec.arguments_dict["rate"] == 0.5 and spec.first_arg is x
    assert spec.tensor_arguments_names == ["query", "value"]
    assert spec.nested_tensor_argument_names == ["value"]
    assert parts.get_shapes_dict(spec) == {"query_shape": (2, 3), "value_shape": [(2, 3), None]}
    symbolic = parts.CallSpec(inspect.signature(call), (), (Input((3,)), x), {})
    assert not symbolic.eager and symbolic.tensor_arguments_names == ["query", "value"]
    with pytest.raises(ValueError, match="cannot mix tensors and non-tensors"):
        parts.CallSpec(inspect.signature(call), (), (x, [x, 3]), {})


def test_call_context_hands_down_values():
    context = parts.CallContext(entry_layer=None)
    assert context.get_value("training") is None and context.get_value("a", 3) == 3
    context.set_value("training", True)
    assert context.get_value("training") is True


def test_unbuilt_state():
    class Holds(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(2)

    layer = Holds()
    assert parts.might_have_unbuilt_state(layer)
    layer.inner.build((None, 3))
    assert not parts.might_have_unbuilt_state(layer)


def test_block_size():
    layer = layers.Dense(2)
    assert parts.get_block_size_for_layer(layer, None) is None
    assert parts.get_block_size_for_layer(layer, Int4QuantizationConfig(block_size=32)) == 32
    layer = layers.Dense(2, dtype=dtype_policies.get("int4/64_from_float32"))
    assert parts.get_block_size_for_layer(layer, None) == 64


def test_channels():
    x, kernel = torch.ones(1, 5, 5, 3), torch.ones(2, 2, 3, 4)
    parts.check_conv_input_channels(x, kernel, "channels_last")
    with pytest.raises(ValueError, match=r"input channels=5, kernel input channels=3"):
        parts.check_conv_input_channels(x, kernel, "channels_first")
    with pytest.raises(ValueError, match=r"input channels=3, kernel input channels=4"):
        parts.check_conv_transpose_input_channels(x, kernel, "channels_last")
    parts.check_conv_input_channels(Input((5, 5, None)), kernel, "channels_last")  # not known


@pytest.mark.parametrize("axis", [0, 1, -1, -2, -3])
def test_slices(axis):
    x = np.arange(60).reshape(3, 4, 5)
    expected = np.take(x, range(1, x.shape[axis], 2), axis)
    np.testing.assert_array_equal(parts.slice_along_axis(x, 1, step=2, axis=axis), expected)


def test_global_norm_passes_over_none():
    norm = parts.global_norm([torch.tensor([3.0]), None, torch.tensor([[4.0]])])
    assert float(norm) == 5.0


def test_specs_become_tensors():
    made = parts.convert_spec_to_tensor(Input((None, 3), dtype="int32"), replace_none_number=2)
    assert tuple(made.shape) == (2, 2, 3) and made.dtype == torch.int32


def test_lists():
    assert parts.listify_tensors(np.array([1, 2])) == [1, 2]
    assert parts.listify_tensors(torch.tensor([[1]])) == [[1]]
    assert parts.listify_tensors({"a": 1}) == {"a": 1}


def test_losses_by_name():
    assert parts._convert_loss_to_function("mse") is losses.mean_squared_error
    assert parts._convert_loss_to_function(None) is None
    with pytest.raises(ValueError):
        parts._convert_loss_to_function("no_such_loss")


@pytest.mark.parametrize("text", ["color", "transform"])
def test_examples_name_the_layer(text):
    example = getattr(parts, f"base_image_preprocessing_{text}_example")
    name = "AutoContrast" if text == "color" else "RandomFlip"
    code = example.replace("{LayerName}", name).strip().removeprefix("```python")
    lines = [line.strip() for line in code.removesuffix("```").strip().splitlines()]
    names = {"keras": __import__("torchkeras")}
    exec("\n".join(lines), names)
    assert names["augmented"] is not None
