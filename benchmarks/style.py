"""Style transfer: the time of `stylize` compared with the plain loop, its memory, and images of all three methods.

    python benchmarks/style.py --data-root DIR --weights VGG19                       everything, one after the other
    python benchmarks/style.py --data-root DIR --weights VGG19 --only speed memory   some; the others' figures are kept

DIR holds photos/{train,val} and monet. Writes docs/results/style.md with images of freely licensed photographs
(scikit-learn's, scikit-image's) in the styles of four paintings by Monet, which are in the public domain. Run the
same command again to continue trainings that were stopped.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import report
import safetensors.torch
import torch
import torchvision
from photographs import free_photographs
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from ganvas import checkpoint
from ganvas.cli import main as ganvas
from ganvas.core.device import choose_precision
from ganvas.imaging import images
from ganvas.imaging.images import DecodedImage
from ganvas.inference.translate import Translator
from ganvas.metrics.features import open_vgg
from ganvas.style import CONTENT_LAYER, STYLE_LAYERS, StylizeConfig, Stylizer
from ganvas.training import metrics_log

RUNS = Path("runs/style")
IMAGES = report.RESULTS / "style"
FOUND = RUNS / "found.json"
CPU = torch.device("cpu")
PARTS = ("speed", "memory", "grid", "colors", "fast_style", "adain")

PAINTINGS = {  # of the folder monet, in the order of its names
    "irises": 36,
    "Argenteuil": 38,
    "Japanese bridge": 102,
    "storm at Belle-Ile": 219,
}
PHOTOGRAPHS = {"china": 0, "chelsea": 4, "astronaut": 5}  # of free_photographs
LEARNED = "irises"  # by fast_style
SIDE = 256  # pixels at which the grids are made
SHOWN = 256  # and shown
MINUTES = 60  # of training, each
SIZES = {"fast_style": 128, "adain": 128}  # pixels, in training
TIMED = 512  # pixels a side of the images whose translation is timed

SPEED_SIZE, ITERATIONS, ROUNDS = 256, 200, 2
MEMORY_SIZES = (256, 512, 1024)


# --- input ----------------------------------------------------------------------------------------------------------


def painting_file(root: Path, name: str) -> Path:
    return sorted((root / "monet").iterdir())[PAINTINGS[name]]


def painting(root: Path, name: str) -> DecodedImage:
    return images.read(painting_file(root, name))


def photographs(side: int) -> dict[str, DecodedImage]:
    every = free_photographs(side)
    return {name: DecodedImage(every[number]) for name, number in PHOTOGRAPHS.items()}


def stylised(
    content: DecodedImage, style: DecodedImage, weights: Path, config: StylizeConfig, precision: str
) -> tuple[DecodedImage, Tensor]:
    """The result of `ganvas stylize`, and the image (1, 3, H, W) in 0..1 before it is rounded to bytes."""
    network = open_vgg(weights, deepest=config.deepest, pooling=config.pooling)
    stylizer = Stylizer(config, network, [style], precision)
    for progress in stylizer(content):
        made = progress.made
    return stylizer.finish(content, made), (made[None] + 1) / 2


# --- speed ----------------------------------------------------------------------------------------------------------


def torchvision_features(weights: Path | None) -> torch.nn.Sequential:
    """The convolutional part of torchvision's VGG-19; with random weights if there is no file."""
    network = torchvision.models.vgg19().features
    if weights:
        state = safetensors.torch.load_file(weights) if weights.suffix == ".safetensors" else torch.load(weights)
        kept = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
        network.load_state_dict(kept)
    for layer in network:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False  # necessary for the hooks, as in tutorials
    return network.eval().requires_grad_(False)


class PlainLoop:
    """The loop of common tutorials: hooks on every layer, the whole network, fp32, style targets in every step."""

    names = dict(zip(STYLE_LAYERS, (1, 6, 11, 20, 29), strict=True)) | {CONTENT_LAYER: 22}

    def __init__(self, weights: Path | None, config: StylizeConfig):
        self.network, self.config, self.seen = torchvision_features(weights), config, dict[int, Tensor]()
        for number, layer in enumerate(self.network):
            layer.register_forward_hook(self._remember(number))
        self.mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        self.deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]

    def _remember(self, number: int) -> Callable[..., None]:
        def hook(_: torch.nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            self.seen[number] = output

        return hook

    def look(self, images: Tensor) -> dict[str, Tensor]:
        """The features of images (1, 3, H, W) in 0..1 at the layers of the losses."""
        self.network((images - self.mean) / self.deviation)
        return {name: self.seen[number] for name, number in self.names.items()}

    @staticmethod
    def gram(maps: Tensor) -> Tensor:
        """Feature maps (1, C, H, W) to (C, C)."""
        rows = maps[0].flatten(1)
        return rows @ rows.T / rows.shape[1]

    def loss(self, image: Tensor, style: Tensor, content: Tensor) -> Tensor:
        """The loss of `stylize`, implemented separately, with content and style relative to their targets."""
        with torch.no_grad():
            wanted = {name: self.gram(maps) for name, maps in self.look(style).items() if name in self.config.shares}
        maps = self.look(image)
        loss = self.config.content_weight * F.mse_loss(maps[CONTENT_LAYER], content) / content.square().mean()
        for name, share in self.config.shares.items():
            gap = (self.gram(maps[name]) - wanted[name]).square().sum() / wanted[name].square().sum()
            loss = loss + self.config.style_weight * share * gap
        steps = (image.diff(dim=-2) * 2).square().mean() + (image.diff(dim=-1) * 2).square().mean()  # of -1..1
        return loss + self.config.variation_weight * steps

    def content_of(self, content: Tensor) -> Tensor:
        """The features of the content."""
        with torch.no_grad():
            return self.look(content)[CONTENT_LAYER]

    def __call__(self, content: Tensor, style: Tensor, steps: int) -> Tensor:
        """The image (1, 3, H, W) in 0..1 after `steps` steps from the content, with torch's L-BFGS."""
        wanted, image = self.content_of(content), content.clone().requires_grad_()
        optimizer, done = torch.optim.LBFGS([image], lr=1), 0

        def closure() -> Tensor:
            nonlocal done
            with torch.no_grad():
                image.clamp_(0, 1)
            optimizer.zero_grad()
            loss = self.loss(image, style, wanted)
            loss.backward()
            done += 1
            loss.item()
            return loss

        while done < steps:
            optimizer.param_groups[0]["max_iter"] = min(20, steps - done)
            optimizer.step(closure)
        return image.detach().clamp(0, 1)


def speed(root: Path, weights: Path) -> dict[str, object]:
    """Plain loop and ganvas in turns: seconds and the final loss, measured in fp32 for both."""
    config, precision = StylizeConfig(size=SPEED_SIZE, iterations=ITERATIONS), choose_precision(CPU)
    content, style = photographs(SPEED_SIZE)["china"], painting(root, "Argenteuil")
    style = DecodedImage(images.resize(style.pixels[None], SPEED_SIZE)[0])
    loop = PlainLoop(weights, config)
    ways: dict[str, Callable[[], Tensor]] = {
        "plain loop, fp32": lambda: loop(unit(content), unit(style), ITERATIONS),
        f"ganvas as shipped ({precision})": lambda: stylised(content, style, weights, config, precision)[1],
    }
    rounds = []
    for _ in range(ROUNDS):
        rounds.append({})
        for name, way in ways.items():
            start = time.perf_counter()
            made = way()
            seconds = time.perf_counter() - start
            with torch.no_grad():
                loss = float(loop.loss(made, unit(style), loop.content_of(unit(content))))
            rounds[-1][name] = (seconds, loss)
            print(name, f"{seconds:.1f} s, loss {loss:.4f}", flush=True)
    with torch.no_grad():
        start_loss = float(loop.loss(unit(content), unit(style), loop.content_of(unit(content))))
    return {"rounds": rounds, "start": start_loss}


def unit(image: DecodedImage) -> Tensor:
    """(1, 3, H, W) in 0..1."""
    return image.pixels[None].float() / 255


def speed_text(found: dict) -> str:
    rounds = found["rounds"]
    rows = []
    for name in rounds[0]:
        seconds = [r[name][0] for r in rounds]
        shares = [r[name][0] / r["plain loop, fp32"][0] for r in rounds]
        losses = [r[name][1] for r in rounds]
        ends = f" ({min(shares):.0%} to {max(shares):.0%})" if min(shares) < max(shares) else ""
        rows.append(
            f"| {name} | {statistics.median(seconds):.1f} | {statistics.median(shares):.0%}{ends} "
            f"| {statistics.median(losses):.4f} |"
        )
    return (
        f"## Time\n\n{SPEED_SIZE}x{SPEED_SIZE} pixels, {ITERATIONS} iterations of L-BFGS from the content. The plain "
        "loop is that of common tutorials: hooks on every layer, the whole network run, fp32, the style's targets "
        f"computed again in each iteration. Each ran {len(rounds)} times, in turns. The loss is measured for both with "
        f"the plain loop's own code in fp32; the loss of the photograph itself is {found['start']:.2f}.\n\n"
        "| | seconds (median) | share of the plain loop's time | final loss |\n|---|---|---|---|\n" + "\n".join(rows)
    )


# --- memory ---------------------------------------------------------------------------------------------------------


def peak(root: Path, weights: Path, size: int) -> None:
    """In a separate process: a few iterations at the size, and the peak memory."""
    content, style = DecodedImage(free_photographs(size)[0]), painting(root, "Argenteuil")
    config = StylizeConfig(size=size, scales=1, iterations=4)
    start = time.perf_counter()
    stylised(content, style, weights, config, choose_precision(CPU))
    seconds = (time.perf_counter() - start) / 4
    print(json.dumps({"bytes": report.peak_bytes(), "seconds": seconds}))


def memory(root: Path, weights: Path) -> dict[str, object]:
    found = {}
    for size in MEMORY_SIZES:
        words = ["--data-root", str(root), "--weights", str(weights), "--peak", str(size)]
        done = subprocess.run([sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True)
        found[str(size)] = json.loads(done.stdout.splitlines()[-1])
        print(size, found[str(size)], flush=True)
    return found


def memory_text(found: dict) -> str:
    rows = [f"| {size}x{size} | {one['bytes'] / 2**30:.2f} GiB | {one['seconds']:.1f} |" for size, one in found.items()]
    return (
        "## Memory\n\nPeak of the whole process, including Python and libraries, at one scale.\n\n"
        "| | peak | seconds an iteration, including loading |\n|---|---|---|\n" + "\n".join(rows)
    )


# --- images -------------------------------------------------------------------------------------------------------


def page_of(rows: list[list[Tensor]], titles: list[str], words: list[str]) -> Image.Image:
    """Images (3, H, W) in rows, with a title before each row and above each column."""
    side, left, top, gap = SHOWN, 90, 18, 4
    page = Image.new("RGB", (left + len(rows[0]) * (side + gap), top + len(rows) * (side + gap)), "white")
    pen = ImageDraw.Draw(page)
    for column, title in enumerate(titles):
        pen.text((left + column * (side + gap) + 4, 3), title, fill="black")
    for y, (row, word) in enumerate(zip(rows, words, strict=True)):
        pen.text((4, top + y * (side + gap) + side // 2), word, fill="black")
        for x, image in enumerate(row):
            shown = images.to_pillow(image).resize((side, side), Image.Resampling.LANCZOS)
            page.paste(shown, (left + x * (side + gap), top + y * (side + gap)))
    return page


def save(page: Image.Image, name: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.save(IMAGES / name, quality=88)
    print(IMAGES / name, flush=True)


def contact_grid(root: Path, weights: Path, keep_colors: str, name: str) -> dict[str, object]:
    """A grid of the photographs in the styles of the paintings; images of an earlier call are reused."""
    config, precision = StylizeConfig(size=SIDE, keep_colors=keep_colors), choose_precision(CPU)
    styles = {title: painting(root, title) for title in PAINTINGS}
    made, times = RUNS / "made", []
    made.mkdir(parents=True, exist_ok=True)
    rows = [[torch.full((3, SIDE, SIDE), 255, dtype=torch.uint8), *(style.pixels for style in styles.values())]]
    for photo, content in photographs(SIDE).items():
        row = [content.pixels]
        for title, style in styles.items():
            file = made / f"{photo}-{title.replace(' ', '-')}-{keep_colors}.png"
            if not file.exists():
                start = time.perf_counter()
                image = stylised(content, style, weights, config, precision)[0]
                file.with_suffix(".txt").write_text(str(time.perf_counter() - start))
                images.write(file, image.pixels)
            row.append(images.read(file).pixels)
            times.append(float(file.with_suffix(".txt").read_text()))
        rows.append(row)
    save(page_of(rows, ["", *styles], ["painting", *photographs(SIDE)]), name)
    return {"seconds": statistics.median(times), "iterations": config.iterations}


def train(method: str, root: Path, weights: Path) -> Path:
    """Train a method for its minutes, or for the rest of them; return the run folder."""
    run = RUNS / method
    style = ("--style", str(painting_file(root, LEARNED)))
    how = style if method == "fast_style" else ("--target", str(root / "monet"))
    words = [
        "train",
        method,
        "--data",
        str(root / "photos/train"),
        *how,
        "--size",
        str(SIZES[method]),
        "--flip",
        "--random-crop",
    ]
    assert ganvas([*words, "--minutes", str(MINUTES), "--features", str(weights), "--run", str(run)]) == 0
    return run


def trained(method: str, step: int) -> dict[str, float]:
    """The steps and the minutes of the training."""
    return {"step": step, "minutes": metrics_log.read(RUNS / method)[-1]["seconds"] / 60}


def seconds_a_image(translator: Translator) -> float:
    images, seconds = photographs(TIMED).values(), []
    for image in [*images, *images]:
        start = time.perf_counter()
        translator(image)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def fast_style(root: Path, weights: Path) -> dict[str, object]:
    model = checkpoint.load(train("fast_style", root, weights), CPU)
    contents, translator = photographs(2 * SHOWN), Translator(model)
    half = Translator(model, size=SHOWN)
    columns = [[p.pixels, translator(p).pixels, half(p).pixels] for p in contents.values()]
    rows = [[painting(root, LEARNED).pixels, *column] for column in columns]
    save(
        page_of(rows, ["painting", "photograph", "at 512 pixels", "at 256 (--size 256)"], list(contents)),
        "fast_style.jpg",
    )
    return trained("fast_style", model.step) | {"seconds": seconds_a_image(translator)}


def adain(root: Path, weights: Path) -> dict[str, object]:
    model = checkpoint.load(train("adain", root, weights), CPU)
    contents, styles = photographs(2 * SHOWN), {title: painting(root, title) for title in PAINTINGS}
    rows = [[torch.full((3, SHOWN, SHOWN), 255, dtype=torch.uint8), *(style.pixels for style in styles.values())]]
    for content in contents.values():
        made = [Translator(model, styles=[style])(content).pixels for style in styles.values()]
        rows.append([content.pixels, *made])
    save(page_of(rows, ["", *styles], ["painting", *contents]), "adain.jpg")
    style, content = styles["Japanese bridge"], contents["china"]
    strengths = (0.0, 0.25, 0.5, 0.75, 1.0)
    row = [Translator(model, styles=[style], strength=strength)(content).pixels for strength in strengths]
    save(page_of([row], [f"--strength {strength:g}" for strength in strengths], ["china"]), "strength.jpg")
    return trained("adain", model.step) | {"seconds": seconds_a_image(Translator(model, styles=[style]))}


# --- writing --------------------------------------------------------------------------------------------------------


def write(found: dict) -> None:
    grid, colors, fast, arbitrary = (found[part] for part in ("grid", "colors", "fast_style", "adain"))
    text = f"""# Style transfer

`benchmarks/style.py`. The photographs are freely licensed ones of scikit-learn and scikit-image; the paintings are
Monet's, in the public domain, at 256x256 pixels. No model was trained on these photographs.

## `ganvas stylize`

![Three photographs in the style of four paintings](style/grid.jpg)

All defaults, at {SIDE} pixels: {grid["iterations"]} iterations, {grid["seconds"]:.0f} seconds an image (median).

![The same with --keep-colors luminance](style/colors.jpg)

The same with `--keep-colors luminance`: {colors["seconds"]:.0f} seconds an image, on one core, with other work on the
machine.

{speed_text(found["speed"])}

{memory_text(found["memory"])}

## `fast_style` after {fast["minutes"]:.0f} minutes

![The painting, photographs, and their translations](style/fast_style.jpg)

`ganvas train fast_style --size {SIZES["fast_style"]} --flip --random-crop` on 1,500 landscape photographs, on one
core that was shared with other work for most of the time: {fast["step"]:,} steps, which take a little over an hour of
a core alone. Then **{fast["seconds"]:.2f} seconds an image** of {TIMED}x{TIMED} pixels.

## `adain` after {arbitrary["minutes"]:.0f} minutes

![Photographs in the styles of paintings, in one pass](style/adain.jpg)

![How much of the style](style/strength.jpg)

`ganvas train adain --size {SIZES["adain"]} --flip --random-crop` on the same photographs and 270 paintings by Monet,
these four among them, on one core: {arbitrary["step"]:,} steps. Then **{arbitrary["seconds"]:.2f} seconds an image**
of {TIMED}x{TIMED} pixels, whatever the painting.
"""
    report.write("style.md", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=os.environ.get("GANVAS_WEIGHTS"), help="file of VGG-19")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    root, weights = options.data_root, Path(options.weights)
    if options.peak:
        peak(root, weights, options.peak)
        return
    parts: dict[str, Callable[[], dict[str, object]]] = {
        "speed": lambda: speed(root, weights),
        "memory": lambda: memory(root, weights),
        "grid": lambda: contact_grid(root, weights, "none", "grid.jpg"),
        "colors": lambda: contact_grid(root, weights, "luminance", "colors.jpg"),
        "fast_style": lambda: fast_style(root, weights),
        "adain": lambda: adain(root, weights),
    }
    RUNS.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, object]] = {}
    for part in options.only:
        result = parts[part]()
        found = json.loads(FOUND.read_text()) if FOUND.exists() else {}  # others may have added parts meanwhile
        found[part] = result
        FOUND.write_text(json.dumps(found, indent=1))
    if all(part in found for part in PARTS):
        write(found)


if __name__ == "__main__":
    main()
