"""The kernels of `LSTM` and `GRU` on a CPU as single operators of a graph of `torch.compile`.

Letters: T time steps, B batch, D input width, U units; time is the first axis here. A compiler that
is shown the time steps makes code for each of them, in minutes, and slower code than what it stands
for. So it is shown an operator that it calls.

An LSTM is computed by oneDNN, as outside of graphs. What its backward pass wants of its forward
pass, and whose size only oneDNN knows, lies in `_WORKSPACES` meanwhile, for as long as its number
lives; where it is gone, it is computed anew. A GRU has no such kernel. Its backward pass multiplies
out beforehand what it needs of all steps at once; then a step is six calls into torch, where
differentiating it would be some twenty.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["by_operator", "has_operator"]

# `torch.library.custom_op` says the same, but looks for sources, which takes long at import.
_LIBRARY = torch.library.Library("torchkeras", "FRAGMENT")
_WORKSPACES: dict[int, Tensor] = {}
_numbers = itertools.count(1)
_HAS_ONEDNN = torch.backends.mkldnn.is_available()
_onednn = torch.ops.aten.mkldnn_rnn_layer
_onednn_backward = torch.ops.aten.mkldnn_rnn_layer_backward
_MODE = 2  # an LSTM, to oneDNN


def _operator(schema: str) -> Callable[[Callable[..., Any]], Any]:
    """Make an operator of a function, as its schema says."""

    def define(function: Callable[..., Any]) -> Any:
        _LIBRARY.define(schema)
        name = schema.partition("(")[0]
        _LIBRARY.impl(name, function, "CPU")
        return getattr(torch.ops.torchkeras, name).default

    return define


def _shapes_of(name: str) -> Callable[[Callable[..., Any]], None]:
    """Let a function say what an operator returns for tensors without data."""
    return functools.partial(_LIBRARY.impl, name, dispatch_key="Meta")


def has_operator(kind: str, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether there is an operator for a layer of a kind, `"LSTM"`, `"GRU"` or another."""
    if device.type != "cpu":
        return False
    if kind == "GRU":
        return dtype in (torch.float32, torch.float64)
    return kind == "LSTM" and dtype is torch.float32 and _HAS_ONEDNN


def by_operator(
    kind: str, x: Tensor, states: Sequence[Tensor], weights: list[Tensor], *options: Any
) -> tuple[Tensor, list[Tensor]]:
    """Compute a layer, or two that mirror each other, as torch's kernel does.

    Args:
        kind: One that `has_operator`.
        x: `(B, T, D)`.
        states: `(directions, B, U)` each.
        weights: Of all directions.
        options: As of the kernel: the fourth says whether to train, the fifth if there are two.

    Returns:
        The outputs `(B, T, directions * U)`, and the final states as they came in.
    """
    run, training = _RUN[kind], options[3]
    if not options[4]:
        return run(x, states, weights, training)
    half, mirrored = len(weights) // 2, x.flip(1)
    y, ends = run(x, [state[:1] for state in states], weights[:half], training)
    z, others = run(mirrored, [state[1:] for state in states], weights[half:], training)
    return torch.cat([y, z.flip(1)], 2), [*map(torch.cat, zip(ends, others, strict=True))]


# LSTM --------------------------------------------------------------------------------------------


def _run_onednn(
    x: Tensor, h: Tensor, c: Tensor, weights: list[Tensor], training: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    weights = [weight.contiguous() for weight in weights]
    options = False, [], _MODE, h.shape[2], 1, True, False, False, training
    with torch.set_grad_enabled(training):  # without gradients torch asks for no workspace
        return _onednn(x.contiguous(), *weights, h.contiguous(), c.contiguous(), *options)


@_operator(
    "lstm(Tensor x, Tensor h, Tensor c, Tensor w, Tensor v, Tensor b, Tensor d, bool training)"
    " -> (Tensor, Tensor, Tensor, Tensor)"
)
def _lstm(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, v: Tensor, b: Tensor, d: Tensor, training: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run an LSTM.

    Args:
        x: `(T, B, D)`.
        h, c: The states, `(1, B, U)`.
        w, v: The kernels of inputs and states, `(4U, D)` and `(4U, U)`.
        b, d: Their biases, `(4U,)`.
        training: Whether the backward pass will come.

    Returns:
        The outputs `(T, B, U)`, the final states, and the number of the workspace.
    """
    *outputs, workspace = _run_onednn(x, h, c, [w, v, b, d], training)
    key = next(_numbers)
    number = torch.tensor([key])
    if training:
        _WORKSPACES[key] = workspace
        weakref.finalize(number, _WORKSPACES.pop, key, None).atexit = False
    return *outputs, number


@_operator(
    "lstm_backward(Tensor[] grads, Tensor[] inputs, Tensor[] outputs, Tensor number)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)"
)
def _lstm_backward(
    grads: list[Tensor], inputs: list[Tensor], outputs: list[Tensor], number: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of `x`, `h`, `c`, `w`, `v`, and of either bias."""
    x, h, c, *weights = inputs = [tensor.contiguous() for tensor in inputs]
    workspace = _WORKSPACES.pop(number.item(), None)
    if workspace is None:
        workspace = _run_onednn(x, h, c, weights, True)[3]
    options = False, _MODE, h.shape[2], 1, True, True, False, [], False, workspace
    grads = [grad.contiguous() for grad in grads]
    x, w, v, b, _, h, c = _onednn_backward(x, *weights, h, c, *outputs, *grads, *options)
    return x, h, c, w, v, b


@_shapes_of("lstm")
def _(x, h, c, w, v, b, d, training):  # noqa: ANN001, ANN202
    outputs = x.new_empty((*x.shape[:2], h.shape[2]))
    number = x.new_empty(1, dtype=torch.int64)
    return outputs, h.new_empty(h.shape), c.new_empty(c.shape), number


@_shapes_of("lstm_backward")
def _(grads, inputs, outputs, number):  # noqa: ANN001, ANN202
    return tuple(tensor.new_empty(tensor.shape) for tensor in inputs[:6])


def _save_lstm(ctx, inputs, output) -> None:  # noqa: ANN001
    ctx.save_for_backward(*inputs[:7], *output)


def _differentiate_lstm(ctx, *grads: Tensor):  # noqa: ANN001, ANN202
    *tensors, number = ctx.saved_tensors
    x, h, c, w, v, b = _lstm_backward([*grads[:3]], tensors[:7], tensors[7:], number)
    return x, h, c, w, v, b, b.clone(), None


torch.library.register_autograd(
    "torchkeras::lstm", _differentiate_lstm, setup_context=_save_lstm, lib=_LIBRARY
)


def _run_lstm(
    x: Tensor, states: Sequence[Tensor], weights: list[Tensor], training: bool
) -> tuple[Tensor, list[Tensor]]:
    if len(weights) == 2:
        weights = [*weights, *[weights[0].new_zeros(weights[0].shape[0])] * 2]
    y, h, c, _ = _lstm(x.transpose(0, 1), *states, *weights, training)
    return y.transpose(0, 1), [h, c]


# GRU ---------------------------------------------------------------------------------------------


@_operator("gru_steps(Tensor x, Tensor h, Tensor weight, Tensor bias) -> (Tensor, Tensor, Tensor)")
def _gru(x: Tensor, h: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run all steps.

    Args:
        x: `(T, B, 3U)`, the part of the inputs in the gates `r z n`.
        h: The state, `(B, U)`.
        weight: Of the state, `(3U, U)`.
        bias: Likewise, `(3U,)`.

    Returns:
        `h` after each step `(T, B, U)`, the gates `(T, B, 3U)`, and the part of the state in `n`.
    """
    units, transposed = h.shape[1], weight.t()
    gates = torch.empty_like(x)
    hs, states = (x.new_empty((*x.shape[:2], units)) for _ in range(2))
    shut, new = (part.unbind(0) for part in gates.split([2 * units, units], 2))
    given, given_new = (part.unbind(0) for part in x.split([2 * units, units], 2))
    r, z = (part.unbind(0) for part in gates[..., : 2 * units].chunk(2, 2))
    for t, (next_h, state) in enumerate(zip(hs.unbind(0), states.unbind(0), strict=True)):
        sums = torch.addmm(bias, h, transposed)
        torch.add(given[t], sums[:, : 2 * units], out=shut[t]).sigmoid_()
        state.copy_(sums[:, 2 * units :])
        torch.addcmul(given_new[t], r[t], state, out=new[t]).tanh_()
        h = torch.lerp(new[t], h, z[t], out=next_h)
    return hs, gates, states


@_operator(
    "gru_steps_backward(Tensor grad_h, Tensor h, Tensor hs, Tensor gates, Tensor states,"
    " Tensor weight) -> (Tensor, Tensor, Tensor)"
)
def _gru_backward(
    grad_h: Tensor, h: Tensor, hs: Tensor, gates: Tensor, states: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `x`, of what `weight` and `bias` give, and of `h`."""
    size, batch, units = hs.shape
    r, z, new = gates.chunk(3, 2)
    before = torch.cat([h.unsqueeze(0), hs[:-1]])
    slopes = torch.stack([(before - new) * z * (1 - z), (1 - z) * (1 - new * new)], 2).unbind(0)
    of_r = (states * r * (1 - r)).unbind(0)
    # In the order `r z n`; `n` of the inputs last, that of the states before it.
    grads = hs.new_empty((size, batch, 4, units))
    into_zn, into_r = grads[:, :, 1::2].unbind(0), grads[:, :, 0].unbind(0)
    new_grads, into_state = grads[:, :, 3].unbind(0), grads[:, :, 2].unbind(0)
    rows = grads[:, :, :3].unbind(0)
    opened, kept, given = r.unbind(0), z.unbind(0), grad_h.unbind(0)
    grad = torch.zeros_like(h)
    for t in reversed(range(size)):
        grad = grad.add_(given[t])
        torch.mul(grad.unsqueeze(1), slopes[t], out=into_zn[t])
        torch.mul(new_grads[t], of_r[t], out=into_r[t])
        torch.mul(new_grads[t], opened[t], out=into_state[t])
        grad = torch.addmm(grad * kept[t], rows[t].flatten(1), weight)
    of_x = grads[:, :, [0, 1, 3]].flatten(2)
    return of_x, grads[:, :, :3].flatten(2).contiguous(), grad


@_shapes_of("gru_steps")
def _(x, h, weight, bias):  # noqa: ANN001, ANN202
    hs = x.new_empty((*x.shape[:2], h.shape[1]))
    return hs, x.new_empty(x.shape), hs.new_empty(hs.shape)


@_shapes_of("gru_steps_backward")
def _(grad_h, h, hs, gates, states, weight):  # noqa: ANN001, ANN202
    return gates.new_empty(gates.shape), gates.new_empty(gates.shape), h.new_empty(h.shape)


def _save_gru(ctx, inputs, output) -> None:  # noqa: ANN001
    _, h, weight, _ = inputs
    ctx.save_for_backward(h, weight, *output)


def _differentiate_gru(ctx, grad, *_):  # noqa: ANN001, ANN202
    h, weight, hs, gates, states = ctx.saved_tensors
    of_x, of_state, of_h = _gru_backward(grad.contiguous(), h, hs, gates, states, weight)
    before = torch.cat([h.unsqueeze(0), hs[:-1]]).flatten(0, 1)
    flat = of_state.flatten(0, 1)
    return of_x, of_h, flat.t() @ before, flat.sum(0)


torch.library.register_autograd(
    "torchkeras::gru_steps", _differentiate_gru, setup_context=_save_gru, lib=_LIBRARY
)


def _run_gru(
    x: Tensor, states: Sequence[Tensor], weights: list[Tensor], training: bool
) -> tuple[Tensor, list[Tensor]]:
    w, v, *biases = weights
    b, d = biases or (None, v.new_zeros(v.shape[0]))
    hs = _gru(F.linear(x.transpose(0, 1), w, b).contiguous(), states[0][0].contiguous(), v, d)[0]
    return hs.transpose(0, 1), [hs[-1:]]


_RUN = {"LSTM": _run_lstm, "GRU": _run_gru}
