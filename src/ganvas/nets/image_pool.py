"""A pool of earlier fake images, which a discriminator sees again (Shrivastava et al. 2017; CycleGAN, section 4)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganvas.core import distributed
from ganvas.core.rng import everyones_rows


@dataclass(frozen=True)
class Choices:
    """The random choices for fakes (N, C, H, W), one after the other.

    Attributes:
        fakes: the new fake images.
        places: (N,), index in the pool: the next free place, or a random one.
        kept: (N,), whether the fake is stored there.
        shown: (N,), index of the image shown for it: in the pool, or beyond its size in `fakes`.
    """

    fakes: Tensor
    places: Tensor
    kept: Tensor
    shown: Tensor


class Pool(nn.Module):
    """Earlier fake images, some of which are shown again (section 4).

    Random choices stay on the device as indices, so that the CPU does not wait for them.

    Attributes:
        images: storage for `size` images, (size, C, H, W).
        count: how many are in it, ( ).
    """

    images: Tensor
    count: Tensor

    def __init__(self, size: int, images: Tensor, *, full_to: int = 0):
        """A pool for `size` images of this shape (N, C, H, W); the first `full_to` of them are in it."""
        super().__init__()
        room = images.new_zeros((size, *images.shape[1:])).contiguous(memory_format=torch.channels_last)
        room[:full_to] = images[:full_to]
        self.register_buffer("images", room, persistent=False)
        self.register_buffer("count", torch.full((), full_to, device=images.device), persistent=False)

    def choose(self, fakes: Tensor) -> Choices:
        """For each fake, itself or, with probability 1/2 once the pool is full, an older one that it replaces.

        All processes keep the same pool, of the fakes of all.
        """
        coins = everyones_rows(len(fakes), lambda n: torch.rand(n, 2, device=fakes.device))  # whether, and which
        size, count = len(self.images), self.count
        numbers = torch.arange(size, device=fakes.device)
        there = numbers.clone()  # in each place of the pool, the index of its own image or of a fake
        places, kept, shown = list[Tensor](), list[Tensor](), list[Tensor]()
        for new, (older, which) in enumerate(coins, size):
            full = count == size
            swapped = full & (older >= 0.5)
            place = torch.where(full, (which * size).long().clamp(max=size - 1), count)
            shown.append(torch.where(swapped, there.gather(0, place[None])[0], new))
            places.append(place)
            kept.append(swapped | ~full)
            there = torch.where((numbers == place) & kept[-1], new, there)
            count = (count + 1).clamp(max=size)
        return Choices(distributed.together(fakes), torch.stack(places), torch.stack(kept), torch.stack(shown))

    def shown(self, choices: Choices) -> Tensor:
        """The fake images to show to a discriminator, (N, C, H, W): those of this process."""
        size = len(self.images)
        mine = choices.shown.chunk(distributed.count())[distributed.rank()]
        older = self.images[mine.clamp(max=size - 1)]
        new = choices.fakes[(mine - size).clamp(min=0)]
        return torch.where((mine < size)[:, None, None, None], older, new)

    def keep(self, choices: Choices) -> None:
        """Store the fakes in their places."""
        fakes = choices.fakes.to(self.images.dtype)  # that of the first step; a speed measurement changes the dtype
        for place, kept, fake in zip(choices.places[:, None], choices.kept, fakes, strict=True):
            self.images[place] = torch.where(kept, fake, self.images[place])
        self.count += len(choices.fakes)
        self.count.clamp_(max=len(self.images))

    def kept(self) -> Tensor:
        """The stored images, (up to size, C, H, W)."""
        return self.images[: int(self.count)].clone()
