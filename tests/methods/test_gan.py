"""What is special to the multilayer perceptron GAN: its textbook networks, and the k of its algorithm."""

import pytest
import torch
from conftest import noise_source, small_config

from ganvas import methods
from ganvas.methods.gan import Gan


def count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("preset", "generator", "discriminator"),
    [("blog", 247_440, 233_985), ("lecture", 579_728, 566_273), ("book", 1_493_520, 1_460_225)],
)
def test_presets_have_the_textbooks_parameters(preset, generator, discriminator):
    method = Gan(methods.config("gan", preset), noise_source(size=28).spec)
    assert (count(method.generator), count(method.discriminator)) == (generator, discriminator)
    assert method.average is None


def test_the_generator_learns_at_every_kth_step():
    source = noise_source()
    method = Gan(small_config("gan", discriminator_steps=3), source.spec)
    moved = []
    for step in range(6):
        before = method.generator[0].weight.clone()
        method.training_step(source.some(8).signed(), step)
        moved.append(not torch.equal(method.generator[0].weight, before))
    assert moved == [False, False, True, False, False, True]


def test_the_averaged_generator_draws_where_there_is_one():
    source = noise_source()
    for ema in (0.0, 0.9):
        method = Gan(small_config("gan", ema=ema), source.spec).eval()
        drawn = method.generate([1])
        with torch.no_grad():
            method.generator[-3].bias.add_(1)
        assert torch.equal(method.generate([1]), drawn) == bool(ema)


def test_it_learns_a_simple_distribution():
    """Images of one of two flat greys: after a little while it draws both, and little else."""
    from ganvas.data.batch import ImageBatch

    torch.manual_seed(0)
    method = Gan(
        small_config("gan", generator=(32, 32), discriminator=(32, 32), ema=0.9, learning_rate=2e-3),
        noise_source().spec,
    )
    for step in range(400):
        greys = torch.tensor([-0.6, 0.6])[torch.randint(2, (32,))]
        method.training_step(ImageBatch(greys[:, None, None, None].expand(32, 1, 16, 16).contiguous()), step)
    drawn = method.eval().generate(list(range(64))).mean((1, 2, 3))
    assert ((drawn.abs() - 0.6).abs() < 0.35).float().mean() > 0.8  # none of an untaught one: it draws mid grey
    assert 0.1 < (drawn > 0).float().mean() < 0.9


@pytest.mark.parametrize(
    ("name", "preset", "updates", "epsilon"),
    [
        ("gan", "blog", "simultaneous", 1e-8),
        ("gan", "lecture", "simultaneous", 1e-7),
        ("gan", "book", "alternating", 1e-8),
        ("cgan", "lecture", "simultaneous", 1e-7),
        ("dcgan", "mnist28", "simultaneous", 1e-7),
        ("dcgan", "paper64", "alternating", 1e-8),
    ],
)
def test_presets_move_as_their_texts_do_with_the_epsilon_of_their_library(name, preset, updates, epsilon):
    config = methods.config(name, preset)
    assert (config.updates, config.epsilon) == (updates, epsilon)


def test_of_several_discriminator_steps_the_average_counts_the_generators():
    """After the generator's second update, the fourth step of the discriminator, its weight is 2 / 11."""
    source = noise_source()
    method = Gan(small_config("gan", discriminator_steps=2, ema=0.9), source.spec)
    batch = source.some(8).signed()
    for step in range(3):
        method.training_step(batch, step)
    before = [weight.clone() for weight in method.average.parameters()]
    method.training_step(batch, 3)
    for old, new, weight in zip(before, method.average.parameters(), method.generator.parameters(), strict=True):
        torch.testing.assert_close(new, torch.lerp(weight, old, 2 / 11))
