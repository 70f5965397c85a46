"""Build the same layer in Keras (torch backend) and in torchkeras, and compare them.

`compare_layer` does it all for one layer and one set of arguments; the functions under it are the
single comparisons. The oracle is the PyPI package `keras`; nothing here ships with torchkeras.

    from oracle import compare_layer, assert_same_error

    compare_layer("Dense", {"units": 3}, (2, 4), training=True)
    assert_same_error(lambda k: k.layers.Dense(-1))

Shapes given as `(2, 4)` include the batch. Several inputs: a list of shapes.
"""

from __future__ import annotations

import os
import re

os.environ.setdefault("KERAS_BACKEND", "torch")

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import torch

import torchkeras
import torchkeras.layers
from torchkeras import registry
from torchkeras.dtypes import standardize_dtype
from torchkeras.random import set_seed

# Rounding bounds per compute dtype: both sides run the same arithmetic on torch, but in another
# order (fused kernels), so a few units in the last place of the widest intermediate differ.
TOLERANCE = {
    "float64": {"rtol": 1e-9, "atol": 1e-10},
    "float32": {"rtol": 2e-5, "atol": 2e-6},
    "float16": {"rtol": 4e-3, "atol": 2e-3},
    "bfloat16": {"rtol": 3e-2, "atol": 2e-2},
}


def seed_both(seed: int = 0) -> None:
    """Seed both libraries alike, so that the same draws follow in both."""
    keras.utils.set_random_seed(seed)
    set_seed(seed)


def to_numpy(x: Any) -> np.ndarray:
    """Any tensor, variable or array as a numpy array (bfloat16 becomes float32)."""
    if hasattr(x, "value") and not isinstance(x, torch.Tensor):
        x = x.value
    if isinstance(x, torch.Tensor):
        x = x.detach()
        if x.dtype == torch.bfloat16:
            x = x.float()
        return x.cpu().numpy()
    return np.asarray(x)


def as_list(x: Any) -> list:
    """Tensors of a nested structure, depth first; dicts by sorted key."""
    if isinstance(x, dict):
        return [leaf for key in sorted(x) for leaf in as_list(x[key])]
    if isinstance(x, (list, tuple)):
        return [leaf for item in x for leaf in as_list(item)]
    return [x]


def assert_close(ours: Any, theirs: Any, what: str = "output", **tolerance: float) -> None:
    """Same structure, shapes, dtypes, and values up to rounding."""
    ours, theirs = as_list(ours), as_list(theirs)
    assert len(ours) == len(theirs), f"{what}: {len(ours)} leaves, expected {len(theirs)}"
    for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        label = f"{what}[{index}]"
        if a is None or b is None:
            assert a is None and b is None, f"{label}: {a} against {b}"
            continue
        assert tuple(a.shape) == tuple(b.shape), f"{label}: {tuple(a.shape)} != {tuple(b.shape)}"
        dtype = standardize_dtype(b.dtype)
        assert standardize_dtype(a.dtype) == dtype, f"{label}: {a.dtype} != {b.dtype}"
        bounds = {**TOLERANCE.get(dtype, {"rtol": 0, "atol": 0}), **tolerance}
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), err_msg=label, **bounds)


def make_pair(
    name: str | Callable, kwargs: dict | Callable | None = None, seed: int = 0
) -> tuple[Any, Any]:
    """The layer `name` of `keras.layers` in both libraries, made after the same seeding.

    Args:
        name: A class name of `keras.layers`, or a function of the library (`keras` or
            `torchkeras`) that makes the layer.
        kwargs: Constructor arguments; a function of the library if they hold objects of it.
    """
    made = []
    for library in (torchkeras, keras):
        seed_both(seed)
        if callable(name):
            made.append(name(library))
            continue
        arguments = dict(kwargs(library) if callable(kwargs) else kwargs or {})
        if "name" not in arguments:
            arguments["name"] = "layer"
        made.append(getattr(library.layers, name)(**arguments))
    return made[0], made[1]


def copy_weights(source: Any, target: Any) -> None:
    """Give the layer `target` (either library) the weight values of `source`."""
    assert len(source.weights) == len(target.weights)
    for a, b in zip(source.weights, target.weights, strict=True):
        b.assign(to_numpy(a))


def describe(variables: Sequence) -> list[tuple]:
    """What must agree between the libraries for each variable, in order."""
    # Seed generators are numbered over the whole process, in which the two made different numbers.
    return [
        (
            re.sub(r"(^|/)seed_generator_\d+/", r"\1seed_generator/", v.path),
            v.name,
            tuple(v.shape),
            standardize_dtype(v.dtype),
            bool(v.trainable),
        )
        for v in variables
    ]


def assert_same_variables(ours: Any, theirs: Any, values: bool = True) -> None:
    """Weights agree in order, path, name, shape, dtype, trainability, and (bit for bit) value."""
    for group in (
        "weights",
        "trainable_weights",
        "non_trainable_weights",
        "variables",
        "trainable_variables",
        "non_trainable_variables",
    ):
        assert describe(getattr(ours, group)) == describe(getattr(theirs, group)), group
    if values:
        for a, b in zip(ours.variables, theirs.variables, strict=True):
            np.testing.assert_array_equal(to_numpy(a), to_numpy(b), err_msg=f"initial {b.path}")


def rounded(config: Any) -> Any:
    """A config with its floats rounded to float32: Keras keeps some of them in that precision."""
    if isinstance(config, float):
        return float(np.float32(config))
    if isinstance(config, dict):
        return {key: rounded(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(rounded(value) for value in config)
    return config


def assert_same_config(ours: Any, theirs: Any) -> None:
    """`get_config` agrees as a whole, and each side rebuilds the layer from the other's."""
    expected = rounded(theirs.get_config())
    assert rounded(ours.get_config()) == expected
    assert rounded(type(ours).from_config(theirs.get_config()).get_config()) == expected
    assert rounded(type(theirs).from_config(ours.get_config()).get_config()) == expected
    full = keras.saving.serialize_keras_object(theirs)
    assert rounded(registry.serialize_keras_object(ours)) == rounded(full)
    again = registry.deserialize_keras_object(full)
    assert type(again) is type(ours)
    assert rounded(again.get_config()) == expected


def assert_same_output_shape(ours: Any, theirs: Any, *shapes: Any) -> None:
    """`compute_output_shape` agrees, whether it gives a shape or raises."""
    for shape in shapes:
        results = []
        for layer in (ours, theirs):
            try:
                results.append(_plain_shape(layer.compute_output_shape(shape)))
            except Exception as error:  # the type is what is compared
                results.append(type(error))
        assert results[0] == results[1], f"compute_output_shape({shape})"


def _plain_shape(shape: Any) -> Any:
    if shape and isinstance(shape[0], (list, tuple)):
        return [tuple(s) for s in shape]
    return tuple(shape)


def assert_same_error(action: Callable[[Any], Any], match: str | None = None) -> None:
    """`action(keras)` and `action(torchkeras)` both raise, ours a type a Keras user catches.

    Args:
        action: Function of the library module.
        match: Text that our message must contain.
    """
    with pytest.raises(Exception) as theirs:
        action(keras)
    with pytest.raises(theirs.type) as ours:
        action(torchkeras)
    if match is not None:
        assert match in str(ours.value), str(ours.value)


def random_input(
    shape: Sequence[int],
    dtype: str = "float32",
    low: float = -2.0,
    high: float = 2.0,
    seed: int = 1,
) -> np.ndarray:
    """Reproducible data: uniform floats, or integers in `[low, high)`, or bools."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if "int" in dtype:
        return rng.integers(
            int(max(low, 0)) if "u" in dtype else int(low), int(high), shape
        ).astype(dtype)
    values = rng.uniform(low, high, shape)
    return values.astype("float32" if dtype == "bfloat16" else dtype)


def _arguments(inputs: Any, dtypes: list[str] | None = None) -> Any:
    """Fresh leaf tensors that require gradients, in the structure of `inputs`."""

    def leaf(x: np.ndarray) -> torch.Tensor:
        tensor = torch.tensor(x)
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor

    if isinstance(inputs, dict):
        return {key: _arguments(value) for key, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return [_arguments(value) for value in inputs]
    return leaf(np.asarray(inputs))


def run(layer: Any, inputs: Any, gradients: bool = True, **call_kwargs: Any) -> SimpleNamespace:
    """Call a layer of either library; its outputs, and gradients of a fixed random projection.

    Returns:
        `outputs` (structure), `masks` (per output tensor or None), `input_grads`, `weight_grads`.
    """
    x = _arguments(inputs)
    outputs = layer(x, **call_kwargs)
    flat = [t for t in as_list(outputs) if isinstance(t, torch.Tensor)]
    masks = [getattr(t, "_keras_mask", None) for t in flat]
    result = SimpleNamespace(outputs=outputs, masks=masks, input_grads=[], weight_grads=[])
    floats = [t for t in flat if t.is_floating_point() and t.requires_grad]
    if not gradients or not floats:
        return result
    generator = np.random.default_rng(7)
    loss = sum(
        (t.double() * torch.tensor(generator.uniform(-1, 1, tuple(t.shape)))).sum() for t in floats
    )
    leaves = [t for t in as_list(x) if t.requires_grad]
    weights = [w if isinstance(w, torch.Tensor) else w.value for w in layer.trainable_weights]
    weights = [w for w in weights if w.requires_grad]
    grads = torch.autograd.grad(loss, leaves + weights, allow_unused=True)
    result.input_grads = list(grads[: len(leaves)])
    result.weight_grads = list(grads[len(leaves) :])
    return result


def compare_layer(
    name: str | Callable,
    kwargs: dict | Callable | None = None,
    shape: Any = None,
    *,
    inputs: Any = None,
    input_dtype: str = "float32",
    training: bool | None = None,
    mask: Any = None,
    call_kwargs: dict | None = None,
    gradients: bool = True,
    config: bool = True,
    output_shapes: Sequence = (),
    symbolic: bool = True,
    meta: bool = True,
    calls: int = 1,
    seed: int = 0,
    prepare: Callable[[Any], None] | None = None,
    **tolerance: float,
) -> tuple[Any, Any]:
    """Everything two equal layers must agree on; returns them as `(ours, theirs)`.

    Args:
        name, kwargs, seed: See `make_pair`.
        shape: Shape of the input, batch included; or a list of shapes for a list of inputs.
        inputs: Array, list or dict of arrays used instead of random data of `shape`.
        input_dtype: Dtype of the random data.
        training: Passed to the call unless None.
        mask: Array (or list) passed to the call as `mask=`, converted to tensors.
        call_kwargs: More arguments of the call.
        gradients: Compare gradients with respect to inputs and trainable weights.
        config: Compare configs; False where they hold objects of one library.
        output_shapes: Shapes (with None) to pass to `compute_output_shape` of both.
        symbolic: Compare shape and dtype of the result of a symbolic call (batch unknown).
        meta: Also run ours on the `meta` device, forward and backward, in training mode.
        calls: Number of calls, state and outputs compared after each.
        prepare: Called with each of the two layers after the build, before the first call.
        tolerance: `rtol`/`atol` in place of the defaults of the output's dtype.
    """
    ours, theirs = make_pair(name, kwargs, seed)
    if inputs is None:
        shapes = shape if isinstance(shape, list) else [shape]
        data = [random_input(s, input_dtype, seed=i + 1) for i, s in enumerate(shapes)]
        inputs = data if isinstance(shape, list) else data[0]
    arguments = dict(call_kwargs or {})
    if training is not None:
        arguments["training"] = training
    if mask is not None:
        arguments["mask"] = (
            [None if m is None else torch.tensor(m) for m in mask]
            if isinstance(mask, (list, tuple))
            else torch.tensor(mask)
        )
    if config:
        assert ours.built == theirs.built, "built by the constructor"
        assert_same_config(ours, theirs)
    if not ours.built or not theirs.built:
        build_shape = _shapes(inputs)
        seed_both(seed + 1)
        ours.build(build_shape)
        seed_both(seed + 1)
        theirs.build(build_shape)
    assert_same_variables(ours, theirs)
    if prepare is not None:
        prepare(ours)
        prepare(theirs)
    if theirs.compute_dtype in ("float16", "bfloat16"):  # also of gradients in float32
        tolerance = {**TOLERANCE[theirs.compute_dtype], **tolerance}
    for _ in range(calls):
        seed_both(seed + 2)
        a = run(ours, inputs, gradients, **arguments)
        seed_both(seed + 2)
        b = run(theirs, inputs, gradients, **arguments)
        assert_close(a.outputs, b.outputs, "output", **tolerance)
        assert_close(a.masks, b.masks, "mask")
        assert_close(a.input_grads, b.input_grads, "input gradient", **tolerance)
        assert_close(a.weight_grads, b.weight_grads, "weight gradient", **tolerance)
        for v, w in zip(ours.variables, theirs.variables, strict=True):
            assert_close(v, w, f"variable {w.path} after the call", **tolerance)
    if config:
        assert ours.built == theirs.built
        full = rounded(keras.saving.serialize_keras_object(theirs))
        assert rounded(registry.serialize_keras_object(ours)) == full, "config of the built layer"
    assert_same_output_shape(ours, theirs, *output_shapes)
    if symbolic:
        assert_same_symbolic(name, kwargs, inputs)
    if meta:
        run_on_meta(name, kwargs, inputs, **arguments)
    return ours, theirs


def _shapes(inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return {key: _shapes(value) for key, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return [_shapes(value) for value in inputs]
    return tuple(np.shape(inputs))


def assert_same_symbolic(
    name: str | Callable, kwargs: dict | Callable | None, inputs: Any, **call_kwargs: Any
) -> None:
    """A call on `Input`s (batch size unknown) gives the same shapes and dtypes in both."""
    ours, theirs = make_pair(name, kwargs)

    def symbols(library: Any, x: Any) -> Any:
        if isinstance(x, dict):
            return {key: symbols(library, value) for key, value in x.items()}
        if isinstance(x, (list, tuple)):
            return [symbols(library, value) for value in x]
        x = np.asarray(x)
        return library.Input(shape=x.shape[1:], dtype=str(x.dtype))

    specs = []
    for layer, library in ((ours, torchkeras), (theirs, keras)):
        outputs = layer(symbols(library, inputs), **call_kwargs)
        specs.append([(tuple(t.shape), standardize_dtype(t.dtype)) for t in as_list(outputs)])
    assert specs[0] == specs[1], "symbolic call"


def run_on_meta(
    name: str | Callable, kwargs: dict | Callable | None, inputs: Any, **call_kwargs: Any
) -> Any:
    """Build and run our layer on the `meta` device, forward and backward; returns the layer.

    A hidden host synchronization raises there, and so does a stray CPU tensor of one or more
    dimensions.
    """

    def to_meta(x: Any) -> Any:
        if isinstance(x, dict):
            return {key: to_meta(value) for key, value in x.items()}
        if isinstance(x, (list, tuple)):
            return [to_meta(value) for value in x]
        if x is None or not hasattr(x, "shape"):
            return x
        tensor = torch.as_tensor(x).to("meta")
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor

    with torch.device("meta"):
        layer = make_pair(name, kwargs)[0] if callable(name) else None
        if layer is None:
            arguments = dict(kwargs(torchkeras) if callable(kwargs) else kwargs or {})
            layer = getattr(torchkeras.layers, name)(**arguments)
        call = {key: to_meta(value) for key, value in call_kwargs.items()}
        if "training" not in call and _takes_training(layer):
            call["training"] = True
        outputs = layer(to_meta(inputs), **call)
        for tensor in as_list(outputs):
            assert tensor.device.type == "meta"
        floats = [t for t in as_list(outputs) if t.is_floating_point() and t.requires_grad]
        if floats:
            sum(t.sum() for t in floats).backward()
    return layer


def _takes_training(layer: Any) -> bool:
    code = getattr(layer.call, "__code__", None)
    return code is not None and "training" in code.co_varnames[: code.co_argcount]
