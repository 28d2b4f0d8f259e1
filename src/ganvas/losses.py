"""Losses as plain functions of tensors."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.core.rng import rand

PENALTY_EVERY = 16  # steps; less often, with more weight: as effective, and cheap (Karras et al. 2020, section 3.1)


def discriminator_cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss, from logits (N, 1): -E log D(x) - E log(1 - D(G(z))).

    Goodfellow et al. 2014, equation 1. With D = sigmoid(logit), -log D is softplus(-logit); this form is the usual
    cross entropy without the loss of precision of a sigmoid.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_cross_entropy(fake: Tensor) -> Tensor:
    """The generator's loss, from logits (N, 1): -E log D(G(z)), the non-saturating form.

    Goodfellow et al. 2014, section 3: the minimax form has no gradient where the discriminator is confident.
    """
    return F.softplus(-fake).mean()


def discriminator_least_squares(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss: E (D(x) - 1)^2 + E D(G(z))^2.

    Mao et al. 2017, "Least Squares Generative Adversarial Networks", equation 9 with b = 1, a = 0, without its factors.
    """
    return (real - 1).square().mean() + fake.square().mean()


def generator_least_squares(fake: Tensor) -> Tensor:
    """The generator's loss: E (D(G(z)) - 1)^2; the same equation with c = 1."""
    return (fake - 1).square().mean()


def feature_distance(seen: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """The mean absolute difference of feature maps (N, C, H, W), averaged over layers.

    With a discriminator's feature maps this is feature matching (Wang et al. 2018, "High-Resolution Image Synthesis and
    Semantic Manipulation with Conditional GANs", equation 4), with VGG's a perceptual loss (Johnson et al. 2016).
    `wanted` gets no gradient.
    """
    distances = [F.l1_loss(ours.float(), theirs.detach().float()) for ours, theirs in zip(seen, wanted, strict=True)]
    return torch.stack(distances).mean()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Half the expected squared norm of the discriminator's gradient at real images (N, C, H, W), in fp32.

    Mescheder et al. 2018, equation 9, without its weight gamma: E |grad D(x)|^2 / 2. Zero for a discriminator that is
    flat at the data, as it must be at the equilibrium.
    """
    with torch.autocast(real.device.type, enabled=False):
        real = real.detach().float().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
        return gradient.square().flatten(1).sum(1).mean() / 2


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """E (|grad f(x)| - 1)^2 at images between real and fake ones (N, C, H, W), in fp32.

    Gulrajani et al. 2017, equation 3, without its weight lambda. x = e real + (1 - e) fake with one e, uniform in
    0..1, for each pair of images; the norm is over all values of an image. Zero for a critic of slope one.
    """
    with torch.autocast(real.device.type, enabled=False):
        mixing = rand(len(real), *[1] * (real.dim() - 1), device=real.device)
        between = torch.lerp(fake.detach().float(), real.detach().float(), mixing).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        slope: Tensor = gradient.flatten(1).norm(dim=1)
        return (slope - 1).square().mean()


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats, summed over latent dimensions, averaged over images; both (N, L).

    Kingma and Welling 2014, appendix B.
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2


def bernoulli_nll(logits: Tensor, images: Tensor) -> Tensor:
    """Negative log-likelihood in nats, summed over an image's values, averaged over images (N, C, H, W) in -1..1.

    Each value is read as the probability of white, as textbooks do (Kingma and Welling 2014, appendix C.1); `logits`
    are those of the predicted probability.
    """
    return F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="sum") / len(images)


def gaussian_nll(means: Tensor, images: Tensor, log_variance: Tensor) -> Tensor:
    """Negative log-likelihood in nats under N(mean, variance), summed over values, averaged over images (N, C, H, W).

    One scalar variance for all values. It is learned, and balances reconstruction against KL by itself (Rybkin et al.
    2021, "Simple and Effective VAE Training with Calibrated Decoders").
    """
    squares = (images - means).square().sum() / len(images)
    nll: Tensor = (squares / log_variance.exp() + images[0].numel() * (log_variance + math.log(2 * math.pi))) / 2
    return nll


def gram(maps: Tensor) -> Tensor:
    """Gram matrices of feature maps: (N, C, H, W) to F F^T / (H W), (N, C, C), in fp32.

    Gatys, Ecker and Bethge 2016, equation 3, divided by the number of positions, so that images of different sizes can
    be compared.
    """
    with torch.autocast(maps.device.type, enabled=False):
        rows = maps.float().flatten(2)  # (N, C, H W)
        return rows @ rows.mT / rows.shape[-1]


def gram_distance(seen: Tensor, wanted: Tensor) -> Tensor:
    """|G - A|^2 / |A|^2, averaged over images, of Gram matrices (N, C, C) and those of a style (C, C) or (N, C, C).

    E_l of Gatys et al. (equation 4), up to a constant. Relative to the style's own norm every layer counts alike,
    although their values differ by factors of a thousand; 1 is an image without any style.
    """
    squares = (seen - wanted).square().sum((-2, -1)) / wanted.square().sum((-2, -1)).clamp(min=1e-12)
    return squares.mean()


def total_variation(images: Tensor) -> Tensor:
    """The mean squared difference of neighbouring pixels, vertical plus horizontal, of images (N, C, H, W).

    Rudin, Osher and Fatemi 1992, with squares in place of their root; Mahendran and Vedaldi 2015 with beta = 2.
    """
    down, across = images.diff(dim=-2), images.diff(dim=-1)
    return down.square().mean() + across.square().mean()
