"""Losses as plain functions of tensors."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PENALTY_EVERY = 16  # steps; as often with 16 times the weight does as much, and costs little (Karras et al. 2020, 3.1)


def discriminator_cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimises, from logits (N, 1): -E log D(x) - E log(1 - D(G(z))).

    Goodfellow et al. 2014, equation 1. With D = sigmoid(logit), -log D is softplus(-logit); computed so, it
    is the cross entropy of the textbooks' sigmoid without its loss of digits.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_cross_entropy(fake: Tensor) -> Tensor:
    """What the generator minimises, from logits (N, 1): -E log D(G(z)), the non-saturating form.

    Goodfellow et al. 2014, section 3: the minimax form has no gradient where the discriminator is sure.
    """
    return F.softplus(-fake).mean()


def r1_penalty(discriminator: nn.Module, real: Tensor) -> Tensor:
    """Half the expected squared norm of the discriminator's gradient at real pictures (N, C, H, W), in fp32.

    Mescheder et al. 2018, equation 9, without its weight gamma: E |grad D(x)|^2 / 2. Zero for a discriminator
    that is flat where the data are, which is where the game must come to rest.
    """
    with torch.autocast(real.device.type, enabled=False):
        real = real.detach().float().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
        return gradient.square().flatten(1).sum(1).mean() / 2
