"""Child processes follow: in what a program starts, Keras means what it means in the program.

Workers of `multiprocessing`, joblib and pytest, and scripts started by `subprocess`, are new
Pythons that know nothing of the import finder. Python runs a `sitecustomize` that it finds when it
starts; the one in this folder, which goes to the front of `PYTHONPATH`, installs the finder there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from .sitecustomize import FOLDER, VARIABLE

__all__ = ["tell_children"]


def tell_children(packages: Iterable[str]) -> None:
    """Say in the environment which packages are replaced; none ends it."""
    names = sorted(packages)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [*([FOLDER] if names else []), *(path for path in paths if path not in ("", FOLDER))]
    for variable, values in ((VARIABLE, names), ("PYTHONPATH", paths)):
        if values:
            os.environ[variable] = os.pathsep.join(values)
        else:
            os.environ.pop(variable, None)
