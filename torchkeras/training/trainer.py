"""`Trainer`: `compile`, `fit`, `evaluate`, `predict` and the steps they consist of.

`fit` is a stack of small methods that may be overridden as in Keras: `train_step(data)` does one
update, `make_train_function()` decides what runs for a batch, `compute_loss` and `compute_metrics`
are its parts. A model that overrides none of them runs a `TrainStep`, where all of it is settled
beforehand.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..callbacks import CallbackList
from ..callbacks.logs import as_numbers, read
from ..config import max_epochs, max_steps_per_epoch
from ..distribution.strategy import distribution
from ..distribution.strategy import replicas as replicas_in_force
from ..graph.context import CONTEXT
from ..graph.infer import infer_spec
from ..naming import explain
from ..tree import map_structure
from ..variables import FREEZING
from .compiling import Compiled, open_spec_of, spec_of
from .data import (
    class_weight_to_sample_weights,
    draw_loader_seed,
    lone_batch,
    to_device,
    train_validation_split,
    unpack_x_y_sample_weight,
    whole_batch,
)
from .epochs import EpochIterator, grouped, is_due
from .jit import LONG_RUN, Trial, compiled, may_try
from .outputs import CompileMetrics
from .replicated import (
    ReplicatedTestStep,
    ReplicatedTrainStep,
    agreed_logs,
    between_merges,
    gathered,
    with_common_updates,
)
from .steps import (
    PredictStep,
    StepLogs,
    TestStep,
    TrainStep,
    batch_size_of,
    gradients_of,
    is_taped,
    joined_on_host,
    switch_mode,
    without_grad_in,
)

__all__ = ["Trainer"]

Tensor = torch.Tensor


class Trainer(Compiled):
    """The training half of a model; `Model` inherits it beside `Layer`."""

    # Steps ---------------------------------------------------------------------------------------

    @torch.enable_grad()  # a step with tapes of its own may call it
    def train_step(self, data: Any) -> Mapping[str, Any]:
        """Make one update; may be overridden.

        Args:
            data: A batch: `x`, `(x, y)` or `(x, y, sample_weight)`.

        Returns:
            What to log, by name.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True)
        loss = self._compute_loss(x, y, y_pred, sample_weight, training=True)
        self._loss_tracker.update_state(loss.detach(), sample_weight=batch_size_of(x))
        variables = self.trainable_weights
        if variables:
            scaled = self.optimizer.scale_loss(loss)
            if self._replicas is None:
                grads = gradients_of(scaled, variables)
            else:
                grads = self._replicas.own_gradients_of(scaled, variables, gradients_of)
            self.optimizer.apply(grads, variables)
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data: Any) -> Mapping[str, Any]:
        """Evaluate one batch; may be overridden. Arguments and result as in `train_step`."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self._compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss.detach(), sample_weight=batch_size_of(x))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Any) -> Any:
        """Return the outputs for one batch; may be overridden."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def _overrides_any(self, *names: str) -> bool:
        cls = type(self)
        return any(
            getattr(cls, name) is not getattr(Trainer, name) or name in self.__dict__
            for name in names
        )

    def _is_standard(self, *parts: str) -> bool:
        """Whether a standard step does what these parts say; a compiled one takes any loss."""
        compiles = self.jit_compile and not self.run_eagerly
        return not self._overrides_any(*(p for p in parts if p != "compute_loss" or not compiles))

    def make_train_function(self, force: bool = False) -> Callable[[Any], Any]:
        """Decide what runs for each batch of `fit`."""
        replicas = self._meet_replicas()
        if self.train_function is not None and not force:
            # Layers may have been frozen since; it is looked at once per `fit` or single batch.
            standard = self._settled_train_step
            if standard is None or not standard.is_stale():
                return self.train_function
        parts = ("train_step", "compute_loss", "compute_metrics", "get_metrics_result", "metrics")
        custom = self._overrides_any(*parts)
        # Under decorators such as `@tf.function`, for the names in its code.
        own_step = inspect.unwrap(self.train_step) if self._overrides_any("train_step") else None
        if replicas is None:
            self.__dict__["_settled_train_step"] = (
                TrainStep(self) if self._is_standard(*parts) else None
            )
            step = self._maybe_compiled(self._settled_train_step or self.train_step)
        elif custom:  # what is handed to optimizers is sent from there: not compiled
            self.__dict__["_settled_train_step"] = None
            step = with_common_updates(self.train_step, self, replicas)
        else:
            self.__dict__["_settled_train_step"] = ReplicatedTrainStep(self, replicas)
            step = self._maybe_compiled(self._settled_train_step)

        def train_function(batches: list[Any]) -> Any:
            logs = None
            # Whatever an imported library did to torch's switch.
            with torch.set_grad_enabled(own_step is None or not is_taped(own_step)):
                if type(step) is TrainStep:
                    return step.run(batches)
                for data in batches:
                    logs = step(data)
            return logs

        train_function.takes_spells = not custom

        def go_on_with(other: Callable[[Any], Any]) -> None:
            nonlocal step
            step = other

        tries = self._jit_auto and not custom and replicas is None
        self.__dict__["_go_on_with"] = go_on_with if tries else None
        if replicas is not None:
            train_function = between_merges(train_function, self, replicas)
        self.__dict__["train_function"] = train_function
        return train_function

    def _train_function_of_now(self) -> Callable[[Any], Any]:
        """Return what runs for each batch, also where a callback has frozen or thawed weights."""
        step = self._settled_train_step
        if step is not None and step.frozen_at != FREEZING.version:
            self.make_train_function()
        return self.train_function

    def make_test_function(self, force: bool = False) -> Callable[[Any], Any]:
        """Decide what runs for each batch of `evaluate`."""
        replicas = self._meet_replicas()
        if self.test_function is not None and not force:
            if self._settled_test_step is not None:
                self._settled_test_step.find_variables()
            return self.test_function
        parts = ("test_step", "compute_loss", "compute_metrics", "get_metrics_result", "metrics")
        custom = self._overrides_any(*parts)
        if replicas is None:
            self.__dict__["_settled_test_step"] = (
                TestStep(self) if self._is_standard(*parts) else None
            )
            step = self._maybe_compiled(self._settled_test_step or self.test_step)
        elif custom:
            self.__dict__["_settled_test_step"] = None
            step = with_common_updates(self.test_step, self, replicas)
        else:
            self.__dict__["_settled_test_step"] = ReplicatedTestStep(self, replicas)
            step = self._maybe_compiled(self._settled_test_step)

        ours = not custom and replicas is None
        without_grad = self._settled_test_step.without_grad() if ours else torch.no_grad

        def test_function(batches: list[Any]) -> Any:
            logs = None
            with without_grad():
                if type(step) is TestStep:
                    return step.run(batches)
                for data in batches:
                    logs = step(data)
            return logs

        test_function.takes_spells = not custom
        if replicas is not None:
            test_function = between_merges(test_function, self, replicas)
        self.__dict__["test_function"] = test_function
        return test_function

    def make_predict_function(self, force: bool = False) -> Callable[[Any], Any]:
        """Decide what runs for each batch of `predict`."""
        replicas = self._meet_replicas()
        if self.predict_function is not None and not force:
            return self.predict_function
        custom = self._overrides_any("predict_step")
        step = self._maybe_compiled(self.predict_step if custom else PredictStep(self))
        if replicas is not None:
            step = gathered(step, replicas)

        # What is gathered of weights that are cut is used in training too.
        cut = replicas is not None and replicas.is_cut
        without_grad = torch.no_grad if cut else without_grad_in(self)

        def outputs_of(batches: list[Any]) -> list[Any]:
            with without_grad():
                return [step(data) for data in batches]

        def predict_function(batches: list[Any]) -> Any:
            outputs = outputs_of(batches)
            if len(outputs) == 1:
                return outputs[0]
            return map_structure(lambda *parts: torch.cat(parts), *outputs)

        if replicas is None and not custom:
            predict_function.takes_spells = True
            predict_function.outputs_of = outputs_of
        self.__dict__["predict_function"] = predict_function
        return predict_function

    def _meet_replicas(self) -> Any:
        """Return who trains side by side; functions that were made for others are forgotten."""
        replicas = replicas_in_force()
        if replicas is not self._replicas:
            self.__dict__.update(
                _replicas=replicas, train_function=None, test_function=None, predict_function=None
            )
        if replicas is not None:
            replicas.prepare(self)
        return replicas

    def _maybe_compiled(self, step: Any) -> Callable[..., Any]:
        if not self.jit_compile or self.run_eagerly:
            return step
        if self._replicas is not None and self._replicas.is_cut:
            return step  # weights come and go around the calls of layers

        def report(error: Exception) -> None:
            if not self.jit_compile:
                return  # it was said of another step
            self.__dict__["jit_compile"] = False
            lines = [line for line in str(error).splitlines() if line.strip()]
            warnings.warn(
                f"Model '{self.name}' could not be compiled and goes on without:"
                f" {type(error).__name__}: {' '.join(lines[:3])[:300]}",
                stacklevel=3,
            )

        if isinstance(step, (TrainStep, TestStep, PredictStep)):
            return step.compile(report)
        return compiled(step, report)

    def _offer_compiled(self, steps: int) -> None:
        """Under `jit_compile="auto"` let a long run find out whether compiled steps are faster."""
        go_on_with, self.__dict__["_go_on_with"] = self._go_on_with, None
        if go_on_with is not None and steps >= LONG_RUN and may_try(self._settled_train_step):
            go_on_with(Trial(self._settled_train_step, steps, go_on_with))

    # Loops ---------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | list[int] = 1,
    ) -> Any:
        """Train the model for a number of passes over the data.

        Args:
            x: Arrays `(samples, …)` or a structure of them, a generator of batches, a
                `PyDataset`, a torch `DataLoader` or `Dataset`, a Hugging Face dataset.
            y: Targets; none where `x` yields them; of a Hugging Face dataset a column's name.
            batch_size: Samples per update. Default: 32.
            epochs: The number of the last epoch.
            verbose: 0 silent, 1 progress bar, 2 a line per epoch, `"auto"` 1.
            callbacks: Callbacks.
            validation_split: The last fraction of the samples, in [0, 1), to validate on.
            validation_data: `(x, y)`, `(x, y, sample_weight)`, or what `x` may be.
            shuffle: Whether samples are drawn in random order.
            class_weight: Factor of the loss by class number.
            sample_weight: Factor of the loss by sample.
            initial_epoch: The first epoch, counted from 0.
            steps_per_epoch: Batches in an epoch. Default: all.
            validation_steps: Batches of a validation. Default: all.
            validation_batch_size: Default: `batch_size`.
            validation_freq: Validate every so many epochs, or at the epochs in a list.

        Returns:
            A `History`, whose `history` has a list of values per epoch for each name.

        Raises:
            ValueError: The model is not compiled, or the data does not fit it.

        Example:
            See `Model`.
        """
        self._assert_compile_called("fit")
        self._warn_if_trainable_state_changed()
        if not hasattr(epochs, "__index__"):
            raise TypeError(
                explain(
                    f"Model '{self.name}': `epochs` must be an integer.",
                    given=f"epochs={epochs!r}",
                    fix="pass for example epochs=10.",
                )
            )
        limit = max_epochs()
        if limit is not None and limit < epochs:
            warnings.warn(f"Limiting epochs to {limit}", stacklevel=2)
            epochs = limit
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = train_validation_split(
                (x, y, sample_weight), validation_split=validation_split
            )
        parts = None  # looked at first: what is refused leaves the model as it was
        if validation_data is not None:
            parts = unpack_x_y_sample_weight(validation_data)
        iterator = self._iterate_over(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight
        )
        self._build_for_steps(iterator)
        iterator.reset()
        validation = None
        if parts is not None:
            size = validation_batch_size or batch_size
            validation = self._iterate_over(*parts, size, validation_steps)
        verbose = 1 if verbose == "auto" else verbose
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks,
                add_history=True,
                add_progbar=verbose != 0,
                verbose=verbose,
                epochs=epochs,
                steps=iterator.num_batches,
                model=self,
            )
        callbacks.set_iterator(iterator)
        self.stop_training = False
        self.make_train_function()
        self._offer_compiled((iterator.num_batches or 0) * (epochs - initial_epoch))
        replicas = self._replicas
        if replicas is not None:
            replicas.begin_fit(self)
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        schedules_step = getattr(inner, "on_epoch_end", None)
        callbacks.on_train_begin()
        logs: dict[str, Any] = {}
        for epoch in range(self._initial_epoch or initial_epoch, epochs):
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            logs = self._run_training_epoch(iterator, callbacks)
            if validation is not None and is_due(epoch, validation_freq):
                results = self._run_evaluation(validation, callbacks)
                logs.update({f"val_{name}": value for name, value in results.items()})
            callbacks.on_epoch_end(epoch, logs)
            if schedules_step is not None:
                schedules_step(logs)
            if replicas is not None:
                self.stop_training = replicas.processes.any(self.stop_training)
            if self.stop_training:
                break
        if hasattr(self.optimizer, "finalize_variable_values") and epochs > 0:
            weights = self.trainable_weights
            if replicas is not None:
                weights = replicas.held(weights)
            self.optimizer.finalize_variable_values(weights)
        callbacks.on_train_end(logs)
        if replicas is not None:
            replicas.end_fit()
        return self.history

    def _run_training_epoch(
        self, iterator: EpochIterator, callbacks: CallbackList
    ) -> dict[str, Any]:
        """Update on each batch of an epoch, and return its logs."""
        switch_mode(self, True)
        train_function = self._train_function_of_now()
        frozen_at, followed = FREEZING.version, callbacks.follows_batches("train")
        outer_training = CONTEXT.training
        # An epoch that is gone on with has results, even if no batch of it is left.
        logs: Any = StepLogs(self) if iterator.done else {}
        replicas = self._replicas
        agree = None
        if replicas is not None:
            replicas.begin_epoch(self, callbacks)
            agree = replicas.agreement_on_stops()
        try:
            # In spells, nothing happens between two batches: no callback, no user's step.
            in_spells = getattr(train_function, "takes_spells", False) and not followed
            for first, last, batches in grouped(iterator, in_spells):
                callbacks.on_train_batch_begin(first)
                if followed and frozen_at != FREEZING.version:
                    train_function, frozen_at = self._train_function_of_now(), FREEZING.version
                logs = train_function(batches)
                callbacks.on_train_batch_end(last, logs)
                if agree is not None:
                    self.stop_training = agree(self.stop_training)
                if self.stop_training:
                    break
        finally:
            CONTEXT.training = outer_training
            self._to_eval()
        if replicas is not None:
            logs = agreed_logs(logs, self, replicas)
            replicas.merge_statistics(self)
        return read(self._metrics_or(logs))

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the loss and metrics of the model on data.

        Args:
            x: As in `fit`.
            y: Targets.
            batch_size: Samples per batch. Default: 32.
            verbose: As in `fit`.
            sample_weight: Factor of the loss by sample.
            steps: Batches to look at. Default: all.
            callbacks: Callbacks.
            return_dict: Whether the result is a dict by name.

        Returns:
            The loss, or a list of the loss and the metrics, or a dict.
        """
        if kwargs:
            raise ValueError(f"Arguments not recognized: {kwargs}")
        self._assert_compile_called("evaluate")
        iterator = self._iterate_over(x, y, sample_weight, batch_size, steps)
        self._build_for_steps(iterator)
        logs = self._run_evaluation(iterator, callbacks, verbose)
        return logs if return_dict else self._listed_logs(logs)

    def _run_evaluation(
        self, iterator: EpochIterator, callbacks: Any, verbose: int | str = "auto"
    ) -> dict[str, Any]:
        """Evaluate on an epoch; `callbacks` may be those of `fit`."""
        iterator.reset()
        callbacks = self._callback_list(callbacks, iterator, verbose)
        self._to_eval()
        self.make_test_function()
        self.stop_evaluating = False
        callbacks.on_test_begin()
        self.reset_metrics()
        replicas = self._replicas
        if replicas is not None:
            replicas.begin_evaluation(callbacks)
        logs: Any = {}
        test_function = self.test_function
        in_spells = _may_take_spells(test_function, callbacks, "test")
        for first, last, batches in grouped(iterator, in_spells):
            callbacks.on_test_batch_begin(first)
            logs = test_function(batches)
            callbacks.on_test_batch_end(last, logs)
            if self.stop_evaluating:
                break
        if replicas is not None:
            logs = agreed_logs(logs, self, replicas)
        results = as_numbers(self._metrics_or(logs))
        callbacks.on_test_end(results)
        return results

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Return the outputs of the model for data, batch by batch.

        Args:
            x: As in `fit`.
            batch_size: Samples per batch. Default: 32.
            verbose: As in `fit`.
            steps: Batches to look at. Default: all.
            callbacks: Callbacks.

        Returns:
            NumPy arrays `(samples, …)`, in the structure of the outputs.
        """
        if not verbose and callbacks is None and steps is None:
            outputs = self._predict_alone(x, batch_size)
            if outputs is not None:
                # The end of a pass draws a number too, and later passes are shuffled accordingly.
                draw_loader_seed()
                return outputs
        iterator = self._iterate_over(x, None, None, batch_size, steps)
        callbacks = self._callback_list(callbacks, iterator, verbose)
        self._to_eval()
        self.make_predict_function()
        self.stop_predicting = False
        if self._replicas is not None:
            self._replicas.forget_drawn()
        callbacks.on_predict_begin()
        parts: list[Any] = []
        predict_function, outputs = self.predict_function, None
        in_spells = _may_take_spells(predict_function, callbacks, "predict")
        # In a spell outputs stay apart, and nobody asks for them.
        outputs_of = predict_function.outputs_of if in_spells else None
        for first, last, batches in grouped(iterator, in_spells):
            callbacks.on_predict_batch_begin(first)
            if outputs_of is None:
                outputs = predict_function(batches)
                parts.append(outputs)
            else:
                parts += outputs_of(batches)
            callbacks.on_predict_batch_end(last, {"outputs": outputs})
            if self.stop_predicting:
                break
        callbacks.on_predict_end()
        if not parts:
            raise ValueError("`predict` was given no data: there was not a single batch.")
        return map_structure(joined_on_host, *parts)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Make one update on a batch.

        Args:
            x: Inputs `(batch, …)`.
            y: Targets.
            sample_weight: Factor of the loss by sample.
            class_weight: Factor of the loss by class number.
            return_dict: Whether the result is a dict by name.

        Returns:
            The loss, or a list of the loss and the metrics, or a dict.
        """
        self._assert_compile_called("train_on_batch")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    "Arguments `sample_weight` and `class_weight` cannot be specified at the same"
                    f" time. Received: sample_weight={sample_weight}, class_weight={class_weight}"
                )
            sample_weight = class_weight_to_sample_weights(y, class_weight)
        data = self._single_batch(x, y, sample_weight)
        self.make_train_function()
        self.reset_metrics()
        was_training = self.training
        switch_mode(self, True)
        try:
            logs = as_numbers(self._on_one_batch(self.train_function, data))
        finally:
            switch_mode(self, was_training)
        return logs if return_dict else self._listed_logs(logs)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Evaluate the model on a batch. Arguments and result as in `train_on_batch`."""
        self._assert_compile_called("test_on_batch")
        data = self._single_batch(x, y, sample_weight)
        self.make_test_function()
        self.reset_metrics()
        was_training = self.training
        self._to_eval()
        try:
            logs = as_numbers(self._on_one_batch(self.test_function, data))
        finally:
            if was_training:
                switch_mode(self, True)
        return logs if return_dict else self._listed_logs(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for a batch as NumPy arrays."""
        was_training = self.training
        try:
            outputs = self._predict_alone(x, sys.maxsize, in_pass=False)
            if outputs is not None:
                return outputs
            data = self._converted_single_batch(x)
            self.make_predict_function()
            self._to_eval()
            if self._replicas is not None:
                data = self._replicas.rows_of(data)
            outputs = self.predict_function([data])
        finally:
            if was_training:
                switch_mode(self, True)
        return map_structure(joined_on_host, outputs)

    def _predict_alone(self, x: Any, batch_size: int | None, in_pass: bool = True) -> Any:
        """Return the outputs for an array that is one batch, without all that many batches need.

        Args:
            x: Any data.
            batch_size: Samples in a batch.
            in_pass: Whether it is a pass over data, which draws from torch's generator and hands on
                arrays as they are; a batch alone is handed on in a tuple.

        Returns:
            `None` for other data, or where it is to be shared among processes.
        """
        if distribution() is not None or max_steps_per_epoch() is not None:
            return None
        data = lone_batch(x, batch_size)
        if data is None:
            return None
        if in_pass:
            draw_loader_seed()
        self._to_eval()
        self.make_predict_function()
        self.stop_predicting = False
        data = to_device(data, self._device_of_weights())
        outputs = self.predict_function([data if in_pass else (data,)])
        if isinstance(outputs, Tensor):
            return joined_on_host(outputs)
        return map_structure(joined_on_host, outputs)

    def _to_eval(self) -> None:
        """As `eval()`, in fewer calls."""
        if type(self).eval is torch.nn.Module.eval:
            switch_mode(self, False)
        else:
            self.eval()

    def _on_one_batch(self, function: Callable[[list[Any]], Any], data: Any) -> Any:
        """Train or test on one batch, and return the results for all of it."""
        replicas = self._replicas
        if replicas is None:
            return function([data])
        replicas.restored()
        logs = function([replicas.rows_of(data)])
        return agreed_logs(logs, self, replicas)

    # Their parts ---------------------------------------------------------------------------------

    def _iterate_over(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int | None,
        steps: int | None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
    ) -> EpochIterator:
        data = (x, y, sample_weight, batch_size, steps, shuffle, class_weight)
        return EpochIterator(*data, self.steps_per_execution, self._device_of_weights())

    def _converted_single_batch(self, x: Any, *others: Any) -> Any:
        """Inputs, and targets and weights where they are given, even as `None`, for one step."""
        data = whole_batch(x, *others, device=self._device_of_weights())
        return data[: 1 + len(others)]

    def _single_batch(self, x: Any, y: Any, sample_weight: Any) -> Any:
        data = self._converted_single_batch(x, y, sample_weight)
        if not self._is_ready_for_steps():
            self._symbolic_build(data)
        self._build_optimizer_slots()
        return data

    def _callback_list(
        self, callbacks: Any, iterator: EpochIterator, verbose: int | str
    ) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        verbose = 1 if verbose == "auto" else verbose
        return CallbackList(
            callbacks,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=1,
            steps=iterator.num_batches,
            model=self,
        )

    def _build_for_steps(self, iterator: EpochIterator) -> None:
        """Make weights, losses, metrics and optimizer slots as the first batch needs them."""
        if not self._is_ready_for_steps():
            data = iterator.data_adapter
            data.on_epoch_begin()  # as in Keras, which begins an epoch to look at it
            self._symbolic_build(data.peek(iterator.device))
        self._build_optimizer_slots()

    def _is_ready_for_steps(self) -> bool:
        """Whether no batch is needed: a look at one draws from the generator that shuffles."""
        bound = (self._compile_loss, self._compile_metrics)
        return (
            self.built
            and all(layer.built for layer in self._flatten_layers())
            and all(part is None or part.built for part in bound)
        )

    def _symbolic_build(self, data_batch: Any) -> None:
        """Build all that depends on the shapes of a batch; the name is Keras's."""
        x, y, sample_weight = unpack_x_y_sample_weight(data_batch)
        ready = self.built and all(layer.built for layer in self._flatten_layers())
        if not ready or y is not None:
            y_pred = self._infer_step_outputs(x, ready)
            if y_pred is not None and y is not None:
                self._bind_outputs(x, y, y_pred)
        if self.built and self._waits_for_overrides():
            y_pred = self._infer_step_outputs(x, True, spec_of)
            if y_pred is not None:
                self._bind_by_overrides(x, y, y_pred, sample_weight)
        self._build_optimizer_slots()

    def _build_optimizer_slots(self) -> None:
        optimizer = getattr(self, "optimizer", None)  # that of a compiled model
        if optimizer is not None and not optimizer.built and self.built:
            self._meet_replicas()  # who may cut the weights, and build it for the parts
            if not optimizer.built:
                optimizer.build(self.trainable_variables)

    def _infer_step_outputs(
        self, x: Any, ready: bool, to_spec: Callable[[Any], Any] = open_spec_of
    ) -> Any:
        """Run the model on the shapes of a batch, or, where that fails, on the batch."""
        replicas = self._meet_replicas() if ready else None
        if replicas is not None and replicas.is_cut:
            return None  # only a call on data brings the weights together
        specs = map_structure(to_spec, x)
        try:
            if not self.built:
                outputs = self(specs, training=False)
                if all(layer.built for layer in self._flatten_layers()):
                    return outputs
            # On tensors, since symbolic calls do not enter layers that tell the shape of their
            # output: what is inside would be built by the first step, unknown to the optimizer.
            return infer_spec(self.__call__, (specs,), {"training": False})
        except Exception:
            if ready or self._overrides_any("train_step", "test_step"):
                # The first step will bind them, or say what is wrong; one of a user's may run
                # anything but `call(x)`.
                return None
            with torch.no_grad():
                return self(x, training=False)

    def _metrics_or(self, logs: Any) -> Mapping[str, Any]:
        """Return the values of all metrics, or `logs` where a custom step logs other things."""
        values = self.get_metrics_result()
        same = isinstance(logs, StepLogs)  # which would compute them once more
        if same or (isinstance(logs, Mapping) and set(logs) == set(values)):
            return values
        return logs or {}

    def _listed_logs(self, logs: dict[str, Any]) -> Any:
        """Return logs as a list in the order of the metrics; one value stands alone."""
        names: list[str] = []
        for metric in self.metrics:
            if isinstance(metric, CompileMetrics):
                # Keras looks for the bare names, without the output's: others come last.
                names += [inner.name for inner in metric.metrics]
            else:
                names.append(metric.name)
        values = [logs[name] for name in names if name in logs]
        values += [logs[name] for name in sorted(logs) if name not in names]
        return values[0] if len(values) == 1 else values


def _may_take_spells(function: Callable[..., Any], callbacks: CallbackList, kind: str) -> bool:
    """Whether nothing is to happen between two batches of a loop: no callback, no user's step."""
    return getattr(function, "takes_spells", False) and not callbacks.follows_batches(kind)
