"""Atomic writes: a file or folder is written completely or not at all, even if the power fails."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from ganvas.errors import GanvasError, SaveError, UsageError

_LONGEST_NAME = 128  # bytes; file systems take 255, and encrypted ones 143
_WRONG_PLACE = {  # errors that free space would not fix
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ENOENT, errno.EEXIST, errno.ENAMETOOLONG,
}  # fmt: skip


def write_whole(path: Path, content: bytes | memoryview, *, flush: bool = True) -> None:
    """Write a file beside `path`, flush it to the disk, and move it into place.

    Without `flush` a crash of the machine, but not of the program, can lose the file: right for files that can be made
    again, and much faster for thousands of them.

    Raises:
        UsageError: if nothing can be written there.
        SaveError: if it cannot be written; the old content is still there.
    """
    with new_file(path) as half:
        _write(half, content, flush=flush)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, to be written in the block; then moved into place, or removed after an error.

    Raises:
        UsageError: if nothing can be written there.
        SaveError: if it cannot be written; the old content is still there.
    """
    half = _temporary(path)
    try:
        half.unlink(missing_ok=True)  # left by a killed process, or a link to somewhere else
        yield half
        half.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            half.unlink()
        if isinstance(error, OSError):
            raise _explained(path, error) from error
        raise


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write several files as one new folder, atomically.

    Raises:
        UsageError: if nothing can be written there.
        SaveError: if it cannot be written; nothing of it is left.
    """
    with new_folder(path) as half:
        for name, content in files.items():
            _write(half / name, content)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, to be filled in the block; then moved into place, or removed after an error.

    Raises:
        UsageError: if nothing can be written there.
        SaveError: if it cannot be written; nothing of it is left.
    """
    half = _temporary(path)
    try:
        shutil.rmtree(half, ignore_errors=True)  # left by a killed process
        half.mkdir(parents=True)
        yield half
        _flush_names(half)
        half.replace(path)
        _flush_names(path.parent)
    except BaseException as error:
        shutil.rmtree(half, ignore_errors=True)
        if isinstance(error, OSError):
            raise _explained(path, error) from error
        raise


def add_line(path: Path, line: str) -> None:
    """Append a line to a file; if the process is killed, the last line may be incomplete.

    Raises:
        UsageError: if nothing can be written there.
        SaveError: if it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise _explained(path, error) from error


def make_folder(path: Path) -> Path:
    """Make a folder, and those above it, where there is none.

    Raises:
        UsageError: if it cannot be made there, or something else has that name.
        SaveError: if the disk is full.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explained(path, error) from error
    return path


def require_place(path: Path) -> None:
    """Raise UsageError if `path` cannot be created; called before the work whose result goes there."""
    above = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UsageError(
            f"cannot write {path} ({above} {'is read-only' if above.is_dir() else 'is a file'}); choose another place"
        )


def _temporary(path: Path) -> Path:
    """The path to write to first: no longer than a name may be, and the same each time."""
    name = path.name + ".tmp"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16] + ".tmp"
    return path.with_name(name)


def _write(path: Path, content: bytes | memoryview, *, flush: bool = True) -> None:
    with path.open("wb") as file:
        file.write(content)
        if flush:
            file.flush()
            os.fsync(file.fileno())


def _flush_names(folder: Path) -> None:
    """Flush the names in a folder to the disk; Windows does that by itself and cannot open folders."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks have nothing to flush
                raise
        finally:
            os.close(handle)


def _explained(path: Path, error: OSError) -> GanvasError:
    """The error as one line that says what to do."""
    if error.errno in _WRONG_PLACE:
        return UsageError(f"cannot write {path} ({error.strerror}); choose another place")
    return SaveError(f"cannot write {path} ({error.strerror or error}); free some space and give the command again")


def regular(path: Path) -> Path:
    """The path, if it is that of a regular file: to open a pipe would wait for ever.

    Raises:
        OSError: if it is something else, or not there.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return path
