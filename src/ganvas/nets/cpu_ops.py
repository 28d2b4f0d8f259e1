"""Layers like torch's that are faster on a CPU; on other devices they are torch's."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.core.accumulation import share
from ganvas.core.device import multiplies_in_tiles
from ganvas.core.rng import own_rows

Sides = tuple[int, ...]  # of height and width

SMALL = 64  # positions of a feature map, 8x8, up to which a kernel's gradient is a product if these are fast
WIDE = 32  # channels on both sides from which it is
FEWEST = 16  # positions up to which casting a kernel takes longer than its product
_COINS = 2**16  # outcomes of the 16 random bits that decide on one number


class Conv2d(nn.Conv2d):
    """A convolution that is a matrix product if its kernel is larger than the feature maps, as deep in a U-Net.

    oneDNN reorders the kernel before each convolution, and its gradient after it: for 512x512 kernels on a feature map
    of 4x4 that takes ten times as long as the multiplications. A product uses the kernel as it is. Not for dilated or
    grouped convolutions. For small feature maps, in bf16 on CPUs that are fast at products, the gradient of a kernel
    is one, too: see `_Convolution`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Feature maps (N, C, H, W) to (N, C', H', W')."""
        n, padding = len(input), _pair(self.padding)
        rows, columns = (
            (side + 2 * pad - kernel) // stride + 1
            for side, pad, kernel, stride in zip(input.shape[-2:], padding, self.kernel_size, self.stride, strict=True)
        )
        if not few_places(n * rows * columns, input, self.weight):
            if _is_small(rows * columns, input, self.weight):
                return _convolved(input, self.weight, self.bias, stride=self.stride, padding=padding)
            return super().forward(input)
        seen = F.unfold(input, self.kernel_size, padding=padding, stride=self.stride)  # (N, C k k, H' W')
        made = _product(self.weight.flatten(1), seen.movedim(0, 1).flatten(1))  # (C', N H' W')
        made = made.view(-1, n, rows, columns).movedim(1, 0).contiguous(memory_format=torch.channels_last)
        return made if self.bias is None else made + self.bias.to(made.dtype)[:, None, None]


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that is a matrix product if its kernel is larger than the feature maps; see `Conv2d`."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Feature maps (N, C, H, W) to (N, C', H', W')."""
        n, (height, width) = len(input), input.shape[-2:]
        padding = _pair(self.padding)
        if output_size is not None or not few_places(n * height * width, input, self.weight):
            if output_size is None and _is_small(height * width, input, self.weight):
                return _convolved(
                    input, self.weight, self.bias, stride=self.stride, padding=padding, more=self.output_padding
                )
            return super().forward(input, output_size)
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
    """Whether unfolded feature maps are smaller than the kernel, on a CPU."""
    return input.device.type == "cpu" and places < len(kernel)


def _is_small(places: int, input: Tensor, kernel: Tensor) -> bool:
    """Whether `_Convolution` is faster: for small feature maps, with gradients, in bf16, with AMX."""
    return (
        places <= SMALL
        and min(kernel.shape[:2]) >= WIDE
        and input.device.type == "cpu"
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and multiplies_in_tiles()
    )


def _convolved(
    maps: Tensor, kernel: Tensor, bias: Tensor | None, *, stride: Sides, padding: Sides, more: Sides | None = None
) -> Tensor:
    """Feature maps (N, C, H, W) convolved in bf16, or with `more`, the output padding, transposed."""
    bf16 = (None if t is None else t.to(torch.bfloat16) for t in (maps, kernel, bias))
    made: Tensor = _Convolution.apply(*bf16, stride, padding, more)
    return made


class _Convolution(torch.autograd.Function):
    """A convolution, or with output padding a transposed one, whose gradient of the kernel is one matrix product.

    oneDNN's takes up to ten times as long for many feature maps as small as 4x4 or 8x8: it works along rows of a map,
    which are then shorter than a tile. Here all positions of all maps are the rows of one matrix. Arguments are in
    torch's order; it can be differentiated twice.
    """

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, kernel: Tensor, bias: Tensor | None, stride: Sides, padding: Sides, more: Sides | None
    ) -> Tensor:
        ctx.save_for_backward(maps, kernel)
        ctx.how = stride, padding, more
        if more is None:
            return F.conv2d(maps, kernel, bias, stride, padding)
        return F.conv_transpose2d(maps, kernel, bias, stride, padding, more)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (maps, kernel), (stride, padding, more), (gradient,) = ctx.saved_tensors, ctx.how, gradients
        asked = [_is_asked_for(node) for node, _ in ctx.next_functions]  # of tensors only: without bias there are two
        of_maps, of_kernel, of_bias = (*asked, False)[:3]
        return (
            _of_maps(gradient, maps, kernel, stride, padding, more) if of_maps else None,
            _of_kernel(gradient, maps, kernel, stride, padding, transposed=more is not None) if of_kernel else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
            None,
            None,
            None,
        )


def _is_asked_for(node: Any) -> bool:
    """Whether the backward pass needs the gradient that goes to `node`.

    A generator's step needs none for the discriminator's kernels; torch tells a function only whether they train.
    """
    if node is None:
        return False
    try:
        return bool(torch._C._will_engine_execute_node(node))
    except (AttributeError, RuntimeError):  # not in this torch, or a leaf: assume that it does
        return True


def _of_maps(
    gradient: Tensor, maps: Tensor, kernel: Tensor, stride: Sides, padding: Sides, more: Sides | None
) -> Tensor:
    if more is not None:  # of a transposed convolution it is a convolution
        return F.conv2d(gradient, kernel, None, stride, padding)
    short = [
        side - ((small - 1) * step - 2 * pad + size)
        for side, small, step, pad, size in zip(
            maps.shape[2:], gradient.shape[2:], stride, padding, kernel.shape[2:], strict=True
        )
    ]
    return F.conv_transpose2d(gradient, kernel, None, stride, padding, short)


def _of_kernel(
    gradient: Tensor, maps: Tensor, kernel: Tensor, stride: Sides, padding: Sides, *, transposed: bool
) -> Tensor:
    """(C', C, k, k), in the kernel's memory format; for a transposed convolution `gradient` and `maps` swap."""
    small, large = (maps, gradient) if transposed else (gradient, maps)
    first, second, tall, wide = kernel.shape
    (down, across), (row, column) = padding, stride
    padded = F.pad(large.movedim(1, -1), (0, 0, across, across, down, down))  # (N, H, W, C)
    met = padded.unfold(1, tall, row).unfold(2, wide, column)  # (N, H', W', C, k, k)
    met = met.movedim(3, -1).reshape(-1, tall * wide * second)  # (N H' W', k k C)
    made = small.movedim(1, -1).reshape(-1, first).mT @ met  # (C', k k C)
    made = made.view(first, tall, wide, second).movedim(-1, 1)
    last = kernel.is_contiguous(memory_format=torch.channels_last)
    return made.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def _product(kernel: Tensor, places: Tensor) -> Tensor:
    """The product of a kernel (C', K) and unfolded feature maps (K, places).

    With few places memory is the bottleneck: in bf16 the kernel would be read, written and read again, and so would
    its gradient. So these stay in the dtype of the weights, which is also more precise.
    """
    if places.shape[1] > FEWEST:
        return kernel @ places
    with torch.autocast(kernel.device.type, enabled=False):
        return (kernel @ places.to(kernel.dtype)).to(places.dtype)


def side_by_side(*maps: Tensor) -> Tensor:
    """Feature maps (N, C, H, W) concatenated along the channels, (N, sum of C, H, W).

    Their gradients would be slices of one tensor, with which a norm takes fifteen times as long: so they are copied.
    """
    for part in maps:
        _lay_out_gradient(part)
    return torch.cat(maps, 1)


class Flatten(nn.Flatten):
    """Feature maps (N, C, H, W) to rows (N, C H W); gradients get the memory format of the feature maps."""

    def forward(self, input: Tensor) -> Tensor:
        """Feature maps to rows."""
        _lay_out_gradient(input)
        return super().forward(input)


class Unflatten(nn.Unflatten):
    """Rows (N, C H W) to feature maps (N, C, H, W) in the memory format of the convolutions after them."""

    def forward(self, input: Tensor) -> Tensor:
        """Rows to feature maps."""
        maps = super().forward(input)
        return maps.contiguous(memory_format=torch.channels_last) if maps.device.type == "cpu" else maps


def _lay_out_gradient(maps: Tensor) -> None:
    """Make the gradient of channels-last feature maps channels-last, too, on a CPU."""
    laid_out = maps.dim() == 4 and maps.is_contiguous(memory_format=torch.channels_last)
    if laid_out and maps.requires_grad and maps.device.type == "cpu":
        maps.register_hook(_channels_last)  # type: ignore[no-untyped-call]


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


def _pair(padding: str | tuple[int, ...]) -> tuple[int, int]:
    assert not isinstance(padding, str)
    down, across = padding
    return down, across


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) from 16 random bits per value, where torch samples a whole number.

    torch's generator gives the seed, and NumPy's fastest one the bits, in half of the time that torch's would take.

    The mask is sampled for the whole batch, so that processes, and parts of a batch, get different rows. The
    probability is `p` to the nearest 65536th.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Values (N, ...) to values of the same shape."""
        if not self.training or not self.p:
            return input
        if input.device.type != "cpu" and share().of == 1:
            return super().forward(input)
        return input * own_rows(len(input), lambda n: self._drawn(n, input))

    def _drawn(self, n: int, input: Tensor) -> Tensor:
        """The mask for `n` rows like those of `input`: 0 or 1 / (1 - p)."""
        shape = (n, *input.shape[1:])
        if input.device.type != "cpu":
            return F.dropout(input.new_ones(shape), self.p)
        if input.dim() == 4:  # in the order of channels-last feature maps
            shape = (n, *input.shape[2:], input.shape[1])
        numbers = math.prod(shape)
        words = np.random.SFC64(int(torch.randint(2**62, ()))).random_raw(-(-numbers // 4))  # 64 bits each
        bits = torch.from_numpy(words.view(np.int16))[:numbers].view(shape)  # -32768 .. 32767
        kept = torch.empty(shape, dtype=input.dtype)
        torch.ge(bits, round(self.p * _COINS) - _COINS // 2, out=kept)
        kept.mul_(1 / (1 - self.p))
        return kept.movedim(-1, 1) if input.dim() == 4 else kept
