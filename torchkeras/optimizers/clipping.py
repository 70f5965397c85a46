"""Gradient clipping over lists of tensors, by torch's multi-tensor functions."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["clip_by_global_norm", "clip_by_norm", "clip_by_value", "global_norm"]

Grads = Sequence[torch.Tensor]


def clip_by_value(grads: Grads, limit: float) -> list[torch.Tensor]:
    """Clip every element to `[-limit, limit]`.

    >>> clip_by_value([torch.tensor([-3.0, 0.5])], 1.0)[0].tolist()
    [-1.0, 0.5]
    """
    return list(torch._foreach_clamp_max(torch._foreach_clamp_min(grads, -limit), limit))


def clip_by_norm(grads: Grads, limit: float, norms: Grads | None = None) -> list[torch.Tensor]:
    """Scale each gradient down to the Euclidean norm `limit` where its norm is larger.

    Args:
        grads: The gradients.
        limit: Largest norm.
        norms: Their norms, where they are known, or where `grads` are parts of the gradients.

    >>> clip_by_norm([torch.tensor([3.0, 4.0])], 1.0)[0].tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    norms = torch._foreach_clamp_min(torch._foreach_norm(grads) if norms is None else norms, limit)
    return list(torch._foreach_div(torch._foreach_mul(grads, limit), norms))


def global_norm(grads: Grads, norms: Grads | None = None) -> torch.Tensor:
    """Euclidean norm of all the gradients taken as one vector; a 0-d tensor.

    Args:
        grads: The gradients.
        norms: As for `clip_by_norm`.

    >>> global_norm([torch.tensor([3.0]), torch.tensor([4.0])])
    tensor(5.)
    """
    norms = torch._foreach_norm(grads) if norms is None else norms
    return torch.linalg.vector_norm(torch.stack([norm.to(norms[0]) for norm in norms]))


def clip_by_global_norm(
    grads: Grads, limit: float, norms: Grads | None = None
) -> list[torch.Tensor]:
    """Scale all gradients by one factor so that their global norm is at most `limit`.

    A norm that is not finite makes all of them NaN, as in Keras: hidden, it would stop training
    without a trace.

    Args:
        grads: The gradients.
        limit: Largest global norm.
        norms: As for `clip_by_norm`.

    >>> [g.item() for g in clip_by_global_norm([torch.tensor(3.0), torch.tensor(4.0)], 10.0)]
    [3.0, 4.0]
    """
    norm = global_norm(grads, norms)
    scale = limit * torch.clamp(1.0 / norm, max=1.0 / limit) + (norm - norm)
    if all(grad.device == scale.device for grad in grads):
        return list(torch._foreach_mul(grads, scale))
    return [grad * scale.to(grad.device) for grad in grads]
