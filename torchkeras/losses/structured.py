"""Losses over structures: overlap of images (Dice, Tversky), embeddings (circle), sequences (CTC).

Letters: B batch, T time steps, L labels per sequence, C classes, E embedding width.
Sources: Milletari et al. 2016 (Dice), Salehi et al. 2017 (Tversky), Sun et al. 2020 (circle),
Graves et al. 2006 (CTC).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import epsilon
from ..naming import explain
from ..registry import builtin
from .loss import LABEL_LOSSES, FunctionLoss, check_broadcast, prepare, symbolic, to_tensor

__all__ = ["CTC", "Circle", "Dice", "Tversky", "circle", "ctc", "dice", "tversky"]

Axes = int | Sequence[int] | None


@builtin("keras.losses.dice")
@symbolic
def dice(y_true: Tensor | Any, y_pred: Tensor | Any, axis: Axes = None) -> Tensor:
    """One minus the Dice overlap of two (soft) masks.

    Args:
        y_true: Masks of values in [0, 1].
        y_pred: Predicted masks, same shape.
        axis: The axes that make up one mask; `None` for all.

    Returns:
        0 for equal masks, 1 for disjoint ones; the shape without `axis`.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> dice([1.0, 0.0], [0.0, 1.0])
        tensor(1.)
    """
    y_true, y_pred = prepare(y_true, y_pred)
    check_broadcast("dice", y_true, y_pred)
    overlap = (y_true * y_pred).sum(axis)
    return 1.0 - 2.0 * overlap / (y_true.sum(axis) + y_pred.sum(axis) + epsilon())


@builtin("keras.losses.tversky")
@symbolic
def tversky(
    y_true: Tensor | Any,
    y_pred: Tensor | Any,
    alpha: float = 0.5,
    beta: float = 0.5,
    axis: Axes = None,
) -> Tensor:
    """One minus the Tversky overlap, which weights the two kinds of error apart.

    Args:
        y_true: Masks of values in [0, 1].
        y_pred: Predicted masks, same shape.
        alpha: Weight of what `y_true` has and `y_pred` lacks.
        beta: Weight of what `y_pred` has and `y_true` lacks.
        axis: The axes that make up one mask; `None` for all.

    Returns:
        The shape without `axis`.

    Raises:
        ValueError: The shapes do not combine.
    """
    y_true, y_pred = prepare(y_true, y_pred)
    check_broadcast("tversky", y_true, y_pred)
    overlap = (y_true * y_pred).sum(axis)
    missed = ((1.0 - y_pred) * y_true).sum(axis)
    extra = (y_pred * (1.0 - y_true)).sum(axis)
    return 1.0 - overlap / (overlap + alpha * missed + beta * extra + epsilon())


@builtin("keras.losses.circle")
@symbolic
def circle(
    y_true: Tensor | Any,
    y_pred: Tensor | Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """Circle loss of embeddings: same labels together, different labels apart.

    Args:
        y_true: Labels `(B,)` or `(B, 1)`.
        y_pred: Embeddings of unit length `(B, E)`.
        ref_labels: Labels of the reference embeddings. Default: `y_true`.
        ref_embeddings: Embeddings to compare with. Default: `y_pred`.
        remove_diagonal: Whether a sample is not compared with itself.
        gamma: Scale.
        margin: How far similarities may stay from their optimum.

    Returns:
        One value per sample, `(B,)`; values of 0 are masked from a mean.
    """
    y_pred = to_tensor(y_pred)
    labels = to_tensor(y_true, torch.int32, y_pred.device).reshape(-1, 1)
    others, other_labels = y_pred, labels
    if ref_embeddings is not None:
        others = to_tensor(ref_embeddings, y_pred.dtype, y_pred.device)
    if ref_labels is not None:
        other_labels = to_tensor(ref_labels, torch.int32, y_pred.device).reshape(-1, 1)
    distance = (1.0 - y_pred @ others.mT).clamp(min=0.0)
    same = labels == other_labels.mT
    different = ~same
    if remove_diagonal:
        same = same & ~torch.eye(*same.shape, dtype=torch.bool, device=same.device)
    pull = -gamma * (margin + distance).clamp(min=0.0) * (margin - distance)
    push = gamma * (1.0 + margin - distance).clamp(min=0.0) * (1.0 - margin - distance)
    sums = [
        torch.where(keep, terms, -torch.inf).logsumexp(1)
        for keep, terms in ((same, pull), (different, push))
    ]
    values = F.softplus(sums[0] + sums[1])
    values._keras_mask = values > 0
    return values


@builtin("keras.losses.ctc")
@symbolic
def ctc(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """Connectionist temporal classification: labels in order, at unknown times.

    Args:
        y_true: Class numbers `(B, L)`; 0 is the blank and pads short rows.
        y_pred: Logits `(B, T, C)`.

    Returns:
        One value per sequence, `(B,)`, in nats.

    Raises:
        ValueError: Another rank.
    """
    y_true, y_pred = to_tensor(y_true), to_tensor(y_pred)
    if y_true.dim() != 2 or y_pred.dim() != 3:
        raise ValueError(
            explain(
                "ctc: the inputs have the wrong rank.",
                y_true=f"{tuple(y_true.shape)}, expected (batch_size, max_length) of class numbers",
                y_pred=f"{tuple(y_pred.shape)}, expected (batch_size, num_steps, num_classes)",
            )
        )
    labels = y_true.to(device=y_pred.device, dtype=torch.int64)
    log_probs = y_pred.transpose(0, 1).float().log_softmax(-1)
    steps = torch.full_like(labels[:, 0], y_pred.shape[1])
    return F.ctc_loss(log_probs, labels, steps, (labels != 0).sum(-1), blank=0, reduction="none")


LABEL_LOSSES.update((circle, ctc))


@builtin("keras.losses.Dice")
class Dice(FunctionLoss):
    """`dice` with reduction and weights; see `Loss` for the other arguments.

    Args:
        axis: The axes that make up one mask; `None` for all.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dice, reduction=reduction, name=name, dtype=dtype, axis=axis)


@builtin("keras.losses.Tversky")
class Tversky(FunctionLoss):
    """`tversky`, whose arguments it takes, with reduction and weights."""

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            tversky,
            reduction=reduction,
            name=name,
            dtype=dtype,
            alpha=alpha,
            beta=beta,
            axis=axis,
        )


@builtin("keras.losses.Circle")
class Circle(FunctionLoss):
    """`circle` with reduction and weights; see `Loss` for the other arguments.

    Args:
        gamma: Scale.
        margin: How far similarities may stay from their optimum.
        remove_diagonal: Whether a sample is not compared with itself.
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            circle,
            reduction=reduction,
            name=name,
            dtype=dtype,
            gamma=gamma,
            margin=margin,
            remove_diagonal=remove_diagonal,
        )


@builtin("keras.losses.CTC")
class CTC(FunctionLoss):
    """`ctc` with reduction and weights; see `Loss` for the arguments."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "ctc",
        dtype: Any = None,
    ) -> None:
        super().__init__(ctc, reduction=reduction, name=name, dtype=dtype)
