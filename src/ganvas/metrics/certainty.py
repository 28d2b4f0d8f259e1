"""How surely a mean over pictures is known."""

import numpy as np
import torch
from torch import Tensor

RESAMPLES = 1000


def bootstrap(values: Tensor) -> tuple[Tensor, Tensor]:
    """Both ends of the 95 % intervals of the means of the columns of `values` (N, K), N >= 2: (K,) each.

    Efron 1979: the middle 95 % of the means of 1,000 sets of N rows, drawn with replacement. Every call with as many
    rows draws the same ones, and so do all columns.
    """
    columns, lot = values.double().T.numpy(), np.random.default_rng(0)
    n = columns.shape[1]
    means = np.stack([columns[:, lot.integers(0, n, n)].mean(1) for _ in range(RESAMPLES)])  # (1000, K)
    low, high = torch.from_numpy(np.quantile(means, (0.025, 0.975), axis=0))
    return low, high
