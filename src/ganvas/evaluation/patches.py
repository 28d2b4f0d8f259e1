"""SWD of the images of a model: their patches are collected part by part and compared with those of real ones."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ganvas import metrics
from ganvas.data.progress import Track, silently
from ganvas.evaluation.comparing import by_tenths
from ganvas.evaluation.statistics import Measure, Score
from ganvas.metrics import Patches

SWD = Measure(
    name="SWD", better="lower", digits=".4g",
    meaning="how far the finest details of all images together are from real ones: rises with blur and with noise",
    formula=f"sliced Wasserstein distance times {metrics.SWD_FACTOR:,} (Karras et al. 2018): {metrics.PATCHES} random "
    f"7x7 patches of every image at every level of its Laplacian pyramid, down to {metrics.SMALLEST_LEVEL} pixels, "
    "both sets normalised by the mean and deviation of the real one "
    f"(of more than {metrics.MOST_PATCHES // metrics.PATCHES:,} images fewer patches, {metrics.MOST_PATCHES:,} a set), "
    f"{metrics.DIRECTIONS} random directions, fixed seeds; SWD of the finest level, SWD all levels their mean; as many "
    "images of both sets, random ones of the larger. It falls with the number of images: compare equal numbers. 95 % "
    f"intervals by a jackknife of tenths of the images, over {metrics.JACKKNIFE_DIRECTIONS} directions",
)  # fmt: skip
SWD_ALL_LEVELS = Measure(
    name="SWD all levels", better="lower", digits=".4g",
    meaning="the same averaged over all levels of the Laplacian pyramid, from fine details to coarse structure",
)  # fmt: skip


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
        """Uint8 images (N, C, H, W) of a part, by answer."""
        for answer, images in answers.items():
            if answer not in self.of:
                self.of[answer] = Patches(self.total, use=self.use)
            self.of[answer].add(images)

    def apart_from(self, wanted: Patches, track: Track = silently) -> dict[str, Sliced]:
        """By answer, its distance from the target images."""
        answers = track(self.of.items(), total=len(self.of), description="comparing patches")
        return {answer: Sliced.between(wanted, patches) for answer, patches in answers}


def patch_scores(answers: Mapping[str, Sliced], models: Sequence[str], *, way: str = "") -> list[Score]:
    """SWD of the finest level and the mean of all; models with equal numbers of images are compared."""
    names = [answer for answer in answers if answer in models]
    pairs = [pair for pair in itertools.combinations(names, 2) if len({answers[one].n for one in pair}) == 1]
    n = min(one.n for one in answers.values())
    finest = {answer: (float(one.levels[0]), one.left_out[:, 0]) for answer, one in answers.items()}
    means = {answer: (float(one.levels.mean()), one.left_out.mean(1)) for answer, one in answers.items()}
    several = any(len(one.levels) > 1 for one in answers.values())
    wanted = [(SWD, finest), *([(SWD_ALL_LEVELS, means)] if several else [])]
    return [by_tenths(measure, n, values, pairs, way=way) for measure, values in wanted]
