"""What is special to DCGAN: the textbook networks layer by layer."""

import torch
from conftest import noise_source
from torch import nn

from ganvas import methods
from ganvas.describe import networks
from ganvas.methods.dcgan import Dcgan
from ganvas.nets.cpu_ops import Flatten


def build(preset, size, channels=1):
    return Dcgan(methods.config("dcgan", preset), noise_source(n=2, size=size, channels=channels).spec)


def test_mnist28_has_the_tutorials_parameters_and_shapes():
    shown = dict(networks(build("mnist28", 28)))
    assert sum(layer.parameters for layer in shown["generator"]) == 2_305_472
    maps = [layer.output for layer in shown["generator"] if layer.name in ("ConvTranspose2d", "ZeroPad2d")]
    assert maps == [(128, 7, 7), (64, 15, 15), (64, 14, 14), (1, 29, 29), (1, 28, 28)]
    assert [layer.output for layer in shown["discriminator"] if layer.name == "Conv2d"] == [(64, 14, 14), (128, 7, 7)]


def test_mnist28_starts_from_kerass_weights():
    method = build("mnist28", 28)
    for layer in (*method.generator, *method.discriminator):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            a, b = layer.weight.shape[0], layer.weight.shape[1]
            bound = (6 / ((a + b) * layer.weight[0, 0].numel())) ** 0.5
            assert bound * 0.95 < layer.weight.abs().max() <= bound
            assert layer.bias is None or not layer.bias.any()


def test_paper64_is_figure_1_of_the_paper_and_its_rules():
    method = build("paper64", 64, channels=3)
    shown = dict(networks(method))
    maps = [layer.output for layer in shown["generator"] if layer.name == "ConvTranspose2d"]
    assert maps == [(512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    kinds = [type(layer) for layer in (*method.generator, *method.discriminator)]
    assert not any(issubclass(kind, nn.MaxPool2d | nn.AvgPool2d) for kind in kinds)
    assert kinds[-2:] == [Flatten, nn.Linear]
    assert isinstance(method.discriminator[1], nn.LeakyReLU)  # no norm at the discriminator's input
    assert isinstance(method.generator[-2], nn.ConvTranspose2d)  # nor at the generator's output
    for layer in (*method.generator, *method.discriminator):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            assert abs(float(layer.weight.detach().std()) - 0.02) < 0.002


def test_ours_grows_with_the_image_up_to_its_widest():
    config = methods.config("dcgan")
    for size in (16, 28, 256):
        method = Dcgan(config, noise_source(n=2, size=size).spec)
        widest = max(layer.out_channels for layer in method.discriminator if isinstance(layer, nn.Conv2d))
        assert widest <= config.max_width
        with torch.no_grad():
            assert method.eval().generate([0]).shape == (1, 1, size, size)


def test_multiply_adds_are_counted_as_pytorch_counts_them():
    from torch.utils.flop_counter import FlopCounterMode

    method = Dcgan(methods.config("dcgan"), noise_source(n=2, size=28).spec)
    shown = dict(networks(method))
    with FlopCounterMode(display=False) as counter:
        method.eval().generator(torch.zeros(1, method.config.latent))
    assert sum(layer.multiply_adds for layer in shown["generator"]) == counter.get_total_flops() // 2
    by_hand = {"ConvTranspose2d": 7 * 7 * 64 * 32 * 16, "Linear": 64 * 512}  # each input pixel meets every kernel once
    for name, expected in by_hand.items():
        assert next(layer for layer in shown["generator"] if layer.name == name).multiply_adds == expected


def test_paper64_draws_its_noise_from_the_papers_uniform_distribution():
    z = build("paper64", 64).generator[0](torch.randn(100_000, generator=torch.Generator().manual_seed(0)))
    shares = torch.histc(z, bins=10, min=-1, max=1) / len(z)
    torch.testing.assert_close(shares, torch.full((10,), 0.1), atol=0.005, rtol=0)
