"""The exceptions of saving and loading; each names the file, what is wrong with it, and the fix."""

from __future__ import annotations

from typing import Any

from ..naming import explain

__all__ = ["FileFormatError", "MissingFileError", "describe"]


class FileFormatError(ValueError):
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
        super().__init__(explain(f"{describe(file)}: {problem}.", fix=fix, **facts))
        self.file = file


class MissingFileError(FileFormatError, FileNotFoundError):
    """There is no file at the given path. Also a `FileNotFoundError`, for code that expects one."""


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
