"""Drawing from the command line."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.cli import console
from ganvas.cli.flags import Count, Device, Flag, Repeated, Seed, Several
from ganvas.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from ganvas.checkpoint import Model

FRAMES = 16  # from one picture to the next of a walk: one second at 60 ms a frame
MOST_ON_A_SHEET = 1024
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
    interpolate: Flag = False,
    between: Several = (),
    overwrite: Flag = False,
    device: Device = "auto",
) -> None:
    """Draw pictures with a trained model.

    A picture is numbered by its seed and depends on it (and its class) alone: --seed 17 --count 1 is picture 17 of
    --count 64. A model that draws by class draws --count of each: on a sheet a row for each class, where the same
    seed stands in the same column; in a folder a folder for each class.

    Args:
        model: a run folder, or a model file (weights.safetensors of a save)
        out: a folder for numbered PNG files; a picture file for --grid or a single picture, a .gif for --interpolate
        count: how many pictures, of each class where the model draws by class; with --interpolate, how many to visit
        label: a class by name or number, for a model that draws by class; may be repeated [default: every class]
        seed: of the first picture; the others follow
        grid: all on one sheet
        interpolate: a film that walks from picture to picture, and back to the first
        between: with --interpolate, picture files to walk between in place of seeds, for a model that encodes (vae)
        overwrite: replace what is there
        device: auto takes the best there is
    """
    from ganvas.checkpoint import load
    from ganvas.core.device import find_device
    from ganvas.imaging import images
    from ganvas.inference.generate import draw, drawn_at_once

    if grid and interpolate:
        raise UsageError("--grid and --interpolate are two kinds of picture; give one")
    if between and not interpolate:
        raise UsageError("--between says what a film walks between; add --interpolate")
    if interpolate and out.suffix.lower() != ".gif":
        raise UsageError(f"--out {out}: a film is a .gif; name it so")
    if between and label:
        raise UsageError("--between and --label are two ways to say what a film visits; give one")
    if interpolate and (visited := len(between) or count) > MOST_ON_A_WALK:
        raise UsageError(f"a film of {visited} pictures is too long; {MOST_ON_A_WALK} are the most to visit")
    loaded = load(model, find_device(device))
    classes = _classes(loaded, label)
    seeds = range(seed, seed + count)
    if interpolate:
        require_free([out], overwrite=overwrite)
        _write_film(out, loaded, seeds, classes, between)
        return

    classes = list(dict.fromkeys(classes))
    total = count * max(1, len(classes))
    if grid and total > MOST_ON_A_SHEET:
        raise UsageError(
            f"{total:,} pictures, more than {MOST_ON_A_SHEET} on one sheet, are too small to see; give fewer"
        )
    named_as_picture = out.suffix.lower() in images.EXTENSIONS
    one_file = grid or (total == 1 and named_as_picture)
    if one_file:
        images.format_of(out)
    elif named_as_picture:
        raise UsageError(f"--out {out}: {total} pictures go into a folder; name one, or add --grid")
    folders = _folders(loaded.facts.spec.classes)
    places = [out] if one_file else _Places([out / folders[k] for k in classes] or [out], seeds)
    require_free(places, overwrite=overwrite or not out.exists())
    drawn = draw(loaded.method, [*seeds] * max(1, len(classes)), _each(classes, count))
    shown = console.track(drawn, total=total, description="drawing")
    if grid:
        _write_sheet(out, shown, columns=count if len(classes) > 1 else math.isqrt(total - 1) + 1)
    else:
        _write_each(places, shown, at_once=drawn_at_once(loaded.method))
    console.tell(str(out) if one_file else f"{total:,} pictures in {out}")


def _classes(model: "Model", labels: Sequence[str]) -> list[int]:
    """The numbers of the classes to draw: those asked for by name or number, or all; empty where there are none."""
    known = model.facts.spec.classes
    if not model.method.by_class:
        if labels:
            raise UsageError(f"--label {labels[0]}: a {model.facts.method} model does not draw by class; leave it out")
        return []
    numbers = {str(k) for k in range(len(known))}
    for label in labels:
        if label not in known and label not in numbers:
            raise UsageError(f"--label {label}: the model knows {', '.join(known[:20])}{', ...' if known[20:] else ''}")
    return [known.index(label) if label in known else int(label) for label in labels] or [*range(len(known))]


def _each(classes: Sequence[int], count: int) -> "Tensor | None":
    """The class of each picture: `count` of one, then as many of the next."""
    import torch

    return torch.tensor(classes).repeat_interleave(count) if classes else None


@dataclass(frozen=True)
class _Places:
    """Where the pictures go, in the order in which they are drawn: each folder gets one of every seed."""

    folders: Sequence[Path]
    seeds: Sequence[int]

    def __iter__(self) -> Iterator[Path]:
        return (folder / f"{seed:06d}.png" for folder in self.folders for seed in self.seeds)


def _folders(names: Sequence[str]) -> list[str]:
    """The names of classes as those of folders; a model file may say anything, and `T-shirt/top` would be two."""
    safe = [re.sub(r"[^\w .+-]", "_", name).encode()[:80].decode(errors="ignore").strip(". ") for name in names]
    if all(safe) and len({name.lower() for name in safe}) == len(safe):
        return safe
    return [f"{k} {name}".strip() for k, name in enumerate(safe)]


def require_free(places: Iterable[Path], *, overwrite: bool) -> None:
    """Raise UsageError where something would be replaced without --overwrite."""
    if there := next((place for place in places if not overwrite and place.exists()), None):
        raise UsageError(f"{there} is already there; choose another --out, or add --overwrite")


def _write_film(
    out: Path, model: "Model", seeds: Sequence[int], classes: Sequence[int], between: Sequence[Path]
) -> None:
    import torch

    from ganvas.core.atomic_io import make_folder
    from ganvas.imaging import images
    from ganvas.inference.generate import draw, walk, walk_between, walk_over

    spec = model.facts.spec
    if len(between) == 1:
        raise UsageError(f"--between {between[0]}: a walk takes two pictures or more")
    if between:
        stations = torch.stack([images.read_square(path, size=spec.size, channels=spec.channels) for path in between])
        drawn = walk_between(model.method, stations, frames=FRAMES)
    else:
        of = [classes[i % len(classes)] for i in range(len(seeds))] if classes else []
        labels = walk_over(of, classes=len(spec.classes), frames=FRAMES) if of else None
        drawn = draw(model.method, walk(seeds, frames=FRAMES), labels)
    make_folder(out.parent)
    shown = console.track(drawn, total=FRAMES * len(between or seeds), description="drawing")
    images.write_film(out, (images.enlarge(picture, side=256) for picture in shown), milliseconds=60)
    console.tell(str(out))


def _write_sheet(out: Path, pictures: "Iterator[Tensor]", *, columns: int) -> None:
    import torch

    from ganvas.core.atomic_io import make_folder
    from ganvas.imaging import images

    make_folder(out.parent)
    images.write(out, images.grid(images.enlarge(torch.stack(list(pictures))), columns=columns))


def _write_each(places: Iterable[Path], pictures: "Iterator[Tensor]", *, at_once: int) -> None:
    """Write the pictures in threads while the next are drawn, so many at a time: one by one takes longer."""
    from ganvas.core.atomic_io import make_folder
    from ganvas.core.device import cores
    from ganvas.core.threads import done_behind
    from ganvas.imaging import images

    def groups() -> "Iterator[list[tuple[Path, Tensor]]]":
        left, made = zip(places, pictures, strict=True), None
        while group := list(itertools.islice(left, at_once)):
            for place, _ in group:
                if place.parent != made:
                    made = make_folder(place.parent)
            yield group

    def write(group: "list[tuple[Path, Tensor]]") -> None:
        for place, picture in group:
            images.write(place, picture)

    for _ in done_behind(write, groups(), most=2, threads=cores()):
        pass
