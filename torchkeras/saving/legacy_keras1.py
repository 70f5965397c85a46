"""Configurations of Keras 1 in the names of Keras 2.

`_LAYERS` has every class of Keras 1.2 whose name or arguments changed; the rest is as it was. What
has no counterpart is refused with its name, here or by the constructor of today.
Read: the configurations and the documentation of Keras 1.0 to 1.2.2; `keras.legacy.interfaces` of
Keras 2.2 (which names became which).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from .errors import FileFormatError

__all__ = ["KEPT_FROM_KERAS_1", "from_keras_1", "is_merged_sequential", "merged_sequential"]

_FORMATS = {"th": "channels_first", "tf": "channels_last"}
_INITIALIZERS = {"normal": "random_normal", "one": "ones", "uniform": "random_uniform"}
_INITIALIZERS |= {"zero": "zeros"}

# Arguments: what they were called, and are.
_WEIGHTS = {
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
    "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer",
    "bias": "use_bias",
    "init": "kernel_initializer",
}
_DENSE = {**_WEIGHTS, "output_dim": "units"}
_PLACES = {"border_mode": "padding", "dim_ordering": "data_format"}
_CONV = {**_WEIGHTS, **_PLACES, "nb_filter": "filters", "subsample": "strides"}
_CONV_1D = {**_CONV, "filter_length": "kernel_size", "subsample_length": "strides"}
_POOL_1D = {"border_mode": "padding", "pool_length": "pool_size", "stride": "strides"}
_GATES = {
    "U_regularizer": "recurrent_regularizer",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer",
}
_RATE = {"p": "rate", "dim_ordering": "data_format"}
_SIDES = {"dim_ordering": "data_format"}

_LAYERS: dict[str, tuple[str, dict[str, str]]] = {
    "AtrousConvolution1D": ("Conv1D", {**_CONV_1D, "atrous_rate": "dilation_rate"}),
    "AtrousConvolution2D": ("Conv2D", {**_CONV, "atrous_rate": "dilation_rate"}),
    "AveragePooling1D": ("AveragePooling1D", _POOL_1D),
    "AveragePooling2D": ("AveragePooling2D", _PLACES),
    "AveragePooling3D": ("AveragePooling3D", _PLACES),
    "BatchNormalization": (
        "BatchNormalization",
        {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    ),
    "ConvLSTM2D": ("ConvLSTM2D", {**_CONV, **_GATES}),
    "Convolution1D": ("Conv1D", _CONV_1D),
    "Convolution2D": ("Conv2D", _CONV),
    "Convolution3D": ("Conv3D", _CONV),
    "Cropping2D": ("Cropping2D", _SIDES),
    "Cropping3D": ("Cropping3D", _SIDES),
    "Deconvolution2D": ("Conv2DTranspose", _CONV),
    "Dense": ("Dense", _DENSE),
    "Dropout": ("Dropout", _RATE),
    "Embedding": (
        "Embedding",
        {
            "W_constraint": "embeddings_constraint",
            "W_regularizer": "embeddings_regularizer",
            "init": "embeddings_initializer",
        },
    ),
    "GRU": ("GRU", {**_DENSE, **_GATES}),
    "GaussianDropout": ("GaussianDropout", _RATE),
    "GaussianNoise": ("GaussianNoise", {"sigma": "stddev"}),
    "GlobalAveragePooling2D": ("GlobalAveragePooling2D", _SIDES),
    "GlobalAveragePooling3D": ("GlobalAveragePooling3D", _SIDES),
    "GlobalMaxPooling2D": ("GlobalMaxPooling2D", _SIDES),
    "GlobalMaxPooling3D": ("GlobalMaxPooling3D", _SIDES),
    "Highway": ("Highway", _WEIGHTS),
    "InputLayer": ("InputLayer", {"input_dtype": "dtype"}),
    "LSTM": ("LSTM", {**_DENSE, **_GATES}),
    "LocallyConnected1D": ("LocallyConnected1D", _CONV_1D),
    "LocallyConnected2D": ("LocallyConnected2D", _CONV),
    "MaxPooling1D": ("MaxPooling1D", _POOL_1D),
    "MaxPooling2D": ("MaxPooling2D", _PLACES),
    "MaxPooling3D": ("MaxPooling3D", _PLACES),
    "MaxoutDense": ("MaxoutDense", _DENSE),
    "PReLU": ("PReLU", {"init": "alpha_initializer"}),
    "SeparableConvolution2D": (
        "SeparableConv2D",
        {**_CONV, "init": "depthwise_initializer"},
    ),
    "SimpleRNN": ("SimpleRNN", {**_DENSE, **_GATES}),
    "SpatialDropout1D": ("SpatialDropout1D", _RATE),
    "SpatialDropout2D": ("SpatialDropout2D", _RATE),
    "SpatialDropout3D": ("SpatialDropout3D", _RATE),
    "TimeDistributedDense": ("Dense", _DENSE),
    "UpSampling1D": ("UpSampling1D", {"length": "size"}),
    "UpSampling2D": ("UpSampling2D", _SIDES),
    "UpSampling3D": ("UpSampling3D", _SIDES),
    "ZeroPadding2D": ("ZeroPadding2D", _SIDES),
    "ZeroPadding3D": ("ZeroPadding3D", _SIDES),
}
# Those that Keras 2.0 to 2.2 kept, with the names of old.
KEPT_FROM_KERAS_1 = ("Highway", "MaxoutDense", "Merge")
# Sizes of windows that were several arguments.
_WINDOWS = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))
_PADS = {
    "ZeroPadding1D": ("left_pad", "right_pad"),
    "ZeroPadding2D": ("top_pad", "bottom_pad", "left_pad", "right_pad"),
}
_MERGES = {"ave": "Average", "concat": "Concatenate", "dot": "Dot", "max": "Maximum"}
_MERGES |= {"mul": "Multiply", "sum": "Add"}
# Regularizers and constraints were `{"name": …}` with their arguments beside it.
_OBJECTS = {
    "ActivityRegularizer": ("L1L2", {}),
    "L1L2Regularizer": ("L1L2", {}),
    "MaxNorm": ("MaxNorm", {"m": "max_value"}),
    "NonNeg": ("NonNeg", {}),
    "UnitNorm": ("UnitNorm", {}),
    "WeightRegularizer": ("L1L2", {}),
}


def from_keras_1(name: str, inner: dict[str, Any], source: Any) -> tuple[str, dict[str, Any]]:
    """Return the class and the arguments of today for those of a layer of Keras 1.

    Raises:
        FileFormatError: An argument has a value without counterpart.

    Example:
        >>> from_keras_1("Dropout", {"name": "d", "p": 0.5}, "m.h5")
        ('Dropout', {'name': 'd', 'rate': 0.5})
    """
    if name == "Merge":
        return _merge(inner, source)
    new_name, renamed = _LAYERS.get(name, (name, {}))
    new = {renamed.get(key, key): value for key, value in inner.items()}
    for parts in _WINDOWS:
        if new.keys() >= set(parts):
            new["kernel_size"] = [new.pop(part) for part in parts]
    if "data_format" in new:
        new["data_format"] = _FORMATS.get(new["data_format"], new["data_format"])
    for key, value in new.items():
        if key.endswith("_initializer") and isinstance(value, str):
            new[key] = _INITIALIZERS.get(value, value)
        elif isinstance(value, dict) and "class_name" not in value and "name" in value:
            new[key] = _object(name, new, key, source)
    if "padding" in new:
        new["padding"] = _padding(name, new["padding"])
    if "forget_bias_init" in new:
        new["unit_forget_bias"] = new.pop("forget_bias_init") in ("one", "ones")
    if name == "SeparableConvolution2D" and "depthwise_initializer" in new:
        new["pointwise_initializer"] = new["depthwise_initializer"]
    if name == "Deconvolution2D":
        _check_size(new, new.pop("output_shape", None), source)
    if name == "Embedding" and new.pop("dropout", 0):
        warnings.warn(
            f"Layer '{new.get('name')}' (Embedding) left out words in training by Keras 1's"
            " `dropout`, which no longer exists: predictions are the same, training is not.",
            stacklevel=2,
        )
    return new_name, new


def _refuse(source: Any, layer: Any, problem: str) -> FileFormatError:
    return FileFormatError(
        source,
        f"layer '{layer}' of Keras 1 {problem}",
        fix="build the model in code without it, and load only the weights.",
    )


def _merge(inner: dict[str, Any], source: Any) -> tuple[str, dict[str, Any]]:
    mode = inner.get("mode")
    if inner.get("mode_type", "raw") != "raw" or mode not in _MERGES or inner.get("output_mask"):
        raise _refuse(
            source,
            inner.get("name"),
            f"merges by mode={mode!r}; there are {', '.join(sorted(_MERGES))} today",
        )
    new = {key: inner[key] for key in ("name", "trainable") if key in inner}
    if mode == "concat":
        new["axis"] = inner.get("concat_axis", -1)
    elif mode == "dot":
        axes = inner.get("dot_axes", -1)
        if isinstance(axes, (list, tuple)):  # of each input one, or a list of one
            axes = [axis[0] if isinstance(axis, (list, tuple)) else axis for axis in axes]
        new["axes"] = axes
    return _MERGES[mode], new


def _object(name: str, inner: dict[str, Any], key: str, source: Any) -> dict[str, Any]:
    value = dict(inner[key])
    kind = value.pop("name")
    if kind not in _OBJECTS:
        raise _refuse(source, inner.get("name"), f"has {key}={kind!r}, which no longer exists")
    new_kind, renamed = _OBJECTS[kind]
    if "Convolution" in name and "axis" in value and _kernels_turned(name, inner):
        raise _refuse(
            source,
            inner.get("name"),
            f"has {key}={kind}(axis={value['axis']}); kernels have their axes in another order now",
        )
    config = {renamed.get(k, k): v for k, v in value.items()}
    return {"class_name": new_kind, "config": config}


def _kernels_turned(name: str, inner: dict[str, Any]) -> bool:
    return "1D" in name or inner.get("data_format", inner.get("dim_ordering")) in (
        "th",
        "channels_first",
    )


def _padding(name: str, padding: Any) -> Any:
    """Return how much `ZeroPadding` adds in the form of today, and names as they are."""
    if isinstance(padding, dict):
        padding = [padding.get(side, 0) for side in _PADS.get(name, padding)]
    if name == "ZeroPadding2D" and isinstance(padding, (list, tuple)) and len(padding) == 4:
        return [list(padding[:2]), list(padding[2:])]
    return padding


def _check_size(inner: dict[str, Any], size: Any, source: Any) -> None:
    """Refuse a transposed convolution whose output is larger than it follows from the input."""
    first = 2 if inner.get("data_format") == "channels_first" else 1
    sizes = size[first : first + 2] if isinstance(size, (list, tuple)) else ()
    windows = zip(sizes, inner.get("kernel_size", ()), inner.get("strides", (1, 1)), strict=False)
    for out, window, stride in windows:
        exact = window if inner.get("padding") == "valid" and window >= stride else 0
        if out is not None and (out - exact) % stride:
            raise _refuse(
                source,
                inner.get("name"),
                f"has output_shape={size!r}, which is not the size that follows from its input",
            )


# Sequential models that begin with a merge -------------------------------------------------------


def is_merged_sequential(config: Any) -> bool:
    """Whether a model's configuration is that of `Sequential` with branches in a `Merge`."""
    layers = config.get("config")
    if config.get("class_name") != "Sequential" or not isinstance(layers, list) or not layers:
        return False
    first = layers[0]
    inner = first.get("config") if isinstance(first, dict) else None
    return (
        isinstance(inner, dict) and first.get("class_name") == "Merge" and bool(inner.get("layers"))
    )


def merged_sequential(config: dict[str, Any], source: Any) -> dict[str, Any]:
    """Return the functional model, in the form of Keras 1, that such a `Sequential` was.

    Raises:
        FileFormatError: A branch is no `Sequential`, or a layer stands in two of them.
    """
    layers: list[dict[str, Any]] = []
    inputs: list[list[Any]] = []
    output = _append_branch(config["config"], layers, inputs, source)
    names = [layer["name"] for layer in layers]
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise _refuse(source, repeated[0], "stands in two branches of a `Merge`")
    inner = {"layers": layers, "input_layers": inputs, "output_layers": [[output, 0, 0]]}
    return {"class_name": "Model", "config": {"name": "sequential", **inner}}


def _append_branch(
    items: list[Any], layers: list[dict[str, Any]], inputs: list[list[Any]], source: Any
) -> str:
    """Append the layers of a branch, and return the name of the last one."""
    before = []
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("config"), dict):
            raise _refuse(source, repr(item)[:80], "is no layer")
        inner = dict(item["config"])
        name = str(inner.setdefault("name", f"{item.get('class_name')}_{len(layers)}".lower()))
        if item.get("class_name") == "Merge" and "layers" in inner:
            before = list(_branches(inner.pop("layers"), name, layers, inputs, source))
        elif not before:
            shape = inner.get("batch_input_shape")
            is_words = item.get("class_name") == "Embedding"
            given_dtype = inner.get("input_dtype") or inner.get("dtype") or "float32"
            dtype = "int32" if is_words else given_dtype
            given = {"batch_input_shape": shape, "dtype": dtype, "name": f"{name}_input"}
            layers.append(_node("InputLayer", given, []))
            inputs.append([f"{name}_input", 0, 0])
            before = [f"{name}_input"]
        layers.append(_node(item.get("class_name"), inner, before))
        before = [name]
    return before[0]


def _branches(
    branches: Any, merge: str, layers: list[Any], inputs: list[Any], source: Any
) -> Iterator[str]:
    for branch in branches if isinstance(branches, list) else ():
        items = branch.get("config") if isinstance(branch, dict) else None
        if not isinstance(items, list) or not items or branch.get("class_name") != "Sequential":
            raise _refuse(source, merge, "merges what is no `Sequential`")
        yield _append_branch(items, layers, inputs, source)


def _node(kind: Any, inner: dict[str, Any], before: list[str]) -> dict[str, Any]:
    node = [[[name, 0, 0] for name in before]] if before else []
    return {"class_name": kind, "name": inner["name"], "config": inner, "inbound_nodes": node}
