"""Models: functional, sequential and subclassed."""

from ..saving import load_model, save_model
from .cloning import clone_model
from .functional import Functional
from .model import Model, model_from_json
from .sequential import Sequential
from .torch_model import TorchModel

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "TorchModel",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]
