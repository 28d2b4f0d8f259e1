"""Lab is Lab, and the way back keeps the lightness."""

import numpy as np
import pytest
import torch
from skimage import color

from ganvas.imaging import lab


def random_pixels(*, n=4000):
    return torch.randint(0, 256, (3, n, 1), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def independently(pixels):
    """(3, H, W) float64, by scikit-image."""
    return torch.from_numpy(np.moveaxis(color.rgb2lab(pixels.permute(1, 2, 0).numpy()), -1, 0))


def every_colour(step):
    levels = torch.arange(0, 256, step, dtype=torch.uint8)
    return torch.cartesian_prod(levels, levels, levels).T[:, :, None]


def test_it_is_what_another_implementation_computes():
    pixels = random_pixels()
    assert (lab.from_srgb(pixels) - independently(pixels)).abs().max() < 0.01


def test_lightness_alone_is_the_same_number_in_grey_and_in_colour():
    pixels = random_pixels()
    torch.testing.assert_close(lab.lightness(pixels), lab.from_srgb(pixels)[:1])
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    in_colour = lab.from_srgb(grey.expand(3, -1, -1))
    torch.testing.assert_close(lab.lightness(grey), in_colour[:1], atol=1e-4, rtol=0)
    assert in_colour[1:].abs().max() < 1e-3  # greys have no colour
    assert lab.from_srgb(grey).shape == (3, 16, 16)


def test_every_byte_comes_back():
    pixels = every_colour(15)
    assert torch.equal(lab.to_srgb(lab.from_srgb(pixels)), pixels)


def test_all_of_srgb_is_within_the_limits():
    values = lab.from_srgb(every_colour(5))
    assert values[0].min() >= -1e-3
    assert values[0].max() <= 100 + 1e-3
    assert 95 < values[1:].abs().max() < lab.AB_LIMIT


@pytest.mark.parametrize("reach", [20, 110])
def test_lightness_survives_any_colour(reach):
    rng = torch.Generator().manual_seed(1)
    given = lab.lightness(random_pixels())
    colour = (torch.rand(2, *given.shape[1:], generator=rng) * 2 - 1) * reach
    back = lab.to_srgb(torch.cat([given, colour]))
    assert (independently(back)[0] - given[0]).abs().max() < 0.3  # what rounding to bytes costs


def test_a_colour_that_there_is_not_becomes_paler_and_keeps_its_hue():
    wanted = torch.tensor([60.0, 20.0, -100.0])[:, None, None]
    got = lab.from_srgb(lab.to_srgb(wanted))[1:, 0, 0]
    assert got.norm() < wanted[1:].norm()
    assert torch.nn.functional.cosine_similarity(got, wanted[1:, 0, 0], dim=0) > 0.999
    more = lab.to_srgb(torch.cat([wanted[:1], got[:, None, None] * 1.05]))  # and by no more than it must
    assert (more.int() - lab.to_srgb(wanted).int()).abs().max() <= 2


def test_batches_are_converted_as_their_images_are():
    images = random_pixels().reshape(2, 3, 40, 50)
    together = lab.from_srgb(images)
    torch.testing.assert_close(together[1], lab.from_srgb(images[1]), atol=1e-3, rtol=0)
    colourful = together * torch.tensor([1.0, 2.0, 2.0])[:, None, None]
    apart = lab.to_srgb(colourful)[1].int() - lab.to_srgb(colourful[1]).int()
    assert apart.abs().max() <= 1
