"""The names that libraries import from Keras's `saving_lib`, under those they have there."""

from .api import load_model, load_weights, save_model, save_weights
from .stores import DiskIOStore, H5IOStore, NpzIOStore, ShardedH5IOStore

__all__ = [
    "DiskIOStore",
    "H5IOStore",
    "NpzIOStore",
    "ShardedH5IOStore",
    "load_model",
    "load_weights_only",
    "save_model",
    "save_weights_only",
]

load_weights_only = load_weights
save_weights_only = save_weights
