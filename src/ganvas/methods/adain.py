"""Arbitrary style transfer: a decoder turns VGG-19 features with a painting's statistics into an image.

Huang and Belongie 2017, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization".
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.core import distributed
from ganvas.core.optim import by_step, update, update_average
from ganvas.core.settings import setting, with_default
from ganvas.data.batch import Batch, Spec, UnpairedBatch
from ganvas.methods import _base
from ganvas.nets.layers import InstanceNorm, lay_out, reflected
from ganvas.nets.vgg import VGG19

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # where style is compared; the last is decoded
DEEPEST = LAYERS[-1]
CHANNELS = 512  # of the last

EPSILON = 1e-5  # added to variances, so that deviations are not zero
SLOWEST = 0.001  # least weight of a step's paintings in the mean style


@dataclass(frozen=True, kw_only=True)
class AdainConfig(_base.DecayingConfig):
    """The settings of `adain`; the defaults are our best recipe for an hour on a laptop."""

    batch: int = with_default(_base.DecayingConfig, "batch", 2)
    epochs: int = with_default(_base.DecayingConfig, "epochs", 10)
    learning_rate: float = with_default(_base.DecayingConfig, "learning_rate", 3e-4)
    beta1: float = with_default(_base.DecayingConfig, "beta1", 0.9)
    beta2: float = with_default(_base.DecayingConfig, "beta2", 0.999)
    width: int = setting(32, "channels of the decoder at full size; 64 mirrors VGG-19", low=4, high=256)
    content: float = setting(1.0, "weight of the content loss: features of the result, as they were decoded", low=0)
    strokes: float = setting(2.0, "weight of the style loss: means and deviations of features", low=0)
    identity: float = setting(
        5.0, "weight of the identity loss: paintings in their own style stay as they are; 0 makes steps faster", low=0
    )


class Adain(_base.Method):
    """Encoder f: VGG-19 up to relu4_1, frozen; decoder g; g(AdaIN(f(c), f(s))) is content c in the style of s."""

    config: AdainConfig
    Config = AdainConfig
    batches: ClassVar[tuple[type[Batch], ...]] = (UnpairedBatch,)
    directions: ClassVar[tuple[str, ...]] = ("ab",)
    any_size = True
    deepest = DEEPEST
    presets: ClassVar[dict[str, _base.BaseConfig]] = {
        "paper": AdainConfig(
            batch=8, epochs=1000, learning_rate=1e-4, ema=0.0, decay=0.0, width=64, strokes=10.0, identity=0.0
        ),
    }

    def __init__(self, config: AdainConfig, spec: Spec):
        super().__init__(config, spec)
        self.encoder = VGG19(deepest=DEEPEST, kept=True)
        self.normalise = InstanceNorm(CHANNELS, eps=EPSILON)
        self.decoder = _decoder(spec.outputs, config.width)
        self.average = copy.deepcopy(self.decoder).requires_grad_(False) if config.ema else None
        self.usual_style = nn.Buffer(torch.zeros(2, CHANNELS))
        lay_out(self)
        self.optimizers = _base.optimizers_of(config, {"decoder": self.decoder})

    @property
    def multiple(self) -> int:
        """The encoder's total stride in pixels."""
        return self.encoder.multiple

    @property
    def kind(self) -> _base.Kind:
        """It paints."""
        return "paints"

    def setup(self, *, vgg: VGG19 | None = None, paintings: Sequence[Tensor] = ()) -> None:
        """Copy the weights of this network into the encoder."""
        for name, place in self.encoder.named_buffers():
            place.copy_(getattr(vgg, name))

    def training_step(self, batch: UnpairedBatch, step: int) -> dict[str, Tensor]:
        """One step of the decoder (equations 11 to 13); content and style relative to their targets.

        An identity loss is added, so that the decoder first learns to reproduce paintings (Park and Lee 2019,
        "Arbitrary Style Transfer with Style-Attentional Networks", section 3.2): this saves much training time.
        """
        with torch.no_grad():
            content = self._seen(batch.source, [DEEPEST])[DEEPEST]  # f(c): (N, 512, H / 8, W / 8)
            paintings = self._seen(batch.target, LAYERS)  # f(s)
            styles = {layer: moments(maps) for layer, maps in paintings.items()}
            told = self._restyled(content, styles[DEEPEST])  # t
        own = (paintings[DEEPEST],) if self.config.identity else ()
        made, *same = self.decoder(torch.cat([told, *own])).float().split(len(told))  # g(t), g(f(s))
        seen = self._seen(made, LAYERS)  # f(g(t))
        losses = {
            "content": _share(seen[DEEPEST], told),
            "style": torch.stack([_share(moments(seen[layer]), styles[layer]) for layer in LAYERS]).mean(),
        }
        loss = self.config.content * losses["content"] + self.config.strokes * losses["style"]
        if self.config.identity:
            height, width = same[0].shape[-2:]  # less the last pixels, if the encoder's stride does not divide
            losses["identity"] = F.l1_loss(same[0], batch.target[..., :height, :width])
            loss = loss + self.config.identity * losses["identity"]
        update(self.optimizers["decoder"], loss)
        way = by_step(lambda number: 1 / (number + 1), step, least=SLOWEST)
        self.usual_style.lerp_(distributed.mean(styles[DEEPEST].mean(0)), way)
        if self.average is not None:
            update_average(self.average, self.decoder, decay=self.config.ema, step=step)
        return {name: loss.detach() for name, loss in losses.items()}

    def translate(self, images: Tensor, direction: str = "ab") -> Tensor:
        """Images (N, C, H, W) in -1..1 in the mean style of the paintings that it was trained on."""
        assert direction in self.directions
        return self.restyle(images, self.usual_style)

    def style_of(self, images: Tensor) -> Tensor:
        """The style of each image (N, C, H, W) in -1..1: means and deviations of features, (N, 2, 512)."""
        return moments(self._seen(reflected(images, self.multiple), [DEEPEST])[DEEPEST])

    def restyle(self, images: Tensor, style: Tensor, *, strength: float = 1.0) -> Tensor:
        """Images (N, C, H, W) in -1..1 in a style (2, 512), or one each; `strength` 0 keeps the content's.

        A mean of styles is a style between them: the map is linear in it (section 7.2).
        """
        height, width = images.shape[-2:]
        content = self._seen(reflected(images, self.multiple, least=2), [DEEPEST])[DEEPEST]
        told = torch.lerp(content, self._restyled(content, style), strength)
        made: Tensor = (self.decoder if self.average is None else self.average)(told)
        return made[..., :height, :width].float().clamp(-1, 1)

    def _seen(self, images: Tensor, layers: tuple[str, ...] | list[str]) -> dict[str, Tensor]:
        maps = self.encoder(images.to(memory_format=torch.channels_last), layers)
        return {layer: seen.float() for layer, seen in maps.items()}

    def _restyled(self, content: Tensor, style: Tensor) -> Tensor:
        """AdaIN(x, y) = deviation(y) (x - mean(x)) / deviation(x) + mean(y), equation 8."""
        mean, deviation = style[..., None, None].unbind(-4)  # (..., 512, 1, 1) each
        restyled: Tensor = self.normalise(content) * deviation + mean
        return restyled


def moments(maps: Tensor) -> Tensor:
    """Means and deviations over the positions of feature maps (N, C, H, W): (N, 2, C), equations 5 and 6."""
    variance, mean = torch.var_mean(maps, dim=(-2, -1), correction=0)
    return torch.stack([mean, (variance + EPSILON).sqrt()], 1)


def _share(seen: Tensor, wanted: Tensor) -> Tensor:
    """The squared difference relative to the target's squares, so that all layers have the same weight."""
    return F.mse_loss(seen, wanted) / distributed.mean(wanted.square().mean())


def _decoder(outputs: int, width: int) -> nn.Sequential:
    """VGG-19 up to relu4_1 reversed (section 6): feature maps (N, 512, H, W) to images (N, outputs, 8 H, 8 W)."""
    widths, before = [4 * width, 4 * width, 4 * width, 4 * width, 2 * width, 2 * width, width, width], CHANNELS
    doubled = {0, 4, 6}  # upsampled after these
    layers: list[nn.Module] = []
    for i, after in enumerate(widths):
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(before, after, 3), nn.ReLU()]
        layers += [nn.Upsample(scale_factor=2)] if i in doubled else []
        before = after
    return nn.Sequential(*layers, nn.ReflectionPad2d(1), nn.Conv2d(before, outputs, 3))
