"""Variational autoencoder: an encoder gives a distribution of latent vectors, a decoder turns them into images.

Kingma and Welling 2014, "Auto-Encoding Variational Bayes"; Rezende, Mohamed and Wierstra 2014.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganvas.core.optim import update, update_average
from ganvas.core.rng import Seed, noise, randn
from ganvas.core.settings import setting, with_default
from ganvas.data.batch import SIZES, ImageBatch, PairBatch, Spec
from ganvas.losses import bernoulli_nll, gaussian_nll, kl_to_standard_normal
from ganvas.methods import _base
from ganvas.nets.convolutional import glorot, scaled_discriminator, scaled_generator
from ganvas.nets.cpu_ops import Flatten, Unflatten


@dataclass(frozen=True, kw_only=True)
class VaeConfig(_base.DecayingConfig, _base.ScaledConfig):
    """The settings of `vae`; the defaults are our best recipe for the minutes it takes."""

    batch: int = setting(128, "images per step; batch norm needs two or more", low=2, high=65536)
    layers: Literal["scaled", "mnist28"] = setting(
        "scaled", "the networks: ours, scaled to the image size, or those of a textbook"
    )
    latent: int = setting(32, "size of the latent vector", low=1, high=4096)
    likelihood: Literal["bernoulli", "gaussian"] = setting(
        "bernoulli",
        "distribution of a pixel given the latent vector: Bernoulli, or Gaussian with a learned variance",
    )
    beta: float = setting(1.0, "weight of the KL divergence; 1 is the evidence lower bound", low=0)
    beta1: float = with_default(_base.DecayingConfig, "beta1", 0.9)
    beta2: float = with_default(_base.DecayingConfig, "beta2", 0.999)
    ema: float = with_default(_base.DecayingConfig, "ema", 0.999, absent=0.0)
    decay: float = with_default(_base.DecayingConfig, "decay", 0.5, absent=0.0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The image sizes, in pixels, that these networks can make."""
        return {"scaled": SIZES, "mnist28": (28,)}[self.layers]


class Vae(_base.Method):
    """Encoder q(z | x): x -> mean and log variance of z; decoder p(x | z): z -> logits of every pixel being white.

    With pairs the encoder gets the source, and the decoder makes the target: noisy to clean, grey to colour.
    """

    config: VaeConfig
    Config = VaeConfig
    batches = (ImageBatch, PairBatch)
    networks_since: ClassVar[Mapping[str, int]] = {"mnist28": 1}
    directions: ClassVar[tuple[str, ...]] = ("ab",)
    any_size = False
    presets: ClassVar[dict[str, _base.BaseConfig]] = {
        "mnist28": VaeConfig(layers="mnist28", batch=128, epochs=30, latent=16, epsilon=1e-7, ema=0.0, decay=0.0),
    }

    def __init__(self, config: VaeConfig, spec: Spec):
        super().__init__(config, spec)
        self.multiple = spec.size
        if config.layers == "mnist28":
            self.encoder = mnist28_encoder(config.latent, spec.channels)
            self.decoder = mnist28_decoder(config.latent, spec.outputs)
        else:
            self.encoder = scaled_discriminator(spec, outputs=2 * config.latent, **config.scale)
            self.decoder = scaled_generator(config.latent, spec, **config.scale)[:-1]  # all but the tanh
        # of the Gaussian likelihood; the variance starts at 1
        self.log_variance = nn.Parameter(torch.zeros(()), requires_grad=config.likelihood == "gaussian")
        self.to(memory_format=torch.channels_last)
        networks = nn.ModuleDict({"encoder": self.encoder, "decoder": self.decoder})
        self.average = copy.deepcopy(networks).requires_grad_(False) if config.ema else None
        self.optimizers = _base.optimizers_of(config, {"both": self})

    @property
    def kind(self) -> _base.Kind:
        """It translates where it learned from pairs."""
        return "translates" if self.spec.target_channels else "generates"

    def training_step(self, batch: ImageBatch | PairBatch, step: int) -> dict[str, Tensor]:
        """One step of both networks on the evidence lower bound; returns its two terms in nats per image."""
        config = self.config
        seen = batch.source if isinstance(batch, PairBatch) else batch.images  # (N, C, H, W)
        x = batch.images  # (N, C', H, W)
        encoded = self.encoder(seen.to(memory_format=torch.channels_last)).float()
        mean, log_variance = encoded.chunk(2, dim=1)  # (N, L) each
        z = mean + torch.exp(log_variance / 2) * randn(*mean.shape, device=mean.device)  # sampled for each image

        logits = self._logits(self.decoder, z)  # (N, C', H, W)
        if config.likelihood == "bernoulli":
            reconstruction = bernoulli_nll(logits, x)
        else:
            reconstruction = gaussian_nll(torch.tanh(logits / 2), x, self.log_variance)
        kl = kl_to_standard_normal(mean, log_variance)
        update(self.optimizers["both"], reconstruction + config.beta * kl)
        if self.average is not None:
            for name, average in self.average.items():
                update_average(average, getattr(self, name), decay=config.ema, step=step)
        return {"reconstruction": reconstruction.detach(), "kl": kl.detach()}

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in -1..1 to the means of their latent vectors (N, L)."""
        encoder = self.encoder if self.average is None else self.average["encoder"]
        mean: Tensor = encoder(images).float().chunk(2, dim=1)[0]
        return mean

    def decode(self, latent: Tensor) -> Tensor:
        """Latent vectors (N, L) to the expected images (N, C, H, W) in -1..1."""
        decoder = self.decoder if self.average is None else self.average["decoder"]
        return torch.tanh(self._logits(decoder, latent) / 2)  # 2 sigmoid(logits) - 1

    def _logits(self, decoder: nn.Module, latent: Tensor) -> Tensor:
        """Latent vectors (N, L) to logits (N, C, H, W); our own decoder's last layer gives half of them."""
        out: Tensor = decoder(latent).float()
        return out if self.config.layers == "mnist28" else 2 * out

    def generate(self, seeds: Sequence[Seed], labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in -1..1 of latent vectors from the prior, one for each seed."""
        return self.decode(noise(seeds, (self.config.latent,), device=self.log_variance.device))

    def translate(self, images: Tensor, direction: str = "ab") -> Tensor:
        """Images (N, C, H, W) in -1..1 decoded from their latent vectors: themselves, or their targets."""
        assert direction in self.directions
        return self.decode(self.encode(images))


# --- textbook: 28x28 ------------------------------------------------------------------------------------------------


def mnist28_encoder(latent: int, channels: int) -> nn.Sequential:
    """Images (N, C, 28, 28) to mean and log variance, side by side (N, 2 * latent)."""
    heads = nn.Linear(8 * 7 * 7, 2 * latent)
    encoder = nn.Sequential(
        nn.Conv2d(channels, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),  # (N, 16, 14, 14)
        nn.Conv2d(16, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),  # (N, 8, 7, 7)
        Flatten(), heads,
    ).apply(glorot)  # fmt: skip
    for half in heads.weight.detach().chunk(2):  # two layers in the text, each with initial weights of its own
        nn.init.xavier_uniform_(half)
    return encoder


def mnist28_decoder(latent: int, channels: int) -> nn.Sequential:
    """Latent vectors (N, latent) to logits (N, C, 28, 28)."""
    return nn.Sequential(
        nn.Linear(latent, 7 * 7 * 64), nn.ReLU(), Unflatten(1, (64, 7, 7)),
        nn.ConvTranspose2d(64, 32, 3, 1, 1), nn.ReLU(), nn.Upsample(scale_factor=2),  # (N, 32, 14, 14)
        nn.ConvTranspose2d(32, 32, 3, 1, 1), nn.ReLU(), nn.Upsample(scale_factor=2),  # (N, 32, 28, 28)
        nn.ConvTranspose2d(32, channels, 3, 1, 1),
    ).apply(glorot)  # fmt: skip
