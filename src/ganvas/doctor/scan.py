"""Look at every file once: decode it in threads, and keep what the checks need."""

import functools
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from ganvas.core.device import cores
from ganvas.data.progress import Track, silently
from ganvas.doctor.alignment import Relation, relate
from ganvas.errors import DataError
from ganvas.imaging import images

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

SMALL = 64  # pixels: at which colour and the hash are computed
THUMBNAIL = 16  # pixels: at which two images are compared
COLOURLESS = 6  # grey levels between the channels: as JPEG leaves in a grey image saved in colour
BLANK = 8  # grey levels between the brightest and the darkest pixel of a channel

MODES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey, transparency",
    "P": "palette",
    "PA": "palette, transparency",
    "RGB": "colour",
    "RGBA": "colour, transparency",
    "CMYK": "CMYK",
    "I": "grey, 32 bit",
    "F": "grey, floats",
}


@dataclass(frozen=True, eq=False)
class Look:
    """What the checks need of an image.

    Attributes:
        path: of the file.
        name: to show.
        width: in pixels, turned upright.
        height: the same.
        mode: how the file stores its pixels, in words.
        grey: whether nothing in it has a colour.
        blank: whether it has a single colour.
        turned: whether EXIF says to turn it.
        profile: the name of its colour profile, if that is not sRGB.
        frames: more than 1 for a video or several pages.
        digest: of the decoded pixels.
        bits: (64,) bool, the difference hash: whether it gets brighter from left to right, at 8x8 places.
        thumbnail: (3, 16, 16) uint8.
    """

    path: Path
    name: str
    width: int
    height: int
    mode: str
    grey: bool
    blank: bool
    turned: bool
    profile: str
    frames: int
    digest: bytes
    bits: np.ndarray[tuple[int], np.dtype[np.bool_]]
    thumbnail: Pixels

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        return self.width, self.height


@dataclass(frozen=True)
class Broken:
    """A file that cannot be used.

    Attributes:
        path: of the file.
        name: to show.
        kind: `empty`, `no-image`, `broken`, `too-small` or `too-large`.
        reason: in words, if the kind does not say it.
    """

    path: Path
    name: str
    kind: str
    reason: str = ""


Seen = Look | Broken


@dataclass(frozen=True)
class Case:
    """Files that are read together: an image, or a pair.

    Attributes:
        paths: of one file, or of the source and its target.
        halves: whether the one file holds source and target side by side.
    """

    paths: tuple[Path, ...]
    halves: bool = False


def examine(
    cases: Sequence[Case],
    *,
    names: dict[Path, str],
    within: Mapping[Path, Callable[[], images.Encoded]] = MappingProxyType({}),
    track: Track = silently,
) -> list[tuple[list[Seen], Relation | None]]:
    """The looks at the files of each case, and the relation of the two sides of a pair.

    Files in others are read by the functions of `within`.

    In threads: Pillow, OpenCV and the digest work outside the interpreter's lock.
    """

    def attempt(case: Case) -> tuple[list[Seen], Relation | None]:
        seen, pixels = zip(*(_look(path, names[path], within) for path in case.paths), strict=True)
        sides = pixels
        if case.halves and pixels[0] is not None and can_be_halved(pixels[0].shape[2]):
            sides = _halves(pixels[0])
        if len(sides) == 2 and sides[0] is not None and sides[1] is not None:
            return list(seen), relate(sides[0], sides[1])
        return list(seen), None

    with ThreadPoolExecutor(cores()) as pool:
        return list(track(pool.map(attempt, cases), total=len(cases), description="reading the images"))


def can_be_halved(width: int) -> bool:
    """Whether training takes an image of this width as two side by side."""
    return width % 2 == 0 and width >= 2 * images.MIN_SIDE


def _look(path: Path, name: str, within: Mapping[Path, Callable[[], images.Encoded]]) -> tuple[Seen, Pixels | None]:
    file = within[path]() if path in within else path
    try:
        with images.opened(file) as image:
            mode, profile = _mode(image), _foreign(image.info.get("icc_profile") or b"")
            pixels = images.on_white(images.image_of(image)).numpy()
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) not in (0, 1)
            frames = getattr(image, "n_frames", 1)
    except DataError as error:
        return _broken(path, name, error, file), None
    small = np.stack([cv2.resize(plane, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for plane in pixels])
    base = small if min(pixels.shape[1:]) >= 2 * SMALL else pixels  # not one that was enlarged, since that is jagged
    seen = Look(
        path=path,
        name=name,
        width=pixels.shape[2],
        height=pixels.shape[1],
        mode=mode,
        grey=bool(np.ptp(small.astype(np.int16), axis=0).max() <= COLOURLESS),
        blank=bool((pixels.max((1, 2)).astype(int) - pixels.min((1, 2)) <= BLANK).all()),
        turned=turned,
        profile=profile,
        frames=frames,
        digest=_digest(pixels[:1] if _no_colour(pixels) else pixels),
        bits=_hash(base),
        thumbnail=_thumbnail(base),
    )
    return seen, pixels


def _broken(path: Path, name: str, error: DataError, file: images.File) -> Broken:
    cause = error.__cause__
    try:
        if not (len(file.content) if isinstance(file, images.Encoded) else file.stat().st_size):
            return Broken(path, name, "empty")
    except OSError:
        return Broken(path, name, "broken", "cannot be opened")
    if isinstance(cause, Image.DecompressionBombError):
        return Broken(path, name, "too-large")
    if isinstance(cause, UnidentifiedImageError):
        return Broken(path, name, "no-image")
    if cause is None:
        return Broken(path, name, "too-small")
    return Broken(path, name, "broken", str(cause))


def _mode(image: Image.Image) -> str:
    if image.mode.startswith("I;16"):
        return "grey, 16 bit"
    name = MODES.get(image.mode, image.mode)
    return f"{name}, transparency" if "transparency" in image.info and "transparency" not in name else name


@functools.lru_cache(maxsize=64)  # a folder's images mostly come from one camera
def _foreign(profile: bytes) -> str:
    """The name of a profile that is not sRGB."""
    if not profile:
        return ""
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return "unreadable profile"
    return "" if "sRGB" in name else name or "unnamed profile"


def _no_colour(pixels: Pixels) -> bool:
    return all(np.array_equal(pixels[0], plane) for plane in pixels[1:])


def _digest(pixels: Pixels) -> bytes:
    """Of shape and values, so that grey saved in colour equals grey."""
    found = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    found.update(np.ascontiguousarray(pixels).data)
    return found.digest()


def _halves(pixels: Pixels) -> tuple[Pixels, Pixels]:
    half = pixels.shape[2] // 2
    return pixels[:, :, :half], pixels[:, :, half:]


def _hash(pixels: Pixels) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The difference hash: is a place more than a grey level brighter than the one to its left?"""
    places = cv2.resize(pixels.mean(0, dtype=np.float32), (9, 8), interpolation=cv2.INTER_AREA)
    grows: np.ndarray[tuple[int], np.dtype[np.bool_]] = (np.diff(places, axis=1) > 1).ravel()
    return grows


def _thumbnail(pixels: Pixels) -> Pixels:
    tiny = [cv2.resize(plane, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA) for plane in pixels]
    return np.broadcast_to(np.stack(tiny), (3, THUMBNAIL, THUMBNAIL))
