"""Find images that are equal or nearly equal, without comparing each pair in Python.

Equal ones share a digest. Near ones, such as an image saved again or made smaller, are those whose difference hashes
(64 bits) hardly differ and whose thumbnails are alike: the hash is cheap, the thumbnails keep it from false alarms.
Both comparisons are matrix products in blocks, which take a fraction of a second for 10,000 images and,
unlike buckets of hashes, no longer where many hashes are alike.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ganvas.doctor.scan import THUMBNAIL, Floats, Look

BITS = 10  # of 64 in which the hashes of near duplicates may differ
ALIKE = 0.97  # correlation of their thumbnails
MEAN = 12.0  # grey levels by which the thumbnails may differ on average
MOST = 48  # grey levels by which they may differ anywhere
BLOCK = 1024  # rows of a comparison at a time


@dataclass(frozen=True)
class Twins:
    """Groups of images by their numbers; images without a duplicate are in none.

    Attributes:
        exact: equal in every pixel.
        near: nearly the same; of equal ones only the first is listed.
    """

    exact: tuple[tuple[int, ...], ...]
    near: tuple[tuple[int, ...], ...]

    def across(self, held: Sequence[bool]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Images on both sides: (number on the side that `held` marks, its duplicate on the other), exact and near."""
        equal = {first: (first, *others) for first, *others in self.exact}
        exact = _meeting(self.exact, held)
        known = {number for number, _ in exact}
        near = _meeting([[n for first in group for n in equal.get(first, (first,))] for group in self.near], held)
        return exact, [(number, twin) for number, twin in near if number not in known]


def _meeting(groups: Sequence[Sequence[int]], held: Sequence[bool]) -> list[tuple[int, int]]:
    pairs = []
    for group in groups:
        others = [number for number in group if not held[number]]
        pairs += [(number, others[0]) for number in group if held[number] and others]
    return pairs


def find_twins(looks: Sequence[Look]) -> Twins:
    """The groups of equal and of nearly equal images; blank ones have no near duplicates."""
    by_digest: dict[bytes, list[int]] = defaultdict(list)
    for number, look in enumerate(looks):
        by_digest[look.digest].append(number)
    exact = tuple(tuple(group) for group in by_digest.values() if len(group) > 1)
    first = [group[0] for group in by_digest.values() if not looks[group[0]].blank]
    return Twins(exact, tuple(_near([looks[number] for number in first], first)))


def _near(looks: Sequence[Look], numbers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    n = len(looks)
    if n < 2:
        return
    pairs = np.concatenate([*_near_pairs(looks)], axis=1)  # (2, pairs)
    links = coo_array((np.ones(pairs.shape[1], bool), (pairs[0], pairs[1])), shape=(n, n))
    _, group_of = connected_components(links, directed=False)
    sizes = np.bincount(group_of)
    members = np.flatnonzero(sizes[group_of] > 1)
    groups: dict[int, list[int]] = defaultdict(list)
    for member in members:
        groups[int(group_of[member])].append(numbers[int(member)])
    yield from map(tuple, groups.values())


def _near_pairs(looks: Sequence[Look]) -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    signs = np.stack([look.bits for look in looks]).astype(np.float32) * 2 - 1  # (n, 64): product = 64 - 2 differing
    thumbnails = np.stack([look.thumbnail for look in looks]).reshape(len(looks), -1)  # (n, 3 * 16 * 16)
    for start in range(0, len(looks), BLOCK):
        close = np.triu(signs[start : start + BLOCK] @ signs[start:].T >= 64 - 2 * BITS, k=1)
        rows, columns = np.flatnonzero(close.any(1)), np.flatnonzero(close.any(0))  # mostly few
        one, other = thumbnails[start + rows], thumbnails[start + columns]
        alike = close[np.ix_(rows, columns)] & (_normal(one) @ _normal(other).T >= ALIKE)
        for part in np.array_split(np.argwhere(alike), max(1, int(alike.sum()) // 65536)):
            difference = np.abs(one[part[:, 0]].astype(np.int16) - other[part[:, 1]])  # (pairs, 3 * 16 * 16)
            same = part[(difference.mean(1) <= MEAN) & (difference.max(1, initial=0) <= MOST)]
            yield np.stack([start + rows[same[:, 0]], start + columns[same[:, 1]]])


def _normal(thumbnails: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> Floats:
    """The brightness of each, of mean 0 and length 1, so that products are correlations."""
    grey: Floats = thumbnails.reshape(len(thumbnails), 3, THUMBNAIL**2).mean(1, dtype=np.float32)
    grey -= grey.mean(1, keepdims=True)
    grey /= np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-6)
    return grey
