"""A large image translated in tiles and at once: the difference of the results, the memory and the time.

    python benchmarks/large_image.py MODEL

Writes docs/results/large-image.md with its image. The image is made of the two photographs of scikit-learn (CC BY),
mirrored and repeated at four scales, with one dark quarter, so that brightness and detail vary over it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
import torch
from sklearn.datasets import load_sample_image
from torch import Tensor
from torch.nn import functional as F

from ganvas import checkpoint
from ganvas.imaging import images, tiling
from ganvas.imaging.images import DecodedImage
from ganvas.inference.translate import Translator

SIDE = 4096  # pixels
SMALL = (512, 1024)  # sides at which the memory without tiles is measured, to predict that of the whole image
AMPLIFIED = 32
SHOWN = 512  # pixels a side of the images in the document
QUARTERS = [("china.jpg", 1.0, 1.0), ("flower.jpg", 1.6, 1.0), ("flower.jpg", 3.0, 0.4), ("china.jpg", 2.2, 1.0)]


def large_image(side: int) -> Tensor:
    """Four quarters of mirrored photographs, uint8 (3, side, side)."""
    quarters = [_quarter(*quarter, side=side // 2) for quarter in QUARTERS]
    return torch.cat([torch.cat(quarters[:2], 2), torch.cat(quarters[2:], 2)], 1)


def _quarter(name: str, scale: float, brightness: float, *, side: int) -> Tensor:
    photo = torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1)[None].float()
    photo = F.interpolate(photo, scale_factor=scale, mode="bicubic", antialias=True).clamp(0, 255).mul(brightness)
    photo = torch.cat([photo, photo.flip(-1)], -1)
    photo = torch.cat([photo, photo.flip(-2)], -2).to(torch.uint8)[0]
    down, across = -(-side // photo.shape[-2]), -(-side // photo.shape[-1])
    return photo.repeat(1, down, across)[:, :side, :side]


def translate_once(model: Path, image: Path, out: Path, *, whole: bool) -> None:
    """Translate in a separate process, and print the seconds and the peak memory."""
    if whole:
        tiling.WHOLE = sys.maxsize
    translator = Translator(checkpoint.load(model, torch.device("cpu")))
    shown = images.read(image)
    start = time.perf_counter()
    images.write(out, translator(DecodedImage(shown.pixels)).pixels)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "bytes": report.peak_bytes()}))


def measured(model: Path, image: Path, out: Path, *, whole: bool) -> dict[str, float]:
    words = [str(model), "--image", str(image), "--out", str(out), *(["--whole"] if whole else [])]
    done = subprocess.run([sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def affordable(model: Path, folder: Path, side: int) -> int:
    """The largest of `side`, its half, its quarter, ... that fits four fifths of the free memory at once."""
    peaks = []
    for small in SMALL:
        images.write(folder / "small.png", large_image(small))
        peaks.append(measured(model, folder / "small.png", folder / "made.png", whole=True)["bytes"])
    by_pixel = (peaks[1] - peaks[0]) / (SMALL[1] ** 2 - SMALL[0] ** 2)
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    while side > SMALL[1] and peaks[1] + by_pixel * side**2 > 0.8 * free:
        side //= 2
    return side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--side", type=int, default=SIDE, help="pixels")
    parser.add_argument("--image", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.image:
        translate_once(options.model, options.image, options.out, whole=options.whole)
        return
    with tempfile.TemporaryDirectory() as name:
        write_report(options.model, Path(name), options.side)


def write_report(model: Path, folder: Path, side: int) -> None:
    images.write(folder / "large.png", large_image(side))
    tiled = measured(model, folder / "large.png", folder / "tiled.png", whole=False)
    rows = [row(f"{side}x{side} in tiles", tiled)]
    together = affordable(model, folder, side)
    if together < side:
        images.write(folder / "large.png", large_image(together))
        rows.append(row(f"{together}x{together} in tiles",
                        measured(model, folder / "large.png", folder / "tiled.png", whole=False)))  # fmt: skip
    rows.append(row(f"{together}x{together} at once",
                    measured(model, folder / "large.png", folder / "whole.png", whole=True)))  # fmt: skip
    one, other = (images.read(folder / f"{name}.png").pixels for name in ("tiled", "whole"))
    gap = (one.int() - other.int()).abs()  # grey levels
    images.write(report.RESULTS / "large-image.jpg", torch.cat([small(one), small(other), small_gap(gap)], 2))
    manifest = checkpoint.load(model, torch.device("cpu")).manifest
    fallback = f" At once {side}x{side} takes more memory than there was, so {together}x{together} is compared."
    report.write(
        "large-image.md",
        f"# A large image in tiles\n\n![In tiles, at once, and the difference](large-image.jpg)\n\n"
        f"A `{manifest.method}` model ({manifest.spec.size} pixels at training) on "
        f"{together}x{together} pixels: in tiles "
        f"(left), at once (middle), and the difference, {AMPLIFIED} times as bright (right). "
        "`benchmarks/large_image.py`; the photographs come with scikit-learn (CC BY)."
        f"{fallback if together < side else ''}\n\n"
        f"**Mean difference {gap.float().mean():.3f} of 255 grey levels**; the largest is {int(gap.max())}, and "
        f"{(gap > 2).float().mean():.2%} of the values differ by more than 2.\n\n"
        "| | seconds | peak memory |\n|---|---|---|\n" + "\n".join(rows),
    )


def row(name: str, found: dict[str, float]) -> str:
    return f"| {name} | {found['seconds']:.0f} | {found['bytes'] / 2**30:.2f} GiB |"


def small(image: Tensor) -> Tensor:
    return images.resize(image[None].expand(1, 3, -1, -1), SHOWN)[0]


def small_gap(gap: Tensor) -> Tensor:
    """The largest difference over the channels, amplified and averaged over pixels."""
    return small((gap.amax(0, keepdim=True).float() * AMPLIFIED).clamp(0, 255).to(torch.uint8))


if __name__ == "__main__":
    main()
