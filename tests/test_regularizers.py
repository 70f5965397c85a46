"""Regularizers: closed forms, gradients, identifiers, and the `meta` device."""

import numpy as np
import pytest
import torch

from torchkeras import regularizers

X = torch.tensor([[1.0, -2.0, 0.0], [3.0, 0.5, -1.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    "regularizer, value, gradient",
    [
        (regularizers.L1(0.1), 0.75, 0.1 * X.sign()),
        (regularizers.L2(0.1), 0.1 * 15.25, 0.2 * X),
        (regularizers.L1L2(0.1, 0.2), 0.75 + 0.2 * 15.25, 0.1 * X.sign() + 0.4 * X),
    ],
)
def test_closed_forms(regularizer, value, gradient):
    x = X.clone().requires_grad_()
    y = regularizer(x)
    assert y.item() == pytest.approx(value, rel=1e-12)
    y.backward()
    torch.testing.assert_close(x.grad, gradient)


def test_orthogonal():
    rows = np.array([[3.0, 4.0], [4.0, 3.0], [-4.0, 3.0]])
    # cosines of the pairs: 24/25, 0, 7/25 (its absolute value)
    expected = 0.5 * (24 / 25 + 0 + 7 / 25) / 3
    for mode, x in (("rows", rows), ("columns", rows.T)):
        y = regularizers.OrthogonalRegularizer(0.5, mode)(torch.tensor(x))
        assert y.item() == pytest.approx(expected, rel=1e-12)
    vanishing = regularizers.OrthogonalRegularizer()(torch.zeros(2, 2, dtype=torch.float16))
    assert vanishing.item() == 0


@pytest.mark.parametrize("name", ["L1", "L2", "L1L2", "OrthogonalRegularizer"])
def test_on_meta_nothing_is_read_and_the_dtype_stays(name):
    x = torch.ones(2, 3, device="meta", requires_grad=True)
    y = getattr(regularizers, name)()(x)
    assert y.is_meta and y.shape == () and y.dtype == x.dtype


@pytest.mark.parametrize("name", ["l1", "l2", "l1_l2", "l1l2", "L1L2", "orthogonal_regularizer"])
def test_names_and_configs(name):
    regularizer = regularizers.get(name)
    again = regularizers.deserialize(regularizers.serialize(regularizer))
    assert type(again) is type(regularizer)
    assert again.get_config() == regularizer.get_config()


def test_errors():
    with pytest.raises(ValueError, match=r"L2\.l2: expected a non-negative float(.|\n)*-1"):
        regularizers.L2(-1)
    with pytest.raises(ValueError, match="Did you mean"):
        regularizers.get("l1_12")
    with pytest.raises(ValueError, match=r"inputs.shape=\(2,\)"):
        regularizers.OrthogonalRegularizer()(torch.ones(2))
    with pytest.raises(ValueError, match="mode=diagonals"):
        regularizers.OrthogonalRegularizer(mode="diagonals")
    with pytest.raises((TypeError, ValueError), match="L3"):
        regularizers.deserialize({"class_name": "L3", "config": {}})

    class Nameless(regularizers.Regularizer):
        pass

    with pytest.raises(NotImplementedError, match="Nameless"):
        Nameless().get_config()
