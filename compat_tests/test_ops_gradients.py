"""Gradients of ops against Keras on torch: of a random projection of the results, by each float."""

import warnings

import keras
import numpy as np
import pytest
import torch
from ops_oracle import CASES, CLOSE, ORACLE_FAILS, arrays, mapped, of
from oracle import assert_close

from torchkeras import ops
from torchkeras.tree import flatten

# torch has no derivative, so that neither library has one.
NO_GRADIENT = ("heaviside-", "floor_divide-f", "histogram-", "qr-f4x3-mode=complete", "eig-")
# Beams that never were have the score -inf, and its gradient is NaN, with Keras in more places.
NO_GRADIENT += ("ctc_decode-f2x5x4-i2-beam_search", "ctc_decode-f2x4x3-i2-beam_search")
# Keras overwrites tensors that its gradient needs, or calls what has none.
KERAS_HAS_NONE = (*ORACLE_FAILS, "vander-f3", "bincount-i6-weights")
KERAS_HAS_NONE += tuple(f"scatter_update-{case}" for case in ("f4-i3x1-f3", "f4x2-i3", "f4x2-i2x2"))

FLOATING = [
    case
    for case in CASES
    if any(x.dtype.kind in "fc" for x in arrays(case)) and not case.id.startswith(NO_GRADIENT)
]


def projection(library, case, change):
    """A random projection of the results of an op, and the inputs that may have a gradient."""
    torch.manual_seed(0)
    inputs = {}

    def make(x):
        if id(x) not in inputs:
            inputs[id(x)] = change(torch.tensor(x))
            inputs[id(x)].requires_grad_(x.dtype.kind in "fc")
        return inputs[id(x)].clone()  # Keras overwrites some of its inputs

    args, kwargs = mapped(make, case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = flatten(of(library, case.name)(*args, **kwargs))
    rng, total = np.random.default_rng(0), torch.zeros(())
    for result in results:
        if isinstance(result, torch.Tensor) and result.requires_grad:
            parts = torch.view_as_real(result) if result.is_complex() else result
            total = total + (parts * torch.tensor(rng.standard_normal(parts.shape))).sum()
    return total, [x for x in inputs.values() if x.requires_grad]


def gradients(library, case, change=lambda x: x):
    """The gradients of the projection; `None` where there is none."""
    total, inputs = projection(library, case, change)
    if not total.requires_grad:
        return [None] * len(inputs)
    return list(torch.autograd.grad(total, inputs, allow_unused=True))


@pytest.mark.parametrize("case", FLOATING, ids=lambda case: case.id)
def test_gradients(case):
    if case.id.startswith(KERAS_HAS_NONE):
        check_slope(case)
        return
    ours, theirs = gradients(ops, case), gradients(keras.ops, case)
    if case.name == "image.affine_transform":
        # Keras multiplies the channels' numbers by the last two parameters, which mean nothing.
        ours, theirs = ours[:1], theirs[:1]
    assert_close(ours, theirs, **CLOSE)


def check_slope(case, step=1e-3):
    """Compare the slope along a random direction with the difference of two values nearby."""
    directions = []

    def moved(step):
        def move(x):
            if not x.is_floating_point():
                return x
            directions.append(torch.tensor(rng.standard_normal(x.shape)))
            return x.double() + step * directions[-1]

        rng = np.random.default_rng(1)
        directions.clear()
        return move

    low, high = (projection(ops, case, moved(s))[0].item() for s in (-step, step))
    slopes = zip(gradients(ops, case, moved(0.0)), directions, strict=True)
    slope = sum((gradient * direction).sum().item() for gradient, direction in slopes)
    assert slope == pytest.approx((high - low) / (2 * step), rel=1e-3, abs=1e-3)
