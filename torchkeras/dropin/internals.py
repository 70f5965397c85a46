"""The inside of Keras, `keras.src…`, by the paths under which libraries and its tests import it.

Keras keeps a class per file, torchkeras a topic per file, so several paths there lead to one module
here. `_FOLDERS` is the table; `view(path)` gives the module that stands in for a path. It holds
nothing of its own: names are looked up in our modules, and set there, so that patching
`keras.src.utils.io_utils.print_msg` patches what torchkeras calls.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from ..graph.operation import OPERATIONS
from ..naming import explain, nearest
from . import sources

__all__ = ["KerasSource", "has_path", "view"]

_LIBRARY = __package__.partition(".")[0]
_ROOT = "keras.src"

# Folder of keras.src -> {our modules, searched in this order: files of that folder they serve}.
# The folder itself is searched for in all of its modules. A name that is not found there is looked
# up in the package of the first part of the path (`keras.src.layers.rnn.gru` -> `layers`).
_FOLDERS: dict[str, dict[str, str]] = {
    "": {"dropin.keras": "version", "": "", "dropin.api_export": "api_export"},
    "activations": {"activations": "activations"},
    "applications": {
        "applications": "",
        "applications.convnext": "convnext",
        "applications.densenet": "densenet",
        "applications.efficientnet": "efficientnet",
        "applications.efficientnet_v2": "efficientnet_v2",
        "applications.imagenet_utils": "imagenet_utils",
        "applications.inception_resnet_v2": "inception_resnet_v2",
        "applications.inception_v3": "inception_v3",
        "applications.mobilenet": "mobilenet",
        "applications.mobilenet_v2": "mobilenet_v2",
        "applications.mobilenet_v3": "mobilenet_v3",
        "applications.nasnet": "nasnet",
        "applications.resnet": "resnet",
        "applications.resnet_v2": "resnet_v2",
        "applications.vgg16": "vgg16",
        "applications.vgg19": "vgg19",
        "applications.xception": "xception",
    },
    "backend": {
        "backend config dropin.engine dtypes variables graph.keras_tensor graph.infer"
        " graph.context graph.scopes graph.remat graph.masks naming ops.core ops.numpy ops": "",
        "config": "config",
        "dropin.engine ops.core ops dtypes variables graph.remat": "core",
        "ops.image": "image",
        "ops.linalg": "linalg",
        "ops.math": "math",
        "ops.nn": "nn",
        "ops.numpy": "numpy",
        "random": "random",
        "distribution": "distribution_lib",
    },
    "backend.common": {
        "backend dtypes variables graph.keras_tensor naming": "",
        "dropin.padding dropin.shapes ops.windows dropin.parts": "backend_utils",
        "dtypes dropin.engine dropin.parts": "dtypes",
        "graph.context config backend": "global_state",
        "graph.keras_tensor graph.infer": "keras_tensor",
        "graph.masks": "masking tensor_attributes",
        "naming": "name_scope",
        "graph.remat": "remat",
        "graph.scopes": "stateless_scope symbolic_scope",
        "variables dtypes dropin.engine naming graph.context": "variables",
    },
    "backend.torch": {
        "dropin.engine ops.core ops.numpy ops.nn ops.math ops dtypes variables config graph.remat"
        " graph.infer": "core",
        "ops.image": "image",
        "ops.linalg": "linalg",
        "ops.math": "math",
        "ops.nn": "nn",
        "ops.numpy": "numpy",
        "random": "random",
        "layers.layer": "layer",
        "dropin.trainer": "trainer",
        "legacy.loops": "rnn",
        "layers.torch_module_wrapper export.program": "export",
    },
    "backend.torch.optimizers": {
        "optimizers.adagrad": "torch_adadelta torch_adagrad",
        "optimizers.adam": "torch_adam torch_adamw",
        "optimizers.adam_variants": "torch_adamax torch_nadam",
        "optimizers.lion": "torch_lion",
        "optimizers.rmsprop": "torch_rmsprop",
        "optimizers.sgd": "torch_sgd",
        "optimizers.torch_optimizer": "torch_optimizer torch_parallel_optimizer",
    },
    "callbacks": {
        "callbacks.callback": "callback",
        "callbacks.callback_list": "callback_list",
        "callbacks.checkpoint": "backup_and_restore model_checkpoint",
        "callbacks.ema": "swap_ema_weights",
        "callbacks.history": "csv_logger history lambda_callback remote_monitor terminate_on_nan",
        "callbacks.monitor": "early_stopping monitor_callback reduce_lr_on_plateau",
        "callbacks.progbar": "progbar_logger",
        "callbacks.schedule": "learning_rate_scheduler",
        "callbacks.tensorboard": "tensorboard",
        "callbacks": "orbax_checkpoint",
    },
    "constraints": {"constraints": "constraints"},
    "datasets": {
        "datasets.boston_housing": "boston_housing",
        "datasets.california_housing": "california_housing",
        "datasets.cifar10": "cifar10",
        "datasets.cifar100": "cifar100",
        "datasets.fashion_mnist": "fashion_mnist",
        "datasets.imdb": "imdb",
        "datasets.mnist": "mnist",
        "datasets.reuters": "reuters",
        "datasets.storage": "cifar npz_utils",
    },
    "distillation": {
        "distillation.losses dropin.parts": "distillation_loss",
        "distillation.distiller": "distiller",
    },
    "distribution": {"distribution.strategy distribution dropin.parts": "distribution_lib"},
    "dtype_policies": {"dtype_policies": "dtype_policy dtype_policy_map"},
    "export": {
        "export export.formats": "",
        "export.archive dropin.parts": "saved_model",
        "export.onnx": "onnx",
        "export.program": "torch",
        "export.signature dropin.parts": "export_utils",
        "layers.foreign": "tfsm_layer",
    },
    "initializers": {
        "initializers": "constant_initializers initializer random_initializers",
    },
    "layers": {
        "layers.input_spec": "input_spec",
        "dropin.parts layers.layer": "layer",
        "layers.index_lookup": "",
    },
    "layers.activations": {"layers.activation": "activation elu leaky_relu prelu relu softmax"},
    "layers.attention": {
        "layers.attention": "grouped_query_attention multi_head_attention",
        "layers.dot_attention": "additive_attention attention",
    },
    "layers.convolutional": {
        "layers.convolutional": "base_conv conv1d conv2d conv3d",
        "layers.transposed": "base_conv_transpose conv1d_transpose conv2d_transpose"
        " conv3d_transpose",
        "layers.depthwise": "base_depthwise_conv base_separable_conv depthwise_conv1d"
        " depthwise_conv2d separable_conv1d separable_conv2d",
    },
    "layers.core": {
        "layers.core": "dense einsum_dense identity lambda_layer",
        "layers.embedding": "embedding reversible_embedding",
        "layers.input_layer": "input_layer",
        "layers.masking": "masking",
        "layers.wrapper": "wrapper",
    },
    "layers.merging": {
        "layers.merging": "add average base_merge concatenate dot maximum minimum multiply subtract"
    },
    "layers.normalization": {
        "layers.normalization layers.batch_normalization"
        " layers.spectral_normalization": "batch_normalization group_normalization"
        " layer_normalization rms_normalization spectral_normalization unit_normalization"
    },
    "layers.pooling": {
        "layers.pooling": "adaptive_average_pooling1d adaptive_average_pooling2d"
        " adaptive_average_pooling3d adaptive_max_pooling1d adaptive_max_pooling2d"
        " adaptive_max_pooling3d average_pooling1d average_pooling2d average_pooling3d"
        " base_adaptive_pooling base_global_pooling base_pooling global_average_pooling1d"
        " global_average_pooling2d global_average_pooling3d global_max_pooling1d"
        " global_max_pooling2d global_max_pooling3d max_pooling1d max_pooling2d max_pooling3d"
    },
    "layers.preprocessing": {
        "layers.data_layer": "data_layer",
        "layers.encoding": "category_encoding discretization",
        "layers.hashing": "hashed_crossing hashing",
        "layers.index_lookup dropin.parts": "index_lookup",
        "layers.lookup": "integer_lookup string_lookup",
        "layers.augmentation_policies": "pipeline",
        "layers.preprocessing": "normalization rescaling",
        "layers.spectrogram": "mel_spectrogram stft_spectrogram",
        "layers.text_vectorization": "text_vectorization",
        "utils.feature_space": "feature_space",
    },
    "layers.preprocessing.image_preprocessing": {
        "layers.augmentation dropin.parts": "base_image_preprocessing_layer",
        "layers.augmentation_color": "random_brightness random_color_degeneration"
        " random_color_jitter random_contrast random_gaussian_blur random_grayscale random_hue"
        " random_invert random_posterization random_saturation random_sharpness solarization",
        "layers.augmentation_geometric dropin.parts": "random_elastic_transform random_flip"
        " random_perspective random_rotation random_shear random_translation random_zoom",
        "layers.augmentation_histogram": "auto_contrast clahe equalization",
        "layers.augmentation_mixing": "cut_mix max_num_bounding_box mix_up random_erasing",
        "layers.augmentation_policies": "aug_mix rand_augment",
        "layers.augmentation_size": "center_crop random_crop resizing",
    },
    "layers.preprocessing.image_preprocessing.bounding_boxes": {
        "layers.bounding_boxes dropin.parts": "bounding_box converters formats iou validation",
    },
    "layers.regularization": {
        "layers.regularization": "activity_regularization alpha_dropout dropout gaussian_dropout"
        " gaussian_noise spatial_dropout"
    },
    "layers.reshaping": {
        "layers.reshaping": "cropping1d cropping2d cropping3d flatten permute repeat_vector reshape"
        " up_sampling1d up_sampling2d up_sampling3d zero_padding1d zero_padding2d zero_padding3d"
    },
    "layers.rnn": {
        "layers.rnn": "rnn stacked_rnn_cells",
        "layers.bidirectional": "bidirectional",
        "layers.conv_lstm": "conv_lstm conv_lstm1d conv_lstm2d conv_lstm3d",
        "layers.wrapper": "time_distributed",
        "layers.recurrent layers.recurrent_cells": "gru lstm simple_rnn dropout_rnn_cell",
    },
    "legacy": {
        "layers.legacy layers.regularization": "layers",
        "legacy.backend legacy.loops legacy.losses ops initializers naming dropin.parts": "backend",
        "losses": "losses",
    },
    "legacy.preprocessing": {
        "preprocessing.image preprocessing.transforms": "image",
        "preprocessing.sequence": "sequence",
        "preprocessing.text": "text",
    },
    "legacy.saving": {
        "dropin.legacy saving.legacy_h5": "legacy_h5_format",
        "dropin.legacy": "json_utils",
        "saving.legacy_config": "saving_utils",
        "legacy.saving": "serialization",
    },
    "losses": {"losses.loss": "loss", "losses": "losses"},
    "metrics": {
        "metrics.accuracy": "accuracy_metrics",
        "metrics.confusion metrics.auc": "confusion_metrics metrics_utils",
        "metrics.f_score": "f_score_metrics",
        "metrics.iou": "iou_metrics",
        "metrics.metric": "metric",
        "metrics.probabilistic": "hinge_metrics probabilistic_metrics",
        "metrics.reduction": "reduction_metrics",
        "metrics.regression": "correlation_metrics regression_metrics",
    },
    "models": {
        "models.cloning": "cloning",
        "models.functional": "functional",
        "models.model": "model",
        "models.sequential": "sequential",
    },
    "ops": {
        "ops graph.keras_tensor graph.operation": "",
        "ops.core dropin.parts": "core",
        "ops.einops": "einops",
        "ops.image": "image",
        "ops.linalg": "linalg",
        "ops.math": "math",
        "ops.nn": "nn",
        "ops.numpy dropin.shapes": "numpy",
        "random": "random",
        "graph.arguments": "symbolic_arguments",
        "graph.function": "function",
        "graph.operation graph.keras_tensor": "node operation",
        "dropin.shapes graph.sources": "operation_utils",
    },
    "optimizers": {
        "optimizers.adam": "adam adamw",
        "optimizers.loss_scale": "loss_scale_optimizer",
        "dropin.parts optimizers.optimizer optimizers.clipping": "base_optimizer optimizer",
        "optimizers.rmsprop": "rmsprop",
        "optimizers.sgd": "sgd",
        "optimizers": "adadelta adafactor adagrad adamax ftrl lamb lion multi_optimizer muon nadam"
        " schedule_free_adamw",
    },
    "optimizers.schedules": {"optimizers.schedules": "learning_rate_schedule"},
    "quantizers": {
        "quantizers": "",
        "quantizers.quantizer quantizers.affine quantizers.int4 quantizers.float8"
        " quantizers.fake_quant quantizers.gptq": "quantizers",
        "quantizers.config dropin.parts": "quantization_config gptq_config awq_config utils",
        "quantizers.gptq": "gptq",
        "quantizers.awq": "awq",
        "quantizers.calibration": "gptq_core awq_core",
    },
    "random": {"random": "random seed_generator"},
    "regularizers": {"regularizers": "regularizers"},
    "saving": {
        "saving registry": "object_registration serialization_lib",
        "saving.api": "saving_api",
        "saving.file_editor": "file_editor",
        "saving.saving_lib saving.budget saving.zip_guard saving.h5_guard"
        " dropin.files": "saving_lib",
        "saving.walk dropin.parts": "keras_saveable",
    },
    "testing": {"dropin.testing": "test_case test_utils"},
    "trainers": {
        "training.outputs": "compile_utils",
        "dropin.trainer": "epoch_iterator",
        "training.trainer": "trainer",
    },
    "trainers.data_adapters": {
        "training.data training.data.selection dropin.data": "",
        "training.data.arrays": "array_data_adapter array_slicing",
        "training.data.adapter": "data_adapter",
        "training.data.adapter training.data.streams dropin.data": "data_adapter_utils",
        "training.data.py_dataset": "py_dataset_adapter",
        "training.data.streams dropin.data": "generator_data_adapter grain_dataset_adapter"
        " torch_data_loader_adapter",
        "training.data.streams dropin.helpers": "tf_dataset_adapter",
    },
    "tree": {"tree": "dmtree_impl optree_impl torchtree_impl tree_api"},
    "utils": {
        "utils.arrays dropin.helpers": "numerical_utils sequence_utils",
        "dropin.engine layers.data_layer backend": "backend_utils",
        "dropin.helpers backend dropin.parts": "dtype_utils",
        "callbacks.console config saving.api dropin.helpers": "io_utils",
        "callbacks.progbar": "progbar",
        "config": "traceback_utils",
        "naming": "naming",
        "random dropin.parts": "rng_utils",
        "models.summary dropin.data": "summary_utils",
        "layers.tracking": "tracking",
        "layers.torch_module_wrapper": "torch_utils",
        "dropin.optional": "module_utils",
        "utils.config": "config",
        "utils.datasets dropin.data": "dataset_utils timeseries_dataset_utils",
        "dropin.files utils.files utils.hashes utils.archives": "file_utils",
        "utils.images": "image_utils",
        "utils.visualize": "model_visualization",
        "layers.foreign": "jax_layer",
        "utils.folders": "audio_dataset_utils image_dataset_utils text_dataset_utils",
        "ops.windows config dropin.helpers": "argument_validation",
        "dropin.helpers": "code_stats python_utils",
        "utils": "jax_utils tf_utils",
    },
    "visualization": {
        "visualization.drawing": "draw_bounding_boxes draw_segmentation_masks",
        "visualization.galleries": "plot_bounding_box_gallery plot_image_gallery"
        " plot_segmentation_mask_gallery",
    },
    "wrappers": {"wrappers": "sklearn_wrapper"},
}


def _rows() -> Iterator[tuple[str, list[str]]]:
    """Yield each path below `keras.src` with the modules of torchkeras that hold its names."""
    for folder, parts in _FOLDERS.items():
        top = folder.partition(".")[0]
        every = [module for modules in parts for module in modules.split()]
        yield folder, list(dict.fromkeys([*every, top]))
        for modules, files in parts.items():
            for file in files.split():
                yield f"{folder}.{file}".lstrip("."), list(dict.fromkeys([*modules.split(), top]))


_PATHS = dict(_rows())
_OPERATION_FILES = ("numpy.", "nn.", "core.", "math.", "linalg.", "image.")


class KerasSource(ModuleType):
    """A module of `keras.src` by its path there; its names are those of modules of ours.

    Args:
        path: Below `keras.src`, as `"layers.core.dense"`; the empty string is `keras.src` itself.
    """

    def __init__(self, path: str) -> None:
        super().__init__(f"{_ROOT}.{path}".rstrip("."), f"Stand-in for `{_ROOT}.{path}` of Keras.")
        # What was set through this view, with the module that holds it and what it was before.
        patched: dict[str, tuple[ModuleType, Any]] = {}
        self.__dict__.update(_path=path, _patched=patched, __path__=[])

    def _modules(self) -> Iterator[ModuleType]:
        for name in _PATHS.get(self._path, ()):
            try:
                yield importlib.import_module(f"{_LIBRARY}.{name}".rstrip("."))
            except ModuleNotFoundError as error:  # a part of Keras that is not built yet
                if not (error.name or "").startswith(_LIBRARY):
                    raise

    def _owner(self, name: str) -> ModuleType | None:
        return next((module for module in self._modules() if hasattr(module, name)), None)

    def _operation(self, name: str) -> type | None:
        """Find the class of an op; `keras.src.ops` has those of all its parts."""
        parts = _OPERATION_FILES if self._path == "ops" else ("",)
        names = (f"{self.__name__}.{part}{name}" for part in parts)
        return next((OPERATIONS[name] for name in names if name in OPERATIONS), None)

    def __getattr__(self, name: str) -> Any:
        below = f"{self._path}.{name}".lstrip(".")
        if _is_path(below):  # before a function of the same name, as in Keras
            return importlib.import_module(f"{_ROOT}.{below}")
        operation = self._operation(name)
        if operation is not None:  # before what our modules import, such as `typing.Any`
            return operation
        if name == "__all__":
            return sources.public_names(self._path)
        known = name in sources.names(self._path)
        owner = self._owner(name) if known or not _is_special(name) else None
        if owner is not None:
            return getattr(owner, name)
        if known:
            return sources.find(self._path, name)
        if _is_special(name):
            raise AttributeError(name)
        raise AttributeError(
            explain(
                f"'{self.__name__}' has no '{name}' in torchkeras, which stands in for Keras here.",
                fix=nearest(name, dir(self)) or "use the public API of `keras`.",
            )
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, KerasSource) or name.startswith("__"):
            super().__setattr__(name, value)  # by the import system
            return
        owner = self._owner(name)
        if owner is None:
            super().__setattr__(name, value)
        else:
            self._patched.setdefault(name, (owner, getattr(owner, name)))
            setattr(owner, name, value)

    def __delattr__(self, name: str) -> None:
        """Undo what was set through this view, as `mock.patch` does at its end."""
        if name in self._patched:
            owner, value = self._patched.pop(name)
            setattr(owner, name, value)
        else:
            super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {name for module in self._modules() for name in dir(module)}
        names = {name for name in names if not name.startswith("__") or name == "__all__"}
        prefix = self.__name__ + "."
        operations = {path.removeprefix(prefix) for path in OPERATIONS if path.startswith(prefix)}
        below = {p.rpartition(".")[2] for p in _PATHS if _parent(p) == self._path}
        names |= sources.names(self._path)
        return sorted(names | below | {name for name in operations if "." not in name})


def _parent(path: str) -> str | None:
    return path.rpartition(".")[0] if path else None


def _is_path(path: str) -> bool:
    return path in _PATHS or sources.has_module(path)


def _is_special(name: str) -> bool:
    """Whether Python itself asks for a name: `__wrapped__`, `__path__`."""
    return name.startswith("__") and name.endswith("__")


def has_path(name: str) -> bool:
    """Tell whether `name`, as `keras.src.layers.core.dense`, is a module of Keras known here."""
    return name == _ROOT or (name.startswith(_ROOT + ".") and _is_path(name[len(_ROOT) + 1 :]))


def view(name: str) -> KerasSource:
    """Make the stand-in for the module `name` of Keras's source."""
    return KerasSource(name[len(_ROOT) + 1 :])
