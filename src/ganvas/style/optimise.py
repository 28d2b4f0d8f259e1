"""Optimisation of an image: L-BFGS over its frequencies, or Adam over its pixels.

Liu and Nocedal 1989, "On the Limited Memory BFGS Method"; Kingma and Ba 2015, "Adam".
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Look = Callable[[Tensor], tuple[float, Tensor]]  # from an image to its loss, and the loss's gradient

_MEMORY = (10, 100)  # history size of L-BFGS, least and most
_REMEMBERED = 2**28  # bytes for it, unless the least takes more; a step takes as much as two images
_COARSE = 0.02  # cycles a pixel; higher frequencies are changed less


def by_lbfgs(look: Look, start: Tensor) -> Iterator[Tensor]:
    """Endless images (1, C, H, W) in -1..1, each by a step, with one evaluation, from the one before.

    L-BFGS begins with all directions alike, and pixels are a poor choice of them: single ones matter little, and whole
    regions much. So it works on the image's frequencies, the fine ones weighted less: after as many evaluations it is a
    tenth of the way ahead. Without a line search: it cost a tenth more evaluations and led no further.
    """
    weights = _weights(*start.shape[-2:], device=start.device)
    point = _weighted(start.detach(), 1 / weights).requires_grad_()
    least, most = _MEMORY
    memory = max(least, min(most, _REMEMBERED // (2 * point.nbytes)))
    # no tolerances: a loss is a mean over pixels, so gradients of large images are small from the first step on
    optimizer = torch.optim.LBFGS(
        [point], lr=1, max_iter=1, history_size=memory, tolerance_grad=0, tolerance_change=0
    )  # fmt: skip

    def looked() -> float:
        loss, gradient = look(_weighted(point.detach(), weights))
        point.grad = _weighted(gradient, weights)
        return loss

    while True:
        optimizer.step(looked)  # type: ignore[no-untyped-call]
        image = _weighted(point.detach(), weights).clamp_(-1, 1)
        with torch.no_grad():
            point.copy_(_weighted(image, 1 / weights))
        yield image


def by_adam(look: Look, start: Tensor, *, learning_rate: float) -> Iterator[Tensor]:
    """Endless images (1, C, H, W) in -1..1, each by a step from the one before."""
    image = start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([image], learning_rate, betas=(0.9, 0.99))
    while True:
        _, image.grad = look(image.detach())
        optimizer.step()
        with torch.no_grad():
            image.clamp_(-1, 1)
        yield image.detach()


def _weights(height: int, width: int, *, device: torch.device) -> Tensor:
    """The weight of each frequency of such an image, (H, W // 2 + 1): about the frequency to the power -1/2."""
    rows, columns = torch.fft.fftfreq(height, device=device), torch.fft.rfftfreq(width, device=device)
    squares = rows[:, None].square() + columns.square()
    weights: Tensor = (1 + squares / _COARSE**2) ** -0.25
    return weights


def _weighted(images: Tensor, weights: Tensor) -> Tensor:
    """Images (N, C, H, W) with each frequency multiplied by its weight; its own transpose."""
    weighted: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * weights, s=images.shape[-2:])
    return weighted
