"""Wasserstein GAN with gradient penalty: a 1-Lipschitz critic measures how far fake images are from real ones.

Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", algorithm 1.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganvas.augment import augment
from ganvas.core.optim import update, update_average
from ganvas.core.rng import randn
from ganvas.core.settings import setting, with_default
from ganvas.data.batch import SIZES, ImageBatch, Spec
from ganvas.losses import gradient_penalty
from ganvas.methods import _base
from ganvas.nets.convolutional import (
    mnist28_discriminator,
    mnist28_generator,
    paper64_discriminator,
    paper64_generator,
    scaled_discriminator,
    scaled_generator,
)


@dataclass(frozen=True, kw_only=True)
class WganGpConfig(_base.AdversarialConfig, _base.ScaledConfig):
    """The settings of `wgan_gp`; the defaults are our best recipe for the minutes it takes."""

    layers: Literal["scaled", "mnist28", "paper64"] = setting(
        "scaled",
        "the networks: ours, scaled to the image size, or those of `dcgan`'s textbooks, without norm in the critic",
    )
    width: int = with_default(_base.ScaledConfig, "width", 16)  # small, for the penalty is slow to compute
    hidden: int = with_default(_base.ScaledConfig, "hidden", 256)
    beta1: float = with_default(_base.AdversarialConfig, "beta1", 0.0)
    beta2: float = with_default(_base.AdversarialConfig, "beta2", 0.9)
    critic_steps: int = setting(1, "critic steps per generator step", low=1, high=100)
    penalty: float = setting(10.0, "weight of the gradient penalty (lambda)", low=0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The image sizes, in pixels, that these networks can make."""
        return {"scaled": SIZES, "mnist28": (28,), "paper64": (64,)}[self.layers]


class WganGp(_base.NoiseToImage):
    """Generator G: z -> x and critic f: x -> score, unbounded and without norm layers."""

    config: WganGpConfig
    Config = WganGpConfig
    batches = (ImageBatch,)
    networks_since: ClassVar[Mapping[str, int]] = {"mnist28": 1}
    presets: ClassVar[dict[str, _base.BaseConfig]] = {
        "mnist28": WganGpConfig(
            layers="mnist28", batch=64, epochs=50, latent=100,
            critic_steps=5, learning_rate=1e-4, beta1=0.0, beta2=0.9, epsilon=1e-7, ema=0.0,
        ),
        "paper64": WganGpConfig(
            layers="paper64", batch=64, epochs=50, latent=128,
            critic_steps=5, learning_rate=1e-4, beta1=0.0, beta2=0.9, ema=0.0,
        ),
    }  # fmt: skip

    def __init__(self, config: WganGpConfig, spec: Spec):
        super().__init__(config, spec)
        if config.layers == "mnist28":
            self.generator = mnist28_generator(config.latent, spec.channels)
            self.critic = mnist28_discriminator(spec.channels, dropout=0.0)
        elif config.layers == "paper64":
            self.generator = paper64_generator(config.latent, spec.channels)
            self.critic = paper64_discriminator(spec.channels, batch_norm=False)
        else:
            self.generator = scaled_generator(config.latent, spec, **config.scale)
            self.critic = scaled_discriminator(spec, **config.scale)
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self.to(memory_format=torch.channels_last)
        self.optimizers = _base.optimizers_of(config, {"generator": self.generator, "critic": self.critic})

    def phase(self, step: int) -> bool:
        """Whether this step updates the generator."""
        return (step + 1) % self.config.critic_steps == 0

    def training_step(self, batch: ImageBatch, step: int) -> dict[str, Tensor]:
        """One step of the critic and, at every `critic_steps`-th, one of the generator on the same fake images."""
        config = self.config
        real = augment(batch.images.to(memory_format=torch.channels_last), config.augment)  # (N, C, H, W)
        z = randn(len(real), config.latent, device=real.device)
        generators_turn = self.phase(step)
        with torch.set_grad_enabled(generators_turn):
            fake = augment(self.generator(z), config.augment)  # (N, C, H, W)

        # W(real, fake) = max over 1-Lipschitz f of E f(x) - E f(G(z)); the critic climbs towards that maximum
        real_scores, fake_scores = self.critic(torch.cat([real, fake.detach()])).float().chunk(2)
        wasserstein = real_scores.mean() - fake_scores.mean()
        penalty = gradient_penalty(self.critic, real, fake)
        update(self.optimizers["critic"], config.penalty * penalty - wasserstein)

        if generators_turn:
            update(self.optimizers["generator"], -self.critic(fake).float().mean())
            if self.average is not None:
                update_average(self.average, self.generator, decay=config.ema, step=step, every=config.critic_steps)
        return {"wasserstein": wasserstein.detach(), "penalty": penalty.detach()}
