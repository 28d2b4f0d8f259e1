"""Noise removal."""

from dataclasses import replace

import torch

from ganvas.core.device import sent
from ganvas.data.batch import PairBatch
from ganvas.data.tasks._base import Task


class Denoise(Task):
    """Removes Gaussian noise of standard deviation `amount`, as a fraction of black to white."""

    parameter = "SIGMA"
    meaning = "the noise's standard deviation as a fraction of black to white"
    default, low, high = 0.1, 0.001, 1.0
    fresh = True

    def afresh(self, pairs: PairBatch, generator: torch.Generator) -> PairBatch:
        """New noise on every source."""
        noise = sent(torch.randn(pairs.source.shape, generator=generator), pairs.source.device)
        noisy = noise.mul_(255 * self.amount).add_(pairs.source)
        return replace(pairs, source=noisy.round_().clamp_(0, 255).to(torch.uint8))
