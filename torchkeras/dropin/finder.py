"""The import finder behind `install`: which module stands in for which name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Container, Iterator, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from ..naming import explain
from .children.sitecustomize import NO_TENSORFLOW, package_of
from .internals import has_path, view

__all__ = ["FINDER", "PACKAGES", "AliasFinder", "belongs_to"]

# What can be replaced, each by its own.
PACKAGES = ("keras", "keras_core", "tensorflow", "tf_keras")

_LIBRARY = __package__.partition(".")[0]
_KERAS = f"{_LIBRARY}.dropin.keras"
_TENSORFLOW = f"{_LIBRARY}.dropin.tensorflow"
_FACES = f"{_LIBRARY}.dropin.keras2.faces"
# Names of Keras's root package, the longer before the shorter; below them lie its submodules.
_ROOTS = ("keras._tf_keras.keras", "keras_core", "keras")
# Those under which there is what only Keras 2 had, too.
LEGACY_ROOTS = (
    "tensorflow.python.keras",
    "tensorflow.compat.v2.keras",
    "tensorflow.keras",
    "tf_keras",
)
# Packages on the way to a root that hold nothing else.
_CORRIDORS = ("tensorflow.python", "keras._tf_keras")
_ANY_DISTRIBUTION = DistributionFinder.Context()


def belongs_to(name: str, packages: Container[str]) -> bool:
    """Whether the replacement of one of `packages` answers for the module `name`.

    `tensorflow.keras` is Keras's too: beside a real TensorFlow it is what `keras` is.
    """
    if name == NO_TENSORFLOW:
        return "tensorflow" in packages
    package, _, rest = name.partition(".")
    if package == "tensorflow" and rest.partition(".")[0] == "keras" and "keras" in packages:
        return True
    return package in packages


def _legacy(name: str) -> tuple[str, str] | None:
    """Return the legacy root and the path below it that a module is of, or `None`."""
    for root in LEGACY_ROOTS:
        if name == root or name.startswith(root + "."):
            return root, name[len(root) + 1 :]
    return None


def _target(name: str) -> str | None:
    """Name the module that stands in for `name`, or `None` for an empty one."""
    for root in _ROOTS:
        if name == root:
            return _KERAS
        if name.startswith(root + ".") and name not in _CORRIDORS:
            return _LIBRARY + name[len(root) :]
    return _TENSORFLOW if name in ("tensorflow", "tensorflow.compat.v2") else None


class _AliasLoader(Loader):
    """Answers an import with a module that exists under another name, untouched."""

    def __init__(self, target: str) -> None:
        self.target = target

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.target)
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own_spec  # the import system has just set it to the alias's
        if self.target == _TENSORFLOW:
            module.begin()


class _NamespaceLoader(Loader):
    """Answers an import with a namespace of the TensorFlow stand-in."""

    def __init__(self, namespace: ModuleType) -> None:
        self.namespace = namespace

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.namespace

    def exec_module(self, module: ModuleType) -> None:
        pass


class _FaceLoader(Loader):
    """Answers an import with a module of the legacy surface."""

    def __init__(self, root: str, path: str) -> None:
        self.root, self.path = root, path

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(_FACES).face(self.root, self.path)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _EmptyLoader(Loader):
    """Makes an empty package."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        pass


class _SourceLoader(_EmptyLoader):
    """Makes the stand-in for a module of `keras.src`."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return view(spec.name)


class _StandInDistribution(Distribution):
    """What `importlib.metadata` tells of a package that is replaced: its name and version."""

    def __init__(self, package: str) -> None:
        if package == "tf_keras":
            version = importlib.import_module(_FACES).VERSION
        else:
            stand_in = _TENSORFLOW if package == "tensorflow" else _KERAS
            version = importlib.import_module(stand_in).__version__
        lines = {"Metadata-Version": "2.1", "Name": package, "Version": version}
        self._text = "".join(f"{key}: {value}\n" for key, value in lines.items())

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Path:
        return Path(__file__).parent / path


class AliasFinder(DistributionFinder):
    """Finds the stand-ins; an unknown submodule of theirs is an error that names it."""

    def __init__(self) -> None:
        self.packages: set[str] = set()  # those replaced now
        self.lazy_keras: Any = None  # what `keras` was in a real TensorFlow

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer the import system: a spec, or `None` for names that are not ours."""
        if fullname.startswith((_KERAS + ".", _TENSORFLOW + ".")):
            # `from keras import x` for an unknown x comes here; nothing lies below these two files.
            stem = _KERAS if fullname.startswith(_KERAS + ".") else _TENSORFLOW
            raise _missing(stem.rpartition(".")[2] + fullname[len(stem) :])
        if not belongs_to(fullname, self.packages):
            return None
        if fullname == "tensorflow.keras" and "tensorflow" not in self.packages:
            self.lazy_keras = vars(sys.modules["tensorflow"]).get("keras")
        if has_path(fullname):
            return importlib.util.spec_from_loader(fullname, _SourceLoader(), is_package=True)
        legacy = _legacy(fullname)
        if legacy is not None and fullname not in _CORRIDORS:
            return self._find_face(fullname, *legacy)
        stand_in = _target(fullname)
        namespace = _namespace(fullname) if stand_in is None else None
        if namespace is not None:
            loader = _NamespaceLoader(namespace)
            return importlib.util.spec_from_loader(fullname, loader, is_package=True)
        if stand_in is None:
            if fullname not in _CORRIDORS and fullname != NO_TENSORFLOW:
                raise _missing(fullname)
            return importlib.util.spec_from_loader(fullname, _EmptyLoader(), is_package=True)
        if not _exists(stand_in):
            raise _missing(fullname)
        return importlib.util.spec_from_loader(fullname, _AliasLoader(stand_in), is_package=True)

    def _find_face(self, name: str, root: str, path: str) -> ModuleSpec:
        known = importlib.import_module(_FACES).has_face(path)
        if path and not known and not _exists(f"{_LIBRARY}.{path}"):
            raise _missing(name)
        return importlib.util.spec_from_loader(name, _FaceLoader(root, path), is_package=True)

    def find_distributions(
        self, context: DistributionFinder.Context = _ANY_DISTRIBUTION
    ) -> Iterator[Distribution]:
        """Answer `importlib.metadata` for packages that are replaced."""
        for package in self.packages:
            if context.name is None or package == package_of(context.name):
                yield _StandInDistribution(package)


def _namespace(name: str) -> ModuleType | None:
    """The namespace of the TensorFlow stand-in that a name like `tensorflow.data` means."""
    root, *parts = name.split(".")
    if root != "tensorflow" or name in _CORRIDORS:
        return None
    found: Any = importlib.import_module(_TENSORFLOW)
    for part in parts:
        found = getattr(found, part, None)
    return found if isinstance(found, ModuleType) else None


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _missing(name: str) -> ModuleNotFoundError:
    if name.startswith("tensorflow."):
        tensorflow = importlib.import_module(_TENSORFLOW)
        # With its name, `from … import` would put a message of its own in place of ours.
        return ModuleNotFoundError(tensorflow.describe_missing(name))
    message = explain(
        f"'{name}' is not provided by torchkeras yet.",
        fix=f"see `dir({name.rpartition('.')[0]})` for what there is, or call PyTorch directly.",
    )
    return ModuleNotFoundError(message, name=name)


FINDER = AliasFinder()
