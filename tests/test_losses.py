"""The losses against straightforward double-precision references."""

import torch
from torch import nn

from ganvas.losses import discriminator_cross_entropy, generator_cross_entropy, r1_penalty


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


def test_r1_of_a_linear_discriminator_is_half_its_squared_slope():
    weight = torch.randn(12)
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    discriminator[1].weight.data[:] = weight
    torch.testing.assert_close(r1_penalty(discriminator, torch.randn(5, 3, 2, 2)), weight.square().sum() / 2)


def test_r1_is_the_gradient_by_finite_differences_averaged_over_pictures():
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


def test_r1_teaches_the_discriminator_and_not_the_pictures():
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(3, 1, 2, 2, requires_grad=True)
    r1_penalty(discriminator, x).backward()
    assert x.grad is None
    assert discriminator[1].weight.grad.abs().sum() > 0
