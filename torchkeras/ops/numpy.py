"""`keras.ops.numpy`: functions that NumPy has too, from the files that hold them."""

from . import (
    arithmetic,
    creation,
    elementwise,
    indexing,
    padding,
    products,
    reductions,
    shaping,
    statistics,
)
from .arithmetic import *  # noqa: F403
from .core import ndim, size, vectorize
from .creation import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .indexing import *  # noqa: F403
from .padding import *  # noqa: F403
from .products import *  # noqa: F403
from .reductions import *  # noqa: F403
from .shaping import *  # noqa: F403
from .statistics import *  # noqa: F403

# What `keras.ops` has, but `keras.ops.numpy` has not.
_ELSEWHERE = {
    "erf",
    "erfc",
    "erfinv",
    "rsqrt",
    "scatter",
    "scatter_update",
    "slice",
    "slice_update",
    "unstack",
}
_FILES = (
    arithmetic,
    creation,
    elementwise,
    indexing,
    padding,
    products,
    reductions,
    shaping,
    statistics,
)

__all__ = sorted({name for file in _FILES for name in file.__all__} - _ELSEWHERE)
__all__ += ["ndim", "size", "vectorize"]
