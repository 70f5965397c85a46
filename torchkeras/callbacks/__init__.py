"""Callbacks: code that runs at certain points of `fit`, `evaluate` and `predict`."""

from .callback import Callback
from .callback_list import CallbackList
from .checkpoint import BackupAndRestore, ModelCheckpoint
from .ema import SwapEMAWeights
from .history import CSVLogger, History, LambdaCallback, RemoteMonitor, TerminateOnNaN
from .monitor import EarlyStopping, ReduceLROnPlateau
from .orbax import OrbaxCheckpoint
from .progbar import ProgbarLogger
from .schedule import LearningRateScheduler
from .tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "OrbaxCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
