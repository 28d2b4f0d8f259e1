"""Text in a model's hand: the characters of any font, translated one by one and set in lines."""

import math
import unicodedata
from pathlib import Path

import torch
from torch import Tensor

from ganvas.core.optim import evaluating
from ganvas.data import glyphs
from ganvas.data.glyphs import Placed
from ganvas.errors import DataError, ModelError, SettingError
from ganvas.imaging.images import DecodedImage, to_bytes, to_signed
from ganvas.inference.translate import Translator

MOST_CHARACTERS = 10_000  # of a text; a page has two thousand
MOST_PIXELS = 2**26  # of the image

_TOGETHER = 32  # characters in one batch
_LEADING = 1.1  # from one line to the next, in images


def lettered(translator: Translator, text: str, font: Path, *, characters: str | None = None) -> DecodedImage:
    """A text, in one line or several, as a model draws it that has learned to translate characters.

    Args:
        translator: of a model that translates grey images, such as the characters of one typeface to another.
        text: what to write; line breaks begin new lines.
        font: the font whose characters the model gets.
        characters: the set that decides on their scale, as in training.

    Returns:
        uint8 (1, H, W), black on white.

    Raises:
        DataError: for a font that cannot be read, or lacks characters, which are named.
        ModelError: for a model of colour images.
        SettingError: for a text that is empty or too long.
    """
    spec = translator.model.manifest.spec
    if (spec.channels, spec.outputs) != (1, 1):
        raise ModelError("this model is one of colour images; text takes a model of characters in black and white")
    lines = [line.expandtabs(4) for line in unicodedata.normalize("NFC", text).splitlines()]
    signs = sorted({sign for line in lines for sign in line if not sign.isspace()})
    if not signs:
        raise SettingError("`text`: is empty; give something to write")
    if sum(map(len, lines)) > MOST_CHARACTERS:
        raise SettingError(f"`text`: has more than {MOST_CHARACTERS:,} characters; write it in parts")
    face = glyphs.placed(font, spec.size, characters=characters)
    if missing := [sign for sign in signs if not face.holds(sign)]:
        shown = " ".join(missing[:16]) + (" ..." if len(missing) > 16 else "")
        raise DataError(f"{font}: has no {shown}; take another font, or leave them out")
    return DecodedImage(_set(lines, dict(zip(signs, _translated(translator, face, signs), strict=True)), face))


def _translated(translator: Translator, face: Placed, signs: list[str]) -> list[Tensor]:
    """The output for each character, uint8 (1, size, size)."""
    method = translator.model.method
    device, made = next(method.parameters()).device, list[Tensor]()
    with evaluating(method):
        for part in range(0, len(signs), _TOGETHER):
            drawn = torch.stack([face.drawn(sign) for sign in signs[part : part + _TOGETHER]])
            made += list(to_bytes(translator.method.translate(to_signed(drawn).to(device)).cpu()))
    return made


def _set(lines: list[str], drawn: dict[str, Tensor], face: Placed) -> Tensor:
    """The characters in lines: each has its middle where the font would have it."""
    widths = [sum(face.advance(sign) for sign in line) for line in lines]
    width = math.ceil(max(widths)) + face.side
    step = round(face.side * _LEADING)
    height = face.side + step * (len(lines) - 1)
    if width * height > MOST_PIXELS:
        raise SettingError(f"`text`: takes {width:,}x{height:,} pixels; break it into lines")
    page = torch.full((1, height, width), 255, dtype=torch.uint8)
    for number, line in enumerate(lines):
        pen = face.side / 2
        for sign in line:
            if sign in drawn:
                left, top = round(pen + face.middle(sign) - face.side / 2), number * step
                place = page[:, top : top + face.side, left : left + face.side]
                place.copy_(torch.minimum(place, drawn[sign]))  # ink over ink
            pen += face.advance(sign)
    return page
