"""How image metrics respond to familiar damage: JPEG, blur, noise, a shift, missing colours.

    python benchmarks/anchors.py

Writes docs/results/anchors.md with its image. The photographs come with scikit-learn and scikit-image.
"""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
import report
import torch
from photographs import free_photographs, titled
from PIL import Image
from torch import Tensor

from ganvas import metrics
from ganvas.data import tasks
from ganvas.imaging import images

SIZES = (256, 128)  # pixels; those of papers and of our own studies
SHOWN = 128  # pixels a side in the document's image
GRID = ["as it is", "JPEG 50", "JPEG 10", "blur 2", "quarter", "shift 1", "noise 25", "+10 levels", "grey", "mean"]
MEASURES = {
    "MAE": (metrics.absolute_error, ".1f"),
    "PSNR": (metrics.signal_to_noise, ".1f"),
    "SSIM": (metrics.structural_similarity, ".3f"),
    "MS-SSIM": (metrics.multi_scale_similarity, ".3f"),
}
Damage = Callable[[Tensor], Tensor]  # of a uint8 image (3, H, W)


def jpeg(image: Tensor, quality: int) -> Tensor:
    """Save with Pillow, colours at half the size (4:2:0), and read again."""
    file = io.BytesIO()
    images.to_pillow(image).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)


def by_task(image: Tensor, name: str) -> Tensor:
    """The source image that a task makes."""
    task = tasks.task(name)
    return task.afresh(task.pair(image), torch.Generator().manual_seed(0)).source[0]


def shifted(image: Tensor) -> Tensor:
    """Move by one pixel to the right; the first column is kept."""
    return torch.cat([image[..., :1], image[..., :-1]], 2)


def brighter(image: Tensor) -> Tensor:
    return (image.int() + 10).clamp(max=255).to(torch.uint8)


def grey(image: Tensor) -> Tensor:
    """The lightness alone, as `colorize` shows it."""
    pairs = tasks.task("colorize").pair(image)
    return tasks.task("colorize").show(pairs.source[0], pairs.target[0])[0]


def in_mean_colour(image: Tensor) -> Tensor:
    """The lightness, with the mean colour everywhere."""
    pairs = tasks.task("colorize").pair(image)
    mean = pairs.target[0].float().mean((1, 2), keepdim=True).round().to(torch.uint8).expand_as(pairs.target[0])
    return tasks.task("colorize").show(pairs.source[0], mean)[1]


def flat(image: Tensor) -> Tensor:
    return image.float().mean((1, 2), keepdim=True).round().to(torch.uint8).expand_as(image)


DAMAGES: dict[str, tuple[str, Damage]] = {
    "as it is": ("nothing", lambda image: image),
    **{f"JPEG {q}": (f"JPEG, quality {q}", partial(jpeg, quality=q)) for q in (95, 90, 75, 50, 30, 10)},
    "blur 1": ("blurred, sigma 1 pixel", partial(by_task, name="deblur:1")),
    "blur 2": ("blurred, sigma 2 pixels", partial(by_task, name="deblur:2")),
    "half": ("reduced to a half and enlarged again", partial(by_task, name="superres:2")),
    "quarter": ("reduced to a quarter and enlarged again", partial(by_task, name="superres:4")),
    "noise 10": ("noise, standard deviation 10 grey levels", partial(by_task, name=f"denoise:{10 / 255:.4f}")),
    "noise 25": ("noise, standard deviation 25 grey levels", partial(by_task, name=f"denoise:{25 / 255:.4f}")),
    "shift 1": ("moved by one pixel", shifted),
    "+10 levels": ("10 grey levels brighter", brighter),
    "mean": ("right lightness, its own mean colour everywhere", in_mean_colour),
    "grey": ("right lightness, no colour", grey),
    "flat": ("its own mean colour and nothing else", flat),
}


def scores(made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    return {name: measure(made, wanted) for name, (measure, _) in MEASURES.items()}


def cells(found: dict[str, Tensor], names: list[str]) -> str:
    """Means, and for PSNR the minimum and the maximum too."""
    written = []
    for name in names:
        values, digits = found[name], MEASURES[name][1]
        spread = f" ({values.min():{digits}} to {values.max():{digits}})" if name == "PSNR" else ""
        written.append(f"{values.mean():{digits}}{spread}")
    return " | ".join(written)


def row(title: str, pairs: dict[int, tuple[Tensor, Tensor]]) -> str:
    """The scores of the damaged against the original photographs at each size."""
    if all(torch.equal(*pair) for pair in pairs.values()):
        return f"| {title} | 0.0 | {metrics.MOST_DECIBELS:.0f}, by agreement | 1.000 | 1.000 | 100 | 1.000 |"
    large, small = (scores(*pairs[size]) for size in SIZES)
    return f"| {title} | {cells(large, list(MEASURES))} | {cells(small, ['PSNR', 'SSIM'])} |"


def main() -> None:
    photographs = {size: free_photographs(size) for size in SIZES}
    damaged = {
        title: {size: (torch.stack([damage(photo) for photo in whole]), whole) for size, whole in photographs.items()}
        for title, damage in DAMAGES.values()
    }
    damaged["another photograph"] = {size: (whole.roll(1, 0), whole) for size, whole in photographs.items()}
    rows = [row(title, pairs) for title, pairs in damaged.items()]
    small = free_photographs(SHOWN)
    stack = torch.stack([DAMAGES[name][1](photo) for name in GRID for photo in small])
    titled(images.grid(stack, columns=len(small)), GRID, SHOWN).save(report.RESULTS / "anchors.jpg", quality=88)
    report.write(
        "anchors.md",
        f"# Metrics of familiar damage\n\n"
        f"{len(small)} photographs that come with scikit-learn and scikit-image, the largest centred square scaled to "
        f"{SIZES[0]} and to {SIZES[1]} pixels (Lanczos). They are damaged, rounded to 8 bits and compared with the "
        "originals; `benchmarks/anchors.py`. Means; in brackets the minimum and the maximum over the photographs, "
        f"because the scores depend on the subject. MS-SSIM needs {metrics.MS_SSIM_SMALLEST} pixels a side.\n\n"
        f"| | MAE, levels | PSNR, dB | SSIM | MS-SSIM | PSNR at {SIZES[1]} | SSIM at {SIZES[1]} |\n"
        "|---|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\n![The photographs and their damaged versions](anchors.jpg)\n\nAt {SHOWN} pixels.",
    )


if __name__ == "__main__":
    main()
