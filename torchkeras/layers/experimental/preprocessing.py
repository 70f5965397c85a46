"""`tf.keras.layers.experimental.preprocessing`: the preprocessing layers under their old path."""

from ..augmentation_color import RandomContrast
from ..augmentation_geometric import RandomFlip, RandomRotation, RandomTranslation, RandomZoom
from ..augmentation_size import CenterCrop, RandomCrop, Resizing
from ..data_layer import DataLayer as PreprocessingLayer
from ..encoding import CategoryEncoding, Discretization
from ..hashing import HashedCrossing, Hashing
from ..legacy import RandomHeight, RandomWidth
from ..lookup import IntegerLookup, StringLookup
from ..preprocessing import Normalization, Rescaling
from ..text_vectorization import TextVectorization

__all__ = [
    "CategoryEncoding",
    "CenterCrop",
    "Discretization",
    "HashedCrossing",
    "Hashing",
    "IntegerLookup",
    "Normalization",
    "PreprocessingLayer",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomHeight",
    "RandomRotation",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
    "Rescaling",
    "Resizing",
    "StringLookup",
    "TextVectorization",
]
