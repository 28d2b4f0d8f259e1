"""How far two sets of pictures are apart, or two pictures, and what a network left in them; mostly by libraries.

Sets are told apart by features of their pictures, pictures by their bytes.
"""

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.images import scaled, to_signed
from ganvas.losses import gram
from ganvas.nets.vgg import VGG19

JACKKNIFE_PARTS = 10
KERNEL_BLOCK = 1000  # pictures; what the papers take, so that values compare
KERNEL_BLOCKS = 10  # at least; of fewer the spread is hardly known
NEIGHBOURS = 3
SPREAD_OVER = 2000  # pictures between which distances are averaged

MOST_DECIBELS = 100.0  # of PSNR, for pictures that are equal
SSIM_WINDOW = 11  # pixels
SSIM_PLANES = 16  # channels of pictures at once

VGG_LAYERS = ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4")  # the last of each block, as in VGG-16 there
VGG_SMALLEST = 32  # pixels a side; of 16 the deepest layer sees one place, which is mostly rim
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # what fast_style and adain learn by
SEEN_AT_ONCE = 2**18  # pixels, whose maps in VGG-19 take a few hundred megabytes

STRIDES = (2, 4, 8)  # pixels: what one, two and three doublings leave
COARSEST = STRIDES[-1]
MOST_WINDOW = 64  # pixels; more would tell periods finer, and plain areas from others less
WINDOWS_AT_ONCE = 256
NEAREST = 3  # steps of frequency up to which neighbours are taken

RESAMPLES = 1000


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """|m - n|^2 + tr(S + T - 2 (S T)^1/2) of features (N, D), (M, D) of mean m, n , covariance S, T; torchmetrics.

    Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", equation 6: the distance of two Gaussians.
    It is too large by a bias that shrinks with the number of pictures, so compare only values of equal numbers.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    as_they_are = nn.Identity()
    as_they_are.num_features = real.shape[1]  # type: ignore[assignment]  # how torchmetrics asks
    distance = FrechetInceptionDistance(as_they_are)
    distance.update(real.double(), real=True)
    distance.update(fake.double(), real=False)
    return float(distance.compute())


def jackknife(score: Callable[[Tensor, Tensor], float], real: Tensor, fake: Tensor) -> float:
    """Half of a 95 % interval of `score(real, fake)`: how much it changes when a tenth of both sets is left out.

    The delete-a-group jackknife (Quenouille 1956; Tukey 1958): the variance is (g - 1) / g times the sum of
    squares of the g values around their mean. It tells of the choice of pictures, not of another training.
    """
    g = JACKKNIFE_PARTS
    values = torch.tensor([score(a, b) for a, b in zip(_all_but(real, g), _all_but(fake, g), strict=True)]).double()
    return _student(g - 1) * math.sqrt((g - 1) / g * float((values - values.mean()).square().sum()))


def _student(freedom: int) -> float:
    """How many standard errors make half of a 95 % interval, of a mean of few values: Student's t."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def _all_but(rows: Tensor, parts: int) -> Iterator[Tensor]:
    """The rows without each part in turn; the parts are drawn by lot, for the rows may come class by class."""
    part = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)) % parts
    for left_out in range(parts):
        yield rows[part != left_out]


def kernel_distance(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """The squared maximum mean discrepancy under (x y / D + 1)^3, without bias, and half of its 95 % interval.

    Binkowski et al. 2018, "Demystifying MMD GANs", section 4: the mean over blocks of up to 1,000 pictures, here
    ten or more disjoint ones by lot, so that they are independent and their spread gives the interval; by torchmetrics.
    """
    from torchmetrics.image.kid import poly_mmd

    n = min(len(real), len(fake))
    blocks = max(KERNEL_BLOCKS, n // KERNEL_BLOCK)
    by_lot = torch.Generator().manual_seed(0)  # sets come sorted by class
    real, fake = (rows[torch.randperm(len(rows), generator=by_lot)[:n]].double() for rows in (real, fake))
    pairs = zip(real.tensor_split(blocks), fake.tensor_split(blocks), strict=True)
    values = torch.stack([poly_mmd(a, b) for a, b in pairs])
    return float(values.mean()), _student(blocks - 1) * float(values.std()) / math.sqrt(blocks)


def precision_and_recall(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """The share of fakes that lie among the real ones, and of real ones among the fakes; features (N, D) and (M, D).

    Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric", equations 1 and 2: a set covers the balls
    around its members that reach to their third neighbour. Low precision: odd pictures; low recall: missing kinds.
    """
    return _covered(fake, by=real), _covered(real, by=fake)


def _covered(rows: Tensor, *, by: Tensor) -> float:
    radii = torch.cat(
        [part.kthvalue(NEIGHBOURS + 1, dim=1).values for part in _distances(by, by)]
    )  # itself is the first
    return float(torch.cat([(part <= radii).any(1) for part in _distances(rows, by)]).float().mean())


def _distances(rows: Tensor, others: Tensor) -> Iterable[Tensor]:
    """Euclidean distances of `rows` to `others`, some rows at a time: all could be too many for the memory."""
    for part in torch.split(rows, max(1, 2**24 // len(others))):
        yield torch.cdist(part, others)


def spread(features: Tensor) -> float:
    """The mean distance between two of a set's features (N, D); of up to 2,000, evenly taken."""
    features = features[:: max(1, -(-len(features) // SPREAD_OVER))]
    n = len(features)
    total = sum(float(part.double().sum()) for part in _distances(features, features))
    return total / (n * (n - 1)) if n > 1 else 0.0


def nearest(rows: Tensor, parts: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Of each row (N, D), the distance to the nearest row in `parts`, (M, D) each, and its number among them all."""
    best = torch.full((len(rows),), math.inf)
    which = torch.zeros(len(rows), dtype=torch.int64)
    start = 0
    for part in parts:
        distance, number = torch.cdist(rows, part).min(1)
        closer = distance < best
        best, which = torch.where(closer, distance, best), torch.where(closer, number + start, which)
        start += len(part)
    return best, which


# --- two pictures ---------------------------------------------------------------------------------------------------


def squared_error(made: Tensor, wanted: Tensor) -> Tensor:
    """The mean squared error of each uint8 picture (N, C, H, W), with its bytes taken as 0..1: (N,) float64."""
    return (made.float() - wanted.float()).square_().mean((1, 2, 3), dtype=torch.float64) / 255**2


def absolute_error(made: Tensor, wanted: Tensor) -> Tensor:
    """The mean absolute error of each uint8 picture (N, C, H, W), in grey levels 0..255: (N,) float64."""
    return (made.float() - wanted.float()).abs_().mean((1, 2, 3), dtype=torch.float64)


def signal_to_noise(made: Tensor, wanted: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of each uint8 picture (N, C, H, W) in decibels, over all channels: (N,) float64.

    10 log10(255^2 / MSE), by torchmetrics; at most `MOST_DECIBELS`, where equal pictures would have no end.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    values: Tensor = peak_signal_noise_ratio(
        made.float(), wanted.float(), data_range=255.0, reduction="none", dim=(1, 2, 3)
    )
    return values.double().clamp(max=MOST_DECIBELS)


def structural_similarity(made: Tensor, wanted: Tensor) -> Tensor:
    """The structural similarity of each uint8 picture (N, C, H, W), up to 1: (N,) float64; by torchmetrics.

    Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity": Gaussian windows of
    11x11 pixels and sigma 1.5 that lie within the picture, K1 = 0.01, K2 = 0.03, over 0..255; channels are averaged.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    edge, maps = SSIM_WINDOW // 2, []
    both = (pictures.float().flatten(0, 1)[None] for pictures in (made, wanted))  # (1, N C, H, W)
    parts = (torch.split(planes, SSIM_PLANES, 1) for planes in both)  # as channels of one picture: ten times as quick
    for ours, theirs in zip(*parts, strict=True):
        _, local = structural_similarity_index_measure(
            ours, theirs, sigma=1.5, kernel_size=SSIM_WINDOW, data_range=255.0, return_full_image=True
        )
        maps.append(local[0, :, edge:-edge, edge:-edge].double().mean((1, 2)))  # without windows that reach outside
    return torch.cat(maps).view(len(made), -1).mean(1)


# --- as VGG-19 sees them --------------------------------------------------------------------------------------------


def vgg_distance(vgg: VGG19, made: Tensor, wanted: Tensor) -> Tensor:
    """How differently VGG-19 sees each uint8 picture (N, C, H, W), 0 to 2: (N,) float64; lower is more alike.

    Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", equation 1 with all
    weights one: features of unit length along their channels, squared differences summed over channels, averaged over
    places, and here over layers too. It is not LPIPS, whose weights are learned from people's judgements.
    """
    values = torch.zeros(len(made), dtype=torch.float64)
    for rows in _few_at_once(made):
        both = (_seen(vgg, pictures[rows], VGG_LAYERS) for pictures in (made, wanted))
        for ours, theirs in zip(*(maps.values() for maps in both), strict=True):
            squares = (F.normalize(ours, dim=1, eps=1e-10) - F.normalize(theirs, dim=1, eps=1e-10)).square().sum(1)
            values[rows] += squares.cpu().mean((1, 2), dtype=torch.float64) / len(VGG_LAYERS)  # of (n, H, W)
    return values


def style_of(vgg: VGG19, pictures: Tensor) -> list[Tensor]:
    """The Gram matrices of uint8 pictures (N, C, H, W) at `STYLE_LAYERS`, (N, K, K) each."""
    parts = [
        [gram(maps) for maps in _seen(vgg, pictures[rows], STYLE_LAYERS).values()] for rows in _few_at_once(pictures)
    ]
    return [torch.cat(layer) for layer in zip(*parts, strict=True)]


def style_distance(vgg: VGG19, made: Tensor, wanted: list[Tensor]) -> Tensor:
    """How far the style of each uint8 picture (N, C, H, W) is from one wanted: (N,) float64; 1 is without any style.

    |G - A|^2 / |A|^2 of the Gram matrices G and those wanted, A, (K, K) or (N, K, K) of each of `STYLE_LAYERS`,
    averaged over layers: `losses.gram_distance`, picture by picture.
    """
    distances = [
        (ours - theirs).square().sum((1, 2)) / theirs.square().sum((-2, -1)).clamp(min=1e-12)
        for ours, theirs in zip(_doubles(style_of(vgg, made)), _doubles(wanted), strict=True)
    ]
    return torch.stack(distances).mean(0)


def _doubles(matrices: list[Tensor]) -> Iterator[Tensor]:
    """In float64, on the processor: not every device has it."""
    return (matrix.cpu().double() for matrix in matrices)


def _seen(vgg: VGG19, pictures: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """Maps of uint8 pictures (N, C, H, W), enlarged where they are too small to see; fp32, whatever is around."""
    height, width = pictures.shape[-2:]
    times = max(1.0, VGG_SMALLEST / min(height, width))
    assert isinstance(vgg.relu1_1_weight, Tensor)
    device = vgg.relu1_1_weight.device
    signed = scaled(to_signed(pictures), round(height * times), round(width * times)).clamp_(-1, 1).to(device)
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        return {layer: maps.float() for layer, maps in vgg(signed, layers).items()}


def _few_at_once(pictures: Tensor) -> Iterator[slice]:
    """Rows of pictures (N, C, H, W), some at a time."""
    some = max(1, SEEN_AT_ONCE // max(VGG_SMALLEST**2, pictures.shape[-2] * pictures.shape[-1]))
    return (slice(start, start + some) for start in range(0, len(pictures), some))


# --- checkerboards --------------------------------------------------------------------------------------------------


def power_spectrum(pictures: Tensor) -> Tensor:
    """The mean power of windows of uint8 pictures (N, C, H, W) over frequency (W, W), row by column; float64.

    Hann windows of up to 64 pixels a side, half over each other, each freed of its mean, the powers of its channels
    added. Every window counts alike, whatever its contrast: its powers are divided by their mean over the finer
    frequencies, so that a pattern in a plain sky is not lost beside a tree. Rounding to bytes is added as noise, so
    that what no byte can hold does not count.
    """
    side = min(MOST_WINDOW, min(pictures.shape[-2:]) // COARSEST * COARSEST)
    windows = pictures.unfold(2, side, side // 2).unfold(3, side, side // 2)  # (N, C, rows, columns, side, side)
    windows = windows.flatten(2, 3).transpose(1, 2).flatten(0, 1)  # (n, C, side, side)
    hann = torch.hann_window(side)
    hann = hann[:, None] * hann
    frequency = torch.fft.fftfreq(side).abs()
    fine = torch.maximum(frequency[:, None], frequency[: side // 2 + 1]) > 1 / (2 * COARSEST)
    total, count = torch.zeros(side, side // 2 + 1, dtype=torch.float64), 0
    for part in torch.split(windows, WINDOWS_AT_ONCE):
        values = part.float()
        values = (values - values.mean((2, 3), keepdim=True)) * hann
        power = torch.fft.rfft2(values).abs().square_().sum(1) + part.shape[1] * hann.square().sum() / 12
        total += (power / power[:, fine].mean(1)[:, None, None]).sum(0, dtype=torch.float64)
        count += len(power)
    mirrored = total[-torch.arange(side) % side][:, 1:-1].flip(1)  # of a real picture, the power at -f is that at f
    return torch.cat([total, mirrored], 1) / count


def checkerboard(spectrum: Tensor) -> dict[int, float]:
    """How far a power spectrum stands out at the frequencies of strides, by their period in pixels; 1 is not at all.

    Layers that double a map leave patterns that repeat every 2 pixels, or every 4 or 8 where more doublings follow
    (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"). Of each frequency that repeats with a period,
    and with no shorter one, the power is divided by the medians of its neighbours in its row and in its column, and
    the smaller quotient taken: edges raise a whole row or column, a pattern a single point. These are averaged.
    """
    side, scores = len(spectrum), dict[int, float]()
    for period in (period for period in STRIDES if side // period > NEAREST):
        step = side // period
        places = {
            (row, column)
            for row in range(0, side, step)
            for column in range(0, side, step)
            if row // step % 2 or column // step % 2  # else a shorter period has it
        }
        scores[period] = sum(_standing_out(spectrum, *place) for place in places) / len(places)
    return scores


def _standing_out(spectrum: Tensor, row: int, column: int) -> float:
    side = len(spectrum)
    beside = torch.tensor([k for far in range(2, NEAREST + 1) for k in (-far, far)])  # next to it is its own shoulder
    in_row, in_column = spectrum[row, (column + beside) % side], spectrum[(row + beside) % side, column]
    return float(spectrum[row, column] / torch.maximum(in_row.quantile(0.5), in_column.quantile(0.5)))


# --- how sure -------------------------------------------------------------------------------------------------------


def bootstrap(values: Tensor) -> tuple[Tensor, Tensor]:
    """Both ends of the 95 % intervals of the means of the columns of `values` (N, K), N >= 2: (K,) each.

    Efron 1979: the middle 95 % of the means of 1,000 sets of N rows, drawn with replacement. Every call with as many
    rows draws the same ones, and so do all columns.
    """
    columns, lot = values.double().T.numpy(), np.random.default_rng(0)
    n = columns.shape[1]
    means = np.stack([columns[:, lot.integers(0, n, n)].mean(1) for _ in range(RESAMPLES)])  # (1000, K)
    low, high = torch.from_numpy(np.quantile(means, (0.025, 0.975), axis=0))
    return low, high
