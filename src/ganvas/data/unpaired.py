"""Two sets of pictures of different things, as a method takes them that learns without pairs."""

from dataclasses import dataclass, replace

from ganvas.data.batch import Batch, Images, Source, Unpaired


@dataclass(frozen=True)
class TwoSets:
    """The sets side by side; row i holds picture i of each, and the shorter set begins anew where it ends.

    Attributes:
        sides: the set of sources and the set of targets.
    """

    sides: tuple[Source[Images], Source[Images]]

    @property
    def batch(self) -> type[Batch]:
        """The type of its rows."""
        return Unpaired

    def __len__(self) -> int:
        return max(map(len, self.sides))

    def __getitem__(self, index: int) -> tuple[Unpaired, None]:
        """Row `index`; which file was broken is told by the sets themselves."""
        return self.joined(*(side.raw([index % len(side)]) for side in self.sides)), None

    @staticmethod
    def joined(source: Images, target: Images) -> Unpaired:
        """As many pictures of the one as of the other, as one batch."""
        return Unpaired(source.images, target.images)


def unpaired(source: Source[Images], target: Source[Images]) -> Source[Unpaired]:
    """Two sets as one; grey pictures are made colour where the other side is."""
    channels = max(source.spec.channels, target.spec.channels)
    spec = replace(source.spec, channels=channels, classes=(), target_channels=channels)
    assert source.spec.channels == target.spec.channels == channels, "open both with the channels of both"
    left_out = source.left_out + target.left_out
    return Source(source.name, spec, TwoSets((source, target)), left_out, source.part, source.margin)
