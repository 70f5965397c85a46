"""`keras.ops.image`: functions of images, from the files that hold them."""

from . import image_color, image_filter, image_size, image_warp
from .image_color import *  # noqa: F403
from .image_filter import *  # noqa: F403
from .image_size import *  # noqa: F403
from .image_warp import *  # noqa: F403

# What the layers need, but `keras.ops.image` has not.
_INSIDE = {"blur", "compute_homography_matrix", "sample"}
_FILES = (image_color, image_filter, image_size, image_warp)

__all__ = sorted({name for file in _FILES for name in file.__all__} - _INSIDE)
