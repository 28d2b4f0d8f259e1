"""The formulas, each against another way to compute the same."""

import math

import numpy as np
import pytest
import skimage.metrics
import torch
from PIL import Image, ImageOps
from references import swd
from scipy import linalg, ndimage, stats
from scipy.spatial import distance
from skimage import data
from sklearn.metrics import f1_score
from sklearn.neighbors import NearestNeighbors
from torch.nn import functional

from ganvas import metrics
from ganvas.imaging.images import to_bytes
from ganvas.metrics import distribution, patches
from ganvas.nets.resnet import ResNet
from ganvas.nets.unet import Layers, UNet, unet_widths


def correlated(n, *, d=12, seed=0, shift=0.0):
    """Features whose columns depend on each other, as a network's do."""
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=rng)
    return torch.randn(n, d, generator=rng) @ mixing + shift


def clusters(kinds, n, *, seed):
    """`n` points of each kind: unit clouds that stand far apart."""
    rng = torch.Generator().manual_seed(seed)
    return torch.cat([torch.randn(n, 6, generator=rng) + 40 * torch.eye(6)[k] for k in kinds])


def mean_difference(real, fake):
    return float(real.mean() - fake.mean())


def test_frechet_distance_is_that_of_two_gaussians_as_scipy_computes_it():
    real, fake = correlated(300), correlated(200, seed=1, shift=0.5)
    a, b = real.double().numpy(), fake.double().numpy()
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s + t - 2 * linalg.sqrtm(s @ t).real)
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (20, 400), (400, 30)])
def test_frechet_distance_holds_for_fewer_images_than_features(n, m):
    real, fake = correlated(n, d=50), correlated(m, d=50, seed=1, shift=0.5)
    a, b = real.double().numpy(), fake.double().numpy()
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(s @ t).real.clip(0)).sum()  # up to the roots of its rounding errors
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s) + np.trace(t) - 2 * root
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-5)

    other = 3 * real + 1  # S and 9 S: tr(S + 9 S - 2 * 3 S) = 4 tr S
    shift = (2 * real.double().mean(0) + 1).square().sum()
    assert metrics.frechet_distance(real, other) == pytest.approx(4 * np.trace(s) + float(shift), rel=1e-6)


@pytest.mark.parametrize("d", [12, 300])
def test_frechet_distance_of_a_set_from_itself_is_zero(d):
    features = correlated(200, d=d)
    assert metrics.frechet_distance(features, features) == pytest.approx(0, abs=1e-6 * float(features.var(0).sum()))


def test_frechet_distance_of_known_gaussians_is_the_analytic_one():
    rng = torch.Generator().manual_seed(0)
    a, b = torch.tensor([1.0, 2.0, 0.5, 3.0]), torch.tensor([2.0, 1.0, 0.5, 1.0])
    real = torch.randn(50_000, 4, generator=rng) * a
    fake = torch.randn(50_000, 4, generator=rng) * b + torch.tensor([1.0, 0, 0, -1])
    expected = 2 + float((a - b).square().sum())  # where the covariances are diagonal
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=0.03)


def test_kernel_distance_is_the_unbiased_estimate_over_disjoint_blocks(monkeypatch):
    monkeypatch.setattr(distribution, "KERNEL_BLOCK", 10)
    monkeypatch.setattr(distribution, "KERNEL_BLOCKS", 2)
    real, fake = correlated(45, d=5), correlated(40, d=5, seed=1, shift=0.3)
    lot = torch.Generator().manual_seed(0)
    drawn = [rows[torch.randperm(len(rows), generator=lot)[:40]].double().tolist() for rows in (real, fake)]

    def kernel(x, y):
        return (sum(p * q for p, q in zip(x, y, strict=True)) / 5 + 1) ** 3

    estimates = []
    for start in range(0, 40, 10):
        a, b = (rows[start : start + 10] for rows in drawn)
        within = [
            sum(kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j) / (10 * 9)
            for rows in (a, b)
        ]
        estimates.append(sum(within) - 2 * sum(kernel(x, y) for x in a for y in b) / (10 * 10))
    value, interval = metrics.kernel_distance(real, fake)
    assert value == pytest.approx(np.mean(estimates), rel=1e-9)
    t = 3.182446  # Student's, of three degrees of freedom
    assert interval == pytest.approx(t * np.std(estimates, ddof=1) / math.sqrt(4), rel=1e-6)


def kernel_covers(blocks, *, repeats=300):
    """How often the interval of sets of one distribution, in so many blocks, reaches over zero."""
    rng = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(repeats):
        real, fake = torch.randn(2, 10 * blocks, 4, generator=rng)
        value, interval = metrics.kernel_distance(real, fake)
        covered += abs(value) <= interval
    return covered / repeats


def test_kernel_distance_of_one_distribution_is_zero_within_its_interval(monkeypatch):
    monkeypatch.setattr(distribution, "KERNEL_BLOCK", 10)
    assert 0.88 < kernel_covers(20) < 1  # 95 %, give or take what 300 repeats leave open


def test_kernel_distance_of_few_images_is_zero_within_its_interval_as_often():
    assert kernel_covers(6) > 0.88  # 60 images, so two blocks of 30


def test_kernel_distance_of_two_distributions_is_outside_its_interval():
    value, interval = metrics.kernel_distance(correlated(400), correlated(400, shift=2.0))
    assert value > 2 * interval


def test_the_jackknife_of_a_mean_difference_is_the_textbooks_interval():
    rng = torch.Generator().manual_seed(0)
    squares = []
    for _ in range(200):  # each has but nine degrees of freedom
        real, fake = torch.randn(200, 1, generator=rng) * 2, torch.randn(300, 1, generator=rng)
        squares.append(metrics.jackknife(mean_difference, real, fake) ** 2)
    assert math.sqrt(np.mean(squares)) == pytest.approx(2.262 * math.sqrt(4 / 200 + 1 / 300), rel=0.1)


def test_the_jackknife_leaves_no_class_out_where_the_images_come_class_by_class():
    """As `cgan` draws them: ten classes in turn, which were just the tenths."""
    means = torch.eye(10) * 20
    real, fake = (torch.randn(1000, 10, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    in_turn = fake + means.repeat(100, 1)
    by_class = real + means.repeat_interleave(100, 0)
    assert metrics.jackknife(metrics.frechet_distance, by_class, in_turn) < 1.5  # 3 where the tenths are the classes


# --- two sets against a third ---------------------------------------------------------------------------------------

DIFFERENCES = {
    metrics.frechet_difference: metrics.frechet_distance,
    metrics.kernel_difference: lambda real, fake: metrics.kernel_distance(real, fake)[0],
}


@pytest.mark.parametrize("difference", DIFFERENCES, ids=["frechet", "kernel"])
def test_a_difference_is_that_of_the_distances_and_its_interval_tells_which_set_is_nearer(difference):
    real, near, far = correlated(400), correlated(400, seed=0, shift=0.3) + 0.1, correlated(400, shift=1.0)
    distance_of = DIFFERENCES[difference]
    value, interval = difference(real, near, far)
    assert value == pytest.approx(distance_of(real, near) - distance_of(real, far), rel=1e-9)
    assert value < -interval < 0
    assert difference(real, far, near) == pytest.approx((-value, interval))


@pytest.mark.parametrize("difference", DIFFERENCES, ids=["frechet", "kernel"])
def test_a_set_is_surely_as_near_as_itself(difference):
    fake = correlated(300, seed=1)
    assert difference(correlated(300), fake, fake.clone()) == (0, 0)


@pytest.mark.parametrize(
    ("difference", "alone"),
    [
        (metrics.frechet_difference, lambda real, fake: metrics.jackknife(metrics.frechet_distance, real, fake)),
        (metrics.kernel_difference, lambda real, fake: metrics.kernel_distance(real, fake)[1]),
    ],
    ids=["frechet", "kernel"],
)
def test_chance_that_moves_both_distances_alike_is_not_in_the_interval(difference, alone):
    """Two models make of the same images almost the same, the second a little worse."""
    real, first = correlated(800).split(400)
    first = first + 0.5
    second = first + 0.02
    value, interval = difference(real, first, second)
    assert value < -interval < 0
    assert interval < 0.1 * min(alone(real, first), alone(real, second))


def covers(difference, *, n, repeats, d=4):
    """How often the interval of the difference of two sets of one distribution reaches over zero."""
    rng, covered = torch.Generator().manual_seed(0), 0
    for _ in range(repeats):
        real, first, second = torch.randn(3, n, d, generator=rng)
        value, interval = difference(real, first + 0.5, second + 0.5)
        covered += abs(value) <= interval
    return covered / repeats


def test_two_sets_that_are_as_near_are_told_apart_in_one_case_of_twenty():
    assert 0.88 < covers(metrics.kernel_difference, n=100, repeats=200) < 1  # give or take what 200 leave open
    assert covers(metrics.frechet_difference, n=100, repeats=50) > 0.86


@pytest.mark.parametrize("difference", DIFFERENCES, ids=["frechet", "kernel"])
def test_sets_of_other_numbers_are_compared_too(difference):
    value, interval = difference(correlated(250), correlated(400, shift=0.2), correlated(300, shift=1.5))
    assert value < -interval < 0


def precision_and_recall(real, fake):
    return metrics.precision(real, fake), metrics.recall(real, fake)


def naive_precision_and_recall(real, fake):
    def covered(rows, by):
        radii = NearestNeighbors(n_neighbors=4).fit(by).kneighbors(by)[0][:, 3]  # the first is itself
        return (distance.cdist(rows, by) <= radii).any(1).mean()

    return covered(fake, real), covered(real, fake)


@pytest.mark.parametrize(("n", "m"), [(300, 200), (4500, 4400)], ids=["one-part", "several-parts"])
def test_precision_and_recall_are_the_shares_within_three_neighbours(n, m):
    real, fake = correlated(n, d=3), correlated(m, d=3, seed=0, shift=0.0)[:m] * 1.5 + 0.5
    expected = naive_precision_and_recall(real.double().numpy(), fake.double().numpy())
    assert 0.2 < min(expected) < max(expected) < 1
    assert precision_and_recall(real, fake) == pytest.approx(expected, abs=2 / m)  # a point on the border


def test_missing_kinds_cost_recall_and_odd_images_cost_precision():
    real, all_kinds = clusters(range(4), 100, seed=0), clusters(range(4), 100, seed=1)
    precision, recall = precision_and_recall(real, all_kinds)
    assert min(precision, recall) > 0.8

    fewer = precision_and_recall(real, clusters([0, 1], 200, seed=2))
    assert fewer[0] == pytest.approx(precision, abs=0.1)
    assert fewer[1] < 0.6 * recall

    odd = precision_and_recall(real, torch.cat([all_kinds, clusters([4, 5], 200, seed=3)]))
    assert odd[0] < 0.6 * precision
    assert odd[1] == pytest.approx(recall, abs=0.1)


@pytest.mark.parametrize("n", [50, 4500], ids=["one-part", "several-parts"])
def test_spread_is_the_mean_distance_of_a_pair(n):
    features = correlated(n, d=3)
    exact = distance.pdist(features.double().numpy()).mean()
    assert metrics.spread(features) == pytest.approx(exact, rel=1e-4 if n <= distribution.SPREAD_OVER else 0.05)


def test_what_is_all_the_same_has_no_spread():
    assert metrics.spread(correlated(1).expand(40, -1)) == pytest.approx(0, abs=0.02)
    assert metrics.spread(correlated(1)) == 0


@pytest.mark.parametrize("sizes", [[90], [30, 30, 30], [1, 80, 9]])
def test_nearest_is_found_over_all_parts(sizes):
    rows, others = correlated(40), correlated(90, seed=1)
    others[57] = rows[3]
    found, numbers = metrics.nearest(rows, torch.split(others, sizes))
    expected = distance.cdist(rows.double().numpy(), others.double().numpy())
    assert numbers.tolist() == expected.argmin(1).tolist()
    assert numbers[3] == 57
    np.testing.assert_allclose(found.numpy(), expected.min(1), rtol=1e-4, atol=0.01)


def test_of_equally_near_ones_the_first_is_named():
    rows = torch.zeros(1, 2)
    others = torch.tensor([[3.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    found, numbers = metrics.nearest(rows, torch.split(others, 1))
    assert (float(found), int(numbers)) == (1, 1)


# --- two images ---------------------------------------------------------------------------------------------------


def photographs(size):
    """Free photographs that come with scikit-image, (N, 3, size, size) uint8."""
    images = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    return torch.stack([square(image, size) for image in images])


def square(image, size):
    pillow = ImageOps.fit(Image.fromarray(image), (size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(pillow)).permute(2, 0, 1)


def blemished(images, amount):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * amount
    return (images + noise).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 28, 128])
@pytest.mark.parametrize("amount", [1, 30])
def test_errors_of_images_are_those_of_scikit_image(size, channels, amount):
    wanted = photographs(size)[:, :channels]
    made = blemished(wanted, amount)
    pairs = [(a.numpy(), b.numpy()) for a, b in zip(wanted, made, strict=True)]
    psnr = [skimage.metrics.peak_signal_noise_ratio(a, b, data_range=255) for a, b in pairs]
    ssim = [
        skimage.metrics.structural_similarity(
            a.astype(float), b.astype(float),
            channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255,
        )
        for a, b in pairs
    ]  # fmt: skip
    mse = [skimage.metrics.mean_squared_error(a, b) / 255**2 for a, b in pairs]
    mae = [np.abs(a.astype(int) - b).mean() for a, b in pairs]
    np.testing.assert_allclose(metrics.signal_to_noise(made, wanted), psnr, atol=2e-5)
    np.testing.assert_allclose(metrics.structural_similarity(made, wanted), ssim, atol=1e-9)
    np.testing.assert_allclose(metrics.squared_error(made, wanted), mse, rtol=1e-9)
    np.testing.assert_allclose(metrics.absolute_error(made, wanted), mae, rtol=1e-9)


def test_equal_images_are_as_like_as_can_be():
    images = photographs(32)
    assert metrics.signal_to_noise(images, images).tolist() == [100] * 4
    assert metrics.structural_similarity(images, images).tolist() == pytest.approx([1] * 4)
    assert metrics.squared_error(images, images).tolist() == [0] * 4
    larger = photographs(176)
    assert metrics.multi_scale_similarity(larger, larger).tolist() == pytest.approx([1] * 4)


def naive_multi_scale(made, wanted):
    """Of two channels, in double precision, with SciPy's Gaussian windows."""
    product, weights = 1.0, [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    x, y = made.astype(float), wanted.astype(float)

    def mean(values):
        return ndimage.gaussian_filter(values, 1.5, truncate=3.5)[5:-5, 5:-5]

    for scale, weight in enumerate(weights):
        m, n = mean(x), mean(y)
        s, t, both = mean(x**2) - m**2, mean(y**2) - n**2, mean(x * y) - m * n
        alike = (2 * both + 7.65**2) / (s + t + 7.65**2)
        if scale == 4:
            alike *= (2 * m * n + 2.55**2) / (m**2 + n**2 + 2.55**2)
        product *= max(alike.mean(), 0) ** weight
        rows, columns = (side // 2 for side in x.shape)
        x, y = (v[: rows * 2, : columns * 2].reshape(rows, 2, columns, 2).mean((1, 3)) for v in (x, y))
    return product


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(256, 256), (176, 230), (191, 177)])
@pytest.mark.parametrize("amount", [2, 60])
def test_multi_scale_similarity_is_that_of_double_precision(channels, height, width, amount):
    wanted = photographs(256)[:2, :channels, :height, :width]
    made = blemished(wanted, amount)
    expected = [
        np.mean([naive_multi_scale(a, b) for a, b in zip(*pair, strict=True)])
        for pair in zip(made.numpy(), wanted.numpy(), strict=True)
    ]
    np.testing.assert_allclose(metrics.multi_scale_similarity(made, wanted), expected, atol=1e-9)


def test_multi_scale_similarity_of_opposite_structures_is_nothing():
    images = photographs(176)
    assert metrics.multi_scale_similarity(255 - images, images).tolist() == [0] * 4
    assert metrics.structural_similarity(255 - images, images).min() < 0

    plain = (images // 8) + 100
    black, white = (checkered(plain, period=2, amount=amount) for amount in (-60, 60))  # alike but at the finest scale
    assert metrics.multi_scale_similarity(black, white).tolist() == [0] * 4


def test_where_no_window_fits_similarity_is_not_measured():
    small, smaller = photographs(175), photographs(10)
    assert bool(metrics.multi_scale_similarity(small, small).isnan().all())
    assert len(metrics.multi_scale_similarity(small, small)) == 4
    assert bool(metrics.structural_similarity(smaller, smaller).isnan().all())
    exact = photographs(metrics.SSIM_WINDOW)
    assert metrics.structural_similarity(exact, exact).tolist() == pytest.approx([1] * 4)


@pytest.mark.parametrize("measure", [metrics.structural_similarity, metrics.multi_scale_similarity])
def test_similarity_of_an_image_is_the_same_whatever_stands_beside_it(measure):
    wanted = photographs(176)
    made = blemished(wanted, 20)
    alone = torch.cat([measure(made[i : i + 1], wanted[i : i + 1]) for i in range(4)])
    assert torch.equal(measure(made, wanted), alone)


# --- checkerboards --------------------------------------------------------------------------------------------------


def score_of(images):
    return metrics.checkerboard(metrics.power_spectrum(images))


def checkered(images, *, period, amount):
    """The images with a pattern of up to `amount` grey levels over them."""
    wave = torch.cos(2 * math.pi * torch.arange(images.shape[-1]) / period)
    return (images + amount * wave[:, None] * wave).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_photographs_and_noise_have_no_checkerboard(size):
    noise = torch.randint(0, 256, (40, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert set(score_of(noise)) == {2, 4, 8}
    assert list(score_of(noise).values()) == pytest.approx([1, 1, 1], abs=0.3)
    assert all(0.4 < score < 1.4 for score in score_of(photographs(size)).values())


def test_plain_images_have_none_and_small_ones_no_long_periods():
    assert score_of(torch.full((2, 3, 28, 28), 255, dtype=torch.uint8)) == {2: pytest.approx(1), 4: pytest.approx(1)}
    assert score_of(torch.zeros(2, 1, 16, 16, dtype=torch.uint8)) == {2: pytest.approx(1), 4: pytest.approx(1)}


@pytest.mark.parametrize(("period", "least"), [(2, 50), (4, 1.5)])
def test_a_faint_checkerboard_is_found_at_its_period_and_grows_with_its_strength(period, least):
    images = photographs(128) // 2 + 60  # so that nothing is clipped, which would double frequencies
    before = score_of(images)
    scores = [score_of(checkered(images, period=period, amount=amount)) for amount in (1, 2, 4, 8)]
    at_period = [before[period], *(score[period] for score in scores)]
    assert at_period == sorted(at_period)
    assert at_period[1] > least > 1.25 > at_period[0]
    for score in scores:
        assert all(score[other] == pytest.approx(before[other], abs=0.3) for other in score if other != period)


def test_brightness_changes_nothing_and_contrast_little():
    images = checkered(photographs(128) // 2 + 10, period=4, amount=6)
    assert score_of(images + 100) == pytest.approx(score_of(images))
    halved = checkered(photographs(128) // 4 + 10, period=4, amount=3)
    assert score_of(halved)[4] == pytest.approx(score_of(images)[4], rel=0.35)


def test_a_pattern_in_a_plain_part_is_found_beside_a_busy_one():
    busy = torch.randint(0, 256, (1, 1, 128, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    plain = checkered(torch.full((1, 1, 128, 128), 200, dtype=torch.uint8), period=4, amount=3)[..., :64]
    assert score_of(torch.cat([busy, plain], 3))[4] > 5


@pytest.mark.parametrize("network", ["unet", "resnet"])
def test_transposed_convolutions_leave_one_and_the_other_upsamplings_do_not(network):
    ways = torch.linspace(-1, 1, 64)
    waves = [torch.sin(3 * ways + k)[:, None] * torch.cos(2 * ways - k) for k in range(12)]
    smooth = torch.stack(waves).view(4, 3, 64, 64)

    def score(upsample):
        torch.manual_seed(0)
        if network == "unet":
            untrained = UNet(3, 3, Layers("instance", upsample), widths=unet_widths(16, 4))
        else:
            untrained = ResNet(3, 3, width=16, blocks=2, norm="instance", upsample=upsample)
        with torch.inference_mode():
            return max(score_of(to_bytes(untrained(smooth))).values())

    assert score("deconv") > 8
    assert max(score("resize"), score("pixelshuffle")) < 2


# --- patches --------------------------------------------------------------------------------------------------------


def crops(n, size, *, channels=3, seed=0):
    """Random parts of photographs, (n, C, size, size) uint8."""
    whole = [data.astronaut(), data.coffee(), data.chelsea()]
    lot = np.random.default_rng(seed)
    parts = []
    for i in range(n):
        top, left = (lot.integers(0, side - size + 1) for side in whole[i % 3].shape[:2])
        parts.append(whole[i % 3][top : top + size, left : left + size, :channels])
    return torch.from_numpy(np.stack(parts)).permute(0, 3, 1, 2)


def softened(images):
    """The images, blurred (3x3)."""
    return functional.avg_pool2d(images.float(), 3, 1, 1, count_include_pad=False).round().to(torch.uint8)


def patches_of(images, **options):
    found = metrics.Patches(len(images), **options)
    found.add(images)
    return found


def distance_of(real, fake):
    return metrics.sliced_distance(patches_of(real), patches_of(fake)).tolist()


def reference_patches(images, count=128):
    """By level, the patches of images by the reference, at the positions of ours, (N, count, C, 7, 7)."""
    sides = swd.sizes(images.shape[-1])
    corners = torch.stack([patches.random_corners(number, sides, count) for number in range(len(images))], 1)
    levels = swd.laplacian_pyramid(images.numpy(), len(sides))
    found = [swd.patches(level, of.numpy() + 3) for level, of in zip(levels, corners, strict=True)]
    return [level.reshape(len(images), count, *level.shape[1:]) for level in found]


def reference_distances(real, fake, *, count=512):
    """By level, the distance of patches (N, P, C, 7, 7) by the reference, along the first `count` of our directions."""
    found = []
    for level, (ours, theirs) in enumerate(zip(real, fake, strict=True)):
        directions = patches.random_directions(ours.shape[2], level)[:count].flatten(1).double().numpy().T
        real = np.concatenate(ours)
        both = (swd.normalise(np.concatenate(of), by=real) for of in (ours, theirs))
        found.append(swd.REPORTED * swd.sliced_wasserstein(*both, directions))
    return found


@pytest.mark.parametrize(("size", "channels"), [(16, 1), (28, 3), (32, 1), (64, 3), (256, 1)])
def test_laplacian_pyramids_are_those_of_the_reference(size, channels):
    images = crops(2, size, channels=channels)
    expected = swd.laplacian_pyramid(images.numpy(), len(swd.sizes(size)))
    found = patches.laplacian_pyramid(images.float())
    assert [level.shape[-1] for level in found] == swd.sizes(size)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.numpy() == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize(("size", "channels"), [(16, 1), (28, 3), (64, 1), (128, 3)])
def test_the_sliced_wasserstein_distance_is_that_of_the_reference(size, channels):
    real = crops(12, size, channels=channels)
    for fake in (crops(12, size, channels=channels, seed=1), softened(real), blemished(real, 20)):
        expected = reference_distances(reference_patches(real), reference_patches(fake))
        # patches are kept in 128ths of a grey level, by which small distances are up to 0.001 off
        assert distance_of(real, fake) == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_what_tenths_change_is_what_the_reference_finds_without_their_images():
    real, fake = crops(23, 32), softened(crops(23, 32, seed=1))
    found = metrics.sliced_left_out(patches_of(real), patches_of(fake))
    assert found.shape == (10, 2)
    ours, theirs = reference_patches(real), reference_patches(fake)
    part = torch.randperm(23, generator=torch.Generator().manual_seed(0)) % 10
    for tenth in (0, 9):
        keep = (part != tenth).numpy()
        expected = reference_distances(*([level[keep] for level in of] for of in (ours, theirs)), count=128)
        assert found[tenth].tolist() == pytest.approx(expected, rel=1e-4)


def test_patches_are_as_many_whatever_the_parts_and_their_positions_depend_on_seed_and_number():
    real, fake = crops(40, 32), crops(40, 32, seed=1)
    whole = distance_of(real, fake)
    for size in (1, 7):
        sets = metrics.Patches(40), metrics.Patches(40)
        for found, images in zip(sets, (real, fake), strict=True):
            for part in images.split(size):
                found.add(part)
        assert metrics.sliced_distance(*sets).tolist() == pytest.approx(whole, rel=1e-6)
    other = metrics.sliced_distance(patches_of(real, seed=1), patches_of(fake, seed=1)).tolist()
    assert other == pytest.approx(whole, rel=0.1)
    assert other != whole

    corners = torch.stack([patches.random_corners(number, [32, 16], 128) for number in range(200)])  # (N, L, P, 2)
    assert torch.equal(corners[7], patches.random_corners(7, [32, 16], 128))
    assert not torch.equal(corners[7], corners[8])
    for level, last in zip(corners.unbind(1), (25, 9), strict=True):
        counts = torch.bincount(level.flatten(), minlength=last + 1).double()
        assert len(counts) == last + 1
        assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_equal_sets_have_no_distance_blurred_and_noisy_ones_a_large_one_at_the_finest_level():
    real = crops(60, 64)
    assert distance_of(real, real.clone()) == [0, 0, 0]
    for spoilt in (softened(real), blemished(real, 12)):
        finest, middle, coarsest = distance_of(real, spoilt)
        assert finest > 50 > 2 * coarsest  # whose structure is hardly changed
        assert finest > 2 * middle
    noise = torch.randint(0, 256, real.shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert min(distance_of(real, noise)) > 2 * max(distance_of(real, crops(60, 64, seed=1)))


def test_flat_images_have_a_finite_distance():
    real = crops(12, 32)
    flat = torch.full_like(real, 77)
    one = flat.clone()
    one[5] = real[5]  # without its tenth the others are flat
    grey_channel = real.clone()
    grey_channel[:, 1] = 0
    for images in (flat, one, grey_channel):
        for sets in ((images, real), (real, images), (images, flat), (images, images + 1)):
            both = [patches_of(of) for of in sets]
            assert bool(metrics.sliced_distance(*both).isfinite().all())
            assert bool(metrics.sliced_left_out(*both).isfinite().all())
    assert distance_of(flat, flat) == [0, 0]
    assert distance_of(flat, flat + 9)[0] == 0 < distance_of(flat, flat + 9)[1]  # the last level is not a difference


def test_of_the_larger_set_random_images_are_taken():
    """Folders with a folder for each class come class by class."""
    noise = torch.randint(0, 256, (150, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    small, large = torch.cat([crops(25, 32), noise[:25]]), torch.cat([crops(125, 32, seed=1), noise[25:]])
    fewer, many = metrics.Patches(250, use=50), metrics.Patches(250)
    for part in large.split(64):
        fewer.add(part)
        many.add(part)
    assert (fewer.n, many.n) == (50, 250)
    of_the_first = distance_of(small, large[:50])[0]
    for found in (fewer, many):
        assert metrics.sliced_distance(patches_of(small), found)[0] < of_the_first / 2


def test_a_set_has_a_bounded_number_of_patches(monkeypatch):
    monkeypatch.setattr(patches, "MOST_PATCHES", 1000)
    real, fake = crops(150, 32), crops(150, 32, seed=1)
    assert [metrics.Patches(n).each for n in (5, 7, 8, 150, 2000)] == [128, 128, 125, 6, 1]
    few = distance_of(real, fake)
    expected = reference_distances(reference_patches(real, 6), reference_patches(fake, 6))
    assert few == pytest.approx(expected, rel=1e-4)
    images = metrics.Patches(2000)
    for _ in range(20):
        images.add(real[:100])
    assert images.n == 1000
    assert all(math.isfinite(value) for value in metrics.sliced_distance(images, patches_of(fake)).tolist())


# --- how sure -------------------------------------------------------------------------------------------------------


def test_bootstrap_intervals_are_scipys():
    values = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)).exp() * torch.tensor([1.0, 5.0])
    for column, low, high in zip(values.T.double().numpy(), *metrics.bootstrap(values), strict=True):
        expected = stats.bootstrap((column,), np.mean, n_resamples=20_000, method="percentile").confidence_interval
        width = expected.high - expected.low
        assert (float(low), float(high)) == pytest.approx(tuple(expected), abs=0.08 * width)


def test_bootstrap_intervals_are_the_same_every_time_and_whatever_stands_beside():
    values = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    low, high = metrics.bootstrap(values)
    again = metrics.bootstrap(values[:, 1:])
    assert torch.equal(torch.stack([low, high])[:, 1:], torch.stack(again))
    assert bool((low < values.double().mean(0)).all() and (values.double().mean(0) < high).all())


# --- line art -------------------------------------------------------------------------------------------------------


def strokes(*rows, side=24):
    """A page (1, 1, side, side) with black lines of two pixels from left to right, the upper one in each of `rows`."""
    page = torch.full((1, 1, side, side), 255, dtype=torch.uint8)
    for row in rows:
        page[:, :, row : row + 2, 4:20] = 0
    return page


def test_ink_is_compared_as_f1_of_pixels_and_a_blank_page_scores_nothing():
    wanted = strokes(4, 12)
    for made, score in ((wanted, 1), (strokes(), 0), (strokes(4), 2 / 3), (strokes(5, 12), 3 / 4), (strokes(20), 0)):
        predicted, true = (made == 0).flatten().numpy(), (wanted == 0).flatten().numpy()
        expected = f1_score(true, predicted, zero_division=0)
        assert metrics.ink_agreement(made, wanted).item() == pytest.approx(score) == expected
    assert metrics.ink_agreement(strokes(), strokes()).item() == 1
    grey = wanted.float().add(127).clamp(max=255).to(torch.uint8)  # half of the ink, all of it in place
    assert metrics.ink_agreement(grey, wanted).item() == pytest.approx(2 / 3, abs=0.01)
    assert metrics.absolute_error(strokes(), wanted) < metrics.absolute_error(strokes(8, 16), wanted)  # MAE likes blank


def test_strokes_are_as_far_apart_as_the_nearest_ones():
    wanted = strokes(4)
    for made in (strokes(4), strokes(10), strokes(4, 18), strokes(2)):
        ours, theirs = ((page[0, 0] == 0).nonzero().double() for page in (made, wanted))
        apart = torch.cdist(ours, theirs)
        expected = (apart.amin(1).mean() + apart.amin(0).mean()) / 2
        assert metrics.stroke_distance(made, wanted).item() == pytest.approx(expected.item())
    assert metrics.stroke_distance(strokes(), wanted).item() == pytest.approx(24 * 2**0.5)
    assert metrics.stroke_distance(strokes(), strokes()).item() == 0


def test_line_art_is_told_from_photographs_and_digits():
    assert metrics.is_line_art(strokes(4, 12))
    assert not metrics.is_line_art(255 - strokes(4, 12))
    assert not metrics.is_line_art(torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8))
