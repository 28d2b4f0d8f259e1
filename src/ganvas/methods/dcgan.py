"""Deep convolutional GAN: transposed convolutions draw, strided convolutions judge.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks".
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganvas.data.batch import SIZES, Images, Spec
from ganvas.losses import PENALTY_EVERY, discriminator_cross_entropy, generator_cross_entropy, r1_penalty
from ganvas.methods import _base
from ganvas.runtime import Seed, adam, noise, update, update_average
from ganvas.settings import setting

Layers = Literal["scaled", "mnist28", "paper64"]


@dataclass(frozen=True, kw_only=True)
class DcganConfig(_base.BaseConfig):
    """The settings of `dcgan`; the defaults are our best recipe for the minutes it takes."""

    batch: int = setting(64, "pictures a step; batch norm takes two or more", low=2, high=65536)
    layers: Layers = setting("scaled", "the networks: ours, scaled to the picture, or those of a textbook")
    latent: int = setting(64, "how many random numbers a picture is made from", low=1, high=4096)
    width: int = setting(
        32, "channels at half the picture's size, twice as many at each halving (`scaled` only)", low=4, high=1024
    )
    max_width: int = setting(512, "channels at most (`scaled` only)", low=4, high=4096)
    hidden: int = setting(
        512,
        "units of the dense layer before the generator's convolutions and after the discriminator's (`scaled` only)",
        low=1,
        high=65536,
    )
    learning_rate: float = setting(1e-3, "Adam's step size, for both networks", low=0, high=1)
    beta1: float = setting(0.5, "Adam's memory of the gradient", low=0, high=0.9999)
    beta2: float = setting(0.99, "Adam's memory of the squared gradient", low=0, high=0.999999)
    r1: float = setting(1.0, "weight of the gradient penalty at real pictures; 0 leaves it out", low=0)
    ema: float = setting(
        0.999, "decay of the averaged generator that draws; 0 draws with the last one", low=0, high=0.99999
    )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The picture sizes, in pixels, that these networks can make."""
        return {"scaled": SIZES, "mnist28": (28,), "paper64": (64,)}[self.layers]


class Dcgan(_base.Method):
    """Generator G: z -> x and discriminator D: x -> logit, both convolutional."""

    config: DcganConfig
    Config = DcganConfig
    batch = Images
    presets: ClassVar[dict[str, _base.BaseConfig]] = {
        "mnist28": DcganConfig(
            layers="mnist28", batch=256, epochs=50, latent=100,
            learning_rate=1e-4, beta1=0.9, beta2=0.999, r1=0.0, ema=0.0,
        ),
        "paper64": DcganConfig(
            layers="paper64", batch=128, epochs=50, latent=100,
            learning_rate=2e-4, beta1=0.5, beta2=0.999, r1=0.0, ema=0.0,
        ),
    }  # fmt: skip

    def __init__(self, config: DcganConfig, spec: Spec):
        super().__init__(config, spec)
        if config.layers == "mnist28":
            self.generator = mnist28_generator(config.latent, spec.channels)
            self.discriminator = mnist28_discriminator(spec.channels)
        elif config.layers == "paper64":
            self.generator = paper64_generator(config.latent, spec.channels)
            self.discriminator = paper64_discriminator(spec.channels)
        else:
            self.generator = scaled_generator(config, spec)
            self.discriminator = scaled_discriminator(config, spec)
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self.to(memory_format=torch.channels_last)  # the layout in which the processor's convolutions work
        self.optimizers = {
            name: adam(network.parameters(), learning_rate=config.learning_rate, betas=(config.beta1, config.beta2))
            for name, network in {"generator": self.generator, "discriminator": self.discriminator}.items()
        }

    def training_step(self, batch: Images, step: int) -> dict[str, Tensor]:
        """One step of the discriminator and one of the generator, on the same fake pictures."""
        config = self.config
        real = batch.images.to(memory_format=torch.channels_last)  # (N, C, H, W)
        z = torch.randn(len(real), config.latent, device=real.device)
        fake = self.generator(z)  # (N, C, H, W)

        real_logits, fake_logits = self._judge(real, fake.detach())
        loss = discriminator_cross_entropy(real_logits, fake_logits)
        losses = {"discriminator": loss.detach()}
        if config.r1 and step % PENALTY_EVERY == 0:
            loss = loss + config.r1 * PENALTY_EVERY * r1_penalty(self.discriminator, real)
        update(self.optimizers["discriminator"], loss)

        loss = generator_cross_entropy(self.discriminator(fake).float())
        update(self.optimizers["generator"], loss)
        losses["generator"] = loss.detach()
        if self.average is not None:
            update_average(self.average, self.generator, decay=config.ema, step=step)
        return losses

    def _judge(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real and fake pictures; the paper's batch norm sees each with statistics of its own."""
        if self.config.layers == "paper64":
            return self.discriminator(real).float(), self.discriminator(fake).float()
        real_logits, fake_logits = self.discriminator(torch.cat([real, fake])).float().chunk(2)
        return real_logits, fake_logits

    def generate(self, seeds: Sequence[Seed], labels: Tensor | None = None) -> Tensor:
        """Pictures (N, C, H, W) in -1..1, one for each seed."""
        generator = self.generator if self.average is None else self.average
        device = next(generator.parameters()).device
        pictures: Tensor = generator(noise(seeds, (self.config.latent,), device=device))
        return pictures


# --- ours: scaled to the picture ------------------------------------------------------------------------------------


def _widths(config: DcganConfig, size: int) -> list[int]:
    """Channels from the smallest map (7x7 for 28 pixels, else 4x4) to half the picture's size."""
    halvings = {28: 2}.get(size, size.bit_length() - 3)
    return [min(config.max_width, config.width << i) for i in reversed(range(halvings))]


def scaled_generator(config: DcganConfig, spec: Spec) -> nn.Sequential:
    """Noise z (N, latent), two dense layers, then a transposed convolution for each doubling, to (N, C, H, W) in -1..1.

    Against the paper's advice there is a dense hidden layer: it decides what to draw before the convolutions draw
    it, and on a processor it costs little.
    """
    widths = _widths(config, spec.size)
    start = spec.size >> len(widths)
    layers: list[nn.Module] = [
        nn.Linear(config.latent, config.hidden, bias=False),
        nn.BatchNorm1d(config.hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(config.hidden, widths[0] * start**2, bias=False),
        nn.Unflatten(1, (widths[0], start, start)),
        nn.BatchNorm2d(widths[0]),
        nn.LeakyReLU(0.2),
    ]
    for before, after in pairwise(widths):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], spec.channels, 4, 2, 1), nn.Tanh())


def scaled_discriminator(config: DcganConfig, spec: Spec) -> nn.Sequential:
    """A strided convolution for each halving, then two dense layers; (N, C, H, W) to a logit (N, 1)."""
    widths = [spec.channels, *reversed(_widths(config, spec.size))]
    end = spec.size >> (len(widths) - 1)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
    layers += [nn.Flatten(), nn.Linear(widths[-1] * end**2, config.hidden), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(config.hidden, 1))


# --- textbook: 28x28 ------------------------------------------------------------------------------------------------


def mnist28_generator(latent: int, channels: int) -> nn.Sequential:
    """Noise z (N, latent) to (N, C, 28, 28) in -1..1."""
    return nn.Sequential(  # the constants of batch norm are Keras's
        nn.Linear(latent, 7 * 7 * 256, bias=False),
        nn.BatchNorm1d(7 * 7 * 256, eps=1e-3, momentum=0.01), nn.LeakyReLU(0.3),
        nn.Unflatten(1, (256, 7, 7)),
        nn.ConvTranspose2d(256, 128, 5, 1, 2, bias=False),  # (N, 128, 7, 7)
        nn.BatchNorm2d(128, eps=1e-3, momentum=0.01), nn.LeakyReLU(0.3),
        nn.ConvTranspose2d(128, 64, 5, 2, 2, 1, bias=False),  # (N, 64, 14, 14)
        nn.BatchNorm2d(64, eps=1e-3, momentum=0.01), nn.LeakyReLU(0.3),
        nn.ConvTranspose2d(64, channels, 5, 2, 2, 1, bias=False), nn.Tanh(),  # (N, C, 28, 28)
    ).apply(_glorot)  # fmt: skip


def mnist28_discriminator(channels: int) -> nn.Sequential:
    """The strided mirror image: (N, C, 28, 28) to a logit (N, 1)."""
    return nn.Sequential(
        nn.Conv2d(channels, 64, 5, 2, 2), nn.LeakyReLU(0.3), nn.Dropout(0.3),  # (N, 64, 14, 14)
        nn.Conv2d(64, 128, 5, 2, 2), nn.LeakyReLU(0.3), nn.Dropout(0.3),  # (N, 128, 7, 7)
        nn.Flatten(), nn.Linear(128 * 7 * 7, 1),
    ).apply(_glorot)  # fmt: skip


def _glorot(layer: nn.Module) -> None:
    """Keras's first weights: uniform, as Glorot and Bengio 2010 propose, and no bias."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


# --- the paper: 64x64 -----------------------------------------------------------------------------------------------


class ToUniform(nn.Module):
    """Turns standard normal noise into the paper's, uniform in -1..1: by its own distribution function."""

    def forward(self, z: Tensor) -> Tensor:
        """Noise (N, latent), of the same shape."""
        return torch.erf(z / math.sqrt(2))


def paper64_generator(latent: int, channels: int) -> nn.Sequential:
    """Figure 1 of the paper: noise z (N, latent) to (N, C, 64, 64) in -1..1."""
    return nn.Sequential(
        ToUniform(),
        nn.Linear(latent, 1024 * 4 * 4, bias=False), nn.Unflatten(1, (1024, 4, 4)), nn.BatchNorm2d(1024), nn.ReLU(),
        nn.ConvTranspose2d(1024, 512, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(512), nn.ReLU(),  # (N, 512, 8, 8)
        nn.ConvTranspose2d(512, 256, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU(),  # (N, 256, 16, 16)
        nn.ConvTranspose2d(256, 128, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),  # (N, 128, 32, 32)
        nn.ConvTranspose2d(128, channels, 5, 2, 2, 1), nn.Tanh(),  # (N, C, 64, 64)
    ).apply(_small)  # fmt: skip


def paper64_discriminator(channels: int) -> nn.Sequential:
    """Strided convolutions, batch norm except at the input: (N, C, 64, 64) to a logit (N, 1)."""
    return nn.Sequential(
        nn.Conv2d(channels, 128, 5, 2, 2), nn.LeakyReLU(0.2),  # (N, 128, 32, 32)
        nn.Conv2d(128, 256, 5, 2, 2, bias=False), nn.BatchNorm2d(256), nn.LeakyReLU(0.2),  # (N, 256, 16, 16)
        nn.Conv2d(256, 512, 5, 2, 2, bias=False), nn.BatchNorm2d(512), nn.LeakyReLU(0.2),  # (N, 512, 8, 8)
        nn.Conv2d(512, 1024, 5, 2, 2, bias=False), nn.BatchNorm2d(1024), nn.LeakyReLU(0.2),  # (N, 1024, 4, 4)
        nn.Flatten(), nn.Linear(1024 * 4 * 4, 1),
    ).apply(_small)  # fmt: skip


def _small(layer: nn.Module) -> None:
    """The paper's first weights (section 4): from N(0, 0.02)."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0, 0.02)
