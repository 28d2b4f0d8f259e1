"""Label maps of facades to photographs: pix2pix's default, with L1 alone, and as an earlier version learned.

    python benchmarks/facades.py --data DIR --vgg-weights FILE [--minutes 10] [--before CHECKOUT]

DIR holds the official train and val folders of the CMP facades, side by side. Trains each through the command line on
all cores, one after the other, at 128 pixels, and scores the 100 validation pairs, which decide nothing else: settings
were chosen on a part of the training pairs (benchmarks/tuning.py). `--before` names a checkout of an earlier version,
whose default is trained in the same run. Writes docs/results/facades.md. Stopped, it goes on with the same command.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import report
import torch

from ganvas import checkpoint, console
from ganvas.data import open_for
from ganvas.data.batch import Pairs
from ganvas.evaluation import evaluate_pairs
from ganvas.features import open_vgg, vgg_features

RUNS = Path("runs/facades")
SIZE = 128
COLUMNS = ("SWD", "SWD all levels", "FID (vgg)", "PSNR", "SSIM")
RIVALS = {"default": (), "L1 alone": ("--l1", "100", "--feature-matching", "0")}


def train(name: str, settings: tuple[str, ...], options: argparse.Namespace, source: Path | None = None) -> Path:
    """Train one, or go on with it; returns its run folder."""
    run = RUNS / name.replace(" ", "-")
    command = [sys.executable, "-m", "ganvas", "train", "pix2pix", "--data", options.data / "train", "--side", "ba"]
    command += ["--size", SIZE, "--flip", "--jitter", "--minutes", options.minutes, "--run", run, *settings]
    path = {"PYTHONPATH": str(source)} if source else {}
    subprocess.run([*map(str, command)], check=True, env={**os.environ, **path})
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vgg-weights", type=Path, required=True, help="of torchvision's VGG-19, for FID (vgg)")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    options = parser.parse_args()

    runs = {name: train(name, settings, options) for name, settings in RIVALS.items()}
    if options.before:
        runs["before"] = train("before", (), options, (options.before / "src").resolve())
    models = {name: checkpoint.load(run, torch.device("cpu")) for name, run in runs.items()}
    pairs = open_for((Pairs,), str(options.data / "val"), root=Path(), size=SIZE, split="train", side="ba")
    judge = vgg_features(open_vgg(options.vgg_weights))
    found = evaluate_pairs(models, pairs, features=judge, track=console.track)
    rows = ""
    for answer in (*models, "input", "mean picture"):
        values = [found[column].values.get(answer) for column in COLUMNS]
        steps = f"{models[answer].step:,}" if answer in models else ""
        cells = [found[c].measure.written(v.value) if v else "" for c, v in zip(COLUMNS, values, strict=True)]
        rows += f"| {answer} | {steps} | {' | '.join(cells)} |\n"
    cores = len(os.sched_getaffinity(0))
    report.write(
        "facades.md",
        f"# Facades: {options.minutes:g} minutes of `pix2pix`\n\n"
        f"Label maps to photographs at {SIZE} pixels, 400 pairs, each trained {options.minutes:g} minutes on {cores} "
        "cores with seed 0, and scored on the 100 validation pairs. *Default* are the settings as they are; *L1 alone* "
        "leaves feature matching out and weighs L1 with 100, as the paper does; *before* is the default of ganvas 0.1, "
        "whose optimiser took scrambled steps, trained in the same run. SWD is the sliced Wasserstein distance of the "
        "finest level, times 1000: how sharp the images are. The data carry no licence to show them. "
        "`benchmarks/facades.py`.\n\n"
        f"| | steps | {' | '.join(COLUMNS)} |\n|---|---|{'---|' * len(COLUMNS)}\n{rows}",
    )


if __name__ == "__main__":
    main()
