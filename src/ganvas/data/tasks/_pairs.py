"""A source of pairs, made by a task from a source of single images."""

from dataclasses import dataclass, replace

from ganvas.data.batch import RESIDENT_BYTES, Batch, ImageBatch, LazyImages, PairBatch, Source
from ganvas.data.decode import LazyRows, attempt_all
from ganvas.data.progress import Track, silently
from ganvas.data.tasks._base import Task
from ganvas.data.webdataset.shards import Samples
from ganvas.errors import DataError
from ganvas.imaging.images import read_header


def pairs_from(source: Source[ImageBatch], task: Task, *, track: Track = silently) -> Source[PairBatch]:
    """The pairs that the task makes of the images of a source.

    Raises:
        DataError: if the images are of a kind that it cannot take.
    """
    wanted = task.read_channels(source.spec.channels == 1)
    if wanted < source.spec.channels:
        raise DataError(f"`task` {task.name} takes grey images, and {source.name} is in colour; give others")
    spec = replace(
        source.spec, channels=task.channels or wanted, target_channels=task.target_channels or wanted, classes=()
    )
    rows = LazilyPaired(source.images, task, wanted)
    made = replace(source, spec=spec, images=rows, afresh=task.afresh if task.fresh else None)  # type: ignore[arg-type]
    if not isinstance(source.images, ImageBatch) or spec.bytes * len(source) > RESIDENT_BYTES:
        return replace(made, notes=(*source.notes, *_notes_unread(source, task, track)))  # type: ignore[return-value]
    pairs, _ = attempt_all(range(len(source)), rows.row, track, "making pairs")
    images = PairBatch.together([pair for pair in pairs if pair is not None])
    return replace(made, images=images, notes=(*source.notes, *_notes(source.name, task, images)))  # type: ignore[arg-type, return-value]


def _notes(name: str, task: Task, pairs: PairBatch) -> tuple[str, ...]:
    """For colourisation: how many of the images hold no colour to learn from."""
    return _note(task.colorless(pairs), len(pairs), name)


def _notes_unread(source: Source[ImageBatch], task: Task, track: Track) -> tuple[str, ...]:
    """The same for files that are not decoded yet, by their headers."""
    if not task.name.startswith("colorize") or not isinstance(source.images, LazyRows):
        return ()
    items = source.images.items
    if isinstance(items, Samples):  # known from their index
        return _note(items.grey, len(source), source.name)
    headers, _ = attempt_all(items, read_header, track, "looking for grey images")
    return _note(sum(header.grey for header in headers if header), len(source), source.name)


def _note(grey: int, of: int, name: str) -> tuple[str, ...]:
    if not grey:
        return ()
    return (f"{grey} of the {of} images of {name} are grey: the model learns from them to leave grey; remove them",)


@dataclass(frozen=True)
class LazilyPaired:
    """Pairs made one by one, from images in memory or from a lazy set.

    Attributes:
        images: the single images.
        task: makes the pairs.
        channels: how many the task needs; grey images are converted to colour.
    """

    images: ImageBatch | LazyImages[ImageBatch]
    task: Task
    channels: int

    @property
    def batch(self) -> type[Batch]:
        """The type of its rows."""
        return PairBatch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[PairBatch, str | None]:
        """Row `index`, and a line about the broken file that it replaces, or None."""
        if isinstance(self.images, ImageBatch):
            return self.row(index), None
        single, complaint = self.images[index]
        return self._pair(single), complaint

    def row(self, index: int) -> PairBatch:
        """Row `index` of images in memory."""
        assert isinstance(self.images, ImageBatch)
        return self._pair(self.images.over(lambda t: t[index : index + 1]))

    def _pair(self, single: ImageBatch) -> PairBatch:
        return self.task.pair(single.images[0].expand(self.channels, -1, -1))
