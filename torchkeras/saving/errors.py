"""The exceptions of saving and loading; each names the file, what is wrong with it, and the fix."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..naming import explain

__all__ = ["FileFormatError", "MissingFileError", "describe", "file_errors_only"]


class FileFormatError(ValueError, OSError):
    """A file is missing, incomplete, hostile, of another kind, or does not fit the model.

    Args:
        file: The path or file object; named in the message.
        problem: What is wrong, without a final full stop.
        fix: What to do about it.
        facts: Values worth seeing, such as `expected=…` and `given=…`.

    Example:
        >>> raise FileFormatError("m.keras", "it is a PNG image", fix="pass a model file.")
        Traceback (most recent call last):
        torchkeras.saving.errors.FileFormatError: m.keras: it is a PNG image.
        Fix: pass a model file.
    """

    def __init__(self, file: Any, problem: str, fix: str | None = None, **facts: Any) -> None:
        super().__init__(_cut(explain(f"{describe(file)}: {problem}.", fix=fix, **facts)))
        self.file = file


def _cut(message: str) -> str:
    """Leave out the middle of what a file made long."""
    half = _LONGEST // 2
    return message if len(message) <= _LONGEST else f"{message[:half]} […] {message[-half:]}"


_LONGEST = 8000


class MissingFileError(FileFormatError, FileNotFoundError):
    """There is no file at the given path. Also a `FileNotFoundError`, for code that expects one."""


class FileTypeError(FileFormatError, TypeError):
    """A configuration names or holds something of another kind. Also a `TypeError`."""


class UnsupportedFileError(FileFormatError, NotImplementedError):
    """A file needs what does not exist here. Also a `NotImplementedError`."""


@contextlib.contextmanager
def file_errors_only(file: Any) -> Iterator[None]:
    """Let a block that reads a file fail with `FileFormatError` and nothing else.

    Bytes of a stranger can make any line of the loading code fail, in any way. The message stays
    and names the file; the first exception is the new one's cause.

    Example:
        >>> with file_errors_only("m.keras"):
        ...     {}["layers"]
        Traceback (most recent call last):
        torchkeras.saving.errors.FileFormatError: m.keras: no model could be read from it (KeyError:
        'layers').
        Fix: if a class of your own raised this, mend that; else get the file again.
    """
    try:
        yield
    except FileFormatError:
        raise
    except (TypeError, ValueError, NotImplementedError) as error:
        kinds = (FileTypeError, TypeError), (UnsupportedFileError, NotImplementedError)
        kind = next((ours for ours, base in kinds if isinstance(error, base)), FileFormatError)
        ours = kind(file, "")
        ours.args = (_cut(f"{describe(file)}: {error}"),)
        raise ours from error
    except Exception as error:  # noqa: BLE001 - all that a file can cause becomes one type
        raise FileFormatError(
            file,
            f"no model could be read from it ({type(error).__name__}: {error})",
            fix="if a class of your own raised this, mend that; else get the file again.",
        ) from error


def describe(file: Any) -> str:
    """Return the name of a path or file object, as messages show it.

    >>> import io, pathlib
    >>> describe(pathlib.Path("m.keras")), describe(io.BytesIO())
    ('m.keras', '<BytesIO>')
    """
    if hasattr(file, "read") or hasattr(file, "write"):
        name = getattr(file, "name", None)
        return str(name) if isinstance(name, str) and name else f"<{type(file).__name__}>"
    return str(file)
