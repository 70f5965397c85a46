"""What `import keras` gives once `dropin` is installed: torchkeras with the version of Keras's API.

Libraries read `keras.__version__` to choose their Keras 3 code path, so it is the release whose
behaviour torchkeras follows; `torchkeras.__version__` stays torchkeras's own.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

_torchkeras = importlib.import_module(__package__.partition(".")[0])

__all__ = _torchkeras.__all__

__version__ = "3.15.1"
__path__: list[str] = []  # a package for the import system; `dropin.finder` answers below it


# `import keras` makes NumPy know the dtype names "bfloat16" and "float8_e4m3fn"; scripts use them.
with contextlib.suppress(ImportError):
    importlib.import_module("ml_dtypes")


def version() -> str:
    """Return the version of the Keras API that is followed.

    >>> version()
    '3.15.1'
    """
    return __version__


def __getattr__(name: str) -> Any:
    return getattr(_torchkeras, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
