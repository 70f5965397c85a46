"""What a file is, judged by its content: a model file of ours or Keras's, or something else.

A name can lie (`model.h5` may be a PNG, an HTML error page or a Git LFS pointer), so loading looks
at the first bytes before any parser does, and says what the file is instead of a model.
"""

from __future__ import annotations

import os
import stat
import zipfile
from typing import IO, Any

from .errors import FileFormatError, MissingFileError, describe
from .sstable import FOOTER, is_table
from .tf_bundle import is_checkpoint, latest_checkpoint

__all__ = [
    "ARCHIVE",
    "CHECKPOINT",
    "FOLDER",
    "HDF5",
    "SAFETENSORS",
    "SAVED_MODEL",
    "is_remote_path",
    "sniff",
]

ARCHIVE = "archive"
CHECKPOINT = "checkpoint"
FOLDER = "folder"
HDF5 = "hdf5"
SAFETENSORS = "safetensors"
SAVED_MODEL = "saved_model"

_SUFFIXES = (".keras", ".h5", ".hdf5", ".safetensors")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_CONVERT = (
    "use a file written by `model.save()`, or export the model again to one of those formats."
)
_LOAD_TORCH = (
    "load its state dict with `torch.load(path, weights_only=True)` and copy it into a model you"
    " build, then `model.save('model.keras')`."
)

# Beginnings of files of other kinds, what they are, and what to do.
_FOREIGN = (
    (b"\x89PNG\r\n", "a PNG image", None),
    (b"\xff\xd8\xff", "a JPEG image", None),
    (b"GIF8", "a GIF image", None),
    (b"BM", "a BMP image", None),
    (b"%PDF", "a PDF document", None),
    (b"\x1f\x8b", "a gzip archive", "unpack it first (`gunzip` or `tar xzf`) and load the result."),
    (b"BZh", "a bzip2 archive", "unpack it first and load the result."),
    (b"\xfd7zXZ", "an xz archive", "unpack it first and load the result."),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it first and load the result."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it first and load the result."),
    (b"\x93NUMPY", "a NumPy array (.npy)", "read it with `numpy.load`; set it with `set_weights`."),
    (b"version https://git-lfs", "a Git LFS pointer, not the model", "run `git lfs pull`."),
    (
        b"\x08\x01\x12",
        "a protocol buffer, perhaps the `saved_model.pb` of a TensorFlow SavedModel",
        "pass the folder that it lies in.",
    ),
    (b"\x7fELF", "a program", None),
    (b"SQLite format 3", "a database", None),
    (b"\x00asm", "a WebAssembly module", None),
)
# Where the zip's member names tell more than its signature does.
_FOREIGN_ARCHIVES = (
    (lambda name: name.endswith("data.pkl"), "a PyTorch file (.pt)", _LOAD_TORCH),
    (
        lambda name: name.endswith(".npy"),
        "a NumPy archive (.npz)",
        "read it with `numpy.load`; set the arrays with `set_weights`.",
    ),
    (
        lambda name: name == "[Content_Types].xml",
        "an office document",
        "pass the path of a model file.",
    ),
    (
        lambda name: name.endswith("saved_model.pb"),
        "a zipped TensorFlow SavedModel",
        "unpack it and load the folder.",
    ),
    (
        lambda name: name.rpartition("/")[2] == "config.json" and name != "config.json",
        "a zip archive that holds a model in a folder",
        "unpack it and load the folder, or load the file inside.",
    ),
)


def is_remote_path(path: Any) -> bool:
    """Tell whether a path is an address of another machine.

    >>> is_remote_path("gs://bucket/m.keras"), is_remote_path("models/m.keras")
    (True, False)
    """
    return "://" in os.fspath(path)


def sniff(file: Any) -> str:
    """Say which kind of model file `file` is, or raise what is wrong with it.

    Args:
        file: A path, or a file object opened for reading, which is left at its beginning.

    Returns:
        `ARCHIVE` (`.keras`), `FOLDER` (an unzipped `.keras`), `HDF5` or `SAFETENSORS`; of
        TensorFlow's, `SAVED_MODEL` (a folder) or `CHECKPOINT` (what the names of its files begin
        with, or a folder whose list names one).

    Raises:
        FileFormatError: It is missing, empty, incomplete or something else.
    """
    if hasattr(file, "read"):
        return _sniff_stream(file, file)
    if not isinstance(file, (str, os.PathLike)):
        raise FileFormatError(
            file,
            f"this is no path of a file, but {type(file).__name__}",
            fix="pass the path of a model file, or a file object.",
        )
    path = os.fspath(file)
    if is_remote_path(path):
        raise FileFormatError(
            file,
            "this is a remote address, and only local files are read",
            fix="download it first, or pass an open file object.",
        )
    if is_checkpoint(path):
        return CHECKPOINT
    if not os.path.exists(path):
        raise _missing(file, path)
    if os.path.isdir(path):
        return _sniff_folder(path)
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe waits until somebody writes
        raise FileFormatError(
            file, "this is a pipe, socket or device, not a file", fix="copy the data to a file."
        )
    with open(path, "rb") as stream:
        return _sniff_stream(stream, file)


def _sniff_folder(path: str) -> str:
    names = set(os.listdir(path))
    if "config.json" in names and names & {"model.weights.h5", "metadata.json"}:
        return FOLDER
    if "saved_model.pb" in names:
        return SAVED_MODEL
    if latest_checkpoint(path) is not None:
        return CHECKPOINT
    raise FileFormatError(
        path,
        "this folder does not hold a model",
        expected="config.json and model.weights.h5 in it",
        found=", ".join(sorted(names)[:8]) or "nothing",
        fix="pass the path of the model file inside, if there is one.",
    )


def _sniff_stream(stream: IO[bytes], file: Any) -> str:
    try:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        head = stream.read(512)
        if not head:
            raise FileFormatError(file, "the file is empty", fix="save the model again.")
        if head.startswith(_HDF5_SIGNATURE):
            return HDF5
        # Before user blocks: the weights in an archive may begin where a user block could end.
        if head.startswith(_ZIP_SIGNATURES):
            return _sniff_zip(stream, file, size)
        if _has_user_block(stream, size):
            return HDF5
        if _is_safetensors(head, size):
            return SAFETENSORS
        stream.seek(max(0, size - FOOTER))
        if is_table(stream.read(FOOTER)):
            raise FileFormatError(
                file,
                "this is the index of a TensorFlow checkpoint",
                fix="pass what the names of its files begin with, without '.index', to"
                " `model.load_weights`.",
            )
    finally:
        stream.seek(0)
    what, fix = _name_foreign(head)
    raise FileFormatError(
        file, f"this is {what}, not a model file", fix=fix or "pass the path of a model file."
    )


def _has_user_block(stream: IO[bytes], size: int) -> bool:
    """HDF5 allows foreign bytes before its signature, which then stands at a power of two."""
    offset = 512
    while offset < size:
        stream.seek(offset)
        if stream.read(8) == _HDF5_SIGNATURE:
            return True
        offset *= 2
    return False


def _sniff_zip(stream: IO[bytes], file: Any, size: int) -> str:
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise FileFormatError(
            file,
            f"the archive is incomplete or damaged ({error})",
            size=f"{size} bytes",
            fix="copy or download the file again, or go back to an earlier checkpoint.",
        ) from error
    if "config.json" in names:
        return ARCHIVE
    for matches, what, fix in _FOREIGN_ARCHIVES:
        if any(matches(name) for name in names):
            raise FileFormatError(file, f"this is {what}, not a Keras model file", fix=fix)
    raise FileFormatError(
        file,
        "this zip archive is not a Keras model",
        expected="config.json and model.weights.h5 in it",
        found=", ".join(sorted(names)[:8]) or "nothing",
        fix="pass a file written by `model.save('….keras')`.",
    )


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return (
        len(head) > 8
        and head[8:9] == b"{"
        and length < 1 << 32
        and 8 + length <= max(size, 1 << 20)
    )


def _name_foreign(head: bytes) -> tuple[str, str | None]:
    for beginning, what, fix in _FOREIGN:
        if head.startswith(beginning):
            return what, fix
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model", _CONVERT
    if head[4:12] in (b"ftypisom", b"ftypmp42"):
        return "a video", None
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return (
            "a Python pickle (perhaps an old PyTorch file), which could run code when loaded",
            _LOAD_TORCH,
        )
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page", "the download failed or needs a login; fetch the file itself."
    if text.startswith((b"{", b"[")):
        return (
            "JSON text",
            "a configuration alone is read by `keras.models.model_from_json(text)`; weights are"
            " loaded into the result by `load_weights`.",
        )
    if _is_text(head):
        return "a text file", None
    return f"of an unknown kind (it begins with {head[:8].hex(' ')})", None


def _is_text(head: bytes) -> bool:
    try:
        head[: len(head) - 4 if len(head) == 512 else None].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\x00" not in head


def _missing(file: Any, path: str) -> MissingFileError:
    facts = {}
    if not path.endswith(_SUFFIXES):
        facts["format"] = f"File format not supported by its name; known are {', '.join(_SUFFIXES)}"
    problem = "File not found: the file does not exist"
    fix = f"Please ensure the file is an accessible model file: {_suggest(path)}"
    return MissingFileError(file, problem, fix=fix, **facts)


def _suggest(path: str) -> str:
    """Point to a file beside the missing one that may be meant."""
    folder, name = os.path.split(path)
    where = os.path.abspath(folder or ".")
    if not os.path.isdir(where):
        return f"check the path: the folder '{folder}' does not exist either."
    stem = name.partition(".")[0].lower()
    near = sorted(n for n in os.listdir(where) if stem and n.lower().startswith(stem))
    if near:
        return f"check the name; the folder has {', '.join(map(describe, near[:4]))}."
    return f"check the path; it was looked for in {where}."
