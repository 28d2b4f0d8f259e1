"""What is special to pix2pix: who learns from what, the recipes, the schedule, and that it learns."""

import pytest
import torch
from conftest import manifest_of, pairs_source, small_config, train_to
from torch import nn
from torch.nn import functional as F

from ganvas import methods
from ganvas.data.batch import PairBatch, Spec
from ganvas.describe import networks
from ganvas.losses import (
    discriminator_cross_entropy,
    discriminator_least_squares,
    generator_cross_entropy,
    generator_least_squares,
)
from ganvas.methods.pix2pix import Pix2pix
from ganvas.nets.resnet import ResNet
from ganvas.nets.unet import UNet


def build(source=None, **settings):
    torch.manual_seed(0)
    return Pix2pix(small_config("pix2pix", **settings), (source or pairs_source()).spec)


def batch_of(n=4, **shape):
    return pairs_source(**shape).some(n).signed()


def watched(method):
    """The gradients with which each player is updated, and its weights right after; filled by the next step."""
    seen = {}
    for name, player in (("discriminator", method.discriminator), ("generator", method.generator)):
        method.optimizers[name].register_step_pre_hook(
            lambda *_, name=name, player=player: seen.update({name: [w.grad.clone() for w in player.parameters()]})
        )
    return seen


@pytest.mark.parametrize("l1", [0.0, 100.0])
@pytest.mark.parametrize("adversarial", ["cross_entropy", "least_squares"])
def test_a_step_is_equation_4(adversarial, l1):
    """The discriminator's gradients by the losses of the two patches; the generator's after it has moved."""
    settings = {"adversarial": adversarial, "l1": l1, "feature_matching": 0.0, "discriminator_weight": 0.5}
    method, batch = build(**settings), batch_of()
    seen = watched(method)
    losses = method.training_step(batch, 0)

    reference = build(**settings)
    judge, fool = {
        "cross_entropy": (discriminator_cross_entropy, generator_cross_entropy),
        "least_squares": (discriminator_least_squares, generator_least_squares),
    }[adversarial]
    fake = reference.generator(batch.source)
    real_logits = reference.discriminator(torch.cat([batch.source, batch.target], 1))
    fake_logits = reference.discriminator(torch.cat([batch.source, fake.detach()], 1))
    loss = judge(real_logits, fake_logits)
    expected = torch.autograd.grad(0.5 * loss, list(reference.discriminator.parameters()))
    for ours, theirs in zip(seen["discriminator"], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(losses["discriminator"], loss.detach())

    reference.discriminator.load_state_dict(method.discriminator.state_dict())  # it has moved by then
    fooling = fool(reference.discriminator(torch.cat([batch.source, fake], 1)))
    distance = F.l1_loss(fake, batch.target)
    expected = torch.autograd.grad(fooling + l1 * distance, list(reference.generator.parameters()))
    for ours, theirs in zip(seen["generator"], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5 * max(1, l1))
    torch.testing.assert_close(losses["l1"], distance.detach())
    torch.testing.assert_close(losses["generator"], fooling.detach())
    assert losses.keys() == {"discriminator", "generator", "l1"}


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_each_update_moves_its_own_player_alone(player):
    method, other = build(), {"discriminator": "generator", "generator": "discriminator"}[player]
    moved = {}

    def note(key):
        moved[key] = [weight.clone() for weight in getattr(method, other).parameters()]

    method.optimizers[player].register_step_pre_hook(lambda *_: note("before"))
    method.optimizers[player].register_step_post_hook(lambda *_: note("after"))
    method.training_step(batch_of(), 0)
    assert all(torch.equal(a, b) for a, b in zip(moved["before"], moved["after"], strict=True))
    assert all(weight.grad is None for weight in method.parameters())


@pytest.mark.parametrize(("norm", "calls"), [("instance", [8]), ("batch", [4, 4])])
def test_batch_norm_judges_real_and_fake_apart(norm, calls):
    method, seen = build(norm=norm, feature_matching=0.0), []
    method.discriminator[0].register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    method.training_step(batch_of(4), 0)
    assert seen == [*calls, 4]  # the last is the generator's


def test_the_discriminator_sees_the_source_too():
    source = pairs_source(channels=1, target_channels=3)
    first = next(layer for layer in build(source).discriminator if isinstance(layer, nn.Conv2d))
    assert first.in_channels == 4


def test_the_average_translates_where_there_is_one():
    x = batch_of().source
    method = build(ema=0.9)
    for step in range(3):
        method.training_step(batch_of(), step)
    method.eval()
    torch.testing.assert_close(method.translate(x), method.average(x))
    assert not torch.allclose(method.translate(x), method.generator(x), atol=1e-3)
    last = build(ema=0.0).eval()
    assert last.average is None
    torch.testing.assert_close(last.translate(x), last.generator(x))


def test_dropout_is_there_in_learning_alone():
    method, x = build(dropout=0.5, ema=0.0), batch_of(2, size=16).source
    assert not torch.equal(method.train().generator(x), method.generator(x))
    assert torch.equal(method.eval().generator(x), method.generator(x))


@pytest.mark.parametrize(
    ("generator", "kind", "skips"), [("unet", UNet, True), ("encoder_decoder", UNet, False), ("resnet", ResNet, None)]
)
def test_the_generator_is_the_one_asked_for(generator, kind, skips):
    made = build(generator=generator).generator
    assert type(made) is kind
    assert getattr(made, "skips", None) == skips


@pytest.mark.parametrize(("size", "levels", "given"), [(16, 2, 0), (28, 3, 0), (256, 6, 0), (16, 4, 8), (64, 3, 3)])
def test_downsamplings_leave_a_map_of_four_or_as_asked(size, levels, given):
    with torch.device("meta"):
        method = Pix2pix(small_config("pix2pix", levels=given), Spec(size, 3, target_channels=3))
    assert len(method.generator.encoder) == levels
    assert method.multiple == 2**levels


# --- recipes --------------------------------------------------------------------------------------------------------


def test_paper_is_the_papers():
    """Isola et al. 2017, sections 3.3 and 6."""
    config = methods.config("pix2pix", "paper")
    assert (config.batch, config.epochs, config.l1, config.dropout, config.slope) == (1, 200, 100, 0.5, 0.2)
    assert (config.learning_rate, config.beta1, config.beta2, config.ema) == (2e-4, 0.5, 0.999, 0)
    assert (config.adversarial, config.discriminator_weight, config.patch) == ("cross_entropy", 0.5, "70")
    assert (config.generator, config.upsample, config.width, config.discriminator_width) == ("unet", "deconv", 64, 64)
    assert [config.rate_at(share) for share in (0, 0.25, 0.5, 0.75, 1)] == [1, 1, 1, 0.5, 0]


def test_course_is_the_courses():
    """Of tensorflow.org/tutorials/generative/pix2pix: nothing decays, leaky units of 0.3, the whole loss."""
    config = methods.config("pix2pix", "course")
    assert (config.batch, config.epochs, config.l1, config.slope, config.discriminator_weight) == (1, 100, 100, 0.3, 1)
    assert [config.rate_at(share) for share in (0, 0.5, 1)] == [1, 1, 1]


@pytest.mark.parametrize("preset", ["paper", "course"])
def test_a_preset_at_256_pixels_has_the_papers_networks(preset):
    config = methods.config("pix2pix", preset)
    with torch.device("meta"):
        method = Pix2pix(config, Spec(256, 3, target_channels=3))
        assert method.discriminator(torch.zeros(1, 6, 256, 256)).shape == (1, 1, 30, 30)
        assert method.generator(torch.zeros(1, 3, 256, 256)).shape == (1, 3, 256, 256)
    assert sum(w.numel() for w in method.generator.parameters()) / 1e6 == pytest.approx(54.414, abs=0.001)
    dropped = [layer.p for layer in method.generator.modules() if isinstance(layer, nn.Dropout)]
    assert dropped == [0.5] * 3
    slopes = {layer.negative_slope for layer in method.modules() if isinstance(layer, nn.LeakyReLU)}
    assert slopes == {config.slope}
    for optimizer in method.optimizers.values():
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))


def test_describe_shows_both_networks_and_not_the_average():
    shown = dict(networks(build(pairs_source(n=2, channels=1, target_channels=3))))
    assert shown.keys() == {"generator", "discriminator"}
    assert shown["generator"][-1].output == (3, 16, 16)
    assert shown["discriminator"][-1].output[0] == 1


# --- the schedule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decay", "rates"), [(0.5, [1, 1, 1, 0.5, 0]), (1.0, [1, 0.75, 0.5, 0.25, 0]), (0.0, [1, 1, 1, 1, 1])]
)
def test_the_step_size_falls_along_a_line_to_zero_over_the_last_of_the_training(decay, rates):
    config = small_config("pix2pix", decay=decay)
    assert [config.rate_at(share) for share in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(rates)


def test_the_loop_takes_the_step_size_of_the_schedule_also_after_being_left(tmp_path):
    source = pairs_source()
    manifest, taken = manifest_of(source, "pix2pix", config=small_config("pix2pix", learning_rate=0.1)), []
    step = Pix2pix.training_step

    def noting(self, batch, n):
        taken.append([optimizer.param_groups[0]["lr"] for optimizer in self.optimizers.values()])
        return step(self, batch, n)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pix2pix, "training_step", noting)
        train_to(tmp_path, 5, of=8, source=source, manifest=manifest)
        train_to(tmp_path, 8, source=source, manifest=manifest)
    assert taken == [[pytest.approx(rate)] * 2 for rate in (0.1, 0.1, 0.1, 0.1, 0.1, 0.075, 0.05, 0.025)]


# --- learning -------------------------------------------------------------------------------------------------------


def blobs(n, *, rng, size=16):
    """Smooth images (n, 1, size, size) in -1..1."""
    coarse = torch.rand(n, 1, 4, 4, generator=rng) * 2 - 1
    return F.interpolate(coarse, size=(size, size), mode="bilinear")


@pytest.mark.parametrize("generator", ["unet", "resnet"])
def test_it_learns_to_make_negatives(generator):
    rng = torch.Generator().manual_seed(0)
    method = build(width=8, generator=generator, blocks=1, learning_rate=5e-3, ema=0.9)
    unseen = blobs(32, rng=rng)
    for step in range(60):
        method.training_step(PairBatch(x := blobs(8, rng=rng), -x), step)
    method.eval()
    with torch.no_grad():
        error = (method.translate(unseen) + unseen).abs().mean()
    assert error < (2 * unseen).abs().mean() / 4  # the error of the source itself as an answer
