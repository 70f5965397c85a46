"""The operators that stand for recurrent kernels in graphs, beside torch's kernels."""

import pytest
import torch

from torchkeras.layers import recurrent_ops

T, B, D, U = 5, 3, 4, 2
KERNELS = {"LSTM": (torch.lstm, 4, 2), "GRU": (torch.gru, 3, 1)}


def both(kind, biased, directions):
    """Outputs and gradients by torch's kernel, and by an operator."""
    kernel, gates, count = KERNELS[kind]
    torch.manual_seed(0)
    shapes = [(gates * U, D), (gates * U, U), *[(gates * U,)] * (2 * biased)] * directions
    weights = [torch.randn(shape, requires_grad=True) for shape in shapes]
    states = [torch.randn(directions, B, U, requires_grad=True) for _ in range(count)]
    x = torch.randn(B, T, D, requires_grad=True)
    options = biased, 1, 0.0, True, directions == 2, True
    given = tuple(states) if kind == "LSTM" else states[0]
    results = []
    y, ends = recurrent_ops.by_operator(kind, x, states, weights, *options)
    for outputs in (kernel(x, given, weights, *options), (y, *ends)):
        total = sum((out * torch.arange(out.numel()).view(out.shape)).sum() for out in outputs)
        results.append([*outputs, *torch.autograd.grad(total, [x, *states, *weights])])
    return results


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("kind", KERNELS)
def test_outputs_and_gradients_are_those_of_the_kernel(kind, biased, directions):
    expected, actual = both(kind, biased, directions)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)  # gradients of up to 100
    assert not recurrent_ops._WORKSPACES


def lstm(x):
    """The outputs and the number of a workspace."""
    state, v, b = torch.zeros(1, B, U), torch.ones(4 * U, U), torch.ones(4 * U)
    *outputs, number = recurrent_ops._lstm(x, state, state, torch.ones(4 * U, D), v, b, b, True)
    return outputs, number


def test_a_workspace_that_is_gone_is_computed_anew():
    x = torch.ones(T, B, D, requires_grad=True)
    (expected,) = torch.autograd.grad(lstm(x)[0][0].sum(), x)
    outputs, _ = lstm(x)
    recurrent_ops._WORKSPACES.clear()
    (actual,) = torch.autograd.grad(outputs[0].sum(), x)
    assert torch.equal(actual, expected)


def test_workspaces_live_no_longer_than_their_outputs():
    kept = lstm(torch.ones(T, B, D, requires_grad=True))
    lstm(torch.ones(T, B, D))
    assert len(recurrent_ops._WORKSPACES) == 1
    del kept
    assert not recurrent_ops._WORKSPACES


@pytest.mark.parametrize("kind", KERNELS)
def test_torch_finds_the_operators_well_described(kind):
    """Shapes without values, gradients, and that nothing is changed or shared."""
    _, gates, count = KERNELS[kind]
    weights = [torch.randn(shape, requires_grad=True) for shape in ((gates * U, U), (gates * U,))]
    state = torch.randn(B, U, requires_grad=True)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    if kind == "GRU":
        x = torch.randn(T, B, 3 * U, requires_grad=True)
        torch.library.opcheck(recurrent_ops._gru, (x, state, *weights), test_utils=tests)
        return
    x, kernel = torch.randn(T, B, D, requires_grad=True), torch.randn(4 * U, D)
    states = [state.detach()[None]] * count
    args = (x, *states, kernel, weights[0], weights[1], torch.zeros(4 * U), True)
    torch.library.opcheck(recurrent_ops._lstm, args, test_utils=tests)
    recurrent_ops._WORKSPACES.clear()
