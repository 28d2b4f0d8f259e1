"""Fast style transfer: a network repaints any photograph in the style of a painting in one forward pass.

Johnson, Alahi and Fei-Fei 2016, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution".
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.core import distributed
from ganvas.core.optim import update, update_average
from ganvas.core.rng import randn
from ganvas.core.settings import setting, with_default
from ganvas.data.batch import Batch, ImageBatch, Spec
from ganvas.imaging.images import scaled, to_signed
from ganvas.losses import gram, gram_distance, total_variation
from ganvas.methods import _base
from ganvas.nets.layers import lay_out
from ganvas.nets.resnet import ResNet
from ganvas.nets.vgg import VGG19

CONTENT = "relu3_1"  # keeps the layout, but not the colours
STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # from colours and strokes to their arrangement

SHIFT = 8  # pixels at most by which the temporal loss shifts a photograph
GRAIN = 0.03  # standard deviation of the noise that the temporal loss adds, in -1..1


@dataclass(frozen=True, kw_only=True)
class FastStyleConfig(_base.TranslationConfig):
    """The settings of `fast_style`; the defaults are our best recipe for an hour on a laptop."""

    batch: int = with_default(_base.TranslationConfig, "batch", 2)
    epochs: int = with_default(_base.TranslationConfig, "epochs", 10)
    beta1: float = with_default(_base.TranslationConfig, "beta1", 0.9)
    beta2: float = with_default(_base.TranslationConfig, "beta2", 0.999)
    width: int = setting(32, "channels of the generator at full size", low=1, high=512)
    blocks: int = setting(5, "residual blocks", low=0, high=64)
    norm: Literal["instance", "group"] = setting(
        "group", "normalisation: instance norm, as in the papers, or group norm, which leaves fewer dark spots"
    )
    content: float = setting(1.0, "weight of the content loss: features of the photograph", low=0)
    strokes: float = setting(8.0, "weight of the style loss: Gram matrices of the painting's features", low=0)
    variation: float = setting(0.5, "weight of the total variation loss, against speckles", low=0)
    temporal: float = setting(
        0.0,
        "weight of the temporal loss: a shifted photograph gives a shifted result, against flicker in videos; try 10",
        low=0,
    )
    painting_size: int = setting(
        256,
        "shorter side, in pixels, that paintings are reduced to (never enlarged); sets the size of the strokes",
        low=32,
        high=4096,
    )


class FastStyle(_base.ImageToImage):
    """Generator: a photograph x to an image whose VGG-19 features have x's content and the painting's style."""

    config: FastStyleConfig
    Config = FastStyleConfig
    batches: ClassVar[tuple[type[Batch], ...]] = (ImageBatch,)
    deepest = STYLE[-1]
    takes_paintings = True
    presets: ClassVar[dict[str, _base.BaseConfig]] = {}

    def __init__(self, config: FastStyleConfig, spec: Spec):
        super().__init__(config, spec)
        self.generator = ResNet(
            spec.channels, spec.outputs,
            width=config.width, blocks=config.blocks, norm=config.norm, upsample=config.upsample,
        )  # fmt: skip
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        lay_out(self)
        self.optimizers = _base.optimizers_of(config, {"generator": self.generator})
        self.vgg: VGG19 | None = None

    @property
    def kind(self) -> _base.Kind:
        """It paints."""
        return "paints"

    def setup(self, *, vgg: VGG19 | None = None, paintings: Sequence[Tensor] = ()) -> None:
        """Use this network for the losses, and learn the style of the paintings: their mean Gram matrices."""
        assert vgg is not None
        assert paintings
        self.vgg = vgg.to(memory_format=torch.channels_last)
        seen: dict[str, list[Tensor]] = {layer: [] for layer in STYLE}
        for painting in paintings:
            share = min(1.0, self.config.painting_size / min(painting.shape[-2:]))
            sides = (round(n * share) for n in painting.shape[-2:])
            shown = scaled(to_signed(painting)[None], *sides).clamp_(-1, 1)
            with torch.no_grad():
                for layer, maps in self.vgg(shown, STYLE).items():
                    seen[layer].append(gram(maps)[0])
        for layer, grams in seen.items():
            self.register_buffer(f"wanted_{layer}", torch.stack(grams).mean(0), persistent=False)  # (C, C)

    @property
    def wanted(self) -> dict[str, Tensor]:
        """The target Gram matrix (C, C) of each layer."""
        return {layer: self.get_buffer(f"wanted_{layer}") for layer in STYLE}

    def training_step(self, batch: ImageBatch, step: int) -> dict[str, Tensor]:
        """One step of the generator towards content and style (equations 2 to 4)."""
        config, vgg = self.config, self.vgg
        assert vgg is not None
        photographs = batch.images.to(memory_format=torch.channels_last)  # x: (N, C, H, W)
        made = self.generator(photographs).float()
        with torch.no_grad():
            wanted = vgg(photographs, [CONTENT])[CONTENT].float()
        seen = vgg(made, [*STYLE, CONTENT])
        content = F.mse_loss(seen[CONTENT].float(), wanted) / distributed.mean(wanted.square().mean())
        style = torch.stack(
            [gram_distance(gram(seen[layer]), painted) for layer, painted in self.wanted.items()]
        ).mean()
        losses = {"content": content, "style": style, "variation": total_variation(made)}
        weights = {"content": config.content, "style": config.strokes, "variation": config.variation}
        if config.temporal:
            losses["temporal"], weights["temporal"] = self._flicker(photographs, made), config.temporal
        update(self.optimizers["generator"], torch.stack([weights[name] * losses[name] for name in losses]).sum())
        if self.average is not None:
            update_average(self.average, self.generator, decay=config.ema, step=step)
        return {name: loss.detach() for name, loss in losses.items()}

    def _flicker(self, photographs: Tensor, made: Tensor) -> Tensor:
        """The temporal loss: how much a result changes, apart from the shift, when its photograph is shifted and noisy.

        After Zheng, Song, Leung and Goodfellow 2016, "Improving the Robustness of Deep Neural Networks via
        Stability Training"; no optical flow is needed, for the motion is known.
        """
        down, across = torch.randint(-SHIFT, SHIFT + 1, (2,), device=photographs.device)
        grain = GRAIN * randn(*photographs.shape, device=photographs.device)
        again = self.generator(_moved(photographs, down, across) + grain).float()
        inner = (..., slice(SHIFT, -SHIFT), slice(SHIFT, -SHIFT)) if self.spec.size > 4 * SHIFT else (...,)
        return F.mse_loss(again[inner], _moved(made, down, across)[inner])


def _moved(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Images (N, C, H, W) shifted cyclically by `down` and `across` pixels, each ( )."""
    height, width = images.shape[-2:]
    rows, columns = (
        (torch.arange(side, device=images.device) - by) % side for side, by in ((height, down), (width, across))
    )
    return images.index_select(-2, rows).index_select(-1, columns)
