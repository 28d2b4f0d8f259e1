"""The first GAN: generator and discriminator are multilayer perceptrons.

Goodfellow et al. 2014, "Generative Adversarial Nets", algorithm 1 with the non-saturating generator loss.
"""

import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganvas.augment import augment
from ganvas.core.optim import update, update_average, update_together
from ganvas.core.rng import randn
from ganvas.core.settings import setting, with_default
from ganvas.data.batch import ImageBatch, Spec
from ganvas.losses import PENALTY_EVERY, discriminator_cross_entropy, generator_cross_entropy, r1_penalty
from ganvas.methods import _base
from ganvas.nets.convolutional import glorot
from ganvas.nets.cpu_ops import Dropout


@dataclass(frozen=True, kw_only=True)
class GanConfig(_base.TwoPlayerConfig):
    """The settings of `gan`; the defaults are our best recipe for the minutes it takes."""

    batch: int = with_default(_base.TwoPlayerConfig, "batch", 128)
    generator: tuple[int, ...] = setting((512, 512, 512), "widths of the generator's hidden layers", low=1, high=65536)
    discriminator: tuple[int, ...] = setting(
        (512, 512, 512), "widths of the discriminator's hidden layers", low=1, high=65536
    )
    activation: Literal["leaky_relu", "relu"] = setting(
        "leaky_relu", "activation of the hidden layers; negative slope 0.2"
    )
    batch_norm: bool = setting(True, "batch norm in the generator's hidden layers")
    dropout: float = setting(0.0, "dropout probability in the discriminator's hidden layers", low=0, high=0.95)
    learning_rate: float = with_default(_base.TwoPlayerConfig, "learning_rate", 5e-4)
    discriminator_steps: int = setting(1, "discriminator steps per generator step (k)", low=1, high=100)
    average_losses: bool = setting(False, "halve the discriminator's loss: the mean over real and fake, not the sum")
    r1: float = setting(1.0, "weight of the R1 gradient penalty on real images; 0 turns it off", low=0)
    initial_weights: Literal["torch", "keras"] = setting(
        "torch", "initialisation: PyTorch's, or Keras's (Glorot uniform, biases zero)"
    )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The image sizes, in pixels, that dense networks can make."""
        return _base.DENSE_SIZES


_TEXTBOOK = GanConfig(batch_norm=False, learning_rate=2e-4, beta1=0.9, beta2=0.999, r1=0.0, ema=0.0)


class Gan(_base.NoiseToImage):
    """Generator G: z -> x and discriminator D: x -> logit, both dense."""

    config: GanConfig
    Config = GanConfig
    batches = (ImageBatch,)
    presets: ClassVar[dict[str, _base.BaseConfig]] = {
        "blog": replace(
            _TEXTBOOK, batch=32, epochs=100, latent=100, generator=(128, 256), discriminator=(256, 128),
            average_losses=True, updates="simultaneous",
        ),
        "lecture": replace(
            _TEXTBOOK, batch=128, epochs=10, latent=100, generator=(128, 256, 512), discriminator=(512, 256, 128),
            activation="relu", learning_rate=1e-4, updates="simultaneous", epsilon=1e-7, initial_weights="keras",
        ),
        "book": replace(
            _TEXTBOOK, batch=512, epochs=200, latent=128, generator=(256, 512, 1024),
            discriminator=(1024, 512, 256), dropout=0.3,
        ),
    }  # fmt: skip

    def __init__(self, config: GanConfig, spec: Spec):
        super().__init__(config, spec)
        shape = (spec.channels, spec.size, spec.size)
        pixels = spec.channels * spec.size**2
        self.generator = nn.Sequential(
            *_layers((config.latent, *config.generator), config.activation, batch_norm=config.batch_norm),
            nn.Linear((config.latent, *config.generator)[-1], pixels),
            nn.Tanh(),
            nn.Unflatten(1, shape),  # (N, C, H, W)
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(),  # (N, C * H * W)
            *_layers((pixels, *config.discriminator), config.activation, dropout=config.dropout),
            nn.Linear((pixels, *config.discriminator)[-1], 1),  # a logit; the textbooks' sigmoid is inside the loss
        )
        if config.initial_weights == "keras":
            self.apply(glorot)
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self.optimizers = _base.optimizers_of(
            config, {"generator": self.generator, "discriminator": self.discriminator}
        )

    def phase(self, step: int) -> tuple[bool, bool]:
        """Whether this step applies the gradient penalty, and whether it updates the generator."""
        config = self.config
        return bool(config.r1) and step % PENALTY_EVERY == 0, (step + 1) % config.discriminator_steps == 0

    def training_step(self, batch: ImageBatch, step: int) -> dict[str, Tensor]:
        """One step of the discriminator, and at every k-th one of the generator, on the same fake images."""
        config, real = self.config, batch.images  # (N, C, H, W)
        penalised, generators_turn = self.phase(step)
        z = randn(len(real), config.latent, device=real.device)
        fake = augment(self.generator(z), config.augment)  # (N, C, H, W)
        real = augment(real, config.augment)

        # one call for both halves: without batch norm the rows are independent
        at_once = generators_turn and config.updates == "simultaneous"
        shown = fake if at_once else fake.detach()
        real_logits, fake_logits = self.discriminator(torch.cat([real, shown])).float().chunk(2)
        loss = discriminator_cross_entropy(real_logits, fake_logits)
        losses = {"discriminator": loss.detach()}
        if config.average_losses:
            loss = loss / 2
        if penalised:
            loss = loss + config.r1 * PENALTY_EVERY * r1_penalty(self.discriminator, real)
        if not generators_turn:
            update(self.optimizers["discriminator"], loss)
            return losses

        if at_once:
            fooling = generator_cross_entropy(fake_logits)
            update_together((self.optimizers["discriminator"], loss), (self.optimizers["generator"], fooling))
        else:
            update(self.optimizers["discriminator"], loss)
            fooling = generator_cross_entropy(self.discriminator(fake).float())
            update(self.optimizers["generator"], fooling)
        if self.average is not None:
            update_average(self.average, self.generator, decay=config.ema, step=step, every=config.discriminator_steps)
        return losses | {"generator": fooling.detach()}


def _layers(
    widths: tuple[int, ...], activation: str, *, batch_norm: bool = False, dropout: float = 0.0
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers.append(nn.Linear(before, after))
        if batch_norm:
            layers.append(nn.BatchNorm1d(after))
        layers.append(nn.ReLU() if activation == "relu" else nn.LeakyReLU(0.2))
        if dropout:
            layers.append(Dropout(dropout))
    return layers
