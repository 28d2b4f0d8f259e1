"""Pairs from files: two images side by side in one, or two folders matched by the names of their files."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ganvas.core.names import nfc, shown
from ganvas.core.options import Side
from ganvas.data.batch import PairBatch, Source, Spec
from ganvas.data.decode import How, headers_of, open_rows
from ganvas.data.folder import list_images, own_size, part_of
from ganvas.errors import DataError
from ganvas.imaging.images import File, Header, in_channels, read_halves, read_square

DEFAULT_SIZE = 128  # pixels: translators keep details, and need more of them than generators
SHOWN = 5  # names in a message
ASPECT = 0.02  # the largest relative difference of two partners' aspect ratios: a pixel of rounding


def open_side_by_side(
    path: Path,
    how: How = How(),
    *,
    side: Side,
) -> Source[PairBatch]:
    """Open a folder of images that hold two each; `ab`: the left one is the source, `ba`: the right one.

    Shape and splits are those of `open_folder`.

    Raises:
        DataError: if there are no images, or more than a tenth of them cannot be read or halved.
    """
    listed = list_images(path)
    files, headers, left_out = headers_of(listed.files, name=str(path), track=how.track)
    channels = 1 if all(header.grey for header in headers) else 3
    halves = [Header(header.width // 2, header.height, header.grey) for header in headers]
    spec = how.like or Spec(how.size or own_size(halves, DEFAULT_SIZE), channels, target_channels=channels)
    read = ReadHalves(spec.size + how.margin(spec.size), spec.channels, spec.outputs, side)
    chosen = part_of(files, how, name=str(path))
    return open_rows(path, chosen, read, how, spec=spec, left_out=left_out, notes=listed.passed_over.notes(path))


def open_two_folders(
    source: Path,
    target: Path,
    how: How = How(),
) -> Source[PairBatch]:
    """Open two folders whose files of the same name, without its ending, belong together.

    Raises:
        DataError: if an image has no partner, or one of another shape; if it is one folder twice; if more than a tenth
            of the images cannot be read.
    """
    matched = match(source, target)
    partner = dict(matched.pairs)
    firsts, headers, left_out = headers_of(list(partner), name=str(source), track=how.track)
    others = headers_of([partner[first] for first in firsts], name=str(target), track=how.track)
    header_of = dict(zip(others[0], others[1], strict=True))
    whole = [(first, header) for first, header in zip(firsts, headers, strict=True) if partner[first] in header_of]
    left_out += others[2]
    for first, header in whole:
        _require_same_shape(first, header, partner[first], header_of[partner[first]])
    spec = how.like or Spec(
        how.size or own_size([header for _, header in whole], DEFAULT_SIZE),
        1 if all(header.grey for _, header in whole) else 3,
        target_channels=1 if all(header.grey for header in others[1]) else 3,
    )
    chosen = part_of([first for first, _ in whole], how, name=str(source))
    read = ReadTwo(spec.size + how.margin(spec.size), spec.channels, spec.outputs)
    pairs = [(first, partner[first]) for first in chosen]
    return open_rows(source, pairs, read, how, spec=spec, left_out=left_out, notes=matched.notes)


class Matched(NamedTuple):
    """The files of two folders that belong together, and what is passed over in each."""

    pairs: list[tuple[Path, Path]]
    notes: tuple[str, ...] = ()


def match(source: Path, target: Path) -> Matched:
    """Match the files of two folders by their names without the endings.

    Raises:
        DataError: naming the first few that have no partner, or two that have the same name.
    """
    if source.resolve() == target.resolve():
        raise DataError(f"`target` {target}: is the same folder as `data`; give the folder with the partners")
    listed = [(folder, list_images(folder)) for folder in (source, target)]
    ours, theirs = (_by_name(folder, images.files) for folder, images in listed)
    for here, there, files in ((source, target, ours.keys() - theirs), (target, source, theirs.keys() - ours)):
        if files:
            raise DataError(
                f"{len(files)} of {len(ours | theirs)} images have no partner: {there} holds nothing named like "
                f"{_some(sorted(files))} of {here}; add the partners, or take these away"
            )
    notes = tuple(note for folder, images in listed for note in images.passed_over.notes(folder, named=True))
    return Matched([(ours[name], theirs[name]) for name in sorted(ours)], notes)


def name_of(file: Path, folder: Path) -> str:
    """The name that partners share: the path below the folder, without the ending, in one Unicode form.

    Upper and lower case differ.
    """
    return nfc(file.relative_to(folder).with_suffix("").as_posix())


def _by_name(folder: Path, files: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        name = name_of(file, folder)
        if name in found:
            raise DataError(f"{folder}: {found[name].name} and {file.name} have one name; which is the partner?")
        found[name] = file
    return found


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(shown, names[:SHOWN])) + more


def _require_same_shape(first: Path, header: Header, second: Path, other: Header) -> None:
    ratio = (header.width * other.height) / (header.height * other.width)
    if not 1 - ASPECT <= ratio <= 1 + ASPECT:
        raise DataError(
            f"{first.name} has {header.width}x{header.height} pixels and its partner {second} {other.width}x"
            f"{other.height}: cut to another shape, they do not lie on each other; `ganvas doctor` lists all such"
        )


@dataclass(frozen=True)
class ReadHalves:
    """Reads both halves of one file."""

    size: int
    channels: int
    target_channels: int
    side: Side
    batch: type[PairBatch] = PairBatch

    def __call__(self, file: File) -> PairBatch:
        """A batch of one, uint8."""
        left, right = read_halves(file, size=self.size, channels=max(self.channels, self.target_channels))
        source, target = (left, right) if self.side == "ab" else (right, left)
        return PairBatch(in_channels(source, self.channels)[None], in_channels(target, self.target_channels)[None])


@dataclass(frozen=True)
class ReadTwo:
    """Reads the two files of a pair."""

    size: int
    channels: int
    target_channels: int
    batch: type[PairBatch] = PairBatch

    def __call__(self, files: tuple[Path, Path]) -> PairBatch:
        """A batch of one, uint8."""
        source, target = files
        return PairBatch(
            read_square(source, size=self.size, channels=self.channels)[None],
            read_square(target, size=self.size, channels=self.target_channels)[None],
        )
