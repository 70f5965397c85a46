"""`Loss`, the base of all losses, and `LossFunctionWrapper`, which makes one of a function.

A loss function maps `(y_true, y_pred)` of shapes `(B, ..., D)` to one value per sample, `(B, ...)`.
The class weights those values, masks them, and reduces them to one number. Rules that a reader
could get wrong:

- Both inputs are cast to the loss's dtype (`floatx`, whatever the model computes in).
- `"sum_over_batch_size"` and `"mean"` divide by the number of values, not by the weights' sum, and
  masked values do not count. `"mean_with_sample_weight"` divides by the sum of the weights.
- A mask arrives as the `_keras_mask` attribute of `y_pred`, or of what the function returns.

Speed: with plain tensors, no weights, no mask and a mean reduction, a loss is one fused kernel. A
function declares its kernel with `mean_kernel`; the kernel returns `None` for inputs it does not
serve, and the general path then converts, checks and explains.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..config import default_device, floatx
from ..dtype_policies import get as get_dtype_policy
from ..dtypes import readable, to_torch
from ..graph.operation import op
from ..naming import auto_name, check_some_axis, explain
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from ..tree import flatten, is_nested, map_structure, map_structure_up_to

__all__ = [
    "FunctionLoss",
    "Loss",
    "LossFunctionWrapper",
    "apply_mask",
    "divide_no_nan",
    "mean_kernel",
    "prepare",
    "reduce_values",
    "reduce_weighted_values",
    "squeeze_or_expand_to_same_rank",
    "standardize_reduction",
    "symbolic",
    "to_tensor",
]

F = TypeVar("F", bound=Callable[..., Any])

MEAN_REDUCTIONS = frozenset({"sum_over_batch_size", "mean", "mean_with_sample_weight"})
REDUCTIONS = MEAN_REDUCTIONS | {"sum", "none", None}

# Loss function -> kernel of its mean over all values, or None where it does not apply.
MEAN_KERNELS: dict[Callable[..., Any], Callable[..., Tensor | None]] = {}
# Functions whose targets are class numbers: a cast to a short float type would merge classes.
LABEL_LOSSES: set[Callable[..., Any]] = set()


def mean_kernel(function: Callable[..., Any]) -> Callable[[F], F]:
    """Declare the decorated function as the fused mean of the loss `function`.

    It is called with tensors of floating `y_pred` and the loss's own arguments, and returns a 0-d
    tensor, or `None` if these inputs need the general path.
    """

    def declare(kernel: F) -> F:
        MEAN_KERNELS[function] = kernel
        return kernel

    return declare


def symbolic(function: F) -> F:
    """Let a function of targets and predictions take symbolic tensors, as an op of the graph.

    Models of Keras 2 hand such a number to `add_loss`.
    """
    return op(path=f"{function.__module__}.operation.{function.__name__}")(function)


# Inputs ------------------------------------------------------------------------------------------


def to_tensor(x: Any, dtype: torch.dtype | None = None, device: Any = None) -> Tensor:
    """Convert to a tensor; one that already fits is returned as it is.

    Args:
        x: A tensor, array, number, or nested list of numbers.
        dtype: Default: that of `x`; Python floats become `floatx`.
        device: Default: that of a tensor, else `config.default_device()`.
    """
    if isinstance(x, Tensor):
        if (dtype is None or x.dtype is dtype) and (device is None or x.device == device):
            return x
        if x.is_meta and device is not None and torch.device(device).type != "meta":
            x = torch.zeros_like(x, device=device)
        return x.to(device=device, dtype=dtype)
    if isinstance(x, (list, tuple)) and any(isinstance(item, Tensor) for item in x):
        return torch.stack([to_tensor(item, dtype, device) for item in x])
    array = np.asarray(x)
    if dtype is None:
        plain_float = array.dtype == np.float64 and not hasattr(x, "dtype")
        dtype = to_torch(floatx() if plain_float else array.dtype)
    device = device or default_device()
    if array.ndim == 0 and array.dtype.kind in "OSU":
        raise ValueError(
            f"Expected numbers. Received: {x!r}. What is given to losses and metrics, and what"
            " functions that stand for them return, must be tensors."
        )
    if array.ndim == 0:  # filled in where it is needed: a copy would make the host wait
        return torch.full((), array.item(), dtype=dtype, device=device)
    return torch.as_tensor(readable(array)).to(device, dtype)


def _to_tensors(x: Any, dtype: torch.dtype | None, device: Any) -> Any:
    """Convert the arrays of a structure; a (nested) list of numbers is one array."""
    if is_nested(x) and not isinstance(x, dict):
        if all(isinstance(leaf, (int, float, np.generic)) for leaf in flatten(x)):
            return to_tensor(x, dtype, device)
    return map_structure(lambda leaf: to_tensor(leaf, dtype, device), x)


def prepare(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Convert both to tensors of the floating dtype and the device of `y_pred`."""
    if not isinstance(y_pred, Tensor):
        y_pred = to_tensor(y_pred, device=y_true.device if isinstance(y_true, Tensor) else None)
    if not y_pred.is_floating_point():
        y_pred = y_pred.to(to_torch(floatx()))
    return to_tensor(y_true, y_pred.dtype, y_pred.device), y_pred


def squeeze_or_expand_to_same_rank(
    x1: Tensor, x2: Tensor, expand_rank_1: bool = True
) -> tuple[Tensor, Tensor]:
    """Give two tensors the same rank where they differ by one trailing axis of size 1.

    Args:
        x1: Of shape `(..., 1)`, or the other one is.
        x2: Of shape `(...)`, or the other one is.
        expand_rank_1: Rather expand a vector than squeeze a column.

    Returns:
        Both, possibly reshaped; unchanged where the rule does not apply.

    Example:
        >>> a, b = squeeze_or_expand_to_same_rank(torch.zeros(4), torch.zeros(4, 1))
        >>> a.shape
        torch.Size([4, 1])
    """
    difference = x1.dim() - x2.dim()
    if difference == 1 and x1.shape[-1] == 1:
        if expand_rank_1 and x2.dim() == 1:
            return x1, x2.unsqueeze(-1)
        return x1.squeeze(-1), x2
    if difference == -1 and x2.shape[-1] == 1:
        if expand_rank_1 and x1.dim() == 1:
            return x1.unsqueeze(-1), x2
        return x1, x2.squeeze(-1)
    return x1, x2


def same_size(y_true: Tensor, y_pred: Tensor) -> Tensor | None:
    """Return `y_true` in the shape and dtype of `y_pred`, or `None` if their sizes differ.

    Only a trailing axis of size 1 may be missing from one of them.
    """
    shape = y_pred.shape
    if y_true.shape != shape:
        given = y_true.shape
        if given + (1,) != shape and shape + (1,) != given:
            return None
        y_true = y_true.view(shape)
    return y_true if y_true.dtype is y_pred.dtype else y_true.to(y_pred.dtype)


def check_broadcast(name: str, y_true: Tensor, y_pred: Tensor) -> None:
    """Raise a `ValueError` naming the loss if the shapes cannot be combined elementwise."""
    if y_true.shape == y_pred.shape:
        return
    pairs = zip(reversed(y_true.shape), reversed(y_pred.shape), strict=False)
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        raise shape_error(name, y_true, y_pred)


def shape_error(
    name: str, y_true: Tensor, y_pred: Tensor, expected: str | None = None
) -> ValueError:
    """Make the error for labels and predictions whose shapes do not belong together."""
    given, wanted = tuple(y_true.shape), tuple(y_pred.shape)
    return ValueError(
        explain(
            f"{name}: arguments `y_true` and `y_pred` must have the same shape.",
            y_true=given,
            y_pred=wanted,
            expected=expected or f"y_true of shape {wanted}",
            fix=_shape_fix(given, wanted),
        )
    )


def _shape_fix(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    without_classes = given in (wanted[:-1], (*wanted[:-1], 1))
    if without_classes and wanted[-1] > 1:
        return (
            f"if the labels are class numbers, use 'sparse_categorical_crossentropy' or one-hot"
            f" encode them with `keras.utils.to_categorical(y, {wanted[-1]})`; otherwise give the"
            f" last layer as many units as the targets have."
        )
    if given[:1] != wanted[:1]:
        return "give `y_true` one row per row of `y_pred`."
    return "give the model's last layer the shape of the targets, or reshape the targets."


# Reductions --------------------------------------------------------------------------------------


def standardize_reduction(reduction: str | None) -> str | None:
    """Check the name of a reduction.

    Raises:
        ValueError: It is none of those Keras has.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(
            explain(
                "Invalid value for argument `reduction`.",
                given=repr(reduction),
                expected=sorted(map(str, REDUCTIONS)),
            )
        )
    return reduction


def divide_no_nan(x1: Tensor, x2: Tensor) -> Tensor:
    """`x1 / x2`, and 0 where `x2` is 0 (also for gradients)."""
    zero = x2 == 0
    return torch.where(zero, 0.0, x1 / x2.masked_fill(zero, 1))


def reduce_values(
    values: Tensor,
    sample_weight: Tensor | None = None,
    reduction: str | None = "sum_over_batch_size",
) -> Tensor:
    """Reduce (already weighted) values; `sample_weight` only sets a weighted mean's divisor."""
    if reduction is None or reduction == "none" or values.dim() == 0 or values.shape == (0,):
        return values
    if reduction == "sum":
        return values.sum()
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return divide_no_nan(values.sum(), sample_weight.sum().to(values.dtype))
    return values.mean() if values.numel() else values.sum()


def reduce_weighted_values(
    values: Any,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: str | None = "sum_over_batch_size",
    dtype: Any = None,
) -> Tensor:
    """Weight, mask and reduce per-sample values.

    Args:
        values: Shape `(B, ...)`.
        sample_weight: Broadcastable to `values`, up to a trailing axis of size 1.
        mask: True where a value counts; shape as `sample_weight`.
        reduction: How to reduce.
        dtype: Dtype of the result. Default: that of `values`.

    Raises:
        ValueError: An unknown `reduction`, or weights whose shape does not fit.
    """
    reduction = standardize_reduction(reduction)
    values = to_tensor(values, None if dtype is None else to_torch(dtype))
    if sample_weight is not None:
        sample_weight = to_tensor(sample_weight, values.dtype, values.device)
    sample_weight = apply_mask(sample_weight, mask, values.dtype, reduction)
    if sample_weight is not None:
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        try:
            values = values * sample_weight
        except RuntimeError as error:
            raise weight_error(sample_weight, values) from error
    return reduce_values(values, sample_weight, reduction)


def weight_error(sample_weight: Tensor, values: Tensor, what: str = "the values") -> ValueError:
    """Make the error for weights that do not fit the values (or the mask) they should weight."""
    shape = tuple(values.shape)
    per_sample = (*shape[:1], *([1] * (len(shape) - 1)))
    return ValueError(
        explain(
            f"`sample_weight` (or a mask) does not fit {what} it weights.",
            sample_weight=tuple(sample_weight.shape),
            weighted=shape,
            fix=f"pass one weight per sample, of shape {per_sample}, or weights of shape {shape}.",
        )
    )


def apply_mask(
    sample_weight: Tensor | None, mask: Any, dtype: Any, reduction: str | None
) -> Tensor | None:
    """Merge a mask into the weights: masked entries get 0.

    Under a mean reduction the others are scaled by `size / valid`, so that the later division by
    the size amounts to a division by the number of valid entries.
    """
    if mask is None:
        return sample_weight
    dtype = to_torch(dtype)
    device = None if sample_weight is None else sample_weight.device
    weight = to_tensor(mask, torch.bool, device).to(dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        valid = weight.sum()
        weight = weight * divide_no_nan(torch.full_like(valid, weight.numel()), valid)
    if sample_weight is None:
        return weight
    weight, sample_weight = squeeze_or_expand_to_same_rank(weight, sample_weight.to(dtype))
    try:
        return sample_weight * weight
    except RuntimeError as error:
        raise weight_error(sample_weight, weight, "the mask") from error


# Classes -----------------------------------------------------------------------------------------


@builtin("keras.losses.Loss", "keras.Loss")
class Loss:
    """Base of losses: subclasses write `call(y_true, y_pred)`, one value per sample.

    Args:
        name: Default: made from the class's name.
        reduction: `"sum_over_batch_size"` (the mean), `"mean"`, `"sum"`, `"none"`, `None`, or
            `"mean_with_sample_weight"` (divides by the sum of the weights).
        dtype: Dtype of the computation, or a dtype policy. Default: `floatx`.

    Raises:
        ValueError: An unknown `reduction`.

    Example:
        >>> class Quartic(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return ((y_true - y_pred) ** 4).mean(-1)
        >>> float(Quartic()([[1.0], [2.0]], [[0.0], [0.0]]))
        8.5
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        if name and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                "Argument `name` must be a string and cannot contain character `/`. Received:"
                f" name={name!r}"
            )
        self.name = name or auto_name(type(self).__name__)
        self.reduction = standardize_reduction(reduction)
        self._dtype_policy = get_dtype_policy(dtype or floatx())
        self._dtype = self._dtype_policy.compute_dtype
        self._torch_dtype = self._target_dtype = to_torch(self._dtype)

    @property
    def dtype(self) -> str:
        """Name of the dtype that inputs are cast to."""
        return self._dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """Compute the reduced loss.

        Args:
            y_true: Targets, or a structure of them.
            y_pred: Predictions, of the same structure; a `_keras_mask` on it is honoured.
            sample_weight: One weight per sample, or per value that `call` returns.

        Returns:
            A 0-d tensor, or the values that `call` returned if there is no reduction.
        """
        in_mask = getattr(y_pred, "_keras_mask", None)
        dtype = self._torch_dtype
        if isinstance(y_pred, Tensor) and isinstance(y_true, Tensor):
            y_true = to_tensor(y_true, self._target_dtype, y_pred.device)
            y_pred = to_tensor(y_pred, dtype)
        else:
            leaves = flatten(y_pred) + flatten(y_true)
            device = next((leaf.device for leaf in leaves if isinstance(leaf, Tensor)), None)
            y_pred = _to_tensors(y_pred, dtype, device)
            y_true = _to_tensors(y_true, self._target_dtype, device)
        values = self.call(y_true, y_pred)
        mask = getattr(values, "_keras_mask", None)
        if in_mask is not None:
            mask = in_mask if mask is None else in_mask & mask
        if sample_weight is None and mask is None:
            return reduce_values(to_tensor(values, dtype), None, self.reduction)
        return reduce_weighted_values(values, sample_weight, mask, self.reduction, self._dtype)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """Return one value per sample; inputs are tensors of the loss's dtype."""
        raise NotImplementedError(f"{type(self).__name__} must define `call(y_true, y_pred)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """Make a loss from what `get_config` returned."""
        return cls(**config)


@builtin("keras.src.losses.losses.LossFunctionWrapper")
class LossFunctionWrapper(Loss):
    """A loss computed by a function.

    Args:
        fn: A function `(y_true, y_pred, **kwargs)` that returns one value per sample.
        reduction: See `Loss`.
        name: See `Loss`.
        dtype: See `Loss`.
        **kwargs: Further arguments for `fn`.

    Example:
        >>> loss = LossFunctionWrapper(lambda y, p: (y - p).abs(), reduction="sum")
        >>> float(loss([1.0, 2.0], [0.0, 0.0]))
        3.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs
        self._mean_kernel = None
        if isinstance(fn, FunctionType) and type(self).call is LossFunctionWrapper.call:
            self._mean_kernel = MEAN_KERNELS.get(fn)
            if fn in LABEL_LOSSES:
                self._target_dtype = None

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        if (
            sample_weight is None
            and self._mean_kernel is not None
            and isinstance(y_pred, Tensor)
            and isinstance(y_true, Tensor)
            and y_pred.dtype is self._torch_dtype
            and getattr(y_pred, "_keras_mask", None) is None
            and y_pred.numel()
            and self.reduction in MEAN_REDUCTIONS
        ):
            try:
                value = self._mean_kernel(y_true, y_pred, **self._fn_kwargs)
            except RuntimeError:
                value = (
                    None  # tensors on different devices, say; the general path mends or explains
                )
            if value is not None:
                return value
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """Align the ranks and apply the function."""
        if isinstance(y_pred, Tensor) and isinstance(y_true, Tensor):
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        else:
            pairs = map_structure(squeeze_or_expand_to_same_rank, y_true, y_pred)
            first = map_structure_up_to(y_true, lambda pair: pair[0], pairs)
            y_true, y_pred = first, map_structure_up_to(y_pred, lambda pair: pair[1], pairs)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the function among them."""
        fn = {"fn": serialize_keras_object(self.fn)}
        return {**super().get_config(), **fn, **serialize_keras_object(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """Make a loss from what `get_config` returned."""
        return cls(**(deserialize_keras_object(config) if "fn" in config else config))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.name}' of {self.fn!r}, {self._fn_kwargs}>"


class FunctionLoss(LossFunctionWrapper):
    """Base of the named losses: the function's arguments are attributes and make up the config.

    `omitted` names arguments that Keras leaves out of its configs. They are written only where they
    differ from their default, so that a reloaded loss is the same loss.
    """

    omitted: dict[str, Any] = {}

    def __init__(self, fn: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__(fn, **kwargs)
        check_some_axis(type(self).__name__, kwargs.get("axis"))
        for name, value in self._fn_kwargs.items():
            setattr(self, name, value)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        arguments = {
            name: value
            for name, value in self._fn_kwargs.items()
            if name not in self.omitted or value != self.omitted[name]
        }
        return {**Loss.get_config(self), **arguments}
