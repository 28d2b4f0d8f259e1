"""Autoencoder: an image goes through a bottleneck and is reconstructed, or turned into its target.

Hinton and Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks"; convolutional and without
skip connections, so that all information passes through the bottleneck.
"""

import contextlib
import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.core.optim import update, update_average
from ganvas.core.settings import setting, with_default
from ganvas.data.batch import SIZES, ImageBatch, PairBatch, Spec
from ganvas.methods import _base
from ganvas.nets.convolutional import glorot
from ganvas.nets.layers import Norm, lay_out
from ganvas.nets.unet import Layers, UNet, unet_widths

BOTTLENECK = 8  # pixels a side of the smallest feature map; 7 for images of 28 pixels


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(_base.TranslationConfig):
    """The settings of `autoencoder`; the defaults are our best recipe for the minutes it takes."""

    epochs: int = with_default(_base.TranslationConfig, "epochs", 60)
    beta1: float = with_default(_base.TranslationConfig, "beta1", 0.9)
    layers: Literal["scaled", "mnist28"] = setting(
        "scaled", "the networks: ours, down to 8x8 feature maps at every size, or those of a textbook"
    )
    width: int = setting(
        64, "channels after the first downsampling, doubled at each up to eight times (`scaled` only)", low=1, high=1024
    )
    norm: Norm = setting(
        "group",
        "normalisation (`scaled` only): group or instance norm, the same after training; batch norm; or none",
    )
    loss: Literal["l1", "l2", "cross_entropy"] = setting(
        "l1",
        "reconstruction loss: mean absolute or squared error, or cross entropy (a pixel as the probability of white)",
    )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The image sizes, in pixels, that these networks can make."""
        return {"scaled": SIZES, "mnist28": (28,)}[self.layers]


class Autoencoder(_base.ImageToImage):
    """Generator: an encoder x -> (N, 512, 8, 8) and a decoder -> y; for single images y = x."""

    config: AutoencoderConfig
    Config = AutoencoderConfig
    batches = (PairBatch, ImageBatch)
    networks_since: ClassVar[Mapping[str, int]] = {"mnist28": 1}
    presets: ClassVar[dict[str, _base.BaseConfig]] = {
        "mnist28": AutoencoderConfig(
            layers="mnist28",
            batch=128,
            epochs=50,
            beta1=0.9,
            beta2=0.999,
            epsilon=1e-7,
            decay=0.0,
            ema=0.0,
            loss="cross_entropy",
        ),
    }

    def __init__(self, config: AutoencoderConfig, spec: Spec):
        super().__init__(config, spec)
        if config.layers == "mnist28":
            self.generator: nn.Module = Mnist28(spec.channels, spec.outputs)
            self.any_size = False
        else:
            levels = math.ceil(math.log2(spec.size)) - int(math.log2(BOTTLENECK))
            self.generator = UNet(
                spec.channels, spec.outputs, Layers(config.norm, config.upsample),
                widths=unet_widths(config.width, levels), skips=False, norm_at_the_bottom=True,
            )  # fmt: skip
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        lay_out(self)
        self.optimizers = _base.optimizers_of(config, {"both": self.generator})

    def training_step(self, batch: PairBatch | ImageBatch, step: int) -> dict[str, Tensor]:
        """One step of encoder and decoder towards the target."""
        source = batch.source if isinstance(batch, PairBatch) else batch.images
        target = batch.images
        made = self._made(source.to(memory_format=torch.channels_last))  # (N, C', H, W)
        if self.config.loss == "l1":
            loss = F.l1_loss(made, target)
        elif self.config.loss == "l2":
            loss = F.mse_loss(made, target)
        else:
            with torch.autocast(made.device.type, enabled=False):
                loss = F.binary_cross_entropy((made + 1) / 2, (target + 1) / 2)
        update(self.optimizers["both"], loss)
        if self.average is not None:
            update_average(self.average, self.generator, decay=self.config.ema, step=step)
        return {self.config.loss.replace("_", " "): loss.detach()}

    def _made(self, source: Tensor) -> Tensor:
        """The output of the networks; in fp32 for cross entropy: a tanh in bf16 soon rounds to 1, without gradient."""
        exact = torch.autocast(source.device.type, enabled=False)
        with exact if self.config.loss == "cross_entropy" else contextlib.nullcontext():
            made: Tensor = self.generator(source).float()
        return made


class Mnist28(nn.Sequential):
    """The textbooks' network: (N, C, 28, 28) in -1..1, through (N, 8, 4, 4), to (N, C', 28, 28) in -1..1."""

    multiple = 1

    def __init__(self, channels: int, outputs: int):
        super().__init__(
            nn.Conv2d(channels, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),  # (N, 16, 14, 14)
            nn.Conv2d(16, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),  # (N, 8, 7, 7)
            nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True),  # (N, 8, 4, 4)
            nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.Upsample(scale_factor=2),  # (N, 8, 8, 8)
            nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.Upsample(scale_factor=2),  # (N, 8, 16, 16)
            nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Upsample(scale_factor=2),  # (N, 16, 28, 28)
            nn.Conv2d(16, outputs, 3, 1, 1), SignedSigmoid(),
        )  # fmt: skip
        self.apply(glorot)


class SignedSigmoid(nn.Module):
    """The textbooks' sigmoid, scaled to the range of images in ganvas: 2 sigmoid(x) - 1, in -1..1."""

    def forward(self, logits: Tensor) -> Tensor:
        """Logits (N, C, H, W) to images of the same shape."""
        return 2 * torch.sigmoid(logits) - 1
