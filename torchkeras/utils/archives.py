"""Extracting archives of strangers: nothing is written outside the folder they are extracted to.

Each member's path is resolved on the disk, and one that leads out of the folder is left out with a
warning, as are devices and pipes. Links come after all files, so that no file is written through
one: hard ones become copies, and symbolic ones are looked at again once all are there, since
together they can lead elsewhere than alone.
"""

from __future__ import annotations

import copy
import os
import shutil
import tarfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

__all__ = [
    "extract_archive",
    "extract_open_archive",
    "filter_safe_tarinfos",
    "filter_safe_zipinfos",
    "is_link_in_dir",
    "resolve_path",
    "resolve_sub_path",
]

_FORMATS = {
    "tar": (tarfile.is_tarfile, tarfile.open),
    "zip": (zipfile.is_zipfile, zipfile.ZipFile),
}


def resolve_path(path: Any) -> str:
    """The absolute path, with symbolic links followed."""
    return os.path.realpath(path)


def resolve_sub_path(base_dir: str, relative_path: str) -> str | None:
    """Resolve a path below a folder; `None` if it leads out of it.

    Args:
        base_dir: The folder, itself resolved.
        relative_path: What to resolve.

    Example:
        >>> resolve_sub_path("/srv/data", "a/../b"), resolve_sub_path("/srv/data", "../b")
        ('/srv/data/b', None)
    """
    path = resolve_path(os.path.join(base_dir, relative_path))
    try:
        return path if os.path.commonpath([path, base_dir]) == base_dir else None
    except ValueError:  # another drive
        return None


def is_link_in_dir(info: Any, base_dir: str) -> bool:
    """Tell whether a link of a tar archive, and what it points to, stay in a folder.

    Args:
        info: `tarfile.TarInfo` of a hard link, whose target counts from the folder, or of a
            symbolic one, whose target counts from where it stands.
        base_dir: The folder, itself resolved.
    """
    place = resolve_sub_path(base_dir, info.name)
    if place is None:
        return False
    start = base_dir if info.islnk() else os.path.dirname(place)
    return resolve_sub_path(base_dir, os.path.join(start, info.linkname)) is not None


def filter_safe_tarinfos(
    members: Iterable[tarfile.TarInfo], base_dir: Any
) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar archive that may be extracted; warn of the others."""
    base_dir = resolve_path(base_dir)
    for info in members:
        if info.issym() or info.islnk():
            is_safe = is_link_in_dir(info, base_dir)
        else:
            is_plain = info.isfile() or info.isdir()
            is_safe = is_plain and resolve_sub_path(base_dir, info.name) is not None
        if is_safe:
            yield info
        else:
            _warn_of(info.name)


def filter_safe_zipinfos(
    members: Iterable[zipfile.ZipInfo], base_dir: Any
) -> Iterator[zipfile.ZipInfo]:
    """Yield the members of a zip archive that may be extracted; warn of the others."""
    base_dir = resolve_path(base_dir)
    for info in members:
        if resolve_sub_path(base_dir, info.filename) is not None:
            yield info
        else:
            _warn_of(info.filename)


def _warn_of(name: str) -> None:
    warnings.warn(f"Skipping invalid path during archive extraction: '{name}'.", stacklevel=2)


def extract_open_archive(archive: tarfile.TarFile | zipfile.ZipFile, path: Any = ".") -> None:
    """Extract the safe members of an open archive.

    Args:
        archive: The archive.
        path: The folder to extract to; it is made if it is not there.
    """
    if isinstance(archive, zipfile.ZipFile):
        archive.extractall(path, members=list(filter_safe_zipinfos(archive.infolist(), path)))
        return
    members = list(filter_safe_tarinfos(archive.getmembers(), path))
    # Where Python has it, its own filter looks at them a second time.
    options = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    plain = [_owned(member) for member in members if member.isfile() or member.isdir()]
    archive.extractall(path, members=plain, **options)
    base_dir = resolve_path(path)
    # Not left to `tarfile`, which may follow a hard link to a symbolic one that was left out.
    for member in members:
        if member.islnk():
            _copy_linked(member, base_dir)
    _make_links([member for member in members if member.issym()], base_dir)


def _owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member without its owner and special bits; the user may read and write it."""
    member = copy.copy(member)
    member.mode = (member.mode & 0o755) | (0o700 if member.isdir() else 0o600)
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    if hasattr(os, "getuid"):
        member.uid, member.gid = os.getuid(), os.getgid()
    return member


def _copy_linked(member: tarfile.TarInfo, base_dir: str) -> None:
    """Put a copy of the file that a hard link names where the link stands."""
    source = resolve_sub_path(base_dir, member.linkname)
    place = resolve_sub_path(base_dir, member.name)
    if source is None or place is None or not os.path.isfile(source) or os.path.lexists(place):
        _warn_of(member.name)
        return
    os.makedirs(os.path.dirname(place), exist_ok=True)
    shutil.copyfile(source, place)


def _make_links(members: Sequence[tarfile.TarInfo], base_dir: str) -> None:
    """Make the symbolic links that lead to something in the folder."""
    made = []
    for member in members:
        folder, name = os.path.split(os.path.normpath(os.path.join(base_dir, member.name)))
        place = os.path.join(resolve_path(folder), name)
        # The links before it are there by now, and may have made another way of its path.
        if not is_link_in_dir(member, base_dir) or os.path.lexists(place):
            _warn_of(member.name)
            continue
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.symlink(member.linkname, place)
        made.append((member, place))
    for member, place in made:
        try:
            target = os.path.realpath(place, strict=True)
        except OSError:  # to nowhere, in a circle, or too long to follow
            target = None
        if target is None or resolve_sub_path(base_dir, target) is None:
            os.unlink(place)
            _warn_of(member.name)


def extract_archive(
    file_path: Any, path: Any = ".", archive_format: str | Sequence[str] | None = "auto"
) -> bool:
    """Extract a tar or zip file, compressed or not, if it is one.

    Args:
        file_path: The archive.
        path: The folder to extract to; removed again if the archive turns out broken.
        archive_format: `"tar"`, `"zip"`, a list of these to try, `"auto"` for both; `None` for
            none.

    Returns: Whether it was extracted.

    Raises:
        NotImplementedError: Another format.
        FileNotFoundError: There is no such file.
    """
    if archive_format == "auto":
        archive_format = ("tar", "zip")
    formats = [archive_format] if isinstance(archive_format, str) else archive_format or ()
    for name in formats:
        if name not in _FORMATS:
            raise NotImplementedError(f"extract_archive: {name!r} is not 'tar' or 'zip'.")
        is_one, opened = _FORMATS[name]
        if not is_one(file_path):
            continue
        is_new = not os.path.exists(path)
        try:
            with opened(file_path) as archive:
                extract_open_archive(archive, path)
        except BaseException:
            if is_new:
                shutil.rmtree(path, ignore_errors=True)
            raise
        return True
    return False
