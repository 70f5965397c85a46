"""`keras.distribution`: devices in meshes, layouts of tensors on them, and ways to distribute."""

from .checkpoints import load_checkpoint, save_checkpoint
from .layout import DeviceMesh, LayoutMap, TensorLayout, get_device_count, list_devices
from .strategy import (
    DataParallel,
    FullyShardedDataParallel,
    ModelParallel,
    distribute_tensor,
    distribution,
    initialize,
    set_distribution,
)

__all__ = [
    "DataParallel",
    "DeviceMesh",
    "FullyShardedDataParallel",
    "LayoutMap",
    "ModelParallel",
    "TensorLayout",
    "distribute_tensor",
    "distribution",
    "get_device_count",
    "initialize",
    "list_devices",
    "load_checkpoint",
    "save_checkpoint",
    "set_distribution",
]
