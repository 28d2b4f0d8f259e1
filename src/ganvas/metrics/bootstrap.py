"""How surely a mean over images is known."""

import math

import numpy as np
import torch
from torch import Tensor

RESAMPLES = 1000
FEWEST = 6  # of five that are no better on the whole, one time in sixteen all five are


def bootstrap(values: Tensor) -> tuple[Tensor, Tensor]:
    """Both ends of the 95 % intervals of the means of the columns of `values` (N, K), N >= `FEWEST`: (K,) each.

    Efron 1979: the middle part of the means of 1,000 sets of N rows, drawn with replacement. Of few rows the middle
    95 % are too narrow, for they take the spread of the rows for that of all there could be: of ten they miss the
    truth one time in nine. So a little more than that is taken, by Student's t (Hesterberg 2015, "What Teachers Should
    Know About the Bootstrap", section 5.3). Every call with as many rows draws the same ones, and so do all columns.
    """
    columns, lot = values.double().T.numpy(), np.random.default_rng(0)
    n = columns.shape[1]
    means = np.stack([columns[:, lot.integers(0, n, n)].mean(1) for _ in range(RESAMPLES)])  # (1000, K)
    outside = _outside(n)
    low, high = torch.from_numpy(np.quantile(means, (outside, 1 - outside), axis=0))
    return low, high


def _outside(n: int) -> float:
    """The share of the means of n rows that is left out at either end; a fortieth of a great many."""
    from scipy.stats import norm, t

    return float(norm.cdf(-math.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1)))
