"""The measures: what each is called, how it is computed, and for what kind of results it stands in a table."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from ganvas import metrics
from ganvas.metrics import distribution, image


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure: what a value means.

    Attributes:
        name: of its score.
        unit: the unit of its values; empty for none.
        better: `higher`, `lower`, or the value that it should be near.
        digits: the format of a value.
        meaning: the explanation, in a sentence.
        formula: its entry in the protocol, in a sentence; empty if the protocol has one for all.
    """

    name: str
    unit: str = ""
    better: str
    digits: str
    meaning: str
    formula: str = ""

    def written(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:{self.digits}} {self.unit}".rstrip()


@dataclass(frozen=True, kw_only=True)
class ImageMeasure(Measure):
    """A measure that compares images with their targets, one by one.

    Attributes:
        of: from two sets of uint8 images (N, C, H, W) to a number for each (N,).
        smallest: pixels of the shorter side below which it cannot be computed.
        line_art: whether it is of black lines on white alone.
    """

    of: Callable[[Tensor, Tensor], Tensor]
    smallest: int = 0
    line_art: bool = False


@dataclass(frozen=True, kw_only=True)
class SetMeasure(Measure):
    """A measure that compares the features of a set of images with those of real ones.

    Attributes:
        of: from the features of real images (M, D) and of others (N, D) to a number.
        interval: whether it has an interval, by a jackknife of tenths of the images.
    """

    of: Callable[[Tensor, Tensor], float]
    interval: bool = True


@dataclass(frozen=True, kw_only=True)
class BlockMeasure(Measure):
    """A measure like `SetMeasure` that is a mean over blocks of images, which give its interval.

    Attributes:
        of: from the features of real images (M, D) and of others (N, D) to a number and half of its 95 % interval.
        difference: the same for the measure of a first set (N, D) minus that of a second.
    """

    of: Callable[[Tensor, Tensor], tuple[float, float]]
    difference: Callable[[Tensor, Tensor, Tensor], tuple[float, float]]


# --- the tables: a line here gives a measure to all results of its kind ----------------------------------------------

PAIRS = (  # an output and its target
    ImageMeasure(
        name="MSE", better="lower", digits=".3g", meaning="mean squared error of values 0 to 1",
        of=image.squared_error,
    ),
    ImageMeasure(
        name="MAE", unit="levels", better="lower", digits=".2f", meaning="mean absolute error in grey levels, 0 to 255",
        of=image.absolute_error,
    ),
    ImageMeasure(
        name="PSNR", unit="dB", better="higher", digits=".2f", meaning="peak of the signal over the error",
        of=image.signal_to_noise,
    ),
    ImageMeasure(
        name="SSIM", better="higher", digits=".4f", meaning="similarity of structure in small windows",
        of=image.structural_similarity,
    ),
    ImageMeasure(
        name="MS-SSIM", better="higher", digits=".4f", meaning="the same at five scales, each half of the one before",
        of=image.multi_scale_similarity, smallest=image.MS_SSIM_SMALLEST,
    ),
    ImageMeasure(
        name="ink F1", better="higher", digits=".3f",
        meaning="how far the ink covers that of the target, where targets are line art; 0 for a blank page",
        of=image.ink_agreement, line_art=True,
    ),
    ImageMeasure(
        name="stroke distance", unit="px", better="lower", digits=".2f",
        meaning="mean distance of strokes to the nearest of the target, both ways, where targets are line art",
        of=image.stroke_distance, line_art=True,
    ),
)  # fmt: skip
SETS: tuple[SetMeasure | BlockMeasure, ...] = (  # generated or translated images, and real ones
    SetMeasure(
        name="FID", better="lower", digits=".4g", meaning="distance of the images as a whole to real ones",
        of=distribution.frechet_distance,
    ),
    BlockMeasure(
        name="KID", better="lower", digits=".4g",
        meaning="the same by kernels: unbiased, so different numbers of images can be compared",
        of=distribution.kernel_distance, difference=distribution.kernel_difference,
    ),
)  # fmt: skip
GENERATED = (  # generated images alone, and real ones
    SetMeasure(
        name="precision", better="higher", digits=".4g",
        meaning="fraction of generated images that lie among real ones", of=distribution.precision, interval=False,
    ),
    SetMeasure(
        name="recall", better="higher", digits=".4g",
        meaning="fraction of real ones that lie among generated images", of=distribution.recall, interval=False,
    ),
)  # fmt: skip

# --- measures that are computed in their own way ---------------------------------------------------------------------

CYCLE = ImageMeasure(
    name="cycle error", unit="levels", better="lower", digits=".2f",
    meaning="mean absolute error in grey levels, there and back again", of=image.absolute_error,
)  # fmt: skip
IDENTITY = replace(CYCLE, name="identity error", meaning="how much an image changes that is of the wanted kind already")
CHECKERBOARD = Measure(
    name="checkerboard", better="about 1 or less", digits=".3g",
    meaning="artefacts of upsampling in the images, at the period of 2, 4 or 8 pixels where it stands out most",
)  # fmt: skip
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
COPIES = Measure(
    name="copies", better="near 0.01 or less", digits=".4g",
    meaning="fraction of generated images as near to a training image as the nearest hundredth of new real ones",
)  # fmt: skip
