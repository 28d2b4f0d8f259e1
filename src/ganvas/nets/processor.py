"""Layers that do what torch's do, and on a processor in less time; elsewhere they are torch's."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.runtime import own_rows, share

FEWEST = 16  # places up to which a kernel costs more to cast than its product takes
_COINS = 2**16  # outcomes of the 16 random bits that decide on one number


class Conv2d(nn.Conv2d):
    """A convolution that is a matrix product where its kernel is larger than the maps, as deep in a U-Net.

    oneDNN lays the kernel out anew before each of its convolutions, and lays out its gradient again after them: of
    512x512 kernels on a map of 4x4 that takes ten times as long as the multiplications. A product takes it as it is.
    Not for dilated or grouped ones.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C', H', W')."""
        n, padding = len(input), _pair(self.padding)
        rows, columns = (
            (side + 2 * pad - kernel) // stride + 1
            for side, pad, kernel, stride in zip(input.shape[-2:], padding, self.kernel_size, self.stride, strict=True)
        )
        if not few_places(n * rows * columns, input, self.weight):
            return super().forward(input)
        seen = F.unfold(input, self.kernel_size, padding=padding, stride=self.stride)  # (N, C k k, H' W')
        made = _product(self.weight.flatten(1), seen.movedim(0, 1).flatten(1))  # (C', N H' W')
        made = made.view(-1, n, rows, columns).movedim(1, 0).contiguous(memory_format=torch.channels_last)
        return made if self.bias is None else made + self.bias.to(made.dtype)[:, None, None]


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that is a matrix product where its kernel is larger than the maps; see `Conv2d`."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Maps (N, C, H, W) to (N, C', H', W')."""
        n, (height, width) = len(input), input.shape[-2:]
        if output_size is not None or not few_places(n * height * width, input, self.weight):
            return super().forward(input, output_size)
        padding = _pair(self.padding)
        tall, wide = (
            (side - 1) * stride - 2 * pad + kernel + more
            for side, stride, pad, kernel, more in zip(
                (height, width), self.stride, padding, self.kernel_size, self.output_padding, strict=True
            )
        )
        places = input.movedim(0, 1).flatten(1)  # (C, N H W)
        drawn = _product(self.weight.flatten(1).mT, places)  # (C' k k, N H W)
        drawn = drawn.view(-1, n, height * width).movedim(1, 0)  # (N, C' k k, H W)
        made = F.fold(drawn, (tall, wide), self.kernel_size, padding=padding, stride=self.stride)  # (N, C', H', W')
        made = made.contiguous(memory_format=torch.channels_last)
        return made if self.bias is None else made + self.bias.to(made.dtype)[:, None, None]


def few_places(places: int, input: Tensor, kernel: Tensor) -> bool:
    """Whether maps, unfolded, are smaller than the kernel they meet, on a processor."""
    return input.device.type == "cpu" and places < len(kernel)


def _product(kernel: Tensor, places: Tensor) -> Tensor:
    """The product of a kernel (C', K) and what it meets (K, places).

    With few places it waits for the memory alone: in bf16 the kernel would be read, written and read again, and so would
    its gradient. So these stay in the format of the weights, which is the exacter one.
    """
    if places.shape[1] > FEWEST:
        return kernel @ places
    with torch.autocast(kernel.device.type, enabled=False):
        return (kernel @ places.to(kernel.dtype)).to(places.dtype)


def side_by_side(*maps: Tensor) -> Tensor:
    """Maps (N, C, H, W) as one, (N, sum of C, H, W), whose gradients come back each laid out by itself.

    As they come they are some of the channels of one tensor, and the norm of the maps takes fifteen times as long.
    """
    for part in maps:
        if part.requires_grad and part.device.type == "cpu":
            part.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
    return torch.cat(maps, 1)


def _pair(padding: str | tuple[int, ...]) -> tuple[int, int]:
    assert not isinstance(padding, str)
    down, across = padding
    return down, across


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) whose chance is drawn 16 bits for a number: torch draws a number for each.

    torch's generator gives the seed, and NumPy's quickest the bits, in half of the time that torch's takes for as many.

    Its rows are drawn for the whole batch, so that no two processes, or parts of a batch, leave out the same. The
    share that is left out is `p` to the nearest 65536th.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Numbers (N, ...), of the same shape."""
        if not self.training or not self.p:
            return input
        if input.device.type != "cpu" and share().of == 1:
            return super().forward(input)
        return input * own_rows(len(input), lambda n: self._drawn(n, input))

    def _drawn(self, n: int, input: Tensor) -> Tensor:
        """What `n` rows like those of `input` are multiplied by: 0 or 1 / (1 - p)."""
        shape = (n, *input.shape[1:])
        if input.device.type != "cpu":
            return F.dropout(input.new_ones(shape), self.p)
        if input.dim() == 4:  # in the order in which channels-last maps lie
            shape = (n, *input.shape[2:], input.shape[1])
        numbers = math.prod(shape)
        words = np.random.SFC64(int(torch.randint(2**62, ()))).random_raw(-(-numbers // 4))  # 64 bits each
        bits = torch.from_numpy(words.view(np.int16))[:numbers].view(shape)  # -32768 .. 32767
        kept = torch.empty(shape, dtype=input.dtype)
        torch.ge(bits, round(self.p * _COINS) - _COINS // 2, out=kept)
        kept.mul_(1 / (1 - self.p))
        return kept.movedim(-1, 1) if input.dim() == 4 else kept
