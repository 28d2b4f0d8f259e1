"""Tasks that make (source, target) pairs from single images.

A task has three sides: `pair` and `afresh` make the pairs for training, `enter` prepares a user's image in the same
way, and `leave` turns the network's output back into an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.core.device import sent
from ganvas.data.batch import ImageBatch, PairBatch
from ganvas.data.tasks import filters, textures
from ganvas.errors import DataError, SettingError
from ganvas.imaging import lab
from ganvas.imaging.images import in_channels, to_bytes, to_signed

GREY_HOLE = 128  # the value of pixels that are to be filled in
OPAQUE = 128  # the smallest alpha of a pixel that is kept

_STRIP = 2**20  # pixels whose colours are converted at once, to bound memory


@dataclass(frozen=True)
class Task:
    """Reconstruction: source and target are the same image. The base class of the other tasks.

    Attributes:
        name: as stored in a run's manifest, with its parameter: `colorize`, `denoise:0.1`.
        amount: the parameter; 0 for a task that has none.
        channels: of the source: 1, 3, or 0 for those of the images.
        target_channels: of the target: 1, 2, 3, or 0 for those of the images.
        fresh: whether `afresh` does anything.
    """

    name: str
    amount: float = 0.0
    channels: ClassVar[int] = 0
    target_channels: ClassVar[int] = 0
    fresh: ClassVar[bool] = False

    def read_channels(self, grey: bool) -> int:
        """The number of channels to read images with; `grey` says whether they are grey."""
        return 1 if grey else 3

    def pair(self, image: Tensor) -> PairBatch:
        """The pair (a batch of one) of a uint8 image (C, H, W); made once, when the image is read."""
        return PairBatch(self.enter(image, None)[None], image[None])

    def afresh(self, pairs: PairBatch, generator: torch.Generator) -> PairBatch:
        """The uint8 pairs with new random changes, sampled from `generator` on the CPU."""
        return pairs

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The network's input for a user's uint8 image (1 or 3, H, W) with its alpha (H, W).

        Returns:
            uint8 (channels, H', W'); where `channels` is 0, as many as the image has.

        Raises:
            DataError: for an image that lacks what the task needs.
        """
        return image

    def leave(self, image: Tensor, alpha: Tensor | None, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """The result for the user: the image and its alpha.

        Args:
            image: the user's, as passed to `enter`.
            alpha: the same.
            output: the network's output for it, float (target_channels, H', W') in -1..1.
        """
        return to_bytes(output), alpha

    def show(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """A pair, both uint8 (C, H, W), as two images for display."""
        return source, target


class Colorize(Task):
    """Lightness to the a and b of Lab: bytes 0..255 stand for L in 0..100, and for a and b in -110..110."""

    channels = 1
    target_channels = 2

    def read_channels(self, grey: bool) -> int:
        """Always in colour."""
        return 3

    def pair(self, image: Tensor) -> PairBatch:
        """Lightness, and colour."""
        values = lab.from_srgb(image)
        colour = (values[1:] / lab.AB_LIMIT).clamp(-1, 1)
        return PairBatch(self.enter(image, None)[None], to_bytes(colour)[None])

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The lightness."""
        strips = [to_bytes(lab.lightness(strip) / 50 - 1) for strip in _strips(image)]
        return torch.cat(strips, 1)

    def leave(self, image: Tensor, alpha: Tensor | None, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """The image's own lightness with the generated colours; with less chroma where sRGB has no such colour."""
        strips = [
            lab.to_srgb(torch.cat([lab.lightness(strip), colour.float() * lab.AB_LIMIT]))
            for strip, colour in zip(_strips(image), _strips(output), strict=True)
        ]
        return torch.cat(strips, 1), alpha

    def show(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The lightness as grey, and the image in colour."""
        luminance, colour = (to_signed(source) + 1) * 50, to_signed(target) * lab.AB_LIMIT
        grey = torch.cat([luminance, torch.zeros_like(colour)])
        return lab.to_srgb(grey), lab.to_srgb(torch.cat([luminance, colour]))


class ColorizeRgb(Task):
    """Grey to red, green and blue; the network predicts lightness, too."""

    channels = 1
    target_channels = 3

    def read_channels(self, grey: bool) -> int:
        """Always in colour."""
        return 3

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The image in grey."""
        return in_channels(image, 1)


class Denoise(Task):
    """Removes Gaussian noise of standard deviation `amount`, as a fraction of black to white."""

    fresh = True

    def afresh(self, pairs: PairBatch, generator: torch.Generator) -> PairBatch:
        """New noise on every source."""
        noise = sent(torch.randn(pairs.source.shape, generator=generator), pairs.source.device)
        noisy = noise.mul_(255 * self.amount).add_(pairs.source)
        return replace(pairs, source=noisy.round_().clamp_(0, 255).to(torch.uint8))


class Deblur(Task):
    """Undoes a Gaussian blur of standard deviation `amount`, in pixels."""

    def pair(self, image: Tensor) -> PairBatch:
        """The image blurred, and sharp."""
        return PairBatch(filters.blurred(image, self.amount)[None], image[None])


class Superres(Task):
    """Super-resolution: an image `amount` times as large in each direction, with added detail."""

    def pair(self, image: Tensor) -> PairBatch:
        """The image downsampled and upsampled again, and the image."""
        height, width = image.shape[-2:]
        times = int(self.amount)
        whole = F.pad(image[None].float(), (0, -width % times, 0, -height % times), mode="replicate")
        small = _scaled(whole, 1 / times)
        return PairBatch(_scaled(small, times)[..., :height, :width].contiguous(), image[None])

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The image enlarged."""
        return _scaled(image[None], self.amount)[0]

    def leave(self, image: Tensor, alpha: Tensor | None, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """The large image; its alpha is enlarged to fit."""
        return to_bytes(output), None if alpha is None else _scaled(alpha[None, None], self.amount)[0, 0]


class Inpaint(Task):
    """Fills holes with plausible content."""

    fresh = True

    def pair(self, image: Tensor) -> PairBatch:
        """The image twice; `afresh` makes the holes in the source."""
        return PairBatch(image[None], image[None])

    def afresh(self, pairs: PairBatch, generator: torch.Generator) -> PairBatch:
        """New holes in every source."""
        n, _, height, width = pairs.source.shape
        hole = textures.holes(n, height, width, generator=generator, device=pairs.source.device)
        return replace(pairs, source=pairs.source.masked_fill(hole[:, None], GREY_HOLE))

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The image with holes where it is transparent.

        Raises:
            DataError: if it is opaque everywhere.
        """
        if alpha is None or not bool((alpha < OPAQUE).any()):
            raise DataError("nothing to fill in: make the area transparent (alpha below 128) and save as PNG or WebP")
        return image.masked_fill(alpha < OPAQUE, GREY_HOLE)

    def leave(self, image: Tensor, alpha: Tensor | None, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """The image, opaque, with its holes filled and every other byte as it was."""
        assert alpha is not None, "enter refuses images without alpha"
        filling = to_bytes(output)
        channels = max(len(image), len(filling))
        return torch.where(alpha < OPAQUE, filling.expand(channels, -1, -1), image), None


class Edges(Task):
    """Black lines on white to an image with these edges."""

    channels = 1

    def pair(self, image: Tensor) -> PairBatch:
        """The edge map, and the image."""
        return PairBatch(filters.edge_map(in_channels(image, 1))[None], image[None])

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """A drawing as it is, in grey; of any other image the edge map."""
        grey = in_channels(image, 1)
        return grey if filters.is_drawing(grey) else filters.edge_map(grey)


class Cartoon(Task):
    """A photograph to a cartoon of it."""

    def pair(self, image: Tensor) -> PairBatch:
        """The image, and a cartoon made by classical filters."""
        return PairBatch(image[None], filters.cartoon(image)[None])


class HiddenDigit(Task):
    """A patterned image, to the digit that is hidden in it."""

    channels = 3
    target_channels = 1
    fresh = True

    def read_channels(self, grey: bool) -> int:
        """Always in grey."""
        return 1

    def pair(self, image: Tensor) -> PairBatch:
        """The digit twice; `afresh` hides the source."""
        return PairBatch(image[None].expand(-1, 3, -1, -1).contiguous(), image[None])

    def afresh(self, pairs: PairBatch, generator: torch.Generator) -> PairBatch:
        """Every digit shifted a little and hidden in a new pattern."""
        n, _, height, _ = pairs.target.shape  # squares
        most = max(1, height // 14)  # pixels
        top, left = torch.randint(0, 2 * most + 1, (2, n), generator=generator)
        padded = ImageBatch(F.pad(pairs.target, (most, most, most, most)))
        device = pairs.target.device
        moved = padded.windows(sent(top, device), sent(left, device), height).images
        return replace(pairs, source=textures.woven(moved, generator=generator), target=moved)

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The image in colour."""
        return image.expand(3, -1, -1).contiguous()


# --- images -------------------------------------------------------------------------------------------------------


def _strips(image: Tensor) -> Sequence[Tensor]:
    """An image (C, H, W) in strips of rows, so that converting a large one takes little memory."""
    return torch.split(image, max(1, _STRIP // image.shape[-1]), 1)


def _scaled(images: Tensor, times: float) -> Tensor:
    """(N, C, H, W) scaled to uint8, bicubic with antialiasing."""
    height, width = (round(side * times) for side in images.shape[-2:])
    scaled = F.interpolate(images.float(), (height, width), mode="bicubic", antialias=True)
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


# --- names ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    """A kind of task, and its parameter, if it has one."""

    task: type[Task]
    parameter: str = ""
    meaning: str = ""
    default: float = 0.0
    low: float = 0.0
    high: float = 0.0
    choices: tuple[float, ...] = ()

    def amount(self, text: str) -> float | None:
        """The parameter in `text`; None if it is not valid."""
        try:
            value = float(text)
        except ValueError:
            return None
        allowed = value in self.choices if self.choices else self.low <= value <= self.high
        return value if allowed else None


_KINDS = {
    "reconstruct": _Kind(Task),
    "colorize": _Kind(Colorize),
    "colorize-rgb": _Kind(ColorizeRgb),
    "denoise": _Kind(Denoise, "SIGMA", "the noise's standard deviation as a fraction of black to white", 0.1, 0.001, 1),
    "deblur": _Kind(Deblur, "SIGMA", "the blur's standard deviation in pixels", 2, 0.3, 16),
    "superres": _Kind(Superres, "FACTOR", "how many times as large", 4, choices=(2, 4)),
    "inpaint": _Kind(Inpaint),
    "edges": _Kind(Edges),
    "cartoon": _Kind(Cartoon),
    "hidden-digit": _Kind(HiddenDigit),
}  # fmt: skip


def names() -> tuple[str, ...]:
    """The names of the tasks, without parameters."""
    return tuple(_KINDS)


def _range(kind: _Kind) -> str:
    if kind.choices:
        return " or ".join(f"{choice:g}" for choice in kind.choices)
    return f"{kind.low:g} to {kind.high:g}"


def task(name: str) -> Task:
    """The task that `NAME` or `NAME:PARAMETER` asks for.

    Raises:
        SettingError: for a task that does not exist, or a parameter that it cannot have.
    """
    word, colon, text = name.partition(":")
    kind = _KINDS.get(word)
    if kind is None:
        raise SettingError(f"`task` {name}: no task of that name; there are {', '.join(_KINDS)}")
    if not kind.parameter:
        if colon:
            raise SettingError(f"`task` {name}: {word} takes no parameter; write `task` {word}")
        return kind.task(word)
    amount = kind.amount(text) if colon else kind.default
    if amount is None:
        expected = f"{word}:{kind.parameter}, {kind.meaning}, {_range(kind)}"
        raise SettingError(f"`task` {name}: expected {expected}, or {word} alone for {kind.default:g}")
    return kind.task(f"{word}:{amount:g}", amount)
