"""Whole models in one HDF5 file, `.h5`: the format of Keras 1 to 3 that needs no archive.

The model's configuration is the attribute `model_config`, how it was compiled `training_config`.
`model_weights` has a group for each layer with weights in the order trainable, then others; the
names are in the attributes `layer_names` and `weight_names`, cut into parts where they exceed
HDF5's limit of 64 KB for an attribute. Weights are matched by position, or by layer name with
`by_name`.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..layers.batch_normalization import BatchNormalization
from ..layers.layer import Layer
from ..layers.recurrent_cells import GRUCell, LSTMCell
from ..registry import SafeModeScope
from .atomic import replacing
from .budget import AllocationBudget
from .errors import FileFormatError
from .h5_guard import H5File, StoredValues, load_json, open_h5, read_attributes
from .keras_archive import KERAS_VERSION, build_model, model_config
from .late import late_values
from .legacy_config import modernize, to_legacy
from .legacy_training import compile_as_saved, load_optimizer_state, multi_backend_version
from .legacy_weights import WeightsConverter
from .weights_h5 import to_array

__all__ = ["load_h5", "load_h5_weights", "save_h5", "save_h5_weights", "write_layers"]

_ATTRIBUTE_LIMIT = 64512
_TOP_LEVEL = "top_level_model_weights"
_LAYER_LISTS = ("layer_names", "layer_names0", "nb_layers")


# Saving ------------------------------------------------------------------------------------------


def save_h5(model: Any, file: Any, include_optimizer: bool = True) -> None:
    """Write a whole model as an `.h5` file.

    Args:
        model: The model.
        file: A path, whose folder is made if need be, or a file object opened for reading and
            writing, or an open `h5py.File`.
        include_optimizer: Whether to write how the model was compiled, and the optimizer's state.
    """
    import h5py

    if isinstance(file, h5py.Group):
        _write(model, file, include_optimizer)
    elif hasattr(file, "write"):
        with h5py.File(file, "w") as handle:
            _write(model, handle, include_optimizer)
    else:
        os.makedirs(os.path.dirname(os.path.abspath(os.fspath(file))), exist_ok=True)
        with replacing(file) as stream, h5py.File(stream, "w") as handle:
            _write(model, handle, include_optimizer)


def save_h5_weights(model: Any, path: Any) -> None:
    """Write the weights of a model as tf.keras wrote them to `w.h5`: layer by layer, no more."""
    import h5py

    with replacing(path) as stream, h5py.File(stream, "w") as handle:
        write_layers(handle, model)


def _write(model: Any, handle: Any, include_optimizer: bool) -> None:
    config = model_config(model, include_optimizer)
    training = config.get("compile_config")
    legacy = to_legacy(config)
    # The top-level class, unlike those inside, goes by its own name.
    legacy["class_name"] = type(model).__name__
    handle.attrs["keras_version"] = KERAS_VERSION
    handle.attrs["backend"] = "torch"
    handle.attrs["model_config"] = json.dumps(legacy).encode()
    optimizer = getattr(model, "optimizer", None) if include_optimizer else None
    if optimizer is not None and training:
        handle.attrs["training_config"] = json.dumps(_legacy_training(training)).encode()
    write_layers(handle.create_group("model_weights"), model)
    if optimizer is not None and len(optimizer.variables):
        _write_weights(handle.create_group("optimizer_weights"), optimizer.variables)


def write_layers(group: Any, model: Any) -> None:
    """Write the weights of a model's layers into an open group."""
    layers = model.layers
    _write_names(group, "layer_names", [layer.name for layer in layers])
    group.attrs["backend"] = b"torch"
    group.attrs["keras_version"] = KERAS_VERSION.encode()
    for layer in sorted(layers, key=lambda layer: layer.name):
        _write_weights(group.require_group(layer.name), _weights(layer))
    _write_weights(group.require_group(_TOP_LEVEL), _top_weights(model))


def _write_weights(group: Any, weights: Sequence[Any]) -> None:
    names: dict[str, None] = {}
    for weight in weights:
        name = path = str(getattr(weight, "path", None) or "weight")
        number = 0
        while name in names:
            number += 1
            name = f"{path}_{number}"
        names[name] = None
        array, opaque = to_array(weight)
        if opaque is not None:  # the format has no other dtypes; nothing is lost
            array = weight.detach().cpu().float().numpy()
        group.create_dataset(name, data=array)
    _write_names(group, "weight_names", list(names))


def _write_names(group: Any, attribute: str, names: Sequence[str]) -> None:
    encoded = [name.encode() for name in names]
    too_long = [
        name for name, code in zip(names, encoded, strict=True) if len(code) > _ATTRIBUTE_LIMIT
    ]
    if too_long:
        raise ValueError(
            f"HDF5 attributes hold {_ATTRIBUTE_LIMIT} bytes, and these names are longer:"
            f" {[name[:80] for name in too_long]}.\nFix: use shorter names, or save as `.keras`."
        )
    parts, array = 1, np.asarray(encoded)
    while any(part.nbytes > _ATTRIBUTE_LIMIT for part in np.array_split(array, parts)):
        parts += 1
    if parts == 1:
        group.attrs[attribute] = encoded
        return
    for i, part in enumerate(np.array_split(array, parts)):
        group.attrs[f"{attribute}{i}"] = part


def _weights(layer: Any) -> list[Any]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _top_weights(model: Any) -> list[Any]:
    """Return the weights that the model holds itself, outside of its layers."""
    return [*model._trainable_variables, *model._non_trainable_variables]


def _legacy_training(config: dict[str, Any]) -> dict[str, Any]:
    training = {key: _legacy_object(value) for key, value in config.items() if key != "optimizer"}
    optimizer = config.get("optimizer")
    if isinstance(optimizer, dict):
        name = optimizer.get("registered_name") or optimizer["class_name"]
        training["optimizer_config"] = {"class_name": name, "config": optimizer["config"]}
    else:
        training["optimizer_config"] = optimizer
    return training


def _legacy_object(value: Any) -> Any:
    """Turn losses and metrics into `{"class_name", "config"}`, and functions into their names."""
    if isinstance(value, (list, tuple)):
        return [_legacy_object(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "class_name" not in value or "config" not in value:
        return {key: _legacy_object(item) for key, item in value.items()}
    if value["class_name"] == "function":
        return value["config"]
    name = value.get("registered_name") or value["class_name"]
    return {"class_name": name, "config": value["config"]}


# Loading -----------------------------------------------------------------------------------------


def load_h5(
    file: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Read a whole model from an `.h5` file.

    Args:
        file: A path, a file object opened for reading, or an open `h5py` group.
        custom_objects: Classes and functions by the names the file has for them.
        compile: Whether to compile the model as it was.
        safe_mode: Refuse byte code and configurations out of proportion to the weights.

    Raises:
        FileFormatError: The file is damaged, hostile, or has no model in it.
    """
    with open_h5(file) as opened, late_values() as late:
        text = opened.attribute(opened.handle, "model_config")
        if not isinstance(text, str):
            raise FileFormatError(file, "it holds weights but no model", fix=_no_model_fix(opened))
        version = _version(opened, opened.handle)
        config = modernize(load_json(text, file), file, version, custom_objects)
        model = build_model(file, config, opened.size, custom_objects, False, safe_mode, late)
        group = opened.group("model_weights")
        if group is None:
            raise FileFormatError(
                file, "it has no 'model_weights'", fix="save the model again with `model.save()`."
            )
        with late.watching():
            weights = _load_by_position(opened, group, model, skip_mismatch=False, of_file=True)
        if compile:
            limit = AllocationBudget(file, opened.size, late) if safe_mode else late
            with SafeModeScope(safe_mode), late.collecting(), limit:
                _compile(opened, model, custom_objects, safe_mode)
            with late.watching():
                _load_optimizer(opened, model, weights)
    return model


def load_h5_weights(
    model: Any, file: Any, *, by_name: bool = False, skip_mismatch: bool = False
) -> None:
    """Read the weights of an `.h5` file, with or without a model in it, into a model.

    Args:
        model: A built model.
        file: A path, a file object opened for reading, or an open `h5py` group.
        by_name: Match layers by their names and leave others alone, instead of by position.
        skip_mismatch: Warn about what does not fit, and leave it as it is.

    Raises:
        FileFormatError: The file is damaged, or does not fit the model.
    """
    with open_h5(file) as opened:
        group = opened.handle
        if not any(opened.has_attribute(name) for name in _LAYER_LISTS):
            group = opened.group("model_weights")
        if group is None:
            raise FileFormatError(
                file,
                "it is an HDF5 file without Keras weights",
                found=", ".join(opened.names()[:8]) or "nothing",
                fix="if it has the layout of `.weights.h5`, give it a name that ends so.",
            )
        load = _load_by_name if by_name else _load_by_position
        load(opened, group, model, skip_mismatch=skip_mismatch)


def _no_model_fix(opened: H5File) -> str:
    if opened.group("layers") is not None or opened.group("vars") is not None:
        return (
            "it was written by `save_weights`: build the model in code and use"
            " `model.load_weights(path)`, with a name that ends in '.weights.h5'."
        )
    return "build the model in code and use `model.load_weights(path)`."


def _noted(opened: H5File, group: Any, name: str) -> str | None:
    """Return the text that weights have of that name, or else the file."""
    found = (opened.attribute(node, name) for node in (group, opened.handle))
    return next((text for text in found if isinstance(text, str) and text), None)


def _version(opened: H5File, group: Any) -> str:
    return _noted(opened, group, "keras_version") or "1"


def _converter(opened: H5File, group: Any) -> WeightsConverter:
    backend = _noted(opened, group, "backend")
    return WeightsConverter(_version(opened, group), backend, opened.read)


def _stored_layers(opened: H5File, group: Any) -> Iterable[tuple[str, Any, list[str]]]:
    is_keras_0 = _is_keras_0(opened, group)
    names: Iterable[str] = read_attributes(opened, group, "layer_names")
    if is_keras_0:
        count = opened.attribute(group, "nb_layers")
        names = (f"layer_{i}" for i in range(count if isinstance(count, (int, np.integer)) else 0))
    for name in names:
        layer = opened.group(name, group)
        if layer is None:
            raise FileFormatError(
                opened.source, f"layer '{name}' is listed but missing", fix="get the file again."
            )
        if is_keras_0:
            yield name, layer, [f"param_{k}" for k in range(len(opened.names(layer)))]
        else:
            yield name, layer, read_attributes(opened, layer, "weight_names")


def _is_keras_0(opened: H5File, group: Any) -> bool:
    """Whether the file numbers layers and their weights, since their names were not kept yet."""
    return opened.has_attribute("nb_layers", group) and not any(
        opened.has_attribute(name, group) for name in ("layer_names", "layer_names0")
    )


def _find(opened: H5File, group: Any, names: Iterable[str]) -> list[Any]:
    """Return the checked datasets of these names."""
    datasets = []
    for name in names:
        dataset = opened.dataset(group, name)
        if dataset is None:
            raise FileFormatError(
                opened.source, f"weight '{name}' is listed but missing", fix="get the file again."
            )
        datasets.append(dataset)
    return datasets


def _values(
    opened: H5File, layer: Any, group: Any, names: Iterable[str], converter: WeightsConverter
) -> list[Any]:
    """Return a layer's weights as arrays, or as datasets to be read."""
    values = converter.convert(layer, _find(opened, group, names))
    for cell, places in _cells_of_cudnn(layer, values):
        arrays = [np.asarray(opened.read(values[place])) for place in places]
        for place, array in zip(places, _from_cudnn(cell, arrays), strict=True):
            values[place] = array
    return values


def _cells_of_cudnn(layer: Any, values: list[Any]) -> Iterator[tuple[Any, list[int]]]:
    """Yield cells within a layer whose weights are those of `CuDNNLSTM` or `CuDNNGRU`.

    Those have two biases in one vector; nothing else tells them apart. With each come the places of
    kernel, recurrent kernel and bias among the values.
    """
    places = {id(weight): i for i, weight in enumerate(_weights(layer))}
    if len(places) != len(values):
        return
    for cell in layer.modules():
        if isinstance(cell, (GRUCell, LSTMCell)) and cell.built and cell.use_bias:
            found = [places.get(id(w)) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)]
            gates = 3 if isinstance(cell, GRUCell) else 4
            shapes = [(*cell.kernel.shape,), (*cell.recurrent_kernel.shape,)]
            shapes.append((2 * gates * cell.units,))
            if None not in found and [tuple(np.shape(values[i])) for i in found] == shapes:
                yield cell, found


def _from_cudnn(cell: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Bring the weights of cuDNN's layers into the layout of `LSTM` and `GRU`.

    Gate by gate, cuDNN has the kernels transposed; that of the inputs stands in the file with its
    own sizes, yet in the order of the transposed one.
    """
    kernel, recurrent, bias = arrays
    gates = 3 if isinstance(cell, GRUCell) else 4
    kernel = np.hstack([k.T.reshape(k.shape, order="F") for k in np.hsplit(kernel, gates)])
    recurrent = np.hstack([k.T for k in np.hsplit(recurrent, gates)])
    pair = bias.reshape(2, -1)
    return [kernel, recurrent, pair if isinstance(cell, GRUCell) else pair.sum(axis=0)]


def _load_by_position(
    opened: H5File, group: Any, model: Any, *, skip_mismatch: bool, of_file: bool = False
) -> dict[int, str]:
    """Load a weight for each of the model's, in their order.

    Args:
        of_file: Whether the model is the file's own: it has the names of the layers stored, whose
            order was another before Keras 2.

    Returns:
        The names that the weights have in the file, by their identities.
    """
    converter = _converter(opened, group)
    converter.tell_of_padding(model)
    stored_names: dict[int, str] = {}
    layers = [layer for layer in model.layers if _weights(layer)]
    stored = [entry for entry in _stored_layers(opened, group) if entry[2]]
    if of_file and {layer.name for layer in layers} == {name for name, _, _ in stored}:
        places = {name: place for place, (name, _, _) in enumerate(stored)}
        layers.sort(key=lambda layer: places[layer.name])
    if len(layers) != len(stored):
        raise FileFormatError(
            opened.source,
            f"the model has {len(layers)} layers with weights, the file {len(stored)}",
            expected=[layer.name for layer in layers],
            found=[name for name, _, _ in stored],
            fix="load it into a model with the same layers, or pass `by_name=True` to load those"
            " with equal names.",
        )
    is_keras_0 = _is_keras_0(opened, group)
    for layer, (name, node, names) in zip(layers, stored, strict=True):
        if is_keras_0 and isinstance(layer, BatchNormalization):
            raise FileFormatError(
                opened.source,
                f"layer '{layer.name}': Keras 0 kept standard deviations where a BatchNormalization"
                " has variances",
                fix="load the file with Keras 1 and save it anew.",
            )
        values = _values(opened, layer, node, names, converter)
        _assign(opened, layer, _weights(layer), values, name, skip_mismatch)
        stored_names.update(zip(map(id, _weights(layer)), names, strict=False))
    _load_top_level(opened, group, model, skip_mismatch)
    return stored_names


def _load_by_name(opened: H5File, group: Any, model: Any, *, skip_mismatch: bool) -> None:
    if _is_keras_0(opened, group):
        raise FileFormatError(
            opened.source,
            "its layers have numbers and no names",
            fix="load it without `by_name=True`, into a model with the same layers.",
        )
    converter = _converter(opened, group)
    converter.tell_of_padding(model)
    by_name: dict[str, list[Any]] = {}
    for layer in model.layers:
        by_name.setdefault(layer.name, []).append(layer)
    for name, node, names in _stored_layers(opened, group):
        for layer in by_name.get(name, ()):
            values = _values(opened, layer, node, names, converter)
            _assign(opened, layer, _weights(layer), values, name, skip_mismatch)
    _load_top_level(opened, group, model, skip_mismatch)


def _load_top_level(opened: H5File, group: Any, model: Any, skip_mismatch: bool) -> None:
    node = opened.group(_TOP_LEVEL, group)
    if node is not None:
        values = _find(opened, node, read_attributes(opened, node, "weight_names"))
        _assign(opened, model, _top_weights(model), values, _TOP_LEVEL, skip_mismatch)


def _assign(
    opened: H5File,
    layer: Any,
    targets: Sequence[Any],
    values: Sequence[Any],
    stored_name: str,
    skip_mismatch: bool,
) -> None:
    """Set weights, to arrays or what datasets hold, after all shapes were compared."""
    problem, facts = None, {}
    pairs = list(zip(targets, values, strict=False))
    unfit = [(w, v) for w, v in pairs if tuple(w.shape) != tuple(np.shape(v))]
    if len(targets) != len(values):
        problem = f"layer '{layer.name}' has {len(targets)} weights, in the file {len(values)}"
        facts = {
            "expected": [(w.path, tuple(w.shape)) for w in targets],
            "found": [tuple(np.shape(v)) for v in values],
        }
        pairs = []
    elif unfit:
        weight, value = unfit[0]
        problem = f"layer '{layer.name}': weight '{weight.path}' has another shape in the file"
        facts = {"expected": tuple(weight.shape), "given": tuple(np.shape(value))}
    if problem is not None:
        error = FileFormatError(
            opened.source,
            problem,
            fix="load it into a model with the same layers, or pass `skip_mismatch=True`.",
            stored_as=stored_name,
            **facts,
        )
        if not skip_mismatch:
            raise error
        warnings.warn(f"Skipped what does not fit the model.\n{error}", stacklevel=5)
    with torch.no_grad():
        for weight, value in pairs:
            if tuple(weight.shape) != tuple(np.shape(value)):
                continue
            if isinstance(value, (np.ndarray, torch.Tensor)):
                weight.copy_(torch.as_tensor(value))
            elif not opened.read_into(value, weight):
                weight.copy_(torch.as_tensor(opened.read(value)))
    for module in layer.modules() if isinstance(layer, Layer) else ():
        if hasattr(module, "finalize_state"):
            module.finalize_state()


def _compile(opened: H5File, model: Any, custom_objects: Any, safe_mode: bool) -> None:
    text = opened.attribute(opened.handle, "training_config")
    is_text = isinstance(text, str)
    training = load_json(text, opened.source, "training configuration") if is_text else None
    version = _version(opened, opened.handle)
    compile_as_saved(model, training, opened.source, custom_objects, safe_mode, version)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built and "optimizer_weights" in opened.names():
        optimizer.build(model.trainable_variables)


def _load_optimizer(opened: H5File, model: Any, stored_names: dict[int, str]) -> None:
    optimizer = getattr(model, "optimizer", None)
    node = None if optimizer is None else opened.group("optimizer_weights")
    if node is None:
        return
    names = read_attributes(opened, node, "weight_names")
    values = [StoredValues(opened, dataset) for dataset in _find(opened, node, names)]
    version = _version(opened, opened.handle)
    keras = multi_backend_version(version)
    if keras is not None and keras < (2, 0, 6):
        order = [stored_names.get(id(weight), "") for weight in model.trainable_variables]
        values = _unsorted(values, order)
    load_optimizer_state(optimizer, values, names, version)


def _unsorted(values: list[Any], names: list[str]) -> list[Any]:
    """Bring slots, which stood in the order of the weights' names, into that of the weights."""
    first = next((i for i, value in enumerate(values) if np.shape(value) != ()), len(values))
    places = sorted(range(len(names)), key=names.__getitem__)
    slots = values[first:]
    if not names or len(slots) % len(names):
        return values  # it does not fit, and is told so
    ordered = list(slots)
    for i, slot in enumerate(slots):
        block, place = divmod(i, len(names))
        ordered[block * len(names) + places[place]] = slot
    return [*values[:first], *ordered]
