"""Callbacks: code that runs at certain points of `fit`, `evaluate` and `predict`."""

from .callback import Callback
from .callback_list import CallbackList
from .checkpoint import BackupAndRestore, ModelCheckpoint
from .console import print_msg
from .ema import SwapEMAWeights
from .history import CSVLogger, History, LambdaCallback, RemoteMonitor, TerminateOnNaN
from .logs import LazyLogs
from .monitor import EarlyStopping, MonitorCallback, ReduceLROnPlateau
from .progbar import Progbar, ProgbarLogger
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
    "LazyLogs",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "Progbar",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "print_msg",
]
