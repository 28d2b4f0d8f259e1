"""Paired image translation: a U-Net is trained with a discriminator of patches and an L1 loss.

Isola, Zhu, Zhou and Efros 2017, "Image-to-Image Translation with Conditional Adversarial Networks".
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.core.optim import update, update_average
from ganvas.core.settings import setting, with_default
from ganvas.data.batch import PairBatch, Spec
from ganvas.errors import SettingError
from ganvas.losses import (
    discriminator_cross_entropy,
    discriminator_least_squares,
    feature_distance,
    generator_cross_entropy,
    generator_least_squares,
)
from ganvas.methods import _base
from ganvas.nets.layers import Norm, lay_out
from ganvas.nets.patchgan import Patch, patch_discriminator, with_features
from ganvas.nets.resnet import ResNet
from ganvas.nets.unet import Layers, UNet, unet_widths
from ganvas.nets.vgg import VGG19

PERCEPTUAL = ("relu1_1", "relu2_1", "relu3_1")  # of VGG-19: contrast, edges, textures
SMALLEST_MAP = 4  # pixels: where the default generator stops downsampling


@dataclass(frozen=True, kw_only=True)
class Pix2pixConfig(_base.TranslationConfig):
    """The settings of `pix2pix`; the defaults are our best recipe for the minutes it takes."""

    batch: int = with_default(_base.TranslationConfig, "batch", 1)
    epochs: int = with_default(_base.TranslationConfig, "epochs", 60)
    learning_rate: float = with_default(_base.TranslationConfig, "learning_rate", 2e-4)
    beta2: float = with_default(_base.TranslationConfig, "beta2", 0.999)
    generator: Literal["unet", "encoder_decoder", "resnet"] = setting(
        "unet",
        "a U-Net; the same without skip connections; or residual blocks between few downsamplings",
    )
    width: int = setting(32, "channels of the generator after its first downsampling", low=1, high=1024)
    levels: int = setting(
        0,
        "downsamplings in the generator, down to one pixel at most; 0 stops at feature maps of 4x4 (not `resnet`)",
        low=0,
        high=10,
    )
    blocks: int = setting(6, "residual blocks (`resnet` only)", low=1, high=64)
    norm: Norm = setting(
        "group", "normalisation: group or instance norm, the same in training and inference; batch norm; or none"
    )
    dropout: float = setting(0.0, "dropout probability in the generator, in training only", low=0, high=0.9)
    slope: float = setting(0.2, "negative slope of the leaky ReLUs", low=0, high=1)
    skip_slope: float = setting(
        0.0,
        "negative slope where the encoder's feature maps enter the decoder; 0 is a ReLU, as in the paper's code",
        low=0,
        high=1,
    )
    patch: Patch = setting("70", "receptive field of the discriminator, in pixels a side")
    discriminator_width: int = setting(32, "channels of the discriminator's first layer", low=1, high=1024)
    adversarial: Literal["cross_entropy", "least_squares"] = setting(
        "cross_entropy", "adversarial loss, on the discriminator's logits"
    )
    l1: float = setting(50.0, "weight of the L1 loss (mean absolute error)", low=0)
    feature_matching: float = setting(
        10.0, "weight of the feature matching loss (discriminator features of result and target)", low=0, absent=0.0
    )
    perceptual: float = setting(
        0.0,
        "weight of the perceptual loss (VGG-19 features of result and target); needs its weights",
        low=0,
        absent=0.0,
    )
    discriminator_weight: float = setting(
        0.5, "factor of the discriminator's loss, a half in the paper; Adam's steps hardly depend on it", low=0, high=1
    )


_PAPER = Pix2pixConfig(
    batch=1, epochs=200, learning_rate=2e-4, beta1=0.5, beta2=0.999, decay=0.5, ema=0.0, upsample="deconv",
    width=64, levels=8, norm="instance", dropout=0.5, discriminator_width=64,
    l1=100.0, feature_matching=0.0,
)  # fmt: skip


class Pix2pix(_base.ImageToImage):
    """Generator G: x -> y and discriminator D: (x, y) -> a map of logits."""

    config: Pix2pixConfig
    Config = Pix2pixConfig
    presets: ClassVar[dict[str, _base.BaseConfig]] = {
        "paper": _PAPER,
        "course": replace(
            _PAPER, epochs=100, decay=0.0, slope=0.3, skip_slope=0.3, discriminator_weight=1.0, epsilon=1e-7
        ),
    }

    def __init__(self, config: Pix2pixConfig, spec: Spec):
        super().__init__(config, spec)
        if config.perceptual and spec.colors_alone:
            raise SettingError(
                f"`perceptual` {config.perceptual}: needs targets in grey or RGB, not colours without lightness; give "
                "`task` colorize-rgb, or `perceptual` 0"
            )
        self.generator = generator_of(config, spec)
        self.discriminator = patch_discriminator(
            spec.channels + spec.outputs,
            patch=config.patch, width=config.discriminator_width, norm=config.norm, size=spec.size,
            slope=config.slope,
        )  # fmt: skip
        if config.adversarial == "least_squares":
            self.guessing = 0.5
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        lay_out(self)
        self.optimizers = _base.optimizers_of(
            config, {"generator": self.generator, "discriminator": self.discriminator}
        )
        self.vgg: VGG19 | None = None

    @classmethod
    def looks_to(cls, config: _base.BaseConfig) -> str:
        """The last layer of VGG-19 that the perceptual loss needs; empty without it."""
        assert isinstance(config, Pix2pixConfig)
        return PERCEPTUAL[-1] if config.perceptual else ""

    def setup(self, *, vgg: VGG19 | None = None, paintings: Sequence[Tensor] = ()) -> None:
        """Use this network for the perceptual loss, if there is one."""
        self.vgg = None if vgg is None else vgg.to(memory_format=torch.channels_last)

    def training_step(self, batch: PairBatch, step: int) -> dict[str, Tensor]:
        """One step of the discriminator and one of the generator, on the same fake images (equation 4)."""
        config = self.config
        source = batch.source.to(memory_format=torch.channels_last)  # x: (N, C, H, W)
        target = batch.target.to(memory_format=torch.channels_last)  # y: (N, C', H, W)
        fake = self.generator(source)  # G(x)
        real_logits, fake_logits = self._judge(source, target, fake.detach())
        if config.adversarial == "cross_entropy":
            loss = discriminator_cross_entropy(real_logits, fake_logits)
        else:
            loss = discriminator_least_squares(real_logits, fake_logits)
        update(self.optimizers["discriminator"], config.discriminator_weight * loss)
        losses = {"discriminator": loss.detach()}

        shown = torch.cat([source, fake], 1)
        features: list[Tensor] = []
        if config.feature_matching:
            logits, features = with_features(self.discriminator, shown)
        else:
            logits = self.discriminator(shown)
        fool = generator_cross_entropy if config.adversarial == "cross_entropy" else generator_least_squares
        fooling, l1 = fool(logits.float()), F.l1_loss(fake.float(), target)
        losses |= {"generator": fooling.detach(), "l1": l1.detach()}
        loss = fooling + config.l1 * l1
        if config.feature_matching:
            with torch.no_grad():
                _, wanted = with_features(self.discriminator, torch.cat([source, target], 1))
            matching = feature_distance(features, wanted)
            losses["features"] = matching.detach()
            loss = loss + config.feature_matching * matching
        if self.vgg is not None:
            perceptual = feature_distance(*(list(self.vgg(image, PERCEPTUAL).values()) for image in (fake, target)))
            losses["perceptual"] = perceptual.detach()
            loss = loss + config.perceptual * perceptual
        update(self.optimizers["generator"], loss)
        if self.average is not None:
            update_average(self.average, self.generator, decay=config.ema, step=step)
        return losses

    def _judge(self, source: Tensor, target: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real and fake pairs; in one call, but with batch norm each as a batch of its own."""
        real, made = torch.cat([source, target], 1), torch.cat([source, fake], 1)
        if self.config.norm == "batch":
            return self.discriminator(real).float(), self.discriminator(made).float()
        real_logits, fake_logits = self.discriminator(torch.cat([real, made])).float().chunk(2)
        return real_logits, fake_logits


def generator_of(config: Pix2pixConfig, spec: Spec) -> nn.Module:
    """The generator that the settings name, for sources and targets of that shape."""
    if config.generator == "resnet":
        return ResNet(
            spec.channels, spec.outputs,
            width=config.width, blocks=config.blocks, norm=config.norm, upsample=config.upsample,
            dropout=config.dropout,
        )  # fmt: skip
    most = math.ceil(math.log2(spec.size))  # down to a single pixel
    levels = min(config.levels, most) or most - int(math.log2(SMALLEST_MAP))
    layers = Layers(config.norm, config.upsample, config.dropout, config.slope, config.skip_slope)
    return UNet(
        spec.channels, spec.outputs, layers,
        widths=unet_widths(config.width, levels), skips=config.generator == "unet", norm_at_the_bottom=levels < most,
    )  # fmt: skip
