"""From disk to batches: what a user names becomes a `Source`, and a `Source` becomes a stream of batches."""

from pathlib import Path

from ganvas.data import folder, named
from ganvas.data.batch import Source, check_size
from ganvas.data.progress import Track, silently
from ganvas.errors import DataError


def open_source(
    name: str, *, root: Path, size: int | None = None, split: named.Split = "train", track: Track = silently
) -> Source:
    """Open the data set of that name, found or put under `root`, or else the folder of that name.

    Raises:
        DataError: if there is neither, or it cannot be used.
    """
    if size is not None:
        check_size(size)
    if name in named.NAMES:
        return named.open_named(name, root=root, size=size, split=split)
    if Path(name).is_dir():
        return folder.open_folder(Path(name), size=size, track=track)
    raise DataError(f"--data {name}: no folder of that name, and no data set; there are {', '.join(named.NAMES)}")
