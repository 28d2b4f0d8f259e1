"""Least squares GAN: the discriminator grades images instead of classifying them.

Mao et al. 2017, "Least Squares Generative Adversarial Networks", equation 9 with a = 0 and b = c = 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ganvas.core.optim import update
from ganvas.core.rng import Seed, noise, randn
from ganvas.core.settings import setting
from ganvas.data.batch import ImageBatch, Spec
from ganvas.methods import _base


@dataclass(frozen=True, kw_only=True)
class LsganConfig(_base.BaseConfig):
    """The settings of `lsgan`."""

    latent: int = setting(64, "the dimension of the latent vector", low=1)
    learning_rate: float = setting(2e-4, "Adam's learning rate", low=0, high=1)


class Lsgan(_base.Method):
    """Generator and discriminator, both dense."""

    config: LsganConfig
    Config = LsganConfig
    batches = (ImageBatch,)
    guessing = 0.25  # all grades are 1/2: (1/2 - 1)^2 / 2 + (1/2)^2 / 2

    def __init__(self, config: LsganConfig, spec: Spec):
        super().__init__(config, spec)
        shape, pixels = (spec.channels, spec.size, spec.size), spec.channels * spec.size**2
        self.generator = nn.Sequential(
            nn.Linear(config.latent, 256), nn.ReLU(), nn.Linear(256, pixels), nn.Tanh(), nn.Unflatten(1, shape)
        )
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1))
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        self.optimizers = _base.Adams(networks, learning_rate=config.learning_rate, betas=(0.5, 0.99))

    def training_step(self, batch: ImageBatch, step: int) -> dict[str, Tensor]:
        """One step of the discriminator and one of the generator."""
        real = batch.images  # (N, C, H, W) in -1..1
        fake = self.generator(randn(len(real), self.config.latent, device=real.device))  # (N, C, H, W)
        real_loss = (self._grade(real) - 1).square().mean() / 2
        fake_loss = self._grade(fake.detach()).square().mean() / 2
        update(self.optimizers["discriminator"], real_loss + fake_loss)
        generator_loss = (self._grade(fake) - 1).square().mean() / 2
        update(self.optimizers["generator"], generator_loss)
        return {"discriminator": (real_loss + fake_loss).detach(), "generator": generator_loss.detach()}

    def _grade(self, images: Tensor) -> Tensor:
        grades: Tensor = self.discriminator(images)  # (N, 1)
        return grades.float()  # losses are in fp32, also where networks are not

    def generate(self, seeds: Sequence[Seed], labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in -1..1, one for each seed."""
        images: Tensor = self.generator(noise(seeds, (self.config.latent,), device=next(self.parameters()).device))
        return images
