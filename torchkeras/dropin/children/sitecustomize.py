"""Run by Python when it starts in a child of a program in which Keras means torchkeras.

Nothing is loaded before one of the replaced names is asked for, nor where there is no PyTorch: in
another environment they mean what they mean there.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import re
import sys

__all__ = ["FOLDER", "NO_TENSORFLOW", "VARIABLE", "Waiting", "package_of"]

FOLDER = os.path.dirname(os.path.abspath(__file__))
VARIABLE = "TORCHKERAS_DROPIN"
# TensorBoard asks for it before it takes `tensorflow` for the real one; the finder says yes.
NO_TENSORFLOW = "tensorboard.compat.notf"


def package_of(distribution):
    """Return the name of the package that a distribution of some spelling installs; or `""`."""
    return re.sub(r"[-_.]+", "_", distribution or "").lower()


class Waiting:
    """Installs the import finder in its own place when a replaced name is asked for.

    Args:
        packages: The names.
    """

    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        """Answer the import system."""
        package = "tensorflow" if name == NO_TENSORFLOW else name.partition(".")[0]
        finder = self.install() if package in self.packages else None
        return None if finder is None else finder.find_spec(name, path, target)

    def find_distributions(self, context):
        """Answer `importlib.metadata`."""
        finder = self.install() if package_of(context.name) in self.packages else None
        return () if finder is None else finder.find_distributions(context)

    def install(self):
        """Return the import finder; `None` where there is no PyTorch."""
        if self in sys.meta_path:  # no other thread was faster
            sys.meta_path.remove(self)
        if importlib.util.find_spec("torch") is None:
            return None
        library = FOLDER
        for _ in range(3):  # .../torchkeras/dropin/children
            library, name = os.path.split(library)
        if importlib.util.find_spec(name) is None:  # found by a path that the child does not have
            sys.path.append(library)
        dropin = importlib.import_module(f"{name}.dropin")
        dropin.install(*self.packages)
        return dropin.FINDER


def _run_hidden():
    """Run the `sitecustomize` that would have been found if this one were not there."""
    paths = [path for path in sys.path if os.path.abspath(path) != FOLDER]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", paths)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if __name__ == "sitecustomize":
    if os.environ.get(VARIABLE):
        sys.meta_path.insert(0, Waiting(os.environ[VARIABLE].split(os.pathsep)))
    _run_hidden()
