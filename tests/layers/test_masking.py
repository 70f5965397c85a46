"""`Masking`: which steps are masked, and that they become zero."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchkeras import layers

VALUES = st.sampled_from([0.0, 1.0, -2.0])
STEPS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=6)


@given(steps=STEPS, value=VALUES)
def test_a_step_is_masked_where_all_features_equal_the_value(steps, value):
    x = torch.tensor([steps])
    outputs = layers.Masking(value)(x)
    expected = [any(feature != value for feature in step) for step in steps]
    assert outputs._keras_mask.tolist() == [expected]
    for step, used, output in zip(steps, expected, outputs[0].tolist(), strict=True):
        assert output == (list(step) if used else [0.0, 0.0])


def test_nan_is_data():
    x = torch.tensor([[[float("nan"), 0.0], [0.0, 0.0]]])
    assert layers.Masking()(x)._keras_mask.tolist() == [[True, False]]


def test_gradients_pass_only_through_steps_in_use():
    x = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]], requires_grad=True)
    layers.Masking()(x).sum().backward()
    assert x.grad.tolist() == [[[1.0, 1.0], [0.0, 0.0]]]


@pytest.mark.parametrize("value", [torch.tensor([1.0, 2.0]), [1.0, 2.0]], ids=["tensor", "list"])
def test_one_value_per_feature(value):
    x = torch.tensor([[[1.0, 2.0], [2.0, 1.0]]])
    assert layers.Masking(value)(x)._keras_mask.tolist() == [[False, True]]


def test_config():
    layer = layers.Masking(3.0)
    assert layer.get_config()["mask_value"] == 3.0
    assert layers.Masking.from_config(layer.get_config()).get_config() == layer.get_config()
    assert layer.compute_output_shape((None, 3, 2)) == (None, 3, 2)


def test_meta():
    outputs = layers.Masking()(torch.zeros(2, 3, 4, device="meta"))
    assert outputs.is_meta and outputs._keras_mask.shape == (2, 3)


def test_exported_code_has_no_views_of_other_dtypes():
    """ONNX has none."""
    exported = torch.export.export(layers.Masking(), (torch.ones(2, 3, 4),))
    names = {str(node.target) for node in exported.graph.nodes}
    assert "aten.any.dim" in names and "aten.view.dtype" not in names
