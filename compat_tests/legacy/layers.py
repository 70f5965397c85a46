"""Every layer of Keras 2, with every argument of its constructor at other values than the default.

`LAYERS` has a smallest call of each class, `VALUES` the values to try for an argument by its name,
`VALUES_OF` those that one class takes otherwise. An argument with no value to try has `()`, and a
class or an argument of `tf_keras` that is in neither is an error.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from .cases import ALL_FORMATS, BATCH, Case, Integers

__all__ = ["layer_cases"]

_D1, _D2, _D3 = (7, 4), (7, 8, 4), (5, 6, 5, 4)
_WORDS = np.array([["a"], ["b"], ["c"], ["b"]])
_SEQUENCE = (5, 3)

# The class: its required arguments, and the inputs' shapes without the batch.
LAYERS: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "Activation": ({"activation": "relu"}, ((5,),)),
    "ActivityRegularization": ({}, ((5,),)),
    "Add": ({}, ((5,), (5,))),
    "AdditiveAttention": ({}, ((4, 3), (5, 3))),
    "AlphaDropout": ({"rate": 0.3}, ((5,),)),
    "Attention": ({}, ((4, 3), (5, 3))),
    "Average": ({}, ((5,), (5,))),
    "AveragePooling1D": ({}, (_D1,)),
    "AveragePooling2D": ({}, (_D2,)),
    "AveragePooling3D": ({}, (_D3,)),
    "BatchNormalization": ({}, ((5, 4),)),
    "Bidirectional": ({"layer": ("LSTM", {"units": 2, "return_sequences": True})}, (_SEQUENCE,)),
    "CategoryEncoding": ({"num_tokens": 4}, (Integers((3,), 4),)),
    "CenterCrop": ({"height": 3, "width": 5}, (_D2,)),
    "Concatenate": ({}, ((5, 2), (5, 2))),
    "Conv1D": ({"filters": 2, "kernel_size": 3}, (_D1,)),
    "Conv1DTranspose": ({"filters": 2, "kernel_size": 3}, (_D1,)),
    "Conv2D": ({"filters": 2, "kernel_size": 3}, (_D2,)),
    "Conv2DTranspose": ({"filters": 2, "kernel_size": 3}, (_D2,)),
    "Conv3D": ({"filters": 2, "kernel_size": 3}, (_D3,)),
    "Conv3DTranspose": ({"filters": 2, "kernel_size": 3}, (_D3,)),
    "ConvLSTM1D": ({"filters": 2, "kernel_size": 3}, ((3, 6, 2),)),
    "ConvLSTM2D": ({"filters": 2, "kernel_size": 3}, ((3, 5, 6, 2),)),
    "ConvLSTM3D": ({"filters": 2, "kernel_size": 2}, ((2, 3, 4, 3, 2),)),
    "Cropping1D": ({}, (_D1,)),
    "Cropping2D": ({"cropping": ((1, 0), (2, 1))}, (_D2,)),
    "Cropping3D": ({}, (_D3,)),
    "Dense": ({"units": 3}, ((5,),)),
    "DepthwiseConv1D": ({"kernel_size": 3}, (_D1,)),
    "DepthwiseConv2D": ({"kernel_size": 3}, (_D2,)),
    "Discretization": ({"bin_boundaries": [-1.0, 0.0, 1.5]}, ((3,),)),
    "Dot": ({"axes": 1}, ((4, 3), (4, 2))),
    "Dropout": ({"rate": 0.3}, ((5,),)),
    "ELU": ({}, ((5,),)),
    "EinsumDense": ({"equation": "ab,bc->ac", "output_shape": 3}, ((5,),)),
    "Embedding": ({"input_dim": 6, "output_dim": 2}, (Integers((3,), 6),)),
    "Flatten": ({}, (_D2,)),
    "GRU": ({"units": 2}, (_SEQUENCE,)),
    "GaussianDropout": ({"rate": 0.3}, ((5,),)),
    "GaussianNoise": ({"stddev": 0.3}, ((5,),)),
    "GlobalAveragePooling1D": ({}, (_D1,)),
    "GlobalAveragePooling2D": ({}, (_D2,)),
    "GlobalAveragePooling3D": ({}, (_D3,)),
    "GlobalMaxPooling1D": ({}, (_D1,)),
    "GlobalMaxPooling2D": ({}, (_D2,)),
    "GlobalMaxPooling3D": ({}, (_D3,)),
    "GroupNormalization": ({"groups": 2}, (_D1,)),
    "HashedCrossing": ({"num_bins": 5}, (np.array([[1], [2], [3], [4]]),) * 2),
    "Hashing": ({"num_bins": 5}, (_WORDS,)),
    "Identity": ({}, ((5,),)),
    "IntegerLookup": ({"vocabulary": [3, 1, 2]}, (Integers((3,), 6),)),
    "LSTM": ({"units": 2}, (_SEQUENCE,)),
    "LayerNormalization": ({}, ((5, 4),)),
    "LeakyReLU": ({}, ((5,),)),
    "LocallyConnected1D": ({"filters": 2, "kernel_size": 3}, (_D1,)),
    "LocallyConnected2D": ({"filters": 2, "kernel_size": 3}, (_D2,)),
    "Masking": ({}, (_SEQUENCE,)),
    "MaxPooling1D": ({}, (_D1,)),
    "MaxPooling2D": ({}, (_D2,)),
    "MaxPooling3D": ({}, (_D3,)),
    "Maximum": ({}, ((5,), (5,))),
    "Minimum": ({}, ((5,), (5,))),
    "MultiHeadAttention": ({"num_heads": 2, "key_dim": 3}, ((4, 3), (5, 3))),
    "Multiply": ({}, ((5,), (5,))),
    "Normalization": ({"mean": 1.0, "variance": 2.0}, ((5,),)),
    "PReLU": ({}, ((5, 4),)),
    "Permute": ({"dims": (2, 1)}, (_D1,)),
    "RNN": ({"cell": ("LSTMCell", {"units": 2})}, (_SEQUENCE,)),
    "RandomBrightness": ({"factor": 0.2}, (_D2,)),
    "RandomContrast": ({"factor": 0.2}, (_D2,)),
    "RandomCrop": ({"height": 3, "width": 5}, (_D2,)),
    "RandomFlip": ({}, (_D2,)),
    "RandomHeight": ({"factor": 0.2}, (_D2,)),
    "RandomRotation": ({"factor": 0.2}, (_D2,)),
    "RandomTranslation": ({"height_factor": 0.2, "width_factor": 0.1}, (_D2,)),
    "RandomWidth": ({"factor": 0.2}, (_D2,)),
    "RandomZoom": ({"height_factor": 0.2}, (_D2,)),
    "ReLU": ({}, ((5,),)),
    "RepeatVector": ({"n": 3}, ((5,),)),
    "Rescaling": ({"scale": 0.5}, ((5,),)),
    "Reshape": ({"target_shape": (2, -1)}, (_D1,)),
    "Resizing": ({"height": 5, "width": 11}, (_D2,)),
    "SeparableConv1D": ({"filters": 2, "kernel_size": 3}, (_D1,)),
    "SeparableConv2D": ({"filters": 2, "kernel_size": 3}, (_D2,)),
    "SimpleRNN": ({"units": 2}, (_SEQUENCE,)),
    "Softmax": ({}, ((5,),)),
    "SpatialDropout1D": ({"rate": 0.3}, (_D1,)),
    "SpatialDropout2D": ({"rate": 0.3}, (_D2,)),
    "SpatialDropout3D": ({"rate": 0.3}, (_D3,)),
    "SpectralNormalization": ({"layer": ("Dense", {"units": 3})}, ((5,),)),
    "StringLookup": ({"vocabulary": ["a", "b"]}, (_WORDS,)),
    "Subtract": ({}, ((5,), (5,))),
    "TextVectorization": ({"vocabulary": ["a", "b"]}, (_WORDS,)),
    "ThresholdedReLU": ({}, ((5,),)),
    "TimeDistributed": ({"layer": ("Dense", {"units": 3})}, (_SEQUENCE,)),
    "UnitNormalization": ({}, ((5,),)),
    "UpSampling1D": ({}, (_D1,)),
    "UpSampling2D": ({}, (_D2,)),
    "UpSampling3D": ({}, (_D3,)),
    "ZeroPadding1D": ({}, (_D1,)),
    "ZeroPadding2D": ({}, (_D2,)),
    "ZeroPadding3D": ({}, (_D3,)),
}

_INITIALIZERS = ("Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity",
                 "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "RandomNormal",
                 "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros")  # fmt: skip
_ACTIVATIONS = ("elu", "exponential", "gelu", "hard_sigmoid", "linear", "mish", "relu", "selu",
                "sigmoid", "softmax", "softplus", "softsign", "swish", "tanh")  # fmt: skip

# What to try for an argument, wherever a class takes it. `None` as a value is the default's.
VALUES: dict[str, tuple[Any, ...]] = {
    "activation": ("hard_sigmoid", "swish"),
    "recurrent_activation": ("hard_sigmoid", "tanh"),
    "use_bias": (False,),
    "unit_forget_bias": (False,),
    "padding": ("same",),
    "strides": (2, 3),
    "dilation_rate": (2,),
    "groups": (2,),
    "depth_multiplier": (2,),
    "output_padding": (),
    "pool_size": (3,),
    "implementation": (2,),
    "epsilon": (0.1,),
    "momentum": (0.5,),
    "center": (False,),
    "scale": (False,),
    "axis": (1,),
    "keepdims": (True,),
    "return_sequences": (True,),
    "return_state": (True,),
    "go_backwards": (True,),
    "unroll": (True,),
    "stateful": (True,),
    "time_major": (),
    "reset_after": (False,),
    "dropout": (0.2,),
    "recurrent_dropout": (0.2,),
    "noise_shape": (),
    "seed": (3,),
    "data_format": (),
    "sparse": (),
    "synchronized": (True,),
    "robust_masking": (True,),
    "softmax_robust_masking": (True,),
    "interpolation": ("bilinear", "nearest"),
    "fill_mode": ("constant", "wrap"),
    "fill_value": (0.5,),
    "size": (3,),
    "weights": (),
    "trainable": (False,),
    "name": (),
    "dtype": (),
    "dynamic": (),
}
VALUES |= {
    f"{what}_initializer": ("he_normal", ("initializers", "Constant", {"value": 0.3}))
    for what in ("kernel", "recurrent", "bias", "depthwise", "pointwise", "embeddings", "beta",
                 "gamma", "moving_mean", "moving_variance", "alpha")
}  # fmt: skip
VALUES |= {
    f"{what}_regularizer": ("l2", ("regularizers", "L1L2", {"l1": 0.01, "l2": 0.02}))
    for what in ("kernel", "recurrent", "bias", "depthwise", "pointwise", "embeddings", "beta",
                 "gamma", "alpha", "activity")
}  # fmt: skip
VALUES |= {
    f"{what}_constraint": ("non_neg", ("constraints", "MaxNorm", {"max_value": 0.5}))
    for what in ("kernel", "recurrent", "bias", "depthwise", "pointwise", "embeddings", "beta",
                 "gamma", "alpha")
}  # fmt: skip
VALUES["bias_initializer"] = ("ones",)
VALUES["output_mode"] = ("one_hot", "multi_hot", "count")

# The same for one class.
VALUES_OF: dict[str, dict[str, tuple[Any, ...]]] = {
    "Activation": {"activation": _ACTIVATIONS},
    "ActivityRegularization": {"l1": (0.01,), "l2": (0.01,)},
    "AdditiveAttention": {"use_scale": (False,)},
    "Attention": {"use_scale": (True,), "score_mode": ("concat",)},
    "BatchNormalization": {"axis": (1, [2])},
    "Bidirectional": {
        "merge_mode": ("sum", "mul", "ave", None),
        "backward_layer": (("GRU", {"units": 2, "return_sequences": True, "go_backwards": True}),),
    },
    "CategoryEncoding": {"output_mode": ("count", "one_hot")},
    "Conv1D": {"padding": ("same", "causal")},
    "Conv1DTranspose": {"output_padding": ()},
    "Dense": {
        # Exponentials of what a Dense sums up are infinite after the first step.
        "activation": tuple(name for name in _ACTIVATIONS if name != "exponential"),
        "kernel_initializer": tuple(("initializers", name, {}) for name in _INITIALIZERS),
        "kernel_regularizer": ("l1", "l2", "l1_l2", ("regularizers", "OrthogonalRegularizer", {})),
        "kernel_constraint": (
            "unit_norm",
            ("constraints", "MinMaxNorm", {"min_value": 0.1, "rate": 0.5}),
        ),
    },
    "Conv2D": {"kernel_constraint": (("constraints", "RadialConstraint", {}), "max_norm")},
    "DepthwiseConv2D": {"strides": (2,)},
    "Discretization": {
        "output_mode": ("one_hot", "multi_hot", "count"),
        "epsilon": (),
        "num_bins": (),
    },
    "Dot": {"normalize": (True,)},
    "Dropout": {"noise_shape": ((None, 1),)},
    "ELU": {"alpha": (0.3,)},
    "EinsumDense": {"bias_axes": ("c",)},
    "Embedding": {"mask_zero": (True,), "input_length": (3,)},
    "GlobalAveragePooling1D": {},
    "GroupNormalization": {"groups": (1, 4, -1)},
    "HashedCrossing": {"output_mode": ("one_hot",)},
    "Hashing": {"mask_value": ("a",), "salt": (7, (7, 8)), "output_mode": ()},
    "Identity": {},
    "IntegerLookup": {
        "max_tokens": (8,),
        "num_oov_indices": (0, 2),
        "mask_token": (0,),
        "oov_token": (-2,),
        "invert": (True,),
        "pad_to_max_tokens": (),
        "vocabulary_dtype": ("int32",),
        "idf_weights": (),
        "output_mode": ("multi_hot", "count"),
    },
    "LayerNormalization": {"axis": (1, [1, 2], -2)},
    "LeakyReLU": {"alpha": (0.05, 0.0)},
    "LocallyConnected1D": {"padding": (), "implementation": (2, 3), "strides": (2,)},
    "LocallyConnected2D": {"padding": (), "implementation": (2, 3), "strides": (2,)},
    "Masking": {"mask_value": (1.0,)},
    "MultiHeadAttention": {
        "value_dim": (4,),
        "output_shape": (6,),
        "attention_axes": ((1,),),
        "dropout": (),
    },
    "Normalization": {"axis": (None,), "invert": (True,)},
    "PReLU": {"shared_axes": ([1],)},
    "RandomBrightness": {"value_range": ((0, 1),)},
    "RandomFlip": {"mode": ("horizontal",)},
    "RandomZoom": {"width_factor": (0.1,)},
    "ReLU": {"max_value": (1.5,), "negative_slope": (0.1,), "threshold": (0.5,)},
    "Rescaling": {"offset": (1.0,)},
    "Resizing": {
        "interpolation": ("nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian",
                          "mitchellcubic"),
        "crop_to_aspect_ratio": (True,),
    },  # fmt: skip
    "SeparableConv1D": {"padding": ("same", "causal")},
    "Softmax": {"axis": (1,)},
    "SpectralNormalization": {"power_iterations": (3,)},
    "StringLookup": {
        "max_tokens": (8,),
        "num_oov_indices": (0, 2),
        "mask_token": ("a",),
        "oov_token": ("?",),
        "invert": (),
        "pad_to_max_tokens": (),
        "encoding": ("latin-1",),
        "idf_weights": (),
        "output_mode": ("one_hot", "multi_hot", "count"),
    },
    "TextVectorization": {
        "max_tokens": (8,),
        "standardize": ("lower", None),
        "split": ("character", None),
        "ngrams": (2,),
        "output_sequence_length": (3,),
        "pad_to_max_tokens": (),
        "encoding": ("latin-1",),
        "idf_weights": (),
        "ragged": (),
        "output_mode": ("multi_hot", "count"),
    },
    "ThresholdedReLU": {"theta": (0.5,)},
    "UpSampling2D": {"interpolation": ("bilinear", "bicubic", "area", "lanczos3", "lanczos5",
                                       "gaussian", "mitchellcubic")},
    "ZeroPadding1D": {"padding": (2, (0, 3))},
    "ZeroPadding2D": {"padding": (2, ((0, 1), (2, 0)))},
    "ZeroPadding3D": {"padding": (2,)},
    "Cropping1D": {"cropping": (2,)},
    "Cropping3D": {"cropping": (2,)},
}  # fmt: skip
# Bases, and what other cases have inside.
_NOT_ALONE = frozenset(
    "AbstractRNNCell DenseFeatures GRUCell InputLayer LSTMCell Lambda Layer SimpleRNNCell"
    " StackedRNNCells Wrapper".split()
)
_RANDOM = ("Dropout", "Random", "Noise")
_NO_GRADIENT = ("Lookup", "Hash", "TextVect", "CategoryEnc", "Discret")


def layer_cases(keras: Any) -> Iterator[Case]:
    """Yield a case of each class as it is, and one of each argument at each value.

    Raises:
        LookupError: `keras` has a class or an argument that the tables lack.
    """
    if missing := sorted(_missing(keras)):
        raise LookupError(f"The tables of compat_tests/legacy/layers.py lack {missing}.")
    for name, (arguments, inputs) in LAYERS.items():
        plain = _case(name, name, arguments, inputs)
        yield dataclasses.replace(plain, formats=ALL_FORMATS)
        values = VALUES_OF.get(name, {})
        for argument in _arguments(getattr(keras.layers, name)):
            if argument in arguments and argument not in values:
                continue
            for value in values.get(argument, VALUES.get(argument, ())):
                text = value[1] if isinstance(value, tuple) and len(value) == 3 else value
                yield _case(
                    f"{name}({argument}={text!r})", name, {**arguments, argument: value}, inputs
                )


def _missing(keras: Any) -> Iterator[str]:
    names: dict[type, set[str]] = {}
    for name, cls in vars(keras.layers).items():
        if inspect.isclass(cls) and issubclass(cls, keras.layers.Layer):
            names.setdefault(cls, set()).add(name)
    for synonyms in names.values():
        if not synonyms & (LAYERS.keys() | _NOT_ALONE):
            yield "/".join(sorted(synonyms))
    for name, (given, _) in LAYERS.items():
        tried = given.keys() | VALUES | VALUES_OF.get(name, {}).keys()
        for argument in _arguments(getattr(keras.layers, name)):
            if argument not in tried:
                yield f"{name}({argument}=)"


def _arguments(cls: type) -> list[str]:
    own = [a for a in inspect.signature(cls.__init__).parameters if a not in ("self", "kwargs")]
    takes_kwargs = "kwargs" in inspect.signature(cls.__init__).parameters
    if "units" in own and takes_kwargs and "unroll" in own:
        own.append("implementation")
    return own


def _case(title: str, name: str, arguments: dict[str, Any], inputs: tuple[Any, ...]) -> Case:
    draws = any(part in name for part in _RANDOM)
    draws |= bool({"dropout", "recurrent_dropout"} & set(arguments))
    fixed = any(part in name for part in _NO_GRADIENT)

    def make(keras: Any) -> Any:
        given = {key: _value(keras, key, value) for key, value in arguments.items()}
        batch = BATCH if given.get("stateful") else None
        ins = [keras.Input(_shape(spec), batch, dtype=_dtype(spec)) for spec in inputs]
        layer = getattr(keras.layers, name)(**given)
        x = ins if len(ins) > 1 else ins[0]
        y = layer(*ins) if name == "MultiHeadAttention" else layer(x)
        return keras.Model(x, y)

    def compile(keras: Any) -> dict[str, Any]:
        return {"optimizer": keras.optimizers.SGD(1e-3), "loss": "mse"}

    return Case(title, make, inputs, None if draws or fixed else compile)


def _value(keras: Any, key: str, value: Any) -> Any:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        return getattr(keras.layers, value[0])(**value[1])
    if isinstance(value, tuple) and len(value) == 3 and isinstance(value[2], dict):
        return getattr(getattr(keras, value[0]), value[1])(**value[2])
    return value


def _shape(spec: Any) -> tuple[int, ...]:
    return spec.shape[1:] if isinstance(spec, np.ndarray) else getattr(spec, "shape", spec)


def _dtype(spec: Any) -> str:
    if isinstance(spec, np.ndarray):
        return "string" if spec.dtype.kind == "U" else spec.dtype.name
    return "int32" if isinstance(spec, Integers) else "float32"
