"""Files that layers save beside their weights, such as vocabularies: a folder per layer.

A folder may come from a stranger: nothing in it may lead out of it.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator

from ..naming import explain
from .errors import FileFormatError

__all__ = ["AssetFolder", "check_folder", "new_asset_folder"]


class AssetFolder:
    """The folders of layers below one folder; no path leads out of it.

    Args:
        root: That folder; it need not exist.
        temporary: Whether it is removed at the end of a `with` block.

    Example:
        >>> with new_asset_folder() as assets:
        ...     os.path.relpath(assets.make("layers/words"), assets.root)
        'layers/words'
        >>> AssetFolder("assets").make("../elsewhere")
        Traceback (most recent call last):
        ValueError: Invalid asset path: '../elsewhere' leads out of the folder of assets.
          folder: assets
    """

    def __init__(self, root: str, temporary: bool = False) -> None:
        self.root = root
        self.temporary = temporary

    def __enter__(self) -> AssetFolder:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.temporary:
            shutil.rmtree(self.root, ignore_errors=True)

    def locate(self, path: str) -> str:
        """Return where a path below the folder lies.

        Raises:
            ValueError: It leads out of the folder, by `..`, by being absolute or through a link.
        """
        parts = path.replace("\\", "/").split("/")
        inside = ".." not in parts and parts[0] and ":" not in parts[0]
        if not inside or not self._holds(os.path.join(self.root, *parts)):
            raise ValueError(
                explain(
                    f"Invalid asset path: '{path}' leads out of the folder of assets.",
                    folder=self.root,
                )
            )
        return "/".join([self.root.rstrip("/"), *parts])

    def _holds(self, path: str) -> bool:
        root = os.path.realpath(self.root)
        return os.path.commonpath([root, os.path.realpath(path)]) == root

    def make(self, path: str) -> str:
        """Return the folder at a path, which is made if need be."""
        folder = self.locate(path) if path else self.root
        os.makedirs(folder, exist_ok=True)
        return folder

    def get(self, path: str) -> str | None:
        """Return the folder at a path, or `None` if there is none."""
        folder = self.locate(path) if path else self.root
        return folder if os.path.isdir(folder) else None

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the path of each file below the folder and where it lies, in order."""
        for folder, folders, names in os.walk(self.root):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                yield os.path.relpath(path, self.root).replace(os.sep, "/"), path


def check_folder(folder: str) -> None:
    """Refuse a folder with links that lead out of it, or with pipes, sockets and devices.

    Raises:
        FileFormatError: It has one of those.
    """
    root = os.path.realpath(folder)
    for place, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = os.path.join(place, name)
            if os.path.commonpath([root, os.path.realpath(path)]) != root:
                problem = "is a link that leads out of the folder"
            elif os.path.exists(path) and not _is_ordinary(path):
                problem = "is neither a file nor a folder"
            else:
                continue
            raise FileFormatError(
                folder,
                f"'{os.path.relpath(path, root)}' {problem}",
                fix="if you trust it, copy what it means to there (`cp -rL`).",
            )


def _is_ordinary(path: str) -> bool:
    mode = os.stat(path).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def new_asset_folder() -> AssetFolder:
    """Return one in a temporary folder, for a `with` block."""
    return AssetFolder(tempfile.mkdtemp(), temporary=True)
