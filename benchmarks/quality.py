"""Train every method on MNIST for the same minutes, score it, and show it side by side with real digits.

    python benchmarks/quality.py --data-root DIR --minutes 10 [--jobs 2]       (DIR holds MNIST/raw)

Trains through the command line, as a user would, into runs/generation/ (`--jobs 2`: two at a time, each on half of the
cores), scores 10,000 images of each against the 10,000 test images, and writes docs/results/generation.md with its
images; `--name` gives both another name. If it was stopped, the same command continues it.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

import report
import torch
from PIL import Image, ImageDraw, ImageFont

from ganvas import checkpoint, progress
from ganvas.checkpoint import Model
from ganvas.core.options import Data
from ganvas.data import open_data
from ganvas.data.batch import Source
from ganvas.evaluation import Evaluation, ModelSummary, evaluate_generated
from ganvas.evaluation.statistics import TRAINING
from ganvas.imaging import images as imaging
from ganvas.imaging.images import DecodedImage
from ganvas.inference.generate import walk_between
from ganvas.inference.translate import Translator
from ganvas.metrics.features import open_features
from ganvas.training.metrics_log import read
from ganvas.training.samples import draw_curves

OURS = ["gan", "dcgan", "wgan_gp", "cgan", "vae"]
TEXTBOOK = ["gan --preset book", "gan --preset blog", "dcgan --preset mnist28"]
BEFORE = {  # FID (digits) of ganvas 0.1, by this script, on 2026-11-20: the same minutes on one core
    "gan": "0.706",
    "cgan": "0.765",
    "dcgan": "1.98",
    "wgan_gp": "2.12",
    "vae": "10.6",
    "gan --preset blog": "19.7",
    "dcgan --preset mnist28": "45.3",
    "gan --preset book": "49.1",
}
COUNT = 10_000
ACROSS = 8
COLUMNS = [
    "FID (digits)",
    "KID (digits)",
    "precision (digits)",
    "recall (digits)",
    "asked class",
    "diversity (digits)",
    "copies",
]


def file_name(name: str) -> str:
    return name.replace(" --preset ", "-")


def train_all(names: list[str], runs: Path, options: argparse.Namespace) -> None:
    """Train each in its own process, as many at a time as there are jobs, each on its own cores."""
    cores = sorted(os.sched_getaffinity(0))
    share = len(cores) // options.jobs
    free: Queue[set[int]] = Queue()
    for job in range(options.jobs):
        free.put(set(cores[job * share : (job + 1) * share]))

    def train(name: str) -> None:
        mine = free.get()
        where = ["--data", "mnist", "--data-root", options.data_root, "--run", runs / file_name(name)]
        command = [sys.executable, "-m", "ganvas", "train", *name.split(), *where, "--minutes", options.minutes]
        threads = {**os.environ, "OMP_NUM_THREADS": str(share)}
        pinned = ["taskset", "--cpu-list", ",".join(map(str, sorted(mine))), *map(str, command)]
        try:
            subprocess.run(pinned, env=threads, check=True)
        finally:
            free.put(mine)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(train, names))


def grid(images: torch.Tensor) -> Image.Image:
    grid = imaging.grid(imaging.enlarge(images, side=28), columns=ACROSS, gap=1)
    return Image.fromarray(grid[0].numpy())


def side_by_side(grids: dict[str, Image.Image], *, columns: int) -> Image.Image:
    """The grids in rows, each below its name."""
    font = ImageFont.load_default(14)
    width, height = next(iter(grids.values())).size
    rows = -(-len(grids) // columns)
    out = Image.new("L", (columns * (width + 12) - 12, rows * (height + 30)), 255)
    for i, (name, image) in enumerate(grids.items()):
        x, y = i % columns * (width + 12), i // columns * (height + 30)
        ImageDraw.Draw(out).text((x + 2, y + 2), name, fill=0, font=font)
        out.paste(image, (x, y + 22))
    return out


def encoded(model: Model, source: Source) -> Image.Image:
    """Sixteen real digits, their reconstructions, and a latent interpolation between the first four."""
    real = chosen_by_lot(source)[:16]
    back = torch.stack([Translator(model)(DecodedImage(image)).pixels for image in real])
    way = torch.stack(list(walk_between(model.method, real[:4], frames=8)))
    images = imaging.enlarge(torch.cat([real, back, way]), side=56)
    return Image.fromarray(imaging.grid(images, columns=16)[0].numpy())


def row(model: ModelSummary, run: Path, found: Evaluation) -> str:
    manifest = checkpoint.read_run(run)
    assert manifest is not None
    seen = model.step * manifest.config.batch
    shares = [found[which].values[model.name].value for which in ("rarest class", "commonest class")]
    bold = "**" if model.name in OURS else ""
    return (
        f"| {bold}`{model.name}`{bold} | {model.step:,} | {seen / read(run)[-1]['seconds']:,.0f} | "
        f"{' | '.join(cells(model.name, found))} | {shares[0]:.1%} to {shares[1]:.1%} | {BEFORE[model.name]} |"
    )


def cells(answer: str, found: Evaluation) -> list[str]:
    """The cells of the columns; FID and KID with half of their intervals."""
    scores, written = {score.name: score for score in found.scores}, []
    for column in COLUMNS:
        mean = scores[column].values.get(answer) if column in scores else None
        half = f" ± {mean.high - mean.value:.2g}" if mean and mean.high is not None and "ID" in column else ""
        written.append(f"{mean.value:.3g}{half}" if mean else "")
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--name", default="generation")
    options = parser.parse_args()

    names, runs = [*OURS, *TEXTBOOK], Path("runs") / options.name
    train_all(names, runs, options)
    train, test = (open_data(Data("mnist", root=options.data_root), split=part) for part in ("train", "test"))
    judge = open_features("digits", device=torch.device("cpu"))
    grids = {"real digits": grid(chosen_by_lot(test))}
    models = {name: checkpoint.load(runs / file_name(name), torch.device("cpu")) for name in names}
    learned = dict.fromkeys(models, train)
    found = evaluate_generated(models, test, features=judge, count=COUNT, training=learned, track=progress.track)
    images = report.RESULTS / options.name
    images.mkdir(parents=True, exist_ok=True)
    for name in names:
        grids[name] = grid(found.grids[f"samples-{name}"].images[: ACROSS**2])
        grids[name].save(images / f"{file_name(name)}.png", optimize=True)
    *_, last_grid = sorted((runs / "cgan" / "samples").glob("step-*.png"))  # a row for each class
    (images / "cgan-by-class.png").write_bytes(last_grid.read_bytes())
    encoded(models["vae"], test).save(images / "vae-encoded.png", optimize=True)
    curves = draw_curves(runs / "wgan_gp")
    assert curves is not None
    (images / "wgan_gp-losses.png").write_bytes(curves.read_bytes())
    side_by_side(grids, columns=3).save(report.RESULTS / f"{options.name}.png", optimize=True)

    fid = found["FID (digits)"]
    order = sorted(found.models, key=lambda model: fid.values[model.name].value)
    best, book = order[0].name, "gan --preset book"
    ratio = fid.values[book].value / fid.values[best].value
    cores = len(os.sched_getaffinity(0))
    share = f"{cores} cores" if options.jobs == 1 else f"{cores // options.jobs} of {cores} cores, the others busy too"
    training = f"| *{COUNT:,} training images* | | | {' | '.join(cells(TRAINING, found))} | | |"
    report.write(
        f"{options.name}.md",
        f"# Generated digits: {options.minutes:g} minutes of MNIST each\n\n"
        f"![Grids side by side]({options.name}.png)\n\n"
        "First real digits, sampled at random from the held-out test split. Then each method after the same minutes on "
        f"the same machine, on {share}, seed 0; the images are those of seeds 0 to 63, not selected (`cgan` generates "
        "the ten classes in turn). `benchmarks/quality.py`; grids and checkpoints are part of the minutes. Bold: "
        "ganvas's own recipes; the others are the textbooks', unchanged.\n\n"
        f"| method | steps | images a second | {' | '.join(COLUMNS)} | fraction of each digit | FID (digits) in 0.1 "
        "|\n"
        f"|---|---|---|{'---|' * len(COLUMNS)}---|---|\n"
        + "\n".join([training, *(row(model, runs / file_name(model.name), found) for model in order)])
        + f"\n\n`{best}` has the lowest FID (digits), {ratio:.1f} times lower than `{book}`. Of the two best, "
        f"{fid.verdict(fid.between(best, order[1].name))}.\n\n"
        "## How it was scored\n\n"
        "- *FID (digits) in 0.1*: of the same recipes in ganvas 0.1, whose Adam took wrong steps in `dcgan`, "
        "`wgan_gp` and `cgan`, and whose presets `blog` and `mnist28` differed slightly from their texts; one core, "
        "2026-11-20.\n"
        + "".join(
            f"- {aspect}: {found.protocol[aspect]}\n"
            for aspect in ("generated", "reference", "floor", "preprocessing", "intervals")
        )
        + "- *FID (digits)* is not the FID of papers, which use features of Inception: compare it only within this "
        "table. The floor is the score of as many real training images; a model need not beat it.\n"
        "- *asked class*: the fraction of generated digits that the network classifies as the requested digit; it "
        "classifies [99.6 % of the test images](digit-network.md) correctly.\n"
        "- *diversity*: the mean distance between two generated images of a class (as classified, or for `cgan` as "
        "requested), relative to that of real ones.\n"
        "- *copies*: the fraction of generated images that are as close to a training image as the closest hundredth "
        "of the test images; much more than 0.01 would mean memorisation.\n",
    )


def chosen_by_lot(source: Source) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return source.rows(torch.randperm(len(source), generator=rng)[: ACROSS**2].tolist()).images


if __name__ == "__main__":
    main()
