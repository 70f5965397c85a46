"""Reading zip archives that a stranger may have made.

Before a member is opened, the whole directory is checked: no names that leave the folder they are
unpacked in, no name twice (parsers disagree about which one counts), no links, no encryption, and
no member that declares more bytes than compression could have hidden in the file. A large member
or archive that unpacks to a multiple of what models compress to is refused as a bomb.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from .budget import fits_in_memory
from .checksum import Checksum
from .errors import FileFormatError
from .zip_writer import Window

__all__ = ["open_member", "open_zip", "read_member", "read_text", "reading_member", "unpack_folder"]

_POSSIBLE_EXPANSION = 1100  # deflate reaches 1032
# Above this size, a member of more than so many times its stored bytes is a bomb ...
_ZIP_MEMBER_BOMB_FLOOR_BYTES = 1 << 28
_ZIP_MEMBER_MAX_EXPANSION = 100
# ... and already above this one if it, or all members together, are to be written to a disk.
_ZIP_EXTRACT_BOMB_FLOOR_BYTES = 1 << 28
# What becomes Python objects, or lines of a vocabulary, takes some 30 times its size in memory:
# of it, no more may be unpacked than this and a multiple of the archive's own bytes.
_ZIP_TEXT_FLOOR_BYTES = 12 << 20
_ZIP_TEXT_MAX_EXPANSION = 2
_MAX_MEMBERS = 100_000
_LOCAL_HEADER = 30
_DISTRUST = "no saver writes such a file; get the model from a source you trust."


def open_zip(stream: IO[bytes], source: Any) -> zipfile.ZipFile:
    """Open an archive and check its directory.

    Raises:
        FileFormatError: It is damaged, or made to do harm.
    """
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged(source, error) from error
    size = stream.seek(0, os.SEEK_END)
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise FileFormatError(source, f"the archive has {len(members)} members", fix=_DISTRUST)
    seen: set[str] = set()
    stored = unpacked = 0
    for member in members:
        _check_member(member, seen, size, source)
        stored += member.compress_size
        unpacked += member.file_size
    if stored > size:
        raise FileFormatError(source, "members of the archive overlap each other", fix=_DISTRUST)
    _check_expansion("the archive", unpacked, stored, _ZIP_EXTRACT_BOMB_FLOOR_BYTES, source)
    return archive


def _check_member(member: zipfile.ZipInfo, seen: set[str], size: int, source: Any) -> None:
    name = member.filename
    parts = name.rstrip("/").split("/")
    problem = None
    if member.orig_filename != name or "\\" in name or "\x00" in name or ":" in parts[0]:
        problem = "has an invalid name"
    elif name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        problem = "would be unpacked outside of its folder"
    elif name.casefold() in seen:
        problem = "occurs twice"
    elif stat.S_ISLNK(member.external_attr >> 16):
        problem = "is a symbolic link"
    elif member.flag_bits & 1:
        problem = "is encrypted"
    elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        problem = "uses an unusual compression"
    elif member.file_size > min(member.compress_size, size) * _possible_expansion(member):
        problem = (
            f"declares {member.file_size} bytes, more than its {member.compress_size} stored bytes"
            " can hold; it is a decompression bomb"
        )
    if problem:
        raise FileFormatError(source, f"the archive member {name!r} {problem}", fix=_DISTRUST)
    _check_bomb(member, _ZIP_MEMBER_BOMB_FLOOR_BYTES, source)
    seen.add(name.casefold())


def _possible_expansion(member: zipfile.ZipInfo) -> int:
    return 1 if member.compress_type == zipfile.ZIP_STORED else _POSSIBLE_EXPANSION


def _check_bomb(member: zipfile.ZipInfo, floor: int, source: Any) -> None:
    what = f"the archive member {member.filename!r}"
    _check_expansion(what, member.file_size, member.compress_size, floor, source)


def _check_expansion(what: str, unpacked: int, stored: int, floor: int, source: Any) -> None:
    if unpacked > floor and unpacked > _ZIP_MEMBER_MAX_EXPANSION * stored:
        raise FileFormatError(
            source,
            f"{what} unpacks to {unpacked} bytes from {stored} stored ones, far more than models"
            " do; it is a decompression bomb",
            fix=_DISTRUST,
        )


def read_member(archive: zipfile.ZipFile, name: str, source: Any) -> bytes:
    """Read a member; its checksum is verified.

    Raises:
        FileFormatError: It is absent, damaged, or unpacks to more than models do.
    """
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise FileFormatError(
            source,
            f"the archive has no '{name}'",
            fix="pass a file written by `model.save('….keras')`.",
        ) from None
    _check_bomb(member, _ZIP_MEMBER_BOMB_FLOOR_BYTES, source)
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, OSError, zlib.error, EOFError) as error:
        raise _damaged(source, error) from error


def read_text(archive: zipfile.ZipFile, name: str, source: Any) -> bytes:
    """Read a member that will be parsed.

    Raises:
        FileFormatError: It is absent, damaged, or far larger than the archive.
    """
    if name in archive.namelist():
        size = archive.getinfo(name).file_size
        _check_text(f"the archive member {name!r}", size, archive, source)
    return read_member(archive, name, source)


def _check_text(what: str, unpacked: int, archive: zipfile.ZipFile, source: Any) -> None:
    stored = sum(member.compress_size for member in archive.infolist())
    if unpacked > _ZIP_TEXT_FLOOR_BYTES + _ZIP_TEXT_MAX_EXPANSION * stored:
        raise FileFormatError(
            source,
            f"{what} unpacks to {unpacked} bytes, far more than the archive's {stored}; it is a"
            " decompression bomb",
            fix=_DISTRUST,
        )


def open_member(archive: zipfile.ZipFile, name: str, source: Any) -> IO[bytes]:
    """Open a member for reading at random; its checksum is verified first.

    Small members are read into memory. Large ones are read where they lie, or from a temporary file
    if they are compressed, so that loading needs no second copy of the weights.
    """
    info = archive.getinfo(name)
    if fits_in_memory(info.file_size):
        return io.BytesIO(read_member(archive, name, source))
    stored = info.compress_type == zipfile.ZIP_STORED
    if stored and _is_plain(archive.fp):
        window, checksum = _start_check(archive, info, source)
        _finish_check(checksum, info, source)
        return window
    target = None if stored else tempfile.TemporaryFile()  # noqa: SIM115 - returned
    try:
        with archive.open(name) as member:
            while chunk := member.read(1 << 20):  # the end of the member checks the checksum
                if target is not None:
                    target.write(chunk)
    except (zipfile.BadZipFile, OSError, zlib.error, EOFError) as error:
        raise _damaged(source, error) from error
    if target is not None:
        target.seek(0)
        return target
    return Window(archive.fp, _data_start(archive.fp, info), info.file_size)


@contextlib.contextmanager
def reading_member(archive: zipfile.ZipFile, name: str, source: Any) -> Iterator[IO[bytes]]:
    """Open a member as `open_member` does, but verify a large one's checksum by the block's end.

    That is for data that are dropped if the block fails: both take place at the same time.
    """
    info = archive.getinfo(name)
    stored = info.compress_type == zipfile.ZIP_STORED
    if not stored or not _is_plain(archive.fp) or fits_in_memory(info.file_size):
        with open_member(archive, name, source) as member:
            yield member
        return
    window, checksum = _start_check(archive, info, source)
    try:
        yield window
    except Exception:
        _finish_check(checksum, info, source)  # the cause, if the bytes are damaged
        raise
    except BaseException:
        checksum.stop()
        raise
    _finish_check(checksum, info, source)


def _is_plain(stream: Any) -> bool:
    """Whether what is read from a file object are its file's bytes where they are there."""
    return hasattr(os, "preadv") and isinstance(getattr(stream, "raw", None), io.FileIO)


def _start_check(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Any
) -> tuple[Window, Checksum]:
    try:
        archive.open(info).close()  # its header is that of the directory
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise _damaged(source, error) from error
    start = _data_start(archive.fp, info)
    window = Window(archive.fp, start, info.file_size)
    checksum = Checksum(archive.fp.fileno(), start)
    checksum.written(0, info.file_size)
    return window, checksum


def _finish_check(checksum: Checksum, info: zipfile.ZipInfo, source: Any) -> None:
    try:
        if checksum.result(info.file_size) != info.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {info.filename!r}")
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(source, error) from error


def _data_start(stream: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Return where a member's bytes begin: after its local header, a name and an extra field."""
    stream.seek(info.header_offset)
    header = stream.read(_LOCAL_HEADER)
    name_size = int.from_bytes(header[26:28], "little")
    extra_size = int.from_bytes(header[28:30], "little")
    return info.header_offset + _LOCAL_HEADER + name_size + extra_size


def unpack_folder(archive: zipfile.ZipFile, folder: str, target: str, source: Any) -> bool:
    """Write the members below `folder/` into `target`; return whether there were any.

    Raises:
        FileFormatError: A member is damaged, or unpacks to more than models do.
    """
    inside = [info for info in archive.infolist() if info.filename.startswith(f"{folder}/")]
    _check_text(f"the folder '{folder}'", sum(info.file_size for info in inside), archive, source)
    found = False
    for info in inside:
        if info.is_dir():
            continue
        _check_bomb(info, _ZIP_EXTRACT_BOMB_FLOOR_BYTES, source)
        path = os.path.join(target, *info.filename.split("/")[1:])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(read_member(archive, info.filename, source))
        found = True
    return found


def _damaged(source: Any, error: Exception) -> FileFormatError:
    return FileFormatError(
        source,
        f"the archive is incomplete or damaged ({error})",
        fix="copy or download the file again, or go back to an earlier checkpoint.",
    )
