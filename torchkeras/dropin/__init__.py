"""Make `keras`, `keras_core`, `tf_keras` and `tensorflow` mean torchkeras, for scripts as they are.

An import finder, first on `sys.meta_path`, answers for these names whether or not the packages of
that name are installed. `keras.layers` and its like are the very modules of torchkeras; `keras`
itself is `dropin/keras.py`, which differs from `torchkeras` in one thing: its version is that of
the Keras API, which libraries test. What they import from `keras.src` is found by the table in
`dropin/internals.py`. `tensorflow` is the stand-in `dropin/tensorflow.py`.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from types import ModuleType
from typing import Any

from ..naming import explain
from ..utils.pipelines import show_as
from .beside import as_tf_dataset
from .children import tell_children
from .finder import FINDER, PACKAGES, belongs_to
from .tf.tensors import install_methods, remove_methods

__all__ = [
    "FINDER",
    "install",
    "is_installed",
    "load_ipython_extension",
    "uninstall",
    "unload_ipython_extension",
]

# Modules of the real packages that `install` put aside.
_set_aside: dict[str, ModuleType] = {}


def is_installed() -> bool:
    """Tell whether imports of Keras mean torchkeras now."""
    return FINDER in sys.meta_path


def install(*packages: str) -> None:
    """Make `import keras`, `import tensorflow` and their submodules mean torchkeras from here on.

    Call it before anything imports them. Where real ones were imported already, they are put aside,
    with a warning: objects made with them stay what they are. Processes that are started from here
    on follow (by `PYTHONPATH` and `TORCHKERAS_DROPIN` in the environment).

    Args:
        packages: Of "keras", "keras_core", "tensorflow" and "tf_keras" those to replace, beside
            what earlier calls replaced; all by default. `install("keras")` leaves a real TensorFlow
            in place.

    Raises:
        ValueError: There is no stand-in for a package.

    Example (no doctest, since it changes what the whole process imports):

        import torchkeras
        torchkeras.dropin.install()
        from tensorflow.keras.layers import Dense  # torchkeras.layers.Dense
    """
    unknown = set(packages) - set(PACKAGES)
    if unknown:
        raise ValueError(
            explain(
                f"dropin.install: there is no stand-in for {', '.join(sorted(unknown))}.",
                fix=f"choose from {', '.join(PACKAGES)}.",
            )
        )
    new = set(packages or PACKAGES) - FINDER.packages
    FINDER.packages |= new
    if "tensorflow" in new:
        install_methods()
    show_as(_as_dataset, splits="tensorflow" in FINDER.packages)
    old = FINDER.packages - new
    real = {
        name: sys.modules.pop(name)
        for name in list(sys.modules)
        if belongs_to(name, new) and not belongs_to(name, old)
    }
    _set_aside.update(real)
    if real:
        names = ", ".join(sorted(name for name in real if "." not in name))
        warnings.warn(
            f"{names} had been imported before torchkeras.dropin.install(): code that did so goes "
            "on using it. Call install() first.",
            RuntimeWarning,
            stacklevel=2,
        )
    if not is_installed():
        sys.meta_path.insert(0, FINDER)
    tell_children(FINDER.packages)


def uninstall() -> None:
    """Undo `install`: the names mean the real packages again, where these are installed."""
    if not is_installed():
        return
    sys.meta_path.remove(FINDER)
    remove_methods()
    faces = sys.modules.get(f"{__package__}.keras2.faces")
    if faces is not None:
        faces.forget_faces()
        stand_in = sys.modules.get(f"{__package__}.tensorflow")
        if stand_in is not None:
            vars(stand_in).pop("keras", None)  # set by `import tensorflow.keras`
    show_as(None)
    tape = sys.modules.get(f"{__package__}.tf.tape")
    if tape is not None:
        tape.record_everything()
    for name in list(sys.modules):
        if belongs_to(name, FINDER.packages):
            del sys.modules[name]
    FINDER.packages.clear()
    tell_children(())
    sys.modules.update(_set_aside)
    _set_aside.clear()
    if FINDER.lazy_keras is not None:
        sys.modules["tensorflow"].keras = FINDER.lazy_keras
        FINDER.lazy_keras = None


def load_ipython_extension(shell: Any) -> None:
    """Do what `%load_ext torchkeras` asks for: `install`, in a notebook."""
    install()


def unload_ipython_extension(shell: Any) -> None:
    """Do what `%unload_ext torchkeras` asks for: `uninstall`."""
    uninstall()


def _as_dataset(loader: Any) -> Any:
    """What a loader of `keras.utils` returns to scripts for TensorFlow, stand-in or real."""
    if "tensorflow" in FINDER.packages:
        return importlib.import_module(f"{__package__}.tf.data").from_loader(loader)
    real = sys.modules.get("tensorflow")
    return as_tf_dataset(loader, real) if hasattr(real, "data") else loader
