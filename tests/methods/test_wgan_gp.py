"""What is special to WGAN-GP: whose turn it is, the penalty, and that its critic measures a distance."""

import pytest
import torch
from conftest import noise_source, small_config
from torch import nn

from ganvas import methods
from ganvas.data.batch import ImageBatch
from ganvas.losses import gradient_penalty
from ganvas.methods.dcgan import Dcgan
from ganvas.methods.wgan_gp import WganGp


def build(**settings):
    torch.manual_seed(0)
    return WganGp(small_config("wgan_gp", **settings), noise_source().spec)


def count(network):
    return sum(weight.numel() for weight in network.parameters())


every_recipe = pytest.mark.parametrize("preset", [None, *WganGp.presets])


@every_recipe
def test_the_critic_has_no_norm_and_scores_each_image_by_itself(preset):
    config = methods.config("wgan_gp", preset)
    source = noise_source(n=4, size=config.sizes[0])
    critic = WganGp(config, source.spec).critic
    norms = nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm
    assert not [layer for layer in critic.modules() if isinstance(layer, norms)]
    x = source.some(4).signed().images
    with torch.no_grad():
        torch.testing.assert_close(critic(x)[:1], critic(x[:1]), rtol=1e-4, atol=1e-5)


def test_mnist28_is_dcgans_with_the_critic_in_place_of_the_discriminator():
    spec = noise_source(n=2, size=28).spec
    ours = WganGp(methods.config("wgan_gp", "mnist28"), spec)
    dcgan = Dcgan(methods.config("dcgan", "mnist28"), spec)
    assert count(ours.generator) == count(dcgan.generator) == 2_305_472
    assert count(ours.critic) == count(dcgan.discriminator)


def test_presets_are_algorithm_1_of_the_paper():
    for config in WganGp.presets.values():
        assert (config.penalty, config.critic_steps) == (10, 5)
        assert (config.learning_rate, config.beta1, config.beta2) == (1e-4, 0, 0.9)
        assert (config.batch, config.ema) == (64, 0)


def test_the_generator_has_its_turn_after_so_many_steps_of_the_critic():
    source, method = noise_source(), build(critic_steps=3, ema=0.9)
    moved = {"generator": [], "average": [], "critic": []}
    for step in range(6):
        before = {name: [w.clone() for w in getattr(method, name).parameters()] for name in moved}
        method.training_step(source.some(8).signed(), step)
        for name, turns in moved.items():
            now = getattr(method, name).parameters()
            turns.append(any(not torch.equal(a, b) for a, b in zip(before[name], now, strict=True)))
    assert moved["generator"] == moved["average"] == [False, False, True, False, False, True]
    assert moved["critic"] == [True] * 6


@pytest.mark.parametrize("step", [0, 1])  # the generator's turn is at 1
def test_the_critic_follows_estimate_and_penalty_and_they_are_what_is_reported(step):
    method, real, gradients = build(penalty=7.0), noise_source().some(8).signed().images, []
    weights = list(method.critic.parameters())
    torch.manual_seed(step)
    fake = method.generator(torch.randn(8, method.config.latent)).detach()
    wasserstein = method.critic(real).mean() - method.critic(fake).mean()
    penalty = gradient_penalty(method.critic, real, fake)
    expected = {"wasserstein": wasserstein.detach(), "penalty": penalty.detach()}
    slopes = torch.autograd.grad(7 * penalty - wasserstein, weights)

    method.optimizers["critic"].register_step_pre_hook(
        lambda *_: gradients.extend(weight.grad.clone() for weight in weights)
    )
    torch.manual_seed(step)
    losses = method.training_step(ImageBatch(real), step)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(gradients, slopes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_generator_climbs_the_score_of_its_images():
    method, gradients = build(critic_steps=1), []
    weights = list(method.generator.parameters())
    for group in method.optimizers["critic"].param_groups:
        group["lr"] = 0.0
    torch.manual_seed(0)
    score = method.critic(method.generator(torch.randn(8, method.config.latent))).mean()
    expected = torch.autograd.grad(-score, weights)
    method.optimizers["generator"].register_step_pre_hook(
        lambda *_: gradients.extend(weight.grad.clone() for weight in weights)
    )
    torch.manual_seed(0)
    method.training_step(noise_source().some(8).signed(), 0)
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gap", [0.25, 0.5])
def test_the_estimate_comes_to_a_distance_that_is_known(gap):
    """Every number of every real image lies `gap` above the fakes': a distance d of 16 times that in 256 numbers.

    A critic of slope s on the way there gains s d - lambda (s - 1)^2, most of all at s = 1 + d / (2 lambda).
    """
    method = build(penalty=50.0, critic_steps=100, learning_rate=5e-3)
    fake, drawn = torch.tensor(-0.1), method.generator[-2]
    nn.init.zeros_(drawn.weight)
    nn.init.constant_(drawn.bias, fake.atanh().item())
    real = (fake + gap).expand(8, 1, 16, 16).contiguous()
    found = []
    for step in range(200):
        torch.manual_seed(step)
        found.append(method.training_step(ImageBatch(real), step % 99)["wasserstein"])  # never the generator's turn
    distance = 16 * gap
    expected = distance * (1 + distance / (2 * 50))
    torch.testing.assert_close(torch.stack(found[-20:]).mean().item(), expected, rtol=0.12, atol=0)
