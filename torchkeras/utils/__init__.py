"""`keras.utils`: seeds, labels, sequences, data and the registry, gathered from where they live."""

from ..backend import clear_session, is_keras_tensor, standardize_dtype
from ..callbacks.progbar import Progbar
from ..config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from ..random import set_seed as set_random_seed
from ..registry import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from ..training.data import PyDataset, pack_x_y_sample_weight, unpack_x_y_sample_weight
from .arrays import normalize, pad_sequences, to_categorical

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "standardize_dtype",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

Sequence = PyDataset

# What to do about Keras's names that are not here yet.
_LATER = {
    "Config": "use a dict or `types.SimpleNamespace`",
    "FeatureSpace": "use `layers.Normalization`, `layers.Embedding` and the functional API",
    "array_to_img": "use `PIL.Image.fromarray`",
    "audio_dataset_from_directory": "use a torch `Dataset` and `DataLoader`",
    "bounding_boxes": "use torchvision's `tv_tensors.BoundingBoxes`",
    "get_file": "fetch the file yourself and pass its path",
    "get_source_inputs": "read `model.inputs`",
    "image_dataset_from_directory": "use torchvision's `ImageFolder` and a `DataLoader`",
    "img_to_array": "use `numpy.asarray`",
    "load_img": "use `PIL.Image.open`",
    "model_to_dot": "print `model.summary()`",
    "plot_model": "print `model.summary()`",
    "save_img": "use `PIL.Image.Image.save`",
    "split_dataset": "use `torch.utils.data.random_split`, or `validation_split=` in fit",
    "text_dataset_from_directory": "use a torch `Dataset` and `DataLoader`",
    "timeseries_dataset_from_array": "use a `keras.utils.PyDataset`",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        raise AttributeError(
            f"torchkeras does not provide `keras.utils.{name}` yet: {_LATER[name]}."
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
