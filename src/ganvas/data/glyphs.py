"""Characters of fonts as images: single ones, or pairs of one character in two typefaces.

All characters of a font are drawn at one scale and on one baseline, chosen so that the ink of 98 of 100 characters fits
into nine tenths of the image. Each one is centred from left to right by its ink. So two typefaces of a pair have about
the same size and place, and a comma stays below a quotation mark. Ink is black on white.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ganvas.core.home import expanded
from ganvas.core.sources import GLYPHS, fonts_in_full, fonts_of
from ganvas.data.batch import RESIDENT_BYTES, Batch, ImageBatch, PairBatch, Source, Spec
from ganvas.data.decode import How, LazyRows
from ganvas.data.folder import held_out
from ganvas.errors import DataError, SettingError

SETS = {
    "hangul": range(0xAC00, 0xD7A4),  # all 11,172 syllables
    "latin": [*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)],
    "digits": range(ord("0"), ord("9") + 1),
}
DEFAULT_SIZE = 64
MOST_BYTES = 2**27  # of a font: the largest ones, with all Chinese characters, take a quarter of it
MOST_CHARACTERS = 2**17
MOST_CLASSES = 64  # characters up to which each is a class of several typefaces

_FILL = 0.9  # of the image, into which the ink of nearly all characters fits
_NEARLY = 0.01  # of the characters, that may reach further on each side
_MEASURED = 256  # pixels of an em at which characters are measured
_FAINT = 0.002  # of an image that is ink, below which a character is blank


def open_glyphs(name: str, how: How, *, target: str | None = None, characters: str | None = None) -> Source[Any]:
    """Open the characters of `glyphs:FONT[,FONT...]`; with a `target`, pairs with the same character of that font.

    Where there are several fonts, the class of an image is its character, if these are at most 64, or else its
    typeface. With `how.holdout`, characters are held out, the same of each font.

    Args:
        name: `glyphs:` and one or several font files (TrueType or OpenType), with commas between them.
        how: the size, what is held out, and so on.
        target: `glyphs:` and one font file.
        characters: `hangul`, `latin` or `digits`, or a text file with the characters; the first of these that the fonts
            have, if not given.

    Raises:
        DataError: for a file that is no font, or has none of the characters.
    """
    faces = _faces(name, "data")
    targets = _faces(target, "target") if target else []
    if len(targets) > 1:
        raise DataError(f"`target` {target}: holds {len(targets)} fonts; give one, whose characters are the targets")
    size = how.size or (how.like.size if how.like else DEFAULT_SIZE)
    chosen, notes = _characters([*faces, *targets], characters)
    kept = [text for text in chosen if not how.holdout or _is_held_out(text, how.holdout) == (how.part == "test")]
    margin = how.margin(size)
    placed = [_placed(face, chosen, size, margin=margin) for face in [*faces, *targets]]
    items = [(number, text) for number in range(len(faces)) for text in kept]
    items = [(number, text) for number, text in items if _has_ink(placed, [number, -1] if targets else [number], text)]
    if len(items) < how.least:
        raise DataError(f"{name}: {len(items)} characters with ink; give other `characters`, or another font")
    if blank := len(kept) * len(faces) - len(items):
        notes += (f"{blank:,} characters are blank and left out",)
    by_character = 0 < len(chosen) <= MOST_CLASSES
    classes = () if targets or len(faces) == 1 else tuple(chosen) if by_character else tuple(map(_title, faces))
    read = ReadGlyph(tuple(placed), classes, paired=bool(targets), by_character=by_character)
    rows: Any = LazyRows(items, read)
    spec = Spec(size, 1, classes, target_channels=1 if targets else 0)
    if spec.bytes * len(items) <= RESIDENT_BYTES:
        rows = read.batch.together(
            [read(item) for item in how.track(items, total=len(items), description="drawing characters")]
        )
    names = tuple(f"{text} {_title(faces[number])}" if len(faces) > 1 else text for number, text in items)
    return Source(fonts_in_full(name), spec, rows, part=how.held_part, margin=margin, notes=notes, names=names)


@dataclass(frozen=True)
class Placed:
    """A font at the scale and the place of its characters in an image.

    Attributes:
        file: of the font.
        em: its size, in pixels.
        baseline: of its characters, in pixels from the upper edge.
        side: of the images, in pixels.
    """

    file: Path
    em: float
    baseline: float
    side: int

    def holds(self, text: str) -> bool:
        """Whether the font has this character."""
        return ord(text) in _held_by(self.file)

    def advance(self, text: str) -> float:
        """How far to go on after a character, in pixels."""
        return float(_font(self.file, self.em).getlength(text))

    def middle(self, text: str) -> float:
        """Where the middle of its ink is from its start, in pixels; half of its advance for a blank one."""
        left, top, right, bottom = _box(_font(self.file, self.em), text)
        return (left + right) / 2 if bottom > top else self.advance(text) / 2

    def drawn(self, text: str) -> Tensor:
        """A character, uint8 (1, side, side), black on white."""
        image = Image.new("L", (3 * self.side, self.side), 255)
        font = _font(self.file, self.em)
        ImageDraw.Draw(image).text((self.side, self.baseline), text, 0, font=font, anchor="ls")
        pixels = np.asarray(image)
        inked = np.flatnonzero(pixels.min(0) < 255)
        middle = int(inked[0] + inked[-1] + 1) // 2 if len(inked) else self.side
        start = min(max(0, middle - self.side // 2), 2 * self.side)
        return torch.from_numpy(pixels[:, start : start + self.side].copy())[None]


@dataclass(frozen=True)
class ReadGlyph:
    """Draws an item: the number of a font, and a character.

    Attributes:
        faces: the fonts; that of the targets is the last.
        classes: their names; empty where there are none.
        paired: whether an item is a pair.
        by_character: whether the class is the character, and not the typeface.
    """

    faces: tuple[Placed, ...]
    classes: tuple[str, ...]
    paired: bool
    by_character: bool

    @property
    def batch(self) -> type[Batch]:
        """The type of its rows."""
        return PairBatch if self.paired else ImageBatch

    def __call__(self, item: tuple[int, str], /) -> Any:
        """A batch of one, uint8."""
        number, text = item
        drawn = self.faces[number].drawn(text)[None]
        if self.paired:
            return PairBatch(drawn, self.faces[-1].drawn(text)[None])
        if not self.classes:
            return ImageBatch(drawn)
        return ImageBatch(drawn, torch.tensor([self.classes.index(text) if self.by_character else number]))


# --- fonts ----------------------------------------------------------------------------------------------------------


def _faces(name: str, field: str) -> list[Path]:
    """The files of the fonts of a `glyphs:` name."""
    files = fonts_of(name)
    if not files:
        raise DataError(f"`{field}` {name}: names no font; write {GLYPHS}FONT.ttf, or several with commas between them")
    for file in files:
        if not file.is_file():
            raise DataError(f"`{field}` {file}: no such font file")
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"{file}: has more than {MOST_BYTES // 2**20} MB, so it is not a font")
        _font(file, 16.0)
    return files


@functools.lru_cache(maxsize=64)
def _font(file: Path, em: float) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(str(file.resolve()), em, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        why = "it holds bitmaps, not outlines" if "pixel size" in str(error) else f"FreeType says: {error}"
        raise DataError(f"{file}: not a font that can be scaled ({why}); give a TrueType or OpenType file") from error


def _title(file: Path) -> str:
    """The name of a typeface."""
    return file.stem


@functools.lru_cache(maxsize=64)
def _held_by(file: Path) -> frozenset[int]:
    """The code points that a font has a glyph for."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(file, lazy=True, fontNumber=0) as font:
            return frozenset(font.getBestCmap() or ())
    except (TTLibError, OSError, AssertionError, KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise DataError(f"{file}: its table of characters cannot be read ({type(error).__name__})") from error


def _box(font: ImageFont.FreeTypeFont, text: str) -> tuple[float, float, float, float]:
    """The ink of a character from its start on the baseline: left, top, right, bottom; empty if it cannot be drawn."""
    try:
        return font.getbbox(text, anchor="ls")
    except OSError:  # a damaged outline
        return 0.0, 0.0, 0.0, 0.0


# --- characters -----------------------------------------------------------------------------------------------------


def _characters(files: Sequence[Path], asked: str | None) -> tuple[list[str], tuple[str, ...]]:
    """The characters that all of the fonts have, and a note on those that they lack."""
    held = frozenset.intersection(*map(_held_by, files))
    if asked is None:
        asked = next((name for name in ("hangul", "latin") if held.issuperset(SETS[name][:1])), "latin")
    points = list(SETS[asked]) if asked in SETS else _from_file(asked)
    found = [chr(point) for point in points if point in held]
    if not found:
        raise DataError(
            f"{', '.join(file.name for file in files)}: no character of {asked} that all of them have; give other "
            "`characters`"
        )
    missing = [chr(point) for point in points if point not in held]
    if not missing:
        return found, ()
    shown = " ".join(missing[:8]) + (" ..." if len(missing) > 8 else "")
    return found, (f"{len(missing):,} of {len(points):,} characters are in none or not all of the fonts: {shown}",)


def _from_file(name: str) -> list[int]:
    """The characters of a text file, each once, in its order."""
    path = expanded(name)
    if not path.is_file():
        raise SettingError(f"`characters` {name}: expected {', '.join(SETS)}, or a text file with the characters")
    if path.stat().st_size > 4 * MOST_CHARACTERS:
        raise DataError(f"{path}: holds more than {MOST_CHARACTERS:,} characters")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except ValueError as error:
        raise DataError(f"{path}: not a text in UTF-8") from error
    points = [ord(sign) for sign in dict.fromkeys(text) if not sign.isspace() and sign.isprintable()]
    if not points:
        raise DataError(f"{path}: holds no characters")
    return points


def _is_held_out(text: str, share: float) -> bool:
    return held_out(PurePath(f"U+{ord(text):04X}"), share)


# --- places ---------------------------------------------------------------------------------------------------------


def placed(file: Path, size: int, *, characters: str | None = None) -> Placed:
    """A font as `open_glyphs` draws these characters of it, at that size in pixels.

    Raises:
        DataError: as `open_glyphs`.
    """
    (face,) = _faces(f"{GLYPHS}{file}", "font")
    return _placed(face, _characters([face], characters)[0], size)


def _placed(file: Path, characters: Sequence[str], size: int, *, margin: int = 0) -> Placed:
    """A font at the scale for images of that size, which are kept larger by a margin."""
    em, baseline = _place(file, characters, size)
    return Placed(file, em, baseline + margin / 2, size + margin)


def _place(file: Path, characters: Sequence[str], side: int) -> tuple[float, float]:
    """The em of a font for images of that side, and the baseline of its characters, in pixels."""
    font = _font(file, float(_MEASURED))
    found = [_box(font, text) for text in characters[:: max(1, len(characters) // 1024)]]
    boxes = np.array([box for box in found if box[2] > box[0] and box[3] > box[1]])
    if not len(boxes):
        raise DataError(f"{file}: its characters are blank")
    top, bottom = np.quantile(boxes[:, 1], _NEARLY), np.quantile(boxes[:, 3], 1 - _NEARLY)
    width = np.quantile(boxes[:, 2] - boxes[:, 0], 1 - _NEARLY)
    scale = _FILL * side / max(width, bottom - top)
    return float(_MEASURED * scale), float(side / 2 - scale * (top + bottom) / 2)


def _has_ink(faces: Sequence[Placed], numbers: Sequence[int], text: str) -> bool:
    """Whether a character is more than blank in each of these fonts, by its outline; a space is not."""
    for number in numbers:
        face = faces[number]
        left, top, right, bottom = _box(_font(face.file, face.em), text)
        if (right - left) * (bottom - top) < _FAINT * face.side**2:
            return False
    return True
