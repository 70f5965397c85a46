"""`keras.ops.nn`: functions of neural networks, from the files that hold them."""

from . import activation, convolution, ctc, normalization
from .activation import *  # noqa: F403
from .convolution import *  # noqa: F403
from .ctc import *  # noqa: F403
from .normalization import *  # noqa: F403

__all__ = sorted([*activation.__all__, *convolution.__all__, *ctc.__all__, *normalization.__all__])
