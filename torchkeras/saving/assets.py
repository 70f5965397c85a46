"""Files that layers save beside their weights, such as vocabularies: a folder per layer."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

from ..naming import explain

__all__ = ["AssetFolder", "new_asset_folder"]


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


def new_asset_folder() -> AssetFolder:
    """Return one in a temporary folder, for a `with` block."""
    return AssetFolder(tempfile.mkdtemp(), temporary=True)
