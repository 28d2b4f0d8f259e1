"""Two unpaired sets of images, for methods that learn without pairs."""

from dataclasses import dataclass, replace

from ganvas.data.batch import Batch, ImageBatch, Source, UnpairedBatch
from ganvas.data.fingerprints import of_parts


@dataclass(frozen=True)
class TwoSets:
    """The sets side by side; row i holds image i of each, and the shorter set starts again at its end.

    Attributes:
        sides: the set of sources and the set of targets.
    """

    sides: tuple[Source[ImageBatch], Source[ImageBatch]]

    @property
    def batch(self) -> type[Batch]:
        """The type of its rows."""
        return UnpairedBatch

    def __len__(self) -> int:
        return max(map(len, self.sides))

    def __getitem__(self, index: int) -> tuple[UnpairedBatch, None]:
        """Row `index`; the sets report their broken files themselves."""
        return self.joined(*(side.raw([index % len(side)]) for side in self.sides)), None

    @staticmethod
    def joined(source: ImageBatch, target: ImageBatch) -> UnpairedBatch:
        """One batch of equally many images of each set."""
        return UnpairedBatch(source.images, target.images)


def unpaired(source: Source[ImageBatch], target: Source[ImageBatch]) -> Source[UnpairedBatch]:
    """Two sets as one; both are opened with the same number of channels."""
    channels = max(source.spec.channels, target.spec.channels)
    spec = replace(source.spec, channels=channels, classes=(), target_channels=channels)
    assert source.spec.channels == target.spec.channels == channels, "open both with the channels of both"
    return Source(
        source.name, spec, TwoSets((source, target)), source.left_out + target.left_out, source.part, source.margin,
        notes=source.notes + target.notes, fingerprint=of_parts(side.fingerprint.encode() for side in (source, target)),
    )  # fmt: skip
