"""What `compile` sets, and the losses and metrics that come of it: the lower half of `Trainer`."""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ..graph.infer import compute_output_spec
from ..graph.keras_tensor import KerasTensor
from ..graph.scopes import StatelessScope
from ..layers.state import HiddenByAttribute
from ..metrics import Mean, Metric
from ..naming import explain
from ..optimizers import LossScaleOptimizer, Optimizer
from ..optimizers import get as get_optimizer
from ..registry import deserialize_keras_object, serialize_dict
from ..tree import flatten, map_structure
from .outputs import CompileLoss, CompileMetrics

__all__ = ["Compiled", "open_spec_of", "spec_of"]

Tensor = torch.Tensor


class Compiled:
    """A model that can be compiled; `Trainer` adds the loops."""

    def __init__(self) -> None:
        # Written directly: a model's `__setattr__` would track what belongs to `compile`.
        self.__dict__.update(
            compiled=False,
            loss=None,
            stop_training=False,
            stop_evaluating=False,
            stop_predicting=False,
            history=None,
            run_eagerly=False,
            jit_compile=False,
            _jit_auto=False,
            _go_on_with=None,
            steps_per_execution=1,
            train_function=None,
            test_function=None,
            predict_function=None,
            _initial_epoch=None,
            _replicas=None,
            _settled_train_step=None,
            _settled_test_step=None,
            _compile_loss=None,
            _compile_metrics=None,
            _loss_tracker=None,
            _compile_arguments=None,
            _compiled_trainable_state=None,
        )

    # Compiling -----------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Set what training minimizes, how, and what it reports.

        A loss or metrics that a later call leaves out stay as they were.

        Args:
            optimizer: A name, an optimizer, or a `torch.optim` class or instance.
            loss: A name, a `Loss`, a function `(y_true, y_pred)` or a `torch.nn` loss module; for
                several outputs a list, or a dict by output name.
            loss_weights: Factors of the outputs' losses, likewise.
            metrics: Names, metrics and functions in a list; for several outputs a list of lists, or
                a dict by output name.
            weighted_metrics: Metrics that see sample weights and class weights.
            run_eagerly: Never compile steps.
            steps_per_execution: Batches between two calls of the callbacks' batch hooks.
            jit_compile: Compile steps with `torch.compile`, each as a whole; where that fails it
                says so once and goes on without. `"auto"`: a long `fit` measures whether compiled
                steps are faster, if it can cost a fiftieth of its time at most.
            auto_scale_loss: Under the policy `mixed_float16`, scale the loss against underflow.

        Raises:
            ValueError: An unknown name, with the nearest known one, or arguments that do not go
                together.
        """
        names = getattr(self, "output_names", None)
        arguments = dict(
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=False if jit_compile == "auto" else jit_compile,
        )
        arguments["optimizer"] = optimizer = get_optimizer(optimizer)
        scaled = LossScaleOptimizer
        half = self.dtype_policy.name == "mixed_float16"
        if auto_scale_loss and half and optimizer is not None and not isinstance(optimizer, scaled):
            optimizer = scaled(optimizer, name="loss_scale_optimizer")
        if jit_compile is True and run_eagerly:
            warnings.warn(
                "If `run_eagerly` is True, then `jit_compile` cannot also be True. Disabling"
                " `jit_compile`.",
                stacklevel=2,
            )
            jit_compile = False
        # As in Keras, a loss or metrics that are not given again stay those of the last call.
        former = self._compile_arguments or {}
        compile_loss, compile_metrics = self._compile_loss, self._compile_metrics
        if loss is not None:
            compile_loss = CompileLoss(loss, loss_weights, output_names=names)
        elif compile_loss is not None:
            arguments |= {key: former[key] for key in ("loss", "loss_weights")}
        if metrics is not None or weighted_metrics is not None:
            compile_metrics = CompileMetrics(metrics, weighted_metrics, output_names=names)
        elif compile_metrics is not None:
            arguments |= {key: former[key] for key in ("metrics", "weighted_metrics")}
        if loss is not None:  # else it stays what it was: what a model's `__init__` set, too
            self.__dict__["loss"] = loss
        self.__dict__.update(
            optimizer=optimizer,
            run_eagerly=run_eagerly,
            jit_compile=jit_compile is True,
            _jit_auto=jit_compile == "auto" and not run_eagerly,
            steps_per_execution=_checked_steps(steps_per_execution),
            stop_training=False,
            compiled=True,
            train_function=None,
            test_function=None,
            predict_function=None,
            _compile_loss=compile_loss,
            _compile_metrics=compile_metrics,
            _loss_tracker=_new_loss_tracker(),
            _compile_arguments=arguments,
            _compiled_trainable_state={
                id(layer): layer.trainable for layer in self._flatten_layers()
            },
        )

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return the arguments of `compile` as a config; empty if it was not called."""
        if not self.compiled or self._compile_arguments is None:
            return {}
        try:
            return serialize_dict(self._compile_arguments)
        except (NotImplementedError, TypeError) as error:  # such as PyTorch's optimizers and losses
            warnings.warn(
                f"How model '{self.name}' was compiled cannot be written down, so it is left out;"
                f" call `compile` again after loading. {str(error).splitlines()[0]}",
                stacklevel=2,
            )
            return {}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile the model with what `get_compile_config` returned."""
        if type(self).compile is not Compiled.compile:
            warnings.warn(
                "`compile()` was not called as part of model loading because the model's"
                " `compile()` method is custom. Override `get_compile_config()` and"
                " `compile_from_config(config)` too, or call `compile()` after loading.",
                stacklevel=2,
            )
            return
        self.compile(**deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def _compile_like(self, model: Compiled) -> None:
        """Compile this model as `model` was, with an optimizer and metrics of its own.

        The arguments are taken as they are, not through a config, so that custom losses and metrics
        need no registered name. An optimizer of PyTorch's belongs to its model's parameters: then
        this model stays uncompiled.
        """
        if model._compile_arguments is None or type(self).compile is not Compiled.compile:
            return
        try:
            arguments = _of_its_own(model._compile_arguments)
        except NotImplementedError:
            return
        self.compile(**arguments)
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def compiled_loss(
        self, y: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None
    ) -> Tensor:
        """Compute the loss and note it in the logs, as training steps written for Keras 2 do.

        Args:
            y: Targets.
            y_pred: Outputs of the model.
            sample_weight: Weights of the samples.
            regularization_losses: Ignored: the model's `losses` are part of the loss in any case.

        Returns: The same as `compute_loss`.
        """
        loss = self._compute_loss(None, y, y_pred, sample_weight)
        self._loss_tracker.update_state(loss.detach(), sample_weight=len(flatten(y_pred)[0]))
        return loss

    @HiddenByAttribute
    def compiled_metrics(self) -> CompileMetrics:
        """The compiled metrics, for `compiled_metrics.update_state(y, y_pred)` in such steps."""
        return self._compile_metrics or CompileMetrics(None, None)

    # Losses and metrics --------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Any]:
        """The loss tracker, the compiled metrics, and those tracked as attributes."""
        found: list[Any] = []
        if self.compiled:
            found += [m for m in (self._loss_tracker, self._compile_metrics) if m is not None]
            if self._compile_loss is not None:
                found += self._compile_loss.metrics
        found += self._metrics
        for layer in self._flatten_layers(include_self=False):
            if not isinstance(layer, Compiled):
                found += layer._metrics
        return list({id(metric): metric for metric in found}.values())

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Start all metrics from nothing."""
        for metric in self.metrics:
            metric.reset_state()

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Return the total loss of a batch: the compiled loss, and the model's own `losses`.

        Args:
            x: Inputs.
            y: Targets.
            y_pred: Outputs of the model.
            sample_weight: Weights of the samples.
            training: Whether it is for an update.

        Raises:
            ValueError: There is no loss at all.
        """
        total = None
        if self._compile_loss is not None:
            total = self._compile_loss(y, y_pred, sample_weight)
        for loss in self.losses:
            loss = loss.sum() if loss.dim() else loss
            total = loss if total is None else total + loss
        if total is None:
            raise ValueError(
                explain(
                    f"Model '{self.name}': no loss to compute. Provide a `loss` argument in"
                    " `compile()`.",
                    fix="for example model.compile(optimizer='adam', loss='mse').",
                )
            )
        return total

    def _compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool = True
    ) -> Tensor:
        """Call `compute_loss`, also one without a `training` parameter."""
        return self._loss_of_mode(training)(x, y, y_pred, sample_weight)

    def _loss_of_mode(self, training: bool) -> Callable[..., Tensor]:
        """Return `compute_loss` with `training` settled, as far as it takes it."""
        function = getattr(self.compute_loss, "__func__", self.compute_loss)
        kwargs = {"training": training} if _takes_training(function) else {}
        return functools.partial(self.compute_loss, **kwargs)

    def stateless_compute_loss(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any],
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tuple[Tensor, tuple[Sequence[Any], list[Any], list[Any]]]:
        """Call `compute_loss` with given state, changing none of the model's.

        Args:
            trainable_variables: A tensor for each of `trainable_variables`.
            non_trainable_variables: A tensor for each of `non_trainable_variables`.
            metrics_variables: A tensor for each of `metrics_variables`.
            x, y, y_pred, sample_weight, training: As of `compute_loss`.

        Returns: `(loss, (trainable_variables, non_trainable_variables, metrics_variables))`, with
            the new values of the latter two.
        """
        state = [self.non_trainable_variables, self.metrics_variables]
        known = [*self.trainable_variables, *state[0], *state[1]]
        given = [*trainable_variables, *non_trainable_variables, *metrics_variables]
        with StatelessScope(zip(known, given, strict=True)) as scope:
            loss = self._compute_loss(x, y, y_pred, sample_weight, training)
        news = [[scope.get_current_value(variable) for variable in part] for part in state]
        return loss, (trainable_variables, *news)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Add a batch to the compiled metrics, and return the values of all metrics."""
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the values of all metrics by name, as tensors."""
        results: dict[str, Any] = {}
        # In training, a step of the user's may leave the compiled metrics alone; before, there is
        # nothing to tell.
        trained = self.train_function is not None or self.test_function is not None
        for metric in self.metrics:
            if trained and isinstance(metric, CompileMetrics) and not metric.built:
                continue
            value = metric.result()
            if isinstance(value, Mapping):
                results.update(value)
            else:
                results[metric.name] = value
        return results

    def _unbound(self) -> list[tuple[Any, str]]:
        """Return what waits for outputs and targets, and the method that hands those on."""
        parts = (self._compile_metrics, "compute_metrics"), (self._compile_loss, "compute_loss")
        return [(part, name) for part, name in parts if part is not None and not part.built]

    def _bind_outputs(self, x: Any, y: Any, y_pred: Any) -> None:
        for part, method in self._unbound():
            if not self._overrides_any(method):
                part.build(y, y_pred)
                if method == "compute_loss" and not self._overrides_any("train_step", "test_step"):
                    self._try_loss(x, y, y_pred)

    def _try_loss(self, x: Any, y: Any, y_pred: Any) -> None:
        """Refuse losses that cannot be computed before a step moves the state of layers.

        They run on shapes and, where they fail on these, on the batch, which may tell otherwise.
        """
        batch = flatten(y)[0].shape[:1]

        def with_batch(spec: KerasTensor) -> KerasTensor:
            return KerasTensor((*batch, *spec.shape[1:]), spec.dtype) if spec.shape else spec

        try:
            shapes = map_structure(spec_of, y), map_structure(with_batch, y_pred)
            compute_output_spec(self._compile_loss, *shapes)
        except Exception:
            with StatelessScope(), torch.no_grad():
                self._compile_loss(y, self(x, training=False))

    def _waits_for_overrides(self) -> bool:
        return any(self._overrides_any(method) for _, method in self._unbound())

    def _bind_by_overrides(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> None:
        """Let the user's methods hand on outputs and targets, others maybe, on shapes alone."""
        for _, method in self._unbound():
            if not self._overrides_any(method):
                continue
            function = self.compute_metrics
            if method == "compute_loss":
                function = self._loss_of_mode(False)
            with contextlib.suppress(Exception):  # the first step will say what is wrong
                specs = map_structure(spec_of, (x, y, sample_weight))
                compute_output_spec(function, *specs[:2], y_pred, specs[2])

    def _assert_compile_called(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(
                explain(
                    f"Model '{self.name}': you must call `compile()` before calling `{method}()`.",
                    fix="for example model.compile(optimizer='adam', loss='mse').",
                )
            )

    def _warn_if_trainable_state_changed(self) -> None:
        known = self._compiled_trainable_state
        if known is None:
            return
        layers = self._flatten_layers()
        changed = [
            layer.name
            for layer in layers
            if id(layer) in known and known[id(layer)] != layer.trainable
        ]
        if changed:
            warnings.warn(
                "The `trainable` state of layers has changed since the model was compiled:"
                f" {changed}. Call `compile()` again so that training follows it.",
                stacklevel=3,
            )
            self.__dict__["_compiled_trainable_state"] = {
                id(layer): layer.trainable for layer in layers
            }


def spec_of(x: Any) -> Any:
    """Make a symbolic tensor like the batch `x`, on which a function runs but once."""
    if not getattr(x, "ndim", 0):
        return x
    return KerasTensor(x.shape, x.dtype if isinstance(x, Tensor) else "string")


def open_spec_of(x: Any) -> Any:
    """Make a symbolic tensor like the batch `x`, of unknown batch size."""
    spec = spec_of(x)
    return KerasTensor((None, *x.shape[1:]), spec.dtype) if isinstance(spec, KerasTensor) else x


def _new_loss_tracker() -> Metric:
    return Mean(name="loss")


def _of_its_own(arguments: Any) -> Any:
    """Compile arguments with new optimizers and metrics in the place of those that hold state."""
    if isinstance(arguments, dict):
        return {key: _of_its_own(value) for key, value in arguments.items()}
    if isinstance(arguments, (list, tuple)):
        return [_of_its_own(value) for value in arguments]
    if isinstance(arguments, (Optimizer, Metric)):
        return type(arguments).from_config(arguments.get_config())
    return arguments


def _checked_steps(steps_per_execution: Any) -> int:
    if not isinstance(steps_per_execution, int) or steps_per_execution < 1:
        raise ValueError(
            f"`steps_per_execution` must be a positive integer, got {steps_per_execution!r}."
        )
    return steps_per_execution


@functools.cache
def _takes_training(compute_loss: Callable[..., Any]) -> bool:
    """Whether a `compute_loss` may be told that it is for an update; looked at once."""
    parameters = inspect.signature(compute_loss).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return takes_any or "training" in parameters
