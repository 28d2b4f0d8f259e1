"""The measurements that decide the defaults: equal minutes, scored on images that no other page uses.

    python benchmarks/tuning.py --data-root DIR --trials mnist [--minutes 5]        (DIR holds MNIST/raw)

Trains each setting of a list below through the command line, one at a time, with seed 1, into runs/tuning/, and writes
the settings and their scores to docs/results/tuning-TRIALS.md. MNIST is scored against 10,000 images of the training
split; the test split is kept for docs/results/generation.md. If it was stopped, the same command continues it; `--only`
selects some. The page has all that were trained.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import report
import torch

from ganvas import checkpoint
from ganvas.core.options import Data
from ganvas.data import open_data
from ganvas.data.batch import Source
from ganvas.evaluation import evaluate_generated
from ganvas.metrics.features import open_features

SEED, COUNT = 1, 10_000

MNIST = [  # the first of each method is its default
    "dcgan",
    "dcgan --r1 0.1",
    "dcgan --r1 0.3",
    "dcgan --learning-rate 2e-3",
    "dcgan --learning-rate 5e-4",
    "dcgan --hidden 256",
    "dcgan --width 16",
    "dcgan --batch 128",
    "wgan_gp",
    "wgan_gp --learning-rate 2e-3",
    "wgan_gp --learning-rate 3e-3",
    "wgan_gp --learning-rate 5e-4",
    "wgan_gp --beta1 0.5 --beta2 0.9",
    "wgan_gp --width 32 --hidden 512",
    "wgan_gp --critic-steps 2",
    "wgan_gp --penalty 1",
    "wgan_gp --batch 32",
    "cgan",
    "cgan --r1 0.3",
    "cgan --r1 1",
    "cgan --learning-rate 5e-4",
    "cgan --learning-rate 2e-3",
    "cgan --width 16",
    "vae",
    "vae --decay 0 --ema 0",
    "vae --latent 16",
    "vae --latent 20",
    "vae --width 16",
    "vae --hidden 1024",
    "vae --learning-rate 2e-3",
    "vae --beta 1.3",
    "vae --beta 2",
]


def trial_folder(trial: str) -> str:
    """The folder name of a trial."""
    return trial.replace(" --", "_").replace(" ", "-")


def train(trial: str, run: Path, options: argparse.Namespace) -> None:
    """Train one trial for the minutes, or continue it up to them."""
    name, *settings = trial.split()
    where = ["--data", "mnist", "--data-root", options.data_root, "--seed", SEED, "--run", run]
    command = [sys.executable, "-m", "ganvas", "train", name, *settings, *where, "--minutes", options.minutes]
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)


def scores(run: Path, source: Source) -> dict[str, float]:
    """The scores of 10,000 generated images of a run."""
    model = checkpoint.load(run, torch.device("cpu"))
    judge = open_features("digits", device=torch.device("cpu"))
    found = evaluate_generated({"model": model}, source, features=judge, count=COUNT)
    wanted = ("FID (digits)", "precision (digits)", "recall (digits)", "asked class")
    values = {score.name: score.values["model"].value for score in found.scores if score.name in wanted}
    return {"steps": model.step, **values}


def place_of(runs: Path, trial: str, options: argparse.Namespace) -> tuple[Path, Path]:
    """The run folder of a trial, and the file with its scores."""
    run = runs / f"{trial_folder(trial)}-{options.minutes:g}min"
    return run, run / "scores.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--only", nargs="*", default=[], metavar="TRIAL", help="settings, as in the list")
    options = parser.parse_args()

    runs = Path("runs") / "tuning"
    source = open_data(Data("mnist", root=options.data_root), split="train")
    for trial in options.only or MNIST:
        run, written = place_of(runs, trial, options)
        if not written.exists():
            train(trial, run, options)
            written.write_text(json.dumps(scores(run, source)))
        found = json.loads(written.read_text())
        print(f"{found.get('FID (digits)', float('nan')):8.3f}  {trial}  {found}", flush=True)
    of_all = {trial: place_of(runs, trial, options)[1] for trial in dict.fromkeys([*MNIST, *options.only])}
    results = {trial: json.loads(file.read_text()) for trial, file in of_all.items() if file.exists()}
    rows = "".join(
        f"| `{trial}` | {found['steps']:,} | {found['FID (digits)']:.3g} | {found['precision (digits)']:.3f} | "
        f"{found['recall (digits)']:.3f} | {found.get('asked class', float('nan')):.3f} |\n".replace("nan", "")
        for trial, found in results.items()
    )
    report.write(
        "tuning-mnist.md",
        f"# Settings tried on MNIST: {options.minutes:g} minutes each\n\n"
        "The measurements that decided the defaults, as far as they were made with exact steps. Each setting was "
        f"trained as long on {len(os.sched_getaffinity(0))} core(s), others in use, with seed "
        f"{SEED}; {COUNT:,} generated images are compared with {COUNT:,} of the *training* split; the test split is "
        "kept for the results. There is one training each, so differences of a tenth may be noise. The first of each "
        "method was the default at the time. "
        "`benchmarks/tuning.py`.\n\n"
        "| settings | steps | FID (digits) | precision | recall | asked class |\n|---|---|---|---|---|---|\n" + rows,
    )


if __name__ == "__main__":
    main()
