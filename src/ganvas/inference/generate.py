"""Generate images with a trained method, as an iterator in bounded memory."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.core.atomic_io import make_folder
from ganvas.core.device import cores
from ganvas.core.optim import evaluating
from ganvas.core.rng import Between, Seed, slerp
from ganvas.core.threads import done_behind
from ganvas.errors import ModelError
from ganvas.imaging.images import to_bytes, to_signed, write
from ganvas.methods._base import Encodes, Generates, Method

_PIXELS_AT_ONCE = 2**20  # a million keep a CPU busy; more only take memory


def draw(method: Method, seeds: Sequence[Seed], labels: Tensor | None = None) -> Iterator[Tensor]:
    """A uint8 image (C, H, W) for each seed, in order; `labels` as in `Generates`.

    An image depends on its own seed (and class) alone: the last, shorter batch is padded, because even the order in
    which a matrix product adds its terms may depend on the number of rows.

    Raises:
        ModelError: for a method that does not generate from noise.
    """
    if not isinstance(method, Generates):
        raise ModelError(f"a {method.name()} model does not generate from noise; give a model of a method that does")
    if method.spec.colors_alone:
        raise ModelError(f"this {method.name()} model makes colours without lightness: use it with `ganvas translate`")
    at_once = drawn_at_once(method)
    for first in range(0, len(seeds), at_once):
        part = list(seeds[first : first + at_once])
        of = None if labels is None else labels[first : first + at_once]
        lacking = at_once - len(part)
        if of is not None and lacking:
            of = torch.cat([of, of[-1:].expand(lacking, *of.shape[1:])])
        with evaluating(method):
            images = method.generate(part + [part[-1]] * lacking, of)
        yield from to_bytes(images[: len(part)]).cpu()


def write_each(places: Iterable[Path], images: Iterable[Tensor], *, at_once: int) -> None:
    """Write each image to its path, in threads while the next are made, so many at a time: one by one is slower.

    Raises:
        SaveError: if one cannot be written; the earlier ones are written.
    """

    def groups() -> Iterator[list[tuple[Path, Tensor]]]:
        left, made = zip(places, images, strict=True), None
        while group := list(itertools.islice(left, at_once)):
            for place, _ in group:
                if place.parent != made:
                    made = make_folder(place.parent)
            yield group

    def write_all(group: list[tuple[Path, Tensor]]) -> None:
        for place, image in group:
            write(place, image)

    for _ in done_behind(write_all, groups(), most=2, threads=cores()):
        pass


def drawn_at_once(method: Method) -> int:
    """How many images are generated together; it affects memory and time, not the images."""
    return max(1, min(64, _PIXELS_AT_ONCE // method.spec.bytes))


def walk(seeds: Sequence[int], *, frames: int) -> list[Seed]:
    """A closed latent interpolation between seeds: `frames` points on the sphere from each to the next."""
    return [
        Between(start, end, frame / frames)
        for start, end in zip(seeds, [*seeds[1:], seeds[0]], strict=True)
        for frame in range(frames)
    ]


def walk_over(labels: Sequence[int], *, classes: int, frames: int) -> Tensor:
    """The class weights along that interpolation, (frames, classes): each class blends into the next."""
    stations = F.one_hot(torch.tensor(labels), classes).float()
    ways = torch.arange(frames)[None, :, None] / frames
    return torch.lerp(stations[:, None], stations.roll(-1, 0)[:, None], ways).flatten(0, 1)


def walk_between(method: Method, images: Tensor, *, frames: int) -> Iterator[Tensor]:
    """A closed latent interpolation between uint8 images (N, C, H, W): each latent vector blends into the next.

    Raises:
        ModelError: for a method without an encoder.
    """
    if not isinstance(method, Encodes):
        raise ModelError(f"a {method.name()} model cannot encode an image to a latent vector; give a vae model")
    device = next(method.parameters()).device
    with evaluating(method):
        stations = method.encode(to_signed(images).to(device))  # (N, L)
    for start, end in zip(stations, stations.roll(-1, 0), strict=True):
        points = torch.stack([slerp(start, end, frame / frames) for frame in range(frames)])
        with evaluating(method):
            frames_drawn = method.decode(points)
        yield from to_bytes(frames_drawn).cpu()
