"""Make `keras`, `tf_keras` and `tensorflow` mean torchkeras, for scripts as they are.

An import finder, first on `sys.meta_path`, answers for these names whether or not the packages of
that name are installed. `keras.layers` and its like are the very modules of torchkeras; `keras`
itself is `dropin/keras.py`, which differs from `torchkeras` in one thing: its version is that of
the Keras API, which libraries test. `tensorflow` is the stand-in `dropin/tensorflow.py`.
"""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

from .finder import FINDER, is_replaced

__all__ = ["install", "is_installed", "uninstall"]

# Modules of the real packages that `install` put aside.
_set_aside: dict[str, ModuleType] = {}


def is_installed() -> bool:
    """Tell whether imports of Keras mean torchkeras now."""
    return FINDER in sys.meta_path


def install() -> None:
    """Make `import keras`, `import tensorflow` and their submodules mean torchkeras from here on.

    Call it before anything imports them. Where real ones were imported already, they are put aside,
    with a warning: objects made with them stay what they are.

    Example (no doctest, since it changes what the whole process imports):

        import torchkeras
        torchkeras.dropin.install()
        from tensorflow.keras.layers import Dense  # torchkeras.layers.Dense
    """
    if is_installed():
        return
    _set_aside.update({name: sys.modules.pop(name) for name in _replaced_modules()})
    if _set_aside:
        names = ", ".join(sorted(name for name in _set_aside if "." not in name))
        warnings.warn(
            f"{names} had been imported before torchkeras.dropin.install(): code that did so goes "
            "on using it. Call install() first.",
            RuntimeWarning,
            stacklevel=2,
        )
    sys.meta_path.insert(0, FINDER)


def uninstall() -> None:
    """Undo `install`: the names mean the real packages again, where these are installed."""
    if not is_installed():
        return
    sys.meta_path.remove(FINDER)
    for name in _replaced_modules():
        del sys.modules[name]
    sys.modules.update(_set_aside)
    _set_aside.clear()


def _replaced_modules() -> list[str]:
    return [name for name in sys.modules if is_replaced(name)]
