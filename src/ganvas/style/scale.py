"""Style transfer at one size: the losses with their targets, and the steps that minimise them.

Gatys, Ecker and Bethge 2016, equations 1 to 7; with a mask, Gatys et al. 2017, "Controlling Perceptual Factors in
Neural Style Transfer", equation 3.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ganvas.errors import DivergedError
from ganvas.losses import gram, gram_distance, total_variation
from ganvas.nets.vgg import VGG19
from ganvas.style.config import CONTENT_LAYER, StylizeConfig
from ganvas.style.optimise import by_adam, by_lbfgs

Statistics = Mapping[str, Tensor]  # by layer, a Gram matrix (1, C, C)

_WHOLE = 2**20  # pixels at most for which all activations are kept: up to 3 GB in bf16


@dataclass(frozen=True)
class Scale:
    """The losses and their targets at one size.

    Attributes:
        config: the weights of the losses.
        network: VGG-19.
        exact: the same in fp32 if `network` is in bf16, for the second half of the steps; None to use `network` only.
        content: float (1, 1 or 3, H, W) in -1..1.
        style: the target of each layer.
        mask: where to change it, (1, 1, H, W) in 0..1; None for everywhere.
        seen: the features of the content, (1, C, H', W').
    """

    config: StylizeConfig
    network: VGG19
    exact: VGG19 | None
    content: Tensor
    style: Statistics
    mask: Tensor | None
    seen: Tensor

    def losses(self, image: Tensor, *, exactly: bool = False) -> dict[str, Tensor]:
        """The losses of an image (1, 1 or 3, H, W), each a scalar; `exactly`, by the exact network.

        `content` is the squared error of the features, relative to the squares of the content's; `style` that of the
        Gram matrices, relative to the style's, averaged over the layers by their weights; so 1 is an image with
        nothing of either, whatever its size. `variation` is in squares of -1..1.
        """
        shown = image if self.mask is None else torch.lerp(self.content, image, self.mask)
        frugal = shown.shape[-2] * shown.shape[-1] > _WHOLE
        network = self.exact if exactly and self.exact is not None else self.network
        maps = network(shown, (*self.style, CONTENT_LAYER), frugal=frugal)
        error = (maps[CONTENT_LAYER].float() - self.seen).square().mean()
        distances = [
            share * gram_distance(self._gram(maps[layer], frugal=frugal), self.style[layer])
            for layer, share in self.config.shares.items()
        ]
        content = error / self.seen.square().mean().clamp(min=1e-12)
        return {"content": content, "style": torch.stack(distances).sum(), "variation": total_variation(shown)}

    def _gram(self, maps: Tensor, *, frugal: bool) -> Tensor:
        """The Gram matrix of feature maps (1, C, H, W); if `frugal`, without keeping their copy in fp32."""
        if not frugal:
            return masked_gram(maps, self.mask)
        matrix: Tensor = checkpoint(masked_gram, maps, self.mask, use_reentrant=False)
        return matrix

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum that is minimised."""
        config = self.config
        return (
            config.content_weight * losses["content"]
            + config.style_weight * losses["style"]
            + config.variation_weight * losses["variation"]
        )

    def steps(self, start: Tensor, count: int) -> Iterator[tuple[dict[str, float], Tensor]]:
        """Optimise an image (1, 1 or 3, H, W) step by step; yields the losses before each, and the image after it.

        Near the end bf16 is not precise enough: with all steps in it, the loss ends higher.

        Raises:
            DivergedError: if a loss is not finite.
        """
        found: dict[str, float] = {}
        config, looks = self.config, 0
        # a sum of weights below 1 is scaled to 1: L-BFGS skips curvature below 1e-10, and would not move
        share = min(1.0, config.content_weight + config.style_weight + config.variation_weight)

        def look(image: Tensor) -> tuple[float, Tensor]:
            nonlocal looks
            image, looks = image.requires_grad_(), looks + 1
            losses = self.losses(image, exactly=looks > count // 2)
            total = self.total(losses) / share
            (gradient,) = torch.autograd.grad(total, image)
            found.update((name, float(loss.detach())) for name, loss in losses.items())
            if not all(map(math.isfinite, found.values())):
                raise DivergedError("the loss is not finite any more; give smaller weights, or `optimizer` adam")
            return float(total.detach()), gradient

        adam = config.optimizer == "adam"
        images = by_adam(look, start, learning_rate=config.learning_rate) if adam else by_lbfgs(look, start)
        average = start.detach().clone()
        for step, image in enumerate(itertools.islice(images, count)):
            # the decay grows from a tenth to `average`, so that the average soon forgets the start
            average.lerp_(image, 1 - min(config.average, (1 + step) / (10 + step)))
            yield dict(found), average


def masked_gram(maps: Tensor, mask: Tensor | None) -> Tensor:
    """The Gram matrix of feature maps (1, C, H, W), weighted by a mask (1, 1, H', W') in 0..1."""
    if mask is None:
        return gram(maps)
    height, width = maps.shape[-2:]
    share = F.adaptive_avg_pool2d(mask, (height, width))
    return gram(maps * (share / share.mean().clamp(min=1e-6)).sqrt())
