"""The losses against straightforward double-precision references."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from ganvas.losses import (
    bernoulli_nll,
    discriminator_cross_entropy,
    discriminator_least_squares,
    gaussian_nll,
    generator_cross_entropy,
    generator_least_squares,
    gradient_penalty,
    gram,
    gram_distance,
    kl_to_standard_normal,
    r1_penalty,
    total_variation,
)


def test_cross_entropies_are_the_textbooks_on_a_sigmoid():
    torch.manual_seed(0)
    real, fake = torch.randn(64, 1, dtype=torch.float64) * 3, torch.randn(64, 1, dtype=torch.float64) * 3
    bce, one, zero = nn.BCELoss(), torch.ones_like(real), torch.zeros_like(real)
    textbook = bce(real.sigmoid(), one) + bce(fake.sigmoid(), zero)
    torch.testing.assert_close(discriminator_cross_entropy(real, fake), textbook)
    torch.testing.assert_close(generator_cross_entropy(fake), bce(fake.sigmoid(), one))


def test_cross_entropy_of_a_sure_discriminator_keeps_its_gradient():
    fake = torch.tensor([[-200.0]], requires_grad=True)
    generator_cross_entropy(fake).backward()
    assert fake.grad.item() == -1


def test_least_squares_are_distances_to_one_and_to_zero_over_every_patch():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 3, 1, 5, 4, dtype=torch.float64)
    mse, one, zero = nn.MSELoss(), torch.ones_like(real), torch.zeros_like(real)
    torch.testing.assert_close(discriminator_least_squares(real, fake), mse(real, one) + mse(fake, zero))
    torch.testing.assert_close(generator_least_squares(fake), mse(fake, one))
    assert discriminator_least_squares(one, zero) == generator_least_squares(one) == 0


def test_cross_entropies_of_maps_are_means_over_patches():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 3, 1, 5, 4, dtype=torch.float64)
    flat = discriminator_cross_entropy(real.reshape(-1, 1), fake.reshape(-1, 1))
    torch.testing.assert_close(discriminator_cross_entropy(real, fake), flat)
    torch.testing.assert_close(generator_cross_entropy(fake), generator_cross_entropy(fake.reshape(-1, 1)))


def test_r1_of_a_linear_discriminator_is_half_its_squared_slope():
    weight = torch.randn(12)
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    discriminator[1].weight.data[:] = weight
    torch.testing.assert_close(r1_penalty(discriminator, torch.randn(5, 3, 2, 2)), weight.square().sum() / 2)


def test_r1_is_the_gradient_by_finite_differences_averaged_over_images():
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    x, h = torch.randn(3, 1, 2, 2, dtype=torch.float64), 1e-6
    slopes = torch.zeros(3, 4, dtype=torch.float64)
    for i in range(4):
        up, down = x.clone(), x.clone()
        up.flatten(1)[:, i] += h
        down.flatten(1)[:, i] -= h
        slopes[:, i] = (discriminator(up) - discriminator(down))[:, 0].detach() / (2 * h)
    expected = slopes.square().sum(1).mean() / 2
    torch.testing.assert_close(r1_penalty(discriminator.float(), x).double(), expected, rtol=1e-4, atol=1e-6)


def test_r1_teaches_the_discriminator_and_not_the_images():
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(3, 1, 2, 2, requires_grad=True)
    r1_penalty(discriminator, x).backward()
    assert x.grad is None
    assert discriminator[1].weight.grad.abs().sum() > 0


# --- gradient penalty -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.25, 1.0, 3.0])
def test_gradient_penalty_of_a_linear_critic_is_how_far_its_slope_is_from_one_squared(slope):
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    weight = critic[1].weight.data
    weight *= slope / weight.norm()
    penalty = gradient_penalty(critic, torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4))
    torch.testing.assert_close(penalty.item(), (slope - 1) ** 2, atol=1e-6, rtol=1e-4)


def test_gradient_penalty_is_by_finite_differences_at_one_point_between_each_pair():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    real, fake, h = torch.randn(6, 1, 2, 2).double(), torch.randn(6, 1, 2, 2).double(), 1e-6
    torch.manual_seed(1)
    squares = []
    for e, one, other in zip(torch.rand(6).double(), real, fake, strict=True):
        between = e * one + (1 - e) * other
        steps = torch.eye(4, dtype=torch.float64).view(4, 1, 2, 2) * h
        slopes = (critic(between + steps) - critic(between - steps)).detach() / (2 * h)
        squares.append((slopes.square().sum().sqrt() - 1) ** 2)
    torch.manual_seed(1)
    penalty = gradient_penalty(critic.float(), real, fake).double()
    torch.testing.assert_close(penalty, torch.stack(squares).mean(), rtol=1e-4, atol=0)


def test_gradient_penalty_mixes_each_pair_of_images_by_one_weight_of_its_own():
    torch.manual_seed(0)
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.square().flatten(1).sum(1, keepdim=True) / 2

    ones = torch.ones(500, 3, 4, 4)
    penalty = gradient_penalty(critic, ones, -ones)
    (between,) = seen
    weights = between[:, 0, 0, 0]
    assert torch.equal(between, weights[:, None, None, None].expand_as(between))
    assert len(weights.unique()) == 500
    shares = torch.histc(weights, bins=5, min=-1, max=1) / 500  # uniform from the fake to the real one
    torch.testing.assert_close(shares, torch.full((5,), 0.2), atol=0.07, rtol=0)
    expected = (weights.abs() * 48**0.5 - 1).square().mean()  # the slope of |x|^2 / 2 is |x|
    torch.testing.assert_close(penalty, expected)


def test_gradient_penalty_stays_in_fp32_where_the_step_is_in_bf16():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1))
    real, fake = torch.randn(5, 3, 2, 2), torch.randn(5, 3, 2, 2).bfloat16()  # as a generator gives it there
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(real).dtype == torch.bfloat16
        penalty = gradient_penalty(critic, real, fake)
    torch.manual_seed(1)
    assert torch.equal(penalty, gradient_penalty(critic, real, fake.float()))


def test_gradient_penalty_teaches_the_critic_and_not_the_images():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    real, fake = (torch.randn(3, 1, 2, 2, requires_grad=True) for _ in range(2))
    gradient_penalty(critic, real, fake).backward()
    assert real.grad is None
    assert fake.grad is None
    assert critic[1].weight.grad.abs().sum() > 0


# --- evidence bound -------------------------------------------------------------------------------------------------


def test_kl_is_torchs_summed_over_the_latent_numbers_and_averaged_over_images():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(2, 7, 5, dtype=torch.float64)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.5, 1.0), (0.0, 0.2), (-0.7, 2.5)])
def test_kl_is_the_integral_that_defines_it(mean, variance):
    def weighed(z):
        log_q = -((z - mean) ** 2) / (2 * variance) - math.log(2 * math.pi * variance) / 2
        log_p = -(z**2) / 2 - math.log(2 * math.pi) / 2
        return math.exp(log_q) * (log_q - log_p)

    expected, _ = integrate.quad(weighed, mean - 15, mean + 15, limit=200)
    found = kl_to_standard_normal(torch.tensor([[mean]]).double(), torch.tensor([[variance]]).double().log())
    torch.testing.assert_close(found.item(), expected, atol=1e-8, rtol=1e-8)


def test_bernoulli_nll_is_torchs_summed_over_an_image_and_averaged_over_images():
    torch.manual_seed(0)
    logits = torch.randn(4, 3, 5, 5, dtype=torch.float64) * 3
    grey = torch.rand(4, 3, 5, 5, dtype=torch.float64) * 2 - 1
    for images in (grey.sign(), grey):
        log_p = Bernoulli(logits=logits, validate_args=False).log_prob((images + 1) / 2)
        torch.testing.assert_close(bernoulli_nll(logits, images), -log_p.sum((1, 2, 3)).mean())


def test_bernoulli_nll_of_a_sure_and_wrong_pixel_is_its_logit():
    logits = torch.tensor([200.0, -200.0]).view(1, 2, 1, 1)
    assert bernoulli_nll(logits, -logits.sign()).item() == 400
    assert bernoulli_nll(logits, logits.sign()).item() == 0


def test_gaussian_nll_is_torchs_summed_over_an_image_and_averaged_over_images():
    torch.manual_seed(0)
    means, images = torch.randn(2, 4, 3, 5, 5, dtype=torch.float64)
    for log_variance in torch.tensor([-3.0, 0.0, 1.2], dtype=torch.float64):
        log_p = Normal(means, (log_variance / 2).exp()).log_prob(images)
        torch.testing.assert_close(gaussian_nll(means, images, log_variance), -log_p.sum((1, 2, 3)).mean())


def test_gaussian_nll_is_least_where_the_variance_is_the_mean_squared_error():
    torch.manual_seed(0)
    means, images = torch.randn(2, 4, 3, 5, 5, dtype=torch.float64)
    best = (means - images).square().mean().log()

    def slope(log_variance):
        log_variance = log_variance.detach().requires_grad_()
        return torch.autograd.grad(gaussian_nll(means, images, log_variance), log_variance)[0].item()

    assert abs(slope(best)) < 1e-9
    assert slope(best - 0.1) < -1
    assert slope(best + 0.1) > 1


# --- style ----------------------------------------------------------------------------------------------------------


def gram_by_loops(maps):
    """(C, C) of maps (C, H, W): for each two channels the mean of their products over all places."""
    channels, height, width = maps.shape
    matrix = np.zeros((channels, channels))
    for i in range(channels):
        for j in range(channels):
            for y in range(height):
                for x in range(width):
                    matrix[i, j] += float(maps[i, y, x]) * float(maps[j, y, x]) / (height * width)
    return matrix


def test_gram_is_the_mean_product_of_channels():
    torch.manual_seed(0)
    maps = torch.randn(2, 4, 5, 7)
    expected = torch.tensor(np.stack([gram_by_loops(each) for each in maps]), dtype=torch.float32)
    torch.testing.assert_close(gram(maps), expected)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(gram(maps), expected)  # whatever is around it


def test_gram_does_not_depend_on_the_size_or_on_where_things_are():
    torch.manual_seed(0)
    maps = torch.randn(1, 4, 5, 7)
    torch.testing.assert_close(gram(maps.repeat(1, 1, 2, 3)), gram(maps))
    torch.testing.assert_close(gram(maps.flip(-1).roll(2, -2)), gram(maps))


def test_gram_distance_is_the_squared_error_as_a_share_of_the_style():
    torch.manual_seed(0)
    seen, wanted = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    expected = 0.0
    for ours, theirs in zip(seen.numpy(), wanted.numpy(), strict=True):
        error = sum((ours[i, j] - theirs[i, j]) ** 2 for i in range(4) for j in range(4))
        expected += error / sum(theirs[i, j] ** 2 for i in range(4) for j in range(4)) / 3
    assert gram_distance(seen, wanted).item() == pytest.approx(expected)
    assert gram_distance(7 * seen, 7 * wanted).item() == pytest.approx(expected)
    assert gram_distance(wanted, wanted) == 0
    assert gram_distance(torch.zeros_like(wanted), wanted) == 1  # an image without any style
    one_style = gram_distance(seen, wanted[0])
    assert one_style.item() == pytest.approx(gram_distance(seen, wanted[:1].expand(3, -1, -1)).item())


def test_total_variation_is_the_mean_squared_step():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    values = images.numpy()
    down = [
        (values[n, c, y + 1, x] - values[n, c, y, x]) ** 2
        for n in range(2) for c in range(3) for y in range(4) for x in range(4)
    ]  # fmt: skip
    across = [
        (values[n, c, y, x + 1] - values[n, c, y, x]) ** 2
        for n in range(2) for c in range(3) for y in range(5) for x in range(3)
    ]  # fmt: skip
    expected = sum(down) / len(down) + sum(across) / len(across)
    assert total_variation(images).item() == pytest.approx(expected)
    assert total_variation(torch.ones(1, 3, 5, 4)) == 0


@pytest.mark.parametrize("loss", [total_variation, lambda maps: gram_distance(gram(maps), torch.eye(3)[None] * 2)])
def test_losses_of_style_have_the_gradient_of_their_definition(loss):
    torch.manual_seed(0)
    maps = torch.randn(1, 3, 4, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(maps), maps)
    way = torch.randn_like(maps)
    with torch.no_grad():
        change = (loss(maps + 1e-2 * way) - loss(maps - 1e-2 * way)) / 2e-2
    assert change.item() == pytest.approx((gradient * way).sum().item(), rel=2e-2)
