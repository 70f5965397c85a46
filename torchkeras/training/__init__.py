"""Training: the `Trainer` that models inherit, its steps and epochs, and the data adapters."""

from .trainer import Trainer

__all__ = ["Trainer"]
