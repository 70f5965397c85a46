"""The names that libraries such as scikeras import from Keras's `saving_lib` to pickle models."""

from .api import load_model, save_model

__all__ = ["load_model", "save_model"]
