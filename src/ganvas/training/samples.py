"""Images and plots of a run: grids of the same seeds during training, their video, and the loss curves."""

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganvas.core.atomic_io import make_folder, write_whole
from ganvas.core.optim import evaluating
from ganvas.data import tasks
from ganvas.data.batch import Batch, ImageBatch, PairBatch, Source
from ganvas.errors import SaveError, UsageError
from ganvas.imaging import images
from ganvas.methods._base import Generates, Method, Restyles, Translates
from ganvas.training import metrics_log

MOST_ROWS = 16  # on a grid, where each is a class

SAMPLES, VIDEO, CURVES = "samples", "timelapse.gif", "losses.png"


def columns(size: int) -> int:
    """How many images of `size` pixels go side by side on a grid that fits a screen."""
    return 8 if size <= 64 else 4


def worth_a_look(step: int) -> bool:
    """Whether to take a grid after `step` steps: evenly in the logarithm, ten for each factor of ten.

    Most is learned early: so the video of a long run is short, and shows the beginning slowly.
    """
    if step < 10:
        return step == 0
    tenth = round(10 * math.log10(step))
    return step == round(10 ** (tenth / 10))


def to_show(source: Source[Batch]) -> Batch:
    """A few rows of a source, evenly taken, for the grids of a translator."""
    return source.some(2 * columns(source.spec.size))


def show_data(run: Path, source: Source[Batch], *, task: str = "") -> Path:
    """Put a grid of training images, evenly taken, into the run folder, to compare the others with.

    Of pairs, each target is below its source.
    """
    across = columns(source.spec.size)
    path = make_folder(run / SAMPLES) / "data.png"
    rows = source.some(across * (across // 2 if issubclass(source.batch, PairBatch) else across))
    grid = _stacked(*shown(rows, task), across=across) if isinstance(rows, PairBatch) else rows.images
    images.write(path, images.grid(images.fitted(grid), columns=across))
    return path


def take_grid(run: Path, method: Method, step: int, *, real: Batch, task: str = "") -> Path | None:
    """Generate from the first seeds, or translate the images, and save the grid; None if the method does neither.

    On a translator's grid each image is above its translation, and that above its target.
    """
    across = columns(method.spec.size)
    if isinstance(method, Translates) and not (isinstance(method, Generates) and isinstance(real, ImageBatch)):
        grid = _translated(method, real, task=task, across=across)
    elif isinstance(method, Generates):
        grid = _drawn(method, across=across)
    else:
        return None
    path = make_folder(run / SAMPLES) / f"step-{step:08d}.png"
    images.write(path, images.grid(images.fitted(grid), columns=across))
    return path


def _drawn(method: Method, *, across: int) -> Tensor:
    assert isinstance(method, Generates)
    rows = min(len(method.spec.classes), MOST_ROWS) if method.by_class else across
    seeds, labels = list(range(rows * across)), None
    if method.by_class:  # a row for each class
        labels = torch.arange(rows).repeat_interleave(across)
    with evaluating(method):
        return images.to_bytes(method.generate(seeds, labels)).cpu()


def _translated(method: Method, real: Batch, *, task: str, across: int) -> Tensor:
    """Source, result and target (none without pairs) below each other; both directions, if there are two."""
    assert isinstance(method, Translates)
    device = next(method.parameters()).device
    rows = real if isinstance(real, PairBatch) else PairBatch(real.images, real.images)
    with evaluating(method):
        given, wanted = (images.to_signed(side).to(device) for side in (rows.source, rows.target))
        if isinstance(method, Restyles):
            made = images.to_bytes(method.restyle(given, method.style_of(wanted))).cpu()
        else:
            made = images.to_bytes(method.translate(given)).cpu()
        back = [images.to_bytes(method.translate(wanted, way)).cpu() for way in method.directions[1:]]
    source, result = shown(replace(rows, target=made), task)
    if method.takes_paintings:  # it has no target
        return _stacked(source, result, across=across)
    return _stacked(source, result, shown(rows, task)[1], *back, across=across)


def shown(pairs: PairBatch, task: str = "") -> tuple[Tensor, Tensor]:
    """Source and target (uint8) as they are shown: lightness and colours of the task combined."""
    made = tasks.task(task or "reconstruct")
    rows = [made.show(source, target) for source, target in zip(pairs.source, pairs.target, strict=True)]
    return torch.stack([source for source, _ in rows]), torch.stack([target for _, target in rows])


def _stacked(*kinds: Tensor, across: int) -> Tensor:
    """Rows of `across` images, those of each kind under those of the one before; in colour if any is."""
    channels = max(kind.shape[1] for kind in kinds)
    parts = zip(*(torch.split(kind.expand(-1, channels, -1, -1), across) for kind in kinds), strict=True)
    return torch.cat([_filled(part, across) for stack in parts for part in stack])


def _filled(row: Tensor, across: int) -> Tensor:
    """A row padded with white."""
    lacking = across - len(row)
    return torch.cat([row, row.new_full((lacking, *row.shape[1:]), 255)]) if lacking else row


def make_video(run: Path) -> Path | None:
    """The grids so far as one GIF; None if there are none."""
    frames = []
    for grid in sorted((run / SAMPLES).glob("step-*.png")):
        try:
            with Image.open(grid) as image:
                pixels = torch.from_numpy(np.array(image))
        except OSError:  # a power cut may have left it empty
            continue
        frames.append(pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1))
    if not frames:
        return None
    images.write_gif(run / VIDEO, frames, milliseconds=250, hold=12)
    return run / VIDEO


def draw_curves(run: Path) -> Path | None:
    """The losses over the steps, smoothed, with the raw values behind, and the scores below them.

    None if nothing is logged.
    """
    records = metrics_log.read(run)
    if len(records) < 2:
        return None
    from matplotlib.figure import Figure  # half a second to import, for this image alone

    names = sorted({name for record in records for name in record} - {"step", "epoch", "seconds", "images_per_second"})
    scores = [name for name in names if name.startswith(metrics_log.SCORE)]
    panels = 1 + len(scores)
    figure = Figure(figsize=(8, 2 + 2.5 * panels), dpi=120, layout="constrained")
    upper, *lower = np.atleast_1d(figure.subplots(panels, sharex=True, height_ratios=[2] + [1] * len(scores)))
    for name in (name for name in names if name not in scores):
        steps, values = _curve(records, name)
        (line,) = upper.plot(steps, values, alpha=0.25, linewidth=1)
        upper.plot(steps, _smooth(values), color=line.get_color(), label=name)
    upper.set(ylabel="loss", title=run.name)
    for axes, name in zip(lower, scores, strict=True):
        steps, values = _curve(records, name)
        axes.plot(steps, values, "o-", markersize=3, color="black")
        best = values.argmin()
        axes.plot(steps[best], values[best], "*", markersize=12, color="tab:red", label=f"best: {values[best]:.3g}")
        axes.set(ylabel=name.removeprefix(metrics_log.SCORE).strip(), yscale="log" if values.min() > 0 else "linear")
    for axes in (upper, *lower):
        axes.grid(alpha=0.3)
        axes.legend()
    (lower or [upper])[-1].set(xlabel="step")
    if epochs := [record["epoch"] / record["step"] for record in records if record.get("epoch") and record["step"]]:
        of_a_step = epochs[-1]
        axis = upper.secondary_xaxis("top", functions=(lambda step: step * of_a_step, lambda epoch: epoch / of_a_step))
        axis.set_xlabel("epoch")
    image = io.BytesIO()
    figure.savefig(image, format="png")
    write_whole(run / CURVES, image.getvalue())
    return run / CURVES


def _curve(records: list[dict[str, float]], name: str) -> tuple[np.ndarray, np.ndarray]:
    points = [(record["step"], record[name]) for record in records if name in record]
    steps, values = np.array(points).T
    return steps, values


def _smooth(values: np.ndarray) -> np.ndarray:
    """A moving mean over a twentieth of the curve, shorter at its ends."""
    width = max(1, len(values) // 20)
    kernel = np.ones(width)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def show_all(run: Path) -> list[Path]:
    """Update video and curves; returns the newest grid and those that could be written: a full disk ends no run."""
    made: list[Path | None] = [*sorted((run / SAMPLES).glob("step-*.png"))[-1:]]
    for make in (make_video, draw_curves):
        try:
            made.append(make(run))
        except (SaveError, UsageError):
            continue
    return [path for path in made if path]
