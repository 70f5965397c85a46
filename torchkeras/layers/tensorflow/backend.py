"""Functions of tf.keras's own `backend` that it writes by their names, not by TensorFlow's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...config import epsilon
from ...naming import explain
from .common import TABLE, in_tensorflow, pair, tensor

__all__: list[str] = []


@in_tensorflow("keras.backend.batch_flatten")
def _batch_flatten(x: Any) -> Any:
    x = tensor(x)
    return x.reshape(x.shape[0], -1)


def _clipped(x: Tensor) -> Tensor:
    return x.clamp(epsilon(), 1 - epsilon())


@in_tensorflow("keras.backend.binary_crossentropy")
def _binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    target, x = pair(target, output)
    if from_logits:
        return TABLE["nn.sigmoid_cross_entropy_with_logits"](target, x)
    x = _clipped(x)
    return -(target * torch.log(x + epsilon()) + (1 - target) * torch.log(1 - x + epsilon()))


@in_tensorflow("keras.backend.categorical_crossentropy")
def _categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    target, x = pair(target, output)
    if from_logits:
        return TABLE["nn.softmax_cross_entropy_with_logits"](target, x, axis)
    x = _clipped(x / x.sum(axis, keepdim=True))
    return -(target * torch.log(x)).sum(axis)


@in_tensorflow("keras.backend.sparse_categorical_crossentropy")
def _sparse_categorical_crossentropy(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Any:
    places, x = tensor(target).long(), tensor(output).movedim(axis, -1)
    if ignore_class is not None or places.ndim != x.ndim - 1:
        raise ValueError(
            explain(
                "sparse_categorical_crossentropy within a model takes one class for each row of"
                " scores, and no `ignore_class`.",
                given=f"target of rank {places.ndim}, output of rank {x.ndim},"
                f" ignore_class={ignore_class}",
            )
        )
    x = x if from_logits else torch.log(_clipped(x))
    return TABLE["nn.sparse_softmax_cross_entropy_with_logits"](places, x)
