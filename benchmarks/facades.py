"""Label maps of facades to photographs: pix2pix's default, and that of an earlier version.

    python benchmarks/facades.py --data DIR --vgg-weights FILE [--minutes 10] [--jobs 2] [--before CHECKOUT]

DIR holds the official train and val folders of the CMP facades, side by side. Trains each through the command line at
128 pixels, one after the other on all cores (`--jobs 2`: two at a time, each on its share of the cores), and scores the
100 validation pairs, which decide nothing else: settings were chosen on a part of the training pairs. `--before` names
a checkout of an earlier version, whose default is trained in the same run. Writes docs/results/facades.md. Stopped, it
goes on with the same command.
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

from ganvas import checkpoint, progress
from ganvas.data import open_for
from ganvas.data.batch import PairBatch
from ganvas.evaluation import evaluate_pairs
from ganvas.metrics.features import open_vgg, vgg_features

RUNS = Path("runs/facades")
SIZE = 128
SEEN = (  # by eye, on 2026-11-28; look again when the figures change
    "The default is sharper, to SWD and to the eye: windows have frames and panes, where those of before are soft. It "
    "also leaves noise on roofs and at the borders, and FID (vgg), PSNR and SSIM are better for before: which of the "
    "two should be the default is still open."
)
COLUMNS = ("SWD", "SWD all levels", "FID (vgg)", "PSNR", "SSIM")


def train_all(options: argparse.Namespace) -> dict[str, Path]:
    """Train each by its own process, as many at a time as there are jobs; returns their run folders."""
    cores = sorted(os.sched_getaffinity(0))
    share = len(cores) // options.jobs
    free: Queue[list[int]] = Queue()
    for job in range(options.jobs):
        free.put(cores[job * share : (job + 1) * share])
    names = ["default", *(["before"] if options.before else [])]

    def train_on_a_share(name: str) -> Path:
        mine = free.get()
        try:
            return train(name, mine, options)
        finally:
            free.put(mine)

    with ThreadPoolExecutor(options.jobs) as pool:
        return dict(zip(names, pool.map(train_on_a_share, names), strict=True))


def train(name: str, cores: list[int], options: argparse.Namespace) -> Path:
    """Train one on these cores, or go on with it; returns its run folder."""
    run = RUNS / name
    command = [sys.executable, "-m", "ganvas", "train", "pix2pix", "--data", options.data / "train", "--side", "ba"]
    command += ["--size", SIZE, "--flip", "--random-crop", "--minutes", options.minutes, "--run", run]
    env = {**os.environ, "OMP_NUM_THREADS": str(len(cores))}
    if name == "before":
        env["PYTHONPATH"] = str((options.before / "src").resolve())
    pinned = ["taskset", "--cpu-list", ",".join(map(str, cores)), *map(str, command)]
    subprocess.run(pinned, check=True, env=env, stdout=subprocess.DEVNULL)
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vgg-weights", type=Path, required=True, help="of torchvision's VGG-19, for FID (vgg)")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    options = parser.parse_args()

    runs = train_all(options)
    models = {name: checkpoint.load(run, torch.device("cpu")) for name, run in runs.items()}
    pairs = open_for((PairBatch,), str(options.data / "val"), root=Path(), size=SIZE, split="train", side="ba")
    judge = vgg_features(open_vgg(options.vgg_weights))
    found = evaluate_pairs(models, pairs, features=judge, track=progress.track)
    rows = ""
    for answer in (*models, "input", "mean image"):
        values = [found[column].values.get(answer) for column in COLUMNS]
        steps = f"{models[answer].step:,}" if answer in models else ""
        cells = [found[c].measure.written(v.value) if v else "" for c, v in zip(COLUMNS, values, strict=True)]
        rows += f"| {answer} | {steps} | {' | '.join(cells)} |\n"
    cores = len(os.sched_getaffinity(0)) // options.jobs
    busy = ", the others busy too" if options.jobs > 1 else ""
    report.write(
        "facades.md",
        f"# Facades: {options.minutes:g} minutes of `pix2pix`\n\n"
        f"Label maps to photographs at {SIZE} pixels, 400 pairs, each trained {options.minutes:g} minutes on {cores} "
        f"core(s){busy}, with seed 0, and scored on the 100 validation pairs, which nothing was chosen by. *Default* "
        "are the settings as they are; *before* is the default of ganvas 0.1, whose optimiser took scrambled steps, "
        "trained in the same run. [SWD](../evaluation.md#swd) tells how sharp images are. The data carry no licence to "
        "show them. `benchmarks/facades.py`.\n\n"
        f"| | steps | {' | '.join(COLUMNS)} |\n|---|---|{'---|' * len(COLUMNS)}\n{rows}\n{SEEN}\n",
    )


if __name__ == "__main__":
    main()
