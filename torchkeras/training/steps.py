"""Train, test and predict steps, with all that can be settled before the first one.

A step of a model that overrides nothing is a `TrainStep`: forward pass, loss, gradients straight
from autograd, one fused update, and additions to the metrics on the device. It never reads a number
from the device; what it returns is read only if somebody looks (`StepLogs`).
"""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from ..graph.context import CONTEXT
from ..naming import explain
from ..tree import flatten
from .data import unpack_x_y_sample_weight

__all__ = [
    "RECORDING",
    "PredictStep",
    "Recording",
    "StepLogs",
    "TestStep",
    "TrainStep",
    "compiled",
    "gradients_of",
    "is_taped",
    "names_in",
]

Tensor = torch.Tensor


class StepLogs(Mapping[str, Any]):
    """The metrics of a model as logs; computed when first read.

    Args:
        model: Whose metrics to read.
    """

    __slots__ = ("_model", "_values")

    def __init__(self, model: Any) -> None:
        self._model = model
        self._values: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any]:
        if self._values is None:
            self._values = self._model.get_metrics_result()
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


class Recording:
    """What autograd records in this process.

    Attributes:
        by_tapes: Only what happens within a `GradientTape` of the TensorFlow stand-in.
    """

    by_tapes = False


RECORDING = Recording()


def is_taped(train_step: Callable[..., Any]) -> bool:
    """Whether an overridden training step records with tapes: all outside of them is constant."""
    code = getattr(train_step, "__code__", None)
    names = frozenset() if code is None else names_in(code)
    return ("GradientTape" in names or RECORDING.by_tapes) and not names & {"backward", "autograd"}


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> frozenset[str]:
    """Return the names that code uses, that of its functions and classes included."""
    inner = (names_in(part) for part in code.co_consts if isinstance(part, types.CodeType))
    return frozenset(code.co_names).union(*inner)


def gradients_of(loss: Tensor, variables: list[Tensor]) -> tuple[Tensor | None, ...]:
    """Return the gradients of a loss, `None` for variables it does not depend on.

    Raises:
        ValueError: The loss depends on none of them.
    """
    if not loss.requires_grad:
        raise ValueError(
            explain(
                "The loss does not depend on any trainable weight, so there is nothing to train.",
                trainable_weights=len(variables),
                fix="check that layers are trainable, and that neither the model nor the loss"
                " detaches tensors or converts them to NumPy.",
            )
        )
    return torch.autograd.grad(loss, variables, allow_unused=True)


class _LossStep:
    """What the standard `train_step` and `test_step` share: the loss of a batch, and its records.

    Args:
        model: Compiled.
    """

    training: bool

    def __init__(self, model: Any) -> None:
        self.model = self.call = model
        self.loss = model._compile_loss
        self.tracker = model._loss_tracker
        self.metrics = model._compile_metrics
        self.find_variables()

    def find_variables(self) -> None:
        """Look at the weights of the model; they may have changed since a step was last made."""
        self.variables = self.model.trainable_weights
        self.penalized = any(
            getattr(variable, "regularizer", None) is not None for variable in self.variables
        )

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Tensor:
        """Return the loss; the model's own method is only called if there is more to it."""
        if self.loss is not None and not self.penalized and not CONTEXT.lossy:
            loss = self.loss(y, y_pred, sample_weight)
            if loss is not None:
                return loss
        return self.model.compute_loss(x, y, y_pred, sample_weight, training=self.training)

    def record(self, loss: Tensor, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> StepLogs:
        """Update the metrics."""
        self.tracker.add_mean(loss, batch_size_of(x))
        if self.metrics is not None:
            self.metrics.update_state(y, y_pred, sample_weight)
        return StepLogs(self.model)


class TrainStep(_LossStep):
    """One update of a model with the standard `train_step`.

    Args:
        model: Compiled and built.
    """

    training = True

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.optimizer = model.optimizer
        if self.optimizer is None and self.variables:
            raise ValueError(
                explain(
                    f"Model '{model.name}' was compiled without an optimizer, so it can be"
                    " evaluated but not trained.",
                    fix="for example model.compile(optimizer='adam', loss='mse').",
                )
            )

    def find_variables(self) -> None:
        """Look at the weights of the model, and warn if there is nothing to train."""
        super().find_variables()
        if not self.variables and self.model.built:
            warnings.warn(
                f"The model does not have any trainable weights. (Model '{self.model.name}')",
                stacklevel=5,
            )

    def is_stale(self) -> bool:
        """Whether other weights are to be trained by now."""
        now = self.model.trainable_weights
        return [id(weight) for weight in now] != [id(weight) for weight in self.variables]

    def __call__(self, data: Any) -> StepLogs:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred, loss, grads = self.differentiate(x, y, sample_weight)
        if grads:
            self.optimizer.apply(grads, self.variables)
        return self.record(loss.detach(), x, y, y_pred, sample_weight)

    def differentiate(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Tensor, Any]:
        """Return the outputs, the loss and its gradients."""
        y_pred = self.call(x)
        if not self.variables:  # of a model that this call has built
            self.find_variables()
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        if not self.variables:
            return y_pred, loss, ()
        return y_pred, loss, gradients_of(self.optimizer.scale_loss(loss), self.variables)

    def compile(self, report: Callable[[Exception], None]) -> None:
        """Compile the forward and the backward pass; on a failure go on without.

        Nothing has been updated when they fail, so the batch is simply done again. What is left
        out, the update and the metrics, consists of fused kernels already.
        """
        plain, model = self.differentiate, self.model

        def first(x: Any) -> Any:
            nonlocal call
            call = compiled_model
            y_pred = compiled_model(x)
            # Compiled code keeps no list of the layers that have added losses.
            self.penalized |= any(layer._adds_losses for layer in model._flatten_layers())
            return y_pred

        def fast(*data: Any) -> Any:
            self.call = call
            try:
                return plain(*data)
            finally:
                self.call = model

        call = first
        compiled_model = compiled(model, report, guard=False)
        if compiled_model is not model:
            self.differentiate = _guarded(fast, plain, report)


class TestStep(_LossStep):
    """One evaluation of a model with the standard `test_step`.

    Args:
        model: Compiled and built.
    """

    __test__ = False  # not a test of pytest's
    training = False

    def __call__(self, data: Any) -> StepLogs:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = _inferred(self.call, x)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        return self.record(loss, x, y, y_pred, sample_weight)

    def compile(self, report: Callable[[Exception], None]) -> None:
        """Compile the forward pass."""
        self.call = compiled(self.model, report)


class PredictStep:
    """The outputs of a model with the standard `predict_step`.

    Args:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self.model = self.call = model

    def __call__(self, data: Any) -> Any:
        return _inferred(self.call, unpack_x_y_sample_weight(data)[0])

    def compile(self, report: Callable[[Exception], None]) -> None:
        """Compile the forward pass."""
        self.call = compiled(self.model, report)


def _inferred(model: Callable[..., Any], x: Any) -> Any:
    """Call a model in inference, also layers that train unless told otherwise."""
    outer_training, CONTEXT.training = CONTEXT.training, False
    try:
        return model(x)
    finally:
        CONTEXT.training = outer_training


def batch_size_of(x: Any) -> int:
    """Return the number of samples in a batch."""
    if isinstance(x, Tensor):
        return x.shape[0]
    return next((t.shape[0] for t in flatten(x) if getattr(t, "ndim", 0)), 1)


def compiled(
    function: Callable[..., Any], report: Callable[[Exception], None], guard: bool = True
) -> Callable[..., Any]:
    """Compile a function with `torch.compile`; on a failure report it and go on without.

    Args:
        function: A step or a model.
        report: Told the failure, once.
        guard: Whether failures in calls are seen to here.
    """
    try:
        fast = torch.compile(_own_code(function))
    except Exception as error:
        report(error)
        return function
    return _guarded(fast, function, report) if guard else fast


def _own_code(function: Any) -> Any:
    """Return a model's `__call__` with a code object of its own; other callables as they are.

    All models share one such function, and torch limits how often it compiles the same one.
    """
    if not isinstance(function, torch.nn.Module):
        return function
    call = type(function).__call__
    copy = types.FunctionType(
        call.__code__.replace(),
        call.__globals__,
        call.__name__,
        call.__defaults__,
        call.__closure__,
    )
    copy.__kwdefaults__ = call.__kwdefaults__
    return types.MethodType(copy, function)


def _guarded(
    fast: Callable[..., Any], plain: Callable[..., Any], report: Callable[[Exception], None]
) -> Callable[..., Any]:
    """Call `fast` until it fails where `plain` does not: then the compiler was at fault."""
    works = True

    def call(*args: Any) -> Any:
        nonlocal works
        if not works:
            return plain(*args)
        try:
            return fast(*args)
        except Exception as error:
            failure = error
        result = plain(*args)  # raises too if the fault is the user's
        works = False
        report(failure)
        return result

    return call
