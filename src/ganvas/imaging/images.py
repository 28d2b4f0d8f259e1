"""The only place where pixels change range or layout.

Inside ganvas an image is a tensor of shape (C, H, W), C = 1 (grey) or 3 (sRGB):
uint8 in 0..255 in storage, float in -1..1 for networks. Files are read as a viewer shows them: rotated by
EXIF, converted from their colour profile to sRGB, with transparency on white or as a separate alpha channel.
"""

import contextlib
import importlib.util
import io
import logging
import stat
import struct
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError, features
from torch import Tensor

from ganvas.core.atomic_io import new_file
from ganvas.errors import DataError, GanvasError, UsageError
from ganvas.imaging import deep

warnings.filterwarnings("ignore", module=r"PIL\.")  # sizes are bounded here, and what is broken is an error
logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it logs about a broken file is in the error

_HEIF = ".heic"
_FORMATS = {  # Pillow's format names; some of its forty plugins start programs, or guess without a signature
    ".png": "PNG", ".apng": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".jpe": "JPEG", ".webp": "WEBP",
    ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".gif": "GIF",
}  # fmt: skip
if features.check_module("avif"):
    _FORMATS[".avif"] = "AVIF"
if importlib.util.find_spec("pillow_heif"):
    _FORMATS |= {_HEIF: "HEIF", ".heif": "HEIF"}
EXTENSIONS = frozenset(_FORMATS)
MIN_SIDE = 8  # pixels; anything smaller than the smallest digit is a mistake
MAX_SIDE = 2**16 - 1  # pixels; what a JPEG's or a GIF's header can say
MAX_PIXELS = 100 * 2**20  # 105 million: with its result, and the network at work, such an image takes less than 2 GB
ON_A_GRID = 256  # pixels a side of an image in a grid: sixteen of 1024 fit no screen, and as a video no memory

_RESIZED = 2**26  # values that are resized at once, to bound memory; 256 images of 256 pixels in colour are fewer
_AT_ONCE = 2**21  # pixels that are converted at once, to bound memory
_DARK = 64  # below it the brightest value of a mask is no white
_COPIED = frozenset({"WEBP", "AVIF", "HEIF"})  # formats whose decoders hold the image several times
_ENCODED_COPIES = {"WEBP": 2, "AVIF": 4, "HEIF": 4}  # how much less such an encoder is given
_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that exchange width and height
_REVERSED = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (-1, 1), 7: (-1, -1), 8: (1, -1)}
_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_WITHOUT_ALPHA = frozenset({"JPEG", "BMP"})
_QUALITY: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},  # 4:4:4: colours as sharp as lightness
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
    "HEIF": {"quality": 90, "chroma": 444},
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
    grey = torch.empty(1, *pixels.shape[1:], dtype=torch.uint8, device=pixels.device)
    for rows in _rows(*pixels.shape[1:]):
        red, green, blue = (pixels[i, rows].int() for i in range(3))
        grey[0, rows] = (19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16
    return grey


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
        if image.format != "TIFF" and _orientation(image) in _SIDEWAYS:  # Pillow says how a TIFF is shown
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
        notes: remarks on how it was read, in sentences that are the same for every file.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def read(path: Path, *, span: deep.Range = None) -> DecodedImage:
    """Read a whole image at its own size; of an animation the first frame, of several pages the first one.

    Images of 16 bits a channel keep the upper 8. For grey of more than 8 bits `span` may name the values that are
    black and white, or `auto` for the bits, or values, in use.

    Raises:
        DataError: if the file is not an image, broken, too large or too small.
    """
    with opened(path) as image:
        return image_of(image, span=span)


def image_of(image: Image.Image, *, span: deep.Range = None) -> DecodedImage:
    """Decode a PIL image, in strips, so that a large one takes no more than its result; errors of Pillow are passed on.

    Args:
        image: of any mode.
        span: for grey of more than 8 bits the values that are black and white.
    """
    if not image.width or not image.height:
        raise DataError(f"an image of {image.width}x{image.height} pixels; expected 1 or more on each side")
    image.load()
    decode, turned = _Decoder.of(image, span), _orientation(image)
    height, width = (image.width, image.height) if turned in _SIDEWAYS else (image.height, image.width)
    pixels = np.empty((1 if decode.grey else 3, height, width), np.uint8)
    alpha = np.empty((height, width), np.uint8) if decode.transparent else None
    for top, strip in _strips(image):
        rows = slice(top, top + strip.height)
        decoded, opacity = decode(strip)
        _as_stored(pixels, turned)[:, rows] = np.atleast_3d(np.asarray(decoded)).transpose(2, 0, 1)
        if alpha is not None and opacity is not None:
            _as_stored(alpha, turned)[rows] = np.asarray(opacity)
    notes = decode.scale.notes if decode.scale else ()
    opaque = None if alpha is None else torch.from_numpy(alpha)
    return DecodedImage(torch.from_numpy(pixels), opaque, _resolution(image, turned), notes)


def _resolution(image: Image.Image, turned: int) -> tuple[float, float] | None:
    """The dots an inch across and down, as the image is shown; None if the file does not say."""
    try:
        across, down = map(float, image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0 < across < 1e6 and 0 < down < 1e6):
        return None
    return (down, across) if turned in _SIDEWAYS else (across, down)


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


def mask_of(image: DecodedImage) -> Tensor:
    """The mask, uint8 (1, H, W), that an image shows: white or, in an image of one colour, opaque where it counts.

    A dark mask of two values, such as 0 and 1, as programs store it, becomes 0 and 255.

    Raises:
        DataError: for a dark mask of more, as an image of class numbers is.
    """
    grey, alpha = in_channels(image.pixels, 1), image.alpha
    if alpha is not None and bool((alpha < 255).any()):
        grey = alpha[None] if grey.min() == grey.max() else in_channels(on_black(image), 1)
    largest = int(grey.max())
    if not 0 < largest < _DARK:
        return grey
    if bool(((grey == 0) | (grey == largest)).all()):
        return (grey > 0).to(torch.uint8) * 255
    raise DataError(f"`mask` holds values of 0 to {largest} of 255; make it white, 255, where it counts")


def on_black(image: DecodedImage) -> Tensor:
    """The pixels, uint8 (1 or 3, H, W), with black where the image is transparent."""
    inverse = DecodedImage(255 - image.pixels, image.alpha)
    return 255 - on_white(inverse)


def on_white(image: DecodedImage) -> Tensor:
    """The pixels, uint8 (1 or 3, H, W), with white where the image is transparent."""
    if image.alpha is None:
        return image.pixels
    whole = torch.empty_like(image.pixels)
    for rows in _rows(*image.alpha.shape):
        clear = 255 - image.alpha[rows].int()  # (H', W)
        whole[:, rows] = ((image.pixels[:, rows] * (255 - clear) + 255 * clear + 127) // 255).to(torch.uint8)
    return whole


@contextlib.contextmanager
def opened(path: File) -> Iterator[Image.Image]:
    """Open an image, check its size, and turn any error of Pillow within the block into a DataError of one line."""
    try:
        with _stream(path) as stream, _identified(path, stream) as image:
            require_size(path, image)
            deep.require_readable(image, path)
            if image.info.get("default_image"):  # of an animated PNG, for programs that do not animate: no frame of it
                _seek_first_frame(image)
            yield image
    except GanvasError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: more than {MAX_PIXELS // 10**6} million pixels; make it smaller first") from error
    except MemoryError as error:
        raise DataError(f"{path}: takes more memory than there is; make it smaller first") from error
    except Exception as error:  # Pillow's decoders raise about anything: OSError, struct.error, KeyError, ...
        raise DataError(f"{path}: broken ({_in_short(error)})") from error


def require_file(path: Path) -> None:
    """Raise DataError if a path does not lead to a file: reading a pipe or a device may take for ever.

    Raises:
        DataError: if there is none, or it is something else.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:  # a link to itself, or a name that is too long
        raise DataError(f"{path}: cannot be read ({_in_short(error)})") from error
    if not stat.S_ISREG(mode):
        raise DataError(f"{path}: {'a folder' if stat.S_ISDIR(mode) else 'a pipe or a device'}, not an image file")


def require_size(path: File, image: Image.Image) -> None:
    """Raise DataError if an image, or a frame, has too few pixels, or, as Pillow's own bound does, too many."""
    bomb = Image.DecompressionBombError()
    most = MAX_PIXELS // 2 if image.format in _COPIED else MAX_PIXELS
    if min(image.size) < MIN_SIDE:
        raise DataError(f"{path}: {image.width}x{image.height} pixels; expected {MIN_SIDE} or more a side")
    if image.width * image.height > most:
        raise DataError(f"{path}: more than {most // 10**6} million pixels; make it smaller first") from bomb
    if max(image.size) > MAX_SIDE:
        raise DataError(f"{path}: {image.width}x{image.height} pixels; expected {MAX_SIDE:,} or fewer a side") from bomb


def _stream(path: File) -> BinaryIO:
    if isinstance(path, Encoded):
        return io.BytesIO(path.content)
    require_file(path)
    return path.open("rb")  # a file, never a name, which a library might take for an address


def _identified(path: File, stream: BinaryIO) -> Image.Image:
    """The image in a stream; DataError if it is none."""
    if _HEIF in EXTENSIONS:
        importlib.import_module("pillow_heif").register_heif_opener()
    try:
        return Image.open(stream, formats=sorted({*_FORMATS.values(), "DIB"}))
    except UnidentifiedImageError as error:
        stream.seek(0)
        if holds := deep.what_tiff_holds(stream.read(8), stream):
            raise DataError(f"{path}: {holds}, which is not read; save it in grey or RGB of 8 or 16 bits") from error
        raise DataError(f"{path}: not an image, whatever its name says") from error


def _seek_first_frame(image: Image.Image) -> None:
    try:
        image.seek(1)
    except Exception:  # no frame of it is whole, and the image for other programs may be
        image.seek(0)


def _in_short(error: Exception) -> str:
    """What an error says, in one short line."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split())[:120] or type(error).__name__


# --- decoding ---------------------------------------------------------------------------------------------------------


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 if there is none, or the EXIF block is broken."""
    try:
        stored = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)  # PNG's own decodes the image
    except Exception:  # whatever a broken block makes Pillow raise
        return 1
    return stored if isinstance(stored, int) and 1 <= stored <= 8 else 1


def _as_stored(shown: NDArray[np.uint8], turned: int) -> NDArray[np.uint8]:
    """A view of an array (..., H, W) for the image as shown, in which the rows and columns are those of the file."""
    rows, columns = _REVERSED[turned]
    across = shown.swapaxes(-1, -2) if turned in _SIDEWAYS else shown
    return across[..., ::rows, ::columns]


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in strips of rows, each with its first row; a small image as it is."""
    strips = list(_rows(image.height, image.width))
    for rows in strips:
        yield rows.start, image if len(strips) == 1 else image.crop((0, rows.start, image.width, rows.stop))


def _rows(height: int, width: int) -> Iterator[slice]:
    """The rows of an image in parts, to bound the memory of a conversion."""
    most = max(1, _AT_ONCE // width)
    return (slice(top, min(top + most, height)) for top in range(0, height, most))


def _upright(image: Image.Image, channels: int) -> Image.Image:
    """Decode, rotate by EXIF, composite on white, and return in mode L or RGB."""
    image.load()
    decode, turn = _Decoder.of(image, None), _TRANSPOSED.get(_orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    mode = "L" if channels == 1 else "RGB"
    whole = Image.new(mode, image.size) if image.width * image.height > _AT_ONCE else None
    for top, strip in _strips(image):
        decoded, alpha = decode(strip)
        if alpha is not None:
            decoded = Image.composite(decoded, Image.new(decoded.mode, decoded.size, "white"), alpha)
        decoded = decoded.convert(mode)
        if whole is None:
            return decoded
        whole.paste(decoded, (0, top))
    assert whole is not None
    return whole


@dataclass(frozen=True)
class _Decoder:
    """Converts strips of an image to sRGB; what it needs to know of the whole is found once."""

    grey: bool
    transparent: bool
    profile: bytes | None
    scale: deep.Scale | None
    clear: int | None = None  # the value of transparent pixels of deep grey

    @classmethod
    def of(cls, image: Image.Image, span: deep.Range) -> Self:
        """For this image."""
        scale = deep.scale_of(image, span) if deep.is_deep(image) else None
        key = image.info.get("transparency")
        clear = key if scale and isinstance(key, int) else None
        transparent = clear is not None if scale else image.has_transparency_data
        return cls(_is_grey(image), transparent, image.info.get("icc_profile"), scale, clear)

    def __call__(self, image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
        """The strip in mode L or RGB, and its alpha if it has one."""
        alpha = None
        if self.scale is not None:
            if self.clear is not None:
                alpha = Image.fromarray(np.where(self.scale.values(image) == self.clear, 0, 255).astype(np.uint8))
            image = self.scale(image)
        if image.mode == "La":  # which converts to nothing else
            image = image.convert("LA")
        if self.transparent and alpha is None:
            image = image.convert("RGBA")
            alpha = image.getchannel("A")
        if image.mode in ("P", "PA", "RGBA"):
            image = image.convert("RGB")
        if image.mode == "LAB":
            image = _to_srgb(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())
        elif self.profile and image.mode in ("RGB", "CMYK", "L"):
            image = _to_srgb(image, self.profile)
        return image.convert("L" if self.grey else "RGB"), alpha


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
    if alpha is not None and not keeps_alpha(path):
        image, alpha = on_white(DecodedImage(image, alpha)), None
    save(path, to_pillow(image, alpha), **{} if dpi is None else {"dpi": dpi})


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
    _, height, width = image.shape
    parts = [image] if alpha is None else [image, alpha[None]]
    whole = Image.new({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[image.shape[0] + len(parts) - 1], (width, height))
    for rows in _rows(height, width):
        array = torch.cat([part[:, rows].cpu() for part in parts]).permute(1, 2, 0).contiguous().numpy()
        strip = Image.fromarray(array[:, :, 0] if whole.mode == "L" else array)
        if strip.size == whole.size:
            return strip
        whole.paste(strip, (0, rows.start))
    return whole


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
    with new_file(path) as half, half.open("wb") as file:
        _encode(path, image, file, **options)


def encode(path: Path, image: Image.Image, **options: object) -> io.BytesIO:
    """The file that `save` writes to that path; raises the same errors."""
    encoded = io.BytesIO()
    _encode(path, image, encoded, **options)
    return encoded


def _encode(path: Path, image: Image.Image, file: BinaryIO, **options: object) -> None:
    name = format_of(path)
    if image.width * image.height > MAX_PIXELS // _ENCODED_COPIES.get(name, 1):
        raise DataError(f"{path}: {name} cannot hold {image.width}x{image.height} pixels; write another format")
    try:
        image.save(file, name, **{**_QUALITY.get(name, {}), **options})
    except (ValueError, OSError, struct.error) as error:  # such as too many pixels a side
        if isinstance(error, OSError) and error.errno is not None:  # of the disk
            raise
        raise DataError(f"{path}: {name} cannot hold it ({error}); write another format, such as .png") from error
