"""The sliced Wasserstein distance (SWD) between small patches of two sets of images, level by level.

Karras, Aila, Laine and Lehtinen 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
section 5. Fine levels show whether images are as sharp as real ones, coarse levels whether their structure is alike.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ganvas.core.rng import Purpose, derive
from ganvas.metrics.distribution import JACKKNIFE_PARTS, all_but

SMALLEST_LEVEL = 16  # pixels a side
PATCH = 7  # pixels a side
PATCHES = 128  # of an image, at every level
MOST_PATCHES = 2**17  # of a set, at every level: 128 each of 1,024 images
DIRECTIONS = 512  # random projections
JACKKNIFE_DIRECTIONS = 128  # those that intervals are estimated by; the authors' code takes as many at a time
SWD_FACTOR = 1000  # factor of a distance
_KERNEL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # along rows and along columns
_STEPS = 128  # of a grey level, in which patches are kept: Laplacian levels lie in -255..255, so that int16 holds them
_MIDDLE = 128  # grey level from which the last level is kept
_VALUES_AT_ONCE = 2**18  # of the images that go through the pyramid at a time; more leave the cache of the CPU
_IMAGES_AT_ONCE = 64  # whose patches are normalised at a time
_PROJECTED_AT_ONCE = 2**22  # values; 16 MB a set


class Patches:
    """Random patches (7x7 pixels, all channels) of a set of images at every level, collected part by part.

    128 of an image at every level, but at most 2**17 of a set, so of more than 1,024 images fewer of each. Their
    positions depend only on the seed and on the index of the image, so they do not depend on the size of the parts,
    and two equal sets have equal patches. A patch takes 98 bytes a channel: int16, in 128ths of a grey level.

    Args:
        total: how many images will be added at most.
        use: how many of them are used; random ones where there are more. All by default.
        seed: of the positions.

    Attributes:
        n: how many images are used so far.
        each: P, patches of each at every level.
    """

    def __init__(self, total: int, *, use: int | None = None, seed: int = 0) -> None:
        """No images yet."""
        chosen = _sample(total, min(total if use is None else use, MOST_PATCHES))
        self.seed, self.each = seed, min(PATCHES, MOST_PATCHES // max(1, len(chosen)))
        self._chosen = torch.zeros(total, dtype=torch.bool).index_fill_(0, chosen, True)
        self._capacity = len(chosen)
        self._seen = self.n = 0
        self._levels = list[Tensor]()  # (N, P, C, 49) int16 each

    def add(self, images: Tensor) -> None:
        """Take the patches of the next images of the set, uint8 (N, C, H, W), square and all of one size."""
        numbers = torch.arange(self._seen, self._seen + len(images))
        self._seen += len(images)
        used = self._chosen[numbers]
        images, numbers = images[used], numbers[used]
        at_once = max(1, _VALUES_AT_ONCE // math.prod(images.shape[1:]))
        for start in range(0, len(images), at_once):
            part = slice(start, start + at_once)
            self._take(laplacian_pyramid(images[part].float()), numbers[part].tolist())

    def _take(self, levels: Sequence[Tensor], numbers: Sequence[int]) -> None:
        n, channels = levels[0].shape[:2]
        if not self._levels:
            shape = (self._capacity, self.each, channels, PATCH**2)
            self._levels = [torch.empty(shape, dtype=torch.int16) for _ in levels]
        sides = [level.shape[-1] for level in levels]
        corners = [random_corners(number, sides, self.each, seed=self.seed) for number in numbers]
        for i, (level, kept) in enumerate(zip(levels, self._levels, strict=True)):
            values = level - _MIDDLE if i == len(levels) - 1 else level
            found = cut(values, torch.stack([of_image[i] for of_image in corners]))  # (N, P, C, 49)
            kept[self.n : self.n + n] = found.mul_(_STEPS).round_()
        self.n += n

    def levels(self, n: int, each: int) -> Iterator[Tensor]:
        """Of `n` images, random ones where there are more, `each` patches at every level, (n, each, C, 49) int16."""
        which = slice(n) if n == self.n else _sample(self.n, n)
        for level in self._levels:
            yield level[which, :each]


def sliced_distance(real: Patches, fake: Patches) -> Tensor:
    """The sliced Wasserstein distance times 1,000 at every level, the finest first: (L,) float64; 0 for equal sets.

    At every level, the patches of both sets are normalised by the mean and the standard deviation of each channel over
    the real ones and projected onto 512 random directions. (The authors' code normalises each set by its own, which
    scales the faint details of blurred images up to those of sharp ones.) In one dimension, the Wasserstein distance of
    two sets of equal number is the mean absolute difference of the sorted values. Of the larger set, as many random
    images are taken as the other has. With few images the distance is larger by random variation: compare values of
    equal numbers of images.
    """
    n = min(real.n, fake.n)
    return _distances(real, fake, directions=DIRECTIONS, kept=[torch.arange(n)])[0]


def sliced_left_out(real: Patches, fake: Patches) -> Tensor:
    """The same without each tenth of the images of both sets in turn: (10, L) float64, for `half_interval`.

    Sets are normalised anew without the tenth of the real ones. Estimated by a quarter of the directions, to save time.
    """
    n = min(real.n, fake.n)
    kept = [*all_but(torch.arange(n), JACKKNIFE_PARTS)]
    return _distances(real, fake, directions=JACKKNIFE_DIRECTIONS, kept=kept)


# --- patches --------------------------------------------------------------------------------------------------------


def laplacian_pyramid(images: Tensor) -> list[Tensor]:
    """The Laplacian pyramid of float images (N, C, H, W), the finest level first, down to 16 pixels a side.

    Burt and Adelson 1983. Each level but the last is the image less its downsampled copy, upsampled again: the details
    that downsampling loses. The last is the downsampled image. Images of 28 pixels, whose half has 14, have one level.
    """
    levels = []
    while min(images.shape[-2:]) // 2 >= SMALLEST_LEVEL:
        smaller = _blurred(images, stride=2)  # (N, C, H / 2, W / 2)
        spread = torch.zeros_like(images)
        spread[:, :, ::2, ::2] = 4 * smaller  # three of four pixels are zeros
        levels.append(images - _blurred(spread, stride=1))
        images = smaller
    return [*levels, images]


def _blurred(images: Tensor, *, stride: int) -> Tensor:
    """Images (N, C, H, W) in Gaussian windows of 5x5 pixels, of which every pixel or every second one is kept."""
    channels, line = images.shape[1], torch.tensor(_KERNEL, dtype=images.dtype)
    kernel = (line[:, None] * line).expand(channels, 1, -1, -1)
    padded = functional.pad(images, (2, 2, 2, 2), mode="reflect")
    return functional.conv2d(padded, kernel, stride=stride, groups=channels)


def random_corners(number: int, sides: Sequence[int], count: int, *, seed: int = 0) -> Tensor:
    """The upper left corners (L, P, 2), row and column, of `count` patches of an image, at levels of these sides.

    Uniform over all that lie within the level, and a function of only the seed and the index of the image.
    """
    generator = torch.Generator().manual_seed(derive(seed, Purpose.PATCHES, number))
    return torch.stack([torch.randint(0, side - PATCH + 1, (count, 2), generator=generator) for side in sides])


def cut(level: Tensor, corners: Tensor) -> Tensor:
    """The patches (N, P, C, 49) of a level (N, C, H, W) whose upper left corners (N, P, 2) are at row and column."""
    windows = level.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # (N, C, H - 6, W - 6, 7, 7), a view
    image = torch.arange(len(level))[:, None]
    return windows[image, :, corners[..., 0], corners[..., 1]].flatten(3)


def _sample(total: int, n: int) -> Tensor:
    """`n` random indices below `total`, in ascending order; always the same ones."""
    return torch.randperm(total, generator=torch.Generator().manual_seed(0))[:n].sort().values


# --- the distance ---------------------------------------------------------------------------------------------------


def random_directions(channels: int, level: int) -> Tensor:
    """Directions (512, C, 49) of length 1 for patches of a level, uniform over the sphere; always the same ones."""
    generator = torch.Generator().manual_seed(derive(0, Purpose.DIRECTIONS, level))
    directions = torch.randn(DIRECTIONS, channels, PATCH**2, generator=generator)
    return directions / directions.square().sum((1, 2), keepdim=True).sqrt()


def _distances(real: Patches, fake: Patches, *, directions: int, kept: Sequence[Tensor]) -> Tensor:
    """Distances (K, L) of the images whose numbers are in `kept`, K times some of them, by the first directions."""
    n, each = min(real.n, fake.n), min(real.each, fake.each)
    levels = zip(real.levels(n, each), fake.levels(n, each), strict=True)
    found = [
        _distance(ours, theirs, random_directions(ours.shape[2], number)[:directions], kept)
        for number, (ours, theirs) in enumerate(levels)
    ]
    return SWD_FACTOR * torch.stack(found, 1)


def _distance(real: Tensor, fake: Tensor, directions: Tensor, kept: Sequence[Tensor]) -> Tensor:
    """Distances (K,) at one level, of patches (N, P, C, 49) int16, by directions (D, C, 49)."""
    sets, total = (_Level.of(real), _Level.of(fake)), torch.zeros(len(kept), dtype=torch.float64)
    at_once = max(1, _PROJECTED_AT_ONCE // math.prod(real.shape[:3]))
    for some in torch.split(directions, at_once):
        projections = [one.projected(some) for one in sets]
        for i, numbers in enumerate(kept):
            scale = sets[0].scale(numbers)
            ours, theirs = (
                one.ordered(rows, some, numbers, scale) for one, rows in zip(sets, projections, strict=True)
            )
            total[i] += ours.sub_(theirs).abs_().mean(1, dtype=torch.float64).sum()
    return total / len(directions)


@dataclass(frozen=True)
class _Level:
    """The patches of a set at one level.

    Attributes:
        values: (C, N * P, 49) float32, less the mean of their channel over the set.
        centre: (C,) float64, that mean.
        sums: (N, C) float64, of an image, and `squares` those of the squared values.
        each: P, patches of an image.
    """

    values: Tensor
    centre: Tensor
    sums: Tensor
    squares: Tensor
    each: int

    @staticmethod
    def of(patches: Tensor) -> "_Level":
        """From patches (N, P, C, 49) int16, some images at a time."""
        n, each, channels, size = patches.shape
        total = torch.stack([part.sum((0, 1, 3)) for part in torch.split(patches, _IMAGES_AT_ONCE)]).sum(0)  # int64
        centre = (total.double() / (n * each * size)).float()  # (C,)
        mean = centre[:, None, None, None]
        values = torch.empty(channels, n, each, size)
        sums, squares = torch.empty(2, n, channels, dtype=torch.float64)
        for start in range(0, n, _IMAGES_AT_ONCE):
            rows = slice(start, start + _IMAGES_AT_ONCE)
            part = values[:, rows].copy_(patches[rows].permute(2, 0, 1, 3)).sub_(mean)  # (C, n, P, 49)
            sums[rows] = part.sum((2, 3), dtype=torch.float64).T
            squares[rows] = part.square().sum((2, 3), dtype=torch.float64).T
        return _Level(values.flatten(1, 2), centre.double(), sums, squares, each)

    def projected(self, directions: Tensor) -> Tensor:
        """The projection of each channel (C, K, N * P) onto its part of directions (K, C, 49)."""
        return torch.bmm(directions.transpose(0, 1), self.values.transpose(1, 2))

    def scale(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (C,) of these images alone.

        A channel that varies by less than a grey level, such as one that is constant, is not scaled up.
        """
        count = len(numbers) * self.each * PATCH**2
        mean = self.sums[numbers].sum(0) / count
        variance = self.squares[numbers].sum(0) / count - mean.square()
        return self.centre + mean, variance.clamp(min=_STEPS**2).sqrt()

    def ordered(self, projections: Tensor, directions: Tensor, numbers: Tensor, scale: tuple[Tensor, Tensor]) -> Tensor:
        """The projections of the patches of these images, normalised by a mean and a deviation, sorted, (K, n * P).

        Normalising a channel scales and shifts its projections, so these are computed once for all choices of images.
        """
        mean, deviation = scale
        shift = directions.sum(2).double() @ ((mean - self.centre) / deviation)  # (K,)
        rows = (1 / deviation.float() @ projections.flatten(1)).view(len(directions), -1, self.each)  # (K, N, P)
        rows = rows.sub_(shift.float()[:, None, None])[:, numbers].flatten(1)
        rows.numpy().sort(axis=1)  # in place; torch takes forty times as long
        return rows
