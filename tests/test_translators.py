"""The networks of translators: what they are to the papers, what reaches what, and what they take."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ganvas.nets.layers import InstanceNorm, norm_of, reflected, small_weights, upsampling
from ganvas.nets.patchgan import patch_discriminator
from ganvas.nets.resnet import ResNet
from ganvas.nets.unet import Layers, UNet, unet_widths

each_upsample = pytest.mark.parametrize("upsample", ["deconv", "resize", "pixelshuffle"])


def weights(network):
    return sum(weight.numel() for weight in network.parameters())


def unet(width=4, levels=3, *, channels=3, outputs=3, norm="instance", upsample="resize", **options):
    torch.manual_seed(0)
    of_layers = {name: options.pop(name) for name in ("dropout", "slope", "skip_slope") if name in options}
    layers = Layers(norm, upsample, **of_layers)
    return UNet(channels, outputs, layers, widths=unet_widths(width, levels), **options)


# --- parts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width", "multiple"), [(5, 7, 4), (1, 3, 32), (2, 9, 64), (8, 8, 8), (3, 2, 256)])
def test_reflection_is_numpys_however_much_there_is_to_add(height, width, multiple):
    x = torch.randn(2, 3, height, width)
    more = [(0, -side % multiple) for side in (height, width)]
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), *more), mode="reflect")
    assert np.array_equal(reflected(x, multiple).numpy(), expected)


@pytest.mark.parametrize("shape", [(1, 6, 5, 7), (4, 6, 8, 8), (3, 6, 1, 2)])
def test_instance_norm_is_torchs_and_its_gradients_too(shape):
    torch.manual_seed(0)
    ours, theirs = InstanceNorm(6, affine=True).double(), nn.InstanceNorm2d(6, affine=True).double()
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(shape, dtype=torch.float64) * 3 + 2
    seen = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    wanted = torch.randn(shape, dtype=torch.float64)
    made = [norm(given) for norm, given in zip((ours, theirs), seen, strict=True)]
    torch.testing.assert_close(*made)
    found, expected = (
        torch.autograd.grad((out * wanted).sum(), [given, *norm.parameters()])
        for norm, given, out in zip((ours, theirs), seen, made, strict=True)
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_instance_norm_keeps_the_layout():
    x = torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last)
    assert InstanceNorm(4, affine=True)(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("norm", ["instance", "group", "none"])
def test_norms_do_after_training_what_they_did_in_it(norm):
    layer, x = norm_of(norm, 32), torch.randn(2, 32, 6, 6)
    assert torch.equal(layer.train()(x), layer.eval()(x))


@pytest.mark.parametrize("channels", [1, 4, 16, 25, 50, 64, 100, 512])
def test_group_norm_takes_any_width(channels):
    layer, x = norm_of("group", channels), torch.randn(2, channels, 4, 4)
    assert layer(x).shape == x.shape


@each_upsample
@pytest.mark.parametrize("kernel", [3, 4])
def test_maps_are_doubled(upsample, kernel):
    layer = upsampling(6, 5, upsample=upsample, kernel=kernel)
    assert layer(torch.randn(2, 6, 7, 9)).shape == (2, 5, 14, 18)


def test_a_pixel_shuffle_starts_without_a_checkerboard():
    torch.manual_seed(0)
    network = nn.Sequential(upsampling(6, 5, upsample="pixelshuffle"))
    small_weights(network)
    inside = network(torch.randn(1, 6, 1, 1).expand(1, 6, 8, 8))[..., 2:-2, 2:-2]
    torch.testing.assert_close(inside, inside[..., :1, :1].expand_as(inside))
    assert inside.std() > 1e-3  # its channels are not all one
    made = network(torch.randn(1, 6, 8, 8))
    torch.testing.assert_close(made[..., ::2, ::2], made[..., 1::2, 1::2])  # at first every pixel is repeated


@pytest.mark.parametrize("make", [unet, lambda **o: ResNet(3, 3, width=4, blocks=1, norm="instance", **o)])
def test_every_pixel_shuffle_of_a_network_starts_so(make):
    network = make(upsample="pixelshuffle")
    shuffled = [layer[0] for layer in network.modules() if isinstance(layer, nn.Sequential) and len(layer) == 2
                and isinstance(layer[1], nn.PixelShuffle)]  # fmt: skip
    assert len(shuffled) == sum(isinstance(layer, nn.PixelShuffle) for layer in network.modules()) > 1
    for layer in shuffled:
        kernel = layer.weight.detach().unflatten(0, (-1, 4))
        assert torch.equal(kernel[:, :1].expand_as(kernel), kernel)


def test_weights_start_as_in_the_papers():
    network = unet(width=32, levels=4)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            assert abs(float(layer.weight.detach().std()) - 0.02) < 0.004
            assert layer.bias is None or not layer.bias.any()


# --- U-Net, and encoder-decoder -------------------------------------------------------------------------------------


def shapes(network, x):
    """What every convolution puts out, in the order in which they run."""
    seen = []
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    hooks = [
        layer.register_forward_hook(lambda *args: seen.append(tuple(args[2].shape[1:])))
        for layer in network.modules()
        if isinstance(layer, kinds)
    ]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return seen


def test_the_u_net_of_256_pixels_is_the_papers():
    """Isola et al. 2017, section 6.1.1: C64-C128-C256-C512-C512-C512-C512-C512, and back."""
    with torch.device("meta"):
        network = unet(64, 8, norm="batch", upsample="deconv", dropout=0.5)
    assert weights(network) / 1e6 == pytest.approx(54.414, abs=0.001)
    down, up = [64, 128, 256, 512, 512, 512, 512, 512], [512, 512, 512, 512, 256, 128, 64]
    expected = [(c, 128 >> level, 128 >> level) for level, c in enumerate(down)]
    expected += [(c, 2 << level, 2 << level) for level, c in enumerate([*up, 3])]
    assert shapes(network, torch.zeros(1, 3, 256, 256, device="meta")) == expected
    inputs = [layer.in_channels for layer in network.decoder.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert inputs == [512, *(2 * c for c in up)]
    dropped = [any(isinstance(layer, nn.Dropout) for layer in level) for level in network.decoder]
    assert dropped == [True] * 3 + [False] * 5
    normed = [any(isinstance(layer, nn.BatchNorm2d) for layer in level.modules()) for level in network.encoder]
    assert normed == [False] + [True] * 6 + [False]  # neither the first, nor the last, whose map is one pixel


def detail(network, x):
    """What is left of the detail where the deepest map is all zeros."""
    network.encoder[-1].register_forward_hook(lambda *args: torch.zeros_like(args[2]))
    with torch.no_grad():
        return network(x).std((-1, -2)).mean()


def test_connections_carry_detail_past_the_narrow_place_and_an_encoder_decoder_has_none():
    x = torch.randn(2, 3, 32, 32)
    for skips in (True, False):
        network = unet(8, 3, skips=skips, norm="none")
        with torch.no_grad():
            for weight in network.parameters():
                weight.mul_(10)
        assert (detail(network, x) > 1e-3) == skips


@pytest.mark.parametrize("level", range(4))
def test_each_level_reaches_the_output_with_the_way_down_shut(level):
    network, x, made = unet(8, 4, norm="none"), torch.randn(1, 3, 16, 16), []
    if level < 3:
        network.encoder[level + 1].register_forward_hook(lambda *args: torch.zeros_like(args[2]))
    for factor in (1, 2):
        hook = network.encoder[level].register_forward_hook(lambda *args, factor=factor: factor * args[2])
        made.append(network(x))
        hook.remove()
    assert not torch.equal(*made)


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (37, 53), (100, 20), (16, 16)])
@each_upsample
def test_a_u_net_takes_any_size(skips, height, width, upsample):
    network = unet(skips=skips, upsample=upsample, outputs=2)
    made = network(torch.randn(2, 3, height, width))
    assert made.shape == (2, 2, height, width)
    assert made.abs().max() <= 1


def test_an_image_smaller_than_the_deepest_downsampling_is_taken_where_the_bottom_is_normed():
    assert unet(4, 4, norm_at_the_bottom=True)(torch.randn(1, 3, 8, 8)).shape == (1, 3, 8, 8)


def test_what_is_padded_is_what_the_network_would_make_of_the_padded_image():
    network, x = unet(), torch.randn(1, 3, 13, 22)
    torch.testing.assert_close(network(x), network(reflected(x, network.multiple))[..., :13, :22])


def test_widths_double_up_to_eight_times_the_first():
    assert unet_widths(64, 8) == [64, 128, 256, 512, 512, 512, 512, 512]
    assert unet_widths(3, 1) == [3]


# --- residual -------------------------------------------------------------------------------------------------------


def test_nine_blocks_at_256_pixels_are_the_papers():
    """Zhu et al. 2017, section 7.2: c7s1-64, d128, d256, R256 times nine, u128, u64, c7s1-3."""
    with torch.device("meta"):
        network = ResNet(3, 3, width=64, blocks=9, norm="instance", upsample="deconv")
    assert weights(network) / 1e6 == pytest.approx(11.383, abs=0.001)
    maps = shapes(network, torch.zeros(1, 3, 256, 256, device="meta"))
    expected = [(64, 256, 256), (128, 128, 128), (256, 64, 64), *[(256, 64, 64)] * 18]
    assert maps == [*expected, (128, 128, 128), (64, 256, 256), (3, 256, 256)]


@each_upsample
@pytest.mark.parametrize(("height", "width"), [(8, 8), (37, 53), (100, 20)])
def test_a_residual_network_takes_any_size(upsample, height, width):
    network = ResNet(1, 3, width=4, blocks=1, norm="instance", upsample=upsample)
    made = network(torch.randn(2, 1, height, width))
    assert made.shape == (2, 3, height, width)
    assert made.abs().max() <= 1


# --- the judges -----------------------------------------------------------------------------------------------------


def judge(patch, *, size=256, width=2, norm="none", channels=6):
    torch.manual_seed(0)
    return patch_discriminator(channels, patch=patch, width=width, norm=norm, size=size)


def test_70_is_the_papers():
    """Isola et al. 2017, section 6.1.2: C64-C128-C256-C512; 30x30 logits of 256x256."""
    with torch.device("meta"):
        network = judge("70", width=64, norm="batch")
    maps = shapes(network, torch.zeros(1, 6, 256, 256, device="meta"))
    assert maps == [(64, 128, 128), (128, 64, 64), (256, 32, 32), (512, 31, 31), (1, 30, 30)]
    assert weights(network) / 1e6 == pytest.approx(2.769, abs=0.001)


@pytest.mark.parametrize(("patch", "pixels"), [("pixel", 1), ("16", 16), ("70", 70), ("286", 286)])
def test_a_logit_sees_as_many_pixels_as_it_says(patch, pixels):
    network = judge(patch, size=256).double()
    with torch.no_grad():
        for weight in network.parameters():
            weight.abs_().add_(0.1)  # no path cancels another
    x = torch.ones(1, 6, 640, 640, dtype=torch.float64, requires_grad=True)
    logits = network(x)
    middle = logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2]
    (gradient,) = torch.autograd.grad(middle, x)
    rows, columns = gradient[0].abs().sum(0).nonzero().T
    assert int(rows.max() - rows.min()) + 1 == int(columns.max() - columns.min()) + 1 == pixels


@pytest.mark.parametrize("patch", ["pixel", "16", "70", "286"])
@pytest.mark.parametrize("size", [16, 28, 32, 64, 128])
def test_small_images_are_judged_by_a_map_too(patch, size):
    logits = judge(patch, size=size, norm="instance")(torch.randn(2, 6, size, size))
    assert logits.shape[:2] == (2, 1)
    assert min(logits.shape[2:]) > 1 or math.log2(size) < 4
    assert logits.isfinite().all()
