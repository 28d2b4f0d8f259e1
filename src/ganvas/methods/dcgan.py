"""Deep convolutional GAN: the generator has transposed convolutions, the discriminator strided ones.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks".
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganvas.augment import augment
from ganvas.core.optim import update, update_average, update_together
from ganvas.core.rng import randn
from ganvas.core.settings import setting
from ganvas.data.batch import SIZES, ImageBatch, Spec
from ganvas.losses import PENALTY_EVERY, discriminator_cross_entropy, generator_cross_entropy, r1_penalty
from ganvas.methods import _base
from ganvas.nets.convolutional import (
    mnist28_discriminator,
    mnist28_generator,
    paper64_discriminator,
    paper64_generator,
    scaled_discriminator,
    scaled_generator,
)

Layers = Literal["scaled", "mnist28", "paper64"]


@dataclass(frozen=True, kw_only=True)
class DcganConfig(_base.TwoPlayerConfig, _base.ScaledConfig):
    """The settings of `dcgan`; the defaults are our best recipe for the minutes it takes."""

    layers: Layers = setting("scaled", "the networks: ours, scaled to the image size, or those of a textbook")
    r1: float = setting(1.0, "weight of the R1 gradient penalty on real images; 0 turns it off", low=0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The image sizes, in pixels, that these networks can make."""
        return {"scaled": SIZES, "mnist28": (28,), "paper64": (64,)}[self.layers]


class Dcgan(_base.NoiseToImage):
    """Generator G: z -> x and discriminator D: x -> logit, both convolutional."""

    config: DcganConfig
    Config = DcganConfig
    batches = (ImageBatch,)
    networks_since: ClassVar[Mapping[str, int]] = {"mnist28": 1}
    presets: ClassVar[dict[str, _base.BaseConfig]] = {
        "mnist28": DcganConfig(
            layers="mnist28", batch=256, epochs=50, latent=100,
            learning_rate=1e-4, beta1=0.9, beta2=0.999, epsilon=1e-7, r1=0.0, ema=0.0, updates="simultaneous",
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
            self.generator = scaled_generator(config.latent, spec, **config.scale)
            self.discriminator = scaled_discriminator(spec, **config.scale)
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self.to(memory_format=torch.channels_last)  # the memory format of the CPU's convolutions
        self.optimizers = _base.optimizers_of(
            config, {"generator": self.generator, "discriminator": self.discriminator}
        )

    def phase(self, step: int) -> bool:
        """Whether this step applies the gradient penalty."""
        return bool(self.config.r1) and step % PENALTY_EVERY == 0

    def training_step(self, batch: ImageBatch, step: int) -> dict[str, Tensor]:
        """One step of the discriminator and one of the generator, on the same fake images."""
        config = self.config
        real = batch.images.to(memory_format=torch.channels_last)  # (N, C, H, W)
        z = randn(len(real), config.latent, device=real.device)
        fake = augment(self.generator(z), config.augment)  # (N, C, H, W)
        real = augment(real, config.augment)

        at_once = config.updates == "simultaneous"
        real_logits, fake_logits = self._judge(real, fake if at_once else fake.detach())
        loss = discriminator_cross_entropy(real_logits, fake_logits)
        losses = {"discriminator": loss.detach()}
        if self.phase(step):
            loss = loss + config.r1 * PENALTY_EVERY * r1_penalty(self.discriminator, real)
        if at_once:
            fooling = generator_cross_entropy(fake_logits)
            update_together((self.optimizers["discriminator"], loss), (self.optimizers["generator"], fooling))
        else:
            update(self.optimizers["discriminator"], loss)
            fooling = generator_cross_entropy(self.discriminator(fake).float())
            update(self.optimizers["generator"], fooling)
        if self.average is not None:
            update_average(self.average, self.generator, decay=config.ema, step=step)
        return losses | {"generator": fooling.detach()}

    def _judge(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real and fake images; the paper's batch norm takes each as a batch of its own."""
        if self.config.layers == "paper64":
            return self.discriminator(real).float(), self.discriminator(fake).float()
        real_logits, fake_logits = self.discriminator(torch.cat([real, fake])).float().chunk(2)
        return real_logits, fake_logits
