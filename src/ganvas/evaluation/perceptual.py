"""Measures with feature networks: the VGG distance and LPIPS of two images."""

import contextlib
import functools
import pickle
import sys
from pathlib import Path

import torch
from torch import Tensor

from ganvas import metrics
from ganvas.errors import UsageError
from ganvas.evaluation.measures import ImageMeasure
from ganvas.imaging.images import scaled, to_signed
from ganvas.nets.vgg import VGG19

_SMALLEST = 32  # pixels a side, below which AlexNet's last feature maps are empty
_RANGE = f"images of fewer than {metrics.VGG_SMALLEST} pixels are enlarged to it"


def vgg_measure(vgg: VGG19) -> ImageMeasure:
    """The VGG distance, by this network."""
    formula = (
        f"VGG-19 (max pooling) at {', '.join(metrics.VGG_LAYERS)}: features of unit length, squared differences "
        f"summed over channels, averaged over places and layers; from 0 to 2, and not LPIPS; {_RANGE}"
    )
    return ImageMeasure(
        name="VGG distance", better="lower", digits=".4f", meaning="distance of their VGG-19 features",
        of=functools.partial(metrics.vgg_distance, vgg), formula=formula,
    )  # fmt: skip


def lpips_measure(device: torch.device) -> ImageMeasure:
    """LPIPS of Zhang et al. 2018, by torchmetrics, over AlexNet's features, as most papers state it.

    Raises:
        UsageError: if AlexNet's weights are not available, saying what to do.
    """
    import torchmetrics
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
    from torchvision.models import AlexNet_Weights

    url = AlexNet_Weights.DEFAULT.url
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch prints there that it downloads
            network = LearnedPerceptualImagePatchSimilarity(net_type="alex").to(device)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        cached = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
        raise UsageError(
            f"`lpips`: needs AlexNet's weights and cannot download them ({error}); fetch {url} by other means and put "
            f"it to {cached}, or use the VGG distance (`features` vgg)"
        ) from error

    def of(images: Tensor, targets: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        times = max(1.0, _SMALLEST / min(height, width))
        both = (
            scaled(to_signed(side), round(height * times), round(width * times)).clamp_(-1, 1)
            for side in (images, targets)
        )
        ours, theirs = (side.expand(-1, 3, -1, -1).to(device) for side in both)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            rows = [
                float(network(a[None], b[None])) for a, b in zip(ours, theirs, strict=True)
            ]  # for several images it is the mean
        network.reset()
        return torch.tensor(rows, dtype=torch.float64)

    return ImageMeasure(
        name="LPIPS", better="lower", digits=".4f", meaning="how different people would find them", of=of,
        formula=f"AlexNet, version 0.1 of its weights, by torchmetrics {torchmetrics.__version__}; "
        f"images of fewer than {_SMALLEST} pixels are enlarged to it",
    )  # fmt: skip
