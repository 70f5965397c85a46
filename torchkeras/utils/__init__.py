"""`keras.utils`: seeds, labels, sequences, data and the registry, gathered from where they live."""

from ..backend import clear_session, is_keras_tensor, standardize_dtype
from ..callbacks.progbar import Progbar
from ..config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from ..graph.sources import get_source_inputs
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
from . import bounding_boxes, legacy
from .arrays import normalize, pad_sequences, to_categorical
from .config import Config
from .datasets import split_dataset, timeseries_dataset_from_array
from .feature_space import FeatureSpace
from .files import get_file
from .folders import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    text_dataset_from_directory,
)
from .images import array_to_img, img_to_array, load_img, save_img
from .visualize import model_to_dot, plot_model

__all__ = [
    "Config",
    "CustomObjectScope",
    "FeatureSpace",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "bounding_boxes",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "legacy",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

Sequence = PyDataset
