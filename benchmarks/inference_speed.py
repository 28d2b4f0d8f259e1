"""The speed of generation and translation compared with plain loops, and the memory for many images.

    python benchmarks/inference_speed.py

The plain loops are those of common tutorials: they call the network for one image after the other and save each with
Pillow. ganvas is the whole command (`ganvas generate`, `ganvas translate`) within the process, including the loading of
its model. Both run the same networks, with random weights, on the same noise or files, and take turns; their images are
compared. Memory is the peak of separate processes.
"""

import argparse
import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import report
import torch
from PIL import Image
from startup import model_of_chance, smooth_image
from torch import nn

from ganvas import checkpoint
from ganvas.cli import main as ganvas
from ganvas.data.batch import Spec
from ganvas.imaging import images
from ganvas.methods._base import ImageToImage, NoiseToImage

CPU = torch.device("cpu")
DRAWN = 512  # generated images a round
TRANSLATED = {128: 48, 256: 16}
MANY = {"generate": (1_000, 10_000), "translate": (100, 1_000)}  # numbers of images for which the memory is compared
PEAK = "import sys, report; from ganvas.cli import main; main(sys.argv[1:]); print(report.peak_bytes())"


def plain_network(method: nn.Module) -> nn.Module:
    """The network that makes the images, in torch's usual memory layout."""
    assert isinstance(method, NoiseToImage | ImageToImage)
    network = method.generator if method.average is None else method.average
    return copy.deepcopy(network).to(memory_format=torch.contiguous_format).eval()


def save(image: torch.Tensor, place: Path) -> None:
    pixels = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(place)


def plain_generate(model: Path, out: Path, count: int) -> None:
    method = checkpoint.load(model, CPU).method
    network, latent = plain_network(method), method.config.latent  # type: ignore[attr-defined]
    with torch.no_grad():
        for seed in range(count):
            torch.manual_seed(seed)
            save(network(torch.randn(1, latent))[0], out / f"{seed:06d}.png")


def plain_translate(model: Path, source: Path, out: Path) -> None:
    network = plain_network(checkpoint.load(model, CPU).method)
    with torch.no_grad():
        for file in sorted(source.iterdir()):
            pixels = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1).contiguous()
            save(network(pixels[None] / 127.5 - 1)[0], out / file.name)


def compared(plain: Callable[[Path], None], ours: Callable[[Path], None], *, rounds: int, count: int) -> str:
    """Cells of a row: images a second of both, their ratio with its range, and the difference of the images."""
    seconds: dict[str, list[tuple[float, float]]] = {"plain": [], "ours": []}
    with tempfile.TemporaryDirectory() as name:
        for number in range(rounds + 1):
            for loop, run in (("plain", plain), ("ours", ours)):
                out = Path(name) / f"{loop}-{number}"
                out.mkdir()
                start, before = time.perf_counter(), time.process_time()
                run(out)
                seconds[loop].append((time.perf_counter() - start, time.process_time() - before))
        apart = [
            np.abs(np.array(Image.open(file)).astype(int) - np.array(Image.open(out / file.name)).astype(int))
            for file in (Path(name) / f"plain-{rounds}").iterdir()
        ]
    cells = []
    for clock in range(2):  # wall time, and CPU time
        plain_taken, taken = ([each[clock] for each in seconds[loop][1:]] for loop in ("plain", "ours"))
        ratios = [a / b for a, b in zip(plain_taken, taken, strict=True)]  # without the first round, the warm-up
        cells += [f"{count / statistics.median(plain_taken):,.1f}", f"{count / statistics.median(taken):,.1f}"]
        cells += [f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"]
    share = np.mean([difference > 0 for difference in apart])
    return " | ".join(cells) + (f" | {max(difference.max() for difference in apart)} step at most, in {share:.3%}")


def peak(words: list[str]) -> float:
    """Peak memory, in megabytes, of a command in a separate process."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *words],
        env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return int(done.stdout.split()[-1]) / 2**20


def folder_of(folder: Path, size: int, count: int) -> Path:
    """A folder of `count` images, eight of them different."""
    source = folder / f"{count}-of-{size}"
    source.mkdir()
    for number in range(min(8, count)):
        images.write(source / f"{number:05d}.png", smooth_image(size))
    for number in range(8, count):
        os.link(source / f"{number % 8:05d}.png", source / f"{number:05d}.png")
    return source


def commands(folder: Path, *, rounds: int) -> tuple[list[str], list[str]]:
    """The rows of both tables: speed and memory."""
    model = model_of_chance(folder, "dcgan", Spec(28, 1))
    speed = ["generate, `dcgan`, 28 | " + compared(
        lambda out: plain_generate(model, out, DRAWN),
        lambda out: told(["generate", str(model), "--out", str(out), "--count", str(DRAWN), "--overwrite"]),
        rounds=rounds, count=DRAWN,
    )]  # fmt: skip
    peaks = [
        peak(["generate", str(model), "--out", str(folder / f"drawn-{count}"), "--count", str(count)])
        for count in MANY["generate"]
    ]
    memory = [memory_row("generate, `dcgan`, 28", MANY["generate"], peaks)]
    for preset, size in ((None, 128), (None, 256), ("paper", 256)):
        speed.append(f"translate, `pix2pix{f' --preset {preset}' if preset else ''}`, {size} | ")
        model_of_pairs = model_of_chance(folder, "pix2pix", Spec(size, 3, target_channels=3), preset=preset)
        count = TRANSLATED[size]
        source = folder / f"{count}-of-{size}"
        if not source.exists():
            folder_of(folder, size, count)
        speed[-1] += compared(
            lambda out, model=model_of_pairs, source=source: plain_translate(model, source, out),
            lambda out, model=model_of_pairs, source=source: told(
                ["translate", str(model), str(source), "--out", str(out), "--overwrite"]
            ),
            rounds=rounds, count=count,
        )  # fmt: skip
        print(speed[-1])
        if size == 128:
            peaks = [
                peak(["translate", str(model_of_pairs), str(folder_of(folder, size, many)),
                      "--out", str(folder / f"translated-{many}")])
                for many in MANY["translate"]
            ]  # fmt: skip
            memory.append(memory_row("translate, `pix2pix`, 128", MANY["translate"], peaks))
    return speed, memory


def memory_row(name: str, counts: tuple[int, int], peaks: list[float]) -> str:
    few, many = (f"{peak:,.0f} MB for {count:,}" for count, peak in zip(counts, peaks, strict=True))
    return f"{name} | {few} | {many}"


def told(words: list[str]) -> None:
    """Run a command of ganvas, which must succeed."""
    status = ganvas(words)
    assert status == 0, words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        speed, memory = commands(Path(name), rounds=options.rounds)
    report.write(
        "inference.md",
        "# Generation and translation\n\n"
        "The same networks, with random weights; `benchmarks/inference_speed.py` describes the plain loops. "
        f"{options.rounds} rounds of {DRAWN} generated or {TRANSLATED[128]} (at 256 pixels {TRANSLATED[256]}) "
        "translated images each, in turns. Reading, writing and the loading of the model are counted. Where other "
        "work uses the machine too, the CPU times are more reliable.\n\n"
        "| | plain loop, images/s | ganvas, images/s | ratio: median (range) | "
        "plain, images per CPU second | ganvas, the same | ratio | pixels that differ |\n"
        "|---|---|---|---|---|---|---|---|\n" + "\n".join(f"| {row} |" for row in speed) + "\n\n"
        "Generation runs in batches of up to 64, translation in batches of up to 16 small images of one size (a "
        "quarter of a million pixels). Threads read the next images and write the last ones meanwhile. A generated "
        "image does not depend on the number of images. A translated one may differ by one step of 255 in a few "
        "pixels from its translation alone, because a network adds its terms in another order.\n\n"
        "The peak memory of the process does not grow with the number of images:\n\n"
        "| | few | many |\n|---|---|---|\n" + "\n".join(f"| {row} |" for row in memory),
    )


if __name__ == "__main__":
    main()
