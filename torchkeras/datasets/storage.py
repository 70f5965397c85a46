"""Where the data sets come from, and how their files are read without running what is in them.

Four formats: `.npz`, gzipped IDX (as MNIST's), Python pickles of arrays (CIFAR), JSON. Where a
format holds pickles, `RestrictedUnpickler` makes arrays of numbers and Python's own containers, and
refuses everything else. Keras gives a hash for all files but Fashion-MNIST's; others are not taken.
Sources: `keras.datasets` (URLs, hashes, names in the cache); LeCun's MNIST page (IDX).
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import zipfile
from typing import IO, Any

import numpy as np

from ..config import image_data_format
from ..naming import explain
from ..utils.files import get_file

__all__ = [
    "ORIGIN",
    "Arrays",
    "RestrictedUnpickler",
    "Split",
    "check_split",
    "fetch",
    "load_batch",
    "load_idx",
    "load_json",
    "load_npz",
    "shuffled",
    "split_off",
    "to_images",
]

Arrays = tuple[np.ndarray, np.ndarray]
Split = tuple[Arrays, Arrays]  # (x_train, y_train), (x_test, y_test)

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"

# What a pickled array consists of. NumPy's private function has another path in each major version.
_RECONSTRUCT = np.empty(0, dtype=object).__reduce__()[0]
_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
}
_IDX_BYTES = 0x08  # the code of unsigned bytes in the header of an IDX file


def fetch(name: str, file_hash: str | None = None, fname: Any = None, **kwargs: Any) -> str:
    """Download a file of `ORIGIN` unless it is in the cache, and return its path.

    Args:
        name: Its name there.
        file_hash: The SHA-256 or MD5 it must have.
        fname: Its name in the cache, by default `name`.
        kwargs: Further arguments of `get_file`.
    """
    return get_file(fname or name, origin=ORIGIN + name, file_hash=file_hash, **kwargs)


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickle arrays, numbers, strings, lists, tuples and dicts; refuse all else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise pickle.UnpicklingError(
            explain(
                f"Refusing to load `{module}.{name}` out of a data set, which holds arrays only.",
                fix="the file is damaged or made to do harm: delete it, and download it again.",
            )
        )


def load_npz(path: Any) -> dict[str, np.ndarray]:
    """Read all arrays of an `.npz` file; arrays of objects through `RestrictedUnpickler`.

    Args:
        path: Of the file.

    Returns: The arrays by their names.

    Raises:
        pickle.UnpicklingError: An array holds something else than data.

    Example:
        >>> import tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "words.npz")
        >>> np.savez(path, x=np.array([[1, 2], [3]], dtype=object))
        >>> load_npz(path)["x"].tolist()
        [[1, 2], [3]]
    """
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        return {
            name.removesuffix(".npy"): _read_array(io.BytesIO(archive.read(name))) for name in names
        }


def _read_array(file: IO[bytes]) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    if version[0] not in (1, 2, 3):
        raise ValueError(f"Unknown version {version} of the .npy format; known are 1, 2 and 3.")
    # Version 3 differs from 2 in the text encoding of the header alone, and in no file of ours.
    versions = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    dtype = versions[min(version[0], 2)](file)[2]
    if dtype.hasobject:
        return RestrictedUnpickler(file).load()
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def load_batch(fpath: Any, label_key: str = "labels") -> tuple[np.ndarray, Any]:
    """Read a file of CIFAR, a dict pickled by Python 2.

    Args:
        fpath: The path of the file.
        label_key: The key of its labels.

    Returns: Images `(N, 3, 32, 32)`, and the labels in a list.
    """
    with open(fpath, "rb") as file:
        content = RestrictedUnpickler(file, encoding="bytes").load()
    return content[b"data"].reshape(-1, 3, 32, 32), content[label_key.encode()]


def load_idx(path: Any) -> np.ndarray:
    """Read a gzipped IDX file of bytes: a header with the sizes (big-endian), then the data.

    Raises:
        ValueError: It is something else.
    """
    with gzip.open(path, "rb") as file:
        content = file.read()
    rank = content[3] if len(content) > 3 and content[:3] == bytes((0, 0, _IDX_BYTES)) else None
    if rank is not None:
        start = 4 + 4 * rank
        shape = np.frombuffer(content[4:start], ">u4").astype("int64")
        if len(shape) == rank and len(content) - start == shape.prod():
            return np.frombuffer(content, "uint8", offset=start).reshape(shape).copy()
    raise ValueError(
        explain(
            f"{os.path.basename(path)} is no IDX file of unsigned bytes, or a part of one.",
            size=len(content),
            header=content[:16].hex(),
            fix="delete it, and download it again.",
        )
    )


def load_json(path: Any) -> Any:
    """Read a JSON file."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def to_images(x: np.ndarray) -> np.ndarray:
    """Bring images `(N, C, H, W)` into the layout of `keras.config.image_data_format()`."""
    return x.transpose(0, 2, 3, 1) if image_data_format() == "channels_last" else x


def shuffled(rng: np.random.RandomState, *arrays: np.ndarray) -> list[np.ndarray]:
    """Bring arrays into one random order."""
    order = np.arange(len(arrays[0]))
    rng.shuffle(order)
    return [array[order] for array in arrays]


def check_split(test_split: float) -> None:
    """Raise `ValueError` unless `test_split` is a part that leaves something for training."""
    if not 0 <= test_split < 1:
        raise ValueError(f"`test_split` must be at least 0 and less than 1, not {test_split}.")


def split_off(x: np.ndarray, y: np.ndarray, test_split: float) -> Split:
    """Split arrays; the last `test_split` of them is for tests."""
    first = int(len(x) * (1 - test_split))
    return (x[:first], y[:first]), (x[first:], y[first:])
