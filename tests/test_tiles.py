"""An image in tiles is the image as a whole, whatever its norm layers do, and nothing stays changed."""

import dataclasses

import pytest
import torch
from conftest import manifest_of, noise_source
from sklearn.datasets import load_sample_image
from torch import nn

from ganvas import checkpoint
from ganvas.data.batch import Spec
from ganvas.imaging import tiling
from ganvas.imaging.images import DecodedImage, to_bytes, to_signed
from ganvas.imaging.strips import joined
from ganvas.inference.translate import Translator
from ganvas.methods.pix2pix import Pix2pix, Pix2pixConfig
from ganvas.nets.resnet import ResNet
from ganvas.nets.unet import Layers, UNet


def photograph(side):
    """A square of real photographs, of different brightness in each quarter."""
    china, flower = (torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1) for name in
                     ("china.jpg", "flower.jpg"))  # fmt: skip
    half = side // 2
    quarters = [china[:, :half, :half], flower[:, :half, :half], (flower[:, -half:, -half:] / 3).byte(),
                255 - china[:, -half:, -half:]]  # fmt: skip
    return torch.cat([torch.cat(quarters[:2], 2), torch.cat(quarters[2:], 2)], 1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Patches small enough for small images."""
    monkeypatch.setattr(tiling, "PATCH", (64, 64))


def unet(norm, *, channels=3):
    torch.manual_seed(0)
    return UNet(channels, 3, Layers(norm, "resize"), widths=[8, 16, 16], norm_at_the_bottom=True).eval()


def resnet(norm):
    torch.manual_seed(0)
    return ResNet(3, 3, width=8, blocks=2, norm=norm, upsample="resize").eval()


def both(network, image, *, tile):
    """The image as a whole and in tiles, in grey levels."""
    with torch.inference_mode():
        whole = to_bytes(network(to_signed(image)[None])[0])
        strips = tiling.translate_in_tiles(
            lambda x: network(to_signed(x)), image, network=network, tile=tile, multiple=network.multiple
        )
        tiled = joined(strips, *image.shape[-2:])
    return whole.float(), to_bytes(tiled).float()


@pytest.mark.parametrize("length", [8, 63, 64, 65, 100, 128, 1000])
@pytest.mark.parametrize(("tile", "multiple"), [(64, 1), (64, 16), (64, 32), (50, 32)])
def test_weights_add_up_to_one_on_a_grid(length, tile, multiple):
    tile, overlap = tiling.meshes(tile, multiple)
    assert overlap <= tile / 2
    total = torch.zeros(length)
    for start, end, weight in tiling.axis_tiles(length, tile=tile, overlap=overlap, multiple=multiple):
        assert start % multiple == 0
        assert 0 < end - start <= tile
        assert weight.shape == (end - start,)
        assert (weight >= 0).all()
        total[start:end] += weight
    torch.testing.assert_close(total, torch.ones(length), atol=1e-6, rtol=0)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("network", [unet, resnet])
@pytest.mark.parametrize("size", [(300, 211), (256, 256), (90, 400)])
def test_where_no_layer_looks_at_all_tiles_change_next_to_nothing(network, norm, size):
    whole, tiled = both(network(norm), photograph(400)[:, : size[0], : size[1]], tile=128)
    assert (whole - tiled).abs().max() <= 1


@pytest.mark.parametrize("norm", ["instance", "group"])
@pytest.mark.parametrize("network", [unet, resnet])
def test_tiles_agree_in_brightness(network, norm, monkeypatch):
    image, made = photograph(640), network(norm)
    whole, tiled = both(made, image, tile=192)
    assert (whole - tiled).abs().mean() < 4  # with patches this small; 20 without
    monkeypatch.setattr(tiling, "looks_at_all", lambda layer: False)  # each tile by its own statistics
    _, apart = both(made, image, tile=192)
    assert (whole - apart).abs().mean() > 2 * (whole - tiled).abs().mean()


def test_batch_norm_without_averages_counts_as_looking_at_all():
    network = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)).eval()
    assert tiling.looks_at_all(network[0])
    assert not tiling.looks_at_all(nn.BatchNorm2d(3).eval())
    assert not tiling.looks_at_all(nn.InstanceNorm2d(3, track_running_stats=True).eval())
    image = to_signed(photograph(512))
    made = joined(tiling.translate_in_tiles(network, image, network=network, tile=128, multiple=1), 512, 512)
    torch.testing.assert_close(made, network(image[None])[0], atol=1e-4, rtol=0)  # one layer, and patches cover all


@pytest.mark.parametrize(
    "layer", [nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(2, 4), nn.GroupNorm(4, 4, affine=False)]
)
def test_frozen_at_its_own_statistics_a_layer_does_what_it_did(layer):
    x = torch.randn(1, 4, 9, 7, generator=torch.Generator().manual_seed(0)) * 3 + 1
    with tiling.pooled(layer) as statistics:
        torch.testing.assert_close(layer(x), type(layer).forward(layer, x), atol=1e-5, rtol=1e-5)
    with tiling.frozen(layer, statistics):
        torch.testing.assert_close(layer(x[..., :4]), type(layer).forward(layer, x)[..., :4], atol=1e-5, rtol=1e-5)


def test_layers_are_put_back_whatever_happens():
    network, x = unet("instance"), torch.zeros(1, 3, 16, 16)
    before = network(x)
    for block in (tiling.pooled(network), tiling.frozen(network, {})):
        with pytest.raises(ZeroDivisionError), block:
            _ = 1 / 0
    assert not [layer for layer in network.modules() if "forward" in vars(layer)]
    assert torch.equal(network(x), before)


def test_a_translator_takes_tiles_where_it_should(monkeypatch):
    config = Pix2pixConfig(width=4, discriminator_width=4, levels=3, ema=0)
    method = Pix2pix(config, Spec(64, 3, (), 3)).eval()
    manifest = dataclasses.replace(
        manifest_of(noise_source(size=64)), method="pix2pix", config=config, spec=method.spec
    )
    model = checkpoint.Model(method, manifest, 0)
    sizes = []
    whole_translate = method.translate
    monkeypatch.setattr(method, "translate", lambda x, d: (sizes.append(x.shape[-2:]), whole_translate(x, d))[1])
    image = DecodedImage(photograph(400)[:, :300, :200])
    whole = Translator(model)(image).pixels
    assert sizes == [(300, 200)]
    sizes.clear()
    tiled = Translator(model, tile=100)(image).pixels
    assert max(max(size) for size in sizes) <= 104
    assert (whole.float() - tiled.float()).abs().mean() < 2
    sizes.clear()
    monkeypatch.setattr(tiling, "WHOLE", 59_999)
    monkeypatch.setattr(tiling, "TILE", 128)
    assert Translator(model)(image).pixels.shape == (3, 300, 200)
    assert max(max(size) for size in sizes) <= 128


def test_memory_stays_bounded(monkeypatch):
    """No tensor that goes through the network is larger than a tile or a group of patches."""
    network, largest = unet("instance"), []
    network.register_forward_pre_hook(lambda module, inputs: largest.append(inputs[0][:, 0].numel()))
    both(network, photograph(640), tile=128)
    assert sorted(largest)[-2] <= (128 * 4 / 3) ** 2  # the very largest is the whole that is compared with


def test_patches_reach_everywhere():
    seen = torch.zeros(700, 530)
    tops, lefts = tiling._spread(700 - 64, 11, 1), tiling._spread(530 - 64, 9, 1)
    for y in tops:
        for x in lefts:
            seen[y : y + 64, x : x + 64] = 1
    assert seen.all()
    assert sorted(point for group in tiling._interleaved(tops, 4) for point in group) == tops
    assert [len(group) for group in tiling._interleaved(list(range(11)), 4)] == [4, 4, 3]
