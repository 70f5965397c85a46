"""Downloads that take their place in one step, and go on where they were broken off.

What has come when a download breaks off (the connection, Ctrl-C) stays beside the target, as
`.<name>.part`, with a note of where it comes from and of which version (`ETag` or `Last-Modified`).
The next download asks the server for the rest of just that version; a server that has another one,
or knows no ranges, sends all of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import urllib.error
import urllib.request
from typing import IO, Any

from ..callbacks.console import print_msg
from ..callbacks.progbar import Progbar
from ..naming import explain
from ..saving.atomic import replacing
from .hashes import resolve_hasher, same_hash

__all__ = ["download"]

_CHUNK_BYTES = 1 << 16
_SILENCE_S = 60.0  # a server that says nothing for so long is given up


def download(origin: str, target: str, file_hash: str | None, algorithm: str) -> None:
    """Write what `origin` has to `target`, if all of it comes and its hash is right.

    Args:
        origin: The URL.
        target: Path of the file, in a folder that exists.
        file_hash: The expected hash, or `None`.
        algorithm: As of `resolve_hasher`.

    Raises:
        OSError: It cannot be downloaded.
        ValueError: The hash is another.
    """
    print_msg(f"Downloading data from {origin}")
    part = _Part(target, origin)
    with replacing(target) as file:
        hasher = resolve_hasher(algorithm, file_hash)
        part.take(file, hasher)
        try:
            with _opened(origin, part) as response:
                if part.size and response.status != 206:
                    file.seek(0)
                    file.truncate()
                    hasher, part.size = resolve_hasher(algorithm, file_hash), 0
                part.version = _version(response.headers)
                _copy(response, file, hasher, part.size)
        except BaseException as error:
            part.leave(file)
            if isinstance(error, urllib.error.URLError):
                code = getattr(error, "code", error.errno)
                raise OSError(f"URL fetch failure on {origin}: {code} -- {error.reason}") from error
            raise
        if file_hash is not None and not same_hash(hasher.hexdigest(), file_hash):
            raise ValueError(
                explain(
                    f"Incomplete or corrupted file detected at {origin}.",
                    expected=f"a file with the {algorithm} hash {file_hash}",
                    given=f"one with {hasher.hexdigest()}",
                    fix="check the URL and the hash; nothing was written.",
                )
            )


class _Part:
    """The first part of a file, left by a download that was broken off.

    Args:
        target: Path of the whole file.
        origin: Where it comes from.

    Attributes:
        size: Bytes of it that were taken.
        version: What the server calls this version of the file, or `None`.
    """

    def __init__(self, target: str, origin: str) -> None:
        folder, name = os.path.split(target)
        self.path = os.path.join(folder, f".{name}.part")
        self.note = f"{self.path}.json"
        self.origin = origin
        self.size = 0
        self.version: str | None = None

    def take(self, file: IO[bytes], hasher: Any) -> None:
        """Move what there is into `file`; another process then finds nothing."""
        claimed = f"{self.path}.{secrets.token_hex(6)}"
        try:
            os.replace(self.path, claimed)
        except OSError:
            return
        try:
            with open(self.note, encoding="utf-8") as note:
                known = json.load(note)
            if known.get("origin") != self.origin or not isinstance(known.get("version"), str):
                return
            with open(claimed, "rb") as part:
                while chunk := part.read(_CHUNK_BYTES):
                    file.write(chunk)
                    hasher.update(chunk)
            self.size, self.version = file.tell(), known["version"]
        except (OSError, ValueError, AttributeError):  # no note, or none of ours
            return
        finally:
            for path in (claimed, self.note):
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def leave(self, file: IO[bytes]) -> None:
        """Keep what has come, if the server says which version it is of."""
        if self.version is None or not file.tell():
            return
        with contextlib.suppress(OSError):
            file.flush()
            with open(self.note, "w", encoding="utf-8") as note:
                json.dump({"origin": self.origin, "version": self.version}, note)
            os.replace(file.name, self.path)


def _opened(origin: str, part: _Part) -> Any:
    """Open a URL, to read what comes after a part."""
    if part.version is not None:
        headers = {"Range": f"bytes={part.size}-", "If-Range": part.version}
        try:
            request = urllib.request.Request(origin, headers=headers)
            response = urllib.request.urlopen(request, timeout=_SILENCE_S)
            given = response.headers.get("Content-Range", "")
            if response.status != 206 or given.startswith(f"bytes {part.size}-"):
                return response
            response.close()
        except urllib.error.HTTPError as error:
            if error.code != 416:  # no such range: the part is all there is, or more
                raise
    return urllib.request.urlopen(origin, timeout=_SILENCE_S)


def _version(headers: Any) -> str | None:
    """What tells this version of a file from others: byte for byte, so no weak `ETag`."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _copy(response: Any, file: IO[bytes], hasher: Any, done: int) -> None:
    """Append what comes to a file that has `done` bytes already."""
    length = response.headers.get("Content-Length")
    size = done + int(length) if length and length.isdigit() else None
    bar = Progbar(size)
    while chunk := response.read(_CHUNK_BYTES):
        file.write(chunk)
        hasher.update(chunk)
        done += len(chunk)
        if size is None or done <= size:
            bar.update(done)
    if size is not None and done < size:
        raise OSError(
            f"The download stopped after {done} of {size} bytes. Fix: try again, which goes on from"
            " there where the server allows it, or download the file by other means."
        )
