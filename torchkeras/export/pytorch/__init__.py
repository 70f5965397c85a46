"""Plain PyTorch: a model as a module of `torch.nn`, or as the source of one with its weights.

Both come from one translation: `translate.py` walks the graph, the other files write its layers.
"""

from .module import export_pytorch, to_torch
from .weights import load_torch_weights

__all__ = ["export_pytorch", "load_torch_weights", "to_torch"]
