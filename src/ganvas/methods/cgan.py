"""Class-conditional GAN: both networks are given the class, so that one can choose what to generate.

Mirza and Osindero 2014, "Conditional Generative Adversarial Nets"; the default discriminator is that of
Miyato and Koyama 2018, "cGANs with Projection Discriminator".
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.augment import augment
from ganvas.core.optim import update, update_average, update_together
from ganvas.core.rng import Between, Seed, noise, randn
from ganvas.core.settings import setting
from ganvas.data.batch import SIZES, ImageBatch, Spec
from ganvas.losses import PENALTY_EVERY, discriminator_cross_entropy, generator_cross_entropy, r1_penalty
from ganvas.methods import _base
from ganvas.nets.convolutional import glorot, scaled_discriminator, scaled_generator
from ganvas.nets.cpu_ops import Dropout


@dataclass(frozen=True, kw_only=True)
class CganConfig(_base.TwoPlayerConfig, _base.ScaledConfig):
    """The settings of `cgan`; the defaults are our best recipe for the minutes it takes."""

    layers: Literal["scaled", "lecture"] = setting(
        "scaled", "the networks: ours, convolutional and scaled to the image size, or a lecture's, dense with Maxout"
    )
    r1: float = setting(1.0, "weight of the R1 gradient penalty on real images; 0 turns it off", low=0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The image sizes, in pixels, that these networks can make."""
        return {"scaled": SIZES, "lecture": _base.DENSE_SIZES}[self.layers]


class Cgan(_base.Method):
    """Generator G: (z, y) -> x and discriminator D: (x, y) -> logit; y is the class, one-hot (N, classes)."""

    config: CganConfig
    Config = CganConfig
    batches = (ImageBatch,)
    by_class = True
    networks_since: ClassVar[Mapping[str, int]] = {"lecture": 1}
    presets: ClassVar[dict[str, _base.BaseConfig]] = {
        "lecture": CganConfig(
            layers="lecture", batch=100, epochs=100, latent=100,
            learning_rate=1e-4, beta1=0.9, beta2=0.999, epsilon=1e-7, r1=0.0, ema=0.0, updates="simultaneous",
        ),
    }  # fmt: skip

    def __init__(self, config: CganConfig, spec: Spec):
        super().__init__(config, spec)
        self.generator: nn.Module
        self.discriminator: nn.Module
        if config.layers == "lecture":
            self.generator = LectureGenerator(config.latent, spec).apply(glorot)
            self.discriminator = LectureDiscriminator(spec).apply(glorot)
        else:
            self.generator = ScaledGenerator(config, spec)
            self.discriminator = ProjectionDiscriminator(config, spec)
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self.to(memory_format=torch.channels_last)
        self.optimizers = _base.optimizers_of(
            config, {"generator": self.generator, "discriminator": self.discriminator}
        )

    def phase(self, step: int) -> bool:
        """Whether this step applies the gradient penalty."""
        return bool(self.config.r1) and step % PENALTY_EVERY == 0

    def training_step(self, batch: ImageBatch, step: int) -> dict[str, Tensor]:
        """One step of each network; the fake images are of the same classes as the real ones."""
        assert batch.labels is not None
        config = self.config
        real = augment(batch.images.to(memory_format=torch.channels_last), config.augment)  # (N, C, H, W)
        y = F.one_hot(batch.labels, len(self.spec.classes)).float()  # (N, classes)
        z = randn(len(real), config.latent, device=real.device)
        fake = augment(self.generator(z, y), config.augment)  # (N, C, H, W)

        at_once = config.updates == "simultaneous"
        shown = fake if at_once else fake.detach()
        logits = self.discriminator(torch.cat([real, shown]), torch.cat([y, y])).float()
        real_logits, fake_logits = logits.chunk(2)
        loss = discriminator_cross_entropy(real_logits, fake_logits)
        losses = {"discriminator": loss.detach()}
        if self.phase(step):
            penalty = r1_penalty(lambda x: self.discriminator(x, y), real)
            loss = loss + config.r1 * PENALTY_EVERY * penalty
        if at_once:
            fooling = generator_cross_entropy(fake_logits)
            update_together((self.optimizers["discriminator"], loss), (self.optimizers["generator"], fooling))
        else:
            update(self.optimizers["discriminator"], loss)
            fooling = generator_cross_entropy(self.discriminator(fake, y).float())
            update(self.optimizers["generator"], fooling)
        if self.average is not None:
            update_average(self.average, self.generator, decay=config.ema, step=step)
        return losses | {"generator": fooling.detach()}

    def generate(self, seeds: Sequence[Seed], labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in -1..1, one for each seed; `labels` as in `Generates`."""
        generator = self.generator if self.average is None else self.average
        device = next(generator.parameters()).device
        classes = len(self.spec.classes)
        if labels is None:
            labels = torch.tensor([(seed.start if isinstance(seed, Between) else seed) % classes for seed in seeds])
        y = (F.one_hot(labels, classes) if labels.dim() == 1 else labels).float().to(device)  # (N, classes)
        images: Tensor = generator(noise(seeds, (self.config.latent,), device=device), y)
        return images


# --- ours -----------------------------------------------------------------------------------------------------------


class ScaledGenerator(nn.Module):
    """Noise and class, concatenated, through the layers of `dcgan`."""

    def __init__(self, config: CganConfig, spec: Spec):
        super().__init__()
        self.draw = scaled_generator(config.latent + len(spec.classes), spec, **config.scale)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Noise (N, latent) and class (N, classes) to images (N, C, H, W) in -1..1."""
        images: Tensor = self.draw(torch.cat([z, y], 1))
        return images


class ProjectionDiscriminator(nn.Module):
    """How real an image looks, and how much like its class: psi(phi(x)) + y^T V phi(x) (equation 3)."""

    def __init__(self, config: CganConfig, spec: Spec):
        super().__init__()
        self.judge = scaled_discriminator(
            spec, outputs=1 + len(spec.classes), **config.scale
        )  # psi, and a row of V for each class

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Images (N, C, H, W) and class (N, classes) to logits (N, 1)."""
        scores = self.judge(x)  # (N, 1 + classes)
        logits: Tensor = scores[:, :1] + (scores[:, 1:] * y).sum(1, keepdim=True)
        return logits


# --- the lecture's --------------------------------------------------------------------------------------------------


class LectureGenerator(nn.Module):
    """Noise and class each through a dense layer of their own, then joined."""

    def __init__(self, latent: int, spec: Spec):
        super().__init__()
        self.noise = nn.Sequential(nn.Linear(latent, 256), nn.ReLU())
        self.label = nn.Sequential(nn.Linear(len(spec.classes), 256), nn.ReLU())
        self.joint = nn.Sequential(
            nn.Linear(512, 512), nn.ReLU(),
            nn.Linear(512, spec.bytes), nn.Tanh(), nn.Unflatten(1, (spec.channels, spec.size, spec.size)),
        )  # fmt: skip

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Noise (N, latent) and class (N, classes) to images (N, C, H, W) in -1..1."""
        images: Tensor = self.joint(torch.cat([self.noise(z), self.label(y)], 1))
        return images


class Maxout(nn.Module):
    """Each feature is the maximum of several pieces (Goodfellow et al. 2013, "Maxout Networks").

    As in the lecture, ReLU and dropout of one half come before the maximum.
    """

    def __init__(self, inputs: int, units: int, pieces: int):
        super().__init__()
        self.pieces = nn.Sequential(
            nn.Linear(inputs, pieces * units), nn.ReLU(), Dropout(0.5), nn.Unflatten(1, (pieces, units))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, inputs) to (N, units)."""
        largest: Tensor = self.pieces(x).amax(1)
        return largest


class LectureDiscriminator(nn.Module):
    """Image and class each through a Maxout layer, then joined in a third."""

    def __init__(self, spec: Spec):
        super().__init__()
        self.image = nn.Sequential(nn.Flatten(), Maxout(spec.bytes, 240, 5))
        self.label = Maxout(len(spec.classes), 50, 5)
        self.joint = nn.Sequential(Maxout(240 + 50, 240, 4), nn.Linear(240, 1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Images (N, C, H, W) and class (N, classes) to logits (N, 1)."""
        logits: Tensor = self.joint(torch.cat([self.image(x), self.label(y)], 1))
        return logits
