"""The only place where pixels change range or layout.

Inside ganvas an image is a tensor of shape (C, H, W), C = 1 (grey) or 3 (sRGB):
uint8 in 0..255 in storage, float in -1..1 for networks. Files are read as a viewer shows them: rotated by
EXIF, converted from their colour profile to sRGB, with transparency on white or as a separate alpha channel.
"""

import contextlib
import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from ganvas.core.atomic_io import write_whole
from ganvas.errors import DataError, GanvasError, UsageError

_FORMATS = {  # Pillow's format names; asking Pillow would make it load all of its forty plugins
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF",
    ".gif": "GIF",
}  # fmt: skip
EXTENSIONS = frozenset(_FORMATS)
MIN_SIDE = 8  # pixels; anything smaller than the smallest digit is a mistake
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # 179 million: where Pillow refuses, from the header, before decoding
ON_A_GRID = 256  # pixels a side of an image in a grid: sixteen of 1024 fit no screen, and as a video no memory

_RESIZED = 2**26  # values that are resized at once, to bound memory; 256 images of 256 pixels in colour are fewer
_WITHOUT_ALPHA = frozenset({"JPEG", "BMP"})
_QUALITY: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},  # 4:4:4: colours as sharp as lightness
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_lzw"},  # without loss
}
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})


# --- range ----------------------------------------------------------------------------------------------------------


def to_signed(pixels: Tensor) -> Tensor:
    """uint8 in 0..255 to float32 in -1..1."""
    return pixels.to(torch.float32).mul_(2 / 255).sub_(1)


def to_bytes(signed: Tensor) -> Tensor:
    """Float in -1..1 to uint8 in 0..255, rounded to the nearest and clipped: the inverse of `to_signed`."""
    return signed.float().add(1).mul_(255 / 2).round_().clamp_(0, 255).to(torch.uint8)


def in_channels(pixels: Tensor, channels: int) -> Tensor:
    """A uint8 image (1 or 3, H, W) as (`channels`, H, W): grey repeated three times, or grey by BT.601.

    The conversion uses Pillow's arithmetic, so it equals reading the file in grey.
    """
    if pixels.shape[0] == channels:
        return pixels
    if channels == 3:
        return pixels.expand(3, -1, -1)
    red, green, blue = (pixels[i].int() for i in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16).to(torch.uint8)[None]


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Encoded:
    """An image file within another file: its bytes, and a name for messages."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name


File = Path | Encoded


@dataclass(frozen=True)
class Header:
    """What the header of an image file says: the size after EXIF rotation, and whether it is grey."""

    width: int
    height: int
    grey: bool


def read_header(path: File) -> Header:
    """Read an image's header without decoding the image; this also finds most files that are not images.

    Raises:
        DataError: if it cannot be opened as an image, or is too large or too small.
    """
    with opened(path) as image:
        width, height = image.size
        if Image.Image.getexif(image).get(ExifTags.Base.Orientation) in (5, 6, 7, 8):  # rotated; PNG's own decodes
            width, height = height, width
        return Header(width, height, _is_grey(image))


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):  # as GIFs are: grey if every colour of the palette is
        colours = np.array(image.getpalette("RGB")).reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    return image.mode in _GREY_MODES


def read_square(path: File, *, size: int, channels: int) -> Tensor:
    """An image as uint8 (channels, size, size): the largest centred square, scaled by Lanczos.

    Raises:
        DataError: if the file is not an image, broken, too large or too small.
    """
    with opened(path) as image:
        if size * 2 <= min(image.size):
            image.draft(None, (size * 2, size * 2))  # JPEG only: decode at a fraction of the size, several times faster
        upright = _upright(image, channels)
    return _to_tensor(ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS))


def read_halves(path: File, *, size: int, channels: int) -> tuple[Tensor, Tensor]:
    """The left and the right half of an image, each as `read_square` gives a whole one.

    Raises:
        DataError: if the file is not an image, broken, too large or too small, or has an odd width.
    """
    with opened(path) as image:
        upright = _upright(image, channels)
    width, height = upright.size
    if width % 2 or width < 2 * MIN_SIDE:
        raise DataError(f"{path}: {width}x{height} pixels; two images side by side have an even width")
    halves = (upright.crop((left, 0, left + width // 2, height)) for left in (0, width // 2))
    left, right = (_to_tensor(ImageOps.fit(half, (size, size), Image.Resampling.LANCZOS)) for half in halves)
    return left, right


@dataclass(frozen=True)
class DecodedImage:
    """An image with its alpha and resolution, so that it can be written back as it was.

    Attributes:
        pixels: uint8 (1 or 3, H, W), grey or sRGB.
        alpha: uint8 (H, W), 0 where it is transparent; None where the file has none.
        dpi: pixels an inch in print, across and down; None where the file does not say.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    dpi: tuple[float, float] | None = None


def read(path: Path) -> DecodedImage:
    """Read a whole image at its own size; of an animation the first frame, of several pages the first one.

    Images of 16 bits a channel keep the upper 8.

    Raises:
        DataError: if the file is not an image, broken, too large or too small.
    """
    with opened(path) as image:
        return image_of(image)


def image_of(image: Image.Image) -> DecodedImage:
    """Decode a PIL image; errors of Pillow are passed on."""
    dpi = image.info.get("dpi")
    whole, alpha = _decoded(image)
    if dpi and whole.size != image.size:  # rotated by 90 degrees
        dpi = (dpi[1], dpi[0])
    return DecodedImage(
        _to_tensor(whole), None if alpha is None else _to_tensor(alpha)[0], dpi and tuple(map(float, dpi))
    )


def image_from(image: object) -> DecodedImage:
    """Convert a PIL image, a uint8 array (H, W, C) or (H, W), or a uint8 tensor (C, H, W) or (H, W).

    Raises:
        DataError: for anything else.
    """
    if isinstance(image, Image.Image):
        return image_of(image)
    if isinstance(image, np.ndarray | Tensor) and 0 in image.shape:
        raise DataError(f"an image of shape {tuple(image.shape)} is empty")
    plain = isinstance(image, np.ndarray) and (image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (1, 3, 4)))
    if isinstance(image, np.ndarray) and plain and image.dtype == np.uint8:
        return image_of(Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image))
    if isinstance(image, Tensor) and image.dtype == torch.uint8 and image.ndim in (2, 3):
        pixels = image[None] if image.ndim == 2 else image
        if pixels.shape[0] in (1, 3):
            return DecodedImage(pixels.cpu().contiguous())
    what = type(image).__name__
    if isinstance(image, np.ndarray | Tensor):
        what = f"{what} of shape {tuple(image.shape)} and {str(image.dtype).removeprefix('torch.')}"
    raise DataError(
        f"{what} is no image; expected a path, a PIL image, a uint8 array (H, W, C) or a uint8 tensor (C, H, W)"
    )


def on_white(image: DecodedImage) -> Tensor:
    """The pixels, uint8 (1 or 3, H, W), with white where the image is transparent."""
    if image.alpha is None:
        return image.pixels
    clear = 255 - image.alpha.int()  # (H, W)
    return ((image.pixels * (255 - clear) + 255 * clear + 127) // 255).to(torch.uint8)


@contextlib.contextmanager
def opened(path: File) -> Iterator[Image.Image]:
    """Open an image, check its size, and turn any error of Pillow within the block into a DataError of one line."""
    try:
        with Image.open(io.BytesIO(path.content) if isinstance(path, Encoded) else path) as image:
            if min(image.size) < MIN_SIDE:
                raise DataError(f"{path}: {image.width}x{image.height} pixels; expected {MIN_SIDE} or more a side")
            yield image
    except GanvasError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: more than {MAX_PIXELS // 10**6} million pixels; make it smaller first") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: not an image, whatever its name says") from error
    except Exception as error:  # Pillow's decoders raise about anything: OSError, struct.error, KeyError, ...
        raise DataError(f"{path}: broken ({error})") from error


def _upright(image: Image.Image, channels: int) -> Image.Image:
    """Decode as `_decoded` does, composite on white, and return in mode L or RGB."""
    image, alpha = _decoded(image)
    if alpha is not None:
        image = Image.composite(image, Image.new(image.mode, image.size, "white"), alpha)
    return image.convert("L" if channels == 1 else "RGB")


def _decoded(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Decode, rotate by EXIF, convert to sRGB; the image in mode L or RGB, and its alpha if it has one."""
    profile, grey = image.info.get("icc_profile"), _is_grey(image)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _from_deep(image)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if image.mode in ("P", "PA", "RGBA"):
        image = image.convert("RGB")
    if profile and image.mode in ("RGB", "CMYK", "L"):
        image = _to_srgb(image, profile)
    return image.convert("L" if grey else "RGB"), alpha


def _from_deep(image: Image.Image) -> Image.Image:
    """Scale grey of 16 bits by its full range (Pillow's own conversion clips at 255), of 32 by the range of its values.

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
    """Convert by the embedded profile; one that is broken or of another colour space is ignored."""
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


def square(pixels: Tensor, *, size: int, channels: int) -> Tensor:
    """The largest centred square of a uint8 image (1 or 3, H, W), as (channels, size, size), scaled by Lanczos."""
    pixels = in_channels(pixels, channels)
    if pixels.shape[-2:] == (size, size):
        return pixels
    return _to_tensor(ImageOps.fit(to_pillow(pixels), (size, size), Image.Resampling.LANCZOS))


def resize(pixels: Tensor, size: int) -> Tensor:
    """Scale square uint8 images (N, C, H, H) to (N, C, size, size), bicubic with antialiasing."""
    if pixels.shape[-1] == size:
        return pixels
    out = pixels.new_empty((*pixels.shape[:2], size, size))
    some = max(1, min(256, _RESIZED // (pixels.shape[1] * max(size, pixels.shape[-1]) ** 2)))
    parts = zip(torch.split(pixels, some), torch.split(out, some), strict=True)  # floats take four times the memory
    for part, place in parts:
        scaled = torch.nn.functional.interpolate(part.float(), (size, size), mode="bicubic", antialias=True)
        place.copy_(scaled.round_().clamp_(0, 255))
    return out


def scaled(images: Tensor, height: int, width: int) -> Tensor:
    """Resize float images (N, C, H, W), bicubic with antialiasing; values may overshoot a little."""
    if images.shape[-2:] == (height, width):
        return images
    return torch.nn.functional.interpolate(images, (height, width), mode="bicubic", antialias=True)


# --- writing --------------------------------------------------------------------------------------------------------


def grid(images: Tensor, *, columns: int, gap: int = 2) -> Tensor:
    """Lay uint8 images (N, C, H, W) out in rows of `columns`, on white, as one image (C, H', W')."""
    n, c, h, w = images.shape
    rows = -(-n // columns)
    grid = torch.full((c, rows * (h + gap) + gap, columns * (w + gap) + gap), 255, dtype=torch.uint8)
    for i, image in enumerate(images):
        y, x = gap + i // columns * (h + gap), gap + i % columns * (w + gap)
        grid[:, y : y + h, x : x + w] = image
    return grid


def enlarge(images: Tensor, *, side: int = 64) -> Tensor:
    """Repeat the pixels of (..., H, W) a whole number of times, so that an image fills about `side` pixels."""
    times = max(1, side // max(images.shape[-2:]))
    return images.repeat_interleave(times, -2).repeat_interleave(times, -1)


def fitted(images: Tensor, *, side: int = 64) -> Tensor:
    """Scale square images (N, C, H, H) for a grid: small ones are enlarged, those above `ON_A_GRID` reduced."""
    return enlarge(resize(images, min(ON_A_GRID, images.shape[-1])), side=side)


def format_of(path: Path) -> str:
    """Pillow's name of the format that a file's ending stands for.

    Raises:
        UsageError: for an ending that is none of `EXTENSIONS`.
    """
    ending = path.suffix.lower()
    if ending not in EXTENSIONS:
        known = ", ".join(sorted(EXTENSIONS))
        raise UsageError(f"{path}: cannot write {ending or 'an image without an ending'}; end it in {known}")
    return _FORMATS[ending]


def write(path: Path, image: Tensor, *, alpha: Tensor | None = None, dpi: tuple[float, float] | None = None) -> None:
    """Write a uint8 image (C, H, W) in the format that the ending names, whole or not at all.

    Args:
        path: the file.
        image: (1 or 3, H, W).
        alpha: (H, W), or None for an opaque image; a format without alpha gets the image on white.
        dpi: pixels an inch in print, across and down.

    Raises:
        UsageError: for an ending that is not an image format.
        DataError: if that format cannot hold the image.
        SaveError: if the file cannot be written.
    """
    whole = to_pillow(image, None if format_of(path) in _WITHOUT_ALPHA else alpha)
    if alpha is not None and not keeps_alpha(path):
        whole = Image.composite(whole, Image.new(whole.mode, whole.size, "white"), to_pillow(alpha[None]))
    save(path, whole, **{} if dpi is None else {"dpi": dpi})


def keeps_alpha(path: Path) -> bool:
    """Whether the format that a file's ending stands for can be transparent.

    Raises:
        UsageError: for an ending that is none of `EXTENSIONS`.
    """
    return format_of(path) not in _WITHOUT_ALPHA


def write_gif(path: Path, frames: Iterable[Tensor], *, milliseconds: int, hold: int = 1) -> None:
    """Write uint8 images (C, H, W) as a looping GIF; the last one stays `hold` times as long.

    Raises:
        SaveError: if the file cannot be written.
    """
    images = [to_pillow(frame) for frame in frames]
    durations = [milliseconds] * (len(images) - 1) + [milliseconds * hold]
    save(path, images[0], append_images=images[1:], duration=durations, loop=0, save_all=True)


def to_pillow(image: Tensor, alpha: Tensor | None = None) -> Image.Image:
    """Pillow's image of a uint8 image (1 or 3, H, W), in mode L or RGB; with `alpha` (H, W) in LA or RGBA."""
    assert image.dtype == torch.uint8
    assert image.shape[0] in (1, 3), image.shape
    array = image.cpu().permute(1, 2, 0).numpy()
    made = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    if alpha is not None:
        made.putalpha(to_pillow(alpha[None]))
    return made


def save(path: Path, image: Image.Image, **options: object) -> None:
    """Write a PIL image in the format that the ending names, whole or not at all.

    Args:
        path: the file.
        image: the only image, or the first.
        options: of Pillow's encoder, beside the quality that is set here.

    Raises:
        UsageError: for an ending that is not an image format.
        DataError: if that format cannot hold the image.
        SaveError: if the file cannot be written.
    """
    write_whole(path, encode(path, image, **options).getbuffer(), flush=False)


def encode(path: Path, image: Image.Image, **options: object) -> io.BytesIO:
    """The file that `save` writes to that path; raises the same errors."""
    encoded, name = io.BytesIO(), format_of(path)
    try:
        image.save(encoded, name, **{**_QUALITY.get(name, {}), **options})
    except (ValueError, OSError, struct.error) as error:  # such as too many pixels a side
        raise DataError(f"{path}: {name} cannot hold it ({error}); write another format, such as .png") from error
    return encoded
