"""Tasks make pairs from single images, prepare users' images in the same way, and return the promised result."""

import numpy as np
import pytest
import torch
from conftest import photograph
from PIL import Image
from sklearn.datasets import load_digits

from ganvas.data import tasks
from ganvas.data.batch import PairBatch
from ganvas.data.tasks import cartoon, colorize, edges, hidden_digit, inpaint
from ganvas.errors import DataError, SettingError
from ganvas.imaging import lab
from ganvas.imaging.images import resize, to_signed

NAMES = tasks.names()
SIZE = 32


def image_of(size=SIZE, *, channels=3, seed=0):
    image = np.array(photograph(seed=seed, width=size, height=size).convert("RGB" if channels == 3 else "L"))
    return torch.from_numpy(image.reshape(size, size, channels)).permute(2, 0, 1).contiguous()


def digits(n, *, size):
    """White on black, (n, 1, size, size)."""
    ink = torch.from_numpy((load_digits().images[:n] * (255 / 16)).round().astype(np.uint8))
    return resize(ink[:, None], size)


def batch_of(task, n=6, *, size=SIZE, grey=False):
    if task.name == "hidden-digit":
        return PairBatch.together([task.pair(digit) for digit in digits(n, size=size)])
    channels = task.read_channels(grey)
    return PairBatch.together([task.pair(image_of(size, channels=channels, seed=i)) for i in range(n)])


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


# --- all of them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("size", [16, 28, SIZE])
@pytest.mark.parametrize("name", NAMES)
def test_pairs_have_the_channels_that_the_task_says(name, size, grey):
    task = tasks.task(name)
    kept = batch_of(task, size=size, grey=grey)
    own = task.read_channels(grey)
    for pairs in (kept, task.afresh(kept, rng())):
        assert pairs.source.shape == (6, task.channels or own, size, size)
        assert pairs.target.shape == (6, task.target_channels or own, size, size)
        assert pairs.source.dtype == pairs.target.dtype == torch.uint8


@pytest.mark.parametrize("name", NAMES)
def test_all_chance_comes_from_the_generator(name):
    task = tasks.task(name)
    kept = batch_of(task)
    before = kept.source.clone(), kept.target.clone()
    one, same, other = (task.afresh(kept, rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.source, same.source)
    assert torch.equal(one.target, same.target)
    assert torch.equal(one.source, other.source) != task.fresh
    assert torch.equal(kept.source, before[0])  # the stored batch is not changed
    assert torch.equal(kept.target, before[1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_any_shape_goes_through(name, channels):
    task = tasks.task(name)
    image = image_of(40, channels=channels)[:, :29, :]
    alpha = torch.full(image.shape[1:], 200, dtype=torch.uint8)
    alpha[5:9, 5:20] = 0
    shown = task.enter(image, alpha)
    assert shown.dtype == torch.uint8
    assert len(shown) == (task.channels or channels)
    output = to_signed(shown[:1]).expand(task.target_channels or channels, -1, -1)
    result, see_through = task.leave(image, alpha, output)
    assert result.dtype == torch.uint8
    assert len(result) in (1, 3)
    assert result.shape[1:] == shown.shape[1:]
    if name == "inpaint":
        assert see_through is None
    else:
        assert see_through.shape == result.shape[1:]
        assert see_through.dtype == torch.uint8
        assert task.leave(image, None, output)[1] is None


@pytest.mark.parametrize("name", NAMES)
def test_names_are_written_out_and_explained(name):
    canonical = tasks.task(name).name
    assert canonical.partition(":")[0] == name
    assert tasks.task(canonical) == tasks.task(name)


def test_a_parameter_is_kept():
    assert tasks.task("denoise").name == "denoise:0.1"
    assert tasks.task("denoise:0.250").name == "denoise:0.25"
    assert tasks.task("superres:2").name == "superres:2"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("sharpen", "colorize-rgb"), ("", "there are"), ("denoise:2", "0.001 to 1"), ("denoise:0", "SIGMA"),
        ("denoise:nan", "SIGMA"), ("denoise:much", "SIGMA"), ("denoise:", "SIGMA"), ("deblur:-1", "pixels"),
        ("superres:3", "2 or 4"), ("colorize:3", "write `task` colorize"), ("edges:", "no parameter"),
    ],
)  # fmt: skip
def test_a_task_that_there_is_not_is_refused_in_one_line(given, said):
    with pytest.raises(SettingError, match=f"^`task` {given}: .*{said}.*$"):
        tasks.task(given)


# --- one by one -----------------------------------------------------------------------------------------------------


def test_colorize_gives_back_the_image_from_its_own_pair():
    task, image = tasks.task("colorize"), image_of()
    pairs = task.pair(image).signed()
    back, _ = task.leave(image, None, pairs.target[0])
    error = (back.float() - image.float()).square().mean()
    assert 10 * torch.log10(255**2 / error) > 44  # decibels; a byte of a or b is 0.86, which dark reds show most


@pytest.mark.parametrize("channels", [1, 3])
def test_colorize_keeps_the_lightness_whatever_the_colours(channels):
    task, image = tasks.task("colorize"), image_of(channels=channels)
    colours = torch.rand(2, SIZE, SIZE, generator=rng()) * 2 - 1
    result, _ = task.leave(image, None, colours)
    assert (lab.lightness(result) - lab.lightness(image)).abs().max() < 0.3
    assert result.float().std(0).mean() > 10  # it is in colour


def test_a_large_image_is_coloured_in_strips_without_seams(monkeypatch):
    task, image = tasks.task("colorize"), image_of()
    colours = torch.rand(2, SIZE, SIZE, generator=rng()) * 2 - 1
    whole = task.enter(image, None), task.leave(image, None, colours)[0]
    monkeypatch.setattr(colorize, "_STRIP", 5 * SIZE)
    assert torch.equal(task.enter(image, None), whole[0])
    assert torch.equal(task.leave(image, None, colours)[0], whole[1])


def test_grey_is_as_pillow_reads_it():
    image = torch.randint(0, 256, (3, 64, 64), generator=rng(), dtype=torch.uint8)
    read = np.array(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L"))
    assert torch.equal(tasks.task("colorize-rgb").enter(image, None)[0], torch.from_numpy(read))


@pytest.mark.parametrize(("sigma", "decibels"), [(0.05, 26.0), (0.1, 20.0)])
def test_noise_is_as_strong_as_it_says(sigma, decibels):
    grey = torch.full((4, 3, 64, 64), 128, dtype=torch.uint8)
    noisy = tasks.task(f"denoise:{sigma}").afresh(PairBatch(grey, grey), rng()).source
    error = (noisy.float() - grey.float()).square().mean()
    assert 10 * torch.log10(255**2 / error) == pytest.approx(decibels, abs=0.1)


def test_a_blur_has_the_width_that_it_says():
    point = torch.zeros(1, 41, 41, dtype=torch.uint8)
    point[0, 20, 18:23] = 255
    blurred = tasks.task("deblur:3").pair(point).source[0, 0].double()
    across = torch.arange(41) - 20.0
    variance = (blurred.sum(1) * across**2).sum() / blurred.sum()
    assert variance.sqrt() == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("factor", [2, 4])
def test_superres_makes_images_as_much_larger(factor):
    task, image = tasks.task(f"superres:{factor}"), image_of()[:, :20]
    alpha = torch.full((20, SIZE), 255, dtype=torch.uint8)
    alpha[:, : SIZE // 2] = 0
    shown = task.enter(image, alpha)
    assert shown.shape == (3, 20 * factor, SIZE * factor)
    result, larger = task.leave(image, alpha, to_signed(shown))
    assert torch.equal(result, shown)
    assert larger[0, 0] == 0
    assert larger[-1, -1] == 255
    assert larger.shape == shown.shape[1:]


def test_superres_learns_from_what_lost_its_detail_and_nothing_else():
    smooth, rough = image_of(64), torch.randint(0, 256, (3, 64, 64), generator=rng(), dtype=torch.uint8)
    task = tasks.task("superres:4")
    loss = [(pairs.source.float() - pairs.target.float()).abs().mean() for pairs in map(task.pair, (smooth, rough))]
    assert loss[0] < 3  # and it did not move
    assert loss[1] > 40


@pytest.mark.parametrize("size", [16, 64, 100])
def test_holes_cover_a_tenth_to_three_tenths(size):
    holes = inpaint.holes(200, size, size, generator=rng(), device=torch.device("cpu"))
    area = holes.float().mean((1, 2))
    low, high = inpaint.HOLES
    assert area.min() > low - 0.02
    assert area.max() < high + 0.02
    assert area.max() - area.min() > 0.15  # of all sizes
    assert holes.float().mean(0).min() > 0.02  # and everywhere


def test_inpaint_shows_grey_in_the_holes_and_the_image_around_them():
    task = tasks.task("inpaint")
    pairs = task.afresh(batch_of(task), rng())
    changed = (pairs.source != pairs.target).any(1, keepdim=True).expand_as(pairs.source)
    assert (pairs.source[changed] == inpaint.GREY_HOLE).all()
    assert 0.08 < changed.float().mean() < 0.32


@pytest.mark.parametrize("channels", [1, 3])
def test_inpaint_leaves_every_other_byte_alone(channels):
    task, image = tasks.task("inpaint"), image_of()
    alpha = torch.full((SIZE, SIZE), 255, dtype=torch.uint8)
    alpha[4:12, 6:20], alpha[20:, 20:] = 0, 128  # transparent, and just there
    hole = (alpha < 128).expand(3, -1, -1)
    shown = task.enter(image, alpha)
    assert (shown[hole] == inpaint.GREY_HOLE).all()
    result, see_through = task.leave(image, alpha, torch.ones(channels, SIZE, SIZE))
    assert see_through is None
    assert torch.equal(result[~hole], image[~hole])
    assert (result[hole] == 255).all()


@pytest.mark.parametrize("alpha", [None, torch.full((SIZE, SIZE), 255, dtype=torch.uint8)])
def test_inpaint_says_how_to_mark_what_is_to_be_filled(alpha):
    with pytest.raises(DataError, match="make the area transparent"):
        tasks.task("inpaint").enter(image_of(), alpha)


def test_edges_are_thin_black_lines_where_the_edges_are():
    image = torch.full((3, 64, 64), 200, dtype=torch.uint8)
    image[:, 20:44, 20:44] = 60
    lines = tasks.task("edges").pair(image).source[0]
    assert set(lines.unique().tolist()) == {0, 255}
    drawn = (lines[0] == 0).nonzero()
    near = torch.minimum((drawn - 19.5).abs(), (drawn - 43.5).abs()).amin(1)
    assert near.max() <= 2  # on the outline
    assert 70 < len(drawn) < 110  # of 96 pixels
    assert edges.is_drawing(lines)


def test_a_drawing_is_taken_as_it_is():
    task = tasks.task("edges")
    lines = task.pair(image_of(64)).source[0]
    assert torch.equal(task.enter(lines, None), lines)
    assert torch.equal(task.enter(lines.expand(3, -1, -1), None), lines)
    photo = image_of(64)
    assert not torch.equal(task.enter(photo, None), tasks.task("colorize-rgb").enter(photo, None))
    night = torch.full((1, 64, 64), 5, dtype=torch.uint8)
    assert task.enter(night, None).float().mean() == 255  # a dark image is no drawing


def test_a_cartoon_is_flatter_and_has_ink_at_outlines():
    image = torch.full((3, 128, 128), 190, dtype=torch.uint8)
    image[:, 32:96, 32:96] = 110
    image = (image + torch.randint(0, 8, image.shape, generator=rng())).to(torch.uint8)
    drawn = cartoon.cartoon(image)
    inside = np.s_[:, 50:78, 50:78]
    assert drawn[inside].float().std((1, 2)).mean() < 0.6 * image[inside].float().std((1, 2)).mean()
    assert drawn[:, 32:38, 64].amin() < image[:, 32:38, 64].amin() - 30
    assert (cartoon.cartoon(image[:1]).shape, drawn.shape) == ((1, 128, 128), (3, 128, 128))


# --- hidden digits --------------------------------------------------------------------------------------------------


def hidden(n=200, *, size=28, seed=3):
    task = tasks.task("hidden-digit")
    pairs = task.afresh(batch_of(task, n, size=size), rng(seed))
    return pairs.source.float(), pairs.target[:, 0]


def test_no_threshold_finds_a_hidden_digit():
    seen, ink = hidden()
    stroke = ink > 160
    for plane in (seen.mean(1), *seen.unbind(1)):
        inside = (plane * stroke).sum((1, 2)) / stroke.sum((1, 2))
        outside = (plane * ~stroke).sum((1, 2)) / (~stroke).sum((1, 2))
        assert abs((inside - outside).mean()) < 2  # grey levels: neither brighter nor darker
        assert ((inside - outside).abs() / plane.std((1, 2))).median() < 0.25  # nor either by turns


@pytest.mark.parametrize("size", [16, 28, 64])
def test_who_knows_the_ground_finds_the_digit(size, monkeypatch):
    seen, ink = hidden(size=size)
    stroke = ink > 160
    monkeypatch.setattr(hidden_digit, "_STROKE", (256, 257))  # no digit reaches it
    ground, _ = hidden(size=size)
    changed = (seen - ground).abs().amax(1)
    inside = (changed * stroke).sum((1, 2)) / stroke.sum((1, 2))
    assert (inside > 15).float().mean() > 0.95  # grey levels
    assert changed[ink <= 64].max() == 0  # and nothing else gives it away


def test_hidden_digits_move_with_their_targets():
    task = tasks.task("hidden-digit")
    kept = batch_of(task, 40, size=28)
    moved = task.afresh(kept, rng()).target
    same = (moved == kept.target).all((1, 2, 3))
    assert 0 <= same.float().mean() < 0.3
    for before, after in zip(kept.target, moved, strict=True):
        shifts = [
            torch.roll(torch.nn.functional.pad(before, (2, 2, 2, 2)), (dy, dx), (1, 2))[:, 2:-2, 2:-2]
            for dy in range(-2, 3)
            for dx in range(-2, 3)
        ]
        assert any(torch.equal(after, shift) for shift in shifts)
