"""Grey of more than 8 bits: which of the stored values are black and white."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from ganvas.errors import DataError, SettingError

Range = Literal["auto"] | tuple[float, float] | None  # by the bits or values used; black and white; as usual

_SLACK = 0.05  # of a range, by which values may overshoot it, as after sharpening
_FILLED = 1 / 16  # of a range that values reach at least: less is another range
_ROWS = 2**22  # pixels that are converted at once, to bound memory
_NAMES = "`range` names the values that are black and white"


@dataclass(frozen=True)
class Scale:
    """The stored values that are black and white, and remarks on how they were found."""

    black: float
    white: float
    notes: tuple[str, ...] = ()
    unsigned: bool = False  # Pillow reads 32 bits as signed

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image in mode L; NaN is black."""
        values = np.nan_to_num(self.values(image).astype(np.float64), nan=self.black)
        scaled = (values - self.black) * (255 / (self.white - self.black))
        return Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8))

    def values(self, image: Image.Image) -> NDArray[np.generic]:
        """The values that the file holds."""
        stored = np.asarray(image)
        return stored.view(np.uint32) if self.unsigned else stored


def is_deep(image: Image.Image) -> bool:
    """Whether it is grey of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def require_range(span: Range) -> None:
    """Raise SettingError for what is no range."""
    if span is None or span == "auto":
        return
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in span) or span[0] == span[1]:
        raise SettingError(
            f"`range` {' '.join(map(str, span))}: expected two different numbers, black and white, or auto"
        )


def scale_of(image: Image.Image, span: Range = None) -> Scale:
    """The scale of a deep grey image: by the format, by what its values suggest, or as `span` says."""
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    unsigned = image.mode == "I" and tags.get(ExifTags.Base.BitsPerSample) == (32,) and tags.get(339, (1,)) == (1,)
    plain = Scale(0, 1, unsigned=unsigned)
    low, high = _extremes(image, plain)
    black, white, notes = _found(image, low, high, span, bits=_bits(image, tags))
    if tags.get(ExifTags.Base.PhotometricInterpretation) == 0 and span in (None, "auto"):  # white is zero
        black, white = white, black
    if (high - low) * 128 < abs(white - black):
        notes = (*notes, f"the image is nearly of one value; {_NAMES}")
    return Scale(black, white, notes, unsigned)


def _found(
    image: Image.Image, low: float, high: float, span: Range, *, bits: int
) -> tuple[float, float, tuple[str, ...]]:
    if isinstance(span, tuple):
        return (*span, ())
    if not image.mode.startswith("I;16"):
        return _suggested(low, high, floats=image.mode == "F", span=span)
    used = next((n for n in (10, 12) if high < 2**n), bits)
    if span == "auto":
        return 0, 2**used - 1, ()
    if high > 0 and used < bits:
        return 0, 2**bits - 1, (f"holds {used} of {bits} bits, and is dark; `range` auto takes the bits in use",)
    return 0, 2**bits - 1, ()


def _suggested(low: float, high: float, *, floats: bool, span: Range) -> tuple[float, float, tuple[str, ...]]:
    """The usual range that the values fit, or else their own."""
    kind = "floating point" if floats else "32-bit integers"
    usual = [(0.0, 1.0), (-1.0, 1.0)] if floats else []
    usual += [(0.0, 255.0), (0.0, 65535.0)] + ([] if floats else [(0.0, 2.0**31 - 1), (0.0, 2.0**32 - 1)])
    for black, white in usual if span is None else []:
        slack = _SLACK * (white - black)
        if low >= black - slack and high <= white + slack and (white <= 1 or high >= white * _FILLED):
            return black, white, (f"{kind}: {black:g} is taken as black and {white:.10g} as white; {_NAMES}",)
    black, white = min(low, 0.0), max(high, 0.0)
    note = f"{kind} of no usual range: the largest value is taken as white; {_NAMES}"
    return black, white if white > black else black + 1, (note,) if span is None else ()


def _bits(image: Image.Image, tags: object) -> int:
    """The bits that a value of an image of 16 has: 12 in some TIFFs."""
    stored = tags.get(ExifTags.Base.BitsPerSample) if isinstance(tags, TiffImagePlugin.ImageFileDirectory_v2) else None
    return 12 if stored == (12,) else 16


def _extremes(image: Image.Image, scale: Scale) -> tuple[float, float]:
    """The least and the largest finite value."""
    low, high = math.inf, -math.inf
    rows = max(1, _ROWS // image.width)
    for top in range(0, image.height, rows):
        values = scale.values(image.crop((0, top, image.width, min(top + rows, image.height))))
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else (0.0, 0.0)


# --- what Pillow cannot read, or reads wrong --------------------------------------------------------------------------


def require_readable(image: Image.Image, name: object) -> None:
    """Raise DataError for a TIFF whose channels lie one after the other in a way that Pillow mixes up."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    tags = image.tag_v2
    bits, planar = tags.get(ExifTags.Base.BitsPerSample, (1,)), tags.get(ExifTags.Base.PlanarConfiguration) == 2
    raw = tags.get(ExifTags.Base.Compression, 1) == 1
    if planar and len(bits) > 1 and (image.mode in ("LA", "La", "RGBa") or (raw and max(bits) > 8)):
        raise DataError(
            f"{name}: a TIFF whose {len(bits)} channels of {max(bits)} bits are stored apart, which is not read; "
            "save it with interleaved channels"
        )


def what_tiff_holds(start: bytes, file: object) -> str:
    """What a TIFF that Pillow does not know holds, in words; empty if it is none, or too broken to say."""
    if start[:4] not in (b"II*\0", b"MM\0*"):
        return ""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(start[:8])
        file.seek(tags.next)  # type: ignore[attr-defined]
        tags.load(file)  # type: ignore[arg-type]
        bits = tags.get(ExifTags.Base.BitsPerSample, (1,))
        kind = {1: "unsigned integers", 2: "signed integers", 3: "floating point"}.get(tags.get(339, (1,))[0], "values")
        channels = int(tags.get(ExifTags.Base.SamplesPerPixel, 1))
        return f"a TIFF of {channels} channel{'s' * (channels != 1)} of {bits[0]}-bit {kind}"
    except Exception:  # whatever a broken file makes Pillow raise
        return ""
