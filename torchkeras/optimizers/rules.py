"""What update rules share: steps over lists of tensors, numbers that may be 0-d tensors, a check.

A number such as the learning rate is a float, or a 0-d tensor on the variables' device where only
that knows which step it is (see `Optimizer.apply_where`). torch's multi-tensor functions take a
float as `value=` or `alpha=`, but a tensor only as a factor of its own; that choice is made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import torch

__all__ = [
    "Number",
    "add_ratio_",
    "add_scaled_",
    "average_",
    "average_squares_",
    "decay_rate",
    "smaller",
]

Number = float | torch.Tensor
Tensors = Sequence[torch.Tensor]


def add_scaled_(targets: Tensors, steps: Tensors, factor: Number) -> None:
    """Add `factor * steps` in place.

    >>> w = [torch.ones(2)]
    >>> add_scaled_(w, [torch.ones(2)], torch.tensor(-0.5))
    >>> w[0].tolist()
    [0.5, 0.5]
    """
    if isinstance(factor, torch.Tensor):
        torch._foreach_add_(targets, torch._foreach_mul(steps, factor))
    else:
        torch._foreach_add_(targets, steps, alpha=factor)


def add_ratio_(
    targets: Tensors, numerators: Tensors, denominators: Tensors, factor: Number
) -> None:
    """Add `factor * numerators / denominators` in place.

    >>> w = [torch.ones(2)]
    >>> add_ratio_(w, [torch.ones(2)], [torch.full((2,), 4.0)], -2.0)
    >>> w[0].tolist()
    [0.5, 0.5]
    """
    if isinstance(factor, torch.Tensor):
        numerators, factor = torch._foreach_mul(numerators, factor), 1.0
    torch._foreach_addcdiv_(targets, numerators, denominators, value=factor)


def average_(averages: Tensors, values: Tensors, weight: Number) -> None:
    """Move averages towards new values, which get the weight `weight`, in place.

    >>> a = [torch.zeros(2)]
    >>> average_(a, [torch.ones(2)], 0.25)
    >>> a[0].tolist()
    [0.25, 0.25]
    """
    if isinstance(weight, torch.Tensor):
        add_scaled_(averages, torch._foreach_sub(values, averages), weight)
    else:
        torch._foreach_lerp_(averages, values, weight)


def average_squares_(squares: Tensors, values: Tensors, keep: float) -> None:
    """Update averages of squares, in which the old average has the weight `keep`, in place.

    >>> v = [torch.zeros(2)]
    >>> average_squares_(v, [torch.full((2,), 3.0)], 0.5)
    >>> v[0].tolist()
    [4.5, 4.5]
    """
    torch._foreach_mul_(squares, keep)
    torch._foreach_addcmul_(squares, values, values, value=1 - keep)


def smaller(a: Number, b: Number) -> Number:
    """Return the smaller of two numbers.

    >>> smaller(2.0, 1.0), smaller(2.0, torch.tensor(3.0))
    (1.0, tensor(2.))
    """
    if isinstance(a, torch.Tensor):
        return a.clamp(max=b)
    return b.clamp(max=a) if isinstance(b, torch.Tensor) else min(a, b)


def decay_rate(name: str, value: float, closed: bool = False) -> float:
    """The weight of the old value in a moving average, as it was given.

    Args:
        name: The argument that it is.
        value: Its value.
        closed: Whether 1 will do; a rule that divides by `1 - value**t` cannot take it.

    Raises:
        TypeError: It is no number.
        ValueError: It lies outside of [0, 1): the average would grow without bound, or change sign.

    >>> decay_rate("beta_1", 0.9)
    0.9
    """
    interval = "[0, 1]" if closed else "[0, 1)"
    if not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a number in {interval}. Received: {name}={value!r}")
    if not (0 <= value < 1 or (closed and value == 1)):
        raise ValueError(f"`{name}` must be in {interval}. Received: {name}={value}")
    return value
