"""Run the three-task study, pix2pix against autoencoder, and write its results.

    python benchmarks/three_tasks.py --data-root DIR [--seeds 0 1 2]

DIR holds the data that studies/three-tasks.yaml names. Writes docs/results/three-tasks.md: the study's own report.md,
in which the held-out images, whose licence is not clear, are replaced with freely licensed photographs. The whole
report, with the held-out images, is runs/three-tasks/index.html. If it was stopped, the same command continues it.
"""

import argparse
import re
from pathlib import Path

import report
import torch
from photographs import free_photographs, titled
from playwright.sync_api import sync_playwright

from ganvas import checkpoint
from ganvas.cli import main as ganvas
from ganvas.imaging import images
from ganvas.imaging.images import DecodedImage
from ganvas.inference.translate import Translator

STUDY, OUT = Path("studies/three-tasks.yaml"), Path("runs/three-tasks")
IMAGES = report.RESULTS / "three-tasks"
TASKS, METHODS = ("colorize", "monet", "cartoon"), ("pix2pix", "autoencoder")
SIDE = 256
NAMES = ("china", "flower", "rocket", "coffee", "chelsea", "astronaut")

ABOUT = """# pix2pix against autoencoder on three tasks

The results of [`ganvas study studies/three-tasks.yaml`](../study.md); `benchmarks/three_tasks.py`. The licence of the
held-out images is not clear, so this page shows freely licensed photographs (of scikit-learn and scikit-image)
instead, translated by the same models, which were not trained on them; seed 0. The training photographs are
landscapes. Each training had one core, some of them shared with other work, so steps differ more than they would
otherwise.
"""


def without_images(text: str) -> str:
    """The study's report without its title, its images and links to folders that are not in the repository."""
    text = re.sub(r"^# .*\n", "", text, count=1)
    text = re.sub(r"^\|[^\n]*\n\|[-|: ]+\n(\| !\[[^\n]*\n)+", "", text, flags=re.MULTILINE)
    return re.sub(r"^(Reports?:|!\[)[^\n]*\n", "", text, flags=re.MULTILINE)


def grid(task: str) -> str:
    """Save a grid of free photographs translated by both models; return the line that shows it."""
    photographs = free_photographs(SIDE)
    rows, titles = [photographs], ["photograph", *METHODS]
    for method in METHODS:
        model = checkpoint.load(OUT / "runs" / task / f"{method}-seed0", torch.device("cpu"))
        translator = Translator(model)
        rows.append(torch.stack([translator(DecodedImage(photograph)).pixels for photograph in photographs]))
    IMAGES.mkdir(parents=True, exist_ok=True)
    page = titled(images.grid(torch.cat(rows), columns=len(photographs)), titles, SIDE)
    page.save(IMAGES / f"{task}.jpg", quality=88)
    return f"![{task}: photographs, and the translations of both models](three-tasks/{task}.jpg)"


def page() -> None:
    """Save a screenshot of the report on those photographs, in Debian's Chromium, for the page on comparing."""
    folder, out = OUT / "free photographs", OUT / "report"
    folder.mkdir(exist_ok=True)
    for name, photograph in zip(NAMES, free_photographs(SIDE), strict=True):
        images.write(folder / f"{name}.png", photograph)
    models = [str(OUT / "runs/colorize" / f"{method}-seed0") for method in METHODS]
    assert ganvas(["compare", *models, "--data", str(folder), "--out", str(out), "--overwrite"]) == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        shown = browser.new_page(viewport={"width": 1180, "height": 2000}, color_scheme="light")
        shown.goto((out / "index.html").resolve().as_uri())
        shown.wait_for_load_state("networkidle")
        shown.screenshot(path=str(IMAGES / "report.png"))
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", default=["0"])
    options = parser.parse_args()
    words = ["study", str(STUDY), "--data-root", str(options.data_root), "--out", str(OUT)]
    assert ganvas([*words, "--seeds", *options.seeds]) == 0
    text = without_images((OUT / "report.md").read_text(encoding="utf-8"))
    for task in TASKS:
        text = re.sub(rf"^(## {task}\n)", lambda found, task=task: f"{found[1]}\n{grid(task)}\n", text, flags=re.M)
    page()
    report.write("three-tasks.md", re.sub(r"\n{3,}", "\n\n", ABOUT + text))


if __name__ == "__main__":
    main()
