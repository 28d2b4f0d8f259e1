"""Apply a network to an image of any size in bounded memory: overlapping tiles, blended, of consistent brightness.

The output at a pixel depends on its receptive field, so overlapping tiles agree except at their borders. Two things
need care beyond that. Strided layers must fall on the same pixels in each tile, so tiles begin on a grid. And norm
layers that take their statistics from the image (instance norm, group norm, batch norm without running averages) would
compute different ones in each tile, and every tile would get a brightness of its own: here the statistics of the whole
image are computed once and used in all tiles.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Generator, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.imaging.strips import Strip

Part = Callable[[Tensor], Tensor]  # images (N, C, H, W) to (N, C', H, W), float in -1..1
AxisTile = tuple[int, int, Tensor]  # start, end and weights (end - start,) of a tile along an axis
Statistics = dict[nn.Module, tuple[Tensor, Tensor]]  # mean and variance of every channel (C,), by layer

WHOLE = 2**20  # pixels at most of an image processed at once; a U-Net of width 64 takes 1.6 GB for it
TILE = 768  # pixels a side: 0.9 GB
LARGE = 2**25  # pixels, from which the image and its result take so much that tiles are smaller
LARGE_TILE = 512  # pixels a side: 0.4 GB, which leaves room for the largest image and its result within 2 GB
PATCH = (256, 512)  # pixels a side, least and most, of the patches that statistics are taken from


def translate_in_tiles(
    part: Part, image: Tensor, *, network: nn.Module, tile: int, multiple: int
) -> Generator[Strip, None, None]:
    """Apply `part` to an image (C, H, W) tile by tile; yields (C', H', W') on the CPU, as if applied to the whole.

    Args:
        part: applies the network to images.
        image: of any range and dtype that `part` takes.
        network: its norm layers use the statistics of the whole image.
        tile: the side in pixels; rounded up to the grid, and to two of its cells at least, because tiles overlap.
        multiple: the size of a cell of that grid, in pixels.

    Returns:
        Strips along the longer axis, whose tiles are finished: the float result as a whole would take much memory.
    """
    tile, overlap = meshes(tile, multiple)
    rows, columns = (axis_tiles(n, tile=tile, overlap=overlap, multiple=multiple) for n in image.shape[-2:])
    if len(rows) == len(columns) == 1:
        yield Strip(-1, 0, part(image[None])[0].float().cpu())
        return
    statistics: Statistics = {}
    layers = [layer for layer in network.modules() if looks_at_all(layer)]
    if len(layers) == 1 and not isinstance(layers[0], nn.GroupNorm):
        statistics = statistics_of_one(part, image, network=network, rows=rows, columns=columns)
    elif layers:
        statistics = statistics_of(part, image, network=network, tile=tile, multiple=multiple)
    wide = image.shape[-1] >= image.shape[-2]
    with frozen(network, statistics):
        yield from _blended(part, image, *((columns, rows) if wide else (rows, columns)), axis=-1 if wide else -2)


def _blended(
    part: Part, image: Tensor, along: Sequence[AxisTile], across: Sequence[AxisTile], *, axis: int
) -> Iterator[Strip]:
    """The strips between the starts of the tiles along `axis`: what is left of the one before is added to each."""
    left: Tensor | None = None
    for (start, end, weights), following in zip(along, [*along[1:], None], strict=True):
        whole: Tensor | None = None
        for low, high, others in across:
            there = image.narrow(axis, start, end - start).narrow(-3 - axis, low, high - low)
            made = part(there[None])[0].float().cpu()
            if whole is None:
                shape = (end - start, image.shape[-2 if axis == -1 else -1])
                whole = torch.zeros(made.shape[0], *(shape if axis == -2 else shape[::-1]))
            blend = others[:, None] * weights if axis == -1 else weights[:, None] * others
            whole.narrow(-3 - axis, low, high - low).addcmul_(made, blend)
        assert whole is not None
        if left is not None:
            whole.narrow(axis, 0, left.shape[axis]).add_(left)
        finished = (following[0] if following else end) - start
        left = whole.narrow(axis, finished, end - start - finished)
        yield Strip(axis, start, whole.narrow(axis, 0, finished))


# --- where the tiles lie --------------------------------------------------------------------------------------------


def meshes(tile: int, multiple: int) -> tuple[int, int]:
    """A tile's side and overlap in whole cells of the grid: two cells or more, and about a quarter of the tile."""
    tile = max(2, math.ceil(tile / multiple)) * multiple
    return tile, math.ceil(tile / 4 / multiple) * multiple


def axis_tiles(length: int, *, tile: int, overlap: int, multiple: int) -> list[AxisTile]:
    """Start, end and weights (end - start,) of every tile along an axis of `length` pixels; the weights add up to 1.

    From one tile to the next the weights cross-fade along a raised cosine in the middle half of their overlap. In the
    outer quarter, where it has the least context, a tile has weight zero.
    """
    last = max(0, math.ceil((length - tile) / multiple) * multiple)
    starts = [*range(0, last, tile - overlap), last]
    ends = [min(start + tile, length) for start in starts]
    tiles = []
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        x = torch.arange(start, end) + 0.5
        weights = _risen(x, start, ends[number - 1]) if number else torch.ones(end - start)
        if number + 1 < len(starts):
            weights = weights - _risen(x, starts[number + 1], end)
        tiles.append((start, end, weights))
    return tiles


def _risen(x: Tensor, start: int, end: int) -> Tensor:
    """The cross-fade at `x` between two tiles that overlap from `start` to `end`: 0 before it, 1 after it."""
    quarter = (end - start) / 4
    way = ((x - start - quarter) / (end - start - 2 * quarter)).clamp(0, 1)
    return torch.sin(way * (math.pi / 2)).square()


# --- the statistics of the whole image ----------------------------------------------------------------------------


def statistics_of(part: Part, image: Tensor, *, network: nn.Module, tile: int, multiple: int) -> Statistics:
    """The approximate statistics of each norm layer for a whole image (C, H, W), as if it were processed at once.

    The statistics of a layer depend on how the layers before it normalise, so those of single patches would be wrong:
    groups of patches from all over the image are processed together, each group with its common statistics, and the
    moments of the groups are averaged. Every pixel is in a patch. A group may be larger than a tile, because no result
    is stored yet.

    A downsampled image of a million pixels would be faster, but its details are finer than those that the network was
    trained on: on 2048x2048 pixels the tiles of trained networks then differed from the whole by 1.9 grey levels on
    average, and this way by 0.5. Repeated measurements of the statistics, tile by tile, do not converge: a change in
    one layer changes all layers after it.
    """
    side = max(PATCH[0], min(4 * multiple, PATCH[1]))
    tops, lefts = (_spread(n - side, math.ceil(n / side), multiple) for n in image.shape[-2:])
    across = max(2, min(math.isqrt(WHOLE), tile * 4 // 3) // side)  # patches in a row of a group
    sums: dict[nn.Module, tuple[int, Tensor, Tensor]] = {}
    for rows in _interleaved(tops, across):
        for columns in _interleaved(lefts, across):
            group = torch.stack([image[:, y : y + side, x : x + side] for y in rows for x in columns])
            with pooled(network) as statistics:
                part(group)
            for layer, (mean, variance) in statistics.items():
                n, means, squares = sums.get(layer, (0, torch.zeros_like(mean), torch.zeros_like(mean)))
                square = variance + mean.square()
                sums[layer] = n + len(group), means + len(group) * mean, squares + len(group) * square
    return {
        layer: (means / n, (squares / n - (means / n).square()).clamp(min=0))
        for layer, (n, means, squares) in sums.items()
    }


def statistics_of_one(
    part: Part, image: Tensor, *, network: nn.Module, rows: Sequence[AxisTile], columns: Sequence[AxisTile]
) -> Statistics:
    """The same for a network with one such norm layer: exact, except for the borders of tiles.

    The layer's input depends on no other statistics, so the moments of the tiles, each position with its weight in the
    blend, add up to those of the whole. A trained `adain` on 1024x640 pixels, in tiles of 512, then differed from the
    whole by 0.001 grey levels on average; with patches, which have many borders, by 5.
    """
    sums: dict[nn.Module, tuple[Tensor, Tensor, Tensor]] = {}
    for top, bottom, down in rows:
        for left, right, across in columns:
            weights = (down[:, None] * across)[None, None]  # (1, 1, H, W)

            def note(layer: nn.Module, x: Tensor, weights: Tensor = weights) -> Tensor:
                share = F.interpolate(weights, x.shape[-2:], mode="area").double()
                values = x.cpu().double()  # (1, C, h, w); not every device has float64
                moments = (share, share * values, share * values.square())
                added = (moment.sum((0, 2, 3)) for moment in moments)
                before = sums.get(layer, (torch.zeros((), dtype=torch.float64),) * 3)
                n, first, second = (a + b for a, b in zip(before, added, strict=True))
                sums[layer] = n, first, second
                return x

            with _replaced(network, note):
                part(image[None, :, top:bottom, left:right])
    device = next(network.parameters()).device
    return {
        layer: ((first / n).float().to(device), (second / n - (first / n).square()).clamp(min=0).float().to(device))
        for layer, (n, first, second) in sums.items()
    }


def _spread(room: int, n: int, multiple: int) -> list[int]:
    """`n` points of the grid from 0 to `room`, evenly."""
    return [int(i * room / max(1, n - 1)) // multiple * multiple for i in range(n)] if room > 0 else [0]


def _interleaved(points: list[int], at_most: int) -> list[list[int]]:
    """The points in groups, each of which spans the range from the first to the last."""
    groups = math.ceil(len(points) / at_most)
    return [points[first::groups] for first in range(groups)]


@contextlib.contextmanager
def pooled(network: nn.Module) -> Iterator[Statistics]:
    """Within the block the norm layers use one set of statistics over all images of a batch, and store it here."""
    statistics: Statistics = {}

    def normalise(layer: nn.Module, x: Tensor) -> Tensor:
        assert layer not in statistics, "a norm layer that is used twice has no one set of statistics"
        statistics[layer] = _measure(layer, x)
        return _normalise(layer, x, *statistics[layer])

    with _replaced(network, normalise):
        yield statistics


@contextlib.contextmanager
def frozen(network: nn.Module, statistics: Statistics) -> Iterator[None]:
    """Within the block the norm layers use these statistics, whatever their input."""
    with _replaced(network, lambda layer, x: _normalise(layer, x, *statistics[layer])):
        yield


def looks_at_all(layer: nn.Module) -> bool:
    """Whether a layer normalises by statistics of its own input."""
    if isinstance(layer, nn.InstanceNorm2d | nn.BatchNorm2d):
        return layer.training or layer.running_mean is None
    return isinstance(layer, nn.GroupNorm)


@contextlib.contextmanager
def _replaced(network: nn.Module, normalise: Callable[[nn.Module, Tensor], Tensor]) -> Iterator[None]:
    layers = [layer for layer in network.modules() if looks_at_all(layer)]
    try:
        for layer in layers:  # an attribute of the object takes precedence over the method of its class
            layer.forward = functools.partial(normalise, layer)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _measure(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) of feature maps (N, C, H, W), over all images; for group norm of each channel's group."""
    n, channels, height, width = x.shape
    groups = layer.num_groups if isinstance(layer, nn.GroupNorm) else channels
    maps = x.reshape(n, groups, channels // groups, height, width)
    variance, mean = torch.var_mean(maps, dim=(0, 2, 3, 4), correction=0)  # (G,)
    return mean.repeat_interleave(channels // groups), variance.repeat_interleave(channels // groups)


def _normalise(layer: nn.Module, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    assert isinstance(layer, nn.InstanceNorm2d | nn.BatchNorm2d | nn.GroupNorm)
    return F.batch_norm(x, mean, variance, layer.weight, layer.bias, eps=layer.eps)
