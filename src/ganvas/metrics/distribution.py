"""Distances between two sets of images by their features; mostly by libraries."""

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

JACKKNIFE_PARTS = 10
KERNEL_BLOCK = 1000  # images; as in the papers, so that values can be compared
KERNEL_BLOCKS = 10  # at least; of fewer the variance is hardly known
NEIGHBOURS = 3
SPREAD_OVER = 2000  # images between which distances are averaged


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """|m - n|^2 + tr(S + T - 2 (S T)^1/2) of features (N, D), (M, D) of mean m, n, covariance S, T; torchmetrics.

    Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", equation 6: the distance of two Gaussians.
    It is too large by a bias that shrinks with the number of images, so compare only values of equal numbers.
    """
    if min(len(real), len(fake)) < real.shape[1]:
        return _frechet_distance_of_few(real.double(), fake.double())
    from torchmetrics.image.fid import FrechetInceptionDistance

    as_they_are = nn.Identity()
    as_they_are.num_features = real.shape[1]  # type: ignore[assignment]  # how torchmetrics asks
    distance = FrechetInceptionDistance(as_they_are, sync_on_compute=False)  # only one process computes it
    distance.update(real.double(), real=True)
    distance.update(fake.double(), real=False)
    return float(distance.compute())


def _frechet_distance_of_few(real: Tensor, fake: Tensor) -> float:
    """The same for fewer images than features, whose covariances have no full rank; twenty times as fast.

    With S = A^T A and T = B^T B, the eigenvalues of S T are the squares of the singular values of A B^T, and zeros,
    whose rounding errors would otherwise be added up by their roots.
    """
    (mean, a), (other_mean, b) = _mean_and_root(real), _mean_and_root(fake)
    trace = a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    return float((mean - other_mean).square().sum() + trace)


def _mean_and_root(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (D,) of rows (N, D), and A (N, D) with the covariance A^T A."""
    mean = rows.mean(0)
    return mean, (rows - mean) / math.sqrt(len(rows) - 1)


def frechet_difference(real: Tensor, first: Tensor, second: Tensor) -> tuple[float, float]:
    """The Fréchet distance of `first` from `real` minus that of `second`, and half of its 95 % interval.

    Both leave out the same tenths of the real images, and of their own if they are equally many: so random variation
    that both distances share is not in the interval. Negative if `first` is nearer. For several sets, call `left_out`
    once for each and take differences.
    """
    value = frechet_distance(real, first) - frechet_distance(real, second)
    return value, half_interval(left_out(frechet_distance, real, first) - left_out(frechet_distance, real, second))


def jackknife(score: Callable[[Tensor, Tensor], float], real: Tensor, fake: Tensor) -> float:
    """Half of a 95 % interval of `score(real, fake)`: how much it changes when a tenth of both sets is left out."""
    return half_interval(left_out(score, real, fake))


def left_out(score: Callable[[Tensor, Tensor], float], real: Tensor, fake: Tensor) -> Tensor:
    """`score(real, fake)` without each tenth of both sets in turn: (10,) float64.

    Sets of equal numbers leave out the same rows, so that the values of two fakes are paired.
    """
    parts = zip(all_but(real, JACKKNIFE_PARTS), all_but(fake, JACKKNIFE_PARTS), strict=True)
    return torch.tensor([score(a, b) for a, b in parts], dtype=torch.float64)


def half_interval(values: Tensor) -> float:
    """Half of a 95 % interval of a score, from its values (g,), each with a part left out.

    The delete-a-group jackknife (Quenouille 1956; Tukey 1958): the variance is (g - 1) / g times the sum of
    squares of the g values around their mean. It covers the choice of images, not the variation between trainings.
    """
    g = len(values)
    return _student(g - 1) * math.sqrt((g - 1) / g * float((values - values.mean()).square().sum()))


def _student(freedom: int) -> float:
    """Half of a 95 % interval of a mean of few values, in standard errors: Student's t."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def all_but(rows: Tensor, parts: int) -> Iterator[Tensor]:
    """The rows without each part in turn; the parts are random, for the rows may be sorted by class."""
    part = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)) % parts
    for missing in range(parts):
        yield rows[part != missing]


def kernel_distance(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """The unbiased squared maximum mean discrepancy under (x y / D + 1)^3, and half of its 95 % interval.

    Binkowski et al. 2018, "Demystifying MMD GANs", section 4: the mean over blocks of up to 1,000 images, here
    ten or more random disjoint ones, so that they are independent and give the interval; by torchmetrics.
    """
    (values,) = _by_block(real, fake)
    return _of_blocks(values)


def kernel_difference(real: Tensor, first: Tensor, second: Tensor) -> tuple[float, float]:
    """The kernel distance of `first` from `real` minus that of `second`, and half of its 95 % interval.

    Block by block, against the same real images; if there are as many of `first` as of `second`, with the same rows
    of both. Negative if `first` is nearer.
    """
    ours, theirs = _by_block(real, first, second)
    return _of_blocks(ours - theirs)


def _by_block(real: Tensor, *fakes: Tensor) -> list[Tensor]:
    """For each of the fakes, the distances of its blocks from the same blocks of real ones, (blocks,) float64."""
    from torchmetrics.image.kid import poly_mmd

    n = min(len(rows) for rows in (real, *fakes))
    blocks = max(KERNEL_BLOCKS, n // KERNEL_BLOCK)
    by_lot = torch.Generator().manual_seed(0)  # sets come sorted by class
    real = real[torch.randperm(len(real), generator=by_lot)[:n]].double()
    state, found = by_lot.get_state(), list[Tensor]()
    for fake in fakes:
        by_lot.set_state(state)  # the same rows of each
        drawn = fake[torch.randperm(len(fake), generator=by_lot)[:n]].double()
        pairs = zip(real.tensor_split(blocks), drawn.tensor_split(blocks), strict=True)
        found.append(torch.stack([poly_mmd(a, b) for a, b in pairs]))
    return found


def _of_blocks(values: Tensor) -> tuple[float, float]:
    """Mean of independent values, and half of its 95 % interval."""
    n = len(values)
    return float(values.mean()), _student(n - 1) * float(values.std()) / math.sqrt(n)


def precision(real: Tensor, fake: Tensor) -> float:
    """The fraction of fakes that lie among the real ones; features (M, D), (N, D). It is low for odd images.

    Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric", equations 1 and 2: a set covers the balls
    around its members that reach to their third neighbour.
    """
    return _covered(fake, by=real)


def recall(real: Tensor, fake: Tensor) -> float:
    """The fraction of real ones that lie among the fakes, in the same way. It is low for missing modes."""
    return _covered(real, by=fake)


def _covered(rows: Tensor, *, by: Tensor) -> float:
    radii = torch.cat(
        [part.kthvalue(NEIGHBOURS + 1, dim=1).values for part in _distances(by, by)]
    )  # the first is the row itself
    return float(torch.cat([(part <= radii).any(1) for part in _distances(rows, by)]).float().mean())


def _distances(rows: Tensor, others: Tensor) -> Iterable[Tensor]:
    """Euclidean distances of `rows` to `others`, some rows at a time to bound memory."""
    for part in torch.split(rows, max(1, 2**24 // len(others))):
        yield torch.cdist(part, others)


def spread(features: Tensor) -> float:
    """The mean distance between two of a set's features (N, D); of up to 2,000, evenly spaced."""
    features = features[:: max(1, -(-len(features) // SPREAD_OVER))]
    n = len(features)
    total = sum(float(part.double().sum()) for part in _distances(features, features))
    return total / (n * (n - 1)) if n > 1 else 0.0


def nearest(rows: Tensor, parts: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """For each row (N, D), the distance to the nearest row in `parts`, (M, D) each, and its index among all of them."""
    best = torch.full((len(rows),), math.inf)
    which = torch.zeros(len(rows), dtype=torch.int64)
    start = 0
    for part in parts:
        distance, number = torch.cdist(rows, part).min(1)
        closer = distance < best
        best, which = torch.where(closer, distance, best), torch.where(closer, number + start, which)
        start += len(part)
    return best, which
