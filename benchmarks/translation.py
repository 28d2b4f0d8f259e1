"""pix2pix against autoencoder on four tasks, with the same data, minutes and held-out pictures; cyclegan for Monet.

    python benchmarks/translation.py --data-root DIR                       everything, one after the other
    python benchmarks/translation.py --data-root DIR --train colorize-pix2pix cartoon-pix2pix ...     only these runs

DIR holds photos/{train,val}, photo2cartoon/{train,val} and facades/{train,val} (side by side), and monet. Writes
docs/results/translation.md with pictures of freely licensed photographs, and sheets of the held-out pictures for private
eyes into runs/translation/sheets, which is not kept. Stopped, it goes on with the same command.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import report
import torch
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images
from torch import Tensor

from ganvas import checkpoint, evaluation, images, methods
from ganvas.checkpoint import Model
from ganvas.cli import main as ganvas
from ganvas.data import open_for
from ganvas.data.batch import Pairs, Source
from ganvas.gallery import shown
from ganvas.images import Picture
from ganvas.runtime import evaluating
from ganvas.translation import Translator

RUNS = Path("runs/translation")
SIZE = 128
RIVALS = ("pix2pix", "autoencoder")
CPU = torch.device("cpu")
SHEET = 10  # held-out pictures on a sheet


@dataclass(frozen=True)
class Study:
    """A task: in words, where its pairs are, how, and for how many minutes both rivals learn it."""

    words: str
    train: str
    held_out: str
    how: tuple[str, ...]
    minutes: float


STUDIES = {
    "colorize": Study("colourise", "photos/train", "photos/val", ("--task", "colorize"), 30),
    "cartoon": Study("photo to cartoon", "photo2cartoon/train", "photo2cartoon/val", ("--side", "ab"), 12),
    "monet": Study("photo to Monet", "photos/train", "photos/val", ("--target", "monet"), 10),
    "facades": Study("facades, label to photo", "facades/train", "facades/val", ("--side", "ba"), 12),
}
CYCLEGAN_MINUTES = 25


# --- training -------------------------------------------------------------------------------------------------------


def run_names() -> list[str]:
    """All runs, in an order in which each finds what it needs."""
    rivals = [f"{study}-{rival}" for study in STUDIES for rival in RIVALS]
    return ["monet-cyclegan", *rivals]


def train(name: str, root: Path, share: float) -> None:
    """Train one run, or go on with it."""
    if name == "monet-cyclegan":
        _train("cyclegan", name, root / "photos/train", ("--target", str(root / "monet")), CYCLEGAN_MINUTES * share)
        return
    study, _, rival = name.partition("-")
    task = STUDIES[study]
    how = task.how
    if study == "monet":
        train("monet-cyclegan", root, share)
        how = ("--target", str(monets(root, "train")))
    _train(rival, name, root / task.train, how, task.minutes * share)


def _train(method: str, name: str, data: Path, how: tuple[str, ...], minutes: float) -> None:
    words = ["train", method, "--data", str(data), *how, "--size", str(SIZE), "--flip", "--jitter"]
    assert ganvas([*words, "--minutes", str(minutes), "--run", str(RUNS / name)]) == 0


def monets(root: Path, part: str) -> Path:
    """The photographs as cyclegan paints them at the size of the training: the targets of the Monet study."""
    folder = RUNS / "monets" / part
    photos = sorted((root / "photos" / part).iterdir())
    if len(list(folder.glob("*.png"))) < len(photos):
        model = checkpoint.load(RUNS / "monet-cyclegan", CPU)
        folder.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(photos), 16):
            some = photos[start : start + 16]
            pictures = torch.stack([images.read_square(path, size=SIZE, channels=3) for path in some])
            with evaluating(model.method):
                made = images.to_bytes(model.method.translate(images.to_signed(pictures)))
            for path, picture in zip(some, made, strict=True):
                images.write(folder / f"{path.stem}.png", picture)
    return folder


# --- looking --------------------------------------------------------------------------------------------------------


def held_out(study: str, root: Path) -> Source[Pairs]:
    """The pairs that no training has seen."""
    task = STUDIES[study]
    flag, value = task.how
    where = {flag.removeprefix("--"): str(monets(root, "val")) if study == "monet" else value}
    return open_for((Pairs,), str(root / task.held_out), root=root, size=SIZE, **where)


def sheet(study: str, source: Source[Pairs], models: dict[str, Model]) -> Image.Image:
    """Held-out pictures: a row of sources, one of each model's answers, one of targets."""
    rows = source.some(SHEET)
    task = STUDIES[study].how[1] if study == "colorize" else ""
    first, last = shown(rows, task)
    answers = []
    for model in models.values():
        with evaluating(model.method):
            made = images.to_bytes(model.method.translate(images.to_signed(rows.source)))
        answers.append(shown(Pairs(rows.source, made), task)[1])
    stack = torch.cat([picture.expand(-1, 3, -1, -1) for picture in (first, *answers, last)])
    return titled(images.grid(stack, columns=len(first)), ["input", *models, "target"], SIZE)


def titled(picture: Tensor, titles: list[str], side: int) -> Image.Image:
    """A sheet with a word before each row."""
    rows = Image.fromarray(picture.permute(1, 2, 0).numpy())
    page = Image.new("RGB", (rows.width + 90, rows.height), "white")
    page.paste(rows, (90, 0))
    pen = ImageDraw.Draw(page)
    for row, title in enumerate(titles):
        pen.text((6, 2 + row * (side + 2) + side // 2 - 6), title, fill="black")
    return page


def free_photographs(side: int = 256) -> Tensor:
    """Photographs that anybody may show (scikit-learn's, scikit-image's), as uint8 (N, 3, side, side)."""
    from skimage import data

    arrays = [*load_sample_images().images, data.rocket(), data.coffee(), data.chelsea(), data.astronaut()]
    squares = []
    for array in arrays:
        square = Image.fromarray(np.asarray(array)[..., :3])
        edge = min(square.size)
        left, top = (square.width - edge) // 2, (square.height - edge) // 2
        scaled = square.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS)
        squares.append(torch.from_numpy(np.array(scaled)).permute(2, 0, 1))
    return torch.stack(squares)


def free_sheet(study: str, models: dict[str, Model]) -> Image.Image:
    """The free photographs through the models, as `ganvas translate` gives them."""
    photographs = free_photographs(2 * SIZE)
    rows = [photographs]
    if study == "colorize":
        grey = images.in_channels(photographs[0], 1)
        rows = [torch.stack([images.in_channels(photo, 1).expand_as(photo) for photo in photographs])]
        assert grey.shape[0] == 1
    for model in models.values():
        translator = Translator(model)
        rows.append(torch.stack([translator(Picture(photo)).pixels for photo in rows[0]]))
    titles = ["input", *models]
    if study == "colorize":
        rows.append(photographs)
        titles.append("as it was")
    return titled(images.grid(torch.cat(rows), columns=len(photographs)), titles, 2 * SIZE)


# --- writing --------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--train", nargs="+", choices=run_names(), default=None)
    parser.add_argument("--share", type=float, default=1.0, help="of the minutes; for trying the script itself")
    options = parser.parse_args()
    for name in options.train or run_names():
        train(name, options.data_root, options.share)
    if not options.train:
        write(options.data_root)
