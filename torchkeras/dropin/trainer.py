"""The trainer under the name of Keras's torch backend."""

from ..training.trainer import Trainer as TorchTrainer

__all__ = ["TorchTrainer"]
