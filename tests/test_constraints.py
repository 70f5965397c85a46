"""Constraints: what holds after projecting, identifiers, and the `meta` device."""

import numpy as np
import pytest
import torch

from torchkeras import constraints

ALL = ["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"]
W = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
# The formulas divide by the norm plus epsilon, 1e-7; norms below are of order 1.
BOUND = {"rtol": 1e-6, "atol": 1e-6}


@pytest.mark.parametrize("axis", [0, -1, (0, 1), [0, 2], None])
def test_norms(axis):
    def norms(w):
        return torch.linalg.vector_norm(w, dim=axis)

    before = norms(W)
    torch.testing.assert_close(
        norms(constraints.UnitNorm(axis)(W)), torch.ones_like(before), **BOUND
    )
    torch.testing.assert_close(
        norms(constraints.MaxNorm(1.5, axis)(W)), before.clamp(max=1.5), **BOUND
    )
    inside = before.clamp(1.0, 1.5)
    torch.testing.assert_close(
        norms(constraints.MinMaxNorm(1.0, 1.5, 1.0, axis)(W)), inside, **BOUND
    )
    torch.testing.assert_close(
        norms(constraints.MinMaxNorm(1.0, 1.5, 0.25, axis)(W)),
        0.25 * inside + 0.75 * before,
        **BOUND,
    )


def test_directions_are_kept():
    projected = constraints.MaxNorm(0.1)(W)
    cosine = torch.nn.functional.cosine_similarity(projected, W, dim=0)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_non_neg():
    assert torch.equal(constraints.NonNeg()(W), torch.relu(W))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", ALL)
def test_vanishing_weights_stay_finite(name, dtype):
    arguments = {"min_value": 0.5} if name == "MinMaxNorm" else {}
    result = getattr(constraints, name)(**arguments)(torch.zeros(3, 2, dtype=dtype))
    assert result.dtype == dtype
    assert result.tolist() == [[0.0, 0.0]] * 3


@pytest.mark.parametrize("name", ALL)
def test_strides_and_device_are_kept(name):
    kernel = torch.ones(8, 4, 3, 3).to(memory_format=torch.channels_last).permute(2, 3, 1, 0)
    result = getattr(constraints, name)()(kernel)
    assert result.stride() == kernel.stride()
    assert getattr(constraints, name)()(kernel.to("meta")).is_meta


@pytest.mark.parametrize("name", ["max_norm", "MinMaxNorm", "non_neg", "UnitNorm", "constraint"])
def test_names_and_configs(name):
    constraint = constraints.get(name)
    again = constraints.deserialize(constraints.serialize(constraint))
    assert type(again) is type(constraint)
    assert again.get_config() == constraint.get_config()


@pytest.mark.parametrize(
    ("size", "rings"), [(2, (0,)), (3, (0, 1)), (4, (1, 3)), (5, (1, 2, 3)), (6, (2, 4, 5))]
)
def test_radial_constraint(size, rings):
    """From the middle outwards, squares have elements of the diagonal."""
    w = torch.randn(size, size, 2, 3)
    made = constraints.Keras2RadialConstraint()(w)
    assert made.shape == w.shape
    for (row, column), place in zip(np.ndindex(size, size), made.reshape(-1, 2, 3), strict=True):
        away = max(abs(row - (size - 1) / 2), abs(column - (size - 1) / 2))
        source = rings[int(away)]
        assert torch.equal(place, w[source, source])
    for shape in ((3, 4, 1, 1), (3, 3), (1, 1, 2, 2)):
        with pytest.raises(ValueError, match="RadialConstraint"):
            constraints.Keras2RadialConstraint()(torch.ones(shape))


def test_errors():
    with pytest.raises(ValueError, match="Did you mean 'MaxNorm'"):
        constraints.get("maxnorm_")
    with pytest.raises((TypeError, ValueError), match="NoSuch"):
        constraints.deserialize({"class_name": "NoSuch", "config": {}})


def test_an_axis_and_bounds_are_needed():
    with pytest.raises(ValueError, match="`axis`"):
        constraints.UnitNorm(axis=())
    with pytest.raises(ValueError, match="`max_value`"):
        constraints.MaxNorm(None)
