"""`ganvas shards`."""

from collections.abc import Sequence
from pathlib import Path

from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Count, DataRoot
from ganvas.core.home import expanded
from ganvas.errors import UsageError


def shards(
    source: str,
    /,
    *,
    out: Path | None = None,
    size: Count | None = None,
    per_shard: Count = 1000,
    data_root: DataRoot = Path("~/.cache/ganvas"),
) -> None:
    """Write a folder of images as WebDataset shards, for data sets too large for memory or one disk.

    For existing shards it makes the index that training needs; shards behind a URL are all downloaded once for that.

    Args:
        source: a folder of images, or of one folder for each class; or shards: their folder, a pattern with
            braces, a URL, or `pipe:` and a command
        out: a new folder for the shards and their index
        size: reduce images whose shorter side has more pixels; without it, files are copied unchanged
        per_shard: images in a shard
        data_root: where to keep the index of shards that are remote or read-only
    """
    with console.loading():
        from ganvas.data.webdataset import pack, reader, shards

    if shards.are_meant(source):
        if out or size:
            raise UsageError(f"{source}: holds shards already; leave out {'--out' if out else '--size'}")
        found = reader.look_through(source, root=expanded(data_root), track=console.track, anew=True)
        _tell_left_out(found.table.left_out)
        for note in found.notes:
            console.say(note)
        console.tell(f"{found.index}: the index of {len(found.table):,} images in {len(found.starts):,} shards")
        return
    if out is None:
        raise UsageError(f"{source}: give a new folder for the shards with --out FOLDER")
    if not Path(source).is_dir():
        raise UsageError(f"{source}: no folder of that name; give one of images, or of shards")
    packed = pack.pack_folder(Path(source), out, size=size, per_shard=per_shard, track=console.track)
    for note in packed.notes:
        console.say(note)
    _tell_left_out(packed.left_out)
    console.tell(f"{out}: {packed.images:,} images in {packed.shards:,} shards, and their index")
    console.tell("next:")
    console.tell(f"  ganvas train dcgan --data {out}")


def _tell_left_out(lines: Sequence[str]) -> None:
    """The first few files that could not be used, and how many there are."""
    for line in lines[:5]:
        console.say(f"left out {line}")
    if len(lines) > 5:
        console.say(f"left out {len(lines)} files in all")


COMMAND = Command(
    run=shards,
    usage="SOURCE [OPTIONS]",
    examples=("shards photos --out photos-in-shards", "shards 'photos-{0000..0099}.tar'"),
)
