"""The files of a tar archive and their places, header by header: nothing is unpacked, and little memory is used."""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from ganvas.errors import DataError

BLOCK = tarfile.BLOCKSIZE
LONGEST_NAME = 64 * 1024  # bytes; such a header is read whole

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)  # neither links nor devices, nor files with holes


@dataclass(frozen=True)
class Member:
    """A file in an archive: its name, and where its bytes are."""

    name: str
    offset: int
    size: int


def members(handle: int, *, end: int) -> Iterator[Member]:
    """The files of an open archive of `end` bytes, in their order.

    Raises:
        DataError: if it is cut short or not an archive; the rest of it is not known.
    """
    place, name = 0, ""
    while place < end:
        header = header_at(handle, place)
        if header is None:
            return
        place += BLOCK
        following = place + -(-header.size // BLOCK) * BLOCK
        if place + header.size > end:
            raise DataError(f"cut short: {header.name} ends behind the end of the file")
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):  # belongs to the next header
            if header.size > LONGEST_NAME:
                raise DataError(f"broken: a name of {header.size:,} bytes")
            name = _long_name(os.pread(handle, header.size, place), header.type) or name
        elif header.type in _FILES:
            yield Member(name or header.name, place, header.size)
            name = ""
        elif header.type != tarfile.XGLTYPE:
            name = ""
        place = following


def header_at(handle: int, place: int) -> tarfile.TarInfo | None:
    """The header at that place; None where the archive says that it ends there.

    Raises:
        DataError: if there is no valid header.
    """
    block = os.pread(handle, BLOCK, place)
    try:
        found = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        if len(block) == BLOCK and not any(block):
            return None
        raise DataError(f"broken at byte {place:,} ({error})") from error
    if found.size < 0:
        raise DataError(f"broken at byte {place:,} (a file of {found.size:,} bytes)")
    return found


def _long_name(content: bytes, kind: bytes) -> str:
    """A name too long for a header; empty if the record holds something else."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return content.split(b"\0")[0].decode("utf-8", "surrogateescape")
    for record in content.split(b"\n"):  # "LENGTH KEY=VALUE"; names hold no line ends here
        key, equals, value = record.partition(b" ")[2].partition(b"=")
        if equals and key == b"path":
            return value.decode("utf-8", "surrogateescape")
    return ""
