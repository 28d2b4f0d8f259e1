"""Three hundred digits, with and without differentiable augmentation.

    python benchmarks/small_data.py --data-root DIR --minutes 3       (DIR holds MNIST/raw)

Writes docs/results/small-data.md with its image. If it was stopped, the same command continues it.
"""

import argparse
from pathlib import Path

import report
import torch
from quality import grid, side_by_side

from ganvas import checkpoint
from ganvas.cli import main as ganvas
from ganvas.core.options import Data
from ganvas.data import open_data
from ganvas.evaluation import evaluate_generated
from ganvas.evaluation.statistics import TRAINING
from ganvas.imaging import images
from ganvas.metrics.features import open_features

RUNS = Path("runs/small-data")
IMAGES = 300
COUNT = 10_000
WAYS = {
    "no augmentation": [],
    "translation": ["--augment", "translation"],
    "color translation cutout": ["--augment", "color", "translation", "cutout"],
}
SCORES = ["FID (digits)", "precision (digits)", "recall (digits)", "copies"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3)
    options = parser.parse_args()

    test = open_data(Data("mnist", root=options.data_root), split="test")
    some = open_data(Data("mnist", root=options.data_root)).some(IMAGES)
    folder = RUNS / "digits"
    for i, image in enumerate(some.images):
        folder.mkdir(parents=True, exist_ok=True)
        images.write(folder / f"{i:03d}.png", image)
    models = {}
    for name, words in WAYS.items():
        run = RUNS / name.replace(" ", "-")
        where = ["--data", str(folder), "--run", str(run), "--minutes", str(options.minutes)]
        assert ganvas(["train", "dcgan", *where, *words]) == 0
        models[name] = checkpoint.load(run, torch.device("cpu"))
    judge = open_features("digits", device=torch.device("cpu"))
    learned = open_data(Data(folder))
    found = evaluate_generated(models, test, features=judge, count=COUNT, training=dict.fromkeys(models, learned))
    grids = {"what it learned from": grid(some.images[:64])}
    grids |= {name: grid(found.grids[f"samples-{name}"].images[:64]) for name in models}
    rows = []
    for model in found.models:
        cells = [f"{found[score].values[model.name].value:.3g}" for score in SCORES]
        rows.append(f"| {model.name} | {model.step:,} | {' | '.join(cells)} |")
    fid = found["FID (digits)"]
    side_by_side(grids, columns=4).save(report.RESULTS / "small-data.png", optimize=True)
    report.write(
        "small-data.md",
        f"# {IMAGES} digits and augmentation\n\n![Grids side by side](small-data.png)\n\n"
        f"`dcgan` was trained on {IMAGES} MNIST digits for {options.minutes:g} minutes, with and without `--augment`; "
        f"{COUNT:,} generated images are scored against the {len(test):,} test images. `benchmarks/small_data.py`; "
        f"[docs/evaluation.md](../evaluation.md) explains the scores. The {IMAGES} digits themselves have an "
        f"FID (digits) of {fid.values[TRAINING].value:.3g}.\n\n"
        "| `--augment` | steps | FID (digits) | precision | recall | copies |\n|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n"
        + "".join(f"- {fid.verdict(one)}.\n" for one in fid.differences),
    )


if __name__ == "__main__":
    main()
