"""Confidence intervals of means over images."""

import math

import numpy as np
import torch
from torch import Tensor

RESAMPLES = 1000
FEWEST = 6  # of five values around zero, all have the same sign one time in sixteen


def bootstrap(values: Tensor) -> tuple[Tensor, Tensor]:
    """Both ends of 95 % confidence intervals of the means of the columns of `values` (N, K), N >= `FEWEST`: (K,) each.

    Efron 1979: percentiles of the means of 1,000 sets of N rows, sampled with replacement. For few rows the middle
    95 % are too narrow, for the rows vary less than the population: for ten rows they miss the true mean one time in
    nine. So they are widened a little, by Student's t (Hesterberg 2015, "What Teachers Should Know About the
    Bootstrap", section 5.3). Calls with equally many rows sample the same ones, and so do all columns.
    """
    columns, lot = values.double().T.numpy(), np.random.default_rng(0)
    n = columns.shape[1]
    means = np.stack([columns[:, lot.integers(0, n, n)].mean(1) for _ in range(RESAMPLES)])  # (1000, K)
    outside = _outside(n)
    low, high = torch.from_numpy(np.quantile(means, (outside, 1 - outside), axis=0))
    return low, high


def _outside(n: int) -> float:
    """The fraction of the means of n rows that is left out at either end; 1/40 for large n."""
    from scipy.stats import norm, t

    return float(norm.cdf(-math.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1)))
