"""The sliced Wasserstein distance of Laplacian patches, in plain NumPy and SciPy, for tests to compare with.

Karras, Aila, Laine and Lehtinen 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
section 5, with the constants of the authors' code (metrics/sliced_wasserstein.py). Written anew from its description.

- Levels: the size of the images, and its halves as long as they are at least 16 pixels: 32 and 16 of 32 pixels.
- Gaussian kernel: 5x5, the outer product of (1, 4, 6, 4, 1) / 16 with itself, so its sum is 1.
- Border: scipy.ndimage's mode "mirror", (d c b | a b c d | c b a): the pixel at the edge is not repeated. OpenCV calls
  it BORDER_REFLECT_101, and torch "reflect".
- Patches: 7x7 pixels, all channels, wholly inside the level, 128 of every image at every level, at random positions of
  their own.
- Normalised: each set of patches at each level by its own mean and standard deviation of each channel.
- Distance: mean absolute difference of the sorted projections, over 512 random unit directions: the authors draw
  4 times 128 and average the four means, which is the mean over all 512.
- Reported times 1000, for every level, and their mean.

All of it is computed in double precision; the authors' code works in single.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

KERNEL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16  # along rows, then along columns
SMALLEST = 16  # pixels a side of the last level
PATCH = 7  # pixels a side
PATCHES = 128  # of an image, at every level
DIRECTIONS = 4 * 128  # random projections
REPORTED = 1000  # what a distance is multiplied by


def sizes(size: int) -> list[int]:
    """The sides of the levels of square images of `size` pixels: halves down to 16, at least `size` itself."""
    found = [size]
    while found[-1] // 2 >= SMALLEST:
        found.append(found[-1] // 2)
    return found


def pyr_down(images: Array) -> Array:
    """Images (N, C, H, W), H and W even, to (N, C, H / 2, W / 2): blurred, then every second pixel from the first.

    The kernel's sum is 1, the border is mirrored before the pixels are left out; cv2.pyrDown does the same.
    """
    _check_even(images)
    return _blurred(images, KERNEL)[:, :, ::2, ::2]


def pyr_up(images: Array) -> Array:
    """Images (N, C, H, W) to (N, C, 2 H, 2 W): spread, with zeros between and after the pixels, then blurred.

    Pixel (y, x) goes to (2 y, 2 x). The kernel's sum is 4, as three of four pixels are zeros. The border is mirrored
    after the zeros are there: the last row and column are zeros, and beyond them comes the last row of pixels again.
    """
    n, channels, height, width = images.shape
    spread = np.zeros((n, channels, 2 * height, 2 * width))
    spread[:, :, ::2, ::2] = images
    return _blurred(spread, 2 * KERNEL)  # twice along each of the two axes


def laplacian_pyramid(images: NDArray[np.generic], levels: int) -> list[Array]:
    """Images (N, C, H, W), float in 0..255, to `levels` arrays, the finest first, each of half the size before.

    Every level but the last is the image less `pyr_up` of its `pyr_down`. The last is the blurred image itself.
    """
    rest = np.asarray(images, np.float64)
    pyramid = []
    for _ in range(levels - 1):
        smaller = pyr_down(rest)
        pyramid.append(rest - pyr_up(smaller))
        rest = smaller
    return [*pyramid, rest]


def random_positions(
    n: int, height: int, width: int, generator: np.random.Generator, *, count: int = PATCHES
) -> NDArray[np.int64]:
    """Centres (N, P, 2), row and column, even over all that leave the patch inside: 3..H - 4 and 3..W - 4, both in."""
    half = PATCH // 2
    rows = generator.integers(half, height - half, (n, count))  # the upper end is left out
    columns = generator.integers(half, width - half, (n, count))
    return np.stack([rows, columns], axis=-1)


def patches(level: Array, positions: NDArray[np.int64]) -> Array:
    """Patches (N * P, C, 7, 7) of a level (N, C, H, W), image by image.

    `positions` (N, P, 2) are the rows and columns of their centres, for each image its own. The authors' code holds
    its patches transposed, columns before rows; with random directions that changes nothing.
    """
    half = PATCH // 2
    found = [
        image[:, row - half : row + half + 1, column - half : column + half + 1]
        for image, centres in zip(level, positions, strict=True)
        for row, column in centres
    ]
    assert all(patch.shape[1:] == (PATCH, PATCH) for patch in found), "a patch is not wholly inside"
    return np.stack(found)


def normalise(patches: Array, by: Array | None = None) -> Array:
    """Patches (M, C, 7, 7) to descriptors (M, C * 49): each channel less its mean, by its standard deviation.

    `by` are other patches whose mean and standard deviation are taken; those of the set itself in the authors' code.

    Both are over all patches of the set and all their pixels; the deviation divides by their number, not by one less.
    Real and fake images have their own.
    """
    of = patches if by is None else by
    mean, deviation = of.mean((0, 2, 3), keepdims=True), of.std((0, 2, 3), keepdims=True)
    return ((patches - mean) / deviation).reshape(len(patches), -1)


def descriptors(images: NDArray[np.generic], level_seed: int | Sequence[int], *, count: int = PATCHES) -> list[Array]:
    """Images (N, C, S, S), float in 0..255, to descriptors (N * count, C * 49) of every level, the finest first.

    The positions at level i are drawn from the seed (*level_seed, i), so those of no level depend on another's.
    """
    found = []
    for i, level in enumerate(laplacian_pyramid(images, len(sizes(images.shape[-1])))):
        generator = np.random.default_rng([*np.atleast_1d(level_seed), i])
        n, _, height, width = level.shape
        found.append(normalise(patches(level, random_positions(n, height, width, generator, count=count))))
    return found


def random_directions(dimensions: int, seed: int, *, count: int = DIRECTIONS) -> Array:
    """Directions (D, K), a column each: standard normal, divided by its length, so even over the sphere."""
    drawn = np.random.default_rng(seed).standard_normal((dimensions, count))
    return drawn / np.linalg.norm(drawn, axis=0, keepdims=True)


def sliced_wasserstein(real_descriptors: Array, fake_descriptors: Array, directions: Array) -> float:
    """The mean over directions of the first Wasserstein distance of the projections; not yet times 1000.

    Descriptors are (M, D), as many real as fake; directions (D, K) are taken as they are, so let them have length 1.
    On a line, the distance is the mean absolute difference of the sorted numbers. The mean is over M and K together.
    """
    assert real_descriptors.shape == fake_descriptors.shape
    real = np.sort(real_descriptors @ directions, axis=0)  # (M, K)
    fake = np.sort(fake_descriptors @ directions, axis=0)
    return float(np.abs(real - fake).mean())


def swd(real: NDArray[np.generic], fake: NDArray[np.generic], seed: int) -> tuple[list[float], float]:
    """As reported, times 1000: the distance of every level, the finest first, and their mean.

    Real and fake are images (N, C, S, S), float in 0..255, as many of each. Their patches are at positions of their
    own. The directions are drawn afresh for every level.
    """
    levels = zip(descriptors(real, [seed, 0]), descriptors(fake, [seed, 1]), strict=True)
    found = [
        REPORTED * sliced_wasserstein(ours, theirs, random_directions(ours.shape[1], seed + i))
        for i, (ours, theirs) in enumerate(levels)
    ]
    return found, float(np.mean(found))


def _blurred(images: Array, kernel: Array) -> Array:
    along_rows = ndimage.convolve1d(images, kernel, axis=2, mode="mirror")
    return ndimage.convolve1d(along_rows, kernel, axis=3, mode="mirror")


def _check_even(images: Array) -> None:
    assert images.shape[2] % 2 == 0, "odd height"
    assert images.shape[3] % 2 == 0, "odd width"
