"""What is special to the autoencoder: its narrow place, its losses, and that images come back."""

import pytest
import torch
from conftest import noise_source, pairs_source, small_config
from torch import nn
from torch.nn import functional as F

from ganvas import methods
from ganvas.data.batch import ImageBatch, PairBatch, Spec
from ganvas.describe import networks
from ganvas.errors import SettingError
from ganvas.methods.autoencoder import Autoencoder


def build(source=None, **settings):
    torch.manual_seed(0)
    return Autoencoder(small_config("autoencoder", **settings), (source or noise_source()).spec)


def narrowest(generator, x):
    """The shape of the smallest thing that a convolution puts out."""
    seen = []
    for layer in generator.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.MaxPool2d):
            layer.register_forward_hook(lambda *args: seen.append(tuple(args[2].shape[1:])))
    with torch.no_grad():
        generator(x)
    return min(seen, key=lambda shape: (shape[1], shape[0] * shape[1] * shape[2]))


@pytest.mark.parametrize("size", [16, 28, 32, 64, 128, 256])
def test_all_there_is_to_know_passes_a_small_map(size):
    with torch.device("meta"):
        generator = Autoencoder(methods.config("autoencoder"), Spec(size, 3)).generator
        channels, height, width = narrowest(generator, torch.zeros(1, 3, size, size))
    assert height == width == (7 if size == 28 else 8)
    assert channels == {16: 64, 28: 128, 32: 128, 64: 256, 128: 512, 256: 512}[size]
    assert not generator.skips


def test_mnist28_is_the_textbooks():
    """16, 8 and 8 channels down to 8 maps of 4x4, and back; it learns chances of white."""
    config = methods.config("autoencoder", "mnist28")
    assert (config.batch, config.epochs, config.loss, config.beta1, config.beta2) == (
        128,
        50,
        "cross_entropy",
        0.9,
        0.999,
    )
    method = Autoencoder(config, noise_source(n=2, size=28).spec)
    assert narrowest(method.generator, torch.zeros(1, 1, 28, 28)) == (8, 4, 4)
    (layers,) = dict(networks(method)).values()
    maps = [(layer.output, layer.parameters) for layer in layers if layer.name == "Conv2d"]
    assert maps == [
        ((16, 28, 28), 16 * (9 + 1)), ((8, 14, 14), 8 * (16 * 9 + 1)), ((8, 7, 7), 8 * (8 * 9 + 1)),
        ((8, 4, 4), 8 * (8 * 9 + 1)), ((8, 8, 8), 8 * (8 * 9 + 1)), ((16, 14, 14), 16 * (8 * 9 + 1)),
        ((1, 28, 28), 16 * 9 + 1),
    ]  # fmt: skip
    assert not method.any_size
    with pytest.raises(SettingError, match="`size` 64"):
        Autoencoder(config, Spec(64, 1))


@pytest.mark.parametrize("source", [noise_source(), pairs_source(target_channels=3)], ids=["single", "pairs"])
@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        ("l1", lambda made, wanted: (made - wanted).abs().mean()),
        ("l2", lambda made, wanted: (made - wanted).square().mean()),
        ("cross_entropy", lambda made, wanted: F.binary_cross_entropy((made + 1) / 2, (wanted + 1) / 2)),
    ],
)
def test_the_loss_is_of_the_image_itself_and_of_a_pair_the_target(loss, reference, source):
    method, batch = build(source, loss=loss), source.some(8).signed()
    given = batch.source if isinstance(batch, PairBatch) else batch.images
    expected = reference(method.generator(given).double(), batch.images.double())
    found = method.training_step(batch, 0)
    assert list(found) == [loss.replace("_", " ")]
    torch.testing.assert_close(found[loss.replace("_", " ")].double(), expected.detach())


def test_the_average_translates_where_there_is_one():
    method, x = build(ema=0.9), noise_source().some(4).signed()
    for step in range(3):
        method.training_step(x, step)
    method.eval()
    torch.testing.assert_close(method.translate(x.images), method.average(x.images))
    assert build(ema=0.0).average is None


def bars(n, rng):
    """Images (n, 1, 16, 16) of a soft bright bar, upright, somewhere."""
    middle = torch.rand(n, 1, 1, 1, generator=rng) * 12 + 2
    return (2 * torch.exp(-(((torch.arange(16) - middle) / 3) ** 2)) - 1).expand(n, 1, 16, 16).contiguous()


@pytest.mark.parametrize("loss", ["l1", "l2", "cross_entropy"])
def test_it_learns_to_bring_images_back(loss):
    rng = torch.Generator().manual_seed(0)
    method, unseen = build(loss=loss, width=8, learning_rate=5e-3, ema=0.9), bars(64, rng)
    for step in range(120):
        method.training_step(ImageBatch(bars(16, rng)), step)
    method.eval()
    with torch.no_grad():
        error = (method.translate(unseen) - unseen).square().mean()
    assert error < unseen.var(0).mean() / 10  # the error of the mean image
