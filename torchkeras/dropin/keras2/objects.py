"""What layers, models, optimizers and metrics of Keras 2 had, set on our classes.

It is set when the first module of a legacy root is imported, and taken away by
`dropin.uninstall`; a program that imports `keras` alone has none of it. Objects are the same under
all names, so a program that imports both has it on all of them. `OBJECTS` is the whole of it.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ...callbacks import CallbackList
from ...graph.context import CONTEXT
from ...graph.keras_tensor import KerasTensor
from ...layers import Layer, Normalization
from ...layers.state import HiddenByAttribute
from ...losses import Reduction
from ...metrics import Metric
from ...models import Model
from ...naming import explain
from ...optimizers import Optimizer
from ...preprocessing.iterators import Iterator
from ...saving.api import may_write
from ...saving.legacy_config import modernize_arguments
from ...saving.legacy_h5 import save_h5_weights
from ...saving.legacy_training import slots_by_kind
from ...tree import flatten
from .optimizers import base_rate

__all__ = [
    "OBJECTS",
    "REFUSED_MEMBERS",
    "WHERE_KERAS_2",
    "HiddenByAttribute",
    "install_objects",
    "remove_objects",
]


def _wraps(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Mark a function that takes what there was and returns what takes its place."""
    make.wraps_former = True
    return make


# Layers ------------------------------------------------------------------------------------------


def _shape(tensors: Any) -> Any:
    if isinstance(tensors, KerasTensor):
        return tensors.shape
    shapes = [tensor.shape for tensor in flatten(tensors)]
    return shapes[0] if len(shapes) == 1 else shapes


def _at(attribute: str, convert: Callable[[Any], Any], word: str) -> Callable[..., Any]:
    def get(self: Any, node_index: int) -> Any:
        return convert(self._get_node_attribute_at_index(node_index, attribute, word))

    get.__doc__ = f"Return the {word} of one of the layer's calls on symbolic tensors."
    return get


def _same(value: Any) -> Any:
    return value


def _mask(tensors: Any) -> Any:
    masks = [getattr(tensor, "_keras_mask", None) for tensor in flatten(tensors)]
    return masks[0] if len(masks) == 1 else masks


def _input_shape(layer: Layer) -> Any:
    """The shape of the layer's inputs, with the batch."""
    if layer._inbound_nodes:
        return _shape(layer.input)
    if isinstance(layer, Model) and getattr(layer, "inputs", None):
        return _shape(layer.inputs)
    raise AttributeError("The layer has never been called and thus has no defined input shape.")


def _output_shape(layer: Layer) -> Any:
    """The shape of the layer's outputs, with the batch."""
    if layer._inbound_nodes:
        return _shape(layer.output)
    if isinstance(layer, Model) and getattr(layer, "outputs", None):
        return _shape(layer.outputs)
    raise AttributeError("The layer has never been called and thus has no defined output shape.")


@_wraps
def _add_weight(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take the name first; `use_resource`, `synchronization` and their like do nothing."""
    order = ("name", "shape", "dtype", "initializer", "regularizer", "trainable", "constraint")

    @functools.wraps(former)
    def add_weight(self: Layer, *args: Any, **kwargs: Any) -> Any:
        for key in ("use_resource", "synchronization", "experimental_autocast", "caching_device"):
            kwargs.pop(key, None)
        if args and (isinstance(args[0], str) or (args[0] is None and "shape" in kwargs)):
            kwargs, args = {**dict(zip(order, args, strict=False)), **kwargs}, ()
        for key in ("partitioner", "getter", "collections"):
            if kwargs.pop(key, None) is not None:
                raise ValueError(f"add_weight of layer '{self.name}': `{key}` no longer exists.")
        if kwargs.get("aggregation") is not None and not isinstance(kwargs["aggregation"], str):
            kwargs.pop("aggregation")
        if "shape" in kwargs and kwargs["shape"] is not None:
            sizes = kwargs["shape"]
            kwargs["shape"] = sizes if isinstance(sizes, int) else tuple(int(n) for n in sizes)
        return former(self, *args, **kwargs)

    return add_weight


@_wraps
def _add_loss(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `inputs`, and functions within `call`; a symbolic tensor is refused."""

    @functools.wraps(former)
    def add_loss(self: Layer, losses: Any, inputs: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            raise TypeError(f"add_loss() got unexpected keyword arguments: {list(kwargs)}")
        items = list(losses) if isinstance(losses, (list, tuple)) else [losses]
        for i, item in enumerate(items):
            if callable(item) and not torch.is_tensor(item):
                if not CONTEXT.entered:
                    raise ValueError(
                        explain(
                            f"add_loss of '{self.name}': a function would be computed only once.",
                            fix="call `self.add_loss` in the layer's `call`, or give the weight a"
                            " regularizer.",
                        )
                    )
                items[i] = item()
        if any(isinstance(item, KerasTensor) for item in items):
            raise ValueError(
                explain(
                    f"add_loss of '{self.name}': a symbolic tensor cannot be added to a model.",
                    fix="compute it in the `call` of a layer of yours, and call `self.add_loss`"
                    " there.",
                )
            )
        return former(self, items)

    return add_loss


def _compute_output_signature(self: Layer, input_signature: Any) -> Any:
    """Return the symbolic outputs for symbolic inputs."""
    return self.compute_output_spec(input_signature)


def _add_update(self: Layer, updates: Any) -> None:
    """Nothing: an update has happened when it is handed over."""


def _finalize_state(self: Layer) -> None:
    """Nothing: state is complete after `adapt`."""


@_wraps
def _unknown_arguments(former: Callable[..., Any]) -> Callable[..., Any]:
    """Let constructors of layers take what had no effect, and initial weights."""

    @functools.wraps(former)
    def read(self: Layer, kwargs: dict[str, Any]) -> None:
        former(self, kwargs)
        kwargs.pop("dynamic", None)
        kwargs.pop("input_dtype", None)
        weights = kwargs.pop("weights", None)
        if weights is not None:
            self.__dict__["_early_weights"] = weights
        old = modernize_arguments(type(self), kwargs, keras_2=False) if kwargs else {}
        for key in [key for key in kwargs if key not in old]:
            del kwargs[key]

    return read


@_wraps
def _set_weights(former: Callable[..., Any]) -> Callable[..., Any]:
    """Build a layer whose `input_shape` is known; keep what comes before, for `build`."""

    @functools.wraps(former)
    def set_weights(self: Layer, weights: Any) -> None:
        _build_by_argument(self)
        if not self.built and not self.weights and weights and not isinstance(self, Model):
            self.__dict__["_early_weights"] = weights
            return
        former(self, weights)

    return set_weights


@_wraps
def _get_weights(former: Callable[..., Any]) -> Callable[..., Any]:
    """Build a layer whose `input_shape` is known."""

    @functools.wraps(former)
    def get_weights(self: Layer) -> Any:
        _build_by_argument(self)
        return former(self)

    return get_weights


def _build_by_argument(layer: Layer) -> None:
    """Build a layer that was told its `input_shape` and has not been called."""
    shape = getattr(layer, "_input_shape_arg", None)
    if not layer.built and shape is not None and not isinstance(layer, Model):
        layer.build((getattr(layer, "_input_batch_size", None), *shape))
        _take_early_weights(layer)


def _take_early_weights(layer: Layer) -> None:
    weights = layer.__dict__.pop("_early_weights", None)
    if weights is not None:
        layer.set_weights(weights)


@_wraps
def _build_from(former: Callable[..., Any]) -> Callable[..., Any]:
    """Give a layer the weights that it was told before it was built."""

    @functools.wraps(former)
    def build_from(self: Layer, spec: Any) -> None:
        former(self, spec)
        if "_early_weights" in self.__dict__ and self.built:
            _take_early_weights(self)

    return build_from


_LAYER: dict[str, Any] = {
    "add_loss": _add_loss,
    "add_update": _add_update,
    "add_weight": _add_weight,
    "compute_output_signature": _compute_output_signature,
    "dynamic": HiddenByAttribute(lambda layer: False),
    "finalize_state": _finalize_state,
    "get_input_at": _at("input_tensors", _same, "input"),
    "get_input_mask_at": _at("input_tensors", _mask, "input mask"),
    "get_input_shape_at": _at("input_tensors", _shape, "input shape"),
    "get_output_at": _at("output_tensors", _same, "output"),
    "get_output_mask_at": _at("output_tensors", _mask, "output mask"),
    "get_output_shape_at": _at("output_tensors", _shape, "output shape"),
    "get_weights": _get_weights,
    "inbound_nodes": HiddenByAttribute(lambda layer: layer._inbound_nodes),
    "input_mask": HiddenByAttribute(lambda layer: _mask(layer.input)),
    "input_shape": HiddenByAttribute(_input_shape),
    "outbound_nodes": HiddenByAttribute(lambda layer: layer._outbound_nodes),
    "output_mask": HiddenByAttribute(lambda layer: _mask(layer.output)),
    "output_shape": HiddenByAttribute(_output_shape),
    "set_weights": _set_weights,
    "stateful": HiddenByAttribute(lambda layer: False),
    "submodules": HiddenByAttribute(lambda layer: tuple(layer._flatten_layers(include_self=False))),
    "updates": HiddenByAttribute(lambda layer: []),
    "_build_from": _build_from,
    "_read_input_shape": _unknown_arguments,
}


# Models ------------------------------------------------------------------------------------------

_LOOP = ("max_queue_size", "pickle_safe", "use_multiprocessing", "workers")


def _without(
    *ignored: str, positional: int | None = None, **only: tuple[Any, ...]
) -> Callable[..., Any]:
    """Make what lets a method take arguments that do nothing here, or nothing at these values.

    Args:
        ignored: Those that do nothing.
        positional: How many have had the same place ever since; others have to be named.
        only: Others, with the values.
    """

    @_wraps
    def wrap(former: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(former)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            if positional is not None and len(args) > positional:
                raise TypeError(
                    f"{former.__name__} of '{self.name}': arguments after the first {positional}"
                    " have changed places; name them."
                )
            for key in ignored:
                kwargs.pop(key, None)
            for key, fine in only.items():
                value = kwargs.pop(key, fine[0])
                if value not in fine:
                    raise ValueError(
                        explain(
                            f"{former.__name__} of '{self.name}': `{key}` no longer exists.",
                            given=repr(value),
                            expected=" or ".join(map(repr, fine)),
                        )
                    )
            return former(self, *args, **kwargs)

        return method

    parts = [f"`{key}`, which does nothing" for key in ignored]
    parts += [f"`{key}` if it is {' or '.join(map(repr, fine))}" for key, fine in only.items()]
    wrap.means = f"Take {', '.join(parts)}."
    return wrap


@_wraps
def _compile(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `sample_weight_mode`; `pss_evaluation_shards` does nothing; no `target_tensors`."""
    simple = _without(
        "experimental_run_tf_function", "from_serialized", "pss_evaluation_shards",
        distribute=(None,), target_tensors=(None,), sample_weight_mode=(None, "temporal"),
    )(former)  # fmt: skip

    @functools.wraps(former)
    def compile(self: Model, *args: Any, **kwargs: Any) -> Any:
        self.__dict__["sample_weight_mode"] = kwargs.get("sample_weight_mode")
        return simple(self, *args, **kwargs)

    return compile


@_wraps
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


def _evaluate_generator(
    self: Model,
    generator: Any,
    steps: int | None = None,
    callbacks: Any = None,
    max_queue_size: int = 10,
    workers: int = 1,
    use_multiprocessing: bool = False,
    verbose: Any = 0,
) -> Any:
    """Do what `evaluate` does; it takes generators too."""
    return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)


@_wraps
def _predict(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `max_queue_size`, `workers`, `use_multiprocessing`, and generators of bare inputs."""
    simple = _without(*_LOOP)(former)

    @functools.wraps(former)
    def predict(self: Model, x: Any, *args: Any, **kwargs: Any) -> Any:
        if inspect.isgenerator(x):
            x = (item if isinstance(item, tuple) else (item,) for item in x)
        return simple(self, x, *args, **kwargs)

    return predict


def _predict_generator(
    self: Model,
    generator: Any,
    steps: int | None = None,
    callbacks: Any = None,
    max_queue_size: int = 10,
    workers: int = 1,
    use_multiprocessing: bool = False,
    verbose: Any = 0,
) -> Any:
    """Do what `predict` does; it takes generators too."""
    return self.predict(generator, steps=steps, callbacks=callbacks, verbose=verbose)


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


@_wraps
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


@_wraps
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


@_wraps
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


@_wraps
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


_MODEL: dict[str, Any] = {
    "compile": _compile,
    "evaluate": _without(*_LOOP, positional=7),
    "evaluate_generator": _evaluate_generator,
    "fit": _without(*_LOOP),
    "fit_generator": _fit_generator,
    "get_weight_paths": _weight_paths,
    "load_weights": _load_weights,
    "metrics_names": property(_names_of_metrics),
    "predict": _predict,
    "predict_classes": _predict_classes,
    "predict_generator": _predict_generator,
    "predict_proba": _predict_proba,
    "reset_states": _reset_states,
    "save": _save,
    "save_spec": _save_spec,
    "save_weights": _save_weights,
    "state_updates": HiddenByAttribute(lambda model: []),
    "test_on_batch": _without(positional=3, reset_metrics=(True,)),
    "to_yaml": _to_yaml,
    "train_on_batch": _without(positional=4, reset_metrics=(True,)),
    "_make_predict_function": lambda model: model.make_predict_function(),
    "_make_test_function": lambda model: model.make_test_function(),
    "_make_train_function": lambda model: model.make_train_function(),
}


# Optimizers and metrics --------------------------------------------------------------------------


class _CallableList(list[Any]):
    """The variables of an optimizer, which until tf.keras 2.10 a method returned."""

    def __call__(self) -> list[Any]:
        return self


@_wraps
def _variables(former: property) -> property:
    """A list that may be called, as the method that it was."""
    return property(lambda optimizer: _CallableList(former.fget(optimizer)), doc=former.__doc__)


def _get_lr(optimizer: Optimizer) -> Any:
    """The learning rate: a variable, or a schedule; before `decay`."""
    rate = base_rate(optimizer)
    return optimizer.learning_rate if rate is None else rate


def _set_lr(optimizer: Optimizer, value: Any) -> None:
    rate = base_rate(optimizer)
    if rate is None:
        optimizer.learning_rate = value
    else:
        rate.assign(value)


@_wraps
def _learning_rate(former: property) -> property:
    """Before `decay`; may be set then, too."""

    def get(optimizer: Optimizer) -> Any:
        rate = base_rate(optimizer)
        return former.fget(optimizer) if rate is None else rate

    def set_rate(optimizer: Optimizer, value: Any) -> None:
        rate = base_rate(optimizer)
        if rate is None or callable(value):
            former.fset(optimizer, value)
        else:
            rate.assign(value)

    return property(get, set_rate, doc=former.__doc__)


def _get_optimizer_weights(self: Optimizer) -> list[np.ndarray]:
    """Return the step count, then the slots, kind by kind, as `optimizers.legacy` did."""
    return [variable.numpy() for variable in slots_by_kind(self)]


@_wraps
def _set_optimizer_weights(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take what `get_weights` returned: the step count, then slots kind by kind."""

    @functools.wraps(former)
    def set_weights(self: Optimizer, weights: Any) -> None:
        targets = slots_by_kind(self) if self.built else []
        if not targets or len(weights) != len(targets):  # those of `variables`, as in Keras 3
            former(self, weights)
            return
        for variable, value in zip(targets, weights, strict=True):
            if tuple(variable.shape) != np.shape(value):
                raise ValueError(
                    explain(
                        f"set_weights of '{self.name}': '{variable.path}' has another shape.",
                        given=np.shape(value),
                        expected=tuple(variable.shape),
                    )
                )
        for variable, value in zip(targets, weights, strict=True):
            variable.assign(value)

    return set_weights


def _get_gradients(self: Optimizer, loss: Any, params: Any) -> Any:
    """Return the gradients of a loss that has just been computed."""
    return list(torch.autograd.grad(loss, list(params), allow_unused=True))


def _compute_gradients(self: Optimizer, loss: Any, var_list: Any, tape: Any = None) -> Any:
    """Return pairs of a gradient and a variable."""
    loss = loss() if callable(loss) and not torch.is_tensor(loss) else loss
    variables = list(var_list() if callable(var_list) else var_list)
    if tape is not None:
        return list(zip(tape.gradient(loss, variables), variables, strict=True))
    grads = torch.autograd.grad(loss, variables, allow_unused=True)
    return list(zip(grads, variables, strict=True))


def _minimize(
    self: Optimizer,
    loss: Any,
    var_list: Any,
    tape: Any = None,
    grad_loss: Any = None,
    name: str | None = None,
) -> Any:
    """Compute the gradients and make a step."""
    if grad_loss is not None:
        raise ValueError("minimize: `grad_loss` no longer exists. Fix: multiply the loss by it.")
    with torch.enable_grad():
        pairs = _compute_gradients(self, loss, var_list, tape)
    return self.apply_gradients(pairs)


def _slot_names(self: Optimizer) -> list[str]:
    """Return the kinds of slots."""
    return [name.strip("_") for name in self._slot_names if getattr(self, name, None)]


def _get_slot(self: Optimizer, var: Any, slot_name: str) -> Any:
    """Return the slot of a variable.

    Raises:
        ValueError: There is no such kind.
    """
    kinds = {"m": "momentums", "v": "velocities", "rms": "velocities", "momentum": "momentums",
             "accumulator": "accumulators", "mg": "average_gradients"}  # fmt: skip
    name = kinds.get(slot_name, slot_name)
    if name not in _slot_names(self):
        raise ValueError(
            f"Optimizer '{self.name}' has no slots '{slot_name}'; it has {_slot_names(self)}."
        )
    return getattr(self, f"_{name}")[self._get_variable_index(var)]


def _aggregate_gradients(self: Optimizer, grads_and_vars: Any) -> Any:
    """Return what it is given: in a job of several processes, `apply` takes the mean."""
    return list(grads_and_vars)


@_wraps
def _add_from_reference(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take `model_variable`, `variable_name`, `shape` and `initial_value`."""

    @functools.wraps(former)
    def add(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        for old, new in (("model_variable", "reference_variable"), ("variable_name", "name")):
            if old in kwargs:
                kwargs[new] = kwargs.pop(old)
        shape, value = kwargs.pop("shape", None), kwargs.pop("initial_value", None)
        made = former(self, *args, **kwargs)
        if shape is not None and tuple(shape) != tuple(made.shape):
            raise ValueError(
                explain(
                    f"add_variable_from_reference of '{self.name}': another `shape` is for"
                    " `add_variable`.",
                    given=tuple(shape),
                    expected=tuple(made.shape),
                )
            )
        if value is not None:
            made.assign(value)
        return made

    return add


_OPTIMIZER: dict[str, Any] = {
    "add_variable_from_reference": _add_from_reference,
    "aggregate_gradients": _aggregate_gradients,
    "apply_gradients": _without(
        "experimental_aggregate_gradients", "name", "skip_gradients_aggregation"
    ),
    "compute_gradients": _compute_gradients,
    "get_gradients": _get_gradients,
    "get_slot": _get_slot,
    "get_slot_names": _slot_names,
    "get_weights": _get_optimizer_weights,
    "learning_rate": _learning_rate,
    "lr": property(_get_lr, _set_lr),
    "minimize": _minimize,
    "set_weights": _set_optimizer_weights,
    "variables": _variables,
    "weights": property(lambda optimizer: slots_by_kind(optimizer)),
    "_create_all_weights": lambda optimizer, var_list: optimizer.build(list(var_list)),
    "_decayed_lr": lambda optimizer, var_dtype=None: optimizer._get_current_learning_rate(),
}


def _set_metric_weights(self: Metric, weights: Any) -> None:
    """Give the variables other values."""
    for variable, value in zip(self.variables, weights, strict=True):
        variable.assign(value)


@_wraps
def _add_metric_weight(former: Callable[..., Any]) -> Callable[..., Any]:
    """Take the name first; `aggregation`, `synchronization` and `use_resource` do nothing."""

    @functools.wraps(former)
    def add_weight(self: Metric, *args: Any, **kwargs: Any) -> Any:
        for key in ("aggregation", "synchronization", "use_resource"):
            kwargs.pop(key, None)
        if args and isinstance(args[0], str):
            kwargs, args = {**dict(zip(("name", "shape"), args, strict=False)), **kwargs}, ()
        return former(self, *args, **kwargs)

    return add_weight


_METRIC: dict[str, Any] = {
    "add_weight": _add_metric_weight,
    "get_weights": lambda metric: [variable.numpy() for variable in metric.variables],
    "non_trainable_variables": HiddenByAttribute(lambda metric: metric.variables),
    "non_trainable_weights": HiddenByAttribute(lambda metric: metric.variables),
    "reset_states": lambda metric: metric.reset_state(),
    "set_weights": _set_metric_weights,
    "trainable_variables": HiddenByAttribute(lambda metric: []),
    "trainable_weights": HiddenByAttribute(lambda metric: []),
    "updates": HiddenByAttribute(lambda metric: []),
    "weights": HiddenByAttribute(lambda metric: metric.variables),
}

# The whole: class -> name -> what it becomes. What `_wraps` marks gets what was there.
OBJECTS: dict[type, dict[str, Any]] = {
    Layer: _LAYER,
    Model: _MODEL,
    Optimizer: _OPTIMIZER,
    Metric: _METRIC,
    Iterator: {"next": lambda iterator: next(iterator)},
}
# The same where Keras 2 is meant.
WHERE_KERAS_2: dict[type, dict[str, Any]] = {
    Model: {"_listed_logs": _listed_logs, "compile": _compile_for_all_outputs},
}

_NO_LAYER = "a metric is no layer since Keras 3"
# What objects no longer have; the sentence says what to use.
REFUSED_MEMBERS: dict[type, dict[str, str]] = {
    CallbackList: {"make_logs": "logs are made by `fit`"},
    Layer: {
        "constraints": "the wrapped layer has them",
        "convolution_op": "override `call`",
        "implementation": "there is one implementation",
        "normalize_weights": "call the layer in training",
        "vocab_size": "call `vocabulary_size()`",
    },
    Model: {
        "autotune_steps_per_execution": "pass `steps_per_execution` to `compile`",
        "distribute_reduction_method": "losses of processes are averaged",
        "distribute_strategy": "start with `torchrun`: see docs/scaling.md",
    },
    Normalization: {
        "reset_state": "call `adapt`, which starts from nothing",
        "update_state": "call `adapt` on all of the data",
    },
    Optimizer: {
        "add_slot": "make slots in `build`, with `add_variable_from_reference`",
        "add_weight": "use `add_variable`",
        "get_updates": "there are no graphs: call `apply_gradients`",
    },
    Metric: dict.fromkeys(
        "activity_regularizer add_loss add_metric add_update build build_from_config call"
        " compute_dtype compute_mask compute_output_shape compute_output_signature count_params"
        " dtype_policy dynamic finalize_state get_build_config get_input_at get_input_mask_at"
        " get_input_shape_at get_output_at get_output_mask_at get_output_shape_at inbound_nodes"
        " input input_mask input_shape input_spec load_own_variables losses merge_state metrics"
        " outbound_nodes output output_mask output_shape save_own_variables stateful"
        " supports_masking trainable variable_dtype".split(),
        _NO_LAYER,
    ),
    Reduction: dict.fromkeys(("all", "validate"), "the reductions are strings"),
}


def _refusal(cls: type, name: str, fix: str) -> HiddenByAttribute:
    def refuse(instance: Any) -> Any:
        raise AttributeError(
            explain(f"'{type(instance).__name__}' has no '{name}' since Keras 3.", fix=fix + ".")
        )

    return HiddenByAttribute(refuse)


# What the classes had before, by class and name; empty while nothing is set.
_FORMER: dict[tuple[Any, ...], Any] = {}
_MISSING = object()


def install_objects(keras_2: bool = False) -> None:
    """Set `OBJECTS`; where Keras 2 is meant, also what means something else there."""
    tables: list[tuple[type, dict[str, Any]]] = []
    if not _FORMER:
        tables += OBJECTS.items()
        for cls, names in REFUSED_MEMBERS.items():
            absent = {name: fix for name, fix in names.items() if not hasattr(cls, name)}
            tables.append((cls, {name: _refusal(cls, name, absent[name]) for name in absent}))
    if keras_2 and ("Keras 2", Model, "compile") not in _FORMER:
        tables += WHERE_KERAS_2.items()
    for cls, table in tables:
        for name, value in table.items():
            # Where it is defined: elsewhere a class of the library would seem to override it.
            owner = next((base for base in cls.__mro__ if name in base.__dict__), cls)
            former = owner.__dict__.get(name, _MISSING)
            if getattr(value, "wraps_former", False):
                value = value(former)
            elif isinstance(value, HiddenByAttribute):
                value.name = name
            which = ("Keras 2",) if table in WHERE_KERAS_2.values() else ()
            _FORMER[(*which, cls, name)] = (owner, former)
            setattr(owner, name, value)


def remove_objects() -> None:
    """Undo `install_objects`."""
    for (*_, name), (owner, former) in reversed(_FORMER.items()):
        if former is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, former)
    _FORMER.clear()
