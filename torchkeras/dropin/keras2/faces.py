"""The modules of the legacy roots: views of ours, with what Keras 2 had beside and instead.

`face("tf_keras", "layers")` is `tf_keras.layers`. A name is looked up in `names.NAMES` first, then
in `torchkeras.layers`; it becomes an alias where `names.CALLS` says that it was called otherwise.
What is set on a face is set on our module, so that `mock.patch` reaches what our code calls.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
from types import ModuleType
from typing import Any

from ...layers import Layer
from ...naming import explain, nearest
from ..finder import FINDER
from . import calls
from .backend import set_learning_phase
from .names import CALLS, MODULES, NAMES, Met, Refused, find
from .objects import install_objects, remove_objects

__all__ = ["VERSION", "Face", "face", "forget_faces", "has_face", "means_keras_2"]

_LIBRARY = __name__.partition(".")[0]
_KERAS = f"{_LIBRARY}.dropin.keras"
# Of the Keras 2 that is followed.
VERSION = "2.21.0"
_FALSE = ("", "0", "false", "no", "off")


def means_keras_2(root: str) -> bool:
    """Whether names under `root` mean what they meant in Keras 2, where Keras 3 changed that."""
    if root == "tf_keras":
        return True
    return os.environ.get("TF_USE_LEGACY_KERAS", "").lower() not in _FALSE


class Face(ModuleType):
    """A module of a legacy root.

    Args:
        root: Such as `tf_keras`; see `finder.LEGACY_ROOTS`.
        path: Of the module below it; the empty string is the root itself.
    """

    def __init__(self, root: str, path: str) -> None:
        super().__init__(f"{root}.{path}".rstrip("."), f"Stand-in for `{root}.{path}`.")
        ours = f"{_LIBRARY}.{MODULES.get(path, path)}" if path else _KERAS
        module = importlib.import_module(ours) if _exists(ours) else None
        self.__dict__.update(
            _root=root, _path=path, _module=module, _keras_2=means_keras_2(root), __path__=[]
        )

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return [n for n in dir(self) if not n.startswith("_")]
        if name == "__version__" and not self._path:
            return VERSION if self._keras_2 else self._module.__version__
        if name.startswith("__"):
            raise AttributeError(name)
        below = f"{self._path}.{name}".lstrip(".")
        entry = NAMES.get(below)
        if isinstance(entry, Refused):
            raise AttributeError(
                explain(f"'{self.__name__}.{name}' is not provided by torchkeras.", fix=entry.fix)
            )
        if isinstance(entry, Met) and (self._keras_2 or not entry.instead):
            found = find(entry)
        elif has_face(below):
            return face(self._root, below)
        else:
            found = self._ours(name)
        if isinstance(found, ModuleType) and found.__name__.startswith(_LIBRARY + "."):
            return face(self._root, below)
        home = MODULES.get(self._path, self._path).partition(".experimental")[0]
        return _as_called(f"{home}.{name}".lstrip("."), found, self._keras_2)

    def _ours(self, name: str) -> Any:
        if self._module is not None:
            try:
                return getattr(self._module, name)
            except AttributeError as error:
                hint = nearest(name, dir(self)) or str(error)
        else:
            hint = nearest(name, dir(self))
        raise AttributeError(
            explain(
                f"'{self.__name__}' has no '{name}' in torchkeras, which stands in for Keras here.",
                fix=hint or f"`dir({self.__name__})` lists what there is.",
            )
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if self._module is None or isinstance(value, Face) or name.startswith("__"):
            super().__setattr__(name, value)
        else:
            setattr(self._module, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self if name in self.__dict__ else self._module, name)

    def __dir__(self) -> list[str]:
        inner = self._path + "." if self._path else ""
        added = {
            path[len(inner) :].partition(".")[0]
            for path, entry in NAMES.items()
            if path.startswith(inner) and not isinstance(entry, Refused)
        }
        module = self._module
        ours = () if module is None else getattr(module, "__all__", None) or dir(module)
        return sorted(added | {name for name in ours if name[:2] != "__"})

    def __repr__(self) -> str:
        return f"<stand-in for {self.__name__}>"


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # what is before the last dot is no package
        return False


def face(root: str, path: str) -> Face:
    """Return the module `path` of `root`, the same each time.

    Objects get what they had in Keras 2, unless nothing is replaced: what is set then would stay.
    """
    found = _face(root, path)
    if FINDER.packages:
        install_objects(found._keras_2)
    return found


@functools.cache
def _face(root: str, path: str) -> Face:
    return Face(root, path)


def forget_faces() -> None:
    """Take away what objects have of Keras 2; all modules are made anew when next imported."""
    remove_objects()
    set_learning_phase(0)
    _face.cache_clear()
    _stand_in.cache_clear()


def has_face(path: str) -> bool:
    """Whether the legacy surface has a module `path`, that is none of Keras 3's."""
    return path in MODULES or any(known.startswith(path + ".") for known in NAMES)


def _as_called(path: str, found: Any, keras_2: bool) -> Any:
    """Return what stands for `found` where it was called otherwise, or `found` itself."""
    if calls.is_alias(found) or not (inspect.isclass(found) or inspect.isroutine(found)):
        return found
    return _stand_in(path, found, keras_2)


@functools.cache
def _stand_in(path: str, found: Any, keras_2: bool) -> Any:
    old = CALLS.get(path)
    is_class = inspect.isclass(found)
    is_layer = is_class and issubclass(found, Layer) and path.startswith("layers.")
    if old is None and not (is_layer and keras_2 and found is not Layer):
        return found
    old = old or calls.Old()
    if not is_class:
        return calls.wrapped(found, old, keras_2)

    def translated(args: Any, kwargs: Any) -> Any:
        args, kwargs = calls.translate(old, found, found.__name__, args, kwargs, keras_2)
        if is_layer:
            kwargs = calls.old_layer_arguments(found, kwargs, keras_2)
        return args, kwargs

    return calls.alias_of(found, translated)
