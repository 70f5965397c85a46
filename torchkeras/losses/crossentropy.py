"""Losses between distributions: cross-entropies, their focal variants, KL divergence, Poisson.

Letters: B batch, C classes. Probabilities are clamped to `[eps, 1 - eps]` before logarithms, with
`eps = config.epsilon()`; class probabilities are first divided by their sum. With `from_logits` the
inputs are unnormalized and neither happens.

Labels: a class number outside `[0, C)` is a `ValueError` on the CPU, where torch's kernel notices
it at no cost. On a GPU only the device notices; looking would synchronize each step.
Sources: Lin et al. 2017 (focal), Zhang & Sabuncu 2018 (generalized); definitions as in Keras.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from ..config import epsilon
from ..naming import explain
from ..registry import builtin
from .loss import (
    LABEL_LOSSES,
    FunctionLoss,
    check_broadcast,
    mean_kernel,
    prepare,
    same_size,
    shape_error,
    squeeze_or_expand_to_same_rank,
    symbolic,
    to_tensor,
)

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "KLDivergence",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "kl_divergence",
    "poisson",
    "sparse_categorical_crossentropy",
]

_nn = torch._C._nn  # the kernels under torch.nn.functional, without its checks
NONE, MEAN, SUM = 0, 1, 2  # torch's numbers for reductions
NO_INDEX = -(2**63)  # an ignored class that no label can be, so that every wrong label is noticed
GATHER_ABOVE = 512  # classes from which picking the label's probability first is faster


# Binary ------------------------------------------------------------------------------------------


def _binary(y_true: Tensor, y_pred: Tensor, from_logits: bool, reduction: int) -> Tensor:
    if from_logits:
        return torch.binary_cross_entropy_with_logits(y_pred, y_true, None, None, reduction)
    eps = epsilon()
    if not y_pred.is_cuda:
        try:
            return _nn.binary_cross_entropy(y_pred.clamp(eps, 1.0 - eps), y_true, None, reduction)
        except RuntimeError:  # the kernel refuses NaN; the loss is to be NaN, so that one can react
            pass
    # CUDA's kernel stops the process at a NaN. Through logits the value is the same.
    return torch.binary_cross_entropy_with_logits(y_pred.logit(eps), y_true, None, None, reduction)


def _binary_inputs(
    name: str, y_true: Any, y_pred: Any, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    y_true, y_pred = squeeze_or_expand_to_same_rank(*prepare(y_true, y_pred))
    if y_true.shape != y_pred.shape:
        raise shape_error(name, y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return y_true, y_pred


@builtin("keras.losses.binary_crossentropy", "keras.metrics.binary_crossentropy")
@symbolic
def binary_crossentropy(
    y_true: Tensor | Any,
    y_pred: Tensor | Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Cross-entropy of independent yes/no labels, averaged over `axis`.

    Args:
        y_true: Labels in [0, 1], `(B, ..., D)`.
        y_pred: Probabilities, or logits with `from_logits`; same shape.
        from_logits: Whether `y_pred` is unnormalized.
        label_smoothing: Labels move this fraction of the way to 0.5.
        axis: The averaged axis.

    Returns:
        One value per sample, in nats; the shape without `axis`.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> binary_crossentropy([[1.0, 0.0]], [[0.5, 0.5]])
        tensor([0.6931])
    """
    y_true, y_pred = _binary_inputs("binary_crossentropy", y_true, y_pred, label_smoothing)
    return _binary(y_true, y_pred, from_logits, NONE).mean(axis)


@mean_kernel(binary_crossentropy)
def _mean_binary(
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor | None:
    if y_true.dtype is not y_pred.dtype or y_true.shape != y_pred.shape:
        y_true = same_size(y_true, y_pred)
    if y_true is None or axis != -1:
        return None
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return _binary(y_true, y_pred, from_logits, MEAN)


@builtin("keras.losses.binary_focal_crossentropy", "keras.metrics.binary_focal_crossentropy")
@symbolic
def binary_focal_crossentropy(
    y_true: Tensor | Any,
    y_pred: Tensor | Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Binary cross-entropy in which well classified labels count less.

    Each label's value is multiplied by `(1 - p)**gamma`, `p` being the probability of the truth.

    Args:
        y_true: Labels in [0, 1], `(B, ..., D)`.
        y_pred: Probabilities, or logits with `from_logits`; same shape.
        apply_class_balancing: Also weight positives by `alpha`, negatives by `1 - alpha`.
        alpha: The weight of positives.
        gamma: The focusing exponent.
        from_logits: Whether `y_pred` is unnormalized.
        label_smoothing: Labels move this fraction of the way to 0.5.
        axis: The averaged axis.

    Returns:
        One value per sample; the shape without `axis`.

    Raises:
        ValueError: The shapes differ.
    """
    y_true, y_pred = _binary_inputs("binary_focal_crossentropy", y_true, y_pred, label_smoothing)
    if from_logits:
        y_pred = y_pred.sigmoid()
    of_truth = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    values = (1.0 - of_truth).pow(gamma) * _binary(y_true, y_pred, False, NONE)
    if apply_class_balancing:
        values = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * values
    return values.mean(axis)


# One-hot labels ----------------------------------------------------------------------------------


def _normalized(y_pred: Tensor, axis: int) -> Tensor:
    """Probabilities that sum to 1 over `axis`, kept away from 0 and 1."""
    eps = epsilon()
    return (y_pred / y_pred.sum(axis, keepdim=True)).clamp(eps, 1.0 - eps)


def _class_inputs(
    name: str, y_true: Any, y_pred: Any, label_smoothing: float, axis: int
) -> tuple[Tensor, Tensor]:
    if isinstance(axis, bool):
        raise ValueError(f"{name}: `axis` must be an int, got {axis!r}.")
    y_true, y_pred = prepare(y_true, y_pred)
    if y_true.shape != y_pred.shape or not y_true.dim():
        raise shape_error(name, y_true, y_pred)
    if y_pred.shape[-1] == 1:
        warnings.warn(
            f"{name}: `y_pred` has shape {tuple(y_pred.shape)}, that is a single class, for which"
            " the loss is constant. For two classes in one column use 'binary_crossentropy'.",
            SyntaxWarning,
            stacklevel=3,
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]
    return y_true, y_pred


@builtin("keras.losses.categorical_crossentropy", "keras.metrics.categorical_crossentropy")
@symbolic
def categorical_crossentropy(
    y_true: Tensor | Any,
    y_pred: Tensor | Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Cross-entropy of one-hot labels (or target probabilities) over the classes in `axis`.

    Args:
        y_true: Target probabilities `(B, ..., C)`.
        y_pred: Probabilities, or logits with `from_logits`; same shape.
        from_logits: Whether `y_pred` is unnormalized.
        label_smoothing: This fraction of each target is spread evenly over the classes.
        axis: The axis of the classes.

    Returns:
        One value per sample, in nats; the shape without `axis`.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        tensor([0.6931])
    """
    y_true, y_pred = _class_inputs(
        "categorical_crossentropy", y_true, y_pred, label_smoothing, axis
    )
    log_probs = y_pred.log_softmax(axis) if from_logits else _normalized(y_pred, axis).log()
    return -(y_true * log_probs).sum(axis)


@mean_kernel(categorical_crossentropy)
def _mean_categorical(
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor | None:
    shape = y_pred.shape
    if y_true.shape != shape or len(shape) < 2 or axis != -1 or shape[-1] == 1:
        return None
    if y_true.dtype is not y_pred.dtype:
        y_true = y_true.to(y_pred.dtype)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / shape[-1]
    if from_logits:
        if len(shape) > 2:
            y_true, y_pred = y_true.reshape(-1, shape[-1]), y_pred.reshape(-1, shape[-1])
        return _nn.cross_entropy_loss(y_pred, y_true, None, MEAN, -100, 0.0)
    total = (y_true * _normalized(y_pred, -1).log()).sum()
    return total / -(y_pred.numel() // shape[-1])


@builtin(
    "keras.losses.categorical_focal_crossentropy", "keras.metrics.categorical_focal_crossentropy"
)
@symbolic
def categorical_focal_crossentropy(
    y_true: Tensor | Any,
    y_pred: Tensor | Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Categorical cross-entropy in which well classified samples count less.

    Each class's term is multiplied by `alpha * (1 - p)**gamma`.

    Args:
        y_true: Target probabilities `(B, ..., C)`.
        y_pred: Probabilities, or logits with `from_logits`; same shape.
        alpha: A factor, or one per class.
        gamma: The focusing exponent.
        from_logits: Whether `y_pred` is unnormalized.
        label_smoothing: This fraction of each target is spread evenly over the classes.
        axis: The axis of the classes.

    Returns:
        One value per sample; the shape without `axis`.

    Raises:
        ValueError: The shapes differ.
    """
    y_true, y_pred = _class_inputs(
        "categorical_focal_crossentropy", y_true, y_pred, label_smoothing, axis
    )
    probs = _normalized(y_pred.softmax(axis) if from_logits else y_pred, axis)
    if not isinstance(alpha, (int, float)):
        alpha = to_tensor(alpha, probs.dtype, probs.device)
    return -(alpha * (1.0 - probs).pow(gamma) * y_true * probs.log()).sum(axis)


@builtin("keras.losses.categorical_generalized_cross_entropy")
@symbolic
def categorical_generalized_cross_entropy(
    y_true: Tensor | Any, y_pred: Tensor | Any, q: float
) -> Tensor:
    """`(1 - p**q) / q` with `p` the probability of the true class; robust to wrong labels.

    Args:
        y_true: Class numbers `(B, ...)`.
        y_pred: Probabilities `(B, ..., C)`.
        q: Between the cross-entropy (towards 0) and the absolute error (1).

    Returns:
        One value per sample.

    Example:
        >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5)
        tensor([1.])
    """
    y_true, y_pred = prepare(y_true, y_pred)
    one_hot = y_true.long().unsqueeze(-1) == torch.arange(y_pred.shape[-1], device=y_pred.device)
    return (1.0 - (y_pred * one_hot).sum(-1).pow(q)) / q


# Class numbers -----------------------------------------------------------------------------------


def _label_losses(labels: Tensor, rows: Tensor, from_logits: bool, reduction: int) -> Tensor:
    """Cross-entropy of labels `(N,)` under `rows` `(N, C)`; names labels that are no class."""
    try:
        if from_logits:
            return _nn.cross_entropy_loss(rows, labels, None, reduction, NO_INDEX, 0.0)
        if rows.shape[1] < GATHER_ABOVE:
            log_probs = _normalized(rows, 1).log()
            return _nn.nll_loss_nd(log_probs, labels, None, reduction, NO_INDEX)
        eps = epsilon()
        picked = rows.gather(1, labels.unsqueeze(1)).squeeze(1) / rows.sum(1)
        values = -picked.clamp(eps, 1.0 - eps).log()
        return values if reduction == NONE else values.mean() if reduction == MEAN else values.sum()
    except (IndexError, RuntimeError) as error:
        wrong = _wrong_labels(labels, rows.shape[1])
        if wrong is None:
            raise
        raise wrong from error


def _wrong_labels(labels: Tensor, num_classes: int) -> ValueError | None:
    """Explain a failed kernel call, if labels outside the classes were its reason."""
    if labels.device.type != "cpu" or not labels.numel():
        return None
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < num_classes:
        return None
    fix = f"give the last layer at least {high + 1} units, or number the classes from 0."
    if low < 0:
        fix = (
            f"number the classes from 0; if {low} marks labels to skip, pass `ignore_class={low}`."
        )
    elif low == 1 and high == num_classes:
        fix = "the labels seem to count from 1: subtract 1 from them."
    return ValueError(
        explain(
            "sparse_categorical_crossentropy: `y_true` contains labels outside the classes.",
            given=f"labels from {low} to {high}",
            expected=f"integers from 0 to {num_classes - 1}, as `y_pred` has {num_classes} classes",
            fix=fix,
        )
    )


@builtin(
    "keras.losses.sparse_categorical_crossentropy", "keras.metrics.sparse_categorical_crossentropy"
)
@symbolic
def sparse_categorical_crossentropy(
    y_true: Tensor | Any,
    y_pred: Tensor | Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """Cross-entropy of class numbers over the classes in `axis`.

    Args:
        y_true: Class numbers `(B, ...)`, or with a size of 1 in `axis`.
        y_pred: Probabilities `(B, ..., C)`, or logits with `from_logits`.
        from_logits: Whether `y_pred` is unnormalized.
        ignore_class: A label whose samples get 0; as a loss or metric they do not count either.
        axis: The axis of the classes.

    Returns:
        One value per sample, in nats, of the shape of `y_pred` without `axis`.

    Raises:
        ValueError: The shapes do not match, or (on the CPU) a label is not in `[0, C)`.

    Example:
        >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]])
        tensor([0.6931])
    """
    if not isinstance(y_true, Tensor):
        y_true = to_tensor(y_true, device=y_pred.device if isinstance(y_pred, Tensor) else None)
    y_pred = prepare(y_true, y_pred)[1]
    labels = y_true.to(device=y_pred.device, dtype=torch.int64)
    if not y_pred.dim():
        raise shape_error(
            "sparse_categorical_crossentropy", y_true, y_pred, "y_pred of rank 1 or more"
        )
    if labels.dim() == y_pred.dim() and labels.shape[axis] == 1:
        labels = labels.squeeze(axis)
    rows = y_pred if axis == -1 else y_pred.movedim(axis, -1)
    if labels.shape != rows.shape[:-1]:
        raise _label_shape_error(y_true, y_pred, rows)
    valid = None
    if ignore_class is not None:
        valid = labels != ignore_class
        labels = labels.masked_fill(~valid, 0)
        rows = rows.masked_fill(~valid.unsqueeze(-1), 1.0)
    flat = rows.reshape(-1, rows.shape[-1])
    values = _label_losses(labels.reshape(-1), flat, from_logits, NONE).reshape(labels.shape)
    if valid is not None:
        values = values * valid
        values._keras_mask = valid
    return values


LABEL_LOSSES.add(sparse_categorical_crossentropy)


def _label_shape_error(y_true: Tensor, y_pred: Tensor, rows: Tensor) -> ValueError:
    fix = "pass one class number per prediction."
    if y_true.shape == y_pred.shape:
        fix = "`y_true` looks one-hot: use 'categorical_crossentropy', or pass `y_true.argmax(-1)`."
    return ValueError(
        explain(
            "sparse_categorical_crossentropy: `y_true` does not match `y_pred`.",
            y_true=tuple(y_true.shape),
            y_pred=tuple(y_pred.shape),
            expected=f"y_true of shape {tuple(rows.shape[:-1])}",
            fix=fix,
        )
    )


@mean_kernel(sparse_categorical_crossentropy)
def _mean_sparse(
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor | None:
    shape = y_pred.shape
    if y_true.dim() == len(shape) and y_true.shape[-1] == 1:
        y_true = y_true.squeeze(-1)
    if len(shape) < 2 or y_true.shape != shape[:-1] or axis != -1 or ignore_class is not None:
        return None
    if y_true.dtype is not torch.int64:
        y_true = y_true.long()
    if len(shape) > 2:
        y_true, y_pred = y_true.reshape(-1), y_pred.reshape(-1, shape[-1])
    return _label_losses(y_true, y_pred, from_logits, MEAN)


# Distributions and counts ------------------------------------------------------------------------


@builtin("keras.losses.kl_divergence", "keras.metrics.kl_divergence")
@symbolic
def kl_divergence(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """Sum over the last axis of `y_true * log(y_true / y_pred)`.

    Args:
        y_true: Probabilities `(B, ..., C)`, clamped to `[eps, 1]`.
        y_pred: Probabilities, same shape and rule.

    Returns:
        One value per sample, in nats.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> kl_divergence([[0.5, 0.5]], [[0.5, 0.5]])
        tensor([0.])
    """
    y_true, y_pred = prepare(y_true, y_pred)
    check_broadcast("kl_divergence", y_true, y_pred)
    eps = epsilon()
    y_true, y_pred = y_true.clamp(eps, 1.0), y_pred.clamp(eps, 1.0)
    return (y_true * (y_true / y_pred).log()).sum(-1)


@builtin("keras.losses.poisson", "keras.metrics.poisson")
@symbolic
def poisson(y_true: Tensor | Any, y_pred: Tensor | Any) -> Tensor:
    """Mean over the last axis of `y_pred - y_true * log(y_pred)`.

    Args:
        y_true: Counts `(B, ..., D)`.
        y_pred: Expected counts, same shape.

    Returns:
        One value per sample.

    Raises:
        ValueError: The shapes do not combine.

    Example:
        >>> poisson([[2.0]], [[1.0]])
        tensor([1.0000])
    """
    y_true, y_pred = prepare(y_true, y_pred)
    check_broadcast("poisson", y_true, y_pred)
    return (y_pred - y_true * (y_pred + epsilon()).log()).mean(-1)


# Classes -----------------------------------------------------------------------------------------


@builtin("keras.losses.BinaryCrossentropy")
class BinaryCrossentropy(FunctionLoss):
    """`binary_crossentropy` with reduction and weights; see `Loss` for the other arguments.

    Args:
        from_logits: Whether `y_pred` is unnormalized.
        label_smoothing: Labels move this fraction of the way to 0.5.
        axis: The averaged axis.

    Example:
        >>> BinaryCrossentropy(from_logits=True)([[0.0], [1.0]], [[0.0], [0.0]])
        tensor(0.6931)
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@builtin("keras.losses.BinaryFocalCrossentropy")
class BinaryFocalCrossentropy(FunctionLoss):
    """`binary_focal_crossentropy`, whose arguments it takes, with reduction and weights."""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
        )


@builtin("keras.losses.CategoricalCrossentropy")
class CategoricalCrossentropy(FunctionLoss):
    """`categorical_crossentropy` with reduction and weights; see `Loss` for the other arguments.

    Args:
        from_logits: Whether `y_pred` is unnormalized.
        label_smoothing: This fraction of each target is spread evenly over the classes.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@builtin("keras.losses.CategoricalFocalCrossentropy")
class CategoricalFocalCrossentropy(FunctionLoss):
    """`categorical_focal_crossentropy`, whose arguments it takes, with reduction and weights."""

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_focal_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
            alpha=alpha,
            gamma=gamma,
        )


@builtin("keras.losses.SparseCategoricalCrossentropy")
class SparseCategoricalCrossentropy(FunctionLoss):
    """`sparse_categorical_crossentropy` with reduction and weights; see `Loss` for the others.

    Args:
        from_logits: Whether `y_pred` is unnormalized.
        ignore_class: A label whose samples do not count.
        axis: The axis of the classes.

    Example:
        >>> SparseCategoricalCrossentropy(from_logits=True)([0, 1], [[0.0, 0.0], [0.0, 0.0]])
        tensor(0.6931)
    """

    omitted = {"axis": -1}

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


@builtin("keras.losses.CategoricalGeneralizedCrossEntropy")
class CategoricalGeneralizedCrossEntropy(FunctionLoss):
    """`categorical_generalized_cross_entropy` with reduction and weights.

    Args:
        q: Strictly between 0 and 1.

    Raises:
        ValueError: `q` is not.
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(
                f"{type(self).__name__}: `q` must lie strictly between 0 and 1, got {q!r}."
            )
        super().__init__(
            categorical_generalized_cross_entropy, reduction=reduction, name=name, dtype=dtype, q=q
        )


@builtin("keras.losses.KLDivergence")
class KLDivergence(FunctionLoss):
    """`kl_divergence` with reduction and weights; see `Loss` for the arguments."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(kl_divergence, reduction=reduction, name=name, dtype=dtype)


@builtin("keras.losses.Poisson")
class Poisson(FunctionLoss):
    """`poisson` with reduction and weights; see `Loss` for the arguments."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(poisson, reduction=reduction, name=name, dtype=dtype)
