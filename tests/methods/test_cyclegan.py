"""What is special to CycleGAN: its losses, its pool of old fakes, both directions, and that it learns without pairs."""

import pytest
import torch
from conftest import manifest_of, pairs_source, same_weights, small_config, train_to, unpaired_source
from torch.nn import functional as F

from ganvas import checkpoint, methods
from ganvas.data.batch import Spec, UnpairedBatch
from ganvas.describe import networks
from ganvas.errors import SettingError
from ganvas.methods.cyclegan import Cyclegan
from ganvas.nets.resnet import Residual


def build(source=None, **settings):
    torch.manual_seed(0)
    return Cyclegan(small_config("cyclegan", **settings), (source or unpaired_source()).spec)


def batch_of(n=4, **shape):
    return unpaired_source(**shape).some(n).signed()


def gradients(method, batch):
    """Those of the two optimisers at the first step, and its losses."""
    seen = {}
    for name, optimizer in method.optimizers.items():
        network = getattr(method, name)
        optimizer.register_step_pre_hook(
            lambda *_, name=name, network=network: seen.update({name: [w.grad.clone() for w in network.parameters()]})
        )
    torch.manual_seed(1)
    return seen, method.training_step(batch, 0)


@pytest.mark.parametrize(("cycle", "identity"), [(10.0, 0.5), (10.0, 0.0), (0.0, 0.0), (3.0, 1.0)])
def test_a_step_is_equations_1_to_3_and_the_identity_loss(cycle, identity):
    settings = {"cycle": cycle, "identity": identity}
    batch = batch_of()
    seen, losses = gradients(build(**settings), batch)

    method, a, b = build(**settings), batch.source, batch.target
    there, back = method.generators["ab"], method.generators["ba"]
    fake_b, fake_a = there(a), back(b)
    fooling = (method.discriminators["b"](fake_b) - 1).square().mean()
    fooling = fooling + (method.discriminators["a"](fake_a) - 1).square().mean()
    around = F.l1_loss(back(fake_b), a) + F.l1_loss(there(fake_a), b)
    stays = F.l1_loss(back(a), a) + F.l1_loss(there(b), b)
    whole = fooling + cycle * around + cycle * identity * stays
    expected = torch.autograd.grad(whole, list(method.generators.parameters()))
    for ours, theirs in zip(seen["generators"], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(losses["generator"], fooling.detach())
    torch.testing.assert_close(losses["cycle"], around.detach())
    assert ("identity" in losses) == bool(identity)
    if identity:
        torch.testing.assert_close(losses["identity"], stays.detach())

    judged = torch.zeros(())
    for kind, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
        judge = method.discriminators[kind]
        judged = judged + ((judge(real) - 1).square().mean() + judge(fake.detach()).square().mean()) / 2
    expected = torch.autograd.grad(judged, list(method.discriminators.parameters()))
    for ours, theirs in zip(seen["discriminators"], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(losses["discriminator"], judged.detach())


# --- the pool -------------------------------------------------------------------------------------------------------


def numbered(first, n=1):
    """Fakes (n, 1, 2, 2) that say which they are."""
    return torch.arange(first, first + n).float()[:, None, None, None].expand(n, 1, 2, 2).contiguous()


def through_the_pool(method, kind, fakes):
    """What a discriminator is shown in a step that has made these."""
    pool = method._pool_of(kind, fakes)
    choices = pool.choose(fakes)
    shown = pool.shown(choices)
    pool.keep(choices)
    return shown


def test_the_pool_fills_and_then_gives_back_an_older_one_half_of_the_time():
    method = build(pool=5)
    torch.manual_seed(0)
    shown = [int(through_the_pool(method, "a", numbered(i))[0, 0, 0, 0]) for i in range(1005)]
    assert shown[:5] == list(range(5))
    older = [now for i, now in enumerate(shown[5:], 5) if now != i]
    assert 430 < len(older) < 570
    assert len(set(older)) == len(older)  # what was given back is gone
    ages = sorted(i - now for i, now in enumerate(shown[5:], 5) if now != i)
    assert ages[0] == 1
    assert 5 < ages[len(ages) // 2] < 12  # half of those in a pool of five are gone after 2 * 5 * log 2 steps
    kept = method.extra_state()["a"][:, 0, 0, 0].int().tolist()
    assert sorted(kept + older + [i for i, now in enumerate(shown) if now == i >= 5]) == list(
        range(1005)
    )  # none is lost
    assert method.extra_state().keys() == {"a"}


def test_a_batch_goes_through_the_pool_one_by_one_and_none_is_changed_on_the_way():
    method = build(pool=2)
    torch.manual_seed(0)
    fakes = numbered(0, 64)
    shown = through_the_pool(method, "b", fakes)
    assert shown.shape == fakes.shape
    assert torch.equal(fakes, numbered(0, 64))
    assert all(len(row.unique()) == 1 for row in shown)
    assert len(method.extra_state()["b"]) == 2
    assert len(set(shown[:, 0, 0, 0].tolist()) | set(method.extra_state()["b"][:, 0, 0, 0].tolist())) == 64


def test_without_a_pool_the_discriminators_see_what_was_just_made():
    judged, batch = [], batch_of()
    method, same = build(pool=0, identity=0.0), build(pool=0, identity=0.0)
    for judge in method.discriminators.values():
        judge.register_forward_pre_hook(lambda _, given: judged.append(given[0].detach()))
    for _ in range(3):
        method.training_step(batch, 0)
        with torch.no_grad():
            made = [same.generators["ba"](batch.target), same.generators["ab"](batch.source)]
        same.training_step(batch, 0)
        for fakes, shown in zip(made, judged[-2:], strict=True):
            torch.testing.assert_close(shown[len(fakes) :], fakes)
    assert method.extra_state() == {}


def test_the_pool_takes_fakes_of_the_other_number_format():
    method, batch = build(pool=2), batch_of(2)
    for step in range(4):
        with torch.autocast("cpu", torch.bfloat16, enabled=step % 2 == 0):
            losses = method.training_step(batch, step)
    assert all(loss.isfinite() for loss in losses.values())
    assert method.extra_state()["a"].dtype == torch.bfloat16


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_going_on_with_a_full_pool_is_bit_identical_and_would_not_be_without_it(tmp_path, monkeypatch, precision):
    source = unpaired_source()
    config = small_config("cyclegan", pool=2, batch=1)
    manifest = manifest_of(source, "cyclegan", config=config, precision=precision)
    unbroken = train_to(tmp_path / "unbroken", 7, source=source, manifest=manifest)
    for run in ("broken", "forgotten"):
        train_to(tmp_path / run, 4, of=7, source=source, manifest=manifest)
    resumed = train_to(tmp_path / "broken", 7, source=source, manifest=manifest)
    assert same_weights(unbroken, resumed)
    for kind, pool in unbroken.extra_state().items():
        assert len(pool) == 2
        assert torch.equal(pool, resumed.extra_state()[kind])
    monkeypatch.setattr(Cyclegan, "load_extra_state", lambda self, state: None)
    assert not same_weights(unbroken, train_to(tmp_path / "forgotten", 7, source=source, manifest=manifest))


def test_a_model_file_holds_no_pool(tmp_path):
    source = unpaired_source()
    manifest = manifest_of(source, "cyclegan", config=small_config("cyclegan", batch=1))
    trained = train_to(tmp_path, 2, source=source, manifest=manifest)
    assert trained.extra_state()
    assert not checkpoint.load(tmp_path, torch.device("cpu")).method.extra_state()


@pytest.mark.parametrize(
    "pools",
    [
        {"c": torch.zeros(1, 1, 16, 16)},
        {"a": torch.zeros(1, 3, 16, 16)},
        {"a": torch.zeros(1, 1, 8, 8)},
        {"a": torch.zeros(16)},
        {"a": torch.zeros(3, 1, 16, 16)},
        {"b": torch.zeros(1, 1, 16, 16, dtype=torch.int64)},
    ],
)
def test_pools_of_other_images_are_refused(pools):
    method = build(pool=2)
    with pytest.raises(ValueError, match="is not a pool of up to 2 images of 16 pixels"):
        method.load_extra_state(pools)


# --- what it is made of ---------------------------------------------------------------------------------------------


def test_paper_is_the_papers():
    """Zhu et al. 2017, sections 4 and 7.1."""
    config = methods.config("cyclegan", "paper")
    assert (config.batch, config.epochs, config.cycle, config.pool) == (1, 200, 10, 50)
    assert (config.learning_rate, config.beta1, config.beta2, config.ema) == (2e-4, 0.5, 0.999, 0)
    assert (config.width, config.discriminator_width, config.patch, config.norm) == (64, 64, "70", "instance")
    assert [config.rate_at(share) for share in (0, 0.25, 0.5, 0.75, 1)] == [1, 1, 1, 0.5, 0]


def test_colours_are_kept_and_fakes_are_kept_unless_told_otherwise():
    config = methods.config("cyclegan")
    assert (config.identity, config.pool, config.patch) == (0.5, 50, "70")


@pytest.mark.parametrize(("size", "given", "blocks"), [(64, 0, 6), (128, 0, 6), (256, 0, 9), (64, 2, 2), (256, 6, 6)])
def test_blocks_are_nine_from_256_pixels_on(size, given, blocks):
    with torch.device("meta"):
        method = Cyclegan(small_config("cyclegan", blocks=given), Spec(size, 3, target_channels=3))
    for generator in method.generators.values():
        assert sum(isinstance(layer, Residual) for layer in generator.modules()) == blocks


def test_the_identity_loss_takes_as_many_channels_on_both_sides():
    source = pairs_source(channels=1, target_channels=3)
    with pytest.raises(SettingError, match=r"`identity` 0\.5.*1 and 3.*`identity` 0"):
        build(source)
    method = build(source, identity=0.0)
    method.training_step(source.some(2).signed(), 0)
    assert method.eval().translate(torch.zeros(1, 3, 16, 16), "ba").shape == (1, 1, 16, 16)


def test_the_averages_translate_where_there_are_any():
    method, x = build(ema=0.9), batch_of().source
    for step in range(3):
        method.training_step(batch_of(), step)
    method.eval()
    for way in ("ab", "ba"):
        torch.testing.assert_close(method.translate(x, way), method.averages[way](x))
        assert not torch.allclose(method.translate(x, way), method.generators[way](x), atol=1e-4)
    last = build(ema=0.0).eval()
    torch.testing.assert_close(last.translate(x, "ba"), last.generators["ba"](x))


@pytest.mark.parametrize("generator", ["resnet", "unet"])
def test_describe_shows_both_generators_and_both_discriminators(generator):
    shown = dict(networks(build(generator=generator)))
    assert shown.keys() == {"generators ab", "generators ba", "discriminators a", "discriminators b"}
    assert shown["generators ba"][-1].output == (1, 16, 16)
    assert all(layers for layers in shown.values())


# --- learning -------------------------------------------------------------------------------------------------------


def shapes(n, *, brightness, rng):
    """Smooth images (n, 1, 16, 16) around a brightness."""
    coarse = torch.rand(n, 1, 4, 4, generator=rng) * 0.6 - 0.3 + brightness
    return F.interpolate(coarse, size=(16, 16), mode="bilinear")


def test_it_learns_to_lighten_and_to_darken_without_pairs_and_keeps_what_is_shown():
    rng = torch.Generator().manual_seed(0)
    method = build(width=8, learning_rate=2e-3, ema=0.9)
    dark, light = (shapes(32, brightness=b, rng=rng) for b in (-0.5, 0.5))
    for step in range(80):
        a, b = (shapes(1, brightness=b, rng=rng) for b in (-0.5, 0.5))
        torch.manual_seed(step)
        method.training_step(UnpairedBatch(a, b), step)
    method.eval()
    with torch.no_grad():
        for direction, given, wanted in (("ab", dark, 0.5), ("ba", light, -0.5)):
            made = method.translate(given, direction)
            assert abs(float(made.mean()) - wanted) < 0.25
            pairs = torch.stack([made.flatten(1), given.flatten(1)], 1)  # (N, 2, 256)
            alike = torch.stack([torch.corrcoef(pair)[0, 1] for pair in pairs])
            assert alike.mean() > 0.3
