"""What is special to the variational autoencoder: its noise, its likelihoods, and that images come back."""

import pytest
import torch
from conftest import noise_source, pairs_source, small_config

from ganvas import methods
from ganvas.core.rng import noise
from ganvas.data import tasks
from ganvas.data.batch import ImageBatch, PairBatch
from ganvas.describe import networks
from ganvas.imaging.images import to_bytes
from ganvas.losses import bernoulli_nll, gaussian_nll, kl_to_standard_normal
from ganvas.methods.vae import Vae

each_likelihood = pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])


def build(source=None, **settings):
    torch.manual_seed(0)
    return Vae(small_config("vae", **{"latent": 4, **settings}), (source or noise_source()).spec)


def watch(method):
    """What goes in and out of both networks, filled by the next step."""
    seen = {}
    for name in ("encoder", "decoder"):
        getattr(method, name).register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: (inputs[0].detach(), output.detach())})
        )
    return seen


LAYERS = ("Conv2d", "MaxPool2d", "Linear", "ConvTranspose2d", "Upsample")


def test_mnist28_has_the_textbooks_shapes_and_parameters():
    shown = dict(networks(Vae(methods.config("vae", "mnist28"), noise_source(n=2, size=28).spec)))
    encoder, decoder = (
        [layer.output for layer in shown[name] if layer.name in LAYERS] for name in ("encoder", "decoder")
    )
    assert encoder == [(16, 28, 28), (16, 14, 14), (8, 14, 14), (8, 7, 7), (32,)]
    assert decoder == [(7 * 7 * 64,), (32, 7, 7), (32, 14, 14), (32, 14, 14), (32, 28, 28), (1, 28, 28)]
    expected = {
        "encoder": 16 * (9 + 1) + 8 * (16 * 9 + 1) + 32 * (8 * 7 * 7 + 1),
        "decoder": 7 * 7 * 64 * (16 + 1) + 32 * (64 * 9 + 1) + 32 * (32 * 9 + 1) + (32 * 9 + 1),
    }
    assert {name: sum(layer.parameters for layer in layers) for name, layers in shown.items()} == expected


@pytest.mark.parametrize("channels", [1, 3])
def test_images_become_latent_numbers_and_these_become_images(channels):
    source = noise_source(channels=channels)
    method = build(source).eval()
    images = source.some(5).signed().images
    latent = method.encode(images)
    assert latent.shape == (5, 4)
    decoded = method.decode(latent * 100)
    assert decoded.shape == images.shape
    assert decoded.abs().max() <= 1
    assert torch.equal(method.translate(images), method.decode(latent))
    assert torch.equal(method.encode(images), latent)  # the mean, not a draw


def test_what_it_draws_is_decoded_noise():
    method = build().eval()
    torch.testing.assert_close(method.generate([3, 4]), method.decode(noise([3, 4], (4,), device=torch.device("cpu"))))


def test_every_image_and_latent_number_gets_noise_of_its_own_as_wide_as_the_encoder_says():
    method = build(latent=8)
    widths = torch.linspace(-4, 1, 8)
    method.encoder[-1].bias.data[8:] = widths
    seen = watch(method)
    same = noise_source().some(1).signed().images.expand(512, -1, -1, -1).contiguous()
    method.training_step(ImageBatch(same), 0)
    mean, log_variance = seen["encoder"][1].chunk(2, dim=1)
    torch.testing.assert_close(mean[1:], mean[:-1])
    standard = (seen["decoder"][0] - mean) / (log_variance / 2).exp()  # (512, 8)
    assert len(standard.unique()) > 4000
    torch.testing.assert_close(standard.mean(0), torch.zeros(8), atol=0.2, rtol=0)
    torch.testing.assert_close(standard.std(0), torch.ones(8), atol=0.15, rtol=0)
    assert (torch.corrcoef(standard.T) - torch.eye(8)).abs().max() < 0.2


def test_the_encoder_sees_the_image_itself_and_of_a_pair_the_source():
    method, batch = build(), noise_source().some(8).signed()
    seen = watch(method)
    method.training_step(batch, 0)
    assert torch.equal(seen["encoder"][0], batch.images)
    pairs = pairs_source().some(8).signed()
    method.training_step(pairs, 1)
    assert torch.equal(seen["encoder"][0], pairs.source)


@each_likelihood
@pytest.mark.parametrize("source", [noise_source(), pairs_source()], ids=["single", "pairs"])
def test_it_reports_the_two_terms_of_the_evidence_bound_of_the_image_that_is_wanted(likelihood, source):
    method, batch = build(likelihood=likelihood, beta=0.5), source.some(8).signed()
    seen = watch(method)
    losses = method.training_step(batch, 0)
    kl = kl_to_standard_normal(*seen["encoder"][1].chunk(2, dim=1))
    half_logits, x = seen["decoder"][1], batch.images
    if likelihood == "bernoulli":
        surprise = bernoulli_nll(torch.logit((half_logits.double().tanh() + 1) / 2), x.double()).float()
    else:
        surprise = gaussian_nll(half_logits.tanh(), x, torch.zeros(()))
    assert losses.keys() == {"reconstruction", "kl"}
    torch.testing.assert_close(losses["kl"], kl)
    torch.testing.assert_close(losses["reconstruction"], surprise)


def gradients(beta, likelihood):
    """The encoder's at a first step, and that of the KL term alone."""
    method, found = build(likelihood=likelihood, beta=beta), []
    weights = list(method.encoder.parameters())
    method.optimizers["both"].register_step_pre_hook(
        lambda *_: found.append(torch.cat([weight.grad.flatten() for weight in weights]))
    )
    x = noise_source().some(8).signed()
    torch.manual_seed(1)
    method.training_step(x, 0)
    fresh = build(likelihood=likelihood)
    kl = kl_to_standard_normal(*fresh.encoder(x.images).chunk(2, dim=1))
    slopes = torch.autograd.grad(kl, list(fresh.encoder.parameters()))
    return found[0], torch.cat([slope.flatten() for slope in slopes])


@each_likelihood
def test_beta_weighs_the_kl_term(likelihood):
    (without, kl), (weighed, _) = gradients(0.0, likelihood), gradients(3.0, likelihood)
    torch.testing.assert_close(weighed - without, 3 * kl, rtol=1e-3, atol=1e-4 * float(weighed.abs().max()))


@each_likelihood
def test_the_error_is_learned_where_there_is_one(likelihood):
    source, method = noise_source(), build(likelihood=likelihood)
    for step in range(3):
        method.training_step(source.some(8).signed(), step)
    assert (method.log_variance != 0) == (likelihood == "gaussian")


def bars(n):
    """Images (N, 1, 16, 16) of a soft bright bar, upright, somewhere: one number says all."""
    middle = torch.rand(n, 1, 1, 1) * 12 + 2
    return (2 * torch.exp(-(((torch.arange(16) - middle) / 3) ** 2)) - 1).expand(n, 1, 16, 16).contiguous()


@pytest.mark.parametrize(
    ("likelihood", "task"), [("bernoulli", "reconstruct"), ("gaussian", "reconstruct"), ("gaussian", "denoise:0.2")]
)
def test_it_learns_to_bring_images_back_and_out_of_noise(likelihood, task):
    rng, given = torch.Generator().manual_seed(0), tasks.task(task)
    method = build(likelihood=likelihood, learning_rate=2e-3)

    def pairs(n):
        images = to_bytes(bars(n))
        return given.afresh(PairBatch(images, images), rng).signed()

    unseen = pairs(64)

    def error():
        method.eval()
        with torch.no_grad():
            return (method.translate(unseen.source) - unseen.target).square().mean()

    before = error()
    method.train()
    for step in range(150):
        method.training_step(pairs(32), step)
    assert error() < unseen.target.var(0).mean() / 3  # the error of the mean image, which needs no latent numbers
    assert error() < before / 5
    if given.fresh:
        assert error() < (unseen.source - unseen.target).square().mean() / 3
