"""pix2pix against autoencoder on five tasks, with the same data, minutes and held-out images; cyclegan for Monet.

    python benchmarks/translation.py --data-root DIR                       everything, one after the other
    python benchmarks/translation.py --data-root DIR --train colorize-pix2pix cartoon-pix2pix ...     only these runs

DIR holds photos/{train,val}, photo2cartoon/{train,val} and facades/{train,val} (side by side), monet, and MNIST/raw.
Writes docs/results/translation.md with images of freely licensed photographs, and grids of the held-out images, which
are not published, into runs/translation/grids. If it was stopped, the same command continues it.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import report
import torch
from photographs import free_photographs, titled
from PIL import Image

from ganvas import checkpoint
from ganvas.checkpoint import Model
from ganvas.cli import main as ganvas
from ganvas.core.optim import evaluating
from ganvas.core.options import Data
from ganvas.data import open_data
from ganvas.data.batch import PairBatch, Source
from ganvas.evaluation import Evaluation, Mean, Measure, evaluate_pairs
from ganvas.evaluation.measures import PAIRS
from ganvas.imaging import images as imaging
from ganvas.imaging.images import DecodedImage
from ganvas.inference.translate import Translator
from ganvas.training.samples import shown

RUNS = Path("runs/translation")
SIZE = 128
RIVALS = ("pix2pix", "autoencoder")
CPU = torch.device("cpu")
TOLD = ("MSE", "PSNR", "SSIM")  # of the metrics of pairs
IN_ROWS = {"input": "the input as it is", "mean image": "the mean of these targets, the same for all"}


@dataclass(frozen=True)
class Study:
    """A task: its title, the folders and options of its pairs, and the minutes of both trainings."""

    words: str
    train: str
    held_out: str
    how: tuple[str, ...]
    minutes: float
    l1: float = 100.0  # of pix2pix
    size: int = SIZE


STUDIES = {
    "colorize": Study("colourise", "photos/train", "photos/val", ("--task", "colorize"), 30, 1000.0),
    "cartoon": Study("photo to cartoon", "photo2cartoon/train", "photo2cartoon/val", ("--side", "ab"), 5),
    "monet": Study("photo to Monet", "photos/train", "photos/val", ("--target", "monet"), 6),
    "digits": Study("find the hidden digit", "mnist", "mnist", ("--task", "hidden-digit"), 4, size=32),
    "facades": Study("facades, label to photo", "facades/train", "facades/val", ("--side", "ba"), 8),
}
CYCLEGAN_MINUTES = 14
# residual blocks must learn to pass an image through before they can change it, which takes more minutes than these; a
# U-Net passes it through at once, and with the paper's weights for cycle and identity it learns no more than that
CYCLEGAN = ("--generator", "unet", "--norm", "group", "--cycle", "3", "--identity", "0.2")

WORDS = f"""# Translation: pix2pix against autoencoder

The same pairs, the same minutes **on one core**, the same held-out images, {SIZE} pixels, `--flip --random-crop`,
otherwise the defaults (colourising with `--l1 1000`; [why](../negative-results.md)); `benchmarks/translation.py`.
Scores are of the 8-bit images, means over the held-out images with 95 % bootstrap intervals;
[docs/evaluation.md](../evaluation.md) explains them. *Better than the input* is the paired difference of PSNR to the
unchanged input. The images below are freely licensed photographs (of scikit-learn and scikit-image) that no model was
trained on, at {2 * SIZE} pixels, translated with `ganvas translate`. The training photographs are landscapes, so
cups, cats and faces are far from the training data.

For Monet there are no true pairs: `cyclegan` was trained on the photographs and 270 paintings for {CYCLEGAN_MINUTES}
minutes without pairs (`{" ".join(CYCLEGAN)}`). Its translations of the photographs are the targets of the two
methods, so they can at best be as good as it is.

Visual impression. *Colourising*: `pix2pix` gives skies, water, rock and dusk plausible colours, but seldom the true
ones, and its PSNR does not differ from that of the paler `autoencoder`. Neither comes near two decibels better than
grey, and even an image's own mean colour brings hardly more than that. *Cartoon* and *Monet*: the autoencoder's
results are blurred by its 8x8 feature map, and the skip connections of `pix2pix` keep every edge; it even leaves out
the grain in the results of `cyclegan`, its targets. `cyclegan` has learned the palette, but little of the brush
strokes. *Digits*: `pix2pix` finds most; the autoencoder is uncertain everywhere and gives the median, black.
*Facades*: `pix2pix` makes soft windows and ledges, the autoencoder a brown fog, and by MSE and PSNR **the fog scores
better**, because it is near the mean of all plausible results. The trainings shared the machine with other work, so
steps differ more than they would otherwise. The weight of 1000 for colourising was chosen by scores on these same
held-out photographs, so its score is a little too good. The settings of `cyclegan` were the fifth tried, chosen by
eye on grids of training images.
"""


# --- training -------------------------------------------------------------------------------------------------------


def run_names() -> list[str]:
    """All runs, in an order in which each comes after those that it needs."""
    rivals = [f"{study}-{rival}" for study in STUDIES for rival in RIVALS]
    return ["monet-cyclegan", *rivals]


def train(name: str, root: Path, share: float) -> None:
    """Train one run, or continue it."""
    if name == "monet-cyclegan":
        how = ("--target", str(root / "monet"), *CYCLEGAN)
        _train("cyclegan", name, root / "photos/train", (*how, "--flip"), CYCLEGAN_MINUTES * share, SIZE)
        return
    study, _, rival = name.partition("-")
    task = STUDIES[study]
    how = task.how
    settings = ("--l1", str(task.l1)) if rival == "pix2pix" else ()
    if study == "monet":
        train("monet-cyclegan", root, share)
        how = ("--target", str(monets(root, "train")))
    flip = () if study == "digits" else ("--flip",)  # digits must not be mirrored
    data = root / task.train if study != "digits" else Path(task.train)
    _train(rival, name, data, (*how, *settings, *flip, "--data-root", str(root)), task.minutes * share, task.size)


def _train(method: str, name: str, data: Path, how: tuple[str, ...], minutes: float, size: int) -> None:
    words = ["train", method, "--data", str(data), *how, "--size", str(size), "--random-crop"]
    assert ganvas([*words, "--minutes", str(minutes), "--run", str(RUNS / name)]) == 0


def monets(root: Path, part: str) -> Path:
    """The photographs as cyclegan translates them at the training size: the targets of the Monet study."""
    folder = RUNS / "monets" / part
    photos = sorted((root / "photos" / part).iterdir())
    if len(list(folder.glob("*.png"))) < len(photos):
        model = checkpoint.load(RUNS / "monet-cyclegan", CPU)
        folder.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(photos), 16):
            some = photos[start : start + 16]
            images = torch.stack([imaging.read_square(path, size=SIZE, channels=3) for path in some])
            with evaluating(model.method):
                made = imaging.to_bytes(model.method.translate(imaging.to_signed(images)))
            for path, image in zip(some, made, strict=True):
                imaging.write(folder / f"{path.stem}.png", image)
    return folder


# --- images ---------------------------------------------------------------------------------------------------------


def held_out(study: str, root: Path) -> Source[PairBatch]:
    """The held-out pairs, which are not used in training."""
    task = STUDIES[study]
    flag, value = task.how
    where = {flag.removeprefix("--"): str(monets(root, "val")) if study == "monet" else value}
    name = str(root / task.held_out) if study != "digits" else task.held_out
    return open_data(Data(name, root=root, size=task.size, **where), (PairBatch,), split="test")


def grid(found: Evaluation) -> Image.Image:
    """Evenly spaced held-out images: rows of sources, of each model's results, and of targets, repeated."""
    kinds, laid = list(found.shown[0].images), replace(found.grids["grid"], side=SIZE)
    bands = len(laid.images) // laid.across // len(kinds)
    return titled(laid.drawn().expand(3, -1, -1), kinds * bands, SIZE)


def free_grid(study: str, models: dict[str, Model]) -> Image.Image:
    """The free photographs, translated by the models as `ganvas translate` does it."""
    photographs = free_photographs(2 * SIZE)
    rows = [photographs]
    if study == "colorize":
        rows = [torch.stack([imaging.in_channels(imaging.in_channels(photo, 1), 3) for photo in photographs])]
    for model in models.values():
        translator = Translator(model)
        rows.append(torch.stack([translator(DecodedImage(photo)).pixels for photo in rows[0]]))
    titles = ["input", *models]
    if study == "colorize":
        rows.append(photographs)
        titles.append("as it was")
    return titled(imaging.grid(torch.cat(rows), columns=len(photographs)), titles, 2 * SIZE)


# --- writing --------------------------------------------------------------------------------------------------------


def table(study: str, source: Source[PairBatch], found: Evaluation) -> str:
    """The scores of both methods and of the baselines, and the paired differences between the methods."""
    lines = [
        f"## {STUDIES[study].words.capitalize()}\n",
        f"{STUDIES[study].minutes:g} minutes each, {found['PSNR'].n:,} held-out images of "
        f"{STUDIES[study].size}x{STUDIES[study].size}.\n",
        "| | steps | MSE | PSNR, dB | SSIM | better than the input, dB | checkerboard (targets) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, words in IN_ROWS.items():
        cells = [with_ends(found[measure].values[name], found[measure].measure) for measure in TOLD]
        lines.append(f"| {words} | | {' | '.join(cells)} | | |")
    if study == "colorize":
        lines.append(own_mean_colour(source))
    psnr, board = found["PSNR"], found["checkerboard"]
    for model in found.models:
        cells = [with_ends(found[measure].values[model.name], found[measure].measure) for measure in TOLD]
        cells.append(with_ends(psnr.between(model.name, "input").mean, psnr.measure))
        cells.append(f"{board.values[model.name].value:.2f} ({board.values['target'].value:.2f})")
        lines.append(f"| `{model.name}` | {model.step:,} | {' | '.join(cells)} |")
    verdicts = [found[measure].verdict(found[measure].between(*RIVALS)) for measure in TOLD]
    return "\n".join([*lines, "", *(f"- {verdict}." for verdict in verdicts)])


def own_mean_colour(source: Source[PairBatch]) -> str:
    """The scores of colouring each image with its own mean colour, which no model can know."""
    rows = source.some(len(source))
    mean = rows.target.float().mean((2, 3), keepdim=True).round().to(torch.uint8).expand_as(rows.target)
    wanted, made = (shown(replace(rows, target=target), "colorize")[1] for target in (rows.target, mean))
    cells = [f"{one.of(made, wanted).mean():{one.digits}}" for one in PAIRS if one.name in TOLD]
    return f"| each image in its own mean colour, which no model can know | | {' | '.join(cells)} | | |"


def with_ends(mean: Mean, measure: Measure) -> str:
    """A mean with its interval."""
    return f"{mean.value:{measure.digits}} ({mean.low:{measure.digits}} to {mean.high:{measure.digits}})"


def write(root: Path) -> None:
    """Score every run, save the grids and write the page."""
    grids = RUNS / "grids"
    grids.mkdir(exist_ok=True)
    images = report.RESULTS / "translation"
    images.mkdir(parents=True, exist_ok=True)
    parts = []
    for study in STUDIES:
        models = {rival: checkpoint.load(RUNS / f"{study}-{rival}", CPU) for rival in RIVALS}
        source = held_out(study, root)
        found = evaluate_pairs(models, source, task=models["pix2pix"].manifest.task)
        parts.append(table(study, source, found))
        print(parts[-1])
        held_out_grid = grid(found)
        held_out_grid.save(grids / f"{study}.png")
        if study == "digits":  # may be published
            held_out_grid.save(images / f"{study}.png", optimize=True)
            parts.append(f"![{STUDIES[study].words}](translation/{study}.png)")
        elif study != "facades":  # there are no label maps of these photographs
            shown_models = models
            if study == "monet":
                shown_models = {"cyclegan": checkpoint.load(RUNS / "monet-cyclegan", CPU), **models}
            free_grid(study, shown_models).save(images / f"{study}.jpg", quality=90, subsampling=0)
            parts.append(f"![{STUDIES[study].words}](translation/{study}.jpg)")
    report.write("translation.md", WORDS + "\n\n" + "\n\n".join(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--train", nargs="+", choices=run_names(), default=None)
    parser.add_argument("--share", type=float, default=1.0, help="fraction of the minutes, to test the script")
    options = parser.parse_args()
    for name in options.train or run_names():
        train(name, options.data_root, options.share)
    if not options.train:
        write(options.data_root)


if __name__ == "__main__":
    main()
