"""Make the targets of a task: with a translator that was trained before without pairs."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from ganvas import checkpoint
from ganvas.core import schema
from ganvas.core.atomic_io import make_folder, write_whole
from ganvas.data.decode import How
from ganvas.data.folder import list_images
from ganvas.data.paired import name_of
from ganvas.data.progress import Track, silently
from ganvas.errors import DataError, ModelError
from ganvas.imaging import images
from ganvas.inference.translate import Translator
from ganvas.studies.design import Task
from ganvas.studies.plan import Run, made_targets

MADE = "made.json"  # beside the targets: the translator that made them


@dataclass(frozen=True)
class Made:
    """Targets that were made, or are being made.

    Attributes:
        step: the training steps of the translator that made them.
        size: pixels of the shorter side of the training images.
        whole: whether all are there.
    """

    step: int
    size: int
    whole: bool


def targets_of(task: Task, out: Path) -> Made | None:
    """What is recorded of a task's targets; None before the first is made."""
    file = made_targets(task, out)[0].parent / MADE
    try:
        return schema.read(file, Made)
    except FileNotFoundError:
        return None
    except (OSError, schema.Misfit) as error:
        raise ModelError(f"{file}: damaged; delete {file.parent}, and the targets are made again") from error


def make_targets(task: Task, teacher: Run, out: Path, *, device: torch.device, track: Track = silently) -> Made:
    """Make the missing targets of a task; existing files are whole.

    They have the size of training images, random_crop's margin included, and the shape of their images.

    Raises:
        DataError: if two images have one name, or one cannot be read.
    """
    model = checkpoint.load(teacher.folder, device)
    size = model.manifest.spec.size
    learned, held_out = made_targets(task, out)
    known = targets_of(task, out)
    if known is None or known.step != model.step:  # made by another translator, or by an unknown one
        shutil.rmtree(learned.parent, ignore_errors=True)
    _keep(learned.parent, Made(model.step, size, whole=False))
    wanted = _places(task.data, learned, size + How(random_crop=task.random_crop).margin(size))
    if held_out != learned:
        wanted += _places(task.held_out, held_out, size)
    missing = [entry for entry in wanted if not entry[1].exists()]
    translator = Translator(model)
    for file, place, side in track(missing, total=len(missing), description=f"targets of {task.name}"):
        make_folder(place.parent)
        images.write(place, translator(_reduced(file, side)).pixels)
    made = Made(model.step, size, whole=True)
    _keep(learned.parent, made)
    return made


def require_names(folder: str) -> None:
    """Raise DataError where two images of a folder would have the same name of a target."""
    seen = dict[str, Path]()
    for file in list_images(Path(folder))[0]:
        if other := seen.get(name := name_of(file, Path(folder))):
            raise DataError(
                f"{folder}: {other.name} and {file.name} have one name; rename one, so that each has a target"
            )
        seen[name] = file


def _places(folder: str, place: Path, side: int) -> list[tuple[Path, Path, int]]:
    """Each image of a folder, the path of its target, and its size."""
    require_names(folder)
    files = [(file, file.relative_to(folder)) for file in list_images(Path(folder))[0]]
    return [(file, place / below.with_name(f"{below.stem}.png"), side) for file, below in files]


def _reduced(file: Path, side: int) -> images.DecodedImage:
    """The image on white, with `side` pixels on its shorter side."""
    pixels = images.on_white(images.read(file))  # (C, H, W)
    height, width = (max(side, round(n * side / min(pixels.shape[-2:]))) for n in pixels.shape[-2:])
    small = images.scaled(images.to_signed(pixels)[None], height, width)[0]
    return images.DecodedImage(images.to_bytes(small.clamp(-1, 1)))


def _keep(folder: Path, made: Made) -> None:
    content = {"step": made.step, "size": made.size, "whole": made.whole}
    write_whole(make_folder(folder) / MADE, json.dumps(content).encode())
