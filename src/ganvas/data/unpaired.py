"""Two sets of images of different things, as a method takes them that learns without pairs."""

from dataclasses import dataclass, replace

from ganvas.data.batch import Batch, ImageBatch, Source, UnpairedBatch


@dataclass(frozen=True)
class TwoSets:
    """The sets side by side; row i holds image i of each, and the shorter set begins anew where it ends.

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
        """Row `index`; which file was broken is told by the sets themselves."""
        return self.joined(*(side.raw([index % len(side)]) for side in self.sides)), None

    @staticmethod
    def joined(source: ImageBatch, target: ImageBatch) -> UnpairedBatch:
        """As many images of the one as of the other, as one batch."""
        return UnpairedBatch(source.images, target.images)


def unpaired(source: Source[ImageBatch], target: Source[ImageBatch]) -> Source[UnpairedBatch]:
    """Two sets as one; grey images are made colour where the other side is."""
    channels = max(source.spec.channels, target.spec.channels)
    spec = replace(source.spec, channels=channels, classes=(), target_channels=channels)
    assert source.spec.channels == target.spec.channels == channels, "open both with the channels of both"
    left_out = source.left_out + target.left_out
    return Source(source.name, spec, TwoSets((source, target)), left_out, source.part, source.margin)
