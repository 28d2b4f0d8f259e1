"""`ganvas generate`."""

import math
from pathlib import Path

from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Count, Device, Flag, Repeated, Seed, Several
from ganvas.core.atomic_io import make_folder
from ganvas.errors import UsageError

FRAMES = 16  # from one image to the next of an interpolation: one second at 60 ms a frame
MOST_ON_A_GRID = 1024
MOST_ON_A_WALK = 64


def generate(
    model: Path,
    /,
    *,
    out: Path,
    count: Count = 16,
    label: Repeated = (),
    seed: Seed = 0,
    grid: Flag = False,
    columns: Count | None = None,
    interpolate: Flag = False,
    between: Several = (),
    overwrite: Flag = False,
    device: Device = "auto",
) -> None:
    """Generate images with a trained model.

    An image is numbered by its seed and depends on it (and its class) alone: --seed 17 --count 1 is image 17 of
    --count 64. A model that generates by class makes --count of each: on a grid each class has a row, where the same
    seed is in the same column; in a folder each class has a folder.

    Args:
        model: a run folder, or a model file (weights.safetensors of a checkpoint)
        out: a folder for numbered PNG files; an image file for --grid or a single image; a .gif for --interpolate
        count: how many images, of each class if the model generates by class; with --interpolate, how many to visit
        label: a class by name or number, for a model that generates by class; may be repeated [default: every class]
        seed: of the first image; the others follow
        grid: put all into one image
        columns: of the grid [default: as many as rows; --count for several classes]
        interpolate: make a GIF of a latent interpolation from image to image, and back to the first
        between: with --interpolate, image files to interpolate between instead of seeds, for a model that encodes (vae)
        overwrite: replace existing files
        device: auto takes the best available
    """
    if grid and interpolate:
        raise UsageError("--grid and --interpolate are two kinds of output; give one")
    if columns and not grid:
        raise UsageError(f"--columns {columns}: are for a grid; add --grid")
    if between and not interpolate:
        raise UsageError("--between is for latent interpolation; add --interpolate")
    if interpolate and out.suffix.lower() != ".gif":
        raise UsageError(f"--out {out}: --interpolate writes a GIF; give a name ending in .gif")
    if between and label:
        raise UsageError("--between and --label are two ways to choose the images of the interpolation; give one")
    if interpolate and (visited := len(between) or count) > MOST_ON_A_WALK:
        raise UsageError(f"an interpolation of {visited} images is too long; {MOST_ON_A_WALK} are the most")
    with console.loading():
        from ganvas.api import load
        from ganvas.imaging import images
        from ganvas.inference.places import require_free

    loaded = load(model, device=device)
    classes = loaded.classes_of(label)
    if interpolate:
        require_free([out], overwrite=overwrite)
        walk = loaded.interpolate(between or count, label=label, seed=seed, frames=FRAMES, track=console.track)
        console.tell(str(walk.save(out, overwrite=overwrite)[0]))
        return
    total = count * max(1, len(classes))
    if grid and total > MOST_ON_A_GRID:
        raise UsageError(f"{total:,} images, more than {MOST_ON_A_GRID} on one grid, are too small to see; give fewer")
    named_as_image = out.suffix.lower() in images.EXTENSIONS
    if grid or (total == 1 and named_as_image):
        images.format_of(out)
        require_free([out], overwrite=overwrite or not out.exists())
        made = loaded.generate(count, label=label, seed=seed, track=console.track)
        make_folder(out.parent)
        shown = made.grid(columns or (count if len(classes) > 1 else math.isqrt(total - 1) + 1)) if grid else made[0]
        images.save(out, shown)
        console.tell(str(out))
        return
    if named_as_image:
        raise UsageError(f"--out {out}: {total} images go into a folder; name one, or add --grid")
    loaded.generate_files(out, count, label=label, seed=seed, overwrite=overwrite, track=console.track)
    console.tell(f"{total:,} images in {out}")


COMMAND = Command(
    run=generate,
    usage="MODEL --out PATH [OPTIONS]",
    examples=(
        "generate runs/mnist-cgan --label 3 --grid --out threes.png",
        "generate runs/mnist-vae --interpolate --out walk.gif",
    ),
)
