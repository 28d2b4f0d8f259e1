"""What is special to adain: the statistics that it moves, styles in between, and an encoder that travels with it."""

import copy
import functools

import pytest
import safetensors.torch
import torch
from conftest import manifest_of, noise_images, random_vgg, small_config, taught, train_to, unpaired_source
from torch.nn import functional as F

from ganvas import checkpoint
from ganvas.imaging.images import to_signed
from ganvas.methods.adain import CHANNELS, DEEPEST, EPSILON, LAYERS, Adain, moments


@functools.cache
def _untrained():
    torch.manual_seed(0)
    return taught(Adain(small_config("adain"), unpaired_source(channels=3).spec))


def build(**settings):
    method = copy.deepcopy(_untrained())
    method.config = small_config("adain", **settings)
    return method


def batch_of(n=2):
    return unpaired_source(channels=3).some(n).signed()


def images(n, *, size=32, seed=0):
    return to_signed(noise_images(n, size=size, channels=3, seed=seed))


# --- adaptive instance normalisation --------------------------------------------------------------------------------


def test_what_is_restyled_has_the_styles_moments_and_the_contents_pattern():
    rng = torch.Generator().manual_seed(0)
    content = torch.randn(2, CHANNELS, 9, 7, generator=rng) * 3 + 1
    style = torch.stack([torch.randn(2, CHANNELS, generator=rng), torch.rand(2, CHANNELS, generator=rng)], 1)
    made = build()._restyled(content, style).double()
    torch.testing.assert_close(made.mean((2, 3)), style[:, 0].double(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(made.var((2, 3), correction=0).sqrt(), style[:, 1].double(), atol=1e-5, rtol=1e-4)
    x = content.double()
    plain = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), correction=0, keepdim=True) + EPSILON).sqrt()
    expected = plain * style[:, 1, :, None, None] + style[:, 0, :, None, None]
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)


def test_moments_are_those_of_a_textbook_and_flat_maps_have_some():
    maps = torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(0)).double()
    mean, deviation = moments(maps).unbind(1)
    torch.testing.assert_close(mean, maps.flatten(2).mean(2))
    torch.testing.assert_close(deviation, (maps.flatten(2).var(2, correction=0) + EPSILON).sqrt())
    assert (moments(torch.ones(1, 3, 4, 4))[:, 1] > 0).all()


# --- using it -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_of_no_strength_the_content_alone_is_decoded_and_in_between_it_lies_between():
    method, content = build().eval(), images(1)
    style = method.style_of(images(1, seed=5))[0]
    maps = method.encoder(content, [DEEPEST])[DEEPEST]
    plain = method.average(maps).clamp(-1, 1)
    torch.testing.assert_close(method.restyle(content, style, strength=0.0), plain, atol=1e-4, rtol=1e-4)
    half = method.average((maps + method._restyled(maps, style)) / 2).clamp(-1, 1)
    torch.testing.assert_close(method.restyle(content, style, strength=0.5), half, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_mean_of_styles_is_a_style_between():
    method, content = build().eval(), images(1)
    maps = method.encoder(content, [DEEPEST])[DEEPEST]
    one, other = method.style_of(images(2, seed=5))
    between = method._restyled(maps, (one + other) / 2)
    torch.testing.assert_close(between, (method._restyled(maps, one) + method._restyled(maps, other)) / 2)


@torch.no_grad()
def test_images_of_a_batch_take_a_style_each():
    method, content = build().eval(), images(2)
    styles = method.style_of(images(2, seed=5))
    assert styles.shape == (2, 2, CHANNELS)
    together = method.restyle(content, styles)
    alone = [method.restyle(content[i : i + 1], styles[i]) for i in range(2)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_images_of_any_size_keep_it_and_a_style_may_have_another():
    method = build().eval()
    style = method.style_of(torch.rand(1, 3, 45, 33) * 2 - 1)[0]
    assert method.restyle(torch.rand(1, 3, 19, 50) * 2 - 1, style).shape == (1, 3, 19, 50)


# --- learning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", [0.0, 4.0])
def test_a_step_is_equations_11_to_13_as_shares_of_what_is_wanted_and_giving_back(identity):
    method, batch = build(content=2.0, strokes=3.0, identity=identity), batch_of()
    encode = copy.deepcopy(method.encoder)
    with torch.no_grad():
        content = encode(batch.source, [DEEPEST])[DEEPEST]
        paintings = encode(batch.target, LAYERS)
        styles = {layer: moments(maps) for layer, maps in paintings.items()}
        told = F.instance_norm(content, eps=EPSILON) * styles[DEEPEST][:, 1, :, None, None]
        told = told + styles[DEEPEST][:, 0, :, None, None]
    seen = encode(method.decoder(told), LAYERS)
    content_loss = (seen[DEEPEST] - told).square().sum() / told.square().sum()
    layers = [(moments(seen[n]) - styles[n]).square().sum() / styles[n].square().sum() for n in LAYERS]
    style_loss = torch.stack(layers).mean()
    loss = 2 * content_loss + 3 * style_loss
    if identity:
        loss = loss + identity * (method.decoder(paintings[DEEPEST]) - batch.target).abs().mean()
    expected = torch.autograd.grad(loss, list(method.decoder.parameters()))

    grads, weights = [], list(method.decoder.parameters())
    optimizer = torch.optim.SGD(weights, lr=0)  # a copy's optimiser still holds the weights of the first
    method.optimizers = {"decoder": optimizer}
    optimizer.register_step_pre_hook(lambda *_: grads.extend(w.grad.clone() for w in weights))
    losses = method.training_step(batch, 0)
    assert float(losses["content"]) == pytest.approx(float(content_loss.detach()), rel=1e-3)
    assert float(losses["style"]) == pytest.approx(float(style_loss.detach()), rel=1e-3)
    assert ("identity" in losses) == bool(identity)
    for ours, theirs in zip(grads, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-5)


def test_its_usual_style_is_the_mean_of_those_that_it_has_seen():
    method, seen = build(), []
    method.optimizers = {"decoder": torch.optim.SGD(method.decoder.parameters(), lr=0)}
    for step in range(3):
        batch = unpaired_source(channels=3, n=10 + step).some(2).signed()
        seen.append(method.style_of(batch.target).mean(0))
        method.training_step(batch, step)
    torch.testing.assert_close(method.usual_style, torch.stack(seen).mean(0), atol=1e-4, rtol=1e-3)
    method.eval()
    with torch.no_grad():
        x = images(1)
        torch.testing.assert_close(method.translate(x), method.restyle(x, method.usual_style))


def test_the_encoder_travels_with_it_and_does_not_learn(tmp_path):
    source = unpaired_source(channels=3, n=8)
    trained = train_to(tmp_path / "run", 2, source=source, manifest=manifest_of(source, "adain"))
    assert not list(trained.encoder.parameters())
    (file,) = (tmp_path / "run").glob("step-*/weights.safetensors")
    held = safetensors.torch.load_file(file)
    wanted = dict(random_vgg(DEEPEST).named_buffers())
    assert {name.partition(".")[0] for name in held} == {"encoder", "decoder", "average", "usual_style"}
    for name, value in wanted.items():
        assert torch.equal(held[f"encoder.{name}"], value)
    alone = checkpoint.load(file, torch.device("cpu")).method
    with torch.no_grad():
        x = images(1)
        torch.testing.assert_close(alone.translate(x), trained.eval().translate(x), atol=1e-5, rtol=1e-4)
