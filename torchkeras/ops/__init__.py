"""Ops: one plain torch function each, eager, symbolic and serializable by `@op`."""

from . import arithmetic, elementwise, nn, operators
from .elementwise import *  # noqa: F403
from .arithmetic import *  # noqa: F403
from .elementwise import exp, log, sqrt, tanh
from .nn import relu, sigmoid

__all__ = ["elementwise", "exp", "log", "nn", "operators", "relu", "sigmoid", "sqrt", "tanh"]
