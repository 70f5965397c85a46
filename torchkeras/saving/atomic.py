"""Atomic writing: a file is written beside its destination and takes its place in one step.

A saver that is killed at any moment leaves the former file or the new one, never a part. The order
is: write `.<name>.<random>.saving` in the same folder, flush, fsync, rename over the destination,
fsync the folder. What a killed saver leaves behind is removed by the next saver of that file: a
living saver holds a lock on its leftover-to-be, and the system drops a dead process's locks.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["remove_if_dead", "replacing"]

_SUFFIX = ".saving"
_STALE_S = 24 * 3600.0  # where locks do not work, older leftovers count as dead


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[IO[bytes]]:
    """Open a new file for `path` that replaces the old one if the block ends without an exception.

    Args:
        path: The destination. A symbolic link is followed and stays a link; the mode of an
            existing file is kept.

    Raises:
        FileNotFoundError: The folder does not exist.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.bin"
        >>> with replacing(path) as file:
        ...     _ = file.write(b"new")
        >>> path.read_bytes(), len(list(path.parent.iterdir()))
        (b'new', 1)
    """
    destination = os.path.realpath(os.fspath(path))
    if _is_device(destination):  # /dev/null, a pipe: nothing to replace
        with open(destination, "wb") as file:
            yield file
        return
    folder, name = os.path.split(destination)
    _remove_leftovers(folder, name)
    file = _create(folder, name)
    try:
        yield file
        file.flush()
        _take_mode(file.name, destination)
        os.fsync(file.fileno())
        if fcntl is None:  # Windows cannot rename an open file
            file.close()
        os.replace(file.name, destination)
    except BaseException:
        with contextlib.suppress(OSError):  # a full disk: what is buffered cannot be written
            file.close()
        with contextlib.suppress(OSError):
            os.unlink(file.name)
        raise
    file.close()
    _sync_folder(folder)


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _create(folder: str, name: str) -> IO[bytes]:
    """Create the file to write into, locked for as long as this process has it open."""
    while True:
        # File systems limit names to 255 bytes.
        path = os.path.join(folder, f".{name[:180]}.{secrets.token_hex(6)}{_SUFFIX}")
        try:
            file = open(path, "x+b")  # noqa: SIM115 - handed to the caller
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{os.path.join(folder, name)}: the folder does not exist.\n"
                f"Fix: create it first, with `os.makedirs({folder!r})`."
            ) from None
        except PermissionError as error:
            raise PermissionError(
                f"{os.path.join(folder, name)}: cannot write in the folder ({error.strerror}).\n"
                "Fix: save to a folder where you may create files."
            ) from error
        if _lock(file) is not False and os.path.exists(path):
            return file
        file.close()  # another saver's clean-up caught the file before it was locked


def _lock(file: IO[bytes]) -> bool | None:
    """Lock without waiting: whether it worked, or `None` where locks do not exist."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_leftovers(folder: str, name: str) -> None:
    prefix = f".{name[:180]}."
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for leftover in names:
        token = leftover[len(prefix) : -len(_SUFFIX)]
        if leftover.startswith(prefix) and leftover.endswith(_SUFFIX) and len(token) == 12:
            remove_if_dead(os.path.join(folder, leftover))


def remove_if_dead(path: str) -> None:
    """Remove a file that a saver was writing when it was killed; leave that of a living one."""
    with contextlib.suppress(OSError):
        with open(path, "rb") as file:
            locked = _lock(file)
            old = time.time() - os.fstat(file.fileno()).st_mtime > _STALE_S
            if locked or (locked is None and old):
                os.unlink(path)


def _take_mode(path: str, destination: str) -> None:
    with contextlib.suppress(OSError):
        os.chmod(path, stat.S_IMODE(os.stat(destination).st_mode))


def _sync_folder(folder: str) -> None:
    """Make the rename itself durable."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):  # some file systems refuse to sync folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
