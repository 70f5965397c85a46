"""Hashes of files: SHA-256 and MD5."""

from __future__ import annotations

import hashlib
from typing import Any

__all__ = ["hash_file", "resolve_hasher", "same_hash", "validate_file"]


def resolve_hasher(algorithm: str, file_hash: str | None = None) -> Any:
    """Make a hash object of `hashlib`.

    Args:
        algorithm: `"sha256"`, `"md5"`, or `"auto"` to tell by the length of `file_hash`.
        file_hash: The expected hash.
    """
    is_long = algorithm == "auto" and file_hash is not None and len(file_hash) == 64
    if algorithm == "sha256" or is_long:
        return hashlib.sha256()
    return hashlib.md5(usedforsecurity=False)


def hash_file(fpath: Any, algorithm: Any = "sha256", chunk_size: int = 65535) -> str:
    """Compute the hash of a file.

    Args:
        fpath: Its path.
        algorithm: `"sha256"`, `"md5"`, or a hash object.
        chunk_size: Bytes to read at a time.
    """
    hasher = resolve_hasher(algorithm) if isinstance(algorithm, str) else algorithm
    with open(fpath, "rb") as file:
        while chunk := file.read(chunk_size):
            hasher.update(chunk)
    return hasher.hexdigest()


def validate_file(
    fpath: Any, file_hash: str, algorithm: str = "auto", chunk_size: int = 65535
) -> bool:
    """Tell whether a file has a hash.

    Args:
        fpath: Its path.
        file_hash: SHA-256 or MD5.
        algorithm: `"sha256"`, `"md5"`, or `"auto"` to tell by the length.
        chunk_size: Bytes to read at a time.
    """
    return same_hash(hash_file(fpath, resolve_hasher(algorithm, file_hash), chunk_size), file_hash)


def same_hash(given: str, expected: str) -> bool:
    """Tell whether two hashes are the same; the expected one may be in capitals."""
    return given == str(expected).lower()
