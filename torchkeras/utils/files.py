"""`get_file`: download a file once, check its hash, extract it.

A file takes its place in the cache in one step, when it is complete and its hash is right: what is
there can be relied upon. A download that was broken off goes on from there.
Sources: `keras.utils.get_file` for names, defaults and where files lie.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import urllib.parse
import warnings
from typing import Any

from ..callbacks.console import print_msg
from ..config import keras_home
from .archives import extract_archive
from .downloads import download
from .hashes import validate_file

__all__ = ["get_file", "path_to_string"]


def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """Download a file unless it is in the cache, and return its path.

    Called again after a download that was broken off, it goes on where that stopped, if the server
    has that version of the file and knows ranges.

    Args:
        fname: Its name in the cache; by default that at `origin`. With `extract`, also that of the
            folder.
        origin: The URL; `http(s)`, `ftp` and `file` are understood.
        untar: Extract it as a tar archive; `extract` is the newer way.
        md5_hash: The expected MD5; `file_hash` is the newer way.
        file_hash: The expected SHA-256 or MD5. Give it wherever you know it: a file that is not
            the expected one is then never used.
        cache_subdir: Folder below `cache_dir`; may be absolute.
        hash_algorithm: `"sha256"`, `"md5"`, or `"auto"` to tell by the length.
        extract: Extract it as an archive; members that lead out of the folder are left out.
        archive_format: `"auto"`, `"tar"`, `"zip"`, a list of these, or `None`.
        cache_dir: The cache; by default `$KERAS_HOME`, or `~/.keras`.
        force_download: Download it even if it is in the cache.

    Returns: The path of the file, or of the folder it was extracted to.

    Raises:
        ValueError: No `origin`; `fname` is a path; the file's hash is another.
        OSError: It cannot be downloaded.

    Example:
        >>> import pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "words.txt").write_text("a b")
        >>> url = (folder / "words.txt").as_uri()
        >>> path = get_file("copy.txt", url, cache_dir=folder)  # doctest: +ELLIPSIS
        Downloading data from file:///...words.txt
        ...
        >>> os.path.relpath(path, folder)
        'datasets/copy.txt'
    """
    if origin is None:
        raise ValueError('Please specify the "origin" argument (URL of the file to download).')
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    folder = os.path.join(_writable(cache_dir), path_to_string(cache_subdir))
    os.makedirs(folder, exist_ok=True)
    name = _checked_name(fname, origin)
    extracts = extract or untar
    stem = name.partition(".")[0]
    is_file = bool(fname) and stem != name
    target = os.path.join(folder, name if is_file or not extracts else f"{name}_archive")

    if force_download or not _is_cached(target, file_hash, hash_algorithm):
        download(origin, target, file_hash, hash_algorithm)
    if not extracts:
        return target
    extracted = os.path.join(folder, f"{stem}_extracted" if is_file else name)
    if not extract_archive(target, extracted, "tar" if untar else archive_format):
        warnings.warn("Could not extract archive.", stacklevel=2)
    return extracted


def path_to_string(path: Any) -> Any:
    """The text of a path object; anything else as it is."""
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def _writable(cache_dir: Any) -> str:
    """The cache folder, or one for temporary files if it cannot be written."""
    folder = os.path.expanduser(keras_home() if cache_dir is None else path_to_string(cache_dir))
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
    if os.access(folder, os.W_OK):
        return folder
    return os.path.join(tempfile.gettempdir(), ".keras")


def _checked_name(fname: Any, origin: str) -> str:
    name = path_to_string(fname) or os.path.basename(urllib.parse.urlsplit(origin).path)
    if name in ("", ".", ".."):
        raise ValueError(
            f"Can't parse the file name from the origin provided: '{origin}'."
            " Please specify the `fname` argument."
        )
    if os.sep in name or (os.altsep and os.altsep in name):
        raise ValueError(
            "Paths are no longer accepted as the `fname` argument. To specify the file's parent"
            f" directory, use the `cache_dir` argument. Received: fname={name}"
        )
    return name


def _is_cached(path: str, file_hash: str | None, algorithm: str) -> bool:
    if not os.path.exists(path):
        return False
    if file_hash is None or validate_file(path, file_hash, algorithm):
        return True
    print_msg(
        f"{path} is there, but it is incomplete or outdated: its {algorithm} hash is not"
        f" {file_hash}. It is downloaded again."
    )
    return False
