"""What is kept of the images of an evaluation as they go by: values, features, patches and power spectra, by answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas import metrics
from ganvas.data.progress import Track, silently
from ganvas.metrics import Patches
from ganvas.metrics.features import Features


class ImageValues:
    """The value of each image, by measure and answer."""

    def __init__(self) -> None:
        """Begin with none."""
        self.parts = dict[str, dict[str, list[Tensor]]]()

    def add(self, measure: str, answer: str, values: Tensor) -> None:
        """The values (N,) of a batch."""
        self.parts.setdefault(measure, {}).setdefault(answer, []).append(values)

    def table(self) -> dict[str, dict[str, Tensor]]:
        """By measure and answer, the values (N,) of all images."""
        return {
            measure: {answer: torch.cat(parts) for answer, parts in of_each.items()}
            for measure, of_each in self.parts.items()
        }


class FeatureSets:
    """The features of all images, by answer."""

    def __init__(self, features: Features) -> None:
        """Begin with no images."""
        self.features, self.parts = features, dict[str, list[Tensor]]()

    def add(self, images: Mapping[str, Tensor]) -> None:
        """Uint8 images (N, C, H, W) of a batch, by answer."""
        for answer, part in images.items():
            self.parts.setdefault(answer, []).append(features_of(self.features, part))

    def sets(self) -> dict[str, Tensor]:
        """By answer, the features (N, D) of all images."""
        return {answer: torch.cat(parts) for answer, parts in self.parts.items()}


def features_of(features: Features, images: Tensor) -> Tensor:
    """The features of uint8 images (N, C, H, W): (N, D)."""
    with torch.inference_mode():
        return torch.cat([features.see(part).float().cpu() for part in torch.split(images, features.at_once)])


@dataclass(frozen=True)
class Sliced:
    """The distance of the patches of an answer from real ones.

    Attributes:
        n: the number of images.
        levels: (L,) the distance at each level, the finest first.
        left_out: (10, L) the same without each tenth of the images in turn.
    """

    n: int
    levels: Tensor
    left_out: Tensor

    @staticmethod
    def between(real: Patches, fake: Patches) -> "Sliced":
        """Compute it from the patches of both."""
        levels, left_out = metrics.sliced_distance(real, fake), metrics.sliced_left_out(real, fake)
        return Sliced(min(real.n, fake.n), levels, left_out)


class PatchSets:
    """The patches of several answers to the same images, collected part by part.

    Args:
        total: the largest number of images that will be added.
        use: how many of them are used; all by default.
    """

    def __init__(self, total: int, *, use: int | None = None) -> None:
        """Begin with no images."""
        self.total, self.use = total, use
        self.of = dict[str, Patches]()

    def add(self, answers: Mapping[str, Tensor]) -> None:
        """Uint8 images (N, C, H, W) of a batch, by answer."""
        for answer, images in answers.items():
            if answer not in self.of:
                self.of[answer] = Patches(self.total, use=self.use)
            self.of[answer].add(images)

    def apart_from(self, wanted: Patches, track: Track = silently) -> dict[str, Sliced]:
        """By answer, its distance from the target images."""
        answers = track(self.of.items(), total=len(self.of), description="comparing patches")
        return {answer: Sliced.between(wanted, patches) for answer, patches in answers}


class Spectra:
    """Power spectra by answer, summed over the batches."""

    def __init__(self) -> None:
        """Begin with none."""
        self.sums = dict[str, Tensor]()

    def add(self, images: Mapping[str, Tensor]) -> None:
        """Uint8 images (N, C, H, W) of a batch, by answer."""
        for name, part in images.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + metrics.power_spectrum(part) * len(part)

    def periods(self) -> dict[str, dict[int, float]]:
        """By answer, the excess power at each period in pixels."""
        return {name: metrics.checkerboard(total) for name, total in self.sums.items()}  # quotients: no count needed


def alike(*kinds: Tensor) -> list[Tensor]:
    """The same images (N, C, H, W) with as many channels each: grey is repeated to three if any is in colour."""
    channels = max(kind.shape[1] for kind in kinds)
    return [kind.expand(-1, channels, -1, -1) for kind in kinds]
