"""PyTorch's own losses in `compile`: `nn.CrossEntropyLoss()`, `F.mse_loss`, a user's `nn.Module`.

PyTorch calls a loss as `(input, target)`, Keras as `(y_true, y_pred)`; `TorchLoss` swaps them and
gives targets the shape and dtype the module wants.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import loss as torch_losses

from ..config import default_device
from ..naming import explain, to_snake_case
from ..registry import builtin
from .loss import Loss, reduce_weighted_values, squeeze_or_expand_to_same_rank, to_tensor

__all__ = ["TorchLoss", "is_torch_loss"]

# Modules whose targets are class numbers; cross-entropy also takes probabilities of y_pred's shape.
_CLASS_TARGETS = (nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss, nn.MultiLabelMarginLoss)
_TENSOR_ARGUMENTS = ("weight", "pos_weight")
_REDUCTIONS = {"mean": "sum_over_batch_size", "sum": "sum", "none": "none"}


def is_torch_loss(obj: Any) -> bool:
    """Whether `obj` follows PyTorch's order of arguments: a module, or a `torch` function.

    Keras's layers are modules too, but keep Keras's order; they have a `call` method.
    """
    if isinstance(obj, nn.Module):
        return not hasattr(obj, "call")
    return getattr(obj, "__module__", None) == "torch.nn.functional" and inspect.isfunction(obj)


@builtin("torchkeras.losses.TorchLoss")
class TorchLoss(Loss):
    """A PyTorch loss as a Keras loss.

    Args:
        module: A loss module, or a function of `torch.nn.functional`, called as
            `module(y_pred, y_true)`. Its own reduction holds. With sample weights or a mask it is
            evaluated per sample (`reduction="none"`), then weighted and reduced.
        name: Default: the module's class in snake case.

    Targets: for class-number losses `(B, 1)` becomes `(B,)` and the dtype `int64`; for others the
    rank and the floating dtype follow `y_pred`.

    Raises:
        ValueError: On a call with weights, if the module cannot be evaluated per sample.

    Example:
        >>> loss = TorchLoss(nn.CrossEntropyLoss())
        >>> loss(torch.tensor([[0], [1]]), torch.zeros(2, 2))
        tensor(0.6931)
    """

    def __init__(self, module: Callable[..., Any], name: str | None = None) -> None:
        own_name = getattr(module, "__name__", type(module).__name__)
        reduction = _REDUCTIONS.get(getattr(module, "reduction", "mean"), "sum_over_batch_size")
        super().__init__(name=name or to_snake_case(own_name), reduction=reduction)
        self.module = module
        self._classes = isinstance(module, _CLASS_TARGETS) or own_name in (
            "cross_entropy",
            "nll_loss",
            "multi_margin_loss",
            "multilabel_margin_loss",
        )
        self._state_device: torch.device | None = None
        self._unreduced: Callable[..., Tensor] | None = None

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        mask = getattr(y_pred, "_keras_mask", None)
        y_pred = to_tensor(y_pred)
        y_true = self._target(to_tensor(y_true, device=y_pred.device), y_pred)
        if self._state_device != y_pred.device:
            self._follow(y_pred.device)
        if sample_weight is None and mask is None:
            return self.module(y_pred, y_true)
        return self._weighted(y_true, y_pred, sample_weight, mask)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Evaluate the module, with its own reduction."""
        return self.module(y_pred, self._target(y_true, y_pred))

    def _target(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if self._classes:
            if y_true.is_floating_point() and y_true.shape == y_pred.shape:
                return y_true.to(y_pred.dtype)  # probabilities
            if y_true.dim() == y_pred.dim() and y_true.shape[-1] == 1 and y_pred.dim() > 1:
                y_true = y_true.squeeze(-1)
            return y_true.to(torch.int64)
        y_true, _ = squeeze_or_expand_to_same_rank(y_true, y_pred)
        if y_true.dim() == y_pred.dim() + 1 and y_true.shape[-1] == 1:
            y_true = y_true.squeeze(-1)
        return y_true.to(y_pred.dtype)

    def _follow(self, device: torch.device) -> None:
        """Move class weights to where the predictions are."""
        if isinstance(self.module, nn.Module):
            self.module.to(device)
        self._state_device = device
        self._unreduced = None

    def _weighted(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any, mask: Any) -> Tensor:
        values = self._per_sample()(y_pred, y_true)
        if values.dim() == 0:
            raise ValueError(
                explain(
                    f"The loss '{self.name}' returns one number: it cannot be weighted per sample.",
                    fix="give the module a `reduction` argument that accepts 'none', or do not use"
                    " sample weights, class weights or masks with it.",
                )
            )
        if sample_weight is not None:
            sample_weight = to_tensor(sample_weight, values.dtype, values.device)
        rank = max(
            1 if sample_weight is None else sample_weight.dim(), 0 if mask is None else mask.dim()
        )
        if values.dim() > max(rank, 1):
            values = values.flatten(max(rank, 1)).mean(-1)
        return reduce_weighted_values(values, sample_weight, mask, self.reduction)

    def _per_sample(self) -> Callable[..., Tensor]:
        if self._unreduced is None:
            if isinstance(self.module, nn.Module):
                self._unreduced = self.module
                if hasattr(self.module, "reduction"):
                    self._unreduced = copy.copy(self.module)
                    self._unreduced.reduction = "none"
            else:
                function = self.module
                self._unreduced = lambda input, target: function(input, target, reduction="none")
        return self._unreduced

    def get_config(self) -> dict[str, Any]:
        """Return the class of the module and its constructor's arguments.

        Raises:
            NotImplementedError: It is not one of `torch.nn`'s losses, or has been subclassed.
        """
        kind = type(self.module)
        if getattr(torch_losses, kind.__name__, None) is not kind:
            raise NotImplementedError(
                explain(
                    f"The loss '{self.name}' cannot be saved: a file can only name the losses of"
                    " `torch.nn`.",
                    given=repr(self.module),
                    fix="write it as a `keras.losses.Loss` or a registered function, or compile the"
                    " loaded model again.",
                )
            )
        arguments = {}
        for name in inspect.signature(kind).parameters:
            value = getattr(self.module, name, None)
            if value is not None and name not in ("size_average", "reduce"):
                arguments[name] = value.tolist() if isinstance(value, Tensor) else value
        return {"name": self.name, "torch_class": kind.__name__, "arguments": arguments}

    @classmethod
    def from_config(cls, config_: dict[str, Any]) -> TorchLoss:
        """Make a loss from what `get_config` returned.

        Raises:
            ValueError: The config names something that is not a loss of `torch.nn`.
        """
        kind = getattr(torch_losses, str(config_["torch_class"]), None)
        if not (inspect.isclass(kind) and issubclass(kind, torch_losses._Loss)):
            raise ValueError(f"Not a loss of torch.nn: {config_['torch_class']!r}.")
        arguments = dict(config_["arguments"])
        for name in _TENSOR_ARGUMENTS:
            if name in arguments:
                arguments[name] = torch.tensor(arguments[name], device=default_device())
        return cls(kind(**arguments), name=config_["name"])

    def __repr__(self) -> str:
        return f"<TorchLoss '{self.name}' of {self.module!r}>"
