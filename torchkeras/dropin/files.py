"""What only Keras's `file_utils` and `saving_lib` have: paths, and checked reading of files.

Keras reaches remote paths (`gs://…`) through TensorFlow; here they are refused with a sentence that
says what to do instead. Folders such as `/gcs/` may be mounted: these are used like all others.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from typing import Any, NoReturn

from ..saving.h5_guard import open_h5
from ..saving.sniff import is_remote_path as is_address
from ..saving.zip_guard import read_member

__all__ = [
    "File",
    "copy",
    "exists",
    "is_remote_path",
    "isdir",
    "join",
    "listdir",
    "makedirs",
    "remove",
    "resolve_path",
    "resolve_sub_path",
    "rmtree",
    "safe_get_h5_dataset",
    "safe_get_h5_group",
]

_ASSETS_DIRNAME = "assets"
_CONFIG_FILENAME = "config.json"
_METADATA_FILENAME = "metadata.json"
_VARS_FNAME = "model.weights"
_VARS_FNAME_H5 = "model.weights.h5"
_VARS_FNAME_NPZ = "model.weights.npz"


# Paths -------------------------------------------------------------------------------------------

_REMOTE = re.compile(r"(/cfs|/cns|/gcs|/hdfs|/readahead|/tfhub|/placer/.*home)/|[a-z]\w*://", re.I)


def is_remote_path(filepath: Any) -> bool:
    """Tell whether Keras takes a path for that of another machine.

    >>> is_remote_path("gs://bucket/m.keras"), is_remote_path("/gcs/m.keras"), is_remote_path("m")
    (True, True, False)
    """
    return _REMOTE.match(os.fspath(filepath)) is not None


def _raise_if_no_gfile(path: Any) -> NoReturn:
    raise ValueError(
        "Handling remote paths requires installing TensorFlow and Keras; here, only local paths are"
        f" read and written. Received path: {path}\nFix: copy the file to a local path, or from"
        " one, with a tool of the storage."
    )


def _local(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of `os` refuse remote paths, which it would take for relative ones."""

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for path in args:
            if isinstance(path, (str, os.PathLike)) and is_address(path):
                _raise_if_no_gfile(path)
        return function(*args, **kwargs)

    return checked


File = _local(open)
copy = _local(shutil.copy)
exists = _local(os.path.exists)
isdir = _local(os.path.isdir)
join = _local(os.path.join)
listdir = _local(os.listdir)
makedirs = _local(os.makedirs)
remove = _local(os.remove)
rmtree = _local(shutil.rmtree)


def resolve_path(path: Any) -> str:
    """Return where a path leads, links followed."""
    return os.path.realpath(path)


def resolve_sub_path(base_dir: str, relative_path: str) -> str | None:
    """Return where a path below a resolved folder leads, or `None` if that is outside of it."""
    path = resolve_path(os.path.join(base_dir, relative_path))
    try:
        return path if os.path.commonpath([path, base_dir]) == base_dir else None
    except ValueError:  # on another drive
        return None


# Checked reading ---------------------------------------------------------------------------------


def _safe_zip_read(archive: zipfile.ZipFile, name: str) -> bytes:
    return read_member(archive, name, archive.filename or "the archive")


def safe_get_h5_group(parent: Any, name: str) -> Any:
    """Return a group of an HDF5 file, reached by hard links alone.

    Raises:
        KeyError: There is none.
        ValueError: It is no group, or a link leads to it.
    """
    with open_h5(parent) as opened:
        group = opened.group(name)
    if group is None:
        raise KeyError(name)
    return group


def safe_get_h5_dataset(group: Any, name: str) -> Any:
    """Return a dataset of an HDF5 file whose values lie in that file.

    Raises:
        KeyError: There is none.
        ValueError: It is no dataset, lies elsewhere, or declares more than the file can hold.
    """
    with open_h5(group) as opened:
        dataset = opened.dataset(group, name)
    if dataset is None:
        raise KeyError(name)
    return dataset
