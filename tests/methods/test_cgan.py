"""What is special to the class-conditional GAN: how its networks are told the class, and that they listen."""

import pytest
import torch
from conftest import labelled_source, noise_source, small_config
from torch.nn import functional as F

from ganvas import methods
from ganvas.core.rng import Between
from ganvas.data.batch import ImageBatch
from ganvas.describe import networks
from ganvas.losses import PENALTY_EVERY, discriminator_cross_entropy, r1_penalty
from ganvas.methods.cgan import Cgan, Maxout, ProjectionDiscriminator


def build(**settings):
    torch.manual_seed(0)
    return Cgan(small_config("cgan", **settings), labelled_source().spec)


def test_lecture_has_the_lectures_shapes_and_parameters():
    digits = noise_source(n=2, size=28, classes=tuple("0123456789"))
    method = Cgan(methods.config("cgan", "lecture"), digits.spec)
    shown = dict(networks(method))
    assert [layer.output for layer in shown["generator"] if layer.name == "Linear"] == [(256,), (256,), (512,), (784,)]
    assert shown["generator"][-1].output == (1, 28, 28)
    pieces = [layer.output for layer in shown["discriminator"] if layer.name == "Unflatten"]
    assert pieces == [(5, 240), (5, 50), (4, 240)]
    assert shown["discriminator"][-1].output == (1,)
    generator = (100 + 1) * 256 + (10 + 1) * 256 + (512 + 1) * 512 + (512 + 1) * 784
    discriminator = (784 + 1) * 240 * 5 + (10 + 1) * 50 * 5 + (240 + 50 + 1) * 240 * 4 + (240 + 1)
    for name, expected in (("generator", generator), ("discriminator", discriminator)):
        assert sum(layer.parameters for layer in shown[name]) == expected
    assert method.average is None


def test_lecture_leaves_out_half_of_the_pieces_before_the_largest_is_taken():
    """A unit is zero where all five pieces are negative or left out: of (1/2 + 1/2 1/2)^5 = 24 % of random inputs."""
    torch.manual_seed(0)
    method = Cgan(methods.config("cgan", "lecture"), labelled_source().spec)
    zero = method.discriminator.image(torch.randn(200, 1, 16, 16)) == 0
    assert zero.float().mean() == pytest.approx(0.75**5, abs=0.02)


def test_maxout_is_the_largest_of_its_rectified_pieces():
    torch.manual_seed(0)
    layer, x = Maxout(6, 4, 3).eval(), torch.randn(5, 6)
    weight, bias = layer.pieces[0].weight.detach(), layer.pieces[0].bias.detach()
    expected = torch.empty(5, 4)
    for n in range(5):
        for unit in range(4):
            rows = range(unit, 3 * 4, 4)
            expected[n, unit] = max(0.0, *(float(weight[row] @ x[n] + bias[row]) for row in rows))
    torch.testing.assert_close(layer(x), expected)


def test_the_logit_is_the_projection_of_the_image_on_its_class():
    torch.manual_seed(0)
    spec = labelled_source().spec
    discriminator = ProjectionDiscriminator(small_config("cgan"), spec)
    x, y = torch.randn(5, 1, 16, 16), torch.rand(5, 3)
    phi = discriminator.judge[:-1](x)
    psi, v = discriminator.judge[-1].weight.split([1, 3])
    psi_0, v_0 = discriminator.judge[-1].bias.split([1, 3])
    logits = discriminator(x, y)
    assert logits.shape == (5, 1)
    for n in range(5):
        expected = psi[0] @ phi[n] + psi_0[0] + y[n] @ (v @ phi[n] + v_0)
        torch.testing.assert_close(logits[n, 0], expected)


@pytest.mark.parametrize("layers", ["scaled", "lecture"])
def test_both_networks_are_told_the_classes_of_the_real_images(layers):
    method, told = build(layers=layers), {"generator": [], "discriminator": []}
    for name, seen in told.items():
        getattr(method, name).register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[1]))
    batch = labelled_source().some(8).signed()
    method.training_step(batch, 1)
    y = torch.eye(3)[batch.labels]
    assert [len(seen) for seen in told.values()] == [1, 2]
    for seen in (*told["generator"], *told["discriminator"]):
        assert torch.equal(seen, y if len(seen) == 8 else torch.cat([y, y]))


@pytest.mark.parametrize("step", [0, 1, PENALTY_EVERY])
def test_the_discriminator_follows_loss_and_penalty(step):
    method, batch, gradients = build(r1=0.7), labelled_source().some(8).signed(), []
    judge, weights = method.discriminator, list(method.discriminator.parameters())
    y = F.one_hot(batch.labels, 3).float()
    torch.manual_seed(step)
    fake = method.generator(torch.randn(8, method.config.latent), y).detach()
    loss = discriminator_cross_entropy(judge(batch.images, y), judge(fake, y))
    if step % PENALTY_EVERY == 0:
        loss = loss + 0.7 * PENALTY_EVERY * r1_penalty(lambda x: judge(x, y), batch.images)
    expected = torch.autograd.grad(loss, weights)
    method.optimizers["discriminator"].register_step_pre_hook(
        lambda *_: gradients.extend(weight.grad.clone() for weight in weights)
    )
    torch.manual_seed(step)
    method.training_step(batch, step)
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_without_labels_the_class_is_the_seed_modulo_their_number():
    method = build().eval()
    asked = method.generate([4, 5, 6, 7], torch.tensor([1, 2, 0, 1]))
    assert torch.equal(method.generate([4, 5, 6, 7]), asked)


def test_seeds_in_between_walk_from_one_image_to_the_other_within_the_first_ones_class():
    method = build().eval()
    ways = [i / 8 for i in range(9)]
    walk = method.generate([Between(4, 5, way) for way in ways])
    ends = method.generate([4, 5], torch.tensor([1, 1]))
    torch.testing.assert_close(walk[[0, -1]], ends)
    steps, whole = walk.diff(dim=0).flatten(1).norm(dim=1), (ends[1] - ends[0]).norm()
    assert (steps > 0).all()
    assert steps.max() < whole / 2


def test_shares_of_two_classes_walk_from_one_to_the_other():
    method = build().eval()
    way = torch.linspace(0, 1, 9)
    shares = torch.stack([1 - way, torch.zeros(9), way], 1)  # (9, classes)
    walk = method.generate([4] * 9, shares)
    ends = method.generate([4, 4], torch.tensor([0, 2]))
    torch.testing.assert_close(walk[[0, -1]], ends)
    steps, whole = walk.diff(dim=0).flatten(1).norm(dim=1), (ends[1] - ends[0]).norm()
    assert (steps > 0).all()
    assert steps.max() < whole / 2


@pytest.mark.parametrize("layers", ["scaled", "lecture"])
def test_it_learns_to_draw_the_class_that_is_asked_for(layers):
    """Dark images and bright ones: the same noise is either, by the class, and grey by half of each."""
    torch.manual_seed(0)
    method = Cgan(
        small_config("cgan", layers=layers, latent=8, ema=0.9, learning_rate=2e-3, r1=1.0),
        noise_source(classes=("dark", "bright")).spec,
    )
    for step in range(250):
        labels = torch.randint(2, (16,))
        greys = torch.tensor([-0.6, 0.6])[labels] + 0.1 * torch.randn(16)
        method.training_step(ImageBatch(greys[:, None, None, None].expand(16, 1, 16, 16).contiguous(), labels), step)
    method.eval()
    seeds = list(range(32))
    dark, half, bright = (
        method.generate(seeds, torch.tensor([share]).expand(32, 2)).mean((1, 2, 3))
        for share in ([1.0, 0.0], [0.5, 0.5], [0.0, 1.0])
    )
    assert (dark < -0.2).float().mean() > 0.9
    assert (bright > 0.2).float().mean() > 0.9
    assert dark.mean() < half.mean() < bright.mean()
