"""`tf.io`: files as strings, images from bytes (with Pillow), and `gfile`."""

from __future__ import annotations

import base64
import csv
import glob
import importlib
import io
import os
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ...dtypes import to_numpy, to_torch
from ...naming import explain
from .tables import named
from .tensors import StringTensor, as_tensor, is_text_dtype

__all__ = ["GFILE", "IMAGE_CODECS", "IO"]


def _path(name: Any) -> str:
    """A file's name, given as text, bytes, a tensor or a path."""
    if isinstance(name, (StringTensor, bytes)):
        return os.fsdecode(StringTensor(name).item())
    return os.fspath(name)


def _read_file(filename: Any, name: str | None = None) -> StringTensor:
    with open(_path(filename), "rb") as file:
        return StringTensor(file.read())


def _write_file(filename: Any, contents: Any, name: str | None = None) -> None:
    os.makedirs(os.path.dirname(os.path.abspath(_path(filename))), exist_ok=True)
    with open(_path(filename), "wb") as file:
        file.write(StringTensor(contents).item())


# Images -------------------------------------------------------------------------------------------

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def _pillow() -> Any:
    try:
        return importlib.import_module("PIL.Image")
    except ImportError as error:
        raise ImportError(
            explain("tf.io: images are read with Pillow.", fix="`pip install pillow`.")
        ) from error


def _decode(
    contents: Any,
    channels: int | None = None,
    dtype: Any = torch.uint8,
    name: str | None = None,
    expand_animations: bool = True,
    **options: Any,
) -> torch.Tensor:
    """Decode an image of any format that Pillow reads, `(height, width, channels)`.

    An animation gives `(frames, height, width, 3)`, unless `expand_animations` is false.
    """
    pillow = _pillow()
    with pillow.open(io.BytesIO(StringTensor(contents).item())) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and expand_animations:
            made = [_pixels(image, i, 3) for i in range(frames)]
            pixels = torch.stack(made)
        else:
            pixels = _pixels(image, 0, channels or 0)
    dtype = to_torch(dtype)
    return pixels.to(dtype) / 255 if dtype.is_floating_point else pixels.to(dtype)


def _pixels(image: Any, frame: int, channels: int) -> torch.Tensor:
    if frame:
        image.seek(frame)
    mode = _MODES.get(channels)
    if mode is None and image.mode not in _MODES.values():
        mode = "L" if image.mode in ("1", "I", "I;16", "F") else "RGB"
    array = np.array(image if mode in (None, image.mode) else image.convert(mode))
    return as_tensor(array if array.ndim == 3 else array[..., None])


def _encoder(kind: str) -> Any:
    def encode(image: Any, *args: Any, quality: int = 95, **options: Any) -> StringTensor:
        array = to_numpy(as_tensor(image))
        array = array[..., 0] if array.shape[-1] == 1 else array
        buffer = io.BytesIO()
        settings = {"quality": quality} if kind == "JPEG" else {}
        _pillow().fromarray(array).save(buffer, kind, **settings)
        return StringTensor(buffer.getvalue())

    encode.__name__ = encode.__qualname__ = f"encode_{kind.lower()}"
    return encode


# Bytes --------------------------------------------------------------------------------------------


def _decode_raw(
    input_bytes: Any, out_type: Any, little_endian: bool = True, name: str | None = None
) -> torch.Tensor:
    texts = StringTensor(input_bytes)
    dtype = np.dtype(str(to_torch(out_type)).rpartition(".")[2]).newbyteorder(
        "<" if little_endian else ">"
    )
    rows = [np.frombuffer(text, dtype) for text in texts.reshape(-1).tolist()]
    return as_tensor(np.stack(rows).reshape(*texts.shape, -1).astype(dtype.newbyteorder("=")))


def _decode_csv(
    records: Any,
    record_defaults: Any,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    select_cols: Any = None,
    name: str | None = None,
) -> list[Any]:
    """Decode lines of comma-separated values: a tensor per column, of the defaults' dtypes."""
    lines = StringTensor(records)
    quoting = csv.QUOTE_MINIMAL if use_quote_delim else csv.QUOTE_NONE
    text = [line.decode() for line in lines.reshape(-1).tolist()]
    rows = list(csv.reader(text, delimiter=field_delim, quoting=quoting))
    if select_cols is not None:
        rows = [[row[i] for i in select_cols] for row in rows]
    columns = []
    for place, default in enumerate(record_defaults):
        values = [row[place] for row in rows]
        columns.append(_csv_column(values, default, na_value, lines.shape))
    return columns


def _csv_column(values: list[str], default: Any, na_value: str, shape: Any) -> Any:
    if isinstance(default, torch.dtype) or is_text_dtype(default):
        dtype, fallback = default, None
    else:
        value = as_tensor(default)
        dtype = "string" if isinstance(value, StringTensor) else value.dtype
        fallback = value.reshape(-1).tolist()[0] if value.size and len(value.reshape(-1)) else None
    missing = ("", na_value)
    if any(v in missing for v in values) and fallback is None:
        raise ValueError("decode_csv: a required field is missing, and has no default.")
    if is_text_dtype(dtype):
        made = StringTensor([fallback if v in missing else v for v in values])
        return made.reshape(shape)
    convert = float if dtype.is_floating_point else int
    numbers = [fallback if v in missing else convert(v) for v in values]
    return as_tensor(numbers, dtype).reshape(shape)


def _matching_files(pattern: Any, name: str | None = None) -> StringTensor:
    patterns = StringTensor(pattern).reshape(-1).tolist()
    return StringTensor(sorted(f for p in patterns for f in glob.glob(os.fsdecode(p))))


def _base64(function: Any) -> Any:
    return lambda input, pad=False, name=None: StringTensor(input).map(
        lambda s: function(s) if pad else function(s).rstrip(b"=")
    )


IO: dict[str, Any] = {
    "decode_base64": lambda input, name=None: StringTensor(input).map(
        lambda s: base64.urlsafe_b64decode(s + b"=" * (-len(s) % 4))
    ),
    "decode_bmp": _decode,
    "decode_csv": _decode_csv,
    "decode_gif": _decode,
    "decode_image": _decode,
    "decode_jpeg": _decode,
    "decode_png": _decode,
    "decode_raw": _decode_raw,
    "encode_base64": _base64(base64.urlsafe_b64encode),
    "encode_jpeg": _encoder("JPEG"),
    "encode_png": _encoder("PNG"),
    "matching_files": _matching_files,
    "read_file": _read_file,
    "write_file": _write_file,
}
# What `tf.image` has of it as well.
IMAGE_CODECS = {name: f for name, f in IO.items() if name.split("_")[-1] in
                ("bmp", "gif", "image", "jpeg", "png")}  # fmt: skip


# Files --------------------------------------------------------------------------------------------


class GFile:
    """A file, as Python's `open` gives it; the name may be a tensor.

    Args:
        name: Of the file.
        mode: As for `open`.
    """

    def __new__(cls, name: Any, mode: str = "r") -> Any:
        return open(_path(name), mode)  # noqa: SIM115, handed to the caller


def _copy(src: Any, dst: Any, overwrite: bool = False) -> None:
    if not overwrite and os.path.exists(_path(dst)):
        raise FileExistsError(f"{_path(dst)} exists; pass `overwrite=True`.")
    shutil.copyfile(_path(src), _path(dst))


def _rename(src: Any, dst: Any, overwrite: bool = False) -> None:
    if not overwrite and os.path.exists(_path(dst)):
        raise FileExistsError(f"{_path(dst)} exists; pass `overwrite=True`.")
    os.replace(_path(src), _path(dst))


def _glob(pattern: Any) -> list[str]:
    patterns = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    return [f for p in patterns for f in sorted(glob.glob(_path(p)))]


def _walk(top: Any, topdown: bool = True, onerror: Any = None) -> Iterator[Any]:
    return os.walk(_path(top), topdown, onerror)


GFILE: dict[str, Any] = {
    "GFile": GFile,
    "copy": _copy,
    "exists": lambda path: os.path.exists(_path(path)),
    "glob": _glob,
    "isdir": lambda path: os.path.isdir(_path(path)),
    "join": lambda path, *paths: os.path.join(_path(path), *map(_path, paths)),
    "listdir": lambda path: os.listdir(_path(path)),
    "makedirs": lambda path: os.makedirs(_path(path), exist_ok=True),
    "mkdir": lambda path: os.mkdir(_path(path)),
    "remove": lambda path: os.remove(_path(path)),
    "rename": _rename,
    "rmtree": lambda path: shutil.rmtree(_path(path)),
    "stat": lambda path: os.stat(_path(path)),
    "walk": _walk,
}

named(IO)
named(GFILE)
