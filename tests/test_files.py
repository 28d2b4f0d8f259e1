"""Whole or not at all: what is there after each way of being interrupted."""

import os
from pathlib import Path

import pytest

from ganvas.core.atomic_io import add_line, make_folder, require_place, write_folder, write_whole
from ganvas.errors import SaveError, UsageError


@pytest.fixture
def order(monkeypatch):
    """What was flushed to the disk or renamed, by name, in order."""
    events, fsync, replace = [], os.fsync, Path.replace

    def flush(handle):
        events.append(("flush", Path(os.readlink(f"/proc/self/fd/{handle}")).name))
        fsync(handle)

    def rename(self, target):
        events.append(("rename", Path(target).name))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", rename)
    return events


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file a handle is")
def test_everything_is_on_the_disk_before_the_name_is(tmp_path, order):
    write_folder(tmp_path / "save", {"a": b"1", "b": b"2"})
    renamed = order.index(("rename", "save"))
    assert {event for event in order[:renamed]} == {("flush", "a"), ("flush", "b"), ("flush", "save.tmp")}
    assert order[renamed + 1 :] == [("flush", tmp_path.name)]
    assert {path.name: path.read_bytes() for path in (tmp_path / "save").iterdir()} == {"a": b"1", "b": b"2"}
    order.clear()
    write_whole(tmp_path / "x", b"3")
    assert order[:2] == [("flush", "x.tmp"), ("rename", "x")]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_is_interrupted_leaves_the_old_content_and_nothing_half(tmp_path, monkeypatch, error):
    write_whole(tmp_path / "x", b"old")

    def fail(_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    expected = SaveError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_whole(tmp_path / "x", b"new")
    with pytest.raises(expected):
        write_folder(tmp_path / "save", {"a": b"1"})
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_place_where_nothing_can_be_written_is_the_users_to_change(tmp_path):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file/x", tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(UsageError, match="choose another place"):
            write_whole(place, b"")
    with pytest.raises(UsageError, match="choose another place"):
        make_folder(tmp_path / "file/x")
    with pytest.raises(UsageError, match="choose another place"):
        add_line(tmp_path / "folder", "line")


def test_no_right_to_write_is_the_users_to_change_too(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")  # by hand, because a test that runs as root is refused nothing

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    for write in (lambda: write_whole(tmp_path / "x", b""), lambda: write_folder(tmp_path / "s", {"a": b""})):
        with pytest.raises(UsageError, match=r"Permission denied.*choose another place"):
            write()
    with pytest.raises(UsageError, match="Permission denied"):
        make_folder(tmp_path / "new")


def test_lines_are_added(tmp_path):
    for line in ("one", "two"):
        add_line(tmp_path / "log", line)
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_place_is_asked_for_before_the_work(tmp_path, monkeypatch):
    require_place(tmp_path / "new/below")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        require_place(tmp_path / "file/below")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="is read-only"):
        require_place(tmp_path / "new")


@pytest.mark.parametrize("name", ["한" * 83 + ".jpg", "a" * 255], ids=["hangul", "ascii"])
def test_a_name_as_long_as_a_name_may_be_is_written(tmp_path, name):
    write_whole(tmp_path / name, b"content")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"content")]


@pytest.mark.parametrize("plant", ["link", "fifo", "folder"])
def test_what_lies_where_the_temporary_file_goes_is_replaced_and_never_followed(tmp_path, plant):
    (tmp_path / "data").mkdir()
    (tmp_path / "mine").write_bytes(b"precious")
    temporary = tmp_path / "data/x.tmp"
    if plant == "link":
        temporary.symlink_to(tmp_path / "mine")
    elif plant == "fifo":
        os.mkfifo(temporary)
    else:
        temporary.mkdir()
    if plant == "folder":
        with pytest.raises(UsageError, match="choose another place"):
            write_whole(tmp_path / "data/x", b"new")
        return
    write_whole(tmp_path / "data/x", b"new")
    assert (tmp_path / "mine").read_bytes() == b"precious"
    assert (tmp_path / "data/x").read_bytes() == b"new"
    assert not (tmp_path / "data/x").is_symlink()
