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

import numpy as np
import torch

from ..dtypes import to_numpy
from ..graph.context import ADDING, CONTEXT
from ..naming import explain
from ..ops.core import convert_to_numpy
from ..tree import flatten, map_structure
from ..variables import FREEZING
from .data import unpack_x_y_sample_weight
from .jit import (
    Compile,
    CompiledStep,
    GraphUpdate,
    can_be_one_graph,
    compiled,
    detached,
    guarded,
    masks_of,
    with_masks,
)

__all__ = [
    "RECORDING",
    "PredictStep",
    "Recording",
    "StepLogs",
    "TestStep",
    "TrainStep",
    "batch_size_of",
    "gradients_of",
    "is_taped",
    "joined_on_host",
    "names_in",
    "switch_mode",
    "without_grad_in",
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
        # What is compiled is but a part of a loss of the model's own.
        own = model._overrides_any("compute_loss")
        self.loss = None if own else model._compile_loss
        self.whole_loss = model._loss_of_mode(self.training)
        self.tracker = model._loss_tracker
        self.metrics = model._compile_metrics
        self.find_variables()

    def find_variables(self) -> None:
        """Look at the weights of the model; they may have changed since a step was last made."""
        self.frozen_at = FREEZING.version
        self.variables = self.model.trainable_weights
        self.penalized = any(
            getattr(variable, "regularizer", None) is not None for variable in self.variables
        )

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Tensor:
        """Return the loss; the model's own method is only called if there is more to it."""
        compiled, adds = self.loss, ADDING.layers and self.model._silent_at != ADDING.version
        if compiled is not None and not self.penalized and not adds:
            alone = compiled.alone
            if alone is not None and type(y) is Tensor and type(y_pred) is Tensor:
                loss = alone(y, y_pred, sample_weight)
                return loss.mean() if loss.dim() else loss
            loss = compiled(y, y_pred, sample_weight)
            if loss is not None:
                return loss
        return self.whole_loss(x, y, y_pred, sample_weight)

    def trace_loss(self, adds: bool, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Tensor:
        """As `compute_loss`, within a graph, for which it is settled whether layers add losses."""
        if self.loss is not None and not self.penalized and not adds:
            return self.loss(y, y_pred, sample_weight)
        return self.whole_loss(x, y, y_pred, sample_weight)

    def trace_metrics(self, loss: Tensor, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> None:
        """Update the metrics within a graph."""
        self.tracker.add_mean(loss, batch_size_of(x))
        if self.metrics is not None:
            self.metrics.update_state(y, y_pred, sample_weight)

    def run(self, batches: list[Any]) -> StepLogs | None:
        """Run on batches between which nobody looks; the metrics may count them all at once."""
        logs, metrics = None, self.metrics
        if metrics is None or len(batches) == 1:
            for data in batches:
                logs = self(data)
            return logs
        metrics.gather()
        try:
            for data in batches:
                logs = self(data)
        finally:
            metrics.count()
        return logs

    def adding(self) -> list[Any]:
        """Return the layers that add losses; what is traced cannot keep a list of them."""
        return [layer for layer in self.model._flatten_layers() if layer._adds_losses]

    def traces_metrics(self) -> bool:
        """Whether the metrics may be a part of a graph: others than ours may do anything."""
        parts = self.metrics.metrics if self.metrics is not None else ()
        return all(type(metric).__module__.startswith(_OUR_METRICS) for metric in parts)

    def record(self, loss: Tensor, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> StepLogs:
        """Update the metrics."""
        self.tracker.add_mean(loss, x.shape[0] if type(x) is Tensor else batch_size_of(x))
        if self.metrics is not None:
            self.metrics.add(y, y_pred, sample_weight)
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
        self.frozen_at = FREEZING.version
        now = self.model.trainable_weights
        return [id(weight) for weight in now] != [id(weight) for weight in self.variables]

    def __call__(self, data: Any) -> StepLogs:
        if type(data) is tuple and len(data) == 2:
            (x, y), sample_weight = data, None
        else:
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
        return y_pred, loss, self.gradients_of(self.optimizer.scale_loss(loss), self.variables)

    gradients_of = staticmethod(gradients_of)

    def compile(self, report: Callable[[Exception], None]) -> Callable[[Any], StepLogs]:
        """Return this step compiled: as one graph, or on an older torch its forward pass.

        Likewise of a subclass, in which more happens between the parts.
        """
        if type(self) is TrainStep and can_be_one_graph():
            return CompiledStep(self, report)
        self.compile_forward(report)
        return self

    def graphs(self) -> Iterator[Callable[[Compile], Callable[..., StepLogs]]]:
        """See `jit.Step`; best has the update and the metrics in it, the last one neither."""
        updates = GraphUpdate.fits(self.optimizer, self.variables)
        kinds = [(updates, self.traces_metrics()), (updates, False), (False, False)]
        for kind in dict.fromkeys(kinds):
            yield functools.partial(self._graph, *kind)

    def _graph(self, updates: bool, has_metrics: bool, compile: Compile) -> Callable[..., StepLogs]:
        model, optimizer, variables = self.model, self.optimizer, self.variables
        update = GraphUpdate(optimizer, variables) if updates else None
        adding = self.adding()

        def trace(x: Any, y: Any, sample_weight: Any) -> tuple[Tensor, Any, Any]:
            y_pred = model(x)
            loss = self.trace_loss(bool(adding), x, y, y_pred, sample_weight)
            scaled = optimizer.scale_loss(loss)
            grads = torch.autograd.grad(scaled, variables, allow_unused=True)
            loss, y_pred = loss.detach(), map_structure(detached, y_pred)
            for layer in adding:  # a graph returns nothing that it has derived by
                layer._losses[:] = [added.detach() for added in layer._losses]
            if update is not None:
                update(grads)
                grads = ()
            if not has_metrics:
                return loss, (y_pred, masks_of(y_pred)), grads
            with torch.no_grad():
                self.trace_metrics(loss, x, y, y_pred, sample_weight)
            return loss, None, grads

        def run(x: Any, y: Any, sample_weight: Any) -> StepLogs:
            for layer in adding:
                layer._losses.clear()
            if update is None:
                loss, outputs, grads = fast(x, y, sample_weight)
                optimizer.apply(grads, variables)
            else:
                update.begin()
                loss, outputs, _ = fast(x, y, sample_weight)
                update.end()
            if has_metrics:
                return StepLogs(model)
            return self.record(loss, x, y, with_masks(*outputs), sample_weight)

        kept: list[Tensor] = []
        if update is not None and has_metrics and not adding:
            kept = [*update.kept, *model.variables, *model.metrics_variables]
        fast = compile(trace, kept)
        return run

    def compile_forward(self, report: Callable[[Exception], None]) -> None:
        """Compile the forward pass, and with it the backward pass; on a failure go on without.

        Nothing has been updated when they fail, so the batch is simply done again.
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
            self.differentiate = guarded(fast, plain, report)


class TestStep(_LossStep):
    """One evaluation of a model with the standard `test_step`.

    Args:
        model: Compiled and built.
    """

    __test__ = False  # not a test of pytest's
    training = False

    def find_variables(self) -> None:
        """Look for penalties on weights; there may be others since a step was last made."""
        self.penalized = _is_penalized(self.model)

    def __call__(self, data: Any) -> StepLogs:
        if type(data) is tuple and len(data) == 2:
            (x, y), sample_weight = data, None
        else:
            x, y, sample_weight = unpack_x_y_sample_weight(data)
        # `_inferred`, one call cheaper.
        outer_training, CONTEXT.training = CONTEXT.training, False
        try:
            y_pred = self.call(x)
        finally:
            CONTEXT.training = outer_training
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        return self.record(loss, x, y, y_pred, sample_weight)

    def without_grad(self) -> type[torch.no_grad | torch.inference_mode]:
        """Return how to switch gradients off around this step; see `without_grad_in`."""
        known = self.metrics is None or (self.metrics.built and self.traces_metrics())
        return without_grad_in(self.model) if known else torch.no_grad

    def compile(self, report: Callable[[Exception], None]) -> Callable[[Any], StepLogs]:
        """Return this step compiled: as one graph, or of a subclass its forward pass."""
        if type(self) is TestStep:
            return CompiledStep(self, report)
        self.call = compiled(self.model, report)
        return self

    def graphs(self) -> Iterator[Callable[[Compile], Callable[..., StepLogs]]]:
        """See `jit.Step`; best has the metrics in it."""
        for has_metrics in dict.fromkeys([self.traces_metrics(), False]):
            yield functools.partial(self._graph, has_metrics)

    def _graph(self, has_metrics: bool, compile: Compile) -> Callable[..., StepLogs]:
        model = self.model
        adding = self.adding()

        def trace(x: Any, y: Any, sample_weight: Any) -> tuple[Tensor, Any]:
            y_pred = model(x)
            loss = self.trace_loss(bool(adding), x, y, y_pred, sample_weight)
            if not has_metrics:
                return loss, (y_pred, masks_of(y_pred))
            self.trace_metrics(loss, x, y, y_pred, sample_weight)
            return loss, None

        def run(x: Any, y: Any, sample_weight: Any) -> StepLogs:
            for layer in adding:
                layer._losses.clear()
            loss, outputs = _inferred(fast, x, y, sample_weight)
            if has_metrics:
                return StepLogs(model)
            return self.record(loss, x, y, with_masks(*outputs), sample_weight)

        fast = compile(trace)
        return run


class PredictStep:
    """The outputs of a model with the standard `predict_step`.

    Args:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self.model = self.call = model

    def __call__(self, data: Any) -> Any:
        if type(data) is not Tensor:
            data = unpack_x_y_sample_weight(data)[0]
        # `_inferred`, one call cheaper.
        outer_training, CONTEXT.training = CONTEXT.training, False
        try:
            return self.call(data)
        finally:
            CONTEXT.training = outer_training

    def compile(self, report: Callable[[Exception], None]) -> Callable[[Any], Any]:
        """Return this step compiled."""
        return CompiledStep(self, report)

    def graphs(self) -> Iterator[Callable[[Compile], Callable[..., Any]]]:
        """See `jit.Step`."""

        def make(compile: Compile) -> Callable[..., Any]:
            model = self.model
            fast = compile(lambda x: model(x))
            return lambda x, y, sample_weight: _inferred(fast, x)

        yield make


_OURS = __name__.partition(".")[0] + "."
_OUR_METRICS = f"{_OURS}metrics."
_KNOWN = (_OURS, "torch.nn.")


def without_grad_in(model: torch.nn.Module) -> type[torch.no_grad | torch.inference_mode]:
    """Return how to switch gradients off in a model: by inference mode, which costs the least.

    Its tensors can never be trained with, nor be written to outside of it, so not where code of the
    user's runs, which may keep some of one batch for another.
    """
    known = all(type(module).__module__.startswith(_KNOWN) for module in model.modules())
    return torch.inference_mode if known else torch.no_grad


def switch_mode(module: torch.nn.Module, training: bool) -> None:
    """As `module.train(training)`, in a fifth of the calls."""
    kind, state = type(module), module.__dict__
    if kind.train is not torch.nn.Module.train or "training" not in state:
        module.train(training)  # one of its own, or compiled by TorchScript
        return
    state["training"] = training
    for inner in module._modules.values():
        if inner is not None:
            switch_mode(inner, training)


def _is_penalized(module: torch.nn.Module) -> bool:
    """Whether a weight in a module has a regularizer."""
    for weight in module._parameters.values():
        if getattr(weight, "regularizer", None) is not None:
            return True
    for inner in module._modules.values():
        if inner is not None and _is_penalized(inner):
            return True
    return False


def _inferred(model: Callable[..., Any], *args: Any) -> Any:
    """Call a model in inference, also layers that train unless told otherwise."""
    outer_training, CONTEXT.training = CONTEXT.training, False
    try:
        return model(*args)
    finally:
        CONTEXT.training = outer_training


def joined_on_host(*parts: Any) -> np.ndarray:
    """Join the outputs of batches, and bring them to the host in one copy."""
    if not isinstance(parts[0], Tensor):
        return np.concatenate([np.asarray(part) for part in parts])
    joined = parts[0] if len(parts) == 1 else torch.cat(parts)
    if joined.dtype is torch.bfloat16:  # of `ml_dtypes`, as everywhere where arrays are returned
        return convert_to_numpy(joined.full_tensor() if hasattr(joined, "full_tensor") else joined)
    return to_numpy(joined)


def batch_size_of(x: Any) -> int:
    """Return the number of samples in a batch."""
    if isinstance(x, Tensor):
        return x.shape[0]
    return next((t.shape[0] for t in flatten(x) if getattr(t, "ndim", 0)), 1)
