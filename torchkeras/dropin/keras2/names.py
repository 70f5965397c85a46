"""The tables of the legacy surface: names, modules and calls of Keras 2.

Paths are those below `tf_keras`. `table.py` makes rows of them for `docs/legacy.md`;
`python -m compat_tests.legacy.surface` says that with them nothing of `tf_keras` is left over.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

from .calls import Old
from .helpers import (
    drop_legacy_format,
    model_checkpoint,
    numpy_categories,
    old_input,
    old_layer_config,
    summed_reduction,
)
from .optimizers import with_decay, with_decay_from_a_hundredth

__all__ = ["CALLS", "MODULES", "NAMES", "Met", "Refused", "find"]


@dataclasses.dataclass(frozen=True)
class Met:
    """A name that Keras 3 lacks, or means something else by.

    Attributes:
        where: `module:name` below `torchkeras`, or `module` for a module.
        until: The last version that had it.
        instead: Whether Keras 3 has the name too, with another meaning; then it counts only where
            Keras 2 is meant.
        note: What it is.
    """

    where: str
    until: str = "2.15"
    instead: bool = False
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Refused:
    """A name of Keras 2 that is not met; `fix` says what to use."""

    fix: str
    until: str = "2.15"


def find(entry: Met) -> Any:
    """Return what a `Met` names."""
    module, _, name = entry.where.partition(":")
    loaded = importlib.import_module(f"{__name__.partition('.')[0]}.{module}")
    return getattr(loaded, name) if name else loaded


# Modules that Keras 3 lacks: where their names are now. Others have names of `NAMES` only.
MODULES: dict[str, str] = {
    "callbacks.experimental": "callbacks",
    "experimental": "optimizers.schedules",
    "metrics.experimental": "metrics",
    "models.experimental": "models",
    "optimizers.experimental": "optimizers",
    "utils.experimental": "utils",
    # Files of Keras 2, as scripts import them from `tensorflow.python.keras`.
    "engine": "models",
    "engine.base_layer": "layers",
    "engine.input_layer": "layers",
    "engine.sequential": "models",
    "engine.topology": "layers",
    "engine.training": "models",
    "layers.advanced_activations": "layers",
    "layers.convolutional": "layers",
    "layers.core": "layers",
    "layers.embeddings": "layers",
    "layers.local": "layers",
    "layers.merge": "layers",
    "layers.noise": "layers",
    "layers.normalization": "layers",
    "layers.pooling": "layers",
    "layers.recurrent": "layers",
    "layers.wrappers": "layers",
    "utils.data_utils": "utils",
    "utils.generic_utils": "utils",
    "utils.layer_utils": "utils",
    "utils.np_utils": "utils",
    "utils.vis_utils": "utils",
}

_K = "dropin.keras2.backend"
_H = "dropin.keras2.helpers"
_REGNETS = [f"RegNet{kind}{size:03}" for kind in "XY"
            for size in (2, 4, 6, 8, 16, 32, 40, 64, 80, 120, 160, 320)]  # fmt: skip
_GRAPH = "there are no graphs: functions run at once"

NAMES: dict[str, Met | Refused] = {
    # Meanings that Keras 3 changed.
    "activations.hard_sigmoid": Met("activations:keras2_hard_sigmoid", instead=True,
        note="`clip(0.2 x + 0.5, 0, 1)`; Keras 3's is `relu6(x + 3) / 6`"),
    "activations.deserialize": Met(f"{_H}:deserialize_activation", instead=True,
        note='`"hard_sigmoid"` names the function above'),
    "activations.get": Met(f"{_H}:get_activation", instead=True,
        note='`"hard_sigmoid"` names the function above'),
    **{f"constraints.{name}": Met(f"{_H}:{name}_constraint", instead=True,
        note="also of `maxnorm`, `nonneg`, `unitnorm` and `radial_constraint`")
       for name in ("deserialize", "get")},
    **{f"regularizers.{name}": Met(f"{_H}:{name}_regularizer", instead=True,
        note='`"l1_l2"` is of 0.01 each; Keras 3\'s is of 0')
       for name in ("deserialize", "get")},
    # The backend.
    **{f"backend.{name}": Met(f"{_K}:{name}") for name in (
        "function", "in_test_phase", "in_train_phase", "learning_phase", "learning_phase_scope",
        "manual_variable_initialization", "normalize_batch_in_training", "placeholder",
        "print_tensor", "random_binomial", "reset_uids", "set_learning_phase")},
    "backend.get_session": Refused(_GRAPH, "2.0"),
    "backend.set_session": Refused(_GRAPH, "2.0"),
    "backend.local_conv1d": Refused("use `keras.layers.LocallyConnected1D`"),
    "backend.local_conv2d": Refused("use `keras.layers.LocallyConnected2D`"),
    **{f"backend.experimental.{name}": Refused("seeds come from `keras.utils.set_random_seed`")
       for name in ("disable_tf_random_generator", "enable_tf_random_generator",
                    "is_tf_random_generator_enabled")},
    # Layers.
    "layers.AbstractRNNCell": Met(f"{_H}:AbstractRNNCell"),
    "layers.CuDNNGRU": Met(f"{_H}:CuDNNGRU", "2.0", note="`GRU`, which runs on cuDNN where it can"),
    "layers.CuDNNLSTM": Met(f"{_H}:CuDNNLSTM", "2.0",
        note="`LSTM`, which runs on cuDNN where it can"),
    "layers.experimental.SyncBatchNormalization": Met(f"{_H}:SyncBatchNormalization",
        note="`BatchNormalization(synchronized=True)`"),
    **{f"layers.{name}RandomCrop": Met("layers.legacy:RandomCrop", instead=True,
        note="of that size in inference too, from the middle; Keras 3's leaves images as they are")
       for name in ("", "experimental.preprocessing.")},
    "layers.DenseFeatures": Refused("use `keras.utils.FeatureSpace`"),
    "layers.AtrousConvolution2D": Refused("use `Conv2D(dilation_rate=…)`", "1.2"),
    "layers.AtrousConvolution1D": Refused("use `Conv1D(dilation_rate=…)`", "1.2"),
    "layers.Deconvolution2D": Refused("use `Conv2DTranspose`", "1.2"),
    "layers.MaxoutDense": Refused("write `keras.ops.max` over a `Dense` with a `Reshape`", "1.2"),
    "layers.Highway": Refused("write it with two `Dense` and `Multiply`", "1.2"),
    "layers.Merge": Refused("use `Add`, `Concatenate`, `Multiply`, `Dot`, `Average`, `Maximum`",
        "1.2"),
    "layers.merge": Refused("use `add`, `concatenate`, `multiply`, `dot`, `average`, `maximum`",
        "1.2"),
    "layers.TimeDistributedDense": Refused("use `TimeDistributed(Dense(…))`", "1.2"),
    "layers.experimental.DynamicEmbedding": Refused("use `Embedding`"),
    "layers.experimental.DynamicLookup": Refused("use `StringLookup` or `IntegerLookup`"),
    "layers.experimental.RandomFourierFeatures": Refused(
        "write it with a frozen `Dense` and `keras.ops.cos`"),
    # Optimizers.
    "optimizers.legacy.Adadelta": Met("optimizers:Adadelta", note="with `lr` and `decay`"),
    "optimizers.legacy.Adagrad": Met("optimizers.keras2:Adagrad", note="epsilon beside the root"),
    "optimizers.legacy.Adam": Met("optimizers:Adam", note="with `lr` and `decay`"),
    "optimizers.legacy.Adamax": Met("optimizers:Adamax", note="with `lr` and `decay`"),
    "optimizers.legacy.Ftrl": Met("optimizers:Ftrl", note="with `lr` and `decay`"),
    "optimizers.legacy.Nadam": Met("optimizers.keras2:Nadam", note="its own momentum's growth"),
    "optimizers.legacy.Optimizer": Met("optimizers:Optimizer"),
    "optimizers.legacy.RMSprop": Met("optimizers.keras2:RMSprop",
        note="epsilon beside the root if there is no momentum"),
    "optimizers.legacy.SGD": Met("optimizers:SGD", note="with `lr` and `decay`"),
    "optimizers.TFOptimizer": Refused("use an optimizer of `keras.optimizers`", "2.0"),
    # Models and files.
    "models.model_from_config": Met(f"{_H}:model_from_config"),
    "models.model_from_yaml": Refused("YAML is not read: it can name code. Use `model_from_json`"),
    "models.experimental.SharpnessAwareMinimization": Refused(
        "write the two steps in a `train_step`"),
    "experimental.LinearModel": Refused("use `Dense` without activation"),
    "experimental.SequenceFeatures": Refused("use `keras.utils.FeatureSpace`"),
    "experimental.SidecarEvaluator": Refused("call `evaluate` in a callback"),
    "experimental.WideDeepModel": Refused("add a `Dense` of one input to a model of the other"),
    "experimental.export_saved_model": Refused("use `model.export(path)`", "2.0"),
    "experimental.load_from_saved_model": Refused("use `keras.models.load_model`", "2.0"),
    "estimator.model_to_estimator": Refused("call `fit` of the model itself"),
    # Metrics and constraints.
    "metrics.MeanRelativeError": Met(f"{_H}:MeanRelativeError"),
    "metrics.MeanTensor": Met(f"{_H}:MeanTensor"),
    "metrics.experimental.PyMetric": Refused("derive from `keras.metrics.Metric`"),
    # Callbacks.
    "constraints.RadialConstraint": Met("constraints:Keras2RadialConstraint"),
    "constraints.radial_constraint": Met("constraints:Keras2RadialConstraint"),
    "callbacks.ModelCheckpoint": Met(f"{_H}:ModelCheckpoint", note="with `period`"),
    "callbacks.BaseLogger": Met(f"{_H}:BaseLogger", note="nothing: `fit` averages by itself"),
    "callbacks.SidecarEvaluatorModelExport": Refused("use `ModelCheckpoint`"),
    "callbacks.experimental.UpdateEmbeddingCallback": Refused("use `Callback`"),
    # Helpers.
    "utils.to_ordinal": Met(f"{_H}:to_ordinal"),
    "utils.multi_gpu_model": Refused("start with `torchrun`: see docs/scaling.md", "2.3"),
    "utils.print_summary": Refused("use `model.summary()`", "2.3"),
    "utils.StepsPerExecutionTuner": Refused("pass `steps_per_execution` to `compile`"),
    "utils.SidecarEvaluator": Refused("call `evaluate` in a callback"),
    "utils.TimedThread": Refused("use `threading.Timer`"),
    "utils.warmstart_embedding_matrix": Refused("copy the rows with NumPy"),
    "utils.experimental.DatasetCreator": Refused("pass the dataset to `fit`"),
    **{f"utils.{name}": Refused("pass the generator or `PyDataset` to `fit`")
       for name in ("GeneratorEnqueuer", "OrderedEnqueuer", "SequenceEnqueuer")},
    # Distribution.
    "dtensor.experimental.LayoutMap": Refused("use `keras.distribution.LayoutMap`"),
    **{f"dtensor.experimental.optimizers.{name}": Refused(f"use `keras.optimizers.{name}`")
       for name in ("Adadelta", "Adagrad", "Adam", "AdamW", "RMSprop", "SGD")},
    # Text of a SavedModel.
    "protobuf.saved_metadata_pb2": Refused("load the folder with `keras.models.load_model`"),
    "protobuf.versions_pb2": Refused("load the folder with `keras.models.load_model`"),
    # Applications that Keras 3 has dropped.
    **{f"applications.{module}.{name}": Refused("use `ResNet50V2` or `EfficientNetV2S`")
       for module in ("regnet", "resnet_rs")
       for name in ("decode_predictions", "preprocess_input")},
    **{f"applications.{module}{name}": Refused("use `EfficientNetV2S` or `ConvNeXtTiny`")
       for module in ("", "regnet.") for name in _REGNETS},
    **{f"applications.{module}ResNetRS{size}": Refused("use `ResNet50V2` or `EfficientNetV2S`")
       for module in ("", "resnet_rs.") for size in (50, 101, 152, 200, 270, 350, 420)},
}  # fmt: skip


# Calls -------------------------------------------------------------------------------------------

_XY = Old(renamed={"x": "x1", "y": "x2"})
_NAMED = Old(ignored=("name",))
_LEGACY_FORMAT = Old(convert=drop_legacy_format)
_OPTIMIZER = Old(
    renamed={"lr": "learning_rate"},
    ignored=("is_legacy_optimizer", "jit_compile"),
    only={"adaptive_epsilon": (None, False)},
    convert=with_decay,
    note="`lr`, `decay`; `jit_compile` never changed a result",
)
_SGD = _OPTIMIZER._replace(convert=with_decay_from_a_hundredth)
_REDUCTION = Old(convert=summed_reduction, note='`reduction="auto"` is "sum_over_batch_size"')
_POOL = {"pool_size": 2}
_LAST = {"data_format": "channels_last"}
_HARD = {"recurrent_activation": "hard_sigmoid"}
_NO_CACHE = Old(only={"cache_dir": (None,)}, note="set `KERAS_HOME`.")
_PLOT = {"show_layer_names": True, "dpi": 96}

_OPTIMIZERS = ("Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "RMSprop", "SGD")
_NEW_OPTIMIZERS = ("Adafactor", "AdamW", "Lion")

CALLS: dict[str, Old] = {
    "Input": Old(order="shape batch_size name dtype sparse tensor ragged",
        only={"type_spec": (None,)}, convert=old_input),
    "activations.relu": Old(renamed={"alpha": "negative_slope"}),
    **{f"backend.{name}": _XY for name in ("dot", "equal", "greater", "greater_equal", "less",
        "less_equal", "maximum", "minimum", "not_equal")},
    "backend.ones_like": _NAMED,
    "backend.zeros_like": _NAMED,
    "backend.reshape": Old(renamed={"shape": "newshape"}),
    "backend.stop_gradient": Old(renamed={"variables": "variable"}),
    "backend.tile": Old(renamed={"n": "repeats"}),
    **{f"{module}.{name}": _LEGACY_FORMAT
       for module in ("activations", "constraints", "initializers", "layers", "losses", "metrics",
                      "optimizers", "optimizers.schedules", "regularizers")
       for name in ("serialize", "deserialize")},
    **{f"applications.{module}ConvNeXt{size}": Old(order="model_name include_top"
        " include_preprocessing weights input_tensor input_shape pooling classes"
        " classifier_activation", renamed={"model_name": "name"})
       for module in ("", "convnext.") for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
    "callbacks.BackupAndRestore": Old(order="backup_dir save_freq delete_checkpoint",
        only={"save_before_preemption": (False,)}),
    "callbacks.LambdaCallback": Old(
        order="on_epoch_begin on_epoch_end on_batch_begin on_batch_end on_train_begin on_train_end",
        renamed={"on_batch_begin": "on_train_batch_begin", "on_batch_end": "on_train_batch_end"}),
    "callbacks.ModelCheckpoint": Old(
        order="filepath monitor verbose save_best_only save_weights_only mode save_freq options"
        " initial_value_threshold",
        ignored=("options", "save_format"), convert=model_checkpoint,
        note="`period` as it was; a path without extension gets `.keras` or `.weights.h5`"),
    "callbacks.ProgbarLogger": Old(ignored=("count_mode", "stateful_metrics")),
    "callbacks.ReduceLROnPlateau": Old(renamed={"epsilon": "min_delta"}),
    "callbacks.TensorBoard": Old(ignored=("batch_size", "embeddings_data", "write_grads")),
    **{f"datasets.{name}.load_data": _NO_CACHE for name in ("boston_housing", "cifar10", "cifar100",
        "fashion_mnist", "imdb", "mnist", "reuters")},
    **{f"layers.{kind}{n}D": Old(defaults=_POOL | (_LAST if n == 1 else {}))
       for kind in ("AveragePooling", "AvgPool") for n in (1, 2, 3)},
    **{f"layers.{name}1D": Old(defaults=_LAST) for name in ("Conv", "Convolution", "MaxPool",
        "MaxPooling", "GlobalAveragePooling", "GlobalAvgPool", "GlobalMaxPool",
        "GlobalMaxPooling")},
    **{f"layers.{name}3DTranspose": Old(
        order="filters kernel_size strides padding output_padding data_format",
        only={"dilation_rate": (1, (1, 1, 1), [1, 1, 1])},
        note="Keras 2 took a `dilation_rate` and computed without it: leave it out.")
       for name in ("Conv", "Convolution")},
    **{f"layers.ConvLSTM{n}D": Old(defaults=_HARD,
        note="`recurrent_activation` is Keras 2's hard sigmoid by default") for n in (1, 2, 3)},
    "layers.EinsumDense": Old(order="equation output_shape activation bias_axes kernel_initializer"
        " bias_initializer kernel_regularizer bias_regularizer activity_regularizer"
        " kernel_constraint bias_constraint"),
    "layers.Embedding": Old(order="input_dim output_dim embeddings_initializer"
        " embeddings_regularizer activity_regularizer embeddings_constraint mask_zero"
        " input_length sparse", only={"sparse": (False,)}),
    "layers.Input": Old(order="shape batch_size name dtype sparse tensor ragged",
        only={"type_spec": (None,)}, convert=old_input),
    "layers.InputLayer": Old(order="input_shape batch_size dtype input_tensor sparse name ragged",
        renamed={"input_shape": "shape"}, only={"type_spec": (None,)}),
    "layers.LeakyReLU": Old(renamed={"alpha": "negative_slope"}),
    "layers.MultiHeadAttention": Old(order="num_heads key_dim value_dim dropout use_bias"
        " output_shape attention_axes kernel_initializer bias_initializer kernel_regularizer"
        " bias_regularizer activity_regularizer kernel_constraint bias_constraint",
        only={"activity_regularizer": (None,)},
        note="Keras 2 penalized the result alone: add an `ActivityRegularization` behind it."),
    **{f"layers.{name}": Old(order="units activation recurrent_activation use_bias"
        " kernel_initializer recurrent_initializer bias_initializer"
        + (" unit_forget_bias" if name == "LSTM" else "") + " kernel_regularizer"
        " recurrent_regularizer bias_regularizer activity_regularizer kernel_constraint"
        " recurrent_constraint bias_constraint dropout recurrent_dropout return_sequences"
        " return_state go_backwards stateful") for name in ("LSTM", "GRU")},
    "layers.RandomContrast": Old(order="factor seed"),
    "layers.StringLookup": Old(
        order="max_tokens num_oov_indices mask_token oov_token vocabulary idf_weights"),
    "layers.dot": Old(order="inputs axes normalize"),
    **{f"losses.{name}": _REDUCTION for name in ("BinaryCrossentropy", "BinaryFocalCrossentropy",
        "CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge",
        "CosineSimilarity", "Hinge", "Huber", "KLDivergence", "LogCosh", "MeanAbsoluteError",
        "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError",
        "Poisson", "SquaredHinge")},
    "losses.Loss": Old(order="reduction name", convert=summed_reduction),
    "losses.SparseCategoricalCrossentropy": Old(order="from_logits ignore_class reduction name",
        convert=summed_reduction),
    "losses.sparse_categorical_crossentropy": Old(
        order="y_true y_pred from_logits axis ignore_class"),
    **{f"{module}.{name}": _SGD if name == "SGD" else _OPTIMIZER
       for module, names in (("optimizers", _OPTIMIZERS + _NEW_OPTIMIZERS),
                             ("optimizers.legacy", _OPTIMIZERS)) for name in names},
    **{f"{module}.load_img": Old(order="path grayscale color_mode target_size interpolation"
        " keep_aspect_ratio", only={"grayscale": (False,)}, note='use `color_mode="grayscale"`.')
       for module in ("preprocessing.image", "utils")},
    **{f"{module}.image_dataset_from_directory": Old(
        renamed={"smart_resize": "crop_to_aspect_ratio"}) for module in ("preprocessing", "utils")},
    "regularizers.l1_l2": Old(defaults={"l1": 0.01, "l2": 0.01}),
    "regularizers.l1": Old(renamed={"l": "l1"}),
    "regularizers.l2": Old(renamed={"l": "l2"}),
    "utils.get_source_inputs": Old(ignored=("layer", "node_index")),
    "utils.model_to_dot": Old(defaults={"dpi": 96}, only={"layer_range": (None,)}),
    "utils.plot_model": Old(defaults=_PLOT, only={"layer_range": (None,)}),
    "utils.to_categorical": Old(renamed={"y": "x"}, convert=numpy_categories,
        note="a NumPy array, also of tensors"),
}  # fmt: skip
_BASE = _OPTIMIZER._replace(order="name weight_decay clipnorm clipvalue global_clipnorm use_ema"
    " ema_momentum ema_overwrite_frequency", defaults={"learning_rate": 0.001})  # fmt: skip
_NO_PARTS = {"gradient_aggregator": (None,), "gradient_transformers": (None,)}
CALLS["optimizers.Optimizer"] = _BASE
CALLS["optimizers.legacy.Optimizer"] = _BASE._replace(only=_NO_PARTS)
for _module in ("models", "saving"):
    CALLS[f"{_module}.save_model"] = Old(
        order="model filepath overwrite include_optimizer save_format signatures options",
        ignored=("options", "save_traces"),
        only={"signatures": (None,)},
        note="use `model.export(path)`.",
    )
for _name in ("BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"):
    CALLS[f"metrics.{_name}"] = Old(defaults={"dtype": "float32"})
CALLS["layers.deserialize"] = Old(convert=old_layer_config)
CALLS["optimizers.Lion"] = _OPTIMIZER._replace(defaults={"learning_rate": 1e-4})
_RMSPROP = {"ema_overwrite_frequency": 100}
CALLS["optimizers.RMSprop"] = _OPTIMIZER._replace(defaults=_RMSPROP)
