"""Each method on MNIST for the same minutes, side by side with real digits.

    python benchmarks/generation.py --data-root DIR --minutes 10       (DIR holds MNIST/raw)

Trains one after the other through the command line, as a user would, into runs/generation/, and writes
docs/results/generation.md with the picture. Stopped, it goes on with the same command.
"""

import argparse
import json
from pathlib import Path

import report
import torch
from PIL import Image, ImageDraw, ImageFont

from ganvas import checkpoint, images
from ganvas.cli import main as ganvas
from ganvas.data import open_source
from ganvas.inference import draw

RUNS = Path("runs/generation")
CONTESTANTS = {
    "gan --preset book": ["gan", "--preset", "book"],
    "dcgan --preset mnist28": ["dcgan", "--preset", "mnist28"],
    "dcgan": ["dcgan"],
    "gan": ["gan"],
}
ACROSS = 8


def train(name: str, words: list[str], options: argparse.Namespace) -> Path:
    run = RUNS / name.replace(" --preset ", "-")
    where = ["--data", "mnist", "--data-root", str(options.data_root), "--run", str(run)]
    status = ganvas(["train", *words, *where, "--minutes", str(options.minutes)])
    assert status == 0, f"{name} ended with status {status}"
    return run


def sheet(pictures: torch.Tensor) -> Image.Image:
    grid = images.grid(images.enlarge(pictures, side=28), columns=ACROSS, gap=1)
    return Image.fromarray(grid[0].numpy())


def side_by_side(sheets: dict[str, Image.Image]) -> Image.Image:
    """The sheets in a row, each under its name."""
    font = ImageFont.load_default(14)
    width, height = next(iter(sheets.values())).size
    out = Image.new("L", (len(sheets) * (width + 12) - 12, height + 22), 255)
    for i, (name, picture) in enumerate(sheets.items()):
        ImageDraw.Draw(out).text((i * (width + 12) + 2, 2), name, fill=0, font=font)
        out.paste(picture, (i * (width + 12), 22))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()

    chance = torch.Generator().manual_seed(0)
    held_out = open_source("mnist", root=options.data_root, split="test").pictures
    real = held_out.images[torch.randperm(len(held_out), generator=chance)[: ACROSS**2]]
    sheets, rows = {"real digits": sheet(real)}, []
    for name, words in CONTESTANTS.items():
        run = train(name, words, options)
        model = checkpoint.load(run, torch.device("cpu"))
        sheets[name] = sheet(torch.stack(list(draw(model, range(ACROSS**2)))))
        last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
        pictures = model.step * model.facts.config.batch
        rows.append(
            f"| `{name}` | {last['seconds'] / 60:.1f} | {model.step:,} | {pictures:,} | "
            f"{pictures / last['seconds']:,.0f} | {model.facts.precision} |"
        )
    report.RESULTS.mkdir(parents=True, exist_ok=True)
    side_by_side(sheets).save(report.RESULTS / "generation.png", optimize=True)
    report.write(
        "generation.md",
        f"# Drawing digits: {options.minutes:g} minutes of MNIST each\n\n"
        "![Sheets side by side](generation.png)\n\n"
        "Left: real digits, drawn by lot from the held-out test part. Then each method after the same minutes on the "
        "same machine, one at a time, seed 0; the pictures are those of seeds 0 to 63, none chosen. "
        "`benchmarks/generation.py`; sheets and saves are part of the minutes.\n\n"
        "| method | minutes | steps | pictures seen | pictures a second | precision |\n|---|---|---|---|---|---|\n"
        + "\n".join(rows),
    )


if __name__ == "__main__":
    main()
