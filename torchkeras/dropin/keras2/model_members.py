"""What models of Keras 2 had: generators, classes and probabilities, arguments of loops, files."""

from __future__ import annotations

import functools
import inspect
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...layers.state import HiddenByAttribute
from ...metrics import Metric
from ...models import Model
from ...naming import explain
from ...saving.api import may_write
from ...saving.legacy_h5 import save_h5_weights
from .members import without, wraps

__all__ = ["MODEL", "MODEL_OF_KERAS_2"]


_LOOP = ("max_queue_size", "pickle_safe", "use_multiprocessing", "workers")


@wraps
def _compile(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `sample_weight_mode`; `pss_evaluation_shards` does nothing; no `target_tensors`."""
    simple = without(
        "experimental_run_tf_function", "from_serialized", "pss_evaluation_shards",
        distribute=(None,), target_tensors=(None,), sample_weight_mode=(None, "temporal"),
    )(former)  # fmt: skip

    @functools.wraps(former)
    def compile(self: Model, *args: Any, **kwargs: Any) -> Any:
        self.__dict__["sample_weight_mode"] = kwargs.get("sample_weight_mode")
        return simple(self, *args, **kwargs)

    return compile


@wraps
def _compile_for_all_outputs(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `metrics` before `loss_weights`; a flat list of `metrics` is for each output."""
    order = ("optimizer", "loss", "metrics", "loss_weights", "weighted_metrics", "run_eagerly")

    @functools.wraps(former)
    def compile(self: Model, *args: Any, **kwargs: Any) -> Any:
        kwargs = {**dict(zip(order, args, strict=False)), **kwargs}
        count = len(getattr(self, "output_names", None) or ())
        for key in ("metrics", "weighted_metrics"):
            given = kwargs.get(key)
            flat = isinstance(given, (list, tuple)) and not any(
                isinstance(item, (list, tuple, dict)) for item in given
            )
            if count > 1 and flat and given:
                kwargs[key] = [[_fresh(item) for item in given] for _ in range(count)]
        return former(self, **kwargs)

    return compile


def _fresh(metric: Any) -> Any:
    return type(metric).from_config(metric.get_config()) if isinstance(metric, Metric) else metric


def _fit_generator(
    self: Model,
    generator: Any,
    steps_per_epoch: int | None = None,
    epochs: int = 1,
    verbose: Any = 1,
    callbacks: Any = None,
    validation_data: Any = None,
    validation_steps: int | None = None,
    validation_freq: Any = 1,
    class_weight: Any = None,
    max_queue_size: int = 10,
    workers: int = 1,
    use_multiprocessing: bool = False,
    shuffle: bool = True,
    initial_epoch: int = 0,
) -> Any:
    """Do what `fit` does; it takes generators too."""
    return self.fit(
        generator, epochs=epochs, verbose=verbose, callbacks=callbacks,
        shuffle=shuffle and hasattr(generator, "__getitem__"),
        validation_data=validation_data, validation_steps=validation_steps,
        validation_freq=validation_freq, class_weight=class_weight, initial_epoch=initial_epoch,
        steps_per_epoch=steps_per_epoch,
    )  # fmt: skip


def _of_generator(loop: str) -> Callable[..., Any]:
    """Return what was a loop's own method for generators."""

    def run(
        self: Model,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: Any = 0,
    ) -> Any:
        return getattr(self, loop)(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    run.__doc__ = f"Do what `{loop}` does; it takes generators too."
    return run


@wraps
def _predict(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `max_queue_size`, `workers`, `use_multiprocessing`, and generators of bare inputs."""
    simple = without(*_LOOP)(former)

    @functools.wraps(former)
    def predict(self: Model, x: Any, *args: Any, **kwargs: Any) -> Any:
        if inspect.isgenerator(x):
            x = (item if isinstance(item, tuple) else (item,) for item in x)
        return simple(self, x, *args, **kwargs)

    return predict


def _predict_proba(self: Model, x: Any, batch_size: int = 32, verbose: Any = 0) -> np.ndarray:
    """Do what `predict` does; warn where the outputs are no probabilities."""
    found = self.predict(x, batch_size=batch_size, verbose=verbose)
    if np.min(found) < 0 or np.max(found) > 1:
        warnings.warn(
            f"predict_proba of '{self.name}': outputs are no probabilities; its last layer may lack"
            " a sigmoid or softmax.",
            stacklevel=2,
        )
    return found


def _predict_classes(self: Model, x: Any, batch_size: int = 32, verbose: Any = 0) -> np.ndarray:
    """Return the classes of the largest outputs, or whether single ones are above 0.5."""
    found = self.predict(x, batch_size=batch_size, verbose=verbose)
    if found.shape[-1] > 1:
        return found.argmax(axis=-1)
    return (found > 0.5).astype("int32")


def _reset_states(self: Model) -> None:
    """Start all stateful layers from nothing."""
    for layer in self._flatten_layers(include_self=False):
        if getattr(layer, "stateful", False):
            (getattr(layer, "reset_state", None) or layer.reset_states)()


def _to_yaml(self: Model, **kwargs: Any) -> str:
    """Not available: YAML can name code.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError("`to_yaml` was removed, since YAML can name code. Fix: use `to_json`.")


@wraps
def _save(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `save_format`, `options`, `save_traces`; refuse SavedModels, and name `.keras`."""

    @functools.wraps(former)
    def save(self: Model, filepath: Any, overwrite: bool = True, *args: Any, **kwargs: Any) -> Any:
        if args:  # where Keras 3 has `zipped`; in tf.keras 2.13 the first of them went
            order = ("include_optimizer", "save_format", "signatures", "options")
            kwargs |= zip(order[isinstance(args[0], str) :], args, strict=False)
        for key in ("options", "save_traces"):
            kwargs.pop(key, None)
        if kwargs.pop("signatures", None) is not None or kwargs.get("save_format") == "tf":
            raise ValueError(
                explain(
                    f"save of '{self.name}': no SavedModel of TensorFlow is written.",
                    filepath=filepath,
                    fix="use a path that ends in `.keras`; for serving, `model.export(path)`.",
                )
            )
        return former(self, filepath, overwrite, **kwargs)

    return save


@wraps
def _save_weights(former: Callable[..., Any]) -> Callable[..., Any]:
    """Write `w.h5` as tf.keras did; take `options`, `save_format` if it is "h5"."""

    @functools.wraps(former)
    def save_weights(self: Model, filepath: Any, overwrite: bool = True, **kwargs: Any) -> Any:
        form = kwargs.pop("save_format", None)
        kwargs.pop("options", None)
        path = str(filepath)
        new = path.endswith((".weights.h5", ".safetensors", ".weights.json")) or kwargs
        if not hasattr(filepath, "write") and not new:
            if form == "h5" or path.endswith((".h5", ".hdf5", ".keras")):
                if may_write(path, overwrite):
                    save_h5_weights(self, path)
                return None
            raise ValueError(
                explain(
                    f"save_weights of '{self.name}': no checkpoint of TensorFlow is written.",
                    filepath=filepath,
                    fix=f"use '{path}.weights.h5'.",
                )
            )
        return former(self, filepath, overwrite, **kwargs)

    return save_weights


@wraps
def _load_weights(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `options`; what was `by_name` or `skip_mismatch` by place has to be named."""

    @functools.wraps(former)
    def load_weights(self: Model, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("options", None)
        if args and args[0]:
            raise ValueError(
                explain(
                    f"load_weights of '{self.name}': what stands second has been `by_name` and"
                    " `skip_mismatch`.",
                    given=args[0],
                    fix="name the argument.",
                )
            )
        if not kwargs.get("by_name"):
            kwargs.pop("by_name", None)
        if isinstance(filepath, (str, os.PathLike)) and not os.path.exists(filepath):
            # What `ModelCheckpoint` has written for a path without extension, as it said.
            written = f"{os.fspath(filepath)}.weights.h5"
            filepath = written if os.path.exists(written) else filepath
        return former(self, filepath, **kwargs)

    return load_weights


def _names_of_metrics(model: Model) -> list[str]:
    """The names of what `evaluate` returns, in its order; none before there are any."""
    if model.train_function is None and model.test_function is None:
        return []
    listed = model._listed_logs({name: name for name in model.get_metrics_result()})
    return [listed] if isinstance(listed, str) else listed


def _in_order(model: Model, names: list[str]) -> list[str]:
    """Sort names as tf.keras does: the loss, those of outputs, metrics output by output, others."""
    outputs = list(getattr(model, "output_names", None) or [])
    losses = [f"{name}_loss" for name in outputs]
    known = ["loss", *(name for name in losses if name in names)]
    by_output = sorted(
        (name for name in names if name not in known),
        key=lambda name: next(
            (i for i, output in enumerate(outputs) if name.startswith(output + "_")), len(outputs)
        ),
    )
    return [name for name in known if name in names] + by_output


@wraps
def _listed_logs(former: Callable[..., Any]) -> Callable[..., Any]:
    """Lists of `evaluate` and `train_on_batch` in tf.keras's order: by output."""

    @functools.wraps(former)
    def listed_logs(self: Model, logs: dict[str, Any]) -> Any:
        values = [logs[name] for name in _in_order(self, list(logs))]
        return values[0] if len(values) == 1 else values

    return listed_logs


def _save_spec(self: Model, dynamic_batch: bool = True) -> Any:
    """Return the symbolic inputs of the model; `None` before it has any."""
    return getattr(self, "inputs", None)


def _weight_paths(self: Model) -> dict[str, Any]:
    """Return the weights by their paths."""
    return {weight.path: weight for weight in self.weights}


MODEL: dict[str, Any] = {
    "compile": _compile,
    "evaluate": without(*_LOOP, positional=7),
    "evaluate_generator": _of_generator("evaluate"),
    "fit": without(*_LOOP),
    "fit_generator": _fit_generator,
    "get_weight_paths": _weight_paths,
    "load_weights": _load_weights,
    "metrics_names": property(_names_of_metrics),
    "predict": _predict,
    "predict_classes": _predict_classes,
    "predict_generator": _of_generator("predict"),
    "predict_proba": _predict_proba,
    "reset_states": _reset_states,
    "save": _save,
    "save_spec": _save_spec,
    "save_weights": _save_weights,
    "state_updates": HiddenByAttribute(lambda model: []),
    "test_on_batch": without(positional=3, reset_metrics=(True,)),
    "to_yaml": _to_yaml,
    "train_on_batch": without(positional=4, reset_metrics=(True,)),
    "_make_predict_function": lambda model: model.make_predict_function(),
    "_make_test_function": lambda model: model.make_test_function(),
    "_make_train_function": lambda model: model.make_train_function(),
}


MODEL_OF_KERAS_2: dict[str, Any] = {
    "_listed_logs": _listed_logs,
    "compile": _compile_for_all_outputs,
}
