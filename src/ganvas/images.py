"""The only place where pixels change range or layout.

Inside ganvas a picture is a tensor of shape (C, H, W), C = 1 (grey) or 3 (sRGB):
uint8 in 0..255 at rest, float in -1..1 where networks see it. Files are read as a person would see them:
turned as EXIF says, in sRGB whatever profile they carry, transparency laid on white.
"""

import contextlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from ganvas.errors import DataError, UsageError
from ganvas.files import write_whole

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
MIN_SIDE = 8  # pixels; less than the smallest digit is an accident, not a picture
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # 179 million: where Pillow refuses, from the header, before decoding

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})


# --- range ----------------------------------------------------------------------------------------------------------


def to_signed(pixels: Tensor) -> Tensor:
    """uint8 in 0..255 to float32 in -1..1."""
    return pixels.to(torch.float32).mul_(2 / 255).sub_(1)


def to_bytes(signed: Tensor) -> Tensor:
    """Float in -1..1 to uint8 in 0..255, rounded to the nearest and clipped: the inverse of `to_signed`."""
    return signed.float().add(1).mul_(255 / 2).round_().clamp_(0, 255).to(torch.uint8)


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded: pixels as stored, and whether it holds no colour."""

    width: int
    height: int
    grey: bool


def read_header(path: Path) -> Header:
    """Open a picture without decoding it, which also finds most of what is no picture.

    Raises:
        DataError: if it cannot be opened as a picture, or is too large or too small.
    """
    with _opened(path) as image:
        return Header(image.width, image.height, _is_grey(image))


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):  # as GIFs are: grey if every colour of the palette is
        colours = np.array(image.getpalette("RGB")).reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    return image.mode in _GREY_MODES


def read_square(path: Path, *, size: int, channels: int) -> Tensor:
    """A picture as uint8 (channels, size, size): the largest centred square, scaled by Lanczos.

    Raises:
        DataError: if the file is no picture, broken, too large or too small.
    """
    with _opened(path) as image:
        if size * 2 <= min(image.size):
            image.draft(None, (size * 2, size * 2))  # JPEG only: decode at a fraction of the size, several times faster
        upright = _upright(image, channels)
    return _to_tensor(ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture, hold it to the limits, and turn whatever Pillow raises within the block into one line."""
    try:
        with Image.open(path) as image:
            if min(image.size) < MIN_SIDE:
                raise DataError(f"{path}: {image.width}x{image.height} pixels; expected {MIN_SIDE} or more a side")
            yield image
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: more than {MAX_PIXELS // 10**6} million pixels; make it smaller first") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: not a picture, whatever its name says") from error
    except Exception as error:  # Pillow's decoders raise about anything: OSError, struct.error, KeyError, ...
        raise DataError(f"{path}: broken ({error})") from error


def _upright(image: Image.Image, channels: int) -> Image.Image:
    """Decode, turn as EXIF says, bring to sRGB, lay on white, and return in mode L or RGB."""
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _from_deep(image)
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    if profile and image.mode in ("RGB", "CMYK"):
        image = _to_srgb(image, profile)
    return image.convert("L" if channels == 1 else "RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """Grey of 16 bits by its full range (Pillow's own conversion clips at 255); of 32, by what it seems to hold.

    Files of floats hold 0..1, those of 32-bit integers 0..255, and either may hold 0..65535.
    """
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    largest = values.max(initial=0)
    if image.mode == "F" and largest <= 1:
        values = values * 255
    elif image.mode not in ("F", "I") or largest > 255:
        values = values / 257
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert by the embedded profile; one that is broken or of another colour space is passed over."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted or image


def _to_tensor(image: Image.Image) -> Tensor:
    pixels = torch.from_numpy(np.array(image))  # (H, W) or (H, W, C)
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1).contiguous()


def resize(pixels: Tensor, size: int) -> Tensor:
    """Scale square uint8 pictures (N, C, H, H) to (N, C, size, size), bicubic with antialiasing."""
    if pixels.shape[-1] == size:
        return pixels
    out = pixels.new_empty((*pixels.shape[:2], size, size))
    parts = zip(torch.split(pixels, 256), torch.split(out, 256), strict=True)  # floats take four times the memory
    for part, place in parts:
        scaled = torch.nn.functional.interpolate(part.float(), (size, size), mode="bicubic", antialias=True)
        place.copy_(scaled.round_().clamp_(0, 255))
    return out


# --- writing --------------------------------------------------------------------------------------------------------


def grid(pictures: Tensor, *, columns: int, gap: int = 2) -> Tensor:
    """Lay uint8 pictures (N, C, H, W) out in rows of `columns`, on white, as one picture (C, H', W')."""
    n, c, h, w = pictures.shape
    rows = -(-n // columns)
    sheet = torch.full((c, rows * (h + gap) + gap, columns * (w + gap) + gap), 255, dtype=torch.uint8)
    for i, picture in enumerate(pictures):
        y, x = gap + i // columns * (h + gap), gap + i % columns * (w + gap)
        sheet[:, y : y + h, x : x + w] = picture
    return sheet


def enlarge(pictures: Tensor, *, side: int = 64) -> Tensor:
    """Repeat the pixels of (..., H, W) a whole number of times, so that a picture fills about `side` pixels."""
    times = max(1, side // max(pictures.shape[-2:]))
    return pictures.repeat_interleave(times, -2).repeat_interleave(times, -1)


def format_of(path: Path) -> str:
    """Pillow's name of the format that a file's ending stands for.

    Raises:
        UsageError: for an ending that is none of `EXTENSIONS`.
    """
    ending = path.suffix.lower()
    if ending not in EXTENSIONS:
        known = ", ".join(sorted(EXTENSIONS))
        raise UsageError(f"{path}: cannot write {ending or 'a picture without an ending'}; end it in {known}")
    return Image.registered_extensions()[ending]


def write(path: Path, picture: Tensor) -> None:
    """Write a uint8 picture (C, H, W) in the format that the ending names, whole or not at all.

    Raises:
        UsageError: for an ending that is no picture format.
        SaveError: if the file cannot be written.
    """
    _save(path, _to_pillow(picture))


def write_film(path: Path, frames: Iterable[Tensor], *, milliseconds: int, hold: int = 1) -> None:
    """Write uint8 pictures (C, H, W) as an endless GIF; the last one stays `hold` times as long.

    Raises:
        SaveError: if the file cannot be written.
    """
    images = [_to_pillow(frame) for frame in frames]
    durations = [milliseconds] * (len(images) - 1) + [milliseconds * hold]
    _save(path, images[0], append_images=images[1:], duration=durations, loop=0, save_all=True)


def _to_pillow(picture: Tensor) -> Image.Image:
    assert picture.dtype == torch.uint8
    assert picture.shape[0] in (1, 3), picture.shape
    array = picture.cpu().permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def _save(path: Path, image: Image.Image, **options: object) -> None:
    encoded = io.BytesIO()
    image.save(encoded, format_of(path), **options)
    write_whole(path, encoded.getbuffer(), flush=False)
