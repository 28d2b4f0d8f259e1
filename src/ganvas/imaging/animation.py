"""Reads and writes animated GIF, PNG and WebP frame by frame: Pillow's own writers hold all frames at once."""

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import GifImagePlugin, Image

from ganvas.core.atomic_io import new_file
from ganvas.errors import DataError
from ganvas.imaging import images
from ganvas.imaging.images import DecodedImage

MOST_PIXELS = 2**30  # of all frames: 500 of 1920x1080, which take minutes; longer ones are videos

_OPAQUE = 128  # the least alpha that a GIF shows
_HOLE = 255  # the number of the colour that stands for holes in a GIF
_PNG_HEADER = 33  # bytes of the signature and the first chunk


@dataclass(frozen=True)
class Frame:
    """A frame, and the milliseconds that it stays."""

    image: DecodedImage
    milliseconds: int


def frames(path: Path, notes: set[str]) -> Iterator[Frame]:
    """The frames of an animation, from the first that it shows; a broken one ends it, which is added to the notes.

    Raises:
        DataError: if it is broken from the beginning, or holds more than a bounded number of pixels.
    """
    with images.opened(path) as video:
        first, count = video.tell(), int(getattr(video, "n_frames", 1))
        if count * video.width * video.height > MOST_PIXELS:
            raise DataError(
                f"{path}: {count:,} frames of {video.width}x{video.height} pixels; expected an animation of "
                f"{MOST_PIXELS // 10**6:,} million pixels or fewer; make it a video (.mp4)"
            )
        size, loaded = video.size, False
        for number in range(first, count):
            try:
                video.seek(number)
                images.require_size(path, video)
                frame = images.image_of(video)  # WebP knows the duration only then
                if video.size != size:
                    raise DataError(f"{path}: its frames differ in size")
            except Exception:  # whatever a broken frame makes Pillow raise
                if not loaded:
                    raise
                notes.add("its later frames are broken, and are left out")
                return
            loaded = True
            yield Frame(frame, round(video.info.get("duration", 0)))


def loops(path: Path) -> int | None:
    """How many times an animation is shown, 0 for ever; None if the file does not say."""
    with images.opened(path) as video:
        found = video.info.get("loop")
        return found if isinstance(found, int) and 0 <= found < 2**16 else None


def write(place: Path, made: Iterable[Frame], *, loop: int | None, transparent: bool) -> None:
    """Write frames of one size as an animation of the format that the ending names, whole or not at all.

    Args:
        place: a GIF, PNG or WebP.
        made: the frames; each is written before the next is asked for.
        loop: how many times it is shown, 0 for ever; None for once.
        transparent: whether the frames may be transparent.

    Raises:
        SaveError: if it cannot be written.
    """
    writer = _WRITERS[images.format_of(place)]
    with new_file(place) as half, half.open("w+b") as file:
        writer(file, made, loop, transparent)


# --- formats ----------------------------------------------------------------------------------------------------------


def _write_gif(file: BinaryIO, made: Iterable[Frame], loop: int | None, transparent: bool) -> None:
    """Each frame with its own palette; it is cleared before the next, or it would show through the holes of that."""
    hole = _HOLE if transparent else None  # in every frame: programs look at the first one
    begun = False
    for frame in made:
        image = _with_palette(frame.image, hole)
        if not begun:  # a GIF that does not say how often is shown once
            says: dict[str, object] = {"duration": 1} if loop is None else {"duration": 1, "loop": loop}
            file.writelines(GifImagePlugin.getheader(image.copy(), info=says)[0])
            begun = True
        options: dict[str, Any] = {} if hole is None else {"transparency": hole}
        milliseconds = min(frame.milliseconds, 655_350)
        file.writelines(
            GifImagePlugin.getdata(image, duration=milliseconds, disposal=2, include_color_table=True, **options)
        )
    file.write(b";")


def _with_palette(image: DecodedImage, hole: int | None) -> Image.Image:
    """The image in 256 colours, one of which may stand for its holes."""
    colours = images.to_pillow(image.pixels).convert("RGB")
    reduced = colours.convert("P", palette=Image.Palette.ADAPTIVE, colors=256 if hole is None else hole)
    palette = ((reduced.getpalette() or []) + [0] * 768)[:768]
    if hole is not None and image.alpha is not None:
        numbers = np.array(reduced)
        numbers[image.alpha.numpy() < _OPAQUE] = hole
        reduced = Image.fromarray(numbers).convert("P")
    reduced.putpalette(palette)
    return reduced


def _write_png(file: BinaryIO, made: Iterable[Frame], loop: int | None, transparent: bool) -> None:
    """The chunks of still images, as animated PNG wants them (PNG 3, section 11.3.5)."""
    count, number = 0, 0  # frames, and chunks of frames
    for frame in made:
        chunks = list(_png_chunks(_still("x.png", frame.image, transparent)))
        if not count:
            file.write(b"\x89PNG\r\n\x1a\n")
            _put_chunk(file, b"IHDR", chunks[0][1])
            _put_chunk(file, b"acTL", bytes(8))  # how many frames is known at the end
        width, height = struct.unpack(">II", chunks[0][1][:8])
        delay = min(frame.milliseconds, 65_535)
        _put_chunk(file, b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, delay, 1000, 0, 0))
        number += 1
        for name, content in chunks:
            if name == b"IDAT" and not count:
                _put_chunk(file, name, content)
            elif name == b"IDAT":
                _put_chunk(file, b"fdAT", struct.pack(">I", number) + content)
                number += 1
        count += 1
    _put_chunk(file, b"IEND", b"")
    file.seek(_PNG_HEADER)
    _put_chunk(file, b"acTL", struct.pack(">II", count, 1 if loop is None else loop))


def _png_chunks(encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(encoded):
        length, name = struct.unpack(">I4s", encoded[at : at + 8])
        yield name, encoded[at + 8 : at + 8 + length]
        at += 12 + length


def _put_chunk(file: BinaryIO, name: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))


def _write_webp(file: BinaryIO, made: Iterable[Frame], loop: int | None, transparent: bool) -> None:
    """The chunks of still images in a container (RFC 9649, section 2.7)."""
    begun = False
    for frame in made:
        height, width = frame.image.pixels.shape[-2:]
        if not begun:
            file.write(b"RIFF" + bytes(4) + b"WEBP")  # how long it is is known at the end
            flags = 0x02 | (0x10 if transparent else 0)  # animated, with alpha
            _put_riff(file, b"VP8X", bytes([flags, 0, 0, 0]) + _three(width - 1) + _three(height - 1))
            _put_riff(file, b"ANIM", bytes(4) + struct.pack("<H", 1 if loop is None else loop))
            begun = True
        place = bytes(6) + _three(width - 1) + _three(height - 1) + _three(min(frame.milliseconds, 2**24 - 1))
        body = io.BytesIO()
        for name, content in _riff_chunks(_still("x.webp", frame.image, transparent)):
            if name in (b"ALPH", b"VP8 ", b"VP8L"):
                _put_riff(body, name, content)
        _put_riff(file, b"ANMF", place + b"\x02" + body.getvalue())  # replaces the frame before it
    length = file.tell()
    file.seek(4)
    file.write(struct.pack("<I", length - 8))


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _riff_chunks(encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(encoded):
        name, length = struct.unpack("<4sI", encoded[at : at + 8])
        yield name, encoded[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _put_riff(file: BinaryIO, name: bytes, content: bytes) -> None:
    file.write(name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2))


def _still(name: str, image: DecodedImage, transparent: bool) -> bytes:
    """The frame alone, in colour, with alpha if all frames have it."""
    pixels, alpha = images.in_channels(image.pixels, 3), None
    if transparent:
        opaque = torch.full(pixels.shape[1:], 255, dtype=torch.uint8)
        alpha = opaque if image.alpha is None else image.alpha
    return images.encode(Path(name), images.to_pillow(pixels, alpha)).getvalue()


_WRITERS: dict[str, Callable[[BinaryIO, Iterable[Frame], int | None, bool], None]] = {
    "GIF": _write_gif, "PNG": _write_png, "WEBP": _write_webp,
}  # fmt: skip
