"""What `gan` and `dcgan` share: the penalty, the averaged generator, the losses that are reported."""

import pytest
import torch
from conftest import noise_source, small_config

from ganvas import methods
from ganvas.losses import PENALTY_EVERY, discriminator_cross_entropy, r1_penalty

both = pytest.mark.parametrize("name", ["gan", "dcgan"])


def learn(name, *steps, **settings):
    """Take the steps; returns the method and the discriminator's gradients at the first of them."""
    source, gradients = noise_source(), []
    torch.manual_seed(0)
    method = methods.get(name)(small_config(name, **settings), source.spec)
    weights = list(method.discriminator.parameters())
    method.optimizers["discriminator"].register_step_pre_hook(
        lambda *_: gradients.append([weight.grad.clone() for weight in weights])
    )
    for step in steps:
        torch.manual_seed(step)
        method.training_step(source.some(8).signed(), step)
    return method, gradients[0]


@both
@pytest.mark.parametrize("step", [0, 1, PENALTY_EVERY])
def test_the_discriminator_follows_loss_and_penalty(name, step):
    _, gradients = learn(name, step, r1=0.7)
    source = noise_source()
    torch.manual_seed(0)
    method = methods.get(name)(small_config(name, r1=0.7), source.spec)
    torch.manual_seed(step)
    real = source.some(8).signed().images
    fake = method.generator(torch.randn(8, method.config.latent)).detach()
    loss = discriminator_cross_entropy(method.discriminator(real), method.discriminator(fake))
    if step % PENALTY_EVERY == 0:
        loss = loss + 0.7 * PENALTY_EVERY * r1_penalty(method.discriminator, real)
    for ours, expected in zip(gradients, torch.autograd.grad(loss, method.discriminator.parameters()), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


@both
def test_the_average_follows_the_generator(name):
    fresh, _ = learn(name, 0, ema=0.9, learning_rate=0.0)
    taught, _ = learn(name, 0, 1, 2, ema=0.9)
    for start, average, now in zip(
        fresh.generator.parameters(), taught.average.parameters(), taught.generator.parameters(), strict=True
    ):
        assert not torch.equal(average, start)
        assert not torch.equal(average, now)


def test_averaging_the_losses_halves_the_discriminators_gradient():
    (_, whole), (_, half) = (learn("gan", 1, average_losses=on) for on in (False, True))
    for a, b in zip(whole, half, strict=True):
        torch.testing.assert_close(a / 2, b)
