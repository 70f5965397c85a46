"""`keras.legacy`: what Keras 3 keeps of Keras 2 for libraries."""

from . import saving

__all__ = ["saving"]
