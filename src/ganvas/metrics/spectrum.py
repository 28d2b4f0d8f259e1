"""Upsampling artifacts: patterns that repeat every few pixels, found in the mean power spectrum of images."""

import torch
from torch import Tensor

STRIDES = (2, 4, 8)  # pixels: periods of one, two and three upsamplings
COARSEST = STRIDES[-1]
MOST_WINDOW = 64  # pixels; more would resolve periods better, but plain areas worse
WINDOWS_AT_ONCE = 64  # more leave the CPU's cache
NEAREST = 3  # frequency bins up to which neighbours are taken


def power_spectrum(images: Tensor) -> Tensor:
    """The mean power of windows of uint8 images (N, C, H, W) over frequency (W, W), row by column; float64.

    Hann windows of up to 64 pixels a side, half overlapping, each less its mean, the powers of its channels added.
    Every window has the same weight, whatever its contrast: its powers are divided by their mean over the finer
    frequencies, so that a pattern in a plain sky is not lost beside a tree. The noise of rounding to bytes is added,
    so that patterns below it do not count.
    """
    side = min(MOST_WINDOW, min(images.shape[-2:]) // COARSEST * COARSEST)
    windows = images.unfold(2, side, side // 2).unfold(3, side, side // 2)  # (N, C, rows, columns, side, side)
    windows = windows.flatten(2, 3).transpose(1, 2).flatten(0, 1)  # (n, C, side, side)
    hann = torch.hann_window(side)
    hann = hann[:, None] * hann
    frequency = torch.fft.fftfreq(side).abs()
    fine = torch.maximum(frequency[:, None], frequency[: side // 2 + 1]) > 1 / (2 * COARSEST)
    of_fine = (fine / fine.sum()).flatten()  # with which the mean over them is a product
    total, count = torch.zeros(side, side // 2 + 1, dtype=torch.float64), 0
    for part in torch.split(windows, WINDOWS_AT_ONCE):
        values = part.float()
        values = (values - values.mean((2, 3), keepdim=True)) * hann
        waves = torch.fft.rfft2(values)  # (n, C, side, side / 2 + 1)
        power = (waves * waves.conj()).real.sum(1) + part.shape[1] * hann.square().sum() / 12
        total += (power / (power.flatten(1) @ of_fine)[:, None, None]).sum(0, dtype=torch.float64)
        count += len(power)
    mirrored = total[-torch.arange(side) % side][:, 1:-1].flip(1)  # of a real image, the power at -f is that at f
    return torch.cat([total, mirrored], 1) / count


def checkerboard(spectrum: Tensor) -> dict[int, float]:
    """The peaks of a power spectrum at the frequencies of strides, by their period in pixels; 1 is no peak.

    Upsampling layers leave patterns that repeat every 2 pixels, or every 4 or 8 if more upsamplings follow
    (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"). For each frequency of a period, and of no
    shorter one, the power is divided by the medians of its neighbours in its row and in its column, and the smaller
    ratio is taken: edges raise a whole row or column, a pattern a single point. The ratios are averaged.
    """
    side, scores = len(spectrum), dict[int, float]()
    for period in (period for period in STRIDES if side // period > NEAREST):
        step = side // period
        places = {
            (row, column)
            for row in range(0, side, step)
            for column in range(0, side, step)
            if row // step % 2 or column // step % 2  # else a shorter period has it
        }
        scores[period] = sum(_standing_out(spectrum, *place) for place in places) / len(places)
    return scores


def _standing_out(spectrum: Tensor, row: int, column: int) -> float:
    side = len(spectrum)
    beside = torch.tensor([k for far in range(2, NEAREST + 1) for k in (-far, far)])  # at 1 is still the peak
    in_row, in_column = spectrum[row, (column + beside) % side], spectrum[(row + beside) % side, column]
    return float(spectrum[row, column] / torch.maximum(in_row.quantile(0.5), in_column.quantile(0.5)))
