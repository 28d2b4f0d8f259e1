"""The changes that the discriminator sees: each at random, bounded, in place of no image, and differentiable."""

import pytest
import torch

from ganvas.augment import augment

CHANGES = ("color", "translation", "cutout")
each_change = pytest.mark.parametrize("changes", [*((change,) for change in CHANGES), CHANGES], ids="+".join)
square = pytest.mark.parametrize("size", [16, 28, 32])


def random_images(n=8, channels=3, size=16):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_no_change_is_the_same_tensor():
    images = random_images()
    assert augment(images, ()) is images


@each_change
@pytest.mark.parametrize("channels", [1, 3])
def test_a_change_keeps_the_shape_and_leaves_its_input_alone(changes, channels):
    torch.manual_seed(0)
    images = random_images(channels=channels, size=28)
    before = images.clone()
    changed = augment(images, changes)
    assert changed.shape == images.shape
    assert changed.dtype == images.dtype
    assert changed.isfinite().all()
    assert not torch.equal(changed, images)
    assert torch.equal(images, before)


@each_change
def test_a_change_is_another_for_each_image(changes):
    torch.manual_seed(0)
    changed = augment(random_images(n=1).expand(64, -1, -1, -1), changes)
    assert len(changed.unique(dim=0)) > 16  # translation has but 25 ways


@each_change
def test_an_image_changes_whatever_stands_beside_it(changes):
    images, others = random_images(), random_images()
    others[1:] = 0.3
    torch.manual_seed(0)
    one = augment(images, changes)
    torch.manual_seed(0)
    assert torch.equal(augment(others, changes)[0], one[0])


@each_change
def test_chance_is_a_function_of_the_seed(changes):
    images, drawn = random_images(), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(augment(images, changes))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@each_change
def test_the_gradient_passes_through_as_finite_differences_say(changes):
    torch.manual_seed(0)
    images = random_images(n=2, size=8).double().requires_grad_()

    def changed(x):
        torch.manual_seed(1)
        return augment(x, changes)

    assert torch.autograd.gradcheck(changed, (images,), fast_mode=True)
    (gradient,) = torch.autograd.grad(changed(images).sum(), images)
    assert gradient.abs().sum() > 0


@each_change
def test_the_gradient_has_a_gradient(changes):
    """A penalty on the slope at changed images reaches the image before the change."""
    torch.manual_seed(0)
    images = random_images().requires_grad_()
    (slope,) = torch.autograd.grad(augment(images, changes).pow(3).sum(), images, create_graph=True)
    slope.square().sum().backward()
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0


# --- translation ----------------------------------------------------------------------------------------------------


def shifts(size, n=1000):
    """By how many pixels an image of one bright pixel in the middle has moved, (N, 2)."""
    images = torch.zeros(n, 1, size, size)
    images[:, :, size // 2, size // 2] = 1
    torch.manual_seed(0)
    found = augment(images, ("translation",)).nonzero()  # (N, 4)
    assert torch.equal(found[:, 0], torch.arange(n))  # one pixel still, in each
    return found[:, 2:] - size // 2


@square
def test_translation_moves_by_every_way_up_to_an_eighth(size):
    most = round(size / 8)  # 4 of 28
    moved = shifts(size)
    expected = torch.arange(-most, most + 1)
    for axis in (0, 1):
        ways, counts = moved[:, axis].unique(return_counts=True)
        assert torch.equal(ways, expected)
        assert (counts - 1000 / len(expected)).abs().max() < 60  # five deviations
    assert len(moved.unique(dim=0)) == len(expected) ** 2  # across and down are two chances


@square
def test_translation_keeps_what_stays_in_view_and_fills_with_mid_grey(size):
    images = random_images(channels=3, size=size, n=40) + 2  # nothing in it is 0
    torch.manual_seed(0)
    changed = augment(images, ("translation",))
    for before, after in zip(images, changed, strict=True):
        filled = (after == 0).all(0)
        rows, columns = (~filled).any(1).nonzero()[:, 0], (~filled).any(0).nonzero()[:, 0]
        height, width = len(rows), len(columns)
        kept = after[:, rows[0] : rows[0] + height, columns[0] : columns[0] + width]
        assert (kept != 0).all()  # a rectangle without holes
        top, left = size - height if rows[0] == 0 else 0, size - width if columns[0] == 0 else 0
        assert torch.equal(kept, before[:, top : top + height, left : left + width])


# --- cutout ---------------------------------------------------------------------------------------------------------


@square
def test_cutout_greys_what_the_image_has_of_a_square_of_half_its_side(size):
    torch.manual_seed(0)
    changed = augment(torch.ones(1000, 3, size, size), ("cutout",))
    assert torch.equal(changed[:, :1].expand_as(changed), changed)  # the same in every channel
    assert set(changed.unique().tolist()) == {0, 1}
    gone = changed[:, 0] == 0
    down, across = gone.any(2), gone.any(1)  # (N, H), (N, W)
    assert torch.equal(gone, down[:, :, None] & across[:, None, :])  # rows times columns
    for side in (down, across):
        assert side.any(1).all()
        assert (side.int().diff(dim=1) == 1).sum(1).max() <= 1  # in one piece
        lengths = side.sum(1)
        assert lengths.max() == size // 2
        at_an_edge = side[:, 0] | side[:, -1]
        assert (lengths[~at_an_edge] == size // 2).all()  # whole unless the edge cuts it
        assert lengths.min() == size // 4  # for its centre lies in the image
        assert at_an_edge.float().mean() < 0.65
        assert side.any(0).all()  # anywhere


def test_cutout_leaves_the_rest_as_it_was():
    torch.manual_seed(0)
    images = random_images() + 2
    changed = augment(images, ("cutout",))
    assert torch.equal(changed, images.where(changed != 0, 0))
    assert (changed == 0).any((1, 2, 3)).all()


# --- colour ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_color_changes_only_the_brightness_of_a_flat_grey(channels):
    torch.manual_seed(0)
    changed = augment(torch.full((200, channels, 16, 16), 0.25), ("color",))
    flat = changed.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(changed, flat.expand_as(changed))
    moved = flat.flatten() - 0.25
    assert -0.5 <= moved.min() < -0.45
    assert 0.45 < moved.max() <= 0.5


def factors(x, y):
    """The one number by which each image x (N, ...) was multiplied to give y; that it was is asserted."""
    x, y = x.flatten(1), y.flatten(1)
    factor = (x * y).sum(1) / x.square().sum(1)
    torch.testing.assert_close(y, factor[:, None] * x, atol=1e-5, rtol=1e-4)
    return factor


def test_color_scales_contrast_and_saturation_within_their_bounds():
    torch.manual_seed(0)
    x = random_images(n=400)
    y = augment(x, ("color",))
    (grey_x, around_x), (grey_y, around_y) = (
        (grey - grey.mean((1, 2, 3), keepdim=True), images - grey)
        for images in (x, y)
        for grey in [images.mean(1, keepdim=True)]
    )
    contrast = factors(grey_x, grey_y)
    saturation = factors(around_x, around_y) / contrast
    for found, low, high in ((contrast, 0.5, 1.5), (saturation, 0, 2)):
        margin = (high - low) / 20
        assert low - 1e-4 <= found.min() < low + margin
        assert high - margin < found.max() <= high + 1e-4
    assert torch.corrcoef(torch.stack([contrast, saturation]))[0, 1].abs() < 0.2  # two chances, not one


def test_color_of_a_grey_image_is_brightness_and_contrast():
    torch.manual_seed(0)
    x = random_images(n=200, channels=1)
    y = augment(x, ("color",))
    mean_x, mean_y = (images.mean((1, 2, 3), keepdim=True) for images in (x, y))
    contrast = factors(x - mean_x, y - mean_y)
    assert 0.5 - 1e-4 <= contrast.min() < contrast.max() <= 1.5 + 1e-4
    assert (mean_y - mean_x).abs().max() <= 0.5 + 1e-5
